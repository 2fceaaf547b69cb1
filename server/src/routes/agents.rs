//! Agents, their versions, and the models they can use.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::api::{
    Agent, AgentBody, AgentConfig, AgentSummary, List, Model, check_agent_name, check_metadata,
};
use headwater_protocol::message::Metadata;
use headwater_protocol::{AgentId, ErrorCode, Problem, TenantId, Timestamp};
use headwater_store::StoreError;
use headwater_store::pool::Once;
use headwater_store::scoped::{AgentChange, Changed};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::body::{ApiBody, from_value, merge};
use super::lists::{ListQuery, list};
use super::plans::check_models;
use super::{created, etag, id, if_match, missing, no_content, taken};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::idempotency::mismatch;
use crate::http::query::ApiQuery;
use crate::wiring::AppState;

/// Filters of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AgentsQuery {
    limit: Option<i64>,
    after: Option<String>,
    order: Option<String>,
    archived: Option<bool>,
}

/// The agent that a path or a body names, by id or name; archived ones by id only.
pub async fn find(state: &AppState, caller: &Caller, text: &str) -> Result<Option<Agent>, ApiError> {
    let storage = state.store.scoped(caller.scope());
    Ok(match text.parse::<AgentId>() {
        Ok(id) => storage.agent_get(id).await?,
        // Postgres knows no NUL; no name has one.
        Err(_) if text.contains('\0') => None,
        Err(_) => storage.agent_by_name(text).await?,
    })
}

/// An agent as the caller may see it.
fn show(caller: &Caller, agent: Agent) -> Response {
    let version = agent.active_version;
    let mut response =
        if caller.is_key() { Json(agent).into_response() } else { Json(AgentSummary::from(agent)).into_response() };
    etag(&mut response, version);
    response
}

/// An agent that was made.
fn made(agent: &Agent, replayed: bool) -> Response {
    let mut response = created(agent, &format!("/v1/agents/{}", agent.id), replayed);
    etag(&mut response, agent.active_version);
    response
}

async fn checked(state: &AppState, tenant: TenantId, config: &AgentConfig) -> Result<(), ApiError> {
    config.check()?;
    headwater_agent::check_tools(&config.tools, &state.guard)?;
    headwater_agent::check_format(&config.response_format)?;
    let fallbacks = config.fallbacks.iter().map(|fallback| &fallback.model);
    check_models(state, tenant, std::iter::once(&config.model).chain(fallbacks)).await
}

fn parts(body: Value) -> Result<(AgentBody, Option<Metadata>), ApiError> {
    let body = AgentBody::split(body)?;
    let metadata = match &body.metadata {
        None | Some(Value::Null) => None,
        Some(value) => {
            let metadata: Metadata = from_value(value.clone(), "/metadata")?;
            check_metadata(&metadata)?;
            Some(metadata)
        }
    };
    Ok((body, metadata))
}

fn config_of(config: Map<String, Value>) -> Result<AgentConfig, ApiError> {
    // `null` is the default, as everywhere.
    let config: Map<String, Value> = config.into_iter().filter(|(_, value)| !value.is_null()).collect();
    from_value(Value::Object(config), "")
}

/// Makes an agent, version 1.
#[utoipa::path(post, path = "/v1/agents", tag = "agents", request_body = AgentConfig,
    responses((status = 201, body = Agent), (status = "default", body = Problem)))]
pub async fn agents_create(State(state): State<AppState>, caller: Caller, body: ApiBody) -> Result<Response, ApiError> {
    caller.require_key("agents:write")?;
    let (parsed, metadata) = parts(body.parse()?)?;
    let name = parsed.name.ok_or_else(|| Problem::invalid("/name", "is required"))?;
    check_agent_name(&name)?;
    let config = config_of(parsed.config)?;
    checked(&state, caller.tenant, &config).await?;
    super::mcp::check_named(&state, &caller, &config).await?;
    let storage = state.store.scoped(caller.scope());
    let guard = body.idempotency(&state, &caller)?;
    let done = storage.agent_create(&name, &config, &metadata.unwrap_or_default(), Timestamp::now(), guard.key()).await;
    match done {
        Ok(Once::Done(agent)) => Ok(made(&agent, false)),
        Ok(Once::Replay(object)) => {
            let agent = storage.agent_get(id(&object, "agent")?).await?.ok_or_else(|| missing("agent"))?;
            Ok(made(&agent, true))
        }
        Ok(Once::Mismatch) => Err(mismatch()),
        Err(StoreError::Taken { .. }) => {
            let existing = storage.agent_by_name(&name).await?;
            Err(taken("name", existing.map(|agent| agent.id.to_string())).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the agent of this name, or makes it so. For files and CI: no new version when nothing changes.
#[utoipa::path(put, path = "/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path)), request_body = AgentConfig,
    responses((status = 200, body = Agent), (status = 201, body = Agent), (status = "default", body = Problem)))]
pub async fn agents_put(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("agents:write")?;
    let (parsed, metadata) = parts(body.parse()?)?;
    if parsed.name.as_ref().is_some_and(|given| *given != name) {
        return Err(Problem::invalid("/name", "must be the name in the path, or absent").into());
    }
    check_agent_name(&name)?;
    let config = config_of(parsed.config)?;
    checked(&state, caller.tenant, &config).await?;
    super::mcp::check_named(&state, &caller, &config).await?;
    let storage = state.store.scoped(caller.scope());
    // Whoever else makes it meanwhile is found at the second look.
    for _ in 0..2 {
        if let Some(agent) = storage.agent_by_name(&name).await? {
            let change = AgentChange {
                metadata: Some(metadata.clone().unwrap_or_default()),
                config: Some(config.clone()),
                activate: true,
                if_version: if_match(&headers, "must be an ETag of this agent")?,
                ..AgentChange::default()
            };
            return changed(&caller, storage.agent_update(agent.id, &change, Timestamp::now()).await?);
        }
        let metadata = metadata.clone().unwrap_or_default();
        match storage.agent_create(&name, &config, &metadata, Timestamp::now(), None).await {
            Ok(Once::Done(agent)) => return Ok(made(&agent, false)),
            Ok(Once::Replay(_) | Once::Mismatch) | Err(StoreError::Taken { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(taken("name", None).into())
}

fn changed(caller: &Caller, changed: Changed) -> Result<Response, ApiError> {
    match changed {
        Changed::Yes(agent) => Ok(show(caller, *agent)),
        Changed::NotFound => Err(missing("agent")),
        Changed::NoVersion => Err(Problem::invalid("/active_version", "there is no such version").into()),
        Changed::Conflict(current) => {
            let problem = Problem::new(ErrorCode::VersionConflict, "the agent has another active version");
            Err(problem.with("current", current).into())
        }
    }
}

/// Lists agents.
#[utoipa::path(get, path = "/v1/agents", tag = "agents",
    responses((status = 200, body = List<Agent>), (status = "default", body = Problem)), params(AgentsQuery))]
pub async fn agents_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<AgentsQuery>,
) -> Result<Response, ApiError> {
    caller.require("agents:read")?;
    let page = ListQuery { limit: query.limit, after: query.after, order: query.order }.page()?;
    let archived = query.archived.unwrap_or(false);
    let agents = state.store.scoped(caller.scope()).agent_list(archived, page).await?;
    let agents = list(agents, page, |agent| agent.id.uuid());
    Ok(if caller.is_key() {
        Json(agents).into_response()
    } else {
        Json(agents.map(AgentSummary::from)).into_response()
    })
}

/// One agent, by id or name.
#[utoipa::path(get, path = "/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path)),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
pub async fn agents_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Result<Response, ApiError> {
    caller.require("agents:read")?;
    let agent = find(&state, &caller, &agent).await?.ok_or_else(|| missing("agent"))?;
    Ok(show(&caller, agent))
}

/// Changes an agent; a change of its configuration makes the next version.
#[utoipa::path(patch, path = "/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path)), request_body = AgentConfig,
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
pub async fn agents_update(
    State(state): State<AppState>,
    caller: Caller,
    Path(agent): Path<String>,
    headers: HeaderMap,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require_key("agents:write")?;
    let agent = find(&state, &caller, &agent).await?.ok_or_else(|| missing("agent"))?;
    let parsed = AgentBody::split(body.parse()?)?;
    let mut config = parsed.config;
    let activate = match config.remove("activate") {
        None | Some(Value::Null) => true,
        Some(value) => from_value(value, "/activate")?,
    };
    let active_version = match config.remove("active_version") {
        None | Some(Value::Null) => None,
        Some(value) => Some(from_value::<i32>(value, "/active_version")?),
    };
    if active_version.is_some() && !config.is_empty() {
        return Err(Problem::invalid("/active_version", "goes with no change of the configuration").into());
    }
    if let Some(name) = &parsed.name {
        check_agent_name(name)?;
    }
    let metadata = match parsed.metadata {
        None => None,
        Some(patch) => {
            let mut current = serde_json::to_value(&agent.metadata).map_err(ApiError::internal)?;
            merge(&mut current, patch);
            let metadata: Metadata =
                from_value(if current.is_null() { Value::Object(Map::new()) } else { current }, "/metadata")?;
            check_metadata(&metadata)?;
            Some(metadata)
        }
    };
    let config = if config.is_empty() {
        None
    } else {
        let mut merged = serde_json::to_value(&agent.config).map_err(ApiError::internal)?;
        merge(&mut merged, Value::Object(config));
        let merged: AgentConfig = from_value(merged, "")?;
        checked(&state, caller.tenant, &merged).await?;
        super::mcp::check_named(&state, &caller, &merged).await?;
        Some(merged)
    };
    let name = parsed.name.filter(|name| *name != agent.name);
    // What was merged was merged with this version; if another has come meanwhile, the caller's patch is not lost but
    // told to be tried again.
    let if_version = if_match(&headers, "must be an ETag of this agent")?.or(Some(agent.active_version));
    let change = AgentChange { name, metadata, config, activate, active_version, if_version };
    match state.store.scoped(caller.scope()).agent_update(agent.id, &change, Timestamp::now()).await {
        Err(StoreError::Taken { .. }) => Err(taken("name", None).into()),
        other => changed(&caller, other?),
    }
}

/// Archives an agent: no new runs, history stays, its name is free again.
#[utoipa::path(delete, path = "/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn agents_archive(
    State(state): State<AppState>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Result<Response, ApiError> {
    caller.require_key("agents:write")?;
    let agent = find(&state, &caller, &agent).await?.ok_or_else(|| missing("agent"))?;
    if state.store.scoped(caller.scope()).agent_archive(agent.id, Timestamp::now()).await? {
        Ok(no_content())
    } else {
        Err(missing("agent"))
    }
}

/// Lists an agent's versions.
#[utoipa::path(get, path = "/v1/agents/{agent}/versions", tag = "agents", params(("agent" = String, Path), ListQuery),
    responses((status = 200, body = List<Agent>), (status = "default", body = Problem)))]
pub async fn agent_versions_list(
    State(state): State<AppState>,
    caller: Caller,
    Path(agent): Path<String>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<List<Agent>>, ApiError> {
    caller.require_key("agents:read")?;
    let agent = find(&state, &caller, &agent).await?.ok_or_else(|| missing("agent"))?;
    let after = match query.after.as_deref().map(str::parse) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => {
            return Err(Problem::new(ErrorCode::InvalidCursor, "after must be a next_cursor of this list").into());
        }
    };
    let limit = query.limit()?;
    let storage = state.store.scoped(caller.scope());
    let mut versions = storage.agent_versions(agent.id, after, query.ascending()?, limit + 1).await?;
    let more = versions.len() as i64 > limit;
    versions.truncate(limit as usize);
    let cursor = versions.last().filter(|_| more).map(|agent| agent.version.to_string());
    Ok(Json(List::page(versions, cursor)))
}

/// One version of an agent.
#[utoipa::path(get, path = "/v1/agents/{agent}/versions/{version}", tag = "agents",
    params(("agent" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
pub async fn agent_versions_get(
    State(state): State<AppState>,
    caller: Caller,
    Path((agent, version)): Path<(String, String)>,
) -> Result<Json<Agent>, ApiError> {
    caller.require_key("agents:read")?;
    let agent = find(&state, &caller, &agent).await?.ok_or_else(|| missing("agent"))?;
    let version = id(&version, "version")?;
    let found = state.store.scoped(caller.scope()).agent_version(agent.id, version).await?;
    found.map(Json).ok_or_else(|| missing("version"))
}

/// The models that agents can use.
#[utoipa::path(get, path = "/v1/models", tag = "agents",
    responses((status = 200, body = List<Model>), (status = "default", body = Problem)))]
pub async fn models_list(State(state): State<AppState>, caller: Caller) -> Result<Json<List<Model>>, ApiError> {
    caller.require("agents:read")?;
    let own = state.store.scoped(caller.tenant_scope()).provider_key_list().await?;
    let mut models = state.llm.models();
    let terms = state.terms.of(caller.tenant).await?;
    models.retain(|model| terms.grants.allows(&model.id));
    for model in &mut models {
        let own_key = own.iter().any(|key| key.provider == model.provider);
        if own_key {
            model.key = "tenant".into();
        }
        model.price = state.llm.charged(&terms.prices, &model.id, own_key, 0);
    }
    Ok(Json(List::page(models, None)))
}
