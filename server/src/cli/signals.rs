//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second for an end at once.

use std::io;
use std::time::Duration;

/// The signals that ask this process to end, from now on.
pub(super) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes them over: from here on they no longer end the process by themselves.
    pub(super) fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next one. Cancel-safe.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Looks, and again after each pause, until a signal comes. What goes wrong is said, and may be gone by the next time.
pub(super) async fn repeat(every: Duration, look: impl AsyncFn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    loop {
        tokio::select! {
            looked = look() => if let Err(error) = looked { eprintln!("error: {error:#}") },
            () = signals.next() => return Ok(()),
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = signals.next() => return Ok(()),
        }
    }
}
