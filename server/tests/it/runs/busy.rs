//! A message while a run of its thread is under way: giving way, going back, listening.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{Stream, assert_dense, events, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site, User};

async fn say(user: &User, thread: &str, text: &str, on_conflict: &str) -> crate::support::Answer {
    let body = json!({"agent": "assistant", "input": text, "on_conflict": on_conflict});
    user.key.post(&format!("/v1/threads/{thread}/runs"), body).await
}

/// What the thread holds, oldest first: role, text, status.
async fn thread_of(user: &User, thread: &str) -> Vec<(String, String, String)> {
    let listed = user.key.get(&format!("/v1/threads/{thread}/messages?order=asc&limit=100")).await.ok(200);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let message = |m: &Value| (word(&m["role"]), word(&m["content"][0]["text"]), word(&m["status"]));
    listed["data"].as_array().expect("a list").iter().map(message).collect()
}

fn line(role: &str, text: &str, status: &str) -> (String, String, String) {
    (role.into(), text.into(), status.into())
}

async fn log(user: &User, run: &str) -> Vec<Value> {
    let log = events(&read(&user.key, run, None).await);
    assert_dense(&log);
    log
}

const SYSTEM: &str = "on_conflict";

#[tokio::test]
async fn interrupt_ends_what_is_under_way_and_keeps_what_it_said() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(9).gate();
    let lane = Lane::sequence([reply, Reply::text("To the point.")]);
    tenant.agent(&lane).await;
    let first = alice.key.run("one").await;
    let thread = first["thread"].as_str().expect("an id");
    let queued = alice.key.run_on(thread, "two").await;
    gate.pass(2);
    Stream::open(&alice.key, &id(&first), None).await.until("tok1").await;
    let third = say(&alice, thread, "three", "interrupt").await.ok(201);
    let ended = alice.key.ended(&id(&third)).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("To the point.")));
    for run in [&first, &queued] {
        let log = log(&alice, &id(run)).await;
        let last = log.last().expect("an end");
        assert_eq!(last["type"], "run.cancelled", "{log:#?}");
        assert_eq!(last["by"], json!({"type": "system", "id": null, "reason": SYSTEM}));
    }
    let expected = [
        line("user", "one", "completed"),
        line("assistant", " tok0 tok1", "incomplete"),
        line("user", "two", "completed"),
        line("user", "three", "completed"),
        line("assistant", "To the point.", "completed"),
    ];
    assert_eq!(thread_of(&alice, thread).await, expected);
    assert_eq!(lane.requests().len(), 2, "what waited was never asked");
    gate.open();
}

#[tokio::test]
async fn rollback_takes_back_what_is_under_way() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(9).gate();
    let lane = Lane::sequence([Reply::text("Hello."), reply, Reply::text("Instead."), Reply::text("Later.")]);
    tenant.agent(&lane).await;
    let start = alice.key.run("hi").await;
    alice.key.ended(&id(&start)).await;
    let thread = start["thread"].as_str().expect("an id");
    let wrong = alice.key.run_on(thread, "wrong").await;
    gate.pass(2);
    Stream::open(&alice.key, &id(&wrong), None).await.until("tok1").await;
    let right = say(&alice, thread, "right", "rollback").await.ok(201);
    assert_eq!(alice.key.ended(&id(&right)).await["result"]["text"], "Instead.");
    assert_eq!(alice.key.ended(&id(&wrong)).await["status"], "cancelled");
    let expected = [
        line("user", "hi", "completed"),
        line("assistant", "Hello.", "completed"),
        line("user", "right", "completed"),
        line("assistant", "Instead.", "completed"),
    ];
    assert_eq!(thread_of(&alice, thread).await, expected);
    let message = wrong["input_messages"][0].as_str().expect("an id");
    alice.key.get(&format!("/v1/threads/{thread}/messages/{message}")).await.problem(404, "not_found");
    let asked = lane.requests();
    assert!(!asked[2].body.to_string().contains("wrong"), "the model never hears of it: {}", asked[2].body);
    // The run itself still shows what it did.
    let snapshot = alice.key.get(&format!("/v1/runs/{}", id(&wrong))).await.ok(200);
    assert_eq!(snapshot["messages"].as_array().map(Vec::len), Some(2));
    gate.open();
}

#[tokio::test]
async fn steer_joins_the_next_step() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::text("First answer.").gate();
    let lane = Lane::sequence([reply, Reply::text("Second answer."), Reply::text("Third.")]);
    tenant.agent(&lane).await;
    let run = alice.key.run("one").await;
    let thread = run["thread"].as_str().expect("an id");
    lane.called(1).await;
    let steered = say(&alice, thread, "two", "steer").await;
    assert_eq!(steered.ok(200)["id"], run["id"], "the run that is under way");
    say(&alice, thread, "three", "steer").await.ok(200);
    gate.open();
    let ended = alice.key.ended(&id(&run)).await;
    assert_eq!((&ended["steps"], &ended["result"]["text"]), (&json!(2), &json!("Second answer.")));
    assert_eq!(ended["input_messages"].as_array().map(Vec::len), Some(3));
    let log = log(&alice, &id(&run)).await;
    let begun = log.iter().rfind(|event| event["type"] == "step.started").expect("a step");
    assert_eq!((&begun["step"], begun["input_messages"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    assert_eq!(types(&log).iter().filter(|kind| **kind == "step.finished").count(), 2);
    let expected = [
        line("user", "one", "completed"),
        line("assistant", "First answer.", "completed"),
        line("user", "two", "completed"),
        line("user", "three", "completed"),
        line("assistant", "Second answer.", "completed"),
    ];
    assert_eq!(thread_of(&alice, thread).await, expected);
    let told = lane.requests()[1].body["messages"].as_array().expect("messages").len();
    assert_eq!(told, 5, "instructions and all of the thread");
    // Nothing under way: as any other message.
    let next = say(&alice, thread, "four", "steer").await.ok(201);
    assert_eq!(alice.key.ended(&id(&next)).await["result"]["text"], "Third.");
}

#[tokio::test]
async fn what_no_step_can_take_is_the_next_run() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(3).gate();
    let lane = Lane::sequence([reply.clone(), Reply::text("Of its own."), reply, Reply::text("After the end.")]);
    tenant.agent_with(&lane, json!({"limits": {"max_steps": 1}})).await;
    for end in ["runs out of steps", "is cancelled"] {
        let run = alice.key.run("one").await;
        let thread = run["thread"].as_str().expect("an id");
        lane.called(if end == "is cancelled" { 3 } else { 1 }).await;
        let once = alice.key.with("idempotency-key", &end.replace(' ', "-"));
        let body = json!({"agent": "assistant", "input": "two", "on_conflict": "steer"});
        let path = format!("/v1/threads/{thread}/runs");
        assert_eq!(once.post(&path, body.clone()).await.ok(200)["id"], run["id"]);
        let again = once.post(&path, body).await;
        assert_eq!(again.status, 200, "{}", again.text());
        assert_eq!(
            (again.json()["id"].clone(), again.header("idempotent-replayed")),
            (run["id"].clone(), Some("true"))
        );
        if end == "is cancelled" {
            alice.key.post(&format!("/v1/runs/{}/cancel", id(&run)), json!({})).await.ok(200);
        } else {
            // The words, and the end.
            gate.pass(4);
        }
        let ended = alice.key.ended(&id(&run)).await;
        assert_eq!(ended["status"], if end == "is cancelled" { "cancelled" } else { "completed" });
        assert_eq!(ended["input_messages"].as_array().map(Vec::len), Some(1), "{end}: it was said to nobody");
        let runs = alice.key.get(&format!("/v1/threads/{thread}/runs")).await.ok(200);
        let runs = runs["data"].as_array().expect("a list").clone();
        assert_eq!(runs.len(), 2, "{end}: said once, and answered once");
        let next = runs.iter().find(|other| other["id"] != run["id"]).expect("another one");
        let text = alice.key.ended(&id(next)).await["result"]["text"].clone();
        assert_eq!(text, if end == "is cancelled" { "After the end." } else { "Of its own." });
        assert_eq!(log(&alice, &id(next)).await[0]["type"], "run.queued");
    }
    gate.open();
}

/// Said at every moment around a run's end: in the run or after it, and never lost. By chance, and many times; statement
/// by statement it is told in `crash::points`.
#[tokio::test]
async fn steer_races_the_end() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::echo();
    tenant.agent(&lane).await;
    for turn in 0..24 {
        let run = alice.key.run("first").await;
        let thread = run["thread"].as_str().expect("an id").to_owned();
        // A little later each time, counted in requests and not in time.
        for _ in 0..turn / 4 {
            alice.key.get(&format!("/v1/runs/{}", id(&run))).await.ok(200);
        }
        let answer = say(&alice, &thread, "second", "steer").await;
        assert!(answer.status == 200 || answer.status == 201, "{}", answer.text());
        alice.key.ended(&id(&run)).await;
        let runs = alice.key.get(&format!("/v1/threads/{thread}/runs")).await.ok(200);
        for other in runs["data"].as_array().expect("a list") {
            alice.key.ended(&id(other)).await;
        }
        let texts: Vec<String> = thread_of(&alice, &thread).await.into_iter().map(|(_, text, _)| text).collect();
        let answers = texts.iter().filter(|text| text.contains("You said: second")).count();
        assert_eq!((texts.iter().filter(|text| *text == "second").count(), answers), (1, 1), "{texts:?}");
    }
}

/// Interrupted at every moment: each thread ends idle, with the last word answered.
#[tokio::test]
async fn interrupt_and_rollback_race_the_end() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::echo();
    tenant.agent(&lane).await;
    for turn in 0..24 {
        let policy = if turn % 2 == 0 { "interrupt" } else { "rollback" };
        let run = alice.key.run("first").await;
        let thread = run["thread"].as_str().expect("an id").to_owned();
        for _ in 0..turn / 6 {
            alice.key.get(&format!("/v1/runs/{}", id(&run))).await.ok(200);
        }
        let second = say(&alice, &thread, "second", policy).await.ok(201);
        let ended = alice.key.ended(&id(&second)).await;
        assert_eq!(ended["result"]["text"], "You said: second", "{ended}");
        let first = alice.key.ended(&id(&run)).await;
        log(&alice, &id(&run)).await;
        let kept = thread_of(&alice, &thread).await.iter().any(|(_, text, _)| text == "first");
        // Gone with its run, if that was still under way when the second came.
        let was_under_way = !second["after_run"].is_null();
        assert_eq!(kept, policy == "interrupt" || !was_under_way, "{policy}: {first}");
        let idle = alice.key.get(&format!("/v1/threads/{thread}")).await.ok(200);
        assert_eq!(idle["status"], "idle");
    }
}
