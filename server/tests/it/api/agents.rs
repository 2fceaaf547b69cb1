//! Versions, ETags, upserts and archives.

use headwater_testkit::model::Reply;
use serde_json::json;

use crate::support::tenant::id;
use crate::support::{Lane, Site};

#[tokio::test]
async fn a_put_without_change_makes_no_version() {
    let tenant = Site::shared().await.tenant().await;
    let api = &tenant.api;
    let config = json!({"model": "fake/x", "instructions": "Help.", "metadata": {"k": "v"}});
    let made = api.put("/v1/agents/helper", config.clone()).await;
    let agent = made.ok(201);
    assert_eq!(made.header("location"), Some(format!("/v1/agents/{}", id(&agent)).as_str()));
    assert_eq!(made.header("etag"), Some("\"1\""));
    let same = api.put("/v1/agents/helper", config.clone()).await;
    assert_eq!(same.header("etag"), Some("\"1\""));
    assert_eq!(same.ok(200)["version"], 1);
    // Defaults spelled out are no change either.
    let mut spelled = config.clone();
    spelled["name"] = "helper".into();
    spelled["truncation"] = "auto".into();
    spelled["stop"] = json!([]);
    assert_eq!(api.put("/v1/agents/helper", spelled).await.ok(200)["version"], 1);
    let mut other = config;
    other["instructions"] = "Help more.".into();
    let changed = api.put("/v1/agents/helper", other).await;
    assert_eq!(changed.header("etag"), Some("\"2\""));
    assert_eq!((&changed.ok(200)["version"], id(&changed.json())), (&json!(2), id(&agent)));
    // What is left out goes back to its default.
    let bare = api.put("/v1/agents/helper", json!({"model": "fake/x"})).await.ok(200);
    assert_eq!((&bare["instructions"], &bare["metadata"]), (&json!(null), &json!({})));
    api.put("/v1/agents/helper", json!({"model": "fake/x", "name": "another"})).await.blames(
        422,
        "invalid_value",
        "/name",
    );
    api.put("/v1/agents/Bad%20Name", json!({"model": "fake/x"})).await.problem(422, "invalid_value");
    let taken =
        api.post("/v1/agents", json!({"name": "helper", "model": "fake/x"})).await.problem(409, "already_exists");
    assert_eq!(taken["existing"], id(&agent));
}

#[tokio::test]
async fn versions_are_kept_and_matched() {
    let tenant = Site::shared().await.tenant().await;
    let api = &tenant.api;
    let path =
        format!("/v1/agents/{}", id(&api.post("/v1/agents", json!({"name": "a", "model": "fake/x"})).await.ok(201)));
    assert_eq!(api.get(&path).await.header("etag"), Some("\"1\""));
    let second = api.with("if-match", "\"1\"").patch(&path, json!({"temperature": 0.5})).await;
    assert_eq!((&second.ok(200)["active_version"], second.header("etag")), (&json!(2), Some("\"2\"")));
    for (etag, body) in [("\"1\"", json!({"temperature": 1.0})), ("\"7\"", json!({"metadata": {"a": "b"}}))] {
        let problem = api.with("if-match", etag).patch(&path, body).await.problem(412, "version_conflict");
        assert_eq!(problem["current"], 2);
    }
    api.with("if-match", "\"1\"")
        .put("/v1/agents/a", json!({"model": "fake/y"}))
        .await
        .problem(412, "version_conflict");
    api.with("if-match", "nonsense").patch(&path, json!({})).await.problem(400, "invalid_request");
    api.with("if-match", "*").patch(&path, json!({"description": "d"})).await.ok(200);
    // Metadata is not configuration.
    assert_eq!(api.patch(&path, json!({"metadata": {"a": "b"}})).await.ok(200)["version"], 3);
    let waiting = api.patch(&path, json!({"instructions": "new", "activate": false})).await.ok(200);
    assert_eq!(waiting["active_version"], 3, "made, not used: {waiting}");
    assert_eq!(api.get(&path).await.ok(200)["instructions"], json!(null));
    assert_eq!(api.get(&format!("{path}/versions/4")).await.ok(200)["instructions"], "new");
    assert_eq!(api.patch(&path, json!({"active_version": 4})).await.ok(200)["instructions"], "new");
    assert_eq!(api.patch(&path, json!({"active_version": 1})).await.ok(200)["temperature"], json!(null));
    api.patch(&path, json!({"active_version": 9})).await.blames(422, "invalid_value", "/active_version");
    for version in ["0", "9", "x", "-1"] {
        api.get(&format!("{path}/versions/{version}")).await.problem(404, "not_found");
    }
    assert_eq!(api.get(&format!("{path}/versions/2")).await.ok(200)["temperature"], 0.5, "immutable");
}

#[tokio::test]
async fn an_archive_frees_the_name_and_ends_new_runs() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, lane) = (tenant.user("alice").await, Lane::always(Reply::text("Hello.")));
    let first = id(&tenant.agent(&lane).await);
    let run = id(&alice.key.run("x").await);
    alice.key.ended(&run).await;
    tenant.api.delete("/v1/agents/assistant").await.ok(204);
    tenant.api.delete("/v1/agents/assistant").await.problem(404, "not_found");
    tenant.api.delete(&format!("/v1/agents/{first}")).await.problem(404, "not_found");
    for agent in ["assistant", &first] {
        let refused = alice.key.post("/v1/runs", json!({"agent": agent, "input": "x"})).await;
        refused.problem(404, "agent_not_found");
    }
    let archived = tenant.api.get(&format!("/v1/agents/{first}")).await.ok(200);
    assert!(archived["archived_at"].is_string(), "{archived}");
    let second = id(&tenant.agent(&lane).await);
    assert_ne!(first, second, "the name was free");
    alice.key.ended(&id(&alice.key.run("x").await)).await;
    assert_eq!(alice.key.get(&format!("/v1/runs/{run}")).await.ok(200)["agent"], first, "history stays");
    let ids = |page: serde_json::Value| page["data"].as_array().expect("a list").iter().map(id).collect::<Vec<_>>();
    assert_eq!(ids(tenant.api.get("/v1/agents").await.ok(200)), [second]);
    assert_eq!(ids(tenant.api.get("/v1/agents?archived=true").await.ok(200)), [first]);
}

#[tokio::test]
async fn settings_are_bounded_and_what_is_not_built_is_refused() {
    let tenant = Site::shared().await.tenant().await;
    for (config, param) in [
        (json!({"temperature": 3}), "/temperature"),
        (json!({"top_p": 0}), "/top_p"),
        (json!({"max_output_tokens": 0}), "/max_output_tokens"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), "/stop"),
        (json!({"instructions": "x".repeat(65_537)}), "/instructions"),
        (json!({"limits": {"max_steps": 257}}), "/limits/max_steps"),
        (json!({"timeouts": {"idle_ms": 0}}), "/timeouts/idle_ms"),
        (json!({"truncation": "sometimes"}), "/truncation"),
        (json!({"user_overrides": ["timeouts"]}), "/user_overrides/0"),
        (json!({"tools": [{"type": "builtin", "name": "search"}]}), "/tools/0"),
        (json!({"tools": [{"type": "agent", "name": "writer", "agent": ""}]}), "/tools/0/agent"),
        (
            json!({"tools": [{"type": "agent", "name": "writer", "agent": "writer", "max_depth": 9}]}),
            "/tools/0/max_depth",
        ),
        (json!({"tools": [{"type": "wasm", "name": "parse", "module": "mod_1"}]}), "/tools/0/type"),
        (json!({"run_budget": {"limit": {"usd": "-1"}}}), "/run_budget/limit"),
    ] {
        let mut config = config;
        config["model"] = "fake/x".into();
        tenant.api.put("/v1/agents/a", config).await.blames(422, "invalid_value", param);
    }
    for model in ["nowhere/x", "fake/", "x"] {
        let answer = tenant.api.put("/v1/agents/a", json!({"model": model})).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        let code = answer.json()["code"].as_str().expect("a code").to_owned();
        assert!(code == "model_not_found" || code == "invalid_value", "{model}: {code}");
    }
}
