//! Tools that mean harm, each in its own way.
//!
//! They stand beside the model and are to cost it little: what is measured is what they cost the server that calls them.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures_util::{StreamExt as _, stream};

/// Where each of them is.
pub(crate) const WAYS: [&str; 7] = [
    "/wicked/silent",
    "/wicked/drip",
    "/wicked/endless",
    "/wicked/large",
    "/wicked/deep",
    "/wicked/other-schema",
    "/wicked/elsewhere",
];

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
/// Brackets, opened and closed: fewer bytes than are read of an answer.
const DEEP: usize = 30_000;
const LARGE: usize = 3 << 20;

/// All of them.
pub(crate) fn routes() -> Router {
    Router::new()
        .route(WAYS[0], post(std::future::pending::<StatusCode>))
        .route(WAYS[1], post(async || body(b"{\"a\": \"", Duration::from_millis(50), b" ")))
        .route(WAYS[2], post(async || body(b"[", Duration::from_millis(1), &[b' '; 16 << 10])))
        .route(WAYS[3], post(async || (JSON, format!("\"{}\"", "x".repeat(LARGE)))))
        .route(WAYS[4], post(async || (JSON, format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)))))
        .route(WAYS[5], post(async || (JSON, r#"{"status":{"shipped":["perhaps"]}}"#)))
        .route(WAYS[6], post(async || (StatusCode::FOUND, [(header::LOCATION, "http://169.254.169.254/")])))
}

/// A body without an end.
fn body(first: &'static [u8], pause: Duration, then: &'static [u8]) -> Response {
    let more = stream::repeat(then).then(move |bytes| async move {
        tokio::time::sleep(pause).await;
        bytes
    });
    let all = stream::iter([first]).chain(more).map(|bytes| Ok::<_, Infallible>(Bytes::from_static(bytes)));
    (JSON, Body::from_stream(all)).into_response()
}
