//! Calls of tools.

use headwater_protocol::api::{ApprovalKind, ApprovalStatus, Remember, RunStatus};
use headwater_protocol::event::{Actor, RunResult};
use headwater_protocol::{AgentId, ApprovalId, ArtifactId, CallId, Money, Problem, RunId, Timestamp, Usage};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::runs::usage;
use super::{UserScopedStorage, maybe_time, maybe_word, time, word};
use crate::StoreError;

/// A call as it is stored.
#[derive(Debug, Clone)]
pub struct StoredCall {
    /// The call.
    pub call: CallId,
    /// The step that made it.
    pub step: i32,
    /// The tool.
    pub name: String,
    /// `client`, `http`, …; `None` for a tool that the agent does not have.
    pub kind: Option<String>,
    /// What the model gave; `None` when that was no JSON object.
    pub args: Option<serde_json::Value>,
    /// `asked`, `pending`, `ready`, `started`; or how it ended: `completed`, `failed`, `denied`.
    pub status: String,
    /// What a person was asked about it last.
    pub approval: Option<StoredApproval>,
    /// The run that carries it out.
    pub sub_run: Option<SubRun>,
    /// What was answered.
    pub output: Option<serde_json::Value>,
    /// The whole, where `output` is an excerpt.
    pub artifact: Option<ArtifactId>,
    /// What went wrong.
    pub error: Option<serde_json::Value>,
    /// Whether it may be answered no longer, by Postgres' clock.
    pub late: bool,
    /// When its owner began to carry it out, and how long ago that is by Postgres' clock, in milliseconds.
    pub started: Option<(Timestamp, i64)>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
}

impl StoredCall {
    /// Whether nothing more will happen to it.
    pub fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "denied")
    }

    /// What it is carried out with: what was decided on last, as it was decided.
    pub fn final_args(&self) -> Option<&serde_json::Value> {
        let approval = self.approval.as_ref();
        let approved = approval.filter(|approval| approval.status == ApprovalStatus::Approved);
        approved
            .and_then(|approval| approval.edited_args.as_ref())
            .or(approval.map(|approval| &approval.args))
            .or(self.args.as_ref())
    }
}

/// A run of another agent that carries out a call.
#[derive(Debug, Clone)]
pub struct SubRun {
    /// The run.
    pub run: RunId,
    /// Its agent, and the version of that.
    pub agent: (AgentId, i32),
    /// Where it stands.
    pub status: RunStatus,
    /// What it came to.
    pub result: Option<RunResult>,
    /// Why it failed.
    pub error: Option<Problem>,
    /// Tokens so far.
    pub usage: Usage,
    /// Money so far; `None` once a call had no price.
    pub cost: Option<Money>,
    /// Whether some call's usage was proven only in part.
    pub cost_estimated: bool,
}

/// What whoever goes on with a run has to know of a question about one of its calls.
#[derive(Debug, Clone)]
pub struct StoredApproval {
    /// The approval.
    pub id: ApprovalId,
    /// What was asked.
    pub kind: ApprovalKind,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// What the call would be carried out with.
    pub args: serde_json::Value,
    /// What was decided on: of the arguments, the edited ones if there are any.
    pub args_hash: String,
    /// What the call is carried out with instead.
    pub edited_args: Option<serde_json::Value>,
    /// In words.
    pub comment: Option<String>,
    /// For what it holds.
    pub remember: Option<Remember>,
    /// Who decided.
    pub by: Option<Actor>,
}

/// An answer to a call.
#[derive(Debug, Clone, Serialize)]
pub struct CallAnswer {
    /// The call.
    pub call_id: Uuid,
    /// `completed` or `failed`.
    pub status: &'static str,
    /// What it came to.
    pub output: Option<serde_json::Value>,
    /// What went wrong: a problem.
    pub error: Option<serde_json::Value>,
}

/// What came of answering calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// They are answered. `woken`: the run waits for nothing more.
    Yes {
        /// Whether somebody is to go on with it.
        woken: bool,
    },
    /// There is no such run.
    NotFound,
    /// The run has no such call, or none that is answered this way.
    NoCall(CallId),
    /// It was answered before, with something else.
    Before(CallId),
    /// It is too late for that one.
    Late(CallId),
}

fn call(row: &Row) -> Result<StoredCall, StoreError> {
    let json = |column: &str| -> Result<Option<serde_json::Value>, StoreError> {
        Ok(row.try_get::<_, Option<Json<serde_json::Value>>>(column)?.map(|Json(value)| value))
    };
    let approval = match row.try_get::<_, Option<Uuid>>("approval_id")? {
        None => None,
        Some(id) => Some(StoredApproval {
            id: ApprovalId::from_uuid(id),
            kind: word(row, "approval_kind")?,
            args: json("asked_args")?.unwrap_or_default(),
            status: word(row, "approval_status")?,
            args_hash: row.try_get("args_hash")?,
            edited_args: json("edited_args")?,
            comment: row.try_get("comment")?,
            remember: maybe_word(row, "remember")?,
            by: row.try_get::<_, Option<Json<Actor>>>("decided_by")?.map(|Json(by)| by),
        }),
    };
    let started = maybe_time(row, "started_at")?;
    let sub_run = match row.try_get::<_, Option<Uuid>>("sub_run")? {
        None => None,
        Some(id) => Some(SubRun {
            run: RunId::from_uuid(id),
            agent: (AgentId::from_uuid(row.try_get("sub_agent")?), row.try_get("sub_agent_version")?),
            status: super::runs::run_status(row.try_get("sub_status")?)
                .ok_or_else(|| StoreError::Corrupt("the status of a run".into()))?,
            result: row.try_get::<_, Option<Json<_>>>("sub_result")?.map(|Json(result)| result),
            error: row.try_get::<_, Option<Json<_>>>("sub_error")?.map(|Json(error)| error),
            usage: usage(&row.try_get::<_, Vec<i64>>("sub_usage")?),
            cost: row.try_get::<_, Option<i64>>("sub_cost")?.map(Money),
            cost_estimated: row.try_get("sub_cost_estimated")?,
        }),
    };
    Ok(StoredCall {
        sub_run,
        approval,
        started: started.zip(row.try_get("started_ago_ms")?),
        args: json("args")?,
        call: CallId::from_uuid(row.try_get("call_id")?),
        step: row.try_get("step")?,
        name: row.try_get("name")?,
        kind: row.try_get("kind")?,
        status: row.try_get("status")?,
        output: json("output")?,
        artifact: row.try_get::<_, Option<Uuid>>("artifact_id")?.map(ArtifactId::from_uuid),
        error: json("error")?,
        late: row.try_get("late")?,
        created_at: time(row, "created_at")?,
        answered_at: maybe_time(row, "answered_at")?,
    })
}

impl UserScopedStorage {
    /// The calls of a run in the order in which they were made; of one step if it is named.
    pub async fn calls(&self, run: RunId, step: Option<i32>) -> Result<Vec<StoredCall>, StoreError> {
        let sql = "SELECT c.call_id, c.step, c.name, c.kind, c.args, c.status, c.output, c.artifact_id, c.error, c.created_at, c.answered_at,
                          coalesce(c.expires_at <= clock_timestamp(), false) AS late, c.started_at,
                          (extract(epoch FROM clock_timestamp() - c.started_at) * 1000)::bigint AS started_ago_ms,
                          c.approval_id, a.kind AS approval_kind, a.args AS asked_args, a.status AS approval_status, a.args_hash, a.edited_args, a.comment, a.remember,
                          a.decided_by, k.run_id AS sub_run, k.agent_id AS sub_agent, k.agent_version AS sub_agent_version, k.status AS sub_status,
                          CASE WHEN c.status = 'pending' THEN k.result END AS sub_result,
                          CASE WHEN c.status = 'pending' THEN k.error END AS sub_error, k.usage AS sub_usage, k.cost_nano_usd AS sub_cost,
                          k.cost_estimated AS sub_cost_estimated
                   FROM headwater.tool_calls c
                   LEFT JOIN headwater.runs k ON k.tenant_id = c.tenant_id AND k.parent_call = c.call_id
                   LEFT JOIN headwater.approvals a ON a.tenant_id = c.tenant_id AND a.approval_id = c.approval_id
                   WHERE c.run_id = $1 AND ($2::int IS NULL OR c.step = $2) ORDER BY c.step, c.position";
        self.query(sql, &[&run.uuid(), &step]).await?.iter().map(call).collect()
    }

    /// The run that made a call.
    pub async fn run_of_call(&self, call: CallId) -> Result<Option<RunId>, StoreError> {
        let rows = self.query("SELECT run_id FROM headwater.tool_calls WHERE call_id = $1", &[&call.uuid()]).await?;
        rows.first().map(|row| Ok(RunId::from_uuid(row.try_get("run_id")?))).transpose()
    }

    /// Answers calls: all of them, or none.
    pub async fn calls_answer(&self, run: RunId, answers: &[CallAnswer]) -> Result<Answered, StoreError> {
        let sql = "SELECT headwater.answer_calls($1, $2)";
        let rows = self.query(sql, &[&run.uuid(), &Json(answers)]).await?;
        let Json(answer): Json<serde_json::Value> =
            rows.first().ok_or_else(|| StoreError::Corrupt("answer_calls answered no row".into()))?.try_get(0)?;
        let concerned = answer["call"].as_str().and_then(|text| Uuid::try_parse(text).ok()).map(CallId::from_uuid);
        match (answer["refused"].as_str(), concerned) {
            (None, _) => Ok(Answered::Yes { woken: answer["woken"] == true }),
            (Some("not_found"), _) => Ok(Answered::NotFound),
            (Some("no_call"), Some(call)) => Ok(Answered::NoCall(call)),
            (Some("answered"), Some(call)) => Ok(Answered::Before(call)),
            (Some("expired"), Some(call)) => Ok(Answered::Late(call)),
            (Some(other), _) => Err(StoreError::Corrupt(format!("answer_calls refused with {other}"))),
        }
    }
}
