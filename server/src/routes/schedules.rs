//! `/v1/schedules`: runs that begin by themselves, again and again.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use headwater_agent::Accepted;
use headwater_protocol::api::{List, OnMissed, Run, Schedule, ScheduleParams, ScheduleUpdate};
use headwater_protocol::event::problem_for_user;
use headwater_protocol::{ErrorCode, Problem, ScheduleId, Scope, Timestamp};
use headwater_store::pool::Once;
use headwater_store::scoped::ScheduleWrite;
use headwater_stream::reader::audience;
use headwater_stream::view;

use super::body::ApiBody;
use super::lists::{ListQuery, list};
use super::{created, id, missing, no_content, runs};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::ApiQuery;
use crate::http::idempotency::mismatch;
use crate::schedules::{self, Times};
use crate::wiring::AppState;

/// A key's scope for schedules; a user, who may make runs, may have them made.
fn may(caller: &Caller, what: &str) -> Result<(), Problem> {
    let of = if caller.is_key() { "schedules" } else { "runs" };
    caller.require(&format!("{of}:{what}"))
}

/// A schedule as the caller may see it: of the tenant's money and models users are told the code.
fn shown(caller: &Caller, mut schedule: Schedule) -> Schedule {
    if caller.sees_as_user() {
        schedule.last_error = schedule.last_error.map(problem_for_user);
    }
    schedule
}

async fn find(state: &AppState, caller: &Caller, schedule: &str) -> Result<Schedule, ApiError> {
    let schedule: ScheduleId = id(schedule, "schedule")?;
    let found = state.store.scoped(caller.scope()).schedule_get(schedule).await?;
    found.ok_or_else(|| missing("schedule"))
}

/// What is to be kept, once all that it names was found.
async fn checked(
    state: &AppState,
    caller: &Caller,
    scope: Scope,
    params: ScheduleParams,
) -> Result<ScheduleWrite, ApiError> {
    params.check()?;
    let agent = runs::agent_named(state, caller, &params.agent).await?;
    if let Some(thread) = params.thread {
        let found = state.store.scoped(scope).thread_get(thread).await?;
        let found = found.filter(|found| Some(found.user) == scope.user);
        let no_such = || Problem::invalid("/thread", "there is no such thread of this user");
        super::threads::check_own(&found.ok_or_else(no_such)?)?;
    }
    let timezone = params.timezone.unwrap_or_else(|| "UTC".to_owned());
    let (now, enabled) = (Timestamp::now(), params.enabled.unwrap_or(true));
    let next = Times::parse(&params.cron, &timezone)?.after(now);
    if enabled && next.is_none() {
        return Err(Problem::invalid("/cron", "never comes").into());
    }
    Ok(ScheduleWrite {
        name: params.name,
        agent: agent.id,
        thread: params.thread,
        input: params.input,
        cron: params.cron,
        timezone,
        on_missed: params.on_missed.unwrap_or(OnMissed::RunOnce),
        next_run_at: next.filter(|_| enabled),
        enabled,
        metadata: params.metadata.unwrap_or_default(),
    })
}

/// Makes a schedule.
#[utoipa::path(post, path = "/v1/schedules", tag = "schedules", request_body = ScheduleParams,
    responses((status = 201, body = Schedule), (status = "default", body = Problem)))]
pub async fn schedules_create(
    State(state): State<AppState>,
    caller: Caller,
    body: ApiBody,
) -> Result<Response, ApiError> {
    may(&caller, "write")?;
    let params: ScheduleParams = body.parse()?;
    params.check()?;
    let caller = caller.into_user(&state).await?;
    let user = caller.user.known().ok_or_else(|| missing("user"))?;
    let write = Box::pin(checked(&state, &caller, caller.scope(), params)).await?;
    let once = body.idempotency(&state, &caller)?;
    let storage = state.store.scoped(caller.scope());
    let made = storage.schedule_create(ScheduleId::new(), user, &write, Timestamp::now(), once.key()).await?;
    let (schedule, replayed) = match made {
        Once::Done(Some(made)) => (made, false),
        Once::Done(None) => {
            return Err(Problem::invalid("/name", "this user has as many schedules as may be").into());
        }
        Once::Replay(object) => (find(&state, &caller, &object).await?, true),
        Once::Mismatch => return Err(mismatch()),
    };
    state.schedules.tell();
    let schedule = shown(&caller, schedule);
    Ok(created(&schedule, &format!("/v1/schedules/{}", schedule.id), replayed))
}

/// Lists schedules.
#[utoipa::path(get, path = "/v1/schedules", tag = "schedules", params(ListQuery),
    responses((status = 200, body = List<Schedule>), (status = "default", body = Problem)))]
pub async fn schedules_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<List<Schedule>>, ApiError> {
    may(&caller, "read")?;
    let page = query.page()?;
    let found = state.store.scoped(caller.scope()).schedule_list(page).await?;
    let found = found.into_iter().map(|schedule| shown(&caller, schedule)).collect();
    Ok(Json(list(found, page, |schedule| schedule.id.uuid())))
}

/// A schedule.
#[utoipa::path(get, path = "/v1/schedules/{schedule}", tag = "schedules", params(("schedule" = String, Path)),
    responses((status = 200, body = Schedule), (status = "default", body = Problem)))]
pub async fn schedules_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(schedule): Path<String>,
) -> Result<Json<Schedule>, ApiError> {
    may(&caller, "read")?;
    Ok(Json(shown(&caller, find(&state, &caller, &schedule).await?)))
}

/// Changes a schedule. Its next time is counted anew where its times change.
#[utoipa::path(patch, path = "/v1/schedules/{schedule}", tag = "schedules", params(("schedule" = String, Path)),
    request_body = ScheduleUpdate, responses((status = 200, body = Schedule), (status = "default", body = Problem)))]
pub async fn schedules_update(
    State(state): State<AppState>,
    caller: Caller,
    Path(schedule): Path<String>,
    body: ApiBody,
) -> Result<Json<Schedule>, ApiError> {
    may(&caller, "write")?;
    let mut found = find(&state, &caller, &schedule).await?;
    let update: ScheduleUpdate = body.parse()?;
    // What somebody else has changed between reading it and writing it is read again.
    for _ in 0..5 {
        let (write, moves) = Box::pin(changed(&state, &caller, &found, update.clone())).await?;
        let storage = state.store.scoped(caller.scope());
        if let Some(schedule) =
            storage.schedule_update(found.id, &write, moves, found.updated_at, Timestamp::now()).await?
        {
            state.schedules.tell();
            return Ok(Json(shown(&caller, schedule)));
        }
        found = find(&state, &caller, &schedule).await?;
    }
    Err(Problem::new(ErrorCode::Unavailable, "it is being changed; try again").into())
}

/// What a schedule is with a change, and whether its times are others then.
async fn changed(
    state: &AppState,
    caller: &Caller,
    found: &Schedule,
    update: ScheduleUpdate,
) -> Result<(ScheduleWrite, bool), ApiError> {
    if update == (ScheduleUpdate { enabled: Some(false), ..ScheduleUpdate::default() }) {
        // Whatever has become of what it names, it can be switched off.
        return Ok((switched_off(found), true));
    }
    let is = found.clone();
    let params = ScheduleParams {
        name: update.name.unwrap_or(is.name),
        agent: update.agent.unwrap_or_else(|| is.agent.to_string()),
        input: update.input.unwrap_or(is.input),
        cron: update.cron.unwrap_or(is.cron),
        timezone: Some(update.timezone.unwrap_or(is.timezone)),
        thread: update.thread.unwrap_or(is.thread),
        on_missed: Some(update.on_missed.unwrap_or(is.on_missed)),
        enabled: Some(update.enabled.unwrap_or(is.enabled)),
        metadata: Some(update.metadata.unwrap_or(is.metadata)),
    };
    let moves = params.cron != found.cron
        || params.timezone.as_ref() != Some(&found.timezone)
        || params.enabled != Some(found.enabled);
    let scope = Scope { tenant: caller.tenant, user: Some(found.user) };
    Ok((Box::pin(checked(state, caller, scope, params)).await?, moves))
}

/// This schedule, switched off.
fn switched_off(schedule: &Schedule) -> ScheduleWrite {
    let is = schedule.clone();
    ScheduleWrite {
        name: is.name,
        agent: is.agent,
        thread: is.thread,
        input: is.input,
        cron: is.cron,
        timezone: is.timezone,
        on_missed: is.on_missed,
        next_run_at: None,
        enabled: false,
        metadata: is.metadata,
    }
}

/// Removes a schedule. Runs that it has made stay.
#[utoipa::path(delete, path = "/v1/schedules/{schedule}", tag = "schedules", params(("schedule" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn schedules_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(schedule): Path<String>,
) -> Result<Response, ApiError> {
    may(&caller, "write")?;
    let schedule: ScheduleId = id(&schedule, "schedule")?;
    if !state.store.scoped(caller.scope()).schedule_delete(schedule).await? {
        return Err(missing("schedule"));
    }
    Ok(no_content())
}

/// Makes a run of a schedule now, beside those of its times.
#[utoipa::path(post, path = "/v1/schedules/{schedule}/trigger", tag = "schedules", params(("schedule" = String, Path)),
    responses((status = 201, body = Run), (status = "default", body = Problem)))]
pub async fn schedules_trigger(
    State(state): State<AppState>,
    caller: Caller,
    Path(schedule): Path<String>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    may(&caller, "write")?;
    let found = find(&state, &caller, &schedule).await?;
    let scope = Scope { tenant: caller.tenant, user: Some(found.user) };
    runs::agent_named(&state, &caller, &found.agent.to_string()).await?;
    let once = body.idempotency(&state, &caller)?;
    let accepted = Box::pin(schedules::accept(&state, scope, &found, once.key())).await?;
    let accepted = accepted.map_err(|problem| runs::told(&caller, problem.into()))?;
    let (run, visibility, replayed) = match accepted {
        Accepted::New { run, visibility, .. } => (*run, visibility, false),
        Accepted::Replay { run, .. } | Accepted::Steered(run) => {
            let (run, visibility) = state.store.scoped(scope).run_get(run).await?.ok_or_else(|| missing("run"))?;
            (run, visibility, true)
        }
    };
    let run = view::run_for(run, audience(caller.sees_as_user(), visibility));
    Ok(created(&run, &format!("/v1/runs/{}", run.id), replayed))
}
