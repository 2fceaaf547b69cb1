//! What clients of OpenAI talk to, as they are: `/v1/responses`, and `/v1/chat/completions` for those that know nothing else.
//!
//! `model` names an agent; or a model, which then answers without an agent's instructions (see [`plain_agent`]). A tenant's key acts for the
//! user that `Headwater-User` names, or, as these clients send no headers of their own, the field `user` (`safety_identifier`).
//!
//! | module | holds |
//! |---|---|
//! | `input` | what is said, in their words |
//! | `responses` | responses: of runs, and of what follows where a run has waited for its client |
//! | `completions` | chat completions: no memory, and what has no place in them is left out |

pub mod completions;
mod input;
pub mod responses;

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use headwater_agent::Accepted;
use headwater_protocol::api::{AgentConfig, RunParams, ThreadSettings};
use headwater_protocol::event::Role;
use headwater_protocol::message::{Content, Metadata};
use headwater_protocol::{ErrorCode, Fault, Problem, Scope, Timestamp, UserId};
use headwater_store::StoreError;
use headwater_store::pool::Once as Made;
use headwater_store::scoped::Imported;
use serde_json::{Value, json};

use self::input::Input;
use super::body::{Once, from_value};
use super::runs::{agent_named, earlier, looked_at, told};
use super::talk::{self, On};
use super::{attachments, missing};
use crate::auth::{Caller, UserRef, user_ref};
use crate::error::{Answered, ApiError};
use crate::wiring::AppState;

/// The agent that answers where `model` names a model: made at the first such request of a key that may make agents.
pub const PLAIN: &str = "plain";

/// How many messages of before a new thread is told: each is written by itself.
const MOST_BEFORE: usize = 256;

/// Layer: adds what these clients read of a refusal (`error`) to the problem.
pub async fn errors(request: Request, next: Next) -> Response {
    let is_theirs = ["/v1/responses", "/v1/chat/"].iter().any(|path| request.uri().path().starts_with(path));
    let mut response = next.run(request).await;
    if is_theirs && let Some(Answered(problem)) = response.extensions_mut().remove::<Answered>() {
        let mut problem = (*problem).clone();
        let kind = match (problem.status, problem.fault) {
            (401, _) => "authentication_error",
            (403, _) => "permission_error",
            (429, _) => "rate_limit_error",
            (500.., _) => "server_error",
            (_, Fault::Caller | Fault::Tenant | Fault::Provider | Fault::Tool | Fault::Server) => {
                "invalid_request_error"
            }
        };
        let error = json!({
            "message": crate::faces::words(&problem),
            "type": kind,
            "param": problem.errors.first().map(|field| field.param.trim_start_matches('/').replace('/', ".")),
            "code": problem.code,
        });
        problem.extra.insert("error".into(), error);
        response.extensions_mut().insert(Answered(Arc::new(problem)));
    }
    response
}

/// The caller, acting for the user that the body names where no header does.
async fn acting(state: &AppState, mut caller: Caller, named: Option<&str>) -> Result<Caller, ApiError> {
    if let (true, UserRef::None, Some(named)) = (caller.is_key(), &caller.user, named) {
        caller.user = user_ref(state, caller.tenant, named, "/user").await?;
    }
    Ok(caller)
}

/// The agent that `model` names, and the model where it names one.
async fn agent_of(state: &AppState, caller: &Caller, model: &str) -> Result<(String, Option<String>), ApiError> {
    match agent_named(state, caller, model).await {
        Ok(agent) => Ok((agent.name, None)),
        Err(error) if error.code() == ErrorCode::AgentNotFound && model.contains('/') => {
            plain_agent(state, caller, model).await?;
            Ok((PLAIN.into(), Some(model.to_owned())))
        }
        Err(error) => Err(error),
    }
}

/// Sees that there is an agent for those that name a model alone. It is an agent like any other: what users may have it do, what it may cost
/// and what it can call is for the tenant to change.
async fn plain_agent(state: &AppState, caller: &Caller, model: &str) -> Result<(), ApiError> {
    let found = agent_named(state, caller, PLAIN).await;
    if !matches!(&found, Err(error) if error.code() == ErrorCode::AgentNotFound)
        || caller.require_key("agents:write").is_err()
    {
        return found.map(drop);
    }
    super::plans::check_models(state, caller.tenant, std::iter::once(&model.to_owned())).await?;
    let config: AgentConfig = from_value(json!({"model": model}), "")?;
    config.check()?;
    let storage = state.store.scoped(caller.tenant_scope());
    match storage.agent_create(PLAIN, &config, &Metadata::new(), Timestamp::now(), None).await {
        Ok(Made::Done(_) | Made::Replay(_) | Made::Mismatch) | Err(StoreError::Taken { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    state.forget_agent(caller.tenant, PLAIN).await;
    Ok(())
}

/// Has an agent run for what is said. `caller`: acts for this user; `run`: all of it but the input.
async fn say(
    state: &AppState,
    caller: &Caller,
    user: UserId,
    input: Input,
    mut run: RunParams,
    on: On,
    once: &Once,
) -> Result<Accepted, ApiError> {
    if input.now.is_empty() {
        return Err(
            Problem::invalid("/input", "must end with what a user says, or with what a call has come to").into()
        );
    }
    run.input = from_value::<Content>(Value::Array(input.now), "/input")?;
    if !input.instructions.is_empty() {
        let all = run.instructions.take().into_iter().chain(input.instructions);
        run.instructions = Some(all.collect::<Vec<_>>().join("\n\n"));
    }
    let on = match on {
        On::New if !input.before.is_empty() => {
            // What was made of it before is found before anything is made for it.
            if let Some(before) = earlier(state, caller, once.key()).await? {
                return Ok(before);
            }
            // And what would be refused is refused before anything is.
            run.check()?;
            looked_at(state, caller, user, &run, None, once.key()).await.map_err(|error| told(caller, error))?;
            remembered(state, caller, user, input.before).await?
        }
        On::Thread(_) | On::Named(..) if !input.before.is_empty() => {
            let words = "must hold what is new alone: the thread remembers what was said before";
            return Err(Problem::invalid("/input", words).into());
        }
        on => on,
    };
    talk::say(state, caller, user, run, on, once.key()).await
}

/// A thread of its own that remembers this.
async fn remembered(
    state: &AppState,
    caller: &Caller,
    user: UserId,
    before: Vec<(Role, Vec<Value>)>,
) -> Result<On, ApiError> {
    caller.require("threads:write")?;
    if before.len() > MOST_BEFORE {
        return Err(Problem::invalid("/input", format!("must hold at most {MOST_BEFORE} messages of before")).into());
    }
    super::threads::may_import(caller, before.iter().map(|(role, _)| *role))?;
    let storage = state.store.scoped(Scope { tenant: caller.tenant, user: Some(user) });
    let of = attachments::For { tenant: caller.tenant, user, as_user: caller.sees_as_user() };
    let mut contents = Vec::new();
    for (role, parts) in before {
        let content: Content = from_value(Value::Array(parts), "/input")?;
        contents.push((role, content.into_parts("/input")?));
    }
    let made = storage.thread_create(&ThreadSettings::default(), Timestamp::now(), None).await?;
    let Made::Done(thread) = made else { return Err(ApiError::internal("a thread without a key was there before")) };
    for (role, parts) in contents {
        let kept = attachments::keep(state, of, parts).await?;
        let at = Timestamp::now();
        match storage.message_import(thread, role, &kept.parts, &Metadata::new(), at, None).await? {
            Imported::Once(_) => {}
            Imported::NoThread | Imported::Busy(_) | Imported::ArtifactGone => {
                kept.forget(state, of).await;
                return Err(Problem::invalid("/input", "shows a picture or a file that is not there any more").into());
            }
        }
    }
    Ok(On::Thread(storage.thread_get(thread).await?.ok_or_else(|| missing("thread"))?))
}
