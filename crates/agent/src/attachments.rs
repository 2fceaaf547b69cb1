//! Pictures and files that messages show to a model.
//!
//! Owns turning what a message refers to into what a model sees: files of text become words, pictures and PDFs are read for
//! the call and lie in memory as long as that. Promises that one call shows at most
//! [`MAX_UPLOAD_BYTES`](headwater_protocol::api::MAX_UPLOAD_BYTES), the newest first, and that what is left out, or is there
//! no more, is said to the model.

use std::sync::Arc;

use bytes::Bytes;
use headwater_llm::{Attachment, GatewayLlmService, ModelMessage, Place, Shown};
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

/// What a part shows beside words.
fn attachment(part: &Part) -> Option<Attachment> {
    let (source, shown) = match part {
        Part::Image { source, detail } => (source, Shown::Image(*detail)),
        Part::File { source, filename } => (source, Shown::File(filename.clone())),
        Part::Text { .. } | Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => return None,
    };
    let Source::Artifact { artifact, media_type, size_bytes } = source;
    let media_type = Arc::from(media_type.as_str());
    Some(Attachment { artifact: *artifact, shown, media_type, size_bytes: *size_bytes, content: Bytes::new() })
}

/// Adds what a message shows to what it says: to be read later. Of what the model cannot be shown there is a note.
pub(crate) fn attach(llm: &GatewayLlmService, model: &str, content: &[Part], message: &mut ModelMessage) {
    for attachment in content.iter().filter_map(attachment) {
        if llm.takes(model, &attachment.shown) {
            message.attachments.push(attachment);
        } else {
            note(message, &attachment.shown, "this model cannot be shown it");
        }
    }
}

fn note(message: &mut ModelMessage, shown: &Shown, why: &str) {
    let what = match shown {
        Shown::Image(_) => "A picture".to_owned(),
        Shown::File(Some(name)) => format!("The file {name}"),
        Shown::File(None) => "A file".to_owned(),
    };
    let gap = if message.text.is_empty() { "" } else { "\n" };
    message.text = format!("{}{gap}[{what} stood here: {why}]", message.text).into();
    message.tokens = None;
}

impl RunState<'_> {
    /// Puts the words of files of text in their places.
    pub(crate) async fn read_files(&self, mut history: Vec<HistoryMessage>) -> Result<Vec<HistoryMessage>, WriteError> {
        let storage = self.storage();
        // The newest first: where there are too many, those that were said before are left out.
        let mut left = MAX_UPLOAD_BYTES;
        for part in history.iter_mut().rev().flat_map(|message| message.content.iter_mut().rev()) {
            let Part::File { source: Source::Artifact { artifact, media_type, size_bytes }, filename } = part else {
                continue;
            };
            if !is_text(media_type) {
                continue;
            }
            let name = filename.as_deref().unwrap_or("without a name");
            let most = MAX_TEXT_BYTES.min(left);
            let read = match i32::try_from(most) {
                Ok(most) if most > 0 => self.through_outage(|| storage.artifact_content(*artifact, 0, most)).await?,
                _ => Some(Vec::new()),
            };
            let text = match read {
                None => format!("[The file {name} stood here: it is not there any more]"),
                Some(content) => {
                    left -= content.len().min(left);
                    let whole = if content.len() as u64 >= *size_bytes { "" } else { ", its beginning" };
                    format!("The file {name}{whole}:\n{}", String::from_utf8_lossy(&content))
                }
            };
            *part = Part::Text { text };
        }
        Ok(history)
    }

    /// Reads what the messages show, once there is room for it. The place is to be kept as long as they are.
    pub(crate) async fn show(&self, messages: &mut [ModelMessage]) -> Result<Place, WriteError> {
        let mut left = MAX_UPLOAD_BYTES as u64;
        for message in messages.iter_mut().rev() {
            for attachment in std::mem::take(&mut message.attachments) {
                if attachment.size_bytes <= left {
                    left -= attachment.size_bytes;
                    message.attachments.push(attachment);
                } else {
                    note(message, &attachment.shown, "it was said too long ago to be shown again");
                }
            }
        }
        let shown = messages.iter().flat_map(|message| &message.attachments);
        let kib: u64 = shown.map(|attachment| attachment.size_bytes.div_ceil(1024)).sum();
        if messages.iter().all(|message| message.attachments.is_empty()) {
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
        for message in messages.iter_mut() {
            for mut attachment in std::mem::take(&mut message.attachments) {
                let size = i32::try_from(attachment.size_bytes).unwrap_or(i32::MAX);
                let read = self.through_outage(|| storage.artifact_content(attachment.artifact, 0, size)).await?;
                match read {
                    Some(content) => {
                        attachment.content = content.into();
                        message.attachments.push(attachment);
                    }
                    None => note(message, &attachment.shown, "it is not there any more"),
                }
            }
        }
        Ok(Place(permit.map(Arc::new)))
    }
}
