//! From a request's credential to a [`Caller`].
//!
//! In this order: credential, tenant and user allowed at all, request rate. What the caller may do is the route's
//! business, what it may see the database's.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use headwater_protocol::api::USER_SCOPES;
use headwater_protocol::{ErrorCode, KeyId, Problem, RunId, TenantId, Timestamp};
use http::HeaderMap;
use http::request::Parts;

use super::caller::{Caller, CallerKind, Operator, UserRef};
use super::issuers::Issuers;
use super::tickets;
use crate::error::ApiError;
use crate::http::cors::AllowedOrigins;
use crate::http::trace_context;
use crate::http::{KeepsAwake, LoggedAs, RateSubject};
use crate::routes::streams;
use crate::wiring::AppState;

/// Where a ticket is good: on `GET /v1/runs/{run}` and its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteKind {
    /// Everywhere else.
    Plain,
    /// There.
    Ticket(RunId),
}

impl RouteKind {
    fn of(request: &Parts) -> Self {
        if request.method != http::Method::GET {
            return Self::Plain;
        }
        let path = request.uri.path().strip_prefix("/v1/runs/").unwrap_or_default();
        let run = path.strip_suffix("/events").unwrap_or(path);
        run.parse().map_or(Self::Plain, Self::Ticket)
    }
}

/// Checks the credential and the request rate; puts the caller where extractors find it.
pub async fn authenticate(State(state): State<AppState>, request: Request, next: Next) -> Response {
    // Apart from its body, which cannot be looked at from two threads.
    let (mut parts, body) = request.into_parts();
    let credential = match identify(&state, &parts).await {
        Ok(credential) => credential,
        Err(error) => return streams::told_inside(&parts, error),
    };
    if let Some(keeps_awake) = parts.extensions.get::<KeepsAwake>() {
        keeps_awake.keep(state.store.gate().begin());
    }
    let rate = match &credential {
        Credential::Operator => Ok(None),
        Credential::Caller(caller, _) => {
            let key = match &caller.kind {
                CallerKind::Key { key, .. } => Some(*key),
                CallerKind::Token | CallerKind::Foreign { .. } | CallerKind::Ticket { .. } => None,
            };
            // Whatever counts something for the tenant behind this finds what its plan says. A database that is away is the
            // route's to notice.
            let _ = state.terms.of(caller.tenant).await;
            let plan = state.terms.last_known(caller.tenant).grants.requests_per_minute;
            let subject = RateSubject { key, user: caller.user.known(), tenant: Some(caller.tenant), plan };
            state.rates.check(subject).map(Some)
        }
    };
    let (origins, identity) = match &credential {
        Credential::Operator => (None, LoggedAs::default()),
        Credential::Caller(caller, origins) => {
            (Some(origins.clone()), LoggedAs { tenant: Some(caller.tenant), user: caller.user.known() })
        }
    };
    let mut response = match rate {
        Err(error) => error.into_response(),
        Ok(headers) => {
            match credential {
                Credential::Operator => {
                    parts.extensions.insert(Operator);
                }
                Credential::Caller(mut caller, _) => {
                    caller.within = trace_context(&parts.headers);
                    parts.extensions.insert(caller);
                }
            }
            let asked = parts.clone();
            let mut response = next.run(Request::from_parts(parts, body)).await;
            if response.status() == http::StatusCode::SERVICE_UNAVAILABLE && streams::must_not_end(&asked) {
                response = streams::come_back("the database is away");
            }
            if let Some(headers) = headers {
                headers.apply(response.headers_mut());
            }
            response
        }
    };
    if let Some(origins) = origins {
        response.extensions_mut().insert(AllowedOrigins(origins));
    }
    response.extensions_mut().insert(identity);
    response
}

enum Credential {
    Operator,
    Caller(Caller, Arc<[String]>),
}

async fn identify(state: &AppState, request: &Parts) -> Result<Credential, ApiError> {
    let missing = || Problem::new(ErrorCode::Unauthenticated, "send Authorization: Bearer with a key or a token");
    let headers = &request.headers;
    if let Some(ticket) = ticket_of(request) {
        let RouteKind::Ticket(run) = RouteKind::of(request) else { return Err(missing().into()) };
        return by_ticket(state, &ticket, run).await;
    }
    if headers.get_all(http::header::AUTHORIZATION).iter().nth(1).is_some() {
        return Err(Problem::new(ErrorCode::Unauthenticated, "send one Authorization header").into());
    }
    let secret = bearer(headers).ok_or_else(missing)?;
    if secret.starts_with("hw_op_") {
        if state.auth.is_operator(secret) {
            return Ok(Credential::Operator);
        }
        return Err(unknown().into());
    }
    if secret.starts_with("hw_sk_") {
        return by_key(state, secret, headers).await;
    }
    by_token(state, secret, headers).await
}

/// The secret of a request that bears one, and one only.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
    Some(secret.trim()).filter(|secret| scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty())
}

fn unknown() -> Problem {
    Problem::new(ErrorCode::Unauthenticated, "this credential is unknown or revoked")
}

fn ticket_of(request: &Parts) -> Option<String> {
    let query = request.uri.query()?;
    let ticket = query.split('&').find_map(|pair| pair.strip_prefix("ticket="))?;
    Some(percent_encoding::percent_decode_str(ticket).decode_utf8_lossy().into_owned())
}

async fn by_key(state: &AppState, secret: &str, headers: &HeaderMap) -> Result<Credential, ApiError> {
    // A malformed secret is refused without waking the database.
    if secret.len() != "hw_sk_".len() + 43 {
        return Err(unknown().into());
    }
    let grant = state.auth.key(secret).await?.ok_or_else(unknown)?;
    if grant.expires_at.is_some_and(|at| at <= jiff::Timestamp::now()) {
        return Err(Problem::new(ErrorCode::TokenExpired, "the key has expired").into());
    }
    let tenant = TenantId::from_uuid(grant.tenant);
    if !grant.active {
        return Err(Problem::new(ErrorCode::TenantSuspended, "the operator has suspended this tenant").into());
    }
    let user = match user_header(headers)? {
        None => UserRef::None,
        Some(text) => user_ref(state, tenant, &text, "header:Headwater-User").await?,
    };
    let key = KeyId::from_uuid(grant.key);
    let caller = Caller {
        tenant,
        user,
        kind: CallerKind::Key { key, secret_hash: state.auth.hash(secret) },
        scopes: grant.scopes.clone().into(),
        agents: None,
        within: None,
        expires_at: grant.expires_at.map(Timestamp),
    };
    Ok(Credential::Caller(caller, grant.origins.clone().into()))
}

/// The user that a key acts for, by id or `external_id`. `at`: where it is named.
///
/// # Errors
/// `not_found` for an id that is nobody's, `invalid_request` for what can be nobody's.
pub async fn user_ref(state: &AppState, tenant: TenantId, named: &str, at: &str) -> Result<UserRef, ApiError> {
    if let Ok(id) = named.parse() {
        // One that is not there is like any other unknown object.
        let known = state.auth.access(tenant, id).await?.is_some_and(|access| access.user_active.is_some());
        if !known {
            return Err(Problem::new(ErrorCode::NotFound, "there is no such user").into());
        }
        return Ok(UserRef::Known(id));
    }
    headwater_protocol::api::check_external_id(at, named).map_err(|problem| {
        ApiError::invalid_request(at, problem.errors.into_iter().next().map_or_else(String::new, |field| field.detail))
    })?;
    Ok(match state.auth.user_find(tenant, named).await? {
        Some(user) => UserRef::Known(user),
        None => UserRef::Unknown(named.to_owned()),
    })
}

async fn by_token(state: &AppState, token: &str, headers: &HeaderMap) -> Result<Credential, ApiError> {
    let caller = if Issuers::is_theirs(token) {
        by_issuer(state, token, headers).await?
    } else {
        let claims = state.auth.tokens.read(token)?;
        Caller {
            tenant: claims.ten,
            user: UserRef::Known(claims.sub),
            kind: CallerKind::Token,
            scopes: claims.scope.split_ascii_whitespace().map(str::to_owned).collect(),
            agents: claims.agents.map(Into::into),
            within: None,
            expires_at: Some(Timestamp::from_ms(claims.exp * 1000)),
        }
    };
    let origins = user_origins(state, &caller).await?;
    if let (Some(text), Some(user)) = (user_header(headers)?, caller.user.known()) {
        let same = text == user.to_string()
            || state.auth.user_find(caller.tenant, &text).await?.is_some_and(|found| found == user);
        if !same {
            return Err(Problem::new(ErrorCode::Forbidden, "Headwater-User is not this token's user").into());
        }
    }
    Ok(Credential::Caller(caller, origins))
}

/// A user as one of the tenant's own issuers says. One that comes for the first time is made.
async fn by_issuer(state: &AppState, token: &str, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let named = match headers.get("headwater-tenant") {
        None => None,
        Some(value) => Some(
            value
                .to_str()
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .ok_or_else(|| ApiError::invalid_request("header:Headwater-Tenant", "must be a ten_… id"))?,
        ),
    };
    let spoken = state.auth.issuers.read(token, named).await?;
    let user = match state.auth.user_find(spoken.tenant, &spoken.external_id).await? {
        Some(user) => user,
        None => state.auth.user_ensure(spoken.tenant, &spoken.external_id).await?,
    };
    Ok(Caller {
        tenant: spoken.tenant,
        user: UserRef::Known(user),
        kind: CallerKind::Foreign { issuer: spoken.issuer },
        scopes: spoken.scopes.into(),
        agents: None,
        within: None,
        expires_at: Some(spoken.expires_at),
    })
}

async fn by_ticket(state: &AppState, ticket: &str, run: RunId) -> Result<Credential, ApiError> {
    let claims = state.auth.tickets.read(ticket)?;
    let expired = || Problem::new(ErrorCode::TokenExpired, "the ticket has expired: get a new one");
    let now = Timestamp::now();
    if claims.made_at.plus_ms(tickets::MAX_AGE_MS) <= now {
        return Err(expired().into());
    }
    if claims.run != run {
        return Err(Problem::new(ErrorCode::NotFound, "there is no such run").into());
    }
    let caller = Caller {
        tenant: claims.tenant,
        user: UserRef::Known(claims.user),
        kind: CallerKind::Ticket { run },
        scopes: USER_SCOPES.iter().filter(|scope| **scope == "runs:read").map(|s| (*s).to_owned()).collect(),
        agents: None,
        within: None,
        expires_at: Some(claims.made_at.plus_ms(tickets::MAX_AGE_MS)),
    };
    let origins = user_origins(state, &caller).await?;
    let fresh = now < claims.made_at.plus_ms(tickets::FIRST_USE_MS);
    let storage = state.store.scoped(caller.scope());
    let Some(known) = storage.ticket_use(claims.id, run, fresh, now).await? else {
        return Err(Problem::new(ErrorCode::NotFound, "there is no such run").into());
    };
    if known.revoked {
        return Err(unknown().into());
    }
    if !known.used || known.run_finished_at.is_some_and(|at| at.plus_ms(tickets::AFTER_END_MS) <= now) {
        return Err(expired().into());
    }
    Ok(Credential::Caller(caller, origins))
}

/// Whether the caller's tenant and user may act, and the tenant's origins.
async fn user_origins(state: &AppState, caller: &Caller) -> Result<Arc<[String]>, ApiError> {
    let user = caller.user.known().ok_or_else(unknown)?;
    let access = state.auth.access(caller.tenant, user).await?.ok_or_else(unknown)?;
    if !access.tenant_active {
        return Err(Problem::new(ErrorCode::TenantSuspended, "the operator has suspended this tenant").into());
    }
    match access.user_active {
        Some(true) => Ok(access.origins.clone().into()),
        Some(false) => Err(Problem::new(ErrorCode::UserBlocked, "the tenant has blocked this user").into()),
        None => Err(unknown().into()),
    }
}

fn user_header(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all("headwater-user").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(ApiError::invalid_request("header:Headwater-User", "must be one external_id or usr_… id")),
    }
}
