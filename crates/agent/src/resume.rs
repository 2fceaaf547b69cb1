//! Going on with a run that was under way elsewhere.
//!
//! Its log says how far it came. Steps that are finished are never done again. A step whose model call was cut is done
//! again: readers are told to throw away what it produced, its messages leave the thread, and the lost call is settled.

use headwater_protocol::api::{ApprovalStatus, RunStatus};
use headwater_protocol::event::{EventBody, FinishReason};
use headwater_protocol::fold::Fold;
use headwater_protocol::{ErrorCode, Problem, Timestamp};
use headwater_store::commit::Writes;
use headwater_store::scoped::{StoredApproval, StoredCall};
use headwater_stream::WriteError;
use std::time::Duration;

use crate::calls;
use crate::ending::{self, Ending};
use crate::execute::{Next, RunState};
use crate::lost::{self, Totals};
use crate::step::Called;
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
        let mut totals = Totals { usage: fold.usage, cost: fold.cost(), estimated: self.run.cost_estimated };
        let storage = self.storage();
        let left = self.through_outage(|| storage.reservations_of(self.run.id)).await?;
        let (settled, rows) = lost::settle(
            self.runtime,
            self.writer.identity().tenant,
            self.author(),
            &fold,
            "reset",
            &left,
            &mut totals,
        )
        .await;
        if !left.calls.is_empty() {
            self.purse.note();
        }
        self.warned.clone_from(&fold.warned);
        Totals { usage: self.usage, cost: self.cost, estimated: self.estimated } = totals;
        self.tool_calls = fold.tool_calls;
        // A step behind one that had ended in words: it is there to put right what those were.
        if fold.finish_reason == Some(FinishReason::Stop) && fold.open_step.is_some() {
            self.repair = Some(structured::UNKNOWN.to_owned());
        }
        self.steps = fold.open_step.map_or(fold.steps, |open| open - 1);
        let mut writes = Writes { usage: rows, reserved: self.purse.is_touched(), ..Writes::default() };
        if deaths >= self.config.limits.max_attempts {
            // What it said so far stays, as of any run that fails.
            let mut events = ending::close_open(self.author(), &fold, &calls, None, &mut writes);
            for event in &events {
                self.count_sub_run(event);
            }
            events.extend(settled);
            let words = format!("{deaths} server processes died while they ran this");
            let problem = Problem::new(ErrorCode::AttemptsExhausted, words);
            let next = Box::pin(self.end(events, writes, Ending::Failed(problem))).await?;
            self.runtime.end_sub_runs(self.writer.identity(), &calls);
            return Ok(Ahead::Ended(next));
        }
        let reason = match (died, fold.suspended_at) {
            (true, _) => "takeover",
            (false, Some(_)) if calls.iter().any(|call| is_decided(call, &fold)) => "decision",
            (false, Some(_)) if sub_runs::due(&calls, self.at_once()).next().is_some() => "sub_run",
            (false, Some(_)) if calls.is_empty() => "budget",
            (false, Some(_)) => "input",
            (false, None) => "handover",
        };
        let mut events = vec![EventBody::RunResumed { attempt: self.run.attempt, reason: reason.into() }];
        if !calls.is_empty() {
            // The model has spoken, and is not asked again.
            let mut write = self.totals();
            write.status = Some(RunStatus::Running.as_str());
            events.extend(settled);
            writes.run = Some(write);
            self.writer.commit(events, writes).await?;
            return Ok(Ahead::Calls(Box::new(calls::recall(self, &fold))));
        }
        if !fold.messages.is_empty() || !fold.unsettled.is_empty() {
            let begun = fold.open.iter().flat_map(|open| open.calls.iter().map(|call| call.call));
            let void = begun.chain(fold.calls.iter().map(|call| call.call));
            writes.withdraw = fold.messages.iter().map(|message| message.uuid()).collect();
            events.push(EventBody::StepReset {
                step: fold.open_step.unwrap_or(1),
                reason: "takeover".into(),
                messages: fold.messages.clone(),
                calls: void.collect(),
            });
        }
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
}
