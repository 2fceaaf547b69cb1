//! `/v1/mcp_servers`: servers of tools that a tenant's agents call.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use headwater_agent::{check_server, look_at_mcp_server};
use headwater_protocol::api::{AgentConfig, List, McpServer, McpServerParams, McpServerUpdate, McpTool, Tool};
use headwater_protocol::{ErrorCode, McpServerId, Problem, Timestamp};
use headwater_store::pool::Once;
use headwater_store::scoped::{McpKept, StoredMcpServer};

use super::body::ApiBody;
use super::lists::{ListQuery, list};
use super::{created, missing, no_content, taken};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::ApiQuery;
use crate::http::idempotency::mismatch;
use crate::wiring::AppState;

async fn find(state: &AppState, caller: &Caller, server: &str) -> Result<StoredMcpServer, ApiError> {
    let found = state.store.scoped(caller.tenant_scope()).mcp_get(server).await?;
    found.ok_or_else(|| missing("MCP server"))
}

fn kept(kept: McpKept) -> Result<McpServer, ApiError> {
    match kept {
        McpKept::Yes(server) => Ok(*server),
        McpKept::Taken(other) => Err(taken("/name", Some(other.to_string())).into()),
        McpKept::TooMany => Err(Problem::invalid("/name", "there are as many MCP servers as may be").into()),
    }
}

/// Asks a server what it has.
async fn look(state: &AppState, caller: &Caller, server: &McpServer) -> Result<McpServer, ApiError> {
    let storage = state.store.scoped(caller.tenant_scope());
    if let Some(looked) = look_at_mcp_server(&state.guard, &state.vault, &storage, server).await? {
        return Ok(looked.server);
    }
    // Somebody has changed it meanwhile, and asks it too.
    Ok(find(state, caller, &server.id.to_string()).await?.server)
}

/// Adds a server, and asks it what it has: `status` and `error` tell how that went.
#[utoipa::path(post, path = "/v1/mcp_servers", tag = "mcp_servers", request_body = McpServerParams,
    responses((status = 201, body = McpServer), (status = "default", body = Problem)))]
pub async fn mcp_servers_create(
    State(state): State<AppState>,
    caller: Caller,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("tools:write")?;
    let params: McpServerParams = body.parse()?;
    params.check()?;
    check_server(&state.guard, &params.url, &params.auth)?;
    let storage = state.store.scoped(caller.tenant_scope());
    let once = body.idempotency(&state, &caller)?;
    let (server, replayed) = match storage.mcp_create(McpServerId::new(), &params, Timestamp::now(), once.key()).await?
    {
        Once::Done(made) => (look(&state, &caller, &kept(made)?).await?, false),
        Once::Replay(object) => (find(&state, &caller, &object).await?.server, true),
        Once::Mismatch => return Err(mismatch()),
    };
    Ok(created(&server, &format!("/v1/mcp_servers/{}", server.id), replayed))
}

/// Lists servers.
#[utoipa::path(get, path = "/v1/mcp_servers", tag = "mcp_servers", params(ListQuery),
    responses((status = 200, body = List<McpServer>), (status = "default", body = Problem)))]
pub async fn mcp_servers_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<List<McpServer>>, ApiError> {
    caller.require_key("tools:read")?;
    let page = query.page()?;
    let servers = state.store.scoped(caller.tenant_scope()).mcp_list(page).await?;
    Ok(Json(list(servers, page, |server| server.id.uuid())))
}

/// A server, by its id or its name.
#[utoipa::path(get, path = "/v1/mcp_servers/{server}", tag = "mcp_servers", params(("server" = String, Path)),
    responses((status = 200, body = McpServer), (status = "default", body = Problem)))]
pub async fn mcp_servers_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(server): Path<String>,
) -> Result<Json<McpServer>, ApiError> {
    caller.require_key("tools:read")?;
    Ok(Json(find(&state, &caller, &server).await?.server))
}

/// Changes a server, and asks it what it has.
#[utoipa::path(patch, path = "/v1/mcp_servers/{server}", tag = "mcp_servers", params(("server" = String, Path)),
    request_body = McpServerUpdate, responses((status = 200, body = McpServer), (status = "default", body = Problem)))]
pub async fn mcp_servers_update(
    State(state): State<AppState>,
    caller: Caller,
    Path(server): Path<String>,
    body: ApiBody,
) -> Result<Json<McpServer>, ApiError> {
    caller.require_key("tools:write")?;
    let found = find(&state, &caller, &server).await?.server;
    let McpServerUpdate { name, url, auth } = body.parse()?;
    let storage = state.store.scoped(caller.tenant_scope());
    if name.as_ref().is_some_and(|name| *name != found.name) && storage.mcp_in_use(found.id, &found.name).await? {
        return Err(Problem::new(ErrorCode::InUse, "an agent names this server").into());
    }
    let params = McpServerParams {
        name: name.unwrap_or(found.name),
        url: url.unwrap_or(found.url),
        auth: auth.map_or(found.auth, Option::unwrap_or_default),
    };
    params.check()?;
    check_server(&state.guard, &params.url, &params.auth)?;
    let changed = storage.mcp_update(found.id, &params, Timestamp::now()).await?;
    let server = kept(changed.ok_or_else(|| missing("MCP server"))?)?;
    Ok(Json(look(&state, &caller, &server).await?))
}

/// Removes a server that no agent names.
#[utoipa::path(delete, path = "/v1/mcp_servers/{server}", tag = "mcp_servers", params(("server" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn mcp_servers_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(server): Path<String>,
) -> Result<Response, ApiError> {
    caller.require_key("tools:write")?;
    let found = find(&state, &caller, &server).await?.server;
    let storage = state.store.scoped(caller.tenant_scope());
    if storage.mcp_in_use(found.id, &found.name).await? {
        return Err(Problem::new(ErrorCode::InUse, "an agent names this server").into());
    }
    if !storage.mcp_delete(found.id).await? {
        return Err(missing("MCP server"));
    }
    Ok(no_content())
}

/// The tools that a server last said it has.
#[utoipa::path(get, path = "/v1/mcp_servers/{server}/tools", tag = "mcp_servers", params(("server" = String, Path)),
    responses((status = 200, body = List<McpTool>), (status = "default", body = Problem)))]
pub async fn mcp_server_tools_list(
    State(state): State<AppState>,
    caller: Caller,
    Path(server): Path<String>,
) -> Result<Json<List<McpTool>>, ApiError> {
    caller.require_key("tools:read")?;
    Ok(Json(List::page(find(&state, &caller, &server).await?.tools, None)))
}

/// Asks a server again what it has: `status` and `error` tell how that went.
#[utoipa::path(post, path = "/v1/mcp_servers/{server}/refresh", tag = "mcp_servers", params(("server" = String, Path)),
    responses((status = 200, body = McpServer), (status = "default", body = Problem)))]
pub async fn mcp_servers_refresh(
    State(state): State<AppState>,
    caller: Caller,
    Path(server): Path<String>,
) -> Result<Json<McpServer>, ApiError> {
    caller.require_key("tools:write")?;
    let found = find(&state, &caller, &server).await?.server;
    Ok(Json(look(&state, &caller, &found).await?))
}

/// Whether the servers that an agent's tools name are there.
///
/// # Errors
/// The first that is not.
pub async fn check_named(state: &AppState, caller: &Caller, config: &AgentConfig) -> Result<(), ApiError> {
    let named: Vec<(usize, &String)> = config
        .tools
        .iter()
        .enumerate()
        .filter_map(|(i, tool)| match tool {
            Tool::Mcp(tools) => Some((i, &tools.server)),
            Tool::Client(_) | Tool::Http(_) | Tool::Agent(_) | Tool::Builtin(_) => None,
        })
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = named.iter().map(|(_, name)| (*name).clone()).collect();
    let there = state.store.scoped(caller.tenant_scope()).mcp_named(&names).await?;
    for (i, name) in named {
        if !there.iter().any(|found| found.server.name == *name || found.server.id.to_string() == *name) {
            return Err(Problem::invalid(format!("/tools/{i}/server"), "there is no such MCP server").into());
        }
    }
    Ok(())
}
