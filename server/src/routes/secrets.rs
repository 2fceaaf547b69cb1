//! `/v1/secrets`: what a tenant's tools need to know, written and never read again.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use headwater_protocol::api::{List, Secret, SecretParams, check_secret_name};
use headwater_protocol::{ErrorCode, Problem};
use headwater_vault::VaultError;

use super::body::ApiBody;
use super::{missing, no_content};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::wiring::AppState;

/// Keeps a secret, in place of one of the same name.
#[utoipa::path(put, path = "/v1/secrets/{name}", tag = "secrets", params(("name" = String, Path)), request_body = SecretParams,
    responses((status = 200, body = Secret), (status = "default", body = Problem)))]
pub async fn secrets_put(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    body: ApiBody,
) -> Result<Json<Secret>, ApiError> {
    caller.require_key("tools:write")?;
    let params: SecretParams = body.parse()?;
    check_secret_name(&name)?;
    params.check()?;
    match state.vault.put(caller.tenant, &name, &params).await {
        Ok(secret) => Ok(Json(secret)),
        Err(VaultError::Store(error)) => Err(error.into()),
        Err(VaultError::TooMany) => Err(Problem::invalid("/name", "there are as many secrets as may be").into()),
        Err(error) => {
            tracing::error!(%error, "a secret could not be kept");
            Err(Problem::new(ErrorCode::Internal, "the secret could not be kept").into())
        }
    }
}

/// Lists the names of all secrets: never their values.
#[utoipa::path(get, path = "/v1/secrets", tag = "secrets",
    responses((status = 200, body = List<Secret>), (status = "default", body = Problem)))]
pub async fn secrets_list(State(state): State<AppState>, caller: Caller) -> Result<Json<List<Secret>>, ApiError> {
    caller.require_key("tools:read")?;
    let secrets = state.store.scoped(caller.tenant_scope()).secret_list().await?;
    Ok(Json(List::page(secrets, None)))
}

/// Forgets a secret. Tools that name it fail from now on.
#[utoipa::path(delete, path = "/v1/secrets/{name}", tag = "secrets", params(("name" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn secrets_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    caller.require_key("tools:write")?;
    if check_secret_name(&name).is_err() || !state.store.scoped(caller.tenant_scope()).secret_delete(&name).await? {
        return Err(missing("secret"));
    }
    Ok(no_content())
}
