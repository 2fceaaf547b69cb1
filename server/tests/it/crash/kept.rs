//! Answers that their provider keeps: who takes a run over reads on, and nobody pays twice.

use headwater_testkit::keeping::{FIRST, USAGE, text};
use headwater_testkit::tools::ToolAnswer;
use headwater_testkit::{KeepingModel, ToolServer};
use serde_json::{Value, json};

use super::killed::{assert_consistent, nothing_is_left};
use crate::support::sse::Stream;
use crate::support::tenant::id;
use crate::support::{OwnSite, Site, Tenant, User, serve};

const WORDS: [&str; 4] = ["Grüße ", "from ", "one ", "answer."];
const WHOLE: &str = "Grüße from one answer.";
const MODEL: &str = "openai/gpt-5-mini";

fn environment(provider: &KeepingModel) -> Vec<(&'static str, String)> {
    vec![
        ("HEADWATER__LEASE__MS", "500".into()),
        ("HEADWATER__PROVIDERS__OPENAI__PROTOCOL", "openai-responses".into()),
        ("HEADWATER__PROVIDERS__OPENAI__BASE_URL", provider.base_url()),
        ("HEADWATER__PROVIDERS__OPENAI__BACKGROUND", "true".into()),
    ]
}

/// A process whose run has said the beginning of an answer that goes on at its provider.
async fn under_way(
    provider: &KeepingModel,
    tools: Value,
    said: &str,
) -> (OwnSite, Tenant, User, String, Vec<(&'static str, String)>) {
    provider.hold(true);
    let environment = environment(provider);
    let site = Site::start(&borrowed(&environment)).await;
    let tenant = site.tenant().await;
    let budget = json!({"scope": {"type": "tenant"}, "window": "day", "limit": {"usd": "5"}, "mode": "hard"});
    tenant.api.post("/v1/budgets", budget).await.ok(201);
    tenant.api.post("/v1/agents", json!({"name": "assistant", "model": MODEL, "tools": tools})).await.ok(201);
    let alice = tenant.user("alice").await;
    let run = id(&alice.key.run("x").await);
    Stream::open(&alice.key, &run, None).await.until(said).await;
    // Its connection is lost, and it has asked for the rest.
    provider.until_asked(2).await;
    (site, tenant, alice, run, environment)
}

fn borrowed<'a>(environment: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn of_type<'a>(log: &'a [Value], kind: &str) -> Vec<&'a Value> {
    log.iter().filter(|event| event["type"] == kind).collect()
}

fn begun(provider: &KeepingModel) -> usize {
    provider.asked().iter().filter(|asked| *asked == "POST /v1/responses").count()
}

/// What is set aside or spent of the tenant's budget: nothing is left of what was set aside.
async fn nothing_is_reserved(tenant: &Tenant) {
    let budgets = tenant.api.get("/v1/budgets").await.ok(200);
    assert_eq!(budgets["data"][0]["reserved"]["nano_usd"], 0, "{budgets}");
}

#[tokio::test]
async fn who_takes_over_reads_on() {
    let provider = KeepingModel::words(&WORDS, Some(3));
    let (first, tenant, alice, run, environment) = under_way(&provider, json!([]), "from ").await;
    first.process.signal(libc::SIGKILL);
    let second = serve(&first.database, &borrowed(&environment));
    let (tenant, there) = (tenant.at(&second.url), alice.at(&second.url));
    let ended = there.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!(WHOLE)), "{ended}");
    let log = assert_consistent(&there, &run).await;
    assert_eq!(of_type(&log, "step.reset"), Vec::<&Value>::new(), "readers throw nothing away");
    let [kept] = of_type(&log, "model.started")[..] else { panic!("it begins once: {log:#?}") };
    assert_eq!(kept["response"], FIRST);
    let [settled] = of_type(&log, "cost.settled")[..] else { panic!("it is paid once: {log:#?}") };
    assert_eq!((&settled["model_call"], &settled["estimated"]), (&kept["model_call"], &json!(false)));
    assert_eq!(settled["usage"]["output_tokens"], USAGE[1]);
    assert_eq!(begun(&provider), 1, "{:?}", provider.asked());
    // The user is not told the provider's name for it, nor that there is one.
    let seen = crate::support::sse::read(&there.token, &run, None).await;
    assert!(!String::from_utf8_lossy(&seen).contains(FIRST));
    nothing_is_left(&tenant).await;
    nothing_is_reserved(&tenant).await;
}

#[tokio::test]
async fn thoughts_and_calls_go_on_too() {
    let item = json!({"type": "function_call", "id": "fc_1", "call_id": "call_x", "name": "look", "arguments": ""});
    let thought =
        |delta: &str| json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": delta});
    let args =
        |delta: &str| json!({"type": "response.function_call_arguments.delta", "output_index": 1, "delta": delta});
    let calls = vec![
        thought("Let me\0 "),
        thought("see."),
        json!({"type": "response.output_item.added", "output_index": 1, "item": item}),
        args("{\"at\":\"Zü"),
        args("rich\"}"),
    ];
    // In the middle of the thought, before the call, and in the middle of its arguments.
    for (cut, said) in [(2, "Let me"), (4, "tool.started"), (5, "tool.args.delta")] {
        let provider = KeepingModel::start(vec![calls.clone(), vec![text("Looked.")]], Some(cut));
        let endpoint = ToolServer::start(|_| ToolAnswer::json(&json!({"seen": true})));
        let tool = json!({"type": "http", "name": "look", "effect": "read", "request": {"method": "POST",
            "url": format!("{}/look", endpoint.url), "body": {"at": "{{args.at}}"}},
            "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}});
        let (first, tenant, alice, run, environment) = under_way(&provider, json!([tool]), said).await;
        first.process.signal(libc::SIGKILL);
        let second = serve(&first.database, &borrowed(&environment));
        let (tenant, there) = (tenant.at(&second.url), alice.at(&second.url));
        let ended = there.key.ended(&run).await;
        assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("Looked.")), "{ended}");
        let log = assert_consistent(&there, &run).await;
        assert_eq!(of_type(&log, "step.reset"), Vec::<&Value>::new(), "cut after {cut}");
        assert_eq!(of_type(&log, "reasoning.completed")[0]["text"], "Let me\u{fffd} see.");
        let [args] = of_type(&log, "tool.args")[..] else { panic!("one call: {log:#?}") };
        assert_eq!(args["args"], json!({"at": "Zürich"}));
        let told: String = of_type(&log, "tool.args.delta").iter().filter_map(|e| e["delta"].as_str()).collect();
        assert_eq!(told, r#"{"at":"Zürich"}"#);
        let [asked] = endpoint.requests().try_into().expect("carried out once");
        assert_eq!(asked.json(), json!({"at": "Zürich"}));
        assert_eq!((begun(&provider), of_type(&log, "cost.settled").len()), (2, 2), "one call for each step");
        nothing_is_left(&tenant).await;
        nothing_is_reserved(&tenant).await;
    }
}

#[tokio::test]
async fn what_the_provider_has_forgotten_is_asked_for_anew() {
    let provider = KeepingModel::words(&WORDS, Some(3));
    let (first, tenant, alice, run, environment) = under_way(&provider, json!([]), "from ").await;
    first.process.signal(libc::SIGKILL);
    provider.forget();
    let second = serve(&first.database, &borrowed(&environment));
    let (tenant, there) = (tenant.at(&second.url), alice.at(&second.url));
    let ended = there.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!(WHOLE)), "{ended}");
    let log = assert_consistent(&there, &run).await;
    let [reset] = of_type(&log, "step.reset")[..] else { panic!("what was said is void: {log:#?}") };
    assert_eq!(reset["messages"].as_array().map(Vec::len), Some(1));
    let settled = of_type(&log, "cost.settled");
    let estimated: Vec<&Value> = settled.iter().map(|event| &event["estimated"]).collect();
    assert_eq!(estimated, [&json!(true), &json!(false)], "the lost one is not forgotten");
    assert_eq!(begun(&provider), 2);
    nothing_is_left(&tenant).await;
    nothing_is_reserved(&tenant).await;
}

#[tokio::test]
async fn a_cancelled_run_stops_its_answer() {
    // By its owner; by one that has taken it over and waits for the answer's beginning; by whoever ends it for a dead owner.
    for case in ["alive", "taken over", "dead"] {
        let provider = KeepingModel::words(&WORDS, Some(3));
        let (first, tenant, alice, run, environment) = under_way(&provider, json!([]), "from ").await;
        provider.hold_whole(true);
        if case != "alive" {
            first.process.signal(libc::SIGKILL);
        }
        let second = (case != "alive").then(|| serve(&first.database, &borrowed(&environment)));
        let url = second.as_ref().map_or(first.url.as_str(), |second| second.url.as_str());
        let (tenant, there) = (tenant.at(url), alice.at(url));
        if case == "taken over" {
            provider.until_asked(3).await;
        }
        there.key.post(&format!("/v1/runs/{run}/cancel"), json!({})).await;
        let ended = there.key.ended(&run).await;
        assert_eq!(ended["status"], "cancelled", "{case}: {ended}");
        let log = assert_consistent(&there, &run).await;
        let [settled] = of_type(&log, "cost.settled")[..] else { panic!("{case}: it is paid once: {log:#?}") };
        assert_eq!(settled["usage"]["output_tokens"], USAGE[1], "{case}: as the provider says: {settled}");
        let stops = format!("POST /v1/responses/{FIRST}/cancel");
        assert!(provider.asked().contains(&stops), "{case}: {:?}", provider.asked());
        nothing_is_left(&tenant).await;
        nothing_is_reserved(&tenant).await;
    }
}
