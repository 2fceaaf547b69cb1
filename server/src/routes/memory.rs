//! `/v1/memory`: what agents remember of a user, for the user to see and change.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_protocol::api::{List, MAX_MEMORY_BYTES, MemoryEntry, MemoryParams, check_memory_key, holds_nul};
use headwater_protocol::{ErrorCode, Problem, Timestamp};
use headwater_store::scoped::Page;
use serde::Deserialize;

use super::body::ApiBody;
use super::lists::ListQuery;
use super::{missing, no_content, whose};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::ApiQuery;
use crate::wiring::AppState;

/// Which entries to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MemoryQuery {
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// 1 to 100; 20 unless given.
    pub limit: Option<i64>,
    /// The page before's `next_cursor`.
    pub after: Option<String>,
}

/// Lists what is remembered of a user, in the order of the keys.
#[utoipa::path(get, path = "/v1/memory", tag = "memory", params(MemoryQuery),
    responses((status = 200, body = List<MemoryEntry>), (status = "default", body = Problem)))]
pub async fn memory_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<MemoryQuery>,
) -> Result<Json<List<MemoryEntry>>, ApiError> {
    caller.require("threads:read")?;
    let Page { limit, .. } = ListQuery { limit: query.limit, after: None, order: None }.page()?;
    let bad = || Problem::new(ErrorCode::InvalidCursor, "after must be a next_cursor of this list");
    let after = match &query.after {
        None => None,
        Some(cursor) => {
            let key = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
            Some(String::from_utf8(key).ok().filter(|key| !key.contains('\0')).ok_or_else(bad)?)
        }
    };
    let Some(user) = whose(&caller)? else { return Ok(Json(List::page(Vec::new(), None))) };
    let prefix = query.prefix.unwrap_or_default().replace('\0', "");
    let storage = state.store.scoped(caller.scope());
    let mut entries = storage.memory_list(user, &prefix, after.as_deref(), limit).await?;
    let shown = usize::try_from(limit - 1).unwrap_or_default();
    let more = entries.len() > shown;
    entries.truncate(shown);
    let cursor = entries.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(&last.key));
    Ok(Json(List::page(entries, cursor)))
}

/// What is remembered under a key.
#[utoipa::path(get, path = "/v1/memory/{key}", tag = "memory", params(("key" = String, Path)),
    responses((status = 200, body = MemoryEntry), (status = "default", body = Problem)))]
pub async fn memory_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(key): Path<String>,
) -> Result<Json<MemoryEntry>, ApiError> {
    caller.require("threads:read")?;
    let user = whose(&caller)?.filter(|_| check_memory_key("/key", &key).is_ok()).ok_or_else(|| missing("entry"))?;
    let found = state.store.scoped(caller.scope()).memory_get(user, &key).await?;
    Ok(Json(found.ok_or_else(|| missing("entry"))?))
}

/// Remembers something under a key, in place of what was there.
#[utoipa::path(put, path = "/v1/memory/{key}", tag = "memory", params(("key" = String, Path)), request_body = MemoryParams,
    responses((status = 200, body = MemoryEntry), (status = "default", body = Problem)))]
pub async fn memory_put(
    State(state): State<AppState>,
    caller: Caller,
    Path(key): Path<String>,
    body: ApiBody,
) -> Result<Json<MemoryEntry>, ApiError> {
    caller.require("threads:write")?;
    whose(&caller)?;
    let MemoryParams { value } = body.parse()?;
    check_memory_key("/key", &key)?;
    if value.to_string().len() > MAX_MEMORY_BYTES || holds_nul(&value) {
        return Err(Problem::invalid("/value", "must be at most 16384 bytes of JSON, without NUL characters").into());
    }
    let caller = caller.into_user(&state).await?;
    let user = caller.user.known().ok_or_else(|| missing("user"))?;
    let put = state.store.scoped(caller.scope()).memory_put(user, &key, &value, Timestamp::now(), None).await?;
    Ok(Json(put.ok_or_else(|| Problem::invalid("/key", "as much is remembered of this user as may be"))?))
}

/// Forgets what is remembered under a key.
#[utoipa::path(delete, path = "/v1/memory/{key}", tag = "memory", params(("key" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn memory_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(key): Path<String>,
) -> Result<Response, ApiError> {
    caller.require("threads:write")?;
    let user = whose(&caller)?.filter(|_| check_memory_key("/key", &key).is_ok()).ok_or_else(|| missing("entry"))?;
    if !state.store.scoped(caller.scope()).memory_delete(user, &key, None).await? {
        return Err(missing("entry"));
    }
    Ok(no_content())
}
