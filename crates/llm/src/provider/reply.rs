//! Reading a streamed answer, whatever its dialect.
//!
//! Owns what was seen of one answer. Promises that deltas of one network chunk come as one piece per kind; that everything
//! before a fault is told before the fault; and that an answer without its dialect's own end and a finish reason is no success.
//! Never waits with a timer of its own for what the caller wants: the caller does.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use headwater_protocol::event::FinishReason;
use headwater_protocol::{ErrorCode, Usage};
use reqwest::Response;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::Piece;
use crate::failure::Failure;
use crate::sse::{SseDecoder, SseError, SseEvent};

/// How long to wait for the end of the body behind the answer's own: a connection read to its end can serve the next call.
const TAIL: Duration = Duration::from_millis(20);
/// Calls in one answer. Beyond, the model has lost its way.
const MAX_CALLS: usize = 128;
/// A name longer than any tool's is none.
const MAX_NAME_CHARS: usize = 128;
/// The most HTTP chunks that are joined into one piece.
const MAX_JOINED: usize = 64;

/// What the events of a dialect mean.
pub(crate) trait Dialect: Debug {
    /// Notes what an event says.
    fn event(&mut self, seen: &mut Seen, event: SseEvent<'_>) -> Result<(), Failure>;

    /// By what the answer can be read again, if its provider keeps it.
    fn kept(&self) -> Option<&Kept> {
        None
    }

    /// The same of what stands behind the last blank line when the body ends: as a rule nothing.
    fn rest(&mut self, _: &mut Seen, _: SseEvent<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

/// An answer that its provider keeps.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The provider's name for it.
    pub(super) id: String,
    /// The number of the last event that was read.
    pub(super) last: Option<u64>,
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Reply<D> {
    response: Response,
    sse: SseDecoder,
    seen: Seen,
    dialect: D,
    /// Told when all pieces before it are.
    failure: Option<Failure>,
}

/// What the events said.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(super) finish: Option<FinishReason>,
    /// The dialect's own end was there.
    pub(super) done: bool,
    pub(super) usage: Option<Usage>,
    pub(super) offers_tools: bool,
    ready: VecDeque<Piece>,
    calls: usize,
    last_event: Instant,
    key: Option<SecretString>,
}

impl From<SseError> for Failure {
    fn from(error: SseError) -> Self {
        Failure::invalid(error.to_string())
    }
}

impl<D: Dialect> Reply<D> {
    pub(super) fn new(mut response: Response, dialect: D, key: Option<SecretString>, offers_tools: bool) -> Self {
        // They have been read, and each is a piece of the connection's first buffer: 8 KiB for as long as the answer lasts.
        response.headers_mut().clear();
        let seen = Seen {
            ready: VecDeque::new(),
            finish: None,
            done: false,
            usage: None,
            last_event: Instant::now(),
            key,
            offers_tools,
            calls: 0,
        };
        Self { response, sse: SseDecoder::new(), seen, dialect, failure: None }
    }

    /// An answer of which is known already that it cannot be read.
    pub(super) fn unreadable(response: Response, dialect: D, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::new(response, dialect, None, false) }
    }

    pub(crate) fn last_event(&self) -> Instant {
        self.seen.last_event
    }

    pub(super) fn kept(&self) -> Option<&Kept> {
        self.dialect.kept()
    }

    /// Goes on with what comes behind the last event, where the connection was lost.
    pub(super) fn go_on(&mut self, mut response: Response) {
        response.headers_mut().clear();
        (self.response, self.sse, self.failure) = (response, SseDecoder::new(), None);
        self.seen.last_event = Instant::now();
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        self.seen.usage
    }

    pub(crate) async fn next(&mut self) -> Result<Piece, Failure> {
        loop {
            if let Some(piece) = self.seen.ready.pop_front() {
                return Ok(piece);
            }
            if let Some(failure) = &self.failure {
                return Err(failure.clone());
            }
            if self.seen.done {
                return self.end().await;
            }
            let read = self.response.chunk().await;
            self.take(read);
            // HTTP chunks come one by one even when many came in one packet: hyper's connection is a task of its own and
            // hands over one at a time. Letting it have a turn after each joins what came together.
            for _ in 0..MAX_JOINED {
                if self.seen.done || self.failure.is_some() || self.seen.ready.is_empty() {
                    break;
                }
                one_turn().await;
                match self.response.chunk().now_or_never() {
                    Some(read) => self.take(read),
                    None => break,
                }
            }
        }
    }

    fn take(&mut self, read: reqwest::Result<Option<Bytes>>) {
        let (seen, dialect) = (&mut self.seen, &mut self.dialect);
        let taken = match read {
            Ok(Some(bytes)) => self.sse.feed(&bytes, |event| {
                seen.last_event = Instant::now();
                if seen.done { Ok(()) } else { dialect.event(seen, event) }
            }),
            // Some servers end without the blank line; only the end itself is taken from such a rest.
            Ok(None) => self
                .sse
                .finish(|event| dialect.rest(seen, event))
                .and_then(|()| if seen.done { Ok(()) } else { Err(truncated("ended its answer early")) }),
            Err(_) => Err(truncated("lost the connection in the middle of its answer")),
        };
        self.failure = taken.err();
    }

    async fn end(&mut self) -> Result<Piece, Failure> {
        let Some(mut finish) = self.seen.finish else {
            return Err(truncated("ended its answer without a finish reason"));
        };
        // Some imitators say `stop` behind calls, and the calls are what counts; others say the opposite.
        match (finish, self.seen.calls) {
            (FinishReason::Stop, 1..) => finish = FinishReason::ToolCalls,
            (FinishReason::ToolCalls, 0) => finish = FinishReason::Stop,
            _ => {}
        }
        // Nothing of interest can follow; a body left unread would cost the connection.
        let _ = tokio::time::timeout(TAIL, self.response.chunk()).await;
        Ok(Piece::End(finish))
    }
}

fn truncated(how: &str) -> Failure {
    Failure::new(ErrorCode::ProviderTruncated, format!("the provider {how}"))
}

/// That the model calls what it was not offered. Another attempt would only be paid for once more.
pub(super) fn offered_none() -> Failure {
    Failure::invalid("the model called a tool, and it was offered none").final_here()
}

impl Seen {
    /// The key that was sent: to be cut out of what the provider says.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_ref().map(ExposeSecret::expose_secret)
    }

    /// The provider keeps the answer.
    pub(super) fn kept(&mut self, id: &str) {
        self.ready.push_back(Piece::Kept(id.to_owned()));
    }

    pub(super) fn reasoning(&mut self, text: &str) {
        match self.ready.back_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Reasoning(open)) => open.push_str(text),
            Some(_) | None => self.ready.push_back(Piece::Reasoning(text.to_owned())),
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        match self.ready.back_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(open)) => open.push_str(text),
            Some(_) | None => self.ready.push_back(Piece::Text(text.to_owned())),
        }
    }

    /// A call begins. The provider's own ids are nobody's business: calls have ours.
    pub(super) fn begin_call(&mut self, name: &str) -> Result<usize, Failure> {
        if self.calls == MAX_CALLS {
            return Err(Failure::invalid(format!("the model made more than {MAX_CALLS} calls at once")).final_here());
        }
        let index = self.calls;
        self.calls += 1;
        self.ready.push_back(Piece::ToolCall { index, name: name.chars().take(MAX_NAME_CHARS).collect() });
        Ok(index)
    }

    /// More of its arguments.
    pub(super) fn args(&mut self, index: usize, text: &str) {
        match self.ready.back_mut() {
            _ if text.is_empty() => {}
            Some(Piece::ToolArgs { index: open, delta }) if *open == index => delta.push_str(text),
            Some(_) | None => self.ready.push_back(Piece::ToolArgs { index, delta: text.to_owned() }),
        }
    }
}

/// Lets the other tasks that are ready go first, once.
async fn one_turn() {
    let mut had = false;
    std::future::poll_fn(|cx| {
        if had {
            return Poll::Ready(());
        }
        had = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
