//! Headwater's data directory on a developer's machine: the small files in it and who may use them now.
//!
//! `dev.lock` (held while `headwater dev` runs, its pid inside) · `master.key` · `dev.env` · `chat.json` · and what
//! `store::embedded` keeps: `postgres`, `postgres.log`, `lock`, `run`.
//! Promises that a file with a secret is 0600 from its first byte, and that a reader sees the old file or the new one,
//! never half of one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use headwater_store::embedded::default_data_dir;

/// The file that others source.
pub(super) const DEV_ENV: &str = "dev.env";
const LOCK: &str = "dev.lock";

/// A data directory, which may not be there.
#[derive(Debug, Clone)]
pub(super) struct DataDir {
    path: PathBuf,
}

/// The right to run `headwater dev` in a data directory. Ends with the process, however that ends.
#[derive(Debug)]
#[must_use]
pub(super) struct Lock {
    _file: File,
}

impl DataDir {
    /// The one that was named, or the default.
    pub(super) fn at(path: Option<&Path>) -> Self {
        Self { path: path.map_or_else(default_data_dir, Path::to_path_buf) }
    }

    /// The same, made if it is not there, and absolute.
    pub(super) fn make(path: Option<&Path>) -> anyhow::Result<Self> {
        let Self { path } = Self::at(path);
        let why =
            || format!("could not use the data directory {}; name another one with --data-dir DIR", path.display());
        make_dirs(&path).with_context(why)?;
        let path = path.canonicalize().with_context(why)?;
        let data = Self { path };
        // Wherever it is, it is nobody's to commit.
        if !data.file(".gitignore").exists() {
            data.write(".gitignore", "*\n")?;
        }
        Ok(data)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What is in a file, or nothing if there is none.
    pub(super) fn read(&self, name: &str) -> anyhow::Result<Option<String>> {
        let path = self.file(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(anyhow!(
                "{} belongs to somebody else; run this as the user who started headwater, or name a --data-dir of \
                 your own",
                path.display()
            )),
            Err(error) => Err(anyhow!("could not read {}: {error}", path.display())),
        }
    }

    /// Writes a file, whole or not at all, for its owner's eyes only.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.file(name);
        let new = self.file(&format!(".{name}.{}.new", std::process::id()));
        let write = || -> io::Result<()> {
            // What an earlier process of the same number may have left.
            let _ = fs::remove_file(&new);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&new);
            anyhow!("could not write {}: {error}; is the disk full, or the directory somebody else's?", path.display())
        })
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(anyhow!("could not remove {}: {error}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Takes the lock, or says who has it.
    pub(super) fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.file(LOCK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.open(&path);
        let mut file = opened.with_context(|| format!("could not open {}; name another --data-dir", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{}", self.already_running(&mut file)),
            Err(TryLockError::Error(error)) => {
                bail!("could not lock {}: {error}; use a --data-dir on a local disk", path.display())
            }
        }
        let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        write.with_context(|| format!("could not write {}", path.display()))?;
        Ok(Lock { _file: file })
    }

    fn already_running(&self, lock: &mut File) -> String {
        let mut pid = String::new();
        let _ = lock.read_to_string(&mut pid);
        let pid = Some(pid.trim()).filter(|pid| !pid.is_empty()).unwrap_or("unknown");
        format!(
            "headwater dev already runs in {} (pid {pid}); use it as {} says, or stop it, or give this one a \
             directory and a port of its own: --data-dir DIR --port 0",
            self.path.display(),
            self.file(DEV_ENV).display()
        )
    }
}

/// Makes a directory and what it lacks above. One's own are closed to others; root's may be passed through, because
/// PostgreSQL does not run as root.
fn make_dirs(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    for dir in missing.into_iter().rev() {
        match fs::create_dir(dir) {
            Ok(()) => close(dir)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn close(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let root = fs::metadata(dir)?.uid() == 0;
    fs::set_permissions(dir, fs::Permissions::from_mode(if root { 0o711 } else { 0o700 }))
}

#[cfg(not(unix))]
fn close(_dir: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("headwater-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let dir = scratch("lock");
        let data = DataDir::make(Some(&dir.join("deep"))).expect("a directory");
        let lock = data.lock().expect("nobody else");
        let told = data.lock().expect_err("taken").to_string();
        assert!(told.contains(&format!("pid {}", std::process::id())) && told.contains("--data-dir"), "{told}");
        drop(lock);
        drop(data.lock().expect("free again"));
        let _ = fs::remove_dir_all(dir);
    }

    #[cfg(unix)]
    #[test]
    fn files_are_the_owners_alone_and_replaced_whole() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = scratch("files");
        let data = DataDir::make(Some(&dir)).expect("a directory");
        assert_eq!(data.read("x").expect("reads"), None);
        data.write("x", "one").expect("writes");
        data.write("x", "two").expect("writes again");
        assert_eq!(data.read("x").expect("reads").as_deref(), Some("two"));
        let mode = fs::metadata(data.file("x")).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut names: Vec<_> = fs::read_dir(&dir).expect("lists").map(|e| e.expect("an entry").file_name()).collect();
        names.sort();
        assert_eq!(names, [".gitignore", "x"]);
        let _ = fs::remove_dir_all(dir);
    }
}
