//! Fail points at statements: a tap on the wire between a server and Postgres.
//!
//! It counts the statements of interest as they pass, and at the one it was told to stops the server: killed or paused
//! before Postgres has seen the statement, or after Postgres has carried it out and before the server hears of it. Or it
//! only holds the statement or its answer up until it is told to go on. So any two statements can be parted, and no
//! line of the server's knows of it.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use headwater_store::admin::{Endpoint, with_host};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// On which side of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Postgres has not seen it.
    Before,
    /// Postgres has carried it out, and nobody has heard of it.
    After,
}

/// What is done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// kill -9 of this process. What it was about to send is lost.
    Kill(u32),
    /// SIGSTOP of this process. The statement goes on when it is released.
    Pause(u32),
    /// The statement, or its answer, waits until it is released.
    Hold,
}

#[derive(Debug, Default)]
struct State {
    counted: usize,
    armed: Option<(usize, Moment, Act)>,
}

#[derive(Debug)]
struct Shared {
    counts: fn(&str) -> bool,
    state: Mutex<State>,
    hit: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

/// A tap. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    dir: PathBuf,
    // Its own: whoever starts a server waits for it without letting anything else run.
    runtime: Option<tokio::runtime::Runtime>,
}

/// The code in a client's first message that asks for TLS.
const ASKS_FOR_TLS: [u8; 4] = 80_877_103_u32.to_be_bytes();
/// The port in the name of its socket.
const PORT: u16 = 5432;

impl Tap {
    /// Starts one before the Postgres of this URL. `counts`: which statements are of interest.
    ///
    /// # Errors
    /// When its socket cannot be made.
    pub fn start(admin_url: &str, counts: fn(&str) -> bool) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("hw-tap-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(dir.join(format!(".s.PGSQL.{PORT}")))?
        };
        let endpoint = Endpoint::of(admin_url).map_err(io::Error::other)?;
        let (hit, released) = (watch::Sender::new(false), watch::Sender::new(false));
        let shared = Arc::new(Shared { counts, state: Mutex::default(), hit, released });
        let theirs = shared.clone();
        runtime.spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (endpoint, shared) = (endpoint.clone(), theirs.clone());
                links.spawn(async move {
                    // However it ends, both sockets are closed.
                    let _ = link(client, &endpoint, shared).await;
                });
            }
        });
        Ok(Self { shared, dir, runtime: Some(runtime) })
    }

    /// The same database by way of the tap.
    pub fn url(&self, url: &str) -> String {
        with_host(url, &self.dir.display().to_string(), PORT)
    }

    /// Counts from nothing, and acts at the `n`th statement of interest.
    pub fn arm(&self, n: usize, moment: Moment, act: Act) {
        self.shared.hit.send_replace(false);
        self.shared.released.send_replace(false);
        let mut state = self.shared.state.lock().expect("nobody panics with it");
        *state = State { counted: 0, armed: Some((n, moment, act)) };
    }

    /// Lets go of what is held, and acts no more.
    pub fn release(&self) {
        self.shared.state.lock().expect("nobody panics with it").armed = None;
        self.shared.released.send_replace(true);
    }

    /// Resolves when it has acted.
    pub async fn hit(&self) {
        // The sender lives as long as this.
        let _ = self.shared.hit.subscribe().wait_for(|hit| *hit).await;
    }

    /// Whether it has acted.
    pub fn was_hit(&self) -> bool {
        *self.shared.hit.borrow()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Shared {
    /// Counts a statement. What is to be done with this one.
    fn passes(&self) -> Option<(Moment, Act)> {
        let mut state = self.state.lock().expect("nobody panics with it");
        state.counted += 1;
        match state.armed {
            Some((n, moment, act)) if n == state.counted => {
                state.armed = None;
                Some((moment, act))
            }
            Some(_) | None => None,
        }
    }

    /// Does it. `false`: there is nobody left to go on for.
    async fn act(&self, act: Act) -> bool {
        let send = |pid: u32, signal| {
            // SAFETY: a plain system call, for a child of the test's that it has not waited for.
            unsafe { libc::kill(pid as libc::pid_t, signal) };
        };
        match act {
            Act::Kill(pid) => send(pid, libc::SIGKILL),
            Act::Pause(pid) => send(pid, libc::SIGSTOP),
            Act::Hold => {}
        }
        let mut released = self.released.subscribe();
        self.hit.send_replace(true);
        if matches!(act, Act::Kill(_)) {
            return false;
        }
        let _ = released.wait_for(|released| *released).await;
        true
    }
}

/// One connection.
struct Link {
    shared: Arc<Shared>,
    /// Answers that were asked for.
    asked: AtomicUsize,
    /// Which of them is waited for, and what is done then.
    awaited: Mutex<Option<(usize, Act)>>,
}

async fn link(client: UnixStream, endpoint: &Endpoint, shared: Arc<Shared>) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let mut start = message(&mut from_client, false).await?.1;
    if start.get(4..8) == Some(&ASKS_FOR_TLS) {
        // What passes here must be readable.
        to_client.write_all(b"N").await?;
        start = message(&mut from_client, false).await?.1;
    }
    let link = Link { shared, asked: AtomicUsize::new(0), awaited: Mutex::default() };
    if endpoint.host.starts_with('/') {
        let server = UnixStream::connect(format!("{}/.s.PGSQL.{}", endpoint.host, endpoint.port)).await?;
        let (from_server, mut to_server) = server.into_split();
        to_server.write_all(&start).await?;
        both(from_client, to_client, from_server, to_server, &link).await
    } else {
        let server = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        let (from_server, mut to_server) = server.into_split();
        to_server.write_all(&start).await?;
        both(from_client, to_client, from_server, to_server, &link).await
    }
}

async fn both(
    from_client: impl AsyncRead + Unpin,
    to_client: impl AsyncWrite + Unpin,
    from_server: impl AsyncRead + Unpin,
    to_server: impl AsyncWrite + Unpin,
    link: &Link,
) -> io::Result<()> {
    tokio::select! {
        done = up(from_client, to_server, link) => done,
        done = down(from_server, to_client, link) => done,
    }
}

/// One message: its kind, and all of its bytes. The first of a client has no kind.
async fn message(from: &mut (impl AsyncRead + Unpin), kind: bool) -> io::Result<(u8, Vec<u8>)> {
    let mut head = vec![0; if kind { 5 } else { 4 }];
    from.read_exact(&mut head).await?;
    let at = usize::from(kind);
    let length = u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
    let tag = if kind { head[0] } else { 0 };
    let mut whole = head;
    let begun = whole.len();
    whole.resize(begun + length.saturating_sub(4), 0);
    from.read_exact(&mut whole[begun..]).await?;
    Ok((tag, whole))
}

fn text(bytes: &[u8], skip: usize) -> String {
    let field = bytes.get(5..).unwrap_or_default().split(|byte| *byte == 0).nth(skip).unwrap_or_default();
    String::from_utf8_lossy(field).into_owned()
}

async fn up(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, link: &Link) -> io::Result<()> {
    let mut statements: HashMap<String, String> = HashMap::new();
    loop {
        let (kind, bytes) = message(&mut from, true).await?;
        let of_interest = match kind {
            b'P' => {
                statements.insert(text(&bytes, 0), text(&bytes, 1));
                false
            }
            b'B' => statements.get(&text(&bytes, 1)).is_some_and(|sql| (link.shared.counts)(sql)),
            b'Q' => (link.shared.counts)(&text(&bytes, 0)),
            _ => false,
        };
        if of_interest {
            let due = link.shared.passes();
            if let Some((Moment::After, act)) = due {
                let asked = link.asked.load(Ordering::Relaxed);
                *link.awaited.lock().expect("nobody panics with it") = Some((asked + 1, act));
            }
            if let Some((Moment::Before, act)) = due
                && !link.shared.act(act).await
            {
                return Ok(());
            }
        }
        if matches!(kind, b'S' | b'Q') {
            link.asked.fetch_add(1, Ordering::Relaxed);
        }
        to.write_all(&bytes).await?;
    }
}

async fn down(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, link: &Link) -> io::Result<()> {
    let (mut greeted, mut came) = (false, 0);
    // Of the answer that is on its way.
    let mut held = Vec::new();
    loop {
        let (kind, bytes) = message(&mut from, true).await?;
        held.extend(bytes);
        if kind != b'Z' && greeted {
            continue;
        }
        if kind == b'Z' {
            came += usize::from(greeted);
            greeted = true;
            let act = {
                let mut awaited = link.awaited.lock().expect("nobody panics with it");
                awaited.take_if(|(at, _)| *at == came).map(|(_, act)| act)
            };
            if let Some(act) = act
                && !link.shared.act(act).await
            {
                return Ok(());
            }
        }
        to.write_all(&held).await?;
        held.clear();
    }
}
