//! Tickets: one run, read only, in a URL.

use headwater_testkit::model::Reply;
use serde_json::json;

use crate::support::sse::{Stream, events, log_of, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site, eventually};

#[tokio::test]
async fn a_browser_reads_and_comes_back() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(6).gate();
    tenant.agent(&Lane::sequence([reply])).await;
    let run = id(&alice.key.run("x").await);
    let answer = alice.token.post(&format!("/v1/runs/{run}/tickets"), json!({})).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let made = answer.ok(201);
    assert_eq!((&made["object"], &made["run"]), (&json!("ticket"), &json!(run)));
    let url = made["events_url"].as_str().expect("a URL").to_owned();
    assert_eq!(url, format!("/v1/runs/{run}/events?ticket={}", made["ticket"].as_str().expect("a ticket")));
    let anybody = site.anybody().with("accept", "text/event-stream");
    let mut first = Stream::send(anybody.request("GET", &url)).await;
    assert_eq!(first.status, 200);
    gate.pass(2);
    first.until("tok1").await;
    let seen = log_of(&first.bytes);
    let last = crate::support::sse::last_id(&first.bytes).expect("an id");
    drop(first);
    gate.open();
    let second = Stream::send(anybody.with("last-event-id", &last).request("GET", &url)).await;
    let whole = seen + &log_of(&second.rest().await);
    assert_eq!(whole, log_of(&read(&alice.token, &run, None).await), "what the user sees, each once");
    assert!(!whole.contains("cost.settled"));
    let tail = events(whole.as_bytes()).len();
    let end = Stream::send(anybody.with("last-event-id", &format!("{tail}")).request("GET", &url)).await;
    assert_eq!(end.status, 204);
    // The snapshot too, as the user sees it.
    let ticket = made["ticket"].as_str().expect("a ticket");
    let snapshot = site.anybody().get(&format!("/v1/runs/{run}?ticket={ticket}")).await.ok(200);
    assert_eq!((&snapshot["id"], &snapshot["cost"]), (&json!(run), &json!(null)));
    // Reading is all: nothing else, no other run, no longer than it is whole.
    let other = id(&alice.key.post("/v1/threads", json!({})).await.ok(201));
    for (method, path) in [
        ("POST", format!("/v1/runs/{run}/cancel?ticket={ticket}")),
        ("POST", format!("/v1/runs/{run}/tickets?ticket={ticket}")),
        ("GET", format!("/v1/threads/{other}?ticket={ticket}")),
        ("GET", format!("/v1/runs/{run}/events?ticket={}", &ticket[..ticket.len() - 2])),
        ("GET", format!("/v1/runs/{run}/events?ticket=hw_rt_x")),
        ("GET", format!("/v1/runs/{run}/events?ticket=")),
    ] {
        site.anybody().raw(method, &path, None, "").await.problem(401, "unauthenticated");
    }
    let bad = site.anybody().get(&format!("/v1/runs/run_x/events?ticket={ticket}")).await;
    assert!(matches!(bad.status, 401 | 404), "{}", bad.text());
}

#[tokio::test]
async fn a_deleted_user_or_run_ends_it() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let mut urls = vec![];
    for _ in 0..2 {
        let run = id(&alice.key.run("x").await);
        let thread = alice.key.ended(&run).await["thread"].as_str().expect("an id").to_owned();
        let made = alice.key.post(&format!("/v1/runs/{run}/tickets"), json!({})).await.ok(201);
        let url = made["events_url"].as_str().expect("a URL").to_owned();
        assert_eq!(site.anybody().get(&url).await.status, 200);
        urls.push((thread, url));
    }
    alice.key.delete(&format!("/v1/threads/{}", urls[0].0)).await.ok(204);
    site.anybody().get(&urls[0].1).await.problem(404, "not_found");
    tenant.api.delete(&format!("/v1/users/{}", alice.id)).await.ok(204);
    eventually("a ticket of nobody", || async { (site.anybody().get(&urls[1].1).await.status >= 400).then_some(()) })
        .await;
}
