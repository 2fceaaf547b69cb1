//! Accepting, starting, cancelling and claiming runs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use futures_util::{FutureExt as _, StreamExt as _};
use headwater_llm::GatewayLlmService;
use headwater_protocol::api::{AgentConfig, RunStatus};
use headwater_protocol::event::Actor;
use headwater_protocol::message::Part;
use headwater_protocol::{ErrorCode, Problem, ReplicaId, RunId, Scope, TenantId, UserId};
use headwater_store::commit::LeaseToken;
use headwater_store::create::Created;
use headwater_store::unscoped::Claimed;
use headwater_store::{Creator, Packer, Store, StoreError};
use headwater_stream::{MessageStreamManager, RunIdentity, RunWriter};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::accept::{Accepted, Draft, NewRunRequest, draft};
use crate::ending::{self, Ending};
use crate::execute::{self, Outcome};
use crate::slots::{Slot, Slots};

/// Runs claimed in one look.
const CLAIM: i32 = 100;
/// Claimed runs that are settled at a time.
const SETTLE_AT_ONCE: usize = 8;

/// Bounds of this process.
#[derive(Debug, Clone)]
pub struct RuntimeOptions {
    /// Runs of a tenant under way.
    pub max_active_per_tenant: usize,
    /// Runs of a tenant that wait for a place.
    pub max_queued_per_tenant: usize,
    /// Runs that wait on one thread.
    pub max_queued_per_thread: usize,
    /// The lease of this process.
    pub lease: Duration,
    /// How long accepting a run may take while the database is away.
    pub accept_timeout: Duration,
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
    /// This process.
    pub replica: ReplicaId,
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
    options: RuntimeOptions,
    slots: Slots,
    /// Runs that this process works on or keeps waiting.
    live: DashMap<RunId, Live>,
}

#[derive(Debug)]
struct Live {
    cancel: CancellationToken,
    /// Who asked for the end, set before the token is cancelled.
    by: Option<Actor>,
}

/// A run that this process is to work on.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) identity: RunIdentity,
    pub(crate) writer: RunWriter,
    /// What is known already of a run that has just been made; the others are read.
    pub(crate) fresh: Option<Fresh>,
    /// Whether `run.started` and `step.started` are in the log.
    pub(crate) started: bool,
}

/// What is known of a run that has just been made.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) run: headwater_protocol::api::Run,
    pub(crate) config: AgentConfig,
    pub(crate) ord: i64,
    /// The whole history, when the thread is new too.
    pub(crate) only_input: Option<Vec<Part>>,
}

impl AgentRuntime {
    /// A runtime without runs.
    pub fn new(parts: RuntimeParts, options: RuntimeOptions) -> Self {
        let slots = Slots::new(options.max_active_per_tenant, options.max_queued_per_tenant);
        Self { inner: Arc::new(Inner { parts, options, slots, live: DashMap::new() }) }
    }

    /// Runs that this process works on or keeps waiting.
    pub fn live_runs(&self) -> usize {
        self.inner.live.len()
    }

    /// Accepts a run and begins it. Goes on in a task of its own, so that a caller who leaves changes nothing.
    ///
    /// # Errors
    /// A refusal by its code; `agent_not_found` with the member `agent_changed` asks the caller to read the agent anew.
    pub async fn create(&self, request: NewRunRequest) -> Result<Accepted, Problem> {
        let (runtime, (answer, accepted)) = (self.clone(), tokio::sync::oneshot::channel());
        self.spawn("accept", async move {
            let _ = answer.send(runtime.accept(request).await);
        });
        match tokio::time::timeout(self.inner.options.accept_timeout, accepted).await {
            Ok(Ok(accepted)) => accepted,
            // It may still be accepted. Whoever asks again with the same key will find it.
            Ok(Err(_)) | Err(_) => Err(unavailable("the database did not answer in time")),
        }
    }

    async fn accept(&self, request: NewRunRequest) -> Result<Accepted, Problem> {
        let (tenant, user) = (request.tenant, request.user);
        let slot = self.inner.slots.try_enter(tenant);
        if slot.is_none()
            && let Err(limit) = self.inner.slots.may_wait(tenant)
        {
            return Err(Problem::new(
                ErrorCode::TooManyRuns,
                format!("{limit} runs of this tenant are waiting already"),
            )
            .with("limit", limit));
        }
        let max_queued = i32::try_from(self.inner.options.max_queued_per_thread).unwrap_or(i32::MAX);
        let until = std::time::Instant::now() + self.inner.options.accept_timeout;
        let (draft, new_run) = draft(request, slot.is_some(), max_queued, until);
        let created = self.inner.parts.creator.create(new_run).await;
        let created = created.unwrap_or_else(|_| Created::Failed("the server is shutting down".into()));
        match created {
            Created::Yes { ord, after_run, running } => {
                Ok(self.admit(tenant, user, draft, slot, ord, after_run, running))
            }
            Created::Replay(run) => {
                self.give_back(slot);
                Ok(Accepted::Replay(run))
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
        let accepted = Accepted::New { run: Box::new(run.clone()), visibility };
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
        let fresh = Fresh { run, config: draft.config, ord, only_input };
        let job = Job { identity, writer, fresh: Some(fresh), started: running };
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
    fn enter(&self, job: Job) {
        self.note(job.identity.run);
        if let Some((slot, job)) = self.inner.slots.enter_or_wait(job.identity.tenant, job) {
            self.run(slot, job);
        }
    }

    fn note(&self, run: RunId) -> CancellationToken {
        let live = self.inner.live.entry(run).or_insert_with(|| Live { cancel: CancellationToken::new(), by: None });
        live.cancel.clone()
    }

    fn run(&self, slot: Slot, job: Job) {
        let cancel = self.note(job.identity.run);
        let identity = job.identity;
        let runtime = self.clone();
        let span = tracing::info_span!("run", run.id = %identity.run, tenant.id = %identity.tenant);
        // A task is as large as the largest moment of its life, for all of its life. What is needed for a moment only is
        // boxed, here and in the loop: it halves what a run that waits for its model takes.
        let job = Box::new(job);
        self.inner.parts.tasks.spawn(
            async move {
                let done = AssertUnwindSafe(execute::execute(&runtime, job, &cancel)).catch_unwind().await;
                let mut scattered = false;
                let next = match done {
                    Ok(Outcome::Ended { next, scattered: pieces }) => {
                        scattered = pieces;
                        next
                    }
                    Ok(Outcome::Lost) => None,
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
                runtime.inner.live.remove(&identity.run);
                runtime.give_back(Some(slot));
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

    fn give_back(&self, slot: Option<Slot>) {
        let mut slot = slot;
        while let Some(held) = slot.take() {
            if let Some((next, job)) = self.inner.slots.leave(held) {
                self.run(next, job);
            }
        }
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
                Err(error @ (StoreError::Unavailable(_) | StoreError::Contended(_)))
                    if !self.inner.parts.hard.is_cancelled() =>
                {
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
        self.enter(Job { identity, writer, fresh: None, started: false });
    }

    /// Asks for a run's end. Works for runs of other processes too: they are taken over and ended here.
    ///
    /// # Errors
    /// When the database is away. `Ok(false)`: there is no such run for this scope.
    pub async fn cancel(&self, scope: Scope, run: RunId, by: Actor) -> Result<bool, StoreError> {
        let storage = self.inner.parts.store.scoped(scope);
        let Some((found, _)) = storage.run_get(run).await? else { return Ok(false) };
        if found.status.is_terminal() {
            return Ok(true);
        }
        if let Some(mut live) = self.inner.live.get_mut(&run) {
            let by_now = live.by.get_or_insert(by).clone();
            live.cancel.cancel();
            drop(live);
            if found.status == RunStatus::Running {
                return Ok(true);
            }
            // It waits for a place: its task is not there to hear of it. It leaves the queue and is ended here.
            if self.inner.slots.remove(scope.tenant, run).is_some() {
                self.inner.live.remove(&run);
            }
            return self.take_and_end(scope, found.user, run, Ending::Cancelled(by_now)).await.map(|()| true);
        }
        self.take_and_end(scope, found.user, run, Ending::Cancelled(by)).await.map(|()| true)
    }

    /// Who asked for this run's end.
    pub(crate) fn canceller(&self, run: RunId) -> Actor {
        let by = self.inner.live.get(&run).and_then(|live| live.by.clone());
        by.unwrap_or(Actor { kind: headwater_protocol::event::ActorKind::System, id: None, reason: None })
    }

    async fn take_and_end(&self, scope: Scope, user: UserId, run: RunId, ending: Ending) -> Result<(), StoreError> {
        let token = LeaseToken::new();
        let taken = self.inner.parts.store.scoped(scope).run_take(self.inner.parts.replica, run, token).await?;
        if taken.is_some_and(|status| !status.is_terminal()) {
            let identity = RunIdentity { tenant: scope.tenant, user, run, token };
            let runtime = self.clone();
            let (done, ended) = tokio::sync::oneshot::channel();
            // In a task of its own: a caller who leaves must not leave the run without an end.
            self.spawn("end", async move {
                let next = ending::end(&runtime, identity, ending).await;
                let _ = done.send(());
                if let Some((next, token)) = next {
                    runtime.take_up(identity.tenant, identity.user, next, token).await;
                }
            });
            // Whoever asked is not kept waiting for a database that is away; the end comes all the same.
            let _ = tokio::time::timeout(self.inner.options.accept_timeout, ended).await;
        }
        Ok(())
    }

    /// Ends a run whose task has lost its writer: taken over from ourselves, so that nothing half-sent can follow.
    async fn end_own(&self, identity: RunIdentity, ending: Ending) -> Option<(RunId, LeaseToken)> {
        let (scope, token) = (Scope { tenant: identity.tenant, user: Some(identity.user) }, LeaseToken::new());
        let mut pause = Duration::from_millis(50);
        loop {
            match self.inner.parts.store.scoped(scope).run_take(self.inner.parts.replica, identity.run, token).await {
                Ok(Some(status)) if !status.is_terminal() => {
                    return ending::end(self, RunIdentity { token, ..identity }, ending).await;
                }
                Ok(_) => return None,
                Err(error) if !self.inner.parts.hard.is_cancelled() => {
                    tracing::warn!(%error, "a run could not be ended; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                Err(_) => return None,
            }
        }
    }

    /// Takes what a dead process left behind: runs that had begun end with `replica_lost`, runs that had not are begun.
    /// Returns how many there were.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn claim_orphans(&self) -> Result<usize, StoreError> {
        let lease_ms = self.inner.options.lease.as_millis() as i64;
        let mut total = 0;
        loop {
            let unscoped = self.inner.parts.store.unscoped("runs of dead replicas belong to any tenant");
            let claimed = unscoped.claim_runs(self.inner.parts.replica, lease_ms, CLAIM).await?;
            let count = claimed.len();
            total += count;
            // Several at a time; one that cannot be read or ended holds up none of the others.
            let settled = futures_util::stream::iter(claimed)
                .map(|claim| self.settle_orphan(claim))
                .buffer_unordered(SETTLE_AT_ONCE)
                .fold(true, |all, one| std::future::ready(all && one))
                .await;
            // What could not be settled was given back and waits for the next sweep.
            if count < CLAIM as usize || !settled {
                return Ok(total);
            }
        }
    }

    /// Settles one claimed run. `false`: it was given back.
    async fn settle_orphan(&self, claim: Claimed) -> bool {
        let Claimed { tenant, user, run, token } = claim;
        let identity = RunIdentity { tenant, user, run, token };
        let storage = self.inner.parts.store.scoped(Scope { tenant, user: Some(user) });
        let status = match storage.run_get(run).await {
            Ok(found) => found.map(|(run, _)| run.status),
            Err(StoreError::Unavailable(reason)) => {
                // It is ours now and nobody else will look: give it back for the next sweep.
                tracing::warn!(%reason, run.id = %run, "a claimed run could not be read");
                let unscoped = self.inner.parts.store.unscoped("gives back what it has just claimed");
                if let Err(error) = unscoped.release_run(self.inner.parts.replica, tenant, run).await {
                    tracing::error!(%error, run.id = %run, "and could not be given back");
                }
                return false;
            }
            // A row that this build cannot read can still be ended.
            Err(error) => {
                tracing::error!(%error, run.id = %run, "a claimed run does not read; it is ended");
                Some(RunStatus::Running)
            }
        };
        match status {
            Some(RunStatus::Queued) => self.take_up(tenant, user, run, token).await,
            Some(RunStatus::Running | RunStatus::Suspended) => {
                let problem = Problem::new(ErrorCode::ReplicaLost, "the server process that ran this died");
                if let Some((next, token)) = ending::end(self, identity, Ending::Failed(problem)).await {
                    self.take_up(tenant, user, next, token).await;
                }
            }
            Some(RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled) | None => {}
        }
        true
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
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
