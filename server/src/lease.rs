//! This process' place among the replicas.
//!
//! Owns the lease and its renewal, what happens when it was lost, the sweep for runs that nobody owns, and what hints
//! from other replicas lead to. Promises that a process whose runs were taken goes on under a new id and never writes
//! under the old one; and that nothing is taken from others by a process that has itself just come back to the database.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_agent::AgentRuntime;
use headwater_protocol::{ReplicaId, Timestamp};
use headwater_store::replica::clock;
use headwater_store::{Bus, Busy, Hint, Replica, Share, Store, StoreError};
use headwater_stream::MessageStreamManager;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two sweeps where hints do not reach this process: a run that was handed over should not wait.
const WITHOUT_HINTS: Duration = Duration::from_secs(1);
/// Between two looks after partitions and old requests.
const HOUR: Duration = Duration::from_secs(3600);
/// Between two looks after logs that are kept no longer.
const RETENTION: Duration = Duration::from_secs(60);
/// Runs that are due, in one transaction.
const RELEASE: i32 = 64;
/// Logs compacted in one transaction.
const COMPACT: i32 = 32;
/// How long runs that are let go of may take to notice.
const LET_GO: Duration = Duration::from_secs(5);

/// What a replica does beside serving. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) store: Store,
    pub(crate) replica: Replica,
    pub(crate) length: Duration,
    pub(crate) runtime: AgentRuntime,
    pub(crate) streams: MessageStreamManager,
    pub(crate) bus: Bus,
    share: Share,
    state: Arc<State>,
}

struct State {
    /// Until when no lease is taken for lapsed.
    patient_until: Mutex<Instant>,
    claim: Notify,
    /// When it is next looked after logs that are kept no longer, and after partitions and old requests: by [`clock`], which goes
    /// on while this process is quiet.
    retention_at: AtomicI64,
    partitions_at: AtomicI64,
}

/// Asks how many replicas live, and takes this one's share.
pub(crate) async fn share_out(store: &Store, replica: &Replica, share: &Share, is_new: bool) -> Result<(), StoreError> {
    let (place, replicas) = store.unscoped("replicas share what is limited").replica_place(replica.id()).await?;
    share.tell(usize::try_from(place).unwrap_or(0), usize::try_from(replicas).unwrap_or(1), is_new);
    Ok(())
}

impl Lease {
    pub(crate) fn new(
        store: Store,
        replica: Replica,
        length: Duration,
        runtime: AgentRuntime,
        streams: MessageStreamManager,
        bus: Bus,
        share: Share,
    ) -> Self {
        let state = State {
            patient_until: Mutex::new(Instant::now()),
            claim: Notify::new(),
            retention_at: AtomicI64::new(clock() + RETENTION.as_millis() as i64),
            partitions_at: AtomicI64::new(clock() + HOUR.as_millis() as i64),
        };
        Self { store, replica, length, runtime, streams, bus, share, state: Arc::new(state) }
    }

    fn length_ms(&self) -> i64 {
        self.length.as_millis() as i64
    }

    /// Renews the lease three times in its length. A task of its own: nothing may hold it up.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let unscoped = self.store.unscoped("a process keeps its lease");
        let mut renewed = Instant::now();
        loop {
            let mut is_new = false;
            tokio::select! {
                () = tokio::time::sleep(self.length / 3) => {}
                () = stop.cancelled() => return,
            }
            let asked = clock();
            match unscoped.replica_renew(self.replica.id(), self.length_ms()).await {
                Ok(true) => self.replica.renewed(asked + self.length_ms()),
                Ok(false) => {
                    // Taken by another process: it was away for longer than its lease.
                    tracing::error!("this process lost its lease, and its runs with it; it goes on under a new id");
                    tokio::select! {
                        () = self.rejoin() => {}
                        () = stop.cancelled() => return,
                    }
                    is_new = true;
                }
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be renewed; trying again");
                    continue;
                }
            }
            if renewed.elapsed() > self.length {
                // The database was away, or this process was: others may be coming back at the same moment.
                *self.state.patient_until.lock().expect("no panic while copying") = Instant::now() + self.length;
            }
            renewed = Instant::now();
            // Unless it has just come, the others have renewed theirs by now, and know of this one.
            if let Err(error) = share_out(&self.store, &self.replica, &self.share, is_new).await {
                tracing::warn!(%error, "replicas could not be counted; caps are shared as before");
            }
        }
    }

    /// Announces this process, before anybody reaches the database: under an id that nobody has had, for of an attempt that broke
    /// off it is not known how far it came.
    pub(crate) async fn come_back(&self, inside: &Store) -> Result<(), StoreError> {
        let unscoped = inside.unscoped("a process announces itself");
        if let Err(error) = unscoped.ensure_partitions().await {
            tracing::warn!(%error, "the log's partitions could not be made; its default one takes what comes");
        }
        let id = ReplicaId(uuid::Uuid::now_v7());
        let asked = clock();
        unscoped.replica_register(id, self.length_ms()).await?;
        self.replica.rename(id);
        self.replica.renewed(asked + self.length_ms());
        if let Err(error) = share_out(inside, &self.replica, &self.share, true).await {
            tracing::warn!(%error, "replicas could not be counted; caps are shared as before");
        }
        Ok(())
    }

    /// Goes on as a process that has not been here before. The old id never comes back.
    async fn rejoin(&self) {
        self.runtime.let_go(LET_GO).await;
        let unscoped = self.store.unscoped("a process announces itself");
        let id = ReplicaId(uuid::Uuid::now_v7());
        let mut asked = clock();
        while let Err(error) = unscoped.replica_register(id, self.length_ms()).await {
            tracing::warn!(%error, "this process could not announce itself; trying again");
            tokio::time::sleep(self.length / 10).await;
            asked = clock();
        }
        self.replica.renewed(asked + self.length_ms());
        self.replica.rename(id);
        self.bus.rename();
    }

    /// Takes what dead and departing processes left behind: at start, about every lease, and when a hint says so. Makes
    /// the log's partitions in good time.
    /// `first`: kept until it has looked once. Whoever woke this process wants what is due to be done.
    pub(crate) async fn sweep(self, stop: CancellationToken, first: Busy) {
        let unscoped = self.store.unscoped("partitions and old requests belong to no tenant");
        let mut first = Some(first);
        let every = if self.bus.listens() { self.length + self.length / 10 } else { WITHOUT_HINTS.min(self.length) };
        loop {
            // Before the look at what nobody owns, which then finds them.
            let next = self.release_delayed().await;
            if let Err(error) = unscoped.wake_expired().await {
                tracing::warn!(%error, "could not look for calls that nobody has answered in time");
            }
            if let Err(error) = unscoped.wake_budgets().await {
                tracing::warn!(%error, "could not look for runs whose budget has begun anew");
            }
            if let Err(error) = unscoped.sweep_budgets().await {
                tracing::warn!(%error, "could not look for money that is set aside for runs that are over");
            }
            if let Err(error) = unscoped.sweep_sub_runs().await {
                tracing::warn!(%error, "could not look for runs that wait for others, and others that wait for nobody");
            }
            let patient = *self.state.patient_until.lock().expect("no panic while copying") > Instant::now();
            // In a task of its own: what was claimed is taken up, whatever becomes of this sweep.
            match self.runtime.claim_orphans_aside(patient).await {
                Ok(0) => {}
                Ok(runs) => tracing::info!(runs, "took over runs that nobody owned"),
                Err(error) => tracing::warn!(%error, "could not look for runs that nobody owns"),
            }
            if let Err(error) = self.runtime.let_go_of_taken(None).await {
                tracing::warn!(%error, "could not look for runs that were taken from this process");
            }
            let (retention_at, partitions_at) = (&self.state.retention_at, &self.state.partitions_at);
            if clock() >= retention_at.load(Ordering::Relaxed) {
                self.keep_no_longer(&stop).await;
                retention_at.store(clock() + RETENTION.as_millis() as i64, Ordering::Relaxed);
            }
            if clock() >= partitions_at.load(Ordering::Relaxed) {
                partitions_at.store(clock() + HOUR.as_millis() as i64, Ordering::Relaxed);
                match unscoped.drop_partitions().await {
                    Ok(0) => {}
                    Ok(days) => tracing::info!(days, "dropped partitions of the log in which nothing was left"),
                    Err(error) => {
                        tracing::warn!(%error, "empty partitions of the log could not be dropped; tried again in an hour")
                    }
                }
                if let Err(error) = unscoped.ensure_partitions().await {
                    tracing::warn!(%error, "the log's next partitions could not be made; its default one takes what comes");
                }
                if let Err(error) = unscoped.sweep_readers().await {
                    tracing::warn!(%error, "readers at lost processes could not be forgotten; tried again in an hour");
                }
                if let Err(error) = unscoped.sweep_uploads().await {
                    tracing::warn!(%error, "uploads that nobody has used could not be forgotten; tried again in an hour");
                }
                if let Err(error) = unscoped.sweep_webhooks().await {
                    tracing::warn!(%error, "what was sent to webhooks could not be forgotten; tried again in an hour");
                }
                if let Err(error) = unscoped.sweep_requests().await {
                    tracing::warn!(%error, "old requests could not be forgotten; tried again in an hour");
                }
            }
            drop(first.take());
            let until_next = next.map_or(every, |at| {
                let left = u64::try_from(at.ms() - Timestamp::now().ms()).unwrap_or_default();
                every.min(Duration::from_millis(left.max(1)))
            });
            tokio::select! {
                () = tokio::time::sleep(until_next) => {}
                () = self.state.claim.notified() => {}
                () = self.runtime.delayed_accepted() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Gives runs that were to begin later, and are due, their places. When the next one is due.
    async fn release_delayed(&self) -> Option<Timestamp> {
        let unscoped = self.store.unscoped("runs that are due are of any tenant");
        loop {
            match unscoped.release_delayed(RELEASE).await {
                Ok((released, next)) if released < i64::from(RELEASE) => return next,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "could not look for runs that are due");
                    return None;
                }
            }
        }
    }

    /// Compacts the logs that are due, a few at a time, so that what is due for long disturbs nobody.
    async fn keep_no_longer(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.store.compact(COMPACT).await {
                Ok(0) => return,
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => {
                    tracing::warn!(%error, "logs could not be compacted; tried again in a minute");
                    return;
                }
            }
        }
    }

    /// Does what hints from other replicas say.
    pub(crate) async fn listen(self, mut hints: mpsc::Receiver<Hint>) {
        while let Some(hint) = hints.recv().await {
            match hint {
                Hint::More(run) => self.streams.poke(run),
                Hint::Follow { run, replica } => self.streams.followed(run, replica),
                Hint::Claim => self.state.claim.notify_one(),
                Hint::Taken(run) => {
                    if let Err(error) = self.runtime.let_go_of_taken(Some(run)).await {
                        tracing::warn!(%error, run.id = %run, "could not look whose run this is; the next sweep does");
                    }
                }
                Hint::Lost => {
                    self.streams.poke_remote();
                    self.state.claim.notify_one();
                }
            }
        }
    }

    /// Takes leave: what this process still owned is there for others at once. How many runs that were.
    pub(crate) async fn leave(&self, inside: &Store) -> Result<i64, StoreError> {
        self.replica.renewed(0);
        inside.unscoped("a process takes leave").replica_retire(self.replica.id()).await
    }

    /// The same at the end of the process.
    pub(crate) async fn retire(&self) {
        match self.leave(&self.store).await {
            Ok(0) => {}
            Ok(runs) => tracing::info!(runs, "handed over what was under way"),
            Err(error) => tracing::warn!(%error, "could not take leave; the lease will run out"),
        }
        self.bus.claim_now().await;
    }
}
