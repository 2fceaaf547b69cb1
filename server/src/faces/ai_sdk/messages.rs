//! What was said on a thread, as UI messages: for a page that is opened anew.

use headwater_protocol::event::{Pending, Role};
use headwater_protocol::message::{Message, Part, Source};
use headwater_protocol::{CallId, RunId};
use serde_json::{Value, json};

use super::words;

/// Messages, oldest first, as `useChat` takes them: what a run has said and done is one of them, under the run's id. `waits`: for what
/// the run waits that is under way, which has come so far.
pub(crate) fn messages(said: &[Message], waits: &[Pending], so_far: Option<(RunId, u64)>) -> Vec<Value> {
    let mut told = Vec::<Value>::new();
    for message in said {
        let run = message.run.filter(|_| message.role != Role::User);
        let id = run.map_or_else(|| message.id.to_string(), |run| run.to_string());
        // What was said in between stands behind it: one id is one message.
        let at = told.iter().position(|told| told["id"] == id.as_str()).unwrap_or_else(|| {
            let role = if message.role == Role::User { "user" } else { "assistant" };
            told.push(json!({"id": id, "role": role, "parts": []}));
            told.len() - 1
        });
        let Some(parts) = told[at]["parts"].as_array_mut() else { continue };
        if message.role == Role::Assistant {
            parts.push(json!({"type": "step-start"}));
        }
        for part in &message.content {
            add(parts, part, waits);
        }
    }
    if let Some((run, seq)) = so_far.filter(|_| !waits.is_empty())
        && let Some(told) = told.iter_mut().find(|told| told["id"] == run.to_string())
        && let Some(parts) = told["parts"].as_array_mut()
    {
        let data = json!({"pending": waits, "seq": seq});
        parts.push(json!({"type": "data-suspended", "id": "suspended", "data": data}));
    }
    told.retain(|told| told["parts"] != json!([]));
    told
}

fn add(parts: &mut Vec<Value>, part: &Part, waits: &[Pending]) {
    match part {
        Part::Text { text } if text.is_empty() => {}
        Part::Text { text } => parts.push(json!({"type": "text", "text": text, "state": "done"})),
        Part::Reasoning { text } => parts.push(json!({"type": "reasoning", "text": text, "state": "done"})),
        Part::Image { source, .. } => parts.push(file(source, None)),
        Part::File { source, filename } => parts.push(file(source, filename.as_deref())),
        Part::ToolCall { call, name, args } => {
            let wait = waits.iter().find(|wait| wait.call == Some(*call));
            let mut part =
                json!({"type": format!("tool-{name}"), "toolCallId": call, "state": "input-available", "input": args});
            if let Some(approval) = wait.and_then(|wait| wait.approval) {
                part["state"] = "approval-requested".into();
                part["approval"] = json!({"id": approval});
            }
            // What waits for an answer is the client's to carry out; all else is not.
            if wait.is_none_or(|wait| wait.kind != "input") {
                part["providerExecuted"] = true.into();
            }
            parts.push(part);
        }
        Part::ToolResult { call, status, output, error, comment, .. } => {
            if let Some(part) = call_of(parts, *call) {
                match status.as_str() {
                    "completed" => {
                        part["state"] = "output-available".into();
                        part["output"] = json!(output);
                    }
                    "denied" => {
                        part["state"] = "output-denied".into();
                        part["approval"] = json!({"id": call, "approved": false});
                        if let Some(comment) = comment {
                            part["approval"]["reason"] = comment.as_str().into();
                        }
                    }
                    _ => {
                        part["state"] = "output-error".into();
                        part["errorText"] = error.as_deref().map_or_else(|| "it failed".to_owned(), words).into();
                    }
                }
            }
        }
    }
}

fn call_of(parts: &mut [Value], call: CallId) -> Option<&mut Value> {
    let call = call.to_string();
    parts.iter_mut().rev().find(|part| part["toolCallId"] == call.as_str())
}

fn file(source: &Source, filename: Option<&str>) -> Value {
    let Source::Artifact { artifact, media_type, .. } = source;
    let mut part = json!({"type": "file", "mediaType": media_type, "url": format!("/v1/artifacts/{artifact}/content")});
    if let Some(filename) = filename {
        part["filename"] = filename.into();
    }
    part
}
