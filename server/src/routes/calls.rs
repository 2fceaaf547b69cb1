//! `/v1/runs/{run}/…`: answers to calls that the tenant's own application carries out.

use axum::Json;
use axum::extract::{Path, State};
use headwater_protocol::api::{CallResult, MAX_OUTPUT_BYTES, Run, ToolOutput, ToolOutputs, check_words, holds_nul};
use headwater_protocol::{CallId, ErrorCode, Problem, RunId};
use headwater_store::scoped::{Answered, CallAnswer};
use headwater_stream::reader::audience;
use headwater_stream::view;

use super::body::ApiBody;
use super::runs::to_change;
use super::{id, missing};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::wiring::AppState;

/// Answers at a time.
const MOST: usize = 128;

/// Answers several calls: all of them, or none. The run goes on when none is waited for any more.
#[utoipa::path(post, path = "/v1/runs/{run}/tool_outputs", tag = "runs", params(("run" = String, Path)),
    request_body = ToolOutputs, responses((status = 200, body = Run), (status = "default", body = Problem)))]
pub async fn runs_tool_outputs(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
    body: ApiBody,
) -> Result<Json<Run>, ApiError> {
    let run = to_change(&state, &caller, &run).await?;
    let ToolOutputs { tool_outputs } = body.parse()?;
    if tool_outputs.is_empty() || tool_outputs.len() > MOST {
        return Err(Problem::invalid("/tool_outputs", format!("must hold 1 to {MOST} answers")).into());
    }
    for (i, output) in tool_outputs.iter().enumerate() {
        if tool_outputs[..i].iter().any(|other| other.call == output.call) {
            return Err(Problem::invalid(format!("/tool_outputs/{i}/call"), "is answered twice here").into());
        }
    }
    let answers: Result<Vec<_>, _> =
        tool_outputs.into_iter().enumerate().map(|(i, it)| checked(it, &format!("/tool_outputs/{i}"))).collect();
    Ok(Json(answer(&state, &caller, run, &answers?).await?))
}

/// Answers one call.
#[utoipa::path(post, path = "/v1/runs/{run}/calls/{call}/result", tag = "runs",
    params(("run" = String, Path), ("call" = String, Path)), request_body = CallResult,
    responses((status = 200, body = Run), (status = "default", body = Problem)))]
pub async fn runs_call_result(
    State(state): State<AppState>,
    caller: Caller,
    Path((run, call)): Path<(String, String)>,
    body: ApiBody,
) -> Result<Json<Run>, ApiError> {
    let run = to_change(&state, &caller, &run).await?;
    let call: CallId = id(&call, "call")?;
    let CallResult { output, error } = body.parse()?;
    let answers = [checked(ToolOutput { call, output, error }, "")?];
    Ok(Json(answer(&state, &caller, run, &answers).await?))
}

/// An answer as it is stored. `at`: where it stands in the body.
pub(super) fn checked(output: ToolOutput, at: &str) -> Result<CallAnswer, Problem> {
    let ToolOutput { call, output, error } = output;
    if output.is_some() && error.is_some() {
        return Err(Problem::invalid(format!("{at}/error"), "must be null beside an output"));
    }
    if let Some(words) = &error {
        check_words(&format!("{at}/error"), words, 4096)?;
    }
    let text = output.as_ref().map(serde_json::Value::to_string).unwrap_or_default();
    if text.len() > MAX_OUTPUT_BYTES {
        return Err(Problem::invalid(
            format!("{at}/output"),
            format!("must be at most {MAX_OUTPUT_BYTES} bytes of JSON"),
        ));
    }
    if output.as_ref().is_some_and(holds_nul) {
        return Err(Problem::invalid(format!("{at}/output"), "must not contain NUL characters"));
    }
    let status = if error.is_some() { "failed" } else { "completed" };
    let error = error.and_then(|words| serde_json::to_value(Problem::new(ErrorCode::ToolError, words)).ok());
    Ok(CallAnswer { call_id: call.uuid(), status, output, error })
}

/// Answers calls: all of them, or none.
pub(super) async fn answer(
    state: &AppState,
    caller: &Caller,
    run: RunId,
    answers: &[CallAnswer],
) -> Result<Run, ApiError> {
    let storage = state.store.scoped(caller.scope());
    match storage.calls_answer(run, answers).await? {
        Answered::Yes { woken: false } => {}
        Answered::Yes { woken: true } => state.runtime.go_on(),
        Answered::NotFound => return Err(missing("run")),
        Answered::NoCall(call) => {
            let words = format!("the run has no call {call} that is answered this way");
            return Err(Problem::new(ErrorCode::NotFound, words).into());
        }
        Answered::Before(call) => {
            let words = format!("{call} was answered before");
            return Err(Problem::new(ErrorCode::AlreadySubmitted, words).with("call", call.to_string()).into());
        }
        Answered::Late(call) => {
            return Err(Problem::new(ErrorCode::InputExpired, format!("it is too late to answer {call}")).into());
        }
    }
    let (run, visibility) = storage.run_get(run).await?.ok_or_else(|| missing("run"))?;
    Ok(view::run_for(run, audience(caller.sees_as_user(), visibility)))
}
