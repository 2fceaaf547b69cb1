//! What is repeated, and how.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use headwater_client::protocol::api::{KeyParams, RunParams, ThreadSettings};
use headwater_client::protocol::{ErrorCode, KeyId, RunId, TenantId, ThreadId};
use headwater_client::{AgentParams, BoxError, Error, ListOptions, Options, Order, RetryPolicy, UsageQuery};

use crate::support::{FakeServer, Reply, answer, ours, problem};

fn thread(id: ThreadId) -> String {
    serde_json::json!({
        "id": id, "object": "thread", "user": "usr_0193a4b2-0000-7000-8000-000000000001", "external_id": null,
        "title": null, "status": "idle", "active_run": null, "metadata": {}, "later_field": 1,
        "created_at": "2026-11-21T02:30:00.123Z", "updated_at": "2026-11-21T02:30:00.123Z",
    })
    .to_string()
}

#[tokio::test]
async fn passing_trouble_is_repeated_under_one_key() {
    let id = ThreadId::new();
    let troubles: [(&str, Vec<u8>); 9] = [
        ("cut before the answer", Vec::new()),
        ("cut within the answer", ours(201, "", &thread(id))[..150].to_vec()),
        ("edge 502", answer(502, "content-type: text/html\r\n", "<h1>Bad gateway</h1>")),
        ("edge 503", answer(503, "", "")),
        ("edge 504", answer(504, "", "")),
        ("edge 404", answer(404, "content-type: text/html\r\n", "<h1>No such application</h1>")),
        ("429", problem(ErrorCode::RateLimited, "retry-after-ms: 0\r\nretry-after: 50\r\n")),
        ("503", problem(ErrorCode::Draining, "retry-after: 0\r\n")),
        ("409", problem(ErrorCode::IdempotencyInProgress, "retry-after: 0\r\n")),
    ];
    for (name, trouble) in troubles {
        let server = FakeServer::start(move |number, _| match number {
            0 | 1 => trouble.clone(),
            _ => ours(201, "", &thread(id)),
        });
        let made = server.client().threads_create(&ThreadSettings::default(), Options::new()).await;
        assert_eq!(made.expect(name).id, id, "{name}");
        let requests = server.requests();
        assert_eq!(requests.len(), 3, "{name}");
        let first = requests[0].header("idempotency-key").expect("every POST has one");
        for request in &requests {
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/threads"));
            assert_eq!(request.header("idempotency-key"), Some(first), "{name}");
            assert_eq!(request.body, requests[0].body);
        }
    }
}

#[tokio::test]
async fn a_plain_refusal_is_not_repeated() {
    for code in [
        ErrorCode::InvalidValue,
        ErrorCode::Unauthenticated,
        ErrorCode::TokenExpired,
        ErrorCode::NotFound,
        ErrorCode::IdempotencyMismatch,
        ErrorCode::Internal,
    ] {
        let server = FakeServer::start(move |_, _| problem(code, ""));
        let error = server.client().runs_get(RunId::new()).await.expect_err("refused");
        assert_eq!((error.code(), server.requests().len()), (Some(code), 1));
        let Error::Api { status, request_id, .. } = error else { panic!("{error:?}") };
        assert_eq!((status, request_id.as_deref()), (code.status(), Some("req_x")));
    }
    let server = FakeServer::start(|_, _| answer(500, "", "an edge's own bug"));
    let error = server.client().me().await.expect_err("refused");
    assert!(matches!(error, Error::Edge { status: 500 }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn retries_end() {
    let server = FakeServer::start(|_, _| problem(ErrorCode::Unavailable, "retry-after-ms: 0\r\n"));
    let error = server.client().me().await.expect_err("unavailable");
    assert_eq!((error.code(), server.requests().len()), (Some(ErrorCode::Unavailable), 5));

    // Longer than anybody wants to wait for a call.
    let server = FakeServer::start(|_, _| problem(ErrorCode::RateLimited, "retry-after: 3600\r\n"));
    server.client().me().await.expect_err("limited");
    assert_eq!(server.requests().len(), 1);

    let server = FakeServer::start(|_, _| Vec::new());
    let client = server.builder().retry(RetryPolicy::never()).build().expect("good settings");
    let error = client.me().await.expect_err("cut");
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let retry = RetryPolicy { base: std::time::Duration::ZERO, ..RetryPolicy::default() };
    let client = headwater_client::Client::builder(url).retry(retry).build().expect("good settings");
    let error = client.me().await.expect_err("refused");
    assert!(matches!(&error, Error::Transport(source) if source.is_connect()), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let server = FakeServer::start(|_, _| Reply::Hold(Vec::new()));
    let client = server.builder().timeout(std::time::Duration::from_millis(20)).build().expect("good settings");
    let error = client.me().await.expect_err("silence");
    assert!(matches!(&error, Error::Transport(source) if source.is_timeout()), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn deleting_what_is_gone_is_a_success() {
    let server = FakeServer::start(|number, _| match number {
        0 => ours(204, "", ""),
        _ => problem(ErrorCode::NotFound, ""),
    });
    let client = server.client();
    let thread = ThreadId::new();
    client.threads_delete(thread).await.expect("deleted");
    client.threads_delete(thread).await.expect("deleted already");
    let (tenant, key) = (TenantId::new(), KeyId::new());
    client.tenant_keys_revoke(tenant, key).await.expect("revoked already");
    assert_eq!(server.requests()[2].path, format!("/v1/tenants/{tenant}/keys/{key}"));
    assert_eq!(server.requests()[2].method, "DELETE");
}

#[tokio::test]
async fn headers_paths_and_queries() {
    let server = FakeServer::start(|_, _| problem(ErrorCode::Forbidden, ""));
    let alice = server.builder().api_key("hw_sk_test").as_user("alice").build().expect("good settings");
    let bob = alice.as_user("bob");
    alice.users_get("a/b?c d%").await.expect_err("forbidden");
    bob.threads_list(ListOptions::new().filter("status", "idle,busy").order(Order::Asc).limit(5).limit(7))
        .await
        .expect_err("forbidden");
    let query = UsageQuery {
        from: Some("2026-11-01".into()),
        group_by: vec!["day".into(), "user".into()],
        ..Default::default()
    };
    alice.as_tenant().usage(query).await.expect_err("forbidden");
    alice.runs_events_page(RunId::new(), 7, 100).await.expect_err("forbidden");
    let requests = server.requests();
    assert_eq!(requests[0].path, "/v1/users/a%2Fb%3Fc%20d%25");
    assert_eq!(requests[1].path, "/v1/threads?status=idle%2Cbusy&order=asc&limit=7");
    assert_eq!(requests[2].path, "/v1/usage?from=2026-11-01&group_by=day%2Cuser");
    assert!(requests[3].path.ends_with("/events?after=7&limit=100"), "{}", requests[3].path);
    let users: Vec<_> = requests.iter().map(|request| request.header("headwater-user")).collect();
    assert_eq!(users, [Some("alice"), Some("bob"), None, Some("alice")]);
    for request in &requests {
        assert_eq!(request.header("authorization"), Some("Bearer hw_sk_test"));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("idempotency-key"), None, "reads have none");
    }
    assert!(!format!("{alice:?}").contains("hw_sk_test"), "no secret is shown");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_here() {
    let server = FakeServer::start(|_, _| ours(200, "", "{}"));
    let client = server.client();
    for name in ["", ".", ".."] {
        assert!(matches!(client.agents_archive(name).await, Err(Error::Config(_))), "{name}");
    }
    let params = RunParams::new("a", "b");
    for key in ["", "a b", "ä", &"x".repeat(256)] {
        let options = Options::new().idempotency_key(key);
        assert!(matches!(client.runs_create(&params, options).await, Err(Error::Config(_))), "{key}");
    }
    assert!(matches!(client.as_user("a\nb").me().await, Err(Error::Config(_))));
    assert!(server.requests().is_empty());
    assert!(matches!(client.me().await, Err(Error::Decode { .. })), "an object with nothing in it");
}

#[tokio::test]
async fn bodies_are_the_apis_own() {
    let server = FakeServer::start(|_, _| problem(ErrorCode::Forbidden, ""));
    let client = server.client();
    let config = headwater_client::protocol::api::AgentConfig::with_model("m/x");
    client.agents_create(&AgentParams::new("assistant", config), Options::new()).await.expect_err("forbidden");
    let params = KeyParams { name: "k".into(), scopes: None, expires_at: None };
    client.tenant_keys_create(TenantId::new(), &params, Options::new()).await.expect_err("forbidden");
    client.tenant_update(&serde_json::json!({ "metadata": { "a": null } })).await.expect_err("forbidden");
    let requests = server.requests();
    let agent: serde_json::Value = serde_json::from_str(&requests[0].body).expect("JSON");
    assert_eq!((&agent["name"], &agent["model"]), (&"assistant".into(), &"m/x".into()));
    assert_eq!(requests[1].body, r#"{"name":"k","scopes":null,"expires_at":null}"#);
    assert_eq!((requests[2].method.as_str(), requests[2].body.as_str()), ("PATCH", r#"{"metadata":{"a":null}}"#));
    assert!(requests.iter().all(|request| request.header("content-type") == Some("application/json")));
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_per_call() {
    let server = FakeServer::start(|_, request| match request.header("authorization") {
        Some("Bearer t1") => problem(ErrorCode::Forbidden, ""),
        _ => problem(ErrorCode::TokenExpired, ""),
    });
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let provider = move || {
        let token = format!("t{}", count.fetch_add(1, Ordering::SeqCst));
        async move { Ok::<_, BoxError>(token) }
    };
    let client = server.builder().user_token_provider(provider).build().expect("good settings");
    for _ in 0..3 {
        assert_eq!(client.me().await.expect_err("forbidden").code(), Some(ErrorCode::Forbidden));
    }
    assert_eq!((asked.load(Ordering::SeqCst), server.requests().len()), (2, 4));

    let stale = || async { Ok::<_, BoxError>("stale".to_owned()) };
    let client = server.builder().user_token_provider(stale).build().expect("good settings");
    assert_eq!(client.me().await.expect_err("expired").code(), Some(ErrorCode::TokenExpired));
    assert_eq!(server.requests().len(), 6);

    let broken = || async { Err::<String, BoxError>("no backend".into()) };
    let client = server.builder().user_token_provider(broken).build().expect("good settings");
    assert!(matches!(client.me().await, Err(Error::Token(_))));
}
