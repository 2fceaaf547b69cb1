//! `/v1/issuers`: a tenant's own identity providers, whose tokens its users may come with.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use headwater_protocol::api::{Issuer, IssuerParams, List};
use headwater_protocol::{ErrorCode, IssuerId, Problem, Timestamp};
use headwater_store::pool::Once;
use headwater_store::scoped::IssuerKept;

use super::body::ApiBody;
use super::lists::{ListQuery, list};
use super::{created, id, missing, no_content, taken};
use crate::auth::{Caller, reachable};
use crate::error::ApiError;
use crate::http::ApiQuery;
use crate::http::idempotency::mismatch;
use crate::wiring::AppState;

async fn find(state: &AppState, caller: &Caller, issuer: &str) -> Result<Issuer, ApiError> {
    let found = state.store.scoped(caller.tenant_scope()).issuer_get(id(issuer, "issuer")?).await?;
    found.ok_or_else(|| missing("issuer"))
}

fn kept(kept: IssuerKept) -> Result<Issuer, ApiError> {
    match kept {
        IssuerKept::Yes(issuer) => Ok(*issuer),
        IssuerKept::Taken(other) => Err(taken("/issuer", Some(other.to_string())).into()),
        IssuerKept::TooMany => Err(Problem::invalid("/issuer", "there are as many issuers as may be").into()),
    }
}

/// Whether the values are in bounds, and its keys where they may be fetched from.
fn check(state: &AppState, params: &IssuerParams) -> Result<(), ApiError> {
    params.check()?;
    let at = if params.jwks_uri.is_some() { "/jwks_uri" } else { "/issuer" };
    reachable(&state.guard, params.jwks_uri.as_ref().unwrap_or(&params.issuer))
        .map_err(|words| Problem::new(ErrorCode::UrlNotAllowed, words).with("param", at).into())
}

/// Adds an issuer.
#[utoipa::path(post, path = "/v1/issuers", tag = "issuers", request_body = IssuerParams,
    responses((status = 201, body = Issuer), (status = "default", body = Problem)))]
pub async fn issuers_create(
    State(state): State<AppState>,
    caller: Caller,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("tokens:write")?;
    let params: IssuerParams = body.parse()?;
    check(&state, &params)?;
    let storage = state.store.scoped(caller.tenant_scope());
    let once = body.idempotency(&state, &caller)?;
    let (issuer, replayed) = match storage.issuer_create(&params, Timestamp::now(), once.key()).await? {
        Once::Done(made) => (kept(made)?, false),
        Once::Replay(object) => (find(&state, &caller, &object).await?, true),
        Once::Mismatch => return Err(mismatch()),
    };
    state.auth.issuers.forget(caller.tenant).await;
    Ok(created(&issuer, &format!("/v1/issuers/{}", issuer.id), replayed))
}

/// Lists issuers.
#[utoipa::path(get, path = "/v1/issuers", tag = "issuers", params(ListQuery),
    responses((status = 200, body = List<Issuer>), (status = "default", body = Problem)))]
pub async fn issuers_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<List<Issuer>>, ApiError> {
    caller.require_key("tokens:read")?;
    let page = query.page()?;
    let issuers = state.store.scoped(caller.tenant_scope()).issuer_list(page).await?;
    Ok(Json(list(issuers, page, |issuer| issuer.id.uuid())))
}

/// One issuer.
#[utoipa::path(get, path = "/v1/issuers/{issuer}", tag = "issuers", params(("issuer" = String, Path)),
    responses((status = 200, body = Issuer), (status = "default", body = Problem)))]
pub async fn issuers_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(issuer): Path<String>,
) -> Result<Json<Issuer>, ApiError> {
    caller.require_key("tokens:read")?;
    Ok(Json(find(&state, &caller, &issuer).await?))
}

/// Changes an issuer. Tokens that were good before are looked at anew, within seconds on every process.
#[utoipa::path(patch, path = "/v1/issuers/{issuer}", tag = "issuers", params(("issuer" = String, Path)),
    request_body = IssuerParams, responses((status = 200, body = Issuer), (status = "default", body = Problem)))]
pub async fn issuers_update(
    State(state): State<AppState>,
    caller: Caller,
    Path(issuer): Path<String>,
    body: ApiBody,
) -> Result<Json<Issuer>, ApiError> {
    caller.require_key("tokens:write")?;
    let found = find(&state, &caller, &issuer).await?;
    let current = IssuerParams {
        issuer: found.issuer,
        audience: found.audience,
        jwks_uri: found.jwks_uri,
        algorithms: Some(found.algorithms),
        user_claim: Some(found.user_claim),
        scopes: Some(found.scopes),
    };
    let params: IssuerParams = body.patch(&current)?;
    check(&state, &params)?;
    let storage = state.store.scoped(caller.tenant_scope());
    let changed = storage.issuer_update(found.id, &params, Timestamp::now()).await?;
    state.auth.issuers.forget(caller.tenant).await;
    Ok(Json(kept(changed.ok_or_else(|| missing("issuer"))?)?))
}

/// Removes an issuer. Its tokens are good for nothing, within seconds on every process; users stay.
#[utoipa::path(delete, path = "/v1/issuers/{issuer}", tag = "issuers", params(("issuer" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn issuers_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(issuer): Path<String>,
) -> Result<Response, ApiError> {
    caller.require_key("tokens:write")?;
    let issuer: IssuerId = find(&state, &caller, &issuer).await?.id;
    let gone = state.store.scoped(caller.tenant_scope()).issuer_delete(issuer).await?;
    state.auth.issuers.forget(caller.tenant).await;
    if gone { Ok(no_content()) } else { Err(missing("issuer")) }
}
