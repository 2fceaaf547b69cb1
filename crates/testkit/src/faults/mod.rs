//! A server of faults: plays the scripts of `sdk/faults` to the SDKs, and compares what it is asked with them.
//!
//! Promises that every SDK meets the same bytes, however it is written, and that a play knows nothing of others. Speaks just enough of
//! HTTP/1.1, on purpose by hand: half an answer, and bytes that no server of ours writes, are what it is for.
//!
//! | module | holds |
//! |---|---|
//! | `script` | scripts and logs as files, and the plays they make |
//! | `answer` | the bytes of an answer |
//! | `asked` | what a request has to be |
//! | here | sockets |

mod answer;
mod asked;
mod script;

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

pub use self::script::Play;
use self::script::Plays;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// A play that was begun.
struct Begun {
    play: Play,
    requests: Vec<Request>,
    complaints: Vec<String>,
}

/// What all connections share.
struct Stage {
    url: String,
    plays: Plays,
    begun: Mutex<Vec<Begun>>,
    /// Connections that fell silent.
    held: Mutex<Vec<TcpStream>>,
    over: AtomicBool,
}

/// The server. Ends when dropped.
pub struct Faults {
    stage: Arc<Stage>,
    addr: SocketAddr,
}

impl Faults {
    /// Serves on this port of the loopback; 0: a free one.
    ///
    /// # Errors
    /// Whatever keeps it from listening.
    ///
    /// # Panics
    /// If the scripts cannot be read.
    pub fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let addr = listener.local_addr()?;
        let stage = Arc::new(Stage {
            url: format!("http://{addr}"),
            plays: Plays::read(),
            begun: Mutex::default(),
            held: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let shared = stage.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, Ok(socket)) = (shared.clone(), socket) else { continue };
                std::thread::spawn(move || serve(&shared, socket));
            }
        });
        Ok(Self { stage, addr })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.stage.url
    }

    /// Every play.
    pub fn plays(&self) -> impl Iterator<Item = &Play> {
        self.stage.plays.all()
    }

    /// Begins a play: its number, and the base URL to give to the client.
    ///
    /// # Panics
    /// If there is no such play.
    pub fn begin(&self, id: &str) -> (usize, String) {
        self.stage.begin(id).expect("a play of this name")
    }

    /// What is wrong with what was asked in a play.
    ///
    /// # Panics
    /// If that play was not begun.
    pub fn complaints(&self, number: usize) -> Vec<String> {
        self.stage.locked()[number].complaints()
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("url", &self.stage.url).finish_non_exhaustive()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.stage.over.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then ends.
        TcpStream::connect(self.addr).ok();
    }
}

impl Stage {
    fn locked(&self) -> MutexGuard<'_, Vec<Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, id: &str) -> Option<(usize, String)> {
        let play = self.plays.get(id)?.clone();
        let mut begun = self.locked();
        let number = begun.len();
        begun.push(Begun { play, requests: Vec::new(), complaints: Vec::new() });
        Some((number, format!("{}/p/{number}", self.url)))
    }

    /// The stage's own requests.
    fn about(&self, request: &Request) -> Option<Value> {
        if request.path == "/scripts" {
            return Some(json!({"plays": self.plays.all().map(Play::told).collect::<Vec<_>>()}));
        }
        let begun = request.path.strip_prefix("/plays")?;
        if let Some(number) = begun.strip_prefix('/') {
            return Some(self.locked().get(number.parse::<usize>().ok()?)?.told());
        }
        let asked: Value = serde_json::from_str(&request.body).ok()?;
        let (number, base_url) = self.begin(asked["id"].as_str()?)?;
        Some(json!({"play": number.to_string(), "base_url": base_url}))
    }

    /// The answer to a request of a play, and whether the connection stays open behind it.
    fn played(&self, mut request: Request) -> Option<(Vec<u8>, bool)> {
        let (number, path) = request.path.strip_prefix("/p/")?.split_once('/')?;
        let (number, path) = (number.parse::<usize>().ok()?, format!("/{path}"));
        request.path = path;
        let mut begun = self.locked();
        let begun = begun.get_mut(number)?;
        let nth = begun.requests.len();
        let answer = begun.play.answer(nth);
        let complaints = asked::complaints(&answer["asked"], &request, begun.requests.last(), begun.play.run());
        begun.complaints.extend(complaints.into_iter().map(|words| format!("request {}: {words}", nth + 1)));
        let bytes = answer::bytes(answer, &request, &begun.play);
        begun.requests.push(request);
        Some((bytes, answer["hold"] == true))
    }
}

impl Begun {
    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.complaints.clone();
        if let Some(due) = self.play.requests().filter(|due| *due != self.requests.len()) {
            complaints.push(format!("{} requests, not {due}", self.requests.len()));
        }
        complaints
    }

    fn told(&self) -> Value {
        let requests = self.requests.iter().map(|request| {
            json!({"method": request.method, "path": request.path, "query": request.query, "headers": request.headers, "body": request.body})
        });
        json!({"complaints": self.complaints(), "requests": requests.collect::<Vec<_>>()})
    }
}

fn serve(stage: &Stage, mut socket: TcpStream) {
    let Some(request) = read_request(&mut socket) else { return };
    let (bytes, hold) = if request.path.starts_with("/p/") {
        stage.played(request).unwrap_or_else(|| (answer::plain(404, "no such play"), false))
    } else {
        let about = stage.about(&request);
        (
            about.map_or_else(|| answer::plain(404, "no such play"), |about| answer::plain(200, &about.to_string())),
            false,
        )
    };
    // A client that has read enough closes early: not an error here.
    drop(socket.write_all(&bytes));
    if hold {
        stage.held.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    }
}

fn read_request(socket: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let mut more = |bytes: &mut Vec<u8>| match socket.read(&mut buffer) {
        Ok(n) if n > 0 => {
            bytes.extend_from_slice(&buffer[..n]);
            Some(())
        }
        _ => None,
    };
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        more(&mut bytes)?;
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: HashMap<_, _> =
        lines.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_lowercase(), v.trim().to_owned())).collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < head + 4 + length {
        more(&mut bytes)?;
    }
    let body = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}
