//! The response itself, and its name.

use std::fmt;
use std::str::FromStr;

use headwater_protocol::api::{Overrides, ResponseFormat, Tool, ToolChoice};
use headwater_protocol::message::Metadata;
use headwater_protocol::{RunId, ThreadId, Usage};
use serde_json::{Value, json};
use uuid::Uuid;

/// The label of the one server whose tools these are: this one.
pub(crate) const SERVER: &str = "headwater";

/// A response's name: `resp_` and the run's own, with the event behind which it begins where that is not the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResponseId {
    /// The run.
    pub(crate) run: RunId,
    /// Behind which of its events the response begins.
    pub(crate) behind: u64,
}

impl fmt::Display for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resp_{}", self.run.uuid())?;
        match self.behind {
            0 => Ok(()),
            behind => write!(f, "_{behind}"),
        }
    }
}

impl FromStr for ResponseId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.strip_prefix("resp_").ok_or(())?;
        let (run, behind) = text.split_once('_').unwrap_or((text, "0"));
        // As it is written, and in no other way: one response, one name.
        let run = Uuid::try_parse(run).map_err(|_| ())?;
        let id = Self { run: RunId::from_uuid(run), behind: behind.parse().map_err(|_| ())? };
        if id.to_string().strip_prefix("resp_") == Some(text) { Ok(id) } else { Err(()) }
    }
}

/// What is known of a response beside its events.
#[derive(Debug)]
pub(crate) struct About {
    /// The run.
    pub(crate) run: RunId,
    /// The thread it writes to.
    pub(crate) thread: ThreadId,
    /// What it answers to, as the request named it: an agent, or a model.
    pub(crate) model: String,
    /// The one before it in the thread.
    pub(crate) previous: Option<ResponseId>,
    /// What the request asked for otherwise than the agent does. What the agent's author has set is not told.
    pub(crate) asked: Overrides,
    /// Own pairs of the request.
    pub(crate) metadata: Metadata,
}

/// Where a response stands.
pub(super) struct Standing {
    pub(super) behind: u64,
    /// Where the one before it in the same run begins.
    pub(super) before: Option<u64>,
    pub(super) status: &'static str,
    pub(super) created_at: Option<i64>,
    pub(super) completed_at: Option<i64>,
    pub(super) error: Option<Value>,
    pub(super) incomplete: Option<&'static str>,
    pub(super) output: Vec<Value>,
    pub(super) usage: Option<Usage>,
}

impl About {
    /// With every field, nulls included: its readers are strict.
    pub(super) fn response(&self, standing: &Standing) -> Value {
        let asked = &self.asked;
        let previous = standing.before.map(|behind| ResponseId { run: self.run, behind }).or(self.previous);
        let tools: Vec<Value> = asked.tools.iter().flatten().filter_map(function).collect();
        let format = match &asked.response_format {
            None | Some(ResponseFormat::Text {}) => json!({"type": "text"}),
            Some(ResponseFormat::JsonSchema { name, schema, .. }) => {
                json!({"type": "json_schema", "name": name, "schema": schema, "description": null, "strict": true})
            }
        };
        json!({
            "id": ResponseId { run: self.run, behind: standing.behind }.to_string(),
            "object": "response",
            "created_at": standing.created_at.unwrap_or_default(),
            "completed_at": standing.completed_at,
            "status": standing.status,
            // Whoever leaves ends nothing, whatever it asked for.
            "background": true,
            "conversation": {"id": self.thread},
            "error": standing.error,
            "incomplete_details": standing.incomplete.map(|reason| json!({"reason": reason})),
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "max_tool_calls": null,
            "metadata": self.metadata,
            "model": self.model,
            "moderation": null,
            "output": standing.output,
            "parallel_tool_calls": true,
            "previous_response_id": previous.map(|previous| previous.to_string()),
            "prompt": null,
            "prompt_cache_key": null,
            "prompt_cache_retention": null,
            "reasoning": {"effort": asked.reasoning_effort, "summary": null},
            "safety_identifier": null,
            "service_tier": "default",
            "store": true,
            "temperature": asked.temperature,
            "text": {"format": format, "verbosity": "medium"},
            "tool_choice": asked.tool_choice.unwrap_or(ToolChoice::Auto),
            "tools": tools,
            "top_logprobs": 0,
            "top_p": asked.top_p,
            "truncation": "auto",
            "usage": standing.usage.map(usage),
            "user": null,
        })
    }
}

/// A tool of the request's own, as it was asked for.
fn function(tool: &Tool) -> Option<Value> {
    let Tool::Client(tool) = tool else { return None };
    Some(
        json!({"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters, "strict": false}),
    )
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_one_name() {
        let run = RunId::new();
        for behind in [0, 12] {
            let id = ResponseId { run, behind };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        let run = run.uuid();
        for not in [
            format!("run_{run}"),
            format!("resp_{run}_0"),
            format!("resp_{run}_07"),
            format!("resp_{run}_x"),
            "resp_".into(),
        ] {
            assert_eq!(not.parse::<ResponseId>(), Err(()), "{not}");
        }
        assert_eq!(format!("resp_{}", run.simple()).parse::<ResponseId>(), Err(()));
    }
}
