//! Runs that begin later.

use headwater_protocol::Timestamp;
use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{events, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site, eventually, serve, unique};

fn in_ms(ms: i64) -> String {
    Timestamp::now().plus_ms(ms).to_string()
}

fn texts(request: &Value) -> Vec<String> {
    let messages = request["messages"].as_array().expect("messages").iter();
    messages.map(|message| message["content"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn it_waits_for_its_time_and_nobody_waits_for_it() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("First."), Reply::text("Meanwhile."), Reply::text("At last.")]);
    tenant.agent(&lane).await;
    let first = alice.key.run("one").await;
    let thread = first["thread"].as_str().expect("an id").to_owned();
    alice.key.ended(&id(&first)).await;
    let later = json!({"agent": "assistant", "input": "later", "run_at": in_ms(3_600_000), "on_conflict": "reject"});
    let path = format!("/v1/threads/{thread}/runs");
    let made = alice.key.post(&path, later.clone()).await.ok(201);
    assert_eq!((&made["status"], &made["run_at"]), (&json!("queued"), &later["run_at"]));
    let run = id(&made);
    let shown = alice.key.get(&format!("/v1/runs/{run}")).await.ok(200);
    assert_eq!(
        (&shown["status"], &shown["run_at"], &shown["after_run"]),
        (&json!("queued"), &later["run_at"], &Value::Null)
    );
    let listed = alice.key.get(&format!("/v1/runs?thread={thread}&status=queued")).await.ok(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
    let why = alice.key.get(&format!("/v1/runs/{run}/explain")).await.ok(200);
    assert_eq!(why["waiting"]["reason"], "run_at");
    assert!(why["waiting"]["predicted_ms"].as_u64().is_some_and(|ms| ms > 3_500_000), "{why}");
    // The thread is free: what is said in it now is answered now, and does not see what is to be said later.
    assert_eq!(alice.key.get(&format!("/v1/threads/{thread}")).await.ok(200)["status"], "idle");
    let meanwhile = json!({"agent": "assistant", "input": "two", "on_conflict": "reject"});
    let meanwhile = id(&alice.key.post(&path, meanwhile).await.ok(201));
    assert_eq!(alice.key.ended(&meanwhile).await["result"]["text"], "Meanwhile.");
    assert_eq!(texts(&lane.requests()[1].body).last().map(String::as_str), Some("two"));
    // As if the hour had passed.
    let admin = site.database.admin().await;
    let pass = format!("UPDATE headwater.runs SET run_at = now() WHERE run_id = '{}'", run.trim_start_matches("run_"));
    admin.execute(&pass).await.expect("time passes");
    let ended = alice.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("At last.")), "{ended}");
    // It sees the thread as it is by then, in the order in which things were said.
    let asked = texts(&lane.requests()[2].body);
    let said: Vec<&str> = asked.iter().map(String::as_str).filter(|text| !text.contains(lane.mark())).collect();
    assert_eq!(said[said.len() - 5..], ["one", "First.", "two", "Meanwhile.", "later"], "{asked:?}");
    let log = events(&read(&alice.key, &run, None).await);
    assert_eq!((log[0]["run_at"].clone(), types(&log)[1].as_str()), (later["run_at"].clone(), "run.started"));
    let order = alice.key.get(&format!("/v1/threads/{thread}/messages?order=asc&limit=100")).await.ok(200);
    let order: Vec<&str> = order["data"].as_array().expect("a list").iter().filter_map(|m| m["run"].as_str()).collect();
    assert_eq!(order, [&*id(&first), &*id(&first), &*meanwhile, &*meanwhile, &*run, &*run]);
}

#[tokio::test]
async fn it_begins_by_itself_once_and_at_whatever_process_is_there() {
    let mut site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("Soon."), Reply::text("After a crash.")]);
    tenant.agent(&lane).await;
    let at = in_ms(700);
    let soon = id(&alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "x", "run_at": at})).await.ok(201));
    let ended = alice.key.ended(&soon).await;
    assert_eq!(ended["result"]["text"], "Soon.", "{ended}");
    assert!(ended["started_at"].as_str() >= Some(at.as_str()), "not before its time: {ended}");
    let key = unique("key");
    let keyed = alice.key.with("idempotency-key", &key);
    let body = json!({"agent": "assistant", "input": "y", "run_at": in_ms(1500)});
    let made = keyed.post("/v1/runs", body.clone()).await.ok(201);
    assert_eq!(id(&keyed.post("/v1/runs", body).await.ok(201)), id(&made), "the same request is the same run");
    site.process.kill9();
    let next = serve(&site.database, &[]);
    let there = alice.at(&next.url);
    assert_eq!(there.key.ended(&id(&made)).await["result"]["text"], "After a crash.");
    assert_eq!(lane.requests().len(), 2);
}

#[tokio::test]
async fn it_is_cancelled_deleted_and_bounded_like_any_other() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("At once.")]);
    tenant.agent(&lane).await;
    let later = |ms: i64| json!({"agent": "assistant", "input": "x", "run_at": in_ms(ms)});
    let made = alice.key.post("/v1/runs", later(3_600_000)).await.ok(201);
    alice.key.post(&format!("/v1/runs/{}/cancel", id(&made)), json!({})).await;
    let ended = alice.key.ended(&id(&made)).await;
    assert_eq!((&ended["status"], &ended["started_at"]), (&json!("cancelled"), &Value::Null));
    let log = events(&read(&alice.key, &id(&made), None).await);
    assert_eq!(types(&log), ["run.queued", "run.cancelled"]);
    // With its thread.
    let made = alice.key.post("/v1/runs", later(3_600_000)).await.ok(201);
    let thread = made["thread"].as_str().expect("an id");
    assert_eq!(alice.key.delete(&format!("/v1/threads/{thread}")).await.status, 204);
    alice.key.get(&format!("/v1/runs/{}", id(&made))).await.problem(404, "not_found");
    // What is past means now; what is too far away is refused.
    let past = id(&alice.key.post("/v1/runs", later(-60_000)).await.ok(201));
    assert_eq!(alice.key.ended(&past).await["result"]["text"], "At once.");
    let far = alice.key.post("/v1/runs", later(400 * 86_400_000)).await.problem(422, "invalid_value");
    assert_eq!(far["errors"][0]["param"], "/run_at");
    // Of another user it is nothing.
    let bob = tenant.user("bob").await;
    let made = alice.key.post("/v1/runs", later(3_600_000)).await.ok(201);
    bob.key.get(&format!("/v1/runs/{}", id(&made))).await.problem(404, "not_found");
    bob.key.post(&format!("/v1/runs/{}/cancel", id(&made)), json!({})).await.problem(404, "not_found");
    let still = eventually("it is still there", || async {
        Some(alice.key.get(&format!("/v1/runs/{}", id(&made))).await.ok(200))
    })
    .await;
    assert_eq!(still["status"], "queued");
    // A user that goes takes it along.
    assert_eq!(tenant.api.delete(&format!("/v1/users/{}", alice.id)).await.status, 204);
}
