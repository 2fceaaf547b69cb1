//! `GET /metrics`: what this process has counted, for Prometheus. For the operator, and whoever has the key for it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::ErrorCode;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use secrecy::ExposeSecret as _;

use crate::auth::bearer;
use crate::error::ApiError;
use crate::telemetry;
use crate::wiring::AppState;

/// The text format of Prometheus.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All counters. Asks nobody, wakes nothing.
pub async fn metrics(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let may = bearer(&headers).is_some_and(|secret| {
        let own = state
            .metrics_key
            .as_ref()
            .is_some_and(|key| verify_slices_are_equal(key.expose_secret().as_bytes(), secret.as_bytes()).is_ok());
        own || state.auth.is_operator(secret)
    });
    if !may {
        return Err(ApiError::new(
            ErrorCode::Unauthenticated,
            "send the operator's key, or that of telemetry.metrics_key",
        ));
    }
    let text = telemetry::text()
        .map_err(|error| ApiError::new(ErrorCode::Internal, "the counters could not be written").with_cause(error))?;
    Ok(([(CONTENT_TYPE, FORMAT)], text).into_response())
}
