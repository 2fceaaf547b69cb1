//! Several runs of one thread: order, history, context.

use headwater_testkit::model::{RecordedRequest, Reply};
use serde_json::{Value, json};

use crate::support::sse::{events, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site};

/// What the model was shown: role and text.
fn shown(request: &RecordedRequest) -> Vec<(String, String)> {
    let text = |content: &Value| match content {
        Value::String(text) => text.clone(),
        other => other.as_array().expect("parts").iter().filter_map(|part| part["text"].as_str()).collect(),
    };
    let messages = request.messages().iter();
    messages.map(|message| (message["role"].as_str().expect("a role").to_owned(), text(&message["content"]))).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn a_busy_thread_queues_or_refuses() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::text("First.").gate();
    let lane = Lane::sequence([reply, Reply::text("Second."), Reply::text("Third.")]);
    tenant.agent(&lane).await;
    let first = alice.key.run("one").await;
    let thread = first["thread"].as_str().expect("an id").to_owned();
    let path = format!("/v1/threads/{thread}");
    let busy = alice.key.get(&path).await.ok(200);
    assert_eq!((&busy["status"], &busy["active_run"]), (&json!("busy"), &first["id"]));
    let reject = json!({"agent": "assistant", "input": "x", "on_conflict": "reject"});
    let refused = alice.key.post(&format!("{path}/runs"), reject.clone()).await;
    let problem = refused.problem(409, "thread_busy");
    assert_eq!((&problem["active_run"], &problem["retryable"]), (&first["id"], &json!(true)));
    assert!(refused.header("retry-after").is_some(), "a retryable conflict says when");
    let import = json!({"role": "user", "content": "history"});
    let refused = alice.key.post(&format!("{path}/messages"), import.clone()).await.problem(409, "thread_busy");
    assert_eq!(refused["active_run"], first["id"]);
    let second = alice.token.run_on(&thread, "two").await;
    let third = alice.token.run_on(&thread, "three").await;
    assert_eq!(
        (&second["status"], &second["after_run"], &second["as_of_seq"]),
        (&json!("queued"), &first["id"], &json!(1))
    );
    assert_eq!(lane.requests().len(), 1);
    gate.open();
    for (run, text) in [(&first, "First."), (&second, "Second."), (&third, "Third.")] {
        assert_eq!(alice.key.ended(&id(run)).await["result"]["text"], text, "in order of creation");
    }
    let log = events(&read(&alice.key, &id(&second), None).await);
    assert_eq!(types(&log)[..3], ["run.queued", "run.started", "step.started"]);
    assert_eq!(log[0]["after_run"], first["id"], "the log says behind whom it waits");
    let idle = alice.key.get(&path).await.ok(200);
    assert_eq!((&idle["status"], &idle["active_run"]), (&json!("idle"), &Value::Null));
    alice.key.post(&format!("{path}/messages"), import).await.ok(201);
}

#[tokio::test]
async fn the_history_reaches_the_model_in_order() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("A1"), Reply::text("A2"), Reply::text("A3")]);
    tenant.agent_with(&lane, json!({"instructions": "Be brief."})).await;
    let thread = id(&alice.key.post("/v1/threads", json!({})).await.ok(201));
    let messages = format!("/v1/threads/{thread}/messages");
    alice.key.post(&messages, json!({"role": "user", "content": "Q0"})).await.ok(201);
    alice.key.post(&messages, json!({"role": "assistant", "content": "A0"})).await.ok(201);
    let forbidden = json!({"role": "assistant", "content": "A0"});
    alice.token.post(&messages, forbidden).await.problem(403, "forbidden");
    alice.key.post(&messages, json!({"role": "tool", "content": "x"})).await.blames(422, "invalid_value", "/role");
    for question in ["Q1", "Q2"] {
        alice.key.ended(&id(&alice.token.run_on(&thread, question).await)).await;
    }
    let parts = json!([{"type": "text", "text": "Q"}, {"type": "text", "text": "3"}]);
    let run = json!({"agent": "assistant", "input": parts, "instructions": "Be long."});
    alice.key.ended(&id(&alice.key.post(&format!("/v1/threads/{thread}/runs"), run).await.ok(201))).await;
    let requests = lane.requests();
    let first = [("Q0", "A0"), ("Q1", "A1"), ("Q2", "A2")];
    let mut want = vec![];
    for (n, request) in requests.iter().enumerate() {
        let got = shown(request);
        let (role, instructions) = &got[0];
        assert!(role == "system" || role == "developer", "{got:?}");
        assert_eq!(instructions, if n == 2 { "Be long." } else { "Be brief." });
        want.extend([("user", first[n].0), ("assistant", first[n].1)]);
        let mut want = pairs(&want);
        if n == 2 {
            let last = got.last().expect("the input");
            assert_eq!((last.0.as_str(), last.1.replace('\n', "").as_str()), ("user", "Q3"));
        } else {
            want.push(("user".into(), format!("Q{}", n + 1)));
        }
        assert_eq!(&got[1..got.len().min(want.len() + 1)], &want[..], "call {n}");
    }
    let listed = alice.key.get(&format!("{messages}?order=asc")).await.ok(200);
    let roles: Vec<&str> =
        listed["data"].as_array().expect("a list").iter().map(|m| m["role"].as_str().expect("a role")).collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant", "user", "assistant", "user", "assistant"]);
    assert_eq!(
        crate::support::models().server().violations(),
        Vec::<String>::new(),
        "no rule of the dialect is broken"
    );
}

#[tokio::test]
async fn the_oldest_whole_runs_leave_first() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let long = "word ".repeat(60);
    let lane = Lane::always(Reply::text(&long));
    let limits = json!({"max_input_tokens": 400});
    tenant.agent_with(&lane, json!({"instructions": "Never forget this.", "limits": limits})).await;
    let thread = id(&alice.key.post("/v1/threads", json!({})).await.ok(201));
    for n in 0..6 {
        let ended = alice.key.ended(&id(&alice.key.run_on(&thread, &format!("Question {n}")).await)).await;
        assert_eq!(ended["status"], "completed", "{ended}");
    }
    let requests = lane.requests();
    let last = shown(requests.last().expect("six calls"));
    assert_eq!(last[0].1, "Never forget this.", "instructions never leave");
    assert_eq!(last.last().expect("the input").1, "Question 5");
    assert_eq!(last[1].0, "user", "no answer without its question");
    let kept: Vec<&str> = last.iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert!(kept.len() > 1 && kept.len() < 6, "some runs left and some stayed: {kept:?}");
    let newest: Vec<String> = (6 - kept.len()..6).map(|n| format!("Question {n}")).collect();
    assert_eq!(kept, newest, "the newest stay, without a gap");
    assert_eq!(last.len(), 1 + 2 * kept.len() - 1, "whole runs: each question with its answer");
    assert_eq!(shown(&requests[1]).len(), 4, "while there is room all are shown");
    // Where nothing may leave, the run fails and says why.
    tenant.agent_with(&lane, json!({"limits": limits, "truncation": "disabled"})).await;
    let failed = alice.key.ended(&id(&alice.key.run_on(&thread, "Question 6").await)).await;
    assert_eq!(
        (&failed["error"]["code"], &failed["error"]["fault"]),
        (&json!("context_length_exceeded"), &json!("tenant"))
    );
    // An input that does not fit by itself fails too.
    tenant.agent_with(&lane, json!({"limits": limits})).await;
    let failed = alice.key.ended(&id(&alice.key.run(&"word ".repeat(2000)).await)).await;
    assert_eq!(failed["error"]["code"], "context_length_exceeded");
}

#[tokio::test]
async fn settings_reach_the_model() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(Reply::text("Hello."));
    tenant
        .agent_with(
            &lane,
            json!({"temperature": 0.25, "top_p": 0.5, "max_output_tokens": 77, "stop": ["END"], "seed": 7}),
        )
        .await;
    let run = json!({"agent": "assistant", "input": "x", "temperature": 0.75, "metadata": {"secret": "never sent"}});
    alice.key.ended(&id(&alice.key.post("/v1/runs", run).await.ok(201))).await;
    let body = lane.requests()[0].body.clone();
    assert_eq!(
        (&body["temperature"], &body["top_p"], &body["seed"], &body["stop"]),
        (&json!(0.75), &json!(0.5), &json!(7), &json!(["END"]))
    );
    assert!(body["max_tokens"] == 77 || body["max_completion_tokens"] == 77, "{body}");
    assert!(!body.to_string().contains("never sent"));
}
