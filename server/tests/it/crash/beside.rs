//! A second process on the same database.

use headwater_testkit::model::Reply;
use serde_json::json;

use crate::support::sse::{Stream, assert_dense, events, last_id, log_of, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site, eventually, serve};

#[tokio::test]
async fn it_serves_what_is_finished_and_follows_what_is_not() {
    let first = Site::start(&[]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(6).gate();
    let lane = Lane::sequence([Reply::tokens(5).delay_each(25), reply]);
    tenant.agent(&lane).await;
    let finished = id(&alice.key.run("x").await);
    alice.key.ended(&finished).await;
    let second = serve(&first.database, &[]);
    let there = alice.at(&second.url);
    for (here, there) in [(&alice.key, &there.key), (&alice.token, &there.token)] {
        let (ours, theirs) = (read(here, &finished, None).await, read(there, &finished, None).await);
        assert_eq!(log_of(&ours), log_of(&theirs), "any process renders the same bytes");
        assert_eq!(
            here.get(&format!("/v1/runs/{finished}")).await.bytes,
            there.get(&format!("/v1/runs/{finished}")).await.bytes
        );
    }
    // A ticket of one is good at the other.
    let ticket = alice.key.post(&format!("/v1/runs/{finished}/tickets"), json!({})).await.ok(201);
    let url = ticket["events_url"].as_str().expect("a URL");
    assert_eq!(first.anybody().at(&second.url).get(url).await.status, 200);
    // A live one: read here to some point, there to the next, and so on.
    let live = id(&alice.key.run("x").await);
    let mut follower = Stream::open(&there.key, &live, None).await;
    gate.pass(2);
    follower.until("tok1").await;
    let cursor = last_id(&follower.bytes);
    let mut here = Stream::open(&alice.key, &live, cursor.as_deref()).await;
    gate.pass(2);
    here.until("tok3").await;
    let middle = last_id(&here.bytes);
    let hopping = log_of(&follower.bytes) + &log_of(&here.bytes);
    let snapshot = there.key.get(&format!("/v1/runs/{live}")).await.ok(200);
    assert_eq!(
        (&snapshot["status"], &snapshot["messages"][1]["content"][0]["text"]),
        (&json!("running"), &json!(" tok0 tok1 tok2 tok3"))
    );
    gate.open();
    let whole = log_of(&follower.rest().await);
    assert_dense(&events(whole.as_bytes()));
    let rest = log_of(&read(&there.key, &live, middle.as_deref()).await);
    assert_eq!(hopping + &rest, whole, "each once, wherever it was read");
    assert_eq!(log_of(&here.rest().await), log_of(&read(&there.key, &live, cursor.as_deref()).await));
    assert_eq!(there.key.get(&format!("/v1/runs/{live}?wait_ms=25000")).await.ok(200)["status"], "completed");
}

#[tokio::test]
async fn it_may_cancel_and_replay_what_the_first_began() {
    let first = Site::start(&[]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(9).gate();
    let lane = Lane::sequence([reply, Reply::text("Next.")]);
    tenant.agent(&lane).await;
    let body = json!({"agent": "assistant", "input": "x"});
    let run = alice.key.with("idempotency-key", "once").post("/v1/runs", body.clone()).await.ok(201);
    let second = serve(&first.database, &[]);
    let there = alice.at(&second.url);
    let again = there.key.with("idempotency-key", "once").post("/v1/runs", body).await;
    assert_eq!((id(&again.ok(201)), again.header("idempotent-replayed")), (id(&run), Some("true")));
    let mut reader = Stream::open(&alice.key, &id(&run), None).await;
    gate.pass(2);
    reader.until("tok1").await;
    let cancelled = there.key.post(&format!("/v1/runs/{}/cancel", id(&run)), json!({})).await.ok(200);
    assert_eq!(cancelled["status"], "cancelled");
    // The first one's late words are committed nowhere.
    gate.open();
    let bytes = reader.rest().await;
    let log = log_of(&bytes);
    assert_dense(&events(log.as_bytes()));
    assert_eq!(log, log_of(&read(&there.key, &id(&run), None).await));
    let text: String =
        events(log.as_bytes()).iter().filter_map(|event| event["delta"].as_str().map(str::to_owned)).collect();
    assert_eq!(text, " tok0 tok1");
    let thread = run["thread"].as_str().expect("an id");
    let next = there.key.run_on(thread, "y").await;
    assert_eq!(there.key.ended(&id(&next)).await["result"]["text"], "Next.");
}

#[tokio::test]
async fn a_key_revoked_at_one_is_refused_at_the_other() {
    let first = Site::start(&[]).await;
    let tenant = first.tenant().await;
    let second = serve(&first.database, &[]);
    let there = tenant.at(&second.url);
    there.api.get("/v1/me").await.ok(200);
    first.operator().delete(&format!("/v1/tenants/{}/keys/{}", tenant.id, tenant.key_id)).await.ok(204);
    eventually("the other one hears of it", || async { (there.api.get("/v1/me").await.status == 401).then_some(()) })
        .await;
}
