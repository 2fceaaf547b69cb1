//! What a run's log says about the run: the messages still open, and the events that would close them.
//!
//! The log is the truth about partial text. Snapshots read it to show an unfinished message exactly as of a sequence
//! number; whoever has to end another process' run reads it to leave nothing open.

use crate::event::{Event, EventBody, FinishReason, MessageStatus, Role};
use crate::message::Part;
use crate::{ApprovalId, BudgetId, CallId, ErrorCode, MessageId, Money, Problem, Timestamp, Usage};

/// A message that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMessage {
    /// Its id.
    pub message: MessageId,
    /// The step that writes it.
    pub step: i32,
    /// Its text so far.
    pub text: String,
    /// Its reasoning so far, if there was any.
    pub reasoning: Option<String>,
    /// Whether the reasoning has begun and not ended.
    pub reasoning_open: bool,
    /// The tools it calls, in their order.
    pub calls: Vec<OpenCall>,
}

/// A call of a tool in a message that is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// The call.
    pub call: CallId,
    /// The tool.
    pub name: String,
    /// Its arguments so far, as JSON text.
    pub text: String,
    /// Its arguments, once they are all there and are JSON.
    pub args: Option<serde_json::Value>,
}

/// A call of the step that is under way, whose message is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepCall {
    /// The call.
    pub call: CallId,
    /// Whether the log has its end.
    pub ended: bool,
}

impl OpenMessage {
    /// A message that has just begun.
    pub fn new(message: MessageId, step: i32) -> Self {
        Self { message, step, text: String::new(), reasoning: None, reasoning_open: false, calls: Vec::new() }
    }

    /// Its parts, in their fixed order: those of a message that was cut are its words alone.
    pub fn parts(&self, status: MessageStatus) -> Vec<Part> {
        let reasoning = self.reasoning.as_ref().map(|text| Part::Reasoning { text: text.clone() });
        let text = (!self.text.is_empty()).then(|| Part::Text { text: self.text.clone() });
        let calls = self.calls.iter().map(|call| Part::ToolCall {
            call: call.call,
            name: call.name.clone(),
            args: call.args.clone(),
        });
        reasoning.into_iter().chain(text).chain(calls.filter(|_| status != MessageStatus::Incomplete)).collect()
    }

    /// The events that end it.
    pub fn close(&self, status: MessageStatus) -> Vec<EventBody> {
        let mut events = Vec::with_capacity(2);
        if status == MessageStatus::Incomplete {
            // What was not said to its end was not called.
            let error = Problem::new(ErrorCode::ToolError, "the model's message was cut before the call was whole");
            let cut = |call: &OpenCall| EventBody::ToolFailed { call: call.call, error: error.clone(), duration_ms: 0 };
            events.extend(self.calls.iter().map(cut));
        }
        if self.reasoning_open {
            let text = self.reasoning.clone().unwrap_or_default();
            events.push(EventBody::ReasoningCompleted { message: self.message, text });
        }
        events.push(EventBody::MessageCompleted {
            step: self.step,
            message: self.message,
            role: Role::Assistant,
            text: self.text.clone(),
            status,
        });
        events
    }
}

/// A model call that was announced and whose end is not in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostCall {
    /// Its id.
    pub model_call: crate::ModelCallId,
    /// The model.
    pub model: String,
    /// What was expected to go in.
    pub input_tokens: u64,
    /// What it was expected to cost.
    pub expected: Option<Money>,
    /// What it could cost at most.
    pub reserve: Option<Money>,
    /// The provider's id of its answer, if the provider keeps that.
    pub response: Option<String>,
}

/// A model call that waits for its turn, or for a pause to be over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttled {
    /// Since when.
    pub since: Timestamp,
    /// When it was last told.
    pub told_at: Timestamp,
    /// For how much longer it was then.
    pub wait_ms: u64,
    /// Its place in the queue; 0 when there is none.
    pub queue_pos: u32,
    /// `concurrency` or `provider`.
    pub reason: String,
}

/// Money of calls, some of which may have no price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Spent {
    sum: Money,
    unknown: bool,
}

impl Spent {
    fn add(&mut self, cost: Option<Money>) {
        self.sum = self.sum.plus(cost.unwrap_or_default());
        self.unknown |= cost.is_none();
    }

    fn known(self) -> Option<Money> {
        (!self.unknown).then_some(self.sum)
    }
}

/// The state of a run as its log tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fold {
    /// The last sequence number read.
    pub seq: u64,
    /// The message being written.
    pub open: Option<OpenMessage>,
    /// The step that has begun and not finished.
    pub open_step: Option<i32>,
    /// Steps that have begun.
    pub steps: i32,
    /// Messages that the open step has begun, ended or not: what is thrown away when it is done again.
    pub messages: Vec<MessageId>,
    /// Calls of the open step whose message is whole: the step goes on with them and is not begun anew.
    pub calls: Vec<StepCall>,
    /// Approvals of the open step that were asked for and are not resolved.
    pub approvals: Vec<(ApprovalId, CallId)>,
    /// Calls of tools there were in all, those of steps that were done again not among them.
    pub tool_calls: u32,
    /// Since when it waits for somebody.
    pub suspended_at: Option<Timestamp>,
    /// How long it has waited for somebody before, in milliseconds.
    pub suspended_ms: u64,
    /// Usage of the calls that were settled.
    pub usage: Usage,
    /// Model calls that were estimated and never settled.
    pub unsettled: Vec<LostCall>,
    /// What the model call that is under way waits for, as long as nothing else happens.
    pub throttled: Option<Throttled>,
    /// Budgets that were warned of, and when.
    pub warned: Vec<(BudgetId, Timestamp)>,
    /// Why the last finished step ended.
    pub finish_reason: Option<FinishReason>,
    /// The last settled model call of the open step, and its model.
    pub step_call: Option<(uuid::Uuid, String)>,
    /// Usage of the calls of the open step that were settled.
    pub step_usage: Usage,
    /// Whether the log has its terminal event.
    pub terminal: bool,
    step_spent: Spent,
    spent: Spent,
}

impl Fold {
    /// What the settled calls cost: nothing where there were none, `None` once one of them had no price.
    pub fn cost(&self) -> Option<Money> {
        self.spent.known()
    }

    /// The open step, if it has called tools and goes on with them.
    pub fn calling_step(&self) -> Option<i32> {
        self.open_step.filter(|_| !self.calls.is_empty())
    }

    /// The same as [`Fold::cost`] for the open step alone.
    pub fn step_cost(&self) -> Option<Money> {
        self.step_spent.known()
    }

    /// Reads one more event. Events must come in order.
    pub fn push(&mut self, event: &Event) {
        debug_assert!(event.seq == self.seq + 1 || self.seq == 0, "the log is dense");
        self.seq = event.seq;
        let throttled = self.throttled.take();
        match &event.body {
            EventBody::StepStarted { step, .. } => {
                self.open_step = Some(*step);
                self.messages.clear();
                self.calls.clear();
                self.approvals.clear();
                self.step_call = None;
                (self.step_usage, self.step_spent) = (Usage::default(), Spent::default());
                self.steps = self.steps.max(*step);
            }
            EventBody::StepFinished { finish_reason, .. } => {
                self.open_step = None;
                self.messages.clear();
                self.calls.clear();
                self.approvals.clear();
                self.finish_reason = Some(*finish_reason);
            }
            EventBody::StepReset { .. } => {
                self.open = None;
                self.messages.clear();
                self.calls.clear();
                self.approvals.clear();
            }
            EventBody::ToolStarted { message, call, name, .. } => {
                if let Some(open) = self.open.as_mut().filter(|open| open.message == *message) {
                    let (call, name) = (*call, name.clone());
                    open.calls.push(OpenCall { call, name, text: String::new(), args: None });
                }
            }
            EventBody::ToolArgsDelta { call, delta } => {
                if let Some(open) = self.open_call(*call) {
                    open.text.push_str(delta);
                }
            }
            EventBody::ToolArgs { call, args } => {
                if let Some(open) = self.open_call(*call) {
                    open.args.clone_from(args);
                }
            }
            EventBody::ToolCompleted { call, .. }
            | EventBody::ToolFailed { call, .. }
            | EventBody::ToolDenied { call, .. } => {
                for ended in self.calls.iter_mut().filter(|open| open.call == *call) {
                    ended.ended = true;
                }
            }
            EventBody::SubRunFinished { usage, cost, .. } => {
                self.step_usage = self.step_usage.plus(*usage);
                self.step_spent.add(*cost);
                self.usage = self.usage.plus(*usage);
                self.spent.add(*cost);
            }
            EventBody::ApprovalRequested { approval, call, .. } => self.approvals.push((*approval, *call)),
            EventBody::ApprovalResolved { approval, .. } => self.approvals.retain(|(open, _)| open != approval),
            EventBody::RunSuspended { .. } => {
                self.suspended_at = Some(event.ts);
                // What was announced and refused for want of money was never asked.
                self.unsettled.clear();
            }
            EventBody::RunResumed { .. } => {
                if let Some(since) = self.suspended_at.take() {
                    let waited = u64::try_from(event.ts.ms() - since.ms()).unwrap_or_default();
                    self.suspended_ms = self.suspended_ms.saturating_add(waited);
                }
            }
            EventBody::MessageStarted { step, message, .. } => {
                self.open = Some(OpenMessage::new(*message, *step));
                self.messages.push(*message);
            }
            EventBody::MessageDelta { message, delta } => {
                if let Some(open) = self.open.as_mut().filter(|open| open.message == *message) {
                    open.text.push_str(delta);
                }
            }
            EventBody::ReasoningStarted { message, .. } => {
                if let Some(open) = self.open.as_mut().filter(|open| open.message == *message) {
                    open.reasoning = Some(String::new());
                    open.reasoning_open = true;
                }
            }
            EventBody::ReasoningDelta { message, delta } => {
                if let Some(open) = self.open.as_mut().filter(|open| open.message == *message) {
                    open.reasoning.get_or_insert_default().push_str(delta);
                }
            }
            EventBody::ReasoningCompleted { message, .. } => {
                if let Some(open) = self.open.as_mut().filter(|open| open.message == *message) {
                    open.reasoning_open = false;
                }
            }
            EventBody::MessageCompleted { message, status, .. } => {
                let whole = self.open.take_if(|open| open.message == *message);
                if let Some(whole) = whole.filter(|_| *status == MessageStatus::Completed) {
                    self.tool_calls += whole.calls.len() as u32;
                    self.calls.extend(whole.calls.iter().map(|call| StepCall { call: call.call, ended: false }));
                }
            }
            EventBody::CostEstimated { model_call, model, input_tokens, expected, reserve, .. } => {
                // Attempts that were never answered share an id, and a new one takes the place of the last.
                self.unsettled.clear();
                self.unsettled.push(LostCall {
                    model_call: *model_call,
                    model: model.clone(),
                    input_tokens: *input_tokens,
                    expected: *expected,
                    reserve: *reserve,
                    response: None,
                });
            }
            EventBody::ModelStarted { model_call, response, .. } => {
                if let Some(call) = self.unsettled.iter_mut().find(|call| call.model_call == *model_call) {
                    call.response = Some(response.clone());
                }
            }
            EventBody::CostSettled { model_call, model, usage, cost, .. } => {
                self.step_call = Some((model_call.uuid(), model.clone()));
                self.step_usage = self.step_usage.plus(*usage);
                self.step_spent.add(*cost);
                self.unsettled.retain(|call| call.model_call != *model_call);
                self.usage = self.usage.plus(*usage);
                self.spent.add(*cost);
            }
            EventBody::Throttled { wait_ms, queue_pos, reason } => {
                let since = throttled.filter(|before| before.reason == *reason).map_or(event.ts, |before| before.since);
                self.throttled = Some(Throttled {
                    since,
                    told_at: event.ts,
                    wait_ms: *wait_ms,
                    queue_pos: *queue_pos,
                    reason: reason.clone(),
                });
            }
            EventBody::RunCompleted { .. } | EventBody::RunFailed { .. } | EventBody::RunCancelled { .. } => {
                self.terminal = true;
            }
            EventBody::BudgetWarning { budget, .. } => self.warned.push((*budget, event.ts)),
            EventBody::RunQueued { .. }
            | EventBody::RunStarted { .. }
            | EventBody::ToolProgress { .. }
            | EventBody::SubRunStarted { .. }
            | EventBody::Artifact { .. }
            | EventBody::Hidden {}
            | EventBody::Unknown => {}
        }
    }

    fn open_call(&mut self, call: CallId) -> Option<&mut OpenCall> {
        self.open.as_mut()?.calls.iter_mut().find(|open| open.call == call)
    }

    /// Reads a stretch of stored log: one event per line.
    pub fn push_lines(&mut self, lines: &str) -> Result<(), serde_json::Error> {
        for line in lines.lines().filter(|line| !line.is_empty()) {
            self.push(&serde_json::from_str(line)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_kept_is_its_calls_until_that_is_settled() {
        let (mut fold, run) = (Fold::default(), crate::RunId::new());
        let (call, other) = (crate::ModelCallId::new(), crate::ModelCallId::new());
        let mut push = |body: EventBody| {
            let seq = fold.seq + 1;
            fold.push(&Event { v: 1, seq, ts: Timestamp::now(), run, body });
            fold.unsettled.first().and_then(|lost| lost.response.clone())
        };
        let estimated = |model_call| EventBody::CostEstimated {
            step: 1,
            model_call,
            model: "m/x".into(),
            input_tokens: 1,
            expected: None,
            reserve: Some(Money(7)),
        };
        let started = |model_call| EventBody::ModelStarted {
            step: 1,
            model_call,
            model: "m/x".into(),
            response: "resp_1".into(),
        };
        assert_eq!(push(estimated(call)), None);
        assert_eq!(push(started(other)), None);
        assert_eq!(push(started(call)).as_deref(), Some("resp_1"));
        assert_eq!(push(estimated(other)), None, "the next attempt has an answer of its own");
    }

    #[test]
    fn a_wait_is_one_until_something_else_happens() {
        let (mut fold, run, begin) = (Fold::default(), crate::RunId::new(), Timestamp::now());
        let mut push = |at: i64, body: EventBody| {
            let seq = fold.seq + 1;
            fold.push(&Event { v: 1, seq, ts: begin.plus_ms(at), run, body });
            fold.throttled.clone()
        };
        let told =
            |wait_ms, queue_pos, reason: &str| EventBody::Throttled { wait_ms, queue_pos, reason: reason.into() };
        let at = |since: i64, told_at: i64, wait_ms, queue_pos, reason: &str| {
            let (since, told_at) = (begin.plus_ms(since), begin.plus_ms(told_at));
            Some(Throttled { since, told_at, wait_ms, queue_pos, reason: reason.into() })
        };
        assert_eq!(push(0, told(900, 2, "concurrency")), at(0, 0, 900, 2, "concurrency"));
        assert_eq!(push(1000, told(400, 1, "concurrency")), at(0, 1000, 400, 1, "concurrency"));
        assert_eq!(push(2000, told(5000, 0, "provider")), at(2000, 2000, 5000, 0, "provider"));
        assert_eq!(push(7000, EventBody::StepStarted { step: 1, model: "m".into(), input_messages: vec![] }), None);
        assert_eq!(push(8000, told(900, 2, "concurrency")), at(8000, 8000, 900, 2, "concurrency"));
    }
}
