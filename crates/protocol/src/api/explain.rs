//! Why a run waits, and what it did cost.

use serde::{Deserialize, Serialize};

use crate::{BudgetId, ModelCallId, Money, Problem, RunId, Timestamp, Usage};

/// What a run waits for and what was spent on it, from the records that also stop and bill it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunExplanation {
    /// Always `run.explanation`.
    pub object: String,
    /// The run.
    pub run: RunId,
    /// What it waits for; `null` when it works or is over.
    pub waiting: Option<Waiting>,
    /// Its settled model calls in their order, at most the last 1000. Runs of other agents that carry out its tool calls have
    /// explanations of their own.
    pub calls: Vec<ExplainedCall>,
    /// Budgets that cover its calls, hard and soft. Users are told of none.
    pub budgets: Vec<BudgetId>,
    /// The run's usage, runs that carry out its calls included.
    pub usage: Usage,
    /// The run's cost, the same included; `null` when a call had no price.
    pub cost: Option<Money>,
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Waiting {
    /// `concurrency`: its turn, in a process or among a provider's calls. `provider`: a pause that the provider asked for.
    /// `budget`: money that other calls have set aside, or, of a run that is suspended, more of it. `run_at`: its time.
    /// `thread_busy`: the thread's run before it. `approval`, `input`, `sub_run`: what `pending` of the run says.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// For how much longer, in milliseconds, where that can be told.
    pub predicted_ms: Option<u64>,
    /// How many calls are before its own, this one counted, where it waits for its turn at a provider.
    pub queue_pos: Option<u32>,
    /// The approval, tool call or run that it waits for.
    pub blocked_by: Option<String>,
}

/// A model call of a run, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExplainedCall {
    /// The call.
    pub model_call: ModelCallId,
    /// Its step.
    pub step: i32,
    /// Counts the attempts of the call from 1.
    pub attempt: i32,
    /// The model that answered.
    pub model: String,
    /// `completed`, `failed`, `cancelled`, or `reset` when its process was lost and the step was done again.
    pub outcome: String,
    /// How long it waited for its turn.
    pub queued_ms: i64,
    /// From sending to the first delta; `null` without one.
    pub first_token_ms: Option<i64>,
    /// From sending to the end.
    pub duration_ms: i64,
    /// Its tokens.
    pub usage: Usage,
    /// What it was expected to cost.
    pub expected: Option<Money>,
    /// The most that it could cost: what was set aside, where a budget covers it.
    pub reserve: Option<Money>,
    /// What it did cost; `null` when the model has no price.
    pub cost: Option<Money>,
    /// Whether the usage was proven only in part.
    pub estimated: bool,
    /// What went wrong, of a call that failed.
    pub error: Option<Problem>,
}
