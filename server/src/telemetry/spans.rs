//! A run's trace: the spans of what it has done, by the names of OpenTelemetry's GenAI conventions (as of 1.41) where they have one.
//!
//! Promises the same spans from the same rows, at whichever process: ids come from what a span is of. What people, models and tools
//! say is in them only where that was asked for.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use headwater_protocol::api::RunStatus;
use headwater_protocol::trace::{TraceContext, span_id};
use headwater_protocol::{Problem, TenantId, Timestamp};
use headwater_store::scoped::{RunTrace, TracedApproval, TracedModelCall, TracedToolCall};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// What makes a span of a run.
struct Kit {
    context: TraceContext,
    root: Uuid,
    scope: InstrumentationScope,
    /// On each span: whose it is.
    whose: Vec<KeyValue>,
}

/// What is said once for a run is not repeated for a text of any length.
const TEXT: usize = 4096;

/// The spans of a run that have not been told, and what those are of that lie below its own. `over`: it has ended, and so has its own.
pub(super) fn spans(
    tenant: TenantId,
    context: TraceContext,
    trace: &RunTrace,
    over: bool,
) -> (Vec<SpanData>, Vec<Uuid>) {
    let run = &trace.run;
    let kit = Kit {
        context,
        root: run.id.uuid(),
        scope: InstrumentationScope::builder("headwater").with_version(crate::http::VERSION).build(),
        whose: vec![
            KeyValue::new("headwater.tenant.id", tenant.to_string()),
            KeyValue::new("user.id", run.user.to_string()),
            KeyValue::new("headwater.run.id", run.id.to_string()),
            KeyValue::new("gen_ai.conversation.id", run.thread.to_string()),
        ],
    };
    let ended = run.finished_at.filter(|_| over);
    let is_new = |of: Uuid| !trace.told.contains(&of);
    let (mut spans, mut told) = (Vec::new(), Vec::new());
    let mut tell = |of: Uuid, span: SpanData| {
        told.push(of);
        spans.push(span);
    };
    for call in trace.model_calls.iter().filter(|call| is_new(call.model_call)) {
        tell(call.model_call, kit.model_call(call));
    }
    // What nobody has answered or decided ends with its run.
    for call in trace.tool_calls.iter().filter(|call| is_new(call.call_id)) {
        if let Some(end) = call.answered_at.or(ended.map(|at| at.0)) {
            tell(call.call_id, kit.tool_call(call, end));
        }
    }
    for approval in trace.approvals.iter().filter(|approval| is_new(approval.approval_id)) {
        if let Some(end) = approval.decided_at.or(ended.map(|at| at.0)) {
            tell(approval.approval_id, kit.approval(approval, end));
        }
    }
    if let Some(end) = ended {
        spans.push(kit.run(trace, end));
    }
    (spans, told)
}

fn clock(at: jiff::Timestamp) -> SystemTime {
    at.into()
}

/// `PROVIDER/model-id` apart.
fn model_of(model: &str) -> [KeyValue; 2] {
    let (provider, name) = model.split_once('/').unwrap_or(("", model));
    [KeyValue::new("gen_ai.provider.name", provider.to_owned()), KeyValue::new("gen_ai.request.model", name.to_owned())]
}

/// Input, cached input, cache write, output, reasoning.
fn usage_of(usage: [i64; 5]) -> [KeyValue; 5] {
    let [input, cached, written, output, reasoning] = usage;
    [
        KeyValue::new("gen_ai.usage.input_tokens", input),
        KeyValue::new("gen_ai.usage.output_tokens", output),
        KeyValue::new("gen_ai.usage.cache_read.input_tokens", cached),
        KeyValue::new("gen_ai.usage.cache_creation.input_tokens", written),
        KeyValue::new("gen_ai.usage.reasoning.output_tokens", reasoning),
    ]
}

/// No convention has a name for money.
fn cost_of(nano_usd: Option<i64>, estimated: bool) -> Vec<KeyValue> {
    let Some(nano) = nano_usd else { return Vec::new() };
    vec![
        KeyValue::new("headwater.cost.nano_usd", nano),
        KeyValue::new("headwater.cost.usd", nano as f64 / 1e9),
        KeyValue::new("headwater.cost.estimated", estimated),
    ]
}

fn finish_reasons(reason: &str) -> KeyValue {
    let reasons = vec![StringValue::from(reason.to_owned())];
    KeyValue::new("gen_ai.response.finish_reasons", Value::Array(Array::String(reasons)))
}

fn failed(code: &str) -> (Status, KeyValue) {
    (Status::error(code.to_owned()), KeyValue::new("error.type", code.to_owned()))
}

fn code_of(error: Option<&Problem>, otherwise: &str) -> String {
    error.map_or_else(|| otherwise.to_owned(), |problem| problem.code.as_str().to_owned())
}

/// Parts of a message as the conventions write them.
fn message(role: &str, parts: &Json, finish_reason: Option<&str>) -> Json {
    let part = |part: &Json| match part["text"].as_str().filter(|_| part["type"] == "text") {
        Some(text) => json!({"type": "text", "content": text}),
        None => part.clone(),
    };
    let parts: Vec<Json> = match parts {
        Json::Array(parts) => parts.iter().map(part).collect(),
        Json::Null => Vec::new(),
        one => vec![part(one)],
    };
    let mut message = json!({"role": role, "parts": parts});
    if let Some(reason) = finish_reason {
        message["finish_reason"] = reason.into();
    }
    json!([message])
}

impl Kit {
    fn span(
        &self,
        of: Uuid,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
        (start, end): (SystemTime, SystemTime),
        (status, attributes): (Status, Vec<KeyValue>),
    ) -> SpanData {
        let trace = TraceId::from_bytes(self.context.trace_id);
        let id = SpanId::from_bytes(span_id(of));
        let is_root = of == self.root;
        let parent = if is_root { self.context.parent } else { Some(span_id(self.root)) };
        SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from_bytes),
            parent_span_is_remote: is_root && parent.is_some(),
            span_kind: kind,
            name: name.into(),
            start_time: start.min(end),
            end_time: end,
            attributes: self.whose.iter().cloned().chain(attributes).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }

    fn run(&self, trace: &RunTrace, end: Timestamp) -> SpanData {
        let run = &trace.run;
        let usage = run.usage;
        let counts = [
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
        ];
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "invoke_agent"),
            KeyValue::new("gen_ai.agent.id", run.agent.to_string()),
            KeyValue::new("gen_ai.agent.name", trace.agent_name.clone()),
            KeyValue::new("gen_ai.agent.version", run.agent_version.to_string()),
            KeyValue::new("headwater.run.status", run.status.as_str()),
            KeyValue::new("headwater.run.attempts", i64::from(run.attempt)),
            KeyValue::new("headwater.run.takeovers", i64::from(trace.deaths)),
            KeyValue::new("headwater.run.steps", i64::from(run.steps)),
        ];
        attributes.extend(model_of(&run.model));
        attributes.extend(usage_of(counts.map(|count| i64::try_from(count).unwrap_or(i64::MAX))));
        attributes.extend(cost_of(run.cost.map(|cost| cost.0), run.cost_estimated));
        let schedule = run.source.id.clone().filter(|_| run.source.kind == "schedule");
        attributes.extend(schedule.map(|schedule| KeyValue::new("headwater.schedule.id", schedule)));
        attributes.extend(
            trace
                .asked
                .as_ref()
                .map(|asked| KeyValue::new("gen_ai.input.messages", message("user", asked, None).to_string())),
        );
        if let Some(result) = &run.result {
            let reason = serde_json::to_value(result.finish_reason).unwrap_or_default();
            attributes.push(finish_reasons(reason.as_str().unwrap_or_default()));
            if trace.asked.is_some() {
                let text: String = result.text.chars().take(TEXT).collect();
                let text = json!([{"type": "text", "text": text}]);
                attributes.push(KeyValue::new(
                    "gen_ai.output.messages",
                    message("assistant", &text, reason.as_str()).to_string(),
                ));
            }
        }
        let status = match run.status {
            RunStatus::Failed => {
                let (status, attribute) = failed(&code_of(run.error.as_ref(), "failed"));
                attributes.push(attribute);
                status
            }
            _ => Status::Unset,
        };
        let times = (clock(run.created_at.0), clock(end.0));
        self.span(
            self.root,
            SpanKind::Internal,
            format!("invoke_agent {}", trace.agent_name),
            times,
            (status, attributes),
        )
    }

    fn model_call(&self, call: &TracedModelCall) -> SpanData {
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "chat"),
            KeyValue::new("headwater.model_call.id", format!("llm_{}", call.model_call)),
            KeyValue::new("headwater.step", i64::from(call.step)),
            KeyValue::new("headwater.attempt", i64::from(call.attempt)),
            KeyValue::new("headwater.queued_ms", call.queued_ms),
        ];
        attributes.extend(model_of(&call.model));
        attributes.extend(call.usage.clone().try_into().ok().map(usage_of).into_iter().flatten());
        attributes.extend(cost_of(call.cost_nano_usd, call.estimated));
        attributes.extend(call.first_token_ms.map(|ms| KeyValue::new("headwater.first_token_ms", ms)));
        attributes.extend(call.finish_reason.as_deref().map(finish_reasons));
        attributes.extend(call.said.as_ref().map(|said| {
            KeyValue::new(
                "gen_ai.output.messages",
                message("assistant", said, call.finish_reason.as_deref()).to_string(),
            )
        }));
        let status = match (call.outcome.as_str(), &call.error) {
            ("completed", None) => Status::Unset,
            (outcome, error) => {
                let (status, attribute) = failed(&code_of(error.as_ref(), outcome));
                attributes.push(attribute);
                status
            }
        };
        let (_, name) = call.model.split_once('/').unwrap_or(("", &call.model));
        let (took, end) = (Duration::from_millis(call.duration_ms.max(0).unsigned_abs()), clock(call.settled_at));
        let times = (end.checked_sub(took).unwrap_or(end), end);
        self.span(call.model_call, SpanKind::Client, format!("chat {name}"), times, (status, attributes))
    }

    fn tool_call(&self, call: &TracedToolCall, end: jiff::Timestamp) -> SpanData {
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "execute_tool"),
            KeyValue::new("gen_ai.tool.name", call.name.clone()),
            KeyValue::new("gen_ai.tool.call.id", format!("call_{}", call.call_id)),
            // Whoever embeds us carries out the one kind, this process the others.
            KeyValue::new(
                "gen_ai.tool.type",
                if call.kind.as_deref() == Some("client") { "function" } else { "extension" },
            ),
            KeyValue::new("headwater.step", i64::from(call.step)),
            KeyValue::new("headwater.tool.status", call.status.clone()),
        ];
        attributes.extend(call.kind.clone().map(|kind| KeyValue::new("headwater.tool.kind", kind)));
        attributes.extend(call.args.as_ref().map(|args| KeyValue::new("gen_ai.tool.call.arguments", args.to_string())));
        attributes
            .extend(call.output.as_ref().map(|output| KeyValue::new("gen_ai.tool.call.result", output.to_string())));
        let status = match call.status.as_str() {
            "completed" => Status::Unset,
            status => {
                let (status, attribute) = failed(&code_of(call.error.as_ref(), status));
                attributes.push(attribute);
                status
            }
        };
        let times = (clock(call.started_at.unwrap_or(call.created_at)), clock(end));
        self.span(call.call_id, SpanKind::Internal, format!("execute_tool {}", call.name), times, (status, attributes))
    }

    fn approval(&self, approval: &TracedApproval, end: jiff::Timestamp) -> SpanData {
        let mut attributes = vec![
            KeyValue::new("headwater.approval.id", format!("apr_{}", approval.approval_id)),
            KeyValue::new("headwater.approval.status", approval.status.clone()),
            KeyValue::new("gen_ai.tool.name", approval.name.clone()),
            KeyValue::new("gen_ai.tool.call.id", format!("call_{}", approval.call_id)),
        ];
        attributes.extend(approval.decided_by.clone().map(|by| KeyValue::new("headwater.approval.by", by)));
        let times = (clock(approval.created_at), clock(end));
        let name = format!("approval {}", approval.name);
        self.span(approval.approval_id, SpanKind::Internal, name, times, (Status::Unset, attributes))
    }
}
