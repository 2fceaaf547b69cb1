//! Tools that the server calls itself: HTTP endpoints, and its own.

use headwater_testkit::ToolServer;
use headwater_testkit::model::Reply;
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use serde_json::{Value, json};

use super::tools::suspended;
use crate::support::sse::{assert_dense, events, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site};

fn refund(server: &ToolServer) -> Value {
    json!({"type": "http", "name": "refund", "effect": "idempotent",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}, "amount": {"type": "number"},
                       "currency": {"type": "string"}}, "required": ["order", "amount", "currency"]},
        "defaults": {"currency": "EUR"},
        "request": {"method": "POST", "url": format!("{}/orders/{{{{args.order}}}}/refund", server.url),
            "headers": {"authorization": "Bearer {{secret.SHOP}}", "x-user": "{{user.external_id}}"},
            "query": {"run": "{{run.id}}"},
            "body": {"amount": "{{args.amount}}", "currency": "{{args.currency}}", "by": "{{user.id}} in {{thread.id}}"}}})
}

fn get(server: &ToolServer, name: &str, more: Value) -> Value {
    let mut tool = json!({"type": "http", "name": name, "effect": "read",
        "request": {"method": "GET", "url": format!("{}/{name}", server.url)}});
    for (name, value) in more.as_object().expect("an object") {
        tool[name] = value.clone();
    }
    tool
}

#[tokio::test]
async fn an_endpoint_is_called_and_its_answer_reaches_the_model() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let server = ToolServer::start(|_| ToolAnswer::json(&json!({"refunded": true, "of": ["a", 1]})));
    let secret = tenant.api.put("/v1/secrets/SHOP", json!({"value": "canary-4711"})).await.ok(200);
    assert_eq!(
        (&secret["object"], &secret["name"], &secret["value"]),
        (&json!("secret"), &json!("SHOP"), &json!(null))
    );
    let call = Reply::text("").tool_call("refund", r#"{"order":"7/8","amount":60.5,"currency":"USD"}"#);
    let lane = Lane::sequence([call, Reply::text("Done.")]);
    tenant.agent_with(&lane, json!({"tools": [refund(&server)]})).await;
    let run = id(&alice.key.run("x").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "Done.", "{ended}");
    let offered = &lane.requests()[0].body["tools"][0]["function"]["parameters"];
    assert!(offered["properties"]["currency"].is_null(), "{offered}");
    let [asked] = server.requests().try_into().expect("one request");
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", &*format!("/orders/7%2F8/refund?run={run}")));
    assert_eq!((asked.header("authorization"), asked.header("x-user")), (Some("Bearer canary-4711"), Some("alice")));
    let thread = ended["thread"].as_str().expect("an id");
    let by = format!("{} in {thread}", alice.id);
    assert_eq!(asked.json(), json!({"amount": 60.5, "currency": "EUR", "by": by}));
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let done = log.iter().find(|event| event["type"] == "tool.completed").expect("its answer");
    assert_eq!(done["output"], json!({"refunded": true, "of": ["a", 1]}));
    let call = done["call"].as_str().expect("an id");
    assert_eq!((asked.header("idempotency-key"), asked.header("headwater-call")), (Some(call), Some(call)));
    let second = lane.requests().remove(1);
    let told = &second.body["messages"].as_array().expect("messages").last().expect("one")["content"];
    assert_eq!(told, r#"{"of":["a",1],"refunded":true}"#);
    assert_eq!(types(&log).iter().filter(|kind| *kind == "run.suspended").count(), 0);
}

#[tokio::test]
async fn what_goes_wrong_is_told_to_the_model_and_to_nobody_else() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let server = ToolServer::start(|asked: &ToolRequest| match asked.path.as_str() {
        "/missing" => ToolAnswer::text("no such order").status(404),
        "/moved" => ToolAnswer::text("elsewhere").status(302),
        "/large" => ToolAnswer::json(&json!(vec!["x\u{0}\""; 40_000])),
        "/deep" => ToolAnswer { kind: "application/json".into(), ..ToolAnswer::text("[".repeat(100_000)) },
        "/binary" => ToolAnswer { kind: "image/png".into(), ..ToolAnswer::text("\u{fffd}") },
        "/wrong" => ToolAnswer::json(&json!({"a": 1})),
        "/empty" => ToolAnswer::text("").status(204),
        other => ToolAnswer::text(other),
    });
    let names = ["missing", "moved", "large", "deep", "binary", "wrong", "empty", "refused", "nobody", "secretless"];
    let tools: Vec<Value> = names
        .iter()
        .map(|name| match *name {
            "wrong" => get(&server, name, json!({"output_schema": {"type": "array"}})),
            "large" => get(&server, name, json!({"max_result_bytes": 2048})),
            "refused" => {
                json!({"type": "http", "name": name, "effect": "read",
                       "request": {"method": "GET", "url": "http://refused.localhost.invalid/"}})
            }
            "nobody" => {
                json!({"type": "http", "name": name, "effect": "read", "request": {"method": "GET", "url": "http://127.0.0.1:1/"}})
            }
            "secretless" => {
                let mut tool = get(&server, name, json!({}));
                tool["request"]["headers"] = json!({"x": "{{secret.NONE}}"});
                tool
            }
            _ => get(&server, name, json!({})),
        })
        .collect();
    let calls = names.iter().fold(Reply::text(""), |reply, name| reply.tool_call(name, "{}"));
    let lane = Lane::sequence([calls, Reply::text("I see.")]);
    tenant.agent_with(&lane, json!({ "tools": tools })).await;
    let run = id(&alice.key.run("x").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "I see.", "{ended}");
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let name_of = |call: &Value| {
        let started = log.iter().find(|event| event["type"] == "tool.started" && event["call"] == *call);
        started.and_then(|event| event["name"].as_str()).expect("it began").to_owned()
    };
    let mut went: Vec<(String, Value)> = Vec::new();
    for event in &log {
        match event["type"].as_str().expect("a type") {
            "tool.completed" => went.push((name_of(&event["call"]), event["output"].clone())),
            "tool.failed" => went.push((name_of(&event["call"]), event["error"]["code"].clone())),
            _ => {}
        }
    }
    let of = |name: &str| went.iter().find(|(of, _)| of == name).map(|(_, value)| value.clone()).expect("it ended");
    assert_eq!(went.len(), names.len());
    for (name, code) in [
        ("missing", "tool_error"),
        ("moved", "tool_error"),
        ("wrong", "tool_invalid_output"),
        ("refused", "tool_unreachable"),
        ("nobody", "tool_unreachable"),
        ("secretless", "tool_error"),
    ] {
        assert_eq!(of(name), code, "{name}");
    }
    assert_eq!(of("empty"), Value::Null);
    assert_eq!(of("binary")["media_type"], "image/png");
    assert_eq!(of("large")["cut"], true);
    assert!(of("large").to_string().len() <= 2048, "{}", of("large").to_string().len());
    assert_eq!(of("deep")["cut"], true, "{}", of("deep"));
}

#[tokio::test]
async fn a_call_that_was_approved_is_made_with_what_was_decided() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let server = ToolServer::start(|_| ToolAnswer::text("ok"));
    tenant.api.put("/v1/secrets/SHOP", json!({"value": "s"})).await.ok(200);
    let call = Reply::text("").tool_call("refund", r#"{"order":"7","amount":60}"#);
    let lane = Lane::sequence([call, Reply::text("Done.")]);
    let mut tool = refund(&server);
    tool["policy"] = "ask".into();
    tool["effect"] = "side_effect".into();
    tenant.agent_with(&lane, json!({"tools": [tool]})).await;
    let run = id(&alice.key.run("x").await);
    let found = suspended(&alice, &run).await;
    assert_eq!(server.requests().len(), 0, "nothing is called before");
    let approval = found["pending"][0]["approval"].as_str().expect("a question");
    let shown = alice.token.get(&format!("/v1/approvals/{approval}")).await.ok(200);
    assert_eq!(shown["args"], json!({"order": "7", "amount": 60}), "what is always the same is hidden");
    let path = format!("/v1/runs/{run}/approvals/{approval}");
    let edited = json!({"decision": "approved", "edited_args": {"order": "8", "amount": 1}});
    alice.token.post(&path, edited).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["result"]["text"], "Done.");
    let [asked] = server.requests().try_into().expect("one request");
    assert!(asked.path.starts_with("/orders/8/refund?"), "{}", asked.path);
    assert_eq!((&asked.json()["amount"], &asked.json()["currency"]), (&json!(1), &json!("EUR")));
    assert_eq!(asked.header("idempotency-key"), None);
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    assert!(types(&log).contains(&"tool.progress".to_owned()), "it is told when it begins");
}

#[tokio::test]
async fn secrets_are_written_and_never_read() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let server = ToolServer::start(|_| ToolAnswer::text("ok"));
    let put = async |name: &str, body: Value| tenant.api.put(&format!("/v1/secrets/{name}"), body).await;
    put("shop", json!({"value": "x"})).await.blames(422, "invalid_value", "/name");
    put("SHOP", json!({"value": ""})).await.blames(422, "invalid_value", "/value");
    put("SHOP", json!({"value": "x", "hosts": ["http://a"]})).await.blames(422, "invalid_value", "/hosts");
    put("SHOP", json!({"value": "canary-1234", "hosts": ["shop.test"]})).await.ok(200);
    let listed = tenant.api.get("/v1/secrets").await.ok(200);
    assert_eq!(listed["data"][0]["hosts"], json!(["shop.test"]));
    assert!(!listed.to_string().contains("canary"));
    alice.token.get("/v1/secrets").await.problem(403, "forbidden");
    // It is not sent to another host than it is for.
    let call = || Reply::text("").tool_call("refund", r#"{"order":"7","amount":60}"#);
    let lane = Lane::sequence([call(), Reply::text("Hm."), call(), Reply::text("Good."), call(), Reply::text("Gone.")]);
    tenant.agent_with(&lane, json!({"tools": [refund(&server)]})).await;
    let failed = async || {
        let run = id(&alice.key.run("x").await);
        alice.key.ended(&run).await;
        let log = events(&read(&alice.key, &run, None).await);
        log.iter().find(|event| event["type"] == "tool.failed").map(|event| event["error"]["detail"].clone())
    };
    assert!(failed().await.expect("it fails").as_str().is_some_and(|words| words.contains("not for this host")));
    put("SHOP", json!({"value": "canary-5678"})).await.ok(200);
    assert_eq!(failed().await, None);
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer canary-5678"));
    assert_eq!(tenant.api.delete("/v1/secrets/SHOP").await.status, 204);
    tenant.api.delete("/v1/secrets/SHOP").await.problem(404, "not_found");
    assert!(failed().await.expect("it fails").as_str().is_some_and(|words| words.contains("no secret SHOP")));
}

#[tokio::test]
async fn where_tools_lead_is_checked_when_they_are_written() {
    let tenant = Site::shared().await.tenant().await;
    let lane = Lane::echo();
    let put = async |url: &str| {
        let tool = json!({"type": "http", "name": "a", "request": {"method": "GET", "url": url}});
        tenant.api.put("/v1/agents/assistant", json!({"model": lane.model(), "tools": [tool]})).await
    };
    for url in [
        "http://10.0.0.1/",
        "http://0x0a000001/",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://user:p@shop.test/",
    ] {
        put(url).await.problem(422, "url_not_allowed");
    }
    for url in ["shop.test/", "https://{{args.host}}/", "https://shop.test/{{secret.A}}", "https://shop.test/{{args.a"]
    {
        put(url).await.blames(422, "invalid_value", "/tools/0/request/url");
    }
    assert!(put("https://shop.test/{{args.a}}").await.status < 300);
}

#[tokio::test]
async fn what_is_remembered_of_a_user_is_the_users() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let calls = Reply::text("")
        .tool_call("memory_set", r#"{"key":"likes/tea","value":{"kind":"green"}}"#)
        .tool_call("memory_get", r#"{"key":"likes/coffee"}"#)
        .tool_call("time", r#"{"timezone":"Europe/Berlin"}"#);
    let list = Reply::text("").tool_call("memory_list", r#"{"prefix":"likes/"}"#);
    let forget = Reply::text("").tool_call("memory_delete", r#"{"key":"likes/coffee"}"#);
    let lane = Lane::sequence([calls, list, forget, Reply::text("Noted.")]);
    let tools = json!([{"type": "builtin", "name": "memory"}, {"type": "builtin", "name": "time"}]);
    tenant.agent_with(&lane, json!({ "tools": tools })).await;
    alice.token.put("/v1/memory/likes%2Fcoffee", json!({"value": "black"})).await.ok(200);
    bob.token.put("/v1/memory/likes%2Fcoffee", json!({"value": "never"})).await.ok(200);
    let run = id(&alice.key.run("x").await);
    assert_eq!(alice.key.ended(&run).await["result"]["text"], "Noted.");
    let log = events(&read(&alice.key, &run, None).await);
    let outputs: Vec<Value> =
        log.iter().filter(|event| event["type"] == "tool.completed").map(|event| event["output"].clone()).collect();
    assert!(
        outputs.contains(&json!("black")) && outputs.contains(&json!({"keys": ["likes/coffee", "likes/tea"]})),
        "{outputs:?}"
    );
    assert!(outputs.iter().any(|output| output["weekday"].is_string()), "{outputs:?}");
    let left = alice.token.get("/v1/memory").await.ok(200);
    assert_eq!(left["data"].as_array().map(Vec::len), Some(1), "{left}");
    assert_eq!((&left["data"][0]["key"], &left["data"][0]["value"]), (&json!("likes/tea"), &json!({"kind": "green"})));
    assert_eq!(bob.token.get("/v1/memory/likes%2Fcoffee").await.ok(200)["value"], "never");
    tenant.api.get("/v1/memory").await.problem(400, "user_required");
    alice.token.get("/v1/memory/likes%2Fcoffee").await.problem(404, "not_found");
    alice.token.put("/v1/memory/a", json!({"value": "x".repeat(17_000)})).await.blames(422, "invalid_value", "/value");
    assert_eq!(alice.token.delete("/v1/memory/likes%2Ftea").await.status, 204);
    alice.token.delete("/v1/memory/likes%2Ftea").await.problem(404, "not_found");
    let long = alice.token.get("/v1/memory?limit=1").await.ok(200);
    assert_eq!(long["has_more"], false);
    for key in ["a", "b", "c"] {
        alice.token.put(&format!("/v1/memory/{key}"), json!({"value": key})).await.ok(200);
    }
    let first = alice.token.get("/v1/memory?limit=2").await.ok(200);
    let next = first["next_cursor"].as_str().expect("there is more");
    let rest = alice.token.get(&format!("/v1/memory?limit=2&after={next}")).await.ok(200);
    assert_eq!((&rest["data"][0]["key"], &rest["has_more"]), (&json!("c"), &json!(false)));
}

#[tokio::test]
async fn what_is_too_large_or_no_text_is_kept_whole() {
    const PNG: [u8; 9] = [0x89, b'P', b'N', b'G', 0, 0xff, 0, 1, 2];
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    tenant.api.put("/v1/secrets/SHOP", json!({"value": "canary-4711"})).await.ok(200);
    let large = format!("id,of\n{}said: canary-4711\n", "7,\"x\"\n".repeat(20_000));
    let said = large.clone();
    let server = ToolServer::start(move |asked: &ToolRequest| match asked.path.as_str() {
        "/large" => ToolAnswer { kind: "text/csv".into(), ..ToolAnswer::text(said.clone()) },
        "/picture" => ToolAnswer { status: 200, kind: "image/png".into(), body: PNG.to_vec() },
        "/small" => ToolAnswer::text("small"),
        _ => ToolAnswer::text("x".repeat(5 << 20)),
    });
    let names = ["large", "picture", "small", "endless"];
    let tools: Vec<Value> = names
        .iter()
        .map(|name| {
            let mut tool = get(&server, name, json!({"max_result_bytes": 2048}));
            tool["request"]["headers"] = json!({"x": "{{secret.SHOP}}"});
            tool
        })
        .collect();
    let calls = names.iter().fold(Reply::text(""), |reply, name| reply.tool_call(name, "{}"));
    let lane = Lane::sequence([calls.clone(), Reply::text("I see."), calls, Reply::text("I see.")]);
    let agent = tenant.agent_with(&lane, json!({ "tools": tools })).await;
    let run = id(&alice.key.run("x").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "I see.", "{ended}");
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let kept: Vec<&Value> = log.iter().filter(|event| event["type"] == "artifact").collect();
    assert_eq!(kept.len(), 2, "what fits is shown, and what is larger than can be kept is not: {kept:?}");
    let of = |kind: &str| *kept.iter().find(|event| event["media_type"] == kind).expect("it is kept");
    let done = |artifact: &Value| {
        let done = log.iter().find(|event| event["type"] == "tool.completed" && event["artifact"] == *artifact);
        done.expect("its call names it").clone()
    };
    let hidden = large.replace("canary-4711", "[secret]");
    for (kind, content) in [("text/csv", hidden.as_bytes()), ("image/png", &PNG)] {
        let event = of(kind);
        assert_eq!(event["size_bytes"], content.len(), "{event}");
        assert_eq!(done(&event["artifact"])["call"], event["call"]);
        let path = format!("/v1/artifacts/{}", event["artifact"].as_str().expect("an id"));
        let found = alice.token.get(&path).await.ok(200);
        assert_eq!(
            (&found["object"], &found["user"], &found["run"], &found["call"], &found["media_type"]),
            (&json!("artifact"), &json!(alice.id), &json!(run), &event["call"], &json!(kind))
        );
        let whole = alice.token.get(&format!("{path}/content")).await;
        assert_eq!((whole.status, &whole.bytes[..]), (200, content));
        let header = |name: &str| whole.header(name).unwrap_or_default();
        assert_eq!((header("content-type"), header("x-content-type-options")), (kind, "nosniff"));
        assert!(header("content-disposition").starts_with("attachment"), "{:?}", whole.headers);
        assert_eq!(header("content-length"), content.len().to_string());
        let part = alice.token.with("range", "bytes=3-6").get(&format!("{path}/content")).await;
        assert_eq!((part.status, &part.bytes[..]), (206, &content[3..7]));
        let beyond = alice.token.with("range", "bytes=9999999-").get(&format!("{path}/content")).await;
        beyond.problem(416, "range_not_satisfiable");
        for other in [&bob.token, &bob.key] {
            other.get(&path).await.problem(404, "not_found");
            other.get(&format!("{path}/content")).await.problem(404, "not_found");
        }
    }
    let excerpt = &done(&of("text/csv")["artifact"])["output"];
    assert_eq!((&excerpt["cut"], &excerpt["size_bytes"]), (&json!(true), &json!(large.len())));
    assert!(excerpt.to_string().len() <= 2048);
    let path = format!("/v1/threads/{}/messages?role=tool", ended["thread"].as_str().expect("an id"));
    let named = alice.key.get(&path).await.ok(200)["data"][0]["content"].clone();
    let named: Vec<&Value> = named.as_array().expect("parts").iter().map(|part| &part["artifact"]).collect();
    assert_eq!(named, [&of("text/csv")["artifact"], &of("image/png")["artifact"], &Value::Null, &Value::Null]);
    // Where users do not see what tools answer, they do not see this either.
    let hide = json!({"user_visibility": {"tool_output": false}});
    tenant.api.patch(&format!("/v1/agents/{}", id(&agent)), hide).await.ok(200);
    let run = id(&alice.key.run("x").await);
    alice.key.ended(&run).await;
    let all = events(&read(&tenant.api, &run, None).await);
    let kept = all.iter().find(|event| event["type"] == "artifact").expect("it is kept");
    let path = format!("/v1/artifacts/{}", kept["artifact"].as_str().expect("an id"));
    tenant.api.get(&path).await.ok(200);
    alice.token.get(&path).await.problem(404, "not_found");
    alice.token.get(&format!("{path}/content")).await.problem(404, "not_found");
    let shown = events(&read(&alice.token, &run, None).await);
    assert!(shown.iter().all(|event| event["type"] != "artifact" && event["artifact"].is_null()), "{shown:?}");
    // Gone with its thread.
    let thread = tenant.api.get(&format!("/v1/runs/{run}")).await.ok(200)["thread"].clone();
    alice.key.delete(&format!("/v1/threads/{}", thread.as_str().expect("an id"))).await.ok(204);
    tenant.api.get(&path).await.problem(404, "not_found");
}
