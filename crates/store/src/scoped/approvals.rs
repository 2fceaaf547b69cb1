//! Approvals: reading them, and deciding.

use headwater_protocol::api::{Approval, ApprovalStatus, Decider, Decision};
use headwater_protocol::event::{Actor, Visibility};
use headwater_protocol::{ApprovalId, CallId, RunId, ThreadId, UserId};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::{Page, UserScopedStorage, maybe_time, maybe_word, time, word};
use crate::StoreError;

const COLUMNS: &str = "a.approval_id, a.kind, a.run_id, a.thread_id, a.user_id, a.call_id, a.name, a.args, a.args_hash,
    a.message, a.schema, a.deciders, a.status, a.edited_args, a.comment, a.remember, a.decided_by, a.expires_at, a.created_at,
    a.decided_at, a.status = 'pending' AND a.expires_at <= clock_timestamp() AS late, r.visibility
    FROM headwater.approvals a JOIN headwater.runs r ON r.tenant_id = a.tenant_id AND r.run_id = a.run_id";

/// Which approvals to list.
#[derive(Debug, Clone, Default)]
pub struct ApprovalFilter {
    /// Of one of these statuses.
    pub status: Option<Vec<String>>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Of this thread.
    pub thread: Option<ThreadId>,
    /// Of this user.
    pub user: Option<UserId>,
}

/// A decision, and all that goes with it.
#[derive(Debug, Clone, Copy)]
pub struct Ruling<'a> {
    /// As what somebody decides.
    pub decider: Decider,
    /// Who.
    pub by: &'a Actor,
    /// What.
    pub decision: &'a Decision,
    /// Of edited arguments.
    pub args_hash: Option<&'a str>,
    /// What becomes of a call of unknown outcome that is not done again and of which nothing is known.
    pub unknown: &'a headwater_protocol::Problem,
}

/// What came of deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It is decided so. `woken`: somebody is to go on with the run.
    Yes {
        /// Whether the run had been waiting.
        woken: bool,
    },
    /// There is no such approval of that run.
    NotFound,
    /// Not by this one.
    NotDecider,
    /// The run has ended.
    Finished,
    /// It is too late.
    Late,
    /// It was decided otherwise.
    Before,
}

fn approval(row: &Row) -> Result<(Approval, Visibility), StoreError> {
    let json = |column: &str| -> Result<Option<serde_json::Value>, StoreError> {
        Ok(row.try_get::<_, Option<Json<serde_json::Value>>>(column)?.map(|Json(value)| value))
    };
    let deciders: Vec<String> = row.try_get("deciders")?;
    let deciders: Result<Vec<Decider>, _> =
        deciders.into_iter().map(|word| serde_json::from_value(serde_json::Value::String(word))).collect();
    let mut approval = Approval {
        id: ApprovalId::from_uuid(row.try_get("approval_id")?),
        object: "approval".into(),
        kind: word(row, "kind")?,
        run: RunId::from_uuid(row.try_get("run_id")?),
        thread: ThreadId::from_uuid(row.try_get("thread_id")?),
        user: UserId::from_uuid(row.try_get("user_id")?),
        call: CallId::from_uuid(row.try_get("call_id")?),
        name: row.try_get("name")?,
        args: json("args")?,
        args_hash: row.try_get("args_hash")?,
        message: row.try_get("message")?,
        schema: json("schema")?.unwrap_or_default(),
        deciders: deciders?,
        status: word(row, "status")?,
        edited_args: json("edited_args")?,
        comment: row.try_get("comment")?,
        remember: maybe_word(row, "remember")?,
        by: row.try_get::<_, Option<Json<Actor>>>("decided_by")?.map(|Json(by)| by),
        expires_at: time(row, "expires_at")?,
        created_at: time(row, "created_at")?,
        decided_at: maybe_time(row, "decided_at")?,
    };
    if row.try_get("late")? {
        // Nobody can decide it any more, and somebody is about to write that down.
        approval.status = ApprovalStatus::Expired;
    }
    let Json(visibility) = row.try_get("visibility")?;
    Ok((approval, visibility))
}

impl UserScopedStorage {
    /// One approval, and what its agent lets users see.
    pub async fn approval_get(&self, id: ApprovalId) -> Result<Option<(Approval, Visibility)>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE a.approval_id = $1");
        self.query(&sql, &[&id.uuid()]).await?.first().map(approval).transpose()
    }

    /// A page of approvals.
    pub async fn approval_list(
        &self,
        filter: &ApprovalFilter,
        page: Page,
    ) -> Result<Vec<(Approval, Visibility)>, StoreError> {
        let (after, order) = page.order("a.approval_id");
        // What is asked about most often has an index of its own, which a condition on a case cannot use.
        let only_pending = filter.status.as_deref() == Some(&["pending".to_owned()]);
        let pending = if only_pending { "a.status = 'pending' AND a.expires_at > clock_timestamp() AND" } else { "" };
        let sql = format!(
            "SELECT {COLUMNS}
             WHERE {pending} ($1::text[] IS NULL OR CASE WHEN a.status = 'pending' AND a.expires_at <= clock_timestamp()
                                               THEN 'expired' ELSE a.status END = ANY ($1))
               AND ($2::uuid IS NULL OR a.run_id = $2) AND ($3::uuid IS NULL OR a.thread_id = $3)
               AND ($4::uuid IS NULL OR a.user_id = $4) AND ($5::uuid IS NULL OR {after} $5)
             ORDER BY {order} LIMIT $6"
        );
        let user = filter.user.or(self.scope.user).map(UserId::uuid);
        let (run, thread) = (filter.run.map(RunId::uuid), filter.thread.map(ThreadId::uuid));
        let rows = self.query(&sql, &[&filter.status, &run, &thread, &user, &page.after, &page.limit]).await?;
        rows.iter().map(approval).collect()
    }

    /// Decides.
    pub async fn approval_decide(
        &self,
        run: RunId,
        id: ApprovalId,
        Ruling { decider, by, decision, args_hash, unknown }: Ruling<'_>,
    ) -> Result<Decided, StoreError> {
        let mut body = serde_json::to_value(decision)?;
        body["args_hash"] = args_hash.into();
        body["unknown"] = serde_json::to_value(unknown)?;
        let decider = match decider {
            Decider::User => "user",
            Decider::Tenant => "tenant",
        };
        let sql = "SELECT headwater.decide($1, $2, $3, $4, $5)";
        let rows = self.query(sql, &[&run.uuid(), &id.uuid(), &decider, &Json(by), &Json(body)]).await?;
        let Json(answer): Json<serde_json::Value> =
            rows.first().ok_or_else(|| StoreError::Corrupt("decide answered no row".into()))?.try_get(0)?;
        match answer["refused"].as_str() {
            None => {
                self.store.ring();
                Ok(Decided::Yes { woken: answer["woken"] == true })
            }
            Some("not_found") => Ok(Decided::NotFound),
            Some("not_decider") => Ok(Decided::NotDecider),
            Some("finished") => Ok(Decided::Finished),
            Some("expired") => Ok(Decided::Late),
            Some("decided") => Ok(Decided::Before),
            Some(other) => Err(StoreError::Corrupt(format!("decide refused with {other}"))),
        }
    }

    /// Names of the tools that somebody has permitted this agent for the rest of a thread.
    pub async fn tools_remembered(
        &self,
        thread: ThreadId,
        agent: headwater_protocol::AgentId,
    ) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT name FROM headwater.approvals
                   WHERE thread_id = $1 AND agent_id = $2 AND remember = 'thread' AND status = 'approved'";
        let rows = self.query(sql, &[&thread.uuid(), &agent.uuid()]).await?;
        rows.iter().map(|row| Ok(row.try_get::<_, String>(0)?)).collect()
    }
}
