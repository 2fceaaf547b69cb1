//! `/v1/provider_keys`: a tenant's own keys at model providers, written and never read again.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use headwater_protocol::api::{List, ProviderKey, ProviderKeyParams};
use headwater_protocol::{ErrorCode, Problem};
use headwater_vault::VaultError;

use super::body::ApiBody;
use super::{missing, no_content};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::wiring::AppState;

/// Keeps the tenant's own key at a provider, in place of one that was there. Calls use it instead of the platform's, on every
/// process within 5 s.
#[utoipa::path(put, path = "/v1/provider_keys/{provider}", tag = "secrets", params(("provider" = String, Path)),
    request_body = ProviderKeyParams, responses((status = 200, body = ProviderKey), (status = "default", body = Problem)))]
pub async fn provider_keys_put(
    State(state): State<AppState>,
    caller: Caller,
    Path(provider): Path<String>,
    body: ApiBody,
) -> Result<Json<ProviderKey>, ApiError> {
    caller.require_key("settings:write")?;
    // Where it is now: should the provider move, the key does not go along by itself.
    let host = state.llm.provider_host(&provider).ok_or_else(|| missing("provider"))?;
    let params: ProviderKeyParams = body.parse()?;
    params.check()?;
    match state.vault.put_provider_key(caller.tenant, &provider, &host, &params).await {
        Ok(key) => Ok(Json(key)),
        Err(VaultError::Store(error)) => Err(error.into()),
        Err(error) => {
            tracing::error!(%error, "a provider's key could not be kept");
            Err(Problem::new(ErrorCode::Internal, "the key could not be kept").into())
        }
    }
}

/// Lists the providers at which the tenant has a key of its own.
#[utoipa::path(get, path = "/v1/provider_keys", tag = "secrets",
    responses((status = 200, body = List<ProviderKey>), (status = "default", body = Problem)))]
pub async fn provider_keys_list(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<List<ProviderKey>>, ApiError> {
    caller.require_key("settings:read")?;
    let keys = state.store.scoped(caller.tenant_scope()).provider_key_list().await?;
    Ok(Json(List::page(keys, None)))
}

/// Forgets a key: calls use the platform's again, on every process within 5 s.
#[utoipa::path(delete, path = "/v1/provider_keys/{provider}", tag = "secrets", params(("provider" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn provider_keys_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(provider): Path<String>,
) -> Result<Response, ApiError> {
    caller.require_key("settings:write")?;
    match state.vault.delete_provider_key(caller.tenant, &provider).await {
        Ok(true) => Ok(no_content()),
        Ok(false) => Err(missing("provider key")),
        Err(VaultError::Store(error)) => Err(error.into()),
        Err(_) => Err(missing("provider key")),
    }
}
