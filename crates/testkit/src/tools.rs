//! [`ToolServer`]: an HTTP endpoint that an agent's tools call.
//!
//! Owns a port, a thread for each connection, and what was asked. A handler may take its time: it runs in a thread of its
//! own. Promises that a request is on the list before its handler is called, so that who waits for it has not missed it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::watch;

/// What was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// With its query.
    pub path: String,
    /// Their names in lower case.
    pub headers: Vec<(String, String)>,
    /// As text.
    pub body: String,
    /// As it came.
    pub bytes: Vec<u8>,
}

impl ToolRequest {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What is answered: a status, a media type and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolAnswer {
    /// The status.
    pub status: u16,
    /// The media type.
    pub kind: String,
    /// The body.
    pub body: Vec<u8>,
}

impl ToolAnswer {
    /// 200 with JSON.
    pub fn json(value: &Value) -> Self {
        Self { status: 200, kind: "application/json".into(), body: value.to_string().into_bytes() }
    }

    /// 200 with text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { status: 200, kind: "text/plain; charset=utf-8".into(), body: text.into().into_bytes() }
    }

    /// With another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

#[derive(Debug)]
struct Shared {
    requests: Mutex<Vec<ToolRequest>>,
    count: watch::Sender<usize>,
    stopped: AtomicBool,
}

/// An endpoint on a port of its own, until it is dropped.
#[derive(Debug)]
pub struct ToolServer {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    shared: Arc<Shared>,
}

impl ToolServer {
    /// Answers with what this says.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(handler: impl Fn(&ToolRequest) -> ToolAnswer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            count: watch::Sender::new(0),
            stopped: AtomicBool::new(false),
        });
        let (noted, handler) = (shared.clone(), Arc::new(handler));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if noted.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (noted, handler) = (noted.clone(), handler.clone());
                std::thread::spawn(move || serve(socket, &noted, &*handler));
            }
        });
        Self { url, shared }
    }

    /// All that was asked, in order.
    ///
    /// # Panics
    /// When a handler has panicked.
    pub fn requests(&self) -> Vec<ToolRequest> {
        self.shared.requests.lock().expect("no panic while it is held").clone()
    }

    /// Waits until so much was asked.
    pub async fn asked(&self, count: usize) {
        let mut counted = self.shared.count.subscribe();
        let _ = counted.wait_for(|asked| *asked >= count).await;
    }
}

impl Drop for ToolServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // The listener looks up from waiting.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn serve(socket: TcpStream, shared: &Shared, handler: &dyn Fn(&ToolRequest) -> ToolAnswer) {
    let Ok(reading) = socket.try_clone() else { return };
    let (mut reader, mut socket) = (BufReader::new(reading), socket);
    while let Some(request) = read(&mut reader) {
        shared.requests.lock().expect("no panic while it is held").push(request.clone());
        shared.count.send_modify(|count| *count += 1);
        let ToolAnswer { status, kind, body } = handler(&request);
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        if socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(&body)).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<ToolRequest> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut request = ToolRequest { method: words.next()?, path: words.next()?, ..ToolRequest::default() };
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    request.bytes = body;
    Some(request)
}
