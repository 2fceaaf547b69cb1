//! What a provider can do to a run, and whose fault it is then.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{assert_dense, events, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site, Tenant, User, eventually};

struct Case {
    what: &'static str,
    replies: Vec<Reply>,
    code: &'static str,
    fault: &'static str,
    retryable: bool,
    calls: usize,
    text: &'static str,
}

fn case(what: &'static str, replies: Vec<Reply>, code: &'static str, fault: &'static str, retryable: bool) -> Case {
    let calls = replies.len();
    Case { what, replies, code, fault, retryable, calls, text: "" }
}

impl Case {
    fn after(self, text: &'static str) -> Self {
        Self { text, ..self }
    }
}

async fn failed(tenant: &Tenant, alice: &User, replies: Vec<Reply>) -> (Value, Vec<Value>, usize, Value) {
    let lane = Lane::sequence(replies);
    let timeouts =
        json!({"connect_ms": 5000, "headers_ms": 1500, "first_token_ms": 5000, "idle_ms": 1000, "total_ms": 20000});
    // Nobody waits for a provider that is asked too much: what it says is what is told.
    tenant.agent_with(&lane, json!({"timeouts": timeouts, "limits": {"max_queue_ms": 0}})).await;
    // While the provider is left alone for a moment, who would not wait is turned away.
    let run = eventually("it is accepted", || async {
        let asked = alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await;
        (asked.status == 201).then(|| id(&asked.json()))
    })
    .await;
    let snapshot = alice.key.ended(&run).await;
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let user = alice.token.get(&format!("/v1/runs/{run}")).await.ok(200);
    (snapshot, log, lane.requests().len(), user)
}

#[tokio::test]
async fn each_ends_in_run_failed_with_its_code() {
    // A provider that is asked too much holds back everybody who asks for that model.
    let site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let busy = || Reply::status(429).retry_after_ms(1);
    let down = || Reply::status(500).retry_after_ms(1);
    let two = " tok0 tok1";
    let cases = [
        case("429", vec![busy()], "provider_rate_limited", "provider", true),
        case("500 for ever", vec![down(), down(), down()], "provider_unavailable", "provider", true),
        case("529", vec![Reply::status(529).retry_after_ms(1)], "provider_unavailable", "provider", true),
        case("a wrong key", vec![Reply::invalid_api_key()], "provider_auth_failed", "server", false),
        case("no money", vec![Reply::insufficient_quota()], "provider_quota_exhausted", "server", false),
        case("too long", vec![Reply::context_length_exceeded()], "context_length_exceeded", "tenant", false),
        case("400", vec![Reply::status(400)], "provider_rejected", "tenant", false),
        case("cut", vec![Reply::tokens(9).cut_after(2)], "provider_truncated", "provider", true).after(two),
        case("reset", vec![Reply::tokens(9).delay_each(50).reset_after(2)], "provider_truncated", "provider", true)
            .after(two),
        case("no end", vec![Reply::tokens(9).end_without_done(2)], "provider_truncated", "provider", true).after(two),
        case(
            "an error inside the stream",
            vec![Reply::tokens(9).error_event_after(2, "server_error", "secret words of the provider")],
            "provider_unavailable",
            "provider",
            true,
        )
        .after(two),
        case(
            "nonsense",
            vec![Reply::tokens(9).malformed_chunk_after(2)],
            "provider_invalid_response",
            "provider",
            true,
        )
        .after(two),
        case("a stall", vec![Reply::tokens(9).stall_after(2)], "provider_timeout", "provider", true).after(two),
    ];
    for case in cases {
        let (run, log, calls, user) = failed(&tenant, &alice, case.replies).await;
        let what = case.what;
        assert_eq!(run["status"], "failed", "{what}: {run}");
        let error = &run["error"];
        assert_eq!(
            (&error["code"], &error["fault"], &error["retryable"]),
            (&json!(case.code), &json!(case.fault), &json!(case.retryable)),
            "{what}: {error}"
        );
        assert_eq!(calls, case.calls, "{what}: attempts");
        let last = log.last().expect("an end");
        assert_eq!(
            (&last["type"], &last["code"], &last["error"]),
            (&json!("run.failed"), &json!(case.code), error),
            "{what}"
        );
        assert_eq!((&last["message"], &last["retryable"]), (&error["detail"], &error["retryable"]), "{what}");
        assert_eq!(run["as_of_seq"], log.len(), "{what}");
        // What was said stays, marked as cut.
        let message = log.iter().find(|event| event["type"] == "message.completed");
        if case.text.is_empty() {
            assert_eq!(message, None, "{what}");
        } else {
            let message = message.expect("nothing is left open");
            assert_eq!((&message["status"], &message["text"]), (&json!("incomplete"), &json!(case.text)), "{what}");
            assert_eq!(run["messages"][1]["status"], "incomplete", "{what}");
            assert_eq!(run["cost_estimated"], true, "{what}");
            assert!(run["usage"]["output_tokens"].as_u64() > Some(0), "{what}: what was streamed is counted");
        }
        // A user is told the code and not the provider's words.
        assert_eq!(
            (&user["error"]["code"], &user["error"]["retryable"]),
            (&error["code"], &error["retryable"]),
            "{what}"
        );
        if case.fault != "tenant" || case.code.starts_with("provider_") {
            assert_eq!(user["error"]["detail"], Value::Null, "{what}");
            assert!(!user.to_string().contains("secret words"), "{what}");
        }
    }
}

#[tokio::test]
async fn a_timeout_names_its_phase() {
    let site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (run, ..) = failed(&tenant, &alice, vec![Reply::tokens(9).stall_after(2)]).await;
    assert_eq!(run["error"]["phase"], "idle");
    let lane = Lane::sequence([Reply::tokens(9).stall_after(0)]);
    let settings = json!({"limits": {"max_duration_ms": 1000}});
    tenant.agent_with(&lane, settings).await;
    let ended = alice.key.ended(&id(&alice.key.run("x").await)).await;
    assert_eq!(
        (&ended["error"]["code"], &ended["error"]["fault"]),
        (&json!("run_timeout"), &json!("tenant")),
        "{ended}"
    );
}

#[tokio::test]
async fn what_can_be_cured_is_not_seen() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([
        Reply::status(429).retry_after_ms(1),
        Reply::status(503).retry_after_ms(1),
        Reply::text("At last."),
    ]);
    tenant.agent(&lane).await;
    let run = id(&alice.key.run("x").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("At last.")));
    assert_eq!(lane.requests().len(), 3);
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let settled: Vec<_> = log.iter().filter(|event| event["type"] == "cost.settled").collect();
    assert_eq!(settled.len(), 1, "what was refused costs nothing");
    let calls = tenant.api.get("/v1/usage/calls").await.ok(200);
    assert_eq!(calls["data"].as_array().expect("a list").len(), 1);
    // A model that another one stands in for.
    let (bad, good) = (Lane::sequence([Reply::status(400)]), Lane::sequence([Reply::text("Instead.")]));
    tenant.agent_with(&bad, json!({"fallbacks": [{"model": good.model()}]})).await;
    let ended = alice.key.ended(&id(&alice.key.run("x").await)).await;
    assert_eq!(ended["status"], "failed", "only a provider's own fault is passed on: {ended}");
    let bad = Lane::sequence(vec![Reply::status(503).retry_after_ms(1); 3]);
    tenant.agent_with(&bad, json!({"fallbacks": [{"model": good.model()}]})).await;
    let ended = alice.key.ended(&id(&alice.key.run("x").await)).await;
    assert_eq!(ended["result"]["text"], "Instead.", "{ended}");
}

#[tokio::test]
async fn after_a_failure_the_thread_goes_on() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (cut, gate) = Reply::tokens(9).cut_after(1).gate();
    let lane = Lane::sequence([cut, Reply::text("Second."), Reply::text("Third.")]);
    tenant.agent(&lane).await;
    let first = alice.key.run("one").await;
    let thread = first["thread"].as_str().expect("an id");
    let second = alice.key.run_on(thread, "two").await;
    assert_eq!(second["status"], "queued");
    gate.open();
    assert_eq!(alice.key.ended(&id(&first)).await["error"]["code"], "provider_truncated");
    assert_eq!(alice.key.ended(&id(&second)).await["result"]["text"], "Second.", "whoever waited is begun");
    let third = alice.key.run_on(thread, "three").await;
    assert_eq!(alice.key.ended(&id(&third)).await["result"]["text"], "Third.");
    assert_eq!(crate::support::models().server().violations(), Vec::<String>::new());
}
