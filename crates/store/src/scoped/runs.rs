//! Runs and their snapshots.

use headwater_protocol::api::{Run, RunSource, RunStatus};
use headwater_protocol::event::{Actor, MessageStatus, Pending, Visibility};
use headwater_protocol::fold::Fold;
use headwater_protocol::message::Message;
use headwater_protocol::trace::TraceContext;
use headwater_protocol::{
    AgentId, ApprovalId, BudgetId, CallId, MessageId, Money, ReplicaId, RunId, ScheduleId, Scope, ThreadId, Timestamp,
    Usage, UserId,
};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{Page, UserScopedStorage, maybe_time, metadata, time, word};
use crate::StoreError;
use crate::commit::LeaseToken;

/// Calls that a run waits for, each with the approval that it waits for first, or the run that carries it out.
type Waits = Vec<(Uuid, Option<Uuid>, Option<Uuid>)>;

/// A budget that a run waits for, or the run whose own it is.
#[derive(serde::Deserialize)]
struct WaitsBudget {
    budget: Uuid,
    run: bool,
}

/// Which runs to list. Each `None` is "any".
#[derive(Debug, Default)]
pub struct RunFilter {
    /// Any of these.
    pub status: Option<Vec<String>>,
    /// Of this agent.
    pub agent: Option<AgentId>,
    /// On this thread.
    pub thread: Option<ThreadId>,
    /// With this external id.
    pub external_id: Option<String>,
    /// Of this user.
    pub user: Option<UserId>,
    /// Carrying out calls of this run.
    pub parent: Option<RunId>,
    /// Made by this schedule.
    pub schedule: Option<ScheduleId>,
    /// Inclusive.
    pub created_after: Option<Timestamp>,
    /// Exclusive.
    pub created_before: Option<Timestamp>,
}

/// A run with its messages, exactly as of its tail.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The run.
    pub run: Run,
    /// What its agent lets users see.
    pub visibility: Visibility,
    /// Its messages; the one being written holds its text so far.
    pub messages: Vec<Message>,
    /// What it waits for, while it is suspended.
    pub pending: Vec<Pending>,
}

/// What the loop needs to know of a run.
#[derive(Debug, Clone)]
pub struct RunForLoop {
    /// The run.
    pub run: Run,
    /// Its place in the thread.
    pub ord: i64,
    /// How many runs are above it.
    pub depth: i32,
    /// What its agent lets users see.
    pub visibility: Visibility,
    /// What it sets otherwise than its agent.
    pub overrides: headwater_protocol::api::Overrides,
    /// The configuration of its agent's version.
    pub config: headwater_protocol::api::AgentConfig,
    /// The trace in which it was asked for.
    pub within: Option<TraceContext>,
}

/// Who writes a run's messages, and where.
#[derive(Debug, Clone, Copy)]
pub struct Author {
    /// The thread.
    pub thread: ThreadId,
    /// Its user.
    pub user: UserId,
    /// The agent.
    pub agent: AgentId,
    /// The run's place in the thread.
    pub ord: i64,
}

/// The little that is needed to end a run: nothing in it can fail to read.
#[derive(Debug, Clone, Copy)]
pub struct RunForEnd {
    /// Who writes its last message.
    pub author: Author,
    /// Whether some call's usage was proven only in part.
    pub cost_estimated: bool,
    /// The run of which it carries out a call.
    pub parent: Option<RunId>,
}

pub(super) const COLUMNS: &str = "r.run_id, r.thread_id, r.user_id, r.agent_id, r.agent_version, r.model, r.external_id, r.status, r.tail, \
    r.input_messages, r.attempt, r.steps, r.priority, r.on_conflict, r.on_disconnect, r.after_run, r.result, r.error, r.usage, \
    r.cost_nano_usd, r.cost_estimated, r.metadata, r.cancel_requested_at, r.created_at, r.started_at, r.suspended_at, r.finished_at, \
    r.visibility, r.woken, r.parent_run, r.parent_call, r.run_at, r.schedule_id";

/// The log of a run that is under way, as `events`.
pub(super) const OPEN_LOG: &str = "CASE WHEN r.status IN ('running', 'suspended') THEN
         (SELECT array_agg(e.events ORDER BY e.seq_from) FROM headwater.run_events e
          WHERE e.tenant_id = r.tenant_id AND e.run_id = r.run_id) END AS events";

/// The calls for which a suspended run waits, as `waits_for`, and the budget, as `waits_budget`.
pub(super) const WAITS_FOR: &str = "CASE WHEN r.status = 'suspended' THEN
         (SELECT jsonb_agg(jsonb_build_array(c.call_id, CASE WHEN c.status = 'asked' THEN c.approval_id END,
                               CASE WHEN c.status = 'pending' THEN k.run_id END)
                           ORDER BY c.step, c.position) FROM headwater.tool_calls c
          LEFT JOIN headwater.runs k ON k.tenant_id = c.tenant_id AND k.parent_call = c.call_id
          WHERE c.tenant_id = r.tenant_id AND c.run_id = r.run_id AND c.status IN ('asked', 'pending'))
     END AS waits_for, CASE WHEN r.status = 'suspended' THEN r.waits_budget END AS waits_budget";

/// Five counts as they are stored, as a usage.
pub(crate) fn usage(counts: &[i64]) -> Usage {
    let at = |i: usize| counts.get(i).copied().unwrap_or_default().max(0) as u64;
    Usage {
        input_tokens: at(0),
        cached_input_tokens: at(1),
        cache_write_tokens: at(2),
        output_tokens: at(3),
        reasoning_tokens: at(4),
        total_tokens: at(0).saturating_add(at(3)),
    }
}

/// A status as the database writes it. One that is `delayed` is queued to everybody else: it has no place in its thread yet.
pub(crate) fn run_status(text: &str) -> Option<RunStatus> {
    if text == "delayed" { Some(RunStatus::Queued) } else { RunStatus::parse(text) }
}

pub(super) fn run(row: &Row) -> Result<(Run, Visibility), StoreError> {
    let id = RunId::from_uuid(row.try_get("run_id")?);
    let status: &str = row.try_get("status")?;
    let result: Option<Json<_>> = row.try_get("result")?;
    let error: Option<Json<_>> = row.try_get("error")?;
    let counts: Vec<i64> = row.try_get("usage")?;
    let Json(visibility) = row.try_get("visibility")?;
    let run = Run {
        id,
        object: "run".into(),
        thread: ThreadId::from_uuid(row.try_get("thread_id")?),
        user: UserId::from_uuid(row.try_get("user_id")?),
        agent: AgentId::from_uuid(row.try_get("agent_id")?),
        agent_version: row.try_get("agent_version")?,
        model: row.try_get("model")?,
        external_id: row.try_get("external_id")?,
        status: match run_status(status) {
            // It waits for nothing any more, and somebody is about to write that down.
            Some(RunStatus::Suspended) if row.try_get("woken")? => RunStatus::Running,
            Some(status) => status,
            None => return Err(StoreError::Corrupt(format!("run status {status}"))),
        },
        as_of_seq: row.try_get::<_, i64>("tail")? as u64,
        input_messages: row.try_get::<_, Vec<Uuid>>("input_messages")?.into_iter().map(MessageId::from_uuid).collect(),
        source: match (row.try_get::<_, Option<Uuid>>("parent_run")?, row.try_get::<_, Option<Uuid>>("parent_call")?) {
            (Some(parent), Some(call)) => RunSource::call(RunId::from_uuid(parent), CallId::from_uuid(call)),
            _ => match row.try_get::<_, Option<Uuid>>("schedule_id")? {
                Some(schedule) => RunSource::schedule(ScheduleId::from_uuid(schedule)),
                None => RunSource::api(),
            },
        },
        attempt: row.try_get("attempt")?,
        steps: row.try_get("steps")?,
        priority: word(row, "priority")?,
        on_conflict: word(row, "on_conflict")?,
        on_disconnect: word(row, "on_disconnect")?,
        run_at: maybe_time(row, "run_at")?,
        after_run: row.try_get::<_, Option<Uuid>>("after_run")?.map(RunId::from_uuid),
        result: result.map(|Json(result)| result),
        error: error.map(|Json(error)| error),
        usage: usage(&counts),
        cost: row.try_get::<_, Option<i64>>("cost_nano_usd")?.map(Money),
        cost_estimated: row.try_get("cost_estimated")?,
        metadata: metadata(row)?,
        events_url: format!("/v1/runs/{id}/events"),
        cancel_requested_at: maybe_time(row, "cancel_requested_at")?,
        created_at: time(row, "created_at")?,
        started_at: maybe_time(row, "started_at")?,
        suspended_at: maybe_time(row, "suspended_at")?,
        finished_at: maybe_time(row, "finished_at")?,
    };
    Ok((run, visibility))
}

/// What a row's [`WAITS_FOR`] says.
pub(super) fn pending(row: &Row) -> Result<Vec<Pending>, StoreError> {
    let waits_for: Option<Json<Waits>> = row.try_get("waits_for")?;
    let pending = |(call, approval, run): (Uuid, Option<Uuid>, Option<Uuid>)| {
        let (approval, run) = (approval.map(ApprovalId::from_uuid), run.map(RunId::from_uuid));
        Pending::of_call(CallId::from_uuid(call), approval, run)
    };
    let budget: Option<Json<WaitsBudget>> = row.try_get("waits_budget")?;
    let budget = budget.map(|Json(WaitsBudget { budget, run })| {
        let (own, given) = if run { (Some(RunId::from_uuid(budget)), None) } else { (None, Some(budget)) };
        Pending::of_budget(given.map(BudgetId::from_uuid), own)
    });
    let calls = waits_for.map(|Json(waits_for)| waits_for).unwrap_or_default().into_iter().map(pending);
    Ok(calls.chain(budget).collect())
}

impl UserScopedStorage {
    /// How many runs of the scope wait for somebody, as far as `up_to`.
    pub async fn run_count_suspended(&self, up_to: i64) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT FROM headwater.runs WHERE tenant_id = (SELECT headwater.tenant_id())
                       AND status = 'suspended' LIMIT $1) s";
        let rows = self.query(sql, &[&up_to]).await?;
        rows.first().map_or(Ok(0), |row| row.try_get(0).map_err(Into::into))
    }

    /// One run, and what its agent lets users see of it.
    pub async fn run_get(&self, id: RunId) -> Result<Option<(Run, Visibility)>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM headwater.runs r WHERE r.run_id = $1");
        self.query(&sql, &[&id.uuid()]).await?.first().map(run).transpose()
    }

    /// A page of runs.
    pub async fn run_list(&self, filter: &RunFilter, page: Page) -> Result<Vec<(Run, Visibility)>, StoreError> {
        let (after, order) = page.order("r.run_id");
        // Said outright where a user is known: the wall's own condition, which allows for none, can use no index.
        let user = filter.user.or(self.scope.user);
        let of_user = if user.is_some() { "r.user_id = $5" } else { "$5::uuid IS NULL" };
        let sql = format!(
            "SELECT {COLUMNS} FROM headwater.runs r
             WHERE ($1::text[] IS NULL OR CASE r.status WHEN 'delayed' THEN 'queued' ELSE r.status END = ANY ($1)) AND ($2::uuid IS NULL OR r.agent_id = $2)
               AND ($3::uuid IS NULL OR r.thread_id = $3) AND ($4::text IS NULL OR r.external_id = $4)
               AND {of_user} AND ($6::timestamptz IS NULL OR r.created_at >= $6)
               AND ($7::timestamptz IS NULL OR r.created_at < $7) AND ($8::uuid IS NULL OR {after} $8)
               AND ($10::uuid IS NULL OR r.parent_run = $10) AND ($11::uuid IS NULL OR r.schedule_id = $11)
             ORDER BY {order} LIMIT $9"
        );
        let rows = self
            .query(
                &sql,
                &[
                    &filter.status,
                    &filter.agent.map(AgentId::uuid),
                    &filter.thread.map(ThreadId::uuid),
                    &filter.external_id,
                    &user.map(UserId::uuid),
                    &filter.created_after.map(|at| at.0),
                    &filter.created_before.map(|at| at.0),
                    &page.after,
                    &page.limit,
                    &filter.parent.map(RunId::uuid),
                    &filter.schedule.map(ScheduleId::uuid),
                ],
            )
            .await?;
        rows.iter().map(run).collect()
    }

    /// A run with its messages as of one instant: one statement, and so one snapshot of the database.
    pub async fn run_snapshot(&self, id: RunId) -> Result<Option<Snapshot>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS},
                    (SELECT coalesce(jsonb_agg(jsonb_build_object(
                         'id', m.message_id, 'role', m.role, 'status', m.status, 'step', m.step, 'content', m.content,
                         'metadata', m.metadata, 'agent', m.agent_id,
                         'created_at', m.created_at, 'completed_at', m.completed_at) ORDER BY m.ord, m.message_id), '[]')
                     FROM headwater.messages m
                     WHERE m.tenant_id = r.tenant_id AND m.thread_id = r.thread_id AND m.run_id = r.run_id
                       AND m.withdrawn IS DISTINCT FROM 'reset') AS messages,
                    {OPEN_LOG}, {WAITS_FOR}
             FROM headwater.runs r WHERE r.run_id = $1"
        );
        let rows = self.query(&sql, &[&id.uuid()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (run, visibility) = run(row)?;
        let Json(stored): Json<Vec<StoredMessage>> = row.try_get("messages")?;
        let segments: Option<Vec<String>> = row.try_get("events")?;
        let fold = fold(segments.as_deref().unwrap_or_default())?;
        let messages = stored.into_iter().map(|stored| stored.into_message(&run, &fold)).collect();
        Ok(Some(Snapshot { run, visibility, messages, pending: pending(row)? }))
    }

    /// All that the loop needs to begin or end a run.
    pub async fn run_for_loop(&self, id: RunId) -> Result<Option<RunForLoop>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, r.ord, r.depth, r.overrides, r.overrides->>'traceparent' AS traceparent, v.config FROM headwater.runs r
             JOIN headwater.agent_versions v ON v.tenant_id = r.tenant_id AND v.agent_id = r.agent_id AND v.version = r.agent_version
             WHERE r.run_id = $1"
        );
        let rows = self.query(&sql, &[&id.uuid()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (run, visibility) = run(row)?;
        let Json(overrides) = row.try_get("overrides")?;
        let Json(config) = row.try_get("config")?;
        let (ord, depth) = (row.try_get("ord")?, row.try_get("depth")?);
        let within = row.try_get::<_, Option<&str>>("traceparent")?.and_then(TraceContext::parse);
        Ok(Some(RunForLoop { run, ord, depth, visibility, overrides, config, within }))
    }

    /// What is needed to end a run, whatever the rest of its row says.
    pub async fn run_for_end(&self, id: RunId) -> Result<Option<RunForEnd>, StoreError> {
        let sql = "SELECT thread_id, user_id, agent_id, ord, cost_estimated, parent_run FROM headwater.runs WHERE run_id = $1";
        let rows = self.query(sql, &[&id.uuid()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let author = Author {
            thread: ThreadId::from_uuid(row.try_get("thread_id")?),
            user: UserId::from_uuid(row.try_get("user_id")?),
            agent: AgentId::from_uuid(row.try_get("agent_id")?),
            ord: row.try_get("ord")?,
        };
        let parent = row.try_get::<_, Option<Uuid>>("parent_run")?.map(RunId::from_uuid);
        Ok(Some(RunForEnd { author, cost_estimated: row.try_get("cost_estimated")?, parent }))
    }

    /// Takes a run away from its owner in order to end it, and remembers for whom, if for
    /// somebody. `None`: there is no such run; a terminal status: nothing was
    /// taken.
    pub async fn run_take(
        &self,
        replica: ReplicaId,
        id: RunId,
        token: LeaseToken,
        by: Option<&Actor>,
    ) -> Result<Option<RunStatus>, StoreError> {
        // One that was to begin later gets its place in its thread, and is ended there like any other that waits.
        self.query("SELECT headwater.release_delayed(ARRAY[headwater.tenant_id()], ARRAY[$1::uuid])", &[&id.uuid()])
            .await?;
        // It may change hands between two looks; a handful of attempts is plenty.
        for _ in 0..10 {
            let rows = self
                .query(
                    "SELECT headwater.cancel_run($1, $2, $3, $4)",
                    &[&replica.0, &id.uuid(), &token.0, &by.map(Json)],
                )
                .await?;
            let Some(status) = rows[0].try_get::<_, Option<&str>>(0)? else { return Ok(None) };
            if let Some(status) = run_status(status) {
                return Ok(Some(status));
            }
        }
        Err(StoreError::Unavailable("the run keeps changing hands".into()))
    }

    /// Whether a run is held with this token: nobody has taken it over or ended it.
    pub async fn run_held(&self, id: RunId, token: LeaseToken) -> Result<bool, StoreError> {
        let rows = self.query("SELECT headwater.run_held($1, $2)", &[&id.uuid(), &token.0]).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
    }

    /// Whether a run waits for somebody, itself or one of those that carry out its calls: for an answer, or for a decision.
    pub async fn run_waits(&self, id: RunId) -> Result<bool, StoreError> {
        let sql = "WITH RECURSIVE waiting AS (
                       SELECT run_id FROM headwater.runs WHERE run_id = $1 AND status = 'suspended'
                       UNION
                       SELECT k.run_id FROM waiting w
                       JOIN headwater.tool_calls c ON c.run_id = w.run_id AND c.status = 'pending' AND c.kind = 'agent'
                       JOIN headwater.runs k ON k.tenant_id = c.tenant_id AND k.parent_call = c.call_id AND k.status = 'suspended'
                   )
                   SELECT EXISTS (SELECT 1 FROM waiting w JOIN headwater.tool_calls c ON c.run_id = w.run_id
                                  WHERE c.status = 'asked' OR c.status = 'pending' AND c.kind IS DISTINCT FROM 'agent')";
        let rows = self.query(sql, &[&id.uuid()]).await?;
        rows.first().map_or(Ok(false), |row| row.try_get(0).map_err(StoreError::from))
    }

    /// Wakes a run if one that carries out a call of it has ended. `true`: somebody is to go on with it.
    pub async fn run_wake_parent(&self, parent: RunId) -> Result<bool, StoreError> {
        let rows = self.query("SELECT headwater.wake_parent($1)", &[&parent.uuid()]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Somebody reads a run no more, and that is no reason for it to end.
    pub async fn reader_forget(&self, id: RunId, reader: Uuid) -> Result<(), StoreError> {
        self.query("SELECT headwater.reader_forget($1, $2)", &[&id.uuid(), &reader]).await.map(drop)
    }

    /// Somebody at this replica reads a run that is to end when its last reader has gone.
    pub async fn reader_here(&self, replica: ReplicaId, id: RunId, reader: Uuid) -> Result<(), StoreError> {
        self.query("SELECT headwater.reader_here($1, $2, $3)", &[&replica.0, &id.uuid(), &reader]).await?;
        Ok(())
    }

    /// Somebody reads it no more. `true`: nor does anybody else, and the run's end is asked for, `grace` from now.
    pub async fn reader_gone(&self, id: RunId, reader: Uuid, grace: Duration) -> Result<bool, StoreError> {
        let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
        let sql = "SELECT headwater.reader_gone($1, $2, $3)";
        let rows = self.query(sql, &[&id.uuid(), &reader, &grace_ms]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Writes down that a run's end was asked for, for whoever owns it should its owner not come to it. Nothing happens to
    /// one that has ended.
    pub async fn run_ask_cancel(&self, id: RunId, by: &Actor) -> Result<(), StoreError> {
        let mut client = self.store.client().await?;
        let tx = client.transaction().await?;
        tx.set_scope(self.scope).await?;
        // Whoever ends it removes what was asked: so not beside that, but before or after it.
        let live =
            "SELECT 1 FROM headwater.runs WHERE run_id = $1 AND status NOT IN ('completed', 'failed', 'cancelled')
                    FOR SHARE";
        if tx.query_opt(live, &[&id.uuid()]).await?.is_some() {
            let ask = "INSERT INTO headwater.run_cancels (tenant_id, run_id, user_id, actor)
                       SELECT tenant_id, run_id, user_id, $2 FROM headwater.runs WHERE run_id = $1 ON CONFLICT DO NOTHING";
            tx.query(ask, &[&id.uuid(), &Json(by)]).await?;
        }
        tx.commit().await
    }

    /// Whether a run's end was asked for, and that for now.
    pub async fn run_cancel_is_due(&self, id: RunId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM headwater.run_cancels WHERE run_id = $1 AND requested_at <= clock_timestamp()";
        Ok(!self.query(sql, &[&id.uuid()]).await?.is_empty())
    }

    /// What was said to a run that is under way and that no step has taken yet, in the order in which it was said.
    pub async fn run_inputs(&self, id: RunId) -> Result<Vec<(Uuid, serde_json::Value)>, StoreError> {
        let sql = "SELECT input_id, params->'content' FROM headwater.run_inputs WHERE run_id = $1 ORDER BY input_id";
        let rows = self.query(sql, &[&id.uuid()]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, Json<_>>(1)?.0))).collect()
    }

    /// Runs of a thread or of a user that are not terminal, and those that carry out calls of runs of the thread.
    pub async fn runs_live(
        &self,
        thread: Option<ThreadId>,
        user: Option<UserId>,
    ) -> Result<Vec<(RunId, UserId)>, StoreError> {
        let rows = self
            .query(
                "WITH RECURSIVE reached AS (
                     SELECT run_id, user_id, status, ord, depth FROM headwater.runs
                     WHERE ($1::uuid IS NULL OR thread_id = $1) AND ($2::uuid IS NULL OR user_id = $2)
                       AND ($1::uuid IS NOT NULL OR status NOT IN ('completed', 'failed', 'cancelled'))
                     UNION
                     SELECT k.run_id, k.user_id, k.status, k.ord, k.depth
                     FROM reached b JOIN headwater.runs k ON k.parent_run = b.run_id WHERE $1::uuid IS NOT NULL
                 ) SELECT run_id, user_id FROM reached WHERE status NOT IN ('completed', 'failed', 'cancelled')
                   ORDER BY depth, ord DESC",
                &[&thread.map(ThreadId::uuid), &user.map(UserId::uuid)],
            )
            .await?;
        rows.iter().map(|row| Ok((RunId::from_uuid(row.try_get(0)?), UserId::from_uuid(row.try_get(1)?)))).collect()
    }

    /// The same storage for the user of a run, as its loop uses it.
    pub fn for_user(&self, user: UserId) -> Self {
        Self { store: self.store.clone(), scope: Scope { tenant: self.scope.tenant, user: Some(user) } }
    }
}

/// Reads stored segments into what they say.
pub(super) fn fold(segments: &[String]) -> Result<Fold, StoreError> {
    let mut fold = Fold::default();
    for segment in segments {
        let lines = segment.split_once('\n').map_or("", |(_, lines)| lines);
        fold.push_lines(lines)?;
    }
    Ok(fold)
}

#[derive(serde::Deserialize)]
struct StoredMessage {
    id: Uuid,
    role: headwater_protocol::event::Role,
    status: headwater_protocol::event::MessageStatus,
    step: Option<i32>,
    content: Vec<headwater_protocol::message::Part>,
    metadata: headwater_protocol::message::Metadata,
    agent: Option<Uuid>,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
}

impl StoredMessage {
    fn into_message(self, run: &Run, fold: &Fold) -> Message {
        let id = MessageId::from_uuid(self.id);
        // The row of a message that is being written holds nothing yet; its text so far is in the log.
        let content = match &fold.open {
            Some(open) if open.message == id => open.parts(MessageStatus::InProgress),
            _ => self.content,
        };
        Message {
            id,
            object: "message".into(),
            thread: run.thread,
            run: Some(run.id),
            role: self.role,
            status: self.status,
            agent: self.agent.map(AgentId::from_uuid),
            step: self.step,
            content,
            metadata: self.metadata,
            created_at: self.created_at,
            completed_at: self.completed_at,
        }
    }
}
