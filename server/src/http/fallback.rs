//! Answers where no handler answers, and problems in place of bare errors.
//!
//! Promises that every error that leaves the router is `application/problem+json`: also those that axum makes.

use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use headwater_protocol::ErrorCode;
use http::{Method, StatusCode};

use super::body::BodyLimit;
use crate::error::{Answered, ApiError};

/// 404 for a path that is none of ours.
pub async fn not_found() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is nothing at this path")
}

/// 405 for a path that is ours; axum adds `Allow`.
pub async fn method_not_allowed(method: Method) -> ApiError {
    let method: String = method.as_str().chars().take(16).collect();
    ApiError::new(ErrorCode::MethodNotAllowed, format!("{method} is not allowed here; the header Allow tells what is"))
}

/// 406: none of the media types that the request accepts can be given.
pub fn not_acceptable(offered: &str) -> ApiError {
    ApiError::new(ErrorCode::NotAcceptable, format!("this can be had as {offered}"))
}

/// Hands the body limit in, and turns bare errors into problems on the way out.
pub(super) async fn problems(limit: BodyLimit, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(limit);
    let is_text = percent_encoding::percent_decode_str(request.uri().path()).decode_utf8().is_ok();
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || response.extensions().get::<Answered>().is_some() {
        return response;
    }
    // JSON with an error status was meant by whoever wrote it, /readyz for one.
    if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"json")) {
        return response;
    }
    // What is malformed does not exist; axum's own word for a path that is no UTF-8 is 400.
    if status == StatusCode::BAD_REQUEST && !is_text {
        return ApiError::not_found().into_response();
    }
    let code = code(status);
    let mut problem = ApiError::new(code, code.title()).into_response();
    if let Some(allow) = response.headers().get(ALLOW) {
        problem.headers_mut().insert(ALLOW, allow.clone());
    }
    problem
}

fn code(status: StatusCode) -> ErrorCode {
    match status.as_u16() {
        401 => ErrorCode::Unauthenticated,
        403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        405 => ErrorCode::MethodNotAllowed,
        406 => ErrorCode::NotAcceptable,
        408 => ErrorCode::RequestTimeout,
        413 => ErrorCode::BodyTooLarge,
        415 => ErrorCode::UnsupportedMediaType,
        422 => ErrorCode::InvalidValue,
        429 => ErrorCode::RateLimited,
        431 => ErrorCode::HeadersTooLarge,
        503 => ErrorCode::Unavailable,
        400..500 => ErrorCode::InvalidRequest,
        _ => ErrorCode::Internal,
    }
}
