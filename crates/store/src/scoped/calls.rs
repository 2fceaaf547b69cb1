//! Calls of tools.

use headwater_protocol::{CallId, RunId, Timestamp};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{UserScopedStorage, maybe_time, time};
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
    /// `client`; `None` for a tool that the agent does not have.
    pub kind: Option<String>,
    /// `pending`, `completed`, `failed` or `denied`.
    pub status: String,
    /// What was answered.
    pub output: Option<serde_json::Value>,
    /// What went wrong.
    pub error: Option<serde_json::Value>,
    /// Whether it may be answered no longer, by Postgres' clock.
    pub late: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
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
    Ok(StoredCall {
        call: CallId::from_uuid(row.try_get("call_id")?),
        step: row.try_get("step")?,
        name: row.try_get("name")?,
        kind: row.try_get("kind")?,
        status: row.try_get("status")?,
        output: json("output")?,
        error: json("error")?,
        late: row.try_get("late")?,
        created_at: time(row, "created_at")?,
        answered_at: maybe_time(row, "answered_at")?,
    })
}

impl UserScopedStorage {
    /// The calls of a run in the order in which they were made; of one step if it is named.
    pub async fn calls(&self, run: RunId, step: Option<i32>) -> Result<Vec<StoredCall>, StoreError> {
        let sql = "SELECT call_id, step, name, kind, status, output, error, created_at, answered_at,
                          coalesce(expires_at <= clock_timestamp(), false) AS late
                   FROM headwater.tool_calls WHERE run_id = $1 AND ($2::int IS NULL OR step = $2) ORDER BY step, position";
        self.query(sql, &[&run.uuid(), &step]).await?.iter().map(call).collect()
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
