//! OpenAI Chat Completions: the words of a run, and the calls that its client carries out. Lossy on purpose.
//!
//! What is void cannot be taken back here: a stream in which words were told that are void by now ends with an error, and an answer in one
//! piece holds what counts alone.

use std::collections::HashSet;

use headwater_protocol::api::Decider;
use headwater_protocol::event::{Event, EventBody, FinishReason, Role};
use headwater_protocol::{CallId, ErrorCode, MessageId, Problem, RunId, Usage};
use serde_json::{Value, json};

use super::rests::{Rests, Used};
use super::{Face, Frames, words};

/// How an answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// In one piece.
    Whole,
    /// As it is made; and whether what it used is told in a chunk of its own.
    Chunks {
        /// That.
        with_usage: bool,
    },
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Completions {
    model: String,
    how: How,
    run: Option<RunId>,
    created: i64,
    /// Texts by message, in order.
    texts: Vec<(MessageId, String)>,
    rests: Rests,
    /// Calls that the client is to carry out.
    due: Vec<CallId>,
    used: Used,
    /// Words that are void further on: not told.
    void: HashSet<MessageId>,
    finish: Option<&'static str>,
    failed: Option<Problem>,
    /// The event behind which the answer begins: what came before is known.
    behind: u64,
    is_over: bool,
}

impl Completions {
    /// Of a run, from behind this event on.
    pub(crate) fn new(model: String, how: How, behind: u64) -> Self {
        Self {
            model,
            how,
            run: None,
            created: 0,
            texts: Vec::new(),
            // What a person is asked has no place here: it is waited for.
            rests: Rests::new(Decider::Tenant),
            due: Vec::new(),
            used: Used::default(),
            void: HashSet::new(),
            finish: None,
            failed: None,
            behind,
            is_over: false,
        }
    }

    /// The same, without the words that are known to be void further on.
    pub(crate) fn without(mut self, void: HashSet<MessageId>) -> Self {
        self.void = void;
        self
    }

    /// The words that are void by now.
    pub(crate) fn into_void(self) -> HashSet<MessageId> {
        self.void
    }

    /// All of it in one piece, once it is over.
    pub(crate) fn completion(&self) -> Result<Value, Problem> {
        if let Some(problem) = &self.failed {
            return Err(problem.clone());
        }
        let text: String = self.texts.iter().map(|(_, text)| text.as_str()).collect();
        let calls: Vec<Value> = self.due.iter().map(|call| self.call(*call)).collect();
        let mut message = json!({"role": "assistant", "content": text, "refusal": null, "annotations": []});
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
            if text.is_empty() {
                message["content"] = Value::Null;
            }
        }
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish});
        let mut whole = self.envelope("chat.completion", json!([choice]));
        whole["usage"] = usage(self.used.of(self.behind).unwrap_or_default());
        Ok(whole)
    }

    fn envelope(&self, object: &str, choices: Value) -> Value {
        let id = self.run.map(|run| format!("chatcmpl-{}", run.uuid()));
        json!({"id": id, "object": object, "created": self.created, "model": self.model, "choices": choices,
               "service_tier": "default", "system_fingerprint": null})
    }

    fn call(&self, call: CallId) -> Value {
        let (name, args) = self.rests.call(call).map_or(("", ""), |call| (&call.name, &call.args));
        json!({"id": call, "type": "function", "function": {"name": name, "arguments": args}})
    }

    fn chunk(&self, delta: Value, finish: Option<&str>, out: &mut Frames) {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let mut chunk = self.envelope("chat.completion.chunk", json!([choice]));
        if self.how == (How::Chunks { with_usage: true }) {
            chunk["usage"] = Value::Null;
        }
        out.push(&chunk);
    }

    fn say(&mut self, message: MessageId, delta: &str, out: &mut Frames) {
        match self.texts.iter_mut().find(|(id, _)| *id == message) {
            Some((_, text)) => text.push_str(delta),
            None => self.texts.push((message, delta.to_owned())),
        }
        self.chunk(json!({"content": delta}), None, out);
    }

    fn end(&mut self, finish: &'static str, out: &mut Frames) {
        (self.finish, self.is_over) = (Some(finish), true);
        self.chunk(json!({}), Some(finish), out);
        if self.how == (How::Chunks { with_usage: true }) {
            let mut chunk = self.envelope("chat.completion.chunk", json!([]));
            chunk["usage"] = usage(self.used.of(self.behind).unwrap_or_default());
            out.push(&chunk);
        }
        out.word("[DONE]");
    }

    fn fail(&mut self, problem: Problem, out: &mut Frames) {
        let error = json!({"message": words(&problem), "type": "server_error", "param": null, "code": problem.code});
        out.push(&json!({"error": error}));
        (self.failed, self.is_over) = (Some(problem), true);
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    })
}

impl Face for Completions {
    fn event(&mut self, event: &Event, _: &str, out: &mut Frames) {
        use EventBody as E;
        self.rests.hear(&event.body);
        if event.seq <= self.behind {
            return;
        }
        self.used.hear(&event.body);
        if self.run.is_none() {
            (self.run, self.created) = (Some(event.run), event.ts.ms().div_euclid(1000));
            self.chunk(json!({"role": "assistant", "content": ""}), None, out);
        }
        match &event.body {
            E::MessageDelta { message, delta } if !self.void.contains(message) => self.say(*message, delta, out),
            E::MessageCompleted { message, role: Role::Assistant, text, .. } => {
                // Its deltas may be gone by now.
                let is_told = self.texts.iter().any(|(id, _)| id == message);
                if !text.is_empty() && !is_told && !self.void.contains(message) {
                    self.say(*message, text, out);
                }
            }
            E::StepReset { messages, .. } => {
                let said = self.texts.len();
                self.void.extend(messages);
                self.texts.retain(|(id, _)| !messages.contains(id));
                if self.texts.len() < said && self.how != How::Whole {
                    let words = "what was said is void, and is said anew: ask once more under the same Idempotency-Key";
                    self.fail(Problem::new(ErrorCode::Unavailable, words), out);
                }
            }
            E::RunSuspended { pending, .. } => {
                self.due = pending.iter().filter(|it| it.kind == "input").filter_map(|it| it.call).collect();
                if !self.due.is_empty() {
                    for (index, call) in self.due.clone().into_iter().enumerate() {
                        let mut call = self.call(call);
                        call["index"] = index.into();
                        self.chunk(json!({"tool_calls": [call]}), None, out);
                    }
                    self.end("tool_calls", out);
                }
            }
            E::RunCompleted { result, .. } => {
                let finish = match result.finish_reason {
                    FinishReason::Length => "length",
                    FinishReason::ContentFilter => "content_filter",
                    FinishReason::Stop | FinishReason::ToolCalls | FinishReason::MaxSteps => "stop",
                };
                self.end(finish, out);
            }
            E::RunFailed { error, .. } => self.fail(error.clone(), out),
            E::RunCancelled { .. } => {
                self.fail(Problem::new(ErrorCode::RunFinished, "the answer was cancelled"), out);
            }
            // What has no place here.
            E::RunQueued { .. }
            | E::RunStarted { .. }
            | E::RunResumed { .. }
            | E::StepStarted { .. }
            | E::MessageStarted { .. }
            | E::MessageDelta { .. }
            | E::MessageCompleted { .. }
            | E::StepFinished { .. }
            | E::ReasoningStarted { .. }
            | E::ReasoningDelta { .. }
            | E::ReasoningCompleted { .. }
            | E::ToolStarted { .. }
            | E::ToolArgsDelta { .. }
            | E::ToolArgs { .. }
            | E::ToolProgress { .. }
            | E::ToolCompleted { .. }
            | E::ToolFailed { .. }
            | E::ToolDenied { .. }
            | E::SubRunStarted { .. }
            | E::SubRunFinished { .. }
            | E::Artifact { .. }
            | E::ApprovalRequested { .. }
            | E::ApprovalResolved { .. }
            | E::CostEstimated { .. }
            | E::CostSettled { .. }
            | E::ModelStarted { .. }
            | E::BudgetWarning { .. }
            | E::Throttled { .. }
            | E::Hidden {}
            | E::Unknown => {}
        }
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}
