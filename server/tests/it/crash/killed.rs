//! kill -9 in the middle of runs: what the next process makes of them.

use headwater_testkit::model::{Gate, Reply};
use serde_json::{Value, json};

use crate::support::sse::{Stream, assert_dense, events, last_id, log_of, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site, Tenant, User, eventually, serve, unique};

const LEASE: (&str, &str) = ("HEADWATER__LEASE__MS", "500");

/// That the log, the run, its messages and the sums tell one story. Gives the log.
pub(super) async fn assert_consistent(alice: &User, run: &str) -> Vec<Value> {
    let log = events(&read(&alice.key, run, None).await);
    assert_dense(&log);
    let snapshot = alice.key.get(&format!("/v1/runs/{run}")).await.ok(200);
    let last = log.last().expect("an end");
    assert_eq!(snapshot["as_of_seq"], log.len());
    assert_eq!(last["type"], format!("run.{}", snapshot["status"].as_str().expect("a status")));
    assert_eq!((&snapshot["usage"], &snapshot["cost"]), (&last["usage"], &last["cost"]));
    let count = |kind: &str| log.iter().filter(|event| event["type"] == kind).count();
    let begun = log.iter().filter(|event| event["type"] == "message.started");
    let ended = |message: &Value| {
        let by = |e: &Value| {
            (e["type"] == "message.completed" && e["message"] == *message)
                || e["messages"].as_array().is_some_and(|reset| reset.contains(message))
        };
        log.iter().any(by)
    };
    assert!(begun.clone().all(|event| ended(&event["message"])), "nothing is left open: {log:#?}");
    // A call that was stopped before it was made costs nothing.
    let unmade = count("cost.estimated") - count("cost.settled");
    assert!(unmade == 0 || (unmade == 1 && last["type"] == "run.cancelled"), "each call is settled: {log:#?}");
    // What a step that was done again had said is thrown away, by the log and by the thread.
    let reset: Vec<&Value> = log.iter().filter_map(|event| event["messages"].as_array()).flatten().collect();
    let kept = |event: &&Value| !reset.contains(&&event["message"]);
    let messages: Vec<&Value> =
        snapshot["messages"].as_array().expect("a list").iter().filter(|m| m["role"] == "assistant").collect();
    let completed: Vec<&Value> = log.iter().filter(|e| e["type"] == "message.completed").filter(kept).collect();
    assert_eq!(messages.len(), completed.len());
    for event in completed {
        let said: String = log
            .iter()
            .filter(|delta| delta["type"] == "message.delta" && delta["message"] == event["message"])
            .filter_map(|delta| delta["delta"].as_str())
            .collect();
        assert_eq!(event["text"], said);
        let stored = messages.iter().find(|message| message["id"] == event["message"]).expect("its row");
        // A message of calls alone has no words.
        let words = stored["content"].as_array().and_then(|parts| parts.iter().find(|part| part["type"] == "text"));
        let words = words.map_or(json!(""), |part| part["text"].clone());
        assert_eq!((&stored["status"], &words), (&event["status"], &event["text"]));
    }
    let thread = snapshot["thread"].as_str().expect("an id");
    let listed = alice.key.get(&format!("/v1/threads/{thread}/messages?run={run}&limit=100")).await.ok(200);
    assert!(listed["data"].as_array().expect("a list").iter().all(|message| !reset.contains(&&message["id"])));
    log
}

pub(super) async fn nothing_is_left(tenant: &Tenant) {
    let open = tenant.api.get("/v1/runs?status=queued,running,suspended").await.ok(200);
    assert_eq!(open["data"], json!([]));
    let threads = tenant.api.get("/v1/threads?status=busy,suspended").await.ok(200);
    assert_eq!(threads["data"], json!([]));
}

/// One process dies with a run between each two commits at once; the next one finds them all.
#[tokio::test]
async fn between_any_two_commits() {
    const TOKENS: usize = 5;
    let mut first = Site::start(&[LEASE]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let gates: Vec<Gate> = (0..=TOKENS).map(|_| Gate::new()).collect();
    let held = gates.iter().map(|gate| Reply::tokens(TOKENS).gated_by(gate));
    // The calls of the first process; then each that was cut is made again, and the one that waited is made.
    let after = (0..=gates.len()).map(|_| Reply::text("After the crash."));
    let lane = Lane::sequence(held.chain([Reply::text("A whole one.")]).chain(after));
    tenant.agent(&lane).await;
    let (mut runs, mut readers) = (vec![], vec![]);
    for (n, gate) in gates.iter().enumerate() {
        let run = alice.key.run("x").await;
        lane.called(n + 1).await;
        let mut reader = Stream::open(&alice.token, &id(&run), None).await;
        // After n of five words, or none, or all of them but the end.
        for word in 0..n {
            gate.pass(1);
            reader.until(&format!(" tok{word}\"")).await;
        }
        runs.push(run);
        readers.push(reader);
    }
    let whole = id(&alice.key.run("x").await);
    alice.key.ended(&whole).await;
    let whole_log = log_of(&read(&alice.key, &whole, None).await);
    // One that waits behind the first, and has not begun.
    let thread = runs[0]["thread"].as_str().expect("an id");
    let queued = alice.key.run_on(thread, "later").await;
    assert_eq!(queued["status"], "queued");
    first.process.kill9();

    let second = serve(&first.database, &[LEASE]);
    let (tenant, alice) = (tenant.at(&second.url), alice.at(&second.url));
    for (n, (run, reader)) in runs.iter().zip(readers).enumerate() {
        let run = id(run);
        let seen = reader.rest().await;
        let ended = alice.key.ended(&run).await;
        assert_eq!(
            (&ended["status"], &ended["result"]["text"], &ended["attempt"], &ended["cost_estimated"]),
            (&json!("completed"), &json!("After the crash."), &json!(2), &json!(true)),
            "{ended}"
        );
        let log = assert_consistent(&alice, &run).await;
        let resumed = log.iter().position(|event| event["type"] == "run.resumed").expect("it was taken over");
        assert_eq!((&log[resumed]["attempt"], &log[resumed]["reason"]), (&json!(2), &json!("takeover")));
        assert_eq!((&log[resumed + 1]["type"], &log[resumed + 1]["step"]), (&json!("step.reset"), &json!(1)));
        let said: String = (0..n).map(|word| format!(" tok{word}")).collect();
        let in_log: String = log[..resumed].iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(in_log, said, "what was delivered was committed");
        // A reader who was there comes back and sees each once.
        let rest = read(&alice.token, &run, last_id(&seen).as_deref()).await;
        let both = log_of(&seen) + &log_of(&rest);
        assert_dense(&events(both.as_bytes()));
        assert_eq!(both, log_of(&read(&alice.token, &run, None).await));
    }
    assert_eq!(log_of(&read(&alice.key, &whole, None).await), whole_log, "what was finished is untouched");
    let begun = alice.key.ended(&id(&queued)).await;
    assert_eq!((&begun["status"], &begun["result"]["text"]), (&json!("completed"), &json!("After the crash.")));
    let log = assert_consistent(&alice, &id(&queued)).await;
    assert_eq!(types(&log)[..3], ["run.queued", "run.started", "step.started"]);
    nothing_is_left(&tenant).await;
    // The ledger has a line for each call, those of the dead process too, and they add up to what the runs say.
    let calls = tenant.api.get("/v1/usage/calls?limit=100").await.ok(200);
    let calls = calls["data"].as_array().expect("a list");
    assert_eq!(calls.len(), 2 * gates.len() + 2);
    assert_eq!(calls.iter().filter(|call| call["estimated"] == true).count(), gates.len());
}

/// Requests that were under way when the process died are sent again, with their keys.
#[tokio::test]
async fn in_the_middle_of_accepting() {
    let mut first = Site::start(&[LEASE]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::always(Reply::tokens(3).delay_each(5));
    tenant.agent(&lane).await;
    let keys: Vec<String> = (0..24).map(|_| unique("key")).collect();
    let body = json!({"agent": "assistant", "input": "x"});
    let send = |api: &crate::support::Api, key: &str| {
        let request = api.with("idempotency-key", key).request("POST", "/v1/runs").json(&body);
        async move { request.send().await.ok().map(|answer| answer.status().as_u16()) }
    };
    let all = futures_util::future::join_all(keys.iter().map(|key| send(&alice.key, key)));
    let kill = async {
        // Some are through, some are not.
        lane.called(6).await;
        first.process.kill9();
    };
    let (answers, ()) = futures_util::future::join(all, kill).await;
    let accepted = answers.iter().filter(|answer| **answer == Some(201)).count();
    let second = serve(&first.database, &[LEASE]);
    let (tenant, alice) = (tenant.at(&second.url), alice.at(&second.url));
    let mut ids = std::collections::BTreeSet::new();
    for key in &keys {
        let run = id(&alice.key.with("idempotency-key", key).post("/v1/runs", body.clone()).await.ok(201));
        alice.key.ended(&run).await;
        assert_consistent(&alice, &run).await;
        ids.insert(run);
    }
    assert_eq!(ids.len(), keys.len(), "each key has one run");
    let listed = tenant.api.get("/v1/runs?limit=100").await.ok(200);
    assert_eq!(
        listed["data"].as_array().expect("a list").len(),
        keys.len(),
        "and there are no others; {accepted} were told"
    );
    nothing_is_left(&tenant).await;
}

/// Several in a row die with the same run in their hands: it is not tried for ever.
#[tokio::test]
async fn again_and_again() {
    let mut site = Site::start(&[LEASE]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let database = site.database.clone();
    let (reply, gate) = Reply::tokens(9).gate();
    let lane = Lane::always(reply);
    tenant.agent_with(&lane, json!({"limits": {"max_attempts": 3}})).await;
    let run = id(&alice.key.run("x").await);
    for deaths in 1..=3 {
        lane.called(deaths).await;
        gate.pass(1);
        let alice = alice.at(&site.process.url);
        // A word of this attempt, whatever the earlier ones said.
        let mut reader = Stream::open(&alice.key, &run, None).await;
        while events(&reader.bytes).iter().filter(|event| event["delta"] == " tok0").count() < deaths {
            reader.more().await;
        }
        site.process.kill9();
        site.process = serve(&database, &[LEASE]);
    }
    let (tenant, alice) = (tenant.at(&site.process.url), alice.at(&site.process.url));
    let ended = alice.key.ended(&run).await;
    let error = &ended["error"];
    assert_eq!(
        (&ended["status"], &error["code"], &error["retryable"], &error["fault"]),
        (&json!("failed"), &json!("attempts_exhausted"), &json!(true), &json!("server")),
        "{ended}"
    );
    assert_eq!(lane.requests().len(), 3, "and no model is asked once more");
    let log = assert_consistent(&alice, &run).await;
    assert_eq!(log.iter().filter(|event| event["type"] == "run.resumed").count(), 2);
    nothing_is_left(&tenant).await;
}

/// What was asked for before the process died is done by the next one.
#[tokio::test]
async fn a_run_that_was_to_give_way_does() {
    let mut first = Site::start(&[LEASE]).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(9).gate();
    let lane = Lane::sequence([reply, Reply::text("Instead.")]);
    tenant.agent(&lane).await;
    let run = alice.key.run("x").await;
    lane.called(1).await;
    gate.pass(1);
    Stream::open(&alice.key, &id(&run), None).await.until("tok0").await;
    // As the transaction that accepts the next one leaves it, when the process dies right behind that.
    let admin = first.database.admin().await;
    let mark = format!(
        "INSERT INTO headwater.run_cancels (tenant_id, run_id, user_id, actor)
         SELECT tenant_id, run_id, user_id, '{{\"type\":\"system\",\"id\":null,\"reason\":\"on_conflict\"}}'
         FROM headwater.runs WHERE run_id = '{}'",
        id(&run).trim_start_matches("run_")
    );
    admin.execute(&mark).await.expect("asks for its end");
    let thread = run["thread"].as_str().expect("an id");
    let next = alice.key.run_on(thread, "y").await;
    first.process.kill9();
    let second = serve(&first.database, &[LEASE]);
    let (tenant, alice) = (tenant.at(&second.url), alice.at(&second.url));
    let ended = alice.key.ended(&id(&run)).await;
    assert_eq!(ended["status"], "cancelled");
    let log = assert_consistent(&alice, &id(&run)).await;
    assert_eq!(log.last().expect("an end")["by"], json!({"type": "system", "id": null, "reason": "on_conflict"}));
    assert_eq!(alice.key.ended(&id(&next)).await["result"]["text"], "Instead.");
    nothing_is_left(&tenant).await;
}

/// Asked to stop, a process finishes what it has begun.
#[tokio::test]
async fn a_stop_lets_runs_finish() {
    let mut site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(4).gate();
    tenant.agent(&Lane::sequence([reply])).await;
    let run = id(&alice.key.run("x").await);
    let mut reader = Stream::open(&alice.key, &run, None).await;
    gate.pass(1);
    reader.until("tok0").await;
    site.process.signal(libc::SIGTERM);
    // It refuses new connections from then on.
    let url = site.process.url.trim_start_matches("http://").to_owned();
    eventually("no more connections", || async { tokio::net::TcpStream::connect(&url).await.err() }).await;
    // Whoever reads is sent to another process; the run goes on here.
    let seen = reader.rest().await;
    let text = String::from_utf8_lossy(&seen).into_owned();
    assert!(text.contains("event: stream.closing") && text.contains("\"reason\":\"drain\""), "{text}");
    gate.open();
    let process = &mut site.process;
    assert_eq!(process.wait(), Some(0), "{}", process.log());
    let second = serve(&site.database, &[]);
    let alice = alice.at(&second.url);
    let ended = alice.key.ended(&run).await;
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("completed"), &json!(1)));
    let rest = read(&alice.key, &run, last_id(&seen).as_deref()).await;
    let log = events((log_of(&seen) + &log_of(&rest)).as_bytes());
    assert_dense(&log);
    assert_eq!(log.last().expect("an end")["type"], "run.completed");
}
