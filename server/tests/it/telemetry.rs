//! What is counted, and who may see it.

use headwater_testkit::model::Reply;
use serde_json::json;

use crate::support::tenant::id;
use crate::support::{Lane, Site};

const KEY: &str = "a-key-for-prometheus-and-nothing-else-0123";

/// The values of a metric's lines that hold all of these labels.
fn values(text: &str, name: &str, labels: &[&str]) -> Vec<f64> {
    let lines = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.map(|line| line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")).collect()
}

#[tokio::test]
async fn calls_runs_and_requests_are_counted_and_nobody_is_named() {
    let site = Site::start(&[("HEADWATER__TELEMETRY__METRICS_KEY", KEY)]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("Well."), Reply::status(400), Reply::text("x")]);
    let priced = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark()});
    let agent = tenant.agent_with(&lane, priced).await;
    let run = id(&alice.key.run("How are you?").await);
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
    let failed = id(&alice.key.run("y").await);
    assert_eq!(alice.key.ended(&failed).await["status"], "failed");
    let made_up = json!({"agent": "assistant", "input": "z", "model": format!("fake/{}-{}", lane.mark(), "made-up")});
    let other = id(&alice.key.post("/v1/runs", made_up).await.ok(201));
    alice.key.ended(&other).await;

    let answer = site.anybody().bearer(KEY).get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let text = answer.text();
    let one = |name: &str, labels: &[&str]| match values(&text, name, labels)[..] {
        [value] => value,
        ref several => panic!("{name} {labels:?}: {several:?} in {text}"),
    };
    let mini = [r#"gen_ai_request_model="openai/gpt-5-mini""#, r#"gen_ai_provider_name="openai""#];
    let and = |label| [mini[0], mini[1], label];
    assert_eq!(one("gen_ai_client_token_usage_count", &and(r#"gen_ai_token_type="input""#)), 1.0);
    assert!(one("headwater_llm_cost_usd_total", &mini) > 0.0);
    assert_eq!(
        one("headwater_llm_estimate_error_ratio_count", &mini),
        1.0,
        "how far the estimate was off, for each model"
    );
    assert_eq!(one("headwater_llm_refused_total", &and(r#"error_type="provider_rejected""#)), 1.0);
    assert_eq!(one("headwater_runs_ended_total", &[r#"headwater_status="completed""#]), 2.0);
    assert_eq!(one("headwater_runs_ended_total", &[r#"headwater_fault="tenant""#]), 1.0);
    let posted = [r#"http_route="/v1/runs""#, r#"http_request_method="POST""#, r#"http_response_status_code="201""#];
    assert_eq!(one("http_server_request_duration_seconds_count", &posted), 3.0);
    assert!(one("headwater_store_write_duration_seconds_count", &[r#"headwater_write="commit""#]) > 0.0);
    assert_eq!(one("headwater_awake", &[]), 1.0);
    assert_eq!(one("headwater_llm_calls_active", &[r#"gen_ai_provider_name="openai""#]), 0.0);
    // Names that tenants make up are no labels, nor is anybody's id.
    assert_eq!(one("gen_ai_client_operation_duration_seconds_count", &[r#"gen_ai_request_model="other""#]), 1.0);
    for secret in [&*tenant.id, &*alice.id, &*run, "made-up", agent["id"].as_str().expect("an id"), "How are"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn only_who_has_the_key_sees_it() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    assert_eq!(site.operator().get("/metrics").await.status, 200);
    for nobody in [site.anybody(), tenant.api.clone(), site.anybody().bearer(KEY), site.anybody().bearer("hw_op_x")] {
        nobody.get("/metrics").await.problem(401, "unauthenticated");
    }
}
