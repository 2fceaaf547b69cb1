//! `/v1/budgets`: limits on what a tenant's calls may cost, its own and its operator's.
//!
//! Both are served here by the same code; who asks decides whose may be changed.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::api::{
    Budget, BudgetOwner, BudgetParams, BudgetScopeType, BudgetUpdate, List, OverrideField, ResumeParams, Run,
};
use headwater_protocol::{AgentId, BudgetId, ErrorCode, Problem, Scope, TenantId, Timestamp, UserId};
use headwater_store::UserScopedStorage;
use headwater_store::pool::{Idempotency, Once};
use headwater_store::scoped::{BudgetChanged, StoredBudget};
use headwater_stream::reader::audience;
use headwater_stream::view;
use http::HeaderMap;
use serde::Deserialize;

use super::body::ApiBody;
use super::lists::{ListQuery, list};
use super::plans::{check_models, of_plan};
use super::runs::to_change;
use super::tenants::existing;
use super::{created, etag, id, if_match, missing, no_content};
use crate::auth::{Caller, Operator};
use crate::error::ApiError;
use crate::http::ApiQuery;
use crate::http::idempotency::mismatch;
use crate::wiring::AppState;

/// Which budgets to list, or whose counters to show.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BudgetsQuery {
    /// Those that cover this user's calls as a user's, with this user's counters.
    pub user: Option<String>,
    /// 1 to 100; 20 unless given.
    pub limit: Option<i64>,
    /// The page before's `next_cursor`.
    pub after: Option<String>,
    /// `asc` or `desc`, by creation; `desc` unless given.
    pub order: Option<String>,
}

/// Whose counters to show.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BudgetQuery {
    /// This user's, of a budget of which every user has one.
    pub user: Option<String>,
}

/// Somebody who may change budgets of this owner, of one tenant.
struct Desk {
    state: AppState,
    tenant: TenantId,
    storage: UserScopedStorage,
    owner: BudgetOwner,
}

impl Desk {
    fn of_tenant(state: AppState, caller: &Caller) -> Self {
        let (tenant, storage) = (caller.tenant, state.store.scoped(caller.tenant_scope()));
        Self { state, tenant, storage, owner: BudgetOwner::Tenant }
    }

    async fn of_operator(state: AppState, tenant: &str) -> Result<Self, ApiError> {
        let tenant = existing(&state, tenant).await?.id;
        let storage = state.store.scoped(Scope { tenant, user: None });
        Ok(Self { state, tenant, storage, owner: BudgetOwner::Operator })
    }

    async fn create(&self, body: &ApiBody, once: Option<&Idempotency>) -> Result<(StoredBudget, bool), ApiError> {
        let params: BudgetParams = body.parse()?;
        params.check()?;
        let named = params.scope.id.as_deref().unwrap_or_default();
        let is_right = match params.scope.r#type {
            BudgetScopeType::User => named.parse::<UserId>().is_ok(),
            BudgetScopeType::Agent => named.parse::<AgentId>().is_ok(),
            BudgetScopeType::Tenant | BudgetScopeType::EachUser => true,
        };
        if !is_right {
            return Err(Problem::invalid("/scope/id", "must be the id of a user (usr_…) or an agent (agt_…)").into());
        }
        match self.storage.budget_create(BudgetId::new(), self.owner, &params, Timestamp::now(), once).await? {
            Once::Done(Some(made)) => {
                self.state.runtime.budgets_changed(self.tenant);
                Ok((made, false))
            }
            Once::Done(None) if params.scope.id.is_some() => {
                let words = "there is no such user or agent, or there are as many budgets as may be";
                Err(Problem::invalid("/scope/id", words).into())
            }
            Once::Done(None) => Err(Problem::invalid("/scope", "there are as many budgets as may be").into()),
            Once::Replay(object) => Ok((self.get(&object, None).await?, true)),
            Once::Mismatch => Err(mismatch()),
        }
    }

    async fn get(&self, budget: &str, user: Option<UserId>) -> Result<StoredBudget, ApiError> {
        let found = self.storage.budget_get(id(budget, "budget")?, user).await?;
        found.ok_or_else(|| missing("budget"))
    }

    async fn update(&self, budget: &str, headers: &HeaderMap, body: &ApiBody) -> Result<Response, ApiError> {
        let found = self.get(budget, None).await?;
        if self.owner == BudgetOwner::Operator && found.budget.of_plan {
            return Err(of_plan());
        }
        let change: BudgetUpdate = body.parse()?;
        change.check()?;
        let revision = if_match(headers, "must be an ETag of this budget")?;
        match self.storage.budget_update(found.budget.id, self.owner, revision, &change, Timestamp::now()).await? {
            BudgetChanged::Yes(now) => {
                self.state.runtime.budgets_changed(self.tenant);
                Ok(show(&now))
            }
            BudgetChanged::Conflict(current) => {
                let problem = Problem::new(ErrorCode::VersionConflict, "the budget was changed meanwhile");
                Err(problem.with("current", current).into())
            }
            BudgetChanged::NotFound if found.budget.owner != self.owner => Err(not_yours(found.budget.owner)),
            BudgetChanged::NotFound => Err(missing("budget")),
        }
    }

    async fn delete(&self, budget: &str) -> Result<Response, ApiError> {
        let found = self.get(budget, None).await?.budget;
        if found.owner != self.owner {
            return Err(not_yours(found.owner));
        }
        if found.of_plan {
            return Err(of_plan());
        }
        if !self.storage.budget_delete(found.id, self.owner).await? {
            return Err(missing("budget"));
        }
        self.state.runtime.budgets_changed(self.tenant);
        Ok(no_content())
    }
}

fn not_yours(owner: BudgetOwner) -> ApiError {
    let whose = match owner {
        BudgetOwner::Operator => "the operator's",
        BudgetOwner::Tenant => "the tenant's",
    };
    Problem::new(ErrorCode::Forbidden, format!("this budget is {whose}, who alone changes it")).into()
}

fn show(stored: &StoredBudget) -> Response {
    let mut response = Json(&stored.budget).into_response();
    etag(&mut response, stored.revision);
    response
}

/// Whose counters the caller sees: a user its own, a key those it asks for.
async fn whose(state: &AppState, caller: &Caller, asked: Option<&str>) -> Result<Option<UserId>, ApiError> {
    if !caller.is_key() || caller.scope().user.is_some() {
        return Ok(caller.scope().user);
    }
    super::threads::user_filter(state, caller, asked).await
}

/// Makes a budget. It counts from now on, everywhere within a second.
#[utoipa::path(post, path = "/v1/budgets", tag = "budgets", request_body = BudgetParams,
    responses((status = 201, body = Budget), (status = "default", body = Problem)))]
pub async fn budgets_create(
    State(state): State<AppState>,
    caller: Caller,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("budgets:write")?;
    let once = body.idempotency(&state, &caller)?;
    let (made, replayed) = Desk::of_tenant(state, &caller).create(&body, once.key()).await?;
    let mut response = created(&made.budget, &format!("/v1/budgets/{}", made.budget.id), replayed);
    etag(&mut response, made.revision);
    Ok(response)
}

/// Lists budgets: a key sees all, a user those that cover it as a user.
#[utoipa::path(get, path = "/v1/budgets", tag = "budgets", params(BudgetsQuery),
    responses((status = 200, body = List<Budget>), (status = "default", body = Problem)))]
pub async fn budgets_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<BudgetsQuery>,
) -> Result<Json<List<Budget>>, ApiError> {
    caller.require(if caller.is_key() { "budgets:read" } else { "usage:read" })?;
    let user = whose(&state, &caller, query.user.as_deref()).await?;
    let page = ListQuery { limit: query.limit, after: query.after, order: query.order }.page()?;
    let budgets = state.store.scoped(caller.tenant_scope()).budget_list(user, page).await?;
    let budgets = budgets.into_iter().map(|stored| stored.budget).collect();
    Ok(Json(list(budgets, page, |budget: &Budget| budget.id.uuid())))
}

/// One budget.
#[utoipa::path(get, path = "/v1/budgets/{budget}", tag = "budgets", params(("budget" = String, Path), BudgetQuery),
    responses((status = 200, body = Budget), (status = "default", body = Problem)))]
pub async fn budgets_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(budget): Path<String>,
    ApiQuery(query): ApiQuery<BudgetQuery>,
) -> Result<Response, ApiError> {
    caller.require(if caller.is_key() { "budgets:read" } else { "usage:read" })?;
    let user = whose(&state, &caller, query.user.as_deref()).await?;
    let found = Desk::of_tenant(state, &caller).get(&budget, user).await?;
    let scope = &found.budget.scope;
    let own = user.is_some_and(|user| scope.id.as_deref() == Some(user.to_string().as_str()));
    if caller.scope().user.is_some() && !own && scope.r#type != BudgetScopeType::EachUser {
        return Err(missing("budget"));
    }
    Ok(show(&found))
}

/// Changes a budget. Runs that wait for it look again.
#[utoipa::path(patch, path = "/v1/budgets/{budget}", tag = "budgets", params(("budget" = String, Path)),
    request_body = BudgetUpdate, responses((status = 200, body = Budget), (status = "default", body = Problem)))]
pub async fn budgets_update(
    State(state): State<AppState>,
    caller: Caller,
    Path(budget): Path<String>,
    headers: HeaderMap,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("budgets:write")?;
    Desk::of_tenant(state, &caller).update(&budget, &headers, &body).await
}

/// Removes a budget, with what was counted of it. Runs that wait for it go on.
#[utoipa::path(delete, path = "/v1/budgets/{budget}", tag = "budgets", params(("budget" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn budgets_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(budget): Path<String>,
) -> Result<Response, ApiError> {
    caller.require_key("budgets:write")?;
    Desk::of_tenant(state, &caller).delete(&budget).await
}

/// Makes a budget of the operator's for a tenant, who sees it and cannot change it.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/budgets", tag = "operator", params(("tenant" = String, Path)),
    request_body = BudgetParams, responses((status = 201, body = Budget), (status = "default", body = Problem)))]
pub async fn tenant_budgets_create(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    let desk = Desk::of_operator(state, &tenant).await?;
    let asked = body.operator_once(&desk.state)?;
    let once = asked.as_ref().map(|(once, _running)| Idempotency {
        actor: uuid::Uuid::nil(),
        key: once.key.clone(),
        fingerprint: once.fingerprint.clone(),
    });
    let (made, replayed) = desk.create(&body, once.as_ref()).await?;
    let mut response = created(&made.budget, &format!("/v1/tenants/{tenant}/budgets/{}", made.budget.id), replayed);
    etag(&mut response, made.revision);
    Ok(response)
}

/// Lists a tenant's budgets, its own included.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/budgets", tag = "operator", params(("tenant" = String, Path), ListQuery),
    responses((status = 200, body = List<Budget>), (status = "default", body = Problem)))]
pub async fn tenant_budgets_list(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<List<Budget>>, ApiError> {
    let desk = Desk::of_operator(state, &tenant).await?;
    let page = query.page()?;
    let budgets = desk.storage.budget_list(None, page).await?.into_iter().map(|stored| stored.budget).collect();
    Ok(Json(list(budgets, page, |budget: &Budget| budget.id.uuid())))
}

/// One budget of a tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/budgets/{budget}", tag = "operator",
    params(("tenant" = String, Path), ("budget" = String, Path)),
    responses((status = 200, body = Budget), (status = "default", body = Problem)))]
pub async fn tenant_budgets_get(
    State(state): State<AppState>,
    _: Operator,
    Path((tenant, budget)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    Ok(show(&Desk::of_operator(state, &tenant).await?.get(&budget, None).await?))
}

/// Changes a budget of the operator's.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/budgets/{budget}", tag = "operator",
    params(("tenant" = String, Path), ("budget" = String, Path)), request_body = BudgetUpdate,
    responses((status = 200, body = Budget), (status = "default", body = Problem)))]
pub async fn tenant_budgets_update(
    State(state): State<AppState>,
    _: Operator,
    Path((tenant, budget)): Path<(String, String)>,
    headers: HeaderMap,
    body: ApiBody,
) -> Result<Response, ApiError> {
    Desk::of_operator(state, &tenant).await?.update(&budget, &headers, &body).await
}

/// Removes a budget of the operator's.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/budgets/{budget}", tag = "operator",
    params(("tenant" = String, Path), ("budget" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn tenant_budgets_delete(
    State(state): State<AppState>,
    _: Operator,
    Path((tenant, budget)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    Desk::of_operator(state, &tenant).await?.delete(&budget).await
}

/// Lets a run go on that waits for money: with another model, with more for itself, or as it is.
#[utoipa::path(post, path = "/v1/runs/{run}/resume", tag = "runs", params(("run" = String, Path)),
    request_body = ResumeParams, responses((status = 200, body = Run), (status = "default", body = Problem)))]
pub async fn runs_resume(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
    body: ApiBody,
) -> Result<Json<Run>, ApiError> {
    let run = to_change(&state, &caller, &run).await?;
    let ResumeParams { model, run_budget } = body.parse()?;
    let storage = state.store.scoped(caller.scope());
    let (found, _) = storage.run_get(run).await?.ok_or_else(|| missing("run"))?;
    if let Some(model) = &model {
        if !caller.is_key() {
            let agent = storage.agent_version(found.agent, found.agent_version).await?;
            if !agent.is_some_and(|agent| agent.config.user_overrides.contains(&OverrideField::Model)) {
                let problem = Problem::new(ErrorCode::OverrideNotAllowed, "this agent does not let users set model");
                return Err(problem.with("param", "/model").into());
            }
        }
        check_models(&state, caller.tenant, [model]).await?;
    }
    if let Some(budget) = run_budget {
        if !caller.is_key() {
            let problem = Problem::new(ErrorCode::OverrideNotAllowed, "users do not give themselves more money");
            return Err(problem.with("param", "/run_budget").into());
        }
        budget.check("/run_budget/limit")?;
    }
    if !storage.run_resume(run, model.as_deref(), run_budget.map(|budget| budget.limit)).await? {
        // Woken by somebody else a moment ago, it goes on as that one said.
        let problem = Problem::new(ErrorCode::RunNotSuspended, "the run does not wait for money");
        return Err(problem.into());
    }
    state.runtime.go_on();
    let (run, visibility) = storage.run_get(run).await?.ok_or_else(|| missing("run"))?;
    Ok(Json(view::run_for(run, audience(caller.sees_as_user(), visibility))))
}
