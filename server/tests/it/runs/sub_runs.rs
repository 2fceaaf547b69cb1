//! Agents that call agents: runs that carry out calls of other runs.

use std::sync::Arc;

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{Stream, assert_dense, events, log_of, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site, Tenant, User, eventually, serve};

fn ask(agent: &str) -> Value {
    json!({"type": "agent", "name": "ask", "agent": agent})
}

fn asks(input: &str) -> Reply {
    Reply::empty().tool_call("ask", json!({ "input": input }))
}

/// An agent of this name, talking to this lane.
async fn agent(tenant: &Tenant, name: &str, lane: &Arc<Lane>, more: Value) {
    let mut config = json!({"model": lane.model(), "instructions": "You help."});
    for (name, value) in more.as_object().expect("settings") {
        config[name] = value.clone();
    }
    let answer = tenant.api.put(&format!("/v1/agents/{name}"), config).await;
    assert!(answer.status == 200 || answer.status == 201, "{}", answer.text());
}

/// The run once it is suspended. Not by waiting for it: who waits does so until somebody is asked.
async fn suspended(user: &User, run: &str) -> Value {
    eventually("the run is suspended", || async move {
        let found = user.key.get(&format!("/v1/runs/{run}")).await.ok(200);
        (found["status"] == "suspended").then_some(found)
    })
    .await
}

/// The runs that carry out calls of this one, oldest first.
async fn below(user: &User, run: &str) -> Vec<Value> {
    let found = user.token.get(&format!("/v1/runs?parent={run}&order=asc&limit=100")).await.ok(200);
    found["data"].as_array().expect("a list").clone()
}

/// The first of them, as soon as there is one.
async fn child(user: &User, run: &str) -> String {
    eventually("the run below", || async move { below(user, run).await.first().map(id) }).await
}

fn of<'a>(log: &'a [Value], kind: &str) -> &'a Value {
    log.iter().find(|event| event["type"] == kind).unwrap_or_else(|| panic!("no {kind} in {log:#?}"))
}

#[tokio::test]
async fn a_call_is_a_run_of_its_own_and_its_cost_is_the_callers() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::text("It is Rome.").usage(40, 4).gate();
    let helper = Lane::sequence([held]);
    agent(&tenant, "helper", &helper, json!({})).await;
    let lane = Lane::sequence([asks("Where is the Colosseum?").usage(10, 1), Reply::text("In Rome.").usage(20, 2)]);
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("helper")]})).await;
    let started = alice.key.run("where?").await;
    let run = id(&started);
    let mut reader = Stream::open(&alice.token, &run, None).await;
    reader.until("run.suspended").await;
    let waits = suspended(&alice, &run).await;
    let sub = child(&alice, &run).await;
    let call = waits["pending"][0]["call"].clone();
    assert_eq!(
        waits["pending"],
        json!([{"type": "sub_run", "approval": null, "call": call, "run": sub, "budget": null}])
    );
    gate.open();
    let ended = alice.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("In Rome.")), "{ended}");
    assert_eq!(ended["source"], json!({"type": "api", "id": null, "call": null}));
    assert_eq!(ended["usage"]["input_tokens"], 70, "its own calls, and that of the run below: {ended}");

    let below_it = alice.token.get(&format!("/v1/runs/{sub}")).await.ok(200);
    assert_eq!(below_it["source"], json!({"type": "run", "id": run, "call": call}));
    assert_eq!((&below_it["status"], &below_it["usage"]["input_tokens"]), (&json!("completed"), &json!(40)));
    assert_eq!(below_it["messages"][0]["content"][0]["text"], "Where is the Colosseum?");
    assert_ne!(below_it["thread"], started["thread"]);
    assert_dense(&events(&read(&alice.token, &sub, None).await));

    let seen = reader.rest().await;
    let log = events(&seen);
    assert_dense(&log);
    assert_eq!(log_of(&seen), log_of(&read(&alice.token, &run, None).await));
    let calls: Vec<_> =
        types(&log).into_iter().filter(|kind| kind.contains("run.") || kind == "tool.completed").collect();
    assert_eq!(
        calls,
        [
            "run.queued",
            "run.started",
            "sub_run.started",
            "run.suspended",
            "run.resumed",
            "sub_run.finished",
            "tool.completed",
            "run.completed"
        ]
    );
    let (started_it, finished) = (of(&log, "sub_run.started"), of(&log, "sub_run.finished"));
    assert_eq!(
        (&started_it["call"], &started_it["sub_run"], &started_it["agent"]),
        (&call, &json!(sub), &below_it["agent"])
    );
    assert_eq!((&finished["status"], &finished["usage"]), (&json!("completed"), &below_it["usage"]));
    assert_eq!(finished["cost"], Value::Null, "users do not see money");
    assert_eq!(of(&log, "run.resumed")["reason"], "sub_run");
    assert_eq!(of(&log, "tool.completed")["output"], "It is Rome.");
    let step = of(&log, "step.finished");
    assert_eq!(step["usage"]["input_tokens"], 50, "a step counts what it had done");

    let asked = lane.requests();
    let offered = &asked[0].body["tools"][0]["function"];
    assert_eq!(offered["parameters"]["required"], json!(["input"]));
    assert!(offered["description"].as_str().is_some_and(|words| words.contains("helper")), "{offered}");
    let told = asked[1].body["messages"].as_array().expect("messages").last().expect("the answer").clone();
    assert!(told["content"].as_str().is_some_and(|text| text.contains("It is Rome.")), "{told}");
    // What it writes to is no conversation that the user has begun; and each call of a model is in the ledger once.
    let threads = alice.token.get("/v1/threads").await.ok(200);
    assert_eq!(threads["data"].as_array().map(Vec::len), Some(1), "{threads}");
    let ledger = tenant.api.get("/v1/usage/calls").await.ok(200);
    assert_eq!(ledger["data"].as_array().map(Vec::len), Some(3), "{ledger}");
}

#[tokio::test]
async fn several_at_once_and_each_is_told() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let helper = Lane::sequence([Reply::text("one"), Reply::text("two"), Reply::text("three")]);
    let format = json!({"type": "json_schema", "name": "n", "schema": {"type": "string"}});
    agent(&tenant, "helper", &helper, json!({})).await;
    // One that answers in JSON answers with that.
    let parsed = Lane::sequence([Reply::text("\"four\"")]);
    agent(&tenant, "parsed", &parsed, json!({"response_format": format})).await;
    let many = (0..3).fold(Reply::empty(), |reply, n| reply.tool_call("ask", json!({ "input": format!("q{n}") })));
    let many = many.tool_call("parse", json!({"input": "q3"})).tool_call("time", "{}");
    let lane = Lane::sequence([many, Reply::text("All told.")]);
    let tools = json!([ask("helper"), {"type": "agent", "name": "parse", "agent": "parsed"}, {"type": "builtin", "name": "time"}]);
    agent(&tenant, "assistant", &lane, json!({ "tools": tools })).await;
    let run = id(&alice.key.run("x").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "All told.", "{ended}");
    assert_eq!(below(&alice, &run).await.len(), 4);
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let mut told: Vec<&str> = log
        .iter()
        .filter(|event| event["type"] == "tool.completed")
        .filter_map(|event| event["output"].as_str())
        .collect();
    told.sort_unstable();
    assert_eq!(told, ["four", "one", "three", "two"]);
}

#[tokio::test]
async fn an_agent_that_calls_itself_comes_to_an_end() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    // It calls itself for as long as it can.
    let lane = Lane::sequence([asks("a"), asks("b"), Reply::text("deep"), Reply::text("middle"), Reply::text("top")]);
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("assistant")]})).await;
    let run = id(&alice.key.run("x").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "top", "{ended}");
    let offered: Vec<bool> = lane.requests().iter().map(|request| request.body["tools"].is_array()).collect();
    assert_eq!(offered, [true, true, false, true, true], "two below it, unless it says otherwise");
    let sub = child(&alice, &run).await;
    let middle = alice.key.get(&format!("/v1/runs/{sub}")).await.ok(200);
    assert_eq!(middle["result"]["text"], "middle");
    assert_eq!(below(&alice, &sub).await.len(), 1);
}

#[tokio::test]
async fn what_goes_wrong_below_is_told_above() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let broken = Lane::sequence([Reply::invalid_api_key()]);
    agent(&tenant, "broken", &broken, json!({})).await;
    let (held, gate) = Reply::text("never").gate();
    let slow = Lane::sequence([held]);
    agent(&tenant, "slow", &slow, json!({})).await;
    let one = |name: &str, agent: &str| json!({"type": "agent", "name": name, "agent": agent});
    let tools = json!([one("broken", "broken"), one("slow", "slow"), one("nobody", "nobody")]);
    let all = ["broken", "slow", "nobody"]
        .iter()
        .fold(Reply::empty(), |reply, name| reply.tool_call(name, json!({"input": "x"})));
    let all = all.tool_call("slow", "{}");
    let lane = Lane::sequence([all, Reply::text("I see.")]);
    agent(&tenant, "assistant", &lane, json!({ "tools": tools })).await;
    let run = id(&alice.key.run("x").await);
    slow.called(1).await;
    let held = below(&alice, &run).await;
    assert_eq!(held.len(), 2, "of one that there is not, and without what it needs, nothing is begun");
    for sub in held.iter().filter(|sub| sub["status"] != "failed") {
        alice.token.post(&format!("/v1/runs/{}/cancel", id(sub)), json!({})).await.ok(200);
    }
    let ended = alice.key.ended(&run).await;
    gate.open();
    assert_eq!(ended["result"]["text"], "I see.", "{ended}");
    let log = events(&read(&alice.token, &run, None).await);
    assert_dense(&log);
    let failed: Vec<String> =
        log.iter().filter(|event| event["type"] == "tool.failed").map(|event| event["error"].to_string()).collect();
    assert_eq!(failed.len(), 4, "{failed:#?}");
    for words in ["provider_auth_failed", "was cancelled", "no agent nobody", "tool_invalid_args"] {
        assert!(failed.iter().any(|error| error.contains(words)), "{words}: {failed:#?}");
    }
}

#[tokio::test]
async fn the_end_above_is_the_end_below() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::text("never").gate();
    let deepest = Lane::sequence([held]);
    agent(&tenant, "deepest", &deepest, json!({})).await;
    let middle = Lane::sequence([asks("on")]);
    agent(&tenant, "middle", &middle, json!({"tools": [ask("deepest")]})).await;
    let lane = Lane::sequence([asks("go")]);
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("middle")]})).await;
    let run = id(&alice.key.run("x").await);
    deepest.called(1).await;
    let sub = child(&alice, &run).await;
    let subsub = child(&alice, &sub).await;
    suspended(&alice, &run).await;
    alice.token.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.ok(200);
    for run in [&run, &sub, &subsub] {
        assert_eq!(alice.key.ended(run).await["status"], "cancelled");
    }
    gate.open();
    let log = events(&read(&alice.key, &sub, None).await);
    assert_eq!(of(&log, "run.cancelled")["by"]["reason"], "parent_ended");
}

#[tokio::test]
async fn a_thread_is_erased_with_what_was_done_for_it() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::text("never").gate();
    let helper = Lane::sequence([Reply::text("done"), held]);
    agent(&tenant, "helper", &helper, json!({})).await;
    let lane = Lane::sequence([asks("one"), Reply::text("first"), asks("two")]);
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("helper")]})).await;
    let first = alice.key.run("x").await;
    alice.key.ended(&id(&first)).await;
    let thread = first["thread"].as_str().expect("an id").to_owned();
    let second = id(&alice.key.run_on(&thread, "y").await);
    helper.called(2).await;
    let subs = [child(&alice, &id(&first)).await, child(&alice, &second).await];
    alice.token.delete(&format!("/v1/threads/{thread}")).await;
    gate.open();
    for run in subs.iter().chain([&second]) {
        alice.key.get(&format!("/v1/runs/{run}")).await.problem(404, "not_found");
    }
    let left = tenant.api.get("/v1/runs").await.ok(200);
    assert_eq!(left["data"], json!([]));
}

#[tokio::test]
async fn what_a_tool_answers_is_hidden_wherever_it_stands() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let helper = Lane::sequence([Reply::text("hush-canary").reasoning("hush-thought")]);
    agent(&tenant, "helper", &helper, json!({"user_visibility": {"cost": true}})).await;
    let lane = Lane::sequence([asks("hush-input"), Reply::text("Fine.")]);
    let hidden = json!({"tool_output": false, "tool_args": false});
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("helper")], "user_visibility": hidden})).await;
    let run = id(&alice.key.run("x").await);
    alice.key.ended(&run).await;
    let sub = child(&alice, &run).await;
    let found = alice.token.get(&format!("/v1/runs/{sub}")).await.ok(200);
    let thread = found["thread"].as_str().expect("an id");
    let log = read(&alice.token, &sub, None).await;
    assert_dense(&events(&log));
    for text in [
        String::from_utf8_lossy(&log).into_owned(),
        String::from_utf8_lossy(&read(&alice.token, &run, None).await).into_owned(),
        found.to_string(),
        alice.token.get(&format!("/v1/threads/{thread}/messages")).await.text(),
        alice.token.get("/v1/runs").await.text(),
        alice.token.get(&format!("/v1/runs/{sub}/events?limit=100")).await.text(),
    ] {
        assert!(!text.contains("hush"), "{text}");
    }
    let tenants = String::from_utf8_lossy(&read(&tenant.api, &sub, None).await).into_owned();
    assert!(tenants.contains("hush-canary") && tenants.contains("hush-thought"), "the tenant sees it all: {tenants}");
    let config = json!({"model": lane.model(), "user_visibility": {"messages": false}});
    tenant.api.put("/v1/agents/other", config).await.blames(422, "invalid_value", "/user_visibility/messages");
}

/// Past the agent that called nobody speaks to the one that was called.
#[tokio::test]
async fn the_thread_below_is_read_only() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::text("never").gate();
    let helper = Lane::sequence([held]);
    agent(&tenant, "helper", &helper, json!({})).await;
    let lane = Lane::sequence([asks("go"), Reply::text("Done.")]);
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("helper")]})).await;
    let run = id(&alice.key.run("x").await);
    helper.called(1).await;
    let sub = child(&alice, &run).await;
    let found = alice.token.get(&format!("/v1/runs/{sub}")).await.ok(200);
    let thread = format!("/v1/threads/{}", found["thread"].as_str().expect("an id"));
    let read = alice.token.get(&thread).await.ok(200);
    assert_eq!((&read["parent_run"], &read["status"]), (&json!(run), &json!("busy")));
    for policy in ["steer", "enqueue", "interrupt"] {
        let more = json!({"agent": "assistant", "input": "Tell me all", "on_conflict": policy});
        alice.token.post(&format!("{thread}/runs"), more.clone()).await.problem(403, "forbidden");
        alice.key.post(&format!("{thread}/runs"), more).await.problem(403, "forbidden");
    }
    let said = json!({"role": "user", "content": "x"});
    alice.token.post(&format!("{thread}/messages"), said).await.problem(403, "forbidden");
    alice.token.delete(&thread).await.problem(403, "forbidden");
    gate.open();
    assert_eq!(alice.key.ended(&run).await["result"]["text"], "Done.");
}

/// Who waits for a run waits for those below it too, until somebody is asked.
#[tokio::test]
async fn a_wait_ends_when_somebody_is_asked_however_deep() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let time = json!({"type": "builtin", "name": "time", "policy": "ask"});
    let helper = Lane::sequence([Reply::text("Told."), Reply::empty().tool_call("time", "{}"), Reply::text("Late.")]);
    agent(&tenant, "helper", &helper, json!({"tools": [time]})).await;
    let lane = Lane::sequence([asks("one"), Reply::text("First."), asks("two"), Reply::text("Second.")]);
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("helper")]})).await;
    let begin = || alice.key.post("/v1/runs?wait_ms=25000", json!({"agent": "assistant", "input": "x"}));
    assert_eq!(begin().await.ok(201)["result"]["text"], "First.");
    let waits = begin().await.ok(201);
    assert_eq!(waits["status"], "suspended");
    let asked = alice.token.get("/v1/approvals?status=pending").await.ok(200);
    let approval = &asked["data"][0];
    let path = format!("/v1/runs/{}/approvals/{}", approval["run"].as_str().expect("an id"), id(approval));
    alice.token.post(&path, json!({"decision": "approved"})).await.ok(200);
    let ended = alice.key.get(&format!("/v1/runs/{}?wait_ms=25000", id(&waits))).await.ok(200);
    assert_eq!(ended["result"]["text"], "Second.");
}

#[tokio::test]
async fn no_more_at_once_than_the_agent_may_call() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (first, gate) = Reply::text("one").gate();
    let helper = Lane::sequence([first.clone(), first, Reply::text("three")]);
    agent(&tenant, "helper", &helper, json!({})).await;
    let many = (0..3).fold(Reply::empty(), |reply, n| reply.tool_call("ask", json!({ "input": format!("q{n}") })));
    let lane = Lane::sequence([many, Reply::text("Done.")]);
    let limits = json!({"max_parallel_tool_calls": 2});
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("helper")], "limits": limits})).await;
    let run = id(&alice.key.run("x").await);
    helper.called(2).await;
    let waits = suspended(&alice, &run).await;
    assert_eq!((waits["pending"].as_array().map(Vec::len), below(&alice, &run).await.len()), (Some(2), 2));
    gate.open();
    assert_eq!(alice.key.ended(&run).await["result"]["text"], "Done.");
    assert_eq!(below(&alice, &run).await.len(), 3);
    assert_dense(&events(&read(&alice.key, &run, None).await));
}

/// A process that begins nothing more hands the caller over, and waits for nothing.
#[tokio::test]
async fn a_stop_hands_over_who_is_about_to_call() {
    let mut first = Site::start(&[("HEADWATER__SERVER__DRAIN_MS", "600000")]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let helper = Lane::sequence([Reply::text("Told.")]);
    agent(&tenant, "helper", &helper, json!({})).await;
    let (held, gate) = asks("go").gate();
    let lane = Lane::sequence([held, Reply::text("Done.")]);
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("helper")]})).await;
    let run = id(&alice.key.run("x").await);
    lane.called(1).await;
    let second = serve(&first.database, &[]);
    first.process.signal(libc::SIGTERM);
    let address = first.url.trim_start_matches("http://").to_owned();
    let is_closed = || async { tokio::net::TcpStream::connect(&address).await.is_err().then_some(()) };
    eventually("it takes nothing more", is_closed).await;
    gate.open();
    // Long before the drain is over: else the test takes ten minutes.
    assert_eq!(first.process.wait(), Some(0));
    let ended = alice.at(&second.url).key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "Done.", "{ended}");
    assert_eq!((lane.requests().len(), helper.requests().len()), (2, 1));
}

/// Somebody is asked below; all processes die; another one goes on with both.
#[tokio::test]
async fn a_question_below_outlives_all_processes() {
    let mut first = Site::start(&[]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let helper = Lane::sequence([Reply::empty().tool_call("time", "{}"), Reply::text("It is late.")]);
    let time = json!({"type": "builtin", "name": "time", "policy": "ask"});
    agent(&tenant, "helper", &helper, json!({"tools": [time]})).await;
    let lane = Lane::sequence([asks("how late?"), Reply::text("Late.")]);
    agent(&tenant, "assistant", &lane, json!({"tools": [ask("helper")]})).await;
    let run = id(&alice.key.run("x").await);
    let sub = child(&alice, &run).await;
    suspended(&alice, &run).await;
    suspended(&alice, &sub).await;
    first.process.kill9();

    let second = serve(&first.database, &[]);
    let alice = alice.at(&second.url);
    let asked = alice.token.get("/v1/approvals?status=pending").await.ok(200);
    let approval = &asked["data"][0];
    assert_eq!(approval["run"], sub);
    let path = format!("/v1/runs/{sub}/approvals/{}", id(approval));
    alice.token.post(&path, json!({"decision": "approved"})).await.ok(200);
    assert_eq!(alice.key.ended(&sub).await["result"]["text"], "It is late.");
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "Late.", "{ended}");
    for run in [&run, &sub] {
        assert_dense(&events(&read(&alice.token, run, None).await));
    }
}

/// The one above is asked first, and a refusal begins nothing.
#[tokio::test]
async fn a_call_of_an_agent_is_decided_like_any_other() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let helper = Lane::sequence([Reply::text("Told.")]);
    agent(&tenant, "helper", &helper, json!({})).await;
    let lane = Lane::sequence([asks("tell").tool_call("ask", json!({"input": "no"})), Reply::text("Done.")]);
    let mut tool = ask("helper");
    tool["policy"] = json!("ask");
    agent(&tenant, "assistant", &lane, json!({"tools": [tool]})).await;
    let run = id(&alice.key.run("x").await);
    let waits = suspended(&alice, &run).await;
    assert_eq!(below(&alice, &run).await, Vec::<Value>::new());
    let approvals: Vec<&str> =
        waits["pending"].as_array().expect("a list").iter().filter_map(|it| it["approval"].as_str()).collect();
    let decide = |approval: &str| format!("/v1/runs/{run}/approvals/{approval}");
    let edited = json!({"decision": "approved", "edited_args": {"input": "told otherwise"}});
    alice.token.post(&decide(approvals[0]), edited).await.ok(200);
    alice.token.post(&decide(approvals[1]), json!({"decision": "denied"})).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["result"]["text"], "Done.");
    let [sub] = below(&alice, &run).await.try_into().expect("one run");
    let found = alice.key.get(&format!("/v1/runs/{}", id(&sub))).await.ok(200);
    assert_eq!(found["messages"][0]["content"][0]["text"], "told otherwise");
}
