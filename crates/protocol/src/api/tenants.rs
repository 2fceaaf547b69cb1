//! Tenants, their keys, users and tokens.

use serde::{Deserialize, Serialize};

use super::{check_external_id, check_metadata, check_name};
use crate::message::Metadata;
use crate::{KeyId, Problem, TenantId, Timestamp, UserId};

/// Whether a tenant may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TenantStatus {
    /// It may.
    Active,
    /// The operator switched it off.
    Suspended,
}

/// Whether a user may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// It may.
    Active,
    /// The tenant switched it off.
    Blocked,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Always `tenant`.
    pub object: String,
    /// Its name.
    pub name: String,
    /// Whether it may act.
    pub status: TenantStatus,
    /// The plan it is on.
    pub plan: String,
    /// Origins whose pages may call the API (CORS).
    pub allowed_origins: Vec<String>,
    /// How long a run's deltas are kept after its terminal event.
    pub retention_ms: i64,
    /// The operator's and tenant's own pairs.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What may be set on a tenant by itself; the operator may also set `status` and `plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantSettings {
    /// 1 to 128 characters.
    pub name: String,
    /// Origins such as `https://app.acme.test`; at most 32.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// 60 000 to 31 536 000 000 (a year); a day unless given.
    #[serde(default = "day")]
    pub retention_ms: i64,
    /// Own pairs.
    #[serde(default)]
    pub metadata: Metadata,
    /// Operator only: `active` or `suspended`.
    #[serde(default = "active")]
    pub status: TenantStatus,
    /// Operator only: the plan's name.
    #[serde(default = "default_plan")]
    pub plan: String,
}

fn day() -> i64 {
    86_400_000
}

fn active() -> TenantStatus {
    TenantStatus::Active
}

fn default_plan() -> String {
    "default".into()
}

impl TenantSettings {
    /// Whether all values are within their bounds.
    pub fn check(&self) -> Result<(), Problem> {
        check_name("/name", &self.name, 128)?;
        check_metadata(&self.metadata)?;
        if !(60_000..=31_536_000_000).contains(&self.retention_ms) {
            return Err(Problem::invalid("/retention_ms", "must be 60000 to 31536000000"));
        }
        if self.allowed_origins.len() > 32 {
            return Err(Problem::invalid("/allowed_origins", "must hold at most 32 origins"));
        }
        for (i, origin) in self.allowed_origins.iter().enumerate() {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b);
            if !rest.is_some_and(|host_port| !host_port.is_empty() && host_port.bytes().all(host)) {
                let detail = "must be scheme://host[:port] in lower case, without a path";
                return Err(Problem::invalid(format!("/allowed_origins/{i}"), detail));
            }
        }
        super::check_plan_name("/plan", &self.plan)
    }
}

/// A key of a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Always `api_key`.
    pub object: String,
    /// The tenant it acts for.
    pub tenant: TenantId,
    /// What it is for.
    pub name: String,
    /// `hw_sk_…`, in the first answer only.
    pub secret: Option<String>,
    /// The first and last characters, to tell keys apart.
    pub hint: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// Right to the hour.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A new key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyParams {
    /// 1 to 128 characters.
    pub name: String,
    /// `["*"]` unless given.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// When it stops working; never unless given.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// The things a scope can name.
pub const SCOPE_RESOURCES: &[&str] = &[
    "agents",
    "threads",
    "runs",
    "approvals",
    "users",
    "tokens",
    "budgets",
    "usage",
    "schedules",
    "webhooks",
    "tools",
    "settings",
];

/// All that a user token may hold, and what it holds unless told otherwise.
pub const USER_SCOPES: &[&str] = &[
    "threads:read",
    "threads:write",
    "runs:read",
    "runs:write",
    "approvals:read",
    "approvals:write",
    "usage:read",
    "usage:write",
    "agents:read",
];

/// Checks scopes of a key.
pub fn check_scopes(scopes: &[String], allowed: impl Fn(&str) -> bool) -> Result<(), Problem> {
    if scopes.is_empty() {
        return Err(Problem::invalid("/scopes", "must not be empty; null is the default"));
    }
    for (i, scope) in scopes.iter().enumerate() {
        if !allowed(scope) {
            let detail = if is_key_scope(scope) {
                format!("{scope} is not allowed here")
            } else {
                // The words are the caller's.
                let scope: String = scope.chars().take(80).collect();
                let resources = SCOPE_RESOURCES.join(", ");
                format!("there is no scope {scope}; a scope is *, or NAME:read or NAME:write with one of {resources}")
            };
            return Err(Problem::invalid(format!("/scopes/{i}"), detail));
        }
    }
    Ok(())
}

/// Whether a key may hold this scope.
pub fn is_key_scope(scope: &str) -> bool {
    scope == "*"
        || scope
            .split_once(':')
            .is_some_and(|(resource, verb)| SCOPE_RESOURCES.contains(&resource) && matches!(verb, "read" | "write"))
}

impl KeyParams {
    /// Whether all values are within their bounds.
    pub fn check(&self) -> Result<(), Problem> {
        check_name("/name", &self.name, 128)?;
        match &self.scopes {
            Some(scopes) => check_scopes(scopes, is_key_scope),
            None => Ok(()),
        }
    }
}

/// A tenant's end user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Always `user`.
    pub object: String,
    /// The tenant's own id for it.
    pub external_id: Option<String>,
    /// A display name.
    pub name: Option<String>,
    /// Whether it may act.
    pub status: UserStatus,
    /// The tenant's own pairs.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What may be set on a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserSettings {
    /// The tenant's own id for it.
    #[serde(default)]
    pub external_id: Option<String>,
    /// 1 to 128 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// `active` or `blocked`.
    #[serde(default = "user_active")]
    pub status: UserStatus,
    /// Own pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

fn user_active() -> UserStatus {
    UserStatus::Active
}

impl UserSettings {
    /// Whether all values are within their bounds.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(id) = &self.external_id {
            check_external_id("/external_id", id)?;
        }
        if let Some(name) = &self.name {
            check_name("/name", name, 128)?;
        }
        check_metadata(&self.metadata)
    }
}

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Principal {
    /// Always `principal`.
    pub object: String,
    /// `tenant` (a key alone) or `user`.
    pub kind: String,
    /// The tenant.
    pub tenant: TenantId,
    /// The user acted for.
    pub user: Option<UserId>,
    /// The key used, if one was.
    pub key: Option<KeyId>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When the credential stops working.
    pub expires_at: Option<Timestamp>,
}

/// Asks for a token of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserTokenParams {
    /// `external_id` or `usr_…`; a new `external_id` makes the user.
    pub user: String,
    /// 60 000 to 3 600 000; 900 000 unless given.
    #[serde(default)]
    pub ttl_ms: Option<i64>,
    /// What it may do; all that a user may unless given.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Names or ids of the agents it may run; all unless given.
    #[serde(default)]
    pub agents: Option<Vec<String>>,
}

impl UserTokenParams {
    /// The time to live, or what is wrong with these parameters.
    pub fn check(&self) -> Result<i64, Problem> {
        let ttl_ms = self.ttl_ms.unwrap_or(900_000);
        if !(60_000..=3_600_000).contains(&ttl_ms) {
            return Err(Problem::invalid("/ttl_ms", "must be 60000 to 3600000"));
        }
        if let Some(scopes) = &self.scopes {
            check_scopes(scopes, |scope| USER_SCOPES.contains(&scope))?;
        }
        if self.agents.as_ref().is_some_and(|agents| agents.is_empty() || agents.len() > 64) {
            return Err(Problem::invalid("/agents", "must name 1 to 64 agents; null is all"));
        }
        Ok(ttl_ms)
    }
}

/// A token of a user, valid for minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserToken {
    /// Always `user_token`.
    pub object: String,
    /// The JWT.
    pub token: String,
    /// The user it acts as.
    pub user: UserId,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The agents it may run; `null` is all.
    pub agents: Option<Vec<String>>,
    /// When it stops working.
    pub expires_at: Timestamp,
}
