//! A plain HTTP client that judges nothing: tests look at statuses, headers and bodies themselves.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// A client with headers that go with each request.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    pub(super) base: String,
    headers: HeaderMap,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// What was asked, for messages.
    pub(crate) asked: String,
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body as it came.
    pub(crate) bytes: Vec<u8>,
}

impl Api {
    /// Without a credential.
    pub(crate) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, base: base.to_owned(), headers: HeaderMap::new() }
    }

    /// With another header, in place of one of that name.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        let name: HeaderName = name.parse().expect("a header's name");
        other.headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
        other
    }

    /// With this credential.
    pub(crate) fn bearer(&self, secret: &str) -> Self {
        self.with("authorization", &format!("Bearer {secret}"))
    }

    /// Against another server.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// A request that has not been sent.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.http.request(method, format!("{}{path}", self.base)).headers(self.headers.clone())
    }

    /// Sends a body that is text of any kind.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        kind: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request = self.request(method, path).body(body);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        answer(method, path, request).await
    }

    /// Sends JSON.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.raw(method, path, Some("application/json"), body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer("GET", path, self.request("GET", path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        answer("DELETE", path, self.request("DELETE", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, &body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, &body).await
    }
}

async fn answer(method: &str, path: &str, request: reqwest::RequestBuilder) -> Answer {
    let asked = format!("{method} {path}");
    let response = request.send().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap_or_else(|error| panic!("the body of {asked}: {error:?}")).to_vec();
    Answer { asked, status, headers, bytes }
}

impl Answer {
    /// A header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of text"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).expect("a body of text")
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{}: not JSON: {}", self.asked, self.text()))
    }

    /// The body, after a look at the status.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        if self.bytes.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem, after a look at its status, code and shape.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.text();
        assert_eq!(self.status, status, "{}: {body}", self.asked);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}: {body}", self.asked);
        let problem = self.json();
        assert_eq!(problem["code"], code, "{}: {body}", self.asked);
        assert_eq!(problem["status"], status, "{}: {body}", self.asked);
        assert_eq!(problem["type"], format!("/docs/errors#{code}"));
        assert_eq!(problem["request_id"].as_str(), self.header("request-id"), "{}: {body}", self.asked);
        for field in ["title", "detail", "retryable", "fault", "errors"] {
            assert!(problem.get(field).is_some(), "{}: no {field} in {body}", self.asked);
        }
        problem
    }

    /// The problem and its only field error's pointer.
    #[track_caller]
    pub(crate) fn blames(&self, status: u16, code: &str, param: &str) {
        let problem = self.problem(status, code);
        assert_eq!(problem["errors"][0]["param"], param, "{}: {problem}", self.asked);
    }
}
