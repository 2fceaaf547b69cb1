//! What an earlier server left behind when its owner or itself was killed.
//!
//! We hold the data directory's lock, so no other Headwater runs a server there. Its last one may still be on
//! its way out: that is waited for. Backends without a postmaster are told to go, because no server can start
//! before they have. A pid file that names nobody, or somebody who is not PostgreSQL, is removed: in a fresh
//! container that number soon belongs to another process, and PostgreSQL would refuse to start.

use std::{
    fs, io,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{EmbeddedError, paths::Layout, sys};

/// Returns once nothing of an earlier server is alive.
pub(super) fn wait_for(layout: &Layout, bound: Duration) -> Result<(), EmbeddedError> {
    let pid_file = layout.pgdata.join("postmaster.pid");
    // After an orderly end there is no such file.
    let postmaster = match fs::read_to_string(&pid_file) {
        Ok(text) => text.lines().next().and_then(|line| line.trim().parse().ok()).unwrap_or(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(EmbeddedError::io("read", &pid_file)(error)),
    };
    let deadline = Instant::now() + bound;
    let mut told = false;
    loop {
        let alive = servers_of(layout);
        let Some(first) = alive.first() else { break };
        if !alive.contains(&postmaster) && !told {
            tracing::warn!(processes = ?alive, "ending what a killed postgres left behind");
            alive.iter().for_each(|pid| sys::signal(*pid, sys::SIGQUIT));
            told = true;
        }
        if Instant::now() >= deadline {
            let pid = if alive.contains(&postmaster) { postmaster } else { *first };
            return Err(EmbeddedError::StillRunning { pid, data_dir: layout.pgdata.clone() });
        }
        thread::sleep(Duration::from_millis(20));
    }
    match fs::remove_file(&pid_file) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(EmbeddedError::io("remove", &pid_file)(error)),
    }
}

/// PostgreSQL's processes on this data directory.
pub(super) fn servers_of(layout: &Layout) -> Vec<u32> {
    if cfg!(target_os = "linux") { by_directory(layout) } else { by_name(layout) }
}

/// All of them live in the data directory. A shell that was left there is not one of them.
fn by_directory(layout: &Layout) -> Vec<u32> {
    let is_one = |process: &Path| {
        fs::read_link(process.join("cwd")).is_ok_and(|dir| dir == layout.pgdata)
            && fs::read_to_string(process.join("comm")).is_ok_and(|name| name.starts_with("postgres"))
    };
    let numbered = |process: &Path| process.file_name()?.to_str()?.parse().ok();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    processes.filter_map(|process| numbered(&process).filter(|_| is_one(&process))).collect()
}

/// The server's name is an argument of the postmaster, and its children have it in their titles.
fn by_name(layout: &Layout) -> Vec<u32> {
    let Ok(listed) = Command::new("ps").args(["-axww", "-o", "pid=", "-o", "command="]).output() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let ours = text.lines().filter(|line| line.contains("postgres") && line.contains(&layout.name));
    ours.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}
