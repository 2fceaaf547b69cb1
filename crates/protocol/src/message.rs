//! Messages and their parts.
//!
//! The order in an assistant's message is fixed: at most one `reasoning`, at most one `text`, then `tool_call`s; so
//! deltas need no index.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::event::{MessageStatus, Role};
use crate::{AgentId, ArtifactId, CallId, MessageId, Problem, RunId, ThreadId, Timestamp};

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
        error: Option<Box<Problem>>,
        /// Id of the whole when `output` is an excerpt.
        artifact: Option<ArtifactId>,
        /// Of a call that a person has denied: why, if that was said.
        #[serde(default)]
        comment: Option<String>,
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
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Content {
    /// One text part.
    Text(String),
    /// Parts. This release takes text parts.
    Parts(Vec<InputPart>),
}

/// A part in a request.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum InputPart {
    /// Words.
    Text {
        /// At most 256 KiB.
        text: String,
    },
}

// Both are read by hand: what serde derives for enums without a tag, or with one inside, first puts the value aside, and
// then can tell neither where in it the mistake is nor which one.

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfContent;

        impl<'de> Visitor<'de> for OfContent {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of parts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(parts)).map(Content::Parts)
            }
        }

        deserializer.deserialize_any(OfContent)
    }
}

impl<'de> Deserialize<'de> for InputPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Every field that a part can have.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            r#type: Type,
            text: String,
        }

        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Type {
            Text,
        }

        struct OfPart;

        impl<'de> Visitor<'de> for OfPart {
            type Value = InputPart;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a part, an object with a type")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<InputPart, A::Error> {
                let Fields { r#type: Type::Text, text } = Fields::deserialize(MapAccessDeserializer::new(members))?;
                Ok(InputPart::Text { text })
            }
        }

        // Not as a struct, for which serde would take a list of its fields.
        deserializer.deserialize_map(OfPart)
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_round_trips() {
        for value in [json!("Hi"), json!([]), json!([{"type": "text", "text": "Hi"}, {"text": "", "type": "text"}])] {
            let content: Content = serde_json::from_value(value.clone()).expect("content");
            assert_eq!(serde_json::to_value(&content).expect("serialises"), value);
        }
    }

    #[test]
    fn wrong_content_is_told_apart() {
        for (value, words) in [
            (json!(7), "expected a string or a list of parts"),
            (json!({"type": "text", "text": "Hi"}), "expected a string or a list of parts"),
            (json!(["Hi"]), "expected a part"),
            (json!([["text", "Hi"]]), "expected a part"),
            (json!([{"type": "video", "url": "x"}]), "unknown variant `video`, expected `text`"),
            (json!([{"type": "text", "txt": "x"}]), "unknown field `txt`"),
            (json!([{"type": "text", "text": "x", "mistyped": 1}]), "unknown field `mistyped`"),
            (json!([{"type": "text"}]), "missing field `text`"),
            (json!([{"text": "x"}]), "missing field `type`"),
            (json!([{"type": "text", "text": 7}]), "expected a string"),
        ] {
            let error = serde_json::from_value::<Content>(value.clone()).expect_err("refused").to_string();
            assert!(error.contains(words), "{value}: {error}");
        }
    }
}
