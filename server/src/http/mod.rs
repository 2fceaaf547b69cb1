//! The HTTP edge: everything between a socket and a handler.
//!
//! Owns the listener, the layers that every request passes, and the extractors that read it. Promises that every answer
//! carries `Request-Id`, that every error is a problem, and that no client can hold a resource without using it.
//! Never knows a route, a credential or a table.
//!
//! | module | holds |
//! |---|---|
//! | [`listener`] | the accept loop and its limits |
//! | `conn`, `canned`, `socket` | one connection's timeouts; answers where no request was read; socket options |
//! | [`body`] | request bodies: timeout and size |
//! | [`request_id`], [`log`], [`cors`], [`panic`], `head`, [`fallback`] | the layers, outermost first |
//! | [`json`], [`query`], [`idempotency`] | extractors |
//! | [`rate`] | request rates, called by authentication |

pub mod body;
mod canned;
mod conn;
pub mod cors;
pub mod fallback;
mod head;
pub mod idempotency;
pub mod json;
pub mod listener;
pub mod log;
pub mod panic;
pub mod query;
pub mod rate;
pub mod request_id;
mod socket;
#[cfg(test)]
mod tests;

use ::http::HeaderMap;
use axum::Router;
use axum::middleware::from_fn;
use headwater_protocol::trace::TraceContext;

pub use body::{BodyLimit, KeepsAwake, Outlet};
pub use cors::{AllowedOrigins, KnownOrigins};
pub use idempotency::{IdempotencyKey, fingerprint};
pub use json::{ApiJson, Canonical};
pub use listener::{HangUp, ListenOptions, serve};
pub use log::LoggedAs;
pub use query::ApiQuery;
pub use rate::{RateHeaders, RateLimits, RateSubject};
pub use socket::raise_open_files;

/// The trace within which a request is made: its `traceparent`, if it has one and one only.
pub fn trace_context(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    TraceContext::parse(value.to_str().ok()?.trim())
}

/// This build, as `Headwater-Version` tells it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the layers need to know.
#[derive(Clone)]
pub struct EdgeOptions {
    /// The largest JSON body.
    pub max_body_bytes: usize,
    /// The largest head.
    pub max_header_bytes: usize,
    /// Whether some tenant lists an origin.
    pub known_origins: KnownOrigins,
}

/// Puts the edge around a router that has all its routes.
///
/// A request passes, from the outside in:
/// 1. `request_id`: outermost, because every answer carries the id, and a problem's body is finished with it;
/// 2. `log`: sees the status as it leaves, whoever decided it, and has the id;
/// 3. `cors`: answers preflights before anything that wants a credential, and marks every other answer, errors too;
/// 4. `panic`: inside of the three above, so that a panic's 500 has an id, a line and its CORS headers;
/// 5. `head`: the last thing before a request means something, and a refusal like any other;
/// 6. `body`: small ones are read before anything is decided, so that a refusal leaves the connection as it should be;
/// 7. `fallback`: innermost, because it finishes what the router itself left bare.
///
/// Authentication and rates are not here: they belong to routes, and their order to the API.
pub fn layers(router: Router, options: EdgeOptions) -> Router {
    let EdgeOptions { max_body_bytes, max_header_bytes, known_origins } = options;
    let limit = BodyLimit(max_body_bytes);
    // axum runs the layer that was added last first.
    router
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(from_fn(move |request, next| fallback::problems(limit, request, next)))
        .layer(from_fn(body::small_first))
        .layer(from_fn(move |request, next| head::limit(max_header_bytes, request, next)))
        .layer(from_fn(panic::catch))
        .layer(from_fn(move |request, next| cors::cors(known_origins.clone(), request, next)))
        .layer(from_fn(log::access))
        .layer(from_fn(request_id::identify))
}
