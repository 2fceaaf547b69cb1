//! What tenants get and what they pay: the operator's plans and prices.

use axum::Json;
use axum::extract::{Path, State};
use headwater_protocol::api::{List, Plan, PlanTerms, TenantPrices, check_plan_name};
use headwater_protocol::{ErrorCode, Problem, TenantId, Timestamp};

use super::body::ApiBody;
use super::{id, missing};
use crate::auth::Operator;
use crate::error::ApiError;
use crate::wiring::AppState;

const WHY: &str = "the operator names plans and prices";

/// All plans, by name.
#[utoipa::path(get, path = "/v1/plans", tag = "operator",
    responses((status = 200, body = List<Plan>), (status = "default", body = Problem)))]
pub async fn plans_list(State(state): State<AppState>, _: Operator) -> Result<Json<List<Plan>>, ApiError> {
    Ok(Json(List::page(state.store.unscoped(WHY).plan_list().await?, None)))
}

/// One plan.
#[utoipa::path(get, path = "/v1/plans/{plan}", tag = "operator", params(("plan" = String, Path)),
    responses((status = 200, body = Plan), (status = "default", body = Problem)))]
pub async fn plans_get(
    State(state): State<AppState>,
    _: Operator,
    Path(plan): Path<String>,
) -> Result<Json<Plan>, ApiError> {
    state.store.unscoped(WHY).plan_get(&plan).await?.map(Json).ok_or_else(|| missing("plan"))
}

/// Makes a plan, or changes it for all tenants that are on it. Every process knows within seconds.
#[utoipa::path(put, path = "/v1/plans/{plan}", tag = "operator", params(("plan" = String, Path)),
    request_body = PlanTerms, responses((status = 200, body = Plan), (status = "default", body = Problem)))]
pub async fn plans_put(
    State(state): State<AppState>,
    _: Operator,
    Path(plan): Path<String>,
    body: ApiBody,
) -> Result<Json<Plan>, ApiError> {
    check_plan_name("/name", &plan)?;
    let terms: PlanTerms = body.parse()?;
    terms.check()?;
    let unscoped = state.store.unscoped(WHY);
    unscoped.plan_put(&plan, &terms, Timestamp::now()).await?;
    state.terms.forget();
    unscoped.plan_get(&plan).await?.map(Json).ok_or_else(|| missing("plan"))
}

/// What a tenant pays otherwise than the table of prices says.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/prices", tag = "operator", params(("tenant" = String, Path)),
    responses((status = 200, body = TenantPrices), (status = "default", body = Problem)))]
pub async fn tenant_prices_get(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
) -> Result<Json<TenantPrices>, ApiError> {
    let tenant: TenantId = id(&tenant, "tenant")?;
    let terms = state.store.unscoped(WHY).tenant_terms(tenant).await?.ok_or_else(|| missing("tenant"))?;
    Ok(Json(terms.prices))
}

/// Sets what a tenant pays from now on. What was settled stays as it was.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/prices", tag = "operator", params(("tenant" = String, Path)),
    request_body = TenantPrices, responses((status = 200, body = TenantPrices), (status = "default", body = Problem)))]
pub async fn tenant_prices_put(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
    body: ApiBody,
) -> Result<Json<TenantPrices>, ApiError> {
    let tenant: TenantId = id(&tenant, "tenant")?;
    let prices: TenantPrices = body.parse()?;
    prices.check()?;
    if !state.store.unscoped(WHY).tenant_prices_put(tenant, &prices, Timestamp::now()).await? {
        return Err(missing("tenant"));
    }
    state.terms.forget();
    Ok(Json(prices))
}

/// Whether a tenant can be given this plan.
pub(super) async fn check_plan(state: &AppState, plan: &str) -> Result<(), ApiError> {
    match state.store.unscoped(WHY).plan_get(plan).await? {
        Some(_) => Ok(()),
        None => {
            Err(Problem::invalid("/plan", format!("there is no plan {plan}; PUT /v1/plans/{plan} makes it")).into())
        }
    }
}

/// Whether the tenant may call these models: that there are such, and that its plan has them.
pub(super) async fn check_models<'a>(
    state: &AppState,
    tenant: TenantId,
    models: impl IntoIterator<Item = &'a String>,
) -> Result<(), ApiError> {
    let terms = state.terms.of(tenant).await?;
    for model in models {
        state.llm.check_model(model)?;
        if !terms.grants.allows(model) {
            return Err(headwater_agent::not_in_plan(model, &terms.plan).into());
        }
    }
    Ok(())
}

/// A budget that comes with a plan is changed there.
pub(super) fn of_plan() -> ApiError {
    Problem::new(ErrorCode::InUse, "this budget comes with the tenant's plan, and is changed there").into()
}
