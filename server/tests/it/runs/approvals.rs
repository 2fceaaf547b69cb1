//! Calls that a person decides on.

use headwater_testkit::model::Reply;
use headwater_testkit::tap::{Act, Moment};
use headwater_testkit::{Database, Tap};
use serde_json::{Value, json};

use super::tools::{outputs, suspended, waits_for};
use crate::support::sse::{Stream, assert_dense, events, last_id, log_of, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site, Tenant, User, eventually, serve};

/// Asks about everything above 50, and refuses everything above 500.
fn refund() -> Value {
    json!({"type": "client", "name": "refund", "description": "Refunds an order.",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}, "amount": {"type": "number"}},
                       "required": ["order", "amount"], "additionalProperties": false},
        "policy_rules": [{"when": [{"path": "/amount", "op": "gt", "value": 500}], "then": "deny"},
                         {"when": [{"path": "/amount", "op": "gt", "value": 50}], "then": "ask"}]})
}

fn call(amount: u32) -> Reply {
    Reply::text("").tool_call("refund", format!(r#"{{"order":"7","amount":{amount}}}"#))
}

/// A run that asks about a refund of 60.
struct Asked {
    run: String,
    approval: String,
    call: String,
}

impl Asked {
    async fn begin(tenant: &Tenant, user: &User, lane: &Lane, more: Value) -> Self {
        let mut config = json!({"tools": [refund()]});
        for (name, value) in more.as_object().expect("an object") {
            config[name] = value.clone();
        }
        tenant.agent_with(lane, config).await;
        let run = id(&user.key.run("Give me my money back.").await);
        Self::of(user, run).await
    }

    async fn of(user: &User, run: String) -> Self {
        let found = suspended(user, &run).await;
        let pending = &found["pending"][0];
        assert_eq!(pending["type"], "approval", "{found}");
        let text = |name: &str| pending[name].as_str().expect("an id").to_owned();
        Self { run, approval: text("approval"), call: text("call") }
    }

    fn path(&self) -> String {
        format!("/v1/runs/{}/approvals/{}", self.run, self.approval)
    }

    async fn answer(&self, user: &User, output: Value) {
        let path = format!("/v1/runs/{}/tool_outputs", self.run);
        // Open for an answer as soon as somebody has said so in the log.
        suspended(user, &self.run).await;
        user.key.post(&path, outputs(&[(&self.call, output)])).await.ok(200);
    }
}

/// The log without what comes in pieces.
fn story(log: &[Value]) -> Vec<&str> {
    let told = log.iter().map(|event| event["type"].as_str().expect("a type"));
    let part = |kind: &&str| ["run.", "tool.", "approval."].iter().any(|prefix| kind.starts_with(prefix));
    told.filter(part).filter(|kind| !kind.ends_with("delta")).collect()
}

#[tokio::test]
async fn approved_as_it_is() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([call(60), Reply::text("Done.")]);
    let asked = Asked::begin(&tenant, &alice, &lane, json!({})).await;
    let found = alice.token.get(&format!("/v1/approvals/{}", asked.approval)).await.ok(200);
    assert_eq!(
        (&found["status"], &found["kind"], &found["call"]),
        (&json!("pending"), &json!("tool"), &json!(asked.call))
    );
    assert_eq!((&found["args"], &found["name"]), (&json!({"order": "7", "amount": 60}), &json!("refund")));
    assert_eq!(found["schema"], refund()["parameters"]);
    assert_eq!(found["deciders"], json!(["user", "tenant"]));
    assert!(found["by"].is_null() && found["decided_at"].is_null() && found["expires_at"].is_string());
    // Nothing is to be answered yet.
    let early =
        alice.key.post(&format!("/v1/runs/{}/tool_outputs", asked.run), outputs(&[(&asked.call, json!(1))])).await;
    early.problem(404, "not_found");
    let decided = alice.token.post(&asked.path(), json!({"decision": "approved"})).await.ok(200);
    assert_eq!((&decided["status"], &decided["remember"]), (&json!("approved"), &json!("call")));
    assert_eq!(decided["by"]["type"], "user");
    asked.answer(&alice, json!({"refunded": 60})).await;
    assert_eq!(alice.key.ended(&asked.run).await["result"]["text"], "Done.");
    let log = events(&read(&alice.token, &asked.run, None).await);
    assert_dense(&log);
    let expected = [
        "run.queued",
        "run.started",
        "tool.started",
        "tool.args",
        "approval.requested",
        "run.suspended",
        "run.resumed",
        "approval.resolved",
        "run.suspended",
        "run.resumed",
        "tool.completed",
        "run.completed",
    ];
    assert_eq!(story(&log), expected);
    let reasons: Vec<_> =
        log.iter().filter(|it| it["type"] == "run.resumed").map(|it| it["reason"].as_str().expect("why")).collect();
    assert_eq!(reasons, ["decision", "input"]);
    // The same again, from somebody else too; and something else.
    tenant.api.post(&asked.path(), json!({"decision": "approved", "remember": "call"})).await.ok(200);
    alice.key.post(&asked.path(), json!({"decision": "denied"})).await.problem(409, "already_decided");
    alice
        .key
        .post(&asked.path(), json!({"decision": "approved", "comment": "x"}))
        .await
        .problem(409, "already_decided");
}

#[tokio::test]
async fn rules_decide_who_is_asked_about_what() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let three = call(40)
        .tool_call("refund", r#"{"order":"8","amount":60}"#)
        .tool_call("refund", r#"{"order":"9","amount":600}"#);
    let lane = Lane::sequence([three, Reply::text("Done.")]);
    tenant.agent_with(&lane, json!({"tools": [refund()]})).await;
    let run = id(&alice.key.run("x").await);
    let found = suspended(&alice, &run).await;
    let kinds: Vec<_> = found["pending"].as_array().expect("a list").iter().map(|it| it["type"].clone()).collect();
    assert_eq!(kinds, ["input", "approval"]);
    let [free, asked] = waits_for(&found).try_into().expect("two calls");
    // The one that needs no permission is answered, and the run goes on waiting for the other.
    let path = format!("/v1/runs/{run}/tool_outputs");
    let still = alice.key.post(&path, outputs(&[(&free, json!(1))])).await.ok(200);
    assert_eq!(still["status"], "suspended");
    let approval = found["pending"][1]["approval"].as_str().expect("an id").to_owned();
    let comment = "Not on a \"Friday\".";
    let denied = json!({"decision": "denied", "comment": comment});
    alice.token.post(&format!("/v1/runs/{run}/approvals/{approval}"), denied).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
    let log = events(&read(&alice.key, &run, None).await);
    assert_dense(&log);
    let denied: Vec<_> = log.iter().filter(|it| it["type"] == "tool.denied").collect();
    assert_eq!(denied.len(), 2, "{denied:?}");
    assert!(denied[0]["by"].is_null(), "by a rule");
    assert_eq!(
        (&denied[1]["call"], &denied[1]["comment"], &denied[1]["by"]["type"]),
        (&json!(asked), &json!(comment), &json!("user"))
    );
    let told = lane.requests()[1].body["messages"].as_array().expect("messages").clone();
    let answers: Vec<_> =
        told.iter().filter(|it| it["role"] == "tool").map(|it| it["content"].as_str().expect("text")).collect();
    assert!(answers[1].contains("Friday") && answers[2].contains("not permitted"), "{answers:?}");
}

#[tokio::test]
async fn edited_arguments_are_checked_and_are_what_is_called() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([call(60), Reply::text("Done.")]);
    let asked = Asked::begin(&tenant, &alice, &lane, json!({})).await;
    let edit = |args: Value| json!({"decision": "approved", "edited_args": args});
    let wrong = alice.key.post(&asked.path(), edit(json!({"order": 7, "amount": 40}))).await;
    wrong.blames(422, "invalid_value", "/edited_args");
    alice.key.post(&asked.path(), edit(json!({"order": "7", "amount": 40, "x": 1}))).await.blames(
        422,
        "invalid_value",
        "/edited_args",
    );
    // What the rules forbid nobody can approve.
    let forbidden = edit(json!({"order": "7", "amount": 600}));
    alice.key.post(&asked.path(), forbidden).await.blames(422, "invalid_value", "/edited_args");
    let mut both = edit(json!({"order": "7", "amount": 40}));
    both["remember"] = "thread".into();
    alice.key.post(&asked.path(), both).await.blames(422, "invalid_value", "/remember");
    let before = alice.key.get(&format!("/v1/approvals/{}", asked.approval)).await.ok(200);
    let decided = alice.key.post(&asked.path(), edit(json!({"amount": 40, "order": "7"}))).await.ok(200);
    assert_eq!((&decided["args"]["amount"], &decided["edited_args"]["amount"]), (&json!(60), &json!(40)));
    assert_ne!(before["args_hash"], decided["args_hash"], "of what is called");
    alice.key.post(&asked.path(), edit(json!({"order": "7", "amount": 40.0}))).await.ok(200);
    alice.key.post(&asked.path(), edit(json!({"order": "7", "amount": 41}))).await.problem(409, "already_decided");
    asked.answer(&alice, json!("ok")).await;
    alice.key.ended(&asked.run).await;
    let log = events(&read(&alice.key, &asked.run, None).await);
    let args: Vec<_> =
        log.iter().filter(|it| it["type"] == "tool.args").map(|it| it["args"]["amount"].clone()).collect();
    assert_eq!(args, [json!(60), json!(40)]);
}

#[tokio::test]
async fn permitted_for_the_rest_of_the_thread() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([call(60), call(70), Reply::text("Done."), call(80), Reply::text("Again."), call(90)]);
    let asked = Asked::begin(&tenant, &alice, &lane, json!({})).await;
    alice.key.post(&asked.path(), json!({"decision": "approved", "remember": "thread"})).await.ok(200);
    asked.answer(&alice, json!(1)).await;
    // The next call of the same run is not asked about, nor one of the thread's next run.
    let answer = async |run: &str| {
        let found = eventually("it waits for an answer", || async {
            let found = suspended(&alice, run).await;
            (found["pending"][0]["type"] == "input" && waits_for(&found)[0] != asked.call).then_some(found)
        });
        let call = waits_for(&found.await)[0].clone();
        alice.key.post(&format!("/v1/runs/{run}/tool_outputs"), outputs(&[(&call, json!(1))])).await.ok(200);
    };
    answer(&asked.run).await;
    let first = alice.key.ended(&asked.run).await;
    let next = id(&alice.key.run_on(first["thread"].as_str().expect("an id"), "more").await);
    answer(&next).await;
    alice.key.ended(&next).await;
    // Another thread knows nothing of it.
    let other = Asked::of(&alice, id(&alice.key.run("x").await)).await;
    let listed = alice.token.get("/v1/approvals?status=pending").await.ok(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["data"][0]["id"], json!(other.approval));
    let all = tenant.api.get("/v1/approvals?user=alice&order=asc").await.ok(200);
    assert_eq!(all["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(all["data"][0]["id"], json!(asked.approval));
}

#[tokio::test]
async fn cancelled_instead_of_decided() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([call(60), call(60)]);
    let asked = Asked::begin(&tenant, &alice, &lane, json!({})).await;
    alice.key.post(&asked.path(), json!({"decision": "cancelled", "comment": "No."})).await.ok(200);
    assert_eq!(alice.key.ended(&asked.run).await["status"], "cancelled");
    let log = events(&read(&alice.key, &asked.run, None).await);
    assert_dense(&log);
    let by = &log.last().expect("its end")["by"];
    assert_eq!(by["type"], "user");
    let resolved = log.iter().find(|it| it["type"] == "approval.resolved").expect("it is told");
    assert_eq!((&resolved["decision"], &resolved["comment"]), (&json!("cancelled"), &json!("No.")));
    alice.key.post(&asked.path(), json!({"decision": "cancelled", "comment": "No."})).await.ok(200);
    // A run that is cancelled otherwise leaves no question open.
    let other = Asked::of(&alice, id(&alice.key.run("x").await)).await;
    alice.key.post(&format!("/v1/runs/{}/cancel", other.run), json!({})).await.ok(200);
    alice.key.ended(&other.run).await;
    let log = events(&read(&alice.key, &other.run, None).await);
    assert_eq!(story(&log)[story(&log).len() - 3..], ["approval.resolved", "tool.failed", "run.cancelled"]);
    let found = alice.key.get(&format!("/v1/approvals/{}", other.approval)).await.ok(200);
    assert_eq!(found["status"], "cancelled");
    alice.key.post(&other.path(), json!({"decision": "approved"})).await.problem(409, "run_finished");
}

#[tokio::test]
async fn nobody_decides_in_time() {
    let site = Site::start(&[("HEADWATER__LEASE__MS", "500")]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    for on_expiry in ["deny", "cancel"] {
        let lane = Lane::sequence([call(60), Reply::text("Never mind.")]);
        let approvals = json!({"approvals": {"ttl_ms": 1000, "on_expiry": on_expiry}});
        let asked = Asked::begin(&tenant, &alice, &lane, approvals).await;
        let ended = alice.key.ended(&asked.run).await;
        let log = events(&read(&alice.key, &asked.run, None).await);
        assert_dense(&log);
        let resolved = log.iter().find(|it| it["type"] == "approval.resolved").expect("it is told");
        let found = alice.key.get(&format!("/v1/approvals/{}", asked.approval)).await.ok(200);
        if on_expiry == "deny" {
            assert_eq!(ended["result"]["text"], "Never mind.");
            assert_eq!((&resolved["decision"], &resolved["by"]["reason"]), (&json!("expired"), &json!("expired")));
        } else {
            assert_eq!(
                (&ended["status"], &log.last().expect("its end")["by"]["reason"]),
                (&json!("cancelled"), &json!("expired"))
            );
        }
        assert_eq!(found["status"], "expired");
        alice.key.post(&asked.path(), json!({"decision": "approved"})).await.problem(410, "approval_expired");
    }
}

#[tokio::test]
async fn who_may_decide() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let lane = Lane::always(call(60));
    let of = async |deciders: Value| {
        Asked::begin(&tenant, &alice, &lane, json!({"approvals": {"deciders": deciders}})).await
    };
    let yes = json!({"decision": "approved"});
    let by_tenant = of(json!(["tenant"])).await;
    alice.token.post(&by_tenant.path(), yes.clone()).await.problem(403, "forbidden");
    alice.key.post(&by_tenant.path(), yes.clone()).await.problem(403, "forbidden");
    let decided = tenant.api.post(&by_tenant.path(), yes.clone()).await.ok(200);
    assert_eq!(decided["by"]["type"], "tenant");
    let by_user = of(json!(["user"])).await;
    tenant.api.post(&by_user.path(), yes.clone()).await.problem(403, "forbidden");
    bob.token.post(&by_user.path(), yes.clone()).await.problem(404, "not_found");
    bob.token.get(&format!("/v1/approvals/{}", by_user.approval)).await.problem(404, "not_found");
    let crossed = format!("/v1/runs/{}/approvals/{}", by_tenant.run, by_user.approval);
    alice.token.post(&crossed, yes.clone()).await.problem(404, "not_found");
    alice.token.post(&by_user.path(), yes).await.ok(200);
    // Nobody may: such an agent is not run.
    tenant.agent_with(&lane, json!({"tools": [refund()], "approvals": {"deciders": []}})).await;
    let refused = alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await;
    refused.problem(422, "no_approver");
}

#[tokio::test]
async fn users_see_what_the_agent_lets_them() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([call(60), Reply::text("Done.")]);
    let asked = Asked::begin(&tenant, &alice, &lane, json!({"user_visibility": {"tool_args": false}})).await;
    let path = format!("/v1/approvals/{}", asked.approval);
    let seen = alice.token.get(&path).await.ok(200);
    assert_eq!((&seen["args"], &seen["schema"], &seen["args_hash"]), (&json!(null), &json!({}), &json!("")));
    let blind = json!({"decision": "approved", "edited_args": {"order": "7", "amount": 1}});
    alice.token.post(&asked.path(), blind.clone()).await.problem(403, "forbidden");
    assert_eq!(alice.key.get(&path).await.ok(200)["args"]["amount"], 60);
    alice.key.post(&asked.path(), blind).await.ok(200);
    suspended(&alice, &asked.run).await;
    let seen = read_until_suspended(&alice, &asked.run).await;
    assert!(!seen.contains("\"amount\""), "{seen}");
}

async fn read_until_suspended(user: &User, run: &str) -> String {
    let mut stream = Stream::open(&user.token, run, None).await;
    stream.until("approval.resolved").await;
    String::from_utf8_lossy(&stream.bytes).into_owned()
}

/// Two people decide at the same moment, each at another process: one of them is heard.
#[tokio::test]
async fn two_decide_at_once() {
    let site = Site::start(&[]).await;
    let second = serve(&site.database, &[]);
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let there = alice.at(&second.url);
    for _ in 0..5 {
        let lane = Lane::sequence([call(60), Reply::text("Done.")]);
        let asked = Asked::begin(&tenant, &alice, &lane, json!({})).await;
        let path = asked.path();
        let (one, other) = tokio::join!(
            alice.key.post(&path, json!({"decision": "denied", "comment": "one"})),
            there.key.post(&path, json!({"decision": "denied", "comment": "other"})),
        );
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{} {}", one.text(), other.text());
        let comment = if one.status == 200 { "one" } else { "other" };
        alice.key.ended(&asked.run).await;
        let log = events(&read(&there.key, &asked.run, None).await);
        assert_dense(&log);
        let resolved: Vec<_> = log.iter().filter(|it| it["type"] == "approval.resolved").collect();
        assert_eq!(resolved.len(), 1);
        assert_eq!(resolved[0]["comment"], comment);
    }
}

/// A question outlives every process: all are killed, one is started, and the answer comes then, or the end of its time.
#[tokio::test]
async fn it_is_decided_after_all_were_killed() {
    for decision in ["approved", "edited", "denied", "cancelled", "expired", "twice"] {
        let mut first = Site::start(&[]).await;
        let mut second = serve(&first.database, &[]);
        let tenant = first.tenant().await;
        let alice = tenant.user("alice").await;
        let lane = Lane::sequence([call(60), Reply::text("Done.")]);
        let ttl_ms = if decision == "expired" { 3000 } else { 600_000 };
        let approvals = json!({"approvals": {"ttl_ms": ttl_ms, "on_expiry": "deny"}});
        let asked = Asked::begin(&tenant, &alice, &lane, approvals).await;
        let mut reader = Stream::open(&alice.at(&second.url).key, &asked.run, None).await;
        reader.until("run.suspended").await;
        first.process.kill9();
        second.kill9();
        let seen = reader.rest().await;
        let third = serve(&first.database, &[("HEADWATER__LEASE__MS", "500")]);
        let there = alice.at(&third.url);
        let path = asked.path();
        let say = |body: Value| there.key.post(&path, body);
        match decision {
            "expired" => {}
            "edited" => {
                let args = json!({"order": "7", "amount": 40});
                say(json!({"decision": "approved", "edited_args": args})).await.ok(200);
            }
            "twice" => {
                let fourth = serve(&first.database, &[("HEADWATER__LEASE__MS", "500")]);
                let elsewhere = alice.at(&fourth.url);
                let (one, other) = tokio::join!(
                    say(json!({"decision": "denied", "comment": "one"})),
                    elsewhere.key.post(&path, json!({"decision": "denied", "comment": "other"})),
                );
                let mut statuses = [one.status, other.status];
                statuses.sort_unstable();
                assert_eq!(statuses, [200, 409], "{} {}", one.text(), other.text());
                // Whoever took the run is to end it.
                there.key.ended(&asked.run).await;
            }
            decision => drop(say(json!({ "decision": decision })).await.ok(200)),
        }
        if matches!(decision, "approved" | "edited") {
            asked.answer(&there, json!(1)).await;
        }
        let ended = there.key.ended(&asked.run).await;
        let status = if decision == "cancelled" { "cancelled" } else { "completed" };
        assert_eq!(ended["status"], status, "{decision}: {ended}");
        let rest = read(&there.key, &asked.run, last_id(&seen).as_deref()).await;
        let both = log_of(&seen) + &log_of(&rest);
        let log = events(both.as_bytes());
        assert_dense(&log);
        assert_eq!(both, log_of(&read(&there.key, &asked.run, None).await), "{decision}");
        let resolved: Vec<_> = log.iter().filter(|event| event["type"] == "approval.resolved").collect();
        assert_eq!(resolved.len(), 1, "{decision}");
        match decision {
            "edited" => assert_eq!(resolved[0]["edited_args"]["amount"], 40),
            "expired" => assert_eq!(resolved[0]["decision"], "expired"),
            _ => {}
        }
    }
}

/// The decision comes while its run is still about to suspend: it is not lost, and nothing waits for it.
#[tokio::test]
async fn decided_in_the_moment_of_suspending() {
    for moment in [Moment::Before, Moment::After] {
        let database = Database::fresh().await;
        let tap = Tap::start(&database.admin_url, |sql| sql.contains("FROM headwater.tool_calls c")).expect("a tap");
        let first = serve(&database, &[("DATABASE_URL", &tap.url(&database.admin_url))]);
        let second = serve(&database, &[]);
        let tenant = Site { url: first.url.clone(), database }.tenant().await;
        let alice = tenant.user("alice").await;
        let lane = Lane::sequence([call(60), Reply::text("Quick.")]);
        tenant.agent_with(&lane, json!({"tools": [refund()]})).await;
        tap.arm(1, moment, Act::Hold);
        let run = id(&alice.key.run("x").await);
        tap.hit().await;
        let there = alice.at(&second.url);
        let mut reader = Stream::open(&there.key, &run, None).await;
        reader.until("approval.requested\"").await;
        let log = events(&reader.bytes);
        let asked = log.iter().find(|event| event["type"] == "approval.requested").expect("a question");
        let path = format!("/v1/runs/{run}/approvals/{}", asked["approval"].as_str().expect("an id"));
        there.key.post(&path, json!({"decision": "denied"})).await.ok(200);
        tap.release();
        let ended = there.key.ended(&run).await;
        assert_eq!((&ended["status"], &ended["attempt"]), (&json!("completed"), &json!(1)), "{moment:?}: {ended}");
        let log = events(&read(&there.key, &run, None).await);
        assert!(types(&log).iter().all(|kind| kind != "run.suspended"), "{moment:?}: {log:#?}");
    }
}
