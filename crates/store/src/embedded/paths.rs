//! Headwater's data directory: what is where in it, who may use it now, and where the socket fits.
//!
//! `lock` (held while a server of ours runs, our pid inside) · `postgres` (PostgreSQL's own) · `postgres.log` ·
//! `run` (the socket, if the path is short enough; else a directory named after a hash of it).

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Seek, SeekFrom},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest;

use super::{EmbeddedError, identity::Identity, leftovers, sys};

/// The port's number, which is but a part of the socket's name.
pub(super) const PORT: u16 = 5432;
/// The socket's name in its directory.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";
/// The longest path that fits into a socket's address.
pub(super) const MAX_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

const HOME_OF_ROOT: &str = "/var/lib/headwater";
const LOG_LIMIT: u64 = 8 << 20;
const LOG_TAIL: u64 = 4 << 10;
const LOG_TAIL_LINES: usize = 20;

/// Where Headwater keeps its data if nobody says: `/var/lib/headwater` for root; else `$XDG_DATA_HOME/headwater`
/// or `~/.local/share/headwater`; `.headwater` in the current directory if there is no home to write to.
pub fn default_data_dir() -> PathBuf {
    if sys::is_root() {
        return PathBuf::from(HOME_OF_ROOT);
    }
    user_dir("XDG_DATA_HOME", ".local/share").unwrap_or_else(|| PathBuf::from("./.headwater"))
}

/// Where fetched binaries are kept if nobody says.
pub(super) fn default_cache_dir(data_dir: &Path) -> PathBuf {
    if sys::is_root() {
        return Path::new(HOME_OF_ROOT).join("cache");
    }
    user_dir("XDG_CACHE_HOME", ".cache").unwrap_or_else(|| data_dir.join("cache"))
}

fn user_dir(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))?;
    let dir = base.join("headwater");
    let writable = dir.ancestors().find(|dir| dir.exists()).is_some_and(sys::writable);
    writable.then_some(dir)
}

/// Deletes the database in a data directory, so that the next start makes a new one. Refused while it is in use.
pub fn reset(data_dir: &Path) -> Result<(), EmbeddedError> {
    if !data_dir.exists() {
        return Ok(());
    }
    let layout = Layout::make(data_dir)?;
    let _lock = DataLock::take(&layout)?;
    leftovers::wait_for(&layout, Duration::from_secs(15))?;
    match fs::remove_dir_all(&layout.pgdata) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::io("remove", &layout.pgdata)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes a directory and what it lacks above. Root's may be passed through by everybody and listed by nobody;
/// anybody else's are their own.
pub(super) fn make_dirs(path: &Path) -> Result<(), EmbeddedError> {
    let mode = if sys::is_root() { 0o711 } else { 0o700 };
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    for dir in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(dir) {
            // Once more, because the umask had its say.
            Ok(()) => fs::set_permissions(dir, Permissions::from_mode(mode)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(EmbeddedError::io("create", dir))?;
    }
    Ok(())
}

/// The data directory, absolute, and what is where in it.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) data_dir: PathBuf,
    pub(super) pgdata: PathBuf,
    pub(super) log: PathBuf,
    /// A name for the server that is its alone: `headwater-` and a hash of the path.
    pub(super) name: String,
}

impl Layout {
    /// Makes the directory if it is not there.
    pub(super) fn make(data_dir: &Path) -> Result<Self, EmbeddedError> {
        make_dirs(data_dir)?;
        let data_dir = data_dir.canonicalize().map_err(EmbeddedError::io("use", data_dir))?;
        let hash = digest::digest(&digest::SHA512, data_dir.as_os_str().as_bytes());
        let hash: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("headwater-{hash}");
        Ok(Self { pgdata: data_dir.join("postgres"), log: data_dir.join("postgres.log"), data_dir, name })
    }

    /// Opens the log to add to it, and says where its new part begins. A long one starts anew.
    pub(super) fn open_log(&self) -> Result<(File, u64), EmbeddedError> {
        if fs::metadata(&self.log).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
            let old = self.data_dir.join("postgres.log.1");
            fs::rename(&self.log, &old).map_err(EmbeddedError::io("rename", &self.log))?;
        }
        let mut options = OpenOptions::new();
        let log = options.create(true).append(true).mode(0o600).custom_flags(sys::O_NOFOLLOW).open(&self.log);
        let log = log.map_err(EmbeddedError::io("open", &self.log))?;
        let start = log.metadata().map_err(EmbeddedError::io("look at", &self.log))?.len();
        Ok((log, start))
    }

    /// The last lines of the log, from its new part.
    pub(super) fn log_tail(&self, start: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut log = File::open(&self.log)?;
            let from = log.metadata()?.len().saturating_sub(LOG_TAIL).max(start);
            log.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.trim_end().lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

/// The right to run a server in a data directory. Ends with the process, however that ends.
#[derive(Debug)]
pub(super) struct DataLock(File);

impl DataLock {
    pub(super) fn take(layout: &Layout) -> Result<Self, EmbeddedError> {
        let path = layout.data_dir.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(sys::O_NOFOLLOW);
        let mut file = options.open(&path).map_err(|error| match fs::metadata(&layout.data_dir) {
            Ok(meta) if error.kind() == io::ErrorKind::PermissionDenied && meta.uid() != sys::uid() => {
                EmbeddedError::Foreign { path: layout.data_dir.clone(), owner: meta.uid() }
            }
            Ok(_) | Err(_) => EmbeddedError::io("open", &path)(error),
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                let pid = text.trim().parse().unwrap_or(0);
                return Err(EmbeddedError::AlreadyRunning { pid, data_dir: layout.data_dir.clone() });
            }
            Err(TryLockError::Error(error)) => return Err(EmbeddedError::io("lock", &path)(error)),
        }
        let pid = format!("{}\n", std::process::id());
        file.write_all_at(pid.as_bytes(), 0)
            .and_then(|()| file.set_len(pid.len() as u64))
            .map_err(EmbeddedError::io("write", &path))?;
        Ok(Self(file))
    }
}

impl Drop for DataLock {
    fn drop(&mut self) {
        // Not left to the closing of the file: a child that another thread forks right now has a copy of it.
        let _ = self.0.unlock();
    }
}

/// The directory of the socket.
#[derive(Debug)]
pub(super) struct SocketDir {
    pub(super) path: PathBuf,
    /// Not in the data directory, so that it should not outlive the server.
    outside: bool,
}

impl SocketDir {
    /// Makes it: below the data directory, or in a short place.
    pub(super) fn make(layout: &Layout, who: &Identity) -> Result<Self, EmbeddedError> {
        let places = match (who.switch, env::var_os("XDG_RUNTIME_DIR")) {
            // Root's own is closed to the user that the server runs as.
            (true, _) => vec![PathBuf::from("/run"), PathBuf::from("/tmp")],
            (false, Some(dir)) => vec![PathBuf::from(dir), PathBuf::from("/tmp")],
            (false, None) => vec![PathBuf::from("/tmp")],
        };
        Self::make_in(layout, who, &places)
    }

    pub(super) fn make_in(layout: &Layout, who: &Identity, places: &[PathBuf]) -> Result<Self, EmbeddedError> {
        let inside = layout.data_dir.join("run");
        if fits(&inside) {
            who.own_tree(&inside, &layout.data_dir)?;
            claim(&inside, who)?;
            return Ok(Self { path: inside, outside: false });
        }
        let name = format!("{}-{}", layout.name, who.uid);
        let place = places
            .iter()
            .filter(|place| place.is_absolute() && place.is_dir() && sys::writable(place))
            .map(|place| place.join(&name))
            .find(|path| fits(path))
            .ok_or(EmbeddedError::NoSocketDirectory { limit: MAX_SOCKET_PATH })?;
        claim(&place, who)?;
        Ok(Self { path: place, outside: true })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }

    /// Removes what a killed server left: its lock file names a process id that may be somebody else's by now.
    pub(super) fn clean(&self) {
        let _ = fs::remove_file(self.path.join(format!("{SOCKET}.lock")));
        let _ = fs::remove_file(self.socket());
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        if self.outside {
            self.clean();
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Clients take a comma for the start of another host, and the address for valid text.
fn fits(dir: &Path) -> bool {
    dir.as_os_str().len() + 1 + SOCKET.len() <= MAX_SOCKET_PATH && dir.to_str().is_some_and(|dir| !dir.contains(','))
}

/// Makes a directory that only this user (and root) can enter, or checks that it is one.
fn claim(dir: &Path, who: &Identity) -> Result<(), EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(EmbeddedError::io("create", dir)(error)),
    }
    // The link itself, not what it points to: anybody can put a link into /tmp.
    let meta = fs::symlink_metadata(dir).map_err(EmbeddedError::io("look at", dir))?;
    if !meta.is_dir() || (meta.uid() != who.uid && meta.uid() != sys::uid()) {
        return Err(EmbeddedError::Foreign { path: dir.to_path_buf(), owner: meta.uid() });
    }
    if meta.uid() != who.uid {
        who.give(dir)?;
    }
    if meta.mode() & 0o777 != 0o700 {
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(EmbeddedError::io("protect", dir))?;
    }
    Ok(())
}
