//! One logical call: how it is written, tried, and tried again.
//!
//! Promises that all tries of a call are the same request, byte for byte but for a renewed token.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::Token;
use crate::error::read_problem;
use crate::retry::{self, Verdict};
use crate::{Client, Error, Options};

/// What an error's body may hold at most; more of it is not read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// A request that can be sent again.
#[derive(Clone)]
pub(crate) struct Call {
    method: Method,
    url: Url,
    accept: &'static str,
    body: Option<Bytes>,
    media_type: HeaderValue,
    key: Option<HeaderValue>,
    last_event_id: Option<u64>,
    extra_time: Duration,
}

/// A try that failed.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) verdict: Verdict,
    /// The token that was sent, to renew that and no later one.
    pub(crate) token: Option<Token>,
}

impl Failure {
    fn last(error: Error) -> Self {
        Self { error, verdict: Verdict::Final, token: None }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self { verdict: retry::verdict_of_transport(&error), error: Error::transport(error), token: None }
    }
}

impl Call {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            accept: "application/json",
            body: None,
            media_type: HeaderValue::from_static("application/json"),
            key: None,
            last_event_id: None,
            extra_time: Duration::ZERO,
        }
    }

    pub(crate) fn post(url: Url, body: &impl Serialize, options: Options) -> Result<Self, Error> {
        Ok(Self { key: Some(options.key()?), ..Self::new(Method::POST, url).body(body)? })
    }

    pub(crate) fn body(mut self, body: &impl Serialize) -> Result<Self, Error> {
        self.body = Some(
            serde_json::to_vec(body).map_err(|error| Error::Config(format!("the body is no JSON: {error}")))?.into(),
        );
        Ok(self)
    }

    /// Sends these bytes, of this kind.
    pub(crate) fn upload(url: Url, content: Bytes, media_type: &str, options: Options) -> Result<Self, Error> {
        let media_type = HeaderValue::from_str(media_type)
            .map_err(|_| Error::Config("a media type is written in visible ASCII".into()))?;
        Ok(Self { key: Some(options.key()?), body: Some(content), media_type, ..Self::new(Method::POST, url) })
    }

    /// Asks for bytes instead of an object.
    pub(crate) fn bytes(mut self) -> Self {
        self.accept = "*/*";
        self
    }

    /// Asks for a stream of events instead of an object.
    pub(crate) fn stream(mut self, last_event_id: Option<u64>) -> Self {
        self.accept = "text/event-stream";
        self.last_event_id = last_event_id;
        self
    }

    /// Time that the server was asked to take.
    pub(crate) fn extra_time(mut self, extra: Duration) -> Self {
        self.extra_time = extra;
        self
    }

    fn headers(&self, client: &Client, token: Option<&Token>) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(ACCEPT, HeaderValue::from_static(self.accept));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.header.clone());
        }
        if let Some(user) = &client.user {
            let user = HeaderValue::from_str(user);
            headers.insert("headwater-user", user.map_err(|_| Error::Config("the user's id fits no header".into()))?);
        }
        if let Some(key) = &self.key {
            headers.insert("idempotency-key", key.clone());
        }
        if let Some(id) = self.last_event_id {
            headers.insert("last-event-id", HeaderValue::from(id));
        }
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, self.media_type.clone());
        }
        Ok(headers)
    }
}

impl Client {
    /// Sends a call, as often as it takes, and reads its answer.
    pub(crate) async fn send<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let body = self.send_raw(&call).await?;
        serde_json::from_slice(&body).map_err(|error| Error::decode("the answer", error))
    }

    /// Sends a call, as often as it takes.
    pub(crate) async fn send_raw(&self, call: &Call) -> Result<Bytes, Error> {
        let (mut failed, mut renewed) = (0, false);
        loop {
            let Failure { error, verdict, token } = match self.try_whole(call).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            match verdict {
                Verdict::Renew if !renewed => {
                    let Some(stale) = self.inner.auth.renewable(token) else { return Err(error) };
                    renewed = true;
                    self.inner.auth.renew(&stale).await?;
                }
                Verdict::Retry(asked) => {
                    failed += 1;
                    let Some(pause) = self.inner.retry.pause(failed, asked) else { return Err(error) };
                    tokio::time::sleep(pause).await;
                }
                Verdict::Renew | Verdict::Final => return Err(error),
            }
        }
    }

    /// One try, with a bound on the time of head and body together.
    async fn try_whole(&self, call: &Call) -> Result<Bytes, Failure> {
        let (response, _) = self.try_head(call, Some(self.inner.timeout + call.extra_time)).await?;
        Ok(response.bytes().await?)
    }

    /// One try until the head of a good answer, and the token that was good for it; `limit` bounds the body too.
    pub(crate) async fn try_head(
        &self,
        call: &Call,
        limit: Option<Duration>,
    ) -> Result<(Response, Option<Token>), Failure> {
        let token = self.inner.auth.token().await.map_err(Failure::last)?;
        let headers = call.headers(self, token.as_ref()).map_err(Failure::last)?;
        let mut request = self.inner.http.request(call.method.clone(), call.url.clone()).headers(headers);
        if let Some(limit) = limit {
            request = request.timeout(limit);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let response = request.send().await?;
        if response.status().is_success() {
            return Ok((response, token));
        }
        let mut failure = refusal(response).await;
        failure.token = token;
        Err(failure)
    }
}

/// Reads an answer that is no success. Without `Request-Id` it is not Headwater's.
async fn refusal(response: Response) -> Failure {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let Some(request_id) = headers.get("request-id") else {
        return Failure { error: Error::Edge { status }, verdict: retry::verdict(status, None, &headers), token: None };
    };
    let request_id = request_id.to_str().ok().map(str::to_owned);
    let problem = read_problem(status, &start_of(response).await);
    let verdict = retry::verdict(status, Some(&problem), &headers);
    Failure { error: Error::Api { status, problem: Box::new(problem), request_id }, verdict, token: None }
}

/// The beginning of a body; what breaks off is what there is.
async fn start_of(mut response: Response) -> Vec<u8> {
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
