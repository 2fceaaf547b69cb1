//! Tickets: keys to one run's events, for browsers' `EventSource`.

use headwater_protocol::{RunId, Timestamp};
use uuid::Uuid;

use super::{UserScopedStorage, maybe_time};
use crate::StoreError;

/// What is known of a ticket that was shown.
#[derive(Debug, Clone)]
pub struct TicketState {
    /// Whether it has been used before, or may be used for the first time now.
    pub used: bool,
    /// Whether it was revoked.
    pub revoked: bool,
    /// When its run ended.
    pub run_finished_at: Option<Timestamp>,
}

impl UserScopedStorage {
    /// Uses a ticket. `fresh`: it may be used for the first time. `None`: its run is not there for this scope.
    pub async fn ticket_use(
        &self,
        ticket: Uuid,
        run: RunId,
        fresh: bool,
        at: Timestamp,
    ) -> Result<Option<TicketState>, StoreError> {
        let rows = self
            .query(
                // A fresh ticket is good whoever writes it down: two uses at once are two good uses.
                "WITH made AS (
                     INSERT INTO headwater.tickets (tenant_id, ticket_id, run_id, user_id, first_used_at)
                     SELECT r.tenant_id, $1, r.run_id, r.user_id, $4 FROM headwater.runs r WHERE r.run_id = $2 AND $3
                     ON CONFLICT DO NOTHING)
                 SELECT r.finished_at, t.revoked_at IS NOT NULL AS revoked, t.ticket_id IS NOT NULL OR $3 AS used
                 FROM headwater.runs r
                 LEFT JOIN headwater.tickets t ON t.tenant_id = r.tenant_id AND t.ticket_id = $1 AND t.run_id = r.run_id
                 WHERE r.run_id = $2",
                &[&ticket, &run.uuid(), &fresh, &at.0],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(TicketState {
            used: row.try_get("used")?,
            revoked: row.try_get("revoked")?,
            run_finished_at: maybe_time(row, "finished_at")?,
        }))
    }
}
