//! Reading the log.

use std::time::Duration;

use headwater_protocol::api::{OnDisconnect, RunStatus};
use headwater_protocol::event::{Visibility, seq_of};
use headwater_protocol::fold::Fold;
use headwater_protocol::{RunId, UserId};
use tokio_postgres::types::Json;

use super::{UserScopedStorage, runs, word};
use crate::StoreError;

/// Which part of a log to read.
#[derive(Debug, Clone, Copy)]
pub struct EventRange {
    /// Strictly after this.
    pub after: u64,
    /// At most so many segments.
    pub segments: i64,
}

/// A stretch of a run's log, and where the run stood when it was read.
#[derive(Debug, Clone)]
pub struct LogPage {
    /// Whole lines, one event each, every one after the cursor, in order.
    pub lines: String,
    /// The last event in `lines`; the cursor itself when there is none.
    pub last: u64,
    /// The last event of the log.
    pub tail: u64,
    /// The first event from which nothing is missing.
    pub earliest: u64,
    /// Where the run stands.
    pub status: RunStatus,
    /// What the agent lets users see.
    pub visibility: Visibility,
    /// Whose run it is.
    pub user: UserId,
    /// What becomes of the run when its last reader has gone.
    pub on_disconnect: OnDisconnect,
    /// How long one may be away.
    pub disconnect_grace: Duration,
    /// For how long it has waited for somebody, itself or one that carries out a call of it, or will until it begins.
    pub waits: Option<Duration>,
}

impl UserScopedStorage {
    /// Reads a run's log after a cursor. The run is looked up under row-level security in the same statement, so the
    /// cursor is only ever a position inside a run that this scope may see. `None`: there is no such run.
    pub async fn events_read(&self, run: RunId, range: EventRange) -> Result<Option<LogPage>, StoreError> {
        let rows = self
            .query(
                PAGE,
                &[
                    &run.uuid(),
                    &(i64::try_from(range.after).unwrap_or(i64::MAX - 1).min(i64::MAX - 1)),
                    &range.segments,
                ],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let status: &str = row.try_get("status")?;
        let Json(visibility) = row.try_get("visibility")?;
        let segments: Option<Vec<&str>> = row.try_get("events")?;
        let (lines, last) = lines_after(&segments.unwrap_or_default(), range.after)?;
        Ok(Some(LogPage {
            lines,
            last,
            tail: row.try_get::<_, i64>("tail")? as u64,
            earliest: row.try_get::<_, i64>("log_earliest")? as u64,
            status: runs::run_status(status).ok_or_else(|| StoreError::Corrupt(format!("run status {status}")))?,
            visibility,
            user: UserId::from_uuid(row.try_get("user_id")?),
            on_disconnect: word(row, "on_disconnect")?,
            disconnect_grace: Duration::from_millis(row.try_get::<_, i64>("disconnect_grace_ms")?.max(0) as u64),
            waits: row
                .try_get::<_, Option<i64>>("waits_ms")?
                .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default())),
        }))
    }

    /// What a run's whole log says.
    pub async fn events_fold(&self, run: RunId) -> Result<Fold, StoreError> {
        let rows = self
            .query(
                "SELECT e.events FROM headwater.run_events e JOIN headwater.runs r USING (tenant_id, run_id)
                 WHERE e.run_id = $1 ORDER BY e.seq_from",
                &[&run.uuid()],
            )
            .await?;
        let segments: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        runs::fold(&segments)
    }
}

/// A page of a log: the segments from the one on that holds the event after the cursor. That one is looked for first, so that
/// the index leads to the page; a condition on `seq_to` alone reads the whole log for each. `OFFSET 0` keeps the two apart:
/// merged into one, row-level security lets the index have no part in it.
const PAGE: &str =
    "SELECT r.user_id, r.tail, r.log_earliest, r.status, r.visibility, r.on_disconnect, r.disconnect_grace_ms,
            CASE WHEN r.status = 'delayed' THEN greatest((extract(epoch FROM r.run_at - clock_timestamp()) * 1000)::bigint, 0)
                 -- For somebody, and not for a run that carries out a call of it and is under way.
                 WHEN r.status = 'suspended' AND NOT r.woken AND (r.waits_budget IS NOT NULL OR EXISTS (
                     WITH RECURSIVE waiting AS (
                         SELECT r.run_id AS run_id
                         UNION
                         SELECT k.run_id FROM waiting w
                         JOIN headwater.tool_calls c ON c.run_id = w.run_id AND c.status = 'pending' AND c.kind = 'agent'
                         JOIN headwater.runs k ON k.tenant_id = c.tenant_id AND k.parent_call = c.call_id
                             AND k.status = 'suspended' AND NOT k.woken
                     ) SELECT 1 FROM waiting w JOIN headwater.tool_calls c ON c.run_id = w.run_id
                       WHERE c.status = 'asked' OR c.status = 'pending' AND c.kind IS DISTINCT FROM 'agent'))
                 THEN (extract(epoch FROM clock_timestamp() - r.suspended_at) * 1000)::bigint END AS waits_ms,
           (SELECT array_agg(e.events ORDER BY e.seq_from) FROM (
                (SELECT page.events, page.seq_from
                 FROM (SELECT coalesce((SELECT b.seq_from FROM headwater.run_events b
                                        WHERE b.tenant_id = r.tenant_id AND b.run_id = $1 AND b.seq_from <= $2::bigint + 1
                                        ORDER BY b.seq_from DESC LIMIT 1), 0) AS begins OFFSET 0) AS cursor,
                      LATERAL (SELECT l.events, l.seq_from FROM headwater.run_events l
                               WHERE l.tenant_id = r.tenant_id AND l.run_id = $1 AND l.seq_from >= cursor.begins
                                 AND l.seq_to > $2::bigint
                               ORDER BY l.seq_from LIMIT $3::bigint) AS page)
                UNION ALL
                (SELECT k.events, k.seq_from FROM headwater.run_events_kept k
                 WHERE r.compacted AND k.tenant_id = r.tenant_id AND k.run_id = $1 AND k.seq_to > $2::bigint
                 ORDER BY k.seq_from LIMIT $3)
                ORDER BY seq_from LIMIT $3) e) AS events
    FROM headwater.runs r WHERE r.run_id = $1";

/// The lines of these segments that come after the cursor: a segment may begin before it.
fn lines_after(segments: &[&str], after: u64) -> Result<(String, u64), StoreError> {
    let (mut lines, mut last) = (String::new(), after);
    for segment in segments {
        let (_, events) =
            segment.split_once('\n').ok_or_else(|| StoreError::Corrupt("a segment without header".into()))?;
        for line in events.split_inclusive('\n') {
            let seq = seq_of(line).ok_or_else(|| StoreError::Corrupt("an event without seq".into()))?;
            if seq > after {
                lines.push_str(line);
                last = seq;
            }
        }
    }
    Ok((lines, last))
}
