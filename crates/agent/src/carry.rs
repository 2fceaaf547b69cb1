//! A step's calls, seen through to their ends.
//!
//! Owns waiting for what others answer and decide, telling the log how each call went, and the end of a step with calls. The
//! run suspends only if what it waits for is still what it believes, looked at under the lock that an answer and a decision
//! take too; so none of them is lost.

use headwater_protocol::api::{ApprovalKind, ApprovalStatus, OnExpiry, RunStatus};
use headwater_protocol::event::{Actor, EventBody, FinishReason, MessageStatus, Pending, Role};
use headwater_protocol::fold::Fold;
use headwater_protocol::message::Part;
use headwater_protocol::{ApprovalId, CallId, ErrorCode, MessageId, Problem, Timestamp};
use headwater_store::commit::{CallChange, MessageWrite, Writes};
use headwater_store::scoped::{StoredApproval, StoredCall};
use headwater_stream::WriteError;
use tokio::time::Instant;

use crate::ending::Ending;
use crate::execute::{Next, RunState};
use crate::perform::change;
use crate::step::Called;
use crate::sub_runs;

/// How a step with calls goes on.
pub(crate) enum After {
    /// With this step.
    Step(i32),
    /// When somebody has answered: the run is nobody's until then.
    Suspended,
    /// The run is over.
    Ended(Next),
}

/// What a turn has to tell, and has not committed yet.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) events: Vec<EventBody>,
    pub(crate) writes: Writes,
}

/// What is made of calls and questions whose end is not in the log when the run ends: their events, and what the rows say of
/// those that nobody has answered.
pub(crate) fn abandon(
    open: impl Iterator<Item = CallId>,
    unresolved: &[(ApprovalId, CallId)],
    rows: &[StoredCall],
    by: Option<&Actor>,
) -> (Vec<EventBody>, Option<serde_json::Value>) {
    let error = Problem::new(ErrorCode::ToolError, "the run ended before it was answered");
    let questions = unresolved.iter().map(|(approval, call)| {
        let row = rows.iter().filter_map(|row| row.approval.as_ref()).find(|row| row.id == *approval);
        match row.filter(|row| row.status != ApprovalStatus::Pending) {
            Some(row) => resolved(*call, row),
            None => EventBody::ApprovalResolved {
                approval: *approval,
                call: *call,
                decision: if by.is_some_and(|by| by.reason.as_deref() == Some("expired")) {
                    ApprovalStatus::Expired
                } else {
                    ApprovalStatus::Cancelled
                },
                by: by.cloned(),
                edited_args: None,
                comment: None,
                remember: None,
            },
        }
    });
    let ends = open.flat_map(|call| {
        let row = rows.iter().find(|row| row.call == call);
        let finished = row.map(sub_runs::told).unwrap_or_default();
        let answered = row.filter(|row| row.has_ended()).map(ended);
        let end = answered.unwrap_or_else(|| EventBody::ToolFailed { call, error: error.clone(), duration_ms: 0 });
        finished.into_iter().chain([end]).collect::<Vec<_>>()
    });
    (questions.chain(ends).collect(), serde_json::to_value(&error).ok())
}

/// The calls of a fold whose end is not in the log.
pub(crate) fn open_calls(fold: &Fold) -> impl Iterator<Item = CallId> + '_ {
    fold.calls.iter().filter(|call| !call.ended).map(|call| call.call)
}

/// How a question was answered, as the log tells it.
fn resolved(call: CallId, row: &StoredApproval) -> EventBody {
    EventBody::ApprovalResolved {
        approval: row.id,
        call,
        decision: row.status,
        by: row.by.clone(),
        edited_args: row.edited_args.clone(),
        comment: row.comment.clone(),
        remember: row.remember,
    }
}

/// How a call ended, as the log tells it.
fn ended(row: &StoredCall) -> EventBody {
    let took = row.answered_at.unwrap_or(row.created_at).ms() - row.created_at.ms();
    let (call, duration_ms) = (row.call, u64::try_from(took).unwrap_or_default());
    if row.status == "denied" {
        let by = row.approval.as_ref().and_then(|approval| approval.by.clone());
        return EventBody::ToolDenied { call, by, comment: comment(row) };
    }
    match problem(row) {
        Some(error) => EventBody::ToolFailed { call, error, duration_ms },
        None => EventBody::ToolCompleted { call, output: row.output.clone(), artifact: row.artifact, duration_ms },
    }
}

fn comment(row: &StoredCall) -> Option<String> {
    row.approval.as_ref().filter(|_| row.status == "denied").and_then(|approval| approval.comment.clone())
}

fn problem(row: &StoredCall) -> Option<Problem> {
    row.error.clone().and_then(|error| serde_json::from_value(error).ok())
}

impl RunState<'_> {
    /// Sees the calls of a step through: to the next step, or to waiting for somebody.
    pub(crate) async fn carry_out(&mut self, mut called: Called) -> Result<After, WriteError> {
        let step = called.step.step;
        loop {
            let mut rows = self.calls_of(step).await?;
            if let Some(ending) = self.must_end(&rows) {
                return self.abandon(&called, &rows, ending).await;
            }
            let mut turn = Turn::default();
            let in_the_log = (called.told.clone(), called.unresolved.clone());
            tell_decisions(&rows, &mut called, &mut turn);
            self.remember(&rows);
            expire(&mut rows, &mut called, &mut turn);
            for row in rows.iter().filter(|row| row.has_ended()) {
                if !called.told.contains(&row.call) {
                    called.told.push(row.call);
                    turn.events.push(ended(row));
                }
            }
            if rows.iter().all(StoredCall::has_ended) {
                return self.finish_calls(called, &rows, turn).await.map(After::Step);
            }
            if sub_runs::due(&rows, self.at_once()).next().is_some() {
                Box::pin(self.see_to_sub_runs(&rows, &mut called, turn)).await?;
                continue;
            }
            if rows.iter().any(|row| row.status == "ready" && !sub_runs::is_one(row)) {
                Box::pin(self.perform(&rows, &mut called, turn)).await?;
                continue;
            }
            if rows.iter().any(|row| row.status == "started") {
                Box::pin(self.ask_about_unknown(&rows, &mut called, turn)).await?;
                continue;
            }
            match self.suspend(&rows, turn).await {
                Ok(()) => {
                    if rows.iter().any(|row| row.sub_run.is_some()) {
                        // One of them may have ended in this very moment.
                        let identity = self.writer.identity();
                        self.runtime.wake_parent(identity.tenant, identity.user, Some(identity.run));
                    }
                    return Ok(After::Suspended);
                }
                // Answered or decided in this very moment: nothing of this was written, and it is looked at again.
                Err(WriteError::Unread) => {
                    drop(self.writer.take_unread());
                    (called.told, called.unresolved) = in_the_log;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the run ends here, and how.
    fn must_end(&self, rows: &[StoredCall]) -> Option<Ending> {
        if self.cancel.is_cancelled() {
            return Some(self.cancelled());
        }
        if Instant::now() >= self.deadline {
            return Some(Ending::Failed(self.timed_out()));
        }
        for row in rows {
            let approval = row.approval.as_ref();
            if let Some(cancelled) = approval.filter(|approval| approval.status == ApprovalStatus::Cancelled) {
                let system = Actor { kind: headwater_protocol::event::ActorKind::System, id: None, reason: None };
                return Some(Ending::Cancelled(cancelled.by.clone().unwrap_or(system)));
            }
            if row.late && row.status == "asked" && self.config.approvals.on_expiry == OnExpiry::Cancel {
                return Some(Ending::Cancelled(Actor::system("expired")));
            }
            if row.late && row.status == "pending" {
                let words = format!("nobody has answered the call of {} in time", row.name);
                return Some(Ending::Failed(Problem::new(ErrorCode::InputExpired, words)));
            }
        }
        None
    }

    /// The rows of a step's calls, through an outage.
    pub(crate) async fn calls_of(&self, step: i32) -> Result<Vec<StoredCall>, WriteError> {
        let storage = self.storage();
        self.through_outage(|| storage.calls(self.run.id, Some(step))).await
    }

    /// Takes note of what was permitted for the rest of the thread.
    fn remember(&mut self, rows: &[StoredCall]) {
        for row in rows {
            let for_good = |approval: &StoredApproval| {
                approval.status == ApprovalStatus::Approved
                    && approval.remember == Some(headwater_protocol::api::Remember::Thread)
            };
            if row.approval.as_ref().is_some_and(for_good) && !self.remembered.contains(&row.name) {
                self.remembered.push(row.name.clone());
            }
        }
    }

    async fn suspend(&mut self, rows: &[StoredCall], turn: Turn) -> Result<(), WriteError> {
        let Turn { mut events, mut writes } = turn;
        // A call of an agent that is not to begin yet waits for those that have.
        let is_waited_for = |row: &&StoredCall| row.status == "asked" || row.status == "pending";
        let open: Vec<&StoredCall> = rows.iter().filter(is_waited_for).collect();
        let approval =
            |row: &StoredCall| row.approval.as_ref().filter(|_| row.status == "asked").map(|approval| approval.id);
        let run = |row: &StoredCall| row.sub_run.as_ref().filter(|_| row.status == "pending").map(|sub| sub.run);
        let pending: Vec<Pending> =
            open.iter().map(|row| Pending::of_call(row.call, approval(row), run(row))).collect();
        let reason = pending.first().map(|first| first.kind.clone()).unwrap_or_default();
        let mut write = self.totals();
        write.status = Some(RunStatus::Suspended.as_str());
        write.suspended_at = Some(Timestamp::now().0);
        write.waits_for = open.iter().map(|row| (row.call.uuid(), row.status.clone())).collect();
        writes.run = Some(write);
        events.push(EventBody::RunSuspended { reason, pending });
        self.writer.commit(events, writes).await.map(drop)
    }

    async fn abandon(&mut self, called: &Called, rows: &[StoredCall], ending: Ending) -> Result<After, WriteError> {
        let open = rows.iter().filter(|row| !called.told.contains(&row.call)).map(|row| row.call);
        let unresolved: Vec<_> = rows
            .iter()
            .filter_map(|row| row.approval.as_ref().map(|approval| (approval.id, row.call)))
            .filter(|(approval, _)| called.unresolved.contains(approval))
            .collect();
        let (events, unanswered) = abandon(open, &unresolved, rows, ending.by());
        let late = rows.iter().filter(|row| row.late && row.status == "asked");
        let expired = late.filter_map(|row| row.approval.as_ref().map(|approval| approval.id.uuid())).collect();
        for event in &events {
            self.count_sub_run(event);
        }
        let next = self.end(events, Writes { unanswered, expired, ..Writes::default() }, ending).await?;
        self.runtime.end_sub_runs(self.writer.identity(), rows);
        Ok(After::Ended(next))
    }

    /// All are answered: the answers are a message of their own, and the next step begins with them.
    async fn finish_calls(&mut self, called: Called, rows: &[StoredCall], turn: Turn) -> Result<i32, WriteError> {
        let Called { step, usage, cost, .. } = called;
        let Turn { mut events, mut writes } = turn;
        let now = Timestamp::now();
        let content: Vec<Part> = rows
            .iter()
            .map(|row| Part::ToolResult {
                call: row.call,
                name: row.name.clone(),
                status: row.status.clone(),
                output: row.output.clone(),
                error: problem(row).map(Box::new),
                artifact: row.artifact,
                comment: comment(row),
            })
            .collect();
        let number = step.step;
        events.push(EventBody::StepFinished { step: number, finish_reason: FinishReason::ToolCalls, usage, cost });
        writes.messages.push(MessageWrite {
            message_id: MessageId::new().uuid(),
            thread_id: self.run.thread.uuid(),
            user_id: self.run.user.uuid(),
            ord: self.ord,
            role: Role::Tool.as_str(),
            status: MessageStatus::Completed.as_str(),
            agent_id: Some(self.run.agent.uuid()),
            step: Some(number),
            content: serde_json::to_value(content).expect("parts serialise"),
            created_at: now.0,
            completed_at: Some(now.0),
        });
        writes.step = Some(step);
        self.steps = number;
        self.next_step(number + 1, events, writes).await
    }
}

/// Tells what was decided since the last turn. Edited arguments are the call's own from here on.
fn tell_decisions(rows: &[StoredCall], called: &mut Called, turn: &mut Turn) {
    for row in rows {
        let Some(approval) = row.approval.as_ref().filter(|approval| called.unresolved.contains(&approval.id)) else {
            continue;
        };
        if approval.status == ApprovalStatus::Pending {
            continue;
        }
        called.unresolved.retain(|open| *open != approval.id);
        turn.events.push(resolved(row.call, approval));
        if let Some(args) = &approval.edited_args {
            turn.events.push(EventBody::ToolArgs { call: row.call, args: Some(args.clone()) });
        }
    }
}

/// What is told of a call of which nobody knows whether it had its effect.
pub(crate) fn unknown() -> Problem {
    let words = "the server process that made the call died, and nobody knows whether it had its effect";
    Problem::new(ErrorCode::ToolOutcomeUnknown, words)
}

/// What nobody has decided in time is denied.
fn expire(rows: &mut [StoredCall], called: &mut Called, turn: &mut Turn) {
    let now = Timestamp::now();
    for row in rows.iter_mut().filter(|row| row.late && row.status == "asked") {
        let Some(approval) = &mut row.approval else { continue };
        approval.status = ApprovalStatus::Expired;
        approval.by = Some(Actor::system("expired"));
        called.unresolved.retain(|open| *open != approval.id);
        turn.events.push(resolved(row.call, approval));
        turn.writes.expired.push(approval.id.uuid());
        // Of a call that may have had its effect nobody can say that it was not carried out.
        let (status, error) = match approval.kind {
            ApprovalKind::Tool => ("denied", None),
            ApprovalKind::UnknownOutcome => ("failed", serde_json::to_value(unknown()).ok()),
        };
        status.clone_into(&mut row.status);
        row.error.clone_from(&error);
        row.answered_at = Some(now);
        turn.writes.call_changes.push(CallChange { error, answered_at: Some(now.0), ..change(row.call, status) });
    }
}
