//! Who PostgreSQL runs as: us, or, when we are root (which it refuses), user `postgres` or else `nobody`.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt, lchown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{EmbeddedError, sys};

/// A user and its group.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// It is not us: children have to become it, and get what they are to own.
    pub(super) switch: bool,
}

impl Identity {
    /// The one for this process.
    pub(super) fn of_this_process() -> Result<Self, EmbeddedError> {
        let uid = sys::uid();
        if uid != 0 {
            return Ok(Self { name: format!("uid {uid}"), uid, gid: 0, switch: false });
        }
        // These two are local users everywhere, so the file is enough.
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"].iter().find_map(|name| Self::in_passwd(&users, name)).ok_or(EmbeddedError::NoUser)
    }

    fn in_passwd(users: &str, name: &str) -> Option<Self> {
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect()).find(|f: &Vec<&str>| f.first() == Some(&name))?;
        // macOS writes nobody's as -2.
        let id = |text: &str| text.parse::<u32>().ok().or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned));
        let (uid, gid) = (id(fields.get(2)?)?, id(fields.get(3)?)?);
        (uid != 0).then(|| Self { name: name.to_owned(), uid, gid, switch: true })
    }

    /// A command that runs as this user, in `/` (a working directory it cannot read would upset it), with an
    /// environment that holds no secret of ours.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.switch {
            // std also drops root's supplementary groups on this way.
            command.gid(self.gid).uid(self.uid);
        }
        command
    }

    /// Gives it a file or directory (not what a link points to).
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.switch {
            return Ok(());
        }
        lchown(path, Some(self.uid), Some(self.gid)).map_err(EmbeddedError::io("change the owner of", path))
    }

    /// Makes sure that a directory tree in the data directory is its own. Root hands over what a server of
    /// root's left under another user, but only where nobody but root can have put it: else whoever owns the
    /// data directory could have any file given away.
    pub(super) fn own_tree(&self, top: &Path, data_dir: &Path) -> Result<(), EmbeddedError> {
        let owner_of = |path: &Path| fs::metadata(path).map(|meta| meta.uid());
        let owner = match owner_of(top) {
            Ok(owner) => owner,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(EmbeddedError::io("look at", top)(error)),
        };
        if owner == self.uid {
            return Ok(());
        }
        let roots = owner_of(data_dir).is_ok_and(|owner| owner == 0);
        if !self.switch || !roots || top.is_symlink() {
            return Err(EmbeddedError::Foreign { path: top.to_path_buf(), owner });
        }
        // Only what the old owner had: a hard link to somebody else's file stays somebody else's. The top goes
        // last, so that an interrupted walk is walked again.
        let mut todo = vec![top.to_path_buf()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(&dir).map_err(EmbeddedError::io("read", &dir))? {
                let entry = entry.map_err(EmbeddedError::io("read", &dir))?;
                let meta = entry.metadata().map_err(EmbeddedError::io("look at", &entry.path()))?;
                if meta.is_dir() {
                    todo.push(entry.path());
                }
                if meta.uid() == owner {
                    self.give(&entry.path())?;
                }
            }
        }
        self.give(top)
    }

    /// Makes sure that this user can get to a directory (or, while that is not there, to where it will be made),
    /// by going there as that user.
    pub(super) fn ensure_reachable(&self, dir: &Path) -> Result<(), EmbeddedError> {
        if !self.switch {
            return Ok(());
        }
        let wanted = std::path::absolute(dir).map_err(EmbeddedError::io("use", dir))?;
        let dir = wanted.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", ":"]).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Ok(_) => Ok(()),
            Err(cause) if cause.raw_os_error() == Some(sys::EPERM) => {
                Err(EmbeddedError::CannotSwitchUser { user: self.name.clone(), cause })
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(EmbeddedError::Unreachable {
                user: self.name.clone(),
                path: wanted.clone(),
                blocker: self.blocker(dir),
            }),
            Err(error) => Err(EmbeddedError::io("reach", dir)(error)),
        }
    }

    /// The first directory on the way that lacks the x permission for this user.
    fn blocker(&self, dir: &Path) -> PathBuf {
        let way: Vec<&Path> = dir.ancestors().collect();
        let closed = |dir: &&&Path| match fs::metadata(dir) {
            Ok(meta) if meta.uid() == self.uid => meta.mode() & 0o100 == 0,
            Ok(meta) if meta.gid() == self.gid => meta.mode() & 0o010 == 0,
            Ok(meta) => meta.mode() & 0o001 == 0,
            Err(_) => true,
        };
        way.iter().rev().find(closed).map_or_else(|| dir.to_path_buf(), |dir| dir.to_path_buf())
    }
}
