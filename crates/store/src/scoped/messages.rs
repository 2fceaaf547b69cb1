//! Messages of threads.

use headwater_protocol::event::{Role, Visibility};
use headwater_protocol::message::{Message, Metadata, Part, artifacts_of};
use headwater_protocol::{AgentId, ArtifactId, MessageId, RunId, ThreadId, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{Page, UserScopedStorage, maybe_time, metadata, time, word};
use crate::StoreError;
use crate::pool::{self, Idempotency, Once};

/// A message as the loop reads it.
#[derive(Debug, Clone)]
pub struct HistoryMessage {
    /// The run or import it belongs to: what leaves the context, leaves it together.
    pub ord: i64,
    /// Who speaks.
    pub role: Role,
    /// Its parts.
    pub content: Vec<Part>,
}

/// What came of a message of the past.
#[derive(Debug)]
pub enum Imported {
    /// It is there, or was.
    Once(Once<MessageId>),
    /// There is no such thread.
    NoThread,
    /// This run of the thread is not over.
    Busy(RunId),
    /// Something that it shows is not there any more.
    ArtifactGone,
}

const COLUMNS: &str = "m.message_id, m.thread_id, m.run_id, m.ord, m.role, m.status, m.agent_id, m.step, m.content, m.metadata, \
                       m.created_at, m.completed_at, (SELECT r.visibility FROM headwater.runs r \
                       WHERE r.tenant_id = m.tenant_id AND r.run_id = m.run_id) AS visibility";

/// A message, and what its agent lets users see of it.
pub(super) fn message(row: &Row) -> Result<(Message, Visibility), StoreError> {
    let Json(content): Json<Vec<Part>> = row.try_get("content")?;
    let visibility: Option<Json<Visibility>> = row.try_get("visibility")?;
    let uuid = |column| row.try_get::<_, Option<Uuid>>(column);
    let message = Message {
        id: MessageId::from_uuid(row.try_get("message_id")?),
        object: "message".into(),
        thread: ThreadId::from_uuid(row.try_get("thread_id")?),
        run: uuid("run_id")?.map(RunId::from_uuid),
        role: word(row, "role")?,
        status: word(row, "status")?,
        agent: uuid("agent_id")?.map(AgentId::from_uuid),
        step: row.try_get("step")?,
        content,
        metadata: metadata(row)?,
        created_at: time(row, "created_at")?,
        completed_at: maybe_time(row, "completed_at")?,
    };
    Ok((message, visibility.map_or_else(Visibility::default, |Json(visibility)| visibility)))
}

impl UserScopedStorage {
    /// Adds a message of the past to an idle thread.
    pub async fn message_import(
        &self,
        thread: ThreadId,
        role: Role,
        content: &[Part],
        own: &Metadata,
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Imported, StoreError> {
        let shown: Vec<Uuid> = artifacts_of(content).map(ArtifactId::uuid).collect();
        let id = MessageId::new();
        let mut client = self.store.client().await?;
        let tx = client.transaction().await?;
        tx.set_scope(self.scope).await?;
        // Locked in one statement and read in the next, as whoever queues a run does.
        let locked = tx
            .query_opt("SELECT 1 FROM headwater.threads WHERE thread_id = $1 FOR NO KEY UPDATE", &[&thread.uuid()])
            .await?;
        if locked.is_none() {
            return Ok(Imported::NoThread);
        }
        if let Some(idempotency) = idempotency {
            match pool::remember(&tx, idempotency, &id.to_string()).await? {
                Once::Done(()) => {}
                Once::Replay(object) => return Ok(Imported::Once(Once::Replay(object))),
                Once::Mismatch => return Ok(Imported::Once(Once::Mismatch)),
            }
        }
        let active = tx
            .query_opt(
                "SELECT run_id FROM headwater.runs WHERE thread_id = $1 AND status NOT IN ('completed', 'failed', 'cancelled', 'delayed')
                 ORDER BY ord LIMIT 1",
                &[&thread.uuid()],
            )
            .await?;
        if let Some(row) = active {
            return Ok(Imported::Busy(RunId::from_uuid(row.try_get(0)?)));
        }
        if !shown.is_empty() {
            let usable = tx.query("SELECT headwater.artifacts_usable($1)", &[&Json(&shown)]).await?;
            if usable[0].try_get::<_, i64>(0)? != shown.len() as i64 {
                return Ok(Imported::ArtifactGone);
            }
            tx.query("SELECT headwater.use_artifacts($1, $2)", &[&Json(&shown), &thread.uuid()]).await?;
        }
        tx.query(
            "WITH t AS (UPDATE headwater.threads SET last_ord = last_ord + 1, updated_at = $6 WHERE thread_id = $2
                        RETURNING user_id, last_ord)
             INSERT INTO headwater.messages (tenant_id, message_id, thread_id, user_id, ord, role, status, content, metadata,
                                             created_at, completed_at)
             SELECT headwater.tenant_id(), $1, $2, t.user_id, t.last_ord, $3, 'completed', $4, $5, $6, $6 FROM t",
            &[&id.uuid(), &thread.uuid(), &role.as_str(), &Json(content), &Json(own), &at.0],
        )
        .await?;
        tx.commit().await?;
        Ok(Imported::Once(Once::Done(id)))
    }

    /// One message of a thread.
    pub async fn message_get(
        &self,
        thread: ThreadId,
        id: MessageId,
    ) -> Result<Option<(Message, Visibility)>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM headwater.messages m WHERE m.thread_id = $1 AND m.message_id = $2
                            AND m.withdrawn IS NULL"
        );
        self.query(&sql, &[&thread.uuid(), &id.uuid()]).await?.first().map(message).transpose()
    }

    /// A page of a thread's messages, in the thread's own order. `after` is the last message of the page before.
    pub async fn message_list(
        &self,
        thread: ThreadId,
        run: Option<RunId>,
        roles: Option<&[String]>,
        page: Page,
    ) -> Result<Vec<(Message, Visibility)>, StoreError> {
        let (comparison, direction) = if page.ascending { (">", "ASC") } else { ("<", "DESC") };
        let sql = format!(
            "SELECT {COLUMNS} FROM headwater.messages m
             WHERE m.thread_id = $1 AND m.withdrawn IS NULL AND ($2::uuid IS NULL OR m.run_id = $2) AND ($3::text[] IS NULL OR m.role = ANY ($3))
               AND ($4::uuid IS NULL OR (m.ord, m.message_id) {comparison}
                    (SELECT c.ord, c.message_id FROM headwater.messages c WHERE c.message_id = $4 AND c.thread_id = $1))
             ORDER BY m.ord {direction}, m.message_id {direction} LIMIT $5"
        );
        let run = run.map(RunId::uuid);
        let rows = self.query(&sql, &[&thread.uuid(), &run, &roles, &page.after, &page.limit]).await?;
        rows.iter().map(message).collect()
    }

    /// What was said on a thread up to and including the run at `ord`, oldest first: the newest whole runs and imports
    /// that fit into so many bytes together, and the run's own messages in any case.
    pub async fn history(&self, thread: ThreadId, ord: i64, max_bytes: i64) -> Result<Vec<HistoryMessage>, StoreError> {
        let rows = self
            .query(
                // The sum runs over whole runs: messages with the same place count together.
                "SELECT ord, role, content FROM (
                     SELECT ord, role, content, message_id,
                            sum(octet_length(content::text)) OVER (ORDER BY ord DESC) AS bytes
                     FROM (SELECT ord, role, content, message_id FROM headwater.messages
                           WHERE thread_id = $1 AND ord <= $2 AND status <> 'in_progress' AND withdrawn IS NULL
                           ORDER BY ord DESC, message_id DESC LIMIT 2000) newest) h
                 WHERE bytes <= $3 OR ord = $2
                 ORDER BY ord DESC, message_id DESC",
                &[&thread.uuid(), &ord, &max_bytes],
            )
            .await?;
        let message = |row: &Row| {
            let Json(content): Json<Vec<Part>> = row.try_get("content")?;
            Ok(HistoryMessage { ord: row.try_get("ord")?, role: word(row, "role")?, content })
        };
        rows.iter().rev().map(message).collect()
    }
}
