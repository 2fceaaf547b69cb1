//! Accepting and starting runs, and letting go of them.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dashmap::DashMap;
use futures_util::FutureExt as _;
use headwater_guard::Guard;
use headwater_llm::{GatewayLlmService, has_own_key};
use headwater_protocol::api::{AgentConfig, MAX_UPLOAD_BYTES, OnConflict, RunStatus};
use headwater_protocol::event::{Actor, ActorKind, Visibility};
use headwater_protocol::message::Part;
use headwater_protocol::trace::TraceContext;
use headwater_protocol::{ErrorCode, Problem, RunId, Scope, TenantId, UserId};
use headwater_store::commit::LeaseToken;
use headwater_store::create::Created;
use headwater_store::{Bus, Busy, Creator, Packer, Replica, Share, Store, StoreError, TermsBook};
use headwater_stream::{MessageStreamManager, RunIdentity, RunWriter};
use headwater_vault::Vault;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::accept::{Accepted, Draft, NewRunRequest, draft, effective};
use crate::ending::{self, Ending};
use crate::execute::{self, Outcome};
use crate::places::Places;
use crate::resume::Resumed;
use crate::slots::{Slot, Slots};

/// Bounds of this process.
#[derive(Debug, Clone)]
pub struct RuntimeOptions {
    /// Runs of a tenant under way.
    pub max_active_per_tenant: usize,
    /// Runs of a tenant that wait for a place.
    pub max_queued_per_tenant: usize,
    /// Runs that wait on one thread.
    pub max_queued_per_thread: usize,
    /// This process' part of the two caps above.
    pub share: Share,
    /// The lease of this process.
    pub lease: Duration,
    /// How long accepting a run may take while the database is away.
    pub accept_timeout: Duration,
    /// How many (0 to 1) of the runs that are asked for within nobody's trace are recorded as one of their own.
    pub trace_ratio: f64,
}

/// What the runtime works with.
#[derive(Debug, Clone)]
pub struct RuntimeParts {
    /// Postgres.
    pub store: Store,
    /// Accepts runs.
    pub creator: Creator,
    /// The logs.
    pub streams: MessageStreamManager,
    /// Packs them when they have ended.
    pub packer: Packer,
    /// The models.
    pub llm: GatewayLlmService,
    /// Calls what tenants name.
    pub guard: Guard,
    /// Keeps what their tools need to know.
    pub vault: Vault,
    /// What their plans grant them, and what they pay.
    pub terms: TermsBook,
    /// This process.
    pub replica: Replica,
    /// Hints to the others.
    pub bus: Bus,
    /// Where tasks are spawned.
    pub tasks: TaskTracker,
    /// Ends all runs at once.
    pub hard: CancellationToken,
}

/// Runs agents. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AgentRuntime {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) parts: RuntimeParts,
    pub(crate) options: RuntimeOptions,
    pub(crate) slots: Slots,
    /// Which tenants have budgets.
    pub(crate) budgeted: crate::money::Budgeted,
    /// Runs that this process works on or keeps waiting.
    pub(crate) live: DashMap<RunId, Live>,
    /// Where large answers of tools are read: one at a time for each share,
    /// [`MAX_ARTIFACT_BYTES`](headwater_protocol::api::MAX_ARTIFACT_BYTES) each.
    pub(crate) places: Places,
    /// Where uploads are read, in KiB: as much as four of the largest take, for each share.
    uploads: Places,
    /// Where what URLs of messages lead to is read: two at a time for each share, of
    /// [`MAX_UPLOAD_BYTES`](headwater_protocol::api::MAX_UPLOAD_BYTES) each.
    fetches: Places,
    /// Where what models are shown lies until they answer, in KiB: as much as four calls may show, for each share.
    pub(crate) shown: Places,
    /// Cancelled, and replaced, when the runs under way are let go of.
    hold: Mutex<CancellationToken>,
    /// Nothing new is begun.
    draining: AtomicBool,
    /// Told when a run was accepted that begins later.
    delayed: Notify,
}

#[derive(Debug)]
pub(crate) struct Live {
    /// Under which ownership: a run that was let go of may come back before its last task has ended.
    token: LeaseToken,
    pub(crate) cancel: CancellationToken,
    /// Cancelled when this process is to let go of the run: part of that for all of them.
    pub(crate) hold: CancellationToken,
    /// Who asked for the end, set before the token is cancelled.
    pub(crate) by: Option<Actor>,
    /// A process with a run under way, or waiting for its place, is not quiet.
    _busy: Busy,
}

/// A run that this process is to work on.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) identity: RunIdentity,
    pub(crate) writer: RunWriter,
    pub(crate) begin: Begin,
}

/// Where a job begins.
#[derive(Debug)]
pub(crate) enum Begin {
    /// It has just been made here. `started`: `run.started` and `step.started` are in the log.
    Fresh { fresh: Box<Fresh>, started: bool },
    /// It has waited, here or elsewhere; nothing of it is done.
    Waited,
    /// It was under way elsewhere.
    Resumed(Box<Resumed>),
}

/// What is known of a run that has just been made.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) run: headwater_protocol::api::Run,
    pub(crate) config: AgentConfig,
    pub(crate) ord: i64,
    /// How many runs are above it.
    pub(crate) depth: i32,
    /// What its users see of it.
    pub(crate) visibility: Visibility,
    /// The trace in which it was asked for.
    pub(crate) within: Option<TraceContext>,
    /// The whole history, when the thread is new too.
    pub(crate) only_input: Option<Vec<Part>>,
}

impl AgentRuntime {
    /// A runtime without runs.
    pub fn new(parts: RuntimeParts, options: RuntimeOptions) -> Self {
        let slots = Slots::new(
            options.max_active_per_tenant,
            options.max_queued_per_tenant,
            options.share.clone(),
            parts.terms.clone(),
        );
        let hold = Mutex::new(CancellationToken::new());
        let draining = AtomicBool::new(false);
        Self {
            inner: Arc::new(Inner {
                parts,
                options,
                slots,
                budgeted: crate::money::Budgeted::default(),
                live: DashMap::new(),
                places: Places::new(32, 1),
                uploads: Places::new(8, (4 * MAX_UPLOAD_BYTES) >> 10),
                fetches: Places::new(16, 2),
                shown: Places::new(8, (4 * MAX_UPLOAD_BYTES) >> 10),
                hold,
                draining,
                delayed: Notify::new(),
            }),
        }
    }

    /// Runs that this process works on or keeps waiting.
    pub fn live_runs(&self) -> usize {
        self.inner.live.len()
    }

    /// Waits until a run is accepted here that begins later, or was since the last time. For one task.
    pub async fn delayed_accepted(&self) {
        self.inner.delayed.notified().await;
    }

    /// Room for a tenant's uploads, in KiB. Each takes what is there of it for as long as that is in memory.
    pub fn upload_room(&self, tenant: TenantId) -> Arc<tokio::sync::Semaphore> {
        self.inner.uploads.of(tenant)
    }

    /// Places for what a tenant's users name by URLs: of each that is large one, for as long as it is in memory.
    pub fn fetch_places(&self, tenant: TenantId) -> Arc<tokio::sync::Semaphore> {
        self.inner.fetches.of(tenant)
    }

    /// Accepts a run and begins it. Goes on in a task of its own, so that a caller who leaves changes nothing.
    ///
    /// # Errors
    /// A refusal by its code; `agent_not_found` with the member `agent_changed` asks the caller to read the agent anew.
    pub async fn create(&self, request: NewRunRequest) -> Result<Accepted, Problem> {
        let (runtime, (answer, accepted)) = (self.clone(), tokio::sync::oneshot::channel());
        let until = std::time::Instant::now() + self.inner.options.accept_timeout;
        self.spawn("accept", async move {
            let _ = answer.send(runtime.accept(request, until).await);
        });
        match tokio::time::timeout_at(until.into(), accepted).await {
            Ok(Ok(accepted)) => accepted,
            // It may still be accepted. Whoever asks again with the same key will find it.
            Ok(Err(_)) | Err(_) => Err(unavailable("the database did not answer in time")),
        }
    }

    async fn accept(&self, request: NewRunRequest, until: std::time::Instant) -> Result<Accepted, Problem> {
        if self.is_draining() {
            return Err(Problem::new(
                ErrorCode::Draining,
                "this process is shutting down; another one takes the request",
            ));
        }
        let asks_nobody = match &request.overrides.tools {
            None => request.agent.config.asks_nobody(),
            Some(_) => effective(request.agent.config.clone(), &request.overrides).asks_nobody(),
        };
        if asks_nobody {
            let words = "a tool of this agent may ask somebody, and `approvals.deciders` names nobody who may decide";
            return Err(Problem::new(ErrorCode::NoApprover, words));
        }
        let delayed = request.is_delayed();
        if !delayed && let Some(refused) = Box::pin(self.would_begin_too_late(&request)).await {
            return Err(refused);
        }
        let (tenant, user) = (request.tenant, request.user);
        // What belongs to a run that is under way is not refused for what others are.
        if request.of_call.is_none() && request.on_conflict != OnConflict::Steer && !delayed {
            Box::pin(self.may_have_more(tenant)).await?;
        }
        // What there is by then nobody knows.
        if request.of_call.is_none() && !delayed {
            Box::pin(self.may_pay(&request)).await?;
        }
        let slot = if delayed { None } else { self.inner.slots.try_enter(tenant) };
        if slot.is_none()
            && !delayed
            && let Err(limit) = self.inner.slots.may_wait(tenant)
        {
            return Err(Problem::new(
                ErrorCode::TooManyRuns,
                format!("{limit} runs of this tenant are waiting already"),
            )
            .with("limit", limit));
        }
        let max_queued = i32::try_from(self.inner.options.max_queued_per_thread).unwrap_or(i32::MAX);
        let (draft, new_run) = draft(request, slot.is_some(), max_queued, until);
        let created = self.inner.parts.creator.create(new_run).await;
        let created = created.unwrap_or_else(|_| Created::Failed("the server is shutting down".into()));
        match created {
            Created::Yes { ord, after_run, running, gives_way } => {
                self.give_way(Scope { tenant, user: Some(user) }, gives_way);
                if delayed {
                    let grace = draft.grace;
                    let visibility = draft.config.user_visibility;
                    // Whoever sweeps when it is due takes it up; here it is known when that is.
                    self.inner.delayed.notify_one();
                    return Ok(Accepted::New { run: Box::new(draft.run), visibility, grace });
                }
                Ok(self.admit(tenant, user, draft, slot, ord, after_run, running))
            }
            Created::Steered(run) => {
                self.give_back(slot);
                Ok(Accepted::Steered(run))
            }
            Created::Replay { run, steered } => {
                self.give_back(slot);
                Ok(Accepted::Replay { run, steered })
            }
            Created::Refused { reason, details } => {
                self.give_back(slot);
                Err(refusal(&reason, details))
            }
            Created::Failed(reason) => {
                self.give_back(slot);
                tracing::error!(%reason, "a run could not be accepted");
                Err(unavailable("the run could not be stored"))
            }
        }
    }

    /// Whether the tenant's plan lets it have one more run while so many of its are suspended.
    async fn may_have_more(&self, tenant: TenantId) -> Result<(), Problem> {
        let parts = &self.inner.parts;
        let away = |_| unavailable("the database did not answer");
        let terms = parts.terms.of(tenant).await.map_err(away)?;
        let Some(limit) = terms.grants.max_suspended_runs else { return Ok(()) };
        let storage = parts.store.scoped(Scope { tenant, user: None });
        if storage.run_count_suspended(i64::from(limit)).await.map_err(away)? < i64::from(limit) {
            return Ok(());
        }
        let words = format!("{limit} runs of this tenant are suspended already");
        Err(Problem::new(ErrorCode::TooManyRuns, words).with("limit", limit))
    }

    /// Whether the first call of a run would wait longer than it is to: better told now than after that time. A run that
    /// has another model to go to is taken, and so is what belongs to a run that is under way.
    async fn would_begin_too_late(&self, request: &NewRunRequest) -> Option<Problem> {
        let (config, overrides) = (&request.agent.config, &request.overrides);
        let has_fallbacks = !overrides.fallbacks.as_ref().unwrap_or(&config.fallbacks).is_empty();
        if request.of_call.is_some() || request.on_conflict == OnConflict::Steer || has_fallbacks {
            return None;
        }
        let parts = &self.inner.parts;
        let model = overrides.model.as_ref().unwrap_or(&config.model);
        let limits = overrides.limits.as_ref().unwrap_or(&config.limits);
        let within = Duration::from_millis(limits.max_queue_ms.max(0) as u64);
        let predicted = |key_of| parts.llm.limiter(model, key_of).map(|limiter| limiter.predicted(request.tenant));
        // Nearly always there is no queue, and nobody's keys need to be looked for.
        predicted(None).filter(|wait| *wait > within)?;
        let keys =
            parts.vault.provider_keys(request.tenant, |provider| parts.llm.provider_host(provider)).await.ok()?;
        let wait = predicted(has_own_key(&keys, model).then_some(request.tenant)).filter(|wait| *wait > within)?;
        let ms = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let words = format!("the run would begin in {} ms, and is to wait for {} ms at most", ms(wait), ms(within));
        let problem = Problem::new(ErrorCode::CapacityExceeded, words).with("wait_ms", ms(wait));
        Some(problem.with("retry_after_ms", ms(wait.saturating_sub(within)).max(1)))
    }

    /// Takes up a run that is in the database now.
    #[expect(clippy::too_many_arguments, reason = "called once, right above")]
    fn admit(
        &self,
        tenant: TenantId,
        user: UserId,
        draft: Draft,
        slot: Option<Slot>,
        ord: i64,
        after_run: Option<RunId>,
        running: bool,
    ) -> Accepted {
        let mut run = draft.run;
        run.after_run = after_run;
        if running {
            run.status = RunStatus::Running;
            run.started_at = Some(run.created_at);
            run.as_of_seq = draft.started_to;
        }
        let visibility = draft.config.user_visibility;
        let accepted = Accepted::New { run: Box::new(run.clone()), visibility, grace: draft.grace };
        if after_run.is_some() {
            // Whoever ends the run in front takes it up.
            self.give_back(slot);
            return accepted;
        }
        let identity = RunIdentity { tenant, user, run: run.id, token: draft.token };
        let mut writer = self.inner.parts.streams.writer(identity, 0);
        let (lines, to) = if running { (&draft.started_lines, draft.started_to) } else { (&draft.first_line, 1) };
        writer.publish_created(lines, to);
        let only_input = draft.new_thread.then_some(draft.content);
        let (depth, within) = (draft.depth, draft.within);
        let fresh = Fresh { run, config: draft.config, ord, depth, visibility, within, only_input };
        let begin = Begin::Fresh { fresh: Box::new(fresh), started: running };
        let job = Job { identity, writer, begin };
        match slot {
            Some(slot) if running => self.run(slot, job),
            slot => {
                self.give_back(slot);
                self.enter(job);
            }
        }
        accepted
    }

    /// Begins a job as soon as its tenant has a place.
    pub(crate) fn enter(&self, job: Job) {
        self.note(job.identity);
        if let Some((slot, job)) = self.inner.slots.enter_or_wait(job.identity.tenant, job) {
            self.run(slot, job);
        }
    }

    /// The trace of a run that was asked for within this one.
    pub fn trace_of(&self, run: RunId, within: Option<TraceContext>) -> TraceContext {
        TraceContext::of_run(run, within, self.inner.options.trace_ratio)
    }

    fn note(&self, identity: RunIdentity) -> (CancellationToken, CancellationToken) {
        let token = identity.token;
        let busy = || self.inner.parts.store.gate().begin();
        let new = || Live { token, cancel: CancellationToken::new(), hold: self.hold(), by: None, _busy: busy() };
        let mut live = self.inner.live.entry(identity.run).or_insert_with(new);
        if live.token != token {
            *live = new();
        }
        (live.cancel.clone(), live.hold.clone())
    }

    fn run(&self, slot: Slot, job: Job) {
        let (cancel, hold) = self.note(job.identity);
        let identity = job.identity;
        let runtime = self.clone();
        let span = tracing::info_span!("run", run.id = %identity.run, tenant.id = %identity.tenant, trace_id = tracing::field::Empty);
        // A task is as large as the largest moment of its life, for all of its life. What is needed for a moment only is
        // boxed, here and in the loop: it halves what a run that waits for its model takes.
        let job = Box::new(job);
        let busy = self.inner.parts.store.gate().begin();
        self.inner.parts.tasks.spawn(
            async move {
                let _busy = busy;
                let mut suspended = false;
                let done = AssertUnwindSafe(execute::execute(&runtime, job, &cancel, hold)).catch_unwind().await;
                let mut scattered = false;
                let next = match done {
                    Ok(Outcome::Ended { next, parent, scattered: pieces }) => {
                        scattered = pieces;
                        runtime.wake_parent(identity.tenant, identity.user, parent);
                        next
                    }
                    Ok(Outcome::Suspended) => {
                        tracing::debug!("a run waits for somebody");
                        suspended = true;
                        None
                    }
                    Ok(Outcome::Lost) => {
                        tracing::info!("a run is no longer this process'");
                        None
                    }
                    Ok(Outcome::Abandoned(problem)) => {
                        Box::pin(runtime.end_own(identity, Ending::Failed(problem))).await
                    }
                    Err(panic) => {
                        let words = panic
                            .downcast_ref::<&str>()
                            .map(|text| (*text).to_owned())
                            .or_else(|| panic.downcast_ref::<String>().cloned())
                            .unwrap_or_default();
                        tracing::error!(panic = %words, "a run panicked");
                        let problem = Problem::new(ErrorCode::Internal, "the run failed inside the server");
                        Box::pin(runtime.end_own(identity, Ending::Failed(problem))).await
                    }
                };
                let live = runtime.inner.live.remove_if(&identity.run, |_, live| live.token == identity.token);
                // Asked for in the moment in which it was given up: whoever finds it here no more asks the database.
                let cancelled = live.filter(|(_, live)| suspended && live.cancel.is_cancelled());
                runtime.give_back(Some(slot));
                runtime.count_money(identity.tenant);
                if let Some((_, live)) = cancelled {
                    let by = live.by.unwrap_or(Actor { kind: ActorKind::System, id: None, reason: None });
                    let scope = Scope { tenant: identity.tenant, user: Some(identity.user) };
                    // Whoever asked was told so: what is in the way passes.
                    let mut pause = Duration::from_millis(50);
                    while let Err(error) = Box::pin(runtime.cancel(scope, identity.run, by.clone())).await {
                        tracing::warn!(%error, "a run that waits could not be cancelled yet");
                        if pause > Duration::from_secs(10) {
                            break;
                        }
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                    }
                }
                if let Some((run, token)) = next {
                    Box::pin(runtime.take_up(identity.tenant, identity.user, run, token)).await;
                }
                if scattered {
                    runtime.inner.parts.packer.add(identity.tenant, identity.run);
                }
            }
            .instrument(span),
        );
    }

    pub(crate) fn give_back(&self, slot: Option<Slot>) {
        for (next, job) in slot.into_iter().flat_map(|held| self.inner.slots.leave(held)) {
            self.run(next, job);
        }
    }

    /// Whether the agent's rules permit a call with arguments that a person has edited.
    ///
    /// # Errors
    /// `invalid_value` when they forbid it; `unavailable` when the database is away.
    pub async fn check_edited(
        &self,
        storage: &headwater_store::UserScopedStorage,
        run: RunId,
        tool: &str,
        args: &serde_json::Value,
    ) -> Result<(), Problem> {
        let away = |error: StoreError| unavailable(&error.to_string());
        let Some(found) = storage.run_for_loop(run).await.map_err(away)? else { return Ok(()) };
        let config = effective(found.config, &found.overrides);
        let servers = storage.mcp_named(&crate::toolbox::servers_named(&config)).await.map_err(away)?;
        let tools = crate::toolbox::Toolbox::of(&config, found.depth, &servers);
        let forbidden = tools.find(tool).is_some_and(|tool| {
            let policy = headwater_protocol::api::decide(tool.policy, &tool.rules, &tool.with_defaults(args), true);
            policy == headwater_protocol::api::Policy::Deny
        });
        if forbidden {
            return Err(Problem::invalid("/edited_args", "the agent's rules forbid a call with these arguments"));
        }
        Ok(())
    }

    /// Whether nothing new is begun here.
    pub(crate) fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    /// Cancelled when this process is to let go of a run that it takes up now.
    fn hold(&self) -> CancellationToken {
        self.inner.hold.lock().expect("no panic while copying").child_token()
    }

    /// Begins nothing more: what waits for a place here is there for other replicas at once, and so is what would be
    /// next on the threads of runs that end. Runs under way go on.
    pub async fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
        let parts = &self.inner.parts;
        for job in self.inner.slots.clear() {
            let RunIdentity { tenant, run, .. } = job.identity;
            self.inner.live.remove(&run);
            drop(job);
            let unscoped = parts.store.unscoped("gives back what it will not begin");
            if let Err(error) = unscoped.release_run(parts.replica.id(), tenant, run).await {
                tracing::warn!(%error, run.id = %run, "a waiting run could not be given back; it is with all others");
            }
        }
    }

    /// Lets go of all runs, without an end: another owner goes on with them from what is committed. Returns when their
    /// tasks have ended, after `at_most` in any case.
    pub async fn let_go(&self, at_most: Duration) {
        drop(self.inner.slots.clear());
        let held = std::mem::take(&mut *self.inner.hold.lock().expect("no panic while copying"));
        held.cancel();
        let until = tokio::time::Instant::now() + at_most;
        while self.inner.slots.active() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.inner.live.clear();
    }

    /// Lets go of the runs that somebody has taken from this process without its knowing: it would only find out when it
    /// writes next. `named`: of this one, when it is among them.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn let_go_of_taken(&self, named: Option<RunId>) -> Result<(), StoreError> {
        // Looked at first: what is here was owned by then.
        let here: Vec<RunId> = match named {
            Some(run) => self.inner.live.contains_key(&run).then_some(run).into_iter().collect(),
            None => self.inner.live.iter().map(|live| *live.key()).collect(),
        };
        if here.is_empty() {
            return Ok(());
        }
        let parts = &self.inner.parts;
        let owned =
            parts.store.unscoped("a process' own runs are of any tenant").replica_runs(parts.replica.id()).await?;
        let owned: std::collections::HashSet<RunId> = owned.into_iter().collect();
        for run in here.iter().filter(|run| !owned.contains(run)) {
            if let Some(live) = self.inner.live.get(run) {
                live.hold.cancel();
            }
        }
        Ok(())
    }

    /// Begins a run that is ours in the database and not begun.
    pub(crate) async fn take_up(&self, tenant: TenantId, user: UserId, run: RunId, token: LeaseToken) {
        let identity = RunIdentity { tenant, user, run, token };
        // A run that nobody waits for any more is not left lying: the database may be away for a while.
        let mut pause = Duration::from_millis(50);
        let tail = loop {
            let storage = self.inner.parts.store.scoped(Scope { tenant, user: Some(user) });
            match storage.run_get(run).await {
                Ok(Some((run, _))) if run.status == RunStatus::Queued => break run.as_of_seq,
                Ok(_) => return,
                Err(error) if error.is_transient() && !self.inner.parts.hard.is_cancelled() => {
                    tracing::warn!(%error, run.id = %run, "a waiting run could not be read; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                Err(error) => {
                    tracing::error!(%error, run.id = %run, "a waiting run does not read; it is ended");
                    let problem = Problem::new(ErrorCode::Internal, "the run's data could not be read");
                    // What waits behind it is found by the next sweep.
                    ending::end(self, identity, Ending::Failed(problem)).await;
                    return;
                }
            }
        };
        let writer = self.inner.parts.streams.writer(identity, tail);
        self.enter(Job { identity, writer, begin: Begin::Waited });
    }

    /// Does something in a task of its own. The process is not quiet until it is done.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let busy = self.inner.parts.store.gate().begin();
        self.spawn_aside(name, async move {
            let _busy = busy;
            task.await;
        });
    }

    /// The same of something that keeps no process from being quiet.
    pub(crate) fn spawn_aside(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.parts.tasks.spawn(task.instrument(tracing::debug_span!("task", name)));
    }
}

fn unavailable(detail: &str) -> Problem {
    Problem::new(ErrorCode::Unavailable, detail)
}

/// A refusal of the database as the API tells it.
fn refusal(reason: &str, mut details: serde_json::Map<String, serde_json::Value>) -> Problem {
    let (code, detail) = match reason {
        "not_found" => (ErrorCode::NotFound, "there is no such thread"),
        "user_blocked" => (ErrorCode::UserBlocked, "this user is blocked"),
        "agent_changed" => (ErrorCode::AgentNotFound, "the agent was changed or archived meanwhile"),
        "already_exists" => (ErrorCode::AlreadyExists, "this external_id is taken"),
        "thread_busy" => (ErrorCode::ThreadBusy, "a run of this thread is not finished"),
        "too_many_runs" => (ErrorCode::TooManyRuns, "too many runs wait on this thread"),
        "artifact_gone" => (ErrorCode::InvalidValue, "a picture or a file of the input is not there any more"),
        "called_before" => (ErrorCode::AlreadyExists, "another run carries out this call"),
        "too_many_below" => (ErrorCode::TooManyRuns, "the run at the top has as many runs below it as it may have"),
        "nobody_waits" => (ErrorCode::RunFinished, "the call is over"),
        "idempotency_mismatch" => (ErrorCode::IdempotencyMismatch, "this Idempotency-Key was used for another request"),
        _ => (ErrorCode::Internal, "the run was refused for a reason nobody knows"),
    };
    if reason == "agent_changed" {
        details.insert("agent_changed".into(), true.into());
    }
    let mut problem = Problem::new(code, detail);
    problem.extra.append(&mut details);
    problem
}
