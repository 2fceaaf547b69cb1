//! Runs, their snapshots, tickets and pages of events.

use serde::{Deserialize, Serialize};

use super::{
    Fallback, Limits, OnBudget, OnConflict, OnDisconnect, OverrideField, Priority, ReasoningEffort, ResponseFormat,
    RunBudget, Tool, ToolChoice, check_tools,
};
use super::{check_external_id, check_metadata, present};
use crate::event::{Event, Pending, RunResult};
use crate::message::{Content, Message, Metadata};
use crate::{AgentId, CallId, MessageId, Money, Problem, RunId, ScheduleId, ThreadId, Timestamp, Usage, UserId};

/// How far ahead a run may be asked for.
const MAX_AHEAD_MS: i64 = 366 * 86_400_000;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Accepted, not begun: delayed, or behind another run.
    Queued,
    /// The loop runs.
    Running,
    /// It waits for a person, or for a run of another agent.
    Suspended,
    /// Terminal.
    Completed,
    /// Terminal.
    Failed,
    /// Terminal.
    Cancelled,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [RunStatus; 6] =
        [Self::Queued, Self::Running, Self::Suspended, Self::Completed, Self::Failed, Self::Cancelled];

    /// As JSON and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads what [`RunStatus::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nothing will ever happen again.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled => true,
            Self::Queued | Self::Running | Self::Suspended => false,
        }
    }
}

/// What made a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunSource {
    /// `api`; `run`: it carries out a call of another run; or `schedule`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The run or the schedule that made it.
    pub id: Option<String>,
    /// The call that it carries out.
    pub call: Option<CallId>,
}

impl RunSource {
    /// Somebody who asked for it.
    pub fn api() -> Self {
        Self { kind: "api".into(), id: None, call: None }
    }

    /// A call of another run.
    pub fn call(parent: RunId, call: CallId) -> Self {
        Self { kind: "run".into(), id: Some(parent.to_string()), call: Some(call) }
    }

    /// A schedule.
    pub fn schedule(schedule: ScheduleId) -> Self {
        Self { kind: "schedule".into(), id: Some(schedule.to_string()), call: None }
    }

    /// The run that made it, if one did.
    pub fn parent(&self) -> Option<RunId> {
        self.id.as_deref().filter(|_| self.kind == "run").and_then(|id| id.parse().ok())
    }
}

/// One execution of an agent on a thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Always `run`.
    pub object: String,
    /// The thread it writes to.
    pub thread: ThreadId,
    /// Whose it is.
    pub user: UserId,
    /// The agent.
    pub agent: AgentId,
    /// The version of its configuration.
    pub agent_version: i32,
    /// The model it was told to use.
    pub model: String,
    /// The tenant's own id for it.
    pub external_id: Option<String>,
    /// Where it stands.
    pub status: RunStatus,
    /// The last event of its log when this was read.
    pub as_of_seq: u64,
    /// What it was asked.
    pub input_messages: Vec<MessageId>,
    /// What made it.
    pub source: RunSource,
    /// How many owners it has had.
    pub attempt: i32,
    /// Model calls that completed a step.
    pub steps: i32,
    /// Which runs go first.
    pub priority: Priority,
    /// What it did on a busy thread.
    pub on_conflict: OnConflict,
    /// What happens when the last reader has gone.
    pub on_disconnect: OnDisconnect,
    /// Not before then.
    pub run_at: Option<Timestamp>,
    /// Behind this run.
    pub after_run: Option<RunId>,
    /// What it came to.
    pub result: Option<RunResult>,
    /// Why it failed.
    pub error: Option<Problem>,
    /// Tokens so far.
    pub usage: Usage,
    /// Money so far; `null` when a call had no price, or the reader may not see it.
    pub cost: Option<Money>,
    /// Whether some call's usage was proven only in part.
    pub cost_estimated: bool,
    /// The tenant's own pairs.
    pub metadata: Metadata,
    /// Where its events are.
    pub events_url: String,
    /// When somebody asked for its end.
    pub cancel_requested_at: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its loop began.
    pub started_at: Option<Timestamp>,
    /// Since when it waits.
    pub suspended_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A run with its messages, exactly as of `as_of_seq`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunSnapshot {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// Its messages, partial text included.
    pub messages: Vec<Message>,
    /// What it waits for.
    pub pending: Vec<Pending>,
}

/// What a run may set otherwise than its agent. `null` is the default, as everywhere.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[expect(missing_docs, reason = "as the fields of AgentConfig of the same names")]
pub struct Overrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Vec<Fallback>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_budget: Option<RunBudget>,
    /// Not among [`Overrides::fields`]: it is everybody's to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_budget: Option<OnBudget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Beside the agent's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
}

impl Overrides {
    /// Which fields are set.
    pub fn fields(&self) -> Vec<(OverrideField, &'static str)> {
        use OverrideField as F;
        [
            (self.model.is_some(), F::Model, "model"),
            (self.fallbacks.is_some(), F::Fallbacks, "fallbacks"),
            (self.instructions.is_some(), F::Instructions, "instructions"),
            (self.temperature.is_some(), F::Temperature, "temperature"),
            (self.top_p.is_some(), F::TopP, "top_p"),
            (self.max_output_tokens.is_some(), F::MaxOutputTokens, "max_output_tokens"),
            (self.stop.is_some(), F::Stop, "stop"),
            (self.seed.is_some(), F::Seed, "seed"),
            (self.reasoning_effort.is_some(), F::ReasoningEffort, "reasoning_effort"),
            (self.response_format.is_some(), F::ResponseFormat, "response_format"),
            (self.limits.is_some(), F::Limits, "limits"),
            (self.run_budget.is_some(), F::RunBudget, "run_budget"),
            (self.priority.is_some(), F::Priority, "priority"),
            (self.tools.is_some(), F::Tools, "tools"),
            (self.tool_choice.is_some(), F::ToolChoice, "tool_choice"),
        ]
        .into_iter()
        .filter_map(|(set, field, name)| set.then_some((field, name)))
        .collect()
    }
}

/// A thread made on the way.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InlineThread {
    /// The tenant's own id for it.
    pub external_id: Option<String>,
    /// Own pairs.
    pub metadata: Metadata,
}

/// Asks an agent something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the overrides are documented on AgentConfig")]
pub struct RunParams {
    /// Id or name.
    pub agent: String,
    /// A string or parts.
    pub input: Content,
    /// Only on `POST /v1/runs`: the new thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<InlineThread>,
    /// A version other than the active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<i32>,
    /// The tenant's own id for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Own pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Not before then, within 366 days; what is past means now. Until it is due the run has no place in its thread: nothing
    /// waits behind it, `on_conflict` means nothing, and what its model sees is the thread as it is then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
    /// `reject` or `enqueue`; as the agent says unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<OnConflict>,
    /// `continue`; as the agent says unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disconnect: Option<OnDisconnect>,
    /// For `grace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disconnect_grace_ms: Option<i64>,
    /// What happens when the budget is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_budget: Option<OnBudget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Vec<Fallback>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_budget: Option<RunBudget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
}

impl RunParams {
    /// The plainest request: this agent, this input.
    pub fn new(agent: impl Into<String>, input: impl Into<String>) -> Self {
        serde_json::from_value(serde_json::json!({ "agent": agent.into(), "input": input.into() }))
            .expect("all else has a default")
    }

    /// The fields that replace the agent's own.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            model: self.model.clone(),
            fallbacks: self.fallbacks.clone(),
            instructions: self.instructions.clone(),
            temperature: self.temperature,
            top_p: self.top_p,
            max_output_tokens: self.max_output_tokens,
            stop: self.stop.clone(),
            seed: self.seed,
            reasoning_effort: self.reasoning_effort,
            response_format: self.response_format.clone(),
            limits: self.limits.clone(),
            run_budget: self.run_budget,
            on_budget: self.on_budget,
            priority: self.priority,
            tools: self.tools.clone(),
            tool_choice: self.tool_choice,
        }
    }

    /// Whether the fields that are not the agent's are within their bounds and built in this release.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(id) = &self.external_id {
            check_external_id("/external_id", id)?;
        }
        if let Some(metadata) = &self.metadata {
            check_metadata(metadata)?;
        }
        if let Some(thread) = &self.thread {
            if let Some(id) = &thread.external_id {
                check_external_id("/thread/external_id", id)?;
            }
            check_metadata(&thread.metadata)?;
        }
        if self.run_at.is_some_and(|at| at.ms() - Timestamp::now().ms() > MAX_AHEAD_MS) {
            return Err(Problem::invalid("/run_at", "must be within 366 days from now"));
        }
        if let Some(tools) = &self.tools {
            // What this server does itself is the agent's author to say.
            if let Some(at) = tools.iter().position(|tool| !matches!(tool, Tool::Client(_))) {
                return Err(Problem::invalid(format!("/tools/{at}/type"), "must be client"));
            }
            check_tools(tools)?;
        }
        Ok(())
    }
}

/// Asks for a run's end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CancelParams {
    /// For the record; at most 256 characters.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<Option<String>>,
}

/// A key to one run's events, for browsers' `EventSource`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ticket {
    /// Always `ticket`.
    pub object: String,
    /// `hw_rt_…`.
    pub ticket: String,
    /// The run.
    pub run: RunId,
    /// The events' URL, ticket included.
    pub events_url: String,
    /// First use must be before then.
    pub expires_at: Timestamp,
}

/// A page of a run's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventPage {
    /// Always `list`.
    pub object: String,
    /// The events, in order.
    pub data: Vec<Event>,
    /// Whether more are there already.
    pub has_more: bool,
    /// The last event of this page; give it as `after`.
    pub next_cursor: Option<String>,
    /// The first seq from which nothing is missing.
    pub earliest: u64,
    /// The last event of the log.
    pub tail: u64,
    /// Whether deltas have been dropped.
    pub compacted: bool,
    /// Where the run stands.
    pub status: RunStatus,
}
