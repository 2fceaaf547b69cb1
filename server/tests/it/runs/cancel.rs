//! Ending a run on purpose, and leaving without ending it.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{Stream, assert_dense, events, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site, eventually};

#[tokio::test]
async fn a_running_one_keeps_what_was_said() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    for by_token in [true, false] {
        let (reply, gate) = Reply::tokens(9).gate();
        tenant.agent(&Lane::sequence([reply, Reply::text("Next.")])).await;
        let run = id(&alice.key.run("x").await);
        let mut stream = Stream::open(&alice.key, &run, None).await;
        gate.pass(2);
        stream.until("tok1").await;
        let api = if by_token { &alice.token } else { &alice.key };
        let path = format!("/v1/runs/{run}/cancel");
        let cancelled = api.post(&path, json!({"reason": "changed my mind"})).await.ok(200);
        assert_eq!(cancelled["status"], "cancelled");
        assert!(cancelled["cancel_requested_at"].is_string() && cancelled["error"].is_null(), "{cancelled}");
        assert_eq!(api.post(&path, json!({})).await.ok(200), cancelled, "again is unchanged");
        let log = events(&stream.rest().await);
        assert_dense(&log);
        let last = log.last().expect("an end");
        assert_eq!(
            (&last["type"], &last["by"]["type"], &last["by"]["id"]),
            (&json!("run.cancelled"), &json!("user"), &json!(alice.id))
        );
        let message = log.iter().find(|event| event["type"] == "message.completed").expect("nothing is left open");
        assert_eq!((&message["status"], &message["text"]), (&json!("incomplete"), &json!(" tok0 tok1")));
        let snapshot = alice.key.get(&format!("/v1/runs/{run}")).await.ok(200);
        let stored = &snapshot["messages"][1];
        assert_eq!((&stored["status"], &stored["content"][0]["text"]), (&json!("incomplete"), &json!(" tok0 tok1")));
        // What was said is charged, and said to be an estimate.
        assert_eq!((&snapshot["cost_estimated"], &snapshot["usage"]), (&json!(true), &last["usage"]));
        assert!(snapshot["usage"]["output_tokens"].as_u64() > Some(0));
        // The thread is free again, and the model is shown what was said.
        let thread = snapshot["thread"].as_str().expect("an id");
        let next = id(&alice.key.run_on(thread, "y").await);
        assert_eq!(alice.key.ended(&next).await["status"], "completed");
    }
}

#[tokio::test]
async fn the_tenant_itself_may_cancel() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, _gate) = Reply::tokens(9).gate();
    let lane = Lane::sequence([reply]);
    tenant.agent(&lane).await;
    let run = id(&alice.key.run("x").await);
    lane.called(1).await;
    tenant.api.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.ok(200);
    let log = events(&read(&alice.key, &run, None).await);
    let by = &log.last().expect("an end")["by"];
    assert_eq!((&by["type"], &by["id"]), (&json!("tenant"), &json!(tenant.key_id)));
}

#[tokio::test]
async fn a_queued_one_never_begins() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(3).gate();
    let lane = Lane::sequence([reply, Reply::text("Third.")]);
    tenant.agent(&lane).await;
    let first = alice.key.run("one").await;
    let thread = first["thread"].as_str().expect("an id").to_owned();
    let second = alice.key.run_on(&thread, "two").await;
    let third = alice.key.run_on(&thread, "three").await;
    assert_eq!((&second["status"], &second["after_run"]), (&json!("queued"), &first["id"]));
    assert_eq!(third["status"], "queued");
    let cancelled = alice.token.post(&format!("/v1/runs/{}/cancel", id(&second)), json!({})).await.ok(200);
    assert_eq!((&cancelled["status"], &cancelled["started_at"]), (&json!("cancelled"), &Value::Null));
    let log = events(&read(&alice.key, &id(&second), None).await);
    assert_eq!(types(&log), ["run.queued", "run.cancelled"]);
    assert_dense(&log);
    gate.open();
    assert_eq!(alice.key.ended(&id(&third)).await["result"]["text"], "Third.");
    assert_eq!(lane.requests().len(), 2, "the cancelled one never asked the model");
}

#[tokio::test]
async fn a_finished_one_is_unchanged() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let run = id(&alice.key.run("x").await);
    alice.key.ended(&run).await;
    let path = format!("/v1/runs/{run}");
    let before = alice.key.get(&path).await.ok(200);
    let answer = alice.key.post(&format!("{path}/cancel"), json!({})).await.ok(200);
    assert_eq!((&answer["status"], &answer["cancel_requested_at"]), (&json!("completed"), &Value::Null));
    assert_eq!(alice.key.get(&path).await.ok(200), before);
    alice.key.post(&format!("{path}/cancel"), json!({"reason": 3})).await.problem(422, "invalid_value");
}

/// A reader never owns work.
#[tokio::test]
async fn a_client_that_leaves_stops_nothing() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(6).gate();
    let lane = Lane::sequence([reply]);
    tenant.agent(&lane).await;
    let request = alice.token.with("accept", "text/event-stream").request("POST", "/v1/runs");
    let mut inline = Stream::send(request.json(&json!({"agent": "assistant", "input": "x"}))).await;
    gate.pass(1);
    inline.until("tok0").await;
    let run = events(&inline.bytes)[0]["run"].as_str().expect("an id").to_owned();
    let second = Stream::open(&alice.token, &run, None).await;
    drop((inline, second));
    gate.pass(3);
    gate.reached(4).await;
    gate.open();
    assert_eq!(alice.key.ended(&run).await["result"]["text"], " tok0 tok1 tok2 tok3 tok4 tok5");
    assert_eq!(lane.requests().len(), 1);
}

#[tokio::test]
async fn a_deleted_thread_takes_its_run_along_and_no_other() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let ((gone, gone_gate), (stays, stays_gate)) = (Reply::tokens(9).gate(), Reply::tokens(9).gate());
    let lane = Lane::sequence([gone, stays]);
    tenant.agent(&lane).await;
    let run = alice.key.run("x").await;
    lane.called(1).await;
    let other = id(&bob.key.run("y").await);
    lane.called(2).await;
    let (mut stream, mut others) =
        (Stream::open(&alice.key, &id(&run), None).await, Stream::open(&bob.key, &other, None).await);
    gone_gate.pass(2);
    stays_gate.pass(2);
    stream.until("tok1").await;
    others.until("tok1").await;
    let thread = format!("/v1/threads/{}", run["thread"].as_str().expect("an id"));
    alice.token.delete(&thread).await.ok(204);
    for path in [
        thread.clone(),
        format!("{thread}/messages"),
        format!("/v1/runs/{}", id(&run)),
        format!("/v1/runs/{}/events", id(&run)),
    ] {
        alice.key.get(&path).await.problem(404, "not_found");
        tenant.api.get(&path).await.problem(404, "not_found");
    }
    // Its reader is told an end, and the model is no longer read.
    let bytes = stream.rest().await;
    assert!(String::from_utf8_lossy(&bytes).contains("stream.closing"));
    eventually("the model's call is given up", || async {
        let requests = crate::support::models().server().requests();
        let ours = requests.iter().find(|request| request.model() == lane.mark())?;
        ours.client_disconnected().then_some(())
    })
    .await;
    stays_gate.open();
    let log = events(&others.rest().await);
    assert_dense(&log);
    assert_eq!(log.last().expect("an end")["type"], "run.completed");
    // The money that was spent stays spent.
    let calls = tenant.api.get("/v1/usage/calls").await.ok(200);
    assert_eq!(calls["data"].as_array().expect("a list").len(), 2, "{calls}");
}
