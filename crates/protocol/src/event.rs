//! The events of a run's log: their names, fields, rendering, and what each reader may see of them.
//!
//! Promises that an event renders to one line of compact JSON, always with its envelope first
//! (`v`, `seq`, `ts`, `run`, `type`), and that [`render_for`] gives the same bytes for the same line and audience on
//! every replica. Within `v: 1` fields and types are only ever added.

use std::borrow::Cow;
use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::api::{
    ApprovalKind, ApprovalStatus, BudgetMode, BudgetScope, BudgetScopeType, Decider, Remember, RunStatus,
};
use crate::message::Message;
use crate::{
    AgentId, ApprovalId, ArtifactId, BudgetId, CallId, ErrorCode, Fault, MessageId, ModelCallId, Money, Problem, RunId,
    ThreadId, Timestamp, Usage, UserId,
};

/// The largest event, in bytes of its JSON. What is larger becomes a reference to an artifact.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Actor {
    /// What kind of actor.
    #[serde(rename = "type")]
    pub kind: ActorKind,
    /// `usr_…` or `key_…`, `null` where there is none.
    pub id: Option<String>,
    /// Why the system acted: `expired`, `on_conflict`, `on_disconnect`, `deleted`.
    pub reason: Option<String>,
}

impl Actor {
    /// Headwater itself, for one of the reasons above.
    pub fn system(reason: &str) -> Self {
        Self { kind: ActorKind::System, id: None, reason: Some(reason.to_owned()) }
    }
}

/// Kinds of actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A tenant's end user.
    User,
    /// The tenant, by one of its keys.
    Tenant,
    /// The operator of the service.
    Operator,
    /// Headwater itself.
    System,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It reached its limit of output tokens.
    Length,
    /// It wants tools to be called. Of steps only.
    ToolCalls,
    /// The run's last permitted step. Of runs only.
    MaxSteps,
    /// The provider's filter stopped it.
    ContentFilter,
}

/// What a completed run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunResult {
    /// The message that holds the answer.
    pub message: MessageId,
    /// Its text.
    pub text: String,
    /// The parsed answer, where the agent's `response_format` asks for JSON.
    pub json: Option<serde_json::Value>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// Something a suspended run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pending {
    /// `approval`, `input`, `sub_run` or `budget`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The approval, if that is what is waited for.
    pub approval: Option<ApprovalId>,
    /// The tool call concerned.
    pub call: Option<CallId>,
    /// The run of another agent, if its end is what is waited for.
    pub run: Option<RunId>,
    /// The budget, if that is what is waited for; `null` with `run` if it is that run's own.
    pub budget: Option<BudgetId>,
}

impl Pending {
    /// A budget that is used up: one of its own, or a run's.
    pub fn of_budget(budget: Option<BudgetId>, run: Option<RunId>) -> Self {
        Self { kind: "budget".into(), approval: None, call: None, run, budget }
    }

    /// A call that waits for a decision, for a run of another agent, or for an answer.
    pub fn of_call(call: CallId, approval: Option<ApprovalId>, run: Option<RunId>) -> Self {
        let kind = match (approval, run) {
            (Some(_), _) => "approval",
            (None, Some(_)) => "sub_run",
            (None, None) => "input",
        };
        Self { kind: kind.into(), approval, call: Some(call), run, budget: None }
    }
}

/// What an event tells, by its `type`. Types that this release does not know read as [`EventBody::Unknown`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "the fields are those of the API page, named once there and in the OpenAPI document")]
pub enum EventBody {
    /// The run was accepted. Always seq 1.
    #[serde(rename = "run.queued")]
    RunQueued {
        thread: ThreadId,
        user: UserId,
        agent: AgentId,
        agent_version: i32,
        input_messages: Vec<MessageId>,
        run_at: Option<Timestamp>,
        after_run: Option<RunId>,
    },
    /// The loop began. Once per run.
    #[serde(rename = "run.started")]
    RunStarted { attempt: i32, agent: AgentId, agent_version: i32, model: String },
    /// The run waits for a person.
    #[serde(rename = "run.suspended")]
    RunSuspended { reason: String, pending: Vec<Pending> },
    /// The run goes on.
    #[serde(rename = "run.resumed")]
    RunResumed { attempt: i32, reason: String },
    /// Terminal: done.
    #[serde(rename = "run.completed")]
    RunCompleted { result: RunResult, usage: Usage, cost: Option<Money> },
    /// Terminal: failed. `code`, `message` and `retryable` repeat `error`.
    #[serde(rename = "run.failed")]
    RunFailed {
        code: ErrorCode,
        message: Option<String>,
        retryable: bool,
        error: Problem,
        usage: Usage,
        cost: Option<Money>,
    },
    /// Terminal: cancelled.
    #[serde(rename = "run.cancelled")]
    RunCancelled { by: Actor, usage: Usage, cost: Option<Money> },
    /// A model call begins; `input_messages` were steered in.
    #[serde(rename = "step.started")]
    StepStarted { step: i32, model: String, input_messages: Vec<MessageId> },
    /// A model call and its tools are done.
    #[serde(rename = "step.finished")]
    StepFinished { step: i32, finish_reason: FinishReason, usage: Usage, cost: Option<Money> },
    /// What this step produced so far is void; new ids follow.
    #[serde(rename = "step.reset")]
    StepReset { step: i32, reason: String, messages: Vec<MessageId>, calls: Vec<CallId> },
    /// A message begins.
    #[serde(rename = "message.started")]
    MessageStarted { step: i32, message: MessageId, role: Role },
    /// More text of a message.
    #[serde(rename = "message.delta")]
    MessageDelta { message: MessageId, delta: String },
    /// The whole text again, so that a late reader needs no deltas.
    #[serde(rename = "message.completed")]
    MessageCompleted { step: i32, message: MessageId, role: Role, text: String, status: MessageStatus },
    /// The model begins to reason.
    #[serde(rename = "reasoning.started")]
    ReasoningStarted { step: i32, message: MessageId },
    /// More of its reasoning.
    #[serde(rename = "reasoning.delta")]
    ReasoningDelta { message: MessageId, delta: String },
    /// The whole reasoning again.
    #[serde(rename = "reasoning.completed")]
    ReasoningCompleted { message: MessageId, text: String },
    /// The model begins to call a tool. `kind` and `effect` are `null` for one that the agent does not have.
    #[serde(rename = "tool.started")]
    ToolStarted {
        step: i32,
        message: MessageId,
        call: CallId,
        name: String,
        kind: Option<String>,
        effect: Option<String>,
    },
    /// More of a call's arguments, as JSON text.
    #[serde(rename = "tool.args.delta")]
    ToolArgsDelta { call: CallId, delta: String },
    /// All of them, parsed; `null` when they are no JSON.
    #[serde(rename = "tool.args")]
    ToolArgs { call: CallId, args: Option<serde_json::Value> },
    /// A call is being carried out, and how far it is, as its tool tells.
    #[serde(rename = "tool.progress")]
    ToolProgress { call: CallId, progress: f64, total: Option<f64>, message: Option<String> },
    /// A call is carried out by a run of another agent.
    #[serde(rename = "sub_run.started")]
    SubRunStarted { call: CallId, sub_run: RunId, agent: AgentId, agent_version: i32 },
    /// That run has ended. What it used and cost counts as this run's too.
    #[serde(rename = "sub_run.finished")]
    SubRunFinished {
        call: CallId,
        sub_run: RunId,
        status: RunStatus,
        usage: Usage,
        cost: Option<Money>,
        estimated: bool,
    },
    /// A call was answered. `artifact` is the whole where `output` is an excerpt.
    #[serde(rename = "tool.completed")]
    ToolCompleted { call: CallId, output: Option<serde_json::Value>, artifact: Option<ArtifactId>, duration_ms: u64 },
    /// There is something that is too large for an event, or is no text.
    #[serde(rename = "artifact")]
    Artifact {
        artifact: ArtifactId,
        call: Option<CallId>,
        message: Option<MessageId>,
        filename: Option<String>,
        media_type: String,
        size_bytes: u64,
    },
    /// A call went wrong; the model is told.
    #[serde(rename = "tool.failed")]
    ToolFailed { call: CallId, error: Problem, duration_ms: u64 },
    /// A call was not permitted. `by` is `null` when the agent's policy says so.
    #[serde(rename = "tool.denied")]
    ToolDenied { call: CallId, by: Option<Actor>, comment: Option<String> },
    /// A person is asked whether a call may be carried out.
    #[serde(rename = "approval.requested")]
    ApprovalRequested {
        approval: ApprovalId,
        kind: ApprovalKind,
        call: CallId,
        name: String,
        args: Option<serde_json::Value>,
        message: String,
        schema: serde_json::Value,
        deciders: Vec<Decider>,
        expires_at: Timestamp,
    },
    /// What was decided, and by whom. `expired` where nobody did in time.
    #[serde(rename = "approval.resolved")]
    ApprovalResolved {
        approval: ApprovalId,
        call: CallId,
        decision: ApprovalStatus,
        by: Option<Actor>,
        edited_args: Option<serde_json::Value>,
        comment: Option<String>,
        remember: Option<Remember>,
    },
    /// What a model call is expected to cost.
    #[serde(rename = "cost.estimated")]
    CostEstimated {
        step: i32,
        model_call: ModelCallId,
        model: String,
        input_tokens: u64,
        expected: Option<Money>,
        reserve: Option<Money>,
    },
    /// The provider has begun an answer that it keeps: whoever takes the run over can go on reading it. `response` is the
    /// provider's own id of it. Told only where a provider is asked in background mode; never to end users.
    #[serde(rename = "model.started")]
    ModelStarted { step: i32, model_call: ModelCallId, model: String, response: String },
    /// What a model call did cost. `cost` is `null` for a model without a price.
    #[serde(rename = "cost.settled")]
    CostSettled {
        step: i32,
        model_call: ModelCallId,
        model: String,
        usage: Usage,
        cost: Option<Money>,
        estimated: bool,
        run_cost: Option<Money>,
    },
    /// A budget that covers the run is about to be used up. Once per budget, window and run.
    #[serde(rename = "budget.warning")]
    BudgetWarning {
        budget: BudgetId,
        scope: BudgetScope,
        mode: BudgetMode,
        limit: Money,
        spent: Money,
        remaining: Money,
    },
    /// The run waits for a place. At most one per second.
    #[serde(rename = "throttled")]
    Throttled { wait_ms: u64, queue_pos: u32, reason: String },
    /// An event that this reader may not see: its place in the order, and nothing else.
    #[serde(rename = "hidden")]
    Hidden {},
    /// A type of a later release.
    #[serde(other)]
    Unknown,
}

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The end user.
    User,
    /// The agent.
    Assistant,
    /// Results of tools.
    Tool,
}

impl Role {
    /// As JSON and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// Still being written.
    InProgress,
    /// Whole.
    Completed,
    /// Cut by a cancel or a failure; what was written is kept.
    Incomplete,
}

impl MessageStatus {
    /// As JSON and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            MessageStatus::InProgress => "in_progress",
            MessageStatus::Completed => "completed",
            MessageStatus::Incomplete => "incomplete",
        }
    }
}

impl EventBody {
    /// Whether this ends the run's log.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::RunCompleted { .. } | Self::RunFailed { .. } | Self::RunCancelled { .. })
    }

    /// Whether this event rides the group flush. Everything else commits with the state it tells of.
    pub fn is_delta(&self) -> bool {
        matches!(self, Self::MessageDelta { .. } | Self::ReasoningDelta { .. } | Self::ToolArgsDelta { .. })
    }
}

/// One event with its envelope, as a client reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Version of the envelope: 1.
    pub v: u8,
    /// Position in the run's log, dense from 1.
    pub seq: u64,
    /// When it was written.
    pub ts: Timestamp,
    /// The run.
    pub run: RunId,
    /// What it tells.
    #[serde(flatten)]
    pub body: EventBody,
}

/// Appends the event's one line of JSON to `out`, without a line break.
pub fn render(out: &mut Vec<u8>, seq: u64, ts: Timestamp, run: RunId, body: &EventBody) {
    write!(out, r#"{{"v":1,"seq":{seq},"ts":"{ts}","run":"{run}","#).expect("writing to memory");
    let at = out.len();
    serde_json::to_writer(&mut *out, body).expect("events serialise");
    // The body is an object of its own and begins with `{`: the envelope has opened it already.
    out.remove_brace(at);
}

trait RemoveBrace {
    fn remove_brace(&mut self, at: usize);
}

impl RemoveBrace for Vec<u8> {
    fn remove_brace(&mut self, at: usize) {
        debug_assert_eq!(self[at], b'{');
        self.copy_within(at + 1.., at);
        self.pop();
    }
}

/// The `type` of a rendered event, found without parsing: before it stand only numbers, a time and an id.
pub fn type_of(line: &str) -> &str {
    const KEY: &str = r#""type":""#;
    let Some(at) = line.find(KEY) else { return "" };
    let rest = &line[at + KEY.len()..];
    rest.split_once('"').map_or("", |(name, _)| name)
}

/// The `seq` of a rendered event, found without parsing. `None` when the line is not ours.
pub fn seq_of(line: &str) -> Option<u64> {
    let rest = line.strip_prefix(r#"{"v":1,"seq":"#)?;
    rest.split_once(',')?.0.parse().ok()
}

/// What a tenant lets its users see of an agent's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Visibility {
    /// The model's reasoning.
    pub reasoning: bool,
    /// Arguments of tool calls.
    pub tool_args: bool,
    /// Outputs of tool calls.
    pub tool_output: bool,
    /// Money.
    pub cost: bool,
    /// What is said. Not for agents to set: it is `false` for runs whose words are what a tool answers to a run that hides
    /// that.
    #[serde(skip_serializing_if = "is_true")]
    #[schema(ignore)]
    pub messages: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_true(flag: &bool) -> bool {
    *flag
}

impl Default for Visibility {
    fn default() -> Self {
        Self { reasoning: true, tool_args: true, tool_output: true, cost: false, messages: true }
    }
}

impl Visibility {
    /// What users see of a run that carries out a call of one that they see so much of: no more than of that one, and what
    /// is said only if they may see what tools are told and answer.
    pub fn within(self, parent: Self) -> Self {
        let messages = self.messages && parent.messages && parent.tool_args && parent.tool_output;
        Self {
            reasoning: self.reasoning && parent.reasoning && messages,
            tool_args: self.tool_args && messages,
            tool_output: self.tool_output && messages,
            cost: self.cost && parent.cost,
            messages,
        }
    }
}

/// For whom an event is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// A tenant key: sees everything.
    Tenant,
    /// A user token or a ticket: sees what the agent's `user_visibility` leaves.
    User(Visibility),
}

/// Whether events of this type look different to different audiences.
fn is_sensitive(kind: &str, visibility: Visibility) -> bool {
    // Named, not excluded: a type that nobody has thought about is treated as sensitive.
    let plain = matches!(
        kind,
        "run.queued"
            | "run.started"
            | "run.suspended"
            | "run.resumed"
            | "step.started"
            | "step.reset"
            | "tool.started"
            | "tool.denied"
            | "sub_run.started"
            | "throttled"
    );
    let said = matches!(kind, "message.delta" | "message.started" | "message.completed");
    !(plain || said && visibility.messages)
}

/// The line as `audience` may see it. Borrowed when nothing changes, which is the case for nearly all events.
pub fn render_for(line: &str, audience: Audience) -> Cow<'_, str> {
    let visibility = match audience {
        Audience::Tenant => return Cow::Borrowed(line),
        Audience::User(visibility) => visibility,
    };
    if !is_sensitive(type_of(line), visibility) {
        return Cow::Borrowed(line);
    }
    let Ok(event) = serde_json::from_str::<Event>(line) else {
        // Not one of ours, or of a later release's shape: show its place and nothing else.
        return Cow::Owned(hidden(line));
    };
    let body = for_user(event.body, visibility);
    let mut out = Vec::with_capacity(line.len());
    render(&mut out, event.seq, event.ts, event.run, &body);
    Cow::Owned(String::from_utf8(out).expect("JSON is UTF-8"))
}

/// The place of an event that cannot be read.
fn hidden(line: &str) -> String {
    let envelope = line.find(r#""type":""#).map_or("", |at| &line[..at]);
    format!(r#"{envelope}"type":"hidden"}}"#)
}

/// One event's body as an end user may see it.
fn for_user(body: EventBody, visible: Visibility) -> EventBody {
    use EventBody as E;
    let cost = |cost: Option<Money>| cost.filter(|_| visible.cost);
    match body {
        E::CostEstimated { .. } | E::CostSettled { .. } | E::BudgetWarning { .. } if !visible.cost => E::Hidden {},
        // What all of a tenant's users have spent together is not for one of them to see.
        E::BudgetWarning { scope, .. } if matches!(scope.r#type, BudgetScopeType::Tenant | BudgetScopeType::Agent) => {
            E::Hidden {}
        }
        E::ReasoningStarted { .. } | E::ReasoningDelta { .. } | E::ReasoningCompleted { .. } if !visible.reasoning => {
            E::Hidden {}
        }
        E::ToolArgsDelta { .. } if !visible.tool_args => E::Hidden {},
        E::MessageStarted { .. } | E::MessageDelta { .. } | E::MessageCompleted { .. } if !visible.messages => {
            E::Hidden {}
        }
        E::SubRunFinished { call, sub_run, status, usage, cost: c, estimated } => {
            E::SubRunFinished { call, sub_run, status, usage, cost: cost(c), estimated }
        }
        E::Artifact { .. } if !visible.tool_output => E::Hidden {},
        E::ToolArgs { call, args } => E::ToolArgs { call, args: args.filter(|_| visible.tool_args) },
        E::ToolCompleted { call, output, artifact, duration_ms } => {
            let (output, artifact) = (output.filter(|_| visible.tool_output), artifact.filter(|_| visible.tool_output));
            E::ToolCompleted { call, output, artifact, duration_ms }
        }
        E::ToolProgress { call, progress, total, message } => {
            E::ToolProgress { call, progress, total, message: message.filter(|_| visible.tool_output) }
        }
        E::ToolFailed { call, error, duration_ms } => {
            E::ToolFailed { call, error: tool_problem_for_user(error, visible), duration_ms }
        }
        E::ApprovalRequested { approval, kind, call, name, args, message, schema, deciders, expires_at } => {
            let args = args.filter(|_| visible.tool_args);
            let schema = if visible.tool_args { schema } else { serde_json::json!({}) };
            E::ApprovalRequested { approval, kind, call, name, args, message, schema, deciders, expires_at }
        }
        E::ApprovalResolved { approval, call, decision, by, edited_args, comment, remember } => {
            let edited_args = edited_args.filter(|_| visible.tool_args);
            E::ApprovalResolved { approval, call, decision, by, edited_args, comment, remember }
        }
        E::RunCompleted { result, usage, cost: c } => {
            E::RunCompleted { result: result_for_user(result, visible), usage, cost: cost(c) }
        }
        E::RunCancelled { by, usage, cost: c } => E::RunCancelled { by, usage, cost: cost(c) },
        E::StepFinished { step, finish_reason, usage, cost: c } => {
            E::StepFinished { step, finish_reason, usage, cost: cost(c) }
        }
        E::RunFailed { code, error, retryable, usage, cost: c, .. } => {
            let error = problem_for_user(error);
            E::RunFailed { code, message: error.detail.clone(), retryable, error, usage, cost: cost(c) }
        }
        E::ModelStarted { .. } | E::Unknown => E::Hidden {},
        other @ (E::CostEstimated { .. }
        | E::BudgetWarning { .. }
        | E::CostSettled { .. }
        | E::ReasoningStarted { .. }
        | E::ReasoningDelta { .. }
        | E::ReasoningCompleted { .. }
        | E::RunQueued { .. }
        | E::RunStarted { .. }
        | E::RunSuspended { .. }
        | E::RunResumed { .. }
        | E::StepStarted { .. }
        | E::StepReset { .. }
        | E::MessageStarted { .. }
        | E::MessageDelta { .. }
        | E::MessageCompleted { .. }
        | E::ToolStarted { .. }
        | E::ToolArgsDelta { .. }
        | E::ToolDenied { .. }
        | E::SubRunStarted { .. }
        | E::Artifact { .. }
        | E::Throttled { .. }
        | E::Hidden {}) => other,
    }
}

/// What a run came to, as an end user may see it.
pub fn result_for_user(mut result: RunResult, visible: Visibility) -> RunResult {
    if !visible.messages {
        result.text = String::new();
        result.json = None;
    }
    result
}

/// A problem without the provider's or server's own words, which may name keys, hosts or prompts.
pub fn problem_for_user(mut problem: Problem) -> Problem {
    // These carry what a provider said, whoever has to act.
    let from_provider = problem.code.as_str().starts_with("provider_")
        || matches!(
            problem.code,
            ErrorCode::ContextLengthExceeded
                | ErrorCode::ContentFiltered
                | ErrorCode::ModelNotFound
                | ErrorCode::UnsupportedByModel
        );
    if from_provider || matches!(problem.fault, Fault::Provider | Fault::Server) {
        keep_code(&mut problem);
    }
    if matches!(problem.code, ErrorCode::BudgetExhausted | ErrorCode::PriceUnknown) {
        // Whose budget it is, and what all who share it have left, is the tenant's to know.
        problem.detail = None;
        problem.extra.retain(|name, _| !["budget", "needed", "remaining"].contains(&name.as_str()));
    }
    problem
}

/// Takes everything out of a problem that somebody has put into words.
fn keep_code(problem: &mut Problem) {
    problem.detail = None;
    problem.extra.clear();
    problem.errors.clear();
}

/// The same of a call: what a tool says of its trouble is what it says.
fn tool_problem_for_user(problem: Problem, visible: Visibility) -> Problem {
    let mut problem = problem_for_user(problem);
    if !visible.tool_output {
        keep_code(&mut problem);
    }
    problem
}

/// A message as an end user may see it.
pub fn message_for_user(mut message: Message, visible: Visibility) -> Message {
    use crate::message::Part;
    message.content.retain(|part| visible.reasoning || !matches!(part, Part::Reasoning { .. }));
    let said = |part: &Part| matches!(part, Part::Text { .. } | Part::Image { .. } | Part::File { .. });
    message.content.retain(|part| visible.messages || !said(part));
    for part in &mut message.content {
        match part {
            Part::ToolCall { args, .. } if !visible.tool_args => *args = None,
            Part::ToolResult { output, error, artifact, .. } => {
                if !visible.tool_output {
                    *output = None;
                    *artifact = None;
                }
                *error = error.take().map(|error| Box::new(tool_problem_for_user(*error, visible)));
            }
            Part::ToolCall { .. }
            | Part::Text { .. }
            | Part::Image { .. }
            | Part::File { .. }
            | Part::Reasoning { .. } => {}
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(body: &EventBody) -> String {
        let mut out = Vec::new();
        render(&mut out, 7, Timestamp::from_ms(0), RunId::new(), body);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    fn settled() -> EventBody {
        EventBody::CostSettled {
            step: 1,
            model_call: ModelCallId::new(),
            model: "m/x".into(),
            usage: Usage::default(),
            cost: Some(Money(5)),
            estimated: false,
            run_cost: Some(Money(5)),
        }
    }

    #[test]
    fn rendered_lines_read_back() {
        let body = EventBody::MessageDelta { message: MessageId::new(), delta: "a\"b\n{".into() };
        let line = line(&body);
        let event: Event = serde_json::from_str(&line).expect("reads back");
        assert_eq!((event.seq, event.body), (7, body));
        assert_eq!(type_of(&line), "message.delta");
        assert_eq!(seq_of(&line), Some(7));
        assert!(line.starts_with(r#"{"v":1,"seq":7,"ts":"1970-01-01T00:00:00.000Z","run":"run_"#));
    }

    #[test]
    fn money_is_hidden_from_users_and_shown_to_tenants() {
        let line = line(&settled());
        assert_eq!(render_for(&line, Audience::Tenant), line);
        let seen = render_for(&line, Audience::User(Visibility::default()));
        assert!(seen.ends_with(r#""type":"hidden"}"#), "{seen}");
        assert_eq!(seq_of(&seen), Some(7));
        let all = Visibility { cost: true, ..Visibility::default() };
        assert_eq!(render_for(&line, Audience::User(all)), line);
    }

    #[test]
    fn the_words_of_providers_and_servers_stay_inside() {
        let error = Problem::new(ErrorCode::ProviderRejected, "key sk-123 is wrong").with("provider_status", 400);
        let body = EventBody::RunFailed {
            code: error.code,
            message: error.detail.clone(),
            retryable: false,
            error,
            usage: Usage::default(),
            cost: Some(Money(1)),
        };
        let line = line(&body);
        let seen = render_for(&line, Audience::User(Visibility::default()));
        assert!(!seen.contains("sk-123") && !seen.contains("provider_status"), "{seen}");
        assert!(seen.contains(r#""code":"provider_rejected""#) && seen.contains(r#""message":null"#));
    }

    #[test]
    fn a_providers_words_stay_inside_whosever_fault_it_is() {
        for code in [ErrorCode::ContextLengthExceeded, ErrorCode::ContentFiltered, ErrorCode::ModelNotFound] {
            let seen = problem_for_user(
                Problem::new(code, "status 404: the model acme-internal").with("provider_status", 404),
            );
            assert_eq!((seen.detail, seen.extra.len(), seen.code), (None, 0, code));
        }
        let own = problem_for_user(Problem::new(ErrorCode::RunTimeout, "the run took longer than its 1000 ms"));
        assert!(own.detail.is_some(), "our own words about limits are theirs to read");
    }

    #[test]
    fn a_type_of_a_later_release_is_hidden_from_users() {
        let line = r#"{"v":1,"seq":9,"ts":"1970-01-01T00:00:00.000Z","run":"run_x","type":"secret.thing","key":"s"}"#;
        let seen = render_for(line, Audience::User(Visibility::default()));
        assert_eq!(seen, r#"{"v":1,"seq":9,"ts":"1970-01-01T00:00:00.000Z","run":"run_x","type":"hidden"}"#);
    }
}
