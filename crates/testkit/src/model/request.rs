//! What a client asked, and whether it was allowed to ask it.
//!
//! Owns: the parsed request, the rules every request must keep, and [`RecordedRequest`].
//! Promises: the rules are ones that strict providers enforce too, so a history refused here would be refused there.
//! Parsing keeps lengths instead of texts: a long history costs no copy.
//! Never does: judge what a request says.

use std::{fmt, time::Instant};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::reply::ErrorBody;

/// A request as the server kept it, and what became of it.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// Number of the call on this server, from 0.
    pub call: u64,
    /// The JSON body; a JSON string of the raw text if it was no JSON.
    pub body: Value,
    /// Headers with lower-case names, in the order they came.
    pub headers: Vec<(String, String)>,
    /// When the request was read whole.
    pub at: Instant,
    /// How it ended, or that it has not yet.
    pub outcome: Outcome,
}

/// How a call ended, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Still being answered, or waiting behind a gate.
    InFlight,
    /// A whole completion was written, `[DONE]` included.
    Answered,
    /// A whole error answer was written.
    Refused,
    /// A scripted fault ended it.
    Broken,
    /// The client hung up before the end.
    Aborted,
}

impl RecordedRequest {
    /// The first value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The model asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// The messages as sent.
    #[must_use]
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The text of the last message with this role.
    #[must_use]
    pub fn last_text(&self, role: &str) -> Option<String> {
        self.messages().iter().rev().find(|message| message["role"] == role).map(|message| text(&message["content"]))
    }

    /// Whether the client hung up before the answer ended.
    #[must_use]
    pub fn client_disconnected(&self) -> bool {
        self.outcome == Outcome::Aborted
    }
}

fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// The fields of a request that decide the answer.
#[derive(Deserialize)]
pub(super) struct ChatRequest {
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<IgnoredAny>,
    #[serde(default)]
    max_completion_tokens: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Message {
    role: Role,
    #[serde(default)]
    content: TextLen,
    #[serde(default)]
    tool_calls: Option<Vec<ToolCall>>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct ToolCall {
    id: String,
    #[serde(default)]
    function: FunctionCall,
}

#[derive(Deserialize, Default)]
struct FunctionCall {
    #[serde(default)]
    name: TextLen,
    #[serde(default)]
    arguments: TextLen,
}

impl ChatRequest {
    pub(super) fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// Whether the last thing said is what a tool answered.
    pub(super) fn answers_a_tool(&self) -> bool {
        self.messages.last().is_some_and(|message| message.role == Role::Tool)
    }

    /// A fourth of the bytes of text, rounded up: the input tokens reported unless the script says otherwise.
    pub(super) fn input_tokens(&self) -> u64 {
        let calls = |message: &Message| -> usize {
            let calls = message.tool_calls.iter().flatten();
            calls.map(|call| call.function.name.0 + call.function.arguments.0).sum()
        };
        let bytes: usize = self.messages.iter().map(|message| message.content.0 + calls(message)).sum();
        bytes.div_ceil(4) as u64
    }

    /// The first rule this request breaks.
    pub(super) fn check(&self) -> Result<(), ErrorBody> {
        if self.model.as_deref().unwrap_or_default().is_empty() {
            return Err(broken("you must provide a model parameter", "model"));
        }
        if self.stream_options.is_some() && !self.streams() {
            return Err(broken("stream_options is only allowed when stream is true", "stream_options"));
        }
        if self.max_tokens.is_some() && self.max_completion_tokens.is_some() {
            return Err(broken("max_tokens and max_completion_tokens cannot both be set", "max_tokens"));
        }
        if self.messages.is_empty() {
            return Err(broken("messages must not be empty", "messages"));
        }
        self.check_tool_calls()
    }

    /// Each tool call is followed at once by its result, each result belongs to a call, none comes twice.
    fn check_tool_calls(&self) -> Result<(), ErrorBody> {
        let mut open: Vec<&str> = Vec::new();
        for (at, message) in self.messages.iter().enumerate() {
            if message.role == Role::Tool {
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                let Some(call) = open.iter().position(|known| *known == id) else {
                    let what = format!("tool message {id:?} does not answer a tool call right before it");
                    return Err(broken(what, format!("messages.[{at}].tool_call_id")));
                };
                open.swap_remove(call);
                continue;
            }
            unanswered(&open, at)?;
            if message.role == Role::Unknown {
                return Err(broken("unknown role", format!("messages.[{at}].role")));
            }
            let calls = message.tool_calls.as_deref().unwrap_or_default();
            if !calls.is_empty() && message.role != Role::Assistant {
                return Err(broken("only the assistant calls tools", format!("messages.[{at}].tool_calls")));
            }
            for call in calls {
                if open.contains(&call.id.as_str()) {
                    let what = format!("tool call id {:?} is used twice", call.id);
                    return Err(broken(what, format!("messages.[{at}].tool_calls")));
                }
                open.push(&call.id);
            }
        }
        unanswered(&open, self.messages.len())
    }
}

fn unanswered(open: &[&str], at: usize) -> Result<(), ErrorBody> {
    if open.is_empty() {
        return Ok(());
    }
    Err(broken(format!("tool calls without a result right after them: {open:?}"), format!("messages.[{at}].role")))
}

fn broken(message: impl Into<String>, param: impl Into<String>) -> ErrorBody {
    ErrorBody::new("invalid_request_error", None, message).at(param)
}

/// The length in bytes of a text, or of the text parts of a list. The text itself is not kept.
#[derive(Clone, Copy, Default)]
struct TextLen(usize);

impl<'de> Deserialize<'de> for TextLen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        #[derive(Deserialize)]
        struct Part {
            #[serde(default)]
            text: TextLen,
        }

        impl<'de> Visitor<'de> for Text {
            type Value = TextLen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a list of parts, or null")
            }

            fn visit_str<E>(self, text: &str) -> Result<TextLen, E> {
                Ok(TextLen(text.len()))
            }

            fn visit_unit<E>(self) -> Result<TextLen, E> {
                Ok(TextLen(0))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<TextLen, A::Error> {
                let mut total = 0;
                while let Some(part) = parts.next_element::<Part>()? {
                    total += part.text.0;
                }
                Ok(TextLen(total))
            }

            // Some clients send tool arguments as an object; only a provider that accepts it should, and we do not.
            fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<TextLen, A::Error> {
                Err(serde::de::Error::custom("text expected, not an object"))
            }
        }

        deserializer.deserialize_any(Text)
    }
}
