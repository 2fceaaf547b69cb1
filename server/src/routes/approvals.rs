//! `/v1/approvals` and `/v1/runs/{run}/approvals/{approval}`: what people are asked, and what they decide.

use axum::Json;
use axum::extract::{Path, State};
use headwater_agent::{args_hash, check_args};
use headwater_protocol::api::{Approval, ApprovalStatus, Decider, Decision, List};
use headwater_protocol::event::{ActorKind, Visibility};
use headwater_protocol::{ApprovalId, ErrorCode, Problem, RunId};
use headwater_store::scoped::{ApprovalFilter, Decided, Ruling};
use serde::Deserialize;

use super::body::ApiBody;
use super::lists::{ListQuery, list, words};
use super::threads::user_filter;
use super::{id, missing};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::ApiQuery;
use crate::wiring::AppState;

/// Which approvals to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ApprovalsQuery {
    /// `pending`, `approved`, `denied`, `cancelled`, `expired`, or several with commas.
    pub status: Option<String>,
    /// Of this run.
    pub run: Option<String>,
    /// Of this thread.
    pub thread: Option<String>,
    /// Of this user: an id or an `external_id`. For a tenant's key.
    pub user: Option<String>,
    /// 1 to 100; 20 unless given.
    pub limit: Option<i64>,
    /// The page before's `next_cursor`.
    pub after: Option<String>,
    /// `desc` (newest first) or `asc`.
    pub order: Option<String>,
}

fn seen(caller: &Caller, (approval, visibility): (Approval, Visibility)) -> Approval {
    if caller.sees_as_user() { approval.for_user(visibility) } else { approval }
}

/// Lists what people are asked, and were.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", params(ApprovalsQuery),
    responses((status = 200, body = List<Approval>), (status = "default", body = Problem)))]
pub async fn approvals_list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ApprovalsQuery>,
) -> Result<Json<List<Approval>>, ApiError> {
    caller.require("approvals:read")?;
    let page = ListQuery { limit: query.limit, after: query.after, order: query.order }.page()?;
    let bad_id = |name: &str| ApiError::invalid_request(format!("query:{name}"), "must be an id");
    let filter = ApprovalFilter {
        status: words("status", query.status.as_deref(), &ApprovalStatus::ALL)?,
        run: query.run.map(|text| text.parse().map_err(|_| bad_id("run"))).transpose()?,
        thread: query.thread.map(|text| text.parse().map_err(|_| bad_id("thread"))).transpose()?,
        user: user_filter(&state, &caller, query.user.as_deref()).await?,
    };
    let found = state.store.scoped(caller.scope()).approval_list(&filter, page).await?;
    Ok(Json(list(found, page, |(approval, _)| approval.id.uuid()).map(|found| seen(&caller, found))))
}

/// One question, and what was decided.
#[utoipa::path(get, path = "/v1/approvals/{approval}", tag = "approvals", params(("approval" = String, Path)),
    responses((status = 200, body = Approval), (status = "default", body = Problem)))]
pub async fn approvals_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(approval): Path<String>,
) -> Result<Json<Approval>, ApiError> {
    caller.require("approvals:read")?;
    let approval = id(&approval, "approval")?;
    let found = state.store.scoped(caller.scope()).approval_get(approval).await?;
    Ok(Json(seen(&caller, found.ok_or_else(|| missing("approval"))?)))
}

/// Decides. The same decision may be sent again; the first one stands. The run goes on, at whatever process.
#[utoipa::path(post, path = "/v1/runs/{run}/approvals/{approval}", tag = "approvals",
    params(("run" = String, Path), ("approval" = String, Path)), request_body = Decision,
    responses((status = 200, body = Approval), (status = "default", body = Problem)))]
pub async fn approvals_decide(
    State(state): State<AppState>,
    caller: Caller,
    Path((run, approval)): Path<(String, String)>,
    body: ApiBody,
) -> Result<Json<Approval>, ApiError> {
    caller.require("approvals:write")?;
    let (run, approval) = (id(&run, "run")?, id(&approval, "approval")?);
    Ok(Json(decide(&state, &caller, run, approval, || body.parse()).await?))
}

/// Has a caller decide what it may. `decision`: read when it is known that it may.
pub(super) async fn decide(
    state: &AppState,
    caller: &Caller,
    run: RunId,
    approval: ApprovalId,
    decision: impl FnOnce() -> Result<Decision, ApiError>,
) -> Result<Approval, ApiError> {
    let storage = state.store.scoped(caller.scope());
    let (found, visibility) =
        storage.approval_get(approval).await?.filter(|(found, _)| found.run == run).ok_or_else(gone)?;
    let by = caller.actor();
    let decider = if by.kind == ActorKind::Tenant { Decider::Tenant } else { Decider::User };
    // Whoever may not decide is told nothing of the schema either.
    if !found.deciders.contains(&decider) {
        return Err(Problem::new(ErrorCode::Forbidden, "this is not for you to decide").into());
    }
    let decision = decision()?;
    decision.check(found.kind)?;
    let hash = match &decision.edited_args {
        None => None,
        Some(_) if caller.sees_as_user() && !visibility.tool_args => {
            return Err(Problem::new(ErrorCode::Forbidden, "who may not see arguments may not edit them").into());
        }
        Some(args) => {
            check_args(&found.schema, args).map_err(|words| Problem::invalid("/edited_args", words))?;
            state.runtime.check_edited(&storage, run, &found.name, args).await?;
            Some(args_hash(args))
        }
    };
    let unknown = Problem::new(ErrorCode::ToolOutcomeUnknown, "nobody knows whether the call had its effect");
    let ruling = Ruling { decider, by: &by, decision: &decision, args_hash: hash.as_deref(), unknown: &unknown };
    let decided = storage.approval_decide(run, approval, ruling).await?;
    match decided {
        Decided::Yes { woken: true } => state.runtime.go_on(),
        Decided::Yes { woken: false } => {}
        Decided::NotFound => return Err(gone()),
        Decided::NotDecider => {
            return Err(Problem::new(ErrorCode::Forbidden, "this is not for you to decide").into());
        }
        Decided::Finished => {
            return Err(Problem::new(ErrorCode::RunFinished, "the run has ended, and nothing is to be decided").into());
        }
        Decided::Late => return Err(Problem::new(ErrorCode::ApprovalExpired, "it is too late to decide").into()),
        Decided::Before => {
            let words = "it was decided otherwise before";
            return Err(Problem::new(ErrorCode::AlreadyDecided, words).with("approval", approval.to_string()).into());
        }
    }
    let found = storage.approval_get(approval).await?.ok_or_else(gone)?;
    Ok(seen(caller, found))
}

fn gone() -> ApiError {
    missing("approval")
}
