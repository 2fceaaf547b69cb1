//! A new run: what is asked, and the first events of its log.

use std::time::{Duration, Instant};

use headwater_protocol::api::{Agent, AgentConfig, OnConflict, OnDisconnect, Overrides, Run, RunSource, RunStatus};
use headwater_protocol::event::{EventBody, Visibility, render};
use headwater_protocol::message::{Metadata, Part, artifacts_of};
use headwater_protocol::trace::TraceContext;
use headwater_protocol::{
    ArtifactId, CallId, MessageId, Money, RunId, ScheduleId, TenantId, ThreadId, Timestamp, Usage, UserId,
};
use headwater_store::commit::{LeaseToken, segment_header};
use headwater_store::create::{NewRun, NewRunParams, RunIdempotency, RunOfCall};
use headwater_stream::presence::grace;

/// On which thread a run goes.
#[derive(Debug, Clone)]
pub enum ThreadTarget {
    /// One that exists.
    Existing(ThreadId),
    /// One that is made with the run.
    New {
        /// The tenant's own id for it.
        external_id: Option<String>,
        /// Own pairs.
        metadata: Metadata,
    },
}

/// A request to run an agent, checked as far as that goes without the database.
#[derive(Debug)]
pub struct NewRunRequest {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The agent, with the version to use.
    pub agent: Agent,
    /// What is set otherwise than there.
    pub overrides: Overrides,
    /// The thread.
    pub thread: ThreadTarget,
    /// What is asked.
    pub content: Vec<Part>,
    /// On a busy thread.
    pub on_conflict: OnConflict,
    /// When the last reader has gone.
    pub on_disconnect: OnDisconnect,
    /// How long that last reader may be away.
    pub disconnect_grace_ms: i64,
    /// The tenant's own id.
    pub external_id: Option<String>,
    /// Own pairs.
    pub metadata: Metadata,
    /// The call that it carries out, if somebody's run asks for it.
    pub of_call: Option<OfCall>,
    /// The schedule that makes it, if one does.
    pub of_schedule: Option<ScheduleId>,
    /// Not before then. What is past means now.
    pub run_at: Option<Timestamp>,
    /// The trace in which it is asked for.
    pub within: Option<TraceContext>,
    /// What a repeated request must find again.
    pub idempotency: Option<RunIdempotency>,
}

impl NewRunRequest {
    /// Whether it begins later.
    pub(crate) fn is_delayed(&self) -> bool {
        self.run_at.is_some_and(|at| at > Timestamp::now())
    }
}

/// How many runs there may be below one that nobody has called, in all of the tree of them.
pub const MAX_BELOW: i32 = 256;

/// A call that a new run carries out.
#[derive(Debug, Clone, Copy)]
pub struct OfCall {
    /// The run that made it.
    pub parent: RunId,
    /// The call.
    pub call: CallId,
    /// How many runs are above the new one.
    pub depth: i32,
    /// What users see of the run that made it, and so at most of this one.
    pub visibility: Visibility,
}

/// A run that was accepted, or found again.
#[derive(Debug)]
pub enum Accepted {
    /// It was made now.
    New {
        /// As it stands.
        run: Box<Run>,
        /// What its agent lets users see.
        visibility: headwater_protocol::event::Visibility,
        /// How long it waits for readers, where it is to end without.
        grace: Option<std::time::Duration>,
    },
    /// The same request was here before.
    Replay {
        /// The run.
        run: RunId,
        /// Whether it was said to a run that was under way.
        steered: bool,
    },
    /// It was said to this run, which is under way.
    Steered(RunId),
}

/// The configuration of a run: its agent's, with what the run sets otherwise.
pub fn effective(mut config: AgentConfig, overrides: &Overrides) -> AgentConfig {
    let o = overrides.clone();
    if let Some(model) = o.model {
        config.model = model;
    }
    if let Some(fallbacks) = o.fallbacks {
        config.fallbacks = fallbacks;
    }
    config.instructions = o.instructions.or(config.instructions);
    config.temperature = o.temperature.or(config.temperature);
    config.top_p = o.top_p.or(config.top_p);
    config.max_output_tokens = o.max_output_tokens.or(config.max_output_tokens);
    if let Some(stop) = o.stop {
        config.stop = stop;
    }
    config.seed = o.seed.or(config.seed);
    config.reasoning_effort = o.reasoning_effort.or(config.reasoning_effort);
    if let Some(format) = o.response_format {
        config.response_format = format;
    }
    if let Some(limits) = o.limits {
        config.limits = limits;
    }
    config.run_budget = o.run_budget.or(config.run_budget);
    config.on_budget = o.on_budget.unwrap_or(config.on_budget);
    if let Some(priority) = o.priority {
        config.priority = priority;
    }
    config.tools.extend(o.tools.unwrap_or_default());
    config.tool_choice = o.tool_choice.unwrap_or(config.tool_choice);
    config
}

/// All that is made for a new run before the database is asked.
pub(crate) struct Draft {
    pub(crate) run: Run,
    pub(crate) token: LeaseToken,
    pub(crate) config: AgentConfig,
    pub(crate) new_thread: bool,
    pub(crate) content: Vec<Part>,
    /// The lines of the first events, when the loop begins at once.
    pub(crate) started_lines: String,
    pub(crate) started_to: u64,
    pub(crate) first_line: String,
    pub(crate) grace: Option<Duration>,
    pub(crate) depth: i32,
    pub(crate) within: Option<TraceContext>,
}

fn to_json(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("these types serialise")
}

pub(crate) fn draft(request: NewRunRequest, start: bool, max_queued: i32, until: Instant) -> (Draft, NewRun) {
    let (run_id, message, token) = (RunId::new(), MessageId::new(), LeaseToken::new());
    let at = Timestamp::now();
    let (agent, delayed, run_at) = (&request.agent, request.is_delayed(), request.run_at);
    let mut config = effective(agent.config.clone(), &request.overrides);
    if let Some(of) = request.of_call {
        config.user_visibility = config.user_visibility.within(of.visibility);
    }
    let (thread, new_thread, thread_external_id, thread_metadata) = match request.thread {
        ThreadTarget::Existing(thread) => (thread, false, None, Metadata::new()),
        ThreadTarget::New { external_id, metadata } => (ThreadId::new(), true, external_id, metadata),
    };
    let events = [
        EventBody::RunQueued {
            thread,
            user: request.user,
            agent: agent.id,
            agent_version: agent.version,
            input_messages: vec![message],
            run_at,
            after_run: None,
        },
        EventBody::RunStarted {
            attempt: 1,
            agent: agent.id,
            agent_version: agent.version,
            model: config.model.clone(),
        },
        EventBody::StepStarted { step: 1, model: config.model.clone(), input_messages: Vec::new() },
    ];
    let mut lines = Vec::new();
    let mut first_end = 0;
    for (i, body) in events.iter().enumerate() {
        render(&mut lines, i as u64 + 1, at, run_id, body);
        lines.push(b'\n');
        if i == 0 {
            first_end = lines.len();
        }
    }
    let started_lines = String::from_utf8(lines).expect("JSON is UTF-8");
    let first_line = started_lines[..first_end].to_owned();
    let header = segment_header(request.tenant, run_id);
    // Beside what it sets otherwise: it is read by whoever goes on with the run.
    let mut overrides = to_json(&request.overrides);
    if let Some(within) = request.within {
        overrides["traceparent"] = within.to_string().into();
    }
    let params = NewRunParams {
        run_id: run_id.uuid(),
        thread_id: thread.uuid(),
        new_thread,
        thread_external_id,
        thread_metadata: to_json(&thread_metadata),
        message_id: message.uuid(),
        content: to_json(&request.content),
        agent_id: agent.id.uuid(),
        agent_version: agent.version,
        active_version: agent.active_version,
        agent_name: agent.name.clone(),
        model: config.model.clone(),
        priority: to_json(&config.priority),
        on_conflict: to_json(&request.on_conflict),
        on_disconnect: to_json(&request.on_disconnect),
        disconnect_grace_ms: request.disconnect_grace_ms,
        visibility: to_json(&config.user_visibility),
        overrides,
        external_id: request.external_id.clone(),
        metadata: to_json(&request.metadata),
        token: token.0,
        start,
        started_to: events.len() as u64,
        max_queued,
        artifacts: artifacts_of(&request.content).map(ArtifactId::uuid).collect(),
        source: request.of_call.map(|of| RunOfCall {
            parent_run: of.parent.uuid(),
            parent_call: of.call.uuid(),
            depth: of.depth,
            max_below: MAX_BELOW,
        }),
        created_at: at.0,
        run_at: run_at.filter(|_| delayed).map(|at| at.0),
        schedule_id: request.of_schedule.map(ScheduleId::uuid),
        idempotency: request.idempotency,
    };
    let run = Run {
        id: run_id,
        object: "run".into(),
        thread,
        user: request.user,
        agent: agent.id,
        agent_version: agent.version,
        model: config.model.clone(),
        external_id: request.external_id,
        status: RunStatus::Queued,
        as_of_seq: 1,
        input_messages: vec![message],
        source: match (request.of_call, request.of_schedule) {
            (Some(of), _) => RunSource::call(of.parent, of.call),
            (None, Some(schedule)) => RunSource::schedule(schedule),
            (None, None) => RunSource::api(),
        },
        attempt: 1,
        steps: 0,
        priority: config.priority,
        on_conflict: request.on_conflict,
        on_disconnect: request.on_disconnect,
        run_at,
        after_run: None,
        result: None,
        error: None,
        usage: Usage::default(),
        cost: Some(Money::ZERO),
        cost_estimated: false,
        metadata: request.metadata,
        events_url: format!("/v1/runs/{run_id}/events"),
        cancel_requested_at: None,
        created_at: at,
        started_at: None,
        suspended_at: None,
        finished_at: None,
    };
    let new_run = NewRun {
        tenant: request.tenant,
        user: request.user,
        until,
        params,
        first: format!("{header}{first_line}"),
        started: format!("{header}{started_lines}"),
    };
    let started_to = new_run.params.started_to;
    let grace = grace(request.on_disconnect, Duration::from_millis(request.disconnect_grace_ms.max(0) as u64));
    let depth = request.of_call.map_or(0, |of| of.depth);
    (
        Draft {
            grace,
            depth,
            within: request.within,
            run,
            token,
            config,
            new_thread,
            content: request.content,
            started_lines,
            started_to,
            first_line,
        },
        new_run,
    )
}
