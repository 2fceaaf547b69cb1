//! Runs that begin by themselves, again and again.

use headwater_protocol::Timestamp;
use headwater_store::admin::Admin;
use headwater_testkit::model::Reply;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::support::tenant::id;
use crate::support::{Api, Lane, Site, eventually, serve, unique};

/// A minute of the hour that is far from now: every hour, half an hour ago and in half an hour.
fn far_minute() -> i8 {
    (Timestamp::now().0.to_zoned(TimeZone::UTC).minute() + 30) % 60
}

fn hourly(name: &str, on_missed: &str) -> Value {
    let cron = format!("{} * * * *", far_minute());
    json!({"name": name, "agent": "assistant", "input": format!("Write {name}."), "cron": cron, "on_missed": on_missed,
        "metadata": {"k": "v"}})
}

async fn make(api: &Api, body: Value) -> String {
    id(&api.post("/v1/schedules", body).await.ok(201))
}

/// As if the hours had passed: its time was so many hours before the next one.
async fn passed(admin: &Admin, schedule: &str, hours: u32) {
    let sql = format!(
        "UPDATE headwater.schedules SET next_run_at = next_run_at - interval '{hours} hours' WHERE schedule_id = '{}'",
        schedule.trim_start_matches("sch_")
    );
    admin.execute(&sql).await.expect("time passes");
}

/// Has a process look at what is due: a change of a schedule of the caller's does.
async fn look(api: &Api, schedule: &str) {
    let changed = api.patch(&format!("/v1/schedules/{schedule}"), json!({"name": unique("name")})).await;
    changed.ok(200);
}

/// The schedule, once its next time is to come.
async fn moved_on(api: &Api, schedule: &str) -> Value {
    let now = Timestamp::now().to_string();
    eventually("it has moved on", || async {
        let found = api.get(&format!("/v1/schedules/{schedule}")).await.ok(200);
        (found["next_run_at"].as_str() > Some(now.as_str())).then_some(found)
    })
    .await
}

async fn runs_of(api: &Api, schedule: &str) -> Vec<Value> {
    let found = api.get(&format!("/v1/runs?schedule={schedule}&limit=100")).await.ok(200);
    found["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn each_time_is_one_run_at_however_many_processes() {
    let site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(Reply::text("The digest."));
    tenant.agent(&lane).await;
    let other = serve(&site.database, &[]);
    let there = alice.at(&other.url);
    let admin = site.database.admin().await;
    let mut all = Vec::new();
    for n in 0..8 {
        all.push(make(&alice.key, hourly(&format!("digest {n}"), "run_once")).await);
    }
    for schedule in &all {
        passed(&admin, schedule, 1).await;
    }
    // Both look at once.
    tokio::join!(look(&alice.key, &all[0]), look(&there.key, &all[1]));
    for schedule in &all {
        let shown = moved_on(&alice.key, schedule).await;
        let runs = runs_of(&alice.key, schedule).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        assert_eq!(shown["last_run"], runs[0]["id"]);
        assert_eq!(runs[0]["source"], json!({"type": "schedule", "id": schedule, "call": null}));
        assert_eq!(runs[0]["priority"], "background");
        assert_eq!(runs[0]["metadata"], json!({"k": "v"}));
        assert_eq!(alice.key.ended(&id(&runs[0])).await["result"]["text"], "The digest.");
    }
    // A time that comes twice, as for a process that has made the run and died before it could say so, is one run still.
    passed(&admin, &all[2], 1).await;
    look(&there.key, &all[2]).await;
    moved_on(&alice.key, &all[2]).await;
    assert_eq!(runs_of(&alice.key, &all[2]).await.len(), 1);
    let calls = tenant.api.get("/v1/usage/calls?limit=1").await.ok(200);
    assert!(calls["data"][0]["schedule"].as_str().is_some_and(|id| all.iter().any(|one| one == id)), "{calls}");
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_as_it_says() {
    let mut site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(Reply::text("Late."));
    tenant.agent(&lane).await;
    let admin = site.database.admin().await;
    let thread = id(&alice.key.post("/v1/threads", json!({})).await.ok(201));
    let mut once = hourly("once", "run_once");
    once["thread"] = json!(thread);
    let once = make(&alice.key, once).await;
    let every = make(&alice.key, hourly("every", "run_all")).await;
    let none = make(&alice.key, hourly("none", "skip")).await;
    let mut off = hourly("off", "run_all");
    off["enabled"] = json!(false);
    let off = alice.key.post("/v1/schedules", off).await.ok(201);
    assert_eq!(off["next_run_at"], Value::Null);
    // Who wakes a sleeping server is told when.
    let ahead = "SELECT must_at = (SELECT min(next_run_at) FROM headwater.schedules) FROM headwater.work_ahead()";
    assert_eq!(admin.value(ahead).await.expect("asks").as_deref(), Some("t"));
    site.process.kill9();
    for schedule in [&once, &every, &none] {
        passed(&admin, schedule, 3).await;
    }
    let next = serve(&site.database, &[]);
    let there = alice.at(&next.url);
    for (schedule, count) in [(&once, 1), (&every, 3), (&none, 0)] {
        let shown = moved_on(&there.key, schedule).await;
        assert_eq!(shown["last_error"], Value::Null, "{shown}");
        assert_eq!(runs_of(&there.key, schedule).await.len(), count, "{shown}");
    }
    let runs = runs_of(&there.key, &once).await;
    assert_eq!(runs[0]["thread"], json!(thread));
    assert_eq!(there.key.ended(&id(&runs[0])).await["status"], "completed");
    let threads: std::collections::BTreeSet<_> =
        runs_of(&there.key, &every).await.iter().map(|run| run["thread"].to_string()).collect();
    assert_eq!(threads.len(), 3, "a new one each time");
    assert_eq!(runs_of(&there.key, &id(&off)).await.len(), 0);
}

#[tokio::test]
async fn what_cannot_be_run_is_told_and_holds_up_nobody() {
    let site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let lane = Lane::always(Reply::text("Here."));
    tenant.agent(&lane).await;
    tenant.api.put("/v1/agents/gone", json!({"model": lane.model()})).await;
    let admin = site.database.admin().await;
    let mut gone = hourly("gone", "run_once");
    gone["agent"] = json!("gone");
    let gone = make(&alice.key, gone).await;
    assert_eq!(tenant.api.delete("/v1/agents/gone").await.status, 204);
    let blocked = make(&bob.key, hourly("blocked", "run_once")).await;
    tenant.api.patch(&format!("/v1/users/{}", bob.id), json!({"status": "blocked"})).await.ok(200);
    let held = site.tenant().await;
    let carol = held.user("carol").await;
    held.agent(&lane).await;
    let asleep = make(&carol.key, hourly("asleep", "run_all")).await;
    let of_tenant = format!("/v1/tenants/{}", held.id);
    site.operator().patch(&of_tenant, json!({"status": "suspended"})).await.ok(200);
    let fine = make(&alice.key, hourly("fine", "run_once")).await;
    for (schedule, hours) in [(&gone, 4), (&blocked, 3), (&asleep, 2), (&fine, 1)] {
        passed(&admin, schedule, hours).await;
    }
    look(&alice.key, &fine).await;
    let ran = moved_on(&alice.key, &fine).await;
    assert_eq!(alice.key.ended(ran["last_run"].as_str().expect("a run")).await["status"], "completed");
    for (schedule, code) in [(&gone, "agent_not_found"), (&blocked, "user_blocked")] {
        let shown = moved_on(&tenant.api, schedule).await;
        assert_eq!((&shown["last_error"]["code"], &shown["last_run"]), (&json!(code), &Value::Null), "{shown}");
    }
    // What is refused can be switched off, whatever has become of what it names.
    let off = alice.key.patch(&format!("/v1/schedules/{gone}"), json!({"enabled": false})).await.ok(200);
    assert_eq!((&off["enabled"], &off["next_run_at"]), (&json!(false), &Value::Null));
    // Of the tenant's money a user is told the code.
    let poor = json!({"model": "openai/gpt-5-mini", "on_budget": "fail", "instructions": lane.mark()});
    tenant.api.put("/v1/agents/poor", poor).await;
    let none = json!({"scope": {"type": "tenant"}, "mode": "hard", "window": "total", "limit": {"nano_usd": 1}});
    tenant.api.post("/v1/budgets", none).await.ok(201);
    let mut body = hourly("poor", "run_once");
    body["agent"] = json!("poor");
    let broke = make(&alice.token, body).await;
    passed(&admin, &broke, 1).await;
    look(&alice.token, &broke).await;
    let shown = moved_on(&tenant.api, &broke).await;
    assert_eq!(shown["last_error"]["code"], "budget_exhausted", "{shown}");
    assert!(shown["last_error"].get("budget").is_some(), "{shown}");
    let told = alice.token.get(&format!("/v1/schedules/{broke}")).await.ok(200);
    assert_eq!(told["last_error"]["code"], "budget_exhausted", "{told}");
    assert!(told["last_error"].get("budget").is_none() && told["last_error"].get("remaining").is_none(), "{told}");
    // Of a suspended tenant nothing runs; when it is back, it has missed what was due.
    site.operator().patch(&of_tenant, json!({"status": "active"})).await.ok(200);
    assert_eq!(runs_of(&carol.key, &asleep).await.len(), 0);
    look(&carol.key, &asleep).await;
    moved_on(&carol.key, &asleep).await;
    assert_eq!(runs_of(&carol.key, &asleep).await.len(), 2);
}

#[tokio::test]
async fn it_is_changed_triggered_and_removed_by_its_user_only() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let lane = Lane::always(Reply::text("Now."));
    tenant.agent(&lane).await;
    let body = json!({"name": "digest", "agent": "assistant", "input": "Write.", "cron": "0 7 * * 1-5", "timezone": "Europe/Berlin",
        "metadata": {"k": "v"}});
    // The same request is the same schedule.
    let keyed = alice.token.with("idempotency-key", &unique("key"));
    let made = keyed.post("/v1/schedules", body.clone()).await.ok(201);
    assert_eq!(id(&keyed.post("/v1/schedules", body.clone()).await.ok(201)), id(&made));
    let path = format!("/v1/schedules/{}", id(&made));
    let expected = json!({"object": "schedule", "user": alice.id, "thread": null, "cron": "0 7 * * 1-5", "timezone": "Europe/Berlin",
        "on_missed": "run_once", "enabled": true, "last_run": null, "last_error": null, "metadata": {"k": "v"}});
    for (name, value) in expected.as_object().expect("fields") {
        assert_eq!(&made[name], value, "{name}");
    }
    let before = made["next_run_at"].clone();
    let renamed = alice.key.patch(&path, json!({"name": "daily", "on_missed": "skip"})).await.ok(200);
    assert_eq!((&renamed["name"], &renamed["next_run_at"]), (&json!("daily"), &before));
    let moved = alice.key.patch(&path, json!({"cron": "0 7 1 1 *"})).await.ok(200);
    assert!(moved["next_run_at"].as_str() > before.as_str() || moved["next_run_at"] != before, "{moved}");
    // What is sent back as it is moves nothing, or a time that is due just now would be lost.
    let again = json!({"cron": moved["cron"], "timezone": moved["timezone"], "enabled": true, "name": "again"});
    let admin = Site::shared().await.database.admin().await;
    passed(&admin, &id(&made), 1).await;
    let same = alice.key.patch(&path, again).await.ok(200);
    assert!(same["next_run_at"].as_str() < moved["next_run_at"].as_str(), "{same}");
    // Two who change different things at once.
    let (one, two) = tokio::join!(
        alice.key.patch(&path, json!({"input": "One."})),
        alice.key.patch(&path, json!({"on_missed": "run_all"}))
    );
    one.ok(200);
    two.ok(200);
    let both = alice.key.get(&path).await.ok(200);
    assert_eq!((&both["input"], &both["on_missed"]), (&json!("One."), &json!("run_all")));
    let off = alice.key.patch(&path, json!({"enabled": false})).await.ok(200);
    assert_eq!(off["next_run_at"], Value::Null);
    // Triggered, whether it is enabled or not; once for one key.
    let keyed = alice.key.with("idempotency-key", &unique("key"));
    let trigger = format!("{path}/trigger");
    let run = keyed.post(&trigger, json!({})).await.ok(201);
    assert_eq!(id(&keyed.post(&trigger, json!({})).await.ok(201)), id(&run));
    assert_eq!(run["source"], json!({"type": "schedule", "id": id(&made), "call": null}));
    assert_eq!(alice.key.ended(&id(&run)).await["result"]["text"], "Now.");
    // A token for some agents starts no other.
    let narrow = tenant.token("alice", json!({"agents": ["another"]})).await;
    narrow.post(&trigger, json!({})).await.problem(404, "agent_not_found");
    narrow.post("/v1/schedules", body.clone()).await.problem(404, "agent_not_found");
    // A thread must be one's own; and what goes with it goes.
    let of_bob = id(&bob.key.post("/v1/threads", json!({})).await.ok(201));
    let with = |field: &str, value: Value| {
        let mut body = body.clone();
        body[field] = value;
        body
    };
    alice.key.post("/v1/schedules", with("thread", json!(of_bob))).await.blames(422, "invalid_value", "/thread");
    alice.key.patch(&path, json!({"thread": of_bob})).await.blames(422, "invalid_value", "/thread");
    for (field, value) in [
        ("cron", json!("7 * *")),
        ("cron", json!("99 7 * * *")),
        ("cron", json!("0 0 30 2 *")),
        ("cron", json!("* * * * * * *")),
        ("timezone", json!("Mars/Olympus")),
        ("timezone", json!("")),
        ("name", json!("")),
        ("input", json!("")),
        ("on_missed", json!("panic")),
        ("thread", json!("thr_x")),
    ] {
        let refused = alice.key.post("/v1/schedules", with(field, value.clone())).await.problem(422, "invalid_value");
        let param = refused["errors"][0]["param"].as_str().expect("a param");
        assert!(param.starts_with(&format!("/{field}")), "{field} {value}: {refused}");
    }
    alice.key.post("/v1/schedules", with("every", json!(5))).await.problem(422, "unknown_field");
    assert_eq!(bob.key.get("/v1/schedules").await.ok(200)["data"], json!([]));
    assert_eq!(alice.key.delete(&path).await.status, 204);
    alice.key.get(&path).await.problem(404, "not_found");
    assert_eq!(alice.key.get(&format!("/v1/runs/{}", id(&run))).await.ok(200)["status"], "completed", "its runs stay");
}

#[tokio::test]
async fn it_goes_with_its_user_and_there_are_only_so_many() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("x"))).await;
    let body = json!({"name": "n", "agent": "assistant", "input": "x", "cron": "0 7 1 1 *"});
    let admin = site.database.admin().await;
    make(&alice.key, body.clone()).await;
    let count = format!(
        "SELECT count(*) FROM headwater.schedules WHERE tenant_id = '{}'",
        tenant.id.trim_start_matches("ten_")
    );
    assert_eq!(admin.value(&count).await.expect("counts").as_deref(), Some("1"));
    let copies = format!(
        "INSERT INTO headwater.schedules SELECT tenant_id, gen_random_uuid(), user_id, agent_id, into_thread, name, input, cron,
             timezone, on_missed, enabled, next_run_at, last_run, last_error, metadata, created_at, updated_at
         FROM headwater.schedules, generate_series(1, 99) WHERE tenant_id = '{}'",
        tenant.id.trim_start_matches("ten_")
    );
    admin.execute(&copies).await.expect("makes more");
    alice.key.post("/v1/schedules", body.clone()).await.problem(422, "invalid_value");
    // Another user is not held up by it.
    make(&tenant.user("bob").await.key, body).await;
    assert_eq!(tenant.api.delete(&format!("/v1/users/{}", alice.id)).await.status, 204);
    eventually("they are gone", || async {
        (admin.value(&count).await.expect("counts").as_deref() == Some("1")).then_some(())
    })
    .await;
}
