//! Agents that call tools of the tenant's own application.

use headwater_testkit::model::Reply;
use headwater_testkit::tap::{Act, Moment};
use headwater_testkit::{Database, Tap};
use serde_json::{Value, json};

use crate::support::sse::{Stream, assert_dense, events, last_id, log_of, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site, Tenant, User, eventually, serve};

fn pick() -> Value {
    let parameters = json!({"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"]});
    json!({"type": "client", "name": "pick", "description": "Lets the user pick a file.", "parameters": parameters})
}

async fn with_tools(tenant: &Tenant, lane: &Lane, tools: Value) {
    tenant.agent_with(lane, json!({ "tools": tools })).await;
}

pub(crate) async fn suspended(user: &User, run: &str) -> Value {
    eventually("the run waits", || async move {
        let found = user.key.get(&format!("/v1/runs/{run}?wait_ms=10000")).await.ok(200);
        (found["status"] == "suspended").then_some(found)
    })
    .await
}

/// The calls that a run waits for.
pub(super) fn waits_for(run: &Value) -> Vec<String> {
    let pending = run["pending"].as_array().expect("a list").iter();
    pending.map(|it| it["call"].as_str().expect("a call").to_owned()).collect()
}

pub(super) fn outputs(answers: &[(&str, Value)]) -> Value {
    let one = |(call, output): &(&str, Value)| json!({"call": call, "output": output});
    json!({"tool_outputs": answers.iter().map(one).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_call_is_answered_and_the_run_goes_on() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let call = Reply::text("One moment.").tool_call("pick", r#"{"file":"a.txt"}"#);
    let lane = Lane::sequence([call, Reply::text("It is a.txt.")]);
    with_tools(&tenant, &lane, json!([pick()])).await;
    let started = alice.key.run("which?").await;
    let run = id(&started);
    let mut reader = Stream::open(&alice.token, &run, None).await;
    reader.until("run.suspended").await;
    let found = suspended(&alice, &run).await;
    let [call] = waits_for(&found).try_into().expect("one call");
    assert_eq!(
        found["pending"][0],
        json!({"type": "input", "approval": null, "call": call, "run": null, "budget": null})
    );
    assert!(found["suspended_at"].is_string());
    let parts = &found["messages"][1]["content"];
    assert_eq!(parts[1], json!({"type": "tool_call", "call": call, "name": "pick", "args": {"file": "a.txt"}}));
    let thread = started["thread"].as_str().expect("an id");
    assert_eq!(alice.key.get(&format!("/v1/threads/{thread}")).await.ok(200)["status"], "suspended");

    let path = format!("/v1/runs/{run}/calls/{call}/result");
    alice.token.post(&path, json!({"output": {"picked": true}})).await.ok(200);
    let ended = alice.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("It is a.txt.")));
    assert_eq!((&ended["steps"], &ended["attempt"], &ended["pending"]), (&json!(2), &json!(2), &json!([])));
    let seen = reader.rest().await;
    let log = events(&seen);
    assert_dense(&log);
    assert_eq!(log_of(&seen), log_of(&read(&alice.token, &run, None).await));
    let types: Vec<_> = types(&log).into_iter().filter(|kind| !kind.ends_with("delta") && kind != "hidden").collect();
    let expected = [
        "run.queued",
        "run.started",
        "step.started",
        "message.started",
        "tool.started",
        "tool.args",
        "message.completed",
        "run.suspended",
        "run.resumed",
        "tool.completed",
        "step.finished",
        "step.started",
        "message.started",
        "message.completed",
        "step.finished",
        "run.completed",
    ];
    assert_eq!(types, expected);
    let resumed = log.iter().find(|event| event["type"] == "run.resumed").expect("it goes on");
    assert_eq!((&resumed["attempt"], &resumed["reason"]), (&json!(2), &json!("input")));
    let done = log.iter().find(|event| event["type"] == "tool.completed").expect("its answer");
    assert_eq!((&done["call"], &done["output"]), (&json!(call), &json!({"picked": true})));

    let asked = lane.requests();
    let offered = &asked[0].body["tools"][0];
    assert_eq!((&offered["type"], &offered["function"]["name"]), (&json!("function"), &json!("pick")));
    let messages = asked[1].body["messages"].as_array().expect("messages");
    let [.., said, answered] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((&said["role"], &said["tool_calls"][0]["id"]), (&json!("assistant"), &json!(call)));
    assert_eq!(answered["tool_call_id"], json!(call));
    assert_eq!(answered["content"], json!(r#"{"picked":true}"#));
    let listed = alice.key.get(&format!("/v1/threads/{thread}/messages?order=asc")).await.ok(200);
    let roles: Vec<_> = listed["data"].as_array().expect("a list").iter().map(|it| it["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant"]);

    // Once more the same; and something else.
    alice.key.post(&path, json!({"output": {"picked": true}})).await.ok(200);
    let otherwise = alice.key.post(&path, json!({"output": {"picked": false}})).await;
    assert_eq!(otherwise.problem(409, "already_submitted")["call"], json!(call));
    let bob = tenant.user("bob").await;
    bob.token.post(&path, json!({"output": 1})).await.problem(404, "not_found");
    let strange = format!("/v1/runs/{run}/calls/call_{}/result", &run[4..]);
    alice.key.post(&strange, json!({"output": 1})).await.problem(404, "not_found");
}

#[tokio::test]
async fn several_at_once_and_what_cannot_be_carried_out() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let calls = Reply::text("")
        .tool_call("pick", r#"{"file":"a"}"#)
        .tool_call("pick", r#"{"file":7}"#)
        .tool_call("pick", "no json")
        .tool_call("nothing", "{}")
        .tool_call("forbidden", "{}")
        .tool_call("pick", r#"{"file":"b"}"#);
    let lane = Lane::sequence([calls, Reply::text("Done.")]);
    let forbidden = json!({"type": "client", "name": "forbidden", "policy": "deny"});
    with_tools(&tenant, &lane, json!([pick(), forbidden])).await;
    let run = id(&alice.key.run("x").await);
    let found = suspended(&alice, &run).await;
    let [first, second] = waits_for(&found).try_into().expect("two calls");
    assert_eq!(lane.requests()[0].body["tools"].as_array().map(Vec::len), Some(1), "what is denied is not offered");
    let path = format!("/v1/runs/{run}/tool_outputs");
    // All or none.
    let stranger = format!("call_{}", &run[4..]);
    let both = outputs(&[(&first, json!(1)), (&stranger, json!(2))]);
    alice.key.post(&path, both).await.problem(404, "not_found");
    let one = alice.key.post(&path, outputs(&[(&first, json!("A"))])).await.ok(200);
    assert_eq!(one["status"], "suspended", "another one is waited for");
    assert_eq!(waits_for(&suspended(&alice, &run).await), [second.as_str()]);
    let failed = json!({"tool_outputs": [{"call": second, "error": "the disk is gone"}]});
    alice.key.post(&path, failed).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let codes: Vec<_> = log
        .iter()
        .filter(|event| event["type"] == "tool.failed")
        .map(|event| event["error"]["code"].as_str().expect("a code").to_owned())
        .collect();
    assert_eq!(codes, ["tool_invalid_args", "tool_invalid_args", "tool_not_found", "tool_error"]);
    assert_eq!(log.iter().filter(|event| event["type"] == "tool.denied").count(), 1);
    let told: Vec<String> = lane.requests()[1].body["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| message["content"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(told.len(), 6, "each call has its answer: {told:?}");
    assert_eq!(told[0], "A");
    assert!(told[1].contains("/file") && told[3].contains("nothing") && told[4].contains("not permitted"), "{told:?}");
    assert!(told[5].contains("the disk is gone"), "{told:?}");
}

/// A suspended run has no task and no owner: it is there when every process has died in between.
#[tokio::test]
async fn it_waits_across_restarts() {
    let mut first = Site::start(&[]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("").tool_call("pick", r#"{"file":"a"}"#), Reply::text("Thanks.")]);
    with_tools(&tenant, &lane, json!([pick()])).await;
    let run = id(&alice.key.run("x").await);
    let [call] = waits_for(&suspended(&alice, &run).await).try_into().expect("one call");
    let mut reader = Stream::open(&alice.key, &run, None).await;
    reader.until("run.suspended").await;
    first.process.kill9();
    let seen = reader.rest().await;
    let second = serve(&first.database, &[("HEADWATER__LEASE__MS", "500")]);
    let there = alice.at(&second.url);
    assert_eq!(waits_for(&suspended(&there, &run).await), [call.as_str()], "nobody has touched it");
    there.key.post(&format!("/v1/runs/{run}/tool_outputs"), outputs(&[(&call, json!(null))])).await.ok(200);
    let ended = there.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("Thanks.")));
    let rest = read(&there.key, &run, last_id(&seen).as_deref()).await;
    let both = log_of(&seen) + &log_of(&rest);
    assert_dense(&events(both.as_bytes()));
    assert_eq!(both, log_of(&read(&there.key, &run, None).await));
    assert_eq!(lane.requests().len(), 2, "the model was asked once for each step");
}

/// The answer arrives while its run is still about to suspend: it is not lost, and nothing waits for it.
#[tokio::test]
async fn answered_in_the_moment_of_suspending() {
    for moment in [Moment::Before, Moment::After] {
        let database = Database::fresh().await;
        let tap = Tap::start(&database.admin_url, |sql| sql.contains("FROM headwater.tool_calls c")).expect("a tap");
        let first = serve(&database, &[("DATABASE_URL", &tap.url(&database.admin_url))]);
        let second = serve(&database, &[]);
        let tenant = Site { url: first.url.clone(), database }.tenant().await;
        let alice = tenant.user("alice").await;
        let lane = Lane::sequence([Reply::text("").tool_call("pick", r#"{"file":"a"}"#), Reply::text("Quick.")]);
        with_tools(&tenant, &lane, json!([pick()])).await;
        // Its look at the calls: what it will find is not decided yet, or is old already when it hears of it.
        tap.arm(1, moment, Act::Hold);
        let run = id(&alice.key.run("x").await);
        tap.hit().await;
        let there = alice.at(&second.url);
        let mut reader = Stream::open(&there.key, &run, None).await;
        reader.until("tool.args\"").await;
        let call = events(&reader.bytes)
            .iter()
            .find(|event| event["type"] == "tool.args")
            .and_then(|event| event["call"].as_str().map(str::to_owned))
            .expect("its id");
        let answered =
            there.key.post(&format!("/v1/runs/{run}/tool_outputs"), outputs(&[(&call, json!("now"))])).await.ok(200);
        assert_eq!(answered["status"], "running");
        tap.release();
        let ended = there.key.ended(&run).await;
        assert_eq!((&ended["status"], &ended["attempt"]), (&json!("completed"), &json!(1)), "{moment:?}: {ended}");
        let log = events(&read(&there.key, &run, None).await);
        assert!(log.iter().all(|event| event["type"] != "run.suspended"), "{moment:?}: {log:#?}");
    }
}

#[tokio::test]
async fn a_run_that_waits_can_be_cancelled_and_its_thread_goes_on() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("").tool_call("pick", r#"{"file":"a"}"#), Reply::text("Never mind.")]);
    with_tools(&tenant, &lane, json!([pick()])).await;
    let started = alice.key.run("x").await;
    let run = id(&started);
    let found = suspended(&alice, &run).await;
    let [call] = waits_for(&found).try_into().expect("one call");
    alice.key.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "cancelled");
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let failed = log.iter().find(|event| event["type"] == "tool.failed").expect("nothing is left open");
    assert_eq!(failed["call"], json!(call));
    let late = alice.key.post(&format!("/v1/runs/{run}/tool_outputs"), outputs(&[(&call, json!(1))])).await;
    late.problem(409, "already_submitted");
    let next = alice.key.run_on(started["thread"].as_str().expect("an id"), "and now?").await;
    assert_eq!(alice.key.ended(&id(&next)).await["result"]["text"], "Never mind.");
    let messages = lane.requests()[1].body["messages"].as_array().expect("messages").clone();
    let answered = messages.iter().find(|message| message["tool_call_id"] == json!(call)).expect("an answer");
    assert!(answered["content"].as_str().expect("text").contains("ended before"), "{answered}");
}

#[tokio::test]
async fn what_nobody_answers_in_time_fails() {
    let site = Site::start(&[("HEADWATER__LEASE__MS", "500")]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("").tool_call("pick", r#"{"file":"a"}"#)]);
    let mut tool = pick();
    tool["ttl_ms"] = json!(1000);
    with_tools(&tenant, &lane, json!([tool])).await;
    let run = id(&alice.key.run("x").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("failed"), &json!("input_expired")), "{ended}");
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let kinds = types(&log);
    assert_eq!(kinds[kinds.len() - 4..], ["run.suspended", "run.resumed", "tool.failed", "run.failed"]);
}

#[tokio::test]
async fn the_last_step_ends_in_words() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("").tool_call("pick", r#"{"file":"a"}"#), Reply::text("Enough.")]);
    tenant.agent_with(&lane, json!({"tools": [pick()], "limits": {"max_steps": 2}})).await;
    let run = id(&alice.key.run("x").await);
    let [call] = waits_for(&suspended(&alice, &run).await).try_into().expect("one call");
    alice.key.post(&format!("/v1/runs/{run}/tool_outputs"), outputs(&[(&call, json!(1))])).await.ok(200);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["finish_reason"], "max_steps");
    assert!(lane.requests()[1].body["tools"].is_null(), "{}", lane.requests()[1].body);
}

#[tokio::test]
async fn tools_are_checked_where_they_are_written() {
    let tenant = Site::shared().await.tenant().await;
    let lane = Lane::echo();
    let put = async |tools: Value| {
        let config = json!({"model": lane.model(), "tools": tools});
        tenant.api.put("/v1/agents/assistant", config).await
    };
    put(json!([pick(), pick()])).await.blames(422, "invalid_value", "/tools/1/name");
    put(json!([{"type": "client", "name": "a b"}])).await.blames(422, "invalid_value", "/tools/0/name");
    let open = json!([{"type": "client", "name": "a", "parameters": {"type": "string"}}]);
    put(open).await.blames(422, "invalid_value", "/tools/0/parameters");
    put(json!([{"type": "client", "name": "a", "ttl_ms": 1}])).await.blames(422, "invalid_value", "/tools/0/ttl_ms");
    let elsewhere = json!({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/schema.json"}}});
    put(json!([{"type": "client", "name": "a", "parameters": elsewhere}])).await.problem(422, "invalid_schema");
    let wrong = json!({"type": "object", "properties": {"a": {"pattern": "("}}});
    put(json!([{"type": "client", "name": "a", "parameters": wrong}])).await.problem(422, "invalid_schema");
    let unknown = put(json!([{"type": "http", "name": "a"}])).await;
    assert_eq!(unknown.status, 422, "{}", unknown.text());
    assert!(put(json!([pick()])).await.status < 300);
}

/// A model that is stopped among its calls has not made them; one that invents a name is told, and can go on.
#[tokio::test]
async fn what_a_model_gets_wrong_stays_within_its_run() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let cut = Reply::text("So:").tool_call("pick", r#"{"file":"a"#).finish("length");
    let invented = Reply::text("").tool_call("functions.pick me", "{}");
    let lane = Lane::sequence([cut, invented, Reply::text("I see.")]);
    with_tools(&tenant, &lane, json!([pick()])).await;
    let first = alice.key.run("x").await;
    let ended = alice.key.ended(&id(&first)).await;
    assert_eq!((&ended["status"], &ended["result"]["finish_reason"]), (&json!("completed"), &json!("length")));
    assert_eq!(ended["messages"][1]["content"], json!([{"type": "text", "text": "So:"}]), "{ended}");
    let log = events(&read(&alice.key, &id(&first), None).await);
    assert_eq!(log.iter().filter(|event| event["type"] == "tool.failed").count(), 1, "{log:#?}");
    let next = alice.key.run_on(first["thread"].as_str().expect("an id"), "y").await;
    let ended = alice.key.ended(&id(&next)).await;
    assert_eq!(ended["result"]["text"], "I see.", "{ended}");
    let asked = lane.requests();
    let messages = asked[2].body["messages"].as_array().expect("messages");
    let called = messages.iter().find(|message| message["tool_calls"].is_array()).expect("a call");
    assert_eq!(called["tool_calls"][0]["function"]["name"], "functions_pick_me", "a name that providers take");
    let log = events(&read(&alice.key, &id(&next), None).await);
    assert!(log.iter().any(|event| event["type"] == "tool.started" && event["name"] == "functions.pick me"));
}

/// What a tool says of its trouble is its output.
#[tokio::test]
async fn hidden_outputs_are_hidden_errors_too() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::calling("pick", r#"{"file":"private-name"}"#, Reply::text("Sorry."));
    let hidden = json!({"tool_output": false, "tool_args": false});
    tenant.agent_with(&lane, json!({"tools": [pick()], "user_visibility": hidden})).await;
    let run = id(&alice.key.run("x").await);
    let [call] = waits_for(&suspended(&alice, &run).await).try_into().expect("one call");
    let answer = json!({"error": "db-7.internal refused\nits password"});
    alice.key.post(&format!("/v1/runs/{run}/calls/{call}/result"), answer).await.ok(200);
    // Right behind the answer: it waits for the end, and not for what was before.
    let ended = alice.key.get(&format!("/v1/runs/{run}?wait_ms=20000")).await.ok(200);
    assert_eq!(ended["status"], "completed");
    for (api, sees) in [(&alice.key, true), (&alice.token, false)] {
        let stream = String::from_utf8(read(api, &run, None).await).expect("text");
        let snapshot = api.get(&format!("/v1/runs/{run}")).await.text();
        for secret in ["db-7.internal", "private-name"] {
            assert_eq!((stream.contains(secret), snapshot.contains(secret)), (sees, sees), "{secret}");
        }
    }
    let told = lane.requests()[1].body.to_string();
    assert!(told.contains("db-7.internal"), "the model is told: {told}");
}
