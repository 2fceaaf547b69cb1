//! Tenancy where no path names the object: streams, tickets, idempotency keys, filters, sums.

use serde_json::{Value, json};

use super::world::World;
use crate::support::sse::Stream;
use crate::support::tenant::id;

fn data(list: &Value) -> &Vec<Value> {
    list["data"].as_array().expect("a list")
}

#[tokio::test]
async fn streams_and_tickets_of_others() {
    let world = World::new().await;
    let others = [&world.bob.key, &world.bob.token, &world.b.api, &world.b_alice.key, &world.b_alice.token];
    for api in others {
        for after in [None, Some("1"), Some("99999")] {
            let stream = Stream::open(api, &world.run, after).await;
            assert_eq!(stream.status, 404, "a stream after {after:?}");
            assert_eq!(stream.headers["content-type"], "application/problem+json");
            let body = String::from_utf8(stream.rest().await).expect("text");
            assert!(!body.contains("snapshot"), "{body}");
        }
        api.post(&format!("/v1/runs/{}/tickets", world.run), json!({})).await.problem(404, "not_found");
    }
    // Control: its owner reads it.
    let own = Stream::open(&world.alice.token, &world.run, None).await;
    assert_eq!(own.status, 200);
    assert!(own.rest().await.len() > 500);
    // A ticket is for one run, and only for reading it.
    let (anybody, ticket) = (world.site.anybody(), &world.ticket);
    for path in ["/v1/runs", "/v1/threads", "/v1/me", &format!("/v1/threads/{}", world.thread)] {
        anybody.get(&format!("{path}?ticket={ticket}")).await.problem(401, "unauthenticated");
    }
    anybody.get(&format!("/v1/runs/{}/events?ticket={ticket}", world.run)).await.problem(404, "not_found");
}

#[tokio::test]
async fn the_same_idempotency_key_of_others() {
    let world = World::new().await;
    let body = json!({"agent": world.agent, "input": "once"});
    let send = |api: &crate::support::Api, body: &Value| {
        let (api, body) = (api.with("idempotency-key", "the-same"), body.clone());
        async move { api.post("/v1/runs", body).await }
    };
    let first = send(&world.alice.key, &body).await.ok(201);
    let again = send(&world.alice.key, &body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(id(&again.ok(201)), id(&first));
    // A token of the same user is the same user.
    assert_eq!(id(&send(&world.alice.token, &body).await.ok(201)), id(&first));
    for api in [&world.bob.key, &world.bob.token] {
        let other = send(api, &body).await.ok(201);
        assert_ne!(id(&other), id(&first), "another user's key is another key");
        assert_eq!(other["user"], world.bob.id);
    }
    // Another tenant is not even told that the key is taken.
    let lane = crate::support::Lane::always(headwater_testkit::model::Reply::text("b"));
    let agent = id(&world.b.agent(&lane).await);
    let theirs = send(&world.b_alice.key, &json!({"agent": agent, "input": "once"})).await.ok(201);
    assert_ne!(id(&theirs), id(&first));
}

#[tokio::test]
async fn lists_filters_and_sums() {
    let world = World::new().await;
    let filters = [
        format!("/v1/runs?user={}", world.alice.id),
        format!("/v1/runs?user=alice&thread={}", world.thread),
        format!("/v1/runs?thread={}", world.thread),
        format!("/v1/runs?agent={}", world.agent),
        format!("/v1/threads?user={}", world.alice.id),
        "/v1/threads?external_id=same-everywhere".to_owned(),
        "/v1/usage?group_by=user,agent,model".to_owned(),
    ];
    for path in &filters {
        for api in [&world.alice.key, &world.alice.token, &world.a.api] {
            assert!(!data(&api.get(path).await.ok(200)).is_empty(), "alice and her tenant see {path}");
        }
        for api in [&world.bob.key, &world.bob.token, &world.b.api, &world.b_alice.key, &world.b_alice.token] {
            assert_eq!(data(&api.get(path).await.ok(200)), &Vec::<Value>::new(), "others do not: {path}");
        }
    }
    let users = world.b.api.get("/v1/users?external_id=alice").await.ok(200);
    let users: Vec<&str> = data(&users).iter().map(|user| user["id"].as_str().expect("an id")).collect();
    assert_eq!(users, [&world.b_alice.id], "each tenant has its own alice");
    for kind in ["application/json", "text/csv", "application/x-ndjson"] {
        let own = world.a.api.with("accept", kind).get("/v1/usage/calls").await;
        assert!(own.text().contains(&world.run), "{kind}");
        for api in [&world.b.api, &world.bob.key] {
            let theirs = api.with("accept", kind).get("/v1/usage/calls").await;
            assert_eq!(theirs.status, 200);
            assert!(!theirs.text().contains("run_"), "{kind}: {}", theirs.text());
        }
    }
    // A name that is taken elsewhere is free here.
    let same = json!({"external_id": "same-everywhere"});
    world.alice.key.post("/v1/threads", same.clone()).await.problem(409, "already_exists");
    world.bob.key.post("/v1/threads", same.clone()).await.ok(201);
    world.b_alice.key.post("/v1/threads", same).await.ok(201);
}

/// Pages of B's lists with A's cursors are B's.
#[tokio::test]
async fn a_cursor_is_only_a_position() {
    let world = World::new().await;
    for _ in 0..2 {
        world.alice.key.post("/v1/threads", json!({})).await.ok(201);
        world.b_alice.key.post("/v1/threads", json!({})).await.ok(201);
    }
    let page = world.alice.key.get("/v1/threads?limit=1&order=asc").await.ok(200);
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let theirs = world.b.api.get(&format!("/v1/threads?order=asc&after={cursor}")).await.ok(200);
    for thread in data(&theirs) {
        assert_eq!(thread["user"], world.b_alice.id);
    }
    assert_eq!(data(&theirs).len(), 2);
}
