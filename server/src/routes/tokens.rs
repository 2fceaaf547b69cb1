//! Who am I, and tokens for users.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use headwater_protocol::api::{Principal, USER_SCOPES, UserToken, UserTokenParams};
use headwater_protocol::{Problem, UserId};
use http::StatusCode;

use super::body::ApiBody;
use super::missing;
use crate::auth::{Caller, CallerKind};
use crate::error::ApiError;
use crate::wiring::AppState;

/// Who is calling.
#[utoipa::path(get, path = "/v1/me", tag = "tenant",
    responses((status = 200, body = Principal), (status = "default", body = Problem)))]
pub async fn me(caller: Caller) -> Result<Json<Principal>, ApiError> {
    let key = match caller.kind {
        CallerKind::Key { key, .. } => Some(key),
        CallerKind::Token | CallerKind::Foreign { .. } | CallerKind::Ticket { .. } => None,
    };
    let user = caller.user.known();
    let kind = if caller.user == crate::auth::UserRef::None { "tenant" } else { "user" };
    Ok(Json(Principal {
        object: "principal".into(),
        kind: kind.into(),
        tenant: caller.tenant,
        user,
        key,
        scopes: caller.scopes.to_vec(),
        expires_at: caller.expires_at,
    }))
}

/// Mints a token of a user. Stores nothing; a new external id makes the user.
#[utoipa::path(post, path = "/v1/user_tokens", tag = "tenant", request_body = UserTokenParams,
    responses((status = 201, body = UserToken), (status = "default", body = Problem)))]
pub async fn user_tokens_create(
    State(state): State<AppState>,
    caller: Caller,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("tokens:write")?;
    let params: UserTokenParams = body.parse()?;
    let ttl_ms = params.check()?;
    let user = match params.user.parse::<UserId>() {
        Ok(user) => {
            let known = state.auth.access(caller.tenant, user).await?;
            if known.is_none_or(|access| access.user_active.is_none()) {
                return Err(missing("user"));
            }
            user
        }
        Err(_) => {
            headwater_protocol::api::check_external_id("/user", &params.user)?;
            state.auth.user_ensure(caller.tenant, &params.user).await?
        }
    };
    let scopes = params.scopes.unwrap_or_else(|| USER_SCOPES.iter().map(|scope| (*scope).to_owned()).collect());
    let token = state.auth.tokens.mint(caller.tenant, user, scopes, params.agents, ttl_ms)?;
    let mut response = axum::response::IntoResponse::into_response((StatusCode::CREATED, Json(token)));
    response.headers_mut().insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    Ok(response)
}
