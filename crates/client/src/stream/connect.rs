//! Makes one connection of a stream.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use headwater_protocol::RunId;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response, StatusCode};

use super::options::Cursor;
use crate::auth::Token;
use crate::call::{Call, Failure};
use crate::retry::Verdict;
use crate::{Client, Error};

/// What is asked for.
pub(crate) enum Target {
    /// A run that is to be made, or was made by an earlier try with the same key.
    Create(Box<Call>),
    /// A run's events.
    Events(RunId, Cursor),
}

/// What came of it.
pub(crate) enum Opened {
    /// A stream.
    Body(Box<Body>),
    /// 204: the run is over and everything of it has been read.
    Over,
}

/// The bytes of a stream, and what its head told.
pub(crate) struct Body {
    pub(crate) run: Option<RunId>,
    pub(crate) compacted: bool,
    pub(crate) token: Option<Token>,
    pub(crate) bytes: Chunks,
}

/// Chunks of a body.
pub(crate) type Chunks = std::pin::Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// Waits, renews the token if it is known to have ended, and connects.
pub(crate) async fn connect(
    client: Client,
    target: Target,
    wait: Duration,
    renew: Option<Token>,
) -> Result<Opened, Failure> {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    if let Some(stale) = renew {
        client.inner.auth.renew(&stale).await.map_err(|error| failure(error, Verdict::Final))?;
    }
    let call = match target {
        Target::Create(call) => *call,
        Target::Events(run, cursor) => events(&client, run, cursor).map_err(|error| failure(error, Verdict::Final))?,
    };
    // The head only: a stream may last for hours.
    let (response, token) = tokio::time::timeout(client.inner.timeout, client.try_head(&call, None))
        .await
        .map_err(|_| failure(Error::Timeout("the head of a stream"), Verdict::Retry(None)))??;
    if response.status() == StatusCode::NO_CONTENT {
        return Ok(Opened::Over);
    }
    body(response, token).map(|body| Opened::Body(Box::new(body)))
}

fn events(client: &Client, run: RunId, cursor: Cursor) -> Result<Call, Error> {
    let mut url = client.url(&["runs", &run.to_string(), "events"])?;
    let last_event_id = match cursor {
        Cursor::Start | Cursor::After(0) => None,
        Cursor::After(seq) => Some(seq),
        Cursor::Now => {
            url.query_pairs_mut().append_pair("after", "now");
            None
        }
    };
    Ok(Call::new(Method::GET, url).stream(last_event_id))
}

fn body(response: Response, token: Option<Token>) -> Result<Body, Failure> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if !header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/event-stream")) {
        let error = match response.headers().contains_key("request-id") {
            true => Error::decode("the stream", "its content type is not text/event-stream"),
            // A cold start's page with a status of success.
            false => return Err(failure(Error::Edge { status: response.status().as_u16() }, Verdict::Retry(None))),
        };
        return Err(failure(error, Verdict::Final));
    }
    let run = header(LOCATION).and_then(|location| location.rsplit('/').next()?.parse().ok());
    let compacted = response.headers().get("headwater-log").is_some_and(|value| value == "compacted");
    Ok(Body { run, compacted, token, bytes: Box::pin(response.bytes_stream()) })
}

fn failure(error: Error, verdict: Verdict) -> Failure {
    Failure { error, verdict, token: None }
}
