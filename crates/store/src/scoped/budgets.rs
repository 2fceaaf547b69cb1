//! Budgets: limits, what was spent, and what is set aside for calls under way.
//!
//! The rules are the database's: `reserve_call` and `fold_calls` lock counters in one order everywhere; settling, which is part of a
//! run's commits, locks none of them. Here is the rest.

use headwater_protocol::api::{
    Budget, BudgetOwner, BudgetParams, BudgetScope, BudgetScopeType, BudgetStatus, BudgetUpdate, BudgetWindow,
    MAX_BUDGETS,
};
use headwater_protocol::{AgentId, BudgetId, ModelCallId, Money, RunId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{Page, UserScopedStorage, time, word};
use crate::StoreError;
use crate::commit::LeaseToken;
use crate::connection::Params;
use crate::pool::{Idempotency, Once};

/// A budget beside the counter of its current window, of this user where each has one (`$1`).
const SELECT: &str =
    "SELECT b.budget_id, b.owner, b.scope, coalesce(b.user_id, b.agent_id) AS scope_id, b.mode, b.strict, b.per,
           b.limit_nano_usd, b.warn_at_percent, b.of_plan, b.revision, b.created_at, b.updated_at,
           coalesce(k.spent_nano_usd, 0) + u.cost AS spent, coalesce(k.reserved_nano_usd, 0) - u.amount AS reserved
    FROM headwater.budgets b
    CROSS JOIN LATERAL (SELECT headwater.budget_period(b.per) AS period,
        CASE b.scope WHEN 'each_user' THEN $1::uuid ELSE '00000000-0000-0000-0000-000000000000' END AS holder) AS now
    CROSS JOIN LATERAL headwater.budget_unfolded(b.tenant_id, b.budget_id, now.holder, now.period) AS u
    LEFT JOIN headwater.budget_counters k ON k.tenant_id = b.tenant_id AND k.budget_id = b.budget_id
          AND k.period = now.period AND k.holder = now.holder";

/// A budget and the number of its last change.
#[derive(Debug, Clone)]
pub struct StoredBudget {
    /// The budget.
    pub budget: Budget,
    /// From 1; one more with each change.
    pub revision: i32,
}

/// What came of changing a budget.
#[derive(Debug)]
pub enum BudgetChanged {
    /// It is changed, and whoever waited for it is woken.
    Yes(Box<StoredBudget>),
    /// There is none, or it is somebody else's.
    NotFound,
    /// It is not the revision that was meant, but this.
    Conflict(i32),
}

/// Money for a call that is about to be made. Amounts in nano-dollars; none where the price is not known.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ReserveCall<'a> {
    /// The run that calls.
    pub run_id: Uuid,
    /// What it is held with.
    pub token: Uuid,
    /// Its user.
    pub user_id: Uuid,
    /// Its agent.
    pub agent_id: Uuid,
    /// The call.
    pub model_call: Uuid,
    /// `PROVIDER/model-id`.
    pub model: &'a str,
    /// The step that calls.
    pub step: i32,
    /// Whether the tenant pays the provider itself.
    pub own_key: bool,
    /// The run's own limit.
    pub run_limit: Option<i64>,
    /// What it will probably cost.
    pub expected: Option<i64>,
    /// What it can cost at most.
    pub amount: Option<i64>,
    /// With less than this it is not worth making.
    pub least: Option<i64>,
    /// As `amount`, where a budget is strict.
    pub strict_amount: Option<i64>,
    /// As `least`, where a budget is strict.
    pub strict_least: Option<i64>,
}

/// A budget that is about to be used up.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Warned {
    budget: Uuid,
    scope: String,
    scope_id: Option<Uuid>,
    /// `hard` or `soft`.
    pub mode: headwater_protocol::api::BudgetMode,
    limit: i64,
    spent: i64,
    /// The first day of its window; 1970-01-01 for all time.
    pub period: jiff::civil::Date,
}

impl Warned {
    /// Which.
    pub fn budget(&self) -> BudgetId {
        BudgetId::from_uuid(self.budget)
    }

    /// Whose calls it covers.
    pub fn scope(&self) -> BudgetScope {
        scope(&self.scope, self.scope_id)
    }

    /// Its limit, and what was spent of it.
    pub fn money(&self) -> (Money, Money) {
        (Money(self.limit), Money(self.spent))
    }
}

/// The budget that stands in the way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Closest {
    budget: Uuid,
    /// Whose counter it is, where every user has one.
    pub holder: Uuid,
    /// Whether it is a run's own.
    pub run: bool,
    /// What its limit is for: `day`, `month` or `total`.
    pub per: String,
    /// What was not spent of it, in nano-dollars.
    pub remaining: i64,
    /// What would have to be left, in nano-dollars.
    #[serde(default)]
    pub needs: i64,
}

impl Closest {
    /// Its id, unless it is a run's own.
    pub fn budget(&self) -> Option<BudgetId> {
        (!self.run).then(|| BudgetId::from_uuid(self.budget))
    }

    /// The run whose own it is.
    pub fn run(&self) -> Option<RunId> {
        self.run.then(|| RunId::from_uuid(self.budget))
    }

    /// As a suspended run keeps it: see [`RunWrite::waits_budget`](crate::commit::RunWrite::waits_budget).
    pub fn waits(&self) -> serde_json::Value {
        serde_json::json!({"budget": self.budget, "holder": self.holder, "run": self.run, "per": self.per, "needs": self.needs})
    }
}

/// What came of asking for money.
#[derive(Debug, Clone, PartialEq)]
pub enum Reserved {
    /// No budget covers the call.
    Open,
    /// So much is set aside, in nano-dollars: what was asked for, or what there was.
    Granted {
        /// In nano-dollars.
        amount: i64,
        /// Whether a strict budget covers the call.
        strict: bool,
        /// Budgets that are about to be used up.
        warnings: Vec<Warned>,
    },
    /// The run is somebody else's.
    Fenced,
    /// A hard budget covers the call, and nobody knows its price.
    PriceUnknown(Closest),
    /// What was spent leaves too little.
    Exhausted(Closest),
    /// What others have set aside leaves too little for now.
    Busy(Closest),
}

/// What the former owners of a run have left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Money that is set aside for its calls.
    pub calls: Vec<LeftReservation>,
    /// Whether none of its calls was made without: a budget has covered all of them since the run began.
    pub covered: bool,
}

/// A reservation that somebody has left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftReservation {
    /// The call.
    pub model_call: ModelCallId,
    /// Its model.
    pub model: String,
    /// The step that made it.
    pub step: i32,
    /// What is set aside.
    pub amount: Money,
}

fn scope(kind: &str, id: Option<Uuid>) -> BudgetScope {
    let (r#type, id) = match kind {
        "user" => (BudgetScopeType::User, id.map(|id| UserId::from_uuid(id).to_string())),
        "agent" => (BudgetScopeType::Agent, id.map(|id| AgentId::from_uuid(id).to_string())),
        "each_user" => (BudgetScopeType::EachUser, None),
        _ => (BudgetScopeType::Tenant, None),
    };
    BudgetScope { r#type, id }
}

/// When the next window begins.
fn resets_at(window: BudgetWindow) -> Option<Timestamp> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let next = match window {
        BudgetWindow::Day => today.tomorrow(),
        BudgetWindow::Month => today.last_of_month().tomorrow(),
        BudgetWindow::Total => return None,
    };
    Some(Timestamp(next.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()))
}

/// `of_user`: whose counter stands beside it, where every user has one.
fn budget(row: &Row, of_user: Option<UserId>) -> Result<StoredBudget, StoreError> {
    let scope = scope(row.try_get("scope")?, row.try_get("scope_id")?);
    let window: BudgetWindow = word(row, "per")?;
    let limit: i64 = row.try_get("limit_nano_usd")?;
    let warn_at_percent: i32 = row.try_get("warn_at_percent")?;
    let (spent, reserved): (i64, i64) = (row.try_get("spent")?, row.try_get("reserved")?);
    let status = if spent >= limit {
        BudgetStatus::Exhausted
    } else if i128::from(spent) * 100 >= i128::from(limit) * i128::from(warn_at_percent) {
        BudgetStatus::Warning
    } else {
        BudgetStatus::Ok
    };
    let user = of_user.filter(|_| scope.r#type == BudgetScopeType::EachUser);
    let shown = user.is_some() || scope.r#type != BudgetScopeType::EachUser;
    let money = |nano: i64| shown.then_some(Money(nano));
    Ok(StoredBudget {
        budget: Budget {
            id: BudgetId::from_uuid(row.try_get("budget_id")?),
            object: "budget".into(),
            owner: word(row, "owner")?,
            mode: word(row, "mode")?,
            strict: row.try_get("strict")?,
            window,
            limit: Money(limit),
            of_plan: row.try_get("of_plan")?,
            warn_at_percent,
            user,
            spent: money(spent),
            reserved: money(reserved),
            remaining: money(limit.saturating_sub(spent)),
            status: shown.then_some(status),
            resets_at: resets_at(window),
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
            scope,
        },
        revision: row.try_get("revision")?,
    })
}

fn said<T: Serialize>(word: T) -> String {
    serde_json::to_value(word).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl UserScopedStorage {
    /// Makes a budget. `None`: there are as many as may be, or the user or agent that it names is not there.
    pub async fn budget_create(
        &self,
        id: BudgetId,
        owner: BudgetOwner,
        params: &BudgetParams,
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<Option<StoredBudget>>, StoreError> {
        let named = params.scope.id.as_deref().unwrap_or_default();
        let user = named.parse::<UserId>().ok().map(UserId::uuid);
        let agent = named.parse::<AgentId>().ok().map(AgentId::uuid);
        let sql = "INSERT INTO headwater.budgets (tenant_id, budget_id, owner, scope, user_id, agent_id, mode, strict, per,
                       limit_nano_usd, warn_at_percent, created_at, updated_at)
                   SELECT headwater.tenant_id(), $1, $2, $3, $4::uuid, $5::uuid, $6, $7, $8, $9, $10, $11, $11
                   WHERE (SELECT count(*) FROM headwater.budgets) < $12
                     AND ($4::uuid IS NULL OR EXISTS (SELECT 1 FROM headwater.users WHERE user_id = $4))
                     AND ($5::uuid IS NULL OR EXISTS (SELECT 1 FROM headwater.agents WHERE agent_id = $5))
                   RETURNING budget_id, owner, scope, coalesce(user_id, agent_id) AS scope_id, mode, strict, per, limit_nano_usd,
                       warn_at_percent, of_plan, revision, created_at, updated_at, 0::bigint AS spent, 0::bigint AS reserved";
        let (owner, kind) = (said(owner), said(params.scope.r#type));
        let (mode, per, uuid) = (said(params.mode), said(params.window), id.uuid());
        let values: Params<'_> = &[
            &uuid,
            &owner,
            &kind,
            &user,
            &agent,
            &mode,
            &params.strict,
            &per,
            &params.limit.0,
            &params.warn_at_percent,
            &at.0,
            &MAX_BUDGETS,
        ];
        let made = self.store.query_once(self.scope, idempotency, &id.to_string(), sql, values).await?;
        made.map(|rows| rows.first().map(|row| budget(row, None)).transpose()).transpose()
    }

    /// A page of budgets; of those that cover a user's calls as that user's, if one is given.
    pub async fn budget_list(&self, user: Option<UserId>, page: Page) -> Result<Vec<StoredBudget>, StoreError> {
        let (after, order) = page.order("b.budget_id");
        let sql = format!(
            "{SELECT} WHERE ($2::uuid IS NULL OR {after} $2) AND ($1::uuid IS NULL OR b.scope = 'each_user' OR b.user_id = $1)
             ORDER BY {order} LIMIT $3"
        );
        let rows = self.query(&sql, &[&user.map(UserId::uuid), &page.after, &(page.limit + 1)]).await?;
        rows.iter().map(|row| budget(row, user)).collect()
    }

    /// One budget, with the counter of this user where every user has one.
    pub async fn budget_get(&self, id: BudgetId, user: Option<UserId>) -> Result<Option<StoredBudget>, StoreError> {
        let sql = format!("{SELECT} WHERE b.budget_id = $2");
        let rows = self.query(&sql, &[&user.map(UserId::uuid), &id.uuid()]).await?;
        rows.first().map(|row| budget(row, user)).transpose()
    }

    /// Changes a budget of this owner, and wakes the runs that wait for it.
    pub async fn budget_update(
        &self,
        id: BudgetId,
        owner: BudgetOwner,
        if_revision: Option<i32>,
        change: &BudgetUpdate,
        at: Timestamp,
    ) -> Result<BudgetChanged, StoreError> {
        let sql =
            "UPDATE headwater.budgets SET limit_nano_usd = coalesce($4, limit_nano_usd), mode = coalesce($5, mode),
                       strict = coalesce($6, strict), warn_at_percent = coalesce($7, warn_at_percent), updated_at = $8,
                       revision = revision + 1
                   WHERE budget_id = $1 AND owner = $2 AND ($3::int IS NULL OR revision = $3) RETURNING revision";
        let (owner, mode) = (said(owner), change.mode.map(said));
        let limit = change.limit.map(|limit| limit.0);
        let values: Params<'_> =
            &[&id.uuid(), &owner, &if_revision, &limit, &mode, &change.strict, &change.warn_at_percent, &at.0];
        let changed = !self.query(sql, values).await?.is_empty();
        if changed {
            self.wake_for_money().await?;
        }
        match self.budget_get(id, None).await? {
            Some(now) if changed => Ok(BudgetChanged::Yes(Box::new(now))),
            Some(now) if if_revision.is_some_and(|meant| meant != now.revision) && said(now.budget.owner) == owner => {
                Ok(BudgetChanged::Conflict(now.revision))
            }
            _ => Ok(BudgetChanged::NotFound),
        }
    }

    /// Removes a budget of this owner. Whether there was one.
    pub async fn budget_delete(&self, id: BudgetId, owner: BudgetOwner) -> Result<bool, StoreError> {
        let sql = "DELETE FROM headwater.budgets WHERE budget_id = $1 AND owner = $2 RETURNING budget_id";
        let gone = !self.query(sql, &[&id.uuid(), &said(owner)]).await?.is_empty();
        if gone {
            self.wake_for_money().await?;
        }
        Ok(gone)
    }

    /// All that wait for money look again: what a call needs hangs on all budgets that cover it. In a statement after the change
    /// has been committed: a run that suspends meanwhile has either seen the change, or is seen here. The sweep does it too, should
    /// this process die in between.
    async fn wake_for_money(&self) -> Result<(), StoreError> {
        let sql = "UPDATE headwater.runs SET woken = true
                   WHERE waits_budget IS NOT NULL AND status = 'suspended' AND NOT woken";
        self.query(sql, &[]).await.map(drop)
    }

    /// The hard budgets under which a call of this user and agent falls, as they stand for this user. `own_key`: it goes out with
    /// the tenant's own key, which the operator's do not cover.
    pub async fn budgets_covering(
        &self,
        user: UserId,
        agent: AgentId,
        own_key: bool,
    ) -> Result<Vec<Budget>, StoreError> {
        let sql = format!(
            "{SELECT} WHERE b.mode = 'hard' AND (b.scope IN ('tenant', 'each_user') OR b.user_id = $1 OR b.agent_id = $2)
                 AND NOT ($3 AND b.owner = 'operator') ORDER BY b.budget_id"
        );
        let rows = self.query(&sql, &[&Some(user.uuid()), &agent.uuid(), &own_key]).await?;
        rows.iter().map(|row| budget(row, Some(user)).map(|stored| stored.budget)).collect()
    }

    /// Whether any call of the tenant may fall under a budget.
    pub async fn has_budgets(&self) -> Result<bool, StoreError> {
        let rows = self.query("SELECT EXISTS (SELECT 1 FROM headwater.budgets)", &[]).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
    }

    /// Sets aside what a call can cost, in every budget that covers it, or in none.
    pub async fn reserve_call(&self, call: &ReserveCall<'_>) -> Result<Reserved, StoreError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            granted: Option<i64>,
            #[serde(default)]
            strict: bool,
            #[serde(default)]
            warnings: Vec<Warned>,
            #[serde(default)]
            refused: Option<String>,
        }
        let rows = self.query("SELECT headwater.reserve_call($1)", &[&Json(call)]).await?;
        let bad = |what: &str| StoreError::Corrupt(format!("what came of a reservation: {what}"));
        let row = rows.first().ok_or_else(|| bad("nothing"))?;
        let Json(answer): Json<serde_json::Value> = row.try_get(0)?;
        let read: Answer = serde_json::from_value(answer.clone()).map_err(|error| bad(&error.to_string()))?;
        let closest = || serde_json::from_value::<Closest>(answer.clone()).map_err(|error| bad(&error.to_string()));
        match (read.granted, read.refused.as_deref()) {
            (Some(amount), _) => Ok(Reserved::Granted { amount, strict: read.strict, warnings: read.warnings }),
            (None, None) => Ok(Reserved::Open),
            (None, Some("fenced")) => Ok(Reserved::Fenced),
            (None, Some("price_unknown")) => Ok(Reserved::PriceUnknown(closest()?)),
            (None, Some("exhausted")) => Ok(Reserved::Exhausted(closest()?)),
            (None, Some("busy")) => Ok(Reserved::Busy(closest()?)),
            (None, Some(other)) => Err(bad(other)),
        }
    }

    /// Gives back what was set aside for a call that was never made, as long as its run is held with this token: whoever has taken
    /// it over says what becomes of the call. Again is nothing.
    pub async fn release_call(&self, run: RunId, token: LeaseToken, call: ModelCallId) -> Result<(), StoreError> {
        let sql = "SELECT headwater.settle_calls(ARRAY[headwater.tenant_id()], ARRAY[$3::uuid], ARRAY[0::bigint])
                   WHERE headwater.run_held($1, $2)";
        self.query(sql, &[&run.uuid(), &token.0, &call.uuid()]).await.map(drop)
    }

    /// What is set aside for calls of a run: of one that was taken over, calls of which nobody knows what became of them.
    pub async fn reservations_of(&self, run: RunId) -> Result<Left, StoreError> {
        let sql = "SELECT model_call, model, step, amount_nano_usd FROM headwater.budget_reservations
                   WHERE tenant_id = headwater.tenant_id() AND run_id = $1 AND cost_nano_usd IS NULL ORDER BY model_call";
        let read = |row: &Row| {
            Ok(LeftReservation {
                model_call: ModelCallId::from_uuid(row.try_get(0)?),
                model: row.try_get(1)?,
                step: row.try_get(2)?,
                amount: Money(row.try_get(3)?),
            })
        };
        let calls = self.query(sql, &[&run.uuid()]).await?.iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        // One that was made a moment ago is not known everywhere yet.
        let covered = "SELECT EXISTS (SELECT 1 FROM headwater.runs r JOIN headwater.budgets b ON b.tenant_id = r.tenant_id
                         WHERE r.run_id = $1 AND b.created_at < r.created_at - interval '2 seconds' AND b.owner = 'tenant'
                           AND (b.scope IN ('tenant', 'each_user') OR b.user_id = r.user_id OR b.agent_id = r.agent_id))
                       OR EXISTS (SELECT 1 FROM headwater.budget_counters k WHERE k.run_id = $1)";
        let rows = self.query(covered, &[&run.uuid()]).await?;
        let covered = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
        Ok(Left { calls, covered })
    }

    /// Lets a run try again that waits for money, perhaps with another model, or with more for itself. Whether it does wait.
    pub async fn run_resume(&self, run: RunId, model: Option<&str>, limit: Option<Money>) -> Result<bool, StoreError> {
        let limit = limit.map(|limit| limit.0);
        let rows = self.query("SELECT headwater.resume_run($1, $2, $3)", &[&run.uuid(), &model, &limit]).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
    }
}
