//! Creations: new runs of all tenants, several in one transaction.
//!
//! Promises that a run is reported as accepted only after it is durable with its input, its thread and what a repeated
//! request must find again; a refusal leaves nothing behind. An answer that was lost on the way is asked for again, so
//! no run is ever accepted without its owner knowing of it.

use std::sync::Arc;
use std::time::Instant;

use headwater_protocol::{ReplicaId, RunId, TenantId, UserId};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio_postgres::types::Json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::batch::{Queue, Queued, Work};
use crate::connection::Connection;
use crate::{Replica, Store, StoreError};

/// A run to be accepted.
#[derive(Debug)]
pub struct NewRun {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// When whoever asks for it has given up.
    pub until: Instant,
    /// Everything the database has to know.
    pub params: NewRunParams,
    /// The segment that holds `run.queued` alone.
    pub first: String,
    /// The segment that also holds the events of the loop's beginning.
    pub started: String,
}

/// A new run as the database takes it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct NewRunParams {
    pub run_id: Uuid,
    pub thread_id: Uuid,
    pub new_thread: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_external_id: Option<String>,
    pub thread_metadata: serde_json::Value,
    pub message_id: Uuid,
    pub content: serde_json::Value,
    pub agent_id: Uuid,
    pub agent_version: i32,
    /// What the caller took for the agent's active version.
    pub active_version: i32,
    /// And for its name.
    pub agent_name: String,
    pub model: String,
    pub priority: serde_json::Value,
    pub on_conflict: serde_json::Value,
    pub on_disconnect: serde_json::Value,
    pub disconnect_grace_ms: i64,
    pub visibility: serde_json::Value,
    pub overrides: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub metadata: serde_json::Value,
    pub token: Uuid,
    /// Whether the loop may begin at once, when the thread is free.
    pub start: bool,
    /// The last sequence number of the segment with which it does.
    pub started_to: u64,
    /// How many runs may wait on the thread.
    pub max_queued: i32,
    /// What the input shows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Uuid>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub source: Option<RunOfCall>,
    pub created_at: jiff::Timestamp,
    /// Not before then: it is asked nothing about its thread until it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<jiff::Timestamp>,
    /// The schedule that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_id: Option<Uuid>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<RunIdempotency>,
}

/// The call that a run carries out.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RunOfCall {
    /// The run that made the call.
    pub parent_run: Uuid,
    /// The call.
    pub parent_call: Uuid,
    /// How many runs are above the new one.
    pub depth: i32,
    /// How many there may be below the one at the top.
    pub max_below: i32,
}

/// What a repeated request must find again.
#[derive(Debug, Clone, Serialize)]
pub struct RunIdempotency {
    /// Who sent it: a user or a key.
    pub actor: Uuid,
    /// The request's key.
    pub idempotency_key: String,
    /// Hash of the request, in hex.
    pub fingerprint: String,
}

/// What became of a new run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is there and this replica's.
    Yes {
        /// Its place in the thread.
        ord: i64,
        /// The run it waits behind.
        after_run: Option<RunId>,
        /// Whether its loop has begun.
        running: bool,
        /// Runs of the thread that are to end now, in this order: the request asked for it.
        gives_way: Vec<RunId>,
    },
    /// It is no run of its own: it was said to this one, which is under way.
    Steered(RunId),
    /// The same request was here before and made this run.
    Replay {
        /// The run.
        run: RunId,
        /// Whether it was there before, and the request said something to it.
        steered: bool,
    },
    /// It was refused, for a reason the API has a code for.
    Refused {
        /// `not_found`, `user_blocked`, `agent_changed`, `already_exists`, `thread_busy`, `too_many_runs`,
        /// `idempotency_mismatch`, `artifact_gone`; of a run that carries out a call: `called_before`, `nobody_waits`, `too_many_below`.
        reason: String,
        /// What the reason is about: `existing`, `param`, `active_run`, `limit`.
        details: serde_json::Map<String, serde_json::Value>,
    },
    /// Postgres refused, or was away for too long.
    Failed(String),
}

/// Accepts new runs of all tenants. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Creator {
    queue: Arc<Queue<NewRun>>,
}

impl Creator {
    /// Starts the workers.
    pub fn start(
        store: Store,
        replica: impl Into<Replica>,
        workers: usize,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        Self { queue: Queue::start("create", store, replica.into(), workers, tasks, stop) }
    }

    /// Queues a new run. The answer comes when Postgres has spoken.
    pub fn create(&self, run: NewRun) -> oneshot::Receiver<Created> {
        self.queue.push(run)
    }
}

impl Work for NewRun {
    const NAME: &'static str = "create";
    type Answer = Created;

    fn size(&self) -> usize {
        self.started.len() + self.params.content.to_string().len()
    }

    fn order(batch: &mut [Queued<Self>]) {
        // Threads are locked in this order by every batch, so that two of them cannot wait for each other; before them the
        // runs of which calls are carried out, as everybody locks first a run and then a thread.
        batch.sort_by_key(|item| (item.work.params.source.is_none(), item.work.params.thread_id));
    }

    fn is_late(&self) -> bool {
        // Whoever accepted the request has given up by then; nothing was promised yet.
        Instant::now() > self.until
    }

    fn failed(error: &StoreError) -> Created {
        let taken = match error {
            StoreError::Taken { constraint } => constraint.as_str(),
            _ => "",
        };
        // Somebody was first by a moment, in another transaction.
        if taken == "runs_of_call" {
            return Created::Refused { reason: "called_before".into(), details: serde_json::Map::new() };
        }
        if taken == "runs_external_id" {
            let param = serde_json::Map::from_iter([("param".to_owned(), "/external_id".into())]);
            return Created::Refused { reason: "already_exists".into(), details: param };
        }
        Created::Failed(error.to_string())
    }

    async fn write(
        client: &Connection,
        replica: ReplicaId,
        items: &[Queued<Self>],
    ) -> Result<Vec<Created>, StoreError> {
        let tenants: Vec<Uuid> = items.iter().map(|item| item.work.tenant.uuid()).collect();
        let users: Vec<Uuid> = items.iter().map(|item| item.work.user.uuid()).collect();
        let params: Vec<Json<&NewRunParams>> = items.iter().map(|item| Json(&item.work.params)).collect();
        let first: Vec<&str> = items.iter().map(|item| item.work.first.as_str()).collect();
        let started: Vec<&str> = items.iter().map(|item| item.work.started.as_str()).collect();
        let sql = "SELECT headwater.create_runs($1,$2,$3,$4,$5,$6)";
        let row = client.query_one(sql, &[&replica.0, &tenants, &users, &params, &first, &started]).await?;
        let answers: Vec<serde_json::Value> = row.get(0);
        answers.into_iter().map(created).collect()
    }
}

fn created(answer: serde_json::Value) -> Result<Created, StoreError> {
    let serde_json::Value::Object(mut answer) = answer else {
        return Err(StoreError::Corrupt("create_run answered no object".into()));
    };
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let uuid = |value: &serde_json::Value| value.as_str().and_then(|text| Uuid::try_parse(text).ok());
    if let Some(reason) = answer.remove("refused").as_ref().and_then(text) {
        return Ok(Created::Refused { reason, details: answer });
    }
    if let Some(run) = answer.get("replay").and_then(uuid) {
        let steered = answer.get("steered").and_then(serde_json::Value::as_bool).unwrap_or_default();
        return Ok(Created::Replay { run: RunId::from_uuid(run), steered });
    }
    if let Some(run) = answer.get("steered").and_then(uuid) {
        return Ok(Created::Steered(RunId::from_uuid(run)));
    }
    let gives_way =
        answer.get("gives_way").and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(Created::Yes {
        gives_way: gives_way.iter().filter_map(uuid).map(RunId::from_uuid).collect(),
        ord: answer.get("ord").and_then(serde_json::Value::as_i64).unwrap_or_default(),
        after_run: answer.get("after_run").and_then(uuid).map(RunId::from_uuid),
        running: answer.get("status").is_some_and(|status| status == "running"),
    })
}
