//! One provider's endpoint: what is the same for every dialect over HTTP.
//!
//! Owns a client, a URL and headers, and what happens up to the answer's status line. Never shows the key: it is in a header
//! marked sensitive, and is cut out of what the provider says.

use std::sync::RwLock;
use std::time::Duration;

use bytes::Bytes;
use headwater_protocol::api::Timeouts;
use headwater_protocol::{ErrorCode, Problem};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Client, Request, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::reply::{Dialect, Reply};
use super::{Ask, ProviderConfig, connect};
use crate::failure::{self, Failure};
use crate::retry;
use crate::service::GatewayError;

/// The most that is read of an error's body.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How long an error's body may take once its status is there.
const ERROR_BODY_TIME: Duration = Duration::from_secs(5);
/// The most that is read of an answer that was stopped.
const MAX_STOPPED_BYTES: usize = 8 * 1024 * 1024;
/// How long stopping one may take. What it used is counted by us then.
const STOP_TIME: Duration = Duration::from_secs(3);

/// How a key is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyIn {
    /// As a bearer token.
    Bearer,
    /// As it is, in this header.
    Header(&'static str),
}

/// Where a provider is asked.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Made anew to let go of the connections of the last one: there is no other way to.
    client: RwLock<Client>,
    url: Url,
    headers: HeaderMap,
    key: Option<SecretString>,
    key_in: KeyIn,
}

/// A request's body in its dialect, and what matters for reading its answer. Serves every attempt.
#[derive(Debug)]
pub(crate) struct Question {
    body: Bytes,
    offers_tools: bool,
}

impl Question {
    /// What a dialect has rendered for this.
    pub(super) fn new(ask: Ask<'_>, body: Result<Bytes, serde_json::Error>) -> Result<Self, Problem> {
        let unwritten = |error| Problem::new(ErrorCode::Internal, format!("the request cannot be written: {error}"));
        Ok(Self { body: body.map_err(unwritten)?, offers_tools: !ask.request.tools.is_empty() })
    }
}

/// How an answer came, and what was sent.
pub(super) struct Opened {
    response: Response,
    /// The key that was sent.
    key: Option<SecretString>,
    /// Whether it is a stream of events.
    is_stream: bool,
    /// For how long the provider will take nothing more.
    pause: Option<Duration>,
}

impl Endpoint {
    /// An endpoint at the configured base, or at `base`, and this path below it.
    pub(super) fn new(
        name: &str,
        config: &ProviderConfig,
        base: &str,
        path: &[&str],
        key_in: KeyIn,
    ) -> Result<Self, GatewayError> {
        let bad_url = || GatewayError::BaseUrl { provider: name.to_owned() };
        let mut url = Url::parse(config.base_url.as_deref().unwrap_or(base)).map_err(|_| bad_url())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad_url());
        }
        url.path_segments_mut().map_err(|()| bad_url())?.pop_if_empty().extend(path);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let client = connect::client(url.scheme() == "https")
            .map_err(|source| GatewayError::Client { provider: name.to_owned(), source })?;
        let mut endpoint = Self { client: RwLock::new(client), url, headers, key: config.api_key.clone(), key_in };
        if let Some(key) = &config.api_key {
            let (header, value) =
                endpoint.key_header(key).ok_or_else(|| GatewayError::ApiKey { provider: name.to_owned() })?;
            endpoint.headers.insert(header, value);
        }
        Ok(endpoint)
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    pub(super) fn host(&self) -> Option<String> {
        self.url.host_str().map(str::to_owned)
    }

    fn client(&self) -> Client {
        self.client.read().expect("no panic while copying").clone()
    }

    /// Lets go of connections that nobody uses.
    pub(super) fn shed_connections(&self) {
        match connect::client(self.url.scheme() == "https") {
            Ok(client) => *self.client.write().expect("no panic while replacing") = client,
            Err(error) => tracing::warn!(%error, "no new client; idle connections to a provider stay for a minute"),
        }
    }

    /// A key as the header that bears it; `None` when it holds what no header can.
    fn key_header(&self, key: &SecretString) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self.key_in {
            KeyIn::Bearer => (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))),
            KeyIn::Header(name) => (HeaderName::from_static(name), HeaderValue::try_from(key.expose_secret())),
        };
        let mut value = value.ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }

    /// Sends a question and waits for its answer to begin. For how long the provider takes nothing more, if it told.
    /// `own_key`: instead of the platform's. `deadline` is the end of all attempts together.
    pub(super) async fn ask<D: Dialect + Default>(
        &self,
        question: &Question,
        own_key: Option<&SecretString>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<(Box<Reply<D>>, Option<Duration>), Failure> {
        let mut request = self.request(Method::POST, self.url.clone(), own_key)?;
        *request.body_mut() = Some(question.body.clone().into());
        let opened = self.open(request, own_key, timeouts, deadline).await?;
        let pause = opened.pause;
        Ok((Box::new(opened.into_reply(question.offers_tools)), pause))
    }

    /// Asks for the stream of an answer that is kept below this URL, behind the event of this number.
    pub(super) async fn fetch(
        &self,
        id: &str,
        after: Option<u64>,
        own_key: Option<&SecretString>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<Opened, Failure> {
        let mut url = self.below(&[id]);
        url.query_pairs_mut().append_pair("stream", "true");
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("starting_after", &after.to_string());
        }
        let request = self.request(Method::GET, url, own_key)?;
        self.open(request, own_key, timeouts, deadline).await
    }

    /// Stops an answer that is kept below this URL: what it came to, or came to before.
    pub(super) async fn stop(&self, id: &str, own_key: Option<&SecretString>) -> Option<serde_json::Value> {
        let asking = async {
            for (method, path) in [(Method::POST, &[id, "cancel"][..]), (Method::GET, &[id])] {
                let mut request = self.request(method, self.below(path), own_key).ok()?;
                request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
                // One that has ended cannot be stopped, and is there.
                match self.client().execute(request).await {
                    Ok(response) if response.status().is_success() => {
                        return serde_json::from_slice(&beginning(response, MAX_STOPPED_BYTES).await).ok();
                    }
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
            None
        };
        tokio::time::timeout(STOP_TIME, asking).await.ok().flatten()
    }

    fn below(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        url.path_segments_mut().expect("it had some when it was made").extend(path);
        url
    }

    /// A request without a body. `own_key`: instead of the platform's.
    fn request(&self, method: Method, url: Url, own_key: Option<&SecretString>) -> Result<Request, Failure> {
        let mut request = Request::new(method, url);
        *request.headers_mut() = self.headers.clone();
        if let Some(key) = own_key {
            let (header, value) = self.key_header(key).ok_or_else(|| {
                Failure::new(ErrorCode::ProviderAuthFailed, "the key holds characters that cannot be sent")
            })?;
            request.headers_mut().insert(header, value);
        }
        Ok(request)
    }

    /// Sends a request and waits for the answer's status line. `deadline` is the end of all attempts together.
    async fn open(
        &self,
        request: Request,
        own_key: Option<&SecretString>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<Opened, Failure> {
        let key = own_key.or(self.key.as_ref());
        let sending = connect::within(Duration::from_millis(timeouts.connect_ms), self.client().execute(request));
        let left = deadline.saturating_duration_since(Instant::now());
        let headers = Duration::from_millis(timeouts.headers_ms);
        let response = match tokio::time::timeout(headers.min(left), sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if connect::timed_out(&error) => {
                return Err(Failure::timeout("connect", timeouts.connect_ms));
            }
            Ok(Err(error)) => return Err(unreachable(error)),
            Err(_) if left <= headers => return Err(Failure::timeout("total", timeouts.total_ms)),
            Err(_) => return Err(Failure::timeout("headers", timeouts.headers_ms)),
        };
        let status = response.status().as_u16();
        if status != 200 {
            return Err(refused(status, response, left, key).await);
        }
        let is_stream = |value: &HeaderValue| {
            let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
        };
        let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(is_stream);
        let pause = retry::exhausted(response.headers());
        Ok(Opened { response, key: key.cloned(), is_stream, pause })
    }
}

impl Opened {
    /// The answer, to be read in its dialect.
    pub(super) fn into_reply<D: Dialect + Default>(self, offers_tools: bool) -> Reply<D> {
        match self.is_stream {
            true => Reply::new(self.response, D::default(), self.key, offers_tools),
            false => Reply::unreadable(self.response, D::default(), no_stream()),
        }
    }

    /// The stream itself.
    pub(super) fn into_stream(self) -> Result<Response, Failure> {
        if self.is_stream { Ok(self.response) } else { Err(no_stream()) }
    }
}

/// What an answer is that says 200 and is no stream: it counts as answered, and may be charged.
fn no_stream() -> Failure {
    Failure::invalid("the provider answered 200 with something that is no event stream")
}

async fn refused(status: u16, response: Response, left: Duration, key: Option<&SecretString>) -> Failure {
    let hint = retry::hint(response.headers());
    let body =
        tokio::time::timeout(ERROR_BODY_TIME.min(left), beginning(response, MAX_ERROR_BYTES)).await.unwrap_or_default();
    let mut failure = failure::from_status(status, &body, key.map(ExposeSecret::expose_secret));
    if let Some(hint) = hint {
        failure.retry_after = Some(hint);
        failure = failure.with("retry_after_ms", u64::try_from(hint.as_millis()).unwrap_or(u64::MAX));
    }
    failure
}

/// The first bytes of a body, as far as they come.
async fn beginning(mut response: Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == most {
            break;
        }
    }
    body
}

/// No answer came: the provider is down, or hung up before its status line.
fn unreachable(error: reqwest::Error) -> Failure {
    let what = if error.is_connect() { "cannot connect to the provider" } else { "the provider sent no answer" };
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Failure::new(ErrorCode::ProviderUnavailable, format!("{what}: {cause}"))
}
