//! Accepting, both protocols, and stopping.

use axum::routing::get;
use tokio::sync::mpsc;

use super::*;

/// `/slow` says that it began and ends when it is told to.
struct Slow {
    router: Router,
    began: mpsc::Receiver<()>,
    end: CancellationToken,
}

fn slow() -> Slow {
    let (begin, began) = mpsc::channel(16);
    let end = CancellationToken::new();
    let told = end.clone();
    let router = Router::new().route("/", get(|| async { "hello" })).route(
        "/slow",
        get(move || async move {
            begin.send(()).await.expect("the test listens");
            told.cancelled().await;
            "slow"
        }),
    );
    Slow { router, began, end }
}

#[tokio::test]
async fn soft_lets_requests_end_and_takes_no_more() {
    let Slow { router, mut began, end } = slow();
    let server = Server::start(router, options()).await;
    let mut idle = server.connect().await;
    idle.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.body, b"hello");
    let silent = server.connect().await;
    let mut busy = server.connect().await;
    busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    began.recv().await.expect("begins");

    server.soft.cancel();
    idle.end().await;
    let mut silent = silent;
    silent.end().await;
    assert!(!server.served.is_finished(), "a request is in flight");
    while TcpStream::connect(server.addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    end.cancel();
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    busy.end().await;
    tokio::time::timeout(FOREVER, server.served).await.expect("serve returns").expect("no panic");
}

#[tokio::test]
async fn hard_drops_what_is_left() {
    let Slow { router, mut began, end } = slow();
    let server = Server::start(router, options()).await;
    let mut busy = server.connect().await;
    busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    began.recv().await.expect("begins");
    server.soft.cancel();
    server.hard.cancel();
    busy.end().await;
    tokio::time::timeout(FOREVER, server.served).await.expect("serve returns").expect("no panic");
    assert!(!end.is_cancelled());
}

#[tokio::test]
async fn connections_beyond_the_cap_are_told_503() {
    let Slow { router, .. } = slow();
    let server = Server::start(router, ListenOptions { max_connections: 1, ..options() }).await;
    let mut first = server.connect().await;
    first.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(first.answer().await.status, 200);
    let second = server.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    second.problem("overloaded");
    drop(first);
    // The server learns of the end in its own time.
    while server.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_may_begin_like_the_other_version() {
    let server = Server::start(slow().router, options()).await;
    for method in ["P", "PR", "PROPFIND", "PUT", "GET"] {
        let mut client = server.connect().await;
        // Byte by byte, each on its way before the next: what a slow network does.
        for byte in format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n").bytes() {
            client.send(&[byte]).await;
            tokio::task::yield_now().await;
        }
        let expected = if method == "GET" { 200 } else { 405 };
        assert_eq!(client.answer().await.status, expected, "{method}");
    }
}

#[tokio::test]
async fn http2_on_the_same_port() {
    let Slow { router, mut began, end } = slow();
    let limits = ListenOptions { head_timeout: ms(50), first_byte_timeout: ms(50), ..options() };
    let server = Server::start(router, limits).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().expect("a client");
    let url = format!("http://{}", server.addr);
    let hello = client.get(&url).send().await.expect("answers");
    assert_eq!((hello.version(), hello.status().as_u16()), (http::Version::HTTP_2, 200));
    assert!(hello.headers()["request-id"].to_str().expect("text").starts_with("req_"));
    assert_eq!(hello.text().await.expect("a body"), "hello");
    let missing = client.get(format!("{url}/nothing")).send().await.expect("answers");
    assert_eq!(missing.headers()["content-type"], "application/problem+json");

    // Longer than the head timeout on the same connection, then a stop with a request in flight.
    let waiting = client.get(format!("{url}/slow")).send();
    let stopping = async {
        began.recv().await.expect("begins");
        assert!(tokio::time::timeout(ms(200), began.recv()).await.is_err());
        server.soft.cancel();
        end.cancel();
    };
    let (answer, ()) = tokio::join!(waiting, stopping);
    assert_eq!(answer.expect("answers").text().await.expect("a body"), "slow");
    tokio::time::timeout(FOREVER, server.served).await.expect("serve returns").expect("no panic");
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed() {
    let Slow { router, .. } = slow();
    let server = Server::start(router, ListenOptions { keep_alive: ms(100), max_connections: 1, ..options() }).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().expect("a client");
    let url = format!("http://{}", server.addr);
    assert_eq!(client.get(&url).send().await.expect("answers").text().await.expect("a body"), "hello");
    // The only place is free again, though the client keeps its connection.
    while server.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.status != 200 {
        tokio::task::yield_now().await;
    }
    drop(client);
}
