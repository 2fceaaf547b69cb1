//! What was used and what it cost.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::api::{List, UsageCall, UsageGroup};
use headwater_protocol::{Problem, Scope, Timestamp};
use headwater_store::UserScopedStorage;
use headwater_store::scoped::{UsageFilter, UsageGroupBy};
use http::HeaderMap;
use serde::Deserialize;

use super::lists::{ListQuery, list, words};
use super::tenants::existing;
use crate::auth::{Caller, Operator};
use crate::error::ApiError;
use crate::http::query::ApiQuery;
use crate::wiring::AppState;

const YEAR_MS: i64 = 366 * 86_400_000;

/// Which calls to sum up, and how.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    from: Option<String>,
    to: Option<String>,
    group_by: Option<String>,
}

/// Which calls to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CallsQuery {
    from: Option<String>,
    to: Option<String>,
    limit: Option<i64>,
    after: Option<String>,
}

/// An instant, or a day in UTC.
fn instant(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let day = || {
        text.parse::<jiff::civil::Date>()
            .ok()?
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|day| Timestamp(day.timestamp()))
    };
    let parsed = text.parse().ok().or_else(day);
    let detail = "must be an RFC 3339 instant or a day such as 2026-11-21";
    parsed.map(Some).ok_or_else(|| ApiError::invalid_request(format!("query:{name}"), detail))
}

/// The range asked for: the last 30 days unless given, at most 366.
fn range(from: Option<&str>, to: Option<&str>) -> Result<UsageFilter, ApiError> {
    let to = instant("to", to)?.unwrap_or_else(|| Timestamp::now().plus_ms(1));
    let from = instant("from", from)?.unwrap_or_else(|| to.plus_ms(-30 * 86_400_000));
    if from >= to || to.ms() - from.ms() > YEAR_MS {
        return Err(ApiError::invalid_request("query:from", "must be before to, by at most 366 days"));
    }
    Ok(UsageFilter { from, to })
}

async fn sums(storage: &UserScopedStorage, query: &UsageQuery) -> Result<Vec<UsageGroup>, ApiError> {
    let by = words(
        "group_by",
        query.group_by.as_deref().filter(|text| !text.is_empty()),
        &["day", "user", "agent", "model"],
    )?;
    let has = |name: &str| by.as_ref().is_some_and(|by| by.iter().any(|word| word == name));
    let by = UsageGroupBy { day: has("day"), user: has("user"), agent: has("agent"), model: has("model") };
    let filter = range(query.from.as_deref(), query.to.as_deref())?;
    Ok(storage.usage_groups(filter, by).await?)
}

/// Sums of model calls by day, user, agent, model.
#[utoipa::path(get, path = "/v1/usage", tag = "usage",
    responses((status = 200, body = List<UsageGroup>), (status = "default", body = Problem)), params(UsageQuery))]
pub async fn usage_get(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<UsageQuery>,
) -> Result<Json<List<UsageGroup>>, ApiError> {
    caller.require("usage:read")?;
    let mut groups = sums(&state.store.scoped(caller.scope()), &query).await?;
    if caller.sees_as_user() {
        // What an agent's visibility says of money holds for each run; a sum over all of them shows none.
        for group in &mut groups {
            group.cost = None;
            group.estimated_cost = None;
            group.estimate_error_percent = None;
        }
    }
    Ok(Json(List::page(groups, None)))
}

/// Sums of a tenant's model calls, as the tenant sees them.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/usage", tag = "operator", params(("tenant" = String, Path), UsageQuery),
    responses((status = 200, body = List<UsageGroup>), (status = "default", body = Problem)))]
pub async fn tenant_usage_get(
    State(state): State<AppState>,
    _: Operator,
    Path(tenant): Path<String>,
    ApiQuery(query): ApiQuery<UsageQuery>,
) -> Result<Json<List<UsageGroup>>, ApiError> {
    let tenant = existing(&state, &tenant).await?.id;
    let groups = sums(&state.store.scoped(Scope { tenant, user: None }), &query).await?;
    Ok(Json(List::page(groups, None)))
}

/// The ledger, call by call: JSON pages, or all of it as CSV or JSON lines.
#[utoipa::path(get, path = "/v1/usage/calls", tag = "usage",
    responses((status = 200, body = List<UsageCall>), (status = "default", body = Problem)), params(CallsQuery))]
pub async fn usage_calls_list(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    ApiQuery(query): ApiQuery<CallsQuery>,
) -> Result<Response, ApiError> {
    caller.require_key("usage:read")?;
    let filter = range(query.from.as_deref(), query.to.as_deref())?;
    let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let storage = state.store.scoped(caller.scope());
    let format = if accept.contains("text/csv") {
        Some(Format::Csv)
    } else if accept.contains("application/x-ndjson") {
        Some(Format::Lines)
    } else {
        None
    };
    if let Some(format) = format {
        return Ok(export(storage, filter, format));
    }
    let page = ListQuery { limit: query.limit, after: query.after, order: Some("asc".into()) }.page()?;
    let calls = storage.usage_calls(filter, page.after, page.limit).await?;
    Ok(Json(list(calls, page, |call| call.model_call.uuid())).into_response())
}

#[derive(Clone, Copy)]
enum Format {
    Csv,
    Lines,
}

const CSV_HEADER: &str = "model_call,run,step,user,agent,model,input_tokens,cached_input_tokens,cache_write_tokens,output_tokens,reasoning_tokens,cost_nano_usd,estimated,settled_at\n";

/// All of it, a page at a time, at the reader's pace.
fn export(storage: UserScopedStorage, filter: UsageFilter, format: Format) -> Response {
    let rows = async_stream::stream! {
        if let Format::Csv = format {
            yield Ok(CSV_HEADER.to_owned());
        }
        let mut after = None;
        loop {
            let calls = match storage.usage_calls(filter, after, 500).await {
                Ok(calls) => calls,
                // The status has gone out: a broken body says that this is not all.
                Err(error) => {
                    yield Err(std::io::Error::other(error.to_string()));
                    return;
                }
            };
            let Some(last) = calls.last() else { return };
            after = Some(last.model_call.uuid());
            yield Ok(calls.iter().map(|call| line(call, format)).collect());
        }
    };
    let kind = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Lines => "application/x-ndjson",
    };
    ([(http::header::CONTENT_TYPE, kind)], axum::body::Body::from_stream(rows)).into_response()
}

fn line(call: &UsageCall, format: Format) -> String {
    match format {
        Format::Lines => serde_json::to_string(call).unwrap_or_default() + "\n",
        Format::Csv => {
            let usage = call.usage;
            let cost = call.cost.map(|cost| cost.0.to_string()).unwrap_or_default();
            // A model's name is the only free text, and may hold a comma or a quote.
            let model = format!("\"{}\"", call.model.replace('"', "\"\""));
            format!(
                "{},{},{},{},{},{model},{},{},{},{},{},{cost},{},{}\n",
                call.model_call,
                call.run,
                call.step,
                call.user,
                call.agent,
                usage.input_tokens,
                usage.cached_input_tokens,
                usage.cache_write_tokens,
                usage.output_tokens,
                usage.reasoning_tokens,
                call.estimated,
                call.settled_at
            )
        }
    }
}
