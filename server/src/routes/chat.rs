//! `/api/chat`: what `useChat` of Vercel's AI SDK talks to, as it is.
//!
//! A chat is a thread: its id is the thread's `external_id` (or the id of one of ours). Of the messages that such a client sends along, the
//! last one counts: the thread remembers the others. Its answer is the run's log, told by [`crate::faces::ai_sdk`].

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::api::{Decider, Decision, RunParams, RunStatus, Thread, ToolOutput};
use headwater_protocol::event::{Pending, message_for_user};
use headwater_protocol::message::Message;
use headwater_protocol::{ApprovalId, Problem, RunId, Scope, Timestamp};
use headwater_store::scoped::{CallAnswer, Page, RunFilter};
use headwater_stream::{Opened, Trouble};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{ApiBody, Once, from_value};
use super::runs::cancelled;
use super::streams::{AnswerTo, blocks_of, stream_of};
use super::talk::{On, thread_of, to_rest};
use super::{calls, missing, no_content, talk, whose};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::faces::ai_sdk::{AiSdk, messages};
use crate::faces::{place_of, worn};
use crate::http::ApiQuery;
use crate::keys::name_of;
use crate::wiring::AppState;

/// Who comes back so soon after the end is told the answer once more: it may have been cut right before.
const GRACE_MS: i64 = 60_000;

/// A message as the AI SDK writes it.
#[derive(Debug, Clone, Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct UiMessage {
    /// The client's own id; that of an answer is the run's.
    pub id: String,
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// Its parts.
    pub parts: Vec<Value>,
}

/// What `useChat` sends. What else its `body` holds is let go by.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct ChatParams {
    /// The chat.
    pub id: String,
    /// Its messages. The last one is what is said, or is an answer of ours with what was decided and found out since.
    pub messages: Vec<UiMessage>,
    /// `submit-message` or `regenerate-message`.
    #[serde(default)]
    pub trigger: Option<String>,
    /// Which agent, by name or id: to be set in the transport's `body`. A user's token for a single agent need not.
    #[serde(default)]
    pub agent: Option<String>,
}

/// Which agent, where the body does not say so.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChatQuery {
    /// By name or id.
    pub agent: Option<String>,
}

/// Says something in a chat, or goes on with an answer that waits, as `useChat` does. The answer is a UI message stream.
#[utoipa::path(post, path = "/api/chat", tag = "ai_sdk", params(ChatQuery), request_body = ChatParams,
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "default", body = Problem)))]
pub async fn chat_create(
    State(state): State<AppState>,
    caller: Caller,
    to: AnswerTo,
    ApiQuery(query): ApiQuery<ChatQuery>,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require("runs:write")?;
    let params: ChatParams = body.parse()?;
    let at = params.messages.len().saturating_sub(1);
    let Some(last) = params.messages.last().cloned() else {
        return Err(Problem::invalid("/messages", "must hold what is said").into());
    };
    match last.role.as_str() {
        "user" => Box::pin(say(state, caller, to, query, body, params, last)).await,
        "assistant" => Box::pin(go_on(state, caller, to, params, last)).await,
        _ => {
            Err(Problem::invalid(format!("/messages/{at}/role"), "the last message must be a user's, or an answer")
                .into())
        }
    }
}

/// A chat of the user that this caller is, or acts for.
async fn chat_of(state: &AppState, caller: &Caller, chat: &str) -> Result<Option<Thread>, ApiError> {
    match whose(caller)? {
        Some(user) => thread_of(state, Scope { tenant: caller.tenant, user: Some(user) }, chat).await,
        None => Ok(None),
    }
}

/// Parts of a message as ours: words and files. Others are for the client itself.
fn input(message: &UiMessage, at: usize) -> Result<Vec<Value>, Problem> {
    let mut input = Vec::new();
    for (part, nth) in message.parts.iter().zip(0..) {
        let text = |field: &str| part[field].as_str();
        match text("type") {
            Some("text") => input.push(json!({"type": "text", "text": text("text").unwrap_or_default()})),
            Some("file") => {
                let bad = |words: &str| Problem::invalid(format!("/messages/{at}/parts/{nth}/url"), words);
                let url = text("url").ok_or_else(|| bad("must be a URL"))?;
                let source = talk::source(url).map_err(bad)?;
                let is_image = text("mediaType").is_some_and(|kind| kind.starts_with("image/"));
                input.push(if is_image {
                    json!({"type": "image", "source": source})
                } else {
                    json!({"type": "file", "source": source, "filename": text("filename")})
                });
            }
            _ => {}
        }
    }
    if input.is_empty() {
        return Err(Problem::invalid(format!("/messages/{at}/parts"), "must hold words or files"));
    }
    Ok(input)
}

/// A new message: a run.
async fn say(
    state: AppState,
    caller: Caller,
    to: AnswerTo,
    query: ChatQuery,
    body: ApiBody,
    params: ChatParams,
    last: UiMessage,
) -> Result<Response, ApiError> {
    let at = params.messages.len() - 1;
    let only = caller.agents.as_deref().and_then(|agents| if let [one] = agents { Some(one.clone()) } else { None });
    let agent = params.agent.or(query.agent).or(only);
    let agent =
        agent.ok_or_else(|| Problem::invalid("/agent", "must name the agent: set it in the transport's body"))?;
    let caller = caller.into_user(&state).await?;
    let user = caller.user.known().ok_or_else(|| missing("user"))?;
    let scope = Scope { tenant: caller.tenant, user: Some(user) };
    let run = json!({"agent": agent, "input": input(&last, at)?});
    let run: RunParams = from_value(run, "")?;
    let mut once = body.idempotency(&state, &caller)?;
    if once.key().is_none() && params.trigger.as_deref() != Some("regenerate-message") {
        // A request that is sent again, by whatever stands in between, is told the answer that there is.
        let said = serde_json::to_vec(&json!([params.id, agent, last])).map_err(ApiError::internal)?;
        once = Once::named(&caller, format!("chat-{}", name_of(&said)), &said);
    }
    let accepted = talk::say(&state, &caller, user, run, On::Named(params.id, "/id"), once.key()).await?;
    let reader = to_rest(&state, &caller, scope, to);
    let (run, opened) = talk::listen(&state, accepted, user, reader).await?;
    drop(once);
    answer(run, opened, AiSdk::new(), 0)
}

/// An answer that waits, with what was decided and found out since: it goes on.
async fn go_on(
    state: AppState,
    caller: Caller,
    to: AnswerTo,
    params: ChatParams,
    last: UiMessage,
) -> Result<Response, ApiError> {
    let at = params.messages.len() - 1;
    let found = match (chat_of(&state, &caller, &params.id).await?, last.id.parse::<RunId>()) {
        (Some(thread), Ok(run)) => {
            let scope = Scope { tenant: caller.tenant, user: Some(thread.user) };
            let snapshot = state.store.scoped(scope).run_snapshot(run).await?;
            snapshot.filter(|snapshot| snapshot.run.thread == thread.id).map(|snapshot| (scope, snapshot))
        }
        _ => None,
    };
    let (scope, snapshot) =
        found.ok_or_else(|| Problem::invalid(format!("/messages/{at}/id"), "must be an answer of this chat"))?;
    let run = snapshot.run.id;
    let (decisions, outputs) = given(&last, &snapshot.pending, at)?;
    let has_given = !decisions.is_empty() || !outputs.is_empty();
    let taken = outputs.iter().map(|(output, _)| (output.call.to_string(), json!(output.output))).collect();
    let answers: Vec<CallAnswer> = outputs.into_iter().map(|(_, answer)| answer).collect();
    talk::give(&state, &caller, run, decisions, &answers).await?;
    // Where the client has come to rest; one that has not kept that has it as it is.
    let rested = last.parts.iter().rev().find(|part| part["type"] == "data-suspended");
    let rested = rested.and_then(|part| part["data"]["seq"].as_u64());
    let until = rested.unwrap_or(snapshot.run.as_of_seq).min(snapshot.run.as_of_seq);
    if !has_given && until == snapshot.run.as_of_seq && snapshot.run.status != RunStatus::Running {
        // An answer without anything in it would be asked for again and again by a client that sends by itself.
        let words = "holds nothing that this answer waits for";
        return Err(Problem::invalid(format!("/messages/{at}/parts"), words).into());
    }
    let opened = state.streams.open(run, to_rest(&state, &caller, scope, to)).await?;
    answer(run, opened, AiSdk::goes_on(until, taken), until)
}

/// What an answer has been given by its client: decisions, and outputs of its own calls, each with where it goes.
type Given = (Vec<(ApprovalId, Decision)>, Vec<(ToolOutput, CallAnswer)>);

/// What of an answer's parts the run waits for. All of it is looked at before any of it counts.
fn given(last: &UiMessage, pending: &[Pending], at: usize) -> Result<Given, ApiError> {
    let (mut decisions, mut outputs) = (Vec::new(), Vec::new());
    for (part, nth) in last.parts.iter().zip(0..) {
        let at = format!("/messages/{at}/parts/{nth}");
        let Some(call) = part["toolCallId"].as_str() else { continue };
        let is_of = |pending: &&Pending| pending.call.is_some_and(|it| it.to_string() == call);
        let Some(pending) = pending.iter().find(is_of) else { continue };
        let output = match (part["state"].as_str(), pending.approval, pending.call) {
            // What was decided was this question: the same call may be asked about once more.
            (Some("approval-responded"), Some(approval), _) if part["approval"]["id"] == approval.to_string() => {
                let verdict = if part["approval"]["approved"] == true { "approved" } else { "denied" };
                let decision = json!({"decision": verdict, "comment": part["approval"]["reason"]});
                decisions.push((approval, from_value::<Decision>(decision, &format!("{at}/approval"))?));
                continue;
            }
            (Some("output-available"), None, Some(call)) if pending.kind == "input" && part["preliminary"] != true => {
                ToolOutput { call, output: Some(part["output"].clone()), error: None }
            }
            (Some("output-error"), None, Some(call)) if pending.kind == "input" => {
                let words = part["errorText"].as_str().unwrap_or("it failed").to_owned();
                ToolOutput { call, output: None, error: Some(words) }
            }
            _ => continue,
        };
        outputs.push((output.clone(), calls::checked(output, &at)?));
    }
    Ok((decisions, outputs))
}

/// What was said in a chat, oldest first: the last hundred of its thread's messages.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Chat {
    /// Always `chat`.
    pub object: String,
    /// As `useChat` takes them.
    pub messages: Vec<Value>,
}

/// What was said in a chat, for a page that is opened anew. A chat of which nothing is known is empty.
#[utoipa::path(get, path = "/api/chat/{chat}", tag = "ai_sdk", params(("chat" = String, Path)),
    responses((status = 200, body = Chat), (status = "default", body = Problem)))]
pub async fn chat_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(chat): Path<String>,
) -> Result<Json<Chat>, ApiError> {
    caller.require("threads:read")?;
    let Some(thread) = chat_of(&state, &caller, &chat).await? else {
        return Ok(Json(Chat { object: "chat".into(), messages: Vec::new() }));
    };
    let storage = state.store.scoped(Scope { tenant: caller.tenant, user: Some(thread.user) });
    let last = Page { after: None, ascending: false, limit: 100 };
    let mut said: Vec<Message> = Vec::new();
    for (message, visibility) in storage.message_list(thread.id, None, None, last).await? {
        said.push(if caller.sees_as_user() { message_for_user(message, visibility) } else { message });
    }
    said.reverse();
    let active = match thread.active_run {
        Some(run) => storage.run_snapshot(run).await?,
        None => None,
    };
    let so_far = active.as_ref().map(|active| (active.run.id, active.run.as_of_seq));
    let mut waits = active.map(|active| active.pending).unwrap_or_default();
    for wait in &mut waits {
        let Some(approval) = wait.approval else { continue };
        // Who may not decide is not asked.
        let found = storage.approval_get(approval).await?;
        if !found.is_some_and(|(it, _)| it.deciders.contains(&Decider::User)) {
            wait.approval = None;
        }
    }
    Ok(Json(Chat { object: "chat".into(), messages: messages(&said, &waits, so_far) }))
}

/// The answer of a chat that is being written, or was a moment ago, from its beginning or behind an event. 204: there is none.
#[utoipa::path(get, path = "/api/chat/{chat}/stream", tag = "ai_sdk", params(("chat" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 204), (status = "default", body = Problem)))]
pub async fn chat_stream(
    State(state): State<AppState>,
    caller: Caller,
    Path(chat): Path<String>,
    to: AnswerTo,
) -> Result<Response, ApiError> {
    caller.require("runs:read")?;
    let seen = to.headers.get("last-event-id").and_then(|id| place_of(id.to_str().ok()?));
    let Some(thread) = chat_of(&state, &caller, &chat).await? else { return Ok(no_content()) };
    let Some(run) = latest(&state, &thread, caller.tenant).await? else { return Ok(no_content()) };
    let scope = Scope { tenant: caller.tenant, user: Some(thread.user) };
    let opened = state.streams.open(run, to_rest(&state, &caller, scope, to)).await?;
    // Of another answer it says nothing.
    let after = seen.filter(|(of, _)| *of == run).map_or(0, |(_, seq)| seq);
    let face = if after == 0 { AiSdk::new() } else { AiSdk::goes_on(after, Vec::new()) };
    answer(run, opened, face, after)
}

/// The run that is under way on a thread, or has ended a moment ago.
async fn latest(
    state: &AppState,
    thread: &Thread,
    tenant: headwater_protocol::TenantId,
) -> Result<Option<RunId>, ApiError> {
    if let Some(run) = thread.active_run {
        return Ok(Some(run));
    }
    let filter = RunFilter { thread: Some(thread.id), ..RunFilter::default() };
    let storage = state.store.scoped(Scope { tenant, user: Some(thread.user) });
    let last = storage.run_list(&filter, Page { after: None, ascending: false, limit: 1 }).await?;
    let now = Timestamp::now().ms();
    let recent = |at: Timestamp| now.saturating_sub(at.ms()) < GRACE_MS;
    Ok(last.first().filter(|(run, _)| run.finished_at.is_some_and(recent)).map(|(run, _)| run.id))
}

/// Ends the answer that is being written. What was said stays. Leaving the stream, as `stop()` does, ends nothing.
#[utoipa::path(post, path = "/api/chat/{chat}/stop", tag = "ai_sdk", params(("chat" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn chat_stop(
    State(state): State<AppState>,
    caller: Caller,
    Path(chat): Path<String>,
) -> Result<Response, ApiError> {
    caller.require("runs:write")?;
    let thread = chat_of(&state, &caller, &chat).await?.ok_or_else(|| missing("chat"))?;
    if let Some(run) = thread.active_run {
        cancelled(&state, &caller, run).await?;
    }
    Ok(no_content())
}

/// A stream of ours as this client reads it.
fn answer(run: RunId, opened: Result<Opened, Trouble>, face: AiSdk, after: u64) -> Result<Response, ApiError> {
    let blocks = blocks_of(opened)?.ok_or_else(|| missing("run"))?;
    let mut response = stream_of(StatusCode::OK, Body::from_stream(worn(face, blocks, after)), false).into_response();
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-vercel-ai-ui-message-stream"), HeaderValue::from_static("v1"));
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/runs/{run}")) {
        headers.insert(http::header::LOCATION, location);
    }
    Ok(response)
}
