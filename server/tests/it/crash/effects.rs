//! What a resume repeats of a call that the server makes itself: by its effect, and by where its owner died or stood still.
//! The endpoint counts.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use headwater_testkit::model::Reply;
use headwater_testkit::tap::{Act, Moment};
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use headwater_testkit::{Database, ServerProcess, Tap, ToolServer};
use serde_json::{Value, json};

use super::killed::{assert_consistent, nothing_is_left};
use crate::support::tenant::id;
use crate::support::{Lane, Site, Tenant, User, eventually, mcp, serve, unique};

const LEASE: (&str, &str) = ("HEADWATER__LEASE__MS", "400");

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Killed,
    Paused,
}

/// Where it happens to the run's owner.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    /// At this commit since the call was approved: the run goes on; the call begins; its answer; the step's end.
    Commit(usize, Moment),
    /// While the endpoint has the request.
    During,
}

const POINTS: [Point; 9] = [
    Point::Commit(1, Moment::Before),
    Point::Commit(1, Moment::After),
    Point::Commit(2, Moment::Before),
    Point::Commit(2, Moment::After),
    Point::During,
    Point::Commit(3, Moment::Before),
    Point::Commit(3, Moment::After),
    Point::Commit(4, Moment::Before),
    Point::Commit(4, Moment::After),
];

/// How the endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Http,
    Mcp,
}

struct Ground {
    database: Database,
    second: ServerProcess,
    tenant: Tenant,
    kind: Kind,
    effect: &'static str,
}

/// An endpoint whose first answer can be held back.
struct Held {
    kind: Kind,
    server: ToolServer,
    release: mpsc::Sender<()>,
}

/// A call as the endpoint saw it.
#[derive(Debug)]
struct Made {
    id: Value,
    key: Option<String>,
}

fn endpoint(kind: Kind, hold: bool) -> Held {
    let (release, released) = mpsc::channel();
    let first = Mutex::new(hold.then_some(released));
    let answer = move || {
        let held = first.lock().expect("nobody panics with it").take();
        if let Some(released) = held {
            // Until it is let go, or the test is over.
            let _ = released.recv();
        }
        json!({"done": true})
    };
    let server = match kind {
        Kind::Http => ToolServer::start(move |_| ToolAnswer::json(&answer())),
        Kind::Mcp => {
            let tools = json!([{"name": "pay", "inputSchema": {"type": "object"}}]);
            mcp::server(&tools, None, move |_| json!({"content": [], "structuredContent": answer()}))
        }
    };
    Held { kind, server, release }
}

impl Held {
    fn made(&self) -> Vec<Made> {
        match self.kind {
            Kind::Http => {
                let made = |asked: &ToolRequest| Made {
                    id: asked.json()["call"].clone(),
                    key: asked.header("idempotency-key").map(str::to_owned),
                };
                self.server.requests().iter().map(made).collect()
            }
            Kind::Mcp => {
                let made = |asked: &Value| {
                    let meta = &asked["params"]["_meta"];
                    let key = meta["headwater/idempotency_key"].as_str().map(str::to_owned);
                    Made { id: meta["headwater/call"].clone(), key }
                };
                mcp::calls_of(&self.server).iter().map(made).collect()
            }
        }
    }

    /// Waits for the first call.
    async fn called(&self) {
        eventually("it is called", || async { (!self.made().is_empty()).then_some(()) }).await;
    }

    /// The agent's tool that calls it.
    async fn tool(&self, tenant: &Tenant, effect: &str, timeout_ms: u32) -> Value {
        match self.kind {
            Kind::Http => {
                json!({"type": "http", "name": "pay", "policy": "ask", "effect": effect, "timeout_ms": timeout_ms,
                "request": {"method": "POST", "url": self.server.url, "body": {"call": "{{call.id}}"}}})
            }
            Kind::Mcp => {
                let name = unique("bank");
                let params = json!({"name": name, "url": format!("{}/mcp", self.server.url)});
                let looked = tenant.api.post("/v1/mcp_servers", params).await.ok(201);
                assert_eq!(looked["status"], "ok", "{looked}");
                json!({"type": "mcp", "server": name, "policy": "ask", "effect": effect, "timeout_ms": timeout_ms})
            }
        }
    }
}

/// What was asked of the user about an outcome that nobody knows, once the run is over.
async fn decided_or_over(user: &User, run: &str) -> (Value, usize) {
    let asked = Arc::new(Mutex::new(0));
    let ended = eventually("the run ends", || async {
        let found = user.key.get(&format!("/v1/runs/{run}?wait_ms=5000")).await.ok(200);
        if found["status"] == "suspended" && found["pending"][0]["type"] == "approval" {
            let approval = found["pending"][0]["approval"].as_str().expect("a question");
            let question = user.key.get(&format!("/v1/approvals/{approval}")).await.ok(200);
            assert_eq!(question["kind"], "unknown_outcome", "{question}");
            let path = format!("/v1/runs/{run}/approvals/{approval}");
            let known = json!({"decision": "denied", "output": {"found": "in the books"}});
            user.key.post(&path, known).await.ok(200);
            *asked.lock().expect("nobody panics with it") += 1;
        }
        ["completed", "failed", "cancelled"].contains(&found["status"].as_str().expect("a status")).then_some(found)
    });
    let ended = ended.await;
    let asked = *asked.lock().expect("nobody panics with it");
    (ended, asked)
}

/// Whether it was hit at all.
async fn play(ground: &Ground, fate: Fate, point: Point) -> bool {
    let tap = Tap::start(&ground.database.admin_url, |sql| sql.contains("commit_batch(")).expect("a tap");
    let url = tap.url(&ground.database.admin_url);
    let mut first = serve(&ground.database, &[LEASE, ("DATABASE_URL", &url)]);
    let alice = ground.tenant.user(&unique("alice")).await;
    let there = endpoint(ground.kind, point == Point::During);
    // An outcome is asked about only once this is over; before, the process has to be ended, on a busy machine too.
    let timeout_ms = if point == Point::During { 5000 } else { 2000 };
    let tool = there.tool(&ground.tenant, ground.effect, timeout_ms).await;
    let lane = Lane::calling("pay", "{}", Reply::text("Paid."));
    ground.tenant.agent_with(&lane, json!({ "tools": [tool] })).await;
    let run = id(&alice.key.run("Pay.").await);
    let approval = eventually("it asks", || async {
        let found = alice.key.get(&format!("/v1/runs/{run}?wait_ms=5000")).await.ok(200);
        found["pending"][0]["approval"].as_str().map(str::to_owned)
    })
    .await;
    if let Point::Commit(n, moment) = point {
        tap.arm(n, moment, if fate == Fate::Killed { Act::Kill(first.pid()) } else { Act::Pause(first.pid()) });
    }
    // It is decided at the process that it happens to, which goes on with the run at once.
    let path = format!("/v1/runs/{run}/approvals/{approval}");
    let here = alice.at(&first.url);
    let deciding = here.key.request("POST", &path).json(&json!({"decision": "approved"})).send();
    // It may be paused, or dead, before it has answered.
    tokio::select! {
        _ = deciding => {}
        () = tap.hit() => {}
    }
    if point == Point::During {
        there.called().await;
        match fate {
            Fate::Killed => first.kill9(),
            Fate::Paused => first.signal(libc::SIGSTOP),
        }
    }
    let (ended, asked) = decided_or_over(&alice, &run).await;
    let what = format!("{:?} {} {fate:?} {point:?}: {ended}", ground.kind, ground.effect);
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("Paid.")), "{what}");
    let log = assert_consistent(&alice, &run).await;
    if fate == Fate::Paused {
        // The zombie wakes up: what it had on its way arrives, and changes nothing.
        let _ = there.release.send(());
        tap.release();
        first.signal(libc::SIGCONT);
        let here = alice.at(&first.url);
        eventually("it serves again", || async {
            (here.key.get(&format!("/v1/runs/{run}")).await.status == 200).then_some(())
        })
        .await;
        assert_eq!(assert_consistent(&alice, &run).await, log, "{what}: nothing was added");
    }
    let made = there.made();
    // The other process may have been faster to go on with it: then this one owned nothing when it happened to it.
    let met = tap.was_hit() || (point == Point::During && ended["attempt"].as_i64() > Some(2));
    assert!(made.iter().all(|call| call.id == made[0].id && call.id.is_string()), "{what}: one call, one id: {made:?}");
    if ground.effect == "side_effect" {
        assert!(made.len() <= 1, "{what}: made {} times", made.len());
        assert!(made.len() + asked >= 1, "{what}: neither made nor asked about");
        // Before it was written down that it begins, nothing is unknown; nor once its answer was.
        let unknown =
            matches!(point, Point::Commit(2, Moment::After) | Point::During | Point::Commit(3, Moment::Before));
        assert_eq!(asked, usize::from(unknown && met), "{what}");
    } else {
        assert_eq!(asked, 0, "{what}: nobody need be asked");
        assert!((1..=2).contains(&made.len()), "{what}: made {} times", made.len());
        assert!(made.iter().all(|call| call.key.is_some() == (ground.effect == "idempotent")), "{what}");
    }
    met
}

/// A person says that it is to be done again: it is, with what was decided on before.
#[tokio::test]
async fn what_is_unknown_is_done_again_as_it_was_decided() {
    let database = Database::fresh().await;
    let second = serve(&database, &[LEASE]);
    let tenant = Site { url: second.url.clone(), database: database.clone() }.tenant().await;
    let mut first = serve(&database, &[LEASE]);
    let alice = tenant.user("alice").await;
    let Held { server, release: _release, .. } = endpoint(Kind::Http, true);
    let tool = json!({"type": "http", "name": "pay", "policy": "ask", "timeout_ms": 5000, "defaults": {"currency": "EUR"},
        "request": {"method": "POST", "url": server.url, "body": {"args": "{{args}}", "call": "{{call.id}}"}}});
    let lane = Lane::calling("pay", r#"{"amount":60,"currency":"USD"}"#, Reply::text("Paid."));
    tenant.agent_with(&lane, json!({ "tools": [tool] })).await;
    let run = id(&alice.key.run("Pay.").await);
    let question = async || {
        eventually("it asks", || async {
            let found = alice.key.get(&format!("/v1/runs/{run}?wait_ms=5000")).await.ok(200);
            let approval =
                found["pending"][0]["approval"].as_str().filter(|_| found["status"] == "suspended")?.to_owned();
            Some(alice.key.get(&format!("/v1/approvals/{approval}")).await.ok(200))
        })
        .await
    };
    let asked = question().await;
    assert_eq!(asked["args"], json!({"amount": 60}), "what is always the same is not asked about");
    let path = |question: &Value| format!("/v1/runs/{run}/approvals/{}", question["id"].as_str().expect("an id"));
    let edited = json!({"decision": "approved", "edited_args": {"amount": 7}});
    alice.at(&first.url).key.post(&path(&asked), edited).await.ok(200);
    server.asked(1).await;
    first.kill9();
    let unknown = eventually("it asks again", || async {
        let asked = question().await;
        (asked["kind"] == "unknown_outcome").then_some(asked)
    })
    .await;
    assert_eq!(unknown["args"], json!({"amount": 7}));
    alice.key.post(&path(&unknown), json!({"decision": "approved"})).await.ok(200);
    assert_eq!(alice.key.ended(&run).await["result"]["text"], "Paid.");
    let made = server.requests();
    assert_eq!(made.len(), 2);
    assert_eq!(made[0].json(), made[1].json(), "the same call, with the same arguments");
    assert_eq!(made[1].json()["args"], json!({"amount": 7, "currency": "EUR"}));
    assert_consistent(&alice, &run).await;
}

async fn play_all(kind: Kind, effect: &'static str, fate: Fate) {
    let database = Database::fresh().await;
    let second = serve(&database, &[LEASE]);
    let tenant = Site { url: second.url.clone(), database: database.clone() }.tenant().await;
    let ground = Ground { database, second, tenant, kind, effect };
    let mut hit = 0;
    for point in POINTS {
        hit += usize::from(play(&ground, fate, point).await);
    }
    // The other process may have been faster to go on with a run; that it always is would be no test.
    assert!(hit >= POINTS.len() / 2, "{kind:?} {effect} {fate:?}: only {hit} points were met");
    nothing_is_left(&ground.tenant).await;
    assert_eq!(ground.second.log().matches("\"level\":\"ERROR\"").count(), 0, "{}", ground.second.log());
}

#[tokio::test]
async fn killed_around_a_call_that_reads() {
    play_all(Kind::Http, "read", Fate::Killed).await;
}

#[tokio::test]
async fn killed_around_a_call_that_may_be_repeated() {
    play_all(Kind::Http, "idempotent", Fate::Killed).await;
}

#[tokio::test]
async fn killed_around_a_call_that_may_not_be_repeated() {
    play_all(Kind::Http, "side_effect", Fate::Killed).await;
}

#[tokio::test]
async fn paused_around_a_call_that_reads() {
    play_all(Kind::Http, "read", Fate::Paused).await;
}

#[tokio::test]
async fn paused_around_a_call_that_may_be_repeated() {
    play_all(Kind::Http, "idempotent", Fate::Paused).await;
}

#[tokio::test]
async fn paused_around_a_call_that_may_not_be_repeated() {
    play_all(Kind::Http, "side_effect", Fate::Paused).await;
}

#[tokio::test]
async fn killed_around_an_mcp_call_that_reads() {
    play_all(Kind::Mcp, "read", Fate::Killed).await;
}

#[tokio::test]
async fn killed_around_an_mcp_call_that_may_be_repeated() {
    play_all(Kind::Mcp, "idempotent", Fate::Killed).await;
}

#[tokio::test]
async fn killed_around_an_mcp_call_that_may_not_be_repeated() {
    play_all(Kind::Mcp, "side_effect", Fate::Killed).await;
}

#[tokio::test]
async fn paused_around_an_mcp_call_that_reads() {
    play_all(Kind::Mcp, "read", Fate::Paused).await;
}

#[tokio::test]
async fn paused_around_an_mcp_call_that_may_be_repeated() {
    play_all(Kind::Mcp, "idempotent", Fate::Paused).await;
}

#[tokio::test]
async fn paused_around_an_mcp_call_that_may_not_be_repeated() {
    play_all(Kind::Mcp, "side_effect", Fate::Paused).await;
}
