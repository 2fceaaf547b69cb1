//! Budgets: nobody spends what is not there, on any process, whoever dies; and who waits for money goes on when there is some.

use futures_util::future::join_all;
use headwater_testkit::model::Reply;
use headwater_testkit::{Database, ServerProcess};
use serde_json::{Value, json};

use crate::support::sse::{Stream, assert_dense, events, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site, Tenant, User, eventually, serve, unique};

/// gpt-5-mini's prices in config/pricing.toml, in nano-dollars per token: input, output.
const INPUT: i64 = 250;
const OUTPUT: i64 = 2000;
/// What the model says it read; fewer tokens than its question has.
const ASKED: i64 = 10;

/// An answer of so many tokens, as the model counts them.
fn answer(tokens: i64) -> Reply {
    Reply::text("Some words.").usage(ASKED as u64, tokens as u64)
}

fn cost(output: i64) -> i64 {
    ASKED * INPUT + output * OUTPUT
}

fn nano(money: &Value) -> i64 {
    money["nano_usd"].as_i64().unwrap_or_else(|| panic!("no money: {money}"))
}

/// The agent `assistant`, of a model with a price, whose answers have at most so many tokens.
async fn agent(tenant: &Tenant, lane: &Lane, most: i64, more: Value) -> Value {
    let mut config = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark(), "max_output_tokens": most});
    for (name, value) in more.as_object().expect("settings") {
        config[name] = value.clone();
    }
    let kept = tenant.api.put("/v1/agents/assistant", config).await;
    assert!(kept.status < 300, "{}", kept.text());
    kept.json()
}

async fn budget(tenant: &Tenant, params: Value) -> String {
    id(&tenant.api.post("/v1/budgets", params).await.ok(201))
}

/// A hard budget of the tenant's for all time.
async fn hard(tenant: &Tenant, limit: i64) -> String {
    let scope = json!({"type": "tenant"});
    budget(tenant, json!({"scope": scope, "window": "total", "limit": {"nano_usd": limit}})).await
}

async fn suspended(user: &User, run: &str) -> Value {
    eventually("it waits for money", || async {
        let found = user.key.get(&format!("/v1/runs/{run}?wait_ms=5000")).await.ok(200);
        (found["status"] == "suspended").then_some(found)
    })
    .await
}

/// Spent and set aside, which is what the ledger says and nothing.
async fn settled(tenant: &Tenant, budget: &str) -> i64 {
    let found = tenant.api.get(&format!("/v1/budgets/{budget}")).await.ok(200);
    assert_eq!(nano(&found["reserved"]), 0, "nothing is left behind: {found}");
    let ledger = tenant.api.with("accept", "application/x-ndjson").get("/v1/usage/calls").await.text();
    let lines = ledger.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let sum: i64 = lines.map(|line| nano(&line["cost"])).sum();
    assert_eq!(nano(&found["spent"]), sum, "the counter is the ledger's sum: {ledger}");
    assert_eq!(nano(&found["remaining"]), nano(&found["limit"]) - sum);
    sum
}

#[tokio::test]
async fn what_is_used_up_suspends_until_there_is_more() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(answer(100));
    agent(&tenant, &lane, 100, json!({})).await;
    let limit = 400_000;
    let budget = hard(&tenant, limit).await;
    // Each costs 202 500; the second is cut to what there is, and no third is made.
    assert_eq!(alice.key.ended(&id(&alice.key.run("x").await)).await["status"], "completed");
    assert_eq!(settled(&tenant, &budget).await, cost(100));
    let third = {
        let mut last = id(&alice.key.run("x").await);
        while alice.key.get(&format!("/v1/runs/{last}?wait_ms=20000")).await.ok(200)["status"] == "completed" {
            last = id(&alice.key.run("x").await);
        }
        last
    };
    let waiting = suspended(&alice, &third).await;
    let pending = json!([{"type": "budget", "approval": null, "call": null, "run": null, "budget": budget}]);
    assert_eq!(waiting["pending"], pending);
    let why = alice.key.get(&format!("/v1/runs/{third}/explain")).await.ok(200);
    assert_eq!(why["waiting"]["reason"], "budget", "{why}");
    assert_eq!(why["budgets"], json!([budget]));
    let seen = alice.token.get(&format!("/v1/runs/{third}/explain")).await.ok(200);
    assert_eq!(seen["budgets"], json!([]), "users are told of none");
    let spent = settled(&tenant, &budget).await;
    let calls = lane.requests().len();

    // More than before, and still too little: it looks, and waits again.
    let path = format!("/v1/budgets/{budget}");
    tenant.api.patch(&path, json!({"limit": {"nano_usd": spent + 1}})).await.ok(200);
    eventually("it has looked again", || async {
        let json = alice.key.with("accept", "application/json");
        let page = json.get(&format!("/v1/runs/{third}/events?limit=100")).await.ok(200);
        let suspensions = page["data"].as_array()?.iter().filter(|event| event["type"] == "run.suspended").count();
        (suspensions == 2).then_some(())
    })
    .await;
    assert_eq!(lane.requests().len(), calls, "nobody was asked");
    tenant.api.patch(&path, json!({"limit": {"usd": "1"}})).await.ok(200);
    assert_eq!(alice.key.ended(&third).await["status"], "completed");
    assert_eq!(settled(&tenant, &budget).await, spent + cost(100));
    let log = events(&read(&alice.key, &third, None).await);
    assert_dense(&log);
    let resumed: Vec<_> = log.iter().filter(|event| event["type"] == "run.resumed").collect();
    assert!(resumed.iter().all(|event| event["reason"] == "budget") && resumed.len() == 2, "{resumed:?}");
    assert!(log.iter().all(|event| event["type"] != "step.reset"), "nothing was begun that is thrown away");
}

#[tokio::test]
async fn a_budget_that_is_removed_holds_nobody_up() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    agent(&tenant, &Lane::always(answer(1)), 100, json!({})).await;
    let budget = hard(&tenant, 0).await;
    let run = id(&alice.key.run("x").await);
    suspended(&alice, &run).await;
    assert_eq!(tenant.api.delete(&format!("/v1/budgets/{budget}")).await.status, 204);
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
}

#[tokio::test]
async fn a_run_that_waits_for_money_can_be_cancelled_or_fail_at_once() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(answer(1));
    agent(&tenant, &lane, 100, json!({})).await;
    let budget = hard(&tenant, 1000).await;
    let run = id(&alice.key.run("x").await);
    suspended(&alice, &run).await;
    alice.key.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "cancelled");
    let asked = json!({"agent": "assistant", "input": "x", "on_budget": "fail"});
    let refused = alice.key.post("/v1/runs", asked.clone()).await.problem(402, "budget_exhausted");
    assert_eq!((&refused["budget"], nano(&refused["remaining"])), (&json!(budget), 1000));
    let least = nano(&refused["needed"]);
    let told = alice.token.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await;
    assert_eq!(told.status, 201, "what may wait is accepted");
    alice.key.post(&format!("/v1/runs/{}/cancel", id(&told.json())), json!({})).await.ok(200);
    // Enough for the shortest answer, and too little for that and its question: found out when the call is made.
    let limit = json!({"limit": {"nano_usd": least}});
    tenant.api.patch(&format!("/v1/budgets/{budget}"), limit).await.ok(200);
    let failed = alice.key.ended(&id(&alice.key.post("/v1/runs", asked).await.ok(201))).await;
    let error = &failed["error"];
    assert_eq!(
        (&error["code"], &error["budget"], nano(&error["remaining"])),
        (&json!("budget_exhausted"), &json!(budget), least)
    );
    assert!(nano(&error["needed"]) > least, "{error}");
    let seen = alice.token.get(&format!("/v1/runs/{}", id(&failed))).await.ok(200)["error"].clone();
    assert_eq!(seen["code"], "budget_exhausted");
    assert!(["budget", "needed", "remaining"].iter().all(|field| seen.get(field).is_none()), "{seen}");
    assert_eq!(lane.requests().len(), 0);
    assert_eq!(settled(&tenant, &budget).await, 0);
}

#[tokio::test]
async fn an_answer_is_as_long_as_there_is_money_for() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(answer(1));
    agent(&tenant, &lane, 5000, json!({})).await;
    let budget = hard(&tenant, 900 * OUTPUT).await;
    assert_eq!(alice.key.ended(&id(&alice.key.run("x").await)).await["status"], "completed");
    let asked = lane.requests()[0].body.clone();
    let most = asked["max_completion_tokens"].as_i64().or(asked["max_tokens"].as_i64()).expect("a limit");
    assert!((700..900).contains(&most), "its input takes a little: {most}");
    settled(&tenant, &budget).await;
}

#[tokio::test]
async fn without_a_price_there_is_no_call_under_a_hard_budget() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(answer(1));
    tenant.agent(&lane).await;
    let scope = json!({"type": "tenant"});
    let soft = budget(&tenant, json!({"scope": scope, "mode": "soft", "limit": {"nano_usd": 1}})).await;
    assert_eq!(
        alice.key.ended(&id(&alice.key.run("x").await)).await["status"],
        "completed",
        "a soft one refuses nothing"
    );
    tenant.api.delete(&format!("/v1/budgets/{soft}")).await;
    hard(&tenant, 1_000_000_000).await;
    let limit = tenant.api.get("/v1/budgets").await.ok(200)["data"][0]["id"].clone();
    let refused = alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await;
    assert_eq!(refused.problem(422, "price_unknown")["budget"], limit);
    let refused = alice.token.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await;
    assert_eq!(refused.problem(422, "price_unknown").get("budget"), None, "users are not told of budgets");
    // One that covers nobody here refuses nothing.
    tenant.api.delete(&format!("/v1/budgets/{}", limit.as_str().expect("an id"))).await;
    let bob = tenant.user("bob").await;
    let scope = json!({"type": "user", "id": bob.id});
    budget(&tenant, json!({"scope": scope, "limit": {"nano_usd": 1}})).await;
    assert_eq!(alice.key.ended(&id(&alice.key.run("x").await)).await["status"], "completed");
    bob.key.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await.problem(422, "price_unknown");
    let body = json!({"agent": "assistant", "input": "x", "run_budget": {"limit": {"usd": "1"}}});
    alice.key.post("/v1/runs", body).await.problem(422, "price_unknown");
    assert_eq!(lane.requests().len(), 2);
}

/// A run's own budget, that of a run that it calls included; more for the run, or another model, lets it go on.
#[tokio::test]
async fn a_run_has_a_budget_of_its_own() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(answer(90));
    let of = |limit: i64| json!({"limit": {"nano_usd": limit}});
    agent(&tenant, &lane, 100, json!({"run_budget": of(1000)})).await;
    let run = id(&alice.key.run("x").await);
    let waiting = suspended(&alice, &run).await;
    assert_eq!((&waiting["pending"][0]["run"], &waiting["pending"][0]["budget"]), (&json!(run), &Value::Null));
    let path = format!("/v1/runs/{run}/resume");
    let refused = alice.token.post(&path, json!({"run_budget": of(1_000_000)})).await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("override_not_allowed")));
    let refused = alice.token.post(&path, json!({"model": "fake/x"})).await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("override_not_allowed")));
    alice.key.post(&path, json!({"run_budget": of(1_000_000)})).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
    let again = alice.key.post(&path, json!({})).await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("run_not_suspended")));
    // A cheaper model.
    let run = id(&alice.key.run("x").await);
    suspended(&alice, &run).await;
    alice.key.post(&format!("/v1/runs/{run}/resume"), json!({"model": "openai/gpt-5-nano"})).await.ok(200);
    suspended(&alice, &run).await;
    let more = json!({"model": "openai/gpt-5-nano", "run_budget": of(1_000_000)});
    eventually("it waits again", || async {
        (alice.key.post(&format!("/v1/runs/{run}/resume"), more.clone()).await.status == 200).then_some(())
    })
    .await;
    let ended = alice.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["model"]), (&json!("completed"), &json!("openai/gpt-5-nano")));
    // A user may give its run less than the agent does, and not more.
    agent(&tenant, &lane, 100, json!({"run_budget": of(1000), "user_overrides": ["run_budget"]})).await;
    let asked = |limit: i64| json!({"agent": "assistant", "input": "x", "run_budget": of(limit)});
    let refused = alice.token.post("/v1/runs", asked(1001)).await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("override_not_allowed")));
    alice.token.post("/v1/runs", asked(10)).await.ok(201);
}

#[tokio::test]
async fn what_agents_that_are_called_spend_counts_for_the_caller() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let below = Lane::always(answer(50));
    let config = json!({"model": "openai/gpt-5-mini", "instructions": below.mark(), "max_output_tokens": 100});
    tenant.api.put("/v1/agents/helper", config).await.ok(201);
    let call = Reply::text("").usage(ASKED as u64, 60).tool_call("ask", r#"{"input":"go"}"#);
    let lane = Lane::sequence([call, answer(1)]);
    let tools = json!([{"type": "agent", "name": "ask", "agent": "helper"}]);
    // Enough for its own first call; what is left of it is no use to the other.
    agent(&tenant, &lane, 100, json!({"tools": tools, "run_budget": {"limit": {"nano_usd": 120 * OUTPUT}}})).await;
    let run = id(&alice.key.run("x").await);
    let sub = eventually("the run below waits for money", || async {
        let found = alice.key.get(&format!("/v1/runs?parent={run}")).await.ok(200)["data"][0].clone();
        (found["status"] == "suspended").then(|| id(&found))
    })
    .await;
    let waiting = alice.key.get(&format!("/v1/runs/{sub}")).await.ok(200);
    assert_eq!(waiting["pending"][0]["run"], run, "the caller's own budget forbids it");
    let more = json!({"run_budget": {"limit": {"usd": "1"}}});
    alice.key.post(&format!("/v1/runs/{sub}/resume"), more).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
}

#[tokio::test]
async fn every_user_has_a_counter_and_sees_no_other() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    agent(&tenant, &Lane::always(answer(100)), 100, json!({})).await;
    let each =
        budget(&tenant, json!({"scope": {"type": "each_user"}, "window": "day", "limit": {"nano_usd": 250_000}})).await;
    let mine = budget(&tenant, json!({"scope": {"type": "user", "id": bob.id}, "limit": {"usd": "9"}})).await;
    assert_eq!(alice.key.ended(&id(&alice.key.run("x").await)).await["status"], "completed");
    let broke = id(&alice.key.run("x").await);
    suspended(&alice, &broke).await;
    assert_eq!(bob.key.ended(&id(&bob.key.run("x").await)).await["status"], "completed", "bob has his own");
    let shown = alice.token.get(&format!("/v1/budgets/{each}")).await.ok(200);
    assert_eq!((nano(&shown["spent"]), &shown["status"]), (cost(100), &json!("warning")), "{shown}");
    assert!(shown["resets_at"].is_string());
    assert_eq!(alice.token.get(&format!("/v1/budgets/{mine}")).await.status, 404);
    let listed = alice.token.get("/v1/budgets").await.ok(200);
    assert_eq!(listed["data"].as_array().expect("a list").len(), 1, "{listed}");
    let all = tenant.api.get(&format!("/v1/budgets/{each}")).await.ok(200);
    assert_eq!((&all["spent"], &all["status"]), (&Value::Null, &Value::Null));
    let of_bob = tenant.api.get(&format!("/v1/budgets/{each}?user=bob")).await.ok(200);
    assert_eq!(nano(&of_bob["spent"]), cost(100));

    // The next day: as if the counters were of yesterday.
    let admin = Site::shared().await.database.admin().await;
    let of_it = format!("WHERE budget_id = '{}'", each.trim_start_matches("bud_"));
    let admin_sql = format!("UPDATE headwater.budget_counters SET period = period - 1 {of_it}");
    admin.execute(&admin_sql).await.expect("time passes");
    assert_eq!(alice.key.ended(&broke).await["status"], "completed", "the sweep wakes it");
    let shown = alice.token.get(&format!("/v1/budgets/{each}")).await.ok(200);
    assert_eq!(nano(&shown["spent"]), cost(100), "of today alone");
}

#[tokio::test]
async fn a_soft_budget_is_told_of_once_and_to_those_who_may_know() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let call = Reply::text("").usage(ASKED as u64, 50).tool_call("memory_list", "{}");
    let lane = Lane::sequence([call, answer(50), answer(50)]);
    let tools = json!([{"type": "builtin", "name": "memory"}]);
    agent(&tenant, &lane, 100, json!({"tools": tools, "user_visibility": {"cost": true}})).await;
    let scope = json!({"type": "tenant"});
    let soft = budget(&tenant, json!({"scope": scope, "mode": "soft", "limit": {"nano_usd": 1000}})).await;
    for steps in [2, 1] {
        let run = id(&alice.key.run("x").await);
        let ended = alice.key.ended(&run).await;
        assert_eq!((&ended["status"], &ended["steps"]), (&json!("completed"), &json!(steps)));
        let log = events(&read(&alice.key, &run, None).await);
        let told: Vec<_> = log.iter().filter(|event| event["type"] == "budget.warning").collect();
        let [warning] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(
            (&warning["budget"], &warning["mode"], nano(&warning["limit"])),
            (&json!(soft), &json!("soft"), 1000)
        );
        assert_eq!(nano(&warning["remaining"]), 1000 - nano(&warning["spent"]));
        // Not even where the agent shows what calls cost: this is what all users have spent.
        let seen = events(&read(&alice.token, &run, None).await);
        let place = &seen[warning["seq"].as_u64().expect("a number") as usize - 1];
        assert_eq!(place["type"], "hidden");
    }
    settled(&tenant, &soft).await;
}

/// The operator's budgets are seen and not changed by the tenant, and cover nothing that the tenant pays for itself.
#[tokio::test]
async fn the_operators_budgets_are_the_operators() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    agent(&tenant, &Lane::always(answer(1)), 100, json!({})).await;
    let path = format!("/v1/tenants/{}/budgets", tenant.id);
    let made = json!({"scope": {"type": "tenant"}, "limit": {"nano_usd": 0}});
    let once = site.operator().with("idempotency-key", &unique("key"));
    let first = once.post(&path, made.clone()).await;
    let budget = id(&first.ok(201));
    assert_eq!(id(&once.post(&path, made).await.ok(201)), budget, "made once");
    let own = format!("/v1/budgets/{budget}");
    assert_eq!(tenant.api.get(&own).await.ok(200)["owner"], "operator");
    assert_eq!(tenant.api.patch(&own, json!({"limit": {"usd": "1"}})).await.status, 403);
    assert_eq!(tenant.api.delete(&own).await.status, 403);
    let run = id(&alice.key.run("x").await);
    suspended(&alice, &run).await;
    tenant.api.put("/v1/provider_keys/openai", json!({"key": "sk-own"})).await.ok(200);
    alice.key.post(&format!("/v1/runs/{run}/resume"), json!({})).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "completed", "with its own key it spends its own money");
    // Only who has seen the last change makes the next one.
    let tag = site.operator().get(&format!("{path}/{budget}")).await.header("etag").expect("a tag").to_owned();
    let change = json!({"limit": {"usd": "2"}});
    let meant = site.operator().with("if-match", &tag);
    meant.patch(&format!("{path}/{budget}"), change.clone()).await.ok(200);
    let late = meant.patch(&format!("{path}/{budget}"), change).await;
    assert_eq!((late.status, &late.json()["code"]), (412, &json!("version_conflict")));
    for bad in [
        json!({"scope": {"type": "user"}, "limit": {"usd": "1"}}),
        json!({"scope": {"type": "tenant", "id": alice.id}, "limit": {"usd": "1"}}),
        json!({"scope": {"type": "user", "id": tenant.id}, "limit": {"usd": "1"}}),
        json!({"scope": {"type": "user", "id": alice.id.replace(&alice.id[10..14], "0000")}, "limit": {"usd": "1"}}),
        json!({"scope": {"type": "tenant"}, "limit": {"usd": "-1"}}),
        json!({"scope": {"type": "tenant"}, "limit": {"usd": "1"}, "warn_at_percent": 0}),
        json!({"scope": {"type": "tenant"}}),
        json!({"scope": {"type": "tenant"}, "limit": {"usd": "1"}, "limits": 1}),
    ] {
        let refused = tenant.api.post("/v1/budgets", bad.clone()).await;
        assert_eq!(refused.status, 422, "{bad}: {}", refused.text());
    }
}

/// Two processes, one budget, and many runs at once: with a model that counts as we do, not a nano-dollar too much is spent.
/// With one that says that it used more than it could, the debt is kept, and nothing more is made.
async fn rush(processes: &[ServerProcess], tenant: &Tenant, most: i64, says: i64, limit: i64) -> i64 {
    let lane = Lane::always(answer(says));
    agent(tenant, &lane, most, json!({"on_budget": "fail", "limits": {"max_queue_ms": 20_000}})).await;
    let budget = hard(tenant, limit).await;
    let users =
        join_all((0..4).map(|n| async move { tenant.user(&format!("user {n}").replace(' ', "-")).await })).await;
    let ended = join_all((0..24).map(|n| {
        let user = users[n % users.len()].at(&processes[n % processes.len()].url);
        async move {
            let asked = user.key.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await;
            match asked.status {
                402 => json!({"error": asked.problem(402, "budget_exhausted")}),
                _ => user.key.ended(&id(&asked.ok(201))).await,
            }
        }
    }))
    .await;
    for run in &ended {
        let code = &run["error"]["code"];
        assert!(run["status"] == "completed" || code == "budget_exhausted", "{run}");
    }
    let completed = ended.iter().filter(|run| run["status"] == "completed").count();
    assert_eq!(completed, lane.requests().len(), "what was made was paid for");
    assert!(completed > 0);
    let spent = settled(tenant, &budget).await;
    assert_eq!(spent, completed as i64 * cost(says), "the model's own count");
    tenant.api.delete(&format!("/v1/budgets/{budget}")).await;
    spent
}

#[tokio::test]
async fn many_at_once_on_two_processes_spend_no_more_than_there_is() {
    let database = Database::fresh().await;
    let processes = [serve(&database, &[]), serve(&database, &[])];
    let site = Site { url: processes[0].url.clone(), database };
    let tenant = site.tenant().await;
    let limit = 7 * (cost(100) + 40_000);
    let spent = rush(&processes, &tenant, 100, 100, limit).await;
    assert!(spent <= limit, "{spent} of {limit}");
    let tenant = site.tenant().await;
    let spent = rush(&processes, &tenant, 100, 180, limit).await;
    // In flight at once: as many as the limit had room for.
    let over = cost(180) - cost(100);
    assert!(spent <= limit + 8 * over, "the bound: {spent} of {limit}");
}

/// Killed while calls are under way: whoever goes on settles them, and what counts is what the ledger says.
#[tokio::test]
async fn what_a_dead_process_had_set_aside_is_settled() {
    let database = Database::fresh().await;
    let lease = ("HEADWATER__LEASE__MS", "400");
    let mut first = serve(&database, &[lease]);
    let second = serve(&database, &[lease]);
    let tenant = Site { url: second.url.clone(), database: database.clone() }.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = answer(60).gate();
    let lane = Lane::sequence([held.clone(), held, answer(60), answer(60)]);
    agent(&tenant, &lane, 100, json!({})).await;
    let budget = hard(&tenant, 1_000_000).await;
    let here = alice.at(&first.url);
    let runs = [id(&here.key.run("one").await), id(&here.key.run("two").await)];
    lane.called(2).await;
    for run in &runs {
        Stream::open(&alice.key, run, None).await.until("cost.estimated").await;
    }
    let found = tenant.api.get(&format!("/v1/budgets/{budget}")).await.ok(200);
    assert!(nano(&found["reserved"]) > 2 * 100 * OUTPUT, "{found}");
    // One of which the log knows nothing: everybody who knew of it is gone.
    let admin = database.admin().await;
    admin
        .execute(
            "INSERT INTO headwater.budget_reservations SELECT tenant_id, gen_random_uuid(), run_id, user_id, agent_id, step, model,
                 777, budgets, holders, periods, created_at FROM headwater.budget_reservations LIMIT 1;
             UPDATE headwater.budget_counters SET reserved_nano_usd = reserved_nano_usd + 777",
        )
        .await
        .expect("it is set aside");
    first.kill9();
    for run in &runs {
        assert_eq!(alice.key.ended(run).await["status"], "completed");
    }
    gate.open();
    let spent = settled(&tenant, &budget).await;
    assert!(spent > 2 * cost(60) + 777, "the lost calls count too: {spent}");
    eventually("all is counted", || async {
        let left = admin.rows("SELECT count(*) FROM headwater.budget_reservations").await.expect("they are counted");
        (left == [[Some("0".to_owned())]]).then_some(())
    })
    .await;
    assert_eq!(settled(&tenant, &budget).await, spent);
    // The doctor's sums come out even, and would not if anybody had laid hands on them.
    let differs = || async {
        let sql = "SELECT what, told - recorded FROM headwater.money_differs(now() - interval '1 day', 10)";
        admin.rows(sql).await.expect("the sums are done")
    };
    eprintln!(
        "{:?}",
        admin.rows("SELECT run_id, outcome, usage, cost_nano_usd, settled_at FROM headwater.usage_calls").await
    );
    assert_eq!(differs().await, Vec::<Vec<Option<String>>>::new());
    let tampered = "UPDATE headwater.runs SET cost_nano_usd = cost_nano_usd + 5 WHERE run_id = (SELECT min(run_id::text) FROM headwater.runs)::uuid;
                    UPDATE headwater.budget_counters SET reserved_nano_usd = reserved_nano_usd + 7";
    admin.execute(tampered).await.expect("an administrator can");
    let mut found = differs().await;
    found.sort();
    let row = |what: &str, by: &str| vec![Some(what.to_owned()), Some(by.to_owned())];
    assert_eq!(found, [row("counter", "7"), row("run", "5")]);
}

/// A call that waits for what others have set aside goes on when they give it back.
#[tokio::test]
async fn what_is_set_aside_and_not_spent_is_there_for_others() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (first, gate) = answer(1).gate();
    let lane = Lane::sequence([first, answer(1)]);
    agent(&tenant, &lane, 100, json!({})).await;
    // Room for one at a time.
    let budget = hard(&tenant, 220_000).await;
    let one = id(&alice.key.run("one").await);
    lane.called(1).await;
    let two = id(&alice.key.run("two").await);
    let mut reader = Stream::open(&alice.key, &two, None).await;
    reader.until("\"reason\":\"budget\"").await;
    gate.open();
    for run in [&one, &two] {
        assert_eq!(alice.key.ended(run).await["status"], "completed");
    }
    assert_eq!(settled(&tenant, &budget).await, 2 * cost(1));
}

/// Whoever changed the budget died before it had woken those that wait: the sweep wakes them.
#[tokio::test]
async fn a_change_that_woke_nobody_is_found() {
    let site = Site::start(&[("HEADWATER__LEASE__MS", "400")]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    agent(&tenant, &Lane::always(answer(1)), 100, json!({})).await;
    hard(&tenant, 0).await;
    let run = id(&alice.key.run("x").await);
    suspended(&alice, &run).await;
    let admin = site.database.admin().await;
    admin.execute("UPDATE headwater.budgets SET limit_nano_usd = 1000000").await.expect("it is raised");
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
}

/// Calls of two runs below one run share its budget: more for it lets both go on.
#[tokio::test]
async fn more_for_a_run_wakes_all_that_wait_for_it() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let below = Lane::always(answer(1));
    let config = json!({"model": "openai/gpt-5-mini", "instructions": below.mark(), "max_output_tokens": 100});
    tenant.api.put("/v1/agents/helper", config).await.ok(201);
    let call = Reply::text("").usage(ASKED as u64, 60);
    let call = call.tool_call("ask", r#"{"input":"one"}"#).tool_call("ask", r#"{"input":"two"}"#);
    let lane = Lane::sequence([call, answer(1)]);
    let tools = json!([{"type": "agent", "name": "ask", "agent": "helper"}]);
    agent(&tenant, &lane, 100, json!({"tools": tools, "run_budget": {"limit": {"nano_usd": 120 * OUTPUT}}})).await;
    let run = id(&alice.key.run("x").await);
    let subs = eventually("both wait for money", || async {
        let found = alice.key.get(&format!("/v1/runs?parent={run}&status=suspended")).await.ok(200)["data"].clone();
        (found.as_array()?.len() == 2).then_some(found)
    })
    .await;
    let more = json!({"run_budget": {"limit": {"usd": "1"}}});
    alice.key.post(&format!("/v1/runs/{}/resume", id(&subs[0])), more).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
}

/// A call that is refused for good gives back what was set aside for it.
#[tokio::test]
async fn what_was_never_answered_costs_nothing() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(Reply::status(400));
    agent(&tenant, &lane, 100, json!({})).await;
    let budget = hard(&tenant, 1_000_000).await;
    let failed = alice.key.ended(&id(&alice.key.run("x").await)).await;
    assert_eq!(failed["error"]["code"], "provider_rejected");
    assert_eq!(settled(&tenant, &budget).await, 0);
}

#[tokio::test]
async fn what_begins_by_itself_is_paid_for_by_its_owner() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let lane = Lane::always(answer(100));
    agent(&tenant, &lane, 100, json!({})).await;
    let of_alice = json!({"type": "user", "id": alice.id});
    let limit = cost(100) + 1;
    let budget = budget(&tenant, json!({"scope": of_alice, "window": "total", "limit": {"nano_usd": limit}})).await;
    let schedule = json!({"name": "n", "agent": "assistant", "input": "x", "cron": "0 7 1 1 *"});
    let trigger = |schedule: &Value| format!("/v1/schedules/{}/trigger", id(schedule));
    let hers = alice.key.post("/v1/schedules", schedule.clone()).await.ok(201);
    let first = alice.key.post(&trigger(&hers), json!({})).await.ok(201);
    assert_eq!(alice.key.ended(&id(&first)).await["status"], "completed");
    assert_eq!(settled(&tenant, &budget).await, cost(100));
    // There is nothing left, neither for the schedule nor for what begins later.
    let second = alice.key.post(&trigger(&hers), json!({})).await.ok(201);
    let waiting = suspended(&alice, &id(&second)).await;
    assert_eq!(waiting["pending"][0]["budget"], json!(budget), "{waiting}");
    let soon = headwater_protocol::Timestamp::now().plus_ms(300).to_string();
    let later = json!({"agent": "assistant", "input": "x", "run_at": soon});
    suspended(&alice, &id(&alice.key.post("/v1/runs", later).await.ok(201))).await;
    // Bob's are not alice's.
    let his = bob.key.post("/v1/schedules", schedule).await.ok(201);
    let his = bob.key.post(&trigger(&his), json!({})).await.ok(201);
    assert_eq!(bob.key.ended(&id(&his)).await["status"], "completed");
}
