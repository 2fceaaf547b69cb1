//! Schedules of users.

use headwater_protocol::api::{MAX_SCHEDULES, OnMissed, Schedule};
use headwater_protocol::message::{Content, Metadata};
use headwater_protocol::{AgentId, Problem, RunId, ScheduleId, ThreadId, Timestamp, UserId};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{Page, UserScopedStorage, maybe_time, metadata, time, word};
use crate::StoreError;
use crate::connection::Params;
use crate::pool::{Idempotency, Once};

const COLUMNS: &str = "s.schedule_id, s.user_id, s.agent_id, s.into_thread, s.name, s.input, s.cron, s.timezone, s.on_missed, s.enabled, \
                       s.next_run_at, s.last_run, s.last_error, s.metadata, s.created_at, s.updated_at";

/// What somebody has said of a schedule.
#[derive(Debug, Clone)]
pub struct ScheduleWrite {
    /// For people.
    pub name: String,
    /// Which agent.
    pub agent: AgentId,
    /// In which thread.
    pub thread: Option<ThreadId>,
    /// What is said.
    pub input: Content,
    /// When.
    pub cron: String,
    /// In which time zone.
    pub timezone: String,
    /// What becomes of times at which nobody was awake.
    pub on_missed: OnMissed,
    /// When it makes the next run; `None`: it is not enabled, or never does.
    pub next_run_at: Option<Timestamp>,
    /// Whether it makes runs.
    pub enabled: bool,
    /// Own pairs.
    pub metadata: Metadata,
}

/// What became of the runs that were due.
#[derive(Debug, Clone)]
pub struct Fired {
    /// The time that was due, as it was read: somebody else may have been faster.
    pub due: Timestamp,
    /// The next one.
    pub next_run_at: Option<Timestamp>,
    /// The last run that was made, if one was.
    pub last_run: Option<RunId>,
    /// Why the last one could not be made.
    pub last_error: Option<Problem>,
}

fn schedule(row: &Row) -> Result<Schedule, StoreError> {
    let Json(input) = row.try_get("input")?;
    Ok(Schedule {
        id: ScheduleId::from_uuid(row.try_get("schedule_id")?),
        object: "schedule".into(),
        name: row.try_get("name")?,
        user: UserId::from_uuid(row.try_get("user_id")?),
        agent: AgentId::from_uuid(row.try_get("agent_id")?),
        thread: row.try_get::<_, Option<Uuid>>("into_thread")?.map(ThreadId::from_uuid),
        input,
        cron: row.try_get("cron")?,
        timezone: row.try_get("timezone")?,
        on_missed: word(row, "on_missed")?,
        enabled: row.try_get("enabled")?,
        next_run_at: maybe_time(row, "next_run_at")?,
        last_run: row.try_get::<_, Option<Uuid>>("last_run")?.map(RunId::from_uuid),
        last_error: row.try_get::<_, Option<Json<Problem>>>("last_error")?.map(|Json(error)| error),
        metadata: metadata(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn text(word: OnMissed) -> &'static str {
    match word {
        OnMissed::RunOnce => "run_once",
        OnMissed::Skip => "skip",
        OnMissed::RunAll => "run_all",
    }
}

impl UserScopedStorage {
    /// Keeps a new schedule of a user. `None`: the user has as many as may be.
    pub async fn schedule_create(
        &self,
        id: ScheduleId,
        user: UserId,
        write: &ScheduleWrite,
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<Option<Schedule>>, StoreError> {
        let sql = format!(
            "INSERT INTO headwater.schedules AS s (tenant_id, schedule_id, user_id, agent_id, into_thread, name, input, cron,
                    timezone, on_missed, enabled, next_run_at, metadata, created_at, updated_at)
             SELECT headwater.tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13
             WHERE (SELECT count(*) FROM headwater.schedules WHERE user_id = $2) < $14
             RETURNING {COLUMNS}"
        );
        let (uuid, object, thread) = (id.uuid(), id.to_string(), write.thread.map(ThreadId::uuid));
        let (user, agent, next) = (user.uuid(), write.agent.uuid(), write.next_run_at.map(|at| at.0));
        let (input, on_missed, metadata) = (Json(&write.input), text(write.on_missed), Json(&write.metadata));
        let values: Params<'_> = &[
            &uuid,
            &user,
            &agent,
            &thread,
            &write.name,
            &input,
            &write.cron,
            &write.timezone,
            &on_missed,
            &write.enabled,
            &next,
            &metadata,
            &at.0,
            &MAX_SCHEDULES,
        ];
        let made = self.store.query_once(self.scope, idempotency, &object, &sql, values).await?;
        made.map(|rows| rows.first().map(schedule).transpose()).transpose()
    }

    /// One schedule.
    pub async fn schedule_get(&self, id: ScheduleId) -> Result<Option<Schedule>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM headwater.schedules s WHERE s.schedule_id = $1");
        self.query(&sql, &[&id.uuid()]).await?.first().map(schedule).transpose()
    }

    /// A page of schedules.
    pub async fn schedule_list(&self, page: Page) -> Result<Vec<Schedule>, StoreError> {
        let (after, order) = page.order("s.schedule_id");
        let sql = format!(
            "SELECT {COLUMNS} FROM headwater.schedules s WHERE ($1::uuid IS NULL OR {after} $1) ORDER BY {order} LIMIT $2"
        );
        self.query(&sql, &[&page.after, &page.limit]).await?.iter().map(schedule).collect()
    }

    /// Changes a schedule that was `read` as it was then changed last; its next time only if it `moves`. `None`: there is no such one,
    /// or somebody has changed it meanwhile.
    pub async fn schedule_update(
        &self,
        id: ScheduleId,
        write: &ScheduleWrite,
        moves: bool,
        read: Timestamp,
        at: Timestamp,
    ) -> Result<Option<Schedule>, StoreError> {
        let sql = format!(
            "UPDATE headwater.schedules s SET agent_id = $2, into_thread = $3, name = $4, input = $5, cron = $6, timezone = $7,
                    on_missed = $8, enabled = $9,
                    next_run_at = CASE WHEN $13 THEN $10 ELSE next_run_at END, metadata = $11, updated_at = $12
             WHERE s.schedule_id = $1 AND date_trunc('milliseconds', s.updated_at) = $14 RETURNING {COLUMNS}"
        );
        let (thread, next) = (write.thread.map(ThreadId::uuid), write.next_run_at.map(|at| at.0));
        let (input, on_missed, metadata) = (Json(&write.input), text(write.on_missed), Json(&write.metadata));
        let (uuid, agent) = (id.uuid(), write.agent.uuid());
        let values: Params<'_> = &[
            &uuid,
            &agent,
            &thread,
            &write.name,
            &input,
            &write.cron,
            &write.timezone,
            &on_missed,
            &write.enabled,
            &next,
            &metadata,
            &at.0,
            &moves,
            &read.0,
        ];
        self.query(&sql, values).await?.first().map(schedule).transpose()
    }

    /// Removes a schedule. Whether there was one.
    pub async fn schedule_delete(&self, id: ScheduleId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM headwater.schedules WHERE schedule_id = $1 RETURNING schedule_id";
        Ok(!self.query(sql, &[&id.uuid()]).await?.is_empty())
    }

    /// Moves a schedule on from a time that was due. Whether it still was: somebody else may have done so, or changed it.
    pub async fn schedule_fired(&self, id: ScheduleId, fired: &Fired) -> Result<bool, StoreError> {
        let sql = "UPDATE headwater.schedules SET next_run_at = $3, last_run = coalesce($4, last_run), last_error = $5
                   WHERE schedule_id = $1 AND date_trunc('milliseconds', next_run_at) = $2
                   RETURNING schedule_id";
        let next = fired.next_run_at.map(|at| at.0);
        let (last_run, error) = (fired.last_run.map(RunId::uuid), fired.last_error.as_ref().map(Json));
        Ok(!self.query(sql, &[&id.uuid(), &fired.due.0, &next, &last_run, &error]).await?.is_empty())
    }
}
