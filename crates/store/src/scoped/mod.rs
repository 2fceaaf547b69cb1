//! `UserScopedStorage`: all that one tenant, or one of its users, may see and change.
//!
//! Made from a [`Scope`]; no method takes a tenant. Each call is one transaction with the scope set locally, most of
//! them in one round trip. What is not visible does not exist: methods answer `None`, never "forbidden".

mod agents;
mod approvals;
mod artifacts;
mod budgets;
mod calls;
mod events;
mod explain;
mod issuers;
mod mcp;
mod memory;
mod messages;
mod runs;
mod schedules;
mod threads;
mod tickets;
mod trace;
mod usage;
mod users;
mod webhooks;

pub use agents::{AgentChange, Changed};
pub use approvals::{ApprovalFilter, Decided, Ruling};
pub use artifacts::{NewArtifact, NewUpload};
pub use budgets::{BudgetChanged, Closest, Left, LeftReservation, ReserveCall, Reserved, StoredBudget, Warned};
pub use calls::{Answered, CallAnswer, StoredApproval, StoredCall, SubRun};
pub use events::{EventRange, LogPage};
pub use issuers::IssuerKept;
pub use mcp::{McpKept, McpLook, StoredMcpServer};
pub use memory::{ForRun, SealedSecret};
pub use messages::{HistoryMessage, Imported};
pub use runs::{Author, RunFilter, RunForEnd, RunForLoop, Snapshot};
pub use schedules::{Fired, ScheduleWrite};
pub use threads::ThreadFilter;
pub use tickets::TicketState;
pub use trace::{RunTrace, TracedApproval, TracedModelCall, TracedToolCall};
pub use usage::{UsageFilter, UsageGroupBy};
pub use users::UserAccess;
pub use webhooks::{About, Attempt, Attempted, Reached, SealedSigning};

use headwater_protocol::api::{Tenant, TenantSettings, TenantStatus};
use headwater_protocol::message::Metadata;
use headwater_protocol::{Scope, TenantId, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use crate::pool::{Idempotency, Once};
use crate::{Store, StoreError};

/// Storage that sees one tenant, or one of its users, and nothing else.
#[derive(Debug, Clone)]
pub struct UserScopedStorage {
    store: Store,
    scope: Scope,
}

/// Where a page of a list begins and how long it is.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The last id of the page before.
    pub after: Option<Uuid>,
    /// Oldest first.
    pub ascending: bool,
    /// Rows; one more is read to learn whether there are more.
    pub limit: i64,
}

impl Page {
    /// `ORDER BY` and the comparison that follows the last page, for a column of ids.
    fn order(&self, column: &str) -> (String, String) {
        let (comparison, direction) = if self.ascending { (">", "ASC") } else { ("<", "DESC") };
        (format!("{column} {comparison}"), format!("{column} {direction}"))
    }
}

impl UserScopedStorage {
    pub(crate) fn new(store: Store, scope: Scope) -> Self {
        Self { store, scope }
    }

    /// Who is asking.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        self.store.query_scoped(self.scope, sql, params).await
    }

    /// What an earlier request with this key made, if it has done anything.
    pub async fn idempotency_find(&self, asked: &Idempotency) -> Result<Option<Once<()>>, StoreError> {
        let rows = self
            .query(
                "SELECT fingerprint, object FROM headwater.idempotency
                 WHERE actor = $1 AND key = $2 AND created_at > clock_timestamp() - interval '24 hours'",
                &[&asked.actor, &asked.key],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let fingerprint: &[u8] = row.try_get("fingerprint")?;
        if fingerprint != asked.fingerprint {
            return Ok(Some(Once::Mismatch));
        }
        Ok(Some(Once::Replay(row.try_get("object")?)))
    }

    /// The newest key of this actor, of the last half hour, that begins so and made a run that goes on, or is completed for less than a minute:
    /// what failed or was cancelled is worth asking for again. All keys that begin so have to be of runs.
    pub async fn idempotency_newest(&self, actor: Uuid, begins: &str) -> Result<Option<String>, StoreError> {
        let rows = self
            .query(
                "WITH kept AS MATERIALIZED (
                     SELECT key, object, created_at FROM headwater.idempotency
                     WHERE actor = $1 AND key >= $2 AND starts_with(key, $2)
                       AND created_at > clock_timestamp() - interval '30 minutes')
                 SELECT k.key FROM kept k JOIN headwater.runs r ON r.run_id = k.object::uuid
                 WHERE r.finished_at IS NULL
                    OR (r.status = 'completed' AND r.finished_at > clock_timestamp() - interval '1 minute')
                 ORDER BY k.created_at DESC LIMIT 1",
                &[&actor, &begins],
            )
            .await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }

    /// The tenant itself.
    pub async fn tenant_get(&self) -> Result<Option<Tenant>, StoreError> {
        let rows = self.query("SELECT * FROM headwater.tenants", &[]).await?;
        rows.first().map(tenant_from_row).transpose()
    }

    /// Changes what the tenant may change of itself.
    pub async fn tenant_update(&self, settings: &TenantSettings, at: Timestamp) -> Result<(), StoreError> {
        self.query(
            "UPDATE headwater.tenants SET name = $1, allowed_origins = $2, retention_ms = $3, metadata = $4, updated_at = $5",
            &[&settings.name, &settings.allowed_origins, &settings.retention_ms, &Json(&settings.metadata), &at.0],
        )
        .await?;
        Ok(())
    }
}

pub(crate) fn tenant_from_row(row: &Row) -> Result<Tenant, StoreError> {
    let status: &str = row.try_get("status")?;
    Ok(Tenant {
        id: TenantId::from_uuid(row.try_get("tenant_id")?),
        object: "tenant".into(),
        name: row.try_get("name")?,
        status: if status == "active" { TenantStatus::Active } else { TenantStatus::Suspended },
        plan: row.try_get("plan")?,
        allowed_origins: row.try_get("allowed_origins")?,
        retention_ms: row.try_get("retention_ms")?,
        metadata: metadata(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn metadata(row: &Row) -> Result<Metadata, StoreError> {
    let Json(metadata) = row.try_get("metadata")?;
    Ok(metadata)
}

fn time(row: &Row, column: &str) -> Result<Timestamp, StoreError> {
    Ok(Timestamp(row.try_get(column)?))
}

fn maybe_time(row: &Row, column: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.try_get::<_, Option<jiff::Timestamp>>(column)?.map(Timestamp))
}

/// Reads an enum that is stored as its JSON text.
fn word<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, StoreError> {
    let text: &str = row.try_get(column)?;
    Ok(serde_json::from_value(serde_json::Value::String(text.to_owned()))?)
}

/// The same of a column that may be `NULL`.
fn maybe_word<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, StoreError> {
    let text: Option<&str> = row.try_get(column)?;
    Ok(text.map(|text| serde_json::from_value(serde_json::Value::String(text.to_owned()))).transpose()?)
}
