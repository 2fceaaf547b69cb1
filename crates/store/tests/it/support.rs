//! A database with tenants, users and an agent in it, and short ways to make runs and to append to their logs.

use headwater_protocol::api::{Agent, AgentConfig, TenantSettings};
use headwater_protocol::message::Metadata;
use headwater_protocol::{AgentId, MessageId, ReplicaId, RunId, Scope, TenantId, ThreadId, Timestamp, UserId};
use headwater_store::admin::Admin;
use headwater_store::commit::{Commit, LeaseToken, RunWrite, Verdict, Writes, segment_header};
use headwater_store::create::{Created, NewRun, NewRunParams, RunIdempotency};
use headwater_store::pool::Once;
use headwater_store::scoped::EventRange;
use headwater_store::{Committer, Creator, Store, Unscoped, UserScopedStorage};
use headwater_testkit::Database;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Long enough to outlive any test.
pub(crate) const LEASE_MS: i64 = 3_600_000;
/// Short enough that every Postgres has been up for longer.
pub(crate) const NO_LEASE_MS: i64 = 0;

/// A tenant with two users and an agent.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) user: UserId,
    pub(crate) other: UserId,
    pub(crate) agent: AgentId,
}

impl Tenant {
    /// The scope of its first user.
    pub(crate) fn scope(&self) -> Scope {
        Scope { tenant: self.id, user: Some(self.user) }
    }
}

/// A database, a store that is logged in as the application role, and a living replica.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) replica: ReplicaId,
    pub(crate) acme: Tenant,
    pub(crate) creator: Creator,
    pub(crate) committer: Committer,
    _stop: DropGuard,
}

/// A run as its owner knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owned {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) thread: ThreadId,
    pub(crate) run: RunId,
    pub(crate) token: LeaseToken,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = Database::fresh().await;
        let store = database.store();
        let unscoped = store.unscoped("a test prepares its database");
        unscoped.ensure_partitions().await.expect("makes partitions");
        let replica = register(&unscoped).await;
        let acme = tenant(&store, "acme").await;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        // One worker each: what is queued together is written together.
        let creator = Creator::start(store.clone(), replica, 1, &tasks, &stop);
        let committer = Committer::start(store.clone(), replica, 1, &tasks, &stop);
        Self { database, store, replica, acme, creator, committer, _stop: stop.drop_guard() }
    }

    pub(crate) fn unscoped(&self) -> Unscoped {
        self.store.unscoped("a test looks across tenants")
    }

    pub(crate) fn storage(&self) -> UserScopedStorage {
        self.store.scoped(self.acme.scope())
    }

    /// A run of a tenant's first user on a thread of its own, begun.
    pub(crate) async fn run_of(&self, tenant: &Tenant) -> Owned {
        let new = new_run(tenant, None);
        let owned = owned(&new);
        let created = self.creator.create(new).await.expect("the worker answers");
        assert_eq!(created, Created::Yes { ord: 1, after_run: None, running: true, gives_way: Vec::new() });
        owned
    }

    /// The same of the first tenant.
    pub(crate) async fn run(&self) -> Owned {
        self.run_of(&self.acme).await
    }

    /// A run on a thread that exists.
    pub(crate) async fn run_on(&self, thread: ThreadId) -> (Owned, Created) {
        let new = new_run(&self.acme, Some(thread));
        let owned = owned(&new);
        (owned, self.creator.create(new).await.expect("the worker answers"))
    }

    pub(crate) async fn commit(&self, commit: Commit) -> Verdict {
        self.committer.commit(commit).await.expect("the worker answers")
    }

    /// Forgets that a replica lives, as time would.
    pub(crate) async fn expire(&self, replica: ReplicaId) {
        let sql = format!(
            "UPDATE headwater_sys.replicas SET expires_at = now() - interval '1 second' WHERE replica_id = '{}'",
            replica.0
        );
        self.database.admin().await.execute(&sql).await.expect("expires a lease");
    }

    /// The stored events of a run, as its user reads them.
    pub(crate) async fn lines(&self, run: RunId) -> String {
        let range = EventRange { after: 0, segments: 10_000 };
        self.storage().events_read(run, range).await.expect("reads").expect("the run is there").lines
    }

    pub(crate) async fn value(&self, sql: &str) -> Option<String> {
        self.database.admin().await.value(sql).await.expect("the superuser looks")
    }
}

/// A living replica.
pub(crate) async fn register(unscoped: &Unscoped) -> ReplicaId {
    let replica = ReplicaId(Uuid::now_v7());
    unscoped.replica_register(replica, LEASE_MS).await.expect("registers");
    replica
}

pub(crate) async fn tenant(store: &Store, name: &str) -> Tenant {
    let id = TenantId::new();
    let at = Timestamp::now();
    let settings: TenantSettings = serde_json::from_value(json!({"name": name})).expect("settings");
    store.unscoped("a test makes a tenant").tenant_create(id, &settings, at, None).await.expect("makes a tenant");
    let storage = store.scoped(Scope { tenant: id, user: None });
    let user = storage.user_ensure("first", at).await.expect("makes a user");
    let other = storage.user_ensure("second", at).await.expect("makes another");
    let agent = agent(&storage).await;
    Tenant { id, user, other, agent: agent.id }
}

async fn agent(storage: &UserScopedStorage) -> Agent {
    let config: AgentConfig = serde_json::from_value(json!({"model": "scripted/echo"})).expect("a configuration");
    let made = storage.agent_create("assistant", &config, &Metadata::new(), Timestamp::now(), None).await;
    match made.expect("makes an agent") {
        Once::Done(agent) => agent,
        again @ (Once::Replay(_) | Once::Mismatch) => panic!("nothing was asked before: {again:?}"),
    }
}

/// A new run of a tenant's first user; on a thread of its own unless one is named.
pub(crate) fn new_run(tenant: &Tenant, thread: Option<ThreadId>) -> NewRun {
    let (run, token) = (RunId::new(), LeaseToken::new());
    let header = segment_header(tenant.id, run);
    let line = |seq: u64| format!("{{\"v\":1,\"seq\":{seq},\"type\":\"test\",\"after_run\":null}}\n");
    let params = NewRunParams {
        run_id: run.uuid(),
        thread_id: thread.unwrap_or_else(ThreadId::new).uuid(),
        new_thread: thread.is_none(),
        thread_external_id: None,
        thread_metadata: json!({}),
        message_id: MessageId::new().uuid(),
        content: json!([{"type": "text", "text": "hello"}]),
        agent_id: tenant.agent.uuid(),
        agent_version: 1,
        active_version: 1,
        agent_name: "assistant".into(),
        model: "scripted/echo".into(),
        priority: json!("interactive"),
        on_conflict: json!("enqueue"),
        on_disconnect: json!("continue"),
        disconnect_grace_ms: 30_000,
        visibility: json!({}),
        overrides: json!({}),
        external_id: None,
        metadata: json!({}),
        token: token.0,
        start: true,
        started_to: 2,
        max_queued: 8,
        artifacts: Vec::new(),
        source: None,
        created_at: Timestamp::now().0,
        run_at: None,
        schedule_id: None,
        idempotency: None,
    };
    NewRun {
        tenant: tenant.id,
        user: tenant.user,
        until: std::time::Instant::now() + std::time::Duration::from_secs(60),
        params,
        first: format!("{header}{}", line(1)),
        started: format!("{header}{}{}", line(1), line(2)),
    }
}

/// What its owner will know of it.
pub(crate) fn owned(new: &NewRun) -> Owned {
    Owned {
        tenant: new.tenant,
        user: new.user,
        thread: ThreadId::from_uuid(new.params.thread_id),
        run: RunId::from_uuid(new.params.run_id),
        token: LeaseToken(new.params.token),
    }
}

/// What a repeated request is known by.
pub(crate) fn key(actor: UserId, key: &str, fingerprint: &str) -> Option<RunIdempotency> {
    Some(RunIdempotency { actor: actor.uuid(), idempotency_key: key.into(), fingerprint: fingerprint.into() })
}

impl Owned {
    /// A segment of events that say `text`.
    pub(crate) fn segment(&self, from: u64, to: u64, text: &str) -> String {
        let mut segment = segment_header(self.tenant, self.run);
        for seq in from..=to {
            segment.push_str(&format!("{{\"v\":1,\"seq\":{seq},\"type\":\"test\",\"text\":\"{text}\"}}\n"));
        }
        segment
    }

    /// Deltas: events without state.
    pub(crate) fn deltas(&self, from: u64, to: u64) -> Commit {
        Commit {
            tenant: self.tenant,
            user: self.user,
            run: self.run,
            token: self.token,
            seq_from: from,
            seq_to: to,
            segment: self.segment(from, to, "delta"),
            writes: None,
        }
    }

    /// Events with state.
    pub(crate) fn step(&self, from: u64, to: u64, writes: Writes) -> Commit {
        Commit { writes: Some(std::sync::Arc::new(writes)), ..self.deltas(from, to) }
    }

    /// The terminal event and the token under which the thread's next run is taken.
    pub(crate) fn ending(&self, seq: u64) -> (Commit, LeaseToken) {
        let mut write = RunWrite::new(self.thread);
        write.status = Some("completed");
        write.finished_at = Some(Timestamp::now().0);
        let next = LeaseToken(write.next_token);
        (self.step(seq, seq, Writes { run: Some(write), ..Writes::default() }), next)
    }
}

/// Begins a transaction under a scope on a raw connection.
pub(crate) async fn begin(connection: &Admin, scope: Scope) {
    let user = scope.user.map(|user| user.uuid().to_string()).unwrap_or_default();
    let sql = format!(
        "BEGIN; SELECT set_config('headwater.tenant_id', '{}', true), set_config('headwater.user_id', '{user}', true)",
        scope.tenant.uuid()
    );
    connection.execute(&sql).await.expect("begins");
}

/// Resolves once `count` connections to this database wait for somebody's lock.
pub(crate) async fn until_waiting(admin: &Admin, count: usize) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while admin.value(sql).await.expect("looks at locks") != Some(count.to_string()) {
        tokio::task::yield_now().await;
    }
}
