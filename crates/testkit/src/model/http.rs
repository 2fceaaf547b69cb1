//! One HTTP/1.1 connection on a bare socket.
//!
//! Owns: reading one request after the other (length or chunked body, `Expect`, keep-alive), writing bytes exactly as
//! given, and noticing at once that the client hung up.
//! Promises: nothing is buffered, re-framed or added on the way out. That is why there is no HTTP library here: the
//! faults this server has to produce (a chunk cut in half, a reset, silence before the headers) are what a library
//! prevents, and under load a token costs one `write` and nothing else. A sketch of the load script on axum took about
//! three to four times the processor time per call answered in one write, a tenth more per slow token, and four times
//! the memory per open stream.
//! Never does: TLS, HTTP/2, compression. It is for clients on the same machine.

use std::{io, ops::Range};

use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream};

/// Read buffer kept by an idle connection; larger ones are given back.
const KEEP: usize = 16 * 1024;
const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 64 * 1024 * 1024;

/// The client closed its side, or the socket failed, before the answer was whole.
#[derive(Debug)]
pub(super) struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// What the next bytes on a connection turned out to be.
pub(super) enum Incoming {
    /// A whole request; its body is in the buffer.
    Request(Head),
    /// The client is done with this connection.
    Closed,
    /// Not HTTP as we speak it.
    Bad(&'static str),
}

/// The methods this server tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Other,
}

/// A parsed request head. Ranges point into the connection's buffer until [`Conn::consume`].
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) path: Range<usize>,
    pub(super) authorization: Option<Range<usize>>,
    /// The header lines, without request line and blank line.
    pub(super) lines: Range<usize>,
    pub(super) body: Range<usize>,
    pub(super) keep_alive: bool,
    length: usize,
    chunked: bool,
    expects_continue: bool,
}

/// A client's connection.
pub(super) struct Conn {
    sock: TcpStream,
    buf: Vec<u8>,
}

impl Conn {
    pub(super) fn new(sock: TcpStream) -> Self {
        // Without this a token waits for the acknowledgement of the one before it.
        let _ = sock.set_nodelay(true);
        Self { sock, buf: Vec::new() }
    }

    /// The bytes of the current request behind a range of its [`Head`].
    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.buf[range.clone()]
    }

    /// Forgets the request that was read; what the client sent after it stays.
    pub(super) fn consume(&mut self, head: &Head) {
        self.buf.drain(..head.body.end);
        if self.buf.is_empty() && self.buf.capacity() > KEEP {
            self.buf = Vec::new();
        }
    }

    /// Reads the next request whole.
    pub(super) async fn next(&mut self) -> Incoming {
        let end = match self.until(0, b"\r\n\r\n", MAX_HEAD).await {
            Ok(Some(at)) => at + 4,
            Ok(None) => return Incoming::Bad("request head too long"),
            Err(Gone) => return Incoming::Closed,
        };
        let Some(mut head) = Head::parse(&self.buf[..end]) else {
            return Incoming::Bad("request head cannot be read");
        };
        if head.expects_continue && self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
            return Incoming::Closed;
        }
        let body = if head.chunked { self.chunked_body(end).await } else { self.sized_body(end, head.length).await };
        match body {
            Ok(Some(body)) => head.body = body,
            Ok(None) => return Incoming::Bad("request body cannot be read"),
            Err(Gone) => return Incoming::Closed,
        }
        Incoming::Request(head)
    }

    async fn sized_body(&mut self, start: usize, length: usize) -> Result<Option<Range<usize>>, Gone> {
        if length > MAX_BODY {
            return Ok(None);
        }
        self.buf.reserve((start + length).saturating_sub(self.buf.len()));
        while self.buf.len() < start + length {
            self.fill().await?;
        }
        Ok(Some(start..start + length))
    }

    /// Decodes a chunked body in place, so that the caller sees it as if it had come with a length.
    async fn chunked_body(&mut self, start: usize) -> Result<Option<Range<usize>>, Gone> {
        let (mut body, mut at) = (Vec::new(), start);
        loop {
            let Some(eol) = self.until(at, b"\r\n", MAX_HEAD).await? else { return Ok(None) };
            let line = std::str::from_utf8(&self.buf[at..eol]).unwrap_or_default();
            let Ok(size) = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16) else {
                return Ok(None);
            };
            at = eol + 2;
            if size == 0 {
                break;
            }
            if size > MAX_BODY || body.len() + size > MAX_BODY {
                return Ok(None);
            }
            while self.buf.len() < at + size + 2 {
                self.fill().await?;
            }
            body.extend_from_slice(&self.buf[at..at + size]);
            at += size + 2;
        }
        // Trailers, if any, up to the blank line.
        loop {
            let Some(eol) = self.until(at, b"\r\n", MAX_HEAD).await? else { return Ok(None) };
            let blank = eol == at;
            at = eol + 2;
            if blank {
                break;
            }
        }
        let end = start + body.len();
        self.buf.splice(start..at, body);
        Ok(Some(start..end))
    }

    /// Where `needle` begins at or after `from`, reading as much as that takes; none past `limit`.
    async fn until(&mut self, from: usize, needle: &[u8], limit: usize) -> Result<Option<usize>, Gone> {
        let mut scanned = from;
        loop {
            if let Some(at) = self.buf[scanned..].windows(needle.len()).position(|w| w == needle) {
                return Ok(Some(scanned + at));
            }
            if self.buf.len() > from + limit {
                return Ok(None);
            }
            scanned = self.buf.len().saturating_sub(needle.len() - 1).max(from);
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Gone> {
        if self.buf.capacity() == self.buf.len() {
            self.buf.reserve(2048);
        }
        match self.sock.read_buf(&mut self.buf).await {
            Ok(0) | Err(_) => Err(Gone),
            Ok(_) => Ok(()),
        }
    }

    /// Writes all of `bytes`, in one `write` unless the socket is full.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        Ok(self.sock.write_all(bytes).await?)
    }

    /// Writes two pieces as one.
    pub(super) async fn send_pair(&mut self, first: &[u8], second: &[u8]) -> Result<(), Gone> {
        Ok(self.sock.write_all_buf(&mut bytes::Buf::chain(first, second)).await?)
    }

    /// Waits for `event`, unless the client hangs up first.
    pub(super) async fn wait<T>(&mut self, event: impl Future<Output = T>) -> Result<T, Gone> {
        tokio::select! {
            biased;
            () = self.gone() => Err(Gone),
            value = event => Ok(value),
        }
    }

    /// Comes back when the client has hung up. Requests sent ahead meanwhile are kept.
    pub(super) async fn gone(&mut self) {
        loop {
            if self.sock.readable().await.is_err() {
                return;
            }
            if self.buf.len() > MAX_BODY {
                return;
            }
            match self.sock.try_read_buf(&mut self.buf) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Makes the close that follows a reset (RST) instead of an end (FIN).
    pub(super) fn reset_on_close(&self) {
        let _ = self.sock.set_zero_linger();
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let eol = bytes.windows(2).position(|w| w == b"\r\n")?;
        let mut words = bytes[..eol].split(|b| *b == b' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let path = method.len() + 1;
        let path_len = target.iter().position(|b| *b == b'?').unwrap_or(target.len());
        let mut head = Self {
            method: match method {
                b"GET" => Method::Get,
                b"POST" => Method::Post,
                _ => Method::Other,
            },
            path: path..path + path_len,
            authorization: None,
            lines: eol + 2..bytes.len() - 2,
            body: bytes.len()..bytes.len(),
            keep_alive: version == b"HTTP/1.1",
            length: 0,
            chunked: false,
            expects_continue: false,
        };
        let mut at = eol + 2;
        for line in bytes[head.lines.clone()].split(|b| *b == b'\n') {
            let next = at + line.len() + 1;
            if let Some(colon) = line.iter().position(|b| *b == b':') {
                let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
                if name.eq_ignore_ascii_case(b"content-length") {
                    head.length = std::str::from_utf8(value).ok()?.parse().ok()?;
                } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                    head.chunked = value.eq_ignore_ascii_case(b"chunked");
                } else if name.eq_ignore_ascii_case(b"authorization") {
                    let before = line[colon + 1..].len() - line[colon + 1..].trim_ascii_start().len();
                    let start = at + colon + 1 + before;
                    head.authorization = Some(start..start + value.len());
                } else if name.eq_ignore_ascii_case(b"connection") {
                    head.keep_alive &= !value.eq_ignore_ascii_case(b"close");
                } else if name.eq_ignore_ascii_case(b"expect") {
                    head.expects_continue = true;
                }
            }
            at = next;
        }
        Some(head)
    }
}

/// Name (lower case) and value of each header line.
pub(super) fn header_pairs(lines: &[u8]) -> Vec<(String, String)> {
    String::from_utf8_lossy(lines)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

/// Appends `payload` as one chunk of HTTP chunked encoding.
pub(super) fn push_chunk(out: &mut Vec<u8>, payload: &[u8]) {
    push_chunk_size(out, payload.len());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

/// Appends the line that opens a chunk of `size` bytes.
pub(super) fn push_chunk_size(out: &mut Vec<u8>, size: usize) {
    use io::Write as _;
    write!(out, "{size:x}\r\n").expect("writing to a Vec cannot fail");
}

/// The end of a chunked body.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends status line, headers and blank line. `length` of none announces a chunked body.
pub(super) fn push_head(
    out: &mut Vec<u8>,
    status: u16,
    content_type: &str,
    length: Option<usize>,
    extra: &[(String, String)],
) {
    use io::Write as _;
    let write = |out: &mut Vec<u8>| -> io::Result<()> {
        write!(out, "HTTP/1.1 {status} {}\r\ncontent-type: {content_type}\r\n", reason(status))?;
        match length {
            Some(length) => write!(out, "content-length: {length}\r\n")?,
            None => out.extend_from_slice(b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n"),
        }
        for (name, value) in extra {
            write!(out, "{name}: {value}\r\n")?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    };
    write(out).expect("writing to a Vec cannot fail");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Payload Too Large",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Overloaded",
        _ => "Scripted",
    }
}
