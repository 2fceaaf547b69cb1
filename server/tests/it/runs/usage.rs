//! What was used and what it cost: the run, the log, the sums and the ledger say the same as the model.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{events, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site};

/// gpt-5-mini's prices in config/pricing.toml, in pico-dollars: input, cached input, output.
const PRICES: [u64; 3] = [250_000, 25_000, 2_000_000];

fn nano_usd(input: u64, cached: u64, output: u64) -> u64 {
    ((input - cached) * PRICES[0] + cached * PRICES[1] + output * PRICES[2]).div_ceil(1000)
}

#[tokio::test]
async fn every_account_agrees_with_the_model() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    // What the model counts: input, of which cached, output, of which reasoning.
    let counts = [(120, 20, 30, 5), (200, 0, 40, 0), (4000, 1000, 1, 0)];
    let reply = |&(input, cached, output, reasoning): &(u64, u64, u64, u64)| {
        Reply::text("Some words.").usage(input, output).cached(cached).reasoning_tokens(reasoning)
    };
    let lane = Lane::sequence(counts.iter().map(reply));
    let config = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark()});
    let agent = id(&tenant.api.put("/v1/agents/assistant", config).await.ok(201));
    let mut want = vec![];
    for (user, (input, cached, output, reasoning)) in [&alice, &alice, &bob].into_iter().zip(counts) {
        let run = id(&user.key.run("x").await);
        let ended = user.key.ended(&run).await;
        let usage = json!({"input_tokens": input, "cached_input_tokens": cached, "cache_write_tokens": 0,
            "output_tokens": output, "reasoning_tokens": reasoning, "total_tokens": input + output});
        assert_eq!(ended["usage"], usage);
        let cost = nano_usd(input, cached, output);
        assert_eq!((&ended["cost"]["nano_usd"], &ended["cost_estimated"]), (&json!(cost), &json!(false)));
        let log = events(&read(&user.key, &run, None).await);
        let settled = log.iter().find(|event| event["type"] == "cost.settled").expect("is settled");
        assert_eq!(
            (&settled["usage"], &settled["cost"]["nano_usd"], &settled["run_cost"]),
            (&usage, &json!(cost), &ended["cost"])
        );
        let expected = log.iter().find(|event| event["type"] == "cost.estimated").expect("is estimated");
        assert_eq!(expected["model_call"], settled["model_call"]);
        want.push(json!({"object": "usage.call", "model_call": settled["model_call"], "run": run, "step": 1,
            "user": user.id, "agent": agent, "schedule": null, "model": "openai/gpt-5-mini", "usage": usage,
            "cost": ended["cost"], "estimated": false}));
    }
    // JSON, in pages and whole; JSON lines; CSV.
    let without_time = |mut line: Value| {
        let at = line.as_object_mut().expect("a line").remove("settled_at");
        assert!(at.is_some_and(|at| at.is_string()));
        line
    };
    let mut paged = vec![];
    let mut after = String::new();
    loop {
        let page = tenant.api.get(&format!("/v1/usage/calls?limit=2{after}")).await.ok(200);
        paged.extend(page["data"].as_array().expect("a list").iter().cloned().map(without_time));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        after = format!("&after={cursor}");
    }
    assert_eq!(paged, want);
    let lines = tenant.api.with("accept", "application/x-ndjson").get("/v1/usage/calls").await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> =
        lines.text().lines().map(|line| without_time(serde_json::from_str(line).expect("JSON"))).collect();
    assert_eq!(lines, want);
    let csv = tenant.api.with("accept", "text/csv").get("/v1/usage/calls").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let csv = csv.text();
    let mut rows = csv.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let head = rows.next().expect("a head");
    for (row, want) in rows.zip(&want) {
        let of = |name: &str| row[head.iter().position(|column| *column == name).expect("a column")];
        assert_eq!(
            (of("model_call"), of("run"), of("user")),
            (
                want["model_call"].as_str().expect("an id"),
                want["run"].as_str().expect("an id"),
                want["user"].as_str().expect("an id")
            )
        );
        for column in ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"] {
            assert_eq!(of(column), want["usage"][column].to_string());
        }
        assert_eq!((of("cost_nano_usd"), of("estimated")), (want["cost"]["nano_usd"].to_string().as_str(), "false"));
    }
    assert_eq!(csv.lines().count(), 4);
    // Sums.
    let all = tenant.api.get("/v1/usage").await.ok(200);
    let sum = &all["data"][0];
    assert_eq!(
        (&sum["runs"], &sum["calls"], &sum["user"], &sum["day"]),
        (&json!(3), &json!(3), &Value::Null, &Value::Null)
    );
    let total = |field: &str| -> u64 { want.iter().map(|line| line["usage"][field].as_u64().expect("a number")).sum() };
    for field in ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "total_tokens"] {
        assert_eq!(sum["usage"][field], total(field), "{field}");
    }
    let cost: u64 = want.iter().map(|line| line["cost"]["nano_usd"].as_u64().expect("a number")).sum();
    assert_eq!(sum["cost"]["nano_usd"], cost);
    let by = tenant.api.get("/v1/usage?group_by=user,agent,model,day").await.ok(200);
    let by = by["data"].as_array().expect("a list");
    assert!(by.len() >= 2, "{by:?}");
    assert!(
        by.iter()
            .all(|group| group["agent"] == agent && group["model"] == "openai/gpt-5-mini" && group["day"].is_string())
    );
    let of_alice: u64 = by
        .iter()
        .filter(|group| group["user"] == alice.id)
        .map(|group| group["calls"].as_u64().expect("a number"))
        .sum();
    assert_eq!(of_alice, 2);
    // The operator sees the same of this tenant, and of no other.
    let operator = Site::shared().await.operator();
    let seen = operator.get(&format!("/v1/tenants/{}/usage?group_by=user,agent,model,day", tenant.id)).await.ok(200);
    assert_eq!(seen["data"].as_array(), Some(by));
    let other = Site::shared().await.tenant().await;
    let nothing = operator.get(&format!("/v1/tenants/{}/usage", other.id)).await.ok(200);
    assert_eq!(nothing["data"], json!([]));
    // A user sees its own tokens and nobody's money.
    let own = alice.token.get("/v1/usage").await.ok(200);
    assert_eq!((&own["data"][0]["calls"], &own["data"][0]["cost"]), (&json!(2), &Value::Null));
    let as_bob = bob.key.get("/v1/usage").await.ok(200);
    assert_eq!(
        (&as_bob["data"][0]["calls"], &as_bob["data"][0]["cost"]["nano_usd"]),
        (&json!(1), &want[2]["cost"]["nano_usd"])
    );
}

#[tokio::test]
async fn a_model_without_a_price_has_no_cost() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello.").usage(7, 3))).await;
    let ended = alice.key.ended(&id(&alice.key.run("x").await)).await;
    assert_eq!(
        (&ended["status"], &ended["cost"], &ended["usage"]["total_tokens"]),
        (&json!("completed"), &Value::Null, &json!(10))
    );
    let sum = tenant.api.get("/v1/usage").await.ok(200);
    assert_eq!((&sum["data"][0]["cost"], &sum["data"][0]["usage"]["total_tokens"]), (&Value::Null, &json!(10)));
}

#[tokio::test]
async fn ranges() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    alice.key.ended(&id(&alice.key.run("x").await)).await;
    let line = tenant.api.get("/v1/usage/calls").await.ok(200)["data"][0].clone();
    let at = line["settled_at"].as_str().expect("a time");
    let day = &at[..10];
    let count = |page: Value| page["data"].as_array().expect("a list").len();
    for (range, want) in [
        (format!("from={at}"), 1),
        (format!("from={day}"), 1),
        // The end is exclusive.
        (format!("from={day}&to={at}"), 0),
        ("from=2020-01-01&to=2020-02-01".to_owned(), 0),
    ] {
        assert_eq!(count(tenant.api.get(&format!("/v1/usage/calls?{range}")).await.ok(200)), want, "{range}");
    }
    for bad in ["from=x", "from=2026-02-01&to=2026-01-01", "from=2020-01-01&to=2024-01-01", "to=2026-13-01"] {
        tenant.api.get(&format!("/v1/usage?{bad}")).await.problem(400, "invalid_request");
        tenant.api.get(&format!("/v1/usage/calls?{bad}")).await.problem(400, "invalid_request");
    }
    tenant.api.get("/v1/usage?group_by=moon").await.problem(400, "invalid_request");
    alice.token.get("/v1/usage/calls").await.problem(403, "forbidden");
}
