//! Schedules: what happens when their time comes.
//!
//! Owns the times of a schedule, the run that is made of each, and what becomes of times at which nobody was awake. Promises
//! one run for each time, whichever and however many processes look: the time is the run's idempotency key, and the schedule is
//! moved on only from the time that was read. A run that the server cannot make now is tried again, and holds up no other schedule;
//! one that cannot be made for another reason is told on the schedule, which goes on. Looks when something is due, and once a minute for what others have made.

use std::sync::Arc;
use std::time::Duration;

use headwater_agent::{Accepted, NewRunRequest, ThreadTarget};
use headwater_protocol::api::{Agent, MAX_MISSED, OnConflict, OnDisconnect, OnMissed, Overrides, Priority, Schedule};
use headwater_protocol::error::Fault;
use headwater_protocol::message::{InputPart, Metadata, Part};
use headwater_protocol::{ErrorCode, Problem, RunId, Scope, Timestamp};
use headwater_store::StoreError;
use headwater_store::create::RunIdempotency;
use headwater_store::scoped::Fired;
use headwater_store::unscoped::DueSchedule;
use tokio::sync::Notify;

use crate::wiring::AppState;

/// Schedules looked at in one go.
const AT_ONCE: i32 = 32;
/// Between two looks where nothing is due.
const LOOK: Duration = Duration::from_secs(60);
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

/// The first time after an instant; `None` when there is none.
///
/// # Errors
/// When the expression or the zone means nothing, by its field.
pub fn next_after(cron: &str, timezone: &str, after: Timestamp) -> Result<Option<Timestamp>, Problem> {
    if jiff::tz::TimeZone::get(timezone).is_err() {
        return Err(Problem::invalid(
            "/timezone",
            "there is no such time zone; give an IANA name such as Europe/Berlin",
        ));
    }
    if cron.split_whitespace().count() != 5 {
        return Err(Problem::invalid("/cron", "must have five fields: minute, hour, day of month, month, day of week"));
    }
    // The library takes the zone as a sixth field.
    let times = cronexpr::parse_crontab(&format!("{cron} {timezone}"))
        .map_err(|error| Problem::invalid("/cron", format!("cannot be read: {error}")))?;
    let at = cronexpr::MakeTimestamp(after.0);
    Ok(times.find_next(at).ok().map(|at| Timestamp(at.timestamp())))
}

/// For as long as it is polled, makes the runs of schedules whose time has come.
pub(crate) async fn keep(state: AppState) {
    loop {
        let pause = match Box::pin(fire_due(&state)).await {
            Ok(next) => {
                let left = next.map(|at| u64::try_from(at.ms() - Timestamp::now().ms()).unwrap_or_default());
                left.map_or(LOOK, |left| LOOK.min(Duration::from_millis(left.max(1))))
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
        for one in &due {
            let made = Box::pin(fire(state, one)).await.unwrap_or_else(|error| {
                tracing::warn!(%error, schedule.id = %one.schedule, "a schedule could not be seen to; tried again");
                false
            });
            held_up |= !made;
        }
        behind = due.last().copied();
        if due.len() < AT_ONCE as usize {
            break;
        }
    }
    if held_up {
        return Ok(Some(Timestamp::now().plus_ms(AGAIN.as_millis() as i64)));
    }
    unscoped.schedules_next().await
}

/// The times of a schedule that are due by now, oldest first, and the one after them.
fn times(schedule: &Schedule, due: Timestamp, now: Timestamp) -> (Vec<Timestamp>, Option<Timestamp>) {
    let mut times = vec![due];
    loop {
        let last = times.last().copied().unwrap_or(due);
        // It was read when it was written; what this build cannot read any more comes no more.
        let next = next_after(&schedule.cron, &schedule.timezone, last).ok().flatten();
        match next {
            Some(next) if next <= now => times.push(next),
            next => return (times, next),
        }
        if times.len() > MAX_MISSED {
            // Of so many only the latest count: from here on by the clock.
            times.remove(0);
            if now.ms() - last.ms() > 366 * 86_400_000 {
                let next = next_after(&schedule.cron, &schedule.timezone, now).ok().flatten();
                return (times, next);
            }
        }
    }
}

/// Which of them runs are made for.
fn wanted(on_missed: OnMissed, times: &[Timestamp], now: Timestamp) -> Vec<Timestamp> {
    match on_missed {
        OnMissed::RunAll => times.to_vec(),
        OnMissed::RunOnce => times.last().copied().into_iter().collect(),
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
    let (times, next_run_at) = times(&schedule, at, now);
    let (mut last_run, mut last_error) = (None, None);
    for time in wanted(schedule.on_missed, &times, now) {
        match Box::pin(make_run(state, scope, &schedule, Some(time))).await? {
            Ok(run) => (last_run, last_error) = (Some(run), None),
            // What the tenant itself must change first is told on the schedule, and not waited for.
            Err(problem) if problem.retryable && problem.fault == Fault::Server => {
                tracing::warn!(code = problem.code.as_str(), schedule.id = %schedule.id, "a schedule's run could not be made yet");
                return Ok(false);
            }
            Err(problem) => last_error = Some(problem),
        }
    }
    let fired = Fired { due: at, next_run_at, last_run, last_error };
    // Somebody who was faster, or has changed it, has said what is next.
    storage.schedule_fired(schedule.id, &fired).await?;
    Ok(true)
}

/// Makes a run of a schedule: for a time of its, or because somebody asks (with their own key, if they have one).
pub(crate) async fn make_run(
    state: &AppState,
    scope: Scope,
    schedule: &Schedule,
    time: Option<Timestamp>,
) -> Result<Result<RunId, Problem>, StoreError> {
    let id = schedule.id;
    let once = time.map(|time| RunIdempotency {
        actor: id.uuid(),
        idempotency_key: time.to_string(),
        fingerprint: format!("{:032x}", id.uuid().as_u128()),
    });
    let accepted = Box::pin(accept(state, scope, schedule, once)).await?;
    Ok(accepted.map(|accepted| match accepted {
        Accepted::New { run, .. } => run.id,
        Accepted::Replay { run, .. } | Accepted::Steered(run) => run,
    }))
}

/// The same, with what a repeated request must find again.
pub(crate) async fn accept(
    state: &AppState,
    scope: Scope,
    schedule: &Schedule,
    idempotency: Option<RunIdempotency>,
) -> Result<Result<Accepted, Problem>, StoreError> {
    let storage = state.store.scoped(scope);
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

    #[test]
    fn times_follow_the_zone_through_its_changes() {
        let next = |cron: &str, zone: &str, after: &str| {
            next_after(cron, zone, at(after)).expect("it reads").map(|at| at.to_string())
        };
        assert_eq!(next("0 7 * * 1-5", "UTC", "2026-11-27T07:00:00Z").as_deref(), Some("2026-11-30T07:00:00.000Z"));
        assert_eq!(
            next("0 7 * * *", "Europe/Berlin", "2026-11-27T07:00:00Z").as_deref(),
            Some("2026-11-28T06:00:00.000Z")
        );
        // The hour that is not there, in March: what is in it is left out that day.
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z").as_deref(),
            Some("2027-03-29T00:30:00.000Z")
        );
        // The hour that comes twice, in October: what is in it comes twice.
        let twice = |cron: &str, after: &str| next(cron, "Europe/Berlin", after);
        assert_eq!(twice("30 2 * * *", "2026-10-24T12:00:00Z").as_deref(), Some("2026-10-25T00:30:00.000Z"));
        assert_eq!(twice("30 2 * * *", "2026-10-25T00:30:00Z").as_deref(), Some("2026-10-25T01:30:00.000Z"));
        assert_eq!(twice("30 2 * * *", "2026-10-25T01:30:00Z").as_deref(), Some("2026-10-26T01:30:00.000Z"));
        assert_eq!(twice("30 * * * *", "2026-10-25T00:30:00Z").as_deref(), Some("2026-10-25T01:30:00.000Z"));
        assert_eq!(next("0 0 30 2 *", "UTC", "2026-11-27T07:00:00Z"), None, "a day that never comes");
        for (cron, zone, param) in [
            ("0 7 * *", "UTC", "/cron"),
            ("0 7 * * * UTC", "UTC", "/cron"),
            ("61 7 * * *", "UTC", "/cron"),
            ("x", "UTC", "/cron"),
            ("0 7 * * *", "Europe/Nowhere", "/timezone"),
        ] {
            let refused = next_after(cron, zone, at("2026-11-27T07:00:00Z")).expect_err(cron);
            assert_eq!(refused.errors[0].param, param, "{cron} {zone}");
        }
    }

    fn every(cron: &str) -> Schedule {
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
            on_missed: OnMissed::RunAll,
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
        let (all, next) = times(&every("0 * * * *"), due, now);
        assert_eq!((all.len(), next), (4, Some(at("2026-11-27T05:00:00Z"))));
        assert_eq!(wanted(OnMissed::RunAll, &all, now), all);
        assert_eq!(wanted(OnMissed::RunOnce, &all, now), all[3..]);
        assert_eq!(wanted(OnMissed::Skip, &all, now), all[3..], "that one is on time");
        let later = at("2026-11-27T04:30:00Z");
        assert_eq!(wanted(OnMissed::Skip, &all, later), []);
        // Of very many the latest, and no more work than that.
        let (all, next) = times(&every("* * * * *"), at("2016-01-01T00:00:00Z"), now);
        assert!(all.len() <= MAX_MISSED, "{}", all.len());
        assert_eq!(next, Some(at("2026-11-27T04:01:00Z")));
    }
}
