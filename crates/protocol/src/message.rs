//! Messages and their parts.
//!
//! The order in an assistant's message is fixed: at most one `reasoning`, at most one `text`, then `tool_call`s; so
//! deltas need no index.

use serde::{Deserialize, Serialize};

use crate::event::{MessageStatus, Role};
use crate::{AgentId, CallId, MessageId, Problem, RunId, ThreadId, Timestamp};

/// The largest text part, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 * 1024;

/// String pairs of the tenant's own, never sent to a model.
pub type Metadata = std::collections::BTreeMap<String, String>;

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text {
        /// At most 256 KiB.
        text: String,
    },
    /// What the provider shows of its model's reasoning.
    Reasoning {
        /// The text.
        text: String,
    },
    /// The model wants a tool to be called.
    ToolCall {
        /// The call.
        call: CallId,
        /// The tool.
        name: String,
        /// Parsed arguments; `null` where the reader may not see them.
        args: Option<serde_json::Value>,
    },
    /// What a tool answered.
    ToolResult {
        /// The call it answers.
        call: CallId,
        /// The tool.
        name: String,
        /// `completed`, `failed` or `denied`.
        status: String,
        /// Any JSON.
        output: Option<serde_json::Value>,
        /// Set when it failed.
        error: Option<Problem>,
        /// Id of the whole when `output` is an excerpt.
        artifact: Option<String>,
    },
}

/// A message of a thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Always `message`.
    pub object: String,
    /// The thread it belongs to.
    pub thread: ThreadId,
    /// The run that made it; `null` when imported.
    pub run: Option<RunId>,
    /// Who speaks.
    pub role: Role,
    /// How far it is.
    pub status: MessageStatus,
    /// The agent that made it.
    pub agent: Option<AgentId>,
    /// The step of the run that made it.
    pub step: Option<i32>,
    /// Its parts.
    pub content: Vec<Part>,
    /// The tenant's own pairs.
    pub metadata: Metadata,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was whole.
    pub completed_at: Option<Timestamp>,
}

/// What a request gives as content: a string is one text part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Content {
    /// One text part.
    Text(String),
    /// Parts. This release takes text parts.
    Parts(Vec<InputPart>),
}

/// A part in a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum InputPart {
    /// Words.
    Text {
        /// At most 256 KiB.
        text: String,
    },
}

impl Content {
    /// The parts as they are stored, or what is wrong with them.
    pub fn into_parts(self, param: &str) -> Result<Vec<Part>, Problem> {
        let texts = match self {
            Content::Text(text) => vec![(param.to_owned(), text)],
            Content::Parts(parts) => parts
                .into_iter()
                .enumerate()
                .map(|(i, InputPart::Text { text })| (format!("{param}/{i}/text"), text))
                .collect(),
        };
        if texts.is_empty() {
            return Err(Problem::invalid(param, "must not be empty"));
        }
        texts.into_iter().map(|(param, text)| checked_text(param, text)).collect()
    }
}

fn checked_text(param: String, text: String) -> Result<Part, Problem> {
    if text.is_empty() {
        return Err(Problem::invalid(param, "must not be empty"));
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(Problem::invalid(param, "must be at most 262144 bytes"));
    }
    // Postgres stores no NUL in text or jsonb; say so here instead of failing in the middle of a transaction.
    if text.contains('\0') {
        return Err(Problem::invalid(param, "must not contain NUL characters"));
    }
    Ok(Part::Text { text })
}

/// The words of a message: its text parts, joined by line breaks.
pub fn text_of(content: &[Part]) -> String {
    let texts: Vec<&str> = content
        .iter()
        .filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => None,
        })
        .collect();
    texts.join("\n")
}
