//! `/v1/chat/completions`: a plain convenience for what speaks nothing else.
//!
//! It has no memory: each request is a thread of its own that remembers the messages sent along. What the protocol has no place for is left
//! out: calls of the server's tools, what a person is asked (the answer waits for it), reasoning, cost, reading on behind a cut.

use std::collections::HashSet;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_agent::Accepted;
use headwater_protocol::api::{Overrides, RunParams};
use headwater_protocol::message::Metadata;
use headwater_protocol::{ErrorCode, MessageId, Problem, RunId, Scope};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{self, Input};
use super::responses::of_json;
use super::{acting, agent_of, say};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::faces::completions::{Completions, How};
use crate::faces::{so_far, to_end, worn};
use crate::routes::body::{ApiBody, from_value};
use crate::routes::streams::{AnswerTo, blocks_of, stream_of};
use crate::routes::talk::{self, On, passes_by, stays};
use crate::routes::{mark, missing};
use crate::wiring::AppState;

/// What a client of OpenAI asks for, as far as it means something here.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompletionParams {
    /// An agent, by name or id; or a model.
    pub model: String,
    /// What was said, the last of it by a user.
    pub messages: Vec<Value>,
    /// Whether the answer is told as it is made.
    #[serde(default)]
    pub stream: Option<bool>,
    /// `include_usage`.
    #[serde(default)]
    pub stream_options: Option<Value>,
    /// Functions, which the client carries out.
    #[serde(default)]
    pub tools: Option<Vec<Value>>,
    /// `auto`, `none` or `required`.
    #[serde(default)]
    pub tool_choice: Option<Value>,
    /// What the answer has to look like.
    #[serde(default)]
    pub response_format: Option<Value>,
    /// How hard the model is to think.
    #[serde(default)]
    pub reasoning_effort: Option<String>,
    /// Bound of each step.
    #[serde(default)]
    pub max_completion_tokens: Option<u32>,
    /// The same, by its older name.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// Sampling.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Sampling.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// Sampling.
    #[serde(default)]
    pub seed: Option<i64>,
    /// One word to stop at, or several.
    #[serde(default)]
    pub stop: Option<Value>,
    /// Answers to one question: one.
    #[serde(default)]
    pub n: Option<u32>,
    /// Own pairs.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// With a tenant's key and no `Headwater-User`: whom it is for.
    #[serde(default)]
    pub user: Option<String>,
    /// The same, by its newer name.
    #[serde(default)]
    pub safety_identifier: Option<String>,
    #[serde(default, rename = "parallel_tool_calls")]
    _parallel_tool_calls: Option<Value>,
    #[serde(default, rename = "prompt_cache_key")]
    _prompt_cache_key: Option<Value>,
    #[serde(default, rename = "service_tier")]
    _service_tier: Option<Value>,
    #[serde(default, rename = "store")]
    _store: Option<Value>,
}

/// Has an agent answer a conversation that its client remembers.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = CompletionParams,
    responses((status = 200, body = Value), (status = "default", body = Problem)))]
pub async fn completions_create(
    State(state): State<AppState>,
    caller: Caller,
    to: AnswerTo,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require("runs:write")?;
    let params: CompletionParams = body.parse()?;
    if params.n.is_some_and(|n| n != 1) {
        return Err(Problem::invalid("/n", "must be 1").into());
    }
    let caller = acting(&state, caller, params.user.as_deref().or(params.safety_identifier.as_deref())).await?;
    let mut input = Input::of_messages(&params.messages)?;
    let with_usage = params.stream_options.as_ref().is_some_and(|options| options["include_usage"] == true);
    let how = if params.stream.unwrap_or(false) { How::Chunks { with_usage } } else { How::Whole };
    let model = params.model.clone();
    let mut answers = std::mem::take(&mut input.answers);
    answers.decides_nothing = true;
    let (run, opened, behind, void, is_again) = match answers.give(&state, &caller, None, "/messages").await? {
        Some(on) => {
            let void = void(&state, &caller, on.scope, on.run).await?;
            let opened = state.streams.open(on.run, stays(&state, &caller, on.scope, to)).await?;
            (on.run, opened, on.behind, void, false)
        }
        None => {
            let caller = caller.into_user(&state).await?;
            let user = caller.user.known().ok_or_else(|| missing("user"))?;
            let scope = Scope { tenant: caller.tenant, user: Some(user) };
            let once = body.idempotency_or_count(&state, &caller).await?;
            let run = run_of(&state, &caller, params).await?;
            let accepted = say(&state, &caller, user, input, run, On::New, &once).await?;
            let (void, is_again) = match &accepted {
                Accepted::New { .. } => (HashSet::new(), false),
                Accepted::Replay { run, .. } | Accepted::Steered(run) => {
                    (void(&state, &caller, scope, *run).await?, true)
                }
            };
            let (run, opened) = talk::listen(&state, accepted, user, stays(&state, &caller, scope, to)).await?;
            (run, opened, 0, void, is_again)
        }
    };
    let face = Completions::new(model, how, behind).without(void);
    let blocks = blocks_of(opened)?.ok_or_else(|| missing("run"))?;
    let mut response = match how {
        How::Chunks { .. } => {
            stream_of(StatusCode::OK, Body::from_stream(worn(face, blocks, 0)), false).into_response()
        }
        How::Whole => {
            let cut = || Problem::new(ErrorCode::Unavailable, "the answer is not whole yet: it goes on as a run");
            let face = to_end(face, blocks).await.ok_or_else(|| cut().with("run", run.to_string()))?;
            of_json(face.completion()?.to_string().into())
        }
    };
    if let Ok(location) = http::HeaderValue::from_str(&format!("/v1/runs/{run}")) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    mark(&mut response, is_again);
    Ok(response)
}

/// The words of a run that are void by now: whoever is told it once more is not told them.
async fn void(state: &AppState, caller: &Caller, scope: Scope, run: RunId) -> Result<HashSet<MessageId>, ApiError> {
    let opened = state.streams.open(run, passes_by(state, caller, scope)).await?;
    let Some(blocks) = blocks_of(opened)? else { return Ok(HashSet::new()) };
    let seen = so_far(Completions::new(String::new(), How::Whole, 0), blocks).await;
    Ok(seen.map(Completions::into_void).unwrap_or_default())
}

/// The run that is asked for, but for what is said.
async fn run_of(state: &AppState, caller: &Caller, params: CompletionParams) -> Result<RunParams, ApiError> {
    let (agent, model) = agent_of(state, caller, &params.model).await?;
    let mut set = Overrides {
        model,
        temperature: params.temperature,
        top_p: params.top_p,
        seed: params.seed,
        max_output_tokens: params.max_completion_tokens.or(params.max_tokens),
        tools: input::tools(&params.tools.unwrap_or_default())?,
        ..Overrides::default()
    };
    input::tool_choice(params.tool_choice.as_ref(), &mut set)?;
    let mut run = serde_json::to_value(&set).map_err(ApiError::internal)?;
    run["stop"] = match params.stop {
        Some(Value::String(word)) => json!([word]),
        stop => stop.unwrap_or_default(),
    };
    let format = params.response_format.unwrap_or_default();
    run["response_format"] = input::format(&format, &format["json_schema"], "/response_format")?.unwrap_or_default();
    run["reasoning_effort"] = input::effort(params.reasoning_effort.as_deref())?.unwrap_or_default();
    run["agent"] = agent.into();
    run["input"] = "".into();
    run["metadata"] = json!(params.metadata);
    from_value(run, "")
}
