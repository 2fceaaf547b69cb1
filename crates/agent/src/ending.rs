//! Ending a run that another owner left behind, or that lost its own task.
//!
//! The log says what is open; nothing is left open. The events that close it and the rows they tell of commit together.

use headwater_protocol::api::RunStatus;
use headwater_protocol::event::{Actor, EventBody, MessageStatus};
use headwater_protocol::fold::Fold;
use headwater_protocol::{Problem, RunId, Scope, TenantId, Timestamp, Usage};
use headwater_store::StoreError;
use headwater_store::commit::{LeaseToken, RunWrite, Writes};
use headwater_store::scoped::{Author, Left, RunForEnd, StoredCall};
use headwater_stream::{RunIdentity, WriteError};

use crate::carry;
use crate::lost::{self, Totals};
use crate::metrics;
use crate::runtime::AgentRuntime;
use crate::step::{counts, message_write};

/// How a run ends that did not end by itself.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// With this error.
    Failed(Problem),
    /// Because somebody asked for it.
    Cancelled(Actor),
}

impl Ending {
    /// Who asked for it, if somebody did.
    pub(crate) fn by(&self) -> Option<&Actor> {
        match self {
            Ending::Failed(_) => None,
            Ending::Cancelled(by) => Some(by),
        }
    }

    /// The terminal event.
    pub(crate) fn event(&self, usage: Usage, cost: Option<headwater_protocol::Money>) -> EventBody {
        match self {
            Ending::Failed(error) => EventBody::RunFailed {
                code: error.code,
                message: error.detail.clone(),
                retryable: error.retryable,
                error: error.clone(),
                usage,
                cost,
            },
            Ending::Cancelled(by) => EventBody::RunCancelled { by: by.clone(), usage, cost },
        }
    }

    /// Counts it, once it is committed.
    pub(crate) fn count(&self, begun: Option<Timestamp>) {
        match self {
            Ending::Failed(error) => metrics::ended(RunStatus::Failed.as_str(), Some(error), begun),
            Ending::Cancelled(_) => metrics::ended(RunStatus::Cancelled.as_str(), None, begun),
        }
    }

    /// The change of the run's row.
    pub(crate) fn write(&self, write: &mut RunWrite, at: Timestamp) {
        write.finished_at = Some(at.0);
        match self {
            Ending::Failed(error) => {
                write.status = Some(RunStatus::Failed.as_str());
                let mut error = error.clone();
                // A provider's words may hold what Postgres cannot.
                error.detail = error.detail.map(|detail| detail.replace('\0', "\u{fffd}"));
                write.error = serde_json::to_value(error).ok();
            }
            Ending::Cancelled(_) => {
                write.status = Some(RunStatus::Cancelled.as_str());
                write.cancel_requested_at = Some(at.0);
            }
        }
    }
}

/// How often a run is tried whose data does not read, or whose end Postgres refuses.
const ATTEMPTS: u32 = 3;

/// Ends a run that this process has taken. Tries until it is done, or fenced, or the process ends. Returns the thread's
/// next run, which is ours then.
pub(crate) async fn end(runtime: &AgentRuntime, identity: RunIdentity, ending: Ending) -> Option<(RunId, LeaseToken)> {
    let mut pause = std::time::Duration::from_millis(50);
    for attempt in 1.. {
        match try_end(runtime, identity, &ending).await {
            Ok(next) => return next,
            Err(error @ (StoreError::Corrupt(_) | StoreError::Database(_))) if attempt >= ATTEMPTS => {
                tracing::error!(%error, run.id = %identity.run, "a run cannot be ended by this build; it is given back");
                // Without an owner it is counted, by `doctor` too, and tried again with each sweep.
                let parts = &runtime.inner.parts;
                let unscoped = parts.store.unscoped("gives back what it cannot end");
                let _ = unscoped.release_run(parts.replica.id(), identity.tenant, identity.run).await;
                return None;
            }
            Err(error) if !runtime.inner.parts.hard.is_cancelled() => {
                tracing::warn!(%error, run.id = %identity.run, "a run could not be ended; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(std::time::Duration::from_secs(5));
            }
            Err(_) => return None,
        }
    }
    None
}

async fn try_end(
    runtime: &AgentRuntime,
    identity: RunIdentity,
    ending: &Ending,
) -> Result<Option<(RunId, LeaseToken)>, StoreError> {
    let scope = Scope { tenant: identity.tenant, user: Some(identity.user) };
    let storage = runtime.inner.parts.store.scoped(scope);
    let Some(run) = storage.run_for_end(identity.run).await? else { return Ok(None) };
    let fold = storage.events_fold(identity.run).await?;
    if fold.terminal {
        return Ok(None);
    }
    let mut writer = runtime.inner.parts.streams.writer(identity, fold.seq);
    let rows = match fold.calling_step() {
        Some(step) => storage.calls(identity.run, Some(step)).await?,
        None => Vec::new(),
    };
    let left = storage.reservations_of(identity.run).await?;
    let (events, writes, token) = closing(runtime, identity.tenant, &run, &fold, (&rows, &left), ending).await;
    match writer.commit(events, writes).await {
        Ok(next) => {
            ending.count(None);
            runtime.end_sub_runs(identity, &rows);
            runtime.wake_parent(identity.tenant, identity.user, run.parent);
            Ok(next.map(|next| (next, token)))
        }
        Err(WriteError::Fenced) => Ok(None),
        // Only a run that completes waits for what was said to it.
        Err(WriteError::Unread) => Err(StoreError::Unread),
        Err(WriteError::Refused(reason)) => Err(StoreError::Database(reason)),
    }
}

/// Ends what the log has open, a message, questions or calls: the events, and the rows they tell of.
pub(crate) fn close_open(
    author: Author,
    fold: &Fold,
    rows: &[StoredCall],
    by: Option<&Actor>,
    writes: &mut Writes,
) -> Vec<EventBody> {
    let mut events = Vec::new();
    if let Some(open) = &fold.open {
        let now = Timestamp::now();
        events.extend(open.close(MessageStatus::Incomplete));
        writes.messages.push(message_write(author, open, MessageStatus::Incomplete, now, Some(now)));
    }
    let (failed, error) = carry::abandon(carry::open_calls(fold), &fold.approvals, rows, by);
    events.extend(failed);
    writes.unanswered = error;
    events
}

async fn closing(
    runtime: &AgentRuntime,
    tenant: TenantId,
    run: &RunForEnd,
    fold: &Fold,
    (rows, left): (&[StoredCall], &Left),
    ending: &Ending,
) -> (Vec<EventBody>, Writes, LeaseToken) {
    let now = Timestamp::now();
    let (mut events, mut writes) = (Vec::new(), Writes::default());
    let mut totals = Totals { usage: fold.usage, cost: fold.cost(), estimated: run.cost_estimated };
    events.extend(close_open(run.author, fold, rows, ending.by(), &mut writes));
    for event in &events {
        if let EventBody::SubRunFinished { usage, cost, estimated, .. } = event {
            totals.add(*usage, *cost);
            totals.estimated |= estimated;
        }
    }
    let (settled, rows) = lost::settle(runtime, tenant, run.author, fold, "failed", left, &mut totals).await;
    events.extend(settled);
    writes.usage = rows;
    writes.reserved = true;
    let Totals { usage, cost, estimated } = totals;
    events.push(ending.event(usage, cost));
    let mut write = RunWrite::new(run.author.thread);
    write.leave_next = runtime.is_draining();
    let token = LeaseToken(write.next_token);
    ending.write(&mut write, now);
    write.usage = Some(counts(usage));
    write.cost_nano_usd = Some(cost.map(|cost| cost.0));
    write.cost_estimated = Some(estimated);
    write.steps = Some(fold.steps);
    writes.run = Some(write);
    (events, writes, token)
}
