//! Where a run waits for its reader: there an answer ends in protocols that know of no question within one.
//!
//! So a run is one answer for each stretch between such rests. Owns what it takes to tell them: which calls there are, what this reader is
//! asked, and what it was asked before. Never tells anything itself.

use std::collections::{HashMap, HashSet};

use headwater_protocol::api::Decider;
use headwater_protocol::event::{EventBody, Pending};
use headwater_protocol::{ApprovalId, CallId, MessageId, Usage};
use serde_json::Value;

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    /// The tool.
    pub(crate) name: String,
    /// Its arguments as JSON text, as they were decided; empty until they are known.
    pub(crate) args: String,
    /// Whether the reader carries it out.
    pub(crate) of_client: bool,
    /// The message that it is part of.
    pub(crate) message: MessageId,
    /// What was asked about it.
    pub(crate) approval: Option<ApprovalId>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Rests {
    /// Who reads: whether it may decide.
    decider: Decider,
    calls: HashMap<CallId, Call>,
    /// What this reader is asked, and nobody has decided.
    asked: HashSet<ApprovalId>,
    /// What earlier stretches have ended with.
    known: HashSet<(Option<CallId>, Option<ApprovalId>)>,
}

impl Rests {
    /// Of a run that is heard from its beginning.
    pub(crate) fn new(decider: Decider) -> Self {
        Self { decider, calls: HashMap::new(), asked: HashSet::new(), known: HashSet::new() }
    }

    /// Takes note of what has happened.
    pub(crate) fn hear(&mut self, body: &EventBody) {
        match body {
            EventBody::ToolStarted { call, name, kind, message, .. } => {
                let of_client = kind.as_deref() == Some("client");
                let (name, args, message) = (name.clone(), String::new(), *message);
                self.calls.insert(*call, Call { name, args, of_client, message, approval: None });
            }
            EventBody::ToolArgs { call, args } => self.set_args(*call, args.as_ref()),
            EventBody::ApprovalRequested { approval, call, deciders, args, .. } => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.approval = Some(*approval);
                }
                self.set_args(*call, args.as_ref());
                if deciders.contains(&self.decider) {
                    self.asked.insert(*approval);
                }
            }
            EventBody::ApprovalResolved { approval, call, edited_args, .. } => {
                self.asked.remove(approval);
                self.set_args(*call, edited_args.as_ref());
            }
            _ => {}
        }
    }

    fn set_args(&mut self, call: CallId, args: Option<&Value>) {
        if let (Some(call), Some(args)) = (self.calls.get_mut(&call), args) {
            call.args = args.to_string();
        }
    }

    /// One of the calls.
    pub(crate) fn call(&self, call: CallId) -> Option<&Call> {
        self.calls.get(&call)
    }

    /// Whether this reader may decide it, and nobody has.
    pub(crate) fn asks(&self, approval: ApprovalId) -> bool {
        self.asked.contains(&approval)
    }

    /// What of that which a run waits for this reader has to do and was not told at an earlier rest. With anything in it, this is a rest.
    pub(crate) fn due(&mut self, pending: &[Pending]) -> Vec<Pending> {
        let is_due = |pending: &&Pending| {
            let is_asked = pending.approval.is_some_and(|approval| self.asked.contains(&approval));
            (pending.kind == "input" || is_asked) && !self.known.contains(&(pending.call, pending.approval))
        };
        let due: Vec<Pending> = pending.iter().filter(is_due).cloned().collect();
        self.known.extend(due.iter().map(|pending| (pending.call, pending.approval)));
        due
    }
}

/// Tokens of a stretch: of the model calls in it, where they may be seen, else of the steps that were finished in it; of a run's first and only
/// one what the run says.
#[derive(Debug, Default)]
pub(crate) struct Used {
    calls: Option<Usage>,
    steps: Option<Usage>,
    run: Option<Usage>,
}

impl Used {
    /// Takes note of what was used in it.
    pub(crate) fn hear(&mut self, body: &EventBody) {
        match body {
            EventBody::CostSettled { usage, .. } => add(&mut self.calls, usage),
            EventBody::StepFinished { usage, .. } => add(&mut self.steps, usage),
            EventBody::RunCompleted { usage, .. }
            | EventBody::RunFailed { usage, .. }
            | EventBody::RunCancelled { usage, .. } => self.run = Some(*usage),
            _ => {}
        }
    }

    /// Of a stretch that begins behind this event, as far as it is known.
    pub(crate) fn of(&self, behind: u64) -> Option<Usage> {
        self.run.filter(|_| behind == 0).or(self.calls).or(self.steps)
    }
}

fn add(sum: &mut Option<Usage>, usage: &Usage) {
    let sum = sum.get_or_insert_default();
    sum.input_tokens += usage.input_tokens;
    sum.cached_input_tokens += usage.cached_input_tokens;
    sum.cache_write_tokens += usage.cache_write_tokens;
    sum.output_tokens += usage.output_tokens;
    sum.reasoning_tokens += usage.reasoning_tokens;
    sum.total_tokens += usage.total_tokens;
}
