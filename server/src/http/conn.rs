//! [`Conn`]: a TCP connection that does not wait for ever.
//!
//! Owns the four waits that hyper leaves open or knows too little about: for the first byte, for the rest of a
//! request's head, for the next request on an idle connection, and for a client that no longer reads. Also what hyper
//! answers by itself (a head too large, or not HTTP at all), so that it looks like every other answer of ours, and the
//! polite end of a connection whose request was refused before it was read.
//! Promises that a timer exists only while something is waited for: a stream that is idle in both directions has none.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use headwater_protocol::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::canned;

/// How long each thing is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) first_byte: Duration,
    pub(super) head: Duration,
    pub(super) keep_alive: Duration,
    pub(super) write_stall: Duration,
}

/// How long a client may go on sending what nobody reads any more, and how much of it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 << 20;

/// What a connection and the requests on it know of each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Requests whose answer is not complete.
    in_flight: AtomicUsize,
    /// Requests there were.
    requests: AtomicUsize,
    /// Something of a request was left unread.
    linger: AtomicBool,
    /// So much of it that no request can follow.
    closes: AtomicBool,
    /// The connection's task, where requests end in others: of HTTP/2.
    idle: AtomicWaker,
    /// The socket takes no more at the moment.
    stuffed: AtomicBool,
    /// The answer that waits for it to.
    answer: AtomicWaker,
}

impl Shared {
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        if self.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.idle.wake();
        }
    }

    pub(super) fn linger(&self) {
        self.linger.store(true, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.closes.store(true, Ordering::Relaxed);
    }

    pub(super) fn closes(&self) -> bool {
        self.closes.load(Ordering::Relaxed)
    }

    /// Whether the socket takes no more at the moment; then the answer that is asked for more is woken when it does. What
    /// it would give meanwhile hyper keeps, up to as much as a head may be large, for each client that has stopped reading.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.stuffed.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.answer.register(cx.waker());
        if self.stuffed.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
    }

    fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }
}

/// What is being waited for when nothing can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// The first byte.
    First,
    /// The rest of a head, the first byte of which came after so many requests.
    Head { after: usize },
    /// Our own answer.
    Answer,
    /// The next request.
    Next,
}

/// A connection with its timeouts.
pub(super) struct Conn {
    io: TcpStream,
    shared: Arc<Shared>,
    timeouts: Timeouts,
    wait: Wait,
    /// HTTP/2 has frames that belong to no request, so that a head cannot be told from them; it is only ever idle.
    http2: bool,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    /// What goes out in place of hyper's own answer, and how much of it has gone.
    instead: Option<(Vec<u8>, usize)>,
    /// Bytes that may still be thrown away; set once our side is closed.
    lingering: Option<usize>,
    /// Bytes that were taken from the socket to tell the version.
    taken: Vec<u8>,
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    /// With prior knowledge.
    Http2,
}

/// How an HTTP/2 connection begins. No method of HTTP/1.1 does.
const PREFACE: &[u8] = b"PRI";

impl Conn {
    pub(super) fn new(io: TcpStream, shared: Arc<Shared>, timeouts: Timeouts) -> Self {
        Self {
            io,
            shared,
            timeouts,
            wait: Wait::First,
            http2: false,
            read_timer: Some(timer(timeouts.first_byte)),
            write_timer: None,
            instead: None,
            lingering: None,
            taken: Vec::new(),
        }
    }

    /// Waits for the first bytes, which tell what the client speaks, and leaves them where they are: a connection that
    /// is handed some bytes and then reads the rest keeps twice the buffer. `None`: it was closed, or said nothing.
    pub(super) async fn version(&mut self) -> Option<Version> {
        std::future::poll_fn(|cx| self.poll_version(cx)).await
    }

    fn poll_version(&mut self, cx: &mut Context<'_>) -> Poll<Option<Version>> {
        let mut first = [0; PREFACE.len()];
        let mut buf = ReadBuf::new(&mut first);
        loop {
            buf.clear();
            let looked = match self.io.poll_peek(cx, &mut buf) {
                Poll::Ready(looked) => looked,
                Poll::Pending => return self.poll_silence(cx).map(|_| None),
            };
            let begin = match looked {
                Ok(0) | Err(_) => return Poll::Ready(None),
                Ok(_) => [&self.taken, buf.filled()].concat(),
            };
            if begin.starts_with(PREFACE) {
                return Poll::Ready(Some(Version::Http2));
            }
            if !PREFACE.starts_with(&begin) {
                return Poll::Ready(Some(Version::Http1));
            }
            // "P" or "PR": could be either. A socket that holds something is never waited for, so it is taken out.
            buf.clear();
            if let Poll::Ready(Ok(())) = Pin::new(&mut self.io).poll_read(cx, &mut buf) {
                self.taken.extend_from_slice(buf.filled());
                self.heard(&begin);
            }
        }
    }

    /// Something was read.
    fn heard(&mut self, bytes: &[u8]) {
        if self.wait == Wait::First {
            self.http2 = bytes.starts_with(PREFACE);
        }
        let after = self.shared.requests.load(Ordering::Relaxed);
        let head = Wait::Head { after };
        if self.shared.is_busy() {
            self.wait_for(Wait::Answer);
        } else if self.http2 {
            self.wait = Wait::Next;
            self.read_timer = Some(timer(self.timeouts.keep_alive));
        } else if self.wait != head {
            // Further bytes of the same head do not buy it more time.
            self.wait_for(head);
        }
    }

    fn wait_for(&mut self, wait: Wait) {
        let time = match wait {
            Wait::First => Some(self.timeouts.first_byte),
            Wait::Head { .. } => Some(self.timeouts.head),
            Wait::Answer => None,
            Wait::Next => Some(self.timeouts.keep_alive),
        };
        self.wait = wait;
        self.read_timer = time.map(timer);
    }

    /// Nothing can be read: is that for too long?
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.http2 {
            self.shared.idle.register(cx.waker());
        }
        let requests = self.shared.requests.load(Ordering::Relaxed);
        let wait = match self.wait {
            _ if self.shared.is_busy() => Wait::Answer,
            Wait::First => Wait::First,
            Wait::Head { after } if after == requests => self.wait,
            Wait::Head { .. } | Wait::Answer | Wait::Next => Wait::Next,
        };
        if wait != self.wait {
            self.wait_for(wait);
        }
        if let Some(timer) = &mut self.read_timer {
            ready!(timer.as_mut().poll(cx));
            if let Wait::Head { .. } = self.wait {
                let (code, detail) = (ErrorCode::RequestTimeout, "the rest of the request did not come in time");
                // There is room in the socket, or nobody there to read it.
                drop(self.io.try_write(&canned::close_with(code, detail, &[])));
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    /// A write, with an end to waiting for it.
    fn poll_stall(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = write(Pin::new(&mut self.io), cx) {
            self.write_timer = None;
            if self.shared.stuffed.swap(false, Ordering::AcqRel) {
                self.shared.answer.wake();
            }
            return Poll::Ready(result);
        }
        // Of HTTP/2 each request has its own window, and frames of others must go on.
        self.shared.stuffed.store(!self.http2, Ordering::Release);
        let stall = self.timeouts.write_stall;
        ready!(self.write_timer.get_or_insert_with(|| timer(stall)).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client stopped reading")))
    }

    /// Writes ours in place of hyper's answer of `length` bytes.
    fn poll_instead(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        while let Some((bytes, mut sent)) = self.instead.take() {
            let written = self.poll_stall(cx, |io, cx| io.poll_write(cx, &bytes[sent..]));
            if let Poll::Ready(Ok(count)) = &written {
                sent += count;
            }
            if sent < bytes.len() {
                self.instead = Some((bytes, sent));
            }
            ready!(written)?;
        }
        Poll::Ready(Ok(length))
    }
}

fn timer(time: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(Instant::now() + time))
}

impl AsyncRead for Conn {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if !this.taken.is_empty() {
            // hyper's buffers are thousands of bytes; this is two at most.
            buf.put_slice(&std::mem::take(&mut this.taken));
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            Poll::Ready(result) => {
                let bytes = &buf.filled()[before..];
                if !bytes.is_empty() {
                    this.heard(bytes);
                }
                Poll::Ready(result)
            }
            Poll::Pending => this.poll_silence(cx),
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // With a request in flight it is that request's answer, which came through our layers.
        if this.instead.is_none()
            && !this.shared.is_busy()
            && let Some(answer) = canned::instead_of(bufs)
        {
            this.shared.linger();
            this.instead = Some((answer, 0));
        }
        if this.instead.is_some() {
            return this.poll_instead(cx, bufs.iter().map(|buf| buf.len()).sum());
        }
        this.poll_stall(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // hyper does not read again when an answer is out if it knows already that there is nothing to read. But from
        // here on there is a next request to wait for, and this is called after every answer.
        if this.wait == Wait::Answer
            && !this.shared.is_busy()
            && let Poll::Ready(Err(error)) = this.poll_silence(cx)
        {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    /// Closes our side. If something of a request is unread, what still comes is thrown away for a while: closing the
    /// socket on it would reset the connection, and the client would lose our answer with it (RFC 9112, 9.6).
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            if !this.shared.linger.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            this.lingering = Some(LINGER_BYTES);
            this.read_timer = Some(timer(LINGER));
        }
        let mut scratch = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.io).poll_read(cx, &mut buf) {
                Poll::Pending => match &mut this.read_timer {
                    Some(timer) => return timer.as_mut().poll(cx).map(Ok),
                    None => return Poll::Ready(Ok(())),
                },
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    let count = buf.filled().len();
                    let left = this.lingering.unwrap_or_default().saturating_sub(count);
                    this.lingering = Some(left);
                    if count == 0 || left == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}
