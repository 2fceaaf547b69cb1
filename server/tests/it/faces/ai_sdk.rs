//! `/api/chat`: what goes over the wire, who may read it, and what is done once.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::Stream;
use crate::support::{Api, Lane, Site, eventually};

fn said(chat: &str, message: &str, text: &str) -> Value {
    let parts = json!([{"type": "step-start"}, {"type": "text", "text": text}]);
    json!({"id": chat, "agent": "assistant", "trigger": "submit-message",
        "messages": [{"id": "before", "role": "assistant", "parts": []}, {"id": message, "role": "user", "parts": parts}]})
}

/// The chunks of an answer.
fn chunks(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.into()))).collect()
}

fn types(chunks: &[Value]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk["type"].as_str().unwrap_or("[DONE]")).collect()
}

async fn thread_of(api: &Api, chat: &str) -> Value {
    api.get(&format!("/v1/threads?external_id={chat}")).await.ok(200)["data"][0].clone()
}

#[tokio::test]
async fn a_chat_is_a_thread_and_a_request_that_is_repeated_is_told_the_answer_that_there_is() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("One."), Reply::text("Two."), Reply::text("Three."), Reply::text("Four.")]);
    tenant.agent(&lane).await;
    let answer = alice.token.post("/api/chat", said("c", "m1", "How are you?")).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(answer.header("x-vercel-ai-ui-message-stream"), Some("v1"));
    let first = answer.text();
    let told = chunks(&first);
    let want = ["start", "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish", "[DONE]"];
    let plain: Vec<&str> = types(&told).into_iter().filter(|kind| !kind.starts_with("data-")).collect();
    assert_eq!(plain, want);
    assert!(types(&told).iter().all(|kind| *kind != "data-cost"), "a user is not told what it costs");
    let thread = thread_of(&alice.key, "c").await;
    assert_eq!(told[0]["messageMetadata"]["thread"], thread["id"]);
    // Sent again, by whatever stands in between.
    assert_eq!(alice.token.post("/api/chat", said("c", "m1", "How are you?")).await.text(), first);
    lane.called(1).await;
    let second = alice.token.post("/api/chat", said("c", "m2", "And now?")).await.text();
    assert!(second.contains("Two."));
    // The thread remembers what was said before.
    let asked = lane.requests()[1].body.to_string();
    assert!(asked.contains("How are you?") && asked.contains("One.") && asked.contains("And now?"), "{asked}");
    // The same words once more are another question when they are said to be.
    let mut again = said("c", "m2", "And now?");
    again["trigger"] = "regenerate-message".into();
    assert!(alice.token.post("/api/chat", again).await.text().contains("Three."));
    let runs = alice.key.get("/v1/runs").await.ok(200);
    assert_eq!(runs["data"].as_array().map(Vec::len), Some(3));
    // By the thread's own id too, and with a key for a user.
    let mut by_id = said(thread["id"].as_str().expect("an id"), "m3", "x");
    by_id["agent"] = Value::Null;
    alice.key.post("/api/chat", by_id.clone()).await.blames(422, "invalid_value", "/agent");
    assert!(alice.key.post("/api/chat?agent=assistant", by_id).await.text().contains("Four."));
}

#[tokio::test]
async fn an_answer_is_read_again_from_its_beginning_or_behind_an_event() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let (held, gate) = Reply::tokens(3).gate();
    tenant.agent(&Lane::sequence([held, Reply::text("x")])).await;
    assert_eq!(alice.token.get("/api/chat/c/stream").await.status, 204, "nothing is there");
    let body = said("c", "m1", "Count.");
    let mut stream = Stream::send(alice.token.request("POST", "/api/chat").json(&body)).await;
    gate.pass(1);
    stream.until("tok0").await;
    drop(stream);
    // Another user's chat of this name is another one.
    assert_eq!(bob.token.get("/api/chat/c/stream").await.status, 204);
    let thread = thread_of(&alice.key, "c").await;
    let by_id = format!("/api/chat/{}/stream", thread["id"].as_str().expect("an id"));
    assert_eq!(bob.token.get(&by_id).await.status, 204);
    let reading = alice.token.get("/api/chat/c/stream");
    let (whole, ()) = tokio::join!(reading, async { gate.open() });
    let whole = whole.text();
    assert!(whole.contains(" tok0") && whole.contains(" tok2") && whole.ends_with("data: [DONE]\n\n"), "{whole}");
    // Right after the end it is there still.
    assert_eq!(alice.token.get("/api/chat/c/stream").await.text(), whole);
    let at = whole.find("tok1").expect("it is there");
    let id = whole[..at].rfind("id: ").and_then(|at| whole[at + 4..].lines().next()).expect("an id");
    let rest = alice.token.with("last-event-id", id).get("/api/chat/c/stream").await.text();
    assert_eq!(
        types(&chunks(&rest))[..2],
        ["start", "text-start"],
        "which message goes on, and what was being written"
    );
    let behind = rest.splitn(3, "\n\n").nth(2).expect("more");
    assert!(!rest.contains("tok1") && whole.ends_with(behind), "{rest}\nof\n{whole}");
    // Of another answer a place says nothing.
    let other = format!("{}:{:016}", headwater_protocol::RunId::new(), 7);
    assert_eq!(alice.token.with("last-event-id", &other).get("/api/chat/c/stream").await.text(), whole);
    let passed = "UPDATE headwater.runs SET finished_at = finished_at - interval '2 minutes' WHERE finished_at IS NOT NULL AND thread_id = ";
    let thread = thread["id"].as_str().expect("an id").trim_start_matches("thr_").to_owned();
    let admin = Site::shared().await.database.admin().await;
    admin.execute(&format!("{passed}'{thread}'")).await.expect("time passes");
    assert_eq!(alice.token.get("/api/chat/c/stream").await.status, 204);
}

#[tokio::test]
async fn a_decision_goes_on_where_the_message_stands() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane =
        Lane::sequence([Reply::text("").tool_call("pick", "{}").tool_call("pick", r#"{"n":2}"#), Reply::text("Well.")]);
    let tool = json!({"type": "client", "name": "pick", "parameters": {"type": "object"}, "policy": "ask"});
    tenant.agent_with(&lane, json!({"tools": [tool]})).await;
    let told = chunks(&alice.token.post("/api/chat", said("c", "m1", "Pick.")).await.text());
    assert_eq!(types(&told)[types(&told).len() - 4..], ["data-suspended", "finish-step", "finish", "[DONE]"]);
    let asks: Vec<&Value> = told.iter().filter(|chunk| chunk["type"] == "tool-approval-request").collect();
    assert_eq!(asks.len(), 2);
    let part = |n: usize, state: &str, more: Value| {
        let approval = json!({"id": asks[n]["approvalId"], "approved": n == 0, "reason": "as I like"});
        let mut part =
            json!({"type": "tool-pick", "toolCallId": asks[n]["toolCallId"], "state": state, "approval": approval});
        part["output"] = more;
        part
    };
    let send =
        |id: &Value, parts: Value| json!({"id": "c", "messages": [{"id": id, "role": "assistant", "parts": parts}]});
    let run = &told[0]["messageId"];
    alice.token.post("/api/chat", send(&json!("else"), json!([]))).await.blames(422, "invalid_value", "/messages/0/id");
    let bob = tenant.user("bob").await;
    bob.token.post("/api/chat", send(run, json!([]))).await.blames(422, "invalid_value", "/messages/0/id");
    // One of two: it rests again.
    let one =
        alice.token.post("/api/chat", send(run, json!([part(0, "approval-responded", Value::Null)]))).await.text();
    assert!(one.ends_with("data: [DONE]\n\n") && !one.contains("Well."), "{one}");
    let both = json!([part(0, "approval-responded", Value::Null), part(1, "approval-responded", Value::Null)]);
    let two = chunks(&alice.token.post("/api/chat", send(run, both)).await.text());
    assert!(types(&two).contains(&"tool-output-denied") && types(&two).contains(&"data-suspended"), "{two:?}");
    let answered = json!([part(0, "output-available", json!("red"))]);
    let rest = chunks(&alice.token.post("/api/chat", send(run, answered)).await.text());
    assert_eq!((&rest[0]["type"], &rest[0]["messageId"]), (&json!("start"), run));
    let output = rest.iter().find(|chunk| chunk["type"] == "tool-output-available").expect("it was answered");
    assert_eq!(output["output"], "red");
    assert!(rest.iter().any(|chunk| chunk["delta"] == "Well."));
}

/// An answer that waits for a person is over for its reader, who has not left the run for that.
#[tokio::test]
async fn whoever_rests_has_not_gone() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("").tool_call("pick", "{}"), Reply::text("Well.")]);
    let tool = json!({"type": "client", "name": "pick", "parameters": {"type": "object"}});
    tenant.agent_with(&lane, json!({"tools": [tool], "on_disconnect": "cancel"})).await;
    let told = chunks(&alice.token.post("/api/chat", said("c", "m1", "Pick.")).await.text());
    let run = told[0]["messageId"].as_str().expect("a run").to_owned();
    let call = told.iter().find(|chunk| chunk["type"] == "tool-input-start").expect("a call")["toolCallId"].clone();
    let asks: Vec<&Value> = told.iter().filter(|chunk| chunk["type"] == "tool-input-available").collect();
    assert_eq!(
        (asks.len(), &asks[1]["providerExecuted"]),
        (2, &json!(false)),
        "it is the client's, now that it is asked"
    );
    // Nothing of it is given: that is no answer, which would be asked for again and again.
    let send = |parts: Value| json!({"id": "c", "messages": [{"id": run, "role": "assistant", "parts": parts}]});
    alice.token.post("/api/chat", send(json!([]))).await.blames(422, "invalid_value", "/messages/0/parts");
    assert_eq!(alice.key.get(&format!("/v1/runs/{run}")).await.ok(200)["status"], "suspended");
    let seq = told.iter().find(|chunk| chunk["type"] == "data-suspended").expect("it rests")["data"]["seq"].clone();
    let given = json!([{"type": "tool-pick", "toolCallId": call, "state": "output-available", "output": "red"},
        {"type": "data-suspended", "id": "suspended", "data": {"seq": seq}}]);
    let rest = alice.token.post("/api/chat", send(given.clone())).await.text();
    assert!(rest.contains("Well."), "{rest}");
    // Sent again, when all is over: what has come of it is told again, from where it stood.
    assert_eq!(types(&chunks(&alice.token.post("/api/chat", send(given)).await.text())), types(&chunks(&rest)));
}

#[tokio::test]
async fn stop_ends_the_answer_and_nonsense_is_refused() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::tokens(3).gate();
    tenant.agent(&Lane::sequence([held])).await;
    let mut stream = Stream::send(alice.token.request("POST", "/api/chat").json(&said("c", "m1", "Count."))).await;
    gate.pass(1);
    stream.until("tok0").await;
    assert_eq!(tenant.user("bob").await.token.post("/api/chat/c/stop", json!({})).await.status, 404);
    assert_eq!(alice.token.post("/api/chat/c/stop", json!({})).await.status, 204);
    let rest = String::from_utf8(stream.rest().await).expect("UTF-8");
    assert!(rest.contains(r#""type":"abort""#) && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(alice.token.post("/api/chat/c/stop", json!({})).await.status, 204, "nothing is under way");
    for (body, code, param) in [
        (json!({"id": "c", "messages": []}), "invalid_value", "/messages"),
        (
            json!({"id": "c", "messages": [{"id": "x", "role": "system", "parts": []}]}),
            "invalid_value",
            "/messages/0/role",
        ),
        (
            json!({"id": "c", "agent": "assistant", "messages": [{"id": "x", "role": "user", "parts": []}]}),
            "invalid_value",
            "/messages/0/parts",
        ),
        (
            json!({"id": "c", "agent": "assistant", "messages": [{"id": "x", "role": "user",
                "parts": [{"type": "file", "mediaType": "image/png", "url": "data:image/png,x"}]}]}),
            "invalid_value",
            "/messages/0/parts/0/url",
        ),
    ] {
        alice.token.post("/api/chat", body).await.blames(422, code, param);
    }
    alice.token.post("/api/chat", json!({"id": "c"})).await.blames(422, "invalid_value", "/messages");
    let odd = json!({"id": "a b", "agent": "assistant", "messages": [{"id": "x", "role": "user", "parts": [{"type": "text", "text": "x"}]}]});
    assert_eq!(alice.token.post("/api/chat", odd).await.status, 422, "a name that no thread may have");
    let unknown = json!({"id": "d", "agent": "nobody", "messages": [{"id": "x", "role": "user", "parts": [{"type": "text", "text": "x"}]}]});
    alice.token.post("/api/chat", unknown).await.problem(404, "agent_not_found");
    site_key_alone(&tenant.api).await;
    // Whoever asks twice at once makes one thread.
    tenant.agent(&Lane::always(Reply::text("Here."))).await;
    let both = tokio::join!(
        alice.token.post("/api/chat", said("twin", "m1", "a")),
        alice.token.post("/api/chat", said("twin", "m2", "b"))
    );
    assert!(both.0.text().contains("Here.") && both.1.text().contains("Here."));
    let threads = alice.key.get("/v1/threads?external_id=twin").await.ok(200);
    assert_eq!(threads["data"].as_array().map(Vec::len), Some(1));
    eventually("both are there", || async {
        let thread = threads["data"][0]["id"].as_str().expect("an id");
        let runs = alice.key.get(&format!("/v1/runs?thread={thread}")).await.ok(200);
        (runs["data"].as_array().map(Vec::len) == Some(2)).then_some(())
    })
    .await;
}

/// A key that acts for nobody has no chats.
async fn site_key_alone(api: &Api) {
    api.post("/api/chat", said("c", "m1", "x")).await.problem(400, "user_required");
    api.get("/api/chat/c/stream").await.problem(400, "user_required");
}
