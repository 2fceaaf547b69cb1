//! What one process tells its operator about itself.

use serde::{Deserialize, Serialize};

use crate::{TenantId, Timestamp};

words! {
    /// Whether a provider is asked at all.
    BreakerState {
        /// It is.
        Closed,
        /// It is not: it has failed too often.
        Open,
        /// One call is under way to find out.
        Probing,
    }
    /// Whether a process is awake.
    QuietState {
        /// It is.
        Awake,
        /// It sends nothing and holds nothing.
        Quiet,
    }
    /// How much a finding matters.
    FindingLevel {
        /// As it should be.
        Ok,
        /// To know.
        Note,
        /// To be mended.
        Error,
    }
}

/// Who waits for a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LimiterTenant {
    /// The tenant.
    pub tenant: TenantId,
    /// Its share beside others', by its plan.
    pub weight: u32,
    /// Calls that wait.
    pub waiting: u64,
}

/// Calls that share one limit: of models of one entry of the price table, with one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LimiterKey {
    /// `PROVIDER/model-id`; `PROVIDER/*` for models of which nothing is known.
    pub model: String,
    /// `platform`, or the tenant whose own key it is.
    pub key: String,
    /// Calls that are let through at a time now; `null`: any number.
    pub limit: Option<u64>,
    /// Calls that have their place.
    pub in_flight: u64,
    /// Calls that wait for one.
    pub waiting: u64,
    /// For how long nobody is let through, because the provider asked for it.
    pub paused_ms: u64,
    /// Whether it is asked at all.
    pub breaker: BreakerState,
    /// Until when it is not.
    pub open_until: Option<Timestamp>,
    /// Who waits, those with most first; at most 100.
    pub tenants: Vec<LimiterTenant>,
}

/// What goes on at the providers, as this process sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Limiter {
    /// Always `limiter`.
    pub object: String,
    /// The process.
    pub replica: String,
    /// Limits in use, those with most waiting first; at most 100.
    pub keys: Vec<LimiterKey>,
}

/// Something that keeps a process awake, and how much of it there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BusyWith {
    /// `runs`, `streams`, `database`.
    pub what: String,
    /// How many.
    pub count: u64,
}

/// Whether a process is quiet, and why not. Asking does not wake it, but an answer is a packet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct QuietStatus {
    /// Always `quiet`.
    pub object: String,
    /// The process.
    pub replica: String,
    /// Whether it goes quiet at all.
    pub enabled: bool,
    /// Whether it is.
    pub state: QuietState,
    /// How long the database was not needed.
    pub idle_ms: u64,
    /// After so long it goes quiet, if nothing is under way or due.
    pub quiet_after_ms: u64,
    /// How often it has woken.
    pub wakes: u64,
    /// What is under way.
    pub busy: Vec<BusyWith>,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// How much it matters.
    pub level: FindingLevel,
    /// What was looked at: `wall`, `schema`, `money`, …
    pub what: String,
    /// What was seen.
    pub words: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// What the doctor has found, as far as a running server can look; `headwater doctor` looks at settings and providers too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Doctor {
    /// Always `doctor`.
    pub object: String,
    /// When.
    pub checked_at: Timestamp,
    /// What was seen, in the order in which it was looked at.
    pub findings: Vec<Finding>,
}
