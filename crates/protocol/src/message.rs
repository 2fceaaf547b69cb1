//! Messages and their parts.
//!
//! The order in an assistant's message is fixed: at most one `reasoning`, at most one `text`, then `tool_call`s; so
//! deltas need no index.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::api::MAX_ATTACHMENTS;
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
    /// A picture.
    Image {
        /// Where it is.
        source: Source,
        /// How closely the model looks at it.
        #[serde(default)]
        detail: Detail,
    },
    /// A file.
    File {
        /// Where it is.
        source: Source,
        /// What to call it.
        #[serde(default)]
        filename: Option<String>,
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

/// How closely a model looks at a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// As its provider thinks fit.
    #[default]
    Auto,
    /// A glance: the cheapest.
    Low,
    /// In full.
    High,
}

/// Where a picture or a file of a message is: whatever it was sent as, an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Source {
    /// An artifact of the message's user.
    Artifact {
        /// Its id.
        artifact: ArtifactId,
        /// What it is.
        media_type: String,
        /// How large it is.
        size_bytes: u64,
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
    /// Parts: 1 to 64, at most 16 of them pictures or files.
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
    /// A picture: PNG, JPEG, GIF or WebP.
    Image {
        /// Where it is.
        source: InputSource,
        /// How closely the model looks at it.
        detail: Detail,
    },
    /// A file: text of any kind, or a PDF.
    File {
        /// Where it is.
        source: InputSource,
        /// What to call it: at most 255 characters, without `/`. `null` = as the artifact is called.
        filename: Option<String>,
    },
}

/// Where a picture or a file in a request is. All of them together are at most 8 MiB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum InputSource {
    /// Behind a public URL: it is fetched when the request is taken, once.
    Url {
        /// `https` or `http`; at most 2048 bytes.
        url: String,
    },
    /// In the request.
    Base64 {
        /// What it is.
        media_type: String,
        /// At most 512 KiB once decoded; what is larger is uploaded (`POST /v1/artifacts`).
        data: String,
    },
    /// An upload, or what a tool has answered.
    Artifact {
        /// Its id.
        artifact: ArtifactId,
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
            text: Option<String>,
            source: Option<InputSource>,
            detail: Option<Detail>,
            filename: Option<String>,
        }

        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Type {
            Text,
            Image,
            File,
        }

        struct OfPart;

        impl<'de> Visitor<'de> for OfPart {
            type Value = InputPart;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a part, an object with a type")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<InputPart, A::Error> {
                use serde::de::Error as _;

                let fields = Fields::deserialize(MapAccessDeserializer::new(members))?;
                let Fields { r#type, text, source, detail, filename } = fields;
                // A field of another type of part is as unknown as one of none.
                let all = [
                    ("text", text.is_some()),
                    ("source", source.is_some()),
                    ("detail", detail.is_some()),
                    ("filename", filename.is_some()),
                ];
                let own: &'static [&'static str] = match r#type {
                    Type::Text => &["type", "text"],
                    Type::Image => &["type", "source", "detail"],
                    Type::File => &["type", "source", "filename"],
                };
                if let Some((name, _)) = all.iter().find(|(name, given)| *given && !own.contains(name)) {
                    return Err(A::Error::unknown_field(name, own));
                }
                Ok(match r#type {
                    Type::Text => InputPart::Text { text: text.ok_or_else(|| A::Error::missing_field("text"))? },
                    Type::Image => InputPart::Image {
                        source: source.ok_or_else(|| A::Error::missing_field("source"))?,
                        detail: detail.unwrap_or_default(),
                    },
                    Type::File => {
                        InputPart::File { source: source.ok_or_else(|| A::Error::missing_field("source"))?, filename }
                    }
                })
            }
        }

        // Not as a struct, for which serde would take a list of its fields.
        deserializer.deserialize_map(OfPart)
    }
}

impl Content {
    /// The parts and where in the request each stands, once nothing is wrong with them that can be told by themselves.
    ///
    /// # Errors
    /// The first that is.
    pub fn into_parts(self, param: &str) -> Result<Vec<(String, InputPart)>, Problem> {
        let parts: Vec<(String, InputPart)> = match self {
            Content::Text(text) => {
                check_text(param, &text)?;
                return Ok(vec![(param.to_owned(), InputPart::Text { text })]);
            }
            Content::Parts(parts) => {
                parts.into_iter().enumerate().map(|(i, part)| (format!("{param}/{i}"), part)).collect()
            }
        };
        if parts.is_empty() || parts.len() > MAX_PARTS {
            return Err(Problem::invalid(param, format!("must hold 1 to {MAX_PARTS} parts")));
        }
        if parts.iter().filter(|(_, part)| !matches!(part, InputPart::Text { .. })).count() > MAX_ATTACHMENTS {
            return Err(Problem::invalid(param, format!("must hold at most {MAX_ATTACHMENTS} pictures and files")));
        }
        for (at, part) in &parts {
            match part {
                InputPart::Text { text } => check_text(&format!("{at}/text"), text)?,
                InputPart::Image { source, .. } => source.check(at)?,
                InputPart::File { source, filename } => {
                    source.check(at)?;
                    check_filename(&format!("{at}/filename"), filename.as_deref())?;
                }
            }
        }
        Ok(parts)
    }
}

/// Parts of one message in a request.
const MAX_PARTS: usize = 64;
/// Of a file in a request, as base64 writes it.
const MAX_INLINE: usize = (512 * 1024usize).div_ceil(3) * 4;

impl InputSource {
    fn check(&self, at: &str) -> Result<(), Problem> {
        match self {
            InputSource::Artifact { .. } => Ok(()),
            InputSource::Url { url } if url.len() > 2048 => {
                Err(Problem::invalid(format!("{at}/source/url"), "must be at most 2048 bytes"))
            }
            InputSource::Url { .. } => Ok(()),
            InputSource::Base64 { data, .. } if data.len() > MAX_INLINE => {
                Err(Problem::invalid(format!("{at}/source/data"), "must be at most 524288 bytes once decoded"))
            }
            InputSource::Base64 { media_type, .. } => check_media_type(&format!("{at}/source/media_type"), media_type),
        }
    }
}

/// Whether something can be the name of a file.
///
/// # Errors
/// When it is empty, too long, or holds what is no part of one.
pub fn check_filename(param: &str, name: Option<&str>) -> Result<(), Problem> {
    let good = |name: &str| {
        !name.is_empty() && name.chars().count() <= 255 && !name.chars().any(|c| c.is_control() || c == '/')
    };
    if name.is_none_or(good) {
        return Ok(());
    }
    Err(Problem::invalid(param, "must be 1 to 255 characters, without / and control characters"))
}

/// Whether something can be a media type.
///
/// # Errors
/// When it is none.
pub fn check_media_type(param: &str, media_type: &str) -> Result<(), Problem> {
    let token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let good = media_type.len() <= 256
        && media_type.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
        && essence.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    if good { Ok(()) } else { Err(Problem::invalid(param, "must be a media type, such as image/png")) }
}

fn check_text(param: &str, text: &str) -> Result<(), Problem> {
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
    Ok(())
}

/// The artifacts that a message shows, each once.
pub fn artifacts_of(content: &[Part]) -> impl Iterator<Item = ArtifactId> {
    let shown = content.iter().filter_map(|part| match part {
        Part::Image { source: Source::Artifact { artifact, .. }, .. }
        | Part::File { source: Source::Artifact { artifact, .. }, .. } => Some(*artifact),
        Part::Text { .. } | Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => None,
    });
    shown.collect::<std::collections::BTreeSet<_>>().into_iter()
}

/// The words of a message: its text parts, joined by line breaks.
pub fn text_of(content: &[Part]) -> String {
    let texts: Vec<&str> = content
        .iter()
        .filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            Part::Image { .. }
            | Part::File { .. }
            | Part::Reasoning { .. }
            | Part::ToolCall { .. }
            | Part::ToolResult { .. } => None,
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
        let picture =
            json!({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}, "detail": "low"});
        let file = json!({"type": "file", "source": {"type": "base64", "media_type": "text/plain", "data": "eA=="}, "filename": "x"});
        for value in [
            json!("Hi"),
            json!([]),
            json!([{"type": "text", "text": "Hi"}, {"text": "", "type": "text"}]),
            json!([picture, file]),
        ] {
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
            (
                json!([{"type": "video", "url": "x"}]),
                "unknown variant `video`, expected one of `text`, `image`, `file`",
            ),
            (json!([{"type": "image"}]), "missing field `source`"),
            (json!([{"type": "image", "source": {"type": "url"}}]), "missing field `url`"),
            (
                json!([{"type": "image", "source": {"type": "url", "url": "x"}, "filename": "x"}]),
                "unknown field `filename`",
            ),
            (json!([{"type": "text", "text": "x", "detail": "low"}]), "unknown field `detail`"),
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
