//! Threads.

use headwater_protocol::api::{Thread, ThreadSettings, ThreadStatus};
use headwater_protocol::{RunId, ThreadId, Timestamp, UserId};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::{Page, UserScopedStorage, metadata, time};
use crate::StoreError;
use crate::pool::{Idempotency, Once};

/// Which threads to list.
#[derive(Debug, Default)]
pub struct ThreadFilter {
    /// The tenant's own id.
    pub external_id: Option<String>,
    /// `idle`, `busy`, `suspended`.
    pub status: Option<Vec<String>>,
    /// One user's only.
    pub user: Option<UserId>,
}

/// A thread and what happens on it: the first of its runs that is not terminal.
const SELECT: &str = "SELECT * FROM (
    SELECT t.thread_id, t.parent_run, t.user_id, t.external_id, t.title, t.metadata, t.created_at, t.updated_at, a.run_id AS active_run,
           CASE WHEN a.status IS NULL THEN 'idle' WHEN a.status = 'suspended' THEN 'suspended' ELSE 'busy' END AS status
    FROM headwater.threads t
    LEFT JOIN LATERAL (SELECT r.run_id, r.status FROM headwater.runs r
                       WHERE r.tenant_id = t.tenant_id AND r.thread_id = t.thread_id
                         AND r.status NOT IN ('completed', 'failed', 'cancelled', 'delayed')
                       ORDER BY r.ord LIMIT 1) a ON true) t";

fn thread(row: &Row) -> Result<Thread, StoreError> {
    let status: &str = row.try_get("status")?;
    Ok(Thread {
        id: ThreadId::from_uuid(row.try_get("thread_id")?),
        object: "thread".into(),
        user: UserId::from_uuid(row.try_get("user_id")?),
        external_id: row.try_get("external_id")?,
        parent_run: row.try_get::<_, Option<uuid::Uuid>>("parent_run")?.map(RunId::from_uuid),
        title: row.try_get("title")?,
        status: match status {
            "idle" => ThreadStatus::Idle,
            "suspended" => ThreadStatus::Suspended,
            _ => ThreadStatus::Busy,
        },
        active_run: row.try_get::<_, Option<uuid::Uuid>>("active_run")?.map(RunId::from_uuid),
        metadata: metadata(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

impl UserScopedStorage {
    /// Makes a thread of the scope's user.
    pub async fn thread_create(
        &self,
        settings: &ThreadSettings,
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<ThreadId>, StoreError> {
        let id = ThreadId::new();
        let made = self
            .store
            .query_once(
                self.scope,
                idempotency,
                &id.to_string(),
                "INSERT INTO headwater.threads (tenant_id, thread_id, user_id, external_id, title, metadata, created_at, updated_at)
                 VALUES (headwater.tenant_id(), $1, headwater.user_id(), $2, $3, $4, $5, $5) RETURNING thread_id",
                &[&id.uuid(), &settings.external_id, &settings.title, &Json(&settings.metadata), &at.0],
            )
            .await?;
        Ok(made.map(|_| id))
    }

    /// One thread.
    pub async fn thread_get(&self, id: ThreadId) -> Result<Option<Thread>, StoreError> {
        let sql = format!("{SELECT} WHERE thread_id = $1");
        self.query(&sql, &[&id.uuid()]).await?.first().map(thread).transpose()
    }

    /// A page of threads, without those that runs of other agents write to.
    pub async fn thread_list(&self, filter: &ThreadFilter, page: Page) -> Result<Vec<Thread>, StoreError> {
        let (after, order) = page.order("thread_id");
        let user = filter.user.or(self.scope.user).map(UserId::uuid);
        let of_user = if user.is_some() { "user_id = $3" } else { "$3::uuid IS NULL" };
        let sql = format!(
            "{SELECT} WHERE ($1::text IS NULL OR external_id = $1) AND ($2::text[] IS NULL OR status = ANY ($2))
             AND parent_run IS NULL AND {of_user} AND ($4::uuid IS NULL OR {after} $4) ORDER BY {order} LIMIT $5"
        );
        let rows = self.query(&sql, &[&filter.external_id, &filter.status, &user, &page.after, &page.limit]).await?;
        rows.iter().map(thread).collect()
    }

    /// Changes a thread; `false` when there is none.
    pub async fn thread_update(
        &self,
        id: ThreadId,
        settings: &ThreadSettings,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let rows = self
            .query(
                "UPDATE headwater.threads SET external_id = $2, title = $3, metadata = $4, updated_at = $5
                 WHERE thread_id = $1 RETURNING 1",
                &[&id.uuid(), &settings.external_id, &settings.title, &Json(&settings.metadata), &at.0],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// Fences what still runs on the thread and erases it with all that hangs on it; `false` when there is none.
    pub async fn thread_delete(&self, id: ThreadId) -> Result<bool, StoreError> {
        let rows = self.store.query_long(Some(self.scope), "SELECT headwater.purge_thread($1)", &[&id.uuid()]).await?;
        Ok(rows[0].try_get(0)?)
    }
}
