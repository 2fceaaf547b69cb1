//! Plans and prices: what the operator grants holds for every tenant on the plan, and for nobody else.

use headwater_testkit::Database;
use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::Stream;
use crate::support::tenant::id;
use crate::support::{Lane, Site, Tenant, eventually, serve, unique};

/// Makes or changes a plan.
async fn plan(site: &Site, name: &str, terms: Value) -> Value {
    site.operator().put(&format!("/v1/plans/{name}"), terms).await.ok(200)
}

/// A tenant on a new plan of these terms.
async fn on_plan(site: &Site, terms: Value) -> (Tenant, String) {
    let (tenant, name) = (site.tenant().await, unique("plan"));
    plan(site, &name, terms).await;
    move_to(site, &tenant, &name).await;
    (tenant, name)
}

async fn move_to(site: &Site, tenant: &Tenant, plan: &str) {
    let path = format!("/v1/tenants/{}", tenant.id);
    assert_eq!(site.operator().patch(&path, json!({"plan": plan})).await.ok(200)["plan"], plan);
}

/// An agent of a model with a price: 250 and 2000 nano-dollars for a token that goes in, and that comes out.
async fn priced(tenant: &Tenant, lane: &Lane, more: Value) {
    let mut config = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark(), "max_output_tokens": 100});
    for (name, value) in more.as_object().expect("settings") {
        config[name] = value.clone();
    }
    let kept = tenant.api.put("/v1/agents/assistant", config).await;
    assert!(kept.status < 300, "{}", kept.text());
}

fn nano(money: &Value) -> i64 {
    money["nano_usd"].as_i64().unwrap_or_else(|| panic!("no money: {money}"))
}

#[tokio::test]
async fn a_plan_is_made_changed_listed_and_its_values_are_checked() {
    let site = Site::shared().await;
    let name = unique("plan");
    let operator = site.operator();
    assert_eq!(operator.get(&format!("/v1/plans/{name}")).await.status, 404);
    let made = plan(&site, &name, json!({"weight": 3})).await;
    assert_eq!((&made["object"], &made["name"], &made["weight"]), (&json!("plan"), &json!(name), &json!(3)));
    assert_eq!((&made["max_active_runs"], &made["budgets"]), (&Value::Null, &json!([])));
    let changed = plan(&site, &name, json!({"requests_per_minute": 9})).await;
    assert_eq!((&changed["weight"], &changed["requests_per_minute"]), (&json!(1), &json!(9)), "PUT is the whole");
    assert_eq!(changed["created_at"], made["created_at"]);
    let all = operator.get("/v1/plans").await.ok(200);
    let names: Vec<_> = all["data"].as_array().expect("a list").iter().map(|plan| &plan["name"]).collect();
    assert!(names.contains(&&json!(name)) && names.contains(&&json!("default")), "{names:?}");
    for (terms, param) in [
        (json!({"weight": 0}), "/weight"),
        (json!({"allowed_models": ["nonsense"]}), "/allowed_models/0"),
        (json!({"budgets": [{"scope": {"type": "tenant"}, "limit": {"nano_usd": -5}}]}), "/budgets/0/limit"),
    ] {
        let refused = operator.put(&format!("/v1/plans/{name}"), terms).await.problem(422, "invalid_value");
        assert_eq!(refused["errors"][0]["param"], param);
    }
    operator.put(&format!("/v1/plans/{name}"), json!({"wieght": 1})).await.problem(422, "unknown_field");
    operator.put("/v1/plans/No%20Such", json!({})).await.problem(422, "invalid_value");
    let refused = operator.post("/v1/tenants", json!({"name": "x", "plan": unique("nowhere")})).await;
    assert_eq!(refused.problem(422, "invalid_value")["errors"][0]["param"], "/plan");
}

#[tokio::test]
async fn budgets_come_and_go_with_the_plan_and_what_was_spent_stays() {
    let site = Site::shared().await;
    let limit =
        |nano: i64| json!({"budgets": [{"scope": {"type": "tenant"}, "window": "total", "limit": {"nano_usd": nano}}]});
    let (tenant, name) = on_plan(&site, limit(1_000)).await;
    let alice = tenant.user("alice").await;
    priced(&tenant, &Lane::always(Reply::text("x").usage(10, 20)), json!({})).await;
    let budgets = tenant.api.get("/v1/budgets").await.ok(200);
    let budget = budgets["data"][0].clone();
    assert_eq!((&budget["owner"], &budget["of_plan"]), (&json!("operator"), &json!(true)), "{budgets}");
    let run = id(&alice.key.run("x").await);
    eventually("there is no money for it", || async {
        let found = alice.key.get(&format!("/v1/runs/{run}?wait_ms=5000")).await.ok(200);
        (found["status"] == "suspended").then_some(())
    })
    .await;
    // Nobody changes it but the plan.
    let path = format!("/v1/budgets/{}", id(&budget));
    tenant.api.patch(&path, json!({"limit": {"usd": "9"}})).await.problem(403, "forbidden");
    let theirs = format!("/v1/tenants/{}/budgets/{}", tenant.id, id(&budget));
    site.operator().patch(&theirs, json!({"limit": {"usd": "9"}})).await.problem(409, "in_use");
    site.operator().delete(&theirs).await.problem(409, "in_use");
    plan(&site, &name, limit(1_000_000)).await;
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
    let spent = nano(&tenant.api.get(&path).await.ok(200)["spent"]);
    assert_eq!(spent, 10 * 250 + 20 * 2000);
    // Another plan with such a budget: it is the same one.
    let other = unique("plan");
    plan(&site, &other, limit(2_000_000)).await;
    move_to(&site, &tenant, &other).await;
    let found = tenant.api.get(&path).await.ok(200);
    assert_eq!((nano(&found["spent"]), nano(&found["limit"])), (spent, 2_000_000));
    move_to(&site, &tenant, "default").await;
    assert_eq!(tenant.api.get("/v1/budgets").await.ok(200)["data"], json!([]));
    // Away and back is no way to a new month.
    site.database.admin().await.rows("SELECT headwater.sweep_budgets(1000)").await.expect("it sweeps");
    move_to(&site, &tenant, &other).await;
    assert_eq!(nano(&tenant.api.get(&path).await.ok(200)["spent"]), spent);
}

#[tokio::test]
async fn only_the_plans_models_are_called() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(Reply::text("x"));
    priced(&tenant, &lane, json!({})).await;
    let name = unique("plan");
    plan(&site, &name, json!({"allowed_models": ["scripted/*", "openai/gpt-4o"]})).await;
    move_to(&site, &tenant, &name).await;
    // The agent is there from before.
    let refused = alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await;
    let refused = refused.problem(422, "model_not_found");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(&name)), "{refused}");
    let seen = alice.token.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await;
    assert_eq!(seen.problem(422, "model_not_found")["detail"], Value::Null, "a user is not told of plans");
    let config = json!({"model": "openai/gpt-4o", "fallbacks": [{"model": "openai/gpt-5-mini"}]});
    tenant.api.put("/v1/agents/other", config).await.problem(422, "model_not_found");
    tenant.api.put("/v1/agents/other", json!({"model": "scripted/echo"})).await.ok(201);
    let body = json!({"agent": "other", "input": "x", "model": "openai/gpt-5-mini"});
    alice.key.post("/v1/runs", body).await.problem(422, "model_not_found");
    let run = alice.key.post("/v1/runs", json!({"agent": "other", "input": "x"})).await.ok(201);
    assert_eq!(alice.key.ended(&id(&run)).await["status"], "completed");
    let models = tenant.api.get("/v1/models").await.ok(200);
    let names: Vec<_> =
        models["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
    assert!(
        names.contains(&"openai/gpt-4o") && names.iter().all(|name| !name.starts_with("openai/gpt-5")),
        "{names:?}"
    );
    assert!(lane.requests().is_empty(), "nobody was asked");
}

/// A run that was accepted before its plan lost the model.
#[tokio::test]
async fn a_run_under_way_calls_no_model_that_the_plan_has_lost() {
    let site = Site::shared().await;
    let (tenant, name) = on_plan(&site, json!({})).await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::text("one").gate();
    let lane = Lane::sequence([held, Reply::text("never")]);
    priced(&tenant, &lane, json!({})).await;
    let first = alice.key.run("x").await;
    let thread = first["thread"].as_str().expect("a thread").to_owned();
    lane.called(1).await;
    let second = alice.key.run_on(&thread, "y").await;
    plan(&site, &name, json!({"allowed_models": ["scripted/*"]})).await;
    gate.open();
    assert_eq!(alice.key.ended(&id(&first)).await["status"], "completed");
    let second = alice.key.ended(&id(&second)).await;
    assert_eq!((&second["status"], &second["error"]["code"]), (&json!("failed"), &json!("model_not_found")));
    assert_eq!(lane.requests().len(), 1);
}

#[tokio::test]
async fn caps_and_rates_are_the_plans() {
    let site = Site::shared().await;
    let terms = json!({"max_active_runs": 1, "max_queued_runs": 1, "max_open_streams": 2});
    let (tenant, name) = on_plan(&site, terms).await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::text("x").gate();
    let lane = Lane::sequence([held, Reply::text("y"), Reply::text("z")]);
    priced(&tenant, &lane, json!({})).await;
    let first = id(&alice.key.run("x").await);
    lane.called(1).await;
    let second = alice.key.run("y").await;
    assert_eq!(second["status"], "queued", "one at a time");
    let refused = alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "z"})).await;
    assert_eq!(refused.problem(429, "too_many_runs")["limit"], 1);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = Stream::open(&alice.key, &first, None).await;
        stream.until("run.queued").await;
        streams.push(stream);
    }
    let third = alice.key.with("accept", "text/event-stream").get(&format!("/v1/runs/{first}/events")).await;
    assert!(third.text().contains("too many open streams"), "{}", third.text());
    drop(streams);
    gate.open();
    assert_eq!(alice.key.ended(&id(&second)).await["status"], "completed");
    plan(&site, &name, json!({"requests_per_minute": 3})).await;
    let limited = eventually("the rate is the plan's", || async {
        let answer = alice.key.get("/v1/me").await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert!(limited.header("ratelimit-policy").is_some_and(|policy| policy.contains("\"tenant\";q=3;w=60")));
    let other = site.tenant().await;
    assert_eq!(other.user("bob").await.key.get("/v1/me").await.status, 200, "others are on other plans");
}

#[tokio::test]
async fn runs_that_wait_for_somebody_are_bounded_too() {
    let site = Site::shared().await;
    let (tenant, _) = on_plan(&site, json!({"max_suspended_runs": 1})).await;
    let alice = tenant.user("alice").await;
    let tool = json!({"type": "client", "name": "pick", "parameters": {"type": "object"}});
    let lane = Lane::calling("pick", "{}", Reply::text("done"));
    tenant.agent_with(&lane, json!({"tools": [tool]})).await;
    let run = id(&alice.key.run("x").await);
    let waiting = eventually("it waits", || async {
        let found = alice.key.get(&format!("/v1/runs/{run}?wait_ms=5000")).await.ok(200);
        (found["status"] == "suspended").then_some(found)
    })
    .await;
    let refused = alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "y"})).await;
    assert_eq!(refused.problem(429, "too_many_runs")["limit"], 1);
    let call = waiting["pending"][0]["call"].as_str().expect("a call");
    alice.key.post(&format!("/v1/runs/{run}/calls/{call}/result"), json!({"output": 1})).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
    alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "y"})).await.ok(201);
}

#[tokio::test]
async fn a_tenant_pays_its_own_prices() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(Reply::text("x").usage(10, 20));
    priced(&tenant, &lane, json!({})).await;
    let prices = format!("/v1/tenants/{}/prices", tenant.id);
    let operator = site.operator();
    assert_eq!(operator.get(&prices).await.ok(200), json!({"markup_ppm": 0, "models": {}}));
    let cost = || async {
        let run = alice.key.run("x").await;
        nano(&alice.key.ended(&id(&run)).await["cost"])
    };
    let listed = 10 * 250 + 20 * 2000;
    assert_eq!(cost().await, listed);
    operator.put(&prices, json!({"markup_ppm": 100_000})).await.ok(200);
    assert_eq!(cost().await, listed + listed / 10);
    let agreed = json!({"input_pico_usd": 1_000_000, "output_pico_usd": 1_000_000});
    let body = json!({"markup_ppm": 100_000, "models": {"openai/gpt-5-mini": agreed, "openai/new-one": agreed}});
    operator.put(&prices, body).await.ok(200);
    assert_eq!(cost().await, 30_000, "what was agreed upon bears no mark-up");
    let models = tenant.api.get("/v1/models").await.ok(200);
    let mini = models["data"].as_array().expect("a list").iter().find(|model| model["id"] == "openai/gpt-5-mini");
    assert_eq!(mini.expect("it is listed")["price"]["output_pico_usd"], 1_000_000, "the tenant sees what it pays");
    // A model that no table knows has a price now, so that a hard budget can cover it.
    let scope = json!({"scope": {"type": "tenant"}, "window": "total", "limit": {"usd": "1"}});
    tenant.api.post("/v1/budgets", scope).await.ok(201);
    priced(&tenant, &lane, json!({"model": "openai/new-one"})).await;
    assert_eq!(cost().await, 30_000);
    priced(&tenant, &lane, json!({"model": "openai/newer-one"})).await;
    let run = alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await;
    run.problem(422, "price_unknown");
    for (body, param) in [
        (json!({"markup_ppm": 10_000_001}), "/markup_ppm"),
        (json!({"models": {"openai/*": agreed}}), "/models/openai~1*"),
    ] {
        assert_eq!(operator.put(&prices, body).await.problem(422, "invalid_value")["errors"][0]["param"], param);
    }
    let other = site.tenant().await;
    let bob = other.user("bob").await;
    priced(&other, &Lane::always(Reply::text("x").usage(10, 20)), json!({})).await;
    let run = bob.key.run("x").await;
    assert_eq!(nano(&bob.key.ended(&id(&run)).await["cost"]), listed, "nobody else pays them");
}

/// Two tenants that wait for one place take turns by their weights.
#[tokio::test]
async fn a_weight_is_a_share_of_the_turns() {
    let site = Site::start(&[("HEADWATER__PROVIDERS__OPENAI__MAX_CONCURRENT", "1")]).await;
    let (held, gate) = Reply::text("x").gate();
    let holds = Lane::sequence([held]);
    let first = site.tenant().await;
    priced(&first, &holds, json!({})).await;
    first.user("alice").await.key.run("x").await;
    holds.called(1).await;
    let (light, _) = on_plan(&site, json!({"weight": 1})).await;
    let (heavy, _) = on_plan(&site, json!({"weight": 3})).await;
    let lanes = [Lane::always(Reply::text("y")), Lane::always(Reply::text("y"))];
    let mut runs = Vec::new();
    for (tenant, lane) in [&light, &heavy].into_iter().zip(&lanes) {
        priced(tenant, lane, json!({})).await;
        let user = tenant.user("alice").await;
        for _ in 0..8 {
            runs.push((user.clone(), id(&user.key.run("x").await)));
        }
    }
    for (user, run) in &runs {
        eventually("it waits for its turn", || async {
            let why = user.key.get(&format!("/v1/runs/{run}/explain")).await.ok(200);
            (why["waiting"]["reason"] == "concurrency").then_some(())
        })
        .await;
    }
    gate.open();
    for (user, run) in &runs {
        assert_eq!(user.key.ended(run).await["status"], "completed");
    }
    let mut order: Vec<(u64, bool)> = Vec::new();
    for (lane, is_heavy) in lanes.iter().zip([false, true]) {
        order.extend(lane.requests().iter().map(|request| (request.call, is_heavy)));
    }
    order.sort_unstable();
    let heavy = order[..8].iter().filter(|(_, is_heavy)| *is_heavy).count();
    assert_eq!(heavy, 6, "three turns of four: {order:?}");
}

/// What a provider takes is taken by all processes together, and by no more.
#[tokio::test]
async fn processes_share_what_a_provider_takes() {
    let database = Database::fresh().await;
    let settings = [("HEADWATER__PROVIDERS__OPENAI__MAX_CONCURRENT", "4"), ("HEADWATER__LEASE__MS", "3000")];
    let processes = [serve(&database, &settings), serve(&database, &settings)];
    let site = Site { url: processes[0].url.clone(), database };
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    priced(&tenant, &Lane::always(Reply::text("First.")), json!({})).await;
    for process in &processes {
        let here = alice.at(&process.url).key;
        here.ended(&id(&here.run("x").await)).await;
        let operator = Site { url: process.url.clone(), database: site.database.clone() }.operator();
        eventually("each knows of the other, and lets half of them through", || async {
            (operator.get("/v1/limiter").await.ok(200)["keys"][0]["limit"] == 2).then_some(())
        })
        .await;
    }
    let (held, gate) = Reply::text("x").gate();
    let lane = Lane::always(held);
    priced(&tenant, &lane, json!({})).await;
    let mut runs = Vec::new();
    for process in &processes {
        for _ in 0..6 {
            runs.push(id(&alice.at(&process.url).key.run("x").await));
        }
    }
    lane.called(4).await;
    // Whoever is not called is told to wait, and nobody else is called meanwhile.
    eventually("eight wait", || async {
        let mut waiting = 0;
        for run in &runs {
            let why = alice.key.get(&format!("/v1/runs/{run}/explain")).await.ok(200);
            waiting += i32::from(why["waiting"]["reason"] == "concurrency");
        }
        (waiting == 8).then_some(())
    })
    .await;
    assert_eq!(lane.requests().len(), 4);
    gate.open();
    for run in &runs {
        assert_eq!(alice.key.ended(run).await["status"], "completed");
    }
}
