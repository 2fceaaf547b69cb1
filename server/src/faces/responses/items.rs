//! Items of a response: what they look like, and the ones there are.

use headwater_protocol::{ApprovalId, CallId, MessageId};
use serde_json::{Value, json};

use super::SERVER;

/// Items in the order in which they were begun; their place is their `output_index`.
#[derive(Debug, Default)]
pub(super) struct Items(Vec<Item>);

#[derive(Debug)]
struct Item {
    key: String,
    value: Value,
    is_open: bool,
    is_void: bool,
}

impl Items {
    /// What the response holds. What is void was only told of.
    pub(super) fn output(&self) -> Vec<Value> {
        self.0.iter().filter(|item| !item.is_void).map(|item| item.value.clone()).collect()
    }

    pub(super) fn find(&self, key: &str) -> Option<usize> {
        self.0.iter().rposition(|item| item.key == key)
    }

    /// Those that are being made.
    pub(super) fn open(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|at| self.is_open(*at)).collect()
    }

    pub(super) fn is_open(&self, at: usize) -> bool {
        self.0[at].is_open
    }

    pub(super) fn add(&mut self, key: String, value: Value) -> usize {
        self.0.push(Item { key, value, is_open: true, is_void: false });
        self.0.len() - 1
    }

    pub(super) fn set(&mut self, at: usize, field: &str, value: Value) {
        self.0[at].value[field] = value;
    }

    /// Adds a part to one of its lists.
    pub(super) fn push(&mut self, at: usize, list: &str, part: Value) {
        if let Some(parts) = self.0[at].value[list].as_array_mut() {
            parts.push(part);
        }
    }

    /// Writes on in the one part of a list.
    pub(super) fn write(&mut self, at: usize, list: &str, delta: &str) {
        if let Value::String(text) = &mut self.0[at].value[list][0]["text"] {
            text.push_str(delta);
        }
    }

    /// Ends one; what has no status gets none.
    pub(super) fn close(&mut self, at: usize, status: &str) -> Value {
        let item = &mut self.0[at];
        item.is_open = false;
        if !status.is_empty() {
            item.value["status"] = status.into();
        }
        item.value.clone()
    }

    pub(super) fn void(&mut self, at: usize) {
        self.0[at].is_void = true;
    }
}

pub(super) fn message(id: &str) -> Value {
    json!({"type": "message", "id": id, "role": "assistant", "status": "in_progress", "content": []})
}

pub(super) fn text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

pub(super) fn reasoning_id(message: MessageId) -> String {
    format!("rs_{}", message.uuid())
}

pub(super) fn reasoning(id: &str) -> Value {
    json!({"type": "reasoning", "id": id, "summary": [], "encrypted_content": null, "status": "in_progress"})
}

pub(super) fn summary(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

pub(super) fn call(id: &str, name: &str, approval: Option<ApprovalId>) -> Value {
    json!({"type": "mcp_call", "id": id, "server_label": SERVER, "name": name, "arguments": "", "output": null, "error": null,
           "status": "in_progress", "approval_request_id": approval})
}

pub(super) fn approval(id: &str, name: &str, args: &str) -> Value {
    json!({"type": "mcp_approval_request", "id": id, "server_label": SERVER, "name": name, "arguments": args})
}

pub(super) fn function_id(call: CallId) -> String {
    format!("fc_{}", call.uuid())
}

pub(super) fn function(id: &str, call: CallId, name: &str) -> Value {
    json!({"type": "function_call", "id": id, "call_id": call, "name": name, "arguments": "", "status": "in_progress"})
}
