//! What the scripted model says, and how it fails.
//!
//! Owns: [`Reply`], its builders, and the error bodies of the dialect.
//! Promises: a reply is plain data. The same reply gives the same answer each time, but for the ids that name the call.
//! Never does: look at the request or touch a socket.

use std::{fmt, time::Duration};

use serde_json::json;

use super::gate::Gate;

/// One scripted answer to one call: deltas, pace, usage, and at most one fault.
///
/// Without a fault the answer ends as the protocol says: finish reason, usage if asked for, `[DONE]`.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub(super) shape: Shape,
    pub(super) deltas: Vec<Delta>,
    pub(super) pace: Pace,
    pub(super) usage: UsageScript,
    pub(super) finish: Option<String>,
    pub(super) gate: Option<Gate>,
    pub(super) fault: Option<Fault>,
    pub(super) split: Option<usize>,
    pub(super) crlf: bool,
    pub(super) headers: Vec<(String, String)>,
}

/// What kind of HTTP answer it is.
#[derive(Clone, Debug, Default)]
pub(super) enum Shape {
    /// A completion, streamed or whole as the request asks.
    #[default]
    Completion,
    /// An error status with the dialect's error body.
    Refusal { status: u16, error: ErrorBody },
    /// 200 with a body that is no completion.
    Garbage,
    /// Nothing at all.
    Silence,
}

/// One streamed piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delta {
    Content(String),
    /// `field` is `reasoning_content` or `reasoning`.
    Reasoning {
        field: &'static str,
        text: String,
    },
    ToolStart {
        index: usize,
        name: String,
    },
    ToolArguments {
        index: usize,
        fragment: String,
    },
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    pub(super) headers: Duration,
    pub(super) first: Duration,
    pub(super) each: Duration,
}

#[derive(Clone, Debug, Default)]
pub(super) struct UsageScript {
    pub(super) counts: Option<(u64, u64)>,
    pub(super) cached: u64,
    pub(super) reasoning: Option<u64>,
    pub(super) withheld: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Happens after this many deltas, or after the last one if there are fewer.
    pub(super) after: usize,
    pub(super) kind: FaultKind,
}

#[derive(Clone, Debug)]
pub(super) enum FaultKind {
    Cut,
    Reset,
    EndWithoutDone,
    Stall,
    ErrorEvent(ErrorBody),
    Malformed,
}

/// The `error` object of the dialect.
#[derive(Clone, Debug)]
pub(super) struct ErrorBody {
    pub(super) message: String,
    pub(super) kind: String,
    pub(super) param: Option<String>,
    pub(super) code: Option<String>,
}

impl ErrorBody {
    pub(super) fn new(kind: &str, code: Option<&str>, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: kind.to_owned(), param: None, code: code.map(str::to_owned) }
    }

    pub(super) fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let error = json!({"message": self.message, "type": self.kind, "param": self.param, "code": self.code});
        json!({ "error": error }).to_string().into_bytes()
    }
}

/// Contents.
impl Reply {
    /// An answer without a single delta; add tool calls or reasoning to it.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Says `text`, split before each word. The deltas joined give `text` back.
    #[must_use]
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::empty().then_text(text)
    }

    /// Says `n` short deltas: ` tok0`, ` tok1`, …
    #[must_use]
    pub fn tokens(n: usize) -> Self {
        Self { deltas: (0..n).map(|i| Delta::Content(format!(" tok{i}"))).collect(), ..Self::empty() }
    }

    /// Says exactly these deltas.
    #[must_use]
    pub fn deltas<T: Into<String>>(deltas: impl IntoIterator<Item = T>) -> Self {
        Self { deltas: deltas.into_iter().map(|text| Delta::Content(text.into())).collect(), ..Self::empty() }
    }

    /// Goes on with `text`, split before each word.
    #[must_use]
    pub fn then_text(mut self, text: impl AsRef<str>) -> Self {
        self.deltas.extend(words(text.as_ref()).map(|word| Delta::Content(word.to_owned())));
        self
    }

    /// Thinks `text` before it speaks, in `delta.reasoning_content` as DeepSeek and vLLM send it.
    #[must_use]
    pub fn reasoning(self, text: impl AsRef<str>) -> Self {
        self.think("reasoning_content", text.as_ref())
    }

    /// Thinks `text` before it speaks, in `delta.reasoning` as OpenRouter sends it.
    #[must_use]
    pub fn reasoning_openrouter(self, text: impl AsRef<str>) -> Self {
        self.think("reasoning", text.as_ref())
    }

    fn think(mut self, field: &'static str, text: &str) -> Self {
        let at = self.deltas.iter().take_while(|delta| matches!(delta, Delta::Reasoning { .. })).count();
        let thoughts = words(text).map(|word| Delta::Reasoning { field, text: word.to_owned() });
        self.deltas.splice(at..at, thoughts.collect::<Vec<_>>());
        self
    }

    /// Calls a tool, its arguments (JSON text, or a `serde_json::Value`) streamed in fragments of eight characters. May
    /// be repeated for parallel calls. The call id is `call_<number of the request>_<index>`. The finish reason becomes
    /// `tool_calls`. Opening and each fragment are a delta of their own.
    #[must_use]
    pub fn tool_call(mut self, name: &str, arguments: impl fmt::Display) -> Self {
        let index = self.deltas.iter().filter(|delta| matches!(delta, Delta::ToolStart { .. })).count();
        self.deltas.push(Delta::ToolStart { index, name: name.to_owned() });
        let arguments: Vec<char> = arguments.to_string().chars().collect();
        let fragments = arguments.chunks(8).map(|part| Delta::ToolArguments { index, fragment: part.iter().collect() });
        self.deltas.extend(fragments);
        self
    }

    /// Adds one delta whose content is `bytes` times `x`.
    #[must_use]
    pub fn huge_chunk(mut self, bytes: usize) -> Self {
        self.deltas.push(Delta::Content("x".repeat(bytes)));
        self
    }

    /// Ends with this finish reason instead of `stop` or `tool_calls`.
    #[must_use]
    pub fn finish(mut self, reason: &str) -> Self {
        self.finish = Some(reason.to_owned());
        self
    }

    /// Reports these token counts. Without it: a fourth of the bytes of text in the messages, and the number of deltas.
    #[must_use]
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.usage.counts = Some((input, output));
        self
    }

    /// Reports `tokens` of the input as read from the prompt cache.
    #[must_use]
    pub fn cached(mut self, tokens: u64) -> Self {
        self.usage.cached = tokens;
        self
    }

    /// Reports `tokens` of the output as reasoning. Without it: the number of reasoning deltas.
    #[must_use]
    pub fn reasoning_tokens(mut self, tokens: u64) -> Self {
        self.usage.reasoning = Some(tokens);
        self
    }

    /// Reports no usage even when asked, as some compatible servers do.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.usage.withheld = true;
        self
    }

    /// Adds a response header, or replaces one set before.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// Pace.
impl Reply {
    /// Waits `ms` before anything is sent, headers included.
    #[must_use]
    pub fn delay_headers(mut self, ms: u64) -> Self {
        self.pace.headers = Duration::from_millis(ms);
        self
    }

    /// Waits `ms` between the headers and the first delta.
    #[must_use]
    pub fn delay_first(mut self, ms: u64) -> Self {
        self.pace.first = Duration::from_millis(ms);
        self
    }

    /// Sends the deltas `ms` apart. The first one does not wait.
    #[must_use]
    pub fn delay_each(mut self, ms: u64) -> Self {
        self.pace.each = Duration::from_millis(ms);
        self
    }

    /// Holds the answer behind a gate, which the test keeps: `let (reply, gate) = Reply::tokens(5).gate();`
    #[must_use]
    pub fn gate(self) -> (Self, Gate) {
        let gate = Gate::new();
        (self.gated_by(&gate), gate)
    }

    /// Holds the answer behind a gate made before.
    #[must_use]
    pub fn gated_by(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

/// Faults in a stream. Where the request asked for a whole answer, `n` means nothing and the nearest equivalent is
/// sent.
impl Reply {
    /// Closes the connection after `n` deltas, in the middle of the next event, chunked encoding left unfinished.
    #[must_use]
    pub fn cut_after(self, n: usize) -> Self {
        self.fault(n, FaultKind::Cut)
    }

    /// Resets the connection (RST) after `n` deltas. What the client had not read yet may be lost with it.
    #[must_use]
    pub fn reset_after(self, n: usize) -> Self {
        self.fault(n, FaultKind::Reset)
    }

    /// Ends the HTTP body cleanly after `n` deltas, without finish reason and `[DONE]`.
    #[must_use]
    pub fn end_without_done(self, n: usize) -> Self {
        self.fault(n, FaultKind::EndWithoutDone)
    }

    /// Sends nothing more after `n` deltas and keeps the socket until the client gives up.
    #[must_use]
    pub fn stall_after(self, n: usize) -> Self {
        self.fault(n, FaultKind::Stall)
    }

    /// Sends an error object inside the 200 stream after `n` deltas, then ends the body without `[DONE]`.
    #[must_use]
    pub fn error_event_after(self, n: usize, code: &str, message: &str) -> Self {
        self.fault(n, FaultKind::ErrorEvent(ErrorBody::new(code, Some(code), message)))
    }

    /// Sends `data: {not json` after `n` deltas and goes on as if nothing had happened.
    #[must_use]
    pub fn malformed_chunk_after(self, n: usize) -> Self {
        self.fault(n, FaultKind::Malformed)
    }

    /// Sends the stream in pieces of `n` bytes, each an HTTP chunk and a write of its own, so that characters and lines
    /// are cut anywhere and a piece may hold the end of one event and the beginning of the next.
    #[must_use]
    pub fn split_bytes(mut self, n: usize) -> Self {
        self.split = Some(n.max(1));
        self
    }

    /// Ends lines with CR LF instead of LF.
    #[must_use]
    pub fn crlf(mut self) -> Self {
        self.crlf = true;
        self
    }

    fn fault(mut self, after: usize, kind: FaultKind) -> Self {
        self.fault = Some(Fault { after, kind });
        self
    }
}

/// Answers that are no completion.
impl Reply {
    /// Answers with an error status and the error body that usually comes with it.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let error = match status {
            400 => ErrorBody::new("invalid_request_error", None, "the request was refused by the script"),
            401 => ErrorBody::new("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
            403 => ErrorBody::new("invalid_request_error", Some("permission_denied"), "not allowed by the script"),
            404 => ErrorBody::new("invalid_request_error", Some("model_not_found"), "The model does not exist."),
            429 => ErrorBody::new("requests", Some("rate_limit_exceeded"), "Rate limit reached, please try again."),
            529 => ErrorBody::new("overloaded_error", Some("overloaded"), "The server is overloaded."),
            _ => ErrorBody::new("server_error", None, "The server had an error processing your request."),
        };
        Self { shape: Shape::Refusal { status, error }, ..Self::empty() }
    }

    /// 400, the prompt is too long.
    #[must_use]
    pub fn context_length_exceeded() -> Self {
        let message = "This model's maximum context length is 8192 tokens. Please reduce the length of the messages.";
        Self::status(400).error("context_length_exceeded", message).error_param("messages")
    }

    /// 429, but the account has no money left: retrying is useless.
    #[must_use]
    pub fn insufficient_quota() -> Self {
        let message = "You exceeded your current quota, please check your plan and billing details.";
        Self::status(429).error("insufficient_quota", message).error_type("insufficient_quota")
    }

    /// 401, the key is wrong.
    #[must_use]
    pub fn invalid_api_key() -> Self {
        Self::status(401)
    }

    /// 200 with an HTML page, as a misconfigured proxy sends.
    #[must_use]
    pub fn garbage() -> Self {
        Self { shape: Shape::Garbage, ..Self::empty() }
    }

    /// Takes the request and never answers.
    #[must_use]
    pub fn never_headers() -> Self {
        Self { shape: Shape::Silence, ..Self::empty() }
    }

    /// Asks to come back after `ms`: `retry-after-ms`, and `retry-after` in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after_ms(self, ms: u64) -> Self {
        self.header("retry-after-ms", ms).retry_after(ms.div_ceil(1000))
    }

    /// Asks to come back after `seconds`, in `retry-after` alone.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header("retry-after", seconds)
    }

    /// Replaces `code` and `message` of an error answer.
    #[must_use]
    pub fn error(self, code: &str, message: &str) -> Self {
        self.edit_error(|error| {
            error.code = Some(code.to_owned());
            error.message = message.to_owned();
        })
    }

    /// Replaces `type` of an error answer.
    #[must_use]
    pub fn error_type(self, kind: &str) -> Self {
        self.edit_error(|error| error.kind = kind.to_owned())
    }

    /// Replaces `param` of an error answer.
    #[must_use]
    pub fn error_param(self, param: &str) -> Self {
        self.edit_error(|error| error.param = Some(param.to_owned()))
    }

    fn edit_error(mut self, edit: impl FnOnce(&mut ErrorBody)) -> Self {
        match &mut self.shape {
            Shape::Refusal { error, .. } => edit(error),
            Shape::Completion | Shape::Garbage | Shape::Silence => panic!("only Reply::status has an error body"),
        }
        self
    }
}

impl Reply {
    pub(super) fn finish_reason(&self) -> &str {
        match &self.finish {
            Some(reason) => reason,
            None if self.deltas.iter().any(|delta| matches!(delta, Delta::ToolStart { .. })) => "tool_calls",
            None => "stop",
        }
    }
}

/// Splits before each run of whitespace, so that the pieces joined are the text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let word = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let end = rest[word..].find(char::is_whitespace).map_or(rest.len(), |at| word + at);
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        Some(piece)
    })
}
