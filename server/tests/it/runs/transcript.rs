//! A whole run as each audience reads it.

use std::collections::HashMap;
use std::fmt::Write as _;

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{Stream, events, log_of, payloads, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site};

/// Replaces what differs from run to run by its kind and its order of appearance.
#[derive(Default)]
struct Redactor(HashMap<String, String>);

impl Redactor {
    fn text(&mut self, text: &str) -> String {
        let Some((prefix, uuid)) = text.split_once('_') else {
            return if text.parse::<jiff::Timestamp>().is_ok() { "[time]".into() } else { text.into() };
        };
        if uuid.parse::<uuid::Uuid>().is_err() {
            return text.into();
        }
        let of_kind = self.0.keys().filter(|known| known.starts_with(prefix)).count();
        self.0.entry(text.to_owned()).or_insert_with(|| format!("[{prefix} {}]", of_kind + 1)).clone()
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = text.split('/').map(|part| self.text(part)).collect::<Vec<_>>().join("/"),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.value(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn transcript(&mut self, bytes: &[u8]) -> String {
        let mut out = String::new();
        for line in std::str::from_utf8(bytes).expect("UTF-8").lines() {
            match line.strip_prefix("data: ") {
                Some(data) => {
                    let mut data: Value = serde_json::from_str(data).expect("JSON");
                    self.value(&mut data);
                    writeln!(out, "data: {data}").expect("a string");
                }
                None => writeln!(out, "{line}").expect("a string"),
            }
        }
        out
    }
}

#[tokio::test]
async fn a_whole_run_for_its_tenant_and_for_its_user() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::deltas(["It", " ships", " today."]).usage(20, 3).gate();
    let lane = Lane::named("lane-for-the-transcript", [reply]);
    let instructions = format!("You help. ({})", lane.mark());
    let config = json!({"model": "openai/gpt-5-mini", "instructions": instructions});
    tenant.api.put("/v1/agents/assistant", config).await.ok(201);
    let request = alice.key.with("accept", "text/event-stream").request("POST", "/v1/runs");
    let mut stream = Stream::send(request.json(&json!({"agent": "assistant", "input": "Where is order 7?"}))).await;
    assert_eq!(stream.status, 201);
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(stream.headers[name], value);
    }
    assert!(stream.headers.get("content-encoding").is_none());
    // Each word is read before the next is said, so that none are merged.
    stream.until("stream.caught_up").await;
    for word in ["\"It\"", "\" ships\"", "\" today.\""] {
        gate.pass(1);
        stream.until(word).await;
    }
    gate.open();
    let whole = stream.rest().await;
    let kinds = payloads(&whole);
    assert_eq!(types(&kinds[kinds.len() - 2..]), ["run.completed", "stream.closing"]);
    let log = events(&whole);
    let run = log[0]["run"].as_str().expect("an id");
    let as_tenant = read(&alice.key, run, None).await;
    assert_eq!(log_of(&as_tenant), log_of(&whole), "inline and later, the same bytes");
    let as_user = read(&alice.token, run, None).await;
    let mut redactor = Redactor::default();
    insta::assert_snapshot!("run_as_tenant", redactor.transcript(&as_tenant));
    insta::assert_snapshot!("run_as_user", redactor.transcript(&as_user));
    // Ids are dense for both, and the price is nowhere in the user's.
    assert_eq!(events(&as_user).len(), log.len());
    assert!(!String::from_utf8_lossy(&as_user).contains("nano_usd"));
    let mut snapshot = alice.key.get(&format!("/v1/runs/{run}")).await.ok(200);
    redactor.value(&mut snapshot);
    insta::assert_json_snapshot!("run_snapshot_as_tenant", snapshot);
    let mut snapshot = alice.token.get(&format!("/v1/runs/{run}")).await.ok(200);
    redactor.value(&mut snapshot);
    assert_eq!(snapshot["cost"], Value::Null);
    insta::assert_json_snapshot!("run_snapshot_as_user", snapshot);
}

#[tokio::test]
async fn what_an_agent_shows_its_users() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(Reply::text("Forty-two.").reasoning("Hmm. Let me see."));
    let seen = |bytes: &[u8]| (types(&events(bytes)), String::from_utf8_lossy(bytes).contains("Let me see"));
    for (visibility, reasoning, cost) in
        [(json!({}), true, false), (json!({"reasoning": false, "cost": true}), false, true)]
    {
        tenant.agent_with(&lane, json!({"user_visibility": visibility})).await;
        let run = id(&alice.key.run("x").await);
        alice.key.ended(&run).await;
        let (all, words) = seen(&read(&alice.key, &run, None).await);
        assert!(
            words && all.contains(&"reasoning.completed".into()) && all.contains(&"cost.settled".into()),
            "{all:?}"
        );
        let (users, words) = seen(&read(&alice.token, &run, None).await);
        assert_eq!((words, users.contains(&"reasoning.completed".into())), (reasoning, reasoning), "{users:?}");
        assert_eq!(users.contains(&"cost.settled".into()), cost, "{users:?}");
        assert_eq!(users.len(), all.len(), "ids stay dense");
        for (user, tenant) in users.iter().zip(&all) {
            assert!(user == tenant || user == "hidden", "{user} in place of {tenant}");
        }
        // What is hidden in the log is hidden in the snapshot and in the thread.
        let snapshot = alice.token.get(&format!("/v1/runs/{run}")).await;
        assert_eq!(snapshot.text().contains("Let me see"), reasoning);
        let thread = snapshot.json()["thread"].as_str().expect("an id").to_owned();
        let messages = alice.token.get(&format!("/v1/threads/{thread}/messages")).await.text();
        assert_eq!(messages.contains("Let me see"), reasoning);
    }
}

/// State and events tell the same: the log folded is the snapshot.
#[tokio::test]
async fn the_snapshot_is_the_log_up_to_its_seq() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(4).gate();
    tenant.agent(&Lane::sequence([reply])).await;
    let run = id(&alice.key.run("x").await);
    let mut stream = Stream::open(&alice.key, &run, None).await;
    gate.pass(2);
    stream.until("tok1").await;
    let middle = alice.key.get(&format!("/v1/runs/{run}")).await.ok(200);
    assert_eq!(middle["status"], "running");
    let message = &middle["messages"][1];
    assert_eq!((&message["status"], &message["content"][0]["text"]), (&json!("in_progress"), &json!(" tok0 tok1")));
    let log = events(&stream.bytes);
    assert!(log.iter().any(|event| event["seq"] == middle["as_of_seq"]), "exactly as of a position of the log");
    gate.open();
    let end = alice.key.ended(&run).await;
    let log = events(&stream.rest().await);
    assert_eq!(end["as_of_seq"], log.len());
    let last = log.last().expect("a terminal event");
    for field in ["result", "usage", "cost"] {
        assert_eq!(end[field], last[field], "{field}");
    }
    assert_eq!(
        (&end["messages"][1]["status"], &end["messages"][1]["id"]),
        (&json!("completed"), &end["result"]["message"])
    );
    let text: String = log.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(end["result"]["text"], text);
}
