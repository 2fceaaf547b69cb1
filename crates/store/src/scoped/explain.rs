//! Why a run waits, and what it did cost, from the rows that decide about both.

use headwater_protocol::api::{ExplainedCall, Run, RunExplanation, RunStatus, Waiting};
use headwater_protocol::event::{Pending, Visibility};
use headwater_protocol::fold::Fold;
use headwater_protocol::{BudgetId, ModelCallId, Money, Problem, RunId, Timestamp, Usage};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{UserScopedStorage, runs};
use crate::StoreError;

/// How many calls are told of: the last ones of a run that has made more.
const MOST_CALLS: i64 = 1000;
/// A call that waits for its turn says so every second. One that has not for so long, in milliseconds, is on its way.
const SILENT_MS: u64 = 3000;

impl UserScopedStorage {
    /// What a run waits for and what was spent on it, and what its agent lets users see.
    pub async fn run_explain(&self, id: RunId) -> Result<Option<(RunExplanation, Visibility)>, StoreError> {
        // One statement, and so one instant; the calls are read after it, and may be newer. The run that is waited for is the first of its thread that is not over.
        let sql = format!(
            "SELECT {}, {}, {},
                    CASE WHEN r.status = 'queued' THEN
                        (SELECT b.run_id FROM headwater.runs b
                         WHERE b.tenant_id = r.tenant_id AND b.thread_id = r.thread_id AND b.ord < r.ord
                           AND b.status IN ('queued', 'running', 'suspended') ORDER BY b.ord LIMIT 1)
                    END AS before
             FROM headwater.runs r WHERE r.run_id = $1",
            runs::COLUMNS,
            runs::OPEN_LOG,
            runs::WAITS_FOR
        );
        let rows = self.query(&sql, &[&id.uuid()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (run, visibility) = runs::run(row)?;
        let segments: Option<Vec<String>> = row.try_get("events")?;
        let fold = runs::fold(segments.as_deref().unwrap_or_default())?;
        let before: Option<Uuid> = row.try_get("before")?;
        let waiting = waiting(&run, fold, &runs::pending(row)?, before.map(RunId::from_uuid));
        let rows = self
            .query(
                "SELECT * FROM (SELECT * FROM headwater.usage_calls WHERE run_id = $1 ORDER BY model_call DESC LIMIT $2) c
                 ORDER BY model_call",
                &[&id.uuid(), &MOST_CALLS],
            )
            .await?;
        let calls = rows.iter().map(call).collect::<Result<_, _>>()?;
        let rows = self
            .query(
                "SELECT budget_id FROM headwater.budgets
                 WHERE scope IN ('tenant', 'each_user') OR user_id = $1 OR agent_id = $2 ORDER BY budget_id",
                &[&run.user.uuid(), &run.agent.uuid()],
            )
            .await?;
        let budgets = rows.iter().map(|row| row.try_get(0).map(BudgetId::from_uuid)).collect::<Result<_, _>>()?;
        let object = "run.explanation".into();
        let (usage, cost) = (run.usage, run.cost);
        Ok(Some((RunExplanation { object, run: id, waiting, calls, budgets, usage, cost }, visibility)))
    }
}

/// What a run waits for. `before`: the run of its thread that is to end first.
fn waiting(run: &Run, fold: Fold, pending: &[Pending], before: Option<RunId>) -> Option<Waiting> {
    let plain = |reason: &str, since, blocked_by| Waiting {
        reason: reason.into(),
        since,
        predicted_ms: None,
        queue_pos: None,
        blocked_by,
    };
    match run.status {
        RunStatus::Queued => {
            // Until then it has no place in its thread, and waits for nothing else.
            if let Some(at) = run.run_at.filter(|at| *at > Timestamp::now()) {
                let left = u64::try_from(at.ms() - Timestamp::now().ms()).unwrap_or_default();
                return Some(Waiting { predicted_ms: Some(left), ..plain("run_at", run.created_at, None) });
            }
            let reason = if before.is_some() { "thread_busy" } else { "concurrency" };
            Some(plain(reason, run.created_at, before.map(|run| run.to_string())))
        }
        RunStatus::Suspended => {
            let first = pending.first()?;
            let of_call = || first.call.map(|call| call.to_string());
            let of_run = first.run.map(|run| run.to_string());
            let blocked_by = first.approval.map(|approval| approval.to_string()).or(of_run).or_else(of_call);
            Some(plain(&first.kind, run.suspended_at?, blocked_by))
        }
        RunStatus::Running => {
            let throttled = fold.throttled?;
            let passed = u64::try_from(Timestamp::now().ms() - throttled.told_at.ms()).unwrap_or_default();
            // A pause is told of once, at its beginning.
            let pause = if throttled.reason == "provider" { throttled.wait_ms } else { 0 };
            if passed > pause.saturating_add(SILENT_MS) {
                return None;
            }
            Some(Waiting {
                reason: throttled.reason,
                since: throttled.since,
                predicted_ms: Some(throttled.wait_ms.saturating_sub(passed)),
                queue_pos: Some(throttled.queue_pos).filter(|pos| *pos > 0),
                blocked_by: None,
            })
        }
        RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => None,
    }
}

fn call(row: &Row) -> Result<ExplainedCall, StoreError> {
    let counts: Vec<i64> = row.try_get("usage")?;
    let usage: Usage = runs::usage(&counts);
    Ok(ExplainedCall {
        model_call: ModelCallId::from_uuid(row.try_get("model_call")?),
        step: row.try_get("step")?,
        attempt: row.try_get("attempt")?,
        model: row.try_get("model")?,
        outcome: row.try_get("outcome")?,
        queued_ms: row.try_get("queued_ms")?,
        first_token_ms: row.try_get("first_token_ms")?,
        duration_ms: row.try_get("duration_ms")?,
        usage,
        expected: row.try_get::<_, Option<i64>>("expected_nano_usd")?.map(Money),
        reserve: row.try_get::<_, Option<i64>>("reserve_nano_usd")?.map(Money),
        cost: row.try_get::<_, Option<i64>>("cost_nano_usd")?.map(Money),
        error: row.try_get::<_, Option<Json<Problem>>>("error")?.map(|Json(error)| error),
        estimated: row.try_get("estimated")?,
    })
}
