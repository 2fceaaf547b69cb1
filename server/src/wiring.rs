//! How the parts are put together, and how they come to rest.
//!
//! Owns the start (check the database, register this process, take what dead ones left behind, listen) and the end, in
//! phases: refuse new work, send readers away at an event boundary, let runs finish until the deadline, hand over the rest.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use headwater_agent::{AgentRuntime, RuntimeOptions, RuntimeParts};
use headwater_guard::Guard;
use headwater_llm::{GatewayLlmService, GatewayOptions};
use headwater_protocol::TenantId;
use headwater_protocol::api::Agent;
use headwater_store::TermsBook;
use headwater_store::migrate::{Roles, known_version};
use headwater_store::pool::login_of;
use headwater_store::{Bus, Committer, Creator, ListenAt, Packer, Replica, Share, Store, StoreError, StoreOptions};
use headwater_stream::quota::Caps;
use headwater_stream::{MessageStreamManager, PostgresWakeBus, StreamOptions};
use headwater_vault::Vault;
use moka::future::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Auth, Caller};
use crate::config::{ReachSettings, Settings};
use crate::doctor::Looks;
use crate::error::ApiError;
use crate::http::{EdgeOptions, KnownOrigins, ListenOptions, RateLimits};
use crate::keys::MasterKey;
use crate::lease::Lease;
use crate::quiet::{Quiet, QuietOptions, QuietParts};
use crate::router;
use crate::routes::body::InProgress;
use crate::routes::dev::PageUser;
use crate::schedules;
use crate::telemetry::{self, Otlp};
use crate::webhooks;

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Postgres.
    pub store: Store,
    /// Credentials.
    pub auth: Auth,
    /// Request rates.
    pub rates: Arc<RateLimits>,
    /// The logs of runs.
    pub streams: MessageStreamManager,
    /// The models.
    pub llm: GatewayLlmService,
    /// Calls what tenants name.
    pub guard: Guard,
    /// Fetches what users name in messages.
    pub message_guard: Guard,
    /// Keeps what their tools need to know.
    pub vault: Vault,
    /// What tenants' plans grant them, and what they pay.
    pub terms: TermsBook,
    /// The runs.
    pub runtime: AgentRuntime,
    /// Requests with an idempotency key that are under way.
    pub in_progress: InProgress,
    /// Cancelled when the process begins to shut down.
    pub draining: CancellationToken,
    /// Told when a schedule was made or changed here.
    pub schedules: schedules::Changed,
    /// Who may see what is counted, beside the operator.
    pub metrics_key: Option<SecretString>,
    /// When this process goes quiet.
    pub(crate) quiet: QuietOptions,
    /// What the doctor has to know.
    pub(crate) looks: Looks,
    replica: Replica,
    /// Whom the development page acts for, once that is there.
    pub page_user: Arc<OnceLock<PageUser>>,
    agents: Cache<(TenantId, String), Arc<Agent>>,
}

impl AppState {
    /// This process, by its own name.
    pub fn replica(&self) -> String {
        self.replica.id().0.to_string()
    }

    /// The agent that a new run names. Remembered: that it is still the active version is checked when the run is
    /// accepted, in the same transaction.
    pub async fn agent(&self, caller: &Caller, name: &str) -> Result<Option<Agent>, ApiError> {
        let key = (caller.tenant, name.to_owned());
        if let Some(agent) = self.agents.get(&key).await {
            return Ok(Some((*agent).clone()));
        }
        let found = crate::routes::agents::find(self, caller, name).await?;
        if let Some(agent) = &found {
            self.agents.insert(key, Arc::new(agent.clone())).await;
        }
        Ok(found)
    }

    /// Reads an agent anew next time.
    pub async fn forget_agent(&self, tenant: TenantId, name: &str) {
        self.agents.invalidate(&(tenant, name.to_owned())).await;
    }
}

fn quiet_options(settings: &Settings) -> QuietOptions {
    let idle_after = Duration::from_millis(settings.quiet.idle_after_ms);
    QuietOptions { enabled: settings.quiet.enabled, idle_after }
}

/// What the doctor has to know of the settings.
pub(crate) fn looks(settings: &Settings) -> Looks {
    Looks { role_prefix: settings.database.role_prefix.clone(), has_direct_url: settings.database.direct_url.is_some() }
}

/// The client for what tenants name, or for what users do.
fn guard(reach: &ReachSettings) -> anyhow::Result<Guard> {
    let allowed = reach.networks().map_err(|text| anyhow::anyhow!("{text} is no network"))?;
    Guard::new(allowed).map_err(|error| anyhow::anyhow!("no client for tenants' URLs: {error}"))
}

/// Where tenants' secrets are kept.
///
/// # Errors
/// When a key that is set is none.
pub fn vault(settings: &Settings, master: &MasterKey, store: Store) -> anyhow::Result<Vault> {
    let (key, old) =
        master.wrapping_keys(&settings.auth).context("HEADWATER_SECRETS_KEY or HEADWATER_OLD_SECRETS_KEY")?;
    Ok(Vault::new(store, key, old))
}

/// A server that listens.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The same as a URL that this machine can open.
    pub url: String,
    /// What its handlers work with.
    pub state: AppState,
    soft: CancellationToken,
    hard: CancellationToken,
    stopped: CancellationToken,
}

/// Starts a server with these settings. `page`: serve the development page and its token endpoint.
pub async fn start(settings: Settings, page: bool) -> anyhow::Result<Running> {
    let listener = listen(&settings).await?;
    start_on(settings, page, listener).await
}

/// Takes the port, before anything else is begun.
pub async fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let (host, port) = (settings.server.host.as_str(), settings.server.port);
    let bound = match TcpListener::bind((host, port)).await {
        // A machine without IPv6 still has a network.
        Err(error) if host == "::" && error.kind() != ErrorKind::AddrInUse => {
            TcpListener::bind(("0.0.0.0", port)).await
        }
        bound => bound,
    };
    bound.map_err(|error| {
        let words = match error.kind() {
            ErrorKind::AddrInUse => format!("port {port} is taken; set PORT to another one"),
            ErrorKind::PermissionDenied => {
                format!("port {port} may not be used by this user; set PORT to 1024 or more")
            }
            _ => format!(
                "nothing can listen on {host}, port {port}; set HEADWATER__SERVER__HOST (server.host) to an address of \
                 this machine"
            ),
        };
        anyhow::Error::from(error).context(words)
    })
}

/// Starts a server on a port that was taken before.
pub async fn start_on(settings: Settings, page: bool, listener: TcpListener) -> anyhow::Result<Running> {
    // Two TLS libraries in one process panic at first use; this names the one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = crate::http::raise_open_files();
    telemetry::start(settings.telemetry.otlp_endpoint.is_some());
    let master = master_key(&settings)?;
    // Its door is shut: nothing is asked of the database before somebody goes through it, the start included.
    let store = Store::asleep(&store_options(&settings, &master)?);
    let settings = Arc::new(settings);

    let (tasks, soft, hard) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
    let (stop_writers, drain) = (CancellationToken::new(), CancellationToken::new());
    let (replica, share) = (Replica::new(), Share::default());
    let lease = Duration::from_millis(settings.lease.ms);
    let terms = TermsBook::new(store.clone());

    let flushes = settings.database.flush_connections;
    let committer = Committer::start(store.clone(), replica.clone(), flushes, &tasks, &stop_writers);
    let creator = Creator::start(store.clone(), replica.clone(), 2, &tasks, &stop_writers);
    let packer = Packer::start(store.clone(), committer.clone(), &tasks, soft.clone());
    let listen_at = listen_at(&settings, &master)?;
    let bus = Bus::start(store.clone(), listen_at.is_some(), &tasks, &stop_writers);
    let hearing = listen_at.map(|at| bus.listener(at, replica.clone()));
    let wake = Arc::new(PostgresWakeBus::new(bus.clone(), replica.clone()));
    let streams = MessageStreamManager::new(
        store.clone(),
        committer,
        stream_options(&settings, share.clone(), terms.clone()),
        wake,
        drain.clone(),
    );
    let llm = GatewayLlmService::new(GatewayOptions {
        providers: settings.provider_configs(),
        max_concurrent: settings.llm.max_concurrent,
        max_waiting_per_tenant: settings.llm.max_waiting_per_tenant,
        max_waiting: settings.llm.max_waiting,
        max_attempts: settings.llm.max_attempts,
        prices: settings.llm.prices()?,
        ..GatewayOptions::default()
    })?;
    llm.set_share(|whole| share.exactly(whole));
    let (guard, message_guard) = (guard(&settings.tools)?, guard(&settings.messages)?);
    let vault = vault(&settings, &master, store.clone())?;
    let runtime = AgentRuntime::new(
        RuntimeParts {
            store: store.clone(),
            creator,
            streams: streams.clone(),
            packer,
            llm: llm.clone(),
            guard: guard.clone(),
            vault: vault.clone(),
            terms: terms.clone(),
            replica: replica.clone(),
            bus: bus.clone(),
            tasks: tasks.clone(),
            hard: hard.clone(),
        },
        RuntimeOptions {
            max_active_per_tenant: settings.runs.max_active_per_tenant,
            max_queued_per_tenant: settings.runs.max_queued_per_tenant,
            max_queued_per_thread: settings.runs.max_queued_per_thread,
            share: share.clone(),
            lease,
            accept_timeout: Duration::from_secs(10),
            trace_ratio: settings.telemetry.recorded(),
        },
    );
    let operator_key = settings
        .auth
        .operator_key
        .as_ref()
        .map_or_else(|| master.derive_operator_key(), |key| key.expose_secret().to_owned());
    let cache = Duration::from_millis(settings.auth.cache_ms);
    let auth = Auth::new(store.clone(), guard.clone(), &master, &operator_key, cache);
    let state = AppState {
        store: store.clone(),
        auth: auth.clone(),
        rates: Arc::new(RateLimits::new(&settings.limits, share.clone())),
        streams,
        llm,
        guard,
        message_guard,
        vault,
        terms,
        runtime: runtime.clone(),
        in_progress: InProgress::default(),
        draining: soft.clone(),
        schedules: schedules::Changed::default(),
        metrics_key: settings.telemetry.metrics_key.clone(),
        quiet: quiet_options(&settings),
        looks: looks(&settings),
        replica: replica.clone(),
        page_user: Arc::default(),
        agents: Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(60)).build(),
    };
    let gate = store.gate().clone();
    telemetry::watch(&store, &state.runtime, &state.streams, &state.llm);
    let otlp = telemetry::otlp(&settings.telemetry, &store, &state.runtime).context("telemetry.otlp_endpoint")?;
    let known_origins = KnownOrigins::new(move |origin: &str| {
        let (auth, origin, gate) = (auth.clone(), origin.to_owned(), gate.clone());
        // Nobody is woken for a question without a credential. What follows it is readable for the tenant's own origins
        // alone, whatever is answered here.
        async move { gate.is_quiet() || auth.origin_known(&origin).await }
    });
    let edge = EdgeOptions {
        max_body_bytes: settings.server.max_body_bytes,
        max_header_bytes: settings.server.max_header_bytes,
        known_origins,
    };
    let app = crate::http::layers(router::router(state.clone(), page, settings.server.console), edge);

    let address = listener.local_addr()?;
    let listening = ListenOptions::from(&settings.server);
    let hang_up = listening.hang_up.clone();
    spawn(&tasks, "listener", {
        let (tasks, soft, hard) = (tasks.clone(), soft.clone(), hard.clone());
        async move {
            crate::http::serve(listener, app, listening, tasks, soft, hard).await;
        }
    });
    let streams = state.streams.clone();
    let lease = Lease::new(store.clone(), replica, lease, runtime, streams.clone(), bus, share.clone());
    let boot = Boot::new(Arc::clone(&settings));
    let quiet = {
        let mut parts = QuietParts::new(state.quiet, store.clone(), hang_up);
        parts.while_awake("lease", {
            let lease = lease.clone();
            move |stop| lease.clone().keep(stop)
        });
        parts.while_awake("sweep", {
            let (llm, lease, soft) = (state.llm.clone(), lease.clone(), soft.clone());
            move |stop| {
                // Loading the vocabulary takes a while. The first run should not wait for it, nor should those that are
                // taken over: another process may be ready for them.
                let first = lease.store.gate().begin();
                let (llm, sweep) = (llm.clone(), lease.clone().sweep(stop, first));
                let work = async move {
                    llm.estimator().warm().await;
                    sweep.await;
                };
                until(soft.clone(), work)
            }
        });
        parts.while_awake("schedules", {
            let (state, soft) = (state.clone(), soft.clone());
            move |_| until(soft.clone(), schedules::keep(state.clone()))
        });
        parts.while_awake("webhooks", {
            let state = state.clone();
            move |_| webhooks::keep(state.clone())
        });
        if let Some(otlp) = otlp.clone() {
            let store = store.clone();
            parts.while_awake("telemetry", move |_| {
                let (otlp, store) = (otlp.clone(), store.clone());
                async move { otlp.keep(store).await }
            });
        }
        if let Some((listener, hints)) = hearing {
            parts.while_awake("hints in", move |_| listener.clone().listen());
            spawn(&tasks, "hints", until(stop_writers.clone(), lease.clone().listen(hints)));
        }
        parts.sheds({
            let (llm, guards) = (state.llm.clone(), [state.guard.clone(), state.message_guard.clone()]);
            move || {
                llm.shed_connections();
                guards.iter().for_each(Guard::shed_connections);
            }
        });
        let (leaving, coming, boot) = (lease.clone(), lease.clone(), boot.clone());
        let last = otlp.clone();
        if let Some(otlp) = otlp.clone() {
            parts.before_quiet(move || {
                let otlp = otlp.clone();
                async move { otlp.counters().await }
            });
        }
        parts.into_quiet(
            move |inside| {
                let (lease, otlp) = (leaving.clone(), last.clone());
                async move {
                    if let Some(otlp) = otlp {
                        otlp.settled().await;
                    }
                    lease.leave(&inside).await
                }
            },
            move |inside| {
                let (lease, boot) = (coming.clone(), boot.clone());
                async move {
                    boot.check(&inside).await?;
                    lease.come_back(&inside).await
                }
            },
        )
    };
    spawn(&tasks, "shares", {
        let (llm, stop) = (state.llm.clone(), stop_writers.clone());
        until(stop, async move {
            loop {
                share.changed().await;
                llm.set_share(|whole| share.exactly(whole));
            }
        })
    });
    spawn(&tasks, "readers", {
        let (stop, runtime) = (stop_writers.clone(), state.runtime.clone());
        let departures = streams.departures(lease.replica.clone());
        async move { until(stop, runtime.watch_readers(departures)).await }
    });
    spawn(&tasks, "remote tails", {
        let stop = stop_writers.clone();
        async move { until(stop, streams.tail_remote()).await }
    });

    spawn(&tasks, "quiet", until(stop_writers.clone(), quiet.clone().watch()));
    if let Err(error) = first_look(&store, settings.quiet.enabled).await {
        let fatal = boot.failed();
        let may_come = settings.quiet.enabled && error.is_transient();
        if fatal.is_some() || !may_come {
            hard.cancel();
            stop_writers.cancel();
            return Err(fatal.unwrap_or_else(|| unusable(error)));
        }
        // It may be asleep itself, and takes a while to wake.
        tracing::warn!(%error, "the database is not there yet; requests are told to come back until it is");
        spawn(&tasks, "first wake", until(soft.clone(), wake_patiently(store.clone())));
    }

    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
    let url = format!("http://{host}:{}", address.port());
    let drain_after = Duration::from_millis(settings.server.drain_ms);
    let stopped = CancellationToken::new();
    let running = Running {
        address,
        url,
        state: state.clone(),
        soft: soft.clone(),
        hard: hard.clone(),
        stopped: stopped.clone(),
    };
    let rest = Rest { state, tasks, soft, hard, stop_writers, drain, lease, quiet, otlp, drain_after };
    // Outside of the tracker, which it waits for.
    #[expect(clippy::disallowed_methods, reason = "the one task that outlives all others: it waits for them")]
    tokio::spawn(async move {
        rest.come_to_rest().await;
        stopped.cancel();
    });
    Ok(running)
}

fn master_key(settings: &Settings) -> anyhow::Result<MasterKey> {
    let Some(text) = &settings.auth.master_key else {
        bail!(
            "HEADWATER_MASTER_KEY is not set: `openssl rand -hex 32` makes one; every process of an installation needs the same"
        );
    };
    Ok(MasterKey::from_hex(text.expose_secret())?)
}

/// How the store is reached: as the `app` role.
pub fn store_options(settings: &Settings, master: &MasterKey) -> anyhow::Result<StoreOptions> {
    let database = &settings.database;
    let (url, login) = match (&database.app_url, &database.url) {
        (Some(app), _) => (app.expose_secret().to_owned(), None),
        (None, Some(url)) => (url.expose_secret().to_owned(), Some(app_login(settings, master)?)),
        (None, None) => bail!("DATABASE_URL is not set: a URL of the Postgres to use"),
    };
    Ok(StoreOptions {
        url,
        login,
        max_connections: database.max_connections,
        // Two more for accepting runs.
        flush_connections: database.flush_connections + 2,
        acquire_timeout: Duration::from_millis(database.acquire_timeout_ms),
        pooled: database.pooled,
    })
}

/// How the `app` role logs in where its own URL is not given.
fn app_login(settings: &Settings, master: &MasterKey) -> anyhow::Result<(String, String)> {
    Ok((Roles::new(&settings.database.role_prefix)?.app(), master.derive_app_password()))
}

/// Where hints from other replicas are listened for: a direct URL, as the `app` role.
fn listen_at(settings: &Settings, master: &MasterKey) -> anyhow::Result<Option<ListenAt>> {
    let Some(url) = &settings.database.direct_url else { return Ok(None) };
    let login = match &settings.database.app_url {
        Some(app) => login_of(app.expose_secret())?,
        None => Some(app_login(settings, master)?),
    };
    Ok(Some(ListenAt { url: url.expose_secret().to_owned(), login }))
}

fn unusable(error: StoreError) -> anyhow::Error {
    anyhow!("{error}; {}", what_to_do(&error))
}

/// Looks at the database once, when it is first reached.
#[derive(Clone)]
struct Boot(Arc<BootState>);

struct BootState {
    settings: Arc<Settings>,
    checked: AtomicBool,
    failed: Mutex<Option<anyhow::Error>>,
}

impl Boot {
    fn new(settings: Arc<Settings>) -> Self {
        Self(Arc::new(BootState { settings, checked: AtomicBool::new(false), failed: Mutex::default() }))
    }

    /// Refuses a database that this process must not use.
    async fn check(&self, inside: &Store) -> Result<(), StoreError> {
        if self.0.checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        // One that is away is another matter.
        inside.ping().await?;
        if let Err(error) = check_database(inside, &self.0.settings).await {
            // Gone in the middle of it is away, too.
            inside.ping().await?;
            let words = format!("{error:#}");
            tracing::error!(reason = %words, "this process must not use the database that is there");
            *self.0.failed.lock().expect("no panic while noting") = Some(error);
            return Err(StoreError::Unavailable(words));
        }
        self.0.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Why it was refused.
    fn failed(&self) -> Option<anyhow::Error> {
        self.0.failed.lock().expect("no panic while taking").take()
    }
}

/// Whether the database is there. Who may be put to sleep does not wait for one that is asleep too; anybody else's start has more patience
/// than a request, for a machine may be busy with starts.
async fn first_look(store: &Store, may_sleep: bool) -> Result<(), StoreError> {
    if may_sleep { store.ping().await } else { store.gate().opened().await }
}

/// Goes through the door as soon as that opens: what was left lying is taken up.
async fn wake_patiently(store: Store) {
    let mut pause = Duration::from_secs(1);
    while let Err(error) = store.ping().await {
        tracing::debug!(%error, "the database is not there yet");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

/// Refuses a database that is not ours, not up to date, or past whose wall this role can see.
async fn check_database(store: &Store, settings: &Settings) -> anyhow::Result<()> {
    if let Err(reason) = store.check_role().await.map_err(unusable)? {
        bail!(reason);
    }
    if store.is_pooled() {
        tracing::info!("a pooler stands before the database: statements go out unnamed");
        if let Some(statement) = store.missing_settings().await.map_err(unusable)? {
            bail!(
                "behind a pooler the role itself must bring its settings: run `headwater migrate`, or else {statement}"
            );
        }
    }
    let known = known_version();
    let version = store.unscoped("the schema belongs to no tenant").schema_version().await;
    match version {
        Ok(version) if version < known => {
            bail!("the database's schema is at version {version}, this build needs {known}: run `headwater migrate`")
        }
        // A newer release is being rolled out. Whether it works with this one is said by what it has made of the database, whose
        // rules it knows better than we do.
        Ok(version) if version > known => {
            return check_newer(store, settings, known, version).await;
        }
        Ok(_) => {}
        Err(error) if error.is_transient() => return Err(unusable(error)),
        Err(_) => bail!("the database has no Headwater schema: run `headwater migrate`"),
    }
    let findings = store.lint(&settings.database.role_prefix).await?;
    for finding in &findings {
        tracing::error!(rule = %finding.rule, object = %finding.object, "the wall has a hole");
    }
    if !findings.is_empty() {
        bail!("the database breaks {} rules of tenant isolation; `headwater doctor` lists them", findings.len());
    }
    Ok(())
}

/// A database that a newer release has migrated: whether it still serves this build.
async fn check_newer(store: &Store, settings: &Settings, known: i64, version: i64) -> anyhow::Result<()> {
    let serves = store.unscoped("the schema belongs to no tenant").schema_serves().await.map_err(unusable)?;
    if known < serves {
        bail!(
            "the database's schema is at version {version}, which serves builds from {serves} on, and this one is {known}: deploy a \
             newer one"
        );
    }
    tracing::info!(version, known, "a newer release has migrated the database, which serves this build too");
    for finding in store.lint(&settings.database.role_prefix).await? {
        tracing::warn!(rule = %finding.rule, object = %finding.object, "this build does not know this of the newer schema");
    }
    Ok(())
}

/// What an operator can do about a database that this process cannot use, by what Postgres said.
pub fn what_to_do(error: &StoreError) -> &'static str {
    let words = error.to_string();
    if words.contains("28P01") || words.contains("28000") {
        "the application role cannot log in: run `headwater migrate` with the same HEADWATER_MASTER_KEY as the server"
    } else if words.contains("3D000") {
        "make that database, or name another one in DATABASE_URL"
    } else if words.contains("42501") {
        "the application role may not enter this database: run `headwater migrate`"
    } else {
        "start it (`headwater dev` brings its own while it runs), or set DATABASE_URL to where it is"
    }
}

fn stream_options(settings: &Settings, share: Share, terms: TermsBook) -> StreamOptions {
    let stream = &settings.stream;
    StreamOptions {
        coalesce: Duration::from_millis(stream.coalesce_ms),
        flush_bytes: stream.flush_bytes,
        ring_bytes: stream.ring_bytes,
        heartbeat: Duration::from_millis(stream.heartbeat_ms),
        rotate: Duration::from_millis(stream.rotate_ms),
        rotate_jitter: Duration::from_millis(stream.rotate_jitter_ms),
        ends_suspended: settings.quiet.enabled,
        pending_bytes_per_run: stream.pending_bytes_per_run,
        pending_bytes_total: stream.pending_bytes_total,
        caps: Caps {
            per_user: stream.max_open_per_user,
            per_tenant: stream.max_open_per_tenant,
            replay_bytes_per_minute: stream.replay_bytes_per_minute as u64,
            share,
            terms: Some(terms),
        },
        ..StreamOptions::default()
    }
}

/// Does something until it is told to stop.
async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

fn spawn(tasks: &TaskTracker, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    use tracing::Instrument as _;
    tasks.spawn(task.instrument(tracing::debug_span!("task", name)));
}

impl Running {
    /// Resolves when the server has come to rest by itself: it lost its lease.
    pub async fn failed(&self) {
        self.stopped.cancelled().await;
    }

    /// Comes to rest: runs finish until the deadline, streams are closed at an event boundary.
    pub async fn shutdown(&self) {
        self.soft.cancel();
        self.stopped.cancelled().await;
    }

    /// Ends everything at once; what is under way is ended by whoever claims it.
    pub fn abort(&self) {
        self.hard.cancel();
    }
}

/// What the end of a server needs.
struct Rest {
    state: AppState,
    tasks: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    stop_writers: CancellationToken,
    drain: CancellationToken,
    lease: Lease,
    quiet: Quiet,
    otlp: Option<Arc<Otlp>>,
    drain_after: Duration,
}

impl Rest {
    /// Comes to rest: refuses new connections, lets runs finish, closes streams at an event boundary, takes leave.
    async fn come_to_rest(&self) {
        // Phase 1: not ready, no new connections; requests under way go on.
        tokio::select! {
            () = self.soft.cancelled() => {}
            () = self.hard.cancelled() => self.soft.cancel(),
        }
        // Phase 2: nothing new is begun, what waits is there for others at once, and readers are told to come back: any
        // replica shows them the same. Runs under way go on: the next durable point of a model call is its end.
        self.state.runtime.drain().await;
        // A process that is quiet has nothing to hand over, and wakes nobody to say so.
        if self.state.store.gate().is_awake() {
            self.lease.bus.claim_now().await;
        }
        self.drain.cancel();
        let deadline = tokio::time::Instant::now() + self.drain_after;
        while self.state.runtime.live_runs() > 0 && tokio::time::Instant::now() < deadline && !self.hard.is_cancelled()
        {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
                () = self.hard.cancelled() => {}
            }
        }
        // Phase 3: what is left is handed over, and goes on elsewhere from what is committed.
        self.state.runtime.let_go(Duration::from_secs(1)).await;
        if self.state.store.gate().is_awake() {
            self.lease.retire().await;
        }
        let closing = tokio::time::Instant::now() + Duration::from_secs(2);
        while self.state.streams.open_streams() > 0 && tokio::time::Instant::now() < closing {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Phase 4: what is to be told of it, writers and connections.
        self.quiet.stop();
        if let Some(otlp) = self.otlp.as_ref().filter(|_| self.state.store.gate().is_awake()) {
            otlp.last_words(&self.state.store).await;
        }
        self.hard.cancel();
        self.stop_writers.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(5), self.tasks.wait()).await;
        self.state.store.close();
    }
}
