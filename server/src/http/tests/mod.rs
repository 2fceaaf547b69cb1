//! The edge from the outside: raw sockets against a small router.

mod extractors;
mod layers;
mod limits;
mod listener;
mod rates;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;

/// Longer than anything here takes: only a failing test waits for it.
const FOREVER: Duration = Duration::from_secs(20);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Limits that no test reaches by accident.
fn options() -> ListenOptions {
    ListenOptions {
        first_byte_timeout: FOREVER,
        head_timeout: FOREVER,
        body_timeout: FOREVER,
        keep_alive: FOREVER,
        write_stall: FOREVER,
        max_header_bytes: 32_768,
        max_connections: 100,
        hang_up: HangUp::default(),
    }
}

fn edge(router: Router) -> Router {
    let known_origins = KnownOrigins::new(|origin: &str| {
        let known = origin == "https://app.test" || origin == "https://other.test";
        async move { known }
    });
    layers(router, EdgeOptions { max_body_bytes: 4096, max_header_bytes: 32_768, known_origins })
}

/// A server with its edge on.
struct Server {
    addr: SocketAddr,
    soft: CancellationToken,
    hard: CancellationToken,
    served: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router, options: ListenOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
        let tracker = TaskTracker::new();
        let serving = serve(listener, edge(router), options, tracker.clone(), soft.clone(), hard.clone());
        Self { addr, soft, hard, served: tracker.spawn(serving) }
    }

    async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.addr).await.expect("connects"), buffer: Vec::new() }
    }

    /// Sends one request, closes, and reads the answer.
    async fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(request.as_bytes()).await;
        client.answer().await
    }
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer with a whole body.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(": ")?;
            own.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The body of an error, after checking what every error has.
    fn problem(&self, code: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], self.status);
        let id = self.header("request-id").expect("an id");
        assert!(id.starts_with("req_"));
        assert_eq!(problem["request_id"], id);
        problem
    }
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("writes");
    }

    /// Reads more, or says that the other side is done.
    async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(FOREVER, self.stream.read_buf(&mut self.buffer)).await;
        read.expect("an answer or the end in time").is_ok_and(|count| count > 0)
    }

    async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return String::from_utf8(head).expect("text");
            }
            assert!(self.more().await, "an answer before the end, not {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let status = head[9..12].parse().expect("a status");
        let mut answer = Answer { status, head, body: Vec::new() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.buffer.len() < length {
            assert!(self.more().await, "a whole body");
        }
        answer.body = self.buffer.drain(..length).collect();
        answer
    }

    /// Reads to the end of the connection.
    async fn end(&mut self) {
        while self.more().await {}
    }

    /// Whether nothing comes for a while.
    async fn is_silent(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.stream.read_buf(&mut self.buffer)).await.is_err()
    }
}
