//! `/ag-ui/{agent}`: what clients of AG-UI talk to, as they are.
//!
//! Their thread is a thread of ours: its id is the thread's `external_id` (or the id of one of ours), and it remembers what was said. Of the
//! messages that are sent along those count that a user has said last, and what the client's tools have come to. A request that is sent again
//! (the same `runId`) reads the answer that there is, from its beginning. Their shared state and `forwardedProps` mean nothing here.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::api::{RunParams, Tool};
use headwater_protocol::{ApprovalId, ErrorCode, Problem, Scope};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{Answers, decider, joins, waits_for_nothing};
use super::body::{ApiBody, Once, from_value};
use super::runs::{agent_named, earlier};
use super::streams::{AnswerTo, blocks_of, stream_of};
use super::talk::{self, On, stays, thread_of};
use super::{missing, whose};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::faces::ag_ui::{AgUi, Asked};
use crate::faces::worn;
use crate::keys::name_of;
use crate::wiring::AppState;

/// What an AG-UI client sends. What else it holds is let go by.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunAgentInput {
    /// The conversation.
    pub thread_id: String,
    /// The run, by a name of the client's choice.
    pub run_id: String,
    /// What was said, oldest first.
    pub messages: Vec<Value>,
    /// Tools that the client carries out. Those that the agent has by that name are the agent's.
    #[serde(default)]
    pub tools: Vec<Value>,
    /// What the model is to know of the page: said along with the message.
    #[serde(default)]
    pub context: Vec<Value>,
    /// Answers to what was asked.
    #[serde(default)]
    pub resume: Option<Vec<Resume>>,
}

/// An answer to a question (an interrupt).
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// Which: the approval's id.
    pub interrupt_id: String,
    /// `resolved`, or `cancelled`, which denies.
    pub status: String,
    /// `{"approved": bool, "editedArgs"?: object, "reason"?: string}`, or true or false.
    #[serde(default)]
    pub payload: Value,
}

/// Has an agent answer, or go on with an answer that waits for its client.
#[utoipa::path(post, path = "/ag-ui/{agent}", tag = "ag_ui", params(("agent" = String, Path)), request_body = RunAgentInput,
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "default", body = Problem)))]
pub async fn ag_ui_run(
    State(state): State<AppState>,
    caller: Caller,
    Path(agent): Path<String>,
    to: AnswerTo,
    body: ApiBody,
) -> Result<Response, ApiError> {
    caller.require("runs:write")?;
    let agent = agent_named(&state, &caller, &agent).await.map_err(|error| match error.code() {
        ErrorCode::AgentNotFound => missing("agent"),
        _ => error,
    })?;
    let user = whose(&caller)?;
    let params: RunAgentInput = body.parse()?;
    if params.run_id.is_empty() {
        // The name finds the answer again: two of no name would be one.
        return Err(Problem::invalid("/runId", "must be a name, such as a UUID").into());
    }
    let said = said(&params)?;
    let asked =
        Asked { thread: params.thread_id.clone(), run: params.run_id.clone(), messages: params.messages.clone() };
    if user.is_some()
        && let Some(on) = answers(&params, said.is_some())?.give(&state, &caller, None, "/messages").await?
    {
        let opened = state.streams.open(on.run, stays(&state, &caller, on.scope, to)).await?;
        let face = AgUi::new(asked, decider(&caller), on.behind);
        return answer(on.run, blocks_of(opened)?, face);
    }
    let caller = caller.into_user(&state).await?;
    let user = caller.user.known().ok_or_else(|| missing("user"))?;
    let scope = Scope { tenant: caller.tenant, user: Some(user) };
    let Some(said) = said else {
        // Nothing new: what is being said there is read.
        let thread = thread_of(&state, scope, &params.thread_id).await?;
        let run = thread.and_then(|thread| thread.active_run);
        let run = run.ok_or_else(|| Problem::invalid("/messages", "must end with what a user says"))?;
        let behind = joins(&state, &caller, run).await?;
        let opened = state.streams.open(run, stays(&state, &caller, scope, to)).await?;
        return answer(run, blocks_of(opened)?, AgUi::new(asked, decider(&caller), behind));
    };
    let mut run = json!({"agent": agent.id, "input": said});
    if let Some(tools) = tools(&params.tools, &agent.config.tools)? {
        run["tools"] = tools.into();
    }
    let run: RunParams = from_value(run, "")?;
    let named = serde_json::to_vec(&json!([params.thread_id, params.run_id, agent.id])).map_err(ApiError::internal)?;
    let once = Once::named(&caller, format!("ag-ui-{}", name_of(params.run_id.as_bytes())), &named);
    if earlier(&state, &caller, once.key()).await?.is_none()
        && let Some(thread) = thread_of(&state, scope, &params.thread_id).await?
        && let Err(waits) = waits_for_nothing(&state, &caller, scope, &thread, "/messages").await
        // By now it may be the answer to this very request that waits: the same one was here at the same instant.
        && earlier(&state, &caller, once.key()).await?.is_none()
    {
        return Err(waits);
    }
    let on = On::Named(params.thread_id, "/threadId");
    let accepted = talk::say(&state, &caller, user, run, on, once.key()).await?;
    let (run, opened) = talk::listen(&state, accepted, user, stays(&state, &caller, scope, to)).await?;
    answer(run, blocks_of(opened)?, AgUi::new(asked, decider(&caller), 0))
}

fn answer(
    run: headwater_protocol::RunId,
    blocks: Option<futures_util::stream::BoxStream<'static, bytes::Bytes>>,
    face: AgUi,
) -> Result<Response, ApiError> {
    let blocks = blocks.ok_or_else(|| missing("run"))?;
    let mut response = stream_of(StatusCode::OK, Body::from_stream(worn(face, blocks, 0)), false).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/runs/{run}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What is new: what users say behind the last answer, with what the page tells along. Nothing, where there is none.
fn said(params: &RunAgentInput) -> Result<Option<Vec<Value>>, Problem> {
    let role = |message: &Value| message["role"].as_str().map(str::to_owned);
    let is_over = |message: &Value| matches!(role(message).as_deref(), Some("assistant" | "tool" | "reasoning"));
    let from = params.messages.iter().rposition(is_over).map_or(0, |at| at + 1);
    let mut parts = Vec::new();
    for (message, at) in params.messages.iter().zip(0..).skip(from) {
        match role(message).as_deref() {
            Some("user") => parts.extend(content(&message["content"], &format!("/messages/{at}/content"))?),
            // What is nobody's to say through a user's page.
            Some("system" | "developer" | "activity") => {}
            _ => return Err(Problem::invalid(format!("/messages/{at}/role"), "must be user, assistant or tool")),
        }
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let known = params.context.iter().filter_map(|it| Some((it["description"].as_str()?, it["value"].as_str()?)));
    let known = known.map(|(what, value)| json!({"type": "text", "text": format!("{what}: {value}")}));
    Ok(Some(known.chain(parts).collect()))
}

/// A message's content as parts of ours: words, pictures and documents.
fn content(content: &Value, at: &str) -> Result<Vec<Value>, Problem> {
    let parts = match content {
        Value::String(text) => return Ok(vec![json!({"type": "text", "text": text})]),
        Value::Array(parts) => parts,
        _ => return Err(Problem::invalid(at, "must be a string or a list of parts")),
    };
    let part = |(part, nth): (&Value, usize)| {
        let source = &part["source"];
        let value = source["value"].as_str();
        let shown = match source["type"].as_str() {
            Some("data") => json!({"type": "base64", "media_type": source["mimeType"], "data": value}),
            Some("file") => json!({"type": "artifact", "artifact": value}),
            _ => json!({"type": "url", "url": value}),
        };
        match part["type"].as_str() {
            Some("text") => Ok(json!({"type": "text", "text": part["text"]})),
            Some("image") => Ok(json!({"type": "image", "source": shown})),
            Some("document") => Ok(json!({"type": "file", "source": shown, "filename": null})),
            _ => Err(Problem::invalid(format!("{at}/{nth}/type"), "must be text, image or document")),
        }
    };
    parts.iter().zip(0..).map(part).collect()
}

/// Tools of the client's own, but for those that the agent has by that name.
fn tools(tools: &[Value], own: &[Tool]) -> Result<Option<Vec<Value>>, ApiError> {
    let is_own = |name: &str| own.iter().any(|tool| tool.names().contains(&name));
    let news = tools.iter().filter(|tool| tool["name"].as_str().is_none_or(|name| !is_own(name)));
    let news: Vec<Value> = news
        .map(|tool| {
            let mut ours = json!({"type": "client", "name": tool["name"], "description": tool["description"]});
            if tool["parameters"].is_object() {
                ours["parameters"] = tool["parameters"].clone();
            }
            ours
        })
        .collect();
    Ok(Some(news).filter(|news| !news.is_empty()))
}

/// What a run that waits is given: results of tools, and decisions.
fn answers(params: &RunAgentInput, says_more: bool) -> Result<Answers, ApiError> {
    let mut answers = Answers { says_more, ..Answers::default() };
    for (message, at) in params.messages.iter().zip(0..) {
        // A result that the server has told itself is no answer of the client's: it is waited for by nobody.
        let Some(call) = message["toolCallId"].as_str().filter(|_| message["role"] == "tool") else { continue };
        let Ok(call) = call.parse() else { continue };
        let output = match (message["error"].as_str(), message["content"].as_str()) {
            (Some(error), _) => json!({"error": error}),
            (None, Some(text)) => {
                serde_json::from_str(text).ok().filter(Value::is_object).unwrap_or_else(|| text.into())
            }
            (None, None) => message["content"].clone(),
        };
        answers.outputs.push((call, output, format!("/messages/{at}")));
    }
    for (resume, at) in params.resume.iter().flatten().zip(0..) {
        let at = format!("/resume/{at}");
        let approval: Result<ApprovalId, _> = resume.interrupt_id.parse();
        let approval = approval.map_err(|_| Problem::invalid(format!("{at}/interruptId"), "must be what was asked"))?;
        let payload = &resume.payload;
        let approved = match (resume.status.as_str(), payload.as_bool().or(payload["approved"].as_bool())) {
            ("cancelled", _) => false,
            ("resolved", Some(approved)) => approved,
            _ => return Err(Problem::invalid(format!("{at}/payload"), "must say whether it is approved").into()),
        };
        let decision = json!({
            "decision": if approved { "approved" } else { "denied" },
            "comment": payload["reason"],
            "edited_args": if approved { payload["editedArgs"].clone() } else { Value::Null },
        });
        answers.decisions.push((approval, from_value(decision, &at)?, at));
    }
    Ok(answers)
}
