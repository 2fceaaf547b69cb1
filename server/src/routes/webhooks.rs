//! `/v1/webhook_endpoints`: where a tenant's own server is told of what happens, and what was sent there.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::api::{
    DeliveryStatus, List, WebhookDelivery, WebhookEndpoint, WebhookEndpointParams, WebhookEndpointUpdate,
    WebhookEventType, WebhookStatus,
};
use headwater_protocol::{DeliveryId, ErrorCode, Problem, Timestamp, WebhookEndpointId};
use headwater_store::pool::Once;
use headwater_vault::{SigningSecret, VaultError};
use http::StatusCode;
use serde::Deserialize;
use url::Url;

use super::body::{ApiBody, NoParams};
use super::lists::{ListQuery, list, words};
use super::{created, id, mark, missing, no_content};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::ApiQuery;
use crate::http::idempotency::mismatch;
use crate::webhooks::{OLD_SECRET, shown};
use crate::wiring::AppState;

/// Which deliveries to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveriesQuery {
    /// `pending`, `delivered`, `failed`, or several with commas.
    pub status: Option<String>,
    /// 1 to 100; 20 unless given.
    pub limit: Option<i64>,
    /// The page before's `next_cursor`.
    pub after: Option<String>,
    /// `asc` or `desc`, by creation; `desc` unless given.
    pub order: Option<String>,
}

async fn find(state: &AppState, caller: &Caller, endpoint: &str) -> Result<WebhookEndpoint, ApiError> {
    let endpoint: WebhookEndpointId = id(endpoint, "webhook endpoint")?;
    let found = state.store.scoped(caller.tenant_scope()).webhook_get(endpoint).await?;
    found.ok_or_else(|| missing("webhook endpoint"))
}

/// Whoever has an endpoint told of something, or may speak as us to it, must be allowed to read what that comes with.
fn may_read(caller: &Caller, events: &[WebhookEventType]) -> Result<(), Problem> {
    events.iter().try_for_each(|event| caller.require(event.scope()))
}

/// Whether this may be kept. Who is told of runs could as well read them: whoever asks for that must be allowed to.
fn check(state: &AppState, caller: &Caller, params: &WebhookEndpointParams) -> Result<(), ApiError> {
    params.check()?;
    may_read(caller, &params.events)?;
    let not_allowed = |words: String| Problem::new(ErrorCode::UrlNotAllowed, words).with("param", "/url");
    let url = Url::parse(&params.url).map_err(|_| Problem::invalid("/url", "must be a URL"))?;
    state.guard.check(&url).map_err(|refused| not_allowed(refused.to_string()))?;
    Ok(())
}

fn of_vault(error: VaultError) -> ApiError {
    match error {
        VaultError::Store(error) => error.into(),
        other => ApiError::internal(other),
    }
}

/// An endpoint with its secret, which is shown this once.
fn with_secret(mut endpoint: WebhookEndpoint, secret: &SigningSecret) -> WebhookEndpoint {
    endpoint.secret = Some(shown(secret.bytes()));
    endpoint
}

/// 202: it will be sent.
fn accepted(delivery: &WebhookDelivery, replayed: bool) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(delivery)).into_response();
    mark(&mut response, replayed);
    response
}

/// Adds an endpoint. Its secret is shown in this answer only.
#[utoipa::path(post, path = "/v1/webhook_endpoints", tag = "webhooks", request_body = WebhookEndpointParams,
    responses((status = 201, body = WebhookEndpoint), (status = "default", body = Problem)))]
pub async fn webhook_endpoints_create(
    State(state): State<AppState>,
    caller: Caller,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("webhooks:write")?;
    let params: WebhookEndpointParams = body.parse()?;
    check(&state, &caller, &params)?;
    let storage = state.store.scoped(caller.tenant_scope());
    let once = body.idempotency(&state, &caller)?;
    let endpoint = WebhookEndpointId::new();
    let (secret, sealed) = state.vault.new_signing_secret(caller.tenant, endpoint).await.map_err(of_vault)?;
    let made = storage.webhook_create(endpoint, &params, &sealed, Timestamp::now(), once.key()).await?;
    let (endpoint, replayed) = match made {
        Once::Done(Some(made)) => (with_secret(made, &secret), false),
        Once::Done(None) => {
            return Err(Problem::invalid("/url", "there are as many webhook endpoints as may be").into());
        }
        Once::Replay(object) => (find(&state, &caller, &object).await?, true),
        Once::Mismatch => return Err(mismatch()),
    };
    Ok(created(&endpoint, &format!("/v1/webhook_endpoints/{}", endpoint.id), replayed))
}

/// Lists endpoints.
#[utoipa::path(get, path = "/v1/webhook_endpoints", tag = "webhooks", params(ListQuery),
    responses((status = 200, body = List<WebhookEndpoint>), (status = "default", body = Problem)))]
pub async fn webhook_endpoints_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<List<WebhookEndpoint>>, ApiError> {
    caller.require_key("webhooks:read")?;
    let page = query.page()?;
    let found = state.store.scoped(caller.tenant_scope()).webhook_list(page).await?;
    Ok(Json(list(found, page, |endpoint| endpoint.id.uuid())))
}

/// An endpoint.
#[utoipa::path(get, path = "/v1/webhook_endpoints/{endpoint}", tag = "webhooks", params(("endpoint" = String, Path)),
    responses((status = 200, body = WebhookEndpoint), (status = "default", body = Problem)))]
pub async fn webhook_endpoints_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    caller.require_key("webhooks:read")?;
    Ok(Json(find(&state, &caller, &endpoint).await?))
}

/// Changes an endpoint. One that is enabled again has not failed yet.
#[utoipa::path(patch, path = "/v1/webhook_endpoints/{endpoint}", tag = "webhooks", params(("endpoint" = String, Path)),
    request_body = WebhookEndpointUpdate,
    responses((status = 200, body = WebhookEndpoint), (status = "default", body = Problem)))]
pub async fn webhook_endpoints_update(
    State(state): State<AppState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    body: ApiBody,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    caller.require_key("webhooks:write")?;
    let mut found = find(&state, &caller, &endpoint).await?;
    let update: WebhookEndpointUpdate = body.parse()?;
    let storage = state.store.scoped(caller.tenant_scope());
    // What somebody else has changed between reading it and writing it is read again.
    for _ in 0..5 {
        let change = update.clone();
        let params = WebhookEndpointParams {
            url: change.url.unwrap_or(found.url),
            events: change.events.unwrap_or(found.events),
            description: change.description.unwrap_or(found.description),
            metadata: Some(change.metadata.unwrap_or(found.metadata)),
        };
        let changes = (update.events.is_some(), update.status);
        // Who sends nobody anything new may do that without reading it: whoever finds an endpoint amiss can switch it off.
        let leads_elsewhere =
            update.url.is_some() || update.events.is_some() || update.status == Some(WebhookStatus::Enabled);
        if leads_elsewhere {
            check(&state, &caller, &params)?;
        } else {
            params.check()?;
        }
        let changed = storage.webhook_update(found.id, &params, changes, found.updated_at, Timestamp::now()).await?;
        if let Some(endpoint) = changed {
            return Ok(Json(endpoint));
        }
        found = find(&state, &caller, &endpoint).await?;
    }
    Err(Problem::new(ErrorCode::Unavailable, "it is being changed; try again").into())
}

/// Removes an endpoint; what was to be sent to it is not.
#[utoipa::path(delete, path = "/v1/webhook_endpoints/{endpoint}", tag = "webhooks", params(("endpoint" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn webhook_endpoints_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Response, ApiError> {
    caller.require_key("webhooks:write")?;
    let endpoint: WebhookEndpointId = id(&endpoint, "webhook endpoint")?;
    if !state.store.scoped(caller.tenant_scope()).webhook_delete(endpoint).await? {
        return Err(missing("webhook endpoint"));
    }
    Ok(no_content())
}

/// Sends an endpoint a `webhook.test`, also if it is disabled.
#[utoipa::path(post, path = "/v1/webhook_endpoints/{endpoint}/test", tag = "webhooks", params(("endpoint" = String, Path)),
    responses((status = 202, body = WebhookDelivery), (status = "default", body = Problem)))]
pub async fn webhook_endpoints_test(
    State(state): State<AppState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("webhooks:write")?;
    let found = find(&state, &caller, &endpoint).await?;
    let NoParams {} = body.parse()?;
    let storage = state.store.scoped(caller.tenant_scope());
    let once = body.idempotency(&state, &caller)?;
    let made = storage.webhook_test(found.id, DeliveryId::new(), once.key()).await?;
    made_delivery(&state, &caller, found.id, made).await
}

/// Gives an endpoint another secret, which is shown in this answer only. The one before signs along for 24 hours.
#[utoipa::path(post, path = "/v1/webhook_endpoints/{endpoint}/rotate_secret", tag = "webhooks",
    params(("endpoint" = String, Path)),
    responses((status = 200, body = WebhookEndpoint), (status = "default", body = Problem)))]
pub async fn webhook_endpoints_rotate_secret(
    State(state): State<AppState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("webhooks:write")?;
    let found = find(&state, &caller, &endpoint).await?;
    may_read(&caller, &found.events)?;
    let NoParams {} = body.parse()?;
    let storage = state.store.scoped(caller.tenant_scope());
    let once = body.idempotency(&state, &caller)?;
    let (secret, sealed) = state.vault.new_signing_secret(caller.tenant, found.id).await.map_err(of_vault)?;
    let along = OLD_SECRET.as_millis() as i64;
    match storage.webhook_rotate(found.id, &sealed, along, Timestamp::now(), once.key()).await? {
        Once::Done(Some(endpoint)) => Ok(Json(with_secret(endpoint, &secret)).into_response()),
        Once::Done(None) => Err(missing("webhook endpoint")),
        Once::Replay(_) => {
            let mut response = Json(find(&state, &caller, &endpoint).await?).into_response();
            mark(&mut response, true);
            Ok(response)
        }
        Once::Mismatch => Err(mismatch()),
    }
}

/// Lists what was sent to an endpoint, and is to be: for 30 days after it was taken or given up.
#[utoipa::path(get, path = "/v1/webhook_endpoints/{endpoint}/deliveries", tag = "webhooks",
    params(("endpoint" = String, Path), DeliveriesQuery),
    responses((status = 200, body = List<WebhookDelivery>), (status = "default", body = Problem)))]
pub async fn webhook_deliveries_list(
    State(state): State<AppState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    ApiQuery(query): ApiQuery<DeliveriesQuery>,
) -> Result<Json<List<WebhookDelivery>>, ApiError> {
    caller.require_key("webhooks:read")?;
    let endpoint = find(&state, &caller, &endpoint).await?.id;
    let page = ListQuery { limit: query.limit, after: query.after, order: query.order }.page()?;
    let of = words("status", query.status.as_deref(), &DeliveryStatus::ALL)?;
    let storage = state.store.scoped(caller.tenant_scope());
    let found = storage.delivery_list(endpoint, of.as_deref(), page).await?;
    Ok(Json(list(found, page, |delivery| delivery.id.uuid())))
}

/// Sends an event once more, as a delivery of its own. What it is about is sent as it is now.
#[utoipa::path(post, path = "/v1/webhook_endpoints/{endpoint}/deliveries/{delivery}/replay", tag = "webhooks",
    params(("endpoint" = String, Path), ("delivery" = String, Path)),
    responses((status = 202, body = WebhookDelivery), (status = "default", body = Problem)))]
pub async fn webhook_deliveries_replay(
    State(state): State<AppState>,
    caller: Caller,
    Path((endpoint, delivery)): Path<(String, String)>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("webhooks:write")?;
    let endpoint = find(&state, &caller, &endpoint).await?.id;
    let delivery: DeliveryId = id(&delivery, "delivery")?;
    let storage = state.store.scoped(caller.tenant_scope());
    if storage.delivery_get(endpoint, delivery).await?.is_none() {
        return Err(missing("delivery"));
    }
    let NoParams {} = body.parse()?;
    let once = body.idempotency(&state, &caller)?;
    let made = storage.webhook_replay(endpoint, delivery, DeliveryId::new(), once.key()).await?;
    made_delivery(&state, &caller, endpoint, made).await
}

async fn made_delivery(
    state: &AppState,
    caller: &Caller,
    endpoint: WebhookEndpointId,
    made: Once<Option<WebhookDelivery>>,
) -> Result<Response, ApiError> {
    match made {
        Once::Done(Some(delivery)) => Ok(accepted(&delivery, false)),
        Once::Done(None) => Err(missing("delivery")),
        Once::Replay(object) => {
            let storage = state.store.scoped(caller.tenant_scope());
            let found = storage.delivery_get(endpoint, id(&object, "delivery")?).await?;
            Ok(accepted(&found.ok_or_else(|| missing("delivery"))?, true))
        }
        Once::Mismatch => Err(mismatch()),
    }
}
