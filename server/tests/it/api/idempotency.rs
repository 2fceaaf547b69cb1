//! `Idempotency-Key`: what happened once is found again.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{Stream, assert_dense, events, log_of};
use crate::support::tenant::id;
use crate::support::{Answer, Api, Lane, Site, unique};

async fn once(api: &Api, key: &str, path: &str, body: &Value) -> Answer {
    api.with("idempotency-key", key).post(path, body.clone()).await
}

#[tokio::test]
async fn each_post_that_makes_something_is_replayed() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let thread = format!("/v1/threads/{}", id(&alice.key.post("/v1/threads", json!({})).await.ok(201)));
    let keys = format!("/v1/tenants/{}/keys", tenant.id);
    let operator = site.operator();
    let run = json!({"agent": "assistant", "input": "x"});
    let cases = [
        (&operator, "/v1/tenants", json!({"name": "a"}), json!({"name": "b"})),
        (&operator, keys.as_str(), json!({"name": "a"}), json!({"name": "b"})),
        (&tenant.api, "/v1/users", json!({"name": "a"}), json!({"name": "b"})),
        (&tenant.api, "/v1/agents", json!({"name": "a", "model": "fake/x"}), json!({"name": "b", "model": "fake/x"})),
        (
            &tenant.api,
            "/v1/mcp_servers",
            json!({"name": "a", "url": "http://127.0.0.1:1/"}),
            json!({"name": "b", "url": "http://127.0.0.1:1/"}),
        ),
        (&alice.key, "/v1/threads", json!({"title": "a"}), json!({"title": "b"})),
        (
            &alice.token,
            &format!("{thread}/messages"),
            json!({"role": "user", "content": "a"}),
            json!({"role": "user", "content": "b"}),
        ),
        (&alice.key, "/v1/runs", run.clone(), json!({"agent": "assistant", "input": "y"})),
        (&alice.token, &format!("{thread}/runs"), run.clone(), json!({"agent": "assistant", "input": "y"})),
    ];
    for (api, path, body, other) in cases {
        let key = unique("key");
        let first = once(api, &key, path, &body).await;
        let made = first.ok(201);
        assert_eq!(first.header("idempotent-replayed"), None);
        let again = once(api, &format!("\"{key}\""), path, &body).await;
        let replayed = again.ok(201);
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{path}");
        assert_eq!((id(&made), first.header("location")), (id(&replayed), again.header("location")), "{path}");
        if made.get("secret").is_some() {
            assert!(made["secret"].is_string() && replayed["secret"].is_null(), "a secret is shown once");
        }
        once(api, &key, path, &other).await.problem(409, "idempotency_mismatch");
        // Another spelling of the same JSON is the same request; another key another one.
        let spelled = format!(" {} ", body.to_string().replace("\":", "\" : "));
        let spelled = api.with("idempotency-key", &key).raw("POST", path, Some("application/json"), spelled).await;
        assert_eq!(id(&spelled.ok(201)), id(&made), "{path}");
        once(api, &unique("key"), path, &other).await.ok(201);
    }
    for bad in ["", "a b", "\"", &"x".repeat(256)] {
        let answer = once(&alice.key, bad, "/v1/threads", &json!({})).await;
        answer.blames(400, "invalid_request", "header:Idempotency-Key");
    }
    // On another path it is another request.
    let key = unique("key");
    once(&alice.key, &key, "/v1/runs", &run).await.ok(201);
    once(&alice.key, &key, &format!("{thread}/runs"), &run).await.problem(409, "idempotency_mismatch");
}

#[tokio::test]
async fn only_what_happened_is_remembered() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (key, run) = (unique("key"), json!({"agent": "assistant", "input": "x"}));
    once(&alice.key, &key, "/v1/runs", &run).await.problem(404, "agent_not_found");
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let first = once(&alice.key, &key, "/v1/runs", &run).await;
    assert_eq!(first.header("idempotent-replayed"), None, "a refusal is no effect");
    let made = first.ok(201);
    alice.key.ended(&id(&made)).await;
    let now = once(&alice.key, &key, "/v1/runs", &run).await.ok(201);
    assert_eq!(now["status"], "completed", "a replay shows the current state");
    // A name that is taken is a refusal too: once it is free, the same request has its effect.
    let (key, server) = (unique("key"), json!({"name": "kb", "url": "http://127.0.0.1:1/"}));
    let other = id(&tenant.api.post("/v1/mcp_servers", server.clone()).await.ok(201));
    once(&tenant.api, &key, "/v1/mcp_servers", &server).await.problem(409, "already_exists");
    tenant.api.delete(&format!("/v1/mcp_servers/{other}")).await.ok(204);
    assert_ne!(id(&once(&tenant.api, &key, "/v1/mcp_servers", &server).await.ok(201)), other);
    // Tokens and tickets store nothing: each is a new one.
    let body = json!({"user": "alice"});
    let one = once(&tenant.api, &key, "/v1/user_tokens", &body).await.ok(201);
    let two = once(&tenant.api, &key, "/v1/user_tokens", &body).await.ok(201);
    assert_ne!(one["token"], two["token"]);
}

#[tokio::test]
async fn many_at_once_are_one() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    for (path, body) in
        [("/v1/runs", json!({"agent": "assistant", "input": "x"})), ("/v1/threads", json!({"title": "t"}))]
    {
        let key = unique("key");
        let all = (0..8).map(|_| once(&alice.key, &key, path, &body));
        let mut ids = std::collections::BTreeSet::new();
        for answer in futures_util::future::join_all(all).await {
            if answer.status == 409 {
                answer.problem(409, "idempotency_in_progress");
                assert!(answer.header("retry-after").is_some() && answer.header("retry-after-ms").is_some());
            } else {
                ids.insert(id(&answer.ok(201)));
            }
        }
        assert_eq!(ids.len(), 1, "{path}");
    }
    let runs = alice.key.get("/v1/runs").await.ok(200);
    assert_eq!(runs["data"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn a_stream_is_picked_up_by_the_same_request() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(6).gate();
    let lane = Lane::sequence([reply]);
    tenant.agent(&lane).await;
    let body = json!({"agent": "assistant", "input": "x"}).to_string();
    let ask = |after: Option<String>| {
        let api = alice.token.with("idempotency-key", "pick-up").with("accept", "text/event-stream");
        let mut request = api.request("POST", "/v1/runs").header("content-type", "application/json").body(body.clone());
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        request
    };
    let mut first = Stream::send(ask(None)).await;
    assert_eq!(first.status, 201);
    assert!(first.headers.get("idempotent-replayed").is_none());
    gate.pass(2);
    first.until("tok1").await;
    let seen = log_of(&first.bytes);
    let last = crate::support::sse::last_id(&first.bytes).expect("an id");
    drop(first);
    let second = Stream::send(ask(Some(last))).await;
    assert_eq!(second.status, 201);
    assert_eq!(second.headers["idempotent-replayed"], "true");
    gate.open();
    let rest = second.rest().await;
    let whole = seen + &log_of(&rest);
    assert_dense(&events(whole.as_bytes()));
    let from_start = Stream::send(ask(None)).await.rest().await;
    assert_eq!(log_of(&from_start), whole, "without a cursor from the start");
    assert_eq!(lane.requests().len(), 1, "the model was asked once");
}
