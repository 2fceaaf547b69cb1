//! Fail points: a process dies, is paused for longer than its lease, or is only slow, at each statement of a run's loop,
//! before Postgres has seen it or after it has carried it out. What comes of the run is the same each time.

use headwater_testkit::model::{Gate, Reply};
use headwater_testkit::tap::{Act, Moment};
use headwater_testkit::{Database, ServerProcess, Tap};
use serde_json::{Value, json};

use super::killed::{assert_consistent, nothing_is_left};
use crate::support::sse::{Stream, events, log_of, read};
use crate::support::tenant::id;
use crate::support::{Api, Lane, Site, Tenant, User, eventually, serve, unique};

const LEASE: (&str, &str) = ("HEADWATER__LEASE__MS", "400");

/// The statements of a run's own process: accepting it, reading its thread, writing its log, ending it.
fn of_the_loop(sql: &str) -> bool {
    [
        "create_runs(",
        "commit_batch(",
        "octet_length(content",
        "v.config FROM headwater.runs",
        "run_inputs",
        "run_cancel",
        "tool_calls",
        "answer_calls(",
        "wake_parent(",
        "active_version",
        "headwater.memory ",
    ]
    .iter()
    .any(|part| sql.contains(part))
}

/// One database, and a process that outlives all that happens.
struct Ground {
    database: Database,
    second: ServerProcess,
    tenant: Tenant,
}

/// The process that it happens to, and its tap.
struct First {
    process: ServerProcess,
    tap: Tap,
}

impl Ground {
    async fn new() -> Self {
        let database = Database::fresh().await;
        let second = serve(&database, &[LEASE]);
        let tenant = Site { url: second.url.clone(), database: database.clone() }.tenant().await;
        Self { database, second, tenant }
    }

    fn first(&self) -> First {
        let tap = Tap::start(&self.database.admin_url, of_the_loop).expect("a tap");
        let url = tap.url(&self.database.admin_url);
        let process = serve(&self.database, &[LEASE, ("DATABASE_URL", &url)]);
        First { process, tap }
    }
}

impl First {
    /// Sends a request to this process, and once that is no more, again to another.
    async fn ask(&self, user: &User, path: &str, body: &Value) -> Value {
        let key = unique("key");
        let here = user.at(&self.process.url).key.with("idempotency-key", &key);
        let sent = async {
            let answer = here.request("POST", path).json(body).send().await.ok()?;
            let status = answer.status();
            // On a busy machine so short a lease is lost without anybody's doing; whoever asked asks again.
            if status.as_u16() == 503 {
                return None;
            }
            let body: Value = answer.json().await.ok()?;
            assert!(status.is_success(), "{status}: {body}\n{}", self.process.log());
            Some(body)
        };
        let answered = tokio::select! {
            biased;
            answered = sent => answered,
            () = self.tap.hit() => None,
        };
        match answered {
            Some(body) => body,
            None => elsewhere(&user.key.with("idempotency-key", &key), path, body).await,
        }
    }
}

/// The same at a process that lives.
async fn elsewhere(api: &Api, path: &str, body: &Value) -> Value {
    eventually("another process takes it", || async {
        let answer = api.post(path, body.clone()).await;
        (answer.status < 300).then(|| answer.json())
    })
    .await
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Story {
    /// A question and its answer.
    Plain,
    /// Something more is said while the model thinks.
    Steered,
    /// Somebody asks for the end while the model thinks.
    Cancelled,
    /// The model calls a tool of the application's, which answers when it sees that.
    Called,
    /// The model calls another agent.
    Delegated,
    /// The model remembers something of the user.
    Remembered,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Killed,
    Paused,
}

/// Whether it was hit at all: a run has only so many statements.
async fn tell(ground: &Ground, story: Story, fate: Fate, n: usize, moment: Moment) -> bool {
    let first = ground.first();
    let alice = ground.tenant.user(&unique("alice")).await;
    let gate = Gate::new();
    let lane = match story {
        Story::Plain => Lane::always(Reply::tokens(3).delay_each(5)),
        Story::Called => Lane::calling("pick", "{}", Reply::tokens(3).delay_each(5)),
        Story::Delegated => Lane::calling("ask", r#"{"input":"go"}"#, Reply::tokens(3).delay_each(5)),
        Story::Remembered => {
            let args = r#"{"key":"tea","value":"oolong"}"#;
            Lane::calling("memory_set", args, Reply::tokens(3).delay_each(5))
        }
        Story::Steered | Story::Cancelled => Lane::always(Reply::tokens(3).gated_by(&gate)),
    };
    let helper = Lane::always(Reply::text("done"));
    let tools = json!([{"type": "client", "name": "pick"}, {"type": "agent", "name": "ask", "agent": "helper"},
        {"type": "builtin", "name": "memory"}]);
    ground.tenant.agent_with(&lane, json!({ "tools": tools })).await;
    ground.tenant.api.put("/v1/agents/helper", json!({"model": helper.model()})).await;
    let pid = first.process.pid();
    first.tap.arm(n, moment, if fate == Fate::Killed { Act::Kill(pid) } else { Act::Pause(pid) });

    let run = first.ask(&alice, "/v1/runs", &json!({"agent": "assistant", "input": "one"})).await;
    let thread = run["thread"].as_str().expect("a thread").to_owned();
    match story {
        Story::Plain | Story::Delegated | Story::Remembered => {}
        Story::Called => {
            // Whoever writes the run: its readers see the call, and see it again if the step was done again.
            let mut reader = Stream::open(&alice.key, &id(&run), None).await;
            let mut answered = Vec::new();
            while !String::from_utf8_lossy(&reader.bytes).contains("tool.completed") {
                assert!(reader.more().await, "{}", String::from_utf8_lossy(&reader.bytes));
                let called = events(&reader.bytes).into_iter().filter(|event| event["type"] == "tool.args");
                let called = called.map(|event| event["call"].as_str().expect("an id").to_owned());
                for call in called.collect::<Vec<_>>() {
                    if !answered.contains(&call) {
                        let body = json!({"tool_outputs": [{"call": call, "output": "picked"}]});
                        first.ask(&alice, &format!("/v1/runs/{}/tool_outputs", id(&run)), &body).await;
                        answered.push(call);
                    }
                }
            }
        }
        Story::Steered => {
            let body = json!({"agent": "assistant", "input": "two", "on_conflict": "steer"});
            let steered = first.ask(&alice, &format!("/v1/threads/{thread}/runs"), &body).await;
            assert_eq!(steered["id"], run["id"], "no answer can have come before the gate is open");
            gate.open();
        }
        Story::Cancelled => {
            tokio::select! {
                _ = lane.called(1) => {}
                () = first.tap.hit() => {}
            }
            first.ask(&alice, &format!("/v1/runs/{}/cancel", id(&run)), &json!({})).await;
        }
    }
    let run = id(&run);
    let ended = alice.key.ended(&run).await;
    gate.open();
    let what = format!("{story:?} {fate:?} {moment:?} {n}: {ended}");
    let log = assert_consistent(&alice, &run).await;
    let text = " tok0 tok1 tok2";
    let listed = alice.key.get(&format!("/v1/threads/{thread}/messages?order=asc&limit=100")).await.ok(200);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said: Vec<_> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|message| (word(&message["role"]), word(&message["content"][0]["text"])))
        .collect();
    let line = |role: &str, text: &str| (role.to_owned(), text.to_owned());
    let (question, answer, more) = (line("user", "one"), line("assistant", text), line("user", "two"));
    let steps = match story {
        Story::Plain => {
            assert_eq!(
                (&ended["status"], said.as_slice()),
                (&json!("completed"), [question, answer].as_slice()),
                "{what}"
            );
            1
        }
        Story::Steered => {
            assert_eq!(ended["status"], "completed", "{what}");
            assert_eq!(said, [question, answer.clone(), more, answer], "{what}");
            2
        }
        Story::Called | Story::Delegated | Story::Remembered => {
            assert_eq!(ended["status"], "completed", "{what}");
            assert_eq!(said, [question, line("assistant", ""), line("tool", ""), answer], "{what}");
            2
        }
        Story::Cancelled => {
            assert_eq!((&ended["status"], said[0].clone()), (&json!("cancelled"), question), "{what}");
            1
        }
    };
    assert!(lane.requests().len() <= steps + 1, "{what}: {} calls of the model", lane.requests().len());
    if story == Story::Delegated {
        let below = alice.key.get(&format!("/v1/runs?parent={run}")).await.ok(200);
        let [below] = below["data"].as_array().expect("a list").as_slice() else { panic!("{what}: {below}") };
        assert_eq!(below["status"], "completed", "{what}");
        assert_consistent(&alice, &id(below)).await;
        let told = log.iter().filter(|event| event["type"] == "sub_run.finished").count();
        assert_eq!(told, 1, "{what}");
        let tokens = |run: &Value| run["usage"]["total_tokens"].as_u64();
        assert!(tokens(&ended) > tokens(below), "{what}: what it spent is its parent's too");
        assert!(helper.requests().len() <= 2, "{what}: {} calls of the other model", helper.requests().len());
    }
    if story == Story::Remembered {
        let told = log.iter().filter(|event| event["type"] == "tool.completed").count();
        assert_eq!(told, 1, "{what}");
        let kept = alice.key.get("/v1/memory/tea").await.ok(200);
        assert_eq!(kept["value"], "oolong", "{what}");
        // What is said of it from here on counts, whatever is still on its way.
        alice.key.put("/v1/memory/tea", json!({"value": "sencha"})).await;
    }
    let hit = first.tap.was_hit();
    if fate == Fate::Paused && hit {
        // The zombie wakes up, and what it had on its way arrives.
        first.tap.release();
        first.process.signal(libc::SIGCONT);
        // Somebody else's memory, since this run remembers something again.
        let who = if story == Story::Remembered { ground.tenant.user(&unique("bob")).await } else { alice.clone() };
        let here = who.at(&first.process.url);
        let again = elsewhere(&here.key, "/v1/runs", &json!({"agent": "assistant", "input": "three"})).await;
        if story == Story::Called {
            // It would call again, and wait.
            here.key.post(&format!("/v1/runs/{}/cancel", id(&again)), json!({})).await.ok(200);
        }
        let expected = if story == Story::Called { "cancelled" } else { "completed" };
        assert_eq!(here.key.ended(&id(&again)).await["status"], expected, "{what}");
        let now = events(&read(&alice.at(&first.process.url).key, &run, None).await);
        assert_eq!(now, log, "{what}: nothing was added");
        if story == Story::Remembered {
            let kept = alice.key.get("/v1/memory/tea").await.ok(200);
            assert_eq!(kept["value"], "sencha", "{what}: nothing was overwritten");
        }
    }
    let runs = alice.key.get("/v1/runs?limit=100").await.ok(200);
    let each = if story == Story::Delegated { 2 } else { 1 };
    let expected = each * (1 + usize::from(fate == Fate::Paused && hit && story != Story::Remembered));
    assert_eq!(runs["data"].as_array().expect("a list").len(), expected, "{what}: one run for one request");
    hit
}

async fn tell_all(story: Story, fate: Fate) {
    let ground = Ground::new().await;
    for moment in [Moment::Before, Moment::After] {
        let mut points = 0;
        while tell(&ground, story, fate, points + 1, moment).await {
            points += 1;
            assert!(points < 60, "a run does not end");
        }
        assert!(points >= 2, "{story:?} {moment:?}: the tap counts what it should");
    }
    nothing_is_left(&ground.tenant).await;
    assert_eq!(ground.second.log().matches("\"level\":\"ERROR\"").count(), 0, "{}", ground.second.log());
}

#[tokio::test]
async fn killed_at_each_statement_of_a_plain_run() {
    tell_all(Story::Plain, Fate::Killed).await;
}

#[tokio::test]
async fn killed_at_each_statement_of_a_run_that_is_steered() {
    tell_all(Story::Steered, Fate::Killed).await;
}

#[tokio::test]
async fn killed_at_each_statement_of_a_run_that_is_cancelled() {
    tell_all(Story::Cancelled, Fate::Killed).await;
}

#[tokio::test]
async fn killed_at_each_statement_of_a_run_that_calls() {
    tell_all(Story::Called, Fate::Killed).await;
}

#[tokio::test]
async fn killed_at_each_statement_of_a_run_that_calls_an_agent() {
    tell_all(Story::Delegated, Fate::Killed).await;
}

#[tokio::test]
async fn paused_at_each_statement_of_a_run_that_calls_an_agent() {
    tell_all(Story::Delegated, Fate::Paused).await;
}

#[tokio::test]
async fn killed_at_each_statement_of_a_run_that_remembers() {
    tell_all(Story::Remembered, Fate::Killed).await;
}

#[tokio::test]
async fn paused_at_each_statement_of_a_run_that_remembers() {
    tell_all(Story::Remembered, Fate::Paused).await;
}

#[tokio::test]
async fn paused_at_each_statement_of_a_run_that_calls() {
    tell_all(Story::Called, Fate::Paused).await;
}

#[tokio::test]
async fn paused_at_each_statement_of_a_plain_run() {
    tell_all(Story::Plain, Fate::Paused).await;
}

#[tokio::test]
async fn paused_at_each_statement_of_a_run_that_is_steered() {
    tell_all(Story::Steered, Fate::Paused).await;
}

#[tokio::test]
async fn paused_at_each_statement_of_a_run_that_is_cancelled() {
    tell_all(Story::Cancelled, Fate::Paused).await;
}

/// What a caller was told holds, though the process that said so dies before it has done it.
#[tokio::test]
async fn a_cancel_that_was_answered_is_kept() {
    let ground = Ground::new().await;
    let mut first = ground.first();
    let alice = ground.tenant.user("alice").await;
    let (reply, _gate) = Reply::tokens(3).gate();
    let lane = Lane::sequence([reply]);
    ground.tenant.agent(&lane).await;
    let here = alice.at(&first.process.url);
    let run = id(&here.key.run("one").await);
    lane.called(1).await;
    Stream::open(&here.key, &run, None).await.until("cost.estimated").await;
    first.tap.arm(1, Moment::Before, Act::Hold);
    let answer = here.key.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.ok(200);
    assert_eq!(answer["status"], "running", "its end does not come through: {answer}");
    assert!(first.tap.was_hit());
    first.process.kill9();
    let ended = alice.key.ended(&run).await;
    assert_eq!(ended["status"], "cancelled", "{ended}");
    assert_consistent(&alice, &run).await;
    assert_eq!(lane.requests().len(), 1);
    nothing_is_left(&ground.tenant).await;
}

/// A second message of each kind, while the first run stands still at each of its statements; said to the process that
/// runs it, or to another.
async fn race(policy: &str) {
    let database = Database::fresh().await;
    let tap = Tap::start(&database.admin_url, of_the_loop).expect("a tap");
    let first = serve(&database, &[("DATABASE_URL", &tap.url(&database.admin_url))]);
    let second = serve(&database, &[]);
    let tenant = Site { url: second.url.clone(), database }.tenant().await;
    let lane = Lane::always(Reply::tokens(2).delay_each(5));
    tenant.agent(&lane).await;
    for (moment, url) in [
        (Moment::Before, &first.url),
        (Moment::Before, &second.url),
        (Moment::After, &first.url),
        (Moment::After, &second.url),
    ] {
        for n in 1.. {
            assert!(n < 40, "a run does not end");
            let alice = tenant.user(&unique("alice")).await;
            let thread = id(&alice.key.post("/v1/threads", json!({})).await.ok(201));
            let path = format!("/v1/threads/{thread}/runs");
            tap.arm(n, moment, Act::Hold);
            let here = alice.at(&first.url).key;
            let begin = async {
                let run = id(&here.post(&path, json!({"agent": "assistant", "input": "one"})).await.ok(201));
                (here.ended(&run).await, run)
            };
            let mut begin = std::pin::pin!(begin);
            let early = tokio::select! {
                biased;
                () = tap.hit() => None,
                ended = &mut begin => Some(ended),
            };
            let hit = early.is_none();
            if !hit {
                // What follows is not to be held.
                tap.release();
            }
            let body = json!({"agent": "assistant", "input": "two", "on_conflict": policy});
            let asking = alice.at(url).key;
            let (answer, ended) = match early {
                Some(ended) => (asking.post(&path, body).await, ended),
                None => {
                    // One after the other: it must be answered while the first stands still.
                    let answer = asking.post(&path, body).await;
                    tap.release();
                    (answer, begin.await)
                }
            };
            outcome(
                (&alice, &alice.at(&first.url)),
                policy,
                &thread,
                &answer,
                &ended,
                &format!("{policy} {moment:?} {n}"),
            )
            .await;
            if !hit {
                assert!(n > 3, "the tap counts what it should");
                break;
            }
        }
    }
    nothing_is_left(&tenant).await;
}

/// What must have come of a second message, whenever it was said.
async fn outcome(
    (alice, elsewhere): (&User, &User),
    policy: &str,
    thread: &str,
    answer: &crate::support::Answer,
    (ended, run): &(Value, String),
    what: &str,
) {
    let what = format!("{what}: {} {}", answer.status, answer.text());
    let gives_way = matches!(policy, "interrupt" | "rollback");
    let first = ended["status"].as_str().expect("a status");
    assert!(first == "completed" || (gives_way && first == "cancelled"), "{what}: {ended}");
    let accepted = match answer.status {
        201 => {
            let second = answer.json();
            let second = alice.key.ended(&id(&second)).await;
            assert_eq!(second["status"], "completed", "{what}");
            // By what they say: a run that begins waits for the one before it, and `started_at` may tell of the time before that wait. One that
            // has said nothing does not overlap.
            let begins = |run: &Value| {
                let said = run["messages"].as_array().expect("messages").iter().find(|it| it["role"] == "assistant");
                said.map(|said| said["created_at"].as_str().expect("a time").to_owned())
            };
            let after = |later: &Value, run: &Value| {
                begins(later).is_none_or(|begins| begins.as_str() >= run["finished_at"].as_str().expect("a time"))
            };
            let apart = begins(ended).is_none() || after(&second, ended) || after(ended, &second);
            assert!(apart, "{what}: one after the other: {ended} {second}");
            assert_consistent(alice, &id(&second)).await;
            true
        }
        200 => {
            assert_eq!((policy, &answer.json()["id"]), ("steer", &json!(run)), "{what}");
            // It may have become the thread's next run: then that is to be over as well.
            let all = alice.key.get("/v1/runs?limit=10").await.ok(200);
            for other in all["data"].as_array().expect("a list") {
                assert_eq!(alice.key.ended(&id(other)).await["status"], "completed", "{what}");
            }
            true
        }
        409 => {
            assert_eq!(policy, "reject", "{what}");
            false
        }
        _ => panic!("{what}"),
    };
    assert_consistent(alice, run).await;
    let (here, there) = (read(&alice.key, run, None).await, read(&elsewhere.key, run, None).await);
    assert_eq!(log_of(&here), log_of(&there), "{what}: the same at both processes");
    let listed = alice.key.get(&format!("/v1/threads/{thread}/messages?order=asc&limit=100")).await.ok(200);
    let listed = listed["data"].as_array().expect("a list").clone();
    let count = |text: &str| listed.iter().filter(|message| message["content"][0]["text"] == text).count();
    assert_eq!(count("two"), usize::from(accepted), "{what}: {listed:#?}");
    // It goes with what it said, even if its end was on its way already.
    let withdrawn = policy == "rollback" && answer.json()["after_run"] == *run;
    assert!(withdrawn || policy != "rollback" || first == "completed", "{what}: {ended}");
    assert_eq!(count("one"), usize::from(!withdrawn), "{what}: {listed:#?}");
    if withdrawn {
        assert!(listed.iter().all(|message| message["run"] != *run), "{what}: {listed:#?}");
    }
    if accepted {
        let last = listed.last().expect("a message");
        assert_eq!((&last["role"], &last["status"]), (&json!("assistant"), &json!("completed")), "{what}: {listed:#?}");
    }
}

#[tokio::test]
async fn enqueue_raced_against_every_state() {
    race("enqueue").await;
}

#[tokio::test]
async fn reject_raced_against_every_state() {
    race("reject").await;
}

#[tokio::test]
async fn interrupt_raced_against_every_state() {
    race("interrupt").await;
}

#[tokio::test]
async fn rollback_raced_against_every_state() {
    race("rollback").await;
}

#[tokio::test]
async fn steer_raced_against_every_state() {
    race("steer").await;
}
