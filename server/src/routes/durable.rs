//! `/v1/streams/runs/{run}`: a run's log as a stream of the Durable Streams protocol, to be read.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use headwater_protocol::event::render_for;
use headwater_protocol::{Problem, RunId};
use headwater_store::scoped::LogPage;
use headwater_stream::{Cursor, ReaderParams};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::time::Instant;

use super::id;
use super::runs::{cursor, page_of, reader};
use super::streams::{AnswerTo, blocks_of, stream_of};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::faces::durable::{self, Durable};
use crate::faces::worn;
use crate::http::ApiQuery;
use crate::wiring::AppState;

/// Segments of the log in one answer; a segment is 256 KiB at most.
const SEGMENTS: i64 = 32;
/// How long nobody is answered while nothing happens.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a run whose readers were sent away.
const LOOK: Duration = Duration::from_secs(1);

/// Where to begin, and whether to wait.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// `-1`: from the beginning, as without it. `now`: what comes next. Else an offset that was answered.
    pub offset: Option<String>,
    /// `long-poll` or `sse`.
    pub live: Option<String>,
    /// What was answered as `Stream-Cursor`.
    #[serde(rename = "cursor")]
    #[param(rename = "cursor")]
    _cursor: Option<String>,
}

impl StreamQuery {
    fn from(&self) -> Result<Cursor, ApiError> {
        cursor(None, self.offset.as_deref().filter(|offset| *offset != "-1"))
    }
}

/// A run's events from an offset on, as a JSON array; `live=long-poll` waits for one, `live=sse` for all of them.
#[utoipa::path(get, path = "/v1/streams/runs/{run}", tag = "durable_streams", params(("run" = String, Path), StreamQuery),
    responses((status = 200, body = Vec<headwater_protocol::event::Event>), (status = 204), (status = "default", body = Problem)))]
pub async fn streams_runs_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
    to: AnswerTo,
    ApiQuery(query): ApiQuery<StreamQuery>,
) -> Result<Response, ApiError> {
    let run: RunId = id(&run, "run")?;
    caller.require_run(run, "runs:read")?;
    let from = query.from()?;
    match query.live.as_deref() {
        None => {}
        Some("long-poll") => return long_poll(&state, &caller, run, from, to).await,
        Some("sse") => return sse(&state, &caller, run, from, to).await,
        Some(_) => return Err(ApiError::invalid_request("query:live", "must be long-poll or sse")),
    }
    let (page, after, audience) = page_of(&state, &caller, run, from, SEGMENTS).await?;
    Ok(messages(&page, after, audience))
}

/// Where a run's stream ends, and whether it does for good.
#[utoipa::path(head, path = "/v1/streams/runs/{run}", tag = "durable_streams", params(("run" = String, Path), StreamQuery),
    responses((status = 200), (status = "default", body = Problem)))]
pub async fn streams_runs_head(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
    ApiQuery(query): ApiQuery<StreamQuery>,
) -> Result<Response, ApiError> {
    let run: RunId = id(&run, "run")?;
    caller.require_run(run, "runs:read")?;
    // Where it begins to be read does not matter to where it ends.
    query.from()?;
    let (page, after, _) = page_of(&state, &caller, run, Cursor::Now, 1).await?;
    Ok(place(StatusCode::OK, &page, after, Body::empty()))
}

fn messages(page: &LogPage, after: u64, audience: headwater_protocol::event::Audience) -> Response {
    let mut body = String::with_capacity(page.lines.len() + 2);
    body.push('[');
    for line in page.lines.lines().filter(|line| !line.is_empty()) {
        if body.len() > 1 {
            body.push(',');
        }
        body.push_str(&render_for(line, audience));
    }
    body.push(']');
    place(StatusCode::OK, page, page.last.max(after), body.into())
}

/// An answer that says where to go on.
fn place(status: StatusCode, page: &LogPage, next: u64, body: Body) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if status != StatusCode::NO_CONTENT {
        set("content-type", "application/json");
    }
    set("stream-next-offset", &durable::offset(next));
    let up_to_date = next >= page.tail;
    if up_to_date {
        set("stream-up-to-date", "true");
    }
    if up_to_date && page.status.is_terminal() {
        set("stream-closed", "true");
    } else {
        set("stream-cursor", &durable::cursor());
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn long_poll(
    state: &AppState,
    caller: &Caller,
    run: RunId,
    from: Cursor,
    to: AnswerTo,
) -> Result<Response, ApiError> {
    let (page, after, audience) = page_of(state, caller, run, from, SEGMENTS).await?;
    if page.last > after {
        return Ok(messages(&page, after, audience));
    }
    if page.status.is_terminal() {
        return Ok(place(StatusCode::NO_CONTENT, &page, after, Body::empty()));
    }
    // The next that is told to anybody; then what there is by then.
    let until = Instant::now() + PATIENCE;
    let mut blocks = opened(state, caller, run, Cursor::After(after), to).await?;
    let next = async { while blocks.next().await.is_some_and(|block| !block.windows(4).any(|at| at == b"id: ")) {} };
    // Whether anything came is seen below.
    tokio::time::timeout_at(until, next).await.ok();
    drop(blocks);
    loop {
        let (page, after, audience) = page_of(state, caller, run, Cursor::After(after), SEGMENTS).await?;
        if page.last > after {
            return Ok(messages(&page, after, audience));
        }
        // A stream that was sent away (the run waits for somebody) is no answer: its client would ask again at once.
        if page.status.is_terminal() || Instant::now() >= until || state.draining.is_cancelled() {
            return Ok(place(StatusCode::NO_CONTENT, &page, after, Body::empty()));
        }
        tokio::time::sleep_until(until.min(Instant::now() + LOOK)).await;
    }
}

async fn sse(state: &AppState, caller: &Caller, run: RunId, from: Cursor, to: AnswerTo) -> Result<Response, ApiError> {
    // What cannot be read is told by a status, before the stream.
    let (page, after, _) = page_of(state, caller, run, from, 1).await?;
    if page.status.is_terminal() && after >= page.tail {
        return Ok(stream_of(StatusCode::OK, Durable::closed(after).into(), false));
    }
    let blocks = opened(state, caller, run, Cursor::After(after), to).await?;
    Ok(stream_of(StatusCode::OK, Body::from_stream(worn(Durable::after(after), blocks, 0)), false))
}

async fn opened(
    state: &AppState,
    caller: &Caller,
    run: RunId,
    cursor: Cursor,
    to: AnswerTo,
) -> Result<futures_util::stream::BoxStream<'static, bytes::Bytes>, ApiError> {
    let params: ReaderParams = reader(state, caller, caller.scope(), cursor, to.room);
    let blocks = blocks_of(state.streams.open(run, params).await?)?;
    // It may have ended since it was looked at: nothing comes, and the next look says so.
    Ok(blocks.unwrap_or_else(|| futures_util::stream::empty().boxed()))
}
