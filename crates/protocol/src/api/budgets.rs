//! Budgets: how much money calls of models may cost, and what was spent of it.

use serde::{Deserialize, Serialize};

use super::agents::between;
use crate::{BudgetId, Money, Problem, Timestamp, UserId};

/// Budgets of one tenant, those of its operator included.
pub const MAX_BUDGETS: i64 = 1000;

words! {
    /// Who may change a budget. The tenant sees its operator's.
    BudgetOwner {
        /// The platform that the tenant is a customer of.
        Operator,
        /// The tenant.
        Tenant,
    }
    /// Whose calls a budget covers.
    BudgetScopeType {
        /// All of the tenant's.
        Tenant,
        /// One user's.
        User,
        /// Every user's, each of whom has a counter of its own.
        EachUser,
        /// One agent's.
        Agent,
    }
    /// What happens when it is used up.
    BudgetMode {
        /// No call is made that it cannot pay for.
        Hard,
        /// Runs are told so.
        Soft,
    }
    /// What the limit is for, in UTC.
    BudgetWindow {
        /// Each day.
        Day,
        /// Each month.
        Month,
        /// All time.
        Total,
    }
    /// How much is left.
    BudgetStatus {
        /// Less was spent than it warns at.
        Ok,
        /// More than that.
        Warning,
        /// All of it, or more.
        Exhausted,
    }
}

impl BudgetWindow {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

/// Whose calls a budget covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetScope {
    /// The kind.
    pub r#type: BudgetScopeType,
    /// The user (`usr_…`) or agent (`agt_…`); `null` for `tenant` and `each_user`.
    #[serde(default)]
    pub id: Option<String>,
}

/// A limit on money. A call must pass every budget that covers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// Always `budget`.
    pub object: String,
    /// Who may change it.
    pub owner: BudgetOwner,
    /// Whether it comes with the tenant's plan, and is changed there.
    pub of_plan: bool,
    /// Whose calls it covers.
    pub scope: BudgetScope,
    /// What happens when it is used up.
    pub mode: BudgetMode,
    /// Whether a call is taken to cost what its bytes could cost at most, where the model's vocabulary is not public.
    pub strict: bool,
    /// What the limit is for.
    pub window: BudgetWindow,
    /// How much may be spent in each window.
    pub limit: Money,
    /// From which part of the limit on runs are told, in percent.
    pub warn_at_percent: i32,
    /// Whose counter the amounts are, where every user has one.
    pub user: Option<UserId>,
    /// What was spent in this window. `null` for `each_user`, unless `?user=` asks for one.
    pub spent: Option<Money>,
    /// What is set aside for calls that are under way.
    pub reserved: Option<Money>,
    /// The limit without what was spent. Below zero where calls cost more than could be known: a debt is kept.
    pub remaining: Option<Money>,
    /// How much is left.
    pub status: Option<BudgetStatus>,
    /// When the next window begins.
    pub resets_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a new budget is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetParams {
    /// Whose calls it covers.
    pub scope: BudgetScope,
    /// What happens when it is used up: `hard` if not given.
    #[serde(default = "hard")]
    pub mode: BudgetMode,
    /// Whether a call is taken to cost what its bytes could cost at most.
    #[serde(default)]
    pub strict: bool,
    /// What the limit is for: `month` if not given.
    #[serde(default = "month")]
    pub window: BudgetWindow,
    /// How much may be spent in each window.
    pub limit: Money,
    /// From which part of the limit on runs are told: 1 to 100, 80 if not given.
    #[serde(default = "most_of_it")]
    pub warn_at_percent: i32,
}

fn hard() -> BudgetMode {
    BudgetMode::Hard
}

fn month() -> BudgetWindow {
    BudgetWindow::Month
}

fn most_of_it() -> i32 {
    80
}

/// The largest limit: a thousand million dollars.
const MAX_LIMIT: i64 = 1_000_000_000_000_000_000;

/// Whether a limit can be one.
pub(crate) fn check_limit(param: &str, limit: Money) -> Result<(), Problem> {
    if (0..=MAX_LIMIT).contains(&limit.0) {
        return Ok(());
    }
    Err(Problem::invalid(param, "must be 0 to a thousand million dollars"))
}

impl BudgetParams {
    /// Whether the values are in their bounds. Whose calls it covers is looked up elsewhere.
    pub fn check(&self) -> Result<(), Problem> {
        check_limit("/limit", self.limit)?;
        let named = matches!(self.scope.r#type, BudgetScopeType::User | BudgetScopeType::Agent);
        if named != self.scope.id.is_some() {
            return Err(Problem::invalid("/scope/id", "is given for a user or an agent, and for nothing else"));
        }
        between("/warn_at_percent", self.warn_at_percent, 1, 100)
    }
}

/// Changes of a budget. What is absent stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetUpdate {
    /// How much may be spent. Runs that wait for this budget look again.
    pub limit: Option<Money>,
    /// What happens when it is used up.
    pub mode: Option<BudgetMode>,
    /// Whether a call is taken to cost what its bytes could cost at most.
    pub strict: Option<bool>,
    /// From which part of the limit on runs are told.
    pub warn_at_percent: Option<i32>,
}

impl BudgetUpdate {
    /// Whether the values are in their bounds.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(limit) = self.limit {
            check_limit("/limit", limit)?;
        }
        between("/warn_at_percent", self.warn_at_percent.unwrap_or(1), 1, 100)
    }
}

/// How a run goes on that waits for money. With neither it tries again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResumeParams {
    /// Another model, from here on.
    pub model: Option<String>,
    /// More for the run itself, where that is what has run out. Upwards only.
    pub run_budget: Option<super::RunBudget>,
}
