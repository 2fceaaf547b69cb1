//! Pages: limit, order, cursor, filters.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::tenant::id;
use crate::support::{Api, Lane, Site};

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().expect("a list").iter().map(id).collect()
}

/// All pages of a list.
async fn walk(api: &Api, path: &str, limit: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let page = api.get(&format!("{path}{sign}limit={limit}{after}")).await.ok(200);
        assert_eq!(page["object"], "list");
        let shown = ids(&page);
        assert!(shown.len() <= limit);
        all.extend(shown);
        match page["next_cursor"].as_str() {
            Some(cursor) => {
                assert_eq!(page["has_more"], true);
                after = format!("&after={cursor}");
            }
            None => {
                assert_eq!(page["has_more"], false);
                return all;
            }
        }
    }
}

#[tokio::test]
async fn pages_hold_each_once_in_order() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let agent = tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let thread = id(&alice.key.post("/v1/threads", json!({})).await.ok(201));
    let (mut threads, mut users, mut messages, mut runs, mut keys) =
        (vec![thread.clone()], vec![], vec![], vec![], vec![]);
    users.push(alice.id.clone());
    keys.push(tenant.key_id.clone());
    for n in 0..6 {
        let message = json!({"role": "user", "content": format!("{n}")});
        messages.push(id(&alice.key.post(&format!("/v1/threads/{thread}/messages"), message).await.ok(201)));
        users.push(id(&tenant.api.post("/v1/users", json!({})).await.ok(201)));
        let key = site.operator().post(&format!("/v1/tenants/{}/keys", tenant.id), json!({"name": "k"})).await;
        keys.push(id(&key.ok(201)));
        let run = alice.key.run("x").await;
        threads.push(run["thread"].as_str().expect("an id").to_owned());
        runs.push(id(&run));
    }
    let keys_path = format!("/v1/tenants/{}/keys", tenant.id);
    let messages_path = format!("/v1/threads/{thread}/messages");
    for (api, path, want) in [
        (&alice.key, "/v1/threads", &threads),
        (&tenant.api, "/v1/users", &users),
        (&alice.token, messages_path.as_str(), &messages),
        (&alice.token, "/v1/runs", &runs),
        (&site.operator(), keys_path.as_str(), &keys),
    ] {
        let reversed: Vec<String> = want.iter().rev().cloned().collect();
        assert_eq!(&walk(api, path, 100).await, &reversed, "{path}: newest first");
        for limit in [1, 2, 3, want.len()] {
            assert_eq!(&walk(api, &format!("{path}?order=asc"), limit).await, want, "{path} by {limit}");
            assert_eq!(walk(api, &format!("{path}?order=desc"), limit).await, reversed, "{path} by {limit}");
        }
        for bad in ["limit=0", "limit=101", "limit=x", "limit=-1", "order=up"] {
            api.get(&format!("{path}?{bad}")).await.problem(400, "invalid_request");
        }
        for bad in ["x", "AAAA", "%20", "0000000000000001"] {
            api.get(&format!("{path}?after={bad}")).await.problem(400, "invalid_cursor");
        }
        api.get(&format!("{path}?limit=1&limit=2")).await.problem(400, "invalid_request");
    }
    // Versions are numbered, and so are their cursors.
    for n in 0..4 {
        tenant.api.patch(&format!("/v1/agents/{}", id(&agent)), json!({"description": format!("{n}")})).await.ok(200);
    }
    let versions = tenant.api.get("/v1/agents/assistant/versions?limit=3").await.ok(200);
    let numbers = |page: &Value| -> Vec<i64> {
        page["data"].as_array().expect("a list").iter().map(|v| v["version"].as_i64().expect("a number")).collect()
    };
    assert_eq!(numbers(&versions), [5, 4, 3]);
    let cursor = versions["next_cursor"].as_str().expect("more");
    let rest = tenant.api.get(&format!("/v1/agents/assistant/versions?limit=3&after={cursor}")).await.ok(200);
    assert_eq!((numbers(&rest), &rest["has_more"]), (vec![2, 1], &json!(false)));
}

#[tokio::test]
async fn filters() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let agent = tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let first =
        alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "x", "external_id": "e1"})).await.ok(201);
    let second = alice.key.run("y").await;
    let (one, two) = (id(&first), id(&second));
    let thread = second["thread"].as_str().expect("an id");
    alice.key.ended(&one).await;
    alice.key.ended(&two).await;
    let cases = [
        ("status=completed".to_owned(), vec![&two, &one]),
        ("status=queued,completed".to_owned(), vec![&two, &one]),
        ("status=failed,cancelled".to_owned(), vec![]),
        ("external_id=e1".to_owned(), vec![&one]),
        (format!("thread={thread}"), vec![&two]),
        (format!("agent={}", id(&agent)), vec![&two, &one]),
        ("agent=assistant".to_owned(), vec![&two, &one]),
        ("agent=nobody".to_owned(), vec![]),
        ("schedule=sch_01890a5d-ac96-774b-bcce-b302099a8057".to_owned(), vec![]),
        ("user=alice".to_owned(), vec![&two, &one]),
        ("user=nobody".to_owned(), vec![]),
        (format!("created_after={}", second["created_at"].as_str().expect("a time")), vec![&two]),
        (format!("created_before={}", second["created_at"].as_str().expect("a time")), vec![&one]),
    ];
    for (filter, want) in cases {
        let page = tenant.api.get(&format!("/v1/runs?{filter}")).await.ok(200);
        let want: Vec<String> = want.into_iter().cloned().collect();
        assert_eq!(ids(&page), want, "{filter}");
    }
    for bad in ["status=done", "created_after=yesterday", "thread=x", "schedule=x"] {
        tenant.api.get(&format!("/v1/runs?{bad}")).await.problem(400, "invalid_request");
    }
    let of_run = alice.key.get(&format!("/v1/threads/{thread}/messages?run={two}&role=assistant")).await.ok(200);
    assert_eq!(of_run["data"].as_array().expect("a list").len(), 1);
    let idle = alice.key.get("/v1/threads?status=idle").await.ok(200);
    assert_eq!(ids(&idle).len(), 2);
    let of_thread = alice.key.get(&format!("/v1/threads/{thread}/runs")).await.ok(200);
    assert_eq!(ids(&of_thread), [two]);
}
