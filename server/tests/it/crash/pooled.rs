//! A pooler in transaction mode before Postgres: PgBouncer, where it is installed. All other tests can be run behind one
//! too (`HEADWATER_TEST_POOLER=1 cargo xtask test`); these always are.

use std::process::Command;

use headwater_testkit::database::APP_PASSWORD;
use headwater_testkit::model::Reply;
use headwater_testkit::{Database, Pooler};
use serde_json::json;

use super::killed::{assert_consistent, nothing_is_left};
use crate::support::sse::{Stream, assert_dense, events, log_of, read};
use crate::support::tenant::id;
use crate::support::{Lane, MASTER_KEY, OwnSite, Site, eventually, serve};

/// A pooler of this test's own, before the tests' Postgres. `None`, with a word about it, where there is no PgBouncer,
/// unless `HEADWATER_TEST_REQUIRE_POOLER` says that there must be.
fn pooler(database: &Database) -> Option<Pooler> {
    let Some(binary) = Pooler::find() else {
        assert!(std::env::var_os("HEADWATER_TEST_REQUIRE_POOLER").is_none(), "there is no pgbouncer");
        eprintln!("note: there is no pgbouncer; nothing was tested");
        return None;
    };
    let users = [("headwater_app", APP_PASSWORD)];
    Some(Pooler::start(&binary, &database.admin_url, &users).expect("PgBouncer starts"))
}

/// Two processes behind it: one's runs are seen at the other, cancelled from there, and go on there when it dies.
async fn two_processes(direct: Option<&str>) {
    let database = Database::fresh().await;
    let Some(pooler) = pooler(&database) else { return };
    let url = pooler.url(&database.admin_url);
    let direct = direct.map_or_else(|| database.admin_url.clone(), str::to_owned);
    let environment =
        [("DATABASE_URL", url.as_str()), ("DATABASE_DIRECT_URL", direct.as_str()), ("HEADWATER__LEASE__MS", "500")];
    let process = serve(&database, &environment);
    let mut first = OwnSite { site: Site { url: process.url.clone(), database: database.clone() }, process };
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let (cut, gate) = Reply::tokens(4).gate();
    let (endless, held) = Reply::tokens(4).gate();
    let lane = Lane::sequence([Reply::text("Whole."), endless, cut, Reply::text("Elsewhere.")]);
    tenant.agent(&lane).await;
    let whole = id(&alice.key.run("a").await);
    assert_eq!(alice.key.ended(&whole).await["result"]["text"], "Whole.");
    let second = serve(&database, &environment);
    let there = alice.at(&second.url);
    assert_eq!(log_of(&read(&alice.key, &whole, None).await), log_of(&read(&there.key, &whole, None).await));

    let cancelled = id(&alice.key.run("b").await);
    held.pass(1);
    Stream::open(&alice.key, &cancelled, None).await.until("tok0").await;
    let answer = there.key.post(&format!("/v1/runs/{cancelled}/cancel"), json!({})).await;
    assert!(matches!(answer.status, 200 | 202), "{}", answer.status);
    assert_eq!(there.key.ended(&cancelled).await["status"], "cancelled");

    let run = id(&alice.key.run("c").await);
    let mut reader = Stream::open(&there.token, &run, None).await;
    gate.pass(2);
    reader.until("tok1").await;
    first.process.kill9();
    let log = events(&reader.rest().await);
    assert_dense(&log);
    assert!(log.iter().any(|event| event["type"] == "run.resumed"), "{log:?}");
    assert_eq!(there.key.ended(&run).await["result"]["text"], "Elsewhere.");
    assert_consistent(&there, &run).await;
    nothing_is_left(&tenant.at(&second.url)).await;
}

#[tokio::test]
async fn two_processes_with_hints() {
    two_processes(None).await;
}

#[tokio::test]
async fn two_processes_without_hints() {
    two_processes(Some("")).await;
}

/// Statements of many requests at once, over fewer connections to Postgres than there are requests: nobody's scope is
/// anybody else's.
#[tokio::test]
async fn scopes_do_not_mix() {
    let database = Database::fresh().await;
    let Some(pooler) = pooler(&database) else { return };
    let url = pooler.url(&database.admin_url);
    let more = [("DATABASE_URL", url.as_str()), ("HEADWATER__DATABASE__MAX_CONNECTIONS", "40")];
    let process = serve(&database, &more);
    let site = Site { url: process.url.clone(), database: database.clone() };
    let mut tenants = Vec::new();
    for number in 0..8 {
        let tenant = site.tenant().await;
        let title = format!("of tenant {number}");
        tenant.user("alice").await.key.post("/v1/threads", json!({ "title": title })).await.ok(201);
        tenants.push((tenant, title));
    }
    let asked = tenants.iter().map(|(tenant, title)| async move {
        for _ in 0..40 {
            let seen = tenant.api.get("/v1/threads").await.ok(200);
            let titles: Vec<_> =
                seen["data"].as_array().expect("a list").iter().map(|it| it["title"].clone()).collect();
            assert_eq!(titles, [json!(title)]);
        }
    });
    futures_util::future::join_all(asked).await;
}

/// A pooler that has nothing to give is an unavailable database, in good time and not after minutes.
#[tokio::test]
async fn a_pooler_without_a_database_is_unavailable() {
    let database = Database::fresh().await;
    let Some(pooler) = pooler(&database) else { return };
    let url = pooler.url(&database.admin_url);
    let more = [("DATABASE_URL", url.as_str()), ("HEADWATER__DATABASE__ACQUIRE_TIMEOUT_MS", "2000")];
    let process = serve(&database, &more);
    let site = Site { url: process.url.clone(), database: database.clone() };
    let tenant = site.tenant().await;
    let name = database.name();
    let admin =
        headwater_store::admin::Admin::connect(headwater_testkit::database::admin_url()).await.expect("connects");
    admin.execute(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false")).await.expect("nobody new");
    database.everybody_out().await;
    for path in ["/readyz", "/v1/agents"] {
        let refused = tenant.api.get(path).await;
        refused.problem(503, "unavailable");
        assert!(refused.header("retry-after").is_some());
    }
    admin.execute(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true")).await.expect("everybody back");
    eventually("ready again", || async { (tenant.api.get("/readyz").await.status == 200).then_some(()) }).await;
    tenant.api.get("/v1/agents").await.ok(200);
}

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    for name in ["DATABASE_URL", "DATABASE_DIRECT_URL", "DATABASE_APP_URL"] {
        command.env_remove(name);
    }
    let output = command
        .args(arguments)
        .env("HEADWATER_MASTER_KEY", MASTER_KEY)
        .envs(environment.iter().copied())
        .output()
        .expect("the binary runs");
    let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
    (output.status.success(), words)
}

/// What cannot be done behind a pooler is refused with words, and what must be there is looked for.
#[tokio::test]
async fn migrate_and_doctor_know_of_it() {
    let database = Database::fresh().await;
    let Some(pooler) = pooler(&database) else { return };
    let url = pooler.url(&database.admin_url);
    let (went_well, words) = command(&["migrate"], &[("DATABASE_URL", &url)]);
    assert!(!went_well && words.contains("set DATABASE_DIRECT_URL"), "{words}");
    let both = [("DATABASE_URL", url.as_str()), ("DATABASE_DIRECT_URL", database.admin_url.as_str())];
    let (went_well, words) = command(&["migrate"], &both);
    assert!(went_well && words.contains("up to date"), "{words}");
    let app = [("DATABASE_URL", url.as_str()), ("DATABASE_APP_URL", url.as_str())];
    // The administrator brings no settings of ours, and is refused for more than that.
    let (went_well, words) = command(&["doctor"], &app);
    assert!(!went_well && words.contains("ALTER ROLE") && words.contains("statement_timeout"), "{words}");
    let (_, words) = command(&["doctor"], &both);
    assert!(words.contains("ok    pooler"), "{words}");
}
