//! Ending with the parent where the system has no parent-death signal.
//!
//! On Linux the kernel does it (`sys::signal_when_parent_ends`) and there is no watcher. Elsewhere a small shell
//! waits on a pipe that only we hold open: a word says that the child ended by itself, end of file that we did.
//!
//! A server gets SIGQUIT, not SIGINT: it ends at once whatever its clients do (PostgreSQL kills the stubborn
//! after five seconds), it cannot be held up by a checkpoint, and no committed data is lost.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

const SCRIPT: &str = r#"read -r word; [ "$word" = ended ] || kill -"$1" "$2""#;

/// The shell on the other end of the pipe.
#[derive(Debug)]
pub(super) struct Watcher(Child);

impl Watcher {
    /// One for this child, on systems that need it.
    pub(super) fn over(pid: u32, signal: i32) -> Option<Self> {
        if cfg!(target_os = "linux") {
            return None;
        }
        Self::start(pid, signal)
            .inspect_err(|error| tracing::warn!(%error, "nobody will end postgres if headwater is killed"))
            .ok()
    }

    pub(super) fn start(pid: u32, signal: i32) -> io::Result<Self> {
        Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sh", &signal.to_string(), &pid.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Self)
    }

    /// The child has ended: do nothing, and go.
    pub(super) fn dismiss(mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            // A watcher that is gone already needs no word.
            let _ = pipe.write_all(b"ended\n");
        }
        let _ = self.0.wait();
    }
}
