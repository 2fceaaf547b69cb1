//! The few calls that std lacks. Every `unsafe` of this module's directory is here.

use std::{ffi::CString, io, os::unix::ffi::OsStrExt, path::Path, process::Command};

/// Ends a server at once; its data is recovered at the next start.
pub(super) const SIGQUIT: i32 = libc::SIGQUIT;
/// Ends a server in order, without waiting for its clients.
pub(super) const SIGINT: i32 = libc::SIGINT;
/// Ends anything.
pub(super) const SIGKILL: i32 = libc::SIGKILL;
/// "Operation not permitted", which std does not tell apart from "permission denied".
pub(super) const EPERM: i32 = libc::EPERM;
/// Do not open what a symbolic link points to: root may work in a directory of somebody else's.
pub(super) const O_NOFOLLOW: i32 = libc::O_NOFOLLOW;

/// The user this process acts as.
pub(super) fn uid() -> u32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether it is root.
pub(super) fn is_root() -> bool {
    uid() == 0
}

/// Sends a signal. That the process is gone already is no error.
pub(super) fn signal(pid: u32, signal: i32) {
    let Some(pid) = one_process(pid) else { return };
    // SAFETY: plain integers; `pid` is positive, so it names one process and no group.
    unsafe { libc::kill(pid, signal) };
}

fn one_process(pid: u32) -> Option<libc::pid_t> {
    libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0)
}

/// Waits until a child of ours has ended, and leaves it to be reaped, so that its id stays its own.
pub(super) fn wait_unreaped(pid: u32) {
    // SAFETY: `siginfo_t` is plain data for which all zeroes is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: `info` outlives the call.
        let answer = unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
        if answer == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// Whether this user may make files in a directory.
pub(super) fn writable(dir: &Path) -> bool {
    let Ok(dir) = CString::new(dir.as_os_str().as_bytes()) else { return false };
    // SAFETY: `dir` is a string that ends in zero and outlives the call.
    unsafe { libc::access(dir.as_ptr(), libc::W_OK | libc::X_OK) == 0 }
}

/// Linux: the child gets `signal` when the thread that spawned it ends, so spawn it from one that lives as
/// long as the process. Elsewhere nothing: `end.rs` has a watcher for that.
#[cfg(target_os = "linux")]
pub(super) fn signal_when_parent_ends(command: &mut Command, signal: i32) {
    use std::os::unix::process::CommandExt;

    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are made, and nothing is allocated. std runs
    // this after it has changed users, which matters because that change clears the setting.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have ended before the line above: then no signal would ever come.
            if libc::getppid().cast_unsigned() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// See above.
#[cfg(not(target_os = "linux"))]
pub(super) fn signal_when_parent_ends(_: &mut Command, _: i32) {}
