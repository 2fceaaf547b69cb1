//! Going on with a run that was under way elsewhere.
//!
//! Its log says how far it came. Steps that are finished are never done again. A step whose model call was cut is done
//! again: readers are told to throw away what it produced, its messages leave the thread, and the lost call is settled. Where
//! the provider keeps the answer, it is read on instead: nobody asks, pays or throws away.

use headwater_protocol::api::{ApprovalStatus, RunStatus};
use headwater_protocol::event::{EventBody, FinishReason};
use headwater_protocol::fold::Fold;
use headwater_protocol::{ErrorCode, Problem, Timestamp};
use headwater_store::commit::{UsageWrite, Writes};
use headwater_store::scoped::{Left, StoredApproval, StoredCall};
use headwater_stream::WriteError;
use std::time::Duration;

use crate::calls;
use crate::ending::{self, Ending};
use crate::execute::{Next, RunState};
use crate::lost::{self, Totals};
use crate::metrics;
use crate::step::{Called, KeptAnswer};
use crate::structured;
use crate::sub_runs;

/// A run that was under way elsewhere.
#[derive(Debug)]
pub(crate) struct Resumed {
    /// What its log says.
    pub(crate) fold: Fold,
    /// Whether its owner died; else it was handed over.
    pub(crate) died: bool,
    /// Owners that have died with it in their hands.
    pub(crate) deaths: i32,
}

/// What comes of it.
pub(crate) enum Ahead {
    /// This step is next, and has begun in the log.
    Step(i32),
    /// The answer of a step's model, which its provider keeps.
    Answer(Box<KeptAnswer>),
    /// The calls of a step whose message is whole.
    Calls(Box<Called>),
    /// The run is over.
    Ended(Next),
}

impl Resumed {
    /// How long it has waited for somebody.
    pub(crate) fn waited(&self) -> Duration {
        let since = self.fold.suspended_at.map_or(0, |since| Timestamp::now().ms() - since.ms());
        Duration::from_millis(self.fold.suspended_ms.saturating_add(u64::try_from(since).unwrap_or_default()))
    }
}

/// Whether a question about this call has been answered, or can be no more, and the log does not say so yet.
fn is_decided(call: &StoredCall, fold: &Fold) -> bool {
    let unresolved = |approval: &StoredApproval| fold.approvals.iter().any(|(open, _)| *open == approval.id);
    call.approval.as_ref().is_some_and(|approval| {
        unresolved(approval) && (approval.status != ApprovalStatus::Pending || call.late && call.status == "asked")
    })
}

impl RunState<'_> {
    /// Writes down that the run goes on here, and with what.
    pub(crate) async fn resume(&mut self, resumed: Resumed) -> Result<Ahead, WriteError> {
        let Resumed { fold, died, deaths } = resumed;
        let calls = match fold.calling_step() {
            Some(step) => self.calls_of(step).await?,
            None => Vec::new(),
        };
        let storage = self.storage();
        let left = self.through_outage(|| storage.reservations_of(self.run.id)).await?;
        if !left.calls.is_empty() {
            self.purse.note();
        }
        self.warned.clone_from(&fold.warned);
        self.tool_calls = fold.tool_calls;
        // A step behind one that had ended in words: it is there to put right what those were.
        if fold.finish_reason == Some(FinishReason::Stop) && fold.open_step.is_some() {
            self.repair = Some(structured::UNKNOWN.to_owned());
        }
        self.steps = fold.open_step.map_or(fold.steps, |open| open - 1);
        if deaths >= self.config.limits.max_attempts {
            let words = format!("{deaths} server processes died while they ran this");
            let ending = Ending::Failed(Problem::new(ErrorCode::AttemptsExhausted, words));
            return self.end_from(&fold, &calls, &left, ending).await.map(Ahead::Ended);
        }
        let reason = match (died, fold.suspended_at) {
            (true, _) => "takeover",
            (false, Some(_)) if calls.iter().any(|call| is_decided(call, &fold)) => "decision",
            (false, Some(_)) if sub_runs::due(&calls, self.at_once()).next().is_some() => "sub_run",
            (false, Some(_)) if calls.is_empty() => "budget",
            (false, Some(_)) => "input",
            (false, None) => "handover",
        };
        metrics::resumed(reason);
        let mut events = vec![EventBody::RunResumed { attempt: self.run.attempt, reason: reason.into() }];
        let kept = KeptAnswer::of(&fold, &left).filter(|kept| calls.is_empty() && self.may_read_on(kept));
        if let Some(kept) = kept {
            // Its call goes on: it is not lost, and nothing that was told of it is void.
            self.count(Totals { usage: fold.usage, cost: fold.cost(), estimated: self.run.cost_estimated });
            let mut write = self.totals();
            write.status = Some(RunStatus::Running.as_str());
            self.writer.commit(events, Writes { run: Some(write), ..Writes::default() }).await?;
            return Ok(Ahead::Answer(Box::new(kept)));
        }
        let (settled, rows) = self.settle_lost(&fold, &left, "reset").await;
        let mut writes = Writes { usage: rows, reserved: self.purse.is_touched(), ..Writes::default() };
        if !calls.is_empty() {
            // The model has spoken, and is not asked again.
            let mut write = self.totals();
            write.status = Some(RunStatus::Running.as_str());
            events.extend(settled);
            writes.run = Some(write);
            self.writer.commit(events, writes).await?;
            return Ok(Ahead::Calls(Box::new(calls::recall(self, &fold))));
        }
        events.extend(throw_away(&fold, "takeover", &mut writes));
        events.extend(settled);
        let step = fold.open_step.unwrap_or(fold.steps + 1);
        if fold.open_step.is_none() {
            let model = self.config.model.clone();
            events.push(EventBody::StepStarted { step, model, input_messages: Vec::new() });
        }
        let mut write = self.totals();
        write.status = Some(RunStatus::Running.as_str());
        writes.run = Some(write);
        self.writer.commit(events, writes).await?;
        Ok(Ahead::Step(step))
    }

    /// Lets go of an answer that was to be read on: its step is begun anew, or the run ends. `Some`: it has ended.
    pub(crate) async fn detach(
        &mut self,
        events: Vec<EventBody>,
        writes: Writes,
        ending: Option<Ending>,
    ) -> Result<Option<Next>, WriteError> {
        if !events.is_empty() || !writes.usage.is_empty() {
            self.writer.commit(events, writes).await?;
        }
        // What was read on is in the log as well.
        let (storage, run) = (self.storage(), self.run.id);
        let fold = self.through_outage(|| storage.events_fold(run)).await?;
        let left = self.through_outage(|| storage.reservations_of(run)).await?;
        if let Some(ending) = ending {
            return self.end_from(&fold, &[], &left, ending).await.map(Some);
        }
        let (settled, rows) = self.settle_lost(&fold, &left, "reset").await;
        let mut writes = Writes { usage: rows, reserved: self.purse.is_touched(), ..Writes::default() };
        let mut events: Vec<_> = throw_away(&fold, "stream_broken", &mut writes).into_iter().collect();
        events.extend(settled);
        if !events.is_empty() {
            writes.run = Some(self.totals());
            self.writer.commit(events, writes).await?;
        }
        Ok(None)
    }

    /// Whether an answer that is kept can be read on here.
    fn may_read_on(&self, kept: &KeptAnswer) -> bool {
        !self.cancel.is_cancelled() && self.runtime.inner.parts.llm.keeps(&kept.call.model)
    }

    /// Settles the calls whose end nobody saw, and counts them.
    async fn settle_lost(
        &mut self,
        fold: &Fold,
        left: &Left,
        outcome: &'static str,
    ) -> (Vec<EventBody>, Vec<UsageWrite>) {
        let estimated = self.run.cost_estimated || self.estimated;
        let mut totals = Totals { usage: fold.usage, cost: fold.cost(), estimated };
        let (tenant, author) = (self.writer.identity().tenant, self.author());
        let settled = lost::settle(self.runtime, tenant, author, fold, outcome, left, &mut totals).await;
        self.count(totals);
        settled
    }

    fn count(&mut self, totals: Totals) {
        Totals { usage: self.usage, cost: self.cost, estimated: self.estimated } = totals;
    }

    /// Ends the run from what its log holds. What it said so far stays, as of any run that fails.
    async fn end_from(
        &mut self,
        fold: &Fold,
        calls: &[StoredCall],
        left: &Left,
        ending: Ending,
    ) -> Result<Next, WriteError> {
        let (settled, rows) = self.settle_lost(fold, left, "reset").await;
        let mut writes = Writes { usage: rows, reserved: self.purse.is_touched(), ..Writes::default() };
        let mut events = ending::close_open(self.author(), fold, calls, ending.by(), &mut writes);
        for event in &events {
            self.count_sub_run(event);
        }
        events.extend(settled);
        let next = Box::pin(self.end(events, writes, ending)).await?;
        self.runtime.end_sub_runs(self.writer.identity(), calls);
        Ok(next)
    }
}

/// What was told of a step that is done again is void: readers throw it away, and its messages leave the thread.
fn throw_away(fold: &Fold, reason: &str, writes: &mut Writes) -> Option<EventBody> {
    if fold.messages.is_empty() && fold.unsettled.is_empty() {
        return None;
    }
    let begun = fold.open.iter().flat_map(|open| open.calls.iter().map(|call| call.call));
    let void = begun.chain(fold.calls.iter().map(|call| call.call));
    writes.withdraw = fold.messages.iter().map(|message| message.uuid()).collect();
    Some(EventBody::StepReset {
        step: fold.open_step.unwrap_or(1),
        reason: reason.into(),
        messages: fold.messages.clone(),
        calls: void.collect(),
    })
}
