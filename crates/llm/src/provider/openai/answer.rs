//! Reading a streamed completion.
//!
//! Owns what was seen of one answer. Promises that deltas of one network chunk come as one piece per kind; that everything
//! before a fault is told before the fault; and that an answer without a finish reason and `[DONE]` is no success.
//! Never waits with a timer of its own for what the caller wants: the caller does.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use headwater_protocol::event::FinishReason;
use headwater_protocol::{ErrorCode, Usage};
use reqwest::Response;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::super::Piece;
use super::chunk::{Chunk, Text, ToolCall, is_something};
use crate::failure::{self, Failure};
use crate::sse::{SseDecoder, SseError, SseEvent};

/// How long to wait for the end of the body behind `[DONE]`: a connection read to its end can serve the next call.
const TAIL: Duration = Duration::from_millis(20);

/// Calls in one answer. Beyond, the model has lost its way.
const MAX_CALLS: usize = 128;
/// A name longer than any tool's is none.
const MAX_NAME_CHARS: usize = 128;
/// The most HTTP chunks that are joined into one piece.
const MAX_JOINED: usize = 64;

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response,
    sse: SseDecoder,
    seen: Seen,
    /// Told when all pieces before it are.
    failure: Option<Failure>,
}

/// What the events said.
#[derive(Debug)]
struct Seen {
    ready: VecDeque<Piece>,
    finish: Option<FinishReason>,
    done: bool,
    usage: Option<Usage>,
    last_event: Instant,
    key: Option<SecretString>,
    offers_tools: bool,
    /// Calls that have begun, by the number and the id that the provider gave each.
    calls: Vec<(Option<usize>, Option<String>)>,
}

impl From<SseError> for Failure {
    fn from(error: SseError) -> Self {
        Failure::invalid(error.to_string())
    }
}

impl Answer {
    pub(super) fn new(mut response: Response, key: Option<SecretString>, offers_tools: bool) -> Self {
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
            calls: Vec::new(),
        };
        Self { response, sse: SseDecoder::new(), seen, failure: None }
    }

    /// An answer of which is known already that it cannot be read.
    pub(super) fn unreadable(response: Response, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::new(response, None, false) }
    }

    pub(crate) fn last_event(&self) -> Instant {
        self.seen.last_event
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
        let seen = &mut self.seen;
        let taken = match read {
            Ok(Some(bytes)) => self.sse.feed(&bytes, |event| seen.event(event)),
            // Some servers end without the blank line; only the marker itself is taken from such a rest.
            Ok(None) => self
                .sse
                .finish(|event| if event.data.trim_ascii() == b"[DONE]" { seen.event(event) } else { Ok(()) })
                .and_then(|()| if seen.done { Ok(()) } else { Err(seen.truncated("ended its answer early")) }),
            Err(_) => Err(seen.truncated("lost the connection in the middle of its answer")),
        };
        self.failure = taken.err();
    }

    async fn end(&mut self) -> Result<Piece, Failure> {
        let Some(mut finish) = self.seen.finish else {
            return Err(self.seen.truncated("ended its answer without a finish reason"));
        };
        // Some imitators say `stop` behind calls, and the calls are what counts; others say the opposite.
        match (finish, self.seen.calls.is_empty()) {
            (FinishReason::Stop, false) => finish = FinishReason::ToolCalls,
            (FinishReason::ToolCalls, true) => finish = FinishReason::Stop,
            _ => {}
        }
        // Nothing of interest can follow; a body left unread would cost the connection.
        let _ = tokio::time::timeout(TAIL, self.response.chunk()).await;
        Ok(Piece::End(finish))
    }
}

impl Seen {
    fn truncated(&self, how: &str) -> Failure {
        Failure::new(ErrorCode::ProviderTruncated, format!("the provider {how}"))
    }

    fn event(&mut self, event: SseEvent<'_>) -> Result<(), Failure> {
        self.last_event = Instant::now();
        let data = event.data.trim_ascii();
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data)
            .map_err(|_| Failure::invalid("the provider sent a chunk that is not a completion's"))?;
        if let Some(error) = is_something(chunk.error) {
            let key = self.key.as_ref().map(ExposeSecret::expose_secret);
            return Err(failure::from_stream(error.get().as_bytes(), key));
        }
        if let Some(usage) = chunk.usage.and_then(|usage| usage.read()) {
            self.usage = Some(usage);
        }
        // We never ask for more than one answer.
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index == 0) {
            if let Some(delta) = choice.delta {
                for text in [delta.reasoning_content, delta.reasoning].into_iter().flatten() {
                    self.reasoning(&text);
                }
                for text in [delta.content, delta.refusal].into_iter().flatten() {
                    self.text(&text);
                }
                for call in delta.tool_calls.into_iter().flatten() {
                    self.call(call)?;
                }
            }
            if let Some(reason) = choice.finish_reason {
                self.finish = Some(finish_reason(&reason.0, self.offers_tools)?);
            }
        }
        Ok(())
    }

    fn reasoning(&mut self, Text(text): &Text<'_>) {
        match self.ready.back_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Reasoning(open)) => open.push_str(text),
            Some(_) | None => self.ready.push_back(Piece::Reasoning(text.as_ref().to_owned())),
        }
    }

    fn text(&mut self, Text(text): &Text<'_>) {
        match self.ready.back_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(open)) => open.push_str(text),
            Some(_) | None => self.ready.push_back(Piece::Text(text.as_ref().to_owned())),
        }
    }

    /// A piece of a call. The provider's own ids are nobody's business: calls have ours.
    fn call(&mut self, piece: ToolCall<'_>) -> Result<(), Failure> {
        if !self.offers_tools {
            // Another attempt would only be paid for once more.
            return Err(Failure::invalid("the model called a tool, and it was offered none").final_here());
        }
        let function = piece.function;
        let name = function.as_ref().and_then(|function| function.name.as_ref()).filter(|name| !name.0.is_empty());
        let arguments = function.as_ref().and_then(|function| function.arguments.as_ref());
        if name.is_none() && arguments.is_none_or(|text| text.0.is_empty()) {
            return Ok(());
        }
        let id = piece.id.as_ref().map(|id| id.0.as_ref()).filter(|id| !id.is_empty());
        let known = match piece.index {
            Some(_) => self.calls.iter().rposition(|(number, _)| *number == piece.index),
            None if name.is_some() => None,
            None => self.calls.len().checked_sub(1),
        };
        let another = |at: &usize| name.is_some() && id.is_some() && self.calls[*at].1.as_deref() != id;
        let known = known.filter(|at| !another(at));
        let index = match (known, name) {
            (Some(index), _) => index,
            (None, Some(Text(name))) => {
                if self.calls.len() == MAX_CALLS {
                    return Err(
                        Failure::invalid(format!("the model made more than {MAX_CALLS} calls at once")).final_here()
                    );
                }
                self.calls.push((piece.index, id.map(str::to_owned)));
                let index = self.calls.len() - 1;
                let name = name.chars().take(MAX_NAME_CHARS).collect();
                self.ready.push_back(Piece::ToolCall { index, name });
                index
            }
            (None, None) => return Err(Failure::invalid("the provider sent arguments of a call that has no name")),
        };
        let arguments = function.and_then(|function| function.arguments).filter(|text| !text.0.is_empty());
        if let Some(Text(arguments)) = arguments {
            match self.ready.back_mut() {
                Some(Piece::ToolArgs { index: open, delta }) if *open == index => delta.push_str(&arguments),
                Some(_) | None => {
                    let delta = arguments.into_owned();
                    self.ready.push_back(Piece::ToolArgs { index, delta });
                }
            }
        }
        Ok(())
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

fn finish_reason(reason: &str, offers_tools: bool) -> Result<FinishReason, Failure> {
    match reason {
        "length" | "max_tokens" => Ok(FinishReason::Length),
        "content_filter" => Ok(FinishReason::ContentFilter),
        "tool_calls" | "function_call" if offers_tools => Ok(FinishReason::ToolCalls),
        // Another attempt would only be paid for once more.
        "tool_calls" | "function_call" => {
            Err(Failure::invalid("the model called a tool, and it was offered none").final_here())
        }
        // `stop`, and the names that imitators have for it.
        _ => Ok(FinishReason::Stop),
    }
}
