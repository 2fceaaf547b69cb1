//! HTTP/1.1 on a bare socket: as little work per byte as will do, because the load generator shares its core.
//!
//! Promises that a body is given on as it arrives, without its chunk framing, and that an answer which is cut is told
//! from one that has ended.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// One connection, for one request at a time.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    buffer: BytesMut,
    body: Body,
    keep_alive: bool,
    /// How many more bytes are read before the connection is dropped.
    budget: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Between two chunks: the line with the next one's size comes.
    Size,
    /// So much of a chunk, or of a body with a length, is still to come.
    Data { left: usize, chunked: bool },
    /// The line break after a chunk.
    AfterData,
    /// Trailers, up to an empty line.
    Trailers,
    /// Nothing more comes.
    Ended,
}

/// The status line and headers.
#[derive(Debug)]
pub(crate) struct Head {
    /// The status.
    pub(crate) status: u16,
    /// Whether the answer names its request: one that does not is by somebody in between.
    pub(crate) has_request_id: bool,
}

impl Wire {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?)
    }

    /// Connects with room for so few bytes at the receiving end.
    pub(crate) async fn connect_narrow(address: SocketAddr, bytes: u32) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(bytes)?;
        // A loopback's segments are larger than the room there is: the server's kernel would hold each back until its timer
        // tells it to send what fits.
        let segment: libc::c_int = 1024;
        // SAFETY: a plain system call on a socket of ours, with the address and size of an integer.
        let set = unsafe {
            libc::setsockopt(
                std::os::fd::AsRawFd::as_raw_fd(&socket),
                libc::IPPROTO_TCP,
                libc::TCP_MAXSEG,
                (&raw const segment).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        Self::over(socket.connect(address).await?)
    }

    fn over(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let buffer = BytesMut::with_capacity(4096);
        Ok(Self { socket, buffer, body: Body::Ended, keep_alive: true, budget: None })
    }

    /// After so many more bytes, every read fails as if the connection had been cut.
    pub(crate) fn cut_after(&mut self, bytes: usize) {
        self.budget = Some(bytes);
    }

    /// Whether another request may be sent.
    pub(crate) fn is_reusable(&self) -> bool {
        self.keep_alive && self.body == Body::Ended && self.buffer.is_empty()
    }

    /// Sends a whole request and reads the answer's head.
    pub(crate) async fn request(&mut self, request: &[u8]) -> io::Result<Head> {
        self.socket.write_all(request).await?;
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.buffer.split_to(end + 4);
                return self.head(&head).ok_or_else(|| broken("the answer's head makes no sense"));
            }
            self.fill().await?;
        }
    }

    fn head(&mut self, head: &[u8]) -> Option<Head> {
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n");
        let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let (mut length, mut chunked, mut has_request_id) = (0, false, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().ok()?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("request-id") {
                has_request_id = true;
            } else if name.eq_ignore_ascii_case("connection") {
                self.keep_alive &= !value.eq_ignore_ascii_case("close");
            }
        }
        self.body = match (chunked, length) {
            (true, _) => Body::Size,
            (false, 0) => Body::Ended,
            (false, left) => Body::Data { left, chunked: false },
        };
        Some(Head { status, has_request_id })
    }

    /// Reads on and gives what came to `take`. `false`: the body has ended.
    pub(crate) async fn body(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
        if self.body == Body::Ended {
            return Ok(false);
        }
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        loop {
            if !self.step(&mut take)? {
                if self.body == Body::Ended {
                    return Ok(true);
                }
                if self.buffer.is_empty() {
                    return Ok(true);
                }
                // The rest of a chunk's frame is still on its way.
                self.fill().await?;
            }
        }
    }

    /// The whole body.
    pub(crate) async fn text(&mut self) -> io::Result<String> {
        let mut body = Vec::new();
        while self.body(|bytes| body.extend_from_slice(bytes)).await? {}
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Decodes one part of what has come. `false`: more is needed, or nothing more comes.
    fn step(&mut self, take: &mut impl FnMut(&[u8])) -> io::Result<bool> {
        match self.body {
            Body::Ended => return Ok(false),
            Body::Size => {
                let Some(line) = self.line()? else { return Ok(false) };
                let text = std::str::from_utf8(&line).unwrap_or_default();
                let size = usize::from_str_radix(text.split(';').next().unwrap_or_default().trim(), 16)
                    .map_err(|_| broken("a chunk without a size"))?;
                self.body = if size == 0 { Body::Trailers } else { Body::Data { left: size, chunked: true } };
            }
            Body::Data { left, chunked } => {
                let now = left.min(self.buffer.len());
                if now == 0 {
                    return Ok(false);
                }
                take(&self.buffer[..now]);
                self.buffer.advance(now);
                self.body = match (left - now, chunked) {
                    (0, true) => Body::AfterData,
                    (0, false) => Body::Ended,
                    (left, chunked) => Body::Data { left, chunked },
                };
            }
            Body::AfterData => {
                let Some(line) = self.line()? else { return Ok(false) };
                if !line.is_empty() {
                    return Err(broken("a chunk is longer than it said"));
                }
                self.body = Body::Size;
            }
            Body::Trailers => {
                let Some(line) = self.line()? else { return Ok(false) };
                if line.is_empty() {
                    self.body = Body::Ended;
                }
            }
        }
        Ok(true)
    }

    /// A line of framing, without its end.
    fn line(&mut self) -> io::Result<Option<BytesMut>> {
        match self.buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end.saturating_sub(1));
                Ok(Some(line))
            }
            None if self.buffer.len() > 4096 => Err(broken("a chunk's frame without an end")),
            None => Ok(None),
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.budget == Some(0) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut"));
        }
        self.buffer.reserve(4096);
        let room = self.budget.unwrap_or(usize::MAX).min(self.buffer.capacity() - self.buffer.len());
        let read = (&mut self.socket).take(room as u64).read_buf(&mut self.buffer).await?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before the answer did"));
        }
        if let Some(budget) = &mut self.budget {
            *budget -= read;
        }
        Ok(())
    }
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
