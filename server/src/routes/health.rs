//! Whether the process lives and whether it can work: open to everybody, and telling nothing else. And waking it: not open.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::ErrorCode;
use http::HeaderMap;
use serde_json::json;

use crate::auth::bearer;
use crate::error::ApiError;
use crate::wiring::AppState;

/// The process is there. Asks nobody, wakes nothing.
pub async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Wakes the process, which then does whatever is due. For `headwater wake`.
pub async fn wake(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    if !bearer(&headers).is_some_and(|secret| state.auth.is_waker(secret)) {
        return Err(ApiError::new(ErrorCode::Unauthenticated, "this takes the key that `headwater wake` has"));
    }
    state.store.gate().touch();
    state.store.ping().await?;
    Ok(Json(json!({ "status": "awake" })).into_response())
}

/// The process can take work: the database answers and it is not shutting down. One that is quiet is not woken for this: it
/// could when it was asked last.
pub async fn readyz(State(state): State<AppState>) -> Result<Response, ApiError> {
    if state.draining.is_cancelled() {
        return Err(ApiError::new(ErrorCode::Draining, "this process is shutting down"));
    }
    if state.store.gate().is_quiet() {
        return Ok(Json(json!({ "status": "quiet" })).into_response());
    }
    state.store.ping().await?;
    Ok(Json(json!({ "status": "ready" })).into_response())
}
