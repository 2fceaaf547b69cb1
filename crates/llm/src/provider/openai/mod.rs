//! OpenAI Chat Completions, streamed.
//!
//! Owns one provider's client, URL and headers, and what happens up to the answer's status line. Promises a success only
//! for the protocol's own end (a finish reason **and** `[DONE]`). Never shows the key: it is in a header marked sensitive,
//! and is cut out of what the provider says.

mod answer;
mod body;
mod chunk;

use std::time::Duration;

use bytes::Bytes;
use headwater_protocol::api::Timeouts;
use headwater_protocol::{ErrorCode, Problem};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Client, Request, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

pub(super) use self::answer::Answer;
use super::{Ask, MaxTokensField, ProviderConfig, connect};
use crate::failure::{self, Failure};
use crate::retry;
use crate::service::GatewayError;

const OPENAI: &str = "https://api.openai.com/v1";
/// The most that is read of an error's body.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How long an error's body may take once its status is there.
const ERROR_BODY_TIME: Duration = Duration::from_secs(5);

/// A request's body, and what matters for reading its answer.
#[derive(Debug)]
pub(crate) struct Prepared {
    body: Bytes,
    offers_tools: bool,
}

/// A provider that speaks Chat Completions.
#[derive(Debug)]
pub(crate) struct OpenAi {
    client: Client,
    url: Url,
    headers: HeaderMap,
    key: Option<SecretString>,
    max_tokens_field: MaxTokensField,
}

impl OpenAi {
    pub(super) fn new(name: &str, config: &ProviderConfig) -> Result<Self, GatewayError> {
        let bad_url = || GatewayError::BaseUrl { provider: name.to_owned() };
        let mut url = Url::parse(config.base_url.as_deref().unwrap_or(OPENAI)).map_err(|_| bad_url())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad_url());
        }
        url.path_segments_mut().map_err(|()| bad_url())?.pop_if_empty().extend(["chat", "completions"]);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(key) = &config.api_key {
            let bearer = bearer(key).ok_or_else(|| GatewayError::ApiKey { provider: name.to_owned() })?;
            headers.insert(AUTHORIZATION, bearer);
        }
        let client = connect::client(url.scheme() == "https")
            .map_err(|source| GatewayError::Client { provider: name.to_owned(), source })?;
        Ok(Self { client, url, headers, key: config.api_key.clone(), max_tokens_field: config.max_tokens_field })
    }

    pub(super) fn prepare(&self, ask: Ask<'_>) -> Result<Prepared, Problem> {
        let offers_tools = !ask.request.tools.is_empty();
        body::render(ask, self.max_tokens_field)
            .map(|body| Prepared { body, offers_tools })
            .map_err(|error| Problem::new(ErrorCode::Internal, format!("the request cannot be written: {error}")))
    }

    pub(super) fn host(&self) -> Option<String> {
        self.url.host_str().map(str::to_owned)
    }

    pub(super) async fn open(
        &self,
        prepared: &Prepared,
        own_key: Option<&SecretString>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let mut request = Request::new(Method::POST, self.url.clone());
        *request.headers_mut() = self.headers.clone();
        if let Some(key) = own_key {
            let bearer = bearer(key).ok_or_else(|| {
                Failure::new(ErrorCode::ProviderAuthFailed, "the key holds characters that cannot be sent")
            })?;
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        let key = own_key.or(self.key.as_ref());
        *request.body_mut() = Some(prepared.body.clone().into());
        let sending = connect::within(Duration::from_millis(timeouts.connect_ms), self.client.execute(request));
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
        if !response.headers().get(CONTENT_TYPE).is_some_and(is_stream) {
            // It said 200, so it counts as answered, and may be charged.
            let what = "the provider answered 200 with something that is no event stream";
            return Ok(Answer::unreadable(response, Failure::invalid(what)));
        }
        Ok(Answer::new(response, key.cloned(), prepared.offers_tools))
    }
}

/// A key as the header that bears it; `None` when it holds what no header can.
fn bearer(key: &SecretString) -> Option<HeaderValue> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", key.expose_secret())).ok()?;
    bearer.set_sensitive(true);
    Some(bearer)
}

async fn refused(status: u16, response: Response, left: Duration, key: Option<&SecretString>) -> Failure {
    let hint = retry::hint(response.headers());
    let body = tokio::time::timeout(ERROR_BODY_TIME.min(left), beginning(response)).await.unwrap_or_default();
    let mut failure = failure::from_status(status, &body, key.map(ExposeSecret::expose_secret));
    if let Some(hint) = hint {
        failure.retry_after = Some(hint);
        failure = failure.with("retry_after_ms", u64::try_from(hint.as_millis()).unwrap_or(u64::MAX));
    }
    failure
}

/// The first bytes of a body, as far as they come.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_ERROR_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_ERROR_BYTES {
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
