//! AG-UI 1.0: a run, or a stretch of one, as the events of one of its runs.
//!
//! A run of theirs ends where its client has to do something: decide (`outcome: interrupt`), or carry out tools of its own
//! (`pendingToolCallIds`); what follows is another run of theirs, which answers that. Nothing is open where one ends: their verifier refuses it.
//! A call of the client's own is told when it is waited for, and not before. (Read in the sources of `@ag-ui/client` 1.0.0.)
//!
//! | of the run | here |
//! |---|---|
//! | a step | `STEP_STARTED`, `STEP_FINISHED` |
//! | text, reasoning | `TEXT_MESSAGE_*`, `REASONING_*` |
//! | a call | `TOOL_CALL_START`, `_ARGS`, `_END`, `_RESULT` |
//! | what is void (`step.reset`) | all that is open is closed, and `MESSAGES_SNAPSHOT` holds what counts |
//! | cost, artifacts, runs of other agents, waiting for a provider | `CUSTOM`, by the names of our events |

use std::collections::HashSet;

use headwater_protocol::api::Decider;
use headwater_protocol::event::{Event, EventBody, Pending, Role};
use headwater_protocol::{CallId, MessageId, Usage};
use serde_json::{Value, json};

use super::rests::Rests;
use super::{Face, Frames, words};

/// What a client has named, and has.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Its thread.
    pub(crate) thread: String,
    /// Its run.
    pub(crate) run: String,
    /// Its messages.
    pub(crate) messages: Vec<Value>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct AgUi {
    asked: Asked,
    /// Behind which event its run begins.
    behind: u64,
    rests: Rests,
    began: bool,
    step: Option<String>,
    /// What is being written.
    text: Option<MessageId>,
    reasoning: Option<MessageId>,
    /// Texts that were told whole.
    told: HashSet<MessageId>,
    thought: HashSet<MessageId>,
    /// Calls that were begun and whose arguments are not all there.
    open: Vec<CallId>,
    /// Those of which arguments were told.
    told_args: HashSet<CallId>,
    /// Questions as they are asked.
    interrupts: Vec<(headwater_protocol::ApprovalId, Value)>,
    made: Vec<Made>,
    usage: Option<Usage>,
    is_over: bool,
}

/// A message of this run of theirs.
#[derive(Debug)]
struct Made {
    message: MessageId,
    text: String,
    calls: Vec<(CallId, Option<String>)>,
}

impl AgUi {
    /// Of a run, from behind this event on.
    pub(crate) fn new(asked: Asked, decider: Decider, behind: u64) -> Self {
        Self {
            asked,
            behind,
            rests: Rests::new(decider),
            began: false,
            step: None,
            text: None,
            reasoning: None,
            told: HashSet::new(),
            thought: HashSet::new(),
            open: Vec::new(),
            told_args: HashSet::new(),
            interrupts: Vec::new(),
            made: Vec::new(),
            usage: None,
            is_over: false,
        }
    }

    fn tell(&self, kind: &str, mut fields: Value, event: &Event, out: &mut Frames) {
        fields["type"] = kind.into();
        fields["timestamp"] = event.ts.ms().into();
        out.push(&fields);
    }

    fn custom(&self, name: &str, value: Value, event: &Event, out: &mut Frames) {
        self.tell("CUSTOM", json!({"name": name, "value": value}), event, out);
    }

    fn made(&mut self, message: MessageId) -> &mut Made {
        let at = self.made.iter().position(|made| made.message == message).unwrap_or_else(|| {
            self.made.push(Made { message, text: String::new(), calls: Vec::new() });
            self.made.len() - 1
        });
        &mut self.made[at]
    }

    // ── What is open, and its end ────────────────────────────────────────────────────────────────────────────────────

    fn close_text(&mut self, event: &Event, out: &mut Frames) {
        if let Some(message) = self.text.take() {
            self.told.insert(message);
            self.tell("TEXT_MESSAGE_END", json!({"messageId": message}), event, out);
        }
    }

    fn close_reasoning(&mut self, event: &Event, out: &mut Frames) {
        if let Some(message) = self.reasoning.take() {
            self.thought.insert(message);
            let id = thought_id(message);
            self.tell("REASONING_MESSAGE_END", json!({"messageId": id}), event, out);
            self.tell("REASONING_END", json!({"messageId": id}), event, out);
        }
    }

    fn close_call(&mut self, call: CallId, event: &Event, out: &mut Frames) {
        if let Some(at) = self.open.iter().position(|open| *open == call) {
            self.open.remove(at);
            self.tell("TOOL_CALL_END", json!({"toolCallId": call}), event, out);
        }
    }

    fn close_parts(&mut self, event: &Event, out: &mut Frames) {
        self.close_reasoning(event, out);
        self.close_text(event, out);
        for call in self.open.clone() {
            self.close_call(call, event, out);
        }
    }

    fn close_step(&mut self, event: &Event, out: &mut Frames) {
        self.close_parts(event, out);
        if let Some(step) = self.step.take() {
            self.tell("STEP_FINISHED", json!({"stepName": step}), event, out);
        }
    }

    fn finish(&mut self, outcome: Value, result: Value, event: &Event, out: &mut Frames) {
        self.close_step(event, out);
        let mut fields = json!({"threadId": self.asked.thread, "runId": self.asked.run, "outcome": outcome});
        if !result.is_null() {
            fields["result"] = result;
        }
        if let Some(usage) = self.usage {
            fields["usage"] = json!([{
                "inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens, "totalTokens": usage.total_tokens,
                "reasoningTokens": usage.reasoning_tokens, "cachedInputTokens": usage.cached_input_tokens,
                "cacheWriteInputTokens": usage.cache_write_tokens}]);
        }
        self.tell("RUN_FINISHED", fields, event, out);
        self.is_over = true;
    }

    // ── What is told ─────────────────────────────────────────────────────────────────────────────────────────────────

    fn say(&mut self, message: MessageId, delta: &str, event: &Event, out: &mut Frames) {
        if delta.is_empty() {
            return;
        }
        if self.text != Some(message) {
            self.close_text(event, out);
            self.tell("TEXT_MESSAGE_START", json!({"messageId": message, "role": "assistant"}), event, out);
            self.text = Some(message);
        }
        self.made(message).text.push_str(delta);
        self.tell("TEXT_MESSAGE_CONTENT", json!({"messageId": message, "delta": delta}), event, out);
    }

    fn think(&mut self, message: MessageId, delta: &str, event: &Event, out: &mut Frames) {
        if delta.is_empty() {
            return;
        }
        let id = thought_id(message);
        if self.reasoning != Some(message) {
            self.close_reasoning(event, out);
            self.tell("REASONING_START", json!({"messageId": id}), event, out);
            self.tell("REASONING_MESSAGE_START", json!({"messageId": id, "role": "reasoning"}), event, out);
            self.reasoning = Some(message);
        }
        self.tell("REASONING_MESSAGE_CONTENT", json!({"messageId": id, "delta": delta}), event, out);
    }

    fn begin_call(&mut self, call: CallId, event: &Event, out: &mut Frames) {
        let Some(known) = self.rests.call(call) else { return };
        let (message, name) = (known.message, known.name.clone());
        self.close_reasoning(event, out);
        let fields = json!({"toolCallId": call, "toolCallName": name, "parentMessageId": message});
        self.tell("TOOL_CALL_START", fields, event, out);
        self.open.push(call);
        self.made(message).calls.push((call, None));
    }

    fn args(&mut self, call: CallId, delta: &str, event: &Event, out: &mut Frames) {
        if !delta.is_empty() && self.open.contains(&call) {
            self.told_args.insert(call);
            self.tell("TOOL_CALL_ARGS", json!({"toolCallId": call, "delta": delta}), event, out);
        }
    }

    fn end_call(&mut self, call: CallId, event: &Event, out: &mut Frames) {
        let args = self.rests.call(call).map(|call| call.args.clone()).unwrap_or_default();
        if !self.told_args.contains(&call) {
            self.args(call, &args, event, out);
        }
        self.close_call(call, event, out);
    }

    fn answered(&mut self, call: CallId, content: String, event: &Event, out: &mut Frames) {
        let Some(known) = self.rests.call(call).filter(|call| !call.of_client) else { return };
        let message = known.message;
        let fields = json!({"toolCallId": call, "messageId": result_id(call), "role": "tool", "content": content});
        self.tell("TOOL_CALL_RESULT", fields, event, out);
        if let Some((_, result)) = self.made(message).calls.iter_mut().find(|(id, _)| *id == call) {
            *result = Some(content);
        }
    }

    /// What counts: what the client has had, and what is not void of what came since.
    fn snapshot(&self) -> Vec<Value> {
        let mut messages = self.asked.messages.clone();
        for made in &self.made {
            let calls: Vec<Value> = made.calls.iter().filter_map(|(call, _)| self.call_of(*call)).collect();
            let mut message = json!({"id": made.message, "role": "assistant", "content": made.text});
            if !calls.is_empty() {
                message["toolCalls"] = calls.into();
            }
            messages.push(message);
            let results = made.calls.iter().filter_map(|(call, result)| Some((call, result.as_ref()?)));
            messages.extend(results.map(
                |(call, result)| json!({"id": result_id(*call), "role": "tool", "toolCallId": call, "content": result}),
            ));
        }
        messages
    }

    fn call_of(&self, call: CallId) -> Option<Value> {
        let known = self.rests.call(call)?;
        Some(json!({"id": call, "type": "function", "function": {"name": known.name, "arguments": known.args}}))
    }

    /// The run waits: for this client, if there is something for it to do.
    fn rest(&mut self, pending: &[Pending], event: &Event, out: &mut Frames) {
        let due = self.rests.due(pending);
        if due.is_empty() || event.seq <= self.behind {
            return;
        }
        let own: Vec<CallId> =
            due.iter().filter(|pending| pending.kind == "input").filter_map(|pending| pending.call).collect();
        for call in &own {
            self.begin_call(*call, event, out);
            self.end_call(*call, event, out);
        }
        let asked = |pending: &Pending| self.interrupts.iter().find(|(id, _)| Some(*id) == pending.approval);
        let interrupts: Vec<Value> = due.iter().filter_map(asked).map(|(_, interrupt)| interrupt.clone()).collect();
        let outcome = match interrupts.is_empty() {
            true => json!({"type": "success", "pendingToolCallIds": own}),
            false => json!({"type": "interrupt", "interrupts": interrupts}),
        };
        self.finish(outcome, Value::Null, event, out);
    }
}

/// Reasoning is a message of its own there.
fn thought_id(message: MessageId) -> String {
    format!("rs_{}", message.uuid())
}

fn result_id(call: CallId) -> String {
    format!("result_{}", call.uuid())
}

/// How a question is answered: see `resume`.
fn answer_schema() -> Value {
    json!({"type": "object", "required": ["approved"], "properties": {
        "approved": {"type": "boolean"},
        "editedArgs": {"type": "object", "description": "Arguments in place of those that were asked for"},
        "reason": {"type": "string", "description": "For the model, if it is denied"}}})
}

impl Face for AgUi {
    fn event(&mut self, event: &Event, _: &str, out: &mut Frames) {
        use EventBody as E;
        self.rests.hear(&event.body);
        if let E::ApprovalRequested { approval, call, message, expires_at, .. } = &event.body {
            let interrupt = json!({"id": approval, "reason": "tool_approval", "message": message, "toolCallId": call,
                "responseSchema": answer_schema(), "expiresAt": expires_at});
            self.interrupts.push((*approval, interrupt));
        }
        // What came before is known to the client.
        if event.seq > self.behind && !std::mem::replace(&mut self.began, true) {
            let fields = json!({"threadId": self.asked.thread, "runId": self.asked.run, "protocolVersion": "1.0"});
            self.tell("RUN_STARTED", fields, event, out);
        }
        if let E::RunSuspended { pending, .. } = &event.body {
            self.rest(pending, event, out);
        }
        if event.seq <= self.behind {
            return;
        }
        match &event.body {
            E::RunQueued { thread, agent, .. } => {
                self.custom("run.queued", json!({"run": event.run, "thread": thread, "agent": agent}), event, out);
            }
            E::StepStarted { step, .. } => {
                self.close_step(event, out);
                let name = format!("step {step}");
                self.tell("STEP_STARTED", json!({"stepName": name}), event, out);
                self.step = Some(name);
            }
            E::MessageDelta { message, delta } => self.say(*message, delta, event, out),
            E::MessageCompleted { message, role: Role::Assistant, text, .. } => {
                if self.text != Some(*message) && !self.told.contains(message) {
                    self.say(*message, text, event, out);
                }
                self.close_text(event, out);
            }
            E::ReasoningDelta { message, delta } => self.think(*message, delta, event, out),
            E::ReasoningCompleted { message, text } => {
                if self.reasoning != Some(*message) && !self.thought.contains(message) {
                    self.think(*message, text, event, out);
                }
                self.close_reasoning(event, out);
            }
            E::ToolStarted { call, .. } => {
                if self.rests.call(*call).is_some_and(|call| !call.of_client) {
                    self.begin_call(*call, event, out);
                }
            }
            E::ToolArgsDelta { call, delta } => self.args(*call, delta, event, out),
            E::ToolArgs { call, .. } => self.end_call(*call, event, out),
            E::ToolCompleted { call, output, .. } => {
                let content = match output {
                    Some(Value::String(text)) => text.clone(),
                    Some(output) => output.to_string(),
                    None => String::new(),
                };
                self.answered(*call, content, event, out);
            }
            E::ToolFailed { call, error, .. } => self.answered(*call, words(error), event, out),
            E::ToolDenied { call, comment, .. } => {
                self.answered(*call, comment.clone().unwrap_or_else(|| "denied".into()), event, out);
            }
            E::StepReset { messages, calls, .. } => {
                self.close_parts(event, out);
                self.made.retain(|made| !messages.contains(&made.message));
                for made in &mut self.made {
                    made.calls.retain(|(call, _)| !calls.contains(call));
                }
                let messages = self.snapshot();
                self.tell("MESSAGES_SNAPSHOT", json!({"messages": messages}), event, out);
            }
            E::ApprovalResolved { approval, call, decision, by, comment, .. } => {
                let value =
                    json!({"approval": approval, "call": call, "decision": decision, "by": by, "comment": comment});
                self.custom("approval.resolved", value, event, out);
            }
            E::ToolProgress { call, progress, total, message } => {
                let value = json!({"call": call, "progress": progress, "total": total, "message": message});
                self.custom("tool.progress", value, event, out);
            }
            E::SubRunStarted { call, sub_run, agent, .. } => {
                self.custom("sub_run.started", json!({"call": call, "sub_run": sub_run, "agent": agent}), event, out);
            }
            E::SubRunFinished { call, sub_run, status, .. } => {
                self.custom(
                    "sub_run.finished",
                    json!({"call": call, "sub_run": sub_run, "status": status}),
                    event,
                    out,
                );
            }
            E::Artifact { artifact, call, filename, media_type, size_bytes, .. } => {
                let value = json!({"artifact": artifact, "call": call, "filename": filename, "media_type": media_type,
                    "size_bytes": size_bytes});
                self.custom("artifact", value, event, out);
            }
            E::CostSettled { run_cost, .. } => self.custom("cost", json!({"cost": run_cost}), event, out),
            E::BudgetWarning { budget, limit, spent, remaining, .. } => {
                let value = json!({"budget": budget, "limit": limit, "spent": spent, "remaining": remaining});
                self.custom("budget.warning", value, event, out);
            }
            E::Throttled { wait_ms, queue_pos, reason } => {
                let value = json!({"wait_ms": wait_ms, "queue_pos": queue_pos, "reason": reason});
                self.custom("throttled", value, event, out);
            }
            E::StepFinished { .. } => self.close_step(event, out),
            E::RunCompleted { result, usage, .. } => {
                self.usage = Some(*usage);
                let result = json!({"message": result.message, "text": result.text, "json": result.json,
                    "finish_reason": result.finish_reason});
                self.finish(json!({"type": "success"}), result, event, out);
            }
            E::RunFailed { error, .. } => {
                self.close_step(event, out);
                self.tell("RUN_ERROR", json!({"message": words(error), "code": error.code}), event, out);
                self.is_over = true;
            }
            E::RunCancelled { usage, .. } => {
                self.usage = Some(*usage);
                self.finish(json!({"type": "cancelled"}), Value::Null, event, out);
            }
            E::RunStarted { .. }
            | E::RunSuspended { .. }
            | E::RunResumed { .. }
            | E::MessageStarted { .. }
            | E::MessageCompleted { .. }
            | E::ReasoningStarted { .. }
            | E::ApprovalRequested { .. }
            | E::CostEstimated { .. }
            | E::ModelStarted { .. }
            | E::Hidden {}
            | E::Unknown => {}
        }
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use headwater_protocol::ApprovalId;
    use headwater_protocol::api::ApprovalKind;
    use headwater_protocol::event::{Actor, ActorKind, FinishReason};

    use super::*;
    use crate::faces::tests::{completed, delta, log, queued, said, step, stepped, told};

    fn face(behind: u64) -> AgUi {
        let messages = vec![json!({"id": "m", "role": "user", "content": "Hi"})];
        AgUi::new(Asked { thread: "t".into(), run: "r".into(), messages }, Decider::User, behind)
    }

    /// The types of what is told, after a look at what their verifier looks at: each part is begun, ended, and not open at the end.
    fn types(events: &[Value]) -> Vec<&str> {
        let mut open: HashSet<(String, String)> = HashSet::new();
        let mut types = Vec::new();
        for event in events {
            let kind = event["type"].as_str().expect("a type");
            types.push(kind);
            let id = ["messageId", "toolCallId", "stepName"].iter().find_map(|name| event[*name].as_str());
            let id = id.unwrap_or_default().to_owned();
            if let Some(part) =
                kind.strip_suffix("_START").or(kind.strip_suffix("_STARTED")).filter(|_| kind != "RUN_STARTED")
            {
                assert!(open.insert((part.to_owned(), id)), "{kind} twice");
            } else if kind == "RUN_FINISHED" {
                assert!(open.is_empty(), "{open:?} is open");
            } else if let Some(part) = kind.strip_suffix("_END").or(kind.strip_suffix("_FINISHED")) {
                assert!(open.remove(&(part.to_owned(), id)), "{kind} of nothing");
            } else if let Some(part) = kind.strip_suffix("_CONTENT").or(kind.strip_suffix("_ARGS")) {
                assert!(open.contains(&(part.to_owned(), id)), "{kind} of nothing");
            }
        }
        types.retain(|kind| *kind != "CUSTOM");
        types
    }

    fn started(call: CallId, message: MessageId, kind: &str) -> EventBody {
        EventBody::ToolStarted { step: 1, message, call, name: "pay".into(), kind: Some(kind.into()), effect: None }
    }

    fn args(call: CallId) -> EventBody {
        EventBody::ToolArgs { call, args: Some(json!({"a": 1})) }
    }

    #[test]
    fn an_answer_is_a_run_of_theirs_and_nothing_is_open_at_its_end() {
        let (message, call) = (MessageId::new(), CallId::new());
        let log = log(vec![
            queued(),
            step(1),
            EventBody::ReasoningDelta { message, delta: "Hm".into() },
            delta(message, "Hel"),
            delta(message, "lo"),
            started(call, message, "http"),
            EventBody::ToolArgsDelta { call, delta: "{\"a\":".into() },
            EventBody::ToolArgsDelta { call, delta: "1}".into() },
            args(call),
            said(message, "Hello"),
            EventBody::ToolCompleted { call, output: Some(json!("paid")), artifact: None, duration_ms: 1 },
            stepped(1, FinishReason::ToolCalls),
            completed(message),
        ]);
        let all = told(face(0), &log, 0, None);
        let ends = types(&all);
        assert_eq!((ends[0], *ends.last().expect("an end")), ("RUN_STARTED", "RUN_FINISHED"));
        // Without its deltas it says the same.
        let short: Vec<Event> = log.iter().filter(|event| !event.body.is_delta()).cloned().collect();
        let compacted = told(face(0), &short, 0, None);
        types(&compacted);
        let words = |events: &[Value], kind: &str| -> String {
            events.iter().filter(|event| event["type"] == kind).filter_map(|event| event["delta"].as_str()).collect()
        };
        for kind in ["TEXT_MESSAGE_CONTENT", "TOOL_CALL_ARGS"] {
            assert_eq!(words(&all, kind), words(&compacted, kind));
        }
        assert_eq!(words(&all, "TOOL_CALL_ARGS"), r#"{"a":1}"#);
    }

    #[test]
    fn what_is_void_is_closed_and_left_out_of_what_counts() {
        let (message, again, call) = (MessageId::new(), MessageId::new(), CallId::new());
        let reset =
            EventBody::StepReset { step: 1, reason: "takeover".into(), messages: vec![message], calls: vec![call] };
        let bodies = vec![
            queued(),
            step(1),
            EventBody::ReasoningDelta { message, delta: "Hm".into() },
            delta(message, "Hel"),
            started(call, message, "http"),
            reset,
            delta(again, "Hello"),
            said(again, "Hello"),
            stepped(1, FinishReason::Stop),
            completed(again),
        ];
        let all = told(face(0), &log(bodies), 0, None);
        types(&all);
        let snapshot = all.iter().find(|event| event["type"] == "MESSAGES_SNAPSHOT").expect("what counts");
        assert_eq!(snapshot["messages"], json!([{"id": "m", "role": "user", "content": "Hi"}]));
    }

    #[test]
    fn it_ends_where_its_client_is_asked_and_another_run_of_theirs_goes_on() {
        let (message, call, approval) = (MessageId::new(), CallId::new(), ApprovalId::new());
        let asked = EventBody::ApprovalRequested {
            approval,
            kind: ApprovalKind::Tool,
            call,
            name: "pay".into(),
            args: Some(json!({"a": 1})),
            message: "Pay?".into(),
            schema: json!({}),
            deciders: vec![Decider::User],
            expires_at: headwater_protocol::Timestamp::from_ms(0),
        };
        let suspended = |approval| EventBody::RunSuspended {
            reason: "x".into(),
            pending: vec![Pending::of_call(call, approval, None)],
        };
        let mut bodies =
            vec![queued(), step(1), started(call, message, "client"), args(call), said(message, ""), asked];
        bodies.push(suspended(Some(approval)));
        let first_rest = bodies.len() as u64;
        bodies.push(suspended(None));
        let second_rest = bodies.len() as u64;
        bodies.extend([stepped(1, FinishReason::ToolCalls), completed(message)]);
        let log = log(bodies);
        // The call is the client's own: nothing of it is told before it is permitted.
        let first = told(face(0), &log, 0, None);
        assert_eq!(types(&first), ["RUN_STARTED", "STEP_STARTED", "STEP_FINISHED", "RUN_FINISHED"]);
        let outcome = &first.last().expect("an end")["outcome"];
        assert_eq!((&outcome["type"], &outcome["interrupts"][0]["id"]), (&json!("interrupt"), &json!(approval)));
        let second = told(face(first_rest), &log, 0, None);
        assert_eq!(
            types(&second),
            ["RUN_STARTED", "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "RUN_FINISHED"]
        );
        assert_eq!(second.last().expect("an end")["outcome"]["pendingToolCallIds"], json!([call]));
        let third = told(face(second_rest), &log, 0, None);
        assert_eq!(types(&third), ["RUN_STARTED", "RUN_FINISHED"]);
    }

    #[test]
    fn other_ends() {
        let by = Actor { kind: ActorKind::User, id: None, reason: None };
        let cancelled = EventBody::RunCancelled { by, usage: Usage::default(), cost: None };
        let all = told(face(0), &log(vec![queued(), step(1), delta(MessageId::new(), "x"), cancelled]), 0, None);
        types(&all);
        assert_eq!(all.last().expect("an end")["outcome"]["type"], "cancelled");
    }
}
