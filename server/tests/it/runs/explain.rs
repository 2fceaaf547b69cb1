//! Why a run waits, and what it did cost.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{events, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site, User, eventually};

async fn explain(user: &User, run: &str) -> Value {
    user.key.get(&format!("/v1/runs/{run}/explain")).await.ok(200)
}

/// The explanation once the run waits for this.
async fn waits(user: &User, run: &str, reason: &str) -> Value {
    let explained = eventually(reason, || async move {
        let explained = explain(user, run).await;
        (explained["waiting"]["reason"] == reason).then_some(explained)
    });
    let waiting = explained.await["waiting"].clone();
    assert!(waiting["since"].is_string(), "{waiting}");
    waiting
}

#[tokio::test]
async fn each_call_is_told_with_what_it_cost() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    // Cut half-way; then one that is refused at first, calls a tool and has a second step.
    let lane = Lane::sequence([
        Reply::tokens(5).cut_after(2),
        Reply::status(500).retry_after_ms(1),
        Reply::text("").tool_call("time", "{}").usage(50, 5),
        Reply::text("Noon.").usage(80, 8),
    ]);
    let config = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark(), "tools": [{"type": "builtin", "name": "time"}]});
    tenant.api.put("/v1/agents/assistant", config).await.ok(201);
    let cut = id(&alice.key.run("What time is it?").await);
    assert_eq!(alice.key.ended(&cut).await["status"], "failed");
    told(&alice, &cut, &[(1, 1, "failed")]).await;
    let error = explain(&alice, &cut).await["calls"][0]["error"].clone();
    assert_eq!((&error["code"], &error["fault"]), (&json!("provider_truncated"), &json!("provider")));
    let seen = alice.token.get(&format!("/v1/runs/{cut}/explain")).await.ok(200)["calls"][0]["error"].clone();
    assert_eq!(
        (&seen["code"], &seen["detail"]),
        (&json!("provider_truncated"), &Value::Null),
        "a user is told the code alone"
    );
    let run = id(&alice.key.run("What time is it?").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    told(&alice, &run, &[(1, 2, "completed"), (2, 1, "completed")]).await;
    // Users see the same without the money, which their agent does not show them.
    let seen = alice.token.get(&format!("/v1/runs/{run}/explain")).await.ok(200);
    assert_eq!(seen["usage"], ended["usage"]);
    let money = |call: &Value| [call["cost"].clone(), call["expected"].clone(), call["reserve"].clone()];
    let calls = seen["calls"].as_array().expect("calls");
    assert!(
        calls.len() == 2 && calls.iter().all(|call| money(call) == [json!(null), json!(null), json!(null)]),
        "{seen}"
    );
    assert_eq!(seen["cost"], json!(null));
}

/// The explanation of a run that is over has these calls, step, attempt and outcome, and says what the run and its log say.
async fn told(user: &User, run: &str, outcomes: &[(i64, i64, &str)]) {
    let ended = user.key.get(&format!("/v1/runs/{run}")).await.ok(200);
    let explained = explain(user, run).await;
    assert_eq!((&explained["object"], &explained["run"]), (&json!("run.explanation"), &json!(run)));
    assert_eq!(explained["waiting"], json!(null));
    assert_eq!((&explained["usage"], &explained["cost"]), (&ended["usage"], &ended["cost"]));
    let calls = explained["calls"].as_array().expect("calls");
    let told = |call: &Value| (call["step"].clone(), call["attempt"].clone(), call["outcome"].clone());
    let told = calls.iter().map(told).collect::<Vec<_>>();
    let outcomes = outcomes.iter().map(|(step, attempt, outcome)| (json!(step), json!(attempt), json!(outcome)));
    assert_eq!(told, outcomes.collect::<Vec<_>>());
    let log = events(&read(&user.key, run, None).await);
    let settled = log.iter().filter(|event| event["type"] == "cost.settled").collect::<Vec<_>>();
    assert_eq!(settled.len(), calls.len());
    for (call, settled) in calls.iter().zip(settled) {
        for field in ["model_call", "step", "model", "usage", "cost", "estimated"] {
            assert_eq!(call[field], settled[field], "{field} of {call}");
        }
        assert!(call["duration_ms"].is_u64() && call["queued_ms"].is_u64(), "{call}");
        let (expected, reserve) = (call["expected"]["nano_usd"].as_u64(), call["reserve"]["nano_usd"].as_u64());
        assert!(expected.is_some_and(|expected| expected > 0) && reserve >= expected, "{call}");
        assert_eq!(call["error"].is_null(), call["outcome"] == "completed", "{call}");
    }
}

#[tokio::test]
async fn a_run_that_waits_says_for_what() {
    // What a provider wants is waited for by all who ask for that model.
    let site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::text("One.").gate();
    let lane = Lane::sequence([
        Reply::status(429).retry_after(6),
        held,
        Reply::text("").tool_call("look", "{}"),
        Reply::text("").tool_call("refund", "{}"),
    ]);
    let tool = |name: &str, policy: &str| json!({"type": "client", "name": name, "description": "x", "policy": policy, "parameters": {"type": "object"}});
    tenant.agent_with(&lane, json!({"tools": [tool("look", "auto"), tool("refund", "ask")]})).await;

    let paused = id(&alice.key.run("zero").await);
    let waiting = waits(&alice, &paused, "provider").await;
    let left = waiting["predicted_ms"].as_u64().expect("a time");
    assert!(left <= 6_000, "{waiting}");
    assert_eq!((&waiting["queue_pos"], &waiting["blocked_by"]), (&json!(1), &json!(null)));
    alice.key.post(&format!("/v1/runs/{paused}/cancel"), json!({})).await.ok(200);
    alice.key.ended(&paused).await;
    assert_eq!(explain(&alice, &paused).await["waiting"], json!(null));

    let first = alice.key.run("one").await;
    let second = alice.key.run_on(first["thread"].as_str().expect("an id"), "two").await;
    let (first, second) = (id(&first), id(&second));
    assert_eq!(waits(&alice, &second, "thread_busy").await["blocked_by"], json!(first));
    gate.open();

    assert_eq!(alice.key.ended(&first).await["status"], "completed");
    let found = waits(&alice, &second, "input").await;
    assert!(found["blocked_by"].as_str().is_some_and(|call| call.starts_with("call_")), "{found}");
    alice.key.post(&format!("/v1/runs/{second}/cancel"), json!({})).await.ok(200);

    let third = id(&alice.key.run("three").await);
    let found = waits(&alice, &third, "approval").await;
    assert!(found["blocked_by"].as_str().is_some_and(|approval| approval.starts_with("apr_")), "{found}");

    // Another user's run is none.
    let bob = tenant.user("bob").await;
    bob.token.get(&format!("/v1/runs/{third}/explain")).await.ok(404);
}
