//! The dialect's JSON, written by hand into byte buffers.
//!
//! Owns: the text of each event of a stream and of a whole answer.
//! Promises: field names, order and nulls as OpenAI sends them. `usage: null` is there on every chunk when usage was
//! asked for, and absent otherwise.
//! Never does: frame or send.

use std::{io::Write as _, time::SystemTime};

use serde_json::{Value, json};

use super::reply::{Delta, Reply};

/// Token counts of one answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cached: u64,
    pub(super) reasoning: u64,
}

impl Usage {
    fn push(&self, out: &mut Vec<u8>) {
        let Self { input, output, cached, reasoning } = *self;
        let total = input + output;
        write!(
            out,
            "{{\"prompt_tokens\":{input},\"completion_tokens\":{output},\"total_tokens\":{total},\
             \"prompt_tokens_details\":{{\"cached_tokens\":{cached},\"audio_tokens\":0}},\
             \"completion_tokens_details\":{{\"reasoning_tokens\":{reasoning},\"audio_tokens\":0,\
             \"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}}"
        )
        .expect("writing to a Vec cannot fail");
    }
}

/// Writes the events of one stream.
pub(super) struct Events {
    call: u64,
    /// From `data: ` up to, not including, `"choices"`.
    open: Vec<u8>,
    null_usage: bool,
    eol: &'static str,
}

impl Events {
    pub(super) fn new(call: u64, model: &str, wants_usage: bool, crlf: bool) -> Self {
        let mut open = Vec::with_capacity(160);
        let (id, created) = (completion_id(call), unix_now());
        write!(
            open,
            "data: {{\"id\":\"{id}\",\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":{},\
             \"service_tier\":\"default\",\"system_fingerprint\":null,",
            quoted(model)
        )
        .expect("writing to a Vec cannot fail");
        Self { call, open, null_usage: wants_usage, eol: if crlf { "\r\n" } else { "\n" } }
    }

    /// The opening chunk, which names the role.
    pub(super) fn role(&self, out: &mut Vec<u8>) {
        self.choice(out, "null", |out| out.extend_from_slice(br#""role":"assistant","content":"","refusal":null"#));
    }

    /// One delta.
    pub(super) fn delta(&self, out: &mut Vec<u8>, delta: &Delta) {
        self.choice(out, "null", |out| {
            let written = match delta {
                Delta::Content(text) => write!(out, "\"content\":{}", quoted(text)),
                Delta::Reasoning { field, text } => write!(out, "\"{field}\":{}", quoted(text)),
                Delta::ToolStart { index, name } => write!(
                    out,
                    "\"tool_calls\":[{{\"index\":{index},\"id\":\"{}\",\"type\":\"function\",\
                     \"function\":{{\"name\":{},\"arguments\":\"\"}}}}]",
                    call_id(self.call, *index),
                    quoted(name)
                ),
                Delta::ToolArguments { index, fragment } => write!(
                    out,
                    "\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":{}}}}}]",
                    quoted(fragment)
                ),
            };
            written.expect("writing to a Vec cannot fail");
        });
    }

    /// The chunk with the finish reason and an empty delta.
    pub(super) fn finish(&self, out: &mut Vec<u8>, reason: &str) {
        self.choice(out, &quoted(reason), |_| {});
    }

    /// The chunk with usage and no choices.
    pub(super) fn usage(&self, out: &mut Vec<u8>, usage: &Usage) {
        out.extend_from_slice(&self.open);
        out.extend_from_slice(b"\"choices\":[],\"usage\":");
        usage.push(out);
        out.push(b'}');
        self.end(out);
    }

    /// `[DONE]`.
    pub(super) fn done(&self, out: &mut Vec<u8>) {
        self.raw(out, b"[DONE]");
    }

    /// An event with this data, whatever it is.
    pub(super) fn raw(&self, out: &mut Vec<u8>, data: &[u8]) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(data);
        self.end(out);
    }

    fn choice(&self, out: &mut Vec<u8>, finish: &str, delta: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.open);
        out.extend_from_slice(b"\"choices\":[{\"index\":0,\"delta\":{");
        delta(out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":");
        out.extend_from_slice(finish.as_bytes());
        out.extend_from_slice(if self.null_usage { b"}],\"usage\":null}" } else { b"}]}" });
        self.end(out);
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.eol.as_bytes());
        out.extend_from_slice(self.eol.as_bytes());
    }
}

/// The JSON of a whole answer. `finish` of none leaves the finish reason null.
pub(super) fn whole(call: u64, model: &str, reply: &Reply, usage: Option<Usage>, finish: Option<&str>) -> Vec<u8> {
    let (mut content, mut tools) = (String::new(), Vec::<(String, String)>::new());
    let (mut thought, mut thought_field) = (String::new(), None);
    for delta in &reply.deltas {
        match delta {
            Delta::Content(text) => content.push_str(text),
            Delta::Reasoning { field, text } => {
                thought.push_str(text);
                thought_field = Some(*field);
            }
            Delta::ToolStart { name, .. } => tools.push((name.clone(), String::new())),
            Delta::ToolArguments { index, fragment } => tools[*index].1.push_str(fragment),
        }
    }
    let mut message = json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
    if !tools.is_empty() {
        let calls = tools.into_iter().enumerate().map(|(index, (name, arguments))| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"id": call_id(call, index), "type": "function", "function": function})
        });
        message["tool_calls"] = calls.collect();
        if content.is_empty() {
            message["content"] = Value::Null;
        }
    }
    if let Some(field) = thought_field {
        message[field] = Value::String(thought);
    }
    completion(call, model, &message, usage, finish)
}

/// The JSON around a whole message.
pub(super) fn completion(
    call: u64,
    model: &str,
    message: &Value,
    usage: Option<Usage>,
    finish: Option<&str>,
) -> Vec<u8> {
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish});
    let mut out = Vec::with_capacity(1024);
    write!(
        out,
        "{{\"id\":\"{}\",\"object\":\"chat.completion\",\"created\":{},\"model\":{},\"choices\":[{choice}]",
        completion_id(call),
        unix_now(),
        quoted(model)
    )
    .expect("writing to a Vec cannot fail");
    if let Some(usage) = usage {
        out.extend_from_slice(b",\"usage\":");
        usage.push(&mut out);
    }
    out.extend_from_slice(b",\"service_tier\":\"default\",\"system_fingerprint\":null}");
    out
}

/// The answer to `GET /v1/models`.
pub(super) fn models() -> Vec<u8> {
    let model = |id: &str| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "headwater"});
    let data: Vec<_> = ["scripted", "load-32x0", "load-64x50"].into_iter().map(model).collect();
    json!({"object": "list", "data": data}).to_string().into_bytes()
}

fn completion_id(call: u64) -> String {
    format!("chatcmpl-{call:012}")
}

fn call_id(call: u64, index: usize) -> String {
    format!("call_{call}_{index}")
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string can always be written as JSON")
}

fn unix_now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
