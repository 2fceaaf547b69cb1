//! Agents and their versions.

use headwater_protocol::api::{Agent, AgentConfig};
use headwater_protocol::message::Metadata;
use headwater_protocol::{AgentId, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::{Page, UserScopedStorage, maybe_time, metadata, time};
use crate::StoreError;
use crate::pool::{Idempotency, Once};

/// A change of an agent. What is `None` stays.
#[derive(Debug, Default)]
pub struct AgentChange {
    /// A new name.
    pub name: Option<String>,
    /// New pairs.
    pub metadata: Option<Metadata>,
    /// A new configuration; becomes the next version when it differs from the active one.
    pub config: Option<AgentConfig>,
    /// Whether a new version becomes active.
    pub activate: bool,
    /// Makes an older version active.
    pub active_version: Option<i32>,
    /// Only if this version is the active one.
    pub if_version: Option<i32>,
}

/// What came of a change.
#[derive(Debug)]
pub enum Changed {
    /// It was made, or was none.
    Yes(Box<Agent>),
    /// There is no such agent.
    NotFound,
    /// There is no such version.
    NoVersion,
    /// The active version is another one.
    Conflict(i32),
}

const SELECT: &str =
    "SELECT a.agent_id, a.name, a.active_version, a.metadata, a.archived_at, a.created_at, a.updated_at,
                             v.version, v.config
                      FROM headwater.agents a JOIN headwater.agent_versions v USING (tenant_id, agent_id)";

fn agent(row: &Row) -> Result<Agent, StoreError> {
    let Json(config): Json<AgentConfig> = row.try_get("config")?;
    Ok(Agent {
        id: AgentId::from_uuid(row.try_get("agent_id")?),
        object: "agent".into(),
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        active_version: row.try_get("active_version")?,
        config,
        metadata: metadata(row)?,
        archived_at: maybe_time(row, "archived_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

impl UserScopedStorage {
    /// Makes an agent, version 1.
    pub async fn agent_create(
        &self,
        name: &str,
        config: &AgentConfig,
        metadata: &Metadata,
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<Agent>, StoreError> {
        let id = AgentId::new();
        let made = self
            .store
            .query_once(
                self.scope,
                idempotency,
                &id.to_string(),
                "WITH made AS (
                     INSERT INTO headwater.agents (tenant_id, agent_id, name, version, active_version, metadata, created_at, updated_at)
                     VALUES (headwater.tenant_id(), $1, $2, 1, 1, $3, $4, $4) RETURNING agent_id)
                 INSERT INTO headwater.agent_versions (tenant_id, agent_id, version, config, created_at)
                 SELECT headwater.tenant_id(), agent_id, 1, $5, $4 FROM made RETURNING version",
                &[&id.uuid(), &name, &Json(metadata), &at.0, &Json(config)],
            )
            .await?;
        Ok(made.map(|_| Agent {
            id,
            object: "agent".into(),
            name: name.to_owned(),
            version: 1,
            active_version: 1,
            config: config.clone(),
            metadata: metadata.clone(),
            archived_at: None,
            created_at: at,
            updated_at: at,
        }))
    }

    /// One agent with its active version, archived ones too.
    pub async fn agent_get(&self, id: AgentId) -> Result<Option<Agent>, StoreError> {
        let sql = format!("{SELECT} WHERE a.agent_id = $1 AND v.version = a.active_version");
        self.query(&sql, &[&id.uuid()]).await?.first().map(agent).transpose()
    }

    /// The living agent of this name, with its active version.
    pub async fn agent_by_name(&self, name: &str) -> Result<Option<Agent>, StoreError> {
        let sql = format!("{SELECT} WHERE a.name = $1 AND a.archived_at IS NULL AND v.version = a.active_version");
        self.query(&sql, &[&name]).await?.first().map(agent).transpose()
    }

    /// A page of agents.
    pub async fn agent_list(&self, archived: bool, page: Page) -> Result<Vec<Agent>, StoreError> {
        let (after, order) = page.order("a.agent_id");
        let sql = format!(
            "{SELECT} WHERE v.version = a.active_version AND (a.archived_at IS NOT NULL) = $1
             AND ($2::uuid IS NULL OR {after} $2) ORDER BY {order} LIMIT $3"
        );
        let rows = self.query(&sql, &[&archived, &page.after, &page.limit]).await?;
        rows.iter().map(agent).collect()
    }

    /// One version of an agent.
    pub async fn agent_version(&self, id: AgentId, version: i32) -> Result<Option<Agent>, StoreError> {
        let sql = format!("{SELECT} WHERE a.agent_id = $1 AND v.version = $2");
        self.query(&sql, &[&id.uuid(), &version]).await?.first().map(agent).transpose()
    }

    /// A page of an agent's versions; `after` is a version.
    pub async fn agent_versions(
        &self,
        id: AgentId,
        after: Option<i32>,
        ascending: bool,
        limit: i64,
    ) -> Result<Vec<Agent>, StoreError> {
        let (comparison, direction) = if ascending { (">", "ASC") } else { ("<", "DESC") };
        let sql = format!(
            "{SELECT} WHERE a.agent_id = $1 AND ($2::int IS NULL OR v.version {comparison} $2)
             ORDER BY v.version {direction} LIMIT $3"
        );
        self.query(&sql, &[&id.uuid(), &after, &limit]).await?.iter().map(agent).collect()
    }

    /// Changes a living agent. A configuration equal to the active one makes no version.
    pub async fn agent_update(&self, id: AgentId, change: &AgentChange, at: Timestamp) -> Result<Changed, StoreError> {
        let mut client = self.store.client().await?;
        let tx = client.transaction().await?;
        tx.set_scope(self.scope).await?;
        let sql = format!(
            "{SELECT} WHERE a.agent_id = $1 AND a.archived_at IS NULL AND v.version = a.active_version FOR UPDATE OF a"
        );
        let Some(mut current) = tx.query_opt(&sql, &[&id.uuid()]).await?.as_ref().map(agent).transpose()? else {
            return Ok(Changed::NotFound);
        };
        if change.if_version.is_some_and(|version| version != current.active_version) {
            return Ok(Changed::Conflict(current.active_version));
        }
        if let Some(name) = &change.name {
            current.name.clone_from(name);
        }
        if let Some(metadata) = &change.metadata {
            current.metadata.clone_from(metadata);
        }
        if let Some(config) = change.config.as_ref().filter(|config| **config != current.config) {
            let row = tx
                .query_one(
                    "UPDATE headwater.agents SET version = version + 1 WHERE agent_id = $1 RETURNING version",
                    &[&id.uuid()],
                )
                .await?;
            let version: i32 = row.try_get(0)?;
            tx.query(
                "INSERT INTO headwater.agent_versions (tenant_id, agent_id, version, config, created_at)
                 VALUES (headwater.tenant_id(), $1, $2, $3, $4)",
                &[&id.uuid(), &version, &Json(config), &at.0],
            )
            .await?;
            current.version = version;
            current.config = config.clone();
            if change.activate {
                current.active_version = version;
            }
        }
        if let Some(version) = change.active_version {
            let sql = format!("{SELECT} WHERE a.agent_id = $1 AND v.version = $2");
            let Some(row) = tx.query_opt(&sql, &[&id.uuid(), &version]).await? else { return Ok(Changed::NoVersion) };
            current.config = agent(&row)?.config;
            current.version = version;
            current.active_version = version;
        }
        current.updated_at = at;
        tx.query(
            "UPDATE headwater.agents SET name = $2, metadata = $3, active_version = $4, updated_at = $5 WHERE agent_id = $1",
            &[&id.uuid(), &current.name, &Json(&current.metadata), &current.active_version, &at.0],
        )
        .await?;
        tx.commit().await?;
        Ok(Changed::Yes(Box::new(current)))
    }

    /// Archives an agent; `false` when there is no living one.
    pub async fn agent_archive(&self, id: AgentId, at: Timestamp) -> Result<bool, StoreError> {
        let rows = self
            .query(
                "UPDATE headwater.agents SET archived_at = $2, updated_at = $2
                 WHERE agent_id = $1 AND archived_at IS NULL RETURNING 1",
                &[&id.uuid(), &at.0],
            )
            .await?;
        Ok(!rows.is_empty())
    }
}
