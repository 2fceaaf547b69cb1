//! The one who calls, as handlers get it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use headwater_protocol::event::{Actor, ActorKind};
use headwater_protocol::trace::TraceContext;
use headwater_protocol::{ErrorCode, IssuerId, KeyId, Problem, RunId, Scope, TenantId, Timestamp, UserId};
use http::request::Parts;

use crate::error::ApiError;
use crate::wiring::AppState;

/// With what a caller came.
#[derive(Debug, Clone)]
pub enum CallerKind {
    /// A tenant's secret key.
    Key {
        /// The key.
        key: KeyId,
        /// The hash of its secret.
        secret_hash: [u8; 32],
    },
    /// A user's token.
    Token,
    /// A user's token of one of the tenant's own issuers.
    Foreign {
        /// Which.
        issuer: IssuerId,
    },
    /// A ticket for one run.
    Ticket {
        /// The run.
        run: RunId,
    },
}

/// For which user a caller acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// For none: the tenant itself.
    None,
    /// For this one.
    Known(UserId),
    /// For one that does not exist yet. Its first write makes it.
    Unknown(String),
}

impl UserRef {
    /// The user, if there is one.
    pub fn known(&self) -> Option<UserId> {
        match self {
            UserRef::Known(user) => Some(*user),
            UserRef::None | UserRef::Unknown(_) => None,
        }
    }
}

/// A tenant key, a user token or a ticket.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant.
    pub tenant: TenantId,
    /// The user acted for.
    pub user: UserRef,
    /// With what it came.
    pub kind: CallerKind,
    /// What it may do.
    pub scopes: Arc<[String]>,
    /// The agents it may run; `None` is all.
    pub agents: Option<Arc<[String]>>,
    /// When the credential stops working.
    pub expires_at: Option<Timestamp>,
    /// The trace within which it asks.
    pub within: Option<TraceContext>,
}

impl Caller {
    /// Who sees what: for a user that does not exist, nobody's data.
    pub fn scope(&self) -> Scope {
        let user = match &self.user {
            UserRef::None => None,
            UserRef::Known(user) => Some(*user),
            // An id that no row has.
            UserRef::Unknown(_) => Some(UserId::new()),
        };
        Scope { tenant: self.tenant, user }
    }

    /// The whole tenant, whoever is acted for: for what only a key may do, such as managing users.
    pub fn tenant_scope(&self) -> Scope {
        Scope { tenant: self.tenant, user: None }
    }

    /// Whether this is the tenant's key, with or without a user.
    pub fn is_key(&self) -> bool {
        matches!(self.kind, CallerKind::Key { .. })
    }

    /// Whether to show what end users see.
    pub fn sees_as_user(&self) -> bool {
        !self.is_key()
    }

    /// Refuses a caller without this scope, such as `runs:write`.
    pub fn require(&self, scope: &str) -> Result<(), Problem> {
        if self.scopes.iter().any(|held| held == "*" || held == scope) {
            return Ok(());
        }
        Err(Problem::new(ErrorCode::Forbidden, format!("this credential does not have the scope {scope}")))
    }

    /// Refuses everything but a tenant's key with this scope.
    pub fn require_key(&self, scope: &str) -> Result<(), Problem> {
        if !self.is_key() {
            return Err(Problem::new(ErrorCode::Forbidden, "this takes a tenant's secret key"));
        }
        self.require(scope)
    }

    /// Refuses a ticket for anything but its own run.
    pub fn require_run(&self, run: RunId, scope: &str) -> Result<(), Problem> {
        match self.kind {
            CallerKind::Ticket { run: own } if own == run => Ok(()),
            CallerKind::Ticket { .. } => Err(Problem::new(ErrorCode::NotFound, "there is no such run")),
            CallerKind::Key { .. } | CallerKind::Token | CallerKind::Foreign { .. } => self.require(scope),
        }
    }

    /// The same caller with a user that exists: made now if this is its first write. From here on it is that user who
    /// acts, also for idempotency keys: a repeated first write finds what the first one made.
    pub async fn into_user(mut self, state: &AppState) -> Result<Self, ApiError> {
        match &self.user {
            UserRef::Known(_) => {}
            UserRef::Unknown(external_id) => {
                self.user = UserRef::Known(state.auth.user_ensure(self.tenant, external_id).await?);
            }
            UserRef::None => {
                let detail = "say for which user: send the header Headwater-User with a tenant's key";
                return Err(Problem::new(ErrorCode::UserRequired, detail).into());
            }
        }
        Ok(self)
    }

    /// Whose idempotency keys these are.
    pub fn actor_id(&self) -> uuid::Uuid {
        match (&self.user, &self.kind) {
            (UserRef::Known(user), _) => user.uuid(),
            (_, CallerKind::Key { key, .. }) => key.uuid(),
            (_, CallerKind::Token | CallerKind::Foreign { .. } | CallerKind::Ticket { .. }) => self.tenant.uuid(),
        }
    }

    /// Who does it, for the record.
    pub fn actor(&self) -> Actor {
        match (&self.kind, &self.user) {
            (CallerKind::Key { key, .. }, UserRef::None) => {
                Actor { kind: ActorKind::Tenant, id: Some(key.to_string()), reason: None }
            }
            (_, user) => Actor { kind: ActorKind::User, id: user.known().map(|user| user.to_string()), reason: None },
        }
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        match parts.extensions.get::<Caller>() {
            Some(caller) => Ok(caller.clone()),
            None if parts.extensions.get::<Operator>().is_some() => {
                Err(Problem::new(ErrorCode::Forbidden, "this takes a tenant's key or a user's token").into())
            }
            None => Err(Problem::new(ErrorCode::Unauthenticated, "no credential").into()),
        }
    }
}

/// The operator of the service.
#[derive(Debug, Clone, Copy)]
pub struct Operator;

impl FromRequestParts<AppState> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        match parts.extensions.get::<Operator>() {
            Some(operator) => Ok(*operator),
            None if parts.extensions.get::<Caller>().is_some() => {
                Err(Problem::new(ErrorCode::Forbidden, "this takes the operator's key").into())
            }
            None => Err(Problem::new(ErrorCode::Unauthenticated, "no credential").into()),
        }
    }
}
