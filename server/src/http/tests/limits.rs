//! Each limit of a connection, met on purpose.

use std::time::Instant;

use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::*;

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/json", post(|ApiJson(value, _): ApiJson<Value>| async move { axum::Json(value) }))
}

#[tokio::test]
async fn a_connection_without_a_byte_is_closed() {
    let server = Server::start(router(), ListenOptions { first_byte_timeout: ms(100), ..options() }).await;
    let started = Instant::now();
    server.connect().await.end().await;
    assert!(started.elapsed() >= ms(100));
}

#[tokio::test]
async fn a_half_sent_head_is_told_408_and_closed() {
    let server = Server::start(router(), ListenOptions { head_timeout: ms(200), ..options() }).await;
    let mut client = server.connect().await;
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 408);
    answer.problem("request_timeout");
    client.end().await;

    // A second request of a connection has the same time, however its bytes are dealt out.
    let mut client = server.connect().await;
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.body, b"hello");
    client.send(b"GET / HTTP/1.1\r\n").await;
    let started = Instant::now();
    while client.is_silent(ms(10)).await {
        assert!(started.elapsed() < FOREVER, "single bytes buy no time");
        client.send(b"X").await;
    }
    assert_eq!(client.answer().await.status, 408);
}

#[tokio::test]
async fn an_idle_connection_may_wait_longer_than_a_head() {
    let options = ListenOptions { head_timeout: ms(50), keep_alive: ms(400), ..options() };
    let server = Server::start(router(), options).await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
        assert!(client.is_silent(ms(150)).await);
    }
    let started = Instant::now();
    client.end().await;
    assert!(started.elapsed() >= ms(100));
}

#[tokio::test]
async fn a_half_sent_body_is_told_408() {
    let server = Server::start(router(), ListenOptions { body_timeout: ms(100), ..options() }).await;
    let half = "POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for rest in ["Content-Length: 100\r\n\r\n{\"a\":", "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":"] {
        let answer = server.ask(&format!("{half}{rest}")).await;
        assert_eq!(answer.status, 408);
        assert_eq!(answer.problem("request_timeout")["retryable"], true);
    }
}

#[tokio::test]
async fn a_head_too_large_is_told_431() {
    let server = Server::start(router(), options()).await;
    for size in [40_000, 2_000_000] {
        let answer = server.ask(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(size))).await;
        assert_eq!(answer.status, 431, "{size}");
        answer.problem("headers_too_large");
    }
    let most = server.ask(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(30_000))).await;
    assert_eq!(most.status, 200);
    let many = server.ask(&format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: x\r\n".repeat(200))).await;
    assert_eq!(many.status, 431);
    let long = server.ask(&format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000))).await;
    long.problem("headers_too_large");
}

#[tokio::test]
async fn what_is_not_http_is_told_400() {
    let server = Server::start(router(), options()).await;
    server.ask("hello\r\n\r\n").await.problem("invalid_request");
    server.ask("GET / HTTP/1.1\r\nbad header\r\n\r\n").await.problem("invalid_request");
}

#[tokio::test]
async fn a_body_too_large_is_told_413_to_a_client_that_goes_on_sending() {
    let server = Server::start(router(), options()).await;
    let head = "POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let body = "x".repeat(8 << 20);
    let sized = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for request in [sized, chunked] {
        let answer = server.ask(&request).await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.problem("body_too_large")["max_bytes"], 4096);
    }
}

#[tokio::test]
async fn an_answer_that_leaves_a_large_body_unread_says_that_the_connection_closes() {
    let server = Server::start(router(), options()).await;
    let head = "POST /nothing HTTP/1.1\r\nHost: x\r\n";
    let large = "x".repeat(1 << 20);
    for request in [
        format!("{head}Content-Length: {}\r\n\r\n{large}", large.len()),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n", large.len()),
        format!(
            "POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{large}",
            large.len()
        ),
    ] {
        let answer = server.ask(&request).await;
        assert_eq!((answer.status >= 400, answer.header("connection")), (true, Some("close")));
    }
    // A small one that came whole costs nothing.
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send(format!("{head}Content-Length: 5\r\n\r\nsmall").as_bytes()).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (404, None));
    }
}

/// Tells when it is dropped.
struct Tell(mpsc::Sender<()>);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

/// A body that goes on for ever, and tells when it is dropped.
fn endless(dropped: mpsc::Sender<()>) -> Router {
    let chunk = Bytes::from(vec![b'x'; 65_536]);
    Router::new().route(
        "/endless",
        get(move || async move {
            let tell = Tell(dropped);
            let stream = futures_util::stream::repeat(chunk).map(move |chunk| {
                let _held = &tell;
                Ok::<_, std::convert::Infallible>(chunk)
            });
            axum::body::Body::from_stream(stream)
        }),
    )
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_and_a_slow_one_is_not() {
    let (dropped, mut was_dropped) = mpsc::channel(1);
    let server = Server::start(endless(dropped), ListenOptions { write_stall: ms(500), ..options() }).await;
    let mut client = server.connect().await;
    client.send(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await;
    client.head().await;

    // Slow: the buffers between us are full all the time, and a little is read in each part of the limit.
    let mut buffer = vec![0; 400_000];
    for _ in 0..8 {
        assert!(tokio::time::timeout(ms(200), was_dropped.recv()).await.is_err(), "a slow reader is not cut");
        client.stream.read_exact(&mut buffer).await.expect("reads on");
    }

    let started = Instant::now();
    tokio::time::timeout(FOREVER, was_dropped.recv()).await.expect("a reader that stopped is cut").expect("told");
    assert!(started.elapsed() >= ms(300), "not before its time");
}

#[tokio::test]
async fn an_idle_stream_outlives_every_limit_and_ends_with_its_client() {
    let (send, receive) = mpsc::channel::<Bytes>(1);
    let receive = std::sync::Arc::new(tokio::sync::Mutex::new(Some(receive)));
    let router = Router::new().route(
        "/stream",
        get(move || async move {
            let mut receive = receive.lock().await.take().expect("asked once");
            let stream = async_stream::stream! {
                while let Some(chunk) = receive.recv().await {
                    yield Ok::<_, std::convert::Infallible>(chunk);
                }
            };
            axum::body::Body::from_stream(stream)
        }),
    );
    let limits = ListenOptions {
        first_byte_timeout: ms(50),
        head_timeout: ms(50),
        body_timeout: ms(50),
        keep_alive: ms(50),
        write_stall: ms(50),
        ..options()
    };
    let server = Server::start(router, limits).await;
    let mut client = server.connect().await;
    client.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await;
    client.head().await;
    assert!(client.is_silent(ms(300)).await);
    send.send(Bytes::from_static(b"data: late\n\n")).await.expect("somebody listens");
    while !client.buffer.ends_with(b"data: late\n\n\r\n") {
        assert!(client.more().await, "the event, not the end");
    }
    drop(client);
    tokio::time::timeout(FOREVER, send.closed()).await.expect("the body is dropped when its client leaves");
}
