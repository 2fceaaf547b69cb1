//! Threads and their messages.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use headwater_protocol::api::{List, MessageParams, Thread, ThreadSettings, check_metadata};
use headwater_protocol::event::{Role, message_for_user};
use headwater_protocol::message::{InputPart, Message};
use headwater_protocol::{ErrorCode, MessageId, Problem, Scope, ThreadId, Timestamp, UserId};
use headwater_store::StoreError;
use headwater_store::pool::Once;
use headwater_store::scoped::{Imported, ThreadFilter};
use serde::Deserialize;

use super::body::ApiBody;
use super::lists::{ListQuery, list, words};
use super::{attachments, created, id, missing, no_content, taken};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::idempotency::mismatch;
use crate::http::query::ApiQuery;
use crate::wiring::AppState;

/// Filters of the list of threads.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ThreadsQuery {
    limit: Option<i64>,
    after: Option<String>,
    order: Option<String>,
    external_id: Option<String>,
    status: Option<String>,
    user: Option<String>,
}

/// Filters of the list of messages.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessagesQuery {
    limit: Option<i64>,
    after: Option<String>,
    order: Option<String>,
    run: Option<String>,
    role: Option<String>,
}

async fn find(state: &AppState, caller: &Caller, text: &str) -> Result<Thread, ApiError> {
    let thread = state.store.scoped(caller.scope()).thread_get(id(text, "thread")?).await?;
    thread.ok_or_else(|| missing("thread"))
}

/// Refuses to change what a run of another agent writes to: its user would speak to an agent past the one that called it.
///
/// # Errors
/// `forbidden`.
pub fn check_own(thread: &Thread) -> Result<(), ApiError> {
    match thread.parent_run {
        None => Ok(()),
        Some(run) => Err(Problem::new(ErrorCode::Forbidden, format!("this thread belongs to a call of {run}")).into()),
    }
}

/// Refuses what was not said by those whose words a caller may give.
///
/// # Errors
/// `forbidden`.
pub fn may_import(caller: &Caller, said: impl IntoIterator<Item = Role>) -> Result<(), Problem> {
    if !caller.is_key() && said.into_iter().any(|role| role != Role::User) {
        return Err(Problem::new(ErrorCode::Forbidden, "only a tenant's key may speak for the assistant"));
    }
    Ok(())
}

/// A user named in a filter, by id or external id. One that is not there matches nothing.
pub async fn user_filter(state: &AppState, caller: &Caller, text: Option<&str>) -> Result<Option<UserId>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(user) = text.parse() {
        return Ok(Some(user));
    }
    Ok(Some(state.auth.user_find(caller.tenant, text).await?.unwrap_or_else(UserId::new)))
}

/// Makes a thread.
#[utoipa::path(post, path = "/v1/threads", tag = "threads", request_body = ThreadSettings,
    responses((status = 201, body = Thread), (status = "default", body = Problem)))]
pub async fn threads_create(
    State(state): State<AppState>,
    caller: Caller,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require("threads:write")?;
    let settings: ThreadSettings = body.parse()?;
    settings.check()?;
    let caller = caller.into_user(&state).await?;
    let storage = state.store.scoped(caller.scope());
    let guard = body.idempotency(&state, &caller)?;
    let (thread, replayed): (ThreadId, bool) =
        match storage.thread_create(&settings, Timestamp::now(), guard.key()).await {
            Ok(Once::Done(thread)) => (thread, false),
            Ok(Once::Replay(object)) => (id(&object, "thread")?, true),
            Ok(Once::Mismatch) => return Err(mismatch()),
            Err(StoreError::Taken { .. }) => {
                let filter = ThreadFilter { external_id: settings.external_id, ..ThreadFilter::default() };
                let page = headwater_store::scoped::Page { after: None, ascending: true, limit: 1 };
                let existing = storage.thread_list(&filter, page).await?.pop();
                return Err(taken("external_id", existing.map(|thread| thread.id.to_string())).into());
            }
            Err(error) => return Err(error.into()),
        };
    let thread = storage.thread_get(thread).await?.ok_or_else(|| missing("thread"))?;
    Ok(created(&thread, &format!("/v1/threads/{}", thread.id), replayed))
}

/// Lists threads.
#[utoipa::path(get, path = "/v1/threads", tag = "threads",
    responses((status = 200, body = List<Thread>), (status = "default", body = Problem)), params(ThreadsQuery))]
pub async fn threads_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ThreadsQuery>,
) -> Result<Json<List<Thread>>, ApiError> {
    caller.require("threads:read")?;
    let page = ListQuery { limit: query.limit, after: query.after, order: query.order }.page()?;
    let filter = ThreadFilter {
        external_id: query.external_id,
        status: words("status", query.status.as_deref(), &["idle", "busy", "suspended"])?,
        user: user_filter(&state, &caller, query.user.as_deref()).await?,
    };
    let threads = state.store.scoped(caller.scope()).thread_list(&filter, page).await?;
    Ok(Json(list(threads, page, |thread| thread.id.uuid())))
}

/// One thread.
#[utoipa::path(get, path = "/v1/threads/{thread}", tag = "threads", params(("thread" = String, Path)),
    responses((status = 200, body = Thread), (status = "default", body = Problem)))]
pub async fn threads_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(thread): Path<String>,
) -> Result<Json<Thread>, ApiError> {
    caller.require("threads:read")?;
    Ok(Json(find(&state, &caller, &thread).await?))
}

/// Changes a thread.
#[utoipa::path(patch, path = "/v1/threads/{thread}", tag = "threads", params(("thread" = String, Path)),
    request_body = ThreadSettings, responses((status = 200, body = Thread), (status = "default", body = Problem)))]
pub async fn threads_update(
    State(state): State<AppState>,
    caller: Caller,
    Path(thread): Path<String>,
    body: ApiBody,
) -> Result<Json<Thread>, ApiError> {
    caller.require("threads:write")?;
    let thread = find(&state, &caller, &thread).await?;
    let current = ThreadSettings { external_id: thread.external_id, title: thread.title, metadata: thread.metadata };
    let settings: ThreadSettings = body.patch(&current)?;
    settings.check()?;
    let storage = state.store.scoped(caller.scope());
    match storage.thread_update(thread.id, &settings, Timestamp::now()).await {
        Ok(true) => {}
        Ok(false) => return Err(missing("thread")),
        Err(StoreError::Taken { .. }) => return Err(taken("external_id", None).into()),
        Err(error) => return Err(error.into()),
    }
    storage.thread_get(thread.id).await?.map(Json).ok_or_else(|| missing("thread"))
}

/// Cancels a thread's runs and erases it with all that hangs on it.
#[utoipa::path(delete, path = "/v1/threads/{thread}", tag = "threads", params(("thread" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn threads_delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(thread): Path<String>,
) -> Result<Response, ApiError> {
    caller.require("threads:write")?;
    let thread = find(&state, &caller, &thread).await?;
    check_own(&thread)?;
    super::runs::cancel_live(&state, caller.scope(), Some(thread.id), None).await?;
    if state.store.scoped(caller.scope()).thread_delete(thread.id).await? {
        Ok(no_content())
    } else {
        Err(missing("thread"))
    }
}

/// Adds a message of the past, without a run.
#[utoipa::path(post, path = "/v1/threads/{thread}/messages", tag = "threads", params(("thread" = String, Path)),
    request_body = MessageParams, responses((status = 201, body = Message), (status = "default", body = Problem)))]
pub async fn messages_create(
    State(state): State<AppState>,
    caller: Caller,
    Path(thread): Path<String>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require("threads:write")?;
    let thread = find(&state, &caller, &thread).await?;
    check_own(&thread)?;
    let params: MessageParams = body.parse()?;
    check_metadata(&params.metadata)?;
    if params.role == Role::Tool {
        return Err(Problem::invalid("/role", "must be user or assistant").into());
    }
    may_import(&caller, [params.role])?;
    let parts = params.content.into_parts("/content")?;
    if params.role == Role::Assistant && parts.iter().any(|(_, part)| !matches!(part, InputPart::Text { .. })) {
        return Err(Problem::invalid("/content", "of an assistant's message must be text").into());
    }
    let storage = state.store.scoped(Scope { tenant: caller.tenant, user: Some(thread.user) });
    let guard = body.idempotency(&state, &caller)?;
    let of = attachments::For { tenant: caller.tenant, user: thread.user, as_user: caller.sees_as_user() };
    // What is shown is kept before the message is: not again for one that was taken before.
    let before = match guard.key() {
        Some(key) if parts.iter().any(|(_, part)| !matches!(part, InputPart::Text { .. })) => {
            storage.idempotency_find(key).await?
        }
        _ => None,
    };
    let kept = match &before {
        None => attachments::keep(&state, of, parts).await?,
        Some(_) => attachments::Kept::default(),
    };
    let imported = match before {
        Some(Once::Replay(object)) => Imported::Once(Once::Replay(object)),
        Some(Once::Done(()) | Once::Mismatch) => Imported::Once(Once::Mismatch),
        None => {
            let at = Timestamp::now();
            storage.message_import(thread.id, params.role, &kept.parts, &params.metadata, at, guard.key()).await?
        }
    };
    if !matches!(imported, Imported::Once(Once::Done(_))) {
        kept.forget(&state, of).await;
    }
    let (message, replayed): (MessageId, bool) = match imported {
        Imported::Once(Once::Done(message)) => (message, false),
        Imported::Once(Once::Replay(object)) => (id(&object, "message")?, true),
        Imported::Once(Once::Mismatch) => return Err(mismatch()),
        Imported::NoThread => return Err(missing("thread")),
        Imported::ArtifactGone => {
            return Err(Problem::invalid("/content", "a picture or a file of it is not there any more").into());
        }
        Imported::Busy(active) => {
            let problem = Problem::new(ErrorCode::ThreadBusy, "a run of this thread is not finished");
            return Err(problem.with("active_run", active.to_string()).into());
        }
    };
    let (message, _) = storage.message_get(thread.id, message).await?.ok_or_else(|| missing("message"))?;
    let location = format!("/v1/threads/{}/messages/{}", thread.id, message.id);
    Ok(created(&message, &location, replayed))
}

/// Lists a thread's messages.
#[utoipa::path(get, path = "/v1/threads/{thread}/messages", tag = "threads", params(("thread" = String, Path), MessagesQuery),
    responses((status = 200, body = List<Message>), (status = "default", body = Problem)))]
pub async fn messages_list(
    State(state): State<AppState>,
    caller: Caller,
    Path(thread): Path<String>,
    ApiQuery(query): ApiQuery<MessagesQuery>,
) -> Result<Json<List<Message>>, ApiError> {
    caller.require("threads:read")?;
    let thread = find(&state, &caller, &thread).await?;
    let page = ListQuery { limit: query.limit, after: query.after, order: query.order }.page()?;
    let roles = words("role", query.role.as_deref(), &["user", "assistant", "tool"])?;
    let run = query
        .run
        .as_deref()
        .map(|text| text.parse().map_err(|_| ApiError::invalid_request("query:run", "must be a run_… id")));
    let run = run.transpose()?;
    let storage = state.store.scoped(caller.scope());
    let messages = storage.message_list(thread.id, run, roles.as_deref(), page).await?;
    let messages = list(messages, page, |(message, _)| message.id.uuid());
    Ok(Json(messages.map(
        |(message, visibility)| {
            if caller.sees_as_user() { message_for_user(message, visibility) } else { message }
        },
    )))
}

/// One message.
#[utoipa::path(get, path = "/v1/threads/{thread}/messages/{message}", tag = "threads",
    params(("thread" = String, Path), ("message" = String, Path)),
    responses((status = 200, body = Message), (status = "default", body = Problem)))]
pub async fn messages_get(
    State(state): State<AppState>,
    caller: Caller,
    Path((thread, message)): Path<(String, String)>,
) -> Result<Json<Message>, ApiError> {
    caller.require("threads:read")?;
    let thread = find(&state, &caller, &thread).await?;
    let storage = state.store.scoped(caller.scope());
    let found = storage.message_get(thread.id, id(&message, "message")?).await?;
    let (message, visibility) = found.ok_or_else(|| missing("message"))?;
    Ok(Json(if caller.sees_as_user() { message_for_user(message, visibility) } else { message }))
}
