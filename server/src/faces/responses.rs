//! OpenAI Responses: a run, or a stretch of one, as a response and as the events of one being made.
//!
//! A response ends where its client has to do something: call a tool of its own, decide. What follows is a response of its own, whose id names
//! the event behind which it begins ([`ResponseId`]). So a run is one response for each stretch of it between such rests, and each can be read
//! again, at any time, at any process. (Read in the types of the `openai` packages, npm 6.49 and PyPI 2.x, autumn 2026.)
//!
//! | of the run | here |
//! |---|---|
//! | text, reasoning | items `message`, `reasoning` |
//! | a call of a tool that the client carries out | `function_call`, once it is waited for and not before |
//! | any other call | `mcp_call`, and `mcp_approval_request` where this client may decide |
//! | tokens | `usage`, of this stretch |
//! | what is void (`step.reset`) | an item that ends `incomplete` and is not in the response's `output` |
//!
//! The number of an event (`sequence_number`) is made from that of ours, so that it is the same for every reader at any time. When deltas have
//! been dropped since, items may stand in another order: whoever reads on from among them is told the whole at the end, and nothing before.

mod items;
mod object;

use headwater_protocol::api::Decider;
use headwater_protocol::event::{Event, EventBody, FinishReason, Pending, Role};
use headwater_protocol::{ApprovalId, CallId, MessageId};
use serde_json::{Value, json};

use self::items::Items;
pub(crate) use self::object::{About, ResponseId, SERVER};
use super::rests::{Rests, Used};
use super::{Face, Frames, words};

/// Numbers for what one event of ours is told as. The most are those of 128 calls of the client's own, with four each.
const PER_EVENT: u64 = 1024;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Responses {
    about: About,
    /// Behind which event this response begins.
    behind: u64,
    /// What the client has already.
    starting_after: u64,
    only_end: bool,
    seq: u64,
    nth: u64,
    status: &'static str,
    created_at: Option<i64>,
    completed_at: Option<i64>,
    error: Option<Value>,
    incomplete: Option<&'static str>,
    items: Items,
    rests: Rests,
    /// Where the response before this one of the same run begins.
    before: Option<u64>,
    /// The event behind which the stretch began that is being read.
    stretch: u64,
    usage: Used,
    waits: bool,
    is_over: bool,
}

impl Responses {
    /// Of a run, from behind this event on. `starting_after`: numbers up to it are known to the client, and not told.
    pub(crate) fn new(about: About, decider: Decider, behind: u64, starting_after: u64) -> Self {
        Self {
            about,
            behind,
            starting_after,
            only_end: false,
            seq: 0,
            nth: 0,
            status: "queued",
            created_at: None,
            completed_at: None,
            error: None,
            incomplete: None,
            items: Items::default(),
            rests: Rests::new(decider),
            before: None,
            stretch: 0,
            usage: Used::default(),
            waits: false,
            is_over: false,
        }
    }

    /// Whether the stream was read to where there is nothing more to read for now: to the end, or to where the run waits for somebody else.
    pub(crate) fn is_read(&self) -> bool {
        self.is_over || self.waits
    }

    /// The response, as it stands.
    pub(crate) fn response(&self) -> Value {
        let usage = if self.is_over { self.usage.of(self.behind) } else { None };
        self.about.response(&object::Standing {
            behind: self.behind,
            before: self.before,
            status: self.status,
            created_at: self.created_at,
            completed_at: self.completed_at,
            error: self.error.clone(),
            incomplete: self.incomplete,
            output: self.items.output(),
            usage,
        })
    }

    /// Of a log whose deltas are gone: who has seen something of it is told its end alone.
    pub(crate) fn compacted(mut self) -> Self {
        self.only_end = self.starting_after > 0;
        self
    }

    fn tell(&mut self, kind: &str, mut fields: Value, out: &mut Frames) {
        let number = self.seq * PER_EVENT + self.nth;
        self.nth += 1;
        if number > self.starting_after && (self.is_over || !self.only_end) {
            fields["type"] = kind.into();
            fields["sequence_number"] = number.into();
            out.named(kind, &fields.to_string());
        }
    }

    fn tell_response(&mut self, kind: &str, out: &mut Frames) {
        let response = self.response();
        self.tell(kind, json!({"response": response}), out);
    }

    /// Tells what deltas told that are gone by now, under numbers of theirs: what follows keeps its own.
    fn before_now(&mut self, tell: impl FnOnce(&mut Self)) {
        let now = (self.seq, self.nth);
        (self.seq, self.nth) = (self.seq - 1, PER_EVENT - 8);
        tell(self);
        (self.seq, self.nth) = now;
    }

    fn begin(&mut self, event: &Event, out: &mut Frames) {
        self.created_at = Some(event.ts.ms().div_euclid(1000));
        self.tell_response("response.created", out);
        if self.behind > 0 {
            self.status = "in_progress";
            self.tell_response("response.in_progress", out);
        }
    }

    fn end(&mut self, status: &'static str, kind: &str, event: &Event, out: &mut Frames) {
        for at in self.items.open() {
            self.close(at, "incomplete", out);
            self.items.void(at);
        }
        self.status = status;
        self.completed_at = (status == "completed").then(|| event.ts.ms().div_euclid(1000));
        self.is_over = true;
        self.tell_response(kind, out);
    }

    // ── Items ────────────────────────────────────────────────────────────────────────────────────────────────────────

    fn add(&mut self, key: String, item: Value, out: &mut Frames) -> usize {
        let at = self.items.add(key, item.clone());
        self.tell("response.output_item.added", json!({"output_index": at, "item": item}), out);
        at
    }

    fn close(&mut self, at: usize, status: &str, out: &mut Frames) {
        let item = self.items.close(at, status);
        self.tell("response.output_item.done", json!({"output_index": at, "item": item}), out);
    }

    fn say(&mut self, message: MessageId, delta: &str, out: &mut Frames) {
        let id = message.to_string();
        let at = self.items.find(&id).unwrap_or_else(|| {
            let at = self.add(id.clone(), items::message(&id), out);
            let part = items::text("");
            self.items.push(at, "content", part.clone());
            let fields = json!({"item_id": id, "output_index": at, "content_index": 0, "part": part});
            self.tell("response.content_part.added", fields, out);
            at
        });
        self.items.write(at, "content", delta);
        let fields = json!({"item_id": id, "output_index": at, "content_index": 0, "delta": delta, "logprobs": []});
        self.tell("response.output_text.delta", fields, out);
    }

    fn said(&mut self, message: MessageId, text: &str, is_whole: bool, out: &mut Frames) {
        let id = message.to_string();
        if text.is_empty() && self.items.find(&id).is_none() {
            return;
        }
        if self.items.find(&id).is_none() {
            self.before_now(|face| face.say(message, text, out));
        }
        let Some(at) = self.items.find(&id).filter(|at| self.items.is_open(*at)) else { return };
        let at_part = json!({"item_id": id, "output_index": at, "content_index": 0});
        self.tell("response.output_text.done", with(&at_part, json!({"text": text, "logprobs": []})), out);
        self.tell("response.content_part.done", with(&at_part, json!({"part": items::text(text)})), out);
        self.close(at, if is_whole { "completed" } else { "incomplete" }, out);
    }

    fn think(&mut self, message: MessageId, delta: &str, out: &mut Frames) {
        let id = items::reasoning_id(message);
        let at = self.items.find(&id).unwrap_or_else(|| {
            let at = self.add(id.clone(), items::reasoning(&id), out);
            let part = items::summary("");
            self.items.push(at, "summary", part.clone());
            let fields = json!({"item_id": id, "output_index": at, "summary_index": 0, "part": part});
            self.tell("response.reasoning_summary_part.added", fields, out);
            at
        });
        self.items.write(at, "summary", delta);
        let fields = json!({"item_id": id, "output_index": at, "summary_index": 0, "delta": delta});
        self.tell("response.reasoning_summary_text.delta", fields, out);
    }

    fn thought(&mut self, message: MessageId, text: &str, out: &mut Frames) {
        let id = items::reasoning_id(message);
        if text.is_empty() && self.items.find(&id).is_none() {
            return;
        }
        if self.items.find(&id).is_none() {
            self.before_now(|face| face.think(message, text, out));
        }
        let Some(at) = self.items.find(&id).filter(|at| self.items.is_open(*at)) else { return };
        let at_part = json!({"item_id": id, "output_index": at, "summary_index": 0});
        self.tell("response.reasoning_summary_text.done", with(&at_part, json!({"text": text})), out);
        self.tell("response.reasoning_summary_part.done", with(&at_part, json!({"part": items::summary(text)})), out);
        self.close(at, "completed", out);
    }

    /// A call that the server carries out; begun here if it was not before.
    fn call(&mut self, call: CallId, out: &mut Frames) -> Option<usize> {
        let known = self.rests.call(call).filter(|call| !call.of_client)?;
        let id = call.to_string();
        if let Some(at) = self.items.find(&id) {
            return self.items.is_open(at).then_some(at);
        }
        let (item, args) = (items::call(&id, &known.name, known.approval), known.args.clone());
        let at = self.add(id.clone(), item, out);
        self.tell("response.mcp_call.in_progress", json!({"item_id": id, "output_index": at}), out);
        if !args.is_empty() {
            self.args(at, &id, &args, out);
        }
        Some(at)
    }

    fn args(&mut self, at: usize, id: &str, args: &str, out: &mut Frames) {
        self.items.set(at, "arguments", args.into());
        let fields = json!({"item_id": id, "output_index": at, "arguments": args});
        self.tell("response.mcp_call_arguments.done", fields, out);
    }

    fn answered(&mut self, call: CallId, output: Result<String, String>, out: &mut Frames) {
        let Some(at) = self.call(call, out) else { return };
        let place = json!({"item_id": call, "output_index": at});
        let status = match output {
            Ok(output) => {
                self.items.set(at, "output", output.into());
                self.tell("response.mcp_call.completed", place, out);
                "completed"
            }
            Err(error) => {
                self.items.set(at, "error", error.into());
                self.tell("response.mcp_call.failed", place, out);
                "failed"
            }
        };
        self.close(at, status, out);
    }

    fn ask(&mut self, approval: ApprovalId, call: CallId, out: &mut Frames) {
        let Some(asked) = self.rests.call(call) else { return };
        let id = approval.to_string();
        let item = items::approval(&id, &asked.name, &asked.args);
        let at = self.add(id, item, out);
        self.close(at, "", out);
    }

    /// A call that its client is to carry out.
    fn hand_over(&mut self, call: CallId, out: &mut Frames) {
        let Some(due) = self.rests.call(call) else { return };
        let (id, name, args) = (items::function_id(call), due.name.clone(), due.args.clone());
        let at = self.add(id.clone(), items::function(&id, call, &name), out);
        self.items.set(at, "arguments", args.clone().into());
        let place = json!({"item_id": id, "output_index": at});
        self.tell("response.function_call_arguments.delta", with(&place, json!({"delta": args})), out);
        self.tell("response.function_call_arguments.done", with(&place, json!({"arguments": args, "name": name})), out);
        self.close(at, "completed", out);
    }

    // ── Where the client has to do something ─────────────────────────────────────────────────────────────────────────

    fn rest(&mut self, event: &Event, pending: &[Pending], out: &mut Frames) {
        let due = self.rests.due(pending);
        if due.is_empty() {
            return;
        }
        if self.seq > self.behind {
            for call in due.iter().filter(|pending| pending.kind == "input").filter_map(|pending| pending.call) {
                self.hand_over(call, out);
            }
            self.end("completed", "response.completed", event, out);
        }
        self.before =
            Some(std::mem::replace(&mut self.stretch, self.seq)).filter(|_| self.seq <= self.behind).or(self.before);
    }
}

/// The fields of both.
fn with(fields: &Value, more: Value) -> Value {
    let mut both = fields.clone();
    if let (Some(both), Value::Object(more)) = (both.as_object_mut(), more) {
        both.extend(more);
    }
    both
}

/// What a tool has answered, as text: words as they are.
fn output_text(output: Option<&Value>) -> String {
    match output {
        Some(Value::String(text)) => text.clone(),
        Some(output) => output.to_string(),
        None => String::new(),
    }
}

impl Face for Responses {
    fn event(&mut self, event: &Event, _: &str, out: &mut Frames) {
        use EventBody as E;
        (self.seq, self.nth) = (event.seq, 0);
        self.rests.hear(&event.body);
        let mut unheard = Frames::default();
        let is_before = event.seq <= self.behind;
        // What came before is known to the client: of it counts what is referred to later.
        let out = if is_before { &mut unheard } else { out };
        if !is_before {
            self.usage.hear(&event.body);
            if self.created_at.is_none() {
                self.begin(event, out);
            }
        }
        match &event.body {
            E::RunStarted { .. } if !is_before => {
                self.status = "in_progress";
                self.tell_response("response.in_progress", out);
            }
            E::ToolStarted { call, .. } if !is_before => {
                self.call(*call, out);
            }
            E::ToolArgsDelta { call, delta } if !is_before => {
                if let Some(at) = self.items.find(&call.to_string()).filter(|at| self.items.is_open(*at)) {
                    let fields = json!({"item_id": call, "output_index": at, "delta": delta});
                    self.tell("response.mcp_call_arguments.delta", fields, out);
                }
            }
            E::ToolArgs { call, .. } if !is_before => {
                let (id, args) = (call.to_string(), self.rests.call(*call).map(|call| call.args.clone()));
                if let Some(at) = self.items.find(&id) {
                    self.args(at, &id, &args.unwrap_or_default(), out);
                }
            }
            E::ApprovalRequested { approval, call, .. } if !is_before && self.rests.asks(*approval) => {
                self.ask(*approval, *call, out);
            }
            E::RunSuspended { pending, .. } => self.rest(event, pending, out),
            // All that is told of what came before.
            _ if is_before => {}
            E::MessageDelta { message, delta } => self.say(*message, delta, out),
            E::MessageCompleted { message, role: Role::Assistant, text, status, .. } => {
                let is_whole = *status == headwater_protocol::event::MessageStatus::Completed;
                self.said(*message, text, is_whole, out);
            }
            E::ReasoningDelta { message, delta } => self.think(*message, delta, out),
            E::ReasoningCompleted { message, text } => self.thought(*message, text, out),
            E::ToolCompleted { call, output, .. } => self.answered(*call, Ok(output_text(output.as_ref())), out),
            E::ToolFailed { call, error, .. } => self.answered(*call, Err(words(error)), out),
            E::ToolDenied { call, comment, .. } => {
                let denied = comment.clone().unwrap_or_else(|| "denied".into());
                self.answered(*call, Err(denied), out);
            }
            E::StepReset { messages, calls, .. } => {
                let texts = messages.iter().flat_map(|message| [message.to_string(), items::reasoning_id(*message)]);
                let keys = texts.chain(calls.iter().map(CallId::to_string));
                let void: Vec<usize> = keys.filter_map(|key| self.items.find(&key)).collect();
                for at in void {
                    if self.items.is_open(at) {
                        self.close(at, "incomplete", out);
                    }
                    self.items.void(at);
                }
            }
            E::RunCompleted { result, .. } => {
                self.incomplete = match result.finish_reason {
                    FinishReason::Length => Some("max_output_tokens"),
                    FinishReason::ContentFilter => Some("content_filter"),
                    FinishReason::Stop | FinishReason::ToolCalls | FinishReason::MaxSteps => None,
                };
                match self.incomplete {
                    None => self.end("completed", "response.completed", event, out),
                    Some(_) => self.end("incomplete", "response.incomplete", event, out),
                }
            }
            E::RunFailed { error, .. } => {
                self.error = Some(json!({"code": error.code, "message": words(error)}));
                self.end("failed", "response.failed", event, out);
            }
            E::RunCancelled { .. } => {
                self.incomplete = Some("cancelled");
                self.end("cancelled", "response.incomplete", event, out);
            }
            E::RunQueued { .. }
            | E::RunStarted { .. }
            | E::RunResumed { .. }
            | E::StepStarted { .. }
            | E::MessageStarted { .. }
            | E::MessageCompleted { .. }
            | E::ReasoningStarted { .. }
            | E::ToolStarted { .. }
            | E::ToolArgsDelta { .. }
            | E::ToolArgs { .. }
            | E::ApprovalRequested { .. }
            | E::ApprovalResolved { .. }
            | E::ToolProgress { .. }
            | E::SubRunStarted { .. }
            | E::SubRunFinished { .. }
            | E::Artifact { .. }
            | E::StepFinished { .. }
            | E::CostEstimated { .. }
            | E::CostSettled { .. }
            | E::ModelStarted { .. }
            | E::BudgetWarning { .. }
            | E::Throttled { .. }
            | E::Hidden {}
            | E::Unknown => {}
        }
    }

    fn suspended(&mut self, _: &mut Frames) {
        self.waits = true;
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests;
