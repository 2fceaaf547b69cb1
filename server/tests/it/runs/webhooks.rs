//! Webhooks: what a tenant's own server is told of, whoever dies meanwhile, and that nobody else hears it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_testkit::ToolServer;
use headwater_testkit::model::Reply;
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use serde_json::{Value, json};

use crate::support::tenant::id;
use crate::support::{Api, Lane, Site, Tenant, eventually, serve, unique};

/// A receiver that takes everything.
fn receiver() -> ToolServer {
    ToolServer::start(|_| ToolAnswer::text("").status(204))
}

async fn endpoint(tenant: &Tenant, url: &str, events: &[&str]) -> Value {
    tenant.api.post("/v1/webhook_endpoints", json!({"url": url, "events": events})).await.ok(201)
}

/// What has arrived of this type.
fn heard(server: &ToolServer, kind: &str) -> Vec<Value> {
    server.requests().iter().map(ToolRequest::json).filter(|event| event["type"] == kind).collect()
}

async fn told(server: &ToolServer, kind: &str) -> Value {
    eventually(kind, || async { heard(server, kind).into_iter().next() }).await
}

async fn deliveries(api: &Api, endpoint: &str, query: &str) -> Vec<Value> {
    let found = api.get(&format!("/v1/webhook_endpoints/{endpoint}/deliveries?limit=100{query}")).await.ok(200);
    found["data"].as_array().expect("a list").clone()
}

/// Checks a request as the libraries of Standard Webhooks do: some signature is right.
fn is_signed(request: &ToolRequest, secret: &str) -> bool {
    let header = |name| request.header(name).expect("a header of the standard");
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("Base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), request.body);
    header("webhook-signature").split(' ').any(|one| {
        let one = STANDARD.decode(one.strip_prefix("v1,").expect("a version")).expect("Base64");
        hmac::verify(&key, signed.as_bytes(), &one).is_ok()
    })
}

/// As if the time had come for everything that is to be sent again.
async fn passed(site: &Site, endpoint: &str) {
    let sql = format!(
        "UPDATE headwater.webhook_deliveries SET next_attempt_at = clock_timestamp() - interval '1 second'
         WHERE next_attempt_at IS NOT NULL AND endpoint_id = '{endpoint}';
         UPDATE headwater.webhook_endpoints SET not_before = NULL WHERE endpoint_id = '{endpoint}'",
        endpoint = endpoint.trim_start_matches("whk_")
    );
    site.database.admin().await.execute(&sql).await.expect("time passes");
}

#[tokio::test]
async fn whoever_asks_is_told_what_happens_and_can_check_who_says_so() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let server = receiver();
    let all = ["run.completed", "run.suspended", "run.cancelled", "approval.requested", "approval.resolved"];
    let made = endpoint(&tenant, &server.url, &all).await;
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let other = receiver();
    endpoint(&tenant, &other.url, &["run.failed"]).await;

    let call = Reply::text("").tool_call("publish", json!({"text": "hello"}).to_string());
    let lane = Lane::sequence([call, Reply::text("Published.")]);
    let config = json!({"name": "asker", "model": lane.model(), "tools": [
        {"type": "client", "name": "publish", "policy": "ask"}]});
    tenant.api.post("/v1/agents", config).await.ok(201);
    let run = id(&alice.key.post("/v1/runs", json!({"agent": "asker", "input": "Publish."})).await.ok(201));
    let asked = told(&server, "approval.requested").await;
    assert_eq!(asked["object"], "event");
    assert_eq!(asked["tenant"], json!(tenant.id));
    assert_eq!(asked["data"]["args"], json!({"text": "hello"}), "as the tenant's key sees it");
    let waits = told(&server, "run.suspended").await;
    assert_eq!((&waits["data"]["id"], &waits["data"]["status"]), (&json!(run), &json!("suspended")));

    let approval = asked["data"]["id"].as_str().expect("an id");
    let decided = json!({"decision": "approved"});
    alice.key.post(&format!("/v1/runs/{run}/approvals/{approval}"), decided).await.ok(200);
    let resolved = told(&server, "approval.resolved").await;
    assert_eq!((&resolved["data"]["id"], &resolved["data"]["status"]), (&json!(approval), &json!("approved")));
    let waits = eventually("it waits for the client", || async {
        let found = alice.key.get(&format!("/v1/runs/{run}?wait_ms=5000")).await.ok(200);
        found["pending"][0]["call"].as_str().filter(|_| found["status"] == "suspended").map(str::to_owned)
    });
    let outputs = json!({"tool_outputs": [{"call": waits.await, "output": "done"}]});
    alice.key.post(&format!("/v1/runs/{run}/tool_outputs"), outputs).await.ok(200);
    let completed = told(&server, "run.completed").await;
    let found =
        tenant.api.get(&format!("/v1/runs?thread={}", completed["data"]["thread"].as_str().expect("an id"))).await;
    assert_eq!(completed["data"], found.ok(200)["data"][0]);

    for request in server.requests() {
        assert!(is_signed(&request, &secret), "{request:?}");
        assert!(!is_signed(&request, "whsec_b3RoZXI="), "the check can fail");
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("webhook-id"), request.json()["id"].as_str());
    }
    assert_eq!(other.requests(), [], "it asked for something else");
    let sent = eventually("all are delivered", || async {
        let sent = deliveries(&tenant.api, &id(&made), "").await;
        sent.iter().all(|one| one["status"] == "delivered").then_some(sent)
    })
    .await;
    // It has waited for two: the approval, and the client.
    assert_eq!((sent.len(), heard(&server, "run.suspended").len()), (5, 2), "{sent:?}");
    assert!(sent.iter().all(|one| one["attempts"] == 1 && one["response_status"] == 204), "{sent:?}");

    // Whoever checks signatures with the old secret has a day to take the new one.
    let rotated =
        tenant.api.post(&format!("/v1/webhook_endpoints/{}/rotate_secret", id(&made)), json!({})).await.ok(200);
    let newer = rotated["secret"].as_str().expect("a secret");
    tenant.api.post(&format!("/v1/webhook_endpoints/{}/test", id(&made)), json!({})).await.ok(202);
    told(&server, "webhook.test").await;
    let test = server.requests().pop().expect("it came");
    assert!(newer != secret && is_signed(&test, newer) && is_signed(&test, &secret));
    let body = json!({"surprise": true});
    for act in ["test", "rotate_secret"] {
        let path = format!("/v1/webhook_endpoints/{}/{act}", id(&made));
        tenant.api.post(&path, body.clone()).await.blames(422, "unknown_field", "/surprise");
    }
    assert_eq!(test.json()["data"]["secret"], Value::Null);
    let shown = tenant.api.get(&format!("/v1/webhook_endpoints/{}", id(&made))).await.ok(200);
    assert_eq!((&shown["secret"], &shown["failing_since"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn what_fails_is_sent_again_by_whoever_lives() {
    let mut site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(Reply::text("Here."));
    tenant.agent(&lane).await;
    // At first it fails; then it takes its time, and its process dies; then it takes what comes.
    let turn = Arc::new(AtomicUsize::new(0));
    let hold = Arc::new(AtomicBool::new(true));
    let (counted, held) = (turn.clone(), hold.clone());
    let server = ToolServer::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => ToolAnswer::text("").status(500),
        1 => {
            while held.load(Ordering::SeqCst) {
                std::thread::park_timeout(std::time::Duration::from_millis(10));
            }
            ToolAnswer::text("").status(200)
        }
        _ => ToolAnswer::text("").status(200),
    });
    let made = id(&endpoint(&tenant, &server.url, &["run.completed"]).await);
    alice.key.ended(&id(&alice.key.run("Go.").await)).await;
    let failed = eventually("the first try has failed", || async {
        deliveries(&tenant.api, &made, "&status=pending").await.into_iter().find(|one| one["response_status"] == 500)
    })
    .await;
    assert_eq!((&failed["attempts"], &failed["error"]), (&json!(1), &json!("it answered 500")));
    assert!(failed["next_attempt_at"].as_str() > failed["created_at"].as_str());
    // Of the endpoint it is written down right behind that.
    eventually("the endpoint is known to fail", || async {
        let shown = tenant.api.get(&format!("/v1/webhook_endpoints/{made}")).await.ok(200);
        shown["failing_since"].is_string().then_some(())
    })
    .await;
    // Who wakes a sleeping server is told when.
    let ahead = "SELECT must_at = (SELECT greatest(d.next_attempt_at, e.not_before)
                     FROM headwater.webhook_deliveries d JOIN headwater.webhook_endpoints e USING (endpoint_id)
                     WHERE d.next_attempt_at IS NOT NULL) FROM headwater.work_ahead()";
    assert_eq!(site.database.admin().await.value(ahead).await.expect("asks").as_deref(), Some("t"));

    passed(&site, &made).await;
    // A process looks when something has happened; and every quarter of a minute anyway.
    alice.key.ended(&id(&alice.key.run("Look.").await)).await;
    server.asked(2).await;
    site.process.kill9();
    let next = serve(&site.database, &[]);
    let there = tenant.at(&next.url);
    passed(&site, &made).await;
    there.user("alice").await.key.run("Look.").await;
    hold.store(false, Ordering::SeqCst);
    let sent = eventually("all three are delivered", || async {
        let sent = deliveries(&there.api, &made, "&order=asc&status=delivered").await;
        (sent.len() == 3).then_some(sent)
    })
    .await;
    assert_eq!(sent[0]["id"], failed["id"]);
    assert!(sent[0]["attempts"].as_i64() >= Some(2), "{sent:?}");
    assert_eq!(deliveries(&there.api, &made, "&status=pending,failed").await, Vec::<Value>::new());
    assert_eq!(server.requests()[0].json()["id"], sent[0]["event"], "each time as the same event");
    let shown = there.api.get(&format!("/v1/webhook_endpoints/{made}")).await.ok(200);
    assert_eq!(shown["failing_since"], Value::Null, "{shown}");

    // The same event again, as somebody asks for it.
    let before = server.requests().len();
    let path = format!("/v1/webhook_endpoints/{made}/deliveries/{}/replay", id(&sent[0]));
    let again = there.api.with("idempotency-key", "again").post(&path, json!({})).await.ok(202);
    let same = there.api.with("idempotency-key", "again").post(&path, json!({})).await;
    assert_eq!(same.header("idempotent-replayed"), Some("true"));
    assert_eq!(id(&same.ok(202)), id(&again));
    assert_eq!((&again["event"], id(&again) == id(&sent[0])), (&sent[0]["event"], false));
    server.asked(before + 1).await;
    assert_eq!(server.requests()[before].json()["id"], sent[0]["event"]);
}

#[tokio::test]
async fn who_is_gone_is_told_nothing_more_until_it_is_said_to_be_back() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Here."))).await;
    let gone = Arc::new(AtomicBool::new(true));
    let is = gone.clone();
    let server =
        ToolServer::start(move |_| ToolAnswer::text("").status(if is.load(Ordering::SeqCst) { 410 } else { 200 }));
    let made = id(&endpoint(&tenant, &server.url, &["run.completed"]).await);
    let path = format!("/v1/webhook_endpoints/{made}");
    alice.key.ended(&id(&alice.key.run("Go.").await)).await;
    eventually("it is disabled", || async {
        let shown = tenant.api.get(&path).await.ok(200);
        (shown["status"] == "disabled").then_some(())
    })
    .await;
    alice.key.ended(&id(&alice.key.run("Nobody hears.").await)).await;
    let sent = deliveries(&tenant.api, &made, "").await;
    assert_eq!((sent.len(), &sent[0]["status"], &sent[0]["response_status"]), (1, &json!("failed"), &json!(410)));
    // It can be tried before it is switched on.
    gone.store(false, Ordering::SeqCst);
    tenant.api.post(&format!("{path}/test"), json!({})).await.ok(202);
    told(&server, "webhook.test").await;
    let replay = format!("{path}/deliveries/{}/replay", id(&sent[0]));
    tenant.api.post(&replay, json!({})).await.ok(202);
    eventually("nothing else is", || async {
        deliveries(&tenant.api, &made, "&status=failed")
            .await
            .iter()
            .find(|one| one["error"] == "the endpoint is disabled")
            .cloned()
    })
    .await;
    let on = tenant.api.patch(&path, json!({"status": "enabled"})).await.ok(200);
    assert_eq!((&on["status"], &on["failing_since"]), (&json!("enabled"), &Value::Null));
    tenant.api.post(&replay, json!({})).await.ok(202);
    let event = told(&server, "run.completed").await;
    assert_eq!(event["id"], sent[0]["event"]);
    // With the endpoint goes what was to be sent to it.
    assert_eq!(tenant.api.delete(&path).await.status, 204);
    assert_eq!(tenant.api.get(&format!("{path}/deliveries")).await.status, 404);
}

#[tokio::test]
async fn a_budget_that_is_reached_is_told_once() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let server = receiver();
    endpoint(&tenant, &server.url, &["budget.warning", "budget.exhausted", "run.failed"]).await;
    // A call costs 202,500: see the tests of budgets.
    let lane = Lane::always(Reply::text("Some words.").usage(10, 100));
    let config = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark(), "max_output_tokens": 100, "on_budget": "fail"});
    assert!(tenant.api.put("/v1/agents/assistant", config).await.status < 300);
    let scope = json!({"type": "each_user"});
    let budget = json!({"scope": scope, "window": "total", "limit": {"nano_usd": 450_000}, "warn_at_percent": 60});
    let budget = id(&tenant.api.post("/v1/budgets", budget).await.ok(201));
    for _ in 0..2 {
        assert_eq!(alice.key.ended(&id(&alice.key.run("Go.").await)).await["status"], "completed");
    }
    let warned = told(&server, "budget.warning").await;
    assert_eq!(
        (&warned["data"]["id"], &warned["data"]["spent"]["nano_usd"]),
        (&json!(budget), &json!(405_000)),
        "as alice's counter is"
    );
    assert_eq!(warned["data"]["user"], json!(alice.id), "and it says so");
    // Too little is left for another: nobody may have spent the last of it for the budget to be used up.
    for _ in 0..2 {
        let refused = alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "Go."})).await;
        if refused.status == 201 {
            assert_eq!(alice.key.ended(&id(&refused.json())).await["status"], "failed");
        } else {
            refused.problem(402, "budget_exhausted");
        }
    }
    let exhausted = told(&server, "budget.exhausted").await;
    assert_eq!(exhausted["data"]["id"], json!(budget));
    let raised = json!({"limit": {"nano_usd": 600_000}});
    tenant.api.patch(&format!("/v1/budgets/{budget}"), raised).await.ok(200);
    assert_eq!(alice.key.ended(&id(&alice.key.run("Go.").await)).await["status"], "completed");
    eventually("again, for the other limit", || async {
        (heard(&server, "budget.exhausted").len() == 2).then_some(())
    })
    .await;
    assert_eq!(heard(&server, "budget.warning").len(), 1);
}

#[tokio::test]
async fn nobody_is_told_what_it_may_not_read_nor_sent_where_it_may_not_reach() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let keys = format!("/v1/tenants/{}/keys", tenant.id);
    let few = json!({"name": "k", "scopes": ["webhooks:write", "webhooks:read", "budgets:read"]});
    let key = site.operator().post(&keys, few).await.ok(201);
    let few = site.anybody().bearer(key["secret"].as_str().expect("a secret"));
    let server = receiver();
    let made = |events: Value, url: &str| json!({"url": url, "events": events});
    few.post("/v1/webhook_endpoints", made(json!(["run.completed"]), &server.url)).await.problem(403, "forbidden");
    let budgets = id(&few.post("/v1/webhook_endpoints", made(json!(["budget.warning"]), &server.url)).await.ok(201));
    let path = format!("/v1/webhook_endpoints/{budgets}");
    few.patch(&path, json!({"events": ["budget.warning", "approval.requested"]})).await.problem(403, "forbidden");
    // Who may not read runs may not speak of them in our name either, nor have them sent elsewhere; but can switch off what is amiss.
    let of_runs = id(&tenant.api.post("/v1/webhook_endpoints", made(json!(["run.failed"]), &server.url)).await.ok(201));
    let of_runs = format!("/v1/webhook_endpoints/{of_runs}");
    few.post(&format!("{of_runs}/rotate_secret"), json!({})).await.problem(403, "forbidden");
    few.patch(&of_runs, json!({"url": format!("{}/elsewhere", server.url)})).await.problem(403, "forbidden");
    assert_eq!(few.patch(&of_runs, json!({"status": "disabled"})).await.ok(200)["status"], "disabled");
    few.patch(&of_runs, json!({"status": "enabled"})).await.problem(403, "forbidden");
    assert_eq!(few.delete(&of_runs).await.status, 204);
    for (events, url, param) in [
        (json!([]), &*server.url, "/events"),
        (json!(["run.completed", "run.completed"]), &server.url, "/events/1"),
        (json!(["webhook.test"]), &server.url, "/events/0"),
        (json!(["run.completed"]), "nowhere", "/url"),
    ] {
        tenant.api.post("/v1/webhook_endpoints", made(events, url)).await.blames(422, "invalid_value", param);
    }
    for url in [
        "http://169.254.169.254/latest",
        "ftp://example.test/",
        "http://user:word@example.test/",
        "http://[::ffff:10.0.0.1]/",
    ] {
        tenant
            .api
            .post("/v1/webhook_endpoints", made(json!(["run.completed"]), url))
            .await
            .problem(422, "url_not_allowed");
        tenant.api.patch(&path, json!({"url": url})).await.problem(422, "url_not_allowed");
    }
    for n in 1..16 {
        let url = format!("{}/{n}", server.url);
        tenant.api.post("/v1/webhook_endpoints", made(json!(["run.completed"]), &url)).await.ok(201);
    }
    tenant.api.post("/v1/webhook_endpoints", made(json!(["run.completed"]), &server.url)).await.blames(
        422,
        "invalid_value",
        "/url",
    );

    // A run that is erased is told of to nobody, also not once more.
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Here."))).await;
    let run = alice.key.ended(&id(&alice.key.run("Go.").await)).await;
    server.asked(15).await;
    let sent = deliveries(&tenant.api, &budgets, "").await;
    assert_eq!(sent, Vec::<Value>::new(), "it wants to know of budgets only");
    let thread = run["thread"].as_str().expect("a thread");
    assert_eq!(alice.key.delete(&format!("/v1/threads/{thread}")).await.status, 204);
    let of_tenant = format!(
        "SELECT count(*) FROM headwater.webhook_deliveries WHERE tenant_id = '{}'",
        tenant.id.trim_start_matches("ten_")
    );
    let admin = site.database.admin().await;
    eventually("nothing of it is left", || async {
        (admin.value(&of_tenant).await.expect("counts").as_deref() == Some("0")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_tenant_whose_endpoints_hang_holds_up_nobody_else() {
    let site = Site::shared().await;
    let (slow, good) = (site.tenant().await, site.tenant().await);
    let hold = Arc::new(AtomicBool::new(true));
    let held = hold.clone();
    let hanging = ToolServer::start(move |_| {
        while held.load(Ordering::SeqCst) {
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        ToolAnswer::text("").status(200)
    });
    for n in 0..16 {
        endpoint(&slow, &format!("{}/{n}", hanging.url), &["run.completed"]).await;
    }
    let users = [slow.user("alice").await, good.user("alice").await];
    for tenant in [&slow, &good] {
        tenant.agent(&Lane::always(Reply::text("Here."))).await;
    }
    for _ in 0..4 {
        users[0].key.ended(&id(&users[0].key.run("Go.").await)).await;
    }
    hanging.asked(4).await;
    let server = receiver();
    endpoint(&good, &server.url, &["run.completed"]).await;
    let name = unique("run");
    users[1].key.ended(&id(&users[1].key.run(&name).await)).await;
    told(&server, "run.completed").await;
    assert!(hanging.requests().len() <= 16, "four endpoints at a time, and four deliveries to each");
    hold.store(false, Ordering::SeqCst);
}

#[tokio::test]
async fn a_budget_tells_of_its_end_whatever_was_refused_before_and_of_a_warning_that_comes_later() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let server = receiver();
    endpoint(&tenant, &server.url, &["budget.warning", "budget.exhausted"]).await;
    // A call costs 202,500, whatever was set aside for it: see the tests of budgets.
    let lane = Lane::always(Reply::text("Some words.").usage(10, 100));
    let config = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark(), "max_output_tokens": 50, "on_budget": "fail"});
    assert!(tenant.api.put("/v1/agents/assistant", config).await.status < 300);
    let go = async |words: &str| alice.key.post("/v1/runs", json!({"agent": "assistant", "input": words})).await;
    let large = json!({"scope": {"type": "tenant"}, "window": "total", "limit": {"nano_usd": 10_000_000}, "warn_at_percent": 80});
    let large = id(&tenant.api.post("/v1/budgets", large).await.ok(201));
    let small =
        json!({"scope": {"type": "tenant"}, "window": "total", "limit": {"nano_usd": 200_000}, "warn_at_percent": 99});
    let small = id(&tenant.api.post("/v1/budgets", small).await.ok(201));
    // Nothing is spent, and one call wants more than there is: twice, and told once.
    for _ in 0..2 {
        let refused = go(&"word ".repeat(3000)).await;
        if refused.status == 201 {
            assert_eq!(alice.key.ended(&id(&refused.json())).await["status"], "failed");
        }
    }
    let refused = told(&server, "budget.exhausted").await;
    assert_eq!((&refused["data"]["id"], &refused["data"]["spent"]["nano_usd"]), (&json!(small), &json!(0)));
    alice.key.ended(&id(&go("Go.").await.ok(201))).await;
    let spent =
        eventually("and then it is spent", || async { heard(&server, "budget.exhausted").into_iter().nth(1) }).await;
    assert_eq!((&spent["data"]["id"], &spent["data"]["spent"]["nano_usd"]), (&json!(small), &json!(202_500)));
    // Another bound that is passed already is told of with the next that is spent.
    tenant.api.delete(&format!("/v1/budgets/{small}")).await;
    tenant.api.patch(&format!("/v1/budgets/{large}"), json!({"warn_at_percent": 1})).await.ok(200);
    alice.key.ended(&id(&go("Go.").await.ok(201))).await;
    assert_eq!(told(&server, "budget.warning").await["data"]["id"], json!(large));
    alice.key.ended(&id(&go("Go.").await.ok(201))).await;
    assert_eq!((heard(&server, "budget.exhausted").len(), heard(&server, "budget.warning").len()), (2, 1));
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_run_is_told_after_the_warning() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let server = receiver();
    endpoint(&tenant, &server.url, &["budget.warning", "budget.exhausted"]).await;
    // The first step costs 202,500, and nothing that is of use can be had for what is left.
    let lane = Lane::always(Reply::text("").tool_call("time", "{}").usage(10, 100));
    let config = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark(), "max_output_tokens": 100, "on_budget": "fail",
        "tools": [{"type": "builtin", "name": "time"}]});
    assert!(tenant.api.put("/v1/agents/assistant", config).await.status < 300);
    let budget =
        json!({"scope": {"type": "tenant"}, "window": "total", "limit": {"nano_usd": 250_000}, "warn_at_percent": 60});
    tenant.api.post("/v1/budgets", budget).await.ok(201);
    assert_eq!(alice.key.ended(&id(&alice.key.run("Go.").await)).await["error"]["code"], "budget_exhausted");
    let exhausted = told(&server, "budget.exhausted").await;
    let warned = told(&server, "budget.warning").await;
    assert!(warned["created_at"].as_str() <= exhausted["created_at"].as_str(), "{warned} {exhausted}");
    assert_eq!(exhausted["data"]["spent"]["nano_usd"], 202_500);
}

/// So many tests that are due, as if somebody had asked for them.
async fn many(site: &Site, endpoint: &str, kind: &str, count: usize) {
    let sql = format!(
        "INSERT INTO headwater.webhook_deliveries (tenant_id, delivery_id, endpoint_id, event_id, type, next_attempt_at, happened_at, created_at)
         SELECT tenant_id, gen_random_uuid(), endpoint_id, gen_random_uuid(), '{kind}', now() - interval '1 minute', now(), now()
         FROM headwater.webhook_endpoints, generate_series(1, {count}) WHERE endpoint_id = '{}'",
        endpoint.trim_start_matches("whk_")
    );
    site.database.admin().await.execute(&sql).await.expect("they are due");
}

#[tokio::test]
async fn all_endpoints_of_a_tenant_have_their_turn_however_much_is_due_for_some() {
    const BACKLOG: usize = 300;
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let servers: Vec<ToolServer> = (0..5).map(|_| receiver()).collect();
    let mut endpoints = Vec::new();
    for server in &servers {
        endpoints.push(id(&endpoint(&tenant, &server.url, &["run.completed"]).await));
    }
    for busy in &endpoints[..4] {
        many(&site, busy, "webhook.test", BACKLOG).await;
    }
    tenant.api.post(&format!("/v1/webhook_endpoints/{}/test", endpoints[4]), json!({})).await.ok(202);
    servers[4].asked(1).await;
    let left = servers[..4].iter().filter(|server| server.requests().len() < BACKLOG).count();
    assert!(left > 0, "it came when all others were through");
}

#[tokio::test]
async fn what_nobody_can_read_holds_up_nothing() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let server = receiver();
    let made = id(&endpoint(&tenant, &server.url, &["run.completed"]).await);
    // As a newer release would have written it.
    many(&site, &made, "run.exploded", 4).await;
    many(&site, &made, "webhook.test", 1).await;
    told(&server, "webhook.test").await;
    let admin = site.database.admin().await;
    let tried = format!(
        "SELECT count(*) FROM headwater.webhook_deliveries WHERE endpoint_id = '{}' AND type = 'run.exploded' AND status = 'pending'
             AND error = 'an event that this version does not know'",
        made.trim_start_matches("whk_")
    );
    eventually("they are left for one that knows them", || async {
        (admin.value(&tried).await.expect("counts").as_deref() == Some("4")).then_some(())
    })
    .await;
    // One that was begun too often has killed whoever tried it.
    many(&site, &made, "webhook.test", 1).await;
    let begun = format!(
        "UPDATE headwater.webhook_deliveries SET attempts = 20, next_attempt_at = now() WHERE endpoint_id = '{0}' AND type = 'run.exploded'",
        made.trim_start_matches("whk_")
    );
    admin.execute(&begun).await.expect("begun again and again");
    tenant.api.post(&format!("/v1/webhook_endpoints/{made}/test"), json!({})).await.ok(202);
    let given_up = tried
        .replace("'pending'", "'failed'")
        .replace("an event that this version does not know", "it was begun again and again, and never came to an end");
    eventually("and given up", || async {
        (admin.value(&given_up).await.expect("counts").as_deref() == Some("4")).then_some(())
    })
    .await;
}
