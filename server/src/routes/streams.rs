//! Answers that are streams of events.

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use headwater_protocol::{ErrorCode, Problem};
use headwater_stream::{Opened, Room, Trouble};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::convert::Infallible;
use std::sync::Arc;

use headwater_stream::frame;
use http::request::Parts;

use super::missing;
use crate::error::ApiError;
use crate::http::Outlet;
use crate::http::fallback::not_acceptable;

/// How the client wants its answer, and what it goes out through.
pub struct AnswerTo {
    /// What it said.
    pub headers: HeaderMap,
    /// Whether the socket takes more.
    pub room: Option<Room>,
}

impl<S: Sync> FromRequestParts<S> for AnswerTo {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let room = parts.extensions.get::<Outlet>().cloned().map(|outlet| {
            let room: Room = Arc::new(move |cx| outlet.poll_room(cx));
            room
        });
        Ok(Self { headers: parts.headers.clone(), room })
    }
}

/// Whether the client asks for a stream of events. The `Accept` header decides, nothing else.
pub fn wants_stream(headers: &HeaderMap) -> bool {
    accepts(headers).any(|kind| kind == "text/event-stream")
}

/// Whether the client asks for JSON and not for a stream.
pub fn wants_json(headers: &HeaderMap) -> bool {
    accepts(headers).any(|kind| kind == "application/json") && !wants_stream(headers)
}

/// Layer of the routes that make runs: 406, before anything is made, where the client takes neither a run nor its stream.
pub async fn negotiate(request: Request, next: Next) -> Response {
    if *request.method() == Method::POST && !takes_run(request.headers()) {
        return not_acceptable("application/json or text/event-stream").into_response();
    }
    next.run(request).await
}

/// Whether JSON or a stream will do. Without the header, or with nothing in it, anything does.
fn takes_run(headers: &HeaderMap) -> bool {
    const KINDS: [&str; 5] = ["*/*", "application/*", "application/json", "text/*", "text/event-stream"];
    let silent = headers.get_all(header::ACCEPT).iter().all(|value| value.as_bytes().trim_ascii().is_empty());
    silent || accepts(headers).any(|kind| KINDS.iter().any(|known| kind.eq_ignore_ascii_case(known)))
}

fn accepts(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim())
}

/// The blocks of a stream for a client that takes a refusal as a status. `None`: all of it was seen.
///
/// # Errors
/// `not_found`, and `too_many_streams`.
pub fn blocks_of(opened: Result<Opened, Trouble>) -> Result<Option<BoxStream<'static, Bytes>>, ApiError> {
    match opened {
        Ok(Opened::Stream { blocks, .. }) => Ok(Some(blocks)),
        Ok(Opened::NothingLeft) => Ok(None),
        Ok(Opened::NotFound) => Err(missing("run")),
        Err(Trouble::TooManyStreams(limit)) => {
            Err(Problem::new(ErrorCode::TooManyStreams, "too many streams are open").with("limit", limit).into())
        }
    }
}

/// An answer that is this stream.
pub fn stream(status: StatusCode, opened: Result<Opened, Trouble>) -> Response {
    let (body, compacted) = match opened {
        Ok(Opened::Stream { blocks, compacted }) => (Body::from_stream(blocks.map(Ok::<_, Infallible>)), compacted),
        // Any status but 200 would end an `EventSource` for good.
        Err(Trouble::TooManyStreams(_)) => (Body::from(frame::overloaded("too many open streams")), false),
        Ok(Opened::NothingLeft | Opened::NotFound) => (Body::empty(), false),
    };
    stream_of(status, body, compacted)
}

pub(super) fn stream_of(status: StatusCode, body: Body, compacted: bool) -> Response {
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

/// Whether this is a request of an `EventSource`, which any status but 200 would end for good.
pub fn must_not_end(request: &http::request::Parts) -> bool {
    request.method == http::Method::GET && request.uri.path().ends_with("/events") && wants_stream(&request.headers)
}

/// A stream that says to come back in a moment.
pub fn come_back(reason: &str) -> Response {
    stream_of(StatusCode::OK, Body::from(frame::overloaded(reason)), false)
}

/// An error as this request can take it: trouble that will pass is told inside a stream.
pub fn told_inside(request: &http::request::Parts, error: ApiError) -> Response {
    use axum::response::IntoResponse as _;
    if error.problem().status == 503 && must_not_end(request) {
        return come_back("the database is away");
    }
    error.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_takes() {
        for (accept, takes) in [
            (None, true),
            (Some(""), true),
            (Some("*/*"), true),
            (Some("Application/JSON"), true),
            (Some("text/html, application/xml;q=0.9, */*;q=0.8"), true),
            (Some("text/event-stream"), true),
            (Some("application/xml"), false),
            (Some("text/html, application/jsonp"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(takes_run(&headers), takes, "{accept:?}");
        }
    }
}
