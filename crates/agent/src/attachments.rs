//! Pictures and files that messages show to a model.
//!
//! Owns turning what a message refers to into what a model sees: files of text become words, pictures and PDFs are read for
//! the call and lie in memory until it is answered. Promises that one call shows at most
//! [`MAX_UPLOAD_BYTES`](headwater_protocol::api::MAX_UPLOAD_BYTES) and [`MOST_WORDS`] of files' words, of 32 of each kind, the
//! newest first, and that what is left out, or is there no more, is said to the model in its place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use headwater_llm::{Attachment, GatewayLlmService, ModelMessage, Place, Shown};
use headwater_protocol::ArtifactId;
use headwater_protocol::api::MAX_UPLOAD_BYTES;
use headwater_protocol::message::{MAX_TEXT_BYTES, Part, Source};
use headwater_store::scoped::HistoryMessage;
use headwater_stream::WriteError;

use crate::execute::RunState;

/// Whether a file of this kind is words.
pub fn is_text(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml") && kind != "image/svg+xml"
        || matches!(
            kind.as_str(),
            "application/json" | "application/xml" | "application/x-ndjson" | "application/yaml" | "application/toml"
        )
}

/// Attachments of one call, and files of text.
const MOST: usize = 32;
/// Words of files of one call, in bytes.
const MOST_WORDS: usize = 1 << 20;

const TOO_LONG_AGO: &str = "it was said too long ago to be shown again";
const GONE: &str = "it is not there any more";

/// What a part shows beside words.
fn attachment(part: &Part, at: usize) -> Option<Attachment> {
    let (source, shown) = match part {
        Part::Image { source, detail } => (source, Shown::Image(*detail)),
        Part::File { source, filename } => (source, Shown::File(filename.clone())),
        Part::Text { .. } | Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => return None,
    };
    let Source::Artifact { artifact, media_type, size_bytes } = source;
    // Without what a charset is to a picture.
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().into();
    Some(Attachment { artifact: *artifact, at, shown, media_type, size_bytes: *size_bytes, content: Bytes::new() })
}

/// What a message says, and what it shows where among that: to be read later. Of what the model cannot be shown there is a note.
pub(crate) fn said(llm: &GatewayLlmService, model: &str, content: &[Part]) -> (String, Vec<Attachment>) {
    let (mut text, mut attachments) = (String::new(), Vec::new());
    let say = |text: &mut String, words: &str| {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(words);
    };
    for part in content {
        if let Part::Text { text: words } = part {
            say(&mut text, words);
        } else if let Some(attachment) = attachment(part, text.len()) {
            if llm.takes(model, &attachment.shown) {
                attachments.push(attachment);
            } else {
                say(&mut text, &note(&attachment.shown, "this model cannot be shown it"));
            }
        }
    }
    (text, attachments)
}

fn note(shown: &Shown, why: &str) -> String {
    let what = match shown {
        Shown::Image(_) => "A picture".to_owned(),
        Shown::File(Some(name)) => format!("The file {name}"),
        Shown::File(None) => "A file".to_owned(),
    };
    format!("[{what} stood here: {why}]")
}

/// Leaves out attachments of a message: a note is in the place of each of which `judge` says why.
fn leave_out(message: &mut ModelMessage, mut judge: impl FnMut(&mut Attachment) -> Option<&'static str>) {
    let mut added = 0;
    for mut attachment in std::mem::take(&mut message.attachments) {
        attachment.at += added;
        let Some(why) = judge(&mut attachment) else {
            message.attachments.push(attachment);
            continue;
        };
        let (before, after) = message.text.split_at(attachment.at);
        let first = if before.is_empty() { "" } else { "\n" };
        let last = if after.is_empty() || after.starts_with('\n') { "" } else { "\n" };
        let words = format!("{first}{}{last}", note(&attachment.shown, why));
        added += words.len();
        message.text = format!("{before}{words}{after}").into();
        message.tokens = None;
    }
}

/// The words of a file, or of its beginning: what is cut in the middle of a character ends before that.
fn words(content: &[u8]) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(content) {
        Err(error) if error.error_len().is_none() => String::from_utf8_lossy(&content[..error.valid_up_to()]),
        _ => String::from_utf8_lossy(content),
    }
}

impl RunState<'_> {
    /// Puts the words of files of text in their places.
    pub(crate) async fn read_files(&self, mut history: Vec<HistoryMessage>) -> Result<Vec<HistoryMessage>, WriteError> {
        let storage = self.storage();
        // The newest first: where there are too many, those that were said before are left out.
        let (mut left, mut files) = (MOST_WORDS, 0);
        for part in history.iter_mut().rev().flat_map(|message| message.content.iter_mut().rev()) {
            let Part::File { source: Source::Artifact { artifact, media_type, size_bytes }, filename } = part else {
                continue;
            };
            if !is_text(media_type) {
                continue;
            }
            let shown = Shown::File(filename.clone());
            let most = i32::try_from(MAX_TEXT_BYTES.min(left)).unwrap_or(i32::MAX);
            let text = if most == 0 || files == MOST || self.cancel.is_cancelled() {
                note(&shown, TOO_LONG_AGO)
            } else {
                files += 1;
                match self.through_outage(|| storage.artifact_content(*artifact, 0, most)).await? {
                    None => note(&shown, GONE),
                    Some(content) => {
                        left -= content.len().min(left);
                        let name = filename.as_deref().unwrap_or("without a name");
                        let part = if content.len() as u64 >= *size_bytes { "" } else { ", its beginning" };
                        format!("The file {name}{part}:\n{}", words(&content))
                    }
                }
            };
            *part = Part::Text { text };
        }
        Ok(history)
    }

    /// Reads what the messages show, once there is room for it. The place is to be kept as long as they are.
    pub(crate) async fn show(&self, messages: &mut [ModelMessage]) -> Result<Place, WriteError> {
        let (mut left, mut count, mut kib) = (MAX_UPLOAD_BYTES as u64, 0, 0);
        for message in messages.iter_mut().rev().filter(|message| !message.attachments.is_empty()) {
            leave_out(message, |attachment| {
                if attachment.size_bytes > left || count == MOST {
                    return Some(TOO_LONG_AGO);
                }
                left -= attachment.size_bytes;
                kib += attachment.size_bytes.div_ceil(1024);
                count += 1;
                None
            });
        }
        if count == 0 {
            return Ok(Place::default());
        }
        let most = (MAX_UPLOAD_BYTES >> 10) as u32;
        let places = self.runtime.inner.shown.of(self.writer.identity().tenant);
        let permit = tokio::select! {
            permit = places.acquire_many_owned(u32::try_from(kib).unwrap_or(most).min(most)) => permit.ok(),
            () = self.cancel.cancelled() => None,
            () = tokio::time::sleep_until(self.deadline) => None,
            () = self.hold.cancelled() => return Err(WriteError::Fenced),
        };
        if permit.is_none() {
            // The run is to end, and nothing is asked any more.
            messages.iter_mut().for_each(|message| message.attachments.clear());
            return Ok(Place::default());
        }
        let storage = self.storage();
        let mut read: HashMap<ArtifactId, Option<Bytes>> = HashMap::new();
        for attachment in messages.iter().flat_map(|message| &message.attachments) {
            if let Entry::Vacant(entry) = read.entry(attachment.artifact) {
                let size = i32::try_from(attachment.size_bytes).unwrap_or(i32::MAX);
                let content = self.through_outage(|| storage.artifact_content(attachment.artifact, 0, size)).await?;
                entry.insert(content.map(Bytes::from));
            }
        }
        for message in messages.iter_mut().filter(|message| !message.attachments.is_empty()) {
            leave_out(message, |attachment| match read.get(&attachment.artifact).cloned().flatten() {
                Some(content) => {
                    attachment.content = content;
                    None
                }
                None => Some(GONE),
            });
        }
        Ok(Place(permit.map(Arc::new)))
    }
}

#[cfg(test)]
mod tests {
    use headwater_protocol::event::Role;
    use headwater_protocol::message::Detail;

    use super::*;

    #[test]
    fn a_note_stands_where_the_picture_stood() {
        let shown = |at| Attachment {
            artifact: ArtifactId::new(),
            at,
            shown: Shown::Image(Detail::Auto),
            media_type: "image/png".into(),
            size_bytes: 1,
            content: Bytes::new(),
        };
        // "before", a picture, "after", two pictures.
        let mut message = ModelMessage::new(Role::User, "before\nafter");
        message.attachments = vec![shown(6), shown(12), shown(12)];
        let last = message.attachments[2].artifact;
        leave_out(&mut message, |attachment| (attachment.artifact != last).then_some("x"));
        assert_eq!(&*message.text, "before\n[A picture stood here: x]\nafter\n[A picture stood here: x]");
        assert_eq!((message.attachments.len(), message.attachments[0].at), (1, message.text.len()));
        let mut alone = ModelMessage::new(Role::User, "");
        alone.attachments = vec![shown(0)];
        leave_out(&mut alone, |_| Some("x"));
        assert_eq!(&*alone.text, "[A picture stood here: x]");
    }

    #[test]
    fn what_is_cut_ends_with_a_whole_character() {
        assert_eq!(words("grün".as_bytes()), "grün");
        assert_eq!(words(&"grün".as_bytes()[..3]), "gr");
        assert_eq!(words(b"gr\xfcn"), "gr\u{fffd}n", "another charset, from a tool");
    }
}
