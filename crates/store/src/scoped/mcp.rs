//! MCP servers of a tenant, and what they last said they have.

use headwater_protocol::api::{MAX_MCP_SERVERS, McpAuth, McpServer, McpServerParams, McpStatus, McpTool};
use headwater_protocol::{McpServerId, Problem, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{Page, UserScopedStorage, maybe_time, time, word};
use crate::StoreError;
use crate::connection::Params;
use crate::pool::{Idempotency, Once};

const COLUMNS: &str =
    "mcp_id, name, url, auth, status, error, protocol_version, tools_fetched_at, created_at, updated_at";

/// A server and its tools.
#[derive(Debug, Clone)]
pub struct StoredMcpServer {
    /// The server.
    pub server: McpServer,
    /// When it was last asked, however that went.
    pub looked_at: Option<Timestamp>,
    /// What it last said it has.
    pub tools: Vec<McpTool>,
}

/// What came of asking a server.
#[derive(Debug, Clone)]
pub struct McpLook {
    /// How it went.
    pub status: McpStatus,
    /// What went wrong.
    pub error: Option<Problem>,
    /// The revision of the protocol, and the tools, if they were listed.
    pub listed: Option<(String, Vec<McpTool>)>,
}

/// What came of keeping a server.
#[derive(Debug, Clone)]
pub enum McpKept {
    /// It is kept.
    Yes(Box<McpServer>),
    /// Its name is another's, who is this one.
    Taken(McpServerId),
    /// The tenant has as many as may be.
    TooMany,
}

fn server(row: &Row) -> Result<McpServer, StoreError> {
    let Json(auth) = row.try_get("auth")?;
    Ok(McpServer {
        id: McpServerId::from_uuid(row.try_get("mcp_id")?),
        object: "mcp_server".into(),
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        auth,
        status: word(row, "status")?,
        error: row.try_get::<_, Option<Json<Problem>>>("error")?.map(|Json(error)| error),
        protocol_version: row.try_get("protocol_version")?,
        tools_fetched_at: maybe_time(row, "tools_fetched_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn stored(row: &Row) -> Result<StoredMcpServer, StoreError> {
    let Json(tools) = row.try_get("tools")?;
    Ok(StoredMcpServer { server: server(row)?, looked_at: maybe_time(row, "looked_at")?, tools })
}

/// An id or a name, as a statement takes it.
fn named(text: &str) -> (Option<Uuid>, &str) {
    (text.parse::<McpServerId>().ok().map(McpServerId::uuid), text)
}

impl UserScopedStorage {
    async fn mcp_taken(&self, name: &str) -> Result<McpKept, StoreError> {
        let rows = self.query("SELECT mcp_id FROM headwater.mcp_servers WHERE name = $1", &[&name]).await?;
        Ok(match rows.first() {
            Some(row) => McpKept::Taken(McpServerId::from_uuid(row.try_get(0)?)),
            None => McpKept::TooMany,
        })
    }

    /// Keeps a new server.
    pub async fn mcp_create(
        &self,
        id: McpServerId,
        params: &McpServerParams,
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<McpKept>, StoreError> {
        let sql = format!(
            "INSERT INTO headwater.mcp_servers (tenant_id, mcp_id, name, url, auth, status, created_at, updated_at)
             SELECT headwater.tenant_id(), $1, $2, $3, $4, 'unchecked', $5, $5
             WHERE (SELECT count(*) FROM headwater.mcp_servers) < $6
             ON CONFLICT (tenant_id, name) DO NOTHING RETURNING {COLUMNS}"
        );
        let auth = Json(&params.auth);
        let (uuid, object) = (id.uuid(), id.to_string());
        let values: Params<'_> = &[&uuid, &params.name, &params.url, &auth, &at.0, &MAX_MCP_SERVERS];
        Ok(match self.store.query_once(self.scope, idempotency, &object, &sql, values).await? {
            Once::Done(rows) => Once::Done(match rows.first() {
                Some(row) => McpKept::Yes(Box::new(server(row)?)),
                None => self.mcp_taken(&params.name).await?,
            }),
            Once::Replay(object) => Once::Replay(object),
            Once::Mismatch => Once::Mismatch,
        })
    }

    /// Changes a server. What it said before is not believed any more. `None`: there is no such server.
    pub async fn mcp_update(
        &self,
        id: McpServerId,
        params: &McpServerParams,
        at: Timestamp,
    ) -> Result<Option<McpKept>, StoreError> {
        let sql = format!(
            "UPDATE headwater.mcp_servers SET name = $2, url = $3, auth = $4, status = 'unchecked', error = NULL,
                    protocol_version = NULL, tools = '[]', tools_fetched_at = NULL, looked_at = NULL, updated_at = $5
             WHERE mcp_id = $1 AND NOT EXISTS (SELECT 1 FROM headwater.mcp_servers o WHERE o.name = $2 AND o.mcp_id <> $1)
             RETURNING {COLUMNS}"
        );
        let auth: Json<&McpAuth> = Json(&params.auth);
        let rows = self.query(&sql, &[&id.uuid(), &params.name, &params.url, &auth, &at.0]).await?;
        match rows.first() {
            Some(row) => Ok(Some(McpKept::Yes(Box::new(server(row)?)))),
            None if self.mcp_get(&id.to_string()).await?.is_none() => Ok(None),
            None => self.mcp_taken(&params.name).await.map(Some),
        }
    }

    /// A server by its id or its name.
    pub async fn mcp_get(&self, id_or_name: &str) -> Result<Option<StoredMcpServer>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS}, looked_at, tools FROM headwater.mcp_servers WHERE mcp_id = $1 OR name = $2");
        let (id, name) = named(id_or_name);
        self.query(&sql, &[&id, &name]).await?.first().map(stored).transpose()
    }

    /// Those of these ids and names that there are.
    pub async fn mcp_named(&self, ids_and_names: &[String]) -> Result<Vec<StoredMcpServer>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, looked_at, tools FROM headwater.mcp_servers WHERE mcp_id = ANY ($1) OR name = ANY ($2)"
        );
        let ids: Vec<Uuid> = ids_and_names.iter().filter_map(|text| named(text).0).collect();
        self.query(&sql, &[&ids, &ids_and_names]).await?.iter().map(stored).collect()
    }

    /// A page of servers.
    pub async fn mcp_list(&self, page: Page) -> Result<Vec<McpServer>, StoreError> {
        let (after, order) = page.order("mcp_id");
        let sql = format!(
            "SELECT {COLUMNS} FROM headwater.mcp_servers WHERE ($1::uuid IS NULL OR {after} $1) ORDER BY {order} LIMIT $2"
        );
        self.query(&sql, &[&page.after, &page.limit]).await?.iter().map(server).collect()
    }

    /// Writes down what came of asking a server, unless it was changed since. `None`: it was, or is gone.
    pub async fn mcp_looked(
        &self,
        asked: &McpServer,
        look: &McpLook,
        at: Timestamp,
    ) -> Result<Option<StoredMcpServer>, StoreError> {
        let sql = format!(
            "UPDATE headwater.mcp_servers SET status = $2, error = $3, protocol_version = coalesce($4, protocol_version),
                    tools = coalesce($5, tools), looked_at = $6,
                    tools_fetched_at = CASE WHEN $5::jsonb IS NULL THEN tools_fetched_at ELSE $6 END
             WHERE mcp_id = $1 AND updated_at = $7 RETURNING {COLUMNS}, looked_at, tools"
        );
        let status = match look.status {
            McpStatus::Unchecked => "unchecked",
            McpStatus::Ok => "ok",
            McpStatus::Unreachable => "unreachable",
            McpStatus::AuthFailed => "auth_failed",
        };
        let (protocol, tools) = match &look.listed {
            Some((protocol, tools)) => (Some(protocol), Some(Json(tools))),
            None => (None, None),
        };
        let rows = self
            .query(
                &sql,
                &[
                    &asked.id.uuid(),
                    &status,
                    &look.error.as_ref().map(Json),
                    &protocol,
                    &tools,
                    &at.0,
                    &asked.updated_at.0,
                ],
            )
            .await?;
        rows.first().map(stored).transpose()
    }

    /// Whether an agent that can be run names this server.
    pub async fn mcp_in_use(&self, id: McpServerId, name: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM headwater.agents a JOIN headwater.agent_versions v
                       ON v.tenant_id = a.tenant_id AND v.agent_id = a.agent_id AND v.version = a.active_version
                   WHERE a.archived_at IS NULL AND (v.config->'tools' @> $1 OR v.config->'tools' @> $2) LIMIT 1";
        let tool = |server: String| Json(serde_json::json!([{"type": "mcp", "server": server}]));
        Ok(!self.query(sql, &[&tool(id.to_string()), &tool(name.to_owned())]).await?.is_empty())
    }

    /// Forgets a server. Whether there was one.
    pub async fn mcp_delete(&self, id: McpServerId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM headwater.mcp_servers WHERE mcp_id = $1 RETURNING mcp_id";
        Ok(!self.query(sql, &[&id.uuid()]).await?.is_empty())
    }
}
