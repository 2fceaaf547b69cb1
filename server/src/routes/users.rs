//! Users of a tenant.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use headwater_protocol::api::{List, User, UserSettings};
use headwater_protocol::{Problem, Timestamp, UserId};
use headwater_store::StoreError;
use headwater_store::pool::Once;
use serde::Deserialize;

use super::body::ApiBody;
use super::lists::{ListQuery, list, words};
use super::{created, id, missing, no_content, taken};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::idempotency::mismatch;
use crate::http::query::ApiQuery;
use crate::wiring::AppState;

/// Filters of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsersQuery {
    limit: Option<i64>,
    after: Option<String>,
    order: Option<String>,
    external_id: Option<String>,
    status: Option<String>,
}

/// The user that a path names, by id or by the tenant's own id.
async fn find(state: &AppState, caller: &Caller, text: &str) -> Result<User, ApiError> {
    let storage = state.store.scoped(caller.tenant_scope());
    let user = match text.parse::<UserId>() {
        Ok(id) => storage.user_get(id).await?,
        // Postgres knows no NUL; no id has one.
        Err(_) if text.contains('\0') => None,
        Err(_) => storage.user_by_external_id(text).await?,
    };
    user.ok_or_else(|| missing("user"))
}

async fn external_id_taken(state: &AppState, caller: &Caller, error: StoreError, wanted: Option<&str>) -> ApiError {
    if !matches!(error, StoreError::Taken { .. }) {
        return error.into();
    }
    let found = match wanted {
        Some(wanted) => state.store.scoped(caller.tenant_scope()).user_by_external_id(wanted).await.ok().flatten(),
        None => None,
    };
    taken("external_id", found.map(|user| user.id.to_string())).into()
}

/// Makes a user.
#[utoipa::path(post, path = "/v1/users", tag = "users", request_body = UserSettings,
    responses((status = 201, body = User), (status = "default", body = Problem)))]
pub async fn users_create(State(state): State<AppState>, caller: Caller, body: ApiBody) -> Result<Response, ApiError> {
    caller.require_key("users:write")?;
    let settings: UserSettings = body.parse()?;
    settings.check()?;
    // The tenant makes users, whoever it acts for: a user's own scope cannot.
    let scope = headwater_protocol::Scope { tenant: caller.tenant, user: None };
    let storage = state.store.scoped(scope);
    let guard = body.idempotency(&state, &caller)?;
    let made = storage.user_create(&settings, Timestamp::now(), guard.key()).await;
    match made {
        Ok(Once::Done(user)) => Ok(created(&user, &format!("/v1/users/{}", user.id), false)),
        Ok(Once::Replay(object)) => {
            let user = storage.user_get(id(&object, "user")?).await?.ok_or_else(|| missing("user"))?;
            Ok(created(&user, &format!("/v1/users/{}", user.id), true))
        }
        Ok(Once::Mismatch) => Err(mismatch()),
        Err(error) => Err(external_id_taken(&state, &caller, error, settings.external_id.as_deref()).await),
    }
}

/// Lists users.
#[utoipa::path(get, path = "/v1/users", tag = "users",
    responses((status = 200, body = List<User>), (status = "default", body = Problem)), params(UsersQuery))]
pub async fn users_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<UsersQuery>,
) -> Result<Json<List<User>>, ApiError> {
    caller.require_key("users:read")?;
    let page = ListQuery { limit: query.limit, after: query.after, order: query.order }.page()?;
    let status = words("status", query.status.as_deref(), &["active", "blocked"])?;
    let storage = state.store.scoped(caller.tenant_scope());
    let users = storage.user_list(query.external_id.as_deref(), status.as_deref(), page).await?;
    Ok(Json(list(users, page, |user| user.id.uuid())))
}

/// One user, by id or external id.
#[utoipa::path(get, path = "/v1/users/{user}", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = User), (status = "default", body = Problem)))]
pub async fn users_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Json<User>, ApiError> {
    caller.require_key("users:read")?;
    Ok(Json(find(&state, &caller, &user).await?))
}

/// Changes a user.
#[utoipa::path(patch, path = "/v1/users/{user}", tag = "users", params(("user" = String, Path)),
    request_body = UserSettings, responses((status = 200, body = User), (status = "default", body = Problem)))]
pub async fn users_update(
    State(state): State<AppState>,
    caller: Caller,
    Path(user): Path<String>,
    body: ApiBody,
) -> Result<Json<User>, ApiError> {
    caller.require_key("users:write")?;
    let user = find(&state, &caller, &user).await?;
    let current =
        UserSettings { external_id: user.external_id, name: user.name, status: user.status, metadata: user.metadata };
    let settings: UserSettings = body.patch(&current)?;
    settings.check()?;
    let changed = state.store.scoped(caller.tenant_scope()).user_update(user.id, &settings, Timestamp::now()).await;
    state.auth.forget(caller.tenant, Some(user.id)).await;
    match changed {
        Ok(user) => user.map(Json).ok_or_else(|| missing("user")),
        Err(error) => Err(external_id_taken(&state, &caller, error, settings.external_id.as_deref()).await),
    }
}

/// Cancels a user's runs and erases all that is the user's.
#[utoipa::path(delete, path = "/v1/users/{user}", tag = "users", params(("user" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn users_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Response, ApiError> {
    caller.require_key("users:write")?;
    let user = find(&state, &caller, &user).await?;
    // The tenant erases, whoever it acts for: a user's own scope cannot.
    let scope = headwater_protocol::Scope { tenant: caller.tenant, user: None };
    super::runs::cancel_live(&state, scope, None, Some(user.id)).await?;
    let erased = state.store.scoped(scope).user_delete(user.id).await?;
    state.auth.forget(caller.tenant, Some(user.id)).await;
    if erased { Ok(no_content()) } else { Err(missing("user")) }
}
