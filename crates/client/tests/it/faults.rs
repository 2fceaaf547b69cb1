//! The scripts that every SDK of Headwater lives through: see `sdk/faults`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_client::protocol::RunId;
use headwater_client::protocol::api::RunParams;
use headwater_client::{BoxError, Client, Cursor, Error, Options, RetryPolicy, RunStream, StreamItem, StreamOptions};
use headwater_testkit::Faults;
use headwater_testkit::faults::Play;
use serde_json::{Value, json};

/// What came of a play: in the words of the scripts.
#[derive(Debug, PartialEq)]
struct Outcome {
    items: Vec<Value>,
    error: Value,
    cursor: Value,
}

#[tokio::test]
async fn every_script_is_lived_through() {
    let faults = Faults::start(0).expect("a free port");
    let mut wrong = Vec::new();
    let mut played = 0;
    for play in faults.plays() {
        let (number, base_url) = faults.begin(&play.id);
        let found = played_by_us(play, &base_url).await;
        wrong.extend(found.into_iter().chain(faults.complaints(number)).map(|words| format!("{}: {words}", play.id)));
        played += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(played > 100, "{played} plays");
}

/// Plays it with this SDK, and says what is not as it should be.
async fn played_by_us(play: &Play, base_url: &str) -> Vec<String> {
    let (call, expect) = (play.call(), play.expect());
    let tokens = Arc::new(AtomicU64::new(0));
    let client = client(base_url, call["credential"].as_str().unwrap_or("key"), &tokens);
    let run: RunId = expect["run"].as_str().and_then(|run| run.parse().ok()).expect("a run");
    let readers = (0..call["readers"].as_u64().unwrap_or(1)).map(|_| act(&client, call, run));
    let outcomes = futures_util::future::join_all(readers).await;
    let ignored = |item: &Value| expect["ignore"] == json!(["caught_up"]) && item.get("caught_up").is_some();
    let cursor =
        if call["do"].as_str().is_some_and(|what| what.ends_with("stream")) { &expect["cursor"] } else { &Value::Null };
    let due = Outcome {
        items: expect["items"].as_array().expect("items").clone(),
        error: expect["error"].clone(),
        cursor: cursor.clone(),
    };
    let mut wrong = Vec::new();
    for mut outcome in outcomes {
        outcome.items.retain(|item| !ignored(item));
        if due.cursor.is_null() {
            outcome.cursor = Value::Null;
        }
        if outcome != due {
            wrong.push(format!("{outcome:#?}, not {due:#?}"));
        }
    }
    let asked = tokens.load(Ordering::SeqCst);
    if expect["tokens"].as_u64().is_some_and(|due| due != asked) {
        wrong.push(format!("{asked} tokens"));
    }
    wrong
}

fn client(base_url: &str, credential: &str, tokens: &Arc<AtomicU64>) -> Client {
    let builder = Client::builder(base_url).retry(RetryPolicy { base: Duration::ZERO, ..RetryPolicy::default() });
    let builder = match credential {
        "key" => builder.api_key("hw_sk_test"),
        "one_token" => builder.user_token("t0"),
        "tokens" => {
            let tokens = tokens.clone();
            builder.user_token_provider(move || {
                let token = format!("t{}", tokens.fetch_add(1, Ordering::SeqCst));
                async move { Ok::<_, BoxError>(token) }
            })
        }
        other => panic!("no such credential: {other}"),
    };
    builder.build().expect("good settings")
}

async fn act(client: &Client, call: &Value, run: RunId) -> Outcome {
    let ms = |field: &str| call[field].as_u64().map(Duration::from_millis);
    let usual = StreamOptions::default();
    let options = StreamOptions {
        after: match &call["after"] {
            Value::String(now) if now == "now" => Cursor::Now,
            after => after.as_u64().map_or(Cursor::Start, Cursor::After),
        },
        attempts: call["attempts"].as_u64().map_or(usual.attempts, |attempts| attempts.try_into().expect("few")),
        retry: ms("retry_ms").unwrap_or(Duration::ZERO),
        idle: ms("idle_ms").unwrap_or(usual.idle),
    };
    let params = RunParams::new("assistant", "hi");
    match call["do"].as_str().expect("something to do") {
        "stream" => read(client.runs_stream(run, options)).await,
        "create_stream" => {
            let stream = client.runs_create_stream(&params, Options::new()).expect("good parameters");
            read(stream.with_options(options)).await
        }
        "get" => called(client.runs_get(run).await),
        "create" => called(client.runs_create(&params, Options::new()).await),
        other => panic!("no such thing to do: {other}"),
    }
}

fn called<T>(answer: Result<T, Error>) -> Outcome {
    Outcome { items: Vec::new(), error: answer.err().map_or(Value::Null, |error| told(&error)), cursor: Value::Null }
}

async fn read(mut stream: RunStream) -> Outcome {
    let (mut items, mut error) = (Vec::new(), Value::Null);
    while let Some(item) = stream.next_item().await {
        match item {
            Ok(StreamItem::Event(line)) => items.push(json!({"event": line.text()})),
            Ok(StreamItem::Hidden(line)) => items.push(json!({"hidden": line.text()})),
            Ok(StreamItem::CaughtUp { tail }) => items.push(json!({"caught_up": tail})),
            Ok(StreamItem::Reset(reset)) => {
                items.push(json!({"reset": {"reason": reset.reason, "as_of_seq": reset.as_of_seq}}));
            }
            Err(failed) => error = told(&failed),
        }
    }
    let cursor = match stream.cursor() {
        Cursor::After(seq) => json!(seq),
        Cursor::Start => json!(0),
        Cursor::Now => json!("now"),
    };
    Outcome { items, error, cursor }
}

fn told(error: &Error) -> Value {
    let kind = match error {
        Error::Api { .. } => "api",
        Error::Edge { .. } => "edge",
        Error::Transport(_) | Error::Cut => "transport",
        Error::Timeout(_) => "timeout",
        Error::Decode { .. } => "decode",
        Error::StreamGap { .. } => "stream_gap",
        Error::GaveUp { .. } => "gave_up",
        Error::CredentialEnded => "credential_ended",
        other => panic!("no script ends so: {other}"),
    };
    json!({"kind": kind, "code": if kind == "api" { json!(error.code().map(|code| code.as_str())) } else { Value::Null }})
}
