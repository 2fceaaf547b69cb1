//! What is secret stays secret: a canary is looked for everywhere. And the key that secrets are sealed with is changed while
//! the server serves.

use std::process::Command;

use headwater_testkit::ToolServer;
use headwater_testkit::model::Reply;
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use serde_json::{Value, json};

use crate::support::sse::read;
use crate::support::tenant::id;
use crate::support::{Lane, Site, serve};

const CANARY: &str = "canary-in-the-coal-mine-4711";

/// Every way that a tool can send a secret, to an endpoint that says back all it hears.
fn echo(server: &ToolServer) -> Value {
    json!({"type": "http", "name": "echo", "effect": "read",
        "request": {"method": "POST", "url": format!("{}/echo", server.url),
            "headers": {"authorization": "Bearer {{secret.CANARY}}"}, "query": {"q": "{{secret.CANARY}}"},
            "body": {"key": "{{secret.CANARY}}", "text": "it is {{secret.CANARY}}."}}})
}

#[tokio::test]
async fn a_canary_is_nowhere() {
    let site = Site::start(&[("HEADWATER__LOG__LEVEL", "trace,headwater_store=debug")]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let said = |asked: &ToolRequest| format!("{} {:?} {}", asked.path, asked.headers, asked.body);
    let server = ToolServer::start(move |asked: &ToolRequest| match asked.headers.len() % 2 {
        _ if asked.path.starts_with("/mcp") => ToolAnswer::text(said(asked)).status(403),
        _ => ToolAnswer::json(&json!({"heard": said(asked), asked.json()["key"].as_str().unwrap_or("none"): 1})),
    });
    tenant.api.put("/v1/secrets/CANARY", json!({ "value": CANARY })).await.ok(200);
    tenant.api.put("/v1/secrets/CANARY", json!({ "value": CANARY, "hosts": ["127.0.0.1"] })).await.ok(200);
    let lane = Lane::sequence([
        Reply::text("").tool_call("echo", "{}"),
        Reply::text("Heard."),
        Reply::text("").tool_call("echo", "{}"),
        Reply::text("Failed."),
    ]);
    tenant.agent_with(&lane, json!({"tools": [echo(&server)]})).await;
    let mut told = String::new();
    let run = id(&alice.key.run("x").await);
    told += &alice.key.ended(&run).await.to_string();
    // Once more, when it can be called no more.
    tenant.api.put("/v1/secrets/CANARY", json!({ "value": CANARY, "hosts": ["elsewhere.test"] })).await.ok(200);
    let again = id(&alice.key.run("x").await);
    told += &alice.key.ended(&again).await.to_string();
    let auth = json!({"type": "bearer", "secret": "CANARY"});
    let mcp = json!({"name": "mcp", "url": format!("{}/mcp", server.url), "auth": auth});
    told += &tenant.api.post("/v1/mcp_servers", mcp).await.ok(201).to_string();
    tenant.api.put("/v1/secrets/CANARY", json!({ "value": CANARY })).await.ok(200);
    told += &tenant.api.post("/v1/mcp_servers/mcp/refresh", json!({})).await.ok(200).to_string();
    for path in ["/v1/secrets", "/v1/agents/assistant", "/v1/mcp_servers/mcp", "/v1/runs", "/v1/usage/calls"] {
        told += &tenant.api.get(path).await.text();
    }
    for run in [&run, &again] {
        told += &String::from_utf8_lossy(&read(&alice.key, run, None).await);
    }
    for asked in lane.requests() {
        told += &asked.body.to_string();
    }
    assert!(told.contains("[secret]"), "the endpoint has said it back");
    assert!(!told.contains(CANARY), "{told}");
    assert!(server.requests().iter().any(|asked| asked.header("authorization") == Some(&format!("Bearer {CANARY}"))));
    let log = site.process.log();
    assert!(log.len() > 10_000, "the log tells everything");
    let line = log.lines().find(|line| line.contains(CANARY));
    assert_eq!(line, None, "in the log");
    nowhere_in(&site).await;
}

/// A tenant's own key at a provider goes there, instead of the platform's, and nowhere else.
#[tokio::test]
async fn a_key_at_a_provider_is_the_tenants_own() {
    let platform = ("HEADWATER__PROVIDERS__FAKE__API_KEY_ENV", "FAKE_KEY");
    let level = ("HEADWATER__LOG__LEVEL", "trace,headwater_store=debug");
    let site = Site::start(&[platform, ("FAKE_KEY", "sk-platform"), level]).await;
    let (tenant, other) = (site.tenant().await, site.tenant().await);
    let (alice, stranger) = (tenant.user("alice").await, other.user("alice").await);
    let said = format!("Incorrect API key provided: {CANARY}.");
    let lane = Lane::sequence([
        Reply::text("one"),
        Reply::text("two"),
        Reply::invalid_api_key().error("invalid_api_key", &said),
        Reply::text("three"),
        Reply::invalid_api_key(),
    ]);
    tenant.agent(&lane).await;
    other.agent(&lane).await;
    let kept = tenant.api.put("/v1/provider_keys/fake", json!({ "key": CANARY })).await.ok(200);
    assert_eq!(
        (&kept["object"], &kept["provider"], &kept["key"]),
        (&json!("provider_key"), &json!("fake"), &Value::Null)
    );
    let mut told = kept.to_string();
    let mut run = async |user: &crate::support::User| {
        let run = id(&user.key.run("x").await);
        let ended = user.key.ended(&run).await;
        told += &ended.to_string();
        told += &String::from_utf8_lossy(&read(&user.key, &run, None).await);
        ended
    };
    assert_eq!(run(&alice).await["status"], "completed");
    assert_eq!(run(&stranger).await["status"], "completed");
    let error = run(&alice).await["error"].clone();
    assert_eq!((&error["code"], &error["fault"]), (&json!("provider_auth_failed"), &json!("tenant")), "{error}");
    tenant.api.delete("/v1/provider_keys/fake").await.ok(204);
    assert_eq!(run(&alice).await["status"], "completed");
    let error = run(&alice).await["error"].clone();
    assert_eq!((&error["code"], &error["fault"]), (&json!("provider_auth_failed"), &json!("server")), "{error}");
    let sent: Vec<String> = lane
        .requests()
        .iter()
        .map(|asked| asked.headers.iter().find(|(name, _)| name == "authorization").expect("a key").1.clone())
        .collect();
    let (own, platform) = (format!("Bearer {CANARY}"), "Bearer sk-platform".to_owned());
    assert_eq!(sent, [own.clone(), platform.clone(), own, platform.clone(), platform]);

    tenant.api.put("/v1/provider_keys/fake", json!({ "key": CANARY })).await.ok(200);
    let listed = tenant.api.get("/v1/provider_keys").await.ok(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
    told += &listed.to_string();
    assert_eq!(other.api.get("/v1/provider_keys").await.ok(200)["data"], json!([]));
    for (path, body, status) in [
        ("/v1/provider_keys/nobody", json!({"key": "x"}), 404),
        ("/v1/provider_keys/scripted", json!({"key": "x"}), 404),
        ("/v1/provider_keys/fake", json!({"key": ""}), 422),
        ("/v1/provider_keys/fake", json!({"key": "two words"}), 422),
        ("/v1/provider_keys/fake", json!({}), 422),
    ] {
        assert_eq!(tenant.api.put(path, body).await.status, status, "{path}");
    }
    assert!(!told.contains(CANARY), "{told}");
    let line = site.process.log().lines().find(|line| line.contains(CANARY)).map(str::to_owned);
    assert_eq!(line, None, "in the log");
    nowhere_in(&site).await;

    // It was given for a host, and goes to no other.
    let model = site.environment(&[])["HEADWATER__PROVIDERS__FAKE__BASE_URL"].replace("127.0.0.1", "localhost");
    let moved = serve(&site.database, &[("HEADWATER__PROVIDERS__FAKE__BASE_URL", &model)]);
    let there = alice.at(&moved.url);
    let error = there.key.ended(&id(&there.key.run("x").await)).await["error"].clone();
    assert_eq!((&error["code"], &error["fault"]), (&json!("provider_auth_failed"), &json!("tenant")), "{error}");
    assert_eq!(lane.requests().len(), 5, "nobody was asked");
}

/// That the canary stands in no row, as it is or as hexadecimal digits.
async fn nowhere_in(site: &Site) {
    let admin = site.database.admin().await;
    let tables = "SELECT format('SELECT count(*) FROM %s t WHERE t::text LIKE ''%%canary-in%%'' OR t::text LIKE ''%%63616e6172%%''', oid::regclass)
                  FROM pg_class WHERE relnamespace = 'headwater'::regnamespace AND relkind = 'r'";
    for row in admin.rows(tables).await.expect("the catalogue") {
        let sql = row[0].clone().expect("a statement");
        assert_eq!(admin.value(&sql).await.expect("looks").as_deref(), Some("0"), "{sql}");
    }
}

#[tokio::test]
async fn the_key_is_changed_while_it_serves() {
    let first = Site::start(&[]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let server = ToolServer::start(|_| ToolAnswer::text("ok"));
    tenant.api.put("/v1/secrets/CANARY", json!({ "value": CANARY })).await.ok(200);
    let lane = Lane::calling("echo", "{}", Reply::text("Done."));
    tenant.agent_with(&lane, json!({"tools": [echo(&server)]})).await;
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    let called = async |url: &str, times: usize| {
        let there = alice.at(url);
        let run = id(&there.key.run("x").await);
        assert_eq!(there.key.ended(&run).await["status"], "completed");
        let requests = server.requests();
        assert_eq!(requests.len(), times, "it could be read");
        assert_eq!(requests[times - 1].json()["key"], CANARY);
    };
    called(&first.url, 1).await;
    // From the master key to one of its own.
    let new: [(&str, &str); 1] = [("HEADWATER_SECRETS_KEY", &one)];
    let second = serve(&first.database, &new);
    called(&second.url, 2).await;
    assert!(rotate(&first, &new).contains("1 tenant"), "one key");
    assert!(rotate(&first, &new).contains("all secrets"), "and then none");
    called(&second.url, 3).await;
    // And to another.
    let newer: [(&str, &str); 2] = [("HEADWATER_SECRETS_KEY", &two), ("HEADWATER_OLD_SECRETS_KEY", &one)];
    let third = serve(&first.database, &newer);
    called(&third.url, 4).await;
    rotate(&first, &newer);
    let fourth = serve(&first.database, &[("HEADWATER_SECRETS_KEY", &two)]);
    called(&fourth.url, 5).await;
    // Under the one before nothing opens any more, and nothing is sent.
    let run = id(&alice.at(&second.url).key.run("x").await);
    alice.key.ended(&run).await;
    assert_eq!(server.requests().len(), 5);
    // The doctor says so, and says nothing of one who has the right key.
    assert!(doctor(&first, &new).contains("those of 1 of 1 tenants do not open"), "{}", doctor(&first, &new));
    assert!(doctor(&first, &[("HEADWATER_SECRETS_KEY", &two)]).contains("those of 1 tenants open"));
}

/// What `headwater doctor` says.
fn doctor(site: &Site, keys: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    let output = command.arg("doctor").envs(site.environment(keys)).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What `headwater secrets rotate` says.
fn rotate(site: &Site, keys: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.args(["secrets", "rotate"]).envs(site.environment(keys));
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
