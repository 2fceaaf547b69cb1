//! A new data directory, whole or not there.
//!
//! `initdb` works in a sibling directory that gets its name only when it is done. Who calls this holds the data
//! directory's lock, so a sibling found lying about is nobody's.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::Stdio,
    time::Duration,
};

use super::{EmbeddedError, identity::Identity, paths::Layout, process::Kept, sys};

const UNFINISHED: &str = "postgres.new-";
const BOUND: Duration = Duration::from_secs(180);

/// The major version that made the data directory, if it is there and can be read.
pub(super) fn major_of(pgdata: &Path) -> Option<u32> {
    fs::read_to_string(pgdata.join("PG_VERSION")).ok()?.trim().split('.').next()?.parse().ok()
}

/// Whether there is none yet. Something else in its place is an error.
pub(super) fn is_missing(pgdata: &Path) -> Result<bool, EmbeddedError> {
    if major_of(pgdata).is_some() {
        return Ok(false);
    }
    // An empty directory is as good as none, and no other is removed by this.
    match fs::remove_dir(pgdata) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(_) => Err(EmbeddedError::NotADataDirectory { data_dir: pgdata.to_path_buf() }),
    }
}

/// Makes one.
pub(super) fn make(layout: &Layout, who: &Identity, initdb: &Path) -> Result<(), EmbeddedError> {
    sweep(layout)?;
    let new = layout.data_dir.join(format!("{UNFINISHED}{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&new).map_err(EmbeddedError::io("create", &new))?;
    let made = who.give(&new).and_then(|()| run(layout, who, initdb, &new)).and_then(|()| {
        fs::rename(&new, &layout.pgdata).map_err(EmbeddedError::io("rename", &new))?;
        sync(&layout.data_dir)
    });
    if made.is_err() {
        let _ = fs::remove_dir_all(&new);
    }
    made
}

/// Removes what interrupted attempts left.
fn sweep(layout: &Layout) -> Result<(), EmbeddedError> {
    let entries = fs::read_dir(&layout.data_dir).map_err(EmbeddedError::io("read", &layout.data_dir))?;
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
        fs::remove_dir_all(entry.path()).map_err(EmbeddedError::io("remove", &entry.path()))?;
    }
    Ok(())
}

fn run(layout: &Layout, who: &Identity, initdb: &Path, into: &Path) -> Result<(), EmbeddedError> {
    let (log, start) = layout.open_log()?;
    let also = log.try_clone().map_err(EmbeddedError::io("open", &layout.log))?;
    let mut command = who.command(initdb);
    command
        .args(["-N", "--no-locale", "-E", "UTF8", "-A", "trust", "-U", "postgres", "--no-instructions", "-D"])
        .arg(into)
        .stdout(Stdio::from(log))
        .stderr(Stdio::from(also));
    // Killed rather than asked: it would first clean up, and the next start does that better.
    let child = Kept::spawn(command, sys::SIGKILL).map_err(EmbeddedError::io("run", initdb))?;
    match child.wait_for(BOUND) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(EmbeddedError::InitDb {
            data_dir: layout.pgdata.clone(),
            output: format!("initdb ended with {status}:\n{}", layout.log_tail(start)),
        }),
        None => Err(EmbeddedError::InitDb {
            data_dir: layout.pgdata.clone(),
            output: format!("initdb did not end within {} s:\n{}", BOUND.as_secs(), layout.log_tail(start)),
        }),
    }
}

fn sync(dir: &Path) -> Result<(), EmbeddedError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(EmbeddedError::io("sync", dir))
}
