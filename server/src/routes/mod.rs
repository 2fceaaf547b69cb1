//! Handlers: extractors in, one method of one crate, the answer mapped. No SQL, no business rule, no spawn.
//!
//! The order of checks is the same everywhere: credential and rate (middleware), scope, the object in the path, the
//! body, state, capacity.

pub mod ag_ui;
pub mod agents;
mod answers;
pub mod approvals;
pub mod artifacts;
pub mod attachments;
pub mod body;
pub mod budgets;
pub mod calls;
pub mod chat;
pub mod console;
pub mod dev;
pub mod docs;
pub mod durable;
pub mod health;
pub mod issuers;
pub mod lists;
pub mod mcp;
pub mod memory;
pub mod metrics;
pub mod openai;
pub mod operations;
pub mod plans;
pub mod provider_keys;
pub mod runs;
pub mod schedules;
pub mod secrets;
pub mod streams;
mod talk;
pub mod tenants;
pub mod threads;
pub mod tokens;
pub mod usage;
pub mod users;
pub mod webhooks;

use axum::Json;
use axum::response::{IntoResponse, Response};
use headwater_protocol::{ErrorCode, Problem, UserId};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::auth::{Caller, UserRef};
use crate::error::ApiError;

/// The header that says an answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An id in a path. What is malformed does not exist.
pub fn id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| missing(what))
}

/// The user that this caller is, or acts for. `None`: one that does not exist, and so has nothing.
///
/// # Errors
/// `user_required` for a key that acts for nobody.
pub fn whose(caller: &Caller) -> Result<Option<UserId>, ApiError> {
    match &caller.user {
        UserRef::None => {
            let detail = "say for which user: send the header Headwater-User with a tenant's key";
            Err(Problem::new(ErrorCode::UserRequired, detail).into())
        }
        user => Ok(user.known()),
    }
}

/// 404: it does not exist, or not for this caller.
pub fn missing(what: &str) -> ApiError {
    Problem::new(ErrorCode::NotFound, format!("there is no such {what}")).into()
}

/// 201 with the object and where it is.
pub fn created(object: &impl serde::Serialize, location: &str, replayed: bool) -> Response {
    let mut response = (StatusCode::CREATED, Json(object)).into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    mark(&mut response, replayed);
    response
}

/// Says so of an answer that is an earlier request's.
pub fn mark(response: &mut Response, replayed: bool) {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
}

/// Says which change of an object this is.
pub fn etag(response: &mut Response, revision: i32) {
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        response.headers_mut().insert(http::header::ETAG, etag);
    }
}

/// The change of an object that a request means, if it says so. `else_`: what it must be.
pub fn if_match(headers: &HeaderMap, else_: &str) -> Result<Option<i32>, ApiError> {
    let Some(value) = headers.get(http::header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim);
    if text == Some("*") {
        return Ok(None);
    }
    let revision = text.and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    revision.map(Some).ok_or_else(|| ApiError::invalid_request("header:If-Match", else_))
}

/// 204.
pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// `already_exists` for a unique value that is taken.
pub fn taken(param: &str, existing: Option<String>) -> Problem {
    let mut problem = Problem::new(ErrorCode::AlreadyExists, format!("{param} is taken"));
    problem.extra.insert("existing".into(), existing.into());
    problem
}
