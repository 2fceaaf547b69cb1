//! A process that nobody needs: what it holds then, what wakes it, and that nothing is lost on the way.

use std::collections::HashSet;

use headwater_testkit::model::Reply;
use headwater_testkit::tap::{Act, Moment};
use headwater_testkit::tools::ToolAnswer;
use headwater_testkit::{Database, ServerProcess, Tap, ToolServer};
use serde_json::json;

use crate::runs::suspended;
use crate::support::sse::{Stream, assert_dense, events, log_of, read};
use crate::support::tenant::id;
use crate::support::{Api, Lane, OwnSite, Site, User, eventually, serve};

const QUIET: [(&str, &str); 2] = [("HEADWATER__QUIET__ENABLED", "true"), ("HEADWATER__QUIET__IDLE_AFTER_MS", "300")];

/// Sockets of a process: those that are open, and those that listen. Of any family: the tests' database is reached over a file.
fn sockets(process: &ServerProcess) -> (usize, usize) {
    let of = |path: std::path::PathBuf| {
        std::fs::read_link(path).ok()?.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned)
    };
    let dir = std::fs::read_dir(format!("/proc/{}/fd", process.pid())).expect("it lives");
    let mine: HashSet<String> = dir.flatten().filter_map(|entry| of(entry.path())).collect();
    let mut listening = 0;
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("/proc/{}/net/{table}", process.pid())).unwrap_or_default();
        let fields = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        // 0A: LISTEN.
        listening += fields.filter(|fields| fields[3] == "0A" && mine.contains(fields[9])).count();
    }
    (mine.len() - listening, listening)
}

/// What a process holds that does nothing: its listener, and the pair on which it hears signals.
const QUIETLY: (usize, usize) = (2, 1);

/// Waits until a process holds nothing else.
async fn quiet(process: &ServerProcess) {
    eventually("it is quiet", || async { is_quiet(process).then_some(()) }).await;
}

fn is_quiet(process: &ServerProcess) -> bool {
    sockets(process) == QUIETLY
}

/// How often it has said this.
fn said(process: &ServerProcess, words: &str) -> usize {
    process.log().lines().filter(|line| line.contains(words)).count()
}

/// The same, with a connection for each request: one that is kept may be hung up at the moment of the next request.
fn hanging_up(user: User) -> User {
    let close = |api: Api| api.with("connection", "close");
    User { id: user.id, key: close(user.key), token: close(user.token) }
}

/// What `headwater wake` says here, and whether it went well.
async fn headwater_wake(site: &Site) -> (bool, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.args(["wake", "--url", &site.url]).env_clear().envs(site.environment(&[]));
    let done = command.output().await.expect("it starts");
    let words = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (done.status.success(), words.concat())
}

async fn start(more: &[(&str, &str)]) -> OwnSite {
    let all: Vec<_> = QUIET.iter().chain(&[("HEADWATER__LOG__LEVEL", "info")]).chain(more).copied().collect();
    Site::start(&all).await
}

#[tokio::test]
async fn work_of_every_kind_is_followed_by_quiet_and_quiet_by_work() {
    let site = start(&[]).await;
    let tenant = site.tenant().await;
    let alice = hanging_up(tenant.user("alice").await);
    let endpoint = ToolServer::start(|_| ToolAnswer::json(&json!({"seen": true})));
    let tool = json!({"type": "http", "name": "look", "effect": "read",
        "request": {"method": "GET", "url": format!("{}/look", endpoint.url)}});
    let budget = json!({"scope": {"type": "tenant"}, "window": "day", "limit": {"usd": "5"}, "mode": "soft"});
    tenant.api.post("/v1/budgets", budget).await.ok(201);
    let replies = (0..4).flat_map(|_| [Reply::text("").tool_call("look", "{}"), Reply::text("Looked.")]);
    let lane = Lane::sequence(replies);
    tenant.agent_with(&lane, json!({"tools": [tool]})).await;
    for round in 1..=4 {
        let run = id(&alice.key.run("x").await);
        let seen = log_of(&read(&alice.token, &run, None).await);
        assert!(seen.contains("run.completed"), "{seen}");
        quiet(&site.process).await;
        eventually("it says so", || async { (said(&site.process, "\"quiet\"") >= round).then_some(()) }).await;
        // Nobody is registered who could be waited for.
        let rows = site.database.admin().await.rows("SELECT count(*) FROM headwater_sys.replicas").await.expect("rows");
        assert_eq!(rows[0][0].as_deref(), Some("0"));
        assert_eq!(log_of(&read(&alice.token, &run, None).await), seen, "the first to ask wakes it, and finds all");
    }
    assert!(said(&site.process, "\"awake\"") >= 5, "{}", site.process.log());
    assert_eq!(site.process.log().matches("\"level\":\"WARN\"").count(), 0, "{}", site.process.log());
}

#[tokio::test]
async fn who_is_nobody_wakes_nobody() {
    let mut site = start(&[]).await;
    let tenant = site.tenant().await;
    quiet(&site.process).await;
    let nobody = || site.anybody().with("connection", "close");
    assert_eq!(nobody().get("/healthz").await.ok(200)["status"], "ok");
    let ready = nobody().get("/readyz").await.ok(200);
    assert_eq!(ready["status"], "quiet", "{}", site.process.log());
    nobody().get("/v1/nothing-of-the-kind").await.problem(404, "not_found");
    nobody().get("/openapi.json").await.ok(200);
    let counted = site.operator().with("connection", "close").get("/metrics").await.text();
    assert!(counted.contains("\nheadwater_awake 0\n"), "{counted}");
    for credential in ["hw_sk_short", "hw_op_wrong-but-long-enough-to-be-one-of-them", "no.jwt.atall"] {
        nobody().bearer(credential).get("/v1/runs").await.problem(401, "unauthenticated");
    }
    nobody().get("/v1/runs").await.problem(401, "unauthenticated");
    let preflight = reqwest::Client::new()
        .request(reqwest::Method::OPTIONS, format!("{}/v1/runs", site.url))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("connection", "close")
        .send()
        .await
        .expect("an answer");
    assert_eq!(preflight.status(), 204, "what follows it decides");
    quiet(&site.process).await;
    assert_eq!(said(&site.process, "\"awake\""), 1, "only at its start: {}", site.process.log());
    // Somebody who is known does.
    tenant.api.with("connection", "close").get("/v1/tenant").await.ok(200);
    assert_eq!(said(&site.process, "\"awake\""), 2);
    quiet(&site.process).await;
    // A stop has nothing to say to anybody, and ends at once.
    assert_eq!(site.process.stop(), Some(0), "{}", site.process.log());
    assert_eq!(said(&site.process, "\"awake\""), 2, "{}", site.process.log());
}

#[tokio::test]
async fn a_run_that_waits_for_a_person_keeps_nobody_awake() {
    let site = start(&[]).await;
    let tenant = site.tenant().await;
    let alice = hanging_up(tenant.user("alice").await);
    let tool = json!({"type": "client", "name": "pick", "parameters": {"type": "object"}, "policy": "ask"});
    let lane = Lane::sequence([Reply::text("").tool_call("pick", "{}"), Reply::text("Thanks.")]);
    tenant.agent_with(&lane, json!({"tools": [tool], "on_disconnect": "cancel"})).await;
    let run = id(&alice.key.run("x").await);
    let stream = Stream::open(&alice.token, &run, None).await;
    let seen = String::from_utf8(stream.rest().await).expect("text");
    assert!(seen.contains("event: run.suspended"), "{seen}");
    let closing = r#""type":"stream.closing","reason":"suspended","retry_ms":"#;
    assert!(seen.trim_end().ends_with('}') && seen.contains(closing) && seen.contains("\nretry: 30000\n"), "{seen}");
    // Whoever comes back at the tail is sent away again: never 204 before the end.
    let last = crate::support::sse::last_id(seen.as_bytes()).expect("it saw something");
    let again = Stream::open(&alice.token, &run, Some(&last)).await;
    assert_eq!(again.status, 200);
    let again = String::from_utf8(again.rest().await).expect("text");
    assert!(again.contains(closing) && !again.contains("\nid: "), "{again}");
    quiet(&site.process).await;

    // The decision wakes it, and the run goes on, although its readers are gone: we sent them away.
    let waits = suspended(&alice, &run).await;
    let approval = waits["pending"][0]["approval"].as_str().expect("an id").to_owned();
    quiet(&site.process).await;
    let decide = format!("/v1/runs/{run}/approvals/{approval}");
    alice.key.post(&decide, json!({"decision": "approved"})).await.ok(200);
    // Decided, it waits for nobody: who reads it now sees it go on, before it waits for the call's answer.
    let goes_on = Stream::open(&alice.token, &run, Some(&last)).await.rest().await;
    assert!(String::from_utf8_lossy(&goes_on).contains("event: run.resumed"));
    let waits = eventually("the call is open", || async {
        let found = suspended(&alice, &run).await;
        (found["pending"][0]["type"] != "approval").then_some(found)
    })
    .await;
    quiet(&site.process).await;
    let call = waits["pending"][0]["call"].clone();
    let output = json!({"tool_outputs": [{"call": call, "output": "a.txt"}]});
    alice.key.post(&format!("/v1/runs/{run}/tool_outputs"), output).await.ok(200);
    let ended = alice.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("Thanks.")), "{ended}");
    quiet(&site.process).await;
}

#[tokio::test]
async fn a_run_that_waits_for_another_one_is_read_on() {
    let site = start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::tokens(2).gate();
    let below = Lane::sequence([held]);
    tenant.api.post("/v1/agents", json!({"name": "below", "model": below.model()})).await.ok(201);
    let lane = Lane::sequence([Reply::text("").tool_call("ask", r#"{"input":"x"}"#), Reply::text("Heard.")]);
    tenant.agent_with(&lane, json!({"tools": [{"type": "agent", "name": "ask", "agent": "below"}]})).await;
    let run = id(&alice.key.run("x").await);
    let mut stream = Stream::open(&alice.token, &run, None).await;
    stream.until("event: run.suspended").await;
    gate.open();
    let seen = String::from_utf8(stream.rest().await).expect("text");
    assert!(seen.contains("event: run.completed") && !seen.contains(r#""reason":"suspended""#), "{seen}");
}

/// Whoever opens the door is not needed for it to open.
#[tokio::test]
async fn a_wake_goes_on_without_whoever_began_it() {
    let database = Database::fresh().await;
    let tap = Tap::start(&database.admin_url, |sql| sql.contains("replica_register")).expect("a tap");
    let url = tap.url(&database.admin_url);
    let more = [
        ("DATABASE_URL", url.as_str()),
        ("HEADWATER__DATABASE__POOLED", "false"),
        ("HEADWATER__DATABASE__ACQUIRE_TIMEOUT_MS", "1000"),
        ("HEADWATER__LOG__LEVEL", "info"),
    ];
    let all: Vec<_> = QUIET.iter().chain(&more).copied().collect();
    let process = serve(&database, &all);
    let site = Site { url: process.url.clone(), database };
    let close = |api: Api| api.with("connection", "close");
    let tenant = site.tenant().await;
    let api = close(tenant.api.clone());
    quiet(&process).await;
    tap.arm(1, Moment::Before, Act::Hold);
    // Many come at once, and none waits for longer than for a connection.
    let asked = futures_util::future::join_all((0..8).map(|_| api.get("/v1/tenant"))).await;
    for answer in asked {
        answer.problem(503, "unavailable");
    }
    tap.release();
    let found = eventually("it wakes all the same", || async {
        let answer = api.get("/v1/tenant").await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(found["id"], *tenant.id);
    quiet(&process).await;
    api.get("/v1/tenant").await.ok(200);
}

#[tokio::test]
async fn what_is_due_by_itself_needs_somebody_who_wakes() {
    let site = start(&[]).await;
    let tenant = site.tenant().await;
    let alice = hanging_up(tenant.user("alice").await);
    let lane = Lane::sequence([Reply::text("Rich again.")]);
    tenant.agent_with(&lane, json!({"model": "openai/gpt-5-mini", "instructions": lane.mark()})).await;
    let budget = json!({"scope": {"type": "tenant"}, "window": "day", "limit": {"nano_usd": 1}, "mode": "hard"});
    let budget = id(&tenant.api.post("/v1/budgets", budget).await.ok(201));
    let run = id(&alice.key.run("x").await);
    assert_eq!(suspended(&alice, &run).await["pending"][0]["type"], "budget");
    eventually("it says why it stays", || async {
        (said(&site.process, "does not go quiet: something is to be done") == 1).then_some(())
    })
    .await;
    assert!(!is_quiet(&site.process));
    // Somebody looks who does nothing else, and may do nothing else.
    let (looked, words) = headwater_wake(&site).await;
    assert!(looked && words.starts_with("nothing is due before "), "{words}");
    let admin = site.database.admin().await;
    let ask = "SET ROLE headwater_wake; SELECT headwater.next_wake_at() - date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'";
    let rows = admin.rows(ask).await.expect("it may ask");
    assert_eq!(rows.last().and_then(|row| row[0].clone()).as_deref(), Some("1 day"), "when the budget begins anew");
    for forbidden in
        ["SELECT * FROM headwater.runs", "SELECT * FROM headwater_sys.waker", "SELECT headwater.work_ahead()"]
    {
        let refused = admin.rows(forbidden).await.expect_err(forbidden);
        assert!(refused.to_string().contains("42501"), "{forbidden}: {refused}");
    }
    quiet(&site.process).await;
    assert_eq!(said(&site.process, "\"awake\""), 1, "asking woke nobody");
    // The next day, with money for it: whoever looks now wakes the service, which goes on by itself.
    admin.rows("RESET ROLE").await.expect("a superuser again");
    let budget = budget.trim_start_matches("bud_");
    let pass = format!(
        "UPDATE headwater.budgets SET limit_nano_usd = 5000000000 WHERE budget_id = '{budget}';
         UPDATE headwater.budget_counters SET period = period - 1 WHERE budget_id = '{budget}'"
    );
    admin.execute(&pass).await.expect("time passes");
    let (looked, words) = headwater_wake(&site).await;
    assert!(looked && words.contains(": woke http://"), "{words}");
    assert_eq!(said(&site.process, "\"awake\""), 2);
    eventually("the run has ended, and nobody has asked for it", || async {
        let sql = "SELECT status FROM headwater.runs";
        let status = admin.rows(sql).await.expect("rows")[0][0].clone();
        (status.as_deref() == Some("completed")).then_some(())
    })
    .await;
    quiet(&site.process).await;
    let (looked, words) = headwater_wake(&site).await;
    assert!(looked && !words.contains("woke"), "{words}");
    // Not everybody may wake it.
    let nobody = site.anybody().with("connection", "close");
    for other in [nobody.clone(), nobody.bearer("hw_wk_made-up"), tenant.api.with("connection", "close")] {
        other.post("/wake", json!({})).await.problem(401, "unauthenticated");
    }
    assert_eq!(said(&site.process, "\"awake\""), 2);
    assert_eq!(alice.key.ended(&run).await["result"]["text"], "Rich again.");
}

#[tokio::test]
async fn who_is_left_goes_on_with_what_others_leave() {
    let mut first = start(&[("HEADWATER__LEASE__MS", "500")]).await;
    let environment: Vec<_> = QUIET.iter().chain(&[("HEADWATER__LEASE__MS", "500")]).copied().collect();
    let tenant = first.tenant().await;
    let alice = hanging_up(tenant.user("alice").await);
    let (held, gate) = Reply::tokens(3).gate();
    let lane = Lane::sequence([held, Reply::text("Elsewhere.")]);
    tenant.agent(&lane).await;
    let second = serve(&first.database, &environment);
    quiet(&second).await;
    let run = id(&alice.key.run("x").await);
    let mut reader = Stream::open(&alice.token, &run, None).await;
    gate.pass(1);
    reader.until("tok0").await;
    // Killed, with everybody else quiet: whoever is woken next finds its run.
    first.process.kill9();
    let there = alice.at(&second.url);
    let ended = there.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("Elsewhere.")), "{ended}");
    let log = events(&read(&there.key, &run, None).await);
    assert_eq!(log.last().map(|event| event["type"].clone()), Some(json!("run.completed")));
    quiet(&second).await;
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() {
    let nowhere = "postgresql://nobody@127.0.0.1:1/none";
    let all: Vec<_> = QUIET.iter().chain(&[("DATABASE_URL", nowhere), ("DATABASE_DIRECT_URL", "")]).copied().collect();
    let site = Site::start(&all).await;
    site.anybody().get("/healthz").await.ok(200);
    let asked = site.operator().get("/v1/tenants").await;
    asked.problem(503, "unavailable");
    assert!(asked.header("retry-after").is_some());
    site.anybody().get("/readyz").await.problem(503, "unavailable");
}

/// What a host does to a process that sends nothing: it stands still, for as long as nobody asks.
#[tokio::test]
async fn nothing_is_lost_by_a_process_that_is_put_to_sleep() {
    let site = start(&[]).await;
    let tenant = site.tenant().await;
    let alice = hanging_up(tenant.user("alice").await);
    tenant.agent(&Lane::always(Reply::text("At its time."))).await;
    let tool = json!({"type": "client", "name": "pick", "parameters": {"type": "object"}, "policy": "ask"});
    let asks = Lane::sequence([Reply::text("").tool_call("pick", "{}"), Reply::text("I was not allowed to.")]);
    tenant.api.post("/v1/agents", json!({"name": "asks", "model": asks.model(), "tools": [tool]})).await.ok(201);
    // What has ended, what waits for a person, what begins later, and what begins again and again.
    let done = id(&alice.key.run("x").await);
    alice.key.ended(&done).await;
    let whole = log_of(&read(&alice.token, &done, None).await);
    let waits = id(&alice.key.post("/v1/runs", json!({"agent": "asks", "input": "x"})).await.ok(201));
    let seen = Stream::open(&alice.token, &waits, None).await.rest().await;
    let last = crate::support::sse::last_id(&seen).expect("it saw something");
    let approval = suspended(&alice, &waits).await["pending"][0]["approval"].as_str().expect("an id").to_owned();
    let at = headwater_protocol::Timestamp::now().plus_ms(3_600_000).to_string();
    let later = json!({"agent": "assistant", "input": "x", "run_at": at});
    let later = id(&alice.key.post("/v1/runs", later).await.ok(201));
    let schedule = json!({"name": "n", "agent": "assistant", "input": "x", "cron": "0 7 1 1 *"});
    let schedule = id(&alice.key.post("/v1/schedules", schedule).await.ok(201));
    let (looked, words) = headwater_wake(&site).await;
    assert!(looked && words.starts_with("nothing is due before "), "{words}");
    quiet(&site.process).await;

    site.process.signal(libc::SIGSTOP);
    let admin = site.database.admin().await;
    let pass = "UPDATE headwater.runs SET run_at = now() - interval '1 minute' WHERE status = 'delayed';
                UPDATE headwater.schedules SET next_run_at = date_trunc('minute', now()) - interval '2 minutes'";
    admin.execute(pass).await.expect("time passes");
    // Two come while it sleeps: who looks whether something is due, and a reader in the middle of a log.
    let middle = format!("{:016}", 2);
    let ((looked, words), rest, ()) =
        tokio::join!(headwater_wake(&site), read(&alice.token, &done, Some(&middle)), async {
            site.process.signal(libc::SIGCONT);
        });
    // Where the reader came first, what was due has been begun for it.
    assert!(looked && (words.contains(": woke http://") || words.starts_with("nothing is due before ")), "{words}");
    let rest = log_of(&rest);
    assert!(whole.ends_with(&rest) && rest.starts_with(&format!("id: {:016}", 3)), "{rest}\nof\n{whole}");
    assert_eq!(alice.key.ended(&later).await["result"]["text"], "At its time.");
    let of_schedule = eventually("its run is made", || async {
        let found = alice.key.get(&format!("/v1/runs?schedule={schedule}")).await.ok(200);
        (found["data"] != json!([])).then_some(found)
    })
    .await;
    assert_eq!(of_schedule["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(alice.key.ended(&id(&of_schedule["data"][0])).await["result"]["text"], "At its time.");
    alice.key.post(&format!("/v1/runs/{waits}/approvals/{approval}"), json!({"decision": "denied"})).await.ok(200);
    assert_eq!(alice.key.ended(&waits).await["result"]["text"], "I was not allowed to.");
    let goes_on = log_of(&read(&alice.token, &waits, Some(&last)).await);
    let all = read(&alice.token, &waits, None).await;
    assert_dense(&events(&all));
    assert!(log_of(&all).ends_with(&goes_on) && goes_on.contains("event: run.resumed"), "{goes_on}");
    quiet(&site.process).await;
}

/// A host that does not ask: it stands still in the middle of an answer, and all its connections are cut.
#[tokio::test]
async fn a_process_that_is_stopped_in_the_middle_of_an_answer_goes_on() {
    let site = start(&[("HEADWATER__LEASE__MS", "500")]).await;
    let tenant = site.tenant().await;
    let alice = hanging_up(tenant.user("alice").await);
    let (held, gate) = Reply::tokens(4).gate();
    let lane = Lane::sequence([held, Reply::text("Once more.")]);
    tenant.agent(&lane).await;
    let run = id(&alice.key.run("x").await);
    let mut reader = Stream::open(&alice.token, &run, None).await;
    gate.pass(2);
    reader.until("tok1").await;
    site.process.signal(libc::SIGSTOP);
    drop(reader);
    let admin = site.database.admin().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE usename = 'headwater_app' AND datname = current_database()";
    admin.execute(cut).await.expect("all are cut");
    eventually("its lease is over", || async {
        let left = admin.rows("SELECT 1 FROM headwater_sys.replicas WHERE expires_at > clock_timestamp()").await;
        left.expect("rows").is_empty().then_some(())
    })
    .await;
    gate.open();
    // Until it has noticed that its connections are cut it says that it cannot reach the database: whoever waits asks again.
    let (ended, ()) = tokio::join!(alice.key.ended(&run), async { site.process.signal(libc::SIGCONT) });
    // It has come back before anybody took the run from it, and holds an answer that is paid for; or it was too late, and asks again.
    let expected = if ended["attempt"] == 1 { " tok0 tok1 tok2 tok3" } else { "Once more." };
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!(expected)), "{ended}");
    assert_dense(&events(&read(&alice.token, &run, None).await));
    quiet(&site.process).await;
}
