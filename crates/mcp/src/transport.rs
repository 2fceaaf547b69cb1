//! HTTP as one conversation may use it: until a moment, and so much of it.
//!
//! rmcp talks in tasks of its own, which do not end with whoever has given up waiting. So the bounds are here, at each request
//! and each stream: a server that says nothing, or never stops, is left when the conversation's time is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use sse_stream::{Error as SseError, Sse};
use tokio::time::Instant;

/// Events of a server in one conversation. Each may be a request that asks for an answer.
const EVENTS: usize = 4096;
/// Bytes of all of them.
const BYTES: usize = 16 << 20;

type Failed = StreamableHttpError<reqwest::Error>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

/// A client for one conversation. Clones share its bounds.
#[derive(Clone)]
pub(crate) struct Bounded {
    inner: reqwest::Client,
    until: Instant,
    left: Arc<Left>,
}

struct Left {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

impl Left {
    /// Whether so much more is within the bounds.
    fn take(&self, bytes: usize) -> bool {
        let take = |left: &AtomicUsize, count: usize| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(count)).is_ok()
        };
        take(&self.events, 1) && take(&self.bytes, bytes)
    }
}

impl Bounded {
    pub(crate) fn new(inner: reqwest::Client, until: Instant) -> Self {
        let left = Left { events: AtomicUsize::new(EVENTS), bytes: AtomicUsize::new(BYTES) };
        Self { inner, until, left: Arc::new(left) }
    }

    async fn in_time<T>(&self, request: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        tokio::time::timeout_at(self.until, request).await.unwrap_or(Err(StreamableHttpError::UnexpectedEndOfStream))
    }

    fn events(&self, events: Events) -> Events {
        let (until, left) = (self.until, self.left.clone());
        let within = events.take_while(move |event| {
            let size = event.as_ref().map_or(0, |event| event.data.as_ref().map_or(0, String::len));
            std::future::ready(left.take(size))
        });
        within.take_until(tokio::time::sleep_until(until)).boxed()
    }
}

impl StreamableHttpClient for Bounded {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session_id, auth_header, custom_headers, limits).await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let post =
            self.inner.post_message_with_response_limits(uri, message, session_id, auth_header, custom_headers, limits);
        Ok(match self.in_time(post).await? {
            StreamableHttpPostResponse::Sse(events, session) => {
                StreamableHttpPostResponse::Sse(self.events(events), session)
            }
            other => other,
        })
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failed> {
        self.in_time(self.inner.delete_session(uri, session_id, auth_header, custom_headers)).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Events, Failed> {
        let largest = StreamableHttpResponseLimits::default().max_sse_event_size;
        self.get_stream_with_max_sse_event_size(uri, session_id, last_event_id, auth_header, custom_headers, largest)
            .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        max_sse_event_size: usize,
    ) -> Result<Events, Failed> {
        let open = self.inner.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            max_sse_event_size,
        );
        self.in_time(open).await.map(|events| self.events(events))
    }
}
