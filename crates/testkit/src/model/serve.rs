//! From a socket to an answer.
//!
//! Owns: the accept loop, the three routes, and the order of checks: key, then rules, then script.
//! Promises: when the server stops, its listener closes first and then every connection.
//! Never does: hold a lock while it waits.

use std::{sync::Arc, time::Instant};

use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, task::JoinSet};

use super::{
    http::{self, Conn, Gone, Head, Incoming, Method},
    play::{self, Call, Played},
    reply::ErrorBody,
    request::{ChatRequest, Outcome, RecordedRequest},
    script::Choice,
    shared::Shared,
};

/// Serves until `stop` is sent or dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "the handle is kept by ModelServer, and dropping the server ends the task"
)]
pub(super) fn spawn(listener: TcpListener, shared: Arc<Shared>, stop: oneshot::Receiver<()>) -> JoinHandle<()> {
    tokio::spawn(accept(listener, shared, stop))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((sock, _)) => drop(connections.spawn(serve(Conn::new(sock), shared.clone()))),
                // Out of file descriptors: let some connections end first.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve(mut conn: Conn, shared: Arc<Shared>) {
    loop {
        let head = match conn.next().await {
            Incoming::Request(head) => head,
            Incoming::Closed => return,
            Incoming::Bad(why) => {
                let _ = play::refuse(&mut conn, 400, &ErrorBody::new("invalid_request_error", None, why), &[]).await;
                return;
            }
        };
        match answer(&mut conn, &head, &shared).await {
            Ok(played) if played.reusable && head.keep_alive => {}
            Ok(_) | Err(Gone) => return,
        }
    }
}

async fn answer(conn: &mut Conn, head: &Head, shared: &Shared) -> Result<Played, Gone> {
    match (head.method, conn.bytes(&head.path)) {
        (Method::Post, b"/v1/chat/completions") => chat(conn, head, shared).await,
        (Method::Get, b"/v1/models") => {
            let allowed = authorized(conn, head, shared.settings().key.as_deref());
            conn.consume(head);
            if allowed { play::list_models(conn).await } else { refuse_key(conn).await }
        }
        (Method::Get | Method::Post | Method::Other, path) => {
            let what = format!("Invalid URL ({:?} {})", head.method, String::from_utf8_lossy(path));
            conn.consume(head);
            play::refuse(conn, 404, &ErrorBody::new("invalid_request_error", None, what), &[]).await
        }
    }
}

async fn chat(conn: &mut Conn, head: &Head, shared: &Shared) -> Result<Played, Gone> {
    let settings = shared.settings();
    let number = shared.number_call();
    let parsed = serde_json::from_slice::<ChatRequest>(conn.bytes(&head.body));
    let kept = (settings.record || settings.script.reads_request()).then(|| recorded(number, conn, head));
    let allowed = authorized(conn, head, settings.key.as_deref());
    conn.consume(head);
    let place = shared.start(if settings.record { kept.clone() } else { None });

    let played = async {
        if !allowed {
            return refuse_key(conn).await;
        }
        let checked = match parsed {
            Ok(request) => request.check().map(|()| request),
            Err(error) => {
                let what = format!("the body of the request cannot be read: {error}");
                Err(ErrorBody::new("invalid_request_error", None, what))
            }
        };
        let request = match checked {
            Ok(request) => request,
            Err(error) => {
                shared.violation(number, &error.message);
                return play::refuse(conn, 400, &error, &[]).await;
            }
        };
        let (most, status) = settings.takes.unwrap_or((usize::MAX, 429));
        let Some(_serving) = shared.serve(most) else {
            let error = ErrorBody::new("rate_limit_error", Some("rate_limit_exceeded"), "Rate limit reached");
            return play::refuse(conn, status, &error, &[]).await;
        };
        match settings.script.choose(kept.as_ref()) {
            Choice::Reply(reply) => Call { number, request: &request, shared }.play(conn, &reply).await,
            Choice::Load(plans) => {
                let model = request.model.as_deref().unwrap_or_default();
                let Some(plan) = plans.get(model, request.wants_usage(), request.answers_a_tool()) else {
                    let what = format!("The model {model:?} does not exist: load-<tokens>x<ms> is expected.");
                    let error = ErrorBody::new("invalid_request_error", Some("model_not_found"), what);
                    return play::refuse(conn, 404, &error, &[]).await;
                };
                let outcome = plan.play(conn, &request, shared).await?;
                Ok(Played { outcome, reusable: true })
            }
            Choice::None(why) => {
                shared.violation(number, &why);
                let error = ErrorBody::new("invalid_request_error", Some("script_has_no_reply"), why);
                play::refuse(conn, 400, &error, &[]).await
            }
        }
    }
    .await;
    shared.end(place, played.as_ref().map_or(Outcome::Aborted, |played| played.outcome));
    played
}

fn recorded(call: u64, conn: &Conn, head: &Head) -> RecordedRequest {
    let body = conn.bytes(&head.body);
    RecordedRequest {
        call,
        body: serde_json::from_slice(body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned())),
        headers: http::header_pairs(conn.bytes(&head.lines)),
        at: Instant::now(),
        outcome: Outcome::InFlight,
    }
}

fn authorized(conn: &Conn, head: &Head, key: Option<&str>) -> bool {
    let Some(key) = key else { return true };
    let given = head.authorization.as_ref().map(|range| conn.bytes(range));
    given.and_then(|value| value.strip_prefix(b"Bearer ")).is_some_and(|value| value == key.as_bytes())
}

async fn refuse_key(conn: &mut Conn) -> Result<Played, Gone> {
    let error = ErrorBody::new("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided.");
    play::refuse(conn, 401, &error, &[]).await
}
