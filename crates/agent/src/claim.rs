//! Taking over runs that nobody owns any more.

use futures_util::StreamExt as _;
use headwater_protocol::api::RunStatus;
use headwater_protocol::{ErrorCode, Problem, Scope};
use headwater_store::StoreError;
use headwater_store::unscoped::Claimed;
use headwater_stream::RunIdentity;

use crate::ending::{self, Ending};
use crate::resume::Resumed;
use crate::runtime::{AgentRuntime, Begin, Job};

/// Runs claimed in one look: few, so that replicas that look at the same time share what there is.
const CLAIM: i32 = 32;
/// Claimed runs that are settled at a time.
const SETTLE_AT_ONCE: usize = 8;

impl AgentRuntime {
    /// Takes what dead and departing processes left behind: runs that had begun go on from what is committed, runs that
    /// had not are begun, and those whose end was asked for are ended. `patient`: this process has just come back to a
    /// database that was away, and gives the others a lease's time to do so too. Returns how many there were.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn claim_orphans(&self, patient: bool) -> Result<usize, StoreError> {
        if self.is_draining() {
            return Ok(0);
        }
        let lease_ms = self.inner.options.lease.as_millis() as i64;
        let mut total = 0;
        loop {
            let unscoped = self.inner.parts.store.unscoped("runs of dead replicas belong to any tenant");
            let claimed = unscoped.claim_runs(self.inner.parts.replica.id(), lease_ms, CLAIM, patient).await?;
            let count = claimed.len();
            total += count;
            // Several at a time; one that cannot be read or ended holds up none of the others.
            let settled = futures_util::stream::iter(claimed)
                .map(|claim| self.settle(claim))
                .buffer_unordered(SETTLE_AT_ONCE)
                .fold(true, |all, one| std::future::ready(all && one))
                .await;
            // What could not be settled was given back and waits for the next sweep.
            if count < CLAIM as usize || !settled {
                return Ok(total);
            }
        }
    }

    /// The same in a task of its own, which goes on when the caller does not: what was claimed is nobody else's to take up.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn claim_orphans_aside(&self, patient: bool) -> Result<usize, StoreError> {
        let (runtime, (answer, claimed)) = (self.clone(), tokio::sync::oneshot::channel());
        self.spawn("claim", async move {
            let _ = answer.send(runtime.claim_orphans(patient).await);
        });
        claimed.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the task that looked has ended".into())))
    }

    /// Budgets of a tenant were made, changed or removed: calls here look at them from now on, and runs that wait for money look
    /// again.
    pub fn budgets_changed(&self, tenant: headwater_protocol::TenantId) {
        self.inner.budgeted.changed(tenant);
        self.go_on();
    }

    /// Goes on with runs that have just been woken, in a task of its own: here, or elsewhere if this process begins nothing
    /// more.
    pub fn go_on(&self) {
        let runtime = self.clone();
        self.spawn("go on", async move {
            if runtime.is_draining() {
                runtime.inner.parts.bus.claim_now().await;
                return;
            }
            // Patient: nobody's lease is looked at for this.
            if let Err(error) = runtime.claim_orphans(true).await {
                tracing::warn!(%error, "a run that was woken could not be claimed; the next sweep does");
            }
        });
    }

    /// Goes on with one claimed run. `false`: it was given back.
    async fn settle(&self, claim: Claimed) -> bool {
        let Claimed { tenant, user, run, token, .. } = claim;
        let identity = RunIdentity { tenant, user, run, token };
        // Nobody has asked for anything in this tenant's name here yet: its caps are looked up. Without them those of the
        // settings hold.
        let _ = self.inner.parts.terms.of(tenant).await;
        let lost = || Ending::Failed(Problem::new(ErrorCode::ReplicaLost, "the server process that ran this died"));
        let ending = match (claim.status, &claim.cancel) {
            (Some(RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled), _) => return true,
            (_, Some(by)) => Ending::Cancelled(by.clone()),
            (Some(RunStatus::Queued), None) => {
                self.take_up(tenant, user, run, token).await;
                return true;
            }
            (Some(RunStatus::Running | RunStatus::Suspended), None) => match self.resume(identity, &claim).await {
                Ok(()) => return true,
                Err(error) if error.is_transient() => {
                    // It is ours now and nobody else will look: give it back for the next sweep.
                    tracing::warn!(%error, run.id = %run, "a claimed run could not be read");
                    let unscoped = self.inner.parts.store.unscoped("gives back what it has just claimed");
                    if let Err(error) = unscoped.release_run(self.inner.parts.replica.id(), tenant, run).await {
                        tracing::error!(%error, run.id = %run, "and could not be given back");
                    }
                    return false;
                }
                Err(error) => {
                    tracing::error!(%error, run.id = %run, "a claimed run does not read; it is ended");
                    lost()
                }
            },
            (None, None) => lost(),
        };
        if let Some((next, token)) = ending::end(self, identity, ending).await {
            self.take_up(tenant, user, next, token).await;
        }
        true
    }

    /// Goes on with a run that was under way elsewhere, as soon as its tenant has a place.
    async fn resume(&self, identity: RunIdentity, claim: &Claimed) -> Result<(), StoreError> {
        let scope = Scope { tenant: identity.tenant, user: Some(identity.user) };
        let fold = self.inner.parts.store.scoped(scope).events_fold(identity.run).await?;
        let writer = self.inner.parts.streams.writer(identity, fold.seq);
        let resumed = Resumed { fold, died: claim.died, deaths: claim.deaths };
        self.enter(Job { identity, writer, begin: Begin::Resumed(Box::new(resumed)) });
        Ok(())
    }
}
