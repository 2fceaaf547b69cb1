//! Runs, their events, tickets and their end.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_agent::{Accepted, NewRunRequest, ThreadTarget};
use headwater_llm::Shown;
use headwater_protocol::api::{
    Agent, CancelParams, EventPage, InlineThread, List, Run, RunBudget, RunExplanation, RunParams, RunSnapshot, Ticket,
};
use headwater_protocol::event::{Actor, Audience, Event, Visibility, problem_for_user, render_for};
use headwater_protocol::message::{Content, InputPart, Part};
use headwater_protocol::{ErrorCode, Problem, RunId, Scope, ThreadId, Timestamp, UserId};
use headwater_store::pool::{Idempotency, Once};
use headwater_store::scoped::{EventRange, LogPage, RunFilter};
use headwater_stream::reader::{Recheck, audience};
use headwater_stream::{Cursor, Opened, ReaderParams, Room, view};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use super::body::{ApiBody, NoParams};
use super::lists::{ListQuery, list, words};
use super::plans::check_models;
use super::streams::AnswerTo;
use super::{agents, attachments, created, id, mark, missing, streams};
use crate::auth::{Caller, CallerKind};
use crate::error::ApiError;
use crate::http::idempotency::{mismatch, of_run};
use crate::http::query::ApiQuery;
use crate::wiring::AppState;

/// How long an answer may be waited for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    wait_ms: Option<u64>,
    /// Read by authentication; named here so that it is no unknown parameter.
    #[serde(rename = "ticket")]
    #[param(rename = "ticket")]
    _ticket: Option<String>,
}

impl WaitQuery {
    fn wait(&self) -> Result<Option<Duration>, ApiError> {
        match self.wait_ms {
            None | Some(0) => Ok(None),
            Some(ms @ 1..=25_000) => Ok(Some(Duration::from_millis(ms))),
            Some(_) => Err(ApiError::invalid_request("query:wait_ms", "must be at most 25000")),
        }
    }
}

/// Filters of the list of runs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    limit: Option<i64>,
    after: Option<String>,
    order: Option<String>,
    status: Option<String>,
    agent: Option<String>,
    thread: Option<String>,
    schedule: Option<String>,
    external_id: Option<String>,
    user: Option<String>,
    parent: Option<String>,
    created_after: Option<String>,
    created_before: Option<String>,
}

/// Where to begin reading events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    after: Option<String>,
    limit: Option<i64>,
    #[serde(rename = "ticket")]
    #[param(rename = "ticket")]
    _ticket: Option<String>,
}

// ── Making runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// Runs an agent on a new thread.
#[utoipa::path(post, path = "/v1/runs", tag = "runs", request_body = RunParams,
    responses((status = 201, body = Run), (status = "default", body = Problem)), params(WaitQuery))]
pub async fn runs_create(
    State(state): State<AppState>,
    caller: Caller,
    to: AnswerTo,
    ApiQuery(wait): ApiQuery<WaitQuery>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require("runs:write")?;
    create(state, caller, to, wait, body, None).await
}

/// Runs an agent on a thread.
#[utoipa::path(post, path = "/v1/threads/{thread}/runs", tag = "runs", params(("thread" = String, Path), WaitQuery), request_body = RunParams,
    responses((status = 201, body = Run), (status = 200, description = "Said to the run that is under way (`steer`)", body = Run),
        (status = "default", body = Problem)))]
pub async fn thread_runs_create(
    State(state): State<AppState>,
    caller: Caller,
    Path(thread): Path<String>,
    to: AnswerTo,
    ApiQuery(wait): ApiQuery<WaitQuery>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require("runs:write")?;
    let storage = state.store.scoped(caller.scope());
    let thread = storage.thread_get(id(&thread, "thread")?).await?.ok_or_else(|| missing("thread"))?;
    super::threads::check_own(&thread)?;
    create(state, caller, to, wait, body, Some((thread.id, thread.user))).await
}

async fn create(
    state: AppState,
    caller: Caller,
    to: AnswerTo,
    wait: WaitQuery,
    body: ApiBody,
    thread: Option<(ThreadId, UserId)>,
) -> Result<Response, ApiError> {
    let wait = wait.wait()?;
    let params: RunParams = body.parse()?;
    params.check()?;
    if thread.is_some() && params.thread.is_some() {
        return Err(Problem::invalid("/thread", "the path names the thread already").into());
    }
    let caller = caller.into_user(&state).await?;
    let user = caller.user.known().ok_or_else(|| missing("user"))?;
    let once = body.idempotency(&state, &caller)?;
    let accepted = accept_once(&state, &caller, user, &params, thread, once.key()).await?;
    let scope = Scope { tenant: caller.tenant, user: Some(user) };
    let (run, visibility, grace, how) = match accepted {
        Accepted::New { run, visibility, grace } => (*run, visibility, grace, How::New),
        Accepted::Replay { run, .. } | Accepted::Steered(run) => {
            let how = match accepted {
                Accepted::Replay { steered, .. } => How::Replayed { steered },
                Accepted::Steered(_) | Accepted::New { .. } => How::Steered,
            };
            let (run, visibility) = state.store.scoped(scope).run_get(run).await?.ok_or_else(|| missing("run"))?;
            (run, visibility, None, how)
        }
    };
    let replayed = matches!(how, How::Replayed { .. });
    // As `traceresponse` of W3C Trace Context, level 2, has it.
    let trace = state.runtime.trace_of(run.id, caller.within).told(caller.within).filter(|_| how == How::New);
    let trace = trace.and_then(|trace| HeaderValue::from_str(&trace.below(run.id.uuid()).to_string()).ok());
    let answered = |mut response: Response| {
        response.headers_mut().extend(trace.map(|trace| (HeaderName::from_static("traceresponse"), trace)));
        response
    };
    let status = match how {
        How::New | How::Replayed { steered: false } => StatusCode::CREATED,
        How::Steered | How::Replayed { steered: true } => StatusCode::OK,
    };
    let location = format!("/v1/runs/{}", run.id);
    if streams::wants_stream(&to.headers) {
        let params = reader(&state, &caller, scope, Cursor::After(0), to.room);
        let opened = if how != How::New {
            // Whoever lost the first answer goes on where it was cut.
            let cursor = cursor(to.headers.get("last-event-id"), None)?;
            state.streams.open(run.id, ReaderParams { cursor, ..params }).await?
        } else {
            state.streams.open_created(run.id, user, params, visibility, grace).await?
        };
        let mut response = streams::stream(status, opened);
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(http::header::LOCATION, location);
        }
        mark(&mut response, replayed);
        return Ok(answered(response));
    }
    drop(once);
    let audience = audience(caller.sees_as_user(), visibility);
    let run = match wait {
        None => run,
        Some(wait) => {
            state.streams.wait_for_rest(scope, run.id, wait).await?;
            state.store.scoped(scope).run_get(run.id).await?.ok_or_else(|| missing("run"))?.0
        }
    };
    let mut response = created(&view::run_for(run, audience), &location, replayed);
    *response.status_mut() = status;
    Ok(answered(response))
}

/// How a request to run an agent was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// As a run of its own.
    New,
    /// As the repetition of an earlier one, which was or was not something said to a run under way.
    Replayed { steered: bool },
    /// As something said to the run that is under way.
    Steered,
}

/// Whether the input shows something beside words.
fn shows(params: &RunParams) -> bool {
    let Content::Parts(parts) = &params.input else { return false };
    parts.iter().any(|part| !matches!(part, InputPart::Text { .. }))
}

/// Has an agent run, once for each request: what an earlier one with its key has made is found again.
pub(super) async fn accept_once(
    state: &AppState,
    caller: &Caller,
    user: UserId,
    params: &RunParams,
    thread: Option<(ThreadId, UserId)>,
    once: Option<&Idempotency>,
) -> Result<Accepted, ApiError> {
    // What is shown is kept before the run is: not again for a request that was carried out before.
    if shows(params)
        && let Some(before) = earlier(state, caller, once).await?
    {
        return Ok(before);
    }
    match Box::pin(accept(state, caller, user, params, thread, once)).await {
        Ok(accepted) => Ok(accepted),
        // The first request may have been carried out before whatever refuses this one came about.
        Err(refused) => earlier(state, caller, once).await?.ok_or(refused),
    }
}

async fn accept(
    state: &AppState,
    caller: &Caller,
    user: UserId,
    params: &RunParams,
    thread: Option<(ThreadId, UserId)>,
    once: Option<&Idempotency>,
) -> Result<Accepted, ApiError> {
    let of = attachments::For { tenant: caller.tenant, user, as_user: caller.sees_as_user() };
    let parts = params.input.clone().into_parts("/input")?;
    if shows(params) {
        // All else is looked at before anything is kept for it.
        looked_at(state, caller, user, params, thread, once).await.map_err(|error| told(caller, error))?;
    }
    let kept = attachments::keep(state, of, parts).await?;
    let accepted = accept_with(state, caller, user, params, thread, once, &kept.parts).await;
    if !matches!(accepted, Ok(Accepted::New { .. } | Accepted::Steered(_))) {
        kept.forget(state, of).await;
    }
    accepted
}

/// A refusal as the caller may know it: of the tenant's money and plan users are told the code.
pub(super) fn told(caller: &Caller, error: ApiError) -> ApiError {
    let of_tenant =
        matches!(error.code(), ErrorCode::BudgetExhausted | ErrorCode::ModelNotFound | ErrorCode::PriceUnknown);
    if caller.is_key() || !of_tenant { error } else { problem_for_user(error.into_problem()).into() }
}

async fn accept_with(
    state: &AppState,
    caller: &Caller,
    user: UserId,
    params: &RunParams,
    thread: Option<(ThreadId, UserId)>,
    once: Option<&Idempotency>,
    content: &[Part],
) -> Result<Accepted, ApiError> {
    // An agent that is changed between reading it and accepting the run is read again.
    for _ in 0..3 {
        let looked = looked_at(state, caller, user, params, thread, once).await;
        let mut request = looked.map_err(|error| told(caller, error))?;
        request.content = content.to_vec();
        match state.runtime.create(request).await {
            Err(problem) if problem.extra.contains_key("agent_changed") => {
                state.forget_agent(caller.tenant, &params.agent).await;
            }
            other => {
                return other.map_err(|problem| told(caller, problem.into()));
            }
        }
    }
    Err(not_an_agent(&params.agent).into())
}

/// What a run of the agent that is named would be. Nobody is refused for what is only remembered of the agent.
pub(super) async fn looked_at(
    state: &AppState,
    caller: &Caller,
    user: UserId,
    params: &RunParams,
    thread: Option<(ThreadId, UserId)>,
    once: Option<&Idempotency>,
) -> Result<NewRunRequest, ApiError> {
    let looked = match agent_for(state, caller, params).await {
        Ok(agent) => request(state, caller, user, params, agent, thread, once).await,
        Err(error) => Err(error),
    };
    if let Ok(request) = looked {
        return Ok(request);
    }
    state.forget_agent(caller.tenant, &params.agent).await;
    request(state, caller, user, params, agent_for(state, caller, params).await?, thread, once).await
}

/// The run that an earlier request with this key made.
pub(super) async fn earlier(
    state: &AppState,
    caller: &Caller,
    once: Option<&Idempotency>,
) -> Result<Option<Accepted>, ApiError> {
    let Some(once) = once else { return Ok(None) };
    Ok(match state.store.scoped(caller.scope()).idempotency_find(once).await? {
        Some(Once::Replay(object)) => {
            let run = uuid::Uuid::try_parse(&object).map_err(|_| mismatch())?;
            Some(Accepted::Replay { run: RunId::from_uuid(run), steered: false })
        }
        Some(Once::Mismatch) => return Err(mismatch()),
        Some(Once::Done(())) | None => None,
    })
}

fn not_an_agent(text: &str) -> Problem {
    Problem::new(ErrorCode::AgentNotFound, format!("there is no agent {}", text.chars().take(80).collect::<String>()))
}

/// An agent by its name or id, if this caller may have it run.
pub(super) async fn agent_named(state: &AppState, caller: &Caller, named: &str) -> Result<Agent, ApiError> {
    let agent = state.agent(caller, named).await?.ok_or_else(|| not_an_agent(named))?;
    if agent.archived_at.is_some() {
        return Err(not_an_agent(named).into());
    }
    if let Some(allowed) = &caller.agents
        && !allowed.iter().any(|allowed| *allowed == agent.name || *allowed == agent.id.to_string())
    {
        return Err(not_an_agent(named).into());
    }
    Ok(agent)
}

/// The agent that a run names, in the version it names.
async fn agent_for(state: &AppState, caller: &Caller, params: &RunParams) -> Result<Agent, ApiError> {
    let agent = agent_named(state, caller, &params.agent).await?;
    match params.agent_version {
        None => Ok(agent),
        Some(version) if version == agent.active_version => Ok(agent),
        Some(version) => {
            let scope = Scope { tenant: caller.tenant, user: None };
            let found = state.store.scoped(scope).agent_version(agent.id, version).await?;
            found.ok_or_else(|| Problem::invalid("/agent_version", "there is no such version").into())
        }
    }
}

/// What a run of this agent is, with everything checked that needs no database.
async fn request(
    state: &AppState,
    caller: &Caller,
    user: UserId,
    params: &RunParams,
    agent: Agent,
    thread: Option<(ThreadId, UserId)>,
    idempotency: Option<&Idempotency>,
) -> Result<NewRunRequest, ApiError> {
    let overrides = params.overrides();
    if !caller.is_key() {
        for (field, name) in overrides.fields() {
            if !agent.config.user_overrides.contains(&field) {
                let problem =
                    Problem::new(ErrorCode::OverrideNotAllowed, format!("this agent does not let users set {name}"));
                return Err(problem.with("param", format!("/{name}")).into());
            }
        }
        if overrides.limits.as_ref().is_some_and(|limits| !limits.is_within(&agent.config.limits)) {
            let problem = Problem::new(ErrorCode::OverrideNotAllowed, "limits may only be lowered");
            return Err(problem.with("param", "/limits").into());
        }
        let more = |(own, agents): (RunBudget, RunBudget)| own.limit > agents.limit;
        if overrides.run_budget.zip(agent.config.run_budget).is_some_and(more) {
            let problem = Problem::new(ErrorCode::OverrideNotAllowed, "run_budget may only be lowered");
            return Err(problem.with("param", "/run_budget").into());
        }
    }
    let effective = headwater_agent::accept::effective(agent.config.clone(), &overrides);
    effective.check()?;
    if let Some(tools) = &overrides.tools {
        headwater_agent::check_tools(tools, &state.guard)?;
    }
    if let Some(format) = &overrides.response_format {
        headwater_agent::check_format(format)?;
    }
    let fallbacks = effective.fallbacks.iter().map(|fallback| &fallback.model);
    check_models(state, caller.tenant, std::iter::once(&effective.model).chain(fallbacks)).await?;
    let parts = params.input.clone().into_parts("/input")?;
    for (at, part) in &parts {
        let shown = match part {
            InputPart::Text { .. } => continue,
            InputPart::Image { detail, .. } => Shown::Image(*detail),
            InputPart::File { .. } => continue,
        };
        if !state.llm.takes(&effective.model, &shown) {
            let words = format!("{} cannot be shown pictures", effective.model);
            return Err(Problem::new(ErrorCode::UnsupportedByModel, words).with("param", at.clone()).into());
        }
    }
    let on_conflict = params.on_conflict.unwrap_or(agent.config.on_conflict);
    let on_disconnect = params.on_disconnect.unwrap_or(agent.config.on_disconnect);
    let disconnect_grace_ms = params.disconnect_grace_ms.unwrap_or(agent.config.disconnect_grace_ms);
    if !(0..=3_600_000).contains(&disconnect_grace_ms) {
        return Err(Problem::invalid("/disconnect_grace_ms", "must be 0 to 3600000").into());
    }
    let InlineThread { external_id, metadata } = params.thread.clone().unwrap_or_default();
    Ok(NewRunRequest {
        tenant: caller.tenant,
        user,
        agent,
        overrides,
        thread: match thread {
            Some((thread, _)) => ThreadTarget::Existing(thread),
            None => ThreadTarget::New { external_id, metadata },
        },
        content: Vec::new(),
        on_conflict,
        on_disconnect,
        disconnect_grace_ms,
        external_id: params.external_id.clone(),
        metadata: params.metadata.clone().unwrap_or_default(),
        of_call: None,
        of_schedule: None,
        within: caller.within,
        run_at: params.run_at,
        idempotency: idempotency.map(of_run),
    })
}

// ── Reading runs ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// Lists runs.
#[utoipa::path(get, path = "/v1/runs", tag = "runs",
    responses((status = 200, body = List<Run>), (status = "default", body = Problem)), params(RunsQuery))]
pub async fn runs_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<RunsQuery>,
) -> Result<Json<List<Run>>, ApiError> {
    caller.require("runs:read")?;
    list_runs(&state, &caller, query, None).await
}

/// Lists a thread's runs.
#[utoipa::path(get, path = "/v1/threads/{thread}/runs", tag = "runs", params(("thread" = String, Path), RunsQuery),
    responses((status = 200, body = List<Run>), (status = "default", body = Problem)))]
pub async fn thread_runs_list(
    State(state): State<AppState>,
    caller: Caller,
    Path(thread): Path<String>,
    ApiQuery(query): ApiQuery<RunsQuery>,
) -> Result<Json<List<Run>>, ApiError> {
    caller.require("runs:read")?;
    let storage = state.store.scoped(caller.scope());
    let thread = storage.thread_get(id(&thread, "thread")?).await?.ok_or_else(|| missing("thread"))?;
    list_runs(&state, &caller, query, Some(thread.id)).await
}

async fn list_runs(
    state: &AppState,
    caller: &Caller,
    query: RunsQuery,
    thread: Option<ThreadId>,
) -> Result<Json<List<Run>>, ApiError> {
    let page = ListQuery { limit: query.limit, after: query.after, order: query.order }.page()?;
    let statuses: Vec<&str> = headwater_protocol::api::RunStatus::ALL.iter().map(|status| status.as_str()).collect();
    let time = |name: &str, text: Option<String>| -> Result<Option<Timestamp>, ApiError> {
        let bad = |_| ApiError::invalid_request(format!("query:{name}"), "must be an RFC 3339 instant");
        text.map(|text| text.parse().map_err(bad)).transpose()
    };
    let bad_id = |name: &str| ApiError::invalid_request(format!("query:{name}"), "must be an id");
    let named_thread = match &query.thread {
        Some(text) => Some(text.parse().map_err(|_| bad_id("thread"))?),
        None => None,
    };
    let agent = match &query.agent {
        Some(text) => match text.parse() {
            Ok(agent) => Some(agent),
            // A name that no agent has matches nothing.
            Err(_) => {
                Some(agents::find(state, caller, text).await?.map_or_else(headwater_protocol::AgentId::new, |a| a.id))
            }
        },
        None => None,
    };
    let filter = RunFilter {
        status: words("status", query.status.as_deref(), &statuses)?,
        agent,
        thread: thread.or(named_thread),
        external_id: query.external_id,
        user: super::threads::user_filter(state, caller, query.user.as_deref()).await?,
        schedule: query.schedule.map(|text| text.parse().map_err(|_| bad_id("schedule"))).transpose()?,
        parent: query.parent.map(|text| text.parse().map_err(|_| bad_id("parent"))).transpose()?,
        created_after: time("created_after", query.created_after)?,
        created_before: time("created_before", query.created_before)?,
    };
    let runs = state.store.scoped(caller.scope()).run_list(&filter, page).await?;
    let runs = list(runs, page, |(run, _)| run.id.uuid());
    let as_user = caller.sees_as_user();
    Ok(Json(runs.map(|(run, visibility)| view::run_for(run, audience(as_user, visibility)))))
}

/// A run with its messages, exactly as of `as_of_seq`.
#[utoipa::path(get, path = "/v1/runs/{run}", tag = "runs", params(("run" = String, Path), WaitQuery),
    responses((status = 200, body = RunSnapshot), (status = "default", body = Problem)))]
pub async fn runs_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
    ApiQuery(wait): ApiQuery<WaitQuery>,
) -> Result<Json<RunSnapshot>, ApiError> {
    let run = id(&run, "run")?;
    caller.require_run(run, "runs:read")?;
    if let Some(wait) = wait.wait()? {
        state.streams.wait_for_rest(caller.scope(), run, wait).await?;
    }
    let snapshot = state.store.scoped(caller.scope()).run_snapshot(run).await?.ok_or_else(|| missing("run"))?;
    let audience = audience(caller.sees_as_user(), snapshot.visibility);
    Ok(Json(view::snapshot_for(snapshot, audience)))
}

/// What a run waits for, and what it has cost.
#[utoipa::path(get, path = "/v1/runs/{run}/explain", tag = "runs", params(("run" = String, Path)),
    responses((status = 200, body = RunExplanation), (status = "default", body = Problem)))]
pub async fn runs_explain(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
) -> Result<Json<RunExplanation>, ApiError> {
    let run = id(&run, "run")?;
    caller.require("runs:read")?;
    let explained = state.store.scoped(caller.scope()).run_explain(run).await?;
    let (explanation, visibility) = explained.ok_or_else(|| missing("run"))?;
    Ok(Json(view::explanation_for(explanation, audience(caller.sees_as_user(), visibility))))
}

/// A run's events: a stream, or pages with `Accept: application/json`.
#[utoipa::path(get, path = "/v1/runs/{run}/events", tag = "runs", params(("run" = String, Path), EventsQuery),
    responses((status = 200, body = EventPage), (status = 204), (status = "default", body = Problem)))]
pub async fn runs_events(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
    to: AnswerTo,
    ApiQuery(query): ApiQuery<EventsQuery>,
) -> Result<Response, ApiError> {
    let run: RunId = id(&run, "run")?;
    caller.require_run(run, "runs:read")?;
    let cursor = cursor(to.headers.get("last-event-id"), query.after.as_deref())?;
    if streams::wants_json(&to.headers) {
        return events_page(&state, &caller, run, cursor, query.limit).await;
    }
    let opened = state.streams.open(run, reader(&state, &caller, caller.scope(), cursor, to.room)).await?;
    match opened {
        Ok(Opened::NotFound) => Err(missing("run")),
        Ok(Opened::NothingLeft) => Ok(StatusCode::NO_CONTENT.into_response()),
        other => Ok(streams::stream(StatusCode::OK, other)),
    }
}

async fn events_page(
    state: &AppState,
    caller: &Caller,
    run: RunId,
    cursor: Cursor,
    limit: Option<i64>,
) -> Result<Response, ApiError> {
    let limit = match limit.unwrap_or(200) {
        limit @ 1..=1000 => limit as usize,
        _ => return Err(ApiError::invalid_request("query:limit", "must be 1 to 1000")),
    };
    // A segment holds one event or more, so as many segments as events are asked for are enough.
    let (page, after, audience) = page_of(state, caller, run, cursor, limit as i64).await?;
    let mut data: Vec<Event> = Vec::new();
    for line in page.lines.lines().take(limit) {
        data.push(serde_json::from_str(&render_for(line, audience)).map_err(ApiError::internal)?);
    }
    let last = data.last().map_or(after, |event| event.seq);
    let page = EventPage {
        object: "list".into(),
        has_more: last < page.tail,
        next_cursor: (!data.is_empty()).then(|| format!("{last:016}")),
        data,
        earliest: page.earliest,
        tail: page.tail,
        compacted: page.earliest > 1,
        status: page.status,
    };
    Ok(Json(page).into_response())
}

/// A stretch of a log behind a cursor, where that is, and for whom it is to be rendered.
///
/// # Errors
/// 410 where the cursor leads nowhere; `rate_limited` for who has read too much.
pub(super) async fn page_of(
    state: &AppState,
    caller: &Caller,
    run: RunId,
    cursor: Cursor,
    segments: i64,
) -> Result<(LogPage, u64, Audience), ApiError> {
    let storage = state.store.scoped(caller.scope());
    let after = match cursor {
        Cursor::After(seq) => seq,
        Cursor::Now => i64::MAX as u64,
    };
    let page = storage.events_read(run, EventRange { after, segments }).await?;
    let mut page = page.ok_or_else(|| missing("run"))?;
    if cursor == Cursor::Now {
        // Of an empty page, as read from "now", it is no position.
        page.last = page.tail;
    }
    let after = if cursor == Cursor::Now { page.tail } else { after };
    let audience = audience(caller.sees_as_user(), page.visibility);
    let trimmed = after > 0 && after + 1 < page.earliest;
    if after > page.tail || trimmed {
        let code = if trimmed { ErrorCode::HistoryTrimmed } else { ErrorCode::CursorAhead };
        let snapshot = storage.run_snapshot(run).await?.ok_or_else(|| missing("run"))?;
        let snapshot = serde_json::to_value(view::snapshot_for(snapshot, audience)).map_err(ApiError::internal)?;
        let problem = Problem::new(code, format!("the log holds events {} to {}", page.earliest, page.tail));
        return Err(problem.with("earliest", page.earliest).with("tail", page.tail).with("snapshot", snapshot).into());
    }
    if !state.streams.count_replay(caller.tenant, page.user, page.lines.len()) {
        let problem = Problem::new(ErrorCode::RateLimited, "too many bytes of events were read in a minute");
        return Err(problem.with("policy", "replay").with("retry_after_ms", 10_000).into());
    }
    Ok((page, after, audience))
}

/// The position after which to read: `Last-Event-ID`, else `after`, else the beginning.
pub(super) fn cursor(last_event_id: Option<&HeaderValue>, after: Option<&str>) -> Result<Cursor, ApiError> {
    let bad = || Problem::new(ErrorCode::InvalidCursor, "the cursor must be the id of an event, or now");
    // A browser sends an empty header when it has seen nothing yet.
    let text = match last_event_id {
        Some(value) => Some(value.to_str().map_err(|_| bad())?).filter(|text| !text.is_empty()),
        None => None,
    };
    match text.or(after) {
        None => Ok(Cursor::After(0)),
        Some("now") => Ok(Cursor::Now),
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() && text.len() <= 20 => {
            let seq: u64 = text.parse().map_err(|_| bad())?;
            Ok(Cursor::After(seq.min(i64::MAX as u64 - 1)))
        }
        Some(_) => Err(bad().into()),
    }
}

pub(super) fn reader(
    state: &AppState,
    caller: &Caller,
    scope: Scope,
    cursor: Cursor,
    room: Option<Room>,
) -> ReaderParams {
    let (auth, who) = (state.auth.clone(), caller.clone());
    let recheck: Recheck = Arc::new(move || {
        let (auth, who) = (auth.clone(), who.clone());
        Box::pin(async move { auth.is_still_good(&who).await })
    });
    ReaderParams {
        scope,
        as_user: caller.sees_as_user(),
        cursor,
        expires_at: caller.expires_at,
        rotates: true,
        ends_suspended: false,
        passes_by: false,
        recheck: Some(recheck),
        room,
    }
}

// ── Ending runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// Asks for a run's end. On a finished run: the run, unchanged.
#[utoipa::path(post, path = "/v1/runs/{run}/cancel", tag = "runs", params(("run" = String, Path)), request_body = CancelParams,
    responses((status = 200, body = Run), (status = "default", body = Problem)))]
pub async fn runs_cancel(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
    body: ApiBody,
) -> Result<Json<Run>, ApiError> {
    let run = to_change(&state, &caller, &run).await?;
    let params: CancelParams = body.parse()?;
    if let Some(Some(reason)) = &params.reason {
        headwater_protocol::api::check_name("/reason", reason, 256)?;
        tracing::info!(run.id = %run, %reason, "a run is cancelled");
    }
    let (run, visibility) = cancelled(&state, &caller, run).await?;
    Ok(Json(view::run_for(run, audience(caller.sees_as_user(), visibility))))
}

/// Ends a run, as this caller wants it, and what has become of it by then.
pub(super) async fn cancelled(state: &AppState, caller: &Caller, run: RunId) -> Result<(Run, Visibility), ApiError> {
    let storage = state.store.scoped(caller.scope());
    if !state.runtime.cancel(caller.scope(), run, caller.actor()).await? {
        return Err(missing("run"));
    }
    state.streams.wait_for_end(caller.scope(), run, Duration::from_secs(5)).await?;
    let (mut run, mut visibility) = storage.run_get(run).await?.ok_or_else(|| missing("run"))?;
    if !run.status.is_terminal() {
        // The caller is told that it will end: so it must, even if this process dies before it comes to that.
        storage.run_ask_cancel(run.id, &caller.actor()).await?;
        (run, visibility) = storage.run_get(run.id).await?.ok_or_else(|| missing("run"))?;
    }
    Ok((run, visibility))
}

/// A run that the caller may do something to, before the body is read.
pub async fn to_change(state: &AppState, caller: &Caller, run: &str) -> Result<RunId, ApiError> {
    caller.require("runs:write")?;
    let run = id(run, "run")?;
    state.store.scoped(caller.scope()).run_get(run).await?.ok_or_else(|| missing("run"))?;
    Ok(run)
}

/// Ends what still runs on a thread or for a user, newest first, before it is erased.
pub async fn cancel_live(
    state: &AppState,
    scope: Scope,
    thread: Option<ThreadId>,
    user: Option<UserId>,
) -> Result<(), ApiError> {
    let by = || Actor::system("deleted");
    for (run, user) in state.store.scoped(scope).runs_live(thread, user).await? {
        let scope = Scope { tenant: scope.tenant, user: Some(user) };
        state.runtime.cancel(scope, run, by()).await?;
        state.streams.wait_for_end(scope, run, Duration::from_secs(2)).await?;
    }
    Ok(())
}

/// Makes a ticket: a key to this run's events that may stand in a URL. Stores nothing until it is used.
#[utoipa::path(post, path = "/v1/runs/{run}/tickets", tag = "runs", params(("run" = String, Path)),
    responses((status = 201, body = Ticket), (status = "default", body = Problem)))]
pub async fn runs_tickets_create(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    if let CallerKind::Ticket { .. } = caller.kind {
        return Err(Problem::new(ErrorCode::Forbidden, "a ticket makes no tickets").into());
    }
    caller.require("runs:read")?;
    let run: RunId = id(&run, "run")?;
    let (found, _) = state.store.scoped(caller.scope()).run_get(run).await?.ok_or_else(|| missing("run"))?;
    let NoParams {} = body.parse()?;
    let (ticket, claims) = state.auth.tickets.mint(caller.tenant, found.user, run);
    let ticket = Ticket {
        object: "ticket".into(),
        events_url: format!("/v1/runs/{run}/events?ticket={ticket}"),
        ticket,
        run,
        expires_at: claims.made_at.plus_ms(60_000),
    };
    let mut response = (StatusCode::CREATED, Json(ticket)).into_response();
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
