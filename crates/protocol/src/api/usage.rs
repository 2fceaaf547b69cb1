//! What was used and what it cost.

use serde::{Deserialize, Serialize};

use crate::{AgentId, ModelCallId, Money, RunId, ScheduleId, Timestamp, Usage, UserId};

/// One line of `GET /v1/usage`. A dimension that is not grouped by is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageGroup {
    /// A day in UTC.
    pub day: Option<String>,
    /// A user.
    pub user: Option<UserId>,
    /// An agent.
    pub agent: Option<AgentId>,
    /// A model.
    pub model: Option<String>,
    /// Runs that made calls.
    pub runs: i64,
    /// Model calls.
    pub calls: i64,
    /// Their tokens.
    pub usage: Usage,
    /// Their cost; `null` when one of them had no price.
    pub cost: Option<Money>,
    /// What was expected before.
    pub estimated_cost: Option<Money>,
    /// How far that was off; `null` where nothing was spent.
    pub estimate_error_percent: Option<f64>,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageCall {
    /// Always `usage.call`.
    pub object: String,
    /// The call.
    pub model_call: ModelCallId,
    /// Its run.
    pub run: RunId,
    /// Its step.
    pub step: i32,
    /// Whose it was.
    pub user: UserId,
    /// Whose call it was.
    pub agent: AgentId,
    /// The schedule that made the run; `null` too where the run is not kept any more.
    pub schedule: Option<ScheduleId>,
    /// The model that answered.
    pub model: String,
    /// Its tokens.
    pub usage: Usage,
    /// Its cost; `null` when the model has no price.
    pub cost: Option<Money>,
    /// Whether the usage was proven only in part.
    pub estimated: bool,
    /// When it was settled.
    pub settled_at: Timestamp,
}
