//! What a run has done, as a trace tells it: from the rows that its owners have left, whichever of them live.

use std::collections::HashSet;

use headwater_protocol::api::Run;
use headwater_protocol::event::Visibility;
use headwater_protocol::trace::TraceContext;
use headwater_protocol::{Problem, RunId};
use serde::Deserialize;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{UserScopedStorage, runs};
use crate::StoreError;

/// How many calls of each kind are told of: the first ones of a run that has made more.
const MOST: i64 = 1000;
/// And with what was said in them.
const MOST_SAID: i64 = 200;
/// So many bytes of what was said at most; of more, so many characters.
const SAID_BYTES: i32 = 16_384;

/// A run and what it has done.
#[derive(Debug, Clone)]
pub struct RunTrace {
    /// The run.
    pub run: Run,
    /// The trace in which it was asked for.
    pub within: Option<TraceContext>,
    /// The name of its agent.
    pub agent_name: String,
    /// Owners that died with it in their hands.
    pub deaths: i32,
    /// Calls and approvals that were told before.
    pub told: HashSet<Uuid>,
    /// Calls of models.
    pub model_calls: Vec<TracedModelCall>,
    /// Calls of tools.
    pub tool_calls: Vec<TracedToolCall>,
    /// Questions to people.
    pub approvals: Vec<TracedApproval>,
    /// What was asked, where that was asked for.
    pub asked: Option<serde_json::Value>,
}

/// A call of a model.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the columns of the ledger of the same names")]
pub struct TracedModelCall {
    pub model_call: Uuid,
    pub step: i32,
    pub attempt: i32,
    pub model: String,
    pub outcome: String,
    pub queued_ms: i64,
    pub first_token_ms: Option<i64>,
    pub duration_ms: i64,
    pub usage: Vec<i64>,
    pub cost_nano_usd: Option<i64>,
    pub estimated: bool,
    pub settled_at: jiff::Timestamp,
    pub error: Option<Problem>,
    pub finish_reason: Option<String>,
    /// What it said, where that was asked for.
    pub said: Option<serde_json::Value>,
}

/// A call of a tool.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct TracedToolCall {
    pub call_id: Uuid,
    pub step: i32,
    pub name: String,
    pub kind: Option<String>,
    pub status: String,
    pub error: Option<Problem>,
    pub created_at: jiff::Timestamp,
    pub started_at: Option<jiff::Timestamp>,
    pub answered_at: Option<jiff::Timestamp>,
    /// Where that was asked for.
    pub args: Option<serde_json::Value>,
    /// Where that was asked for.
    pub output: Option<serde_json::Value>,
}

/// A question to a person.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct TracedApproval {
    pub approval_id: Uuid,
    pub call_id: Uuid,
    pub name: String,
    pub status: String,
    pub created_at: jiff::Timestamp,
    pub decided_at: Option<jiff::Timestamp>,
    pub decided_by: Option<String>,
}

impl UserScopedStorage {
    /// A run and what it has done. `content`: also what was said and answered, as far as it is short.
    pub async fn run_trace(&self, id: RunId, content: bool) -> Result<Option<RunTrace>, StoreError> {
        let cut = |of: &str| {
            format!(
                "CASE WHEN octet_length(({of})::text) > $4::int THEN to_jsonb(left(({of})::text, $4 / 4) || '…') ELSE ({of}) END"
            )
        };
        let (said, args, output) = (cut("m.content"), cut("t.args"), cut("t.output"));
        // One statement, and so one instant.
        let sql = format!(
            "SELECT {}, r.overrides->>'traceparent' AS traceparent, a.name AS agent_name, r.deaths, r.traced,
                (SELECT coalesce(jsonb_agg(to_jsonb(c) - 'tenant_id' || jsonb_build_object('finish_reason', s.finish_reason, 'said',
                            CASE WHEN $3::bool THEN (SELECT {said} FROM headwater.messages m
                                               WHERE m.tenant_id = r.tenant_id AND m.message_id = s.message_id) END)), '[]')
                 FROM (SELECT * FROM headwater.usage_calls u WHERE u.run_id = r.run_id ORDER BY u.model_call LIMIT $2::bigint) c
                 LEFT JOIN headwater.run_steps s ON s.run_id = r.run_id AND s.model_call = c.model_call) AS model_calls,
                (SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]')
                 FROM (SELECT t.call_id, t.step, t.name, t.kind, t.status, t.error, t.created_at, t.started_at, t.answered_at,
                              CASE WHEN $3 THEN {args} END AS args, CASE WHEN $3 THEN {output} END AS output
                       FROM headwater.tool_calls t WHERE t.run_id = r.run_id ORDER BY t.step, t.position LIMIT $2) c) AS tool_calls,
                (SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]')
                 FROM (SELECT p.approval_id, p.call_id, p.name, p.status, p.created_at, p.decided_at, p.decided_by->>'type' AS decided_by
                       FROM headwater.approvals p WHERE p.run_id = r.run_id ORDER BY p.approval_id LIMIT $2) c) AS approvals,
                CASE WHEN $3 THEN (SELECT {said} FROM headwater.messages m
                                   WHERE m.tenant_id = r.tenant_id AND m.message_id = r.input_messages[1]) END AS asked
             FROM headwater.runs r JOIN headwater.agents a ON a.tenant_id = r.tenant_id AND a.agent_id = r.agent_id
             WHERE r.run_id = $1",
            runs::COLUMNS
        );
        let most = if content { MOST_SAID } else { MOST };
        let rows = self.query(&sql, &[&id.uuid(), &most, &content, &SAID_BYTES]).await?;
        rows.first().map(trace).transpose()
    }

    /// These calls and approvals of a run that goes on are told. `false`: it does not go on, or somebody has told some of them.
    pub async fn run_traced(&self, id: RunId, told: &[Uuid]) -> Result<bool, StoreError> {
        let sql = "UPDATE headwater.runs SET traced = traced || $2
                   WHERE run_id = $1 AND finished_at IS NULL AND NOT traced && $2 RETURNING run_id";
        Ok(!self.query(sql, &[&id.uuid(), &told]).await?.is_empty())
    }
}

fn trace(row: &Row) -> Result<RunTrace, StoreError> {
    let (run, _): (Run, Visibility) = runs::run(row)?;
    let within: Option<String> = row.try_get("traceparent")?;
    let (Json(model_calls), Json(tool_calls), Json(approvals)) =
        (row.try_get("model_calls")?, row.try_get("tool_calls")?, row.try_get("approvals")?);
    Ok(RunTrace {
        run,
        within: within.and_then(|text| TraceContext::parse(&text)),
        agent_name: row.try_get("agent_name")?,
        deaths: row.try_get("deaths")?,
        told: row.try_get::<_, Vec<Uuid>>("traced")?.into_iter().collect(),
        model_calls,
        tool_calls,
        approvals,
        asked: row.try_get::<_, Option<Json<serde_json::Value>>>("asked")?.map(|Json(asked)| asked),
    })
}
