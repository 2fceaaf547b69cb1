//! A raw TCP server that answers each request with bytes, and transcripts to give it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_client::protocol::event::{self, Actor, ActorKind, EventBody, MessageStatus, Role};
use headwater_client::protocol::{MessageId, RunId, Timestamp, Usage};
use headwater_client::{Client, ClientBuilder, Error, RetryPolicy, RunStream, StreamItem, StreamOptions};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The cursor, 0 unless given.
    pub(crate) fn last_event_id(&self) -> u64 {
        self.header("last-event-id").map_or(0, |id| id.parse().expect("a cursor is a number"))
    }
}

/// What to do with a connection.
pub(crate) enum Reply {
    /// Write this and close.
    Close(Vec<u8>),
    /// Write this and fall silent.
    Hold(Vec<u8>),
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Close(bytes)
    }
}

type Handler = Box<dyn FnMut(usize, &Request) -> Reply + Send>;

/// Answers every request by a function of its number (from 0) and itself.
pub(crate) struct FakeServer {
    addr: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
}

impl FakeServer {
    pub(crate) fn start<R: Into<Reply>>(mut handler: impl FnMut(usize, &Request) -> R + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let handler: Handler = Box::new(move |number, request| handler(number, request).into());
        let handler = Arc::new(Mutex::new(handler));
        let (seen, stop) = (requests.clone(), over.clone());
        std::thread::spawn(move || {
            let held = Arc::new(Mutex::new(Vec::new()));
            for socket in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, seen, held) = (handler.clone(), seen.clone(), held.clone());
                std::thread::spawn(move || serve(socket.expect("accepted"), &handler, &seen, &held));
            }
        });
        Self { addr, requests, over }
    }

    /// A client that waits for nothing.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let retry = RetryPolicy { base: Duration::ZERO, ..RetryPolicy::default() };
        Client::builder(format!("http://{}", self.addr)).retry(retry)
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().api_key("hw_sk_test").build().expect("good settings")
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    /// Forgets them; the next one has number 0.
    pub(crate) fn forget(&self) {
        self.requests.lock().expect("no panic").clear();
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then ends.
        TcpStream::connect(self.addr).ok();
    }
}

fn serve(mut socket: TcpStream, handler: &Mutex<Handler>, seen: &Mutex<Vec<Request>>, held: &Mutex<Vec<TcpStream>>) {
    let Some(request) = read_request(&mut socket) else { return };
    let reply = {
        let mut seen = seen.lock().expect("no panic");
        seen.push(request.clone());
        handler.lock().expect("no panic")(seen.len() - 1, &request)
    };
    // A client that has read enough closes early: not an error here.
    match reply {
        Reply::Close(bytes) => drop(socket.write_all(&bytes)),
        Reply::Hold(bytes) => {
            drop(socket.write_all(&bytes));
            held.lock().expect("no panic").push(socket);
        }
    }
}

fn read_request(socket: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        match socket.read(&mut buffer).ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).expect("heads are text");
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<_> =
        lines.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_lowercase(), v.trim().to_owned())).collect();
    let mut request = Request { method, path, headers, body: String::new() };
    let length: usize = request.header("content-length").map_or(0, |n| n.parse().expect("a length"));
    while bytes.len() < head + 4 + length {
        match socket.read(&mut buffer).ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
    request.body = String::from_utf8(bytes[head + 4..].to_vec()).expect("bodies are text");
    Some(request)
}

/// A whole answer with a body; `headers` are lines that end with CRLF.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

/// An answer of Headwater's own.
pub(crate) fn ours(status: u16, headers: &str, body: &str) -> Vec<u8> {
    answer(status, &format!("request-id: req_x\r\n{headers}"), body)
}

/// A refusal of Headwater's own.
pub(crate) fn problem(code: headwater_client::protocol::ErrorCode, headers: &str) -> Vec<u8> {
    let problem = headwater_client::protocol::Problem::new(code, "as scripted");
    ours(code.status(), headers, &serde_json::to_string(&problem).expect("serialises"))
}

/// A stream whose end is the connection's.
pub(crate) fn stream(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let head = "connection: close\r\nrequest-id: req_x\r\ncontent-type: text/event-stream; charset=utf-8";
    format!("HTTP/1.1 {status} OK\r\n{head}\r\n{headers}\r\n{body}").into_bytes()
}

/// The same in chunks of odd sizes.
pub(crate) fn chunked_stream(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let mut bytes = stream(status, &format!("transfer-encoding: chunked\r\n{headers}"), "");
    for (i, chunk) in body.as_bytes().chunks(61).enumerate() {
        // Extensions and upper case are legal.
        let extension = if i % 3 == 0 { ";x=1" } else { "" };
        bytes.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// The log of one run, rendered.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) run: RunId,
    /// The events' lines, from seq 1.
    pub(crate) lines: Vec<String>,
}

impl Log {
    /// A run that says a few words and is cancelled.
    pub(crate) fn new() -> Self {
        let (run, message) = (RunId::new(), MessageId::new());
        let mut bodies = vec![EventBody::MessageStarted { step: 1, message, role: Role::Assistant }];
        for delta in ["It sh", "ips\n\n", "data: töday", "."] {
            bodies.push(EventBody::MessageDelta { message, delta: delta.into() });
        }
        bodies.push(EventBody::Hidden {});
        let (role, text, status) = (Role::Assistant, "It ships.".to_owned(), MessageStatus::Completed);
        bodies.push(EventBody::MessageCompleted { step: 1, message, role, text, status });
        let by = Actor { kind: ActorKind::Tenant, id: None, reason: None };
        bodies.push(EventBody::RunCancelled { by, usage: Usage::default(), cost: None });
        Self { run, lines: (1..).zip(&bodies).map(|(seq, body)| line(run, seq, body)).collect() }
    }

    /// The frames of these events.
    pub(crate) fn frames(&self, seqs: impl IntoIterator<Item = u64>) -> String {
        seqs.into_iter().map(|seq| frame(seq, &self.lines[seq as usize - 1])).collect()
    }

    /// What a server sends to a reader at this cursor, up to the end.
    pub(crate) fn rest(&self, after: u64) -> String {
        let frames = self.frames(after + 1..=self.lines.len() as u64);
        let (first, last) = frames.split_at(frames.len() / 2);
        // A control frame and a heartbeat in the middle, at a boundary.
        let at = first.rfind("\n\n").map_or(0, |at| at + 2);
        let (before, after) = (&first[..at], format!("{}{last}", &first[at..]));
        let caught_up = control("stream.caught_up", r#""tail":3"#);
        let done = control("stream.closing", r#""reason":"done","retry_ms":null"#);
        format!("retry: 0\n{before}: hb\n\n{caught_up}{after}{done}")
    }
}

/// An event's line.
pub(crate) fn line(run: RunId, seq: u64, body: &EventBody) -> String {
    let mut out = Vec::new();
    event::render(&mut out, seq, Timestamp::from_ms(0), run, body);
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// An event's frame.
pub(crate) fn frame(seq: u64, line: &str) -> String {
    format!("id: {seq:016}\nevent: {}\ndata: {line}\n\n", event::type_of(line))
}

/// A frame that is not in the log.
pub(crate) fn control(kind: &str, fields: &str) -> String {
    format!(
        "event: {kind}\ndata: {{\"v\":1,\"ts\":\"1970-01-01T00:00:00.000Z\",\"run\":\"run_x\",\"type\":\"{kind}\",{fields}}}\n\n"
    )
}

/// Options that wait for nothing.
pub(crate) fn at_once() -> StreamOptions {
    StreamOptions { retry: Duration::ZERO, ..StreamOptions::default() }
}

/// Everything a stream yields: the events' lines, and the error it ends with.
pub(crate) async fn read_lines(stream: &mut RunStream) -> (Vec<String>, Option<Error>) {
    let mut lines = Vec::new();
    while let Some(item) = stream.next_item().await {
        match item {
            Ok(StreamItem::Event(line)) => lines.push(line.text().to_owned()),
            Ok(StreamItem::Hidden(line)) => {
                assert_eq!(line.kind(), "hidden");
                lines.push(line.text().to_owned());
            }
            Ok(StreamItem::CaughtUp { .. } | StreamItem::Reset(_)) => {}
            Err(error) => {
                assert!(stream.next_item().await.is_none(), "an error ends the stream");
                return (lines, Some(error));
            }
        }
    }
    (lines, None)
}
