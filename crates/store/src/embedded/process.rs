//! A child process that is waited for from the moment it exists, and that does not outlive us.
//!
//! Each child has a thread of its own: it forks the child, waits for it, reaps it and tells the others. It ends
//! after the child, never before, because Linux sends the parent-death signal when the *thread* that forked
//! ends. Signals are sent under the lock under which the child is reaped: an id that the system may have given
//! to somebody else is never signalled.

use std::{
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use super::{end::Watcher, sys};

/// A running (or ended) child.
#[derive(Debug)]
pub(super) struct Kept {
    pid: u32,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    exit: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        // Nothing that can panic happens under this lock.
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Starts it, out of reach of the terminal's Ctrl-C (we decide when it ends); it gets `when_we_end`
    /// should this process end first.
    pub(super) fn spawn(mut command: Command, when_we_end: i32) -> io::Result<Self> {
        command.process_group(0);
        sys::signal_when_parent_ends(&mut command, when_we_end);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let (tell, told) = mpsc::channel();
        thread::Builder::new().name("postgres-keeper".to_owned()).spawn(move || {
            let spawned = command.spawn();
            // Its copies of the log and the pipes are the child's now.
            drop(command);
            match spawned {
                Ok(child) => {
                    let watcher = Watcher::over(child.id(), when_we_end);
                    let _ = tell.send(Ok(child.id()));
                    keep(child, watcher, &theirs);
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        })?;
        let pid = told.recv().map_err(|_| io::Error::other("the thread that starts processes ended"))??;
        Ok(Self { pid, shared })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub(super) fn exited(&self) -> Option<ExitStatus> {
        *self.shared.lock()
    }

    /// Waits for its end, at most so long.
    pub(super) fn wait_for(&self, bound: Duration) -> Option<ExitStatus> {
        let (exit, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), bound, |exit| exit.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *exit
    }

    /// Sends a signal unless it has ended.
    pub(super) fn signal(&self, signal: i32) {
        let exit = self.shared.lock();
        if exit.is_none() {
            sys::signal(self.pid, signal);
        }
    }
}

impl Drop for Kept {
    /// Nobody holds it any more, so nobody would end it.
    fn drop(&mut self) {
        self.signal(sys::SIGKILL);
        self.wait_for(Duration::from_secs(5));
    }
}

fn keep(mut child: Child, watcher: Option<Watcher>, shared: &Shared) {
    sys::wait_unreaped(child.id());
    {
        let mut exit = shared.lock();
        // The wait can fail only if this process ignores SIGCHLD: then how it ended is lost, not that it did.
        *exit = Some(child.wait().unwrap_or_else(|_| ExitStatus::from_raw(127 << 8)));
    }
    shared.changed.notify_all();
    if let Some(watcher) = watcher {
        watcher.dismiss();
    }
}
