//! `/docs`: what the API is, made from its own OpenAPI document, and `/docs/errors`: every code. Plain HTML, nothing
//! from anywhere else, open to everybody.

use std::fmt::Write as _;

use axum::response::{Html, IntoResponse as _, Response};
use headwater_protocol::ErrorCode;
use http::{HeaderName, HeaderValue};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #8884;vertical-align:top}\
code{font-family:ui-monospace,monospace}";

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}"
    );
    let mut response = Html(html).into_response();
    response.headers_mut().insert(
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Every operation of the API.
pub async fn operations() -> Response {
    let document = crate::router::openapi();
    let mut rows = String::new();
    let none = serde_json::Map::new();
    for (path, item) in document["paths"].as_object().unwrap_or(&none) {
        for (method, operation) in item.as_object().unwrap_or(&none) {
            let summary = operation["summary"].as_str().unwrap_or_default();
            let name = operation["operationId"].as_str().unwrap_or_default();
            let _ = write!(
                rows,
                "<tr><td><code>{} {}</code><td>{}<td><code>{}</code>",
                method.to_uppercase(),
                escape(path),
                escape(summary),
                escape(name)
            );
        }
    }
    page(
        "Headwater API",
        &format!(
            "<p>Machine-readable: <a href=/openapi.json>openapi.json</a>. Errors: <a href=/docs/errors>every code</a>.\
             <table><tr><th>Request<th>What it does<th>Operation{rows}</table>"
        ),
    )
}

/// Every error code, with what to make of it.
pub async fn errors() -> Response {
    let mut rows = String::new();
    for code in ErrorCode::ALL {
        let fault = serde_json::to_value(code.fault()).ok().and_then(|fault| fault.as_str().map(str::to_owned));
        let _ = write!(
            rows,
            "<tr id={0}><td><code>{0}</code><td>{1}<td>{2}<td>{3}<td>{4}",
            code.as_str(),
            code.status(),
            escape(code.title()),
            if code.is_retryable() { "yes" } else { "no" },
            fault.unwrap_or_default()
        );
    }
    page(
        "Headwater errors",
        &format!("<table><tr><th>Code<th>HTTP<th>Meaning<th>Retry unchanged?<th>Whose fault{rows}</table>"),
    )
}
