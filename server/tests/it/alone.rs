//! The proof of quiet: the server alone in a network, everything else in another one, and the kernel counts what goes out.
//!
//! Takes root and iproute2, as CI has them; without, it says that nothing was shown. `HEADWATER_TEST_QUIET_SECONDS` is how long
//! nothing may go out (5; `cargo xtask quiet` takes longer), and with `HEADWATER_TEST_REQUIRE_ALONE` it must be shown.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use headwater_store::admin::{Endpoint, with_host};
use headwater_testkit::alone::{Alone, Road, Seen, Target};
use headwater_testkit::model::{Gate, Reply};
use headwater_testkit::tools::ToolAnswer;
use headwater_testkit::{Database, ServerProcess, ToolServer};
use serde_json::json;

use crate::runs::suspended;
use crate::support::sse::{Stream, read};
use crate::support::tenant::id;
use crate::support::{Api, Lane, Site, Tenant, User, eventually, models};

fn seconds() -> Duration {
    let given = std::env::var("HEADWATER_TEST_QUIET_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(5))
}

/// The address behind `http://`, without a path.
fn port_of(url: &str) -> SocketAddr {
    let rest = url.trim_start_matches("http://");
    rest.split('/').next().and_then(|address| address.parse().ok()).expect("an address of this machine")
}

/// Everything but the server, and the roads to it.
struct World {
    alone: Alone,
    database: Database,
    endpoint: ToolServer,
    /// Of OTLP.
    receiver: ToolServer,
    tool_url: String,
    settings: Vec<(&'static str, String)>,
    _roads: Vec<Road>,
}

impl World {
    async fn new() -> Option<Self> {
        let alone = Alone::new()?;
        let database = Database::fresh().await;
        let postgres = Endpoint::of(&database.admin_url).expect("a URL of a Postgres");
        let postgres = match postgres.host.strip_prefix('/') {
            Some(_) => Target::File(format!("{}/.s.PGSQL.{}", postgres.host, postgres.port).into()),
            None => Target::Port(format!("{}:{}", postgres.host, postgres.port).parse().expect("an address")),
        };
        let endpoint = ToolServer::start(|_| ToolAnswer::json(&json!({"seen": true})));
        let receiver = ToolServer::start(|_| ToolAnswer::text(""));
        let road = async |target| Road::from(alone.here(), target).await.expect("a free port");
        let roads = vec![
            road(postgres).await,
            road(Target::Port(port_of(&models().base_url()))).await,
            road(Target::Port(port_of(&endpoint.url))).await,
            road(Target::Port(port_of(&receiver.url))).await,
        ];
        let url = with_host(&database.admin_url, &alone.here().to_string(), roads[0].at.port());
        let model = format!("http://{}/v1", roads[1].at);
        let settings = vec![
            ("DATABASE_URL", url.clone()),
            ("DATABASE_DIRECT_URL", url),
            ("HEADWATER__SERVER__HOST", alone.there().to_string()),
            ("HEADWATER__PROVIDERS__FAKE__BASE_URL", model.clone()),
            ("HEADWATER__PROVIDERS__OPENAI__BASE_URL", model),
            ("HEADWATER__TOOLS__ALLOW_NETWORKS", "198.18.0.0/15".into()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", roads[3].at)),
            ("HEADWATER__TELEMETRY__METRICS_INTERVAL_MS", "250".into()),
        ];
        let tool_url = format!("http://{}/look", roads[2].at);
        Some(Self { alone, database, endpoint, receiver, tool_url, settings, _roads: roads })
    }

    /// The server, alone, with these settings besides.
    fn serve(&self, more: &[(&'static str, &str)]) -> (Site, ServerProcess) {
        let site = Site { url: String::new(), database: self.database.clone() };
        let all: Vec<_> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let all: Vec<_> = all.into_iter().chain(more.iter().copied()).collect();
        let arguments: Vec<_> =
            self.alone.inside().into_iter().chain([env!("CARGO_BIN_EXE_headwater"), "serve"]).collect();
        let process = ServerProcess::start(Path::new("ip"), &arguments, &site.environment(&all));
        (Site { url: process.url.clone(), ..site }, process)
    }

    fn seen(process: &ServerProcess) -> Seen {
        Alone::seen_by(process.pid())
    }
}

/// Work of every kind: a model, a tool, streams, a run that waits for a person and goes on, money, a webhook, telemetry.
async fn work(world: &World, tenant: &Tenant, alice: &User) {
    let look = json!({"type": "http", "name": "look", "effect": "read",
        "request": {"method": "GET", "url": world.tool_url}});
    let pick = json!({"type": "client", "name": "pick", "parameters": {"type": "object"}, "policy": "ask"});
    let lane = Lane::sequence([
        Reply::text("").tool_call("look", "{}"),
        Reply::text("Looked."),
        Reply::text("").tool_call("pick", "{}"),
        Reply::text("Well, no."),
    ]);
    let priced = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark(), "tools": [look, pick]});
    tenant.agent_with(&lane, priced).await;
    let budget = json!({"scope": {"type": "tenant"}, "window": "day", "limit": {"usd": "5"}, "mode": "hard"});
    tenant.api.post("/v1/budgets", budget).await;
    let hook = json!({"url": world.tool_url, "events": ["run.completed"]});
    tenant.api.post("/v1/webhook_endpoints", hook).await.ok(201);
    let run = id(&alice.key.run("x").await);
    assert!(String::from_utf8_lossy(&read(&alice.token, &run, None).await).contains("run.completed"));
    eventually("its webhook is told", || async {
        world.endpoint.requests().iter().any(|asked| asked.json()["data"]["id"] == json!(run)).then_some(())
    })
    .await;
    assert!(!world.endpoint.requests().is_empty());
    let waits = id(&alice.key.run("y").await);
    let stream = Stream::open(&alice.token, &waits, None).await;
    let pending = suspended(alice, &waits).await["pending"][0]["approval"].clone();
    let decide = format!("/v1/runs/{waits}/approvals/{}", pending.as_str().expect("an id"));
    alice.key.post(&decide, json!({"decision": "denied"})).await.ok(200);
    drop(stream);
    assert_eq!(alice.key.ended(&waits).await["status"], "completed");
    let before = world.receiver.requests().len();
    eventually("traces and counters are told", || async {
        let since = world.receiver.requests().split_off(before.saturating_sub(1));
        (since.iter().any(|asked| asked.path == "/v1/traces")).then_some(())
    })
    .await;
    assert!(world.receiver.requests().iter().any(|asked| asked.path == "/v1/metrics"));
}

/// A client for each request: what is kept open would be ours, not the server's.
async fn people(site: &Site) -> (Tenant, User) {
    let close = |api: Api| api.with("connection", "close");
    let mut tenant = site.tenant().await;
    tenant.api = close(tenant.api);
    let user = tenant.user("alice").await;
    (tenant, User { id: user.id, key: close(user.key), token: close(user.token) })
}

// The roads are open while a server is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_a_process_that_is_quiet() {
    let Some(world) = World::new().await else {
        assert!(std::env::var_os("HEADWATER_TEST_REQUIRE_ALONE").is_none(), "this takes root and iproute2");
        println!("NOT SHOWN: that a quiet process sends nothing; this takes root and iproute2");
        return;
    };
    let quiet = [("HEADWATER__QUIET__ENABLED", "true"), ("HEADWATER__QUIET__IDLE_AFTER_MS", "300")];
    let (site, process) = world.serve(&quiet);
    let (tenant, alice) = people(&site).await;
    work(&world, &tenant, &alice).await;
    let is_silent = |seen: Seen| seen.connected == 0 && seen.listening == 1;
    let before = eventually("it holds nothing but its listener", || async {
        Some(World::seen(&process)).filter(|seen| is_silent(*seen))
    })
    .await;
    // Time itself is what is looked at.
    tokio::time::sleep(seconds()).await;
    let after = World::seen(&process);
    assert_eq!(after, before, "nothing went out, and nothing was opened");
    println!("quiet for {} s: {after:?}", seconds().as_secs());
    // And it is there at once.
    work(&world, &tenant, &alice).await;
    drop(process);

    // What is told here is seen. Always awake: a lease that is renewed, connections to the database, to the provider, and from
    // the client that keeps its own.
    let (site, process) = world.serve(&[("HEADWATER__LEASE__MS", "3000")]);
    let (tenant, alice) = people(&site).await;
    work(&world, &tenant, &alice).await;
    let before = World::seen(&process);
    let more = eventually("its lease goes out", || async {
        Some(World::seen(&process)).filter(|seen| seen.packets_out > before.packets_out + 2)
    })
    .await;
    assert!(more.connected >= 3, "{more:?}");
    drop(process);

    // A stream that is read keeps a process awake, and its heartbeat is a packet.
    let settings =
        [quiet[0], quiet[1], ("HEADWATER__STREAM__HEARTBEAT_MS", "200"), ("HEADWATER__LEASE__MS", "86400000")];
    let (site, process) = world.serve(&settings);
    let (tenant, alice) = people(&site).await;
    let (reply, gate): (Reply, Gate) = Reply::tokens(2).gate();
    let lane = Lane::sequence([reply]);
    tenant.agent(&lane).await;
    let run = id(&alice.key.run("x").await);
    let mut stream = Stream::open(&alice.token, &run, None).await;
    gate.pass(1);
    stream.until("tok0").await;
    let before = World::seen(&process);
    stream.until(": hb\n\n: hb\n\n").await;
    // Those two may have been on their way before.
    eventually("another heartbeat goes out", || async {
        (World::seen(&process).packets_out > before.packets_out).then_some(())
    })
    .await;
    gate.open();
    stream.rest().await;
}
