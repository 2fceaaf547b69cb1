//! Commits: events of a run, and the state that they tell of, in one transaction with those of other runs.
//!
//! Promises one verdict per commit, and that success is reported only after Postgres has committed synchronously.
//! Never reorders the commits of one run, because a run has at most one under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_protocol::api::Decider;
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

const COMMIT_BATCH: &str = "SELECT verdicts, next_runs FROM headwater.commit_batch($1,$2,$3,$4,$5,$6,$7,$8,$9)";

/// The right to append to one run: 128 random bits, unreadable in the database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken(pub Uuid);

impl LeaseToken {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "a random value is no default")]
    pub fn new() -> Self {
        let mut bytes = [0u8; 16];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
        Self(Uuid::from_bytes(bytes))
    }
}

impl std::fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LeaseToken(…)")
    }
}

/// The first line of every stored segment: whose it is.
pub fn segment_header(tenant: TenantId, run: RunId) -> String {
    format!("{} {}\n", tenant.uuid(), run.uuid())
}

/// What is to be written for one run: events, and with them the state that they tell of.
#[derive(Debug)]
pub struct Commit {
    /// The tenant.
    pub tenant: TenantId,
    /// The run's user.
    pub user: UserId,
    /// The run.
    pub run: RunId,
    /// Proof of ownership.
    pub token: LeaseToken,
    /// First sequence number.
    pub seq_from: u64,
    /// Last sequence number.
    pub seq_to: u64,
    /// [`segment_header`], then one event per line, each with its line break.
    pub segment: String,
    /// State that commits with the events. `None` for deltas.
    pub writes: Option<Arc<Writes>>,
}

/// State that commits with events.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Writes {
    /// Messages, new or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageWrite>,
    /// A finished step, for the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepWrite>,
    /// Messages of a step that is done again: they leave the thread.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withdraw: Vec<Uuid>,
    /// Calls of tools, new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallWrite>,
    /// Calls that went on: their whole state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub call_changes: Vec<CallChange>,
    /// Questions to a person, new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalWrite>,
    /// Questions that nobody has answered in time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<Uuid>,
    /// Of a run that ends: what becomes of calls that nobody has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<serde_json::Value>,
    /// What was said to the run while it was under way, and is among `messages` now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Uuid>,
    /// Settled model calls, for the ledger.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UsageWrite>,
    /// Whether money may be set aside for calls of the run: what `usage` says of them settles that, and with the run's end
    /// what is left of it is given back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reserved: bool,
    /// Changes of the run itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunWrite>,
}

/// A message row.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct MessageWrite {
    pub message_id: Uuid,
    pub thread_id: Uuid,
    pub user_id: Uuid,
    pub ord: i64,
    pub role: &'static str,
    pub status: &'static str,
    pub agent_id: Option<Uuid>,
    pub step: Option<i32>,
    pub content: serde_json::Value,
    pub created_at: jiff::Timestamp,
    pub completed_at: Option<jiff::Timestamp>,
}

/// A row of a call.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct CallWrite {
    pub call_id: Uuid,
    pub user_id: Uuid,
    pub step: i32,
    pub position: i32,
    pub name: String,
    pub kind: Option<&'static str>,
    pub effect: Option<String>,
    pub args: Option<serde_json::Value>,
    pub status: &'static str,
    pub output: Option<serde_json::Value>,
    pub error: Option<serde_json::Value>,
    pub ttl_ms: Option<i64>,
    pub approval_id: Option<Uuid>,
    pub expires_at: Option<jiff::Timestamp>,
    pub created_at: jiff::Timestamp,
    pub answered_at: Option<jiff::Timestamp>,
}

/// A change of a call: what is absent becomes NULL, but `started_at` and `approval_id`, which stay. `started`: its owner
/// begins to carry it out now, by Postgres' clock.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct CallChange {
    pub call_id: Uuid,
    pub status: &'static str,
    pub output: Option<serde_json::Value>,
    pub error: Option<serde_json::Value>,
    pub started: bool,
    pub approval_id: Option<Uuid>,
    pub expires_at: Option<jiff::Timestamp>,
    pub answered_at: Option<jiff::Timestamp>,
    pub artifact_id: Option<Uuid>,
}

/// A row of an approval.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct ApprovalWrite {
    pub approval_id: Uuid,
    pub thread_id: Uuid,
    pub user_id: Uuid,
    pub agent_id: Uuid,
    pub call_id: Uuid,
    pub kind: &'static str,
    pub name: String,
    pub args: serde_json::Value,
    pub args_hash: String,
    pub message: String,
    pub schema: serde_json::Value,
    pub deciders: Vec<Decider>,
    pub expires_at: jiff::Timestamp,
    pub created_at: jiff::Timestamp,
}

/// A journal row.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct StepWrite {
    pub step: i32,
    pub user_id: Uuid,
    pub attempt: i32,
    pub message_id: Uuid,
    pub model_call: Uuid,
    pub model: String,
    pub finish_reason: String,
    pub seq: u64,
    pub finished_at: jiff::Timestamp,
}

/// A ledger row. `usage`: input, cached input, cache write, output, reasoning.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct UsageWrite {
    pub model_call: Uuid,
    pub step: i32,
    pub user_id: Uuid,
    pub agent_id: Uuid,
    pub model: String,
    pub usage: [u64; 5],
    pub cost_nano_usd: Option<i64>,
    pub expected_nano_usd: Option<i64>,
    pub estimated: bool,
    pub outcome: &'static str,
    pub attempt: u32,
    pub queued_ms: u64,
    pub first_token_ms: Option<u64>,
    pub duration_ms: u64,
    pub settled_at: jiff::Timestamp,
    pub reserve_nano_usd: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<serde_json::Value>,
}

/// Changes of a run. What is absent stays. With `finished_at` the run ends, and the next one that waits on its thread
/// is taken for this replica under `next_token`.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct RunWrite {
    pub thread_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<[u64; 5]>,
    /// `Some(None)`: the cost is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano_usd: Option<Option<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_estimated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<jiff::Timestamp>,
    /// With the status `suspended`: the run then is nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<jiff::Timestamp>,
    /// The same: the calls that are waited for, and whether for an answer (`pending`) or a decision (`asked`). If that is
    /// not what the rows say, the run does not suspend: [`Verdict::Unread`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub waits_for: BTreeMap<Uuid, String>,
    /// The same: the budget that is waited for, as [`Closest::waits`](crate::scoped::Closest::waits) writes it. If it does
    /// not forbid the run to go on any more, the run does not suspend: [`Verdict::Unread`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_budget: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<jiff::Timestamp>,
    pub next_token: Uuid,
    /// Messages that join the run's input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_messages: Vec<Uuid>,
    /// The run does not end if something was said to it that no step has taken: [`Verdict::Unread`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unless_input: bool,
    /// The thread's next run is left to other replicas.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub leave_next: bool,
}

impl RunWrite {
    /// No change yet.
    pub fn new(thread: headwater_protocol::ThreadId) -> Self {
        Self {
            thread_id: thread.uuid(),
            status: None,
            steps: None,
            usage: None,
            cost_nano_usd: None,
            cost_estimated: None,
            result: None,
            error: None,
            cancel_requested_at: None,
            started_at: None,
            suspended_at: None,
            waits_for: BTreeMap::new(),
            waits_budget: None,
            finished_at: None,
            next_token: LeaseToken::new().0,
            input_messages: Vec::new(),
            unless_input: false,
            leave_next: false,
        }
    }
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable. At the end of a run: the one that was waiting and is now ours.
    Ok {
        /// The next run of the thread, claimed under the commit's `next_token`.
        next: Option<RunId>,
    },
    /// Another owner, or not the next in order. Nothing was written.
    Stale,
    /// The run is over. Nothing was written.
    Ended,
    /// There is no such run. Nothing was written.
    Gone,
    /// Something was said to the run that no step has taken, and it was not to end then. Nothing was written.
    Unread,
    /// Postgres refused these rows, or was away for too long.
    Failed(String),
}

/// Accepts commits from all runs of a replica. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Committer {
    queue: Arc<Queue<Commit>>,
}

impl Committer {
    /// Starts the flush workers: as many as there are flush connections.
    pub fn start(
        store: Store,
        replica: impl Into<Replica>,
        workers: usize,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        Self { queue: Queue::start("flush", store, replica.into(), workers, tasks, stop) }
    }

    /// Queues a commit. The answer comes when Postgres has spoken.
    pub fn commit(&self, commit: Commit) -> oneshot::Receiver<Verdict> {
        self.queue.push(commit)
    }

    /// Whether nothing is being written, nor waits to be.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }
}

impl Work for Commit {
    const NAME: &'static str = "commit";
    type Answer = Verdict;

    fn size(&self) -> usize {
        self.segment.len()
    }

    fn order(batch: &mut [Queued<Self>]) {
        // The ends of runs lock their threads; every batch does so in the same order.
        batch.sort_by_key(|item| {
            item.work.writes.as_ref().and_then(|writes| writes.run.as_ref()).map(|run| run.thread_id)
        });
    }

    fn is_late(&self) -> bool {
        // A run waits for its own events as long as it takes.
        false
    }

    fn tell(&self, verdict: &Verdict, store: &Store) {
        let (Some(writes), Verdict::Ok { .. }) = (self.writes.as_deref(), verdict) else { return };
        let over = writes.run.as_ref().is_some_and(|run| run.finished_at.is_some());
        let rests = over || writes.run.as_ref().is_some_and(|run| run.suspended_at.is_some());
        if rests {
            store.rested(self.tenant, self.run, over);
        }
        if rests || !writes.approvals.is_empty() || !writes.expired.is_empty() {
            store.ring();
        }
    }

    fn failed(error: &StoreError) -> Verdict {
        if matches!(error, StoreError::Unread) {
            return Verdict::Unread;
        }
        Verdict::Failed(error.to_string())
    }

    async fn write(
        client: &Connection,
        replica: ReplicaId,
        items: &[Queued<Self>],
    ) -> Result<Vec<Verdict>, StoreError> {
        let column = |f: fn(&Commit) -> Uuid| items.iter().map(|item| f(&item.work)).collect::<Vec<_>>();
        let tenants = column(|c| c.tenant.uuid());
        let users = column(|c| c.user.uuid());
        let runs = column(|c| c.run.uuid());
        let tokens = column(|c| c.token.0);
        let from: Vec<i64> = items.iter().map(|item| item.work.seq_from as i64).collect();
        let to: Vec<i64> = items.iter().map(|item| item.work.seq_to as i64).collect();
        let segments: Vec<&str> = items.iter().map(|item| item.work.segment.as_str()).collect();
        let writes: Vec<Option<Json<&Writes>>> =
            items.iter().map(|item| item.work.writes.as_deref().map(Json)).collect();
        let row = client
            .query_one(COMMIT_BATCH, &[&replica.0, &tenants, &users, &runs, &tokens, &from, &to, &segments, &writes])
            .await?;
        let verdicts: Vec<&str> = row.get(0);
        let next: Vec<Option<Uuid>> = row.get(1);
        Ok(verdicts
            .into_iter()
            .zip(next)
            .map(|(verdict, next)| match verdict {
                "ok" | "done" => Verdict::Ok { next: next.map(RunId::from_uuid) },
                "ended" => Verdict::Ended,
                "gone" => Verdict::Gone,
                _ => Verdict::Stale,
            })
            .collect())
    }
}
