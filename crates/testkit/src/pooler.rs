//! PgBouncer in transaction mode before a Postgres: the real one, as it comes, where it is installed.
//!
//! Each transaction gets the server connection that has waited longest, so that whoever relies on meeting the same one
//! twice is found out at once. Few server connections, no prepared statements, no settings at a connection's start.

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use headwater_store::admin::{Endpoint, with_host};

/// A running PgBouncer. Killed when dropped.
#[derive(Debug)]
pub struct Pooler {
    child: Child,
    dir: PathBuf,
}

/// The port in the name of its socket.
const PORT: u16 = 6432;

impl Pooler {
    /// Where PgBouncer is: `PGBOUNCER`, the PATH, or where Debian puts it.
    pub fn find() -> Option<PathBuf> {
        if let Some(path) = std::env::var_os("PGBOUNCER") {
            return Some(path.into());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        dirs.map(|dir| dir.join("pgbouncer")).find(|file| file.is_file())
    }

    /// Starts one before the Postgres of this URL, for these users and their passwords there.
    ///
    /// # Errors
    /// When it does not start; its log is part of the words.
    pub fn start(binary: &Path, admin_url: &str, users: &[(&str, &str)]) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("hw-pooler-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let endpoint = Endpoint::of(admin_url).map_err(io::Error::other)?;
        let mut file = String::new();
        for (user, password) in users.iter().copied().chain([(endpoint.user.as_str(), endpoint.password.as_str())]) {
            let _ = writeln!(file, "\"{user}\" \"{password}\"");
        }
        let (host, port, place) = (&endpoint.host, endpoint.port, dir.display());
        let settings = format!(
            "[databases]\n* = host={host} port={port}\n\
             [pgbouncer]\npool_mode = transaction\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {place}\n\
             auth_type = trust\nauth_file = {place}/users\ndefault_pool_size = 12\nmax_client_conn = 2000\n\
             server_round_robin = 1\nserver_idle_timeout = 3\nserver_login_retry = 1\nlogfile = {place}/log\npidfile = {place}/pid\n"
        );
        std::fs::write(dir.join("users"), file)?;
        std::fs::write(dir.join("settings"), settings)?;
        let mut command = Command::new(binary);
        // SAFETY: a plain system call that cannot fail.
        if unsafe { libc::geteuid() } == 0 {
            // It refuses to be root. Whoever runs Postgres may enter its socket's directory.
            let owner = std::fs::metadata(host).map_or(65534, |meta| meta.uid());
            for path in [dir.clone(), dir.join("users"), dir.join("settings")] {
                std::os::unix::fs::chown(path, Some(owner), None)?;
            }
            let name = Command::new("id").args(["-nu", &owner.to_string()]).output()?;
            command.arg("-u").arg(String::from_utf8_lossy(&name.stdout).trim());
        }
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755))?;
        command.arg("-q").arg(dir.join("settings"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut pooler = Self { child, dir };
        pooler.wait_for_socket()?;
        Ok(pooler)
    }

    fn wait_for_socket(&mut self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(10);
        let socket = self.dir.join(format!(".s.PGSQL.{PORT}"));
        while UnixStream::connect(&socket).is_err() {
            if Instant::now() > until || self.child.try_wait()?.is_some() {
                let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("PgBouncer did not start: {log}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The same database through the pooler.
    pub fn url(&self, url: &str) -> String {
        url_at(&self.dir.display().to_string(), url)
    }

    /// Where its socket is, for [`url_at`].
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// A database through the pooler whose socket is in that directory.
pub fn url_at(dir: &str, url: &str) -> String {
    with_host(url, dir, PORT)
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
