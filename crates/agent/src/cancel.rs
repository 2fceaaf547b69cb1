//! Ending runs because somebody asks for it, whoever owns them.

use std::time::Duration;

use headwater_protocol::api::RunStatus;
use headwater_protocol::event::{Actor, ActorKind};
use headwater_protocol::{RunId, Scope, UserId};
use headwater_store::StoreError;
use headwater_store::commit::LeaseToken;
use headwater_stream::RunIdentity;

use crate::ending::{self, Ending};
use crate::runtime::AgentRuntime;

impl AgentRuntime {
    /// Ends the runs that a new one on their thread has asked to give way, in this order. In a task of its own; that it
    /// was asked for is in the database already, so that whoever sweeps ends what this process cannot.
    pub(crate) fn give_way(&self, scope: Scope, runs: Vec<RunId>) {
        self.end_all(scope, runs, || Actor::system("on_conflict"));
    }

    /// Ends these runs in this order, in a task of its own: the next sweep ends what this process cannot.
    pub(crate) fn end_all(&self, scope: Scope, runs: Vec<RunId>, by: fn() -> Actor) {
        if runs.is_empty() {
            return;
        }
        let runtime = self.clone();
        self.spawn("end all", async move {
            for run in runs {
                if let Err(error) = runtime.cancel(scope, run, by()).await {
                    tracing::warn!(%error, run.id = %run, "a run does not end yet; the next sweep ends it");
                }
            }
        });
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
        // One that waits for a place has no task to hear of it: it leaves the queue and is ended here.
        if self.inner.slots.remove(scope.tenant, run).is_some() {
            self.inner.live.remove(&run);
        }
        if let Some(mut live) = self.inner.live.get_mut(&run) {
            let by_now = live.by.get_or_insert(by).clone();
            live.cancel.cancel();
            drop(live);
            if found.status == RunStatus::Running {
                return Ok(true);
            }
            return self.take_and_end(scope, found.user, run, Ending::Cancelled(by_now)).await.map(|()| true);
        }
        self.take_and_end(scope, found.user, run, Ending::Cancelled(by)).await.map(|()| true)
    }

    /// Who asked for this run's end.
    pub(crate) fn canceller(&self, run: RunId) -> Actor {
        let by = self.inner.live.get(&run).and_then(|live| live.by.clone());
        by.unwrap_or(Actor { kind: ActorKind::System, id: None, reason: None })
    }

    async fn take_and_end(&self, scope: Scope, user: UserId, run: RunId, ending: Ending) -> Result<(), StoreError> {
        let token = LeaseToken::new();
        let replica = self.inner.parts.replica.id();
        let by = match &ending {
            Ending::Cancelled(by) => Some(by),
            Ending::Failed(_) => None,
        };
        let taken = self.inner.parts.store.scoped(scope).run_take(replica, run, token, by).await?;
        if taken.is_some_and(|status| !status.is_terminal()) {
            self.inner.parts.bus.taken(run);
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
    pub(crate) async fn end_own(&self, identity: RunIdentity, ending: Ending) -> Option<(RunId, LeaseToken)> {
        let (scope, token) = (Scope { tenant: identity.tenant, user: Some(identity.user) }, LeaseToken::new());
        let mut pause = Duration::from_millis(50);
        loop {
            let replica = self.inner.parts.replica.id();
            match self.inner.parts.store.scoped(scope).run_take(replica, identity.run, token, None).await {
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
}
