//! Schedules: what happens when their time comes.
//!
//! Owns the run that is made of each time of a schedule, and what becomes of times at which nobody was awake. Promises
//! one run for each time, whichever and however many processes look: the time is the run's idempotency key, and the schedule is
//! moved on only from the time that was read. A run that the server cannot make now is tried again, and holds up no other schedule;
//! one that cannot be made for another reason is told on the schedule, which goes on. Looks when something is due, and once a minute
//! for what others have made.

mod times;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use headwater_agent::{Accepted, NewRunRequest, ThreadTarget};
use headwater_protocol::api::{Agent, MAX_MISSED, OnConflict, OnDisconnect, OnMissed, Overrides, Priority, Schedule};
use headwater_protocol::error::Fault;
use headwater_protocol::message::{InputPart, Metadata, Part};
use headwater_protocol::{ErrorCode, Problem, RunId, Scope, TenantId, Timestamp};
use headwater_store::StoreError;
use headwater_store::create::RunIdempotency;
use headwater_store::pool::{Idempotency, Once};
use headwater_store::scoped::Fired;
use headwater_store::unscoped::DueSchedule;
use tokio::sync::Notify;

pub use self::times::Times;
use crate::http::idempotency::of_run;
use crate::wiring::AppState;

/// Schedules looked at in one go.
const AT_ONCE: i32 = 256;
/// Tenants seen to at a time.
const TENANTS_AT_ONCE: usize = 8;
/// Between two looks where nothing is due.
const LOOK: Duration = Duration::from_secs(60);
/// Between two looks at the least.
const AT_LEAST: Duration = Duration::from_millis(50);
/// Until what could not be done is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// A time that is not longer past than this was not missed: who wakes a sleeping server may look every ten minutes only.
const ON_TIME_MS: i64 = 15 * 60_000;

/// Told when a schedule was made or changed here. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Changed(Arc<Notify>);

impl Changed {
    /// Something is due at another time than it was.
    pub fn tell(&self) {
        self.0.notify_one();
    }
}

/// For as long as it is polled, makes the runs of schedules whose time has come.
pub(crate) async fn keep(state: AppState) {
    loop {
        let pause = match Box::pin(fire_due(&state)).await {
            Ok(next) => {
                let left = next.map(|at| u64::try_from(at.ms() - Timestamp::now().ms()).unwrap_or_default());
                // What is past was not due by the database's clock yet.
                left.map_or(LOOK, |left| LOOK.min(Duration::from_millis(left).max(AT_LEAST)))
            }
            Err(error) => {
                tracing::warn!(%error, "schedules could not be looked at; tried again");
                AGAIN
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = state.schedules.0.notified() => {}
        }
    }
}

/// Makes the runs that are due. When the next one is.
async fn fire_due(state: &AppState) -> Result<Option<Timestamp>, StoreError> {
    let unscoped = state.store.unscoped("schedules that are due are of any tenant");
    let (mut held_up, mut behind) = (false, None);
    loop {
        let due = unscoped.schedules_due(behind.as_ref(), AT_ONCE).await?;
        behind = due.last().copied();
        let all = due.len() < AT_ONCE as usize;
        // A tenant's one after the other, tenants beside each other.
        let mut of_tenant = BTreeMap::<TenantId, Vec<DueSchedule>>::new();
        for one in due {
            of_tenant.entry(one.tenant).or_default().push(one);
        }
        let seen_to = of_tenant.into_values().map(|due| async move {
            let mut held_up = false;
            for one in due {
                let made = Box::pin(fire(state, &one)).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, schedule.id = %one.schedule, "a schedule could not be seen to; tried again");
                    false
                });
                held_up |= !made;
            }
            held_up
        });
        let seen_to: Vec<bool> = stream::iter(seen_to).buffer_unordered(TENANTS_AT_ONCE).collect().await;
        held_up |= seen_to.contains(&true);
        if all {
            break;
        }
    }
    if held_up {
        return Ok(Some(Timestamp::now().plus_ms(AGAIN.as_millis() as i64)));
    }
    unscoped.schedules_next().await
}

/// The latest times of a schedule that are due by now, oldest first, so many at most; and the one after them. The one that was
/// found due counts, whatever this build makes of its expression.
fn missed(schedule: &Schedule, due: Timestamp, now: Timestamp) -> (Vec<Timestamp>, Option<Timestamp>) {
    let Ok(times) = Times::parse(&schedule.cron, &schedule.timezone) else { return (vec![due], None) };
    let most = if schedule.on_missed == OnMissed::RunAll { MAX_MISSED } else { 1 };
    (times.latest(due, now, most), times.after(now))
}

/// Which of them runs are made for.
fn wanted(on_missed: OnMissed, times: &[Timestamp], now: Timestamp) -> Vec<Timestamp> {
    match on_missed {
        OnMissed::RunAll | OnMissed::RunOnce => times.to_vec(),
        OnMissed::Skip => times.last().copied().filter(|at| now.ms() - at.ms() <= ON_TIME_MS).into_iter().collect(),
    }
}

/// Makes the runs of one schedule, and moves it on. `false`: some could not be made now.
async fn fire(state: &AppState, due: &DueSchedule) -> Result<bool, StoreError> {
    let scope = Scope { tenant: due.tenant, user: Some(due.user) };
    let storage = state.store.scoped(scope);
    let Some(schedule) = storage.schedule_get(due.schedule).await? else { return Ok(true) };
    let now = Timestamp::now();
    let Some(at) = schedule.next_run_at.filter(|at| *at <= now) else { return Ok(true) };
    let (times, next_run_at) = missed(&schedule, at, now);
    let wanted = wanted(schedule.on_missed, &times, now);
    if wanted.is_empty() {
        let fired = Fired { due: at, next_run_at, last_run: None, last_error: None };
        storage.schedule_fired(schedule.id, &fired).await?;
    }
    let mut due = at;
    for (n, time) in wanted.iter().enumerate() {
        let (last_run, last_error) = match Box::pin(make_run(state, scope, &schedule, *time)).await? {
            Ok(run) => (Some(run), None),
            // What the tenant itself must change first is told on the schedule, and not waited for; nothing is for ever.
            Err(problem)
                if problem.retryable && problem.fault == Fault::Server && now.ms() - time.ms() < ON_TIME_MS =>
            {
                tracing::warn!(code = problem.code.as_str(), schedule.id = %schedule.id, "a schedule's run could not be made yet");
                return Ok(false);
            }
            Err(problem) => (None, Some(problem)),
        };
        let next_run_at = wanted.get(n + 1).copied().or(next_run_at);
        let fired = Fired { due, next_run_at, last_run, last_error };
        // Somebody who was faster, or has changed it, has said what is next.
        if !storage.schedule_fired(schedule.id, &fired).await? {
            break;
        }
        due = wanted.get(n + 1).copied().unwrap_or(due);
    }
    Ok(true)
}

/// Makes the run of a time of a schedule, once.
async fn make_run(
    state: &AppState,
    scope: Scope,
    schedule: &Schedule,
    time: Timestamp,
) -> Result<Result<RunId, Problem>, StoreError> {
    let uuid = schedule.id.uuid();
    let once = Idempotency { actor: uuid, key: time.to_string(), fingerprint: uuid.as_bytes().to_vec() };
    let accepted = Box::pin(accept(state, scope, schedule, Some(&once))).await?;
    Ok(accepted.map(|accepted| match accepted {
        Accepted::New { run, .. } => run.id,
        Accepted::Replay { run, .. } | Accepted::Steered(run) => run,
    }))
}

/// Makes a run of a schedule. What is refused may have been made before, by whoever asked for the same.
pub(crate) async fn accept(
    state: &AppState,
    scope: Scope,
    schedule: &Schedule,
    once: Option<&Idempotency>,
) -> Result<Result<Accepted, Problem>, StoreError> {
    let refused = match Box::pin(create(state, scope, schedule, once)).await? {
        Err(problem) => problem,
        made => return Ok(made),
    };
    let earlier = match once {
        Some(once) => state.store.scoped(scope).idempotency_find(once).await?,
        None => None,
    };
    Ok(match earlier {
        Some(Once::Replay(object)) => {
            let run = uuid::Uuid::try_parse(&object).map(RunId::from_uuid);
            run.map(|run| Accepted::Replay { run, steered: false }).map_err(|_| refused)
        }
        _ => Err(refused),
    })
}

async fn create(
    state: &AppState,
    scope: Scope,
    schedule: &Schedule,
    once: Option<&Idempotency>,
) -> Result<Result<Accepted, Problem>, StoreError> {
    let storage = state.store.scoped(scope);
    let idempotency = once.map(of_run);
    // An agent that is changed between reading it and accepting the run is read again.
    for _ in 0..3 {
        let agent = storage.agent_get(schedule.agent).await?.filter(|agent| agent.archived_at.is_none());
        let Some(agent) = agent else {
            return Ok(Err(Problem::new(ErrorCode::AgentNotFound, "the schedule's agent is not there any more")));
        };
        match state.runtime.create(request(scope, schedule, agent, idempotency.clone())).await {
            Err(problem) if problem.extra.contains_key("agent_changed") => {}
            answered => return Ok(answered),
        }
    }
    Ok(Err(Problem::new(ErrorCode::Unavailable, "the agent is being changed; try again")))
}

fn request(scope: Scope, schedule: &Schedule, agent: Agent, idempotency: Option<RunIdempotency>) -> NewRunRequest {
    let parts = schedule.input.clone().into_parts("/input").unwrap_or_default().into_iter();
    let words = parts.filter_map(|(_, part)| match part {
        InputPart::Text { text } => Some(Part::Text { text }),
        InputPart::Image { .. } | InputPart::File { .. } => None,
    });
    NewRunRequest {
        tenant: scope.tenant,
        user: schedule.user,
        disconnect_grace_ms: agent.config.disconnect_grace_ms,
        agent,
        overrides: Overrides { priority: Some(Priority::Background), ..Overrides::default() },
        thread: match schedule.thread {
            Some(thread) => ThreadTarget::Existing(thread),
            None => ThreadTarget::New { external_id: None, metadata: Metadata::new() },
        },
        content: words.collect(),
        on_conflict: OnConflict::Enqueue,
        // Nobody reads it when it begins.
        on_disconnect: OnDisconnect::Continue,
        external_id: None,
        metadata: schedule.metadata.clone(),
        of_call: None,
        within: None,
        of_schedule: Some(schedule.id),
        run_at: None,
        idempotency,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn every(cron: &str, on_missed: OnMissed) -> Schedule {
        Schedule {
            id: headwater_protocol::ScheduleId::new(),
            object: "schedule".into(),
            name: "n".into(),
            user: headwater_protocol::UserId::new(),
            agent: headwater_protocol::AgentId::new(),
            thread: None,
            input: headwater_protocol::message::Content::Text("x".into()),
            cron: cron.into(),
            timezone: "UTC".into(),
            on_missed,
            enabled: true,
            next_run_at: None,
            last_run: None,
            last_error: None,
            metadata: Metadata::new(),
            created_at: at("2026-11-27T00:00:00Z"),
            updated_at: at("2026-11-27T00:00:00Z"),
        }
    }

    #[test]
    fn what_was_missed_is_made_up_for_as_said() {
        let (due, now) = (at("2026-11-27T01:00:00Z"), at("2026-11-27T04:00:30Z"));
        let made = |on_missed: OnMissed, now: Timestamp| {
            let (times, next) = missed(&every("0 * * * *", on_missed), due, now);
            assert_eq!(next, Some(at("2026-11-27T05:00:00Z")));
            wanted(on_missed, &times, now)
        };
        let last = at("2026-11-27T04:00:00Z");
        assert_eq!(made(OnMissed::RunAll, now)[1..], [at("2026-11-27T02:00:00Z"), at("2026-11-27T03:00:00Z"), last]);
        assert_eq!(made(OnMissed::RunOnce, now), [last]);
        assert_eq!(made(OnMissed::Skip, now), [last], "that one is on time");
        assert_eq!(made(OnMissed::Skip, at("2026-11-27T04:30:00Z")), []);
        // Of very many the latest.
        let (all, next) = missed(&every("* * * * *", OnMissed::RunAll), at("2016-01-01T00:00:00Z"), now);
        assert_eq!((all.len(), next), (MAX_MISSED, Some(at("2026-11-27T04:01:00Z"))));
        assert_eq!((all[0], all[MAX_MISSED - 1]), (at("2026-11-27T02:21:00Z"), last));
        // What is found due is due, whatever it means now.
        assert_eq!(missed(&every("0 7 1 1 *", OnMissed::RunOnce), due, now).0, [due]);
        assert_eq!(missed(&every("unreadable", OnMissed::RunOnce), due, now), (vec![due], None));
    }
}
