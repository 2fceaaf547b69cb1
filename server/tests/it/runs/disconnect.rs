//! What becomes of a run when its last reader has gone.

use headwater_testkit::model::{Gate, Reply};
use serde_json::{Value, json};

use crate::support::sse::{Stream, events, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site, User, serve};

async fn run(user: &User, more: Value) -> Value {
    let mut body = json!({"agent": "assistant", "input": "x"});
    for (name, value) in more.as_object().expect("settings") {
        body[name] = value.clone();
    }
    user.key.post("/v1/runs", body).await.ok(201)
}

/// A reader that has seen the first word.
async fn reader(user: &User, run: &Value, gate: &Gate) -> Stream {
    gate.pass(1);
    let mut reader = Stream::open(&user.token, &id(run), None).await;
    reader.until("tok0").await;
    reader
}

async fn assert_left(user: &User, run: &Value) {
    let ended = user.key.ended(&id(run)).await;
    assert_eq!(ended["status"], "cancelled", "{ended}");
    let log = events(&read(&user.key, &id(run), None).await);
    assert_eq!(log.last().expect("an end")["by"], json!({"type": "system", "id": null, "reason": "on_disconnect"}));
}

#[tokio::test]
async fn cancel_ends_with_the_last_reader_of_all_processes() {
    let site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(9).gate();
    tenant.agent_with(&Lane::always(reply), json!({"on_disconnect": "cancel"})).await;
    let second = serve(&site.database, &[]);
    let there = alice.at(&second.url);
    let run = run(&alice, json!({})).await;
    assert_eq!(run["on_disconnect"], "cancel");
    let here = reader(&alice, &run, &gate).await;
    let elsewhere = reader(&there, &run, &gate).await;
    drop(here);
    // The other one is still there; what comes next reaches it.
    let mut elsewhere = elsewhere;
    gate.pass(2);
    elsewhere.until("tok3").await;
    assert_eq!(alice.key.get(&format!("/v1/runs/{}", id(&run))).await.ok(200)["status"], "running");
    drop(elsewhere);
    assert_left(&alice, &run).await;
}

#[tokio::test]
async fn the_inline_stream_is_a_reader_too() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(9).gate();
    tenant.agent(&Lane::always(reply)).await;
    let body = json!({"agent": "assistant", "input": "x", "on_disconnect": "cancel"});
    let request = alice.key.request("POST", "/v1/runs").header("accept", "text/event-stream").json(&body);
    let mut inline = Stream::send(request).await;
    gate.pass(1);
    inline.until("tok0").await;
    let run = json!({"id": events(&inline.bytes)[0]["run"]});
    drop(inline);
    assert_left(&alice, &run).await;
}

#[tokio::test]
async fn grace_waits_for_one_to_come_back() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let gates = [Gate::new(), Gate::new()];
    let held = gates.iter().map(|gate| Reply::tokens(3).gated_by(gate));
    let lane = Lane::sequence(held.chain([Reply::text("Unread.")]));
    tenant.agent(&lane).await;
    let patient = json!({"on_disconnect": "grace", "disconnect_grace_ms": 3_600_000});
    let stays = run(&alice, patient).await;
    drop(reader(&alice, &stays, &gates[0]).await);
    let back = Stream::open(&alice.token, &id(&stays), None).await;
    let goes = run(&alice, json!({"on_disconnect": "grace", "disconnect_grace_ms": 50})).await;
    // In the lane's order.
    lane.called(2).await;
    let unread = run(&alice, json!({"on_disconnect": "cancel"})).await;
    drop(reader(&alice, &goes, &gates[1]).await);
    assert_left(&alice, &goes).await;
    gates[0].open();
    back.rest().await;
    assert_eq!(alice.key.ended(&id(&stays)).await["status"], "completed");
    assert_eq!(alice.key.ended(&id(&unread)).await["status"], "completed", "nobody read it, so nobody has gone");
}

#[tokio::test]
async fn a_stop_sends_readers_away_and_ends_nothing() {
    let mut site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(3).gate();
    tenant.agent_with(&Lane::always(reply), json!({"on_disconnect": "cancel"})).await;
    let run = run(&alice, json!({})).await;
    let reader = reader(&alice, &run, &gate).await;
    site.process.signal(libc::SIGTERM);
    reader.rest().await;
    gate.open();
    assert_eq!(site.process.wait(), Some(0));
    let second = serve(&site.database, &[]);
    assert_eq!(alice.at(&second.url).key.ended(&id(&run)).await["status"], "completed");
}
