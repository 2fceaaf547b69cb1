//! Bodies on their way in and out of a connection.
//!
//! Owns the timeout between two reads of a request's body, the size limit, and the count of requests in flight that a
//! connection's other timeouts depend on. Promises that a body which stops half-way ends in 408 and a larger one than
//! allowed in 413, read no further than the limit.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use headwater_protocol::ErrorCode;
use headwater_store::Busy;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::conn::Shared;
use crate::error::ApiError;

/// Of a body that nobody reads hyper takes at most what has come already; with more than this it ends the connection. What is smaller is read
/// before anything else.
const UNREAD_BYTES: u64 = 16 << 10;

/// Request extension: the largest body that an extractor reads.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

impl Default for BodyLimit {
    fn default() -> Self {
        Self(1_048_576)
    }
}

/// The client sent a part of the body and then nothing for too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no part of the request body came for {} ms", .0.as_millis())]
pub struct BodyTimeout(pub Duration);

/// A request's body, with a timeout on each read.
pub(super) struct TimedBody {
    inner: Incoming,
    timeout: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    shared: Arc<Shared>,
}

impl TimedBody {
    /// The body as handlers get it.
    pub(super) fn wrap(inner: Incoming, timeout: Duration, shared: &Arc<Shared>) -> Body {
        if inner.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self { inner, timeout, sleep: None, shared: Arc::clone(shared) })
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.sleep = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = self.timeout;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + timeout)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyTimeout(timeout).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        if !self.inner.is_end_stream() {
            // Answered before it was read: the rest may still be on its way.
            self.shared.linger();
            // Still waited for, or more than can be on its way already: this was the connection's last request.
            if self.sleep.is_some() || self.inner.size_hint().upper().is_none_or(|left| left > UNREAD_BYTES) {
                self.shared.close();
            }
        }
    }
}

/// Layer: a small body is there, whole, before anybody decides anything. A refusal that is given before its request has come would end the
/// connection, and with it whatever its client has sent next.
pub(super) async fn small_first(request: Request, next: Next) -> Response {
    let is_small = request.body().size_hint().exact().is_some_and(|size| (1..=UNREAD_BYTES).contains(&size));
    if !is_small {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(whole) => whole.to_bytes().into(),
        // For whoever reads it: a credential that is none is refused before that.
        Err(error) => Body::from_stream(futures_util::stream::once(std::future::ready(Err::<Bytes, _>(error)))),
    };
    next.run(Request::from_parts(parts, body)).await
}

/// Counts a request as in flight until its answer's body is done with.
pub(super) struct InFlight {
    shared: Arc<Shared>,
    keeps_awake: KeepsAwake,
}

impl InFlight {
    pub(super) fn begin(shared: &Arc<Shared>) -> Self {
        shared.begin();
        Self { shared: Arc::clone(shared), keeps_awake: KeepsAwake::default() }
    }

    pub(super) fn keeps_awake(&self) -> KeepsAwake {
        self.keeps_awake.clone()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// Request extension: a request of somebody who is known keeps the process awake until its answer's body is done with.
#[derive(Debug, Clone, Default)]
pub struct KeepsAwake(Arc<OnceLock<Busy>>);

impl KeepsAwake {
    /// From here on.
    pub fn keep(&self, busy: Busy) {
        let _ = self.0.set(busy);
    }
}

/// Request extension: the socket beneath the answer, for those who would rather make less of it than have it wait.
#[derive(Clone)]
pub struct Outlet(Arc<Shared>);

impl Outlet {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// Whether the socket takes more; else the one who asks is woken when it does. For the answer's own body alone: there
    /// is one to wake.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_room(cx)
    }
}

/// An answer's body, and the request it keeps in flight.
pub(super) struct TrackedBody {
    inner: Body,
    in_flight: InFlight,
    /// What the socket has no room for yet: one frame, or the end.
    held: Option<Option<Result<Frame<Bytes>, axum::Error>>>,
}

impl TrackedBody {
    pub(super) fn new(inner: Body, in_flight: InFlight) -> Self {
        Self { inner, in_flight, held: None }
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Always asked, room or not: whoever makes the answer may be in the middle of something, with a connection to the
        // database in its hands, and must come to the end of it. Only what it gives waits, and then it is asked no more.
        if self.held.is_none() {
            self.held = Some(ready!(Pin::new(&mut self.inner).poll_frame(cx)));
        }
        ready!(self.in_flight.shared.poll_room(cx));
        Poll::Ready(self.held.take().flatten())
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.held.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}

/// A body piece by piece, as long as all of it is no larger than may be.
struct Pieces {
    body: Body,
    limit: usize,
    count: usize,
}

impl Pieces {
    fn new(headers: &HeaderMap, body: Body, BodyLimit(limit): BodyLimit) -> Result<Self, ApiError> {
        let announced =
            headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large(limit));
        }
        Ok(Self { body, limit, count: 0 })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        while let Some(frame) = self.body.frame().await {
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            self.count += data.len();
            return if self.count > self.limit { Err(too_large(self.limit)) } else { Ok(Some(data)) };
        }
        Ok(None)
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(ErrorCode::BodyTooLarge, format!("the body is larger than {limit} bytes")).with("max_bytes", limit)
}

/// The whole body, if it is no larger than `limit`.
pub async fn read_body(headers: &HeaderMap, body: Body, limit: BodyLimit) -> Result<Bytes, ApiError> {
    let mut pieces = Pieces::new(headers, body, limit)?;
    // Most bodies come in one piece, which then is not copied.
    let Some(first) = pieces.next().await? else { return Ok(Bytes::new()) };
    let Some(second) = pieces.next().await? else { return Ok(first) };
    let mut whole = BytesMut::from(first);
    whole.extend_from_slice(&second);
    while let Some(data) = pieces.next().await? {
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// How long an upload waits for room for its next bytes.
const ROOM: Duration = Duration::from_secs(10);

/// The whole body of an upload, and the room that it takes: in KiB, taken as the bytes come, so that whoever sends slowly takes
/// no more than what is there.
///
/// # Errors
/// `body_too_large`; `overloaded` when others take the room; what ended the body.
pub async fn read_upload(
    headers: &HeaderMap,
    body: Body,
    limit: BodyLimit,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, OwnedSemaphorePermit), ApiError> {
    let mut pieces = Pieces::new(headers, body, limit)?;
    let mut held = take(room, 1).await?;
    let mut whole = BytesMut::new();
    while let Some(data) = pieces.next().await? {
        let missing = pieces.count.div_ceil(1024).saturating_sub(held.num_permits());
        if missing > 0 {
            held.merge(take(room, missing).await?);
        }
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), held))
}

async fn take(room: &Arc<Semaphore>, kib: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    let taking = Arc::clone(room).acquire_many_owned(u32::try_from(kib).unwrap_or(u32::MAX));
    let taken = tokio::time::timeout(ROOM, taking).await.ok().and_then(Result::ok);
    taken.ok_or_else(|| ApiError::new(ErrorCode::Overloaded, "too many uploads are under way"))
}

/// What became of a body that did not end well.
fn broken(error: axum::Error) -> ApiError {
    let mut source: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(cause) = source {
        if cause.is::<BodyTimeout>() {
            return ApiError::new(ErrorCode::RequestTimeout, "the rest of the request body did not come in time");
        }
        source = cause.source();
    }
    ApiError::new(ErrorCode::InvalidRequest, "the request body ended early").with_cause(error)
}
