//! Answers that are streams of events.

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt as _;
use headwater_stream::{Opened, Trouble};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::convert::Infallible;

use headwater_stream::frame;

/// Whether the client asks for a stream of events. The `Accept` header decides, nothing else.
pub fn wants_stream(headers: &HeaderMap) -> bool {
    accepts(headers).any(|kind| kind == "text/event-stream")
}

/// Whether the client asks for JSON and not for a stream.
pub fn wants_json(headers: &HeaderMap) -> bool {
    accepts(headers).any(|kind| kind == "application/json") && !wants_stream(headers)
}

fn accepts(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim())
}

/// An answer that is this stream.
pub fn stream(status: StatusCode, opened: Result<Opened, Trouble>) -> Response {
    let (body, compacted) = match opened {
        Ok(Opened::Stream { blocks, compacted }) => (Body::from_stream(blocks.map(Ok::<_, Infallible>)), compacted),
        // Any status but 200 would end an `EventSource` for good.
        Err(Trouble::TooManyStreams(_)) => (Body::from(frame::overloaded("too many open streams")), false),
        Ok(Opened::NothingLeft | Opened::NotFound) => (Body::empty(), false),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if compacted {
        headers.insert("headwater-log", HeaderValue::from_static("compacted"));
    }
    response
}
