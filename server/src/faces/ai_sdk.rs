//! Vercel's AI SDK: the UI message stream, version 1, as `useChat` of AI SDK 6 and 7 reads it.
//!
//! A run is one assistant message, whose id is the run's: a replay replaces it. Its steps are the message's steps. Types of chunks are those
//! that both versions know (read in the sources of `ai` 6.0 and 7.0, autumn 2026; version 6 refuses any other). What the protocol has no
//! chunk for is a `data-` part of ours.
//!
//! | part | id | data |
//! |---|---|---|
//! | `data-approval` | the approval's | what is asked, and then what was decided |
//! | `data-cost` | `cost` | what the run has cost so far; where the reader may see it |
//! | `data-suspended` | `suspended` | what the run waits for, and behind which event (`seq`), when the stream ends with that |
//! | `data-reset` | the step's number | ids of texts and calls that are void: the step is done again |
//! | `data-artifact`, `data-sub-run` | the artifact's, the call's | what was made, which run carries a call out |
//! | `data-throttled`, `data-tool-progress`, `data-budget-warning` | none | for the moment only (transient) |

mod messages;

use std::collections::{HashMap, HashSet};

use headwater_protocol::api::Decider;
use headwater_protocol::event::{Event, EventBody, FinishReason, Pending, Role};
use headwater_protocol::{CallId, MessageId, RunId};
use serde_json::{Value, json};

pub(crate) use self::messages::messages;
use super::{Face, Frames, words};

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct AiSdk {
    /// The client has this message already, up to there.
    goes_on_after: u64,
    /// What it has answered, and is waited for no more.
    taken: Vec<(String, Value)>,
    /// The event that was seen last.
    seq: u64,
    run: Option<RunId>,
    began: bool,
    in_step: bool,
    /// What is being written.
    text: Option<MessageId>,
    reasoning: Option<MessageId>,
    /// Texts that were told whole.
    told: HashSet<MessageId>,
    thought: HashSet<MessageId>,
    /// Calls of tools, answered or not.
    calls: HashMap<CallId, Call>,
    waits: Option<(String, Vec<Pending>)>,
    is_over: bool,
}

#[derive(Debug)]
struct Call {
    name: String,
    args: Option<Value>,
    /// It was begun before where the client goes on.
    before: bool,
    answered: bool,
}

impl AiSdk {
    /// Of a run, from its beginning.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Of a run whose beginning, up to this event, its client has. `taken`: outputs of its calls that it has sent with that.
    pub(crate) fn goes_on(after: u64, taken: Vec<(String, Value)>) -> Self {
        Self { goes_on_after: after, taken, ..Self::default() }
    }

    fn close_text(&mut self, out: &mut Frames) {
        if let Some(message) = self.text.take() {
            out.push(&json!({"type": "text-end", "id": message}));
            self.told.insert(message);
        }
    }

    fn close_reasoning(&mut self, out: &mut Frames) {
        if let Some(message) = self.reasoning.take() {
            out.push(&json!({"type": "reasoning-end", "id": message}));
            self.thought.insert(message);
        }
    }

    fn close_step(&mut self, out: &mut Frames) {
        self.close_reasoning(out);
        self.close_text(out);
        if std::mem::take(&mut self.in_step) {
            out.push(&json!({"type": "finish-step"}));
        }
    }

    fn say(&mut self, message: MessageId, delta: &str, out: &mut Frames) {
        if self.text != Some(message) {
            self.close_text(out);
            out.push(&json!({"type": "text-start", "id": message}));
            self.text = Some(message);
        }
        out.push(&json!({"type": "text-delta", "id": message, "delta": delta}));
    }

    fn think(&mut self, message: MessageId, delta: &str, out: &mut Frames) {
        if self.reasoning != Some(message) {
            self.close_reasoning(out);
            out.push(&json!({"type": "reasoning-start", "id": message}));
            self.reasoning = Some(message);
        }
        out.push(&json!({"type": "reasoning-delta", "id": message, "delta": delta}));
    }

    fn call(&self, kind: &str, call: CallId, fields: Value, out: &mut Frames) {
        let mut chunk = json!({"type": kind, "toolCallId": call});
        if let (Some(chunk), Value::Object(fields)) = (chunk.as_object_mut(), fields) {
            chunk.extend(fields);
            // So that no client carries out what is not its own, or what nobody has permitted yet: see `suspended`.
            chunk.entry("providerExecuted").or_insert(true.into());
        }
        out.push(&chunk);
    }

    fn input(&mut self, call: CallId, args: Option<&Value>, out: &mut Frames) {
        let name = self.calls.get(&call).map_or("", |call| &call.name);
        self.call("tool-input-available", call, json!({"toolName": name, "input": args}), out);
        if let Some(call) = self.calls.get_mut(&call) {
            call.args = args.cloned();
        }
    }

    fn answer(&mut self, kind: &str, call: CallId, fields: Value, out: &mut Frames) {
        self.call(kind, call, fields, out);
        if let Some(call) = self.calls.get_mut(&call) {
            call.answered = true;
        }
    }

    /// What cannot be taken back is closed, and said to be void.
    fn reset(&mut self, step: i32, messages: &[MessageId], calls: &[CallId], reason: &str, out: &mut Frames) {
        self.close_reasoning(out);
        self.close_text(out);
        for call in calls {
            if self.calls.get(call).is_some_and(|call| !call.answered) {
                self.answer("tool-output-error", *call, json!({"errorText": "the step is done again"}), out);
            }
        }
        let data = json!({"step": step, "reason": reason, "messages": messages, "calls": calls});
        out.push(&json!({"type": "data-reset", "id": step.to_string(), "data": data}));
    }

    /// The end of what this stream has to say.
    fn done(&mut self, out: &mut Frames) {
        out.word("[DONE]");
        self.is_over = true;
    }

    fn begin(&mut self, metadata: Option<Value>, out: &mut Frames) {
        self.began = true;
        let mut start = json!({"type": "start", "messageId": self.run});
        if let Some(metadata) = metadata {
            start["messageMetadata"] = metadata;
        }
        out.push(&start);
        // What was being written where it goes on is written on in a part of its own.
        if let Some(message) = self.reasoning {
            out.push(&json!({"type": "reasoning-start", "id": message}));
        }
        if let Some(message) = self.text {
            out.push(&json!({"type": "text-start", "id": message}));
        }
    }
}

fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool-calls",
        FinishReason::ContentFilter => "content-filter",
        FinishReason::MaxSteps => "other",
    }
}

impl Face for AiSdk {
    fn event(&mut self, event: &Event, _: &str, out: &mut Frames) {
        use EventBody as E;
        (self.seq, self.run) = (event.seq, Some(event.run));
        if event.seq > self.goes_on_after && !self.began && !matches!(event.body, E::RunQueued { .. }) {
            self.begin(None, out);
        }
        match &event.body {
            E::RunQueued { thread, agent, .. } => {
                let metadata = json!({"run": event.run, "thread": thread, "agent": agent});
                self.begin(Some(metadata), out);
                // Whoever goes on is told once more, where that begins.
                self.began = self.goes_on_after == 0;
            }
            E::StepStarted { .. } => {
                self.close_step(out);
                self.in_step = true;
                out.push(&json!({"type": "start-step"}));
            }
            E::MessageDelta { message, delta } => self.say(*message, delta, out),
            E::MessageCompleted { message, role: Role::Assistant, text, .. } => {
                if self.text != Some(*message) && !text.is_empty() && !self.told.contains(message) {
                    self.say(*message, text, out);
                }
                self.close_text(out);
            }
            E::ReasoningDelta { message, delta } => self.think(*message, delta, out),
            E::ReasoningCompleted { message, text } => {
                if self.reasoning != Some(*message) && !text.is_empty() && !self.thought.contains(message) {
                    self.think(*message, text, out);
                }
                self.close_reasoning(out);
            }
            E::ToolStarted { call, name, .. } => {
                let before = event.seq <= self.goes_on_after;
                self.calls.insert(*call, Call { name: name.clone(), args: None, before, answered: false });
                self.call("tool-input-start", *call, json!({"toolName": name}), out);
            }
            // Whoever goes on in the middle of them is told all of them together.
            E::ToolArgsDelta { call, delta } if self.calls.get(call).is_some_and(|call| !call.before) => {
                out.push(&json!({"type": "tool-input-delta", "toolCallId": call, "inputTextDelta": delta}));
            }
            E::ToolArgs { call, args } => self.input(*call, args.as_ref(), out),
            E::ToolCompleted { call, output, .. } => {
                self.answer("tool-output-available", *call, json!({"output": output}), out);
            }
            E::ToolFailed { call, error, .. } => {
                self.answer("tool-output-error", *call, json!({"errorText": words(error)}), out);
            }
            E::ToolDenied { call, .. } => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.answered = true;
                }
                out.push(&json!({"type": "tool-output-denied", "toolCallId": call}));
            }
            E::ToolProgress { call, progress, total, message } => {
                let data = json!({"call": call, "progress": progress, "total": total, "message": message});
                out.push(&json!({"type": "data-tool-progress", "data": data, "transient": true}));
            }
            E::SubRunStarted { call, sub_run, agent, .. } => {
                let data = json!({"call": call, "run": sub_run, "agent": agent, "status": "running"});
                out.push(&json!({"type": "data-sub-run", "id": call, "data": data}));
            }
            E::SubRunFinished { call, sub_run, status, usage, cost, .. } => {
                let data = json!({"call": call, "run": sub_run, "status": status, "usage": usage, "cost": cost});
                out.push(&json!({"type": "data-sub-run", "id": call, "data": data}));
            }
            E::Artifact { artifact, call, filename, media_type, size_bytes, .. } => {
                let data = json!({"artifact": artifact, "call": call, "filename": filename, "media_type": media_type,
                    "size_bytes": size_bytes});
                out.push(&json!({"type": "data-artifact", "id": artifact, "data": data}));
            }
            E::ApprovalRequested { approval, kind, call, name, message, schema, deciders, expires_at, .. } => {
                let data = json!({"approval": approval, "kind": kind, "call": call, "name": name, "message": message,
                    "schema": schema, "deciders": deciders, "expires_at": expires_at, "status": "pending"});
                out.push(&json!({"type": "data-approval", "id": approval, "data": data}));
                // Who may not decide is not asked.
                if deciders.contains(&Decider::User) {
                    out.push(&json!({"type": "tool-approval-request", "approvalId": approval, "toolCallId": call}));
                }
            }
            E::ApprovalResolved { approval, call, decision, by, edited_args, comment, .. } => {
                let data =
                    json!({"approval": approval, "call": call, "status": decision, "by": by, "comment": comment});
                out.push(&json!({"type": "data-approval", "id": approval, "data": data}));
                if edited_args.is_some() {
                    self.input(*call, edited_args.as_ref(), out);
                }
            }
            E::CostSettled { run_cost, .. } => {
                out.push(&json!({"type": "data-cost", "id": "cost", "data": {"cost": run_cost}}));
            }
            E::BudgetWarning { budget, limit, spent, remaining, .. } => {
                let data = json!({"budget": budget, "limit": limit, "spent": spent, "remaining": remaining});
                out.push(&json!({"type": "data-budget-warning", "data": data, "transient": true}));
            }
            E::Throttled { wait_ms, queue_pos, reason } => {
                let data = json!({"wait_ms": wait_ms, "queue_pos": queue_pos, "reason": reason});
                out.push(&json!({"type": "data-throttled", "data": data, "transient": true}));
            }
            E::StepFinished { .. } => self.close_step(out),
            E::StepReset { step, messages, calls, reason } => self.reset(*step, messages, calls, reason, out),
            E::RunSuspended { reason, pending } => {
                self.waits = Some((reason.clone(), pending.clone()));
            }
            E::RunResumed { .. } => self.waits = None,
            E::RunCompleted { result, usage, cost } => {
                self.close_step(out);
                let metadata = json!({"usage": usage, "cost": cost});
                let reason = finish_reason(result.finish_reason);
                out.push(&json!({"type": "finish", "finishReason": reason, "messageMetadata": metadata}));
                self.done(out);
            }
            E::RunFailed { error, .. } => {
                self.close_step(out);
                out.push(&json!({"type": "error", "errorText": words(error)}));
                self.done(out);
            }
            E::RunCancelled { by, .. } => {
                self.close_step(out);
                // A step without calls: a client that sends by itself what its calls have come to would send it again and again.
                out.push(&json!({"type": "start-step"}));
                out.push(&json!({"type": "abort", "reason": by.reason.as_deref().unwrap_or("cancelled")}));
                self.done(out);
            }
            E::RunStarted { .. }
            | E::MessageStarted { .. }
            | E::MessageCompleted { .. }
            | E::ReasoningStarted { .. }
            | E::ToolArgsDelta { .. }
            | E::CostEstimated { .. }
            | E::ModelStarted { .. }
            | E::Hidden {}
            | E::Unknown => {}
        }
    }

    /// Its client is to do something about that: only now is it told which calls are its own to carry out.
    fn suspended(&mut self, out: &mut Frames) {
        if !self.began {
            self.begin(None, out);
        }
        let (reason, pending) = self.waits.take().unwrap_or_default();
        for call in pending.iter().filter(|pending| pending.kind == "input").filter_map(|pending| pending.call) {
            let taken = self.taken.iter().find(|(taken, _)| *taken == call.to_string());
            if let Some((_, output)) = taken {
                // It waits for something else too; until that comes, nothing is whole, and nothing is to be sent.
                let fields = json!({"output": output, "preliminary": true, "providerExecuted": false});
                self.call("tool-output-available", call, fields, out);
            } else if let Some(found) = self.calls.get(&call) {
                let fields = json!({"toolName": found.name, "input": found.args, "providerExecuted": false});
                self.call("tool-input-available", call, fields, out);
            }
        }
        let data = json!({"reason": reason, "pending": pending, "seq": self.seq});
        out.push(&json!({"type": "data-suspended", "id": "suspended", "data": data}));
        self.close_step(out);
        if pending.iter().any(|pending| pending.kind == "budget") {
            // What is waited for is none of a call's: see the end of a run that is cancelled.
            out.push(&json!({"type": "start-step"}));
        }
        out.push(&json!({"type": "finish", "finishReason": "tool-calls"}));
        self.done(out);
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use headwater_protocol::event::{Actor, ActorKind};
    use headwater_protocol::{ErrorCode, Problem, Timestamp, Usage};

    use super::*;
    use crate::faces::tests::{completed, delta, log, queued, said, step, stepped, told};

    fn asked(call: CallId) -> [EventBody; 4] {
        let message = MessageId::new();
        let pending = vec![Pending::of_call(call, Some(headwater_protocol::ApprovalId::new()), None)];
        [
            EventBody::ToolStarted {
                step: 1,
                message,
                call,
                name: "pay".into(),
                kind: Some("http".into()),
                effect: Some("read".into()),
            },
            EventBody::ToolArgs { call, args: Some(json!({"a": 1})) },
            EventBody::ApprovalRequested {
                approval: headwater_protocol::ApprovalId::new(),
                kind: headwater_protocol::api::ApprovalKind::Tool,
                call,
                name: "pay".into(),
                args: Some(json!({"a": 1})),
                message: "Pay?".into(),
                schema: json!({}),
                deciders: vec![Decider::User],
                expires_at: Timestamp::from_ms(0),
            },
            EventBody::RunSuspended { reason: "approval".into(), pending },
        ]
    }

    fn types(chunks: &[Value]) -> Vec<&str> {
        chunks.iter().map(|chunk| chunk["type"].as_str().unwrap_or("[DONE]")).collect()
    }

    #[test]
    fn an_answer_is_one_message_of_steps() {
        let message = MessageId::new();
        let log = log(vec![
            queued(),
            step(1),
            delta(message, "Hel"),
            delta(message, "lo"),
            said(message, "Hello"),
            stepped(1, FinishReason::Stop),
            completed(message),
        ]);
        let chunks = told(AiSdk::new(), &log, 0, None);
        let want = [
            "start",
            "start-step",
            "text-start",
            "text-delta",
            "text-delta",
            "text-end",
            "finish-step",
            "finish",
            "[DONE]",
        ];
        assert_eq!(types(&chunks), want);
        assert_eq!(chunks[0]["messageId"], json!(log[0].run));
        assert_eq!(chunks[7]["finishReason"], "stop");
        // Of a log without its deltas it is the same answer.
        let short: Vec<Event> = log.iter().filter(|event| !event.body.is_delta()).cloned().collect();
        let chunks = told(AiSdk::new(), &short, 0, None);
        assert_eq!(chunks[3]["delta"], "Hello");
    }

    #[test]
    fn it_rests_where_somebody_is_asked_and_goes_on_from_there() {
        let (call, message) = (CallId::new(), MessageId::new());
        let mut bodies = vec![queued(), step(1)];
        bodies.extend(asked(call));
        let until = bodies.len() as u64;
        let waits = told(AiSdk::new(), &log(bodies.clone()), 0, Some(until));
        let want = [
            "start",
            "start-step",
            "tool-input-start",
            "tool-input-available",
            "data-approval",
            "tool-approval-request",
        ];
        let rests = ["data-suspended", "finish-step", "finish", "[DONE]"];
        assert_eq!(types(&waits), [&want[..], &rests].concat());
        assert_eq!(waits[2]["providerExecuted"], true);
        bodies.push(EventBody::RunResumed { attempt: 1, reason: "decision".into() });
        bodies.push(EventBody::ToolCompleted { call, output: Some(json!("paid")), artifact: None, duration_ms: 1 });
        bodies.push(stepped(1, FinishReason::ToolCalls));
        bodies.push(completed(message));
        let all = log(bodies);
        // Whoever reads it from the beginning, after that, sees no end in the middle.
        let replay = told(AiSdk::new(), &all, 0, None);
        assert_eq!(types(&replay), [&want[..], &["tool-output-available", "finish-step", "finish", "[DONE]"]].concat());
        // Whoever has the beginning is told the rest, within the same message.
        let rest = told(AiSdk::goes_on(until, Vec::new()), &all, until, None);
        assert_eq!(types(&rest), ["start", "tool-output-available", "finish-step", "finish", "[DONE]"]);
        assert_eq!(rest[0]["messageId"], json!(all[0].run));
    }

    #[test]
    fn what_is_void_is_closed_and_named() {
        let (call, message, again) = (CallId::new(), MessageId::new(), MessageId::new());
        let [started, args, ..] = asked(call);
        let reset =
            EventBody::StepReset { step: 1, reason: "takeover".into(), messages: vec![message], calls: vec![call] };
        let log = log(vec![
            queued(),
            step(1),
            delta(message, "Hel"),
            started,
            args,
            reset,
            delta(again, "Hello"),
            completed(again),
        ]);
        let chunks = told(AiSdk::new(), &log, 0, None);
        let after =
            ["text-end", "tool-output-error", "data-reset", "text-start", "text-delta", "text-end", "finish-step"];
        assert_eq!(types(&chunks)[6..13], after);
    }

    #[test]
    fn other_ends() {
        let by = Actor { kind: ActorKind::User, id: None, reason: None };
        let cancelled = EventBody::RunCancelled { by, usage: Usage::default(), cost: None };
        let chunks = told(AiSdk::new(), &log(vec![queued(), step(1), cancelled]), 0, None);
        assert_eq!(types(&chunks), ["start", "start-step", "finish-step", "start-step", "abort", "[DONE]"]);
        let error = Problem::new(ErrorCode::ProviderTimeout, "it took too long");
        let failed = EventBody::RunFailed {
            code: error.code,
            message: None,
            retryable: true,
            error,
            usage: Usage::default(),
            cost: None,
        };
        let chunks = told(AiSdk::new(), &log(vec![queued(), failed]), 0, None);
        assert_eq!(
            (types(&chunks), &chunks[1]["errorText"]),
            (vec!["start", "error", "[DONE]"], &json!("it took too long"))
        );
    }
}
