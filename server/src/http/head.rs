//! The bound on a request's head.
//!
//! hyper's own is that of its buffer, which takes more than one read beyond it. Promises 431 for every head that is
//! larger than the setting, and that nothing behind it on that connection is read.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::ErrorCode;
use http::Version;
use http::header::{CONNECTION, HeaderValue};

use crate::error::ApiError;

/// Layer: refuses heads of more than `max_bytes`.
pub(super) async fn limit(max_bytes: usize, request: Request, next: Next) -> Response {
    if size(&request) <= max_bytes {
        return next.run(request).await;
    }
    let refused = ApiError::new(ErrorCode::HeadersTooLarge, "the head of the request is too large");
    let mut response = refused.with("max_bytes", max_bytes).into_response();
    if request.version() < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The head's size as HTTP/1.1 writes it.
fn size(request: &Request) -> usize {
    let line = request.method().as_str().len() + request.uri().to_string().len() + " HTTP/1.1\r\n".len() + 1;
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>() + "\r\n".len()
}
