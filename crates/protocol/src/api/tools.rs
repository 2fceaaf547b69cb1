//! What an agent can call.
//!
//! Owns the shapes of tools and the checks that need no other data. Whether a schema is one is for whoever compiles it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::check_rules;
use super::{Policy, PolicyRule, may_ask};
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

/// How long a value is once Postgres has stored it: numbers are written out there, and `1e308` has 309 digits.
pub fn stored_len(value: &Value) -> usize {
    fn extra(value: &Value) -> usize {
        match value {
            Value::Number(number) if number.is_f64() => match number.as_f64() {
                Some(float) if float != 0.0 && !(1e-7..1e21).contains(&float.abs()) => {
                    float.abs().log10().abs() as usize
                }
                _ => 0,
            },
            Value::Array(items) => items.iter().map(extra).sum(),
            Value::Object(members) => members.values().map(extra).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }
    value.to_string().len() + extra(value)
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

/// A tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    /// The tenant's app, or the browser, runs it: the run waits until the answer is sent.
    Client(ClientTool),
    /// An HTTP endpoint that this server calls.
    Http(HttpTool),
    /// Tools of an MCP server.
    Mcp(McpTools),
    /// Another agent of the tenant.
    Agent(AgentTool),
    /// Something that this server does itself.
    Builtin(BuiltinTool),
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
    pub parameters: Value,
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

/// An HTTP endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpTool {
    /// `[a-zA-Z0-9_-]{1,64}`, unique in the agent.
    pub name: String,
    /// For the model; at most 4096 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// JSON Schema of its arguments, an object; at most 64 KiB.
    #[serde(default = "any_object")]
    pub parameters: Value,
    /// Whether it is carried out.
    #[serde(default = "auto")]
    pub policy: Policy,
    /// What its arguments change about that: the first rule that matches; at most 32.
    #[serde(default)]
    pub policy_rules: Vec<PolicyRule>,
    /// What a second call would do.
    #[serde(default = "side_effect")]
    pub effect: Effect,
    /// For the whole call: 100 to 600 000.
    #[serde(default = "half_a_minute")]
    pub timeout_ms: i64,
    /// How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`.
    #[serde(default)]
    pub max_result_bytes: Option<i64>,
    /// Arguments that are always these: the model neither sees nor sets them.
    #[serde(default)]
    pub defaults: BTreeMap<String, Value>,
    /// What is sent.
    pub request: HttpRequest,
    /// JSON Schema that an answer has to satisfy; `null` = any.
    #[serde(default)]
    pub output_schema: Option<Value>,
}

/// What is sent to an endpoint. `{{args.NAME}}`, `{{secret.NAME}}`, `{{user.id}}`, `{{user.external_id}}`, `{{run.id}}`,
/// `{{thread.id}}` and `{{call.id}}` are filled in, each escaped for its place; scheme, host and port hold none of them, and a
/// secret stands in headers, query and body alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// How.
    pub method: Method,
    /// Where; at most 2048 bytes.
    pub url: String,
    /// At most 32.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// At most 32. One whose only template has no value is left out.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// JSON; a string that is one template and nothing else becomes the value itself. `null` = no body.
    #[serde(default)]
    pub body: Option<Value>,
}

/// How an endpoint is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Does something.
    Post,
    /// Puts something in its place.
    Put,
    /// Changes something.
    Patch,
    /// Removes something.
    Delete,
}

/// Tools of an MCP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct McpTools {
    /// The server's name, or its id.
    pub server: String,
    /// Which of its tools, by the names it gives them; at most 128. `null` = all that it has.
    #[serde(default)]
    pub allowed_tools: Option<Vec<String>>,
    /// Whether they are carried out.
    #[serde(default = "auto")]
    pub policy: Policy,
    /// What their arguments change about that: the first rule that matches; at most 32.
    #[serde(default)]
    pub policy_rules: Vec<PolicyRule>,
    /// What a second call would do. What the server says of that is a hint and changes nothing.
    #[serde(default = "side_effect")]
    pub effect: Effect,
    /// For each whole call: 100 to 600 000.
    #[serde(default = "half_a_minute")]
    pub timeout_ms: i64,
    /// How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`.
    #[serde(default)]
    pub max_result_bytes: Option<i64>,
    /// What is different about single tools, by the names the server gives them; at most 128.
    #[serde(default)]
    pub overrides: BTreeMap<String, McpOverride>,
}

/// What is different about one tool of an MCP server. What is absent or `null` is as for all of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpOverride {
    /// What the model calls it: `[a-zA-Z0-9_-]{1,64}`.
    pub rename: Option<String>,
    /// What a second call would do.
    pub effect: Option<Effect>,
    /// Whether it is carried out.
    pub policy: Option<Policy>,
    /// What its arguments change about that.
    pub policy_rules: Option<Vec<PolicyRule>>,
    /// Arguments that are always these: the model neither sees nor sets them.
    pub defaults: Option<BTreeMap<String, Value>>,
    /// For the whole call.
    pub timeout_ms: Option<i64>,
}

/// Another agent, which works on what it is told in a run and a thread of its own. The run that calls it waits, suspended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentTool {
    /// `[a-zA-Z0-9_-]{1,64}`, unique in the agent.
    pub name: String,
    /// The agent's name, or its id. Its active version answers, as of the call.
    pub agent: String,
    /// For the model; at most 4096 characters. `null` = in the product's words.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether it is carried out.
    #[serde(default = "auto")]
    pub policy: Policy,
    /// What its arguments change about that: the first rule that matches; at most 32.
    #[serde(default)]
    pub policy_rules: Vec<PolicyRule>,
    /// How deep runs may call runs by this tool: 1 to 8. A run that was called so often itself is not offered it.
    #[serde(default = "two")]
    pub max_depth: i32,
    /// How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`.
    #[serde(default)]
    pub max_result_bytes: Option<i64>,
}

words! {
    /// What this server does itself.
    Builtin {
        /// Remembers things of the user, across threads: the four tools `memory_get`, `memory_set`, `memory_list` and
        /// `memory_delete`.
        Memory,
        /// Tells the time: the tool `time`.
        Time,
    }
}

/// A tool of this server's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BuiltinTool {
    /// Which.
    pub name: Builtin,
    /// Whether it is carried out.
    #[serde(default = "auto")]
    pub policy: Policy,
    /// What its arguments change about that: the first rule that matches; at most 32.
    #[serde(default)]
    pub policy_rules: Vec<PolicyRule>,
}

fn any_object() -> Value {
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
fn half_a_minute() -> i64 {
    30_000
}
fn two() -> i32 {
    2
}

impl Tool {
    /// What the model can call by it.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Tool::Client(tool) => vec![&tool.name],
            Tool::Http(tool) => vec![&tool.name],
            Tool::Agent(tool) => vec![&tool.name],
            // Its server has the last word about that.
            Tool::Mcp(tools) => tools.overrides.values().filter_map(|tool| tool.rename.as_deref()).collect(),
            Tool::Builtin(tool) => match tool.name {
                Builtin::Memory => vec!["memory_get", "memory_set", "memory_list", "memory_delete"],
                Builtin::Time => vec!["time"],
            },
        }
    }

    fn policies(&self) -> Vec<(Policy, &[PolicyRule])> {
        match self {
            Tool::Client(tool) => vec![(tool.policy, &tool.policy_rules)],
            Tool::Http(tool) => vec![(tool.policy, &tool.policy_rules)],
            Tool::Agent(tool) => vec![(tool.policy, &tool.policy_rules)],
            Tool::Builtin(tool) => vec![(tool.policy, &tool.policy_rules)],
            Tool::Mcp(tools) => {
                let of = |tool: &'_ McpOverride| tool.policy.unwrap_or(tools.policy);
                let overridden = tools
                    .overrides
                    .values()
                    .map(|tool| (of(tool), tool.policy_rules.as_deref().unwrap_or(&tools.policy_rules)));
                std::iter::once((tools.policy, tools.policy_rules.as_slice())).chain(overridden).collect()
            }
        }
    }

    /// Whether a person may be asked.
    pub fn may_ask(&self) -> bool {
        self.policies().into_iter().any(|(policy, rules)| may_ask(policy, rules))
    }

    /// The schemas that a tenant has written, and where they stand.
    pub fn schemas(&self) -> Vec<(&'static str, &Value)> {
        match self {
            Tool::Client(tool) => vec![("parameters", &tool.parameters)],
            Tool::Http(tool) => {
                let output = tool.output_schema.as_ref().map(|schema| ("output_schema", schema));
                std::iter::once(("parameters", &tool.parameters)).chain(output).collect()
            }
            Tool::Mcp(_) | Tool::Agent(_) | Tool::Builtin(_) => Vec::new(),
        }
    }

    fn check(&self, at: &str) -> Result<(), Problem> {
        for (_, rules) in self.policies() {
            check_rules(&format!("{at}/policy_rules"), rules)?;
        }
        let bounds = |name: &str, value: i64, low: i64, high: i64| {
            let words = || Problem::invalid(format!("{at}/{name}"), format!("must be {low} to {high}"));
            if (low..=high).contains(&value) { Ok(()) } else { Err(words()) }
        };
        match self {
            Tool::Client(tool) => {
                check_face(at, &tool.name, tool.description.as_deref(), &tool.parameters)?;
                bounds("ttl_ms", tool.ttl_ms, 1_000, 2_592_000_000)
            }
            Tool::Http(tool) => {
                check_face(at, &tool.name, tool.description.as_deref(), &tool.parameters)?;
                bounds("timeout_ms", tool.timeout_ms, 100, 600_000)?;
                bounds("max_result_bytes", tool.max_result_bytes.unwrap_or(1_024), 1_024, 262_144)?;
                let defaults = serde_json::to_value(&tool.defaults).unwrap_or_default();
                check_json(&format!("{at}/defaults"), &defaults)?;
                if let Some(schema) = &tool.output_schema {
                    check_json(&format!("{at}/output_schema"), schema)?;
                }
                tool.request.check(&format!("{at}/request"))
            }
            Tool::Mcp(tools) => {
                bounds("timeout_ms", tools.timeout_ms, 100, 600_000)?;
                bounds("max_result_bytes", tools.max_result_bytes.unwrap_or(1_024), 1_024, 262_144)?;
                let many = tools.overrides.len().max(tools.allowed_tools.as_ref().map_or(0, Vec::len));
                if many > MAX_TOOLS || tools.server.is_empty() || tools.server.len() > 64 {
                    return Err(Problem::invalid(at, format!("must name a server, and at most {MAX_TOOLS} tools")));
                }
                for (name, tool) in &tools.overrides {
                    let at = format!("overrides/{name}");
                    bounds(&format!("{at}/timeout_ms"), tool.timeout_ms.unwrap_or(100), 100, 600_000)?;
                }
                for (name, tool) in &tools.overrides {
                    let at = format!("{at}/overrides/{name}");
                    if let Some(rename) = &tool.rename {
                        check_tool_name(&format!("{at}/rename"), rename)?;
                    }
                    check_json(&format!("{at}/defaults"), &serde_json::to_value(&tool.defaults).unwrap_or_default())?;
                }
                let listed = tools.allowed_tools.iter().flatten().chain(tools.overrides.keys());
                for name in listed {
                    if name.is_empty() || name.len() > 256 || name.contains('\0') {
                        return Err(Problem::invalid(
                            format!("{at}/allowed_tools"),
                            "must hold names of 1 to 256 bytes",
                        ));
                    }
                }
                Ok(())
            }
            Tool::Agent(tool) => {
                check_tool_name(&format!("{at}/name"), &tool.name)?;
                if let Some(description) = &tool.description {
                    check_words(&format!("{at}/description"), description, 4096)?;
                }
                if tool.agent.is_empty() || tool.agent.len() > 64 || tool.agent.contains('\0') {
                    return Err(Problem::invalid(format!("{at}/agent"), "must be an agent's name or id"));
                }
                bounds("max_result_bytes", tool.max_result_bytes.unwrap_or(1_024), 1_024, 262_144)?;
                bounds("max_depth", tool.max_depth.into(), 1, 8)
            }
            Tool::Builtin(_) => Ok(()),
        }
    }
}

impl HttpRequest {
    fn check(&self, at: &str) -> Result<(), Problem> {
        if self.url.len() > 2048 || self.url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Problem::invalid(format!("{at}/url"), "must be at most 2048 bytes, without spaces"));
        }
        for (name, map) in [("headers", &self.headers), ("query", &self.query)] {
            if map.len() > 32 {
                return Err(Problem::invalid(format!("{at}/{name}"), "must hold at most 32"));
            }
            for (key, value) in map {
                if key.is_empty() || key.len() > 256 || value.len() > 4096 || holds_nul(&Value::String(value.clone())) {
                    let words = "must have a name of 1 to 256 bytes and a value of at most 4096, without NUL";
                    return Err(Problem::invalid(format!("{at}/{name}/{key}"), words));
                }
            }
        }
        check_json(&format!("{at}/body"), self.body.as_ref().unwrap_or(&Value::Null))
    }
}

/// JSON that a tenant has written into a tool.
pub(super) fn check_json(param: &str, value: &Value) -> Result<(), Problem> {
    if value.to_string().len() > MAX_SCHEMA_BYTES || holds_nul(value) {
        return Err(Problem::invalid(param, "must be at most 65536 bytes, without NUL characters"));
    }
    Ok(())
}

pub(super) fn check_tool_name(param: &str, name: &str) -> Result<(), Problem> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        return Err(Problem::invalid(param, "must match [a-zA-Z0-9_-]{1,64}"));
    }
    Ok(())
}

/// What the model sees of a tool.
fn check_face(at: &str, name: &str, description: Option<&str>, parameters: &Value) -> Result<(), Problem> {
    check_tool_name(&format!("{at}/name"), name)?;
    if let Some(description) = description {
        check_words(&format!("{at}/description"), description, 4096)?;
    }
    if parameters.get("type").and_then(Value::as_str) != Some("object") {
        let words = "must be a JSON Schema with \"type\":\"object\"";
        return Err(Problem::invalid(format!("{at}/parameters"), words));
    }
    check_json(&format!("{at}/parameters"), parameters)
}

/// Whether these tools can be one agent's.
///
/// # Errors
/// What is wrong with which.
pub fn check_tools(tools: &[Tool]) -> Result<(), Problem> {
    if tools.len() > MAX_TOOLS {
        return Err(Problem::invalid("/tools", format!("must hold at most {MAX_TOOLS} tools")));
    }
    let mut taken = std::collections::HashSet::new();
    for (i, tool) in tools.iter().enumerate() {
        tool.check(&format!("/tools/{i}"))?;
        for name in tool.names() {
            if !taken.insert(name) {
                let words = format!("another tool of this agent is called {name}");
                return Err(Problem::invalid(format!("/tools/{i}/name"), words));
            }
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
