//! `/v1/responses` and `/v1/chat/completions`: what goes over the wire, who may read it, and what is done once.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::tenant::User;
use crate::support::{Api, Lane, Site, eventually};

fn asks(input: impl Into<Value>) -> Value {
    json!({"model": "assistant", "input": input.into()})
}

fn id(response: &Value) -> &str {
    response["id"].as_str().expect("a response has an id")
}

fn text(response: &Value) -> &str {
    let items = response["output"].as_array().expect("a list").iter();
    let message = items.rev().find(|item| item["type"] == "message").expect("a message");
    message["content"][0]["text"].as_str().expect("words")
}

async fn respond(api: &Api, body: Value) -> Value {
    api.post("/v1/responses", body).await.ok(200)
}

#[tokio::test]
async fn a_response_is_a_run_and_others_see_nothing_of_it() {
    let site = Site::shared().await;
    let (tenant, other) = (site.tenant().await, site.tenant().await);
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let stranger = other.user("alice").await;
    tenant.agent(&Lane::sequence([Reply::text("One."), Reply::text("Two."), Reply::text("x")])).await;
    let said = alice.token.post("/v1/responses", asks("How are you?")).await;
    let location = said.header("location").expect("where the run is").to_owned();
    let first = said.ok(200);
    assert_eq!((text(&first), &first["model"]), ("One.", &json!("assistant")));
    let run = alice.key.get(&location).await.ok(200);
    assert_eq!(run["thread"], first["conversation"]["id"]);
    let second = respond(
        &alice.token,
        json!({"model": "assistant", "input": "And now?", "conversation": first["conversation"]}),
    )
    .await;
    assert_eq!((text(&second), id(&first)), ("Two.", second["previous_response_id"].as_str().expect("an id")));
    for other in [&bob.token, &bob.key, &stranger.token, &stranger.key] {
        let path = format!("/v1/responses/{}", id(&first));
        other.get(&path).await.problem(404, "not_found");
        other.get(&format!("{path}?stream=true")).await.problem(404, "not_found");
        other.post(&format!("{path}/cancel"), json!({})).await.problem(404, "not_found");
        let mut goes_on = asks("x");
        goes_on["previous_response_id"] = first["id"].clone();
        other.post("/v1/responses", goes_on).await.blames(422, "invalid_value", "/previous_response_id");
        let mut goes_on = asks("x");
        goes_on["conversation"] = first["conversation"].clone();
        other.post("/v1/responses", goes_on).await.problem(404, "not_found");
    }
    for not in ["-1", "9223372036854775808", "x"] {
        let path = format!("/v1/responses/{}?stream=true&starting_after={not}", id(&first));
        alice.token.get(&path).await.problem(400, "invalid_request");
    }
    // Names that are none, or none of a response.
    let run = location.trim_start_matches("/v1/runs/run_");
    for not in [
        format!("resp_{run}_1"),
        format!("resp_{run}_999"),
        format!("run_{run}"),
        format!("resp_{run}_0"),
        "resp_".into(),
    ] {
        alice.token.get(&format!("/v1/responses/{not}")).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_request_with_a_key_is_answered_once() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("One."), Reply::text("Two.")]);
    tenant.agent(&lane).await;
    let history = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "And?"}]);
    let once = alice.key.with("idempotency-key", "once");
    let ask = |input: Value| once.post("/v1/responses", asks(input));
    let first = ask(history.clone()).await.ok(200);
    let again = ask(history.clone()).await.ok(200);
    assert_eq!((id(&first), text(&first)), (id(&again), "One."));
    lane.called(1).await;
    let asked = lane.requests()[0].body.to_string();
    assert!(asked.contains("Hello") && asked.contains("And?"), "{asked}");
    assert_eq!(alice.key.get("/v1/threads").await.ok(200)["data"].as_array().map(Vec::len), Some(1));
    // Another question under that key is none.
    ask("x".into()).await.problem(409, "idempotency_mismatch");
    // Only a key speaks for the assistant.
    alice.token.post("/v1/responses", asks(history)).await.problem(403, "forbidden");
}

/// OpenAI's libraries send a request again whose answer was cut, and say only how often they have.
#[tokio::test]
async fn a_request_that_is_counted_is_answered_once() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let words = ["One.", "Two.", "Three.", "Bob's."];
    tenant.agent(&Lane::sequence(words.map(Reply::text))).await;
    let ask = async |user: &User, count: &str, input: &str| {
        user.key.with("x-stainless-retry-count", count).post("/v1/responses", asks(input)).await.ok(200)
    };
    // Two of the same words are two, and what is sent again is the newer one.
    let first = ask(&alice, "0", "Hi").await;
    let second = ask(&alice, "0", "Hi").await;
    assert_eq!((text(&first), text(&second)), ("One.", "Two."));
    for count in ["1", "2"] {
        assert_eq!(id(&ask(&alice, count, "Hi").await), id(&second));
    }
    // It says so; and one that is asked for again is told from one that is new.
    let replayed = async |count: &str, input: &str| {
        let asked = alice.key.with("x-stainless-retry-count", count);
        asked.post("/v1/responses", asks(input)).await.header("idempotent-replayed").map(str::to_owned)
    };
    assert_eq!(replayed("1", "Hi").await.as_deref(), Some("true"));
    // What never came is asked now; and nobody is answered with what another one asked.
    assert_eq!(text(&ask(&alice, "1", "Hello").await), "Three.");
    assert_eq!(text(&ask(&bob, "1", "Hi").await), "Bob's.");
}

/// What failed or was cancelled is tried again, also behind what was said before it: nothing has come of it.
#[tokio::test]
async fn a_request_that_failed_is_carried_out_again() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let becomes = async |model: &str| {
        tenant.api.put("/v1/agents/assistant", json!({"model": model})).await;
    };
    let ask = async |count: &str, previous: &Value| {
        let body = json!({"model": "assistant", "input": "Hi", "background": true, "previous_response_id": previous});
        alice.key.with("x-stainless-retry-count", count).post("/v1/responses", body).await
    };
    let ended = async |response: &Value| {
        let run = alice.key.ended(&id(response).replace("resp_", "run_")).await;
        run["status"].as_str().expect("a status").to_owned()
    };
    becomes("scripted/echo").await;
    let first = ask("0", &Value::Null).await.ok(200);
    assert_eq!(ended(&first).await, "completed");
    becomes("scripted/fail-provider_unavailable").await;
    let failed = ask("0", &first["id"]).await.ok(200);
    assert_eq!(ended(&failed).await, "failed");
    becomes("scripted/tokens-40x100").await;
    let cancelled = ask("1", &first["id"]).await.ok(200);
    // While it is written it is found.
    assert_eq!(id(&ask("2", &first["id"]).await.ok(200)), id(&cancelled));
    alice.key.post(&format!("/v1/responses/{}/cancel", id(&cancelled)), json!({})).await.ok(200);
    assert_eq!(ended(&cancelled).await, "cancelled");
    becomes("scripted/echo").await;
    let third = ask("3", &first["id"]).await.ok(200);
    assert_eq!(ended(&third).await, "completed");
    assert_eq!(std::collections::HashSet::from([id(&first), id(&failed), id(&cancelled), id(&third)]).len(), 4);
    // Something has come of that: threads do not fork.
    ask("0", &first["id"]).await.blames(422, "invalid_value", "/previous_response_id");
    // Nobody else's key is taken for one of these.
    let own = alice.key.with("idempotency-key", "x-stainless-retry-count 0").post("/v1/threads", json!({})).await;
    own.problem(400, "invalid_request");
}

#[tokio::test]
async fn what_means_nothing_here_is_refused_in_words_that_its_clients_read() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::sequence([])).await;
    for (field, value, code, at) in [
        ("store", json!(false), "invalid_value", "/store"),
        ("tools", json!([{"type": "web_search"}]), "invalid_value", "/tools/0/type"),
        ("text", json!({"format": {"type": "json_object"}}), "invalid_value", "/text/format/type"),
        ("reasoning", json!({"effort": "immense"}), "invalid_value", "/reasoning/effort"),
        ("max_tool_calls", json!(3), "unknown_field", "/max_tool_calls"),
        ("previous_response_id", json!("resp_x"), "invalid_value", "/previous_response_id"),
        (
            "input",
            json!([{"type": "function_call_output", "call_id": format!("call_{}", uuid::Uuid::now_v7()), "output": "x"}]),
            "invalid_value",
            "/input",
        ),
        ("input", json!([]), "invalid_value", "/input"),
    ] {
        let mut body = asks("x");
        body[field] = value;
        let answer = alice.key.post("/v1/responses", body).await;
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        answer.blames(422, code, at);
        let problem = answer.json();
        assert_eq!(problem["error"]["type"], "invalid_request_error");
        assert_eq!(problem["error"]["code"], code);
    }
    let nobody = tenant.api.post("/v1/responses", asks("x")).await.problem(400, "user_required");
    assert!(nobody["error"]["message"].as_str().is_some_and(|words| words.contains("Headwater-User")), "{nobody}");
    // No agent is so called, and users name no models.
    alice.key.post("/v1/responses", json!({"model": "nobody", "input": "x"})).await.problem(404, "agent_not_found");
    alice
        .token
        .post("/v1/responses", json!({"model": "scripted/echo", "input": "x"}))
        .await
        .problem(404, "agent_not_found");
    let over =
        alice.token.post("/v1/responses", json!({"model": "assistant", "input": "x", "instructions": "Obey."})).await;
    over.problem(403, "override_not_allowed");
}

#[tokio::test]
async fn a_model_is_answered_by_the_plain_agent() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("One."), Reply::text("Two.")]);
    let model = tenant.agent(&lane).await["model"].as_str().expect("a model").to_owned();
    let first = respond(&alice.key, json!({"model": model, "input": "x", "instructions": "Be brief."})).await;
    assert_eq!((text(&first), &first["model"], &first["instructions"]), ("One.", &json!(model), &json!("Be brief.")));
    assert!(lane.requests()[0].body.to_string().contains("Be brief."));
    let plain = tenant.api.get("/v1/agents/plain").await.ok(200);
    assert_eq!(plain["version"], 1);
    // What a key has told it is not told to the user.
    let seen = alice.token.get(&format!("/v1/responses/{}", id(&first))).await.ok(200);
    assert_eq!((text(&seen), &seen["instructions"]), ("One.", &Value::Null));
    assert_eq!(text(&respond(&alice.key, json!({"model": model, "input": "x"})).await), "Two.");
}

#[tokio::test]
async fn all_that_is_asked_is_answered_at_once_and_by_whom_it_is_asked() {
    let site = Site::shared().await;
    let (tenant, other) = (site.tenant().await, site.tenant().await);
    let (alice, stranger) = (tenant.user("alice").await, other.user("alice").await);
    other.agent(&Lane::sequence([])).await;
    let lane = Lane::sequence([Reply::text("").tool_call("pick", "{}").tool_call("pick", "{}"), Reply::text("Both.")]);
    tenant.agent(&lane).await;
    let pick = json!([{"type": "function", "name": "pick", "description": "Picks", "parameters": {"type": "object"}}]);
    // A user brings no tools unless the agent lets it.
    let mut body = asks("Which?");
    body["tools"] = pick.clone();
    alice.token.post("/v1/responses", body.clone()).await.problem(403, "override_not_allowed");
    tenant.api.patch("/v1/agents/assistant", json!({"user_overrides": ["tools"]})).await.ok(200);
    let first = respond(&alice.token, body).await;
    let calls: Vec<&Value> = first["output"].as_array().expect("items").iter().map(|item| &item["call_id"]).collect();
    assert_eq!(calls.len(), 2, "{first}");
    let output = |call: &Value| json!({"type": "function_call_output", "call_id": call, "output": "red"});
    let goes_on =
        |outputs: Vec<Value>| json!({"model": "assistant", "input": outputs, "previous_response_id": first["id"]});
    let half = alice.token.post("/v1/responses", goes_on(vec![output(calls[0])])).await;
    half.blames(422, "invalid_value", "/input");
    let half = half.json();
    assert!(half["detail"].as_str().is_some_and(|words| words.contains(calls[1].as_str().expect("an id"))), "{half}");
    let mut more = goes_on(vec![output(calls[0]), output(calls[1])]);
    more["input"].as_array_mut().expect("a list").push(json!({"role": "user", "content": "Hurry."}));
    alice.token.post("/v1/responses", more).await.blames(422, "invalid_value", "/input");
    // Nobody else's answer counts, with or without its name.
    for mut body in
        [goes_on(vec![output(calls[0]), output(calls[1])]), asks(json!([output(calls[0]), output(calls[1])]))]
    {
        body["model"] = "assistant".into();
        stranger.key.post("/v1/responses", body).await.blames(422, "invalid_value", "/input");
    }
    let second = respond(&alice.token, asks(json!([output(calls[0]), output(calls[1])]))).await;
    assert_eq!(text(&second), "Both.");
    assert_ne!(first["id"], second["id"]);
    let whole = alice.token.get(&format!("/v1/responses/{}", id(&second))).await.ok(200);
    assert_eq!(whole["output"], second["output"]);
}

#[tokio::test]
async fn an_answer_that_waits_for_others_goes_on() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("").tool_call("pick", "{}"), Reply::text("Denied.")]);
    let tools = json!([{"type": "client", "name": "pick", "policy": "ask", "parameters": {"type": "object"}}]);
    tenant.agent_with(&lane, json!({"tools": tools, "approvals": {"deciders": ["tenant"]}})).await;
    let mut body = asks("x");
    body["background"] = true.into();
    let begun = respond(&alice.token, body).await;
    let approvals = || tenant.api.get("/v1/approvals?status=pending");
    let path = format!("/v1/responses/{}", id(&begun));
    let asked = eventually("it is asked", || async { approvals().await.ok(200)["data"].get(0).cloned() }).await;
    assert_eq!(alice.token.get(&path).await.ok(200)["status"], "in_progress");
    let (run, approval) = (asked["run"].as_str().expect("a run"), asked["id"].as_str().expect("an id"));
    tenant.api.post(&format!("/v1/runs/{run}/approvals/{approval}"), json!({"decision": "denied"})).await.ok(200);
    let over = || async { Some(alice.token.get(&path).await.ok(200)).filter(|it| it["status"] == "completed") };
    assert_eq!(text(&eventually("it is over", over).await), "Denied.");
}

#[tokio::test]
async fn what_others_decide_meanwhile_is_told_in_the_next_response() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let both = Reply::text("").tool_call("time", "{}").tool_call("pick", "{}");
    let lane = Lane::sequence([both, Reply::text("Both.")]);
    let tools = json!([{"type": "builtin", "name": "time", "policy": "ask"}, {"type": "client", "name": "pick", "parameters": {"type": "object"}}]);
    tenant.agent_with(&lane, json!({"tools": tools})).await;
    let first = respond(&alice.token, asks("Which?")).await;
    let item = |kind: &str| {
        let items = first["output"].as_array().expect("items").iter();
        items.into_iter().find(|item| item["type"] == kind).cloned().unwrap_or_else(|| panic!("no {kind} in {first}"))
    };
    let (asked, called) = (item("mcp_approval_request"), item("function_call"));
    // Nothing else is said meanwhile: it would be heard when that is answered, and not before.
    let mut more = asks("Hello?");
    more["previous_response_id"] = first["id"].clone();
    alice.token.post("/v1/responses", more).await.blames(422, "invalid_value", "/input");
    let approval = asked["id"].as_str().expect("an id");
    let run =
        alice.token.get(&format!("/v1/approvals/{approval}")).await.ok(200)["run"].as_str().expect("a run").to_owned();
    alice.token.post(&format!("/v1/runs/{run}/approvals/{approval}"), json!({"decision": "approved"})).await.ok(200);
    let carried_out = || async {
        let run = alice.token.get(&format!("/v1/runs/{run}")).await.ok(200);
        (run["status"] == "suspended" && run["pending"].as_array().map(Vec::len) == Some(1)).then_some(())
    };
    eventually("what was permitted is carried out", carried_out).await;
    let output = json!([{"type": "function_call_output", "call_id": called["call_id"], "output": "red"}]);
    let second = respond(&alice.token, asks(output.clone())).await;
    let kinds: Vec<&Value> = second["output"].as_array().expect("items").iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["mcp_call", "message"], "{second}");
    assert_eq!(respond(&alice.token, asks(output)).await["id"], second["id"], "given once more");
}

#[tokio::test]
async fn looking_at_a_response_ends_nothing() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::tokens(2).gate();
    tenant.agent_with(&Lane::sequence([held]), json!({"on_disconnect": "cancel"})).await;
    let mut body = asks("Count.");
    body["background"] = true.into();
    let begun = respond(&alice.token, body).await;
    let path = format!("/v1/responses/{}", id(&begun));
    for _ in 0..5 {
        assert!(
            ["queued", "in_progress"]
                .contains(&alice.token.get(&path).await.ok(200)["status"].as_str().expect("a status"))
        );
    }
    gate.open();
    let over = || async { Some(alice.token.get(&path).await.ok(200)).filter(|it| it["status"] == "completed") };
    assert_eq!(text(&eventually("it is over", over).await), " tok0 tok1");
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::sequence([])).await;
    let messages = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "And?"}]);
    let body = json!({"model": "assistant", "messages": messages, "temperature": 99});
    alice.key.post("/v1/chat/completions", body).await.problem(422, "invalid_value");
    assert_eq!(alice.key.get("/v1/threads").await.ok(200)["data"], json!([]));
}
