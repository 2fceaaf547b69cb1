//! Tools of MCP servers.

use std::sync::{Arc, Mutex};

use headwater_testkit::ToolServer;
use headwater_testkit::model::Reply;
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use serde_json::{Value, json};

use crate::support::mcp::{calls_of, server};
use crate::support::sse::{assert_dense, events, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site, eventually};

fn tools() -> Value {
    let any = json!({"type": "object", "properties": {"q": {"type": "string"}, "index": {"type": "string"}}, "required": ["q", "index"]});
    json!([
        {"name": "search", "description": "Searches.", "inputSchema": any, "annotations": {"readOnlyHint": true}},
        {"name": "kb.write", "inputSchema": {"type": "object"}, "annotations": {"idempotentHint": true}},
        {"name": "secret", "inputSchema": {"type": "object"}},
        {"name": "endless", "inputSchema": {"type": "object", "properties": {"a": {"$ref": "#"}}}},
        {"name": "remote", "inputSchema": {"type": "object", "$ref": "http://127.0.0.1:1/x"}},
    ])
}

#[tokio::test]
async fn a_servers_tools_are_listed_and_called() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let there = server(&tools(), Some("canary-99"), |params| match params["name"].as_str().unwrap_or_default() {
        "search" => json!({"content": [{"type": "text", "text": "found"}], "structuredContent": {"hits": [1, 2]}}),
        "kb.write" => json!({"content": [{"type": "text", "text": "disk full"}], "isError": true}),
        _ => {
            json!({"content": [{"type": "text", "text": "a"}, {"type": "image", "data": "AAAA", "mimeType": "image/png"}]})
        }
    });
    let params = json!({"name": "kb", "url": format!("{}/mcp", there.url), "auth": {"type": "bearer", "secret": "KB"}});
    let unknown = tenant.api.post("/v1/mcp_servers", params.clone()).await.ok(201);
    assert_eq!((&unknown["status"], &unknown["object"]), (&json!("unreachable"), &json!("mcp_server")), "{unknown}");
    assert!(unknown["error"]["detail"].as_str().is_some_and(|words| words.contains("no secret KB")), "{unknown}");
    tenant.api.post("/v1/mcp_servers", params).await.problem(409, "already_exists");
    tenant.api.put("/v1/secrets/KB", json!({"value": "wrong"})).await.ok(200);
    let denied = tenant.api.post("/v1/mcp_servers/kb/refresh", json!({})).await.ok(200);
    assert_eq!(denied["status"], "auth_failed", "{denied}");
    tenant.api.put("/v1/secrets/KB", json!({"value": "canary-99"})).await.ok(200);
    let good = tenant.api.post("/v1/mcp_servers/kb/refresh", json!({})).await.ok(200);
    assert_eq!((&good["status"], &good["error"]), (&json!("ok"), &json!(null)), "{good}");
    assert!(good["tools_fetched_at"].is_string() && good["protocol_version"].is_string(), "{good}");
    let listed = tenant.api.get("/v1/mcp_servers/kb/tools").await.ok(200);
    let told: Vec<_> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|tool| (tool["name"].as_str().expect("a name"), tool["suggested_effect"].as_str().expect("an effect")))
        .collect();
    assert_eq!(
        told,
        [("search", "read"), ("kb.write", "idempotent"), ("secret", "side_effect")],
        "and none with a bad schema"
    );

    let configured = json!({"type": "mcp", "server": "kb", "allowed_tools": ["search", "kb.write"],
        "overrides": {"search": {"rename": "kb_search", "effect": "read", "defaults": {"index": "docs"}},
                      "kb.write": {"effect": "idempotent"}}});
    let call = Reply::text("")
        .tool_call("kb_search", r#"{"q":"refund","index":"other"}"#)
        .tool_call("kb_write", "{}")
        .tool_call("secret", "{}");
    let lane = Lane::sequence([call, Reply::text("Done.")]);
    tenant.agent_with(&lane, json!({"tools": [configured]})).await;
    let run = id(&alice.key.run("x").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "Done.", "{ended}");
    let first = lane.requests().remove(0);
    let offered = first.body["tools"].as_array().expect("tools");
    let names: Vec<_> = offered.iter().map(|tool| tool["function"]["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["kb_search", "kb_write"]);
    assert_eq!(offered[0]["function"]["parameters"]["required"], json!(["q"]));
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let done = log.iter().find(|event| event["type"] == "tool.completed").expect("one is");
    assert_eq!(done["output"], json!({"hits": [1, 2]}));
    let mut codes: Vec<_> = log
        .iter()
        .filter(|event| event["type"] == "tool.failed")
        .map(|event| event["error"]["code"].as_str().expect("a code"))
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, ["tool_error", "tool_not_found"]);
    let made = calls_of(&there);
    let of =
        |name: &str| made.iter().find(|call| call["params"]["name"] == name).expect("it is made")["params"].clone();
    assert_eq!(of("search")["arguments"], json!({"q": "refund", "index": "docs"}));
    assert_eq!(of("search")["_meta"]["headwater/call"], done["call"]);
    assert!(of("search")["_meta"]["headwater/idempotency_key"].is_null());
    assert_eq!(of("kb.write")["_meta"]["headwater/idempotency_key"], of("kb.write")["_meta"]["headwater/call"]);
    let kinds: Vec<_> =
        log.iter().filter(|event| event["type"] == "tool.started").map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, [json!("mcp"), json!("mcp"), json!(null)]);
    // An agent that names it keeps it.
    tenant.api.delete("/v1/mcp_servers/kb").await.problem(409, "in_use");
    tenant.api.patch("/v1/agents/assistant", json!({"tools": []})).await.ok(200);
    assert_eq!(tenant.api.delete("/v1/mcp_servers/kb").await.status, 204);
    tenant.api.get("/v1/mcp_servers/kb").await.problem(404, "not_found");
}

#[tokio::test]
async fn pictures_are_artifacts_and_words_are_cut_without_secrets() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let there = server(&tools(), Some("canary-99"), |params| match params["name"].as_str().unwrap_or_default() {
        "search" => json!({"content": [{"type": "text", "text": "Here it is."},
            {"type": "image", "data": "aGVsbG8gcGljdHVyZQ==", "mimeType": "image/png"}]}),
        // No type that could stand in a header.
        "secret" => json!({"content": [{"type": "image", "data": "aGVsbG8=", "mimeType": "a\r\nb: c"}],
            "structuredContent": {"key": "it is canary-99"}}),
        // The end of what is told is in the middle of the secret.
        _ => {
            let words = format!("{}canary-99", "x".repeat(995));
            json!({"content": [{"type": "text", "text": words}], "isError": true})
        }
    });
    tenant.api.put("/v1/secrets/KB", json!({"value": "canary-99"})).await.ok(200);
    let params = json!({"name": "kb", "url": format!("{}/mcp", there.url), "auth": {"type": "bearer", "secret": "KB"}});
    tenant.api.post("/v1/mcp_servers", params).await.ok(201);
    let configured = json!({"type": "mcp", "server": "kb", "overrides": {"search": {"effect": "read"}}});
    let call = Reply::text("").tool_call("search", r#"{"q":"x","index":"y"}"#);
    let call = call.tool_call("kb_write", "{}").tool_call("secret", "{}");
    let lane = Lane::sequence([call, Reply::text("Done.")]);
    tenant.agent_with(&lane, json!({"tools": [configured]})).await;
    let run = id(&alice.key.run("x").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "Done.", "{ended}");
    let log = events(&read(&alice.key, &run, None).await);
    let call_of = |name: &str| {
        let started = log.iter().find(|event| event["type"] == "tool.started" && event["name"] == name);
        started.expect("it is called")["call"].clone()
    };
    let end_of = |name: &str| {
        let call = call_of(name);
        let ends = |event: &&Value| {
            event["call"] == call && (event["type"] == "tool.completed" || event["type"] == "tool.failed")
        };
        log.iter().find(ends).expect("it ends").clone()
    };
    let found = end_of("search");
    assert_eq!(found["output"][1]["media_type"], "image/png", "{found}");
    for (name, kind, content) in
        [("search", "image/png", "hello picture"), ("secret", "application/octet-stream", "hello")]
    {
        let artifact = end_of(name)["artifact"].as_str().expect("an artifact").to_owned();
        let kept = alice.key.get(&format!("/v1/artifacts/{artifact}/content")).await;
        assert_eq!(
            (kept.status, kept.header("content-type"), kept.text()),
            (200, Some(kind), content.into()),
            "{name}"
        );
    }
    assert_eq!(end_of("secret")["output"], json!({"key": "it is [secret]"}));
    let failed = end_of("kb_write");
    let told = failed["error"]["detail"].as_str().expect("words");
    assert!(told.starts_with("xxx") && !told.contains("cana"), "{told}");
}

#[tokio::test]
async fn a_server_that_misbehaves_is_its_tenants_trouble() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let there = server(
        &json!([{"name": "hang", "inputSchema": {"type": "object"}}, {"name": "huge", "inputSchema": {"type": "object"}},
                               {"name": "odd", "inputSchema": {"type": "object"}}]),
        None,
        move |params| match params["name"].as_str().unwrap_or_default() {
            "hang" => {
                let _ = released.lock().expect("nobody panics with it").recv();
                json!({"content": []})
            }
            "huge" => json!({"content": [{"type": "text", "text": "x".repeat(5 << 20)}]}),
            _ => json!("nothing like it"),
        },
    );
    let made = tenant.api.post("/v1/mcp_servers", json!({"name": "bad", "url": there.url})).await.ok(201);
    assert_eq!(made["status"], "ok", "{made}");
    let call = Reply::text("").tool_call("hang", "{}").tool_call("huge", "{}").tool_call("odd", "{}");
    let lane = Lane::sequence([call, Reply::text("I see.")]);
    let tools = json!([{"type": "mcp", "server": made["id"], "timeout_ms": 1000}]);
    tenant.agent_with(&lane, json!({ "tools": tools })).await;
    let run = id(&alice.key.run("x").await);
    assert_eq!(alice.key.ended(&run).await["result"]["text"], "I see.");
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let failed: Vec<_> = log.iter().filter(|event| event["type"] == "tool.failed").collect();
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert!(failed.iter().any(|event| event["error"]["code"] == "tool_timeout"), "{failed:?}");
    drop(release);
    for url in ["http://169.254.169.254/mcp", "http://10.0.0.1/", "ftp://kb.test/", "http://u:p@kb.test/"] {
        tenant.api.post("/v1/mcp_servers", json!({"name": "x", "url": url})).await.problem(422, "url_not_allowed");
    }
    let none = json!([{"type": "mcp", "server": "none"}]);
    let put = tenant.api.put("/v1/agents/other", json!({"model": lane.model(), "tools": none})).await;
    put.blames(422, "invalid_value", "/tools/0/server");
}

/// A run that is cancelled tells the server so.
#[tokio::test]
async fn a_cancel_is_passed_on() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let there = Arc::new(server(&json!([{"name": "hang", "inputSchema": {"type": "object"}}]), None, move |_| {
        let _ = released.lock().expect("nobody panics with it").recv();
        json!({"content": []})
    }));
    tenant.api.post("/v1/mcp_servers", json!({"name": "slow", "url": there.url})).await.ok(201);
    let lane = Lane::sequence([Reply::text("").tool_call("hang", "{}")]);
    tenant.agent_with(&lane, json!({"tools": [{"type": "mcp", "server": "slow"}]})).await;
    let run = id(&alice.key.run("x").await);
    eventually("it is called", || async { (!calls_of(&there).is_empty()).then_some(()) }).await;
    alice.key.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "cancelled");
    eventually("the server is told", || async {
        let told = there.requests().iter().any(|asked| asked.json()["method"] == "notifications/cancelled");
        told.then_some(())
    })
    .await;
    drop(release);
}

/// A token of an OAuth server, for the client's own credentials.
#[tokio::test]
async fn a_client_gets_its_own_token() {
    let tenant = Site::shared().await.tenant().await;
    let there = server(&tools(), Some("token-1"), |_| json!({"content": []}));
    let tokens = ToolServer::start(|asked: &ToolRequest| {
        let good = asked.body.contains("client_secret=hush%26") && asked.body.contains("grant_type=client_credentials");
        if good { ToolAnswer::json(&json!({"access_token": "token-1"})) } else { ToolAnswer::text("no").status(400) }
    });
    tenant.api.put("/v1/secrets/CLIENT", json!({"value": "hush&"})).await.ok(200);
    let auth = json!({"type": "oauth_client_credentials", "token_url": tokens.url, "client_id": "me", "secret": "CLIENT", "scope": "kb"});
    let made = tenant.api.post("/v1/mcp_servers", json!({"name": "kb", "url": there.url, "auth": auth})).await.ok(201);
    assert_eq!(made["status"], "ok", "{made}");
    assert!(tokens.requests()[0].body.contains("scope=kb"));
    let changed = tenant.api.patch("/v1/mcp_servers/kb", json!({"auth": null, "name": "kb2"})).await.ok(200);
    assert_eq!((&changed["auth"]["type"], &changed["status"]), (&json!("none"), &json!("auth_failed")), "{changed}");
    let listed = tenant.api.get("/v1/mcp_servers").await.ok(200);
    assert_eq!(listed["data"][0]["name"], "kb2");
}

/// The protocol's own reference server, with every tool of it called once in a run. `cargo xtask mcp` starts it and says
/// where; without that there is nothing to try.
#[tokio::test]
async fn every_tool_of_the_reference_server() {
    let Ok(url) = std::env::var("HEADWATER_TEST_MCP_URL") else {
        assert!(std::env::var_os("HEADWATER_TEST_REQUIRE_MCP").is_none(), "HEADWATER_TEST_MCP_URL is not set");
        return;
    };
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let made = tenant.api.post("/v1/mcp_servers", json!({"name": "everything", "url": url})).await.ok(201);
    assert_eq!(made["status"], "ok", "{made}");
    let listed = tenant.api.get("/v1/mcp_servers/everything/tools").await.ok(200);
    let args = |name: &str| match name {
        "echo" => json!({"message": "hello"}),
        "get-annotated-message" => json!({"messageType": "success", "includeImage": true}),
        "get-resource-links" => json!({"count": 2}),
        "get-resource-reference" => json!({"resourceType": "Text", "resourceId": 1}),
        "get-structured-content" => json!({"location": "New York"}),
        "get-sum" => json!({"a": 2, "b": 3}),
        "gzip-file-as-resource" => json!({"name": "hi.gz", "data": "data:text/plain,hi"}),
        "trigger-long-running-operation" => json!({"duration": 3, "steps": 3}),
        "simulate-research-query" => json!({"topic": "tea"}),
        _ => json!({}),
    };
    let names: Vec<String> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|tool| tool["name"].as_str().expect("a name").to_owned())
        .collect();
    assert!(names.len() >= 10, "{names:?}");
    let call = names.iter().fold(Reply::text(""), |reply, name| reply.tool_call(name, args(name).to_string()));
    let lane = Lane::sequence([call, Reply::text("All of them.")]);
    tenant.agent_with(&lane, json!({"tools": [{"type": "mcp", "server": "everything"}]})).await;
    let run = id(&alice.key.run("Call everything.").await);
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["result"]["text"], "All of them.", "{ended}");
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let mut went = std::collections::BTreeMap::new();
    for started in log.iter().filter(|event| event["type"] == "tool.started") {
        let end = log.iter().find(|event| {
            event["call"] == started["call"]
                && ["tool.completed", "tool.failed"].contains(&event["type"].as_str().expect("a type"))
        });
        went.insert(started["name"].as_str().expect("a name").to_owned(), end.expect("it ended").clone());
    }
    assert_eq!(went.len(), names.len());
    for (name, end) in &went {
        // It runs only as a task, which is another part of the protocol.
        let expected = if name == "simulate-research-query" { "tool.failed" } else { "tool.completed" };
        assert_eq!(end["type"], expected, "{name}: {end}");
    }
    assert_eq!(went["echo"]["output"], "Echo: hello");
    assert_eq!(went["get-structured-content"]["output"]["conditions"], "Cloudy");
    let told = log.iter().filter(|event| event["type"] == "tool.progress" && event["total"].is_number());
    assert!(told.count() >= 1, "the long one tells how far it is");
}
