//! What an earlier server left behind when its owner or itself was killed.
//!
//! We hold the data directory's lock, so no other Headwater runs a server there. Its last one may still be on
//! its way out: that is waited for. Backends without a postmaster are told to go, because no server can start
//! before they have. A pid file that names nobody, or somebody who is not PostgreSQL, is removed: in a fresh
//! container that number soon belongs to another process, and PostgreSQL would refuse to start.

use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{EmbeddedError, sys};

/// Returns once nothing of an earlier server is alive.
pub(super) fn wait_for(pgdata: &Path, bound: Duration) -> Result<(), EmbeddedError> {
    let pid_file = pgdata.join("postmaster.pid");
    // After an orderly end there is no such file.
    let postmaster = match fs::read_to_string(&pid_file) {
        Ok(text) => text.lines().next().and_then(|line| line.trim().parse().ok()).unwrap_or(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(EmbeddedError::io("read", &pid_file)(error)),
    };
    let deadline = Instant::now() + bound;
    let mut told = false;
    loop {
        let alive = servers_in(pgdata, postmaster);
        let Some(first) = alive.first() else { break };
        if !alive.contains(&postmaster) && !told {
            tracing::warn!(processes = ?alive, "ending what a killed postgres left behind");
            alive.iter().for_each(|pid| sys::signal(*pid, sys::SIGQUIT));
            told = true;
        }
        if Instant::now() >= deadline {
            let pid = if alive.contains(&postmaster) { postmaster } else { *first };
            return Err(EmbeddedError::StillRunning { pid, data_dir: pgdata.to_path_buf() });
        }
        thread::sleep(Duration::from_millis(20));
    }
    match fs::remove_file(&pid_file) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(EmbeddedError::io("remove", &pid_file)(error)),
    }
}

/// PostgreSQL's processes on this data directory: on Linux all of them, elsewhere the postmaster alone.
pub(super) fn servers_in(pgdata: &Path, postmaster: u32) -> Vec<u32> {
    if cfg!(target_os = "linux")
        && let Ok(processes) = fs::read_dir("/proc")
    {
        return processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                let of = Path::new("/proc").join(pid.to_string());
                // All of them live in the data directory. A shell that was left there is not one of them.
                fs::read_link(of.join("cwd")).is_ok_and(|dir| dir == pgdata)
                    && fs::read_to_string(of.join("comm")).is_ok_and(|name| name.starts_with("postgres"))
            })
            .collect();
    }
    if !sys::exists(postmaster) {
        return Vec::new();
    }
    let listed = std::process::Command::new("ps").args(["-ww", "-o", "command=", "-p", &postmaster.to_string()]).output();
    let ours = listed.map_or(true, |ps| {
        let line = String::from_utf8_lossy(&ps.stdout).into_owned();
        line.contains("postgres") && line.contains(&*pgdata.to_string_lossy())
    });
    if ours { vec![postmaster] } else { Vec::new() }
}
