//! The outermost layer: who asked what is told by one id, on every answer.
//!
//! Owns `Request-Id`, `Headwater-Version` and the headers that tell browsers to be careful. Handlers find the id as the
//! extension [`RequestId`]; a problem's body gets it here.

use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use headwater_protocol::RequestId;

use super::VERSION;
use crate::error::{Answered, addressed, render};

/// `Request-Id`. An answer without it was not given by Headwater.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// `Headwater-Version`.
pub const HEADWATER_VERSION: HeaderName = HeaderName::from_static("headwater-version");

/// The caller's own `X-Request-Id`, if it is at most 128 visible ASCII characters. It is logged and goes nowhere else.
pub fn client_request_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("x-request-id")?.to_str().ok()?;
    (!text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic())).then_some(text)
}

pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let id = RequestId::new();
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    if let Some(Answered(problem)) = response.extensions_mut().remove::<Answered>() {
        *response.body_mut() = render(&addressed(&problem, id)).into();
    }
    let headers = response.headers_mut();
    // Written by us from hexadecimal digits: always a header.
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(HEADWATER_VERSION, HeaderValue::from_static(VERSION));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // JSON that a browser is made to show as a page can do nothing there. A page of ours brings its own policy.
    if headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"json")) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    }
    response
}
