//! Another tenant's or user's object is 404 everywhere: route × actor against a real server.

mod elsewhere;
mod issuers;
mod routes;
mod world;

use std::collections::BTreeSet;

use self::routes::{ACTORS, Who, routes};
use self::world::{ALICES, AS, World};
use crate::support::{Answer, Site, eventually};

/// The answer, and the body that was sent.
async fn ask(world: &World, who: Who, route: &routes::Route) -> (Answer, String) {
    let mut path = world.path(route.method, route.path).await;
    if who == Who::Ticket {
        path += &format!("?ticket={}", world.ticket);
    }
    let api = world.client(who).with("accept", "application/json");
    match &route.body {
        // Whoever must not read a mark does not send one: an answer may quote what was asked.
        Some(body) => {
            let mut text = world.body(body).to_string();
            for mark in [ALICES, AS] {
                if world.forbidden(who).contains(&mark) {
                    text = text.replace(mark, "ordinary");
                }
            }
            (api.raw(route.method, &path, Some("application/json"), text.clone()).await, text)
        }
        None => (api.raw(route.method, &path, None, "").await, String::new()),
    }
}

#[tokio::test]
async fn every_route_for_every_actor() {
    let world = World::new().await;
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for route in routes() {
        for (who, want) in ACTORS.into_iter().zip(route.statuses) {
            let (answer, sent) = ask(&world, who, &route).await;
            let text = answer.text();
            // 0 stands for 200 or 201.
            let as_wanted = answer.status == want || want == 0 && matches!(answer.status, 200 | 201);
            if !as_wanted {
                wrong.push(format!(
                    "{} {} as {who:?}: {want} expected, {}: {text}",
                    route.method, route.path, answer.status
                ));
            }
            for mark in world.forbidden(who) {
                // "There is no agent X" repeats what was asked.
                if text.contains(mark) && !(answer.status >= 400 && sent.contains(mark)) {
                    wrong.push(format!("{} {} as {who:?} reads {mark}: {text}", route.method, route.path));
                }
            }
            seen +=
                usize::from(matches!(who, Who::Key | Who::KeyAlice) && (text.contains(ALICES) || text.contains(AS)));
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    // Negative control: the marks are there to be found.
    assert!(seen > 20, "A's own key reads the marks, {seen} times");
    // What was refused did nothing.
    let thread = world.alice.key.get(&format!("/v1/threads/{}", world.thread)).await.ok(200);
    assert_eq!(thread["title"], ALICES);
}

#[tokio::test]
async fn no_route_is_forgotten() {
    let document = Site::shared().await.anybody().get("/openapi.json").await.ok(200);
    let mut published = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if operation.get("operationId").is_some() {
                published.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert!(published.len() > 30, "the document is read");
    let covered: BTreeSet<String> = routes().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let uncovered: Vec<&String> = published.difference(&covered).collect();
    let listed: Vec<&str> = include_str!("../../uncovered-routes.txt").lines().collect();
    assert_eq!(uncovered, listed, "server/tests/uncovered-routes.txt lists what the matrix does not cover");
    assert!(listed.is_empty(), "and it is empty");
    let unpublished: Vec<&String> = covered.difference(&published).collect();
    assert_eq!(unpublished, Vec::<&String>::new(), "rows without a route");
}

/// The same end for an object that never was, one of somebody else's, and a malformed id.
#[tokio::test]
async fn foreign_and_unknown_look_the_same() {
    let world = World::new().await;
    let unknown = "0193a4b2-0000-7000-8000-000000000000";
    for (template, foreign) in [
        ("/v1/threads/{}", &world.thread),
        ("/v1/runs/{}", &world.run),
        ("/v1/runs/{}/events", &world.run),
        ("/v1/agents/{}", &world.agent),
        ("/v1/users/{}", &world.alice.id),
    ] {
        let prefix = foreign.split('_').next().expect("a prefix");
        let mut bodies = BTreeSet::new();
        let ids = [foreign.clone(), format!("{prefix}_{unknown}"), format!("{prefix}_x"), foreign.to_uppercase()];
        for id in ids {
            let answer = world.b.api.get(&template.replace("{}", &id)).await;
            let mut problem = answer.problem(404, "not_found");
            problem["request_id"] = "".into();
            bodies.insert(problem.to_string());
        }
        assert_eq!(bodies.len(), 1, "{template}: {bodies:?}");
    }
}

/// Whoever deletes a thing makes it unreadable at once, for all.
#[tokio::test]
async fn a_deleted_user_and_tenant_are_gone() {
    let world = World::new().await;
    let (bob, key) = (&world.bob, &world.a.api);
    let thread = bob.key.post("/v1/threads", serde_json::json!({})).await.ok(201);
    let thread = format!("/v1/threads/{}", thread["id"].as_str().expect("an id"));
    key.delete(&format!("/v1/users/{}", bob.id)).await.ok(204);
    key.get(&thread).await.problem(404, "not_found");
    key.delete(&format!("/v1/users/{}", bob.id)).await.problem(404, "not_found");
    bob.token.get("/v1/threads").await.problem(401, "unauthenticated");
    let operator = world.site.operator();
    let tenant = format!("/v1/tenants/{}", world.b.id);
    operator.delete(&tenant).await.ok(204);
    operator.get(&tenant).await.problem(404, "not_found");
    operator.delete(&tenant).await.problem(404, "not_found");
    eventually("B's key is refused", || async { (world.b.api.get("/v1/me").await.status == 401).then_some(()) }).await;
    world.b_alice.token.get("/v1/me").await.problem(401, "unauthenticated");
    // A's things are all there.
    world.alice.token.get(&format!("/v1/runs/{}", world.run)).await.ok(200);
}
