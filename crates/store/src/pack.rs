//! Packing: the log of a run that has ended, rewritten into few rows, byte for byte the same events. And, when its tenant
//! keeps it no longer, compacting: without its deltas.
//!
//! Only a matter of space and of rows to read later, so it gives way to everything else: it waits until nothing is being
//! flushed, or until so much has gathered that it must be done. What is not packed when the process ends stays as it is
//! and reads the same. Nothing ticks while nothing is to be packed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_protocol::{RunId, TenantId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::commit::Committer;
use crate::{Busy, Gate, Store, StoreError, pool};

/// Logs packed in one transaction.
const BATCH: usize = 16;
/// How often it is looked whether there is time now.
const LOOK: Duration = Duration::from_millis(200);
/// Logs that may wait for a quiet moment. Beyond, they are packed among everything else.
const PATIENT: usize = 4096;
/// Logs that may wait at all: beyond, the oldest is left as it is.
const MOST: usize = 16_384;

/// Packs logs when there is time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Packer {
    waiting: Arc<Waiting>,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Log {
    tenant: TenantId,
    run: RunId,
    /// A process with something to pack is not quiet.
    _busy: Busy,
}

#[derive(Debug, Default)]
struct Waiting {
    logs: Mutex<VecDeque<Log>>,
    more: Notify,
}

impl Packer {
    /// Starts its one task, which ends with `stop`.
    pub fn start(store: Store, committer: Committer, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let waiting = Arc::new(Waiting::default());
        let packer = Self { waiting: waiting.clone(), gate: store.gate().clone() };
        pool::spawn(tasks, "pack", async move {
            tokio::select! {
                () = waiting.work(&store, &committer) => {}
                () = stop.cancelled() => {}
            }
        });
        packer
    }

    /// Has a finished run's log packed, in good time.
    pub fn add(&self, tenant: TenantId, run: RunId) {
        let mut logs = self.waiting.lock();
        if logs.len() == MOST {
            logs.pop_front();
        }
        logs.push_back(Log { tenant, run, _busy: self.gate.begin() });
        drop(logs);
        self.waiting.more.notify_one();
    }
}

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Log>> {
        self.logs.lock().expect("no panic while queueing")
    }

    async fn work(&self, store: &Store, committer: &Committer) {
        loop {
            let waiting = self.lock().len();
            if waiting == 0 {
                self.more.notified().await;
                // Runs end in groups, and their tenants want the next ones to begin first.
                tokio::time::sleep(LOOK).await;
                continue;
            }
            if waiting < PATIENT && !committer.is_idle() {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let batch: Vec<_> = {
                let mut logs = self.lock();
                let count = logs.len().min(BATCH);
                logs.drain(..count).collect()
            };
            let runs: Vec<_> = batch.iter().map(|log| (log.tenant, log.run)).collect();
            if let Err(error) = store.pack(&runs).await {
                tracing::debug!(%error, logs = batch.len(), "logs were not packed");
            }
        }
    }
}

impl Store {
    /// Drops the deltas of so many runs that have been over for as long as their tenants keep logs. Returns how many
    /// there were.
    ///
    /// # Errors
    /// When the database is away, or a run is being erased for longer than a lock is waited for: then none was compacted.
    pub async fn compact(&self, at_most: i32) -> Result<usize, StoreError> {
        let client = self.client().await?;
        let rows = client.query("SELECT tenant_id, run_id FROM headwater.retention_due($1)", &[&at_most]).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let tenants: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
        let runs: Vec<Uuid> = rows.iter().map(|row| row.get(1)).collect();
        client.query("SELECT headwater.compact_batch($1, $2)", &[&tenants, &runs]).await?;
        Ok(rows.len())
    }

    /// Packs the logs of these runs, each under its tenant's scope, in one transaction. Runs that are not over, or not
    /// there, are left alone.
    ///
    /// # Errors
    /// When the database is away, or a run is being erased for longer than a lock is waited for: then none was packed.
    pub async fn pack(&self, logs: &[(TenantId, RunId)]) -> Result<(), StoreError> {
        let client = self.client().await?;
        let tenants: Vec<Uuid> = logs.iter().map(|(tenant, _)| tenant.uuid()).collect();
        let runs: Vec<Uuid> = logs.iter().map(|(_, run)| run.uuid()).collect();
        client.query("SELECT headwater.pack_batch($1, $2)", &[&tenants, &runs]).await?;
        Ok(())
    }
}
