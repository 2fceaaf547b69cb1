//! The server itself: found, made, started, asked, stopped.

use std::{
    fmt::Write as _,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    Binaries, EmbeddedError, EmbeddedOptions, Step, binaries,
    identity::Identity,
    initdb, leftovers,
    paths::{DataLock, Layout, PORT, SocketDir},
    process::Kept,
    sys,
    wire::{self, Answer},
};

const READY_BOUND: Duration = Duration::from_secs(60);
const LEFTOVERS_BOUND: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
/// For a fast shutdown, which ends with a checkpoint; and for one that has to be immediate.
const STOP_BOUND: Duration = Duration::from_secs(20);
const QUIT_BOUND: Duration = Duration::from_secs(7);

/// A running private Postgres. Dropping it stops it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    // Dropped in this order: the lock goes when nothing runs any more.
    child: Kept,
    launch: Launch,
    _lock: DataLock,
}

/// Everything that a start in a made data directory needs.
#[derive(Debug)]
struct Launch {
    options: EmbeddedOptions,
    layout: Layout,
    who: Identity,
    binaries: Binaries,
    socket_dir: SocketDir,
}

impl EmbeddedPostgres {
    /// Starts a server in the data directory, which is made if it is not there, and returns once it takes
    /// connections. `progress` is told each step before it begins.
    pub fn start(options: &EmbeddedOptions, progress: &dyn Fn(Step)) -> Result<Self, EmbeddedError> {
        let who = Identity::of_this_process()?;
        who.ensure_reachable(&options.data_dir)?;
        let layout = Layout::make(&options.data_dir)?;
        let lock = DataLock::take(&layout)?;
        who.own_tree(&layout.pgdata, &layout.data_dir)?;
        leftovers::wait_for(&layout, LEFTOVERS_BOUND)?;
        let missing = initdb::is_missing(&layout.pgdata)?;
        let binaries = binaries::find_binaries(options, progress)?;
        if missing {
            progress(Step::InitDb);
            initdb::make(&layout, &who, &binaries.dir.join("initdb"))?;
        }
        let socket_dir = SocketDir::make(&layout, &who)?;
        let launch = Launch { options: options.clone(), layout, who, binaries, socket_dir };
        progress(Step::Starting);
        let child = launch.run()?;
        progress(Step::Ready);
        Ok(Self { child, launch, _lock: lock })
    }

    /// The superuser's address of a database, in the form that libpq, tokio-postgres and sqlx all take.
    pub fn admin_url(&self, database: &str) -> String {
        let host = self.launch.socket_dir.path.to_str().expect("a socket directory is chosen to be valid text");
        format!("postgresql:///{}?host={}&user=postgres", percent(database), percent(host))
    }

    /// The directory of the server's Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.launch.socket_dir.path
    }

    /// The port, which for a Unix socket is but a part of its name.
    pub fn port(&self) -> u16 {
        PORT
    }

    /// The server's log.
    pub fn log_path(&self) -> &Path {
        &self.launch.layout.log
    }

    /// The binaries in use.
    pub fn binaries(&self) -> &Binaries {
        &self.launch.binaries
    }

    /// The server's process id (of the last one, if it has ended).
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Whether the server process is there. It does not come back by itself: see [`restart`](Self::restart).
    pub fn is_running(&self) -> bool {
        self.child.exited().is_none()
    }

    /// Stops the server if it runs, and starts it again, under the same address.
    pub fn restart(&mut self) -> Result<(), EmbeddedError> {
        if let Err(error) = shut_down(&self.child) {
            tracing::warn!(%error, "restarting postgres all the same");
        }
        self.child = self.launch.run()?;
        Ok(())
    }

    /// Kills the server outright and waits until it is gone: for tests of what happens then.
    pub fn kill9(&mut self) {
        self.child.signal(sys::SIGKILL);
        self.child.wait_for(QUIT_BOUND);
    }

    /// Stops the server in order: its clients are cut off, a checkpoint is written.
    pub fn stop(self) -> Result<(), EmbeddedError> {
        shut_down(&self.child)
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if let Err(error) = shut_down(&self.child) {
            tracing::warn!(%error, "postgres was not stopped in order");
        }
    }
}

/// Fast shutdown, then immediate shutdown, then (when `Kept` is dropped) the end.
fn shut_down(child: &Kept) -> Result<(), EmbeddedError> {
    child.signal(sys::SIGINT);
    if child.wait_for(STOP_BOUND).is_some() {
        return Ok(());
    }
    child.signal(sys::SIGQUIT);
    if child.wait_for(QUIT_BOUND).is_none() {
        child.signal(sys::SIGKILL);
        child.wait_for(QUIT_BOUND);
    }
    Err(EmbeddedError::ForcedStop { pid: child.pid(), seconds: STOP_BOUND.as_secs() })
}

impl Launch {
    /// Starts the server and waits until it is ready.
    fn run(&self) -> Result<Kept, EmbeddedError> {
        leftovers::wait_for(&self.layout, LEFTOVERS_BOUND)?;
        self.socket_dir.clean();
        let deadline = Instant::now() + LEFTOVERS_BOUND;
        loop {
            match self.try_once() {
                // Where a killed server's backends cannot be seen, they can be noticed like this.
                Err(EmbeddedError::Ended { tail, .. })
                    if tail.contains("is still in use") && Instant::now() < deadline =>
                {
                    std::thread::sleep(POLL * 5);
                }
                result => return result,
            }
        }
    }

    fn try_once(&self) -> Result<Kept, EmbeddedError> {
        let (log, start) = self.layout.open_log()?;
        let also = log.try_clone().map_err(EmbeddedError::io("open", &self.layout.log))?;
        let postgres = self.binaries.dir.join("postgres");
        let mut command = self.who.command(&postgres);
        command.arg("-D").arg(&self.layout.pgdata);
        for (name, value) in settings(&self.options, &self.socket_dir.path, &self.layout.name) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdout(Stdio::from(log)).stderr(Stdio::from(also));
        let child = Kept::spawn(command, sys::SIGQUIT).map_err(EmbeddedError::io("run", &postgres))?;
        self.wait_until_ready(&child, start).map(|()| child)
    }

    fn wait_until_ready(&self, child: &Kept, log_start: u64) -> Result<(), EmbeddedError> {
        let log = || (self.layout.log.clone(), self.layout.log_tail(log_start));
        let not_ready = |last: String| {
            let (log, tail) = log();
            EmbeddedError::NotReady { seconds: READY_BOUND.as_secs(), last, log, tail }
        };
        let socket = self.socket_dir.socket();
        let deadline = Instant::now() + READY_BOUND;
        loop {
            // Also the pause between two questions: it ends at once if the server does.
            if let Some(status) = child.wait_for(POLL) {
                let (log, tail) = log();
                return Err(EmbeddedError::Ended { status: status.to_string(), log, tail });
            }
            match wire::ask(&socket) {
                Answer::Ready => return Ok(()),
                Answer::NotYet(last) if Instant::now() >= deadline => return Err(not_ready(last)),
                Answer::NotYet(_) => {}
                Answer::Refused(last) => return Err(not_ready(last)),
            }
        }
    }
}

/// What the server is told, the caller's last, because the last one wins.
fn settings(options: &EmbeddedOptions, socket_dir: &Path, name: &str) -> Vec<(String, String)> {
    let ours = [
        ("listen_addresses", String::new()),
        ("port", PORT.to_string()),
        // A list, in which quotes keep a path with a space together.
        ("unix_socket_directories", format!("\"{}\"", socket_dir.display().to_string().replace('"', "\"\""))),
        // The directory already lets nobody else in.
        ("unix_socket_permissions", "0700".to_owned()),
        ("max_connections", "200".to_owned()),
        ("shared_buffers", "128MB".to_owned()),
        ("fsync", if options.fsync { "on" } else { "off" }.to_owned()),
        ("synchronous_commit", "on".to_owned()),
        ("jit", "off".to_owned()),
        ("TimeZone", "UTC".to_owned()),
        ("log_timezone", "UTC".to_owned()),
        ("log_min_messages", "warning".to_owned()),
        ("log_destination", "stderr".to_owned()),
        ("logging_collector", "off".to_owned()),
        // What `ps` shows; `leftovers` looks for it.
        ("cluster_name", name.to_owned()),
    ];
    let no_shm = cfg!(target_os = "linux") && !Path::new("/dev/shm").is_dir();
    let shm = no_shm.then(|| ("dynamic_shared_memory_type".to_owned(), "mmap".to_owned()));
    let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(shm);
    ours.chain(options.settings.iter().cloned()).collect()
}

/// Percent-encoding for both places of an address: everything but letters, digits and `-._~`.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("a string takes everything"),
        }
        out
    })
}
