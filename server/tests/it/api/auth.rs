//! Credentials: scopes, agents, expiry, and being switched off.

use headwater::auth::Tokens;
use headwater::keys::MasterKey;
use headwater_testkit::model::Reply;
use serde_json::json;

use crate::support::sse::Stream;
use crate::support::tenant::id;
use crate::support::{Api, Lane, MASTER_KEY, Site, Tenant, User, eventually};

/// A token as the server mints them, for as long as this.
fn mint(tenant: &Tenant, user: &User, ttl_ms: i64) -> String {
    let tokens = Tokens::new(&MasterKey::from_hex(MASTER_KEY).expect("a key"));
    let (tenant, user) = (tenant.id.parse().expect("an id"), user.id.parse().expect("an id"));
    tokens.mint(tenant, user, vec!["runs:read".into(), "threads:read".into()], None, ttl_ms).expect("signs").token
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let run = id(&alice.key.run("x").await);
    let thread = alice.key.ended(&run).await["thread"].as_str().expect("an id").to_owned();
    let all = ["threads:read", "threads:write", "runs:read", "runs:write", "usage:read", "agents:read"];
    let needs = [
        ("GET", "/v1/threads".to_owned(), json!(null), "threads:read"),
        ("GET", format!("/v1/threads/{thread}/messages"), json!(null), "threads:read"),
        ("POST", "/v1/threads".to_owned(), json!({}), "threads:write"),
        ("PATCH", format!("/v1/threads/{thread}"), json!({}), "threads:write"),
        ("GET", "/v1/runs".to_owned(), json!(null), "runs:read"),
        ("GET", format!("/v1/runs/{run}"), json!(null), "runs:read"),
        ("GET", format!("/v1/runs/{run}/events"), json!(null), "runs:read"),
        ("POST", "/v1/runs".to_owned(), json!({"agent": "assistant", "input": "x"}), "runs:write"),
        ("POST", format!("/v1/runs/{run}/cancel"), json!({}), "runs:write"),
        ("GET", "/v1/usage".to_owned(), json!(null), "usage:read"),
        ("GET", "/v1/agents".to_owned(), json!(null), "agents:read"),
        ("GET", "/v1/models".to_owned(), json!(null), "agents:read"),
    ];
    for scope in all {
        let token = tenant.token("alice", json!({"scopes": [scope]})).await;
        for (method, path, body, need) in &needs {
            let answer = match body.is_null() {
                true => token.get(path).await,
                false => token.send(method, path, body).await,
            };
            if *need == scope {
                assert!(answer.status < 300, "{scope}: {} {}", answer.asked, answer.text());
            } else {
                answer.problem(403, "forbidden");
            }
        }
    }
    for scopes in [json!(["*"]), json!(["users:read"]), json!(["agents:write"]), json!([])] {
        let body = json!({"user": "alice", "scopes": scopes});
        tenant.api.post("/v1/user_tokens", body).await.problem(422, "invalid_value");
    }
    for ttl_ms in [59_999, 3_600_001] {
        let body = json!({"user": "alice", "ttl_ms": ttl_ms});
        tenant.api.post("/v1/user_tokens", body).await.blames(422, "invalid_value", "/ttl_ms");
    }
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let keys = format!("/v1/tenants/{}/keys", tenant.id);
    let made =
        site.operator().post(&keys, json!({"name": "k", "scopes": ["threads:read", "tokens:write"]})).await.ok(201);
    let api = site.anybody().bearer(made["secret"].as_str().expect("a secret"));
    api.get("/v1/threads").await.ok(200);
    api.post("/v1/user_tokens", json!({"user": "alice"})).await.ok(201);
    api.get("/v1/users").await.problem(403, "forbidden");
    api.get("/v1/agents").await.problem(403, "forbidden");
    api.get("/v1/tenant").await.problem(403, "forbidden");
    let run = json!({"agent": "assistant", "input": "x"});
    api.with("headwater-user", "alice").post("/v1/runs", run).await.problem(403, "forbidden");
    let wrong = json!({"name": "k", "scopes": ["everything:read"]});
    site.operator().post(&keys, wrong).await.blames(422, "invalid_value", "/scopes/0");
    let past = json!({"name": "k", "expires_at": "2020-01-01T00:00:00Z"});
    let past = site.operator().post(&keys, past).await.ok(201);
    let past = site.anybody().bearer(past["secret"].as_str().expect("a secret"));
    past.get("/v1/me").await.problem(401, "token_expired");
}

#[tokio::test]
async fn a_token_runs_the_agents_it_names_and_sets_what_they_allow() {
    let tenant = Site::shared().await.tenant().await;
    let lane = Lane::always(Reply::text("Hello."));
    let alice = tenant.user("alice").await;
    tenant.agent_with(&lane, json!({"user_overrides": ["temperature", "limits"]})).await;
    tenant.api.put("/v1/agents/other", json!({"model": lane.model()})).await.ok(201);
    let only = tenant.token("alice", json!({"agents": ["assistant"]})).await;
    only.run("x").await;
    only.post("/v1/runs", json!({"agent": "other", "input": "x"})).await.problem(404, "agent_not_found");
    let run = |more: serde_json::Value| {
        let mut body = json!({"agent": "assistant", "input": "x"});
        for (name, value) in more.as_object().expect("fields") {
            body[name] = value.clone();
        }
        body
    };
    for field in [json!({"model": lane.model()}), json!({"instructions": "Obey."}), json!({"max_output_tokens": 5})] {
        let name = field.as_object().and_then(|field| field.keys().next()).expect("a name").clone();
        let problem = alice.token.post("/v1/runs", run(field.clone())).await.problem(403, "override_not_allowed");
        assert_eq!(problem["param"], format!("/{name}"));
        alice.key.post("/v1/runs", run(field)).await.ok(201);
    }
    alice.token.post("/v1/runs", run(json!({"temperature": 0.1}))).await.ok(201);
    alice.token.post("/v1/runs", run(json!({"limits": {"max_steps": 2}}))).await.ok(201);
    let more = run(json!({"limits": {"max_steps": 200}}));
    alice.token.post("/v1/runs", more).await.problem(403, "override_not_allowed");
}

#[tokio::test]
async fn who_is_calling() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let me = tenant.api.get("/v1/me").await.ok(200);
    assert_eq!((&me["kind"], &me["user"], &me["key"]), (&json!("tenant"), &json!(null), &json!(tenant.key_id)));
    let me = alice.key.get("/v1/me").await.ok(200);
    assert_eq!((&me["kind"], &me["user"], &me["scopes"]), (&json!("user"), &json!(alice.id), &json!(["*"])));
    let me = alice.token.get("/v1/me").await.ok(200);
    assert_eq!((&me["user"], &me["key"], &me["tenant"]), (&json!(alice.id), &json!(null), &json!(tenant.id)));
    // A user header beside a token names its subject or nobody.
    for same in ["alice", &alice.id] {
        alice.token.with("headwater-user", same).get("/v1/me").await.ok(200);
    }
    for other in ["bob", &bob.id, "nobody"] {
        alice.token.with("headwater-user", other).get("/v1/me").await.problem(403, "forbidden");
    }
    tenant.api.post("/v1/threads", json!({})).await.problem(400, "user_required");
    // Reading makes no user, writing does.
    let carol = tenant.api.with("headwater-user", "carol");
    carol.get("/v1/threads").await.ok(200);
    tenant.api.get("/v1/users/carol").await.problem(404, "not_found");
    carol.post("/v1/threads", json!({})).await.ok(201);
    tenant.api.get("/v1/users/carol").await.ok(200);
    for bad in ["a b", "", "ä", "run_x"] {
        tenant.api.with("headwater-user", bad).get("/v1/me").await.problem(400, "invalid_request");
    }
    let missing = "usr_0193a4b2-0000-7000-8000-000000000000";
    tenant.api.with("headwater-user", missing).get("/v1/me").await.problem(404, "not_found");
}

#[tokio::test]
async fn expired_and_forged_tokens() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let with = |token: &str| tenant.api.bearer(token);
    with(&mint(&tenant, &alice, 60_000)).get("/v1/threads").await.ok(200);
    with(&mint(&tenant, &alice, -5_000)).get("/v1/threads").await.problem(401, "token_expired");
    let good = mint(&tenant, &alice, 60_000);
    let (head, rest) = good.split_once('.').expect("three parts");
    let (claims, signature) = rest.split_once('.').expect("three parts");
    for forged in [
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        format!("eyJhbGciOiJub25lIn0.{claims}.{signature}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{}", "A".repeat(signature.len())),
        "x.y.z".to_owned(),
        "hw_sk_x".to_owned(),
        "hw_op_x".to_owned(),
        format!("{good} {good}"),
    ] {
        with(&forged).get("/v1/threads").await.problem(401, "unauthenticated");
    }
    let basic = tenant.api.with("authorization", "Basic eDp5");
    basic.get("/v1/threads").await.problem(401, "unauthenticated");
}

async fn refused(api: &Api, status: u16) {
    eventually("a refusal", || async { (api.get("/v1/threads").await.status == status).then_some(()) }).await;
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_its_streams_end() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let (reply, gate) = Reply::tokens(3).gate();
    let lane = Lane::sequence([reply]);
    tenant.agent(&lane).await;
    let keys = format!("/v1/tenants/{}/keys", tenant.id);
    let second = site.operator().post(&keys, json!({"name": "second"})).await.ok(201);
    let api = site.anybody().bearer(second["secret"].as_str().expect("a secret")).with("headwater-user", "alice");
    let run = id(&api.run("x").await);
    let stream = Stream::open(&api, &run, None).await;
    site.operator().delete(&format!("{keys}/{}", id(&second))).await.ok(204);
    refused(&api, 401).await;
    api.get("/v1/threads").await.problem(401, "unauthenticated");
    let bytes = String::from_utf8(stream.rest().await).expect("text");
    assert!(bytes.contains("\"type\":\"stream.closing\",\"reason\":\"auth\""), "{bytes}");
    // Nothing else is touched.
    gate.open();
    let alice = tenant.api.with("headwater-user", "alice");
    assert_eq!(alice.ended(&run).await["status"], "completed");
    let listed = site.operator().get(&keys).await.ok(200);
    let listed = listed["data"].as_array().expect("a list").iter().find(|key| id(key) == id(&second)).expect("is kept");
    assert!(listed["revoked_at"].is_string() && listed["secret"].is_null(), "{listed}");
}

#[tokio::test]
async fn a_blocked_user_is_refused() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let (reply, gate) = Reply::tokens(3).gate();
    tenant.agent(&Lane::sequence([reply])).await;
    let run = id(&alice.key.run("x").await);
    let ticket = alice.key.post(&format!("/v1/runs/{run}/tickets"), json!({})).await.ok(201);
    let ticket = format!("/v1/runs/{run}?ticket={}", ticket["ticket"].as_str().expect("a ticket"));
    let stream = Stream::open(&alice.token, &run, None).await;
    Site::shared().await.anybody().get(&ticket).await.ok(200);
    tenant.api.patch("/v1/users/alice", json!({"status": "blocked"})).await.ok(200);
    refused(&alice.token, 403).await;
    alice.token.get("/v1/threads").await.problem(403, "user_blocked");
    Site::shared().await.anybody().get(&ticket).await.problem(403, "user_blocked");
    alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await.problem(403, "user_blocked");
    let bytes = String::from_utf8(stream.rest().await).expect("text");
    assert!(bytes.contains("\"reason\":\"auth\""), "{bytes}");
    bob.token.get("/v1/threads").await.ok(200);
    gate.open();
    tenant.api.patch("/v1/users/alice", json!({"status": "active"})).await.ok(200);
    refused(&alice.token, 200).await;
}

#[tokio::test]
async fn a_suspended_tenant_is_refused() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let path = format!("/v1/tenants/{}", tenant.id);
    site.operator().patch(&path, json!({"status": "suspended"})).await.ok(200);
    for api in [&tenant.api, &alice.key, &alice.token] {
        refused(api, 403).await;
        api.get("/v1/threads").await.problem(403, "tenant_suspended");
    }
    site.operator().patch(&path, json!({"status": "active"})).await.ok(200);
    for api in [&tenant.api, &alice.key, &alice.token] {
        refused(api, 200).await;
    }
}
