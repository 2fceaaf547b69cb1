//! What clients of others' protocols have in common: they say something on a thread, and answer what a run waits for.
//!
//! Each of their routes reads its own words and tells the answer in its own face; what happens in between is here, and is what `/v1/runs` does.

use headwater_agent::Accepted;
use headwater_protocol::api::{Decision, RunParams, Thread, check_external_id};
use headwater_protocol::{ApprovalId, ErrorCode, RunId, Scope, UserId};
use headwater_store::pool::Idempotency;
use headwater_store::scoped::{CallAnswer, Page, ThreadFilter};
use headwater_stream::{Cursor, Opened, ReaderParams, Trouble};
use serde_json::{Value, json};

use super::body::from_value;
use super::runs::{accept_once, reader};
use super::streams::AnswerTo;
use super::threads::check_own;
use super::{approvals, calls};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::wiring::AppState;

/// Where something is said.
#[derive(Debug)]
pub(super) enum On {
    /// On a thread of its own.
    New,
    /// On this thread.
    Thread(Thread),
    /// On the thread of this name, whether it is there or not; and where the request has it.
    Named(String, &'static str),
}

/// A thread by its id or its `external_id`, if it is there for this scope.
pub(super) async fn thread_of(state: &AppState, scope: Scope, named: &str) -> Result<Option<Thread>, ApiError> {
    let storage = state.store.scoped(scope);
    if let Ok(thread) = named.parse() {
        return Ok(storage.thread_get(thread).await?);
    }
    let filter = ThreadFilter { external_id: Some(named.to_owned()), ..ThreadFilter::default() };
    Ok(storage.thread_list(&filter, Page { after: None, ascending: true, limit: 1 }).await?.into_iter().next())
}

/// Has an agent run, on a thread that is made if it has to be. `caller`: acts for this user.
pub(super) async fn say(
    state: &AppState,
    caller: &Caller,
    user: UserId,
    mut run: RunParams,
    on: On,
    once: Option<&Idempotency>,
) -> Result<Accepted, ApiError> {
    let scope = Scope { tenant: caller.tenant, user: Some(user) };
    let (mut thread, named) = match on {
        On::New => (None, None),
        On::Thread(thread) => (Some(thread), None),
        On::Named(name, at) => (thread_of(state, scope, &name).await?, Some((name, at))),
    };
    loop {
        run.thread = match (&thread, &named) {
            (Some(thread), _) => {
                check_own(thread)?;
                None
            }
            (None, Some((name, at))) => {
                check_external_id(at, name)?;
                Some(from_value(json!({"external_id": name}), at)?)
            }
            (None, None) => None,
        };
        run.check()?;
        let on = thread.as_ref().map(|thread| (thread.id, user));
        match (accept_once(state, caller, user, &run, on, once).await, &named) {
            // Somebody else has begun this thread in the same moment.
            (Err(error), Some((name, _))) if error.code() == ErrorCode::AlreadyExists && thread.is_none() => {
                thread = thread_of(state, scope, name).await?;
                if thread.is_none() {
                    return Err(error);
                }
            }
            (accepted, _) => return accepted,
        }
    }
}

/// Opens the log of what was said, for whoever said it.
pub(super) async fn listen(
    state: &AppState,
    accepted: Accepted,
    user: UserId,
    reader: ReaderParams,
) -> Result<(RunId, Result<Opened, Trouble>), ApiError> {
    Ok(match accepted {
        Accepted::New { run, visibility, grace } => {
            (run.id, state.streams.open_created(run.id, user, reader, visibility, grace).await?)
        }
        Accepted::Replay { run, .. } | Accepted::Steered(run) => (run, state.streams.open(run, reader).await?),
    })
}

/// Where something that is shown lies: at a URL, or in one (`data:`).
pub(super) fn source(url: &str) -> Result<Value, &'static str> {
    let Some(data) = url.strip_prefix("data:") else { return Ok(json!({"type": "url", "url": url})) };
    let (kind, data) = data.split_once(";base64,").ok_or("must be Base64")?;
    Ok(json!({"type": "base64", "media_type": kind, "data": data}))
}

/// Answers what a run waits for. What somebody else was faster with stands, and the run's log tells of it.
pub(super) async fn give(
    state: &AppState,
    caller: &Caller,
    run: RunId,
    decisions: Vec<(ApprovalId, Decision)>,
    answers: &[CallAnswer],
) -> Result<(), ApiError> {
    if !decisions.is_empty() {
        caller.require("approvals:write")?;
    }
    for (approval, decision) in decisions {
        stands(approvals::decide(state, caller, run, approval, || Ok(decision)).await)?;
    }
    if !answers.is_empty() {
        stands(calls::answer(state, caller, run, answers).await)?;
    }
    Ok(())
}

fn stands<T>(done: Result<T, ApiError>) -> Result<(), ApiError> {
    use ErrorCode::{AlreadyDecided, AlreadySubmitted, ApprovalExpired, InputExpired, RunFinished};
    match done {
        Err(error)
            if [AlreadyDecided, ApprovalExpired, RunFinished, AlreadySubmitted, InputExpired]
                .contains(&error.code()) =>
        {
            Ok(())
        }
        done => done.map(|_| ()),
    }
}

/// A reader from the beginning that does not come back by itself.
pub(super) fn stays(state: &AppState, caller: &Caller, scope: Scope, to: AnswerTo) -> ReaderParams {
    ReaderParams { rotates: false, ..reader(state, caller, scope, Cursor::After(0), to.room) }
}

/// A reader of what there is by now, who is gone before anybody could miss it.
pub(super) fn passes_by(state: &AppState, caller: &Caller, scope: Scope) -> ReaderParams {
    ReaderParams { rotates: false, passes_by: true, ..reader(state, caller, scope, Cursor::After(0), None) }
}

/// A reader from the beginning which has all there is where the run waits for somebody.
pub(super) fn to_rest(state: &AppState, caller: &Caller, scope: Scope, to: AnswerTo) -> ReaderParams {
    ReaderParams { ends_suspended: true, ..stays(state, caller, scope, to) }
}
