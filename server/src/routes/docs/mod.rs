//! `/docs`: what the API is, made from its own OpenAPI document, and `/docs/errors`: every code. Plain HTML, nothing
//! from anywhere else, open to everybody.

mod reference;

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use axum::response::{Html, IntoResponse as _, Response};
use headwater_protocol::ErrorCode;
use http::{HeaderName, HeaderValue};

use self::reference::reference;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #8884;vertical-align:top}\
code{font-family:ui-monospace,monospace}section{margin:2rem 0}h3{margin-bottom:.2rem}nav a{margin-right:.6rem}td{overflow-wrap:anywhere}";

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

/// The reference, once somebody has asked for it: making it takes the whole document.
#[derive(Debug, Clone, Default)]
pub struct Reference(Arc<OnceLock<String>>);

impl Reference {
    /// Every operation of the API and every object, as one page.
    pub fn page(&self) -> Response {
        page("Headwater API", self.0.get_or_init(|| reference(&crate::router::openapi())))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_says_of_every_code_what_to_do() {
        let book = include_str!("../../../../docs/book/errors.md");
        for code in ErrorCode::ALL {
            assert!(book.contains(&format!("`{}`", code.as_str())), "{} is not in docs/book/errors.md", code.as_str());
        }
    }
}
