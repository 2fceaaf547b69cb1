//! Tenants and their keys: the operator's work; and a tenant's view of itself.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use headwater_protocol::api::{ApiKey, KeyParams, List, Tenant, TenantSettings};
use headwater_protocol::{KeyId, Problem, TenantId, Timestamp};
use headwater_store::pool::Once;
use headwater_store::unscoped::PageOf;

use super::body::ApiBody;
use super::lists::{ListQuery, list};
use super::plans::check_plan;
use super::{created, id, missing, no_content};
use crate::auth::{Caller, Operator};
use crate::error::ApiError;
use crate::http::idempotency::mismatch;
use crate::http::query::ApiQuery;
use crate::keys;
use crate::wiring::AppState;

const WHY: &str = "the operator manages tenants";

fn page_of(query: &ListQuery) -> Result<(PageOf, headwater_store::scoped::Page), ApiError> {
    let page = query.page()?;
    Ok((PageOf { after: page.after, ascending: page.ascending, limit: page.limit }, page))
}

/// Makes a tenant.
#[utoipa::path(post, path = "/v1/tenants", tag = "operator", request_body = TenantSettings,
    responses((status = 201, body = Tenant), (status = "default", body = Problem)))]
pub async fn tenants_create(State(state): State<AppState>, _: Operator, body: ApiBody) -> Result<Response, ApiError> {
    let settings: TenantSettings = body.parse()?;
    settings.check()?;
    check_plan(&state, &settings.plan).await?;
    let unscoped = state.store.unscoped(WHY);
    let tenant = TenantId::new();
    let asked = body.operator_once(&state)?;
    let asked = asked.as_ref().map(|(once, _running)| once);
    let (tenant, replayed) = match unscoped.tenant_create(tenant, &settings, Timestamp::now(), asked).await? {
        Once::Done(()) => (tenant, false),
        Once::Replay(object) => (id(&object, "tenant")?, true),
        Once::Mismatch => return Err(mismatch()),
    };
    let tenant = unscoped.tenant_get(tenant).await?.ok_or_else(|| missing("tenant"))?;
    Ok(created(&tenant, &format!("/v1/tenants/{}", tenant.id), replayed))
}

/// Lists tenants.
#[utoipa::path(get, path = "/v1/tenants", tag = "operator",
    responses((status = 200, body = List<Tenant>), (status = "default", body = Problem)), params(ListQuery))]
pub async fn tenants_list(
    State(state): State<AppState>,
    _: Operator,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<List<Tenant>>, ApiError> {
    let (of, page) = page_of(&query)?;
    let tenants = state.store.unscoped(WHY).tenant_list(of).await?;
    Ok(Json(list(tenants, page, |tenant| tenant.id.uuid())))
}

/// The tenant that a path of the operator's names.
pub(super) async fn existing(state: &AppState, tenant: &str) -> Result<Tenant, ApiError> {
    let found = state.store.unscoped(WHY).tenant_get(id(tenant, "tenant")?).await?;
    found.ok_or_else(|| missing("tenant"))
}

/// One tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "operator", params(("tenant" = String, Path)),
    responses((status = 200, body = Tenant), (status = "default", body = Problem)))]
pub async fn tenants_get(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
) -> Result<Json<Tenant>, ApiError> {
    existing(&state, &tenant).await.map(Json)
}

/// Changes a tenant.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}", tag = "operator", params(("tenant" = String, Path)),
    request_body = TenantSettings, responses((status = 200, body = Tenant), (status = "default", body = Problem)))]
pub async fn tenants_update(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
    body: ApiBody,
) -> Result<Json<Tenant>, ApiError> {
    let unscoped = state.store.unscoped(WHY);
    let tenant = existing(&state, &tenant).await?;
    let settings: TenantSettings = body.patch(&settings_of(&tenant))?;
    settings.check()?;
    check_plan(&state, &settings.plan).await?;
    unscoped.tenant_update(tenant.id, &settings, Timestamp::now()).await?;
    state.terms.forget();
    state.auth.forget(tenant.id, None).await;
    let tenant = unscoped.tenant_get(tenant.id).await?.ok_or_else(|| missing("tenant"))?;
    Ok(Json(tenant))
}

/// Erases a tenant with all that is its own.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}", tag = "operator", params(("tenant" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn tenants_delete(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
) -> Result<Response, ApiError> {
    let mut found = existing(&state, &tenant).await?;
    let (tenant, unscoped) = (found.id, state.store.unscoped(WHY));
    // Switched off first, so that nothing new begins while it is being erased.
    found.status = headwater_protocol::api::TenantStatus::Suspended;
    unscoped.tenant_update(tenant, &settings_of(&found), Timestamp::now()).await?;
    state.auth.forget(tenant, None).await;
    super::runs::cancel_live(&state, headwater_protocol::Scope { tenant, user: None }, None, None).await?;
    if !unscoped.tenant_delete(tenant).await? {
        return Err(missing("tenant"));
    }
    Ok(no_content())
}

fn settings_of(tenant: &Tenant) -> TenantSettings {
    TenantSettings {
        name: tenant.name.clone(),
        allowed_origins: tenant.allowed_origins.clone(),
        retention_ms: tenant.retention_ms,
        metadata: tenant.metadata.clone(),
        status: tenant.status,
        plan: tenant.plan.clone(),
    }
}

/// Makes a key of a tenant. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/keys", tag = "operator", params(("tenant" = String, Path)),
    request_body = KeyParams, responses((status = 201, body = ApiKey), (status = "default", body = Problem)))]
pub async fn tenant_keys_create(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    let tenant = existing(&state, &tenant).await?.id;
    let unscoped = state.store.unscoped(WHY);
    let params: KeyParams = body.parse()?;
    params.check()?;
    let (key_id, secret) = (KeyId::new(), keys::new_secret("hw_sk_"));
    let location = |key: KeyId| format!("/v1/tenants/{tenant}/keys/{key}");
    let mut key = ApiKey {
        id: key_id,
        object: "api_key".into(),
        tenant,
        name: params.name,
        secret: None,
        hint: keys::hint(&secret),
        scopes: params.scopes.unwrap_or_else(|| vec!["*".into()]),
        expires_at: params.expires_at,
        last_used_at: None,
        revoked_at: None,
        created_at: Timestamp::now(),
    };
    let asked = body.operator_once(&state)?;
    let asked = asked.as_ref().map(|(once, _running)| once);
    match unscoped.tenant_key_create(&key, &state.auth.hash(&secret), asked).await? {
        Once::Done(true) => {}
        Once::Done(false) => return Err(missing("tenant")),
        Once::Replay(object) => {
            // Its secret was in the first answer and nowhere else.
            let earlier: KeyId = id(&object, "key")?;
            let page = PageOf { after: None, ascending: true, limit: 1 };
            let found = unscoped.tenant_key_list(tenant, Some(earlier), page).await?.pop();
            return Ok(created(&found.ok_or_else(|| missing("key"))?, &location(earlier), true));
        }
        Once::Mismatch => return Err(mismatch()),
    }
    key.secret = Some(secret);
    Ok(created(&key, &location(key_id), false))
}

/// Lists a tenant's keys.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/keys", tag = "operator", params(("tenant" = String, Path), ListQuery),
    responses((status = 200, body = List<ApiKey>), (status = "default", body = Problem)))]
pub async fn tenant_keys_list(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<List<ApiKey>>, ApiError> {
    let tenant = existing(&state, &tenant).await?.id;
    let unscoped = state.store.unscoped(WHY);
    let (of, page) = page_of(&query)?;
    let keys = unscoped.tenant_key_list(tenant, None, of).await?;
    Ok(Json(list(keys, page, |key| key.id.uuid())))
}

/// Revokes a key.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/keys/{key}", tag = "operator",
    params(("tenant" = String, Path), ("key" = String, Path)), responses((status = 204), (status = "default", body = Problem)))]
pub async fn tenant_keys_revoke(
    State(state): State<AppState>,
    _: Operator,
    Path((tenant, key)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (tenant, key) = (id(&tenant, "tenant")?, id(&key, "key")?);
    if !state.store.unscoped(WHY).tenant_key_revoke(tenant, key).await? {
        return Err(missing("key"));
    }
    state.auth.forget(tenant, None).await;
    Ok(no_content())
}

/// The caller's own tenant.
#[utoipa::path(get, path = "/v1/tenant", tag = "tenant",
    responses((status = 200, body = Tenant), (status = "default", body = Problem)))]
pub async fn tenant_get(State(state): State<AppState>, caller: Caller) -> Result<Json<Tenant>, ApiError> {
    caller.require_key("settings:read")?;
    let tenant = state.store.scoped(caller.scope()).tenant_get().await?;
    tenant.map(Json).ok_or_else(|| missing("tenant"))
}

/// Changes what a tenant may change of itself.
#[utoipa::path(patch, path = "/v1/tenant", tag = "tenant", request_body = TenantSettings,
    responses((status = 200, body = Tenant), (status = "default", body = Problem)))]
pub async fn tenant_update(
    State(state): State<AppState>,
    caller: Caller,
    body: ApiBody,
) -> Result<Json<Tenant>, ApiError> {
    caller.require_key("settings:write")?;
    let storage = state.store.scoped(caller.scope());
    let tenant = storage.tenant_get().await?.ok_or_else(|| missing("tenant"))?;
    let settings: TenantSettings = body.patch(&settings_of(&tenant))?;
    settings.check()?;
    for (param, changed) in [("/status", settings.status != tenant.status), ("/plan", settings.plan != tenant.plan)] {
        if changed {
            return Err(Problem::invalid(param, "only the operator changes this").into());
        }
    }
    storage.tenant_update(&settings, Timestamp::now()).await?;
    state.auth.forget(caller.tenant, None).await;
    let tenant = storage.tenant_get().await?.ok_or_else(|| missing("tenant"))?;
    Ok(Json(tenant))
}
