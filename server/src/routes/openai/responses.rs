//! `/v1/responses`: runs as OpenAI's Responses API has them.
//!
//! A response is a run, or the stretch of one behind a rest (see [`crate::faces::responses`]); `previous_response_id` and `conversation` name
//! its thread. Whatever a request asks for, its answer is made in the background and kept: leaving ends nothing.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::api::{OnDisconnect, Overrides, Run, RunParams, RunStatus, Thread};
use headwater_protocol::event::type_of;
use headwater_protocol::message::Metadata;
use headwater_protocol::{ErrorCode, Problem, RunId, Scope};
use headwater_store::scoped::{Page, RunFilter};
use headwater_stream::{Cursor, Opened, Trouble};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{self, Input};
use super::{acting, agent_of, say};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::faces::responses::{About, ResponseId, Responses};
use crate::faces::{Face as _, so_far, whole, worn};
use crate::http::ApiQuery;
use crate::routes::answers::{decider, waits_for_nothing};
use crate::routes::body::{ApiBody, from_value};
use crate::routes::runs::{cancelled, earlier, page_of};
use crate::routes::streams::{AnswerTo, blocks_of, stream_of};
use crate::routes::talk::{self, On, passes_by, stays, thread_of};
use crate::routes::{mark, missing};
use crate::wiring::AppState;

/// What a client of OpenAI asks for. Fields of theirs that say nothing here (`include`, `service_tier`, …) are let go by; those that would
/// mean something and are not built are refused, and so is what is none of theirs.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseParams {
    /// An agent, by name or id; or a model.
    pub model: String,
    /// Words, or a list of items.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub input: Option<Value>,
    /// In place of the agent's own.
    #[serde(default)]
    pub instructions: Option<String>,
    /// The last response of a thread: what is said goes on there.
    #[serde(default)]
    pub previous_response_id: Option<String>,
    /// A thread, by id or `external_id`; made if there is none of that name.
    #[serde(default)]
    pub conversation: Option<Value>,
    /// Whether the answer is told as it is made.
    #[serde(default)]
    pub stream: Option<bool>,
    /// Whether the answer is not waited for.
    #[serde(default)]
    pub background: Option<bool>,
    /// Functions, which the client carries out.
    #[serde(default)]
    pub tools: Option<Vec<Value>>,
    /// `auto`, `none` or `required`.
    #[serde(default)]
    pub tool_choice: Option<Value>,
    /// What the answer has to look like: `format`.
    #[serde(default)]
    pub text: Option<Value>,
    /// How hard the model is to think: `effort`.
    #[serde(default)]
    pub reasoning: Option<Value>,
    /// Bound of each step.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// Sampling.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Sampling.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// Own pairs.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// With a tenant's key and no `Headwater-User`: whom it is for.
    #[serde(default)]
    pub user: Option<String>,
    /// The same, by its newer name.
    #[serde(default)]
    pub safety_identifier: Option<String>,
    /// Must not be false: what is said is kept, as long as the tenant keeps it.
    #[serde(default)]
    pub store: Option<bool>,
    #[serde(default, rename = "include")]
    _include: Option<Value>,
    #[serde(default, rename = "parallel_tool_calls")]
    _parallel_tool_calls: Option<Value>,
    #[serde(default, rename = "prompt_cache_key")]
    _prompt_cache_key: Option<Value>,
    #[serde(default, rename = "prompt_cache_retention")]
    _prompt_cache_retention: Option<Value>,
    #[serde(default, rename = "service_tier")]
    _service_tier: Option<Value>,
    #[serde(default, rename = "stream_options")]
    _stream_options: Option<Value>,
    #[serde(default, rename = "truncation")]
    _truncation: Option<Value>,
}

/// How a response is read.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResponseQuery {
    /// Whether it is told as it was made, and is being made.
    pub stream: Option<bool>,
    /// Only what is numbered higher (`sequence_number`).
    #[param(minimum = 0)]
    pub starting_after: Option<i64>,
    #[serde(rename = "include")]
    #[param(rename = "include")]
    _include: Option<String>,
    #[serde(rename = "include[]")]
    #[param(rename = "include[]")]
    _includes: Option<String>,
    #[serde(rename = "include_obfuscation")]
    #[param(rename = "include_obfuscation")]
    _include_obfuscation: Option<bool>,
}

/// How an answer is to be had.
#[derive(Clone, Copy)]
enum Way {
    /// As it is made, from behind this number.
    Streamed(u64),
    /// Once it is there.
    Whole,
    /// As it stands.
    Now,
}

/// Has an agent answer, or go on with an answer that waits for its client.
#[utoipa::path(post, path = "/v1/responses", tag = "openai", request_body = ResponseParams,
    responses((status = 200, body = Value), (status = "default", body = Problem)))]
pub async fn responses_create(
    State(state): State<AppState>,
    caller: Caller,
    to: AnswerTo,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require("runs:write")?;
    let params: ResponseParams = body.parse()?;
    if params.store == Some(false) {
        return Err(Problem::invalid(
            "/store",
            "must be true: what is said is kept for as long as the tenant has it kept",
        )
        .into());
    }
    let caller = acting(&state, caller, params.user.as_deref().or(params.safety_identifier.as_deref())).await?;
    let way = match (params.stream.unwrap_or(false), params.background.unwrap_or(false)) {
        (true, _) => Way::Streamed(0),
        (false, true) => Way::Now,
        (false, false) => Way::Whole,
    };
    let mut input = Input::of_response(params.input.as_ref().unwrap_or(&Value::Null))?;
    let previous: Option<ResponseId> = match &params.previous_response_id {
        None => None,
        Some(named) => Some(named.parse().map_err(|()| no_previous())?),
    };
    let answers = std::mem::take(&mut input.answers);
    if let Some(on) = answers.give(&state, &caller, previous.map(|previous| previous.run), "/input").await? {
        let opened = state.streams.open(on.run, stays(&state, &caller, on.scope, to)).await?;
        return answer(&state, &caller, ResponseId { run: on.run, behind: on.behind }, on.scope, opened, way).await;
    }
    let caller = caller.into_user(&state).await?;
    let user = caller.user.known().ok_or_else(|| missing("user"))?;
    let scope = Scope { tenant: caller.tenant, user: Some(user) };
    let once = body.idempotency_or_count(&state, &caller).await?;
    // A request that is sent again finds its own run to be the last.
    let is_again = earlier(&state, &caller, once.key()).await?.is_some();
    let on = on(&state, scope, &params, previous, is_again).await?;
    if let (false, On::Thread(thread)) = (is_again, &on) {
        waits_for_nothing(&state, &caller, scope, thread, "/input").await?;
    }
    let in_background = params.background.unwrap_or(false);
    let mut run = run_of(&state, &caller, params).await?;
    if in_background {
        // Nobody reads it now, and that is no reason to end it.
        run.on_disconnect = Some(OnDisconnect::Continue);
    }
    let accepted = say(&state, &caller, user, input, run, on, &once).await?;
    let reader = match way {
        Way::Now => passes_by(&state, &caller, scope),
        Way::Streamed(_) | Way::Whole => stays(&state, &caller, scope, to),
    };
    let (run, opened) = talk::listen(&state, accepted, user, reader).await?;
    drop(once);
    let mut response = answer(&state, &caller, ResponseId { run, behind: 0 }, scope, opened, way).await?;
    mark(&mut response, is_again);
    Ok(response)
}

/// One response, as it stands or as it is made.
#[utoipa::path(get, path = "/v1/responses/{response}", tag = "openai", params(("response" = String, Path), ResponseQuery),
    responses((status = 200, body = Value), (status = "default", body = Problem)))]
pub async fn responses_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(response): Path<String>,
    to: AnswerTo,
    ApiQuery(query): ApiQuery<ResponseQuery>,
) -> Result<Response, ApiError> {
    caller.require("runs:read")?;
    let (id, scope) = found(&state, &caller, &response).await?;
    let starting_after = u64::try_from(query.starting_after.unwrap_or(0))
        .map_err(|_| ApiError::invalid_request("query:starting_after", "must be 0 or more"))?;
    let (way, reader) = match query.stream.unwrap_or(false) {
        true => (Way::Streamed(starting_after), stays(&state, &caller, scope, to)),
        false => (Way::Now, passes_by(&state, &caller, scope)),
    };
    let opened = state.streams.open(id.run, reader).await?;
    answer(&state, &caller, id, scope, opened, way).await
}

/// Ends a response that is being made, and with it the run.
#[utoipa::path(post, path = "/v1/responses/{response}/cancel", tag = "openai", params(("response" = String, Path)),
    responses((status = 200, body = Value), (status = "default", body = Problem)))]
pub async fn responses_cancel(
    State(state): State<AppState>,
    caller: Caller,
    Path(response): Path<String>,
) -> Result<Response, ApiError> {
    caller.require("runs:write")?;
    let (id, scope) = found(&state, &caller, &response).await?;
    let face = Responses::new(about(&state, &caller, id.run, scope).await?, decider(&caller), id.behind, 0);
    let opened = state.streams.open(id.run, passes_by(&state, &caller, scope)).await?;
    let blocks = blocks_of(opened)?.ok_or_else(|| missing("response"))?;
    // One that is over stays as it is, though its run may be going on in another one.
    if !so_far(face, blocks).await.is_some_and(|face| face.is_over()) {
        cancelled(&state, &caller, id.run).await?;
    }
    let opened = state.streams.open(id.run, passes_by(&state, &caller, scope)).await?;
    answer(&state, &caller, id, scope, opened, Way::Now).await
}

/// A response of this caller's, and whose it is.
async fn found(state: &AppState, caller: &Caller, named: &str) -> Result<(ResponseId, Scope), ApiError> {
    let id: ResponseId = named.parse().map_err(|()| missing("response"))?;
    let run = state.store.scoped(caller.scope()).run_get(id.run).await?;
    let (run, _) = run.ok_or_else(|| missing("response"))?;
    if id.behind > 0 {
        // Behind a rest, and behind nothing else.
        if id.behind > run.as_of_seq {
            return Err(missing("response"));
        }
        let (page, ..) = page_of(state, caller, id.run, Cursor::After(id.behind - 1), 1).await?;
        if page.lines.lines().next().is_none_or(|line| type_of(line) != "run.suspended") {
            return Err(missing("response"));
        }
    }
    Ok((id, Scope { tenant: caller.tenant, user: Some(run.user) }))
}

fn no_previous() -> ApiError {
    Problem::invalid("/previous_response_id", "names no response").into()
}

/// Where it is said.
async fn on(
    state: &AppState,
    scope: Scope,
    params: &ResponseParams,
    previous: Option<ResponseId>,
    is_again: bool,
) -> Result<On, ApiError> {
    let conversation = match &params.conversation {
        None => None,
        Some(named) => named.as_str().or(named["id"].as_str()).map(str::to_owned),
    };
    let Some(previous) = previous else {
        let Some(named) = conversation else { return Ok(On::New) };
        return Ok(match thread_of(state, scope, &named).await? {
            Some(thread) => On::Thread(thread),
            None if named.parse::<headwater_protocol::ThreadId>().is_ok() => return Err(missing("conversation")),
            None => On::Named(named, "/conversation"),
        });
    };
    if conversation.is_some() {
        return Err(Problem::invalid("/conversation", "goes with no previous_response_id").into());
    }
    let storage = state.store.scoped(scope);
    let (run, _) = storage.run_get(previous.run).await?.ok_or_else(no_previous)?;
    let thread: Thread = storage.thread_get(run.thread).await?.ok_or_else(no_previous)?;
    if !is_again && !is_last(state, scope, &thread, previous.run).await? {
        let words = "must be the last of its thread: threads do not fork";
        return Err(Problem::invalid("/previous_response_id", words).into());
    }
    Ok(On::Thread(thread))
}

/// How many answers may have come to nothing since the one that is gone on from.
const FAILED: i64 = 20;

/// Whether nothing has come of what was said on the thread since: what failed or was cancelled is asked for again from where it was.
async fn is_last(state: &AppState, scope: Scope, thread: &Thread, run: RunId) -> Result<bool, ApiError> {
    let filter = RunFilter { thread: Some(thread.id), ..RunFilter::default() };
    let page = Page { after: None, ascending: false, limit: FAILED + 1 };
    let newest = state.store.scoped(scope).run_list(&filter, page).await?;
    let came_to_nothing = |it: &Run| matches!(it.status, RunStatus::Failed | RunStatus::Cancelled);
    let last = newest.iter().find(|(it, _)| it.id == run || !came_to_nothing(it));
    Ok(last.is_some_and(|(it, _)| it.id == run))
}

/// The run that is asked for, but for what is said.
async fn run_of(state: &AppState, caller: &Caller, params: ResponseParams) -> Result<RunParams, ApiError> {
    let (agent, model) = agent_of(state, caller, &params.model).await?;
    let mut set = Overrides {
        model,
        instructions: params.instructions,
        temperature: params.temperature,
        top_p: params.top_p,
        max_output_tokens: params.max_output_tokens,
        tools: input::tools(&params.tools.unwrap_or_default())?,
        ..Overrides::default()
    };
    input::tool_choice(params.tool_choice.as_ref(), &mut set)?;
    let mut run = serde_json::to_value(&set).map_err(ApiError::internal)?;
    let format = params.text.map(|text| text["format"].clone()).unwrap_or_default();
    run["response_format"] = input::format(&format, &format, "/text/format")?.unwrap_or_default();
    let effort = params.reasoning.as_ref().and_then(|reasoning| reasoning["effort"].as_str());
    run["reasoning_effort"] = input::effort(effort)?.unwrap_or_default();
    run["agent"] = agent.into();
    run["input"] = "".into();
    run["metadata"] = json!(params.metadata);
    from_value(run, "")
}

/// What is known of a response beside its events.
async fn about(state: &AppState, caller: &Caller, run: RunId, scope: Scope) -> Result<About, ApiError> {
    let storage = state.store.scoped(scope);
    let read = storage.run_for_loop(run).await?.ok_or_else(|| missing("response"))?;
    let agent = storage.agent_get(read.run.agent).await?;
    let before = Page { after: Some(run.uuid()), ascending: false, limit: 1 };
    let filter = RunFilter { thread: Some(read.run.thread), ..RunFilter::default() };
    let previous = storage.run_list(&filter, before).await?.into_iter().next();
    let mut asked = read.overrides;
    if caller.sees_as_user() {
        // It may have been a key that told it so: a user is told neither what it was told nor what it can call.
        (asked.instructions, asked.tools) = (None, None);
    }
    Ok(About {
        run,
        thread: read.run.thread,
        model: asked.model.clone().or(agent.map(|agent| agent.name)).unwrap_or_else(|| read.run.agent.to_string()),
        previous: previous.map(|(run, _)| ResponseId { run: run.id, behind: 0 }),
        asked,
        metadata: read.run.metadata,
    })
}

async fn answer(
    state: &AppState,
    caller: &Caller,
    id: ResponseId,
    scope: Scope,
    opened: Result<Opened, Trouble>,
    way: Way,
) -> Result<Response, ApiError> {
    let about = about(state, caller, id.run, scope).await?;
    let starting_after = if let Way::Streamed(after) = way { after } else { 0 };
    let mut face = Responses::new(about, decider(caller), id.behind, starting_after);
    if matches!(opened, Ok(Opened::Stream { compacted: true, .. })) {
        face = face.compacted();
    }
    let blocks = blocks_of(opened)?.ok_or_else(|| missing("response"))?;
    let json = |face: &Responses| face.response().to_string().into_bytes();
    let mut response = match way {
        Way::Streamed(_) => stream_of(StatusCode::OK, Body::from_stream(worn(face, blocks, 0)), false).into_response(),
        Way::Whole => {
            let body = whole(face, blocks, move |face| face.is_read().then(|| json(face)));
            of_json(Body::from_stream(body))
        }
        Way::Now => {
            let cut = || Problem::new(ErrorCode::Unavailable, "the log could not be read to its end: ask once more");
            of_json(json(&so_far(face, blocks).await.ok_or_else(cut)?).into())
        }
    };
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/runs/{}", id.run)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// An answer that is this JSON.
pub(super) fn of_json(body: Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
