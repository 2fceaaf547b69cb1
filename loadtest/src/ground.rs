//! Everything a measurement stands on: a private Postgres, the model, the server under test and the relay.
//!
//! Owns their start, their cores and their end. Postgres and model stay for the whole call; server and relay are made
//! anew for each case, so that memory is measured from the same beginning. Where a scenario is about that, Postgres can be
//! killed and brought back in the same place.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use headwater_client::protocol::api::{AgentConfig, KeyParams, TenantSettings};
use headwater_client::{AgentParams, Client, Options};
use headwater_store::admin::Admin;
use headwater_store::embedded::{EmbeddedOptions, EmbeddedPostgres};
use headwater_testkit::Pooler;
use headwater_testkit::model::{TOOL, ideal};
use serde_json::json;

use crate::answer::{Side, text_of};
use crate::child::{self, Process};
use crate::sys::{self, Cores};
use crate::who::Who;
use crate::wire::Wire;

/// A backend reports its statistics at most once a second, and when it has been idle for ten.
const STATISTICS: Duration = Duration::from_millis(10_500);

/// What is asked of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Tokens of each answer.
    pub(crate) tokens: usize,
    /// The pause between two of them.
    pub(crate) delay_ms: u64,
    /// Whether it calls a tool first, over HTTP.
    pub(crate) calls: bool,
    /// Tokens that come after those, [`SLOW_MS`] apart.
    pub(crate) slow: usize,
}

/// Slow enough to cost next to nothing, and yet no silence that a server would take for the model's end.
const SLOW_MS: u64 = 20_000;

impl Shape {
    /// The model's name, which is also that of the agent.
    pub(crate) fn model(self) -> String {
        let calls = if self.calls { "-calls" } else { "" };
        let then = if self.slow > 0 { format!("-then-{}x{SLOW_MS}", self.slow) } else { String::new() };
        format!("load-{}x{}{then}{calls}", self.tokens, self.delay_ms)
    }

    /// How long the model alone takes.
    pub(crate) fn ideal(self) -> Duration {
        ideal(self.tokens, self.delay_ms) + Duration::from_millis(self.slow as u64 * SLOW_MS)
    }

    /// What it says.
    pub(crate) fn text(self) -> String {
        text_of(self.tokens + self.slow)
    }
}

/// The tool that agents call.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    /// Where, beside the model.
    pub(crate) path: &'static str,
    /// What a call may take.
    pub(crate) timeout_ms: i64,
    /// What it has to answer, which an MCP server says itself.
    pub(crate) output_schema: serde_json::Value,
    /// Whether it is a tool of an MCP server.
    pub(crate) mcp: bool,
}

impl Default for Tool {
    fn default() -> Self {
        Self { path: "/tool", timeout_ms: 30_000, output_schema: serde_json::Value::Null, mcp: false }
    }
}

/// A temporary directory, removed at the end unless kept.
#[derive(Debug)]
struct Dir {
    path: PathBuf,
    keep: bool,
}

impl Drop for Dir {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// How the ground is made.
#[derive(Debug, Clone)]
pub(crate) struct GroundOptions {
    /// The binary under test.
    pub(crate) server_bin: PathBuf,
    /// Which cores.
    pub(crate) cores: Cores,
    /// More environment of the server, `NAME=VALUE`.
    pub(crate) server_env: Vec<(String, String)>,
    /// Servers reach Postgres through PgBouncer.
    pub(crate) pooler: bool,
    /// Servers know a direct URL, and so hear of each other.
    pub(crate) hints: bool,
    /// More settings of Postgres.
    pub(crate) pg_settings: Vec<(String, String)>,
    /// Run after the migrations, as the administrator.
    pub(crate) sql: Vec<String>,
    /// Measure as on a fresh database, of which Postgres has no statistics yet.
    pub(crate) no_analyze: bool,
    /// Leave the directory with data and logs behind.
    pub(crate) keep: bool,
}

/// Postgres and the model.
pub(crate) struct Ground {
    pub(crate) options: GroundOptions,
    pub(crate) admin: Admin,
    admin_url: String,
    model: Process,
    operator_key: String,
    master_key: String,
    made: Arc<AtomicU32>,
    postgres_version: String,
    pooler: Option<Pooler>,
    // Dropped in this order: the directory goes last. Postgres is not there while it is being restarted.
    postgres: Option<EmbeddedPostgres>,
    dir: Dir,
}

/// How a server under test is started: always the same, on the same database.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    binary: PathBuf,
    environment: Vec<(String, String)>,
    core: usize,
    dir: PathBuf,
    made: Arc<AtomicU32>,
}

impl Launcher {
    /// Starts one. `more` of its environment is this server's alone, and comes first.
    pub(crate) async fn start(&self, more: &[(String, String)]) -> anyhow::Result<Process> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let mut command = Command::new(&self.binary);
        command.arg("serve").envs(self.environment.iter().cloned()).envs(more.iter().cloned());
        Process::start(&format!("server-{number}"), command, self.core, &self.dir).await
    }
}

impl Ground {
    /// Starts both. The calling thread is already on the load core, and so are they.
    pub(crate) async fn start(options: GroundOptions) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("headwater-loadtest-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        let dir = Dir { path, keep: options.keep };
        let mut embedded = EmbeddedOptions::new(dir.path.join("data"));
        embedded.settings.clone_from(&options.pg_settings);
        // Blocks, and may: nothing else is going on yet.
        let postgres = EmbeddedPostgres::start(&embedded, &|_| {}).context("a private Postgres")?;
        let admin_url = postgres.admin_url("postgres");
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (master_key, operator_key) = (hex(sys::random()?), format!("hw_op_{}", hex(sys::random()?)));
        // By the binary under test, so that any version of it can be measured.
        let mut command = Command::new(&options.server_bin);
        command.arg("migrate").env("DATABASE_URL", &admin_url).env("HEADWATER_MASTER_KEY", &master_key);
        child::run(command).context("the migrations")?;
        let admin = Admin::connect(&admin_url).await?;
        for sql in &options.sql {
            admin.execute(sql).await.context("the SQL that was given")?;
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("model-server");
        let model = Process::start("model", command, options.cores.load, &dir.path).await?;
        let pooler = if options.pooler {
            let binary = Pooler::find().context("there is no pgbouncer (apt-get install pgbouncer)")?;
            // Postgres trusts its socket, and so the password does not matter.
            Some(Pooler::start(&binary, &admin_url, &[("headwater_app", "")]).context("PgBouncer")?)
        } else {
            None
        };
        let (postgres_version, postgres) = (postgres.binaries().version.clone(), Some(postgres));
        let made = Arc::default();
        Ok(Self {
            options,
            admin,
            admin_url,
            model,
            operator_key,
            master_key,
            made,
            postgres_version,
            pooler,
            postgres,
            dir,
        })
    }

    /// What is measured on: the directory with logs.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir.path
    }

    pub(crate) fn postgres_pid(&self) -> u32 {
        self.postgres.as_ref().map_or(0, EmbeddedPostgres::pid)
    }

    pub(crate) fn postgres_version(&self) -> &str {
        &self.postgres_version
    }

    pub(crate) fn model_pid(&self) -> u32 {
        self.model.pid()
    }

    /// Kills Postgres outright, as a crash would, and starts it again on the same data.
    pub(crate) async fn crash_postgres(&mut self) -> anyhow::Result<()> {
        let mut postgres = self.postgres.take().context("Postgres is not there")?;
        // It blocks, and readers are not to be held up by that.
        let restart = tokio::task::spawn_blocking(move || {
            postgres.kill9();
            postgres.restart().map(|()| postgres)
        });
        self.postgres = Some(restart.await?.context("Postgres does not come back")?);
        self.admin = Admin::connect(&self.admin_url).await?;
        Ok(())
    }

    /// How servers are started here.
    pub(crate) fn launcher(&self) -> Launcher {
        let url = self.pooler.as_ref().map_or_else(|| self.admin_url.clone(), |pooler| pooler.url(&self.admin_url));
        let ours = [
            ("HEADWATER__PROFILE", "dev"),
            ("HEADWATER__SERVER__HOST", "127.0.0.1"),
            ("HEADWATER__SERVER__PORT", "0"),
            ("HEADWATER__SERVER__MAX_CONNECTIONS", "50000"),
            ("HEADWATER__PROVIDERS__LOAD__PROTOCOL", "openai-chat"),
            ("HEADWATER__PROVIDERS__LOAD__BASE_URL", &self.model_url()),
            ("HEADWATER_MASTER_KEY", &self.master_key),
            ("HEADWATER_OPERATOR_KEY", &self.operator_key),
            ("DATABASE_URL", &url),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Launcher {
            binary: self.options.server_bin.clone(),
            environment: ours.into_iter().chain(self.options.server_env.iter().cloned()).collect(),
            core: self.options.cores.server,
            dir: self.dir.path.clone(),
            made: self.made.clone(),
        }
    }

    /// The environment in which a server knows the model under another provider's name: one that the price list has.
    pub(crate) fn provider(&self, name: &str) -> [(String, String); 2] {
        let set = |what: &str, value: String| (format!("HEADWATER__PROVIDERS__{name}__{what}"), value);
        [set("PROTOCOL", "openai-chat".to_owned()), set("BASE_URL", self.model_url())]
    }

    /// Postgres' address without anything in between, by which replicas hear each other's hints, if they are to.
    pub(crate) fn direct_url(&self) -> Option<(String, String)> {
        self.options.hints.then(|| ("DATABASE_DIRECT_URL".to_owned(), self.admin_url.clone()))
    }

    fn model_url(&self) -> String {
        format!("http://{}/v1", self.model.address)
    }

    /// Where the tool is that models call, which is beside them.
    fn tool_url(&self, path: &str) -> anyhow::Result<String> {
        let address = self.model.said("counts on http://").context("the model does not say where the tool is")?;
        Ok(format!("http://{address}{path}"))
    }

    /// From now on the model remembers what it is asked.
    pub(crate) async fn record_calls(&self) -> anyhow::Result<()> {
        self.ask_model("/record").await.map(drop)
    }

    /// How often the model was asked each question since it records.
    pub(crate) async fn calls(&self) -> anyhow::Result<Vec<(String, u64)>> {
        let text = self.ask_model("/calls").await?;
        let line =
            |line: &str| line.split_once(' ').and_then(|(count, asked)| Some((asked.into(), count.parse().ok()?)));
        text.lines().map(|text| line(text).context("the model counts in other words")).collect()
    }

    /// From now on the model answers so many calls at a time, and others with this status. How many it had refused so far.
    pub(crate) async fn model_takes(&self, most: usize, status: u16) -> anyhow::Result<u64> {
        self.ask_model(&format!("/takes/{most}/{status}")).await?;
        Ok(self.ask_model("/refused").await?.trim().parse()?)
    }

    async fn ask_model(&self, path: &str) -> anyhow::Result<String> {
        let address = self.model.said("counts on http://").context("the model does not say where it counts")?;
        let mut wire = Wire::connect(address).await?;
        let head = wire.request(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
        let body = wire.text().await?;
        if head.status != 200 { bail!("the model answers {}: {body}", head.status) } else { Ok(body) }
    }

    /// A fresh server and a fresh relay, which know agents of these shapes.
    pub(crate) async fn pair(&mut self, shapes: &[Shape]) -> anyhow::Result<Pair> {
        self.model.check()?;
        let server = self.launcher().start(&[]).await?;
        let number = self.made.load(Ordering::Relaxed);
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["relay-server", "--model", &self.model_url(), "--tool", &self.tool_url(Tool::default().path)?]);
        let core = self.options.cores.server;
        let relay = Process::start(&format!("relay-{number}"), command, core, self.dir()).await?;
        let who = self.tenant(server.address, &format!("loadtest {number}"), shapes).await?;
        Ok(Pair { server, relay, who })
    }

    /// Whoever runs that server.
    pub(crate) fn operator(&self, server: SocketAddr) -> anyhow::Result<Client> {
        Ok(Client::builder(format!("http://{server}")).api_key(&self.operator_key).build()?)
    }

    /// A tenant with a key, its user, and an agent of each shape.
    pub(crate) async fn tenant(&self, server: SocketAddr, name: &str, shapes: &[Shape]) -> anyhow::Result<Who> {
        self.tenant_with_tool(server, name, shapes, &Tool::default()).await
    }

    /// The same, with agents that call another tool.
    pub(crate) async fn tenant_with_tool(
        &self,
        server: SocketAddr,
        name: &str,
        shapes: &[Shape],
        tool: &Tool,
    ) -> anyhow::Result<Who> {
        let url = format!("http://{server}");
        let operator = self.operator(server)?;
        let settings: TenantSettings = serde_json::from_value(json!({ "name": name }))?;
        let tenant = operator.tenants_create(&settings, Options::new()).await.context("a tenant")?.id;
        let params = KeyParams { name: "loadtest".into(), scopes: None, expires_at: None };
        let made = operator.tenant_keys_create(tenant, &params, Options::new()).await.context("a key")?;
        let key = made.secret.context("a key without a secret")?;
        let client = Client::builder(&url).api_key(&key).build()?;
        let user = serde_json::from_value(json!({ "external_id": "alice", "name": "Alice" }))?;
        client.users_create(&user, Options::new()).await.context("a user")?;
        for shape in shapes {
            let mut config = AgentConfig::with_model(format!("load/{}", shape.model()));
            config.instructions = Some(INSTRUCTIONS.into());
            if shape.calls {
                config.tools = vec![serde_json::from_value(self.configured(&client, tool).await?)?];
            }
            client.agents_create(&AgentParams::new(shape.model(), config), Options::new()).await.context("an agent")?;
        }
        Ok(Who { key, user: "alice".to_owned() })
    }

    /// The tool as an agent names it. An MCP server is made known first.
    async fn configured(&self, client: &Client, tool: &Tool) -> anyhow::Result<serde_json::Value> {
        let url = self.tool_url(tool.path)?;
        if tool.mcp {
            let server = serde_json::from_value(json!({"name": "load", "url": url}))?;
            client.mcp_servers_create(&server, Options::new()).await.context("an MCP server")?;
            return Ok(json!({"type": "mcp", "server": "load", "effect": "read", "timeout_ms": tool.timeout_ms}));
        }
        let request = json!({"method": "POST", "url": url, "body": {"order": "{{args.order}}"}});
        Ok(json!({"type": "http", "name": TOOL, "effect": "read", "request": request,
                  "timeout_ms": tool.timeout_ms, "output_schema": tool.output_schema,
                  "parameters": {"type": "object", "properties": {"order": {"type": "string"}}}}))
    }

    /// After the warm-up: gives Postgres the statistics that autovacuum would have gathered within a minute, and reads
    /// the counters.
    pub(crate) async fn settle(&self) -> anyhow::Result<Counters> {
        let quiet_since = Instant::now();
        if !self.options.no_analyze {
            self.admin.execute("ANALYZE").await?;
        }
        self.counters(quiet_since).await
    }

    /// Rows of the event log and commits so far, once Postgres has counted what ended at `quiet_since`.
    pub(crate) async fn counters(&self, quiet_since: Instant) -> anyhow::Result<Counters> {
        tokio::time::sleep_until((quiet_since + STATISTICS).into()).await;
        // Rows that were written, and rows that are left once logs were packed.
        let sql = "SELECT (SELECT sum(n_tup_ins) FROM pg_stat_user_tables WHERE relname LIKE 'run_events%'),
                          (SELECT count(*) FROM headwater.run_events),
                          (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())";
        let row = self.admin.rows(sql).await?.into_iter().next().context("a row")?;
        let number = |at: usize| row.get(at).and_then(Option::as_deref).and_then(|text| text.parse().ok());
        match (number(0), number(1), number(2)) {
            (Some(written), Some(kept), Some(commits)) => Ok(Counters { written, kept, commits }),
            _ => bail!("Postgres does not say what it did"),
        }
    }

    /// Stops everything.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        drop(self.model);
        drop(self.admin);
        self.postgres.map_or(Ok(()), EmbeddedPostgres::stop)?;
        Ok(())
    }
}

const INSTRUCTIONS: &str = "You are a helpful assistant. Answer in plain words and be brief.";
const QUESTION: &str = "Please tell me, in as many words as you like, where order 7 is.";

/// What Postgres did so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) written: u64,
    pub(crate) kept: u64,
    pub(crate) commits: u64,
}

/// The server under test and the relay.
pub(crate) struct Pair {
    pub(crate) server: Process,
    pub(crate) relay: Process,
    pub(crate) who: Who,
}

impl Pair {
    /// One of the two.
    pub(crate) fn process(&self, side: Side) -> &Process {
        match side {
            Side::Ours => &self.server,
            Side::Relay => &self.relay,
        }
    }

    /// A whole request that starts a run and streams it.
    pub(crate) fn start_request(&self, side: Side, shape: Shape) -> Bytes {
        match side {
            Side::Ours => {
                let body = json!({ "agent": shape.model(), "input": QUESTION }).to_string();
                self.who.post(self.server.address, "/v1/runs", "accept: text/event-stream\r\n", &body)
            }
            Side::Relay => {
                let body = json!({
                    "model": shape.model(),
                    "messages": [
                        { "role": "system", "content": INSTRUCTIONS },
                        { "role": "user", "content": QUESTION },
                    ],
                    "stream": true,
                    "stream_options": { "include_usage": true },
                });
                let (body, address) = (body.to_string(), self.relay.address);
                let path = if shape.calls { "/v1/loop" } else { "/v1/chat/completions" };
                Bytes::from(format!(
                    "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                ))
            }
        }
    }

    /// A whole request that reads a run's events after one of them.
    pub(crate) fn events_request(&self, run: &str, after: u64) -> Bytes {
        self.who.events(self.server.address, run, after)
    }

    /// Stops both.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.server.stop().await?;
        self.relay.stop().await
    }
}
