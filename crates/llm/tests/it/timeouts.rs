//! The five timeouts. The servers here never go on, so that what is waited for is the timeout alone.

use headwater_llm::Outcome;
use headwater_protocol::api::Timeouts;
use headwater_testkit::model::{ModelServer, Reply};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::*;

const LONG: Timeouts =
    Timeouts { connect_ms: 60_000, headers_ms: 60_000, first_token_ms: 60_000, idle_ms: 60_000, total_ms: 60_000 };

async fn told(base_url: String, timeouts: Timeouts) -> Told {
    let mut request = ask();
    request.timeouts = timeouts;
    call(&once(base_url), request).await
}

fn phase(told: &Told) -> &str {
    assert_eq!(told.code(), "provider_timeout");
    told.error.as_ref().and_then(|problem| problem.extra["phase"].as_str()).expect("a phase")
}

#[tokio::test]
async fn connecting() {
    // A listener that accepts nobody, with its queue full: further connections never stand.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port is free");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("it is bound");
    let mut queued = Vec::new();
    let patience = std::time::Duration::from_millis(100);
    while let Ok(Ok(connection)) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        queued.push(connection);
        assert!(queued.len() < 100, "the queue never fills");
    }
    let told = told(format!("http://{address}/v1"), Timeouts { connect_ms: 60, ..LONG }).await;
    assert_eq!((phase(&told), told.settlements().len()), ("connect", 0));
}

#[tokio::test]
async fn headers() {
    let model = ModelServer::start(Reply::never_headers());
    let told = told(model.base_url(), Timeouts { headers_ms: 60, connect_ms: 50, ..LONG }).await;
    assert_eq!((phase(&told), told.settlements().len()), ("headers", 0));
    model.wait_for_aborts(1).await;
}

#[tokio::test]
async fn the_first_token() {
    let (reply, gate) = Reply::tokens(3).gate();
    let model = ModelServer::start(reply);
    let told = told(model.base_url(), Timeouts { first_token_ms: 200, idle_ms: 10, ..LONG }).await;
    assert_eq!(phase(&told), "first_token");
    let settled = told.settlements()[0];
    assert_eq!((settled.outcome, settled.first_token_ms, gate.sent()), (Outcome::Failed, None, 0));
    model.wait_for_aborts(1).await;
}

#[tokio::test]
async fn between_events() {
    let model = ModelServer::start(Reply::tokens(9).stall_after(4));
    let told = told(model.base_url(), Timeouts { idle_ms: 60, ..LONG }).await;
    assert_eq!((phase(&told), told.text().as_str()), ("idle", " tok0 tok1 tok2 tok3"));
    assert_eq!(told.settlements()[0].outcome, Outcome::Failed);
    model.wait_for_aborts(1).await;
}

#[tokio::test]
async fn a_slow_stream_is_not_an_idle_one() {
    let model = ModelServer::start(Reply::tokens(12).delay_each(20));
    let told = told(model.base_url(), Timeouts { idle_ms: 150, first_token_ms: 100, ..LONG }).await;
    assert_eq!(told.code(), "no error");
}

#[tokio::test]
async fn all_of_it() {
    for reply in [Reply::tokens(9).stall_after(4), Reply::tokens(9).stall_after(0), Reply::never_headers()] {
        let model = ModelServer::start(reply);
        let told = told(model.base_url(), Timeouts { total_ms: 150, ..LONG }).await;
        assert_eq!(phase(&told), "total");
    }
}

#[tokio::test]
async fn the_time_in_all_is_for_all_attempts_together() {
    let model = ModelServer::start(vec![Reply::never_headers(); 9]);
    let other = ModelServer::start(Reply::text("too late"));
    let gateway = service(headwater_llm::GatewayOptions {
        max_attempts: 9,
        ..options([("openai", model.base_url()), ("other", other.base_url())])
    });
    let mut request = ask();
    request.timeouts = Timeouts { headers_ms: 100, total_ms: 150, ..LONG };
    request.fallbacks = vec![fallback("other/m")];
    let told = call(&gateway, request).await;
    // The wait for the second attempt does not fit, so the fallback is asked with what is left.
    assert_eq!((told.code(), told.text().as_str()), ("no error", "too late"));
    assert_eq!(model.requests().len(), 1);
}

#[tokio::test]
async fn a_timeout_before_the_first_token_is_tried_again() {
    let model = ModelServer::start([Reply::never_headers(), Reply::text("there")]);
    let mut request = ask();
    request.timeouts = Timeouts { headers_ms: 100, ..LONG };
    let told = call(&gateway(&model), request).await;
    assert_eq!((told.text().as_str(), told.code()), ("there", "no error"));
}

#[tokio::test]
async fn absurd_timeouts_do_no_harm() {
    let most = Timeouts {
        connect_ms: u64::MAX,
        headers_ms: u64::MAX,
        first_token_ms: u64::MAX,
        idle_ms: u64::MAX,
        total_ms: u64::MAX,
    };
    let model = ModelServer::start([Reply::text("fine"), Reply::text("fine")]);
    assert_eq!(told(model.base_url(), most).await.text(), "fine");
    let mut request = ask();
    request.max_queue_ms = u64::MAX;
    request.timeouts = Timeouts { connect_ms: 0, headers_ms: 0, first_token_ms: 0, idle_ms: 0, total_ms: 0 };
    // Timers are as fine as a millisecond, which may be enough for all of it.
    assert!(["provider_timeout", "no error"].contains(&call(&once(model.base_url()), request).await.code()));
}
