//! Several processes, one of which is stopped, paused or let go of.

use headwater_testkit::model::Reply;
use serde_json::json;

use super::killed::{assert_consistent, nothing_is_left};
use crate::support::sse::{Stream, assert_dense, events, log_of, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site, eventually, serve};

const LEASE: (&str, &str) = ("HEADWATER__LEASE__MS", "500");

/// A run that does not end in time goes on at another process; who reads it there sees it all.
async fn a_stop_hands_over(direct: Option<(&str, &str)>) {
    let environment: Vec<_> = [("HEADWATER__SERVER__DRAIN_MS", "100")].into_iter().chain(direct).collect();
    let mut first = Site::start(&environment).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(4).gate();
    let lane = Lane::sequence([reply, Reply::text("Elsewhere."), Reply::text("And next.")]);
    tenant.agent(&lane).await;
    let run = alice.key.run("x").await;
    let second = serve(&first.database, &environment);
    let there = alice.at(&second.url);
    let mut reader = Stream::open(&there.token, &id(&run), None).await;
    gate.pass(2);
    reader.until("tok1").await;
    let next = there.key.run_on(run["thread"].as_str().expect("an id"), "y").await;
    assert_eq!(next["status"], "queued");
    first.process.signal(libc::SIGTERM);
    let process = &mut first.process;
    assert_eq!(process.wait(), Some(0), "{}", process.log());
    let log = events(&reader.rest().await);
    assert_dense(&log);
    let resumed = log.iter().find(|event| event["type"] == "run.resumed").expect("it goes on");
    assert_eq!((&resumed["attempt"], &resumed["reason"]), (&json!(2), &json!("handover")));
    let ended = there.key.ended(&id(&run)).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("Elsewhere.")));
    assert_consistent(&there, &id(&run)).await;
    assert_eq!(there.key.ended(&id(&next)).await["result"]["text"], "And next.");
    assert_eq!(lane.requests().len(), 3, "one call was made twice: that which was cut");
    nothing_is_left(&tenant.at(&second.url)).await;
}

#[tokio::test]
async fn a_stop_hands_over_with_hints() {
    a_stop_hands_over(None).await;
}

#[tokio::test]
async fn a_stop_hands_over_without_hints() {
    a_stop_hands_over(Some(("DATABASE_DIRECT_URL", ""))).await;
}

/// A process that was away for longer than its lease has lost its runs, and goes on as another.
#[tokio::test]
async fn a_paused_process_writes_nothing_more_and_goes_on() {
    let first = Site::start(&[LEASE]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(6).gate();
    let lane = Lane::sequence([reply, Reply::text("Meanwhile."), Reply::text("Back again.")]);
    tenant.agent(&lane).await;
    let run = id(&alice.key.run("x").await);
    let mut here = Stream::open(&alice.key, &run, None).await;
    gate.pass(2);
    here.until("tok1").await;
    first.process.signal(libc::SIGSTOP);
    let second = serve(&first.database, &[LEASE]);
    let there = alice.at(&second.url);
    let ended = there.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("Meanwhile.")));
    let log = assert_consistent(&there, &run).await;
    // The zombie wakes up with words in its hands.
    gate.open();
    first.process.signal(libc::SIGCONT);
    let seen = log_of(&here.rest().await);
    assert_eq!(events(seen.as_bytes()), log, "its readers stay, and see what the other one wrote");
    assert_eq!(seen, log_of(&read(&there.key, &run, None).await));
    // It works under a new name.
    let again = eventually("the first one accepts runs again", || async {
        let answer = alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "y"})).await;
        (answer.status == 201).then(|| answer.json())
    })
    .await;
    let ended = alice.key.ended(&id(&again)).await;
    assert_eq!((&ended["result"]["text"], &ended["attempt"]), (&json!("Back again."), &json!(1)));
    nothing_is_left(&tenant).await;
}
