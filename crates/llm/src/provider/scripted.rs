//! The scripted model: built in, without network, the same every time. What runs without a key.
//!
//! Owns these model ids, behind the name of any provider with `protocol = "scripted"`:
//!
//! | id | what it does |
//! |---|---|
//! | `demo` | quotes the last message and says how to get a real model; some 40 tokens, 30 ms apart |
//! | `echo` | says the last message back, one word at a time, at once |
//! | `tools` | calls the first tool that it is offered, with what it was told if that is a JSON object, and then says the answer |
//! | `tokens-NxM` | N tokens (at most 100 000), M ms apart (at most 60 000); the first one at once |
//! | `fail-CODE` | fails before its answer begins, with one of the `provider_…` codes |
//! | `fail-CODE-MS` | the same, and asks to be tried again after MS milliseconds |
//!
//! Promises that one delta is one token of its usage, and that `max_output_tokens` is kept (finish reason `length`).
//! Never thinks.

use std::time::Duration;

use headwater_protocol::event::{FinishReason, Role};
use headwater_protocol::{ErrorCode, Problem, Usage};
use tokio::time::Instant;

use super::{Ask, Piece};
use crate::failure::Failure;

/// The ids worth listing.
pub(super) const MODELS: &[&str] = &["demo", "echo", "tools", "tokens-64x50"];

const MAX_TOKENS: u32 = 100_000;
const MAX_DELAY_MS: u64 = 60_000;
/// As much as `demo` quotes of the last message.
const QUOTED_CHARS: usize = 60;

/// What the model will say.
#[derive(Debug)]
pub(crate) struct Script {
    act: Act,
    input_tokens: u64,
    max_tokens: u32,
}

#[derive(Debug, Clone)]
enum Act {
    Say {
        text: std::sync::Arc<str>,
        delay: Duration,
    },
    Count {
        tokens: u32,
        delay: Duration,
    },
    /// In two pieces: its beginning and its arguments.
    Call {
        name: String,
        args: String,
    },
    Fail {
        code: ErrorCode,
        retry_after: Option<Duration>,
    },
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Answer {
    act: Act,
    at: usize,
    due: Instant,
    last_event: Instant,
    tokens: u32,
    max_tokens: u32,
    input_tokens: u64,
    ended: bool,
}

impl Script {
    pub(super) fn new(ask: Ask<'_>) -> Result<Self, Problem> {
        let said = ask.request.messages.iter().rev().find(|message| message.role == Role::User);
        let said = said.map_or("", |message| &message.text);
        let act = match ask.model_id {
            "demo" => Act::Say { text: demo(said).into(), delay: Duration::from_millis(30) },
            "echo" => Act::Say { text: said.into(), delay: Duration::ZERO },
            "tools" => tools(&ask, said),
            other => {
                let act = other.strip_prefix("tokens-").and_then(tokens);
                act.or_else(|| other.strip_prefix("fail-").and_then(fail)).ok_or_else(|| {
                    let known = "demo, echo, tools, tokens-NxM, fail-CODE and fail-CODE-MS";
                    Problem::new(ErrorCode::ModelNotFound, format!("the scripted provider has {known}, not {other}"))
                })?
            }
        };
        Ok(Self { act, input_tokens: ask.input_tokens, max_tokens: ask.max_output_tokens })
    }

    pub(super) fn open(&self) -> Result<Answer, Failure> {
        if let Act::Fail { code, retry_after } = self.act {
            let failure = Failure::new(code, "the script says so");
            return Err(match retry_after {
                Some(hint) => {
                    let failure = failure.with("retry_after_ms", u64::try_from(hint.as_millis()).unwrap_or(u64::MAX));
                    Failure { retry_after, ..failure }
                }
                None => failure,
            });
        }
        let now = Instant::now();
        let delay = if matches!(self.act, Act::Say { .. }) { self.act.delay() } else { Duration::ZERO };
        Ok(Answer {
            act: self.act.clone(),
            at: 0,
            due: now + delay,
            last_event: now,
            tokens: 0,
            max_tokens: self.max_tokens,
            input_tokens: self.input_tokens,
            ended: false,
        })
    }
}

fn demo(said: &str) -> String {
    let said = said.trim();
    let quoted = match said.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said.to_owned(),
    };
    format!(
        "Hello! You wrote: \"{quoted}\". I am the scripted model that comes with Headwater: I need no key and no network, \
         and I cannot think. Set OPENAI_API_KEY and start again to talk to a real one."
    )
}

/// A call, or what came of it.
fn tools(ask: &Ask<'_>, said: &str) -> Act {
    let last = ask.request.messages.last();
    if let Some(answer) = last.filter(|message| message.role == Role::Tool) {
        return Act::Say { text: format!("The tool answered: {}", answer.text).into(), delay: Duration::ZERO };
    }
    match ask.request.tools.first() {
        Some(tool) => {
            let object = serde_json::from_str::<serde_json::Value>(said).is_ok_and(|value| value.is_object());
            Act::Call { name: tool.name.clone(), args: if object { said.to_owned() } else { "{}".to_owned() } }
        }
        None => Act::Say { text: "I have no tools.".into(), delay: Duration::ZERO },
    }
}

/// `NxM`
fn tokens(text: &str) -> Option<Act> {
    let (tokens, delay) = text.split_once('x')?;
    let (tokens, delay): (u32, u64) = (tokens.parse().ok()?, delay.parse().ok()?);
    (tokens <= MAX_TOKENS && delay <= MAX_DELAY_MS)
        .then_some(Act::Count { tokens, delay: Duration::from_millis(delay) })
}

/// `CODE` or `CODE-MS`
fn fail(text: &str) -> Option<Act> {
    let (name, hint) = match text.split_once('-') {
        Some((name, ms)) => (name, Some(Duration::from_millis(ms.parse().ok()?))),
        None => (text, None),
    };
    let code = ErrorCode::ALL.iter().find(|code| code.as_str() == name && name.starts_with("provider_"))?;
    Some(Act::Fail { code: *code, retry_after: hint })
}

impl Act {
    fn delay(&self) -> Duration {
        match self {
            Act::Say { delay, .. } | Act::Count { delay, .. } => *delay,
            Act::Call { .. } | Act::Fail { .. } => Duration::ZERO,
        }
    }

    /// The token at a place, and the place behind it.
    fn token(&self, at: usize) -> Option<(String, usize)> {
        match self {
            Act::Say { text, .. } => {
                let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
                // Blanks go with the word behind them, so that the tokens joined are the text.
                let word = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
                let end = rest[word..].find(char::is_whitespace).map_or(rest.len(), |end| word + end);
                Some((rest[..end].to_owned(), at + end))
            }
            Act::Count { tokens, .. } => (at < *tokens as usize).then(|| (format!(" tok{at}"), at + 1)),
            Act::Call { args, .. } => match at {
                0 => Some((String::new(), 1)),
                1 => Some((args.clone(), 2)),
                _ => None,
            },
            Act::Fail { .. } => None,
        }
    }

    /// A token as a piece of the answer.
    fn piece(&self, at: usize, token: String) -> Piece {
        match self {
            Act::Call { name, .. } if at == 0 => Piece::ToolCall { index: 0, name: name.clone() },
            Act::Call { .. } => Piece::ToolArgs { index: 0, delta: token },
            Act::Say { .. } | Act::Count { .. } | Act::Fail { .. } => Piece::Text(token),
        }
    }

    fn finish(&self) -> FinishReason {
        if matches!(self, Act::Call { .. }) { FinishReason::ToolCalls } else { FinishReason::Stop }
    }
}

impl Answer {
    pub(crate) async fn next(&mut self) -> Result<Piece, Failure> {
        let Some((token, behind)) = self.act.token(self.at) else {
            self.ended = true;
            return Ok(Piece::End(self.act.finish()));
        };
        if self.tokens >= self.max_tokens {
            self.ended = true;
            return Ok(Piece::End(FinishReason::Length));
        }
        if self.due > Instant::now() {
            tokio::time::sleep_until(self.due).await;
        }
        let piece = self.act.piece(self.at, token);
        self.at = behind;
        self.tokens += 1;
        self.last_event = Instant::now();
        self.due += self.act.delay();
        Ok(piece)
    }

    pub(crate) fn last_event(&self) -> Instant {
        self.last_event
    }

    /// Told at the end, as providers do.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.ended.then(|| Usage {
            input_tokens: self.input_tokens,
            output_tokens: u64::from(self.tokens),
            total_tokens: self.input_tokens.saturating_add(u64::from(self.tokens)),
            ..Usage::default()
        })
    }
}
