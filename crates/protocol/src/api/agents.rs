//! Agents and their configuration.

use serde::{Deserialize, Serialize};

use super::tools::{check_json, check_tool_name};
use super::{Tool, check_name, check_tools};
use crate::event::Visibility;
use crate::message::Metadata;
use crate::{AgentId, ErrorCode, Money, Problem, Timestamp};

/// The largest instructions, in bytes.
pub const MAX_INSTRUCTIONS_BYTES: usize = 64 * 1024;

words! {
    /// How much a model should think.
    ReasoningEffort {
        /// Not at all.
        None,
        /// A little.
        Low,
        /// Some.
        Medium,
        /// A lot.
        High,
    }
    /// Whether the model calls tools.
    ToolChoice {
        /// As it likes.
        Auto,
        /// Never.
        None,
        /// It must.
        Required,
    }
    /// What happens when the thread does not fit the model's window.
    Truncation {
        /// The oldest whole runs leave the context first.
        Auto,
        /// The run fails with `context_length_exceeded`.
        Disabled,
    }
    /// What happens to a run whose budget is used up.
    OnBudget {
        /// It waits for a person.
        Suspend,
        /// It fails.
        Fail,
    }
    /// What a new run does while another one of its thread is not terminal.
    OnConflict {
        /// 409 `thread_busy`.
        Reject,
        /// It waits its turn.
        Enqueue,
        /// The active one is cancelled.
        Interrupt,
        /// The active one is cancelled and its messages leave the thread.
        Rollback,
        /// The input joins the active one.
        Steer,
    }
    /// What happens when the last reader has gone.
    OnDisconnect {
        /// Nothing.
        Continue,
        /// The run is cancelled.
        Cancel,
        /// The run is cancelled if none is back in time.
        Grace,
    }
    /// Which runs go first.
    Priority {
        /// Somebody waits for it.
        Interactive,
        /// Nobody does.
        Background,
    }
    /// A setting that user tokens may be allowed to set on a run.
    OverrideField {
        /// `model`
        Model,
        /// `fallbacks`
        Fallbacks,
        /// `instructions`
        Instructions,
        /// `temperature`
        Temperature,
        /// `top_p`
        TopP,
        /// `max_output_tokens`
        MaxOutputTokens,
        /// `stop`
        Stop,
        /// `seed`
        Seed,
        /// `reasoning_effort`
        ReasoningEffort,
        /// `response_format`
        ResponseFormat,
        /// `limits`, downwards only
        Limits,
        /// `run_budget`, downwards only
        RunBudget,
        /// `priority`
        Priority,
        /// `tools`: client tools, beside the agent's own
        Tools,
        /// `tool_choice`
        ToolChoice,
    }
}

/// Another model, for when the first one's provider fails before the first delta.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// `PROVIDER/model-id`.
    pub model: String,
    /// A limit of its own.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
}

/// What the answer has to look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ResponseFormat {
    /// Words.
    // With braces: serde looks for unknown fields in variants that could have some.
    Text {},
    /// JSON that a schema describes. An answer that does not fit is asked for once more, and then fails the run.
    JsonSchema {
        /// For the model: `[a-zA-Z0-9_-]{1,64}`.
        name: String,
        /// JSON Schema; at most 64 KiB.
        schema: serde_json::Value,
        /// Whether the provider is to hold the model to it, where it can.
        #[serde(default = "yes")]
        strict: bool,
    },
}

impl Default for ResponseFormat {
    fn default() -> Self {
        Self::Text {}
    }
}

impl ResponseFormat {
    fn check(&self) -> Result<(), Problem> {
        match self {
            ResponseFormat::Text {} => Ok(()),
            ResponseFormat::JsonSchema { name, schema, .. } => {
                check_tool_name("/response_format/name", name)?;
                check_json("/response_format/schema", schema)
            }
        }
    }
}

/// Bounds of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// 1 to 256. The last permitted step is sent without tools.
    pub max_steps: i32,
    /// 0 to 4096.
    pub max_tool_calls: i32,
    /// 1 to 64.
    pub max_parallel_tool_calls: i32,
    /// 1 000 to 86 400 000: active time, not suspension.
    pub max_duration_ms: i64,
    /// What the context may hold; `null` = what the model's window leaves.
    pub max_input_tokens: Option<u32>,
    /// 1 024 to 262 144.
    pub max_tool_result_bytes: i64,
    /// 1 to 20.
    pub max_attempts: i32,
    /// 0 to 600 000: the longest wait for a model permit.
    pub max_queue_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_steps: 16,
            max_tool_calls: 64,
            max_parallel_tool_calls: 8,
            max_duration_ms: 600_000,
            max_input_tokens: None,
            max_tool_result_bytes: 65_536,
            max_attempts: 5,
            max_queue_ms: 60_000,
        }
    }
}

/// How long the phases of a model call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect_ms: u64,
    /// Until the status line.
    pub headers_ms: u64,
    /// Until the first token.
    pub first_token_ms: u64,
    /// Between events.
    pub idle_ms: u64,
    /// In all.
    pub total_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_ms: 5_000, headers_ms: 30_000, first_token_ms: 60_000, idle_ms: 60_000, total_ms: 600_000 }
    }
}

/// A limit on the money of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunBudget {
    /// Hard.
    pub limit: Money,
}

impl RunBudget {
    /// Whether the limit can be one. `param`: where it stands.
    pub fn check(&self, param: &str) -> Result<(), Problem> {
        super::budgets::check_limit(param, self.limit)
    }
}

/// Who may approve, how long, and what silence means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalSettings {
    /// `user`, `tenant` or both. With none, an agent whose tools may ask somebody cannot be run.
    pub deciders: Vec<Decider>,
    /// 1 000 to 2 592 000 000 (30 days).
    pub ttl_ms: i64,
    /// What happens when nobody decided.
    pub on_expiry: OnExpiry,
}

words! {
    /// Who may decide.
    Decider {
        /// The thread's user.
        User,
        /// The tenant.
        Tenant,
    }
    /// What happens when nobody decided.
    OnExpiry {
        /// The call is denied and the model is told.
        Deny,
        /// The run is cancelled.
        Cancel,
    }
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self { deciders: vec![Decider::User, Decider::Tenant], ttl_ms: 86_400_000, on_expiry: OnExpiry::Deny }
    }
}

/// What an agent is, flat on the agent and on each of its versions. All but `model` optional.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// For people; at most 1024 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// `PROVIDER/model-id`.
    pub model: String,
    /// Other models, in order; at most 8.
    #[serde(default)]
    pub fallbacks: Vec<Fallback>,
    /// The system prompt; at most 64 KiB.
    #[serde(default)]
    pub instructions: Option<String>,
    /// 0 to 2; `null` = the provider's default.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Above 0, to 1.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// 1 to 1 000 000.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// At most 4.
    #[serde(default)]
    pub stop: Vec<String>,
    /// For providers that take one.
    #[serde(default)]
    pub seed: Option<i64>,
    /// `null` = the provider's default.
    #[serde(default)]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Whether the model calls tools.
    #[serde(default = "tool_choice_auto")]
    pub tool_choice: ToolChoice,
    /// Whether it may call several at once.
    #[serde(default = "yes")]
    pub parallel_tool_calls: bool,
    /// What the answer has to look like.
    #[serde(default)]
    pub response_format: ResponseFormat,
    /// What happens when the thread does not fit.
    #[serde(default = "truncation_auto")]
    pub truncation: Truncation,
    /// Whether the provider may cache the prompt.
    #[serde(default = "yes")]
    pub prompt_caching: bool,
    /// What it can call; at most 128.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Bounds of each run.
    #[serde(default)]
    pub limits: Limits,
    /// Bounds of each model call.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Hard limit of each run, those of agents that it calls included.
    #[serde(default)]
    pub run_budget: Option<RunBudget>,
    /// What happens to a run whose budget is used up.
    #[serde(default = "on_budget_suspend")]
    pub on_budget: OnBudget,
    /// What a new run does on a busy thread.
    #[serde(default = "on_conflict_enqueue")]
    pub on_conflict: OnConflict,
    /// What happens when the last reader has gone.
    #[serde(default = "on_disconnect_continue")]
    pub on_disconnect: OnDisconnect,
    /// For `grace`: 0 to 3 600 000.
    #[serde(default = "half_a_minute")]
    pub disconnect_grace_ms: i64,
    /// Which runs go first.
    #[serde(default = "priority_interactive")]
    pub priority: Priority,
    /// Who may approve.
    #[serde(default)]
    pub approvals: ApprovalSettings,
    /// What user tokens may set on a run.
    #[serde(default)]
    pub user_overrides: Vec<OverrideField>,
    /// What end users see.
    #[serde(default)]
    pub user_visibility: Visibility,
}

fn yes() -> bool {
    true
}
fn tool_choice_auto() -> ToolChoice {
    ToolChoice::Auto
}
fn truncation_auto() -> Truncation {
    Truncation::Auto
}
fn on_budget_suspend() -> OnBudget {
    OnBudget::Suspend
}
fn on_conflict_enqueue() -> OnConflict {
    OnConflict::Enqueue
}
fn on_disconnect_continue() -> OnDisconnect {
    OnDisconnect::Continue
}
fn half_a_minute() -> i64 {
    30_000
}
fn priority_interactive() -> Priority {
    Priority::Interactive
}

/// Splits `PROVIDER/model-id`. The model's id may itself hold slashes.
pub fn split_model(model: &str) -> Option<(&str, &str)> {
    let (provider, id) = model.split_once('/')?;
    let name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    let good = !provider.is_empty()
        && provider.bytes().all(name)
        && !id.is_empty()
        && model.len() <= 256
        && !id.chars().any(|c| c.is_control() || c.is_whitespace());
    good.then_some((provider, id))
}

pub(super) fn between<T: PartialOrd + std::fmt::Display>(
    param: &str,
    value: T,
    low: T,
    high: T,
) -> Result<(), Problem> {
    if value < low || value > high {
        return Err(Problem::invalid(param, format!("must be {low} to {high}")));
    }
    Ok(())
}

impl Limits {
    /// Whether all values are within their bounds.
    pub fn check(&self) -> Result<(), Problem> {
        between("/limits/max_steps", self.max_steps, 1, 256)?;
        between("/limits/max_tool_calls", self.max_tool_calls, 0, 4096)?;
        between("/limits/max_parallel_tool_calls", self.max_parallel_tool_calls, 1, 64)?;
        between("/limits/max_duration_ms", self.max_duration_ms, 1_000, 86_400_000)?;
        between("/limits/max_input_tokens", self.max_input_tokens.unwrap_or(1), 1, 10_000_000)?;
        between("/limits/max_tool_result_bytes", self.max_tool_result_bytes, 1_024, 262_144)?;
        between("/limits/max_attempts", self.max_attempts, 1, 20)?;
        between("/limits/max_queue_ms", self.max_queue_ms, 0, 600_000)
    }

    /// Whether each bound is at most that of `other`.
    pub fn is_within(&self, other: &Limits) -> bool {
        self.max_steps <= other.max_steps
            && self.max_tool_calls <= other.max_tool_calls
            && self.max_parallel_tool_calls <= other.max_parallel_tool_calls
            && self.max_duration_ms <= other.max_duration_ms
            && match (self.max_input_tokens, other.max_input_tokens) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(mine), Some(theirs)) => mine <= theirs,
            }
            && self.max_tool_result_bytes <= other.max_tool_result_bytes
            && self.max_attempts <= other.max_attempts
            && self.max_queue_ms <= other.max_queue_ms
    }
}

impl AgentConfig {
    /// A configuration with this model and every default.
    pub fn with_model(model: impl Into<String>) -> Self {
        serde_json::from_value(serde_json::json!({ "model": model.into() })).expect("all else has a default")
    }

    /// Whether a person may be asked about a call, while nobody is allowed to decide.
    pub fn asks_nobody(&self) -> bool {
        self.approvals.deciders.is_empty() && self.tools.iter().any(Tool::may_ask)
    }

    /// Whether all values are within their bounds.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(description) = &self.description {
            check_name("/description", description, 1024)?;
        }
        check_model("/model", &self.model)?;
        if self.fallbacks.len() > 8 {
            return Err(Problem::invalid("/fallbacks", "must hold at most 8 models"));
        }
        for (i, fallback) in self.fallbacks.iter().enumerate() {
            check_model(&format!("/fallbacks/{i}/model"), &fallback.model)?;
            between(
                &format!("/fallbacks/{i}/max_output_tokens"),
                fallback.max_output_tokens.unwrap_or(1),
                1,
                1_000_000,
            )?;
        }
        if let Some(instructions) = &self.instructions {
            if instructions.len() > MAX_INSTRUCTIONS_BYTES {
                return Err(Problem::invalid("/instructions", "must be at most 65536 bytes"));
            }
            if instructions.contains('\0') {
                return Err(Problem::invalid("/instructions", "must not contain NUL characters"));
            }
        }
        between("/temperature", self.temperature.unwrap_or(0.0), 0.0, 2.0)?;
        if self.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            return Err(Problem::invalid("/top_p", "must be above 0 and at most 1"));
        }
        between("/max_output_tokens", self.max_output_tokens.unwrap_or(1), 1, 1_000_000)?;
        if self.stop.len() > 4 || self.stop.iter().any(|s| s.is_empty() || s.len() > 256 || s.contains('\0')) {
            return Err(Problem::invalid("/stop", "must hold at most 4 strings of 1 to 256 bytes"));
        }
        check_tools(&self.tools)?;
        self.response_format.check()?;
        if !self.user_visibility.messages {
            return Err(Problem::invalid("/user_visibility/messages", "is not for agents to set"));
        }
        if let Some(budget) = self.run_budget {
            budget.check("/run_budget/limit")?;
        }
        self.limits.check()?;
        for (name, value) in [
            ("connect_ms", self.timeouts.connect_ms),
            ("headers_ms", self.timeouts.headers_ms),
            ("first_token_ms", self.timeouts.first_token_ms),
            ("idle_ms", self.timeouts.idle_ms),
            ("total_ms", self.timeouts.total_ms),
        ] {
            between(&format!("/timeouts/{name}"), value, 1, 3_600_000)?;
        }
        between("/disconnect_grace_ms", self.disconnect_grace_ms, 0, 3_600_000)?;
        between("/approvals/ttl_ms", self.approvals.ttl_ms, 1_000, 2_592_000_000)
    }
}

fn check_model(param: &str, model: &str) -> Result<(), Problem> {
    match split_model(model) {
        Some(_) => Ok(()),
        None => Err(Problem::invalid(param, "must be PROVIDER/model-id, such as openai/gpt-5-mini")),
    }
}

/// Checks an agent's name: `[a-z0-9][a-z0-9_-]{0,63}`.
pub fn check_agent_name(name: &str) -> Result<(), Problem> {
    let first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let rest = |b: &u8| first(b) || matches!(b, b'_' | b'-');
    let bytes = name.as_bytes();
    let good = bytes.len() <= 64 && bytes.first().is_some_and(first) && bytes.iter().all(rest);
    // A name in a path must never be taken for an id.
    if !good || name.starts_with("agt_") {
        return Err(Problem::invalid("/name", "must match [a-z0-9][a-z0-9_-]{0,63} and not begin with agt_"));
    }
    Ok(())
}

/// An agent with its configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Always `agent`.
    pub object: String,
    /// Unique in the tenant.
    pub name: String,
    /// The version that is shown.
    pub version: i32,
    /// The version that new runs use.
    pub active_version: i32,
    /// What it is.
    #[serde(flatten)]
    pub config: AgentConfig,
    /// The tenant's own pairs.
    pub metadata: Metadata,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An agent as end users see it: never its instructions or tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AgentSummary {
    /// Its id.
    pub id: AgentId,
    /// Always `agent`.
    pub object: String,
    /// Unique in the tenant.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The tenant's own pairs.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<Agent> for AgentSummary {
    fn from(agent: Agent) -> Self {
        Self {
            id: agent.id,
            object: agent.object,
            name: agent.name,
            description: agent.config.description,
            metadata: agent.metadata,
            created_at: agent.created_at,
        }
    }
}

/// A model that agents can use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Model {
    /// `PROVIDER/model-id`.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// The provider's name in the configuration.
    pub provider: String,
    /// `text`, `image`.
    pub input_modalities: Vec<String>,
    /// Tokens that fit, if known.
    pub context_window: Option<u32>,
    /// Tokens it can answer, if known.
    pub max_output_tokens: Option<u32>,
    /// What it costs; `null` when unknown.
    pub price: Option<ModelPrice>,
    /// Whose key is used: `platform` or `tenant`.
    pub key: String,
}

/// Prices per token, in pico-dollars (10⁻¹² USD).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// A token that goes in.
    pub input_pico_usd: u64,
    /// A token read from the provider's cache; `null` = as `input`.
    #[serde(default)]
    pub cached_input_pico_usd: Option<u64>,
    /// A token written to the provider's cache; `null` = as `input`.
    #[serde(default)]
    pub cache_write_pico_usd: Option<u64>,
    /// A token that comes out.
    pub output_pico_usd: u64,
}

/// Splits a request's body into the agent's own fields and its configuration.
pub struct AgentBody {
    /// The `name` member, if there.
    pub name: Option<String>,
    /// The `metadata` member, if there.
    pub metadata: Option<serde_json::Value>,
    /// All other members.
    pub config: serde_json::Map<String, serde_json::Value>,
}

impl AgentBody {
    /// Splits it; anything but an object, or a name that is no string, is refused.
    pub fn split(body: serde_json::Value) -> Result<Self, Problem> {
        let serde_json::Value::Object(mut config) = body else {
            return Err(Problem::new(ErrorCode::InvalidValue, "the body must be an object"));
        };
        let name = match config.remove("name") {
            None | Some(serde_json::Value::Null) => None,
            Some(serde_json::Value::String(name)) => Some(name),
            Some(_) => return Err(Problem::invalid("/name", "must be a string")),
        };
        let metadata = config.remove("metadata");
        Ok(Self { name, metadata, config })
    }
}
