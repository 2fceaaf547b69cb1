//! What every answer has, and what the layers answer themselves.

use std::sync::Arc;

use axum::Extension;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{get, post};
use headwater_protocol::{ErrorCode, RequestId};

use super::*;
use crate::error::ApiError;

fn router() -> Router {
    let origins: Arc<[String]> = Arc::new(["https://app.test".to_owned()]);
    Router::new()
        .route("/id", get(|Extension(id): Extension<RequestId>| async move { id.to_string() }))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("secret words")
                }
            }),
        )
        .route("/bare", get(|| async { http::StatusCode::IM_A_TEAPOT }))
        .route("/number/{n}", get(|axum::extract::Path(n): axum::extract::Path<u8>| async move { n.to_string() }))
        .route("/state", get(|| async { (http::StatusCode::SERVICE_UNAVAILABLE, axum::Json(false)) }))
        .route("/busy", post(|| async { ApiError::new(ErrorCode::ThreadBusy, "busy").with("active_run", "run_x") }))
        .route("/page", get(|| async { axum::response::Html("<p>") }))
        .route("/mine", get(move || async move { (Extension(AllowedOrigins(origins)), "mine").into_response() }))
        .route("/etag", get(|| async { AppendHeaders([("cache-control", "no-cache"), ("vary", "Accept")]) }))
}

async fn ask(request: &str) -> Answer {
    Server::start(router(), options()).await.ask(request).await
}

async fn get_path(path: &str) -> Answer {
    ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n")).await
}

#[tokio::test]
async fn every_answer_has_an_id_and_careful_headers() {
    let answer = get_path("/id").await;
    assert_eq!(answer.header("request-id").map(str::as_bytes), Some(&*answer.body));
    assert_eq!(answer.header("headwater-version"), Some(VERSION));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-request-id"), None);
    let page = get_path("/page").await;
    assert_eq!(page.header("content-security-policy"), None, "a page has its own");
    assert_eq!(get_path("/etag").await.header("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn errors_are_problems_whoever_made_them() {
    let missing = get_path("/nothing").await;
    assert_eq!(missing.status, 404);
    missing.problem("not_found");
    assert!(missing.header("content-security-policy").is_some());

    let wrong = ask("DELETE /id HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET,HEAD")));
    wrong.problem("method_not_allowed");

    let bare = get_path("/bare").await;
    assert_eq!(bare.status, 400, "no code of ours has 418");
    bare.problem("invalid_request");
    let path = get_path("/number/x").await;
    path.problem("invalid_request");
    assert_eq!(get_path("/state").await.body, b"false", "JSON was meant");

    let busy = ask("POST /busy HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(
        (busy.status, busy.header("retry-after"), busy.header("retry-after-ms")),
        (409, Some("1"), Some("1000"))
    );
    assert_eq!(busy.problem("thread_busy")["active_run"], "run_x");
}

#[tokio::test]
async fn a_panic_is_a_500_without_words_and_the_connection_goes_on() {
    let server = Server::start(router(), options()).await;
    let mut client = server.connect().await;
    client.send(b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 500);
    let problem = answer.problem("internal");
    assert!(!problem.to_string().contains("secret words"), "{problem}");
    client.send(b"GET /id HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
}

fn from(origin: &str, method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n{more}\r\n")
}

#[tokio::test]
async fn a_preflight_is_answered_for_origins_of_any_tenant() {
    let wants = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n";
    for path in ["/mine", "/nothing"] {
        let answer = ask(&from("https://other.test", "OPTIONS", path, wants)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("https://other.test")));
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert!(answer.header("access-control-allow-methods").expect("methods").contains("PATCH"));
        assert!(answer.header("access-control-allow-headers").expect("headers").contains("Last-Event-ID"));
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    for origin in ["https://evil.test", "null"] {
        let answer = ask(&from(origin, "OPTIONS", "/mine", wants)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));
        answer.problem("origin_not_allowed");
    }
    let plain = ask(&from("https://app.test", "OPTIONS", "/mine", "")).await;
    assert_eq!(plain.status, 405, "not a preflight");
}

#[tokio::test]
async fn an_answer_is_readable_for_the_callers_own_tenant_only() {
    let own = ask(&from("https://app.test", "GET", "/mine", "")).await;
    assert_eq!(own.header("access-control-allow-origin"), Some("https://app.test"));
    let exposed = own.header("access-control-expose-headers").expect("exposed");
    for name in
        ["Request-Id", "RateLimit", "Retry-After-Ms", "Location", "ETag", "Idempotent-Replayed", "Headwater-Log"]
    {
        assert!(exposed.split(", ").any(|own| own == name), "{name}");
    }
    // Known, but of another tenant; and an answer of nobody in particular.
    for (origin, path) in [("https://other.test", "/mine"), ("https://app.test", "/id")] {
        let answer = ask(&from(origin, "GET", path, "")).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
}

#[test]
fn a_clients_own_id_is_short_and_visible() {
    let read = |text: &str| {
        let value = http::HeaderValue::from_bytes(text.as_bytes()).expect("a header");
        let headers = http::HeaderMap::from_iter([(http::HeaderName::from_static("x-request-id"), value)]);
        request_id::client_request_id(&headers).map(str::to_owned)
    };
    assert_eq!(read("abc-1"), Some("abc-1".to_owned()));
    assert_eq!(read(&"x".repeat(128)), Some("x".repeat(128)));
    for bad in ["", "a b", "ä", &"x".repeat(129)] {
        assert_eq!(read(bad), None, "{bad}");
    }
}
