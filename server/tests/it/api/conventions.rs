//! Errors, the order of checks, and what may be written.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::tenant::id;
use crate::support::{Lane, Site};

const UNKNOWN: &str = "thr_0193a4b2-0000-7000-8000-000000000000";

#[tokio::test]
async fn an_unknown_field_is_named() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (key, own) = (&tenant.api, &alice.key);
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let thread = format!("/v1/threads/{}", id(&own.post("/v1/threads", json!({})).await.ok(201)));
    let run = format!("/v1/runs/{}", id(&own.run("Hi").await));
    let operator = site.operator();
    let cases = [
        (&operator, "POST", "/v1/tenants".to_owned(), json!({"name": "x"})),
        (&operator, "PATCH", format!("/v1/tenants/{}", tenant.id), json!({})),
        (&operator, "POST", format!("/v1/tenants/{}/keys", tenant.id), json!({"name": "x"})),
        (key, "PATCH", "/v1/tenant".to_owned(), json!({})),
        (key, "POST", "/v1/users".to_owned(), json!({})),
        (key, "PATCH", "/v1/users/alice".to_owned(), json!({})),
        (key, "POST", "/v1/user_tokens".to_owned(), json!({"user": "alice"})),
        (key, "POST", "/v1/agents".to_owned(), json!({"name": "x", "model": "fake/x"})),
        (key, "PUT", "/v1/agents/x".to_owned(), json!({"model": "fake/x"})),
        (key, "PATCH", "/v1/agents/assistant".to_owned(), json!({})),
        (own, "POST", "/v1/threads".to_owned(), json!({})),
        (own, "PATCH", thread.clone(), json!({})),
        (own, "POST", format!("{thread}/messages"), json!({"role": "user", "content": "x"})),
        (own, "POST", format!("{thread}/runs"), json!({"agent": "assistant", "input": "x"})),
        (own, "POST", "/v1/runs".to_owned(), json!({"agent": "assistant", "input": "x"})),
        (own, "POST", format!("{run}/cancel"), json!({})),
        (own, "POST", format!("{run}/tickets"), json!({})),
    ];
    for (api, method, path, mut body) in cases {
        body["mistyped"] = json!(true);
        api.send(method, &path, &body).await.blames(422, "unknown_field", "/mistyped");
    }
    let nested = json!({"model": "fake/x", "limits": {"max_stepps": 3}});
    key.put("/v1/agents/x", nested).await.blames(422, "unknown_field", "/limits/max_stepps");
    // Also where the kind of a thing has no fields of its own.
    let of_text = json!({"model": "fake/x", "response_format": {"type": "text", "schema": {}}});
    key.put("/v1/agents/x", of_text).await.blames(422, "unknown_field", "/response_format");
    let of_none = json!({"name": "x", "url": "https://mcp.test/", "auth": {"type": "none", "secret": "X"}});
    key.post("/v1/mcp_servers", of_none).await.blames(422, "unknown_field", "/auth");
    for path in ["/v1/threads?lmit=3", "/v1/runs?mistyped=1", "/v1/usage?form=2026-01-01"] {
        let problem = own.get(path).await.problem(400, "invalid_request");
        assert!(problem["errors"][0]["param"].as_str().expect("a param").starts_with("query:"), "{problem}");
    }
}

#[tokio::test]
async fn bad_json_says_where() {
    let alice = Site::shared().await.tenant().await.user("alice").await;
    let json = Some("application/json");
    let problem = alice.key.raw("POST", "/v1/threads", json, "{\n  \"title\": ,\n}").await.problem(400, "invalid_json");
    assert_eq!((&problem["line"], &problem["column"]), (&json!(2), &json!(12)));
    for body in ["{", "[1,2", "{\"title\":\"a\",\"title\":\"b\"}", "\u{feff}{}", "{} {}"] {
        alice.key.raw("POST", "/v1/threads", json, body).await.problem(400, "invalid_json");
    }
    alice.key.raw("POST", "/v1/threads", json, b"{\"title\":\"\xff\"}".to_vec()).await.problem(400, "invalid_json");
    for body in ["[]", "\"x\"", "null", "3"] {
        alice.key.raw("POST", "/v1/threads", json, body).await.problem(422, "invalid_value");
    }
    alice.key.post("/v1/threads", json!({"title": "a\u{0}b"})).await.blames(422, "invalid_value", "/title");
    let wrong = alice.key.post("/v1/runs", json!({"agent": 7, "input": "x"})).await;
    wrong.blames(422, "invalid_value", "/agent");
    alice.key.post("/v1/runs", json!({"input": "x"})).await.blames(422, "invalid_value", "/agent");
}

#[tokio::test]
async fn checks_come_in_their_order() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (own, kind) = (&alice.key, Some("application/json"));
    let big = format!("{{\"title\":\"{}\"}}", "x".repeat(1_100_000));
    // A body that is not read to its end takes its connection with it: each request here has its own.
    let own = &own.with("connection", "close");
    // A foreign id is 404 whatever the body.
    for (path, method) in [
        (format!("/v1/threads/{UNKNOWN}"), "PATCH"),
        (format!("/v1/threads/{UNKNOWN}/messages"), "POST"),
        (format!("/v1/threads/{UNKNOWN}/runs"), "POST"),
        ("/v1/runs/run_x/cancel".to_owned(), "POST"),
        ("/v1/runs/run_x/tickets".to_owned(), "POST"),
    ] {
        for body in ["not json", "{\"mistyped\":1}", &big] {
            own.raw(method, &path, kind, body.to_owned()).await.problem(404, "not_found");
        }
        own.raw(method, &path, Some("text/plain"), "x").await.problem(404, "not_found");
    }
    let key = tenant.api.with("connection", "close");
    for body in ["not json", &big] {
        key.raw("PATCH", "/v1/users/nobody", kind, body.to_owned()).await.problem(404, "not_found");
        key.raw("PATCH", "/v1/agents/nobody", kind, body.to_owned()).await.problem(404, "not_found");
    }
    // The credential before all, then kind and scope, then the object.
    let anybody = Site::shared().await.anybody();
    anybody.raw("PATCH", &format!("/v1/threads/{UNKNOWN}"), kind, "not json").await.problem(401, "unauthenticated");
    let reader = tenant.token("alice", json!({"scopes": ["threads:read"]})).await;
    reader.raw("PATCH", &format!("/v1/threads/{UNKNOWN}"), kind, "not json").await.problem(403, "forbidden");
    alice.token.raw("PATCH", "/v1/users/nobody", kind, "not json").await.problem(403, "forbidden");
    // The body before the state.
    let thread = id(&own.post("/v1/threads", json!({"external_id": "taken"})).await.ok(201));
    own.post("/v1/threads", json!({"external_id": "taken", "mistyped": 1})).await.problem(422, "unknown_field");
    let taken = own.post("/v1/threads", json!({"external_id": "taken"})).await.problem(409, "already_exists");
    assert_eq!(taken["existing"], thread);
}

#[tokio::test]
async fn sizes_kinds_methods_and_paths() {
    let alice = Site::shared().await.tenant().await.user("alice").await;
    let (own, json) = (&alice.key, Some("application/json"));
    let of = |bytes: usize| format!("{{\"title\":\"{}\"}}", "x".repeat(bytes - 12));
    let once = own.with("connection", "close");
    let problem = once.raw("POST", "/v1/threads", json, of(1_048_577)).await.problem(413, "body_too_large");
    assert_eq!(problem["max_bytes"], 1_048_576);
    own.raw("POST", "/v1/threads", json, of(1_048_576)).await.blames(422, "invalid_value", "/title");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"] {
        own.raw("POST", "/v1/threads", Some(kind), "{}").await.problem(415, "unsupported_media_type");
    }
    own.raw("POST", "/v1/threads", None, "{\"title\":\"x\"}").await.problem(415, "unsupported_media_type");
    own.with("content-encoding", "gzip").post("/v1/threads", json!({})).await.problem(415, "unsupported_media_type");
    // A run is JSON or a stream; what is malformed in a path does not exist.
    let run = json!({"agent": "nobody", "input": "x"});
    own.with("accept", "application/xml").post("/v1/runs", run.clone()).await.problem(406, "not_acceptable");
    own.with("accept", "text/html, */*;q=0.1").post("/v1/runs", run).await.problem(404, "agent_not_found");
    own.get("/v1/runs/%ff%fe").await.problem(404, "not_found");
    // No body is an empty one; a merge patch has a kind of its own.
    let thread = id(&own.raw("POST", "/v1/threads", None, "").await.ok(201));
    let path = format!("/v1/threads/{thread}");
    own.raw("PATCH", &path, Some("application/merge-patch+json"), "{\"title\":\"t\"}").await.ok(200);
    for (method, path) in [("DELETE", "/v1/threads"), ("PUT", "/v1/runs"), ("POST", "/v1/me"), ("PATCH", "/healthz")] {
        let answer = own.raw(method, path, None, "").await;
        answer.problem(405, "method_not_allowed");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{:?}", answer.header("allow"));
    }
    for path in ["/v1", "/v1/", "/v1/nothing", "/v2/threads", "/v1/threads/", "/v1/threads/x/y/z", "/%ff"] {
        own.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn metadata_external_ids_and_names_are_bounded() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let many: serde_json::Map<String, Value> = (0..17).map(|i| (format!("k{i}"), "v".into())).collect();
    let most: serde_json::Map<String, Value> = (0..16).map(|i| (format!("k{i:063}"), "é".repeat(512).into())).collect();
    let bad: Vec<(Value, &str)> = vec![
        (json!({"metadata": many}), "/metadata"),
        (json!({"metadata": {"k": "x".repeat(513)}}), "/metadata/k"),
        (json!({"metadata": {"k": 3}}), "/metadata/k"),
        (json!({"metadata": {"": "v"}}), "/metadata/"),
        (json!({"metadata": []}), "/metadata"),
        (json!({"external_id": ""}), "/external_id"),
        (json!({"external_id": "run_x"}), "/external_id"),
        (json!({"external_id": "a b"}), "/external_id"),
        (json!({"external_id": "x".repeat(129)}), "/external_id"),
    ];
    for (body, param) in bad {
        alice.key.post("/v1/threads", body.clone()).await.blames(422, "invalid_value", param);
        tenant.api.post("/v1/users", body.clone()).await.blames(422, "invalid_value", param);
        let mut run = body;
        run["agent"] = "assistant".into();
        run["input"] = "x".into();
        alice.key.post("/v1/runs", run).await.blames(422, "invalid_value", param);
    }
    let good = json!({"metadata": most, "external_id": "A-z.0_9:@+|-".to_owned() + &"x".repeat(116)});
    let thread = alice.key.post("/v1/threads", good.clone()).await.ok(201);
    assert_eq!((&thread["metadata"], &thread["external_id"]), (&good["metadata"], &good["external_id"]));
    let text = "x".repeat(262_145);
    let long = json!({"agent": "assistant", "input": text});
    alice.key.post("/v1/runs", long).await.problem(422, "invalid_value");
    let input = json!({"agent": "assistant", "input": ""});
    alice.key.post("/v1/runs", input).await.problem(422, "invalid_value");
}

#[tokio::test]
async fn a_patch_is_a_merge_patch() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let made = json!({"title": "t", "external_id": "e", "metadata": {"a": "1", "b": "2"}});
    let thread = alice.key.post("/v1/threads", made).await.ok(201);
    let path = format!("/v1/threads/{}", id(&thread));
    let same = alice.key.patch(&path, json!({})).await.ok(200);
    assert_eq!((&same["title"], &same["external_id"]), (&json!("t"), &json!("e")));
    let merged = alice.key.patch(&path, json!({"title": null, "metadata": {"a": null, "c": "3"}})).await.ok(200);
    assert_eq!((&merged["title"], &merged["external_id"]), (&Value::Null, &json!("e")));
    assert_eq!(merged["metadata"], json!({"b": "2", "c": "3"}));
    let cleared = alice.key.patch(&path, json!({"metadata": null})).await.ok(200);
    assert_eq!(cleared["metadata"], json!({}));
    alice.key.patch(&path, json!([])).await.problem(422, "invalid_value");
    assert!(cleared["updated_at"].as_str() > thread["updated_at"].as_str());
    // Lists are replaced whole.
    let origins = |list: &[&str]| json!({"allowed_origins": list});
    tenant.api.patch("/v1/tenant", origins(&["https://a.test", "https://b.test"])).await.ok(200);
    let one = tenant.api.patch("/v1/tenant", origins(&["https://c.test"])).await.ok(200);
    assert_eq!(one["allowed_origins"], json!(["https://c.test"]));
    for origin in ["c.test", "https://c.test/", "https://C.test", "*"] {
        tenant.api.patch("/v1/tenant", origins(&[origin])).await.blames(422, "invalid_value", "/allowed_origins/0");
    }
    // What is the operator's stays the operator's.
    tenant.api.patch("/v1/tenant", json!({"status": "suspended"})).await.blames(422, "invalid_value", "/status");
    tenant.api.patch("/v1/tenant", json!({"plan": "gold"})).await.problem(422, "invalid_value");
    let user = tenant.api.patch("/v1/users/alice", json!({"name": "Alice", "metadata": {"a": "1"}})).await.ok(200);
    assert_eq!((&user["name"], &user["external_id"]), (&json!("Alice"), &json!("alice")));
    // Deleted is gone, again as well.
    alice.key.delete(&path).await.ok(204);
    alice.key.delete(&path).await.problem(404, "not_found");
    alice.key.get(&path).await.problem(404, "not_found");
}
