//! Cross-origin requests of browsers.
//!
//! Owns both halves: a preflight comes without a credential and is answered for any origin that some tenant lists; the
//! real answer is readable only for the origins of the caller's own tenant, which authentication leaves on the response
//! as [`AllowedOrigins`]. Promises never to answer `*`, and never to allow cookies: there are none.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use headwater_protocol::ErrorCode;

use crate::error::ApiError;

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// Those from `OpenAI-Beta` on are of OpenAI's libraries, which send most of them with each request (openai-node `internal/detect-platform.ts`).
const HEADERS: &str = "Accept, Authorization, Content-Type, Headwater-Tenant, Headwater-User, Idempotency-Key, If-Match, \
                       Last-Event-ID, Traceparent, Tracestate, X-Request-Id, \
                       OpenAI-Beta, OpenAI-Organization, OpenAI-Project, \
                       X-Stainless-Arch, X-Stainless-Custom-Poll-Interval, X-Stainless-Helper-Method, X-Stainless-Lang, X-Stainless-OS, \
                       X-Stainless-Package-Version, X-Stainless-Poll-Helper, X-Stainless-Retry-Count, X-Stainless-Runtime, \
                       X-Stainless-Runtime-Version, X-Stainless-Timeout";
const EXPOSED: &str = "Request-Id, Headwater-Version, RateLimit, RateLimit-Policy, Retry-After, Retry-After-Ms, X-Should-Retry, \
                       Location, ETag, Idempotent-Replayed, Headwater-Log, Traceresponse";
/// Seconds that a browser may remember a preflight's answer.
const MAX_AGE: &str = "600";

/// Response extension: the origins of the tenant that asked.
#[derive(Debug, Clone)]
pub struct AllowedOrigins(pub Arc<[String]>);

/// Tells whether some tenant lists an origin. Made of an async function or closure.
#[derive(Clone)]
pub struct KnownOrigins(Arc<Ask>);

type Ask = dyn Fn(&str) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync;

impl KnownOrigins {
    /// Asks `known`, which looks into a cache before anything else: whoever asks has no credential.
    pub fn new<F>(known: impl Fn(&str) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self(Arc::new(move |origin| Box::pin(known(origin))))
    }

    /// No tenant lists any.
    pub fn none() -> Self {
        Self::new(|_| std::future::ready(false))
    }
}

pub(super) async fn cors(known: KnownOrigins, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(origin) if is_preflight => preflight(&known, origin).await,
        _ => next.run(request).await,
    };
    if !is_preflight
        && let Some(origin) = origin
        && let Some(AllowedOrigins(allowed)) = response.extensions_mut().remove()
        && allowed.iter().any(|own| own.as_bytes() == origin.as_bytes())
    {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    // Also where the request had no origin: a cache must not give that answer to one that has.
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    response
}

async fn preflight(KnownOrigins(known): &KnownOrigins, origin: &HeaderValue) -> Response {
    let is_known = match origin.to_str() {
        // `null` is what sandboxed pages of anybody send.
        Ok(text) if text != "null" && text.len() <= 512 => known(text).await,
        _ => false,
    };
    if !is_known {
        return ApiError::new(ErrorCode::OriginNotAllowed, "no tenant lists this origin").into_response();
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    response
}
