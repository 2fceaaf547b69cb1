//! What this binary is in the processes it starts: the model, and the relay that Headwater is compared with.
//!
//! The relay is the least that a streaming server can be: one axum handler that passes the model's bytes through. It
//! keeps nothing and asks nobody who they are, so its figures are the cost of the sockets alone. Where models call a tool it
//! is the least that such a loop can be: it makes the three requests one after the other, and passes the last answer through.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use headwater_testkit::ModelServer;
use headwater_testkit::model::{Script, TOOL};
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};

/// Answers as the load script says, until killed. At another address it tells what it was asked.
pub(crate) async fn model_server() -> anyhow::Result<()> {
    let model = ModelServer::start(Script::load());
    model.record(false);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("counts on http://{}", listener.local_addr()?);
    println!("listening on http://{}", model.address());
    let app = Router::new()
        .route("/record", get(record))
        .route("/calls", get(calls))
        .route("/takes/{most}/{status}", get(takes))
        .route("/refused", get(refused))
        .route("/tool", post(tool));
    let app = app.with_state(Arc::new(model)).merge(crate::wicked::routes());
    axum::serve(listener, app).await?;
    Ok(())
}

/// What the tool answers.
async fn tool(_: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"shipped","carrier":"DHL"}"#).into_response()
}

/// So many calls at a time, and this status for those beyond.
async fn takes(State(model): State<Arc<ModelServer>>, Path((most, status)): Path<(usize, u16)>) {
    model.takes(Some((most, status)));
}

/// How many calls were refused so far.
async fn refused(State(model): State<Arc<ModelServer>>) -> String {
    model.counters().refused.to_string()
}

async fn record(State(model): State<Arc<ModelServer>>) {
    model.record(true);
}

/// Each question, which is what the user said last, with the number of calls that asked it before it.
async fn calls(State(model): State<Arc<ModelServer>>) -> String {
    let mut asked = BTreeMap::<String, u64>::new();
    for request in model.requests() {
        let last = request.body["messages"].as_array().and_then(|messages| messages.last());
        let question = last.and_then(|message| message["content"].as_str()).unwrap_or_default();
        *asked.entry(question.replace('\n', " ")).or_default() += 1;
    }
    asked.iter().map(|(question, count)| format!("{count} {question}\n")).collect()
}

#[derive(Clone)]
struct Relay {
    http: reqwest::Client,
    model: String,
    tool: String,
}

/// Relays to the model at this base URL, and calls the tool at that, until killed.
pub(crate) async fn relay_server(model: &str, tool: &str) -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let relay = Relay {
        http: reqwest::Client::builder().build()?,
        model: format!("{model}/chat/completions"),
        tool: tool.to_owned(),
    };
    let app =
        Router::new().route("/v1/chat/completions", post(pass)).route("/v1/loop", post(call_once)).with_state(relay);
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(4096)?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, app).await?;
    Ok(())
}

/// Asks the model, calls the tool, and asks the model again with what it answered.
async fn call_once(State(relay): State<Relay>, body: Bytes) -> Response {
    let looped = async {
        let first = relay.http.post(&relay.model).header(header::CONTENT_TYPE, "application/json").body(body.clone());
        first.send().await?.error_for_status()?.bytes().await?;
        let call =
            relay.http.post(&relay.tool).header(header::CONTENT_TYPE, "application/json").body(r#"{"order":"7"}"#);
        let answer = call.send().await?.error_for_status()?.text().await?;
        let mut asked: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(messages) = asked["messages"].as_array_mut() {
            let call = json!([{"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": "{\"order\":\"7\"}"}}]);
            messages.push(json!({"role": "assistant", "content": null, "tool_calls": call}));
            messages.push(json!({"role": "tool", "tool_call_id": "call_1", "content": answer}));
        }
        reqwest::Result::Ok(asked.to_string())
    };
    match looped.await {
        Ok(body) => pass(State(relay), Bytes::from(body)).await,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn pass(State(relay): State<Relay>, body: Bytes) -> Response {
    let call = relay.http.post(&relay.model).header(header::CONTENT_TYPE, "application/json").body(body);
    match call.send().await {
        Ok(answer) => {
            let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
            let status = answer.status();
            let mut response = (status, Body::from_stream(answer.bytes_stream())).into_response();
            if let Some(kind) = kind {
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            response
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
