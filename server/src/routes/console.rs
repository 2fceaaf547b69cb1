//! `/console/`: the web console, as files in the binary.
//!
//! Promises that a page of it loads nothing from anywhere else and runs nothing that is not one of its files. Knows no key and no tenant: what it
//! shows it asks the API for, as whoever has logged in there. Where it was not built, a page stands in that says how (`build.rs`).

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use http::{HeaderName, HeaderValue, header};
use rust_embed::RustEmbed;

use super::missing;
use crate::wiring::AppState;

#[derive(RustEmbed)]
#[folder = "$HEADWATER_CONSOLE"]
struct Files;

/// What its pages may do: load their own files, and talk to the server that they came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Its files. Open to everybody, as there is nothing in them.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/console", get(|| std::future::ready(Redirect::permanent("/console/"))))
        .route("/console/", get(|| std::future::ready(file("index.html"))))
        .route("/console/{*path}", get(|Path(path): Path<String>| std::future::ready(file(&path))))
}

fn file(path: &str) -> Response {
    let Some(file) = Files::get(path) else { return missing("file").into_response() };
    // Their names change with what is in them.
    let kept = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = file.data.into_owned().into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, kind_of(path)),
        (header::CACHE_CONTROL, kept),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("content-security-policy"), POLICY),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn kind_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" | "webmanifest" => "application/json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
