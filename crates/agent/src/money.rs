//! Money for the calls of a run.
//!
//! Owns asking the database for it before each call, and what is remembered of the answers: whether anything was ever set
//! aside, and which budget refused. Promises that a call of a tenant with budgets is made only with money set aside; that
//! tenants without any cost no more than one look per second and process. Never counts: the database does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dashmap::{DashMap, DashSet};
use futures_util::future::BoxFuture;
use headwater_llm::{
    BudgetWarning, Grant, Granted, Hold, Ledger, Reservation, USEFUL_OUTPUT_TOKENS, Wanted, has_own_key, prices,
};
use headwater_protocol::api::{BudgetScopeType, OnBudget};
use headwater_protocol::{
    AgentId, BudgetId, ErrorCode, ModelCallId, Money, Problem, RunId, Scope, TenantId, Usage, UserId,
};
use headwater_store::commit::LeaseToken;
use headwater_store::scoped::{Closest, ReserveCall, Reserved};
use headwater_store::{StoreError, UserScopedStorage};
use tokio::time::Instant;
use uuid::Uuid;

use crate::accept::{NewRunRequest, effective};

/// How long it is believed that a tenant has no budgets: a new one counts everywhere after that.
const BELIEVED: Duration = Duration::from_secs(1);
/// How often giving back is tried. What is not given back then is when the run ends.
const TRIES: u32 = 5;
/// Tenants that are remembered before those that were not looked at lately are forgotten.
const REMEMBERED: usize = 10_000;

/// Which tenants have budgets, as this process saw it last.
#[derive(Debug, Default)]
pub(crate) struct Budgeted {
    seen: DashMap<TenantId, (bool, Instant)>,
    /// Whose counters are behind what was settled here.
    behind: DashSet<TenantId>,
}

impl Budgeted {
    /// Whether a call of this tenant may fall under a budget.
    pub(crate) async fn has_any(&self, tenant: TenantId, storage: &UserScopedStorage) -> Result<bool, StoreError> {
        if let Some(seen) = self.seen.get(&tenant)
            && seen.1.elapsed() < BELIEVED
        {
            return Ok(seen.0);
        }
        // As of before it was asked: what is made meanwhile counts in time.
        let asked = Instant::now();
        let has = storage.has_budgets().await?;
        if self.seen.len() >= REMEMBERED {
            self.seen.retain(|_, seen| seen.1.elapsed() < BELIEVED);
        }
        self.seen.insert(tenant, (has, asked));
        Ok(has)
    }

    /// Its budgets have changed here: it is looked at again.
    pub(crate) fn changed(&self, tenant: TenantId) {
        self.seen.remove(&tenant);
    }
}

impl crate::AgentRuntime {
    /// Whether a run can pay for its first call, as far as that can be said before it is made: that its model has a price, where
    /// a hard budget covers it; and, where it is not to wait for money, that there is some.
    pub(crate) async fn may_pay(&self, request: &NewRunRequest) -> Result<(), Problem> {
        let (tenant, config) = (request.tenant, effective(request.agent.config.clone(), &request.overrides));
        let parts = &self.inner.parts;
        let storage = parts.store.scoped(Scope { tenant, user: None });
        let away = |_| Problem::new(ErrorCode::Unavailable, "the database did not answer");
        let has_any = self.inner.budgeted.has_any(tenant, &storage).await.map_err(away)?;
        if !has_any && config.run_budget.is_none() {
            return Ok(());
        }
        let terms = parts.terms.of(tenant).await.map_err(away)?;
        let keys =
            parts.vault.provider_keys(tenant, |provider| parts.llm.provider_host(provider)).await.map_err(away)?;
        let own_key = has_own_key(&keys, &config.model);
        let covering = storage.budgets_covering(request.user, request.agent.id, own_key).await.map_err(away)?;
        let Some(price) = parts.llm.charged(&terms.prices, &config.model, own_key, 0) else {
            if covering.is_empty() && config.run_budget.is_none() {
                return Ok(());
            }
            let words = format!("a hard budget covers the run, and {} has no price", config.model);
            let problem = Problem::new(ErrorCode::PriceUnknown, words);
            return Err(match covering.first() {
                Some(budget) => problem.with("budget", budget.id.to_string()),
                None => problem,
            });
        };
        if config.on_budget != OnBudget::Fail {
            return Ok(());
        }
        // The least that an answer worth having costs, whatever goes in.
        let useful = Usage { output_tokens: USEFUL_OUTPUT_TOKENS.into(), ..Usage::default() };
        let needed = prices::cost(&useful, &price);
        let money = |money: Money| serde_json::to_value(money).unwrap_or_default();
        match covering.iter().find(|budget| budget.remaining.is_some_and(|remaining| remaining < needed)) {
            None => Ok(()),
            Some(budget) => {
                let each = budget.scope.r#type == BudgetScopeType::EachUser;
                let holder = if each { request.user.uuid() } else { Uuid::nil() };
                tell_of_refusal(&storage, budget.id, holder, budget.window.as_str()).await;
                let words = "a budget has too little left for the run's first call";
                Err(Problem::new(ErrorCode::BudgetExhausted, words)
                    .with("budget", budget.id.to_string())
                    .with("needed", money(needed))
                    .with("remaining", money(budget.remaining.unwrap_or(Money::ZERO))))
            }
        }
    }

    /// Brings a tenant's counters up to date, if calls were settled since they were. Nothing depends on when: whoever looks at a
    /// counter looks at what is settled beside it, and a sweep does what is left undone.
    pub(crate) fn count_money(&self, tenant: TenantId) {
        if self.inner.budgeted.behind.remove(&tenant).is_none() {
            return;
        }
        let store = self.inner.parts.store.clone();
        self.spawn("count money", async move {
            let unscoped = store.unscoped("counters of budgets are brought up to date whoever has settled");
            if let Err(error) = unscoped.fold_calls(tenant).await {
                tracing::warn!(%error, tenant.id = %tenant, "what was spent is not counted yet; the next sweep does it");
            }
        });
    }
}

/// What is remembered of a run's money.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    reserved: AtomicBool,
    refused: Mutex<Option<Closest>>,
}

impl Purse {
    /// Something is set aside for a call of the run, or may be.
    pub(crate) fn note(&self) {
        self.reserved.store(true, Ordering::Relaxed);
    }

    /// Whether anything was ever set aside.
    pub(crate) fn is_touched(&self) -> bool {
        self.reserved.load(Ordering::Relaxed)
    }

    /// The budget that refused the last call.
    pub(crate) fn take_refusal(&self) -> Option<Closest> {
        self.refused.lock().expect("no panic while taking").take()
    }
}

/// Asks for the money of a step's calls.
#[derive(Debug)]
pub(crate) struct RunLedger {
    pub(crate) runtime: crate::AgentRuntime,
    pub(crate) storage: UserScopedStorage,
    pub(crate) purse: Arc<Purse>,
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) agent: AgentId,
    pub(crate) run: RunId,
    pub(crate) token: LeaseToken,
    pub(crate) step: i32,
    /// The run's own limit.
    pub(crate) run_limit: Option<Money>,
    /// Whether a run above it may have one.
    pub(crate) is_called: bool,
}

impl RunLedger {
    async fn ask(&self, call: Wanted<'_>) -> Result<Reserved, StoreError> {
        let budgeted = &self.runtime.inner.budgeted;
        if self.run_limit.is_none() && !self.is_called && !budgeted.has_any(self.tenant, &self.storage).await? {
            return Ok(Reserved::Open);
        }
        let bounds = call.bounds;
        let asked = ReserveCall {
            run_id: self.run.uuid(),
            token: self.token.0,
            user_id: self.user.uuid(),
            agent_id: self.agent.uuid(),
            model_call: call.estimate.model_call.uuid(),
            model: &call.estimate.model,
            step: self.step,
            own_key: call.own_key,
            run_limit: self.run_limit.map(|limit| limit.0),
            expected: call.estimate.expected.map(|money| money.0),
            amount: bounds.map(|bounds| bounds.most.0),
            least: bounds.map(|bounds| bounds.least.0),
            strict_amount: bounds.map(|bounds| bounds.strict_most.0),
            strict_least: bounds.map(|bounds| bounds.strict_least.0),
        };
        // From here on: the answer may be lost on the way.
        self.purse.note();
        budgeted.behind.insert(self.tenant);
        self.storage.reserve_call(&asked).await
    }

    /// Until the database answers: a call that may not be made without money waits for it.
    async fn ask_patiently(&self, call: Wanted<'_>) -> Result<Reserved, Problem> {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.ask(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "money for a call waits for the database");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                Err(error) => {
                    tracing::error!(%error, run.id = %self.run, "money for a call could not be set aside");
                    return Err(Problem::new(ErrorCode::Internal, "money for the call could not be set aside"));
                }
            }
        }
    }
}

impl Ledger for RunLedger {
    fn is_owner(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move { self.storage.run_held(self.run, self.token).await.unwrap_or(false) })
    }

    fn reserve<'a>(&'a self, call: Wanted<'a>) -> BoxFuture<'a, Result<Grant, Problem>> {
        Box::pin(async move {
            match self.ask_patiently(call).await? {
                Reserved::Open => Ok(Grant::Open),
                Reserved::Granted { amount, strict, warnings } => {
                    let (storage, call) = (self.storage.clone(), call.estimate.model_call);
                    let hold = Held { storage, run: self.run, token: self.token, call };
                    let warnings = warnings.iter().map(|warned| {
                        let (limit, spent) = warned.money();
                        let (budget, scope, mode) = (warned.budget(), warned.scope(), warned.mode);
                        BudgetWarning { budget, scope, mode, limit, spent, since: warned.period }
                    });
                    let (reservation, warnings) = (Reservation::held(Box::new(hold)), warnings.collect());
                    Ok(Grant::Granted(Granted { reservation, amount: Money(amount), strict, warnings }))
                }
                Reserved::Busy(_) => Ok(Grant::Busy),
                // Nothing of what follows is written: the log refuses it.
                Reserved::Fenced => Err(Problem::new(ErrorCode::Internal, "the run has another owner")),
                Reserved::PriceUnknown(closest) => {
                    let words = format!("a hard budget covers the call, and {} has no price", call.estimate.model);
                    Err(of_budget(Problem::new(ErrorCode::PriceUnknown, words), &closest))
                }
                Reserved::Exhausted(closest) => {
                    let problem = exhausted(&closest);
                    if let Some(budget) = closest.budget() {
                        tell_of_refusal(&self.storage, budget, closest.holder, &closest.per).await;
                    }
                    *self.purse.refused.lock().expect("no panic while noting") = Some(closest);
                    Err(problem)
                }
            }
        })
    }
}

/// Has it told that a budget is used up. Nothing depends on that: what is refused says so itself.
async fn tell_of_refusal(storage: &UserScopedStorage, budget: BudgetId, holder: Uuid, per: &str) {
    if let Err(error) = storage.budget_refused(budget, holder, per).await {
        tracing::warn!(%error, "nobody is told that a budget is used up");
    }
}

fn of_budget(problem: Problem, closest: &Closest) -> Problem {
    match (closest.budget(), closest.run()) {
        (Some(budget), _) => problem.with("budget", budget.to_string()),
        (None, Some(run)) => problem.with("budget", run.to_string()),
        (None, None) => problem,
    }
}

fn exhausted(closest: &Closest) -> Problem {
    let money = |nano: i64| serde_json::to_value(Money(nano)).unwrap_or_default();
    let words = match closest.budget() {
        Some(_) => "a budget has too little left for the next call",
        None => "the run's own budget has too little left for the next call",
    };
    of_budget(Problem::new(ErrorCode::BudgetExhausted, words), closest)
        .with("needed", money(closest.needs))
        .with("remaining", money(closest.remaining))
}

/// Money set aside for a call.
struct Held {
    storage: UserScopedStorage,
    run: RunId,
    token: LeaseToken,
    call: ModelCallId,
}

impl Hold for Held {
    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut pause = Duration::from_millis(50);
            for _ in 0..TRIES {
                match self.storage.release_call(self.run, self.token, self.call).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, "money that was set aside could not be given back yet"),
                }
                tokio::time::sleep(pause).await;
                pause *= 4;
            }
        })
    }
}
