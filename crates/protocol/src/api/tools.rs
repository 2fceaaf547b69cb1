//! What an agent can call.
//!
//! Owns the shapes of tools and the checks that need no other data. Whether a schema is one is for whoever compiles it.

use serde::{Deserialize, Serialize};

use super::policy::check_rules;
use super::{Policy, PolicyRule, may_ask, may_permit};
use crate::{CallId, Problem};

/// Whether a value holds a NUL character anywhere: Postgres stores none in JSON.
pub fn holds_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(holds_nul),
        serde_json::Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}

/// Words for a model: of several lines, if need be.
///
/// # Errors
/// When they are too long, or hold what Postgres cannot store.
pub fn check_words(param: &str, words: &str, most: usize) -> Result<(), Problem> {
    if words.chars().count() > most || words.contains('\0') {
        return Err(Problem::invalid(param, format!("must be at most {most} characters, without NUL")));
    }
    Ok(())
}

/// Tools of one agent.
pub const MAX_TOOLS: usize = 128;
/// The largest schema of a tool, in bytes of its JSON.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// The largest answer to a call, in bytes of its JSON.
pub const MAX_OUTPUT_BYTES: usize = 128 * 1024;

words! {
    /// What happens when a call is made twice.
    Effect {
        /// Nothing: it only reads.
        Read,
        /// Nothing more than once, if it carries the same key.
        Idempotent,
        /// It happens twice.
        SideEffect,
    }
}

/// A tool. This release has those that the tenant's own application runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    /// The tenant's app, or the browser, runs it: the run waits until the answer is sent.
    Client(ClientTool),
}

/// A tool that the tenant's own application runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientTool {
    /// `[a-zA-Z0-9_-]{1,64}`, unique in the agent.
    pub name: String,
    /// For the model; at most 4096 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// JSON Schema of its arguments, an object; at most 64 KiB.
    #[serde(default = "any_object")]
    pub parameters: serde_json::Value,
    /// Whether it is carried out.
    #[serde(default = "auto")]
    pub policy: Policy,
    /// What its arguments change about that: the first rule that matches; at most 32.
    #[serde(default)]
    pub policy_rules: Vec<PolicyRule>,
    /// What a second call would do.
    #[serde(default = "side_effect")]
    pub effect: Effect,
    /// How long an answer is waited for: 1 000 to 2 592 000 000 (30 days).
    #[serde(default = "a_day")]
    pub ttl_ms: i64,
}

fn any_object() -> serde_json::Value {
    serde_json::json!({"type": "object"})
}
fn auto() -> Policy {
    Policy::Auto
}
fn side_effect() -> Effect {
    Effect::SideEffect
}
fn a_day() -> i64 {
    86_400_000
}

impl Tool {
    /// What the model calls it.
    pub fn name(&self) -> &str {
        match self {
            Tool::Client(tool) => &tool.name,
        }
    }

    /// `client`.
    pub fn kind(&self) -> &'static str {
        match self {
            Tool::Client(_) => "client",
        }
    }

    /// What it is for.
    pub fn description(&self) -> Option<&str> {
        match self {
            Tool::Client(tool) => tool.description.as_deref(),
        }
    }

    /// The schema of its arguments.
    pub fn parameters(&self) -> &serde_json::Value {
        match self {
            Tool::Client(tool) => &tool.parameters,
        }
    }

    /// Whether it is carried out.
    pub fn policy(&self) -> Policy {
        match self {
            Tool::Client(tool) => tool.policy,
        }
    }

    /// What its arguments change about that.
    pub fn policy_rules(&self) -> &[PolicyRule] {
        match self {
            Tool::Client(tool) => &tool.policy_rules,
        }
    }

    /// How long an answer of the tenant's application is waited for, if that is who answers.
    pub fn ttl_ms(&self) -> Option<i64> {
        match self {
            Tool::Client(tool) => Some(tool.ttl_ms),
        }
    }

    /// Whether a person may be asked.
    pub fn may_ask(&self) -> bool {
        may_ask(self.policy(), self.policy_rules())
    }

    /// Whether the model is told of it.
    pub fn is_offered(&self) -> bool {
        may_permit(self.policy(), self.policy_rules())
    }

    /// What a second call would do.
    pub fn effect(&self) -> Effect {
        match self {
            Tool::Client(tool) => tool.effect,
        }
    }

    fn check(&self, at: &str) -> Result<(), Problem> {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let name = self.name();
        if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
            return Err(Problem::invalid(format!("{at}/name"), "must match [a-zA-Z0-9_-]{1,64}"));
        }
        if let Some(description) = self.description() {
            check_words(&format!("{at}/description"), description, 4096)?;
        }
        let parameters = self.parameters();
        if parameters.get("type").and_then(serde_json::Value::as_str) != Some("object") {
            let words = "must be a JSON Schema with \"type\":\"object\"";
            return Err(Problem::invalid(format!("{at}/parameters"), words));
        }
        if parameters.to_string().len() > MAX_SCHEMA_BYTES || holds_nul(parameters) {
            let words = "must be at most 65536 bytes, without NUL characters";
            return Err(Problem::invalid(format!("{at}/parameters"), words));
        }
        check_rules(&format!("{at}/policy_rules"), self.policy_rules())?;
        match self {
            Tool::Client(tool) if !(1_000..=2_592_000_000).contains(&tool.ttl_ms) => {
                Err(Problem::invalid(format!("{at}/ttl_ms"), "must be 1000 to 2592000000"))
            }
            Tool::Client(_) => Ok(()),
        }
    }
}

/// Whether these tools can be one agent's.
///
/// # Errors
/// What is wrong with which.
pub fn check_tools(tools: &[Tool]) -> Result<(), Problem> {
    if tools.len() > MAX_TOOLS {
        return Err(Problem::invalid("/tools", format!("must hold at most {MAX_TOOLS} tools")));
    }
    for (i, tool) in tools.iter().enumerate() {
        tool.check(&format!("/tools/{i}"))?;
        if tools[..i].iter().any(|other| other.name() == tool.name()) {
            return Err(Problem::invalid(format!("/tools/{i}/name"), "another tool of this agent has that name"));
        }
    }
    Ok(())
}

/// What the tenant's application answers to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolOutput {
    /// The call.
    pub call: CallId,
    /// Any JSON of at most 128 KiB; `null` with `error`.
    #[serde(default)]
    pub output: Option<serde_json::Value>,
    /// What went wrong, in words for the model; at most 4096 characters.
    #[serde(default)]
    pub error: Option<String>,
}

/// Answers to several calls of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolOutputs {
    /// 1 to 128; all of them are taken, or none.
    pub tool_outputs: Vec<ToolOutput>,
}

/// The answer to the call that the path names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallResult {
    /// Any JSON of at most 128 KiB; `null` with `error`.
    #[serde(default)]
    pub output: Option<serde_json::Value>,
    /// What went wrong, in words for the model; at most 4096 characters.
    #[serde(default)]
    pub error: Option<String>,
}
