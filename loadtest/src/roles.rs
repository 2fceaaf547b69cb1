//! What this binary is in the processes it starts: the model, and the relay that Headwater is compared with.
//!
//! The relay is the least that a streaming server can be: one axum handler that passes the model's bytes through. It
//! keeps nothing and asks nobody who they are, so its figures are the cost of the sockets alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use headwater_testkit::ModelServer;
use headwater_testkit::model::Script;
use tokio::net::{TcpListener, TcpSocket};

/// Answers as the load script says, until killed. At another address it tells what it was asked.
pub(crate) async fn model_server() -> anyhow::Result<()> {
    let model = ModelServer::start(Script::load());
    model.record(false);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("counts on http://{}", listener.local_addr()?);
    println!("listening on http://{}", model.address());
    let app = Router::new().route("/record", get(record)).route("/calls", get(calls)).with_state(Arc::new(model));
    axum::serve(listener, app).await?;
    Ok(())
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
}

/// Relays to the model at this base URL, until killed.
pub(crate) async fn relay_server(model: &str) -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let relay = Relay { http: reqwest::Client::builder().build()?, model: format!("{model}/chat/completions") };
    let app = Router::new().route("/v1/chat/completions", post(pass)).with_state(relay);
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
