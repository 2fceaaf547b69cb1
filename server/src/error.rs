//! [`ApiError`]: a problem on its way to the client, and its cause on its way to the log.
//!
//! Owns how an error becomes an answer: `application/problem+json`, the status of its code, and when to try again.
//! Promises that every 429, 503 and retryable 409 says when, and that a 5xx says nothing of what happened inside: its
//! cause rides to the request log as a response extension.
//! Never logs by itself and never decides a code that a caller has to choose.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use headwater_protocol::{ErrorCode, Problem, RequestId};
use headwater_store::StoreError;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// `Retry-After` in milliseconds.
pub const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// Whether to try again (openai-node `client.ts`, openai-python `_base_client.py`).
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The member of a problem that says when to try again.
const RETRY_MEMBER: &str = "retry_after_ms";
/// When to try again, where nobody knows better.
const DEFAULT_RETRY_MS: u64 = 1000;

/// What a handler answers.
pub type ApiResult<T> = Result<T, ApiError>;

/// An error that ends a request.
#[derive(Debug, Clone)]
pub struct ApiError {
    problem: Box<Problem>,
    cause: Option<Arc<str>>,
    headers: Option<Box<HeaderMap>>,
}

/// Response extension: why a request failed, for the log and nobody else.
#[derive(Debug, Clone)]
pub struct Cause(pub Arc<str>);

/// Response extension: the problem that the body holds. [`http::request_id`](crate::http::request_id) writes the
/// request's id into it.
#[derive(Debug, Clone)]
pub struct Answered(pub Arc<Problem>);

impl ApiError {
    /// An error with this code and an explanation for a person.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// `internal`: a bug. The cause goes to the log.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Internal, "").with_cause(cause)
    }

    /// `not_found`, the same words for what never was, was deleted and is somebody else's.
    pub fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "no such object")
    }

    /// `invalid_request`, blamed on `header:NAME`, `query:NAME`, or nothing in particular.
    pub fn invalid_request(param: impl Into<String>, detail: impl Into<String>) -> Self {
        let (param, detail) = (param.into(), detail.into());
        let mut problem = Problem::new(ErrorCode::InvalidRequest, format!("{param}: {detail}"));
        problem.errors.push(headwater_protocol::error::FieldError { param, code: ErrorCode::InvalidRequest, detail });
        problem.into()
    }

    /// Adds a member to the problem.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.problem.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        // Rounded up: a client that comes back a moment early is refused again.
        let ms = wait.as_nanos().div_ceil(1_000_000);
        self.with(RETRY_MEMBER, u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// Adds what the log, and nobody else, is to know.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    /// Adds headers to the answer.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers.get_or_insert_default().extend(headers);
        self
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.problem.code
    }

    /// The problem, as the client is told it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The problem alone, for a stream or a run.
    pub fn into_problem(self) -> Problem {
        *self.problem
    }

    /// What the log is to know, if anything.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ApiError {}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Box::new(problem).into()
    }
}

impl From<Box<Problem>> for ApiError {
    fn from(mut problem: Box<Problem>) -> Self {
        let mut cause = None;
        if problem.status >= 500 {
            let words = problem.detail.replace(outward(problem.code).to_owned());
            cause = words.filter(|words| !words.is_empty()).map(Arc::from);
            problem.errors.clear();
            problem.extra.retain(|name, _| name == RETRY_MEMBER);
        }
        Self { problem, cause, headers: None }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable(_) | StoreError::TakesNothing(_) | StoreError::Contended(_) => {
                ErrorCode::Unavailable
            }
            // A caller that can break a constraint by what it sends maps it before; here it is a bug.
            StoreError::Taken { .. }
            | StoreError::Reference(_)
            | StoreError::Corrupt(_)
            | StoreError::Unread
            | StoreError::Database(_) => ErrorCode::Internal,
        };
        Self::new(code, "").with_cause(error)
    }
}

/// All that a client learns of a 5xx.
fn outward(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Internal => "something went wrong inside Headwater; the request id helps to find it",
        ErrorCode::Unavailable => "the database cannot be reached at the moment; try again",
        ErrorCode::Overloaded => "Headwater is overloaded at the moment; try again",
        ErrorCode::Draining => "this process is shutting down; try again",
        other => other.title(),
    }
}

/// `Retry-After` and `Retry-After-Ms`, where the status calls for them; and where clients that go by the status alone would try again in vain, the
/// header by which OpenAI's libraries let that be.
fn retry_headers(problem: &Problem, headers: &mut HeaderMap) {
    if !problem.retryable && (matches!(problem.status, 408 | 409 | 429) || problem.status >= 500) {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if !(matches!(problem.status, 429 | 503) || problem.status == 409 && problem.retryable) {
        return;
    }
    let ms = problem.extra.get(RETRY_MEMBER).and_then(serde_json::Value::as_u64).unwrap_or(DEFAULT_RETRY_MS);
    headers.insert(RETRY_AFTER, ms.div_ceil(1000).into());
    headers.insert(RETRY_AFTER_MS, ms.into());
}

/// The problem as a body, for this request.
pub(crate) fn render(problem: &Problem) -> Vec<u8> {
    // Strings, numbers and maps with string keys: nothing in it can fail to render.
    serde_json::to_vec(problem).unwrap_or_default()
}

/// The same problem, told to this request.
pub(crate) fn addressed(problem: &Problem, request: RequestId) -> Problem {
    Problem { request_id: Some(request), ..problem.clone() }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { problem, cause, headers } = self;
        let mut response = Response::new(Body::from(render(&problem)));
        *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(headers) = headers {
            *response.headers_mut() = *headers;
        }
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        retry_headers(&problem, response.headers_mut());
        if let Some(cause) = cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response.extensions_mut().insert(Answered(Arc::from(problem)));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().expect("text"))
    }

    #[test]
    fn what_can_be_retried_says_when() {
        let cases = [
            (
                ApiError::new(ErrorCode::RateLimited, "x").retry_after(Duration::from_micros(1_200_001)),
                Some(("2", "1201")),
            ),
            (ApiError::new(ErrorCode::ThreadBusy, "x"), Some(("1", "1000"))),
            (ApiError::new(ErrorCode::Draining, "x"), Some(("1", "1000"))),
            (ApiError::new(ErrorCode::AlreadyExists, "x"), None),
            (ApiError::new(ErrorCode::Internal, "x"), None),
        ];
        for (error, want) in cases {
            let code = error.code();
            let response = error.into_response();
            let got = header(&response, "retry-after").zip(header(&response, "retry-after-ms"));
            assert_eq!(got, want, "{code:?}");
            assert_eq!(header(&response, "content-type"), Some(PROBLEM_JSON));
            assert_eq!(response.status().as_u16(), code.status());
        }
    }

    #[test]
    fn a_5xx_keeps_its_cause_to_the_log() {
        let errors = [
            ApiError::internal("table runs has no column x"),
            Problem::new(ErrorCode::Internal, "table runs has no column x").with("table", "runs").into(),
            StoreError::Database("table runs has no column x".into()).into(),
            StoreError::Unavailable("no route to table runs".into()).into(),
        ];
        for error in errors {
            assert!(error.cause().is_some_and(|cause| cause.contains("table runs")));
            let body = String::from_utf8(render(error.problem())).expect("text");
            assert!(!body.contains("runs"), "{body} says nothing of it");
            let response = error.into_response();
            assert!(response.extensions().get::<Cause>().is_some());
        }
        let unavailable = ApiError::from(StoreError::Unavailable("x".into())).into_response();
        assert_eq!((unavailable.status().as_u16(), header(&unavailable, "retry-after")), (503, Some("1")));
    }
}
