//! Request rates: per user, per key and per tenant.
//!
//! Owns three buckets per caller, each as large as its quota of one minute and refilled evenly, and the headers of the
//! IETF draft `ratelimit-headers-10` that tell how full they are.
//! Promises bounded memory without a timer: full buckets are forgotten as checks come in; and that several replicas
//! together allow what one alone would, because each request weighs as many places as there are replicas.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponseParts, ResponseParts};
use dashmap::DashMap;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use headwater_protocol::{ErrorCode, KeyId, TenantId, UserId};
use headwater_store::Share;

use crate::config::LimitSettings;
use crate::error::ApiError;

/// `RateLimit-Policy`.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `RateLimit`.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The fewest checks between two rounds of forgetting.
const FORGET_EVERY: usize = 1024;

/// Whose requests are counted. What is absent is not counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct RateSubject {
    /// The key that was used.
    pub key: Option<KeyId>,
    /// The user acted for.
    pub user: Option<UserId>,
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// What its plan grants all of its requests in a minute, if that is not what the settings say.
    pub plan: Option<u32>,
}

/// How full the buckets are: both headers, or none where nothing is limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateHeaders(Option<(HeaderValue, HeaderValue)>);

impl RateHeaders {
    /// Sets the headers.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if let Some((policy, limit)) = &self.0 {
            headers.insert(RATELIMIT_POLICY, policy.clone());
            headers.insert(RATELIMIT, limit.clone());
        }
    }

    fn of(policies: &[Policy]) -> Self {
        let Some(tightest) = policies.iter().min_by_key(|policy| policy.remaining) else { return Self(None) };
        // In the order of the documentation, which is not the order of the checks.
        let mut named: Vec<&Policy> = policies.iter().collect();
        named.sort_by_key(|policy| ["key", "user", "tenant"].iter().position(|name| *name == policy.name));
        let named: Vec<String> =
            named.iter().map(|policy| format!("{:?};q={};w=60", policy.name, policy.quota)).collect();
        let limit = format!("{:?};r={};t={}", tightest.name, tightest.remaining, tightest.reset_seconds());
        Self(HeaderValue::try_from(named.join(", ")).ok().zip(HeaderValue::try_from(limit).ok()))
    }
}

impl IntoResponseParts for RateHeaders {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        self.apply(parts.headers_mut());
        Ok(parts)
    }
}

/// One bucket as a check found it.
struct Policy {
    name: &'static str,
    quota: u32,
    remaining: u32,
}

impl Policy {
    /// When the bucket is full again: each place takes an equal part of the minute.
    fn reset_seconds(&self) -> u64 {
        (u64::from(self.quota - self.remaining.min(self.quota)) * 60).div_ceil(u64::from(self.quota))
    }
}

type Limiter<K, C> = RateLimiter<K, DashMapStateStore<K>, C, StateInformationMiddleware>;

/// The buckets of one kind of caller.
struct Buckets<K: Hash + Eq + Clone, C: Clock + Clone> {
    name: &'static str,
    quota: NonZeroU32,
    limiter: Limiter<K, C>,
    clock: C,
    /// Since buckets were last forgotten.
    checks: AtomicUsize,
    /// How many were left then.
    kept: AtomicUsize,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Buckets<K, C> {
    fn new(name: &'static str, per_minute: u32, clock: &C) -> Option<Self> {
        let quota = NonZeroU32::new(per_minute)?;
        let limiter = RateLimiter::dashmap_with_clock(Quota::per_minute(quota), clock.clone())
            .with_middleware::<StateInformationMiddleware>();
        Some(Self {
            name,
            quota,
            limiter,
            clock: clock.clone(),
            checks: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
        })
    }

    /// Takes one request's places, or says how long until they are there. With several replicas a request weighs as many:
    /// so all of them together let pass what one alone would.
    fn take(&self, whose: &K, weight: NonZeroU32) -> Result<Policy, (Policy, Duration)> {
        let checks = self.checks.fetch_add(1, Ordering::Relaxed) + 1;
        // After as many checks as there were buckets left: so each check pays the same small part of forgetting.
        if checks >= FORGET_EVERY.max(self.kept.load(Ordering::Relaxed)) {
            self.checks.store(0, Ordering::Relaxed);
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
            self.kept.store(self.limiter.len(), Ordering::Relaxed);
        }
        let weight = weight.min(self.quota);
        let policy = |places| Policy { name: self.name, quota: self.quota.get(), remaining: places / weight };
        let checked = self.limiter.check_key_n(whose, weight).expect("no more than the bucket holds");
        match checked {
            Ok(state) => Ok(policy(state.remaining_burst_capacity())),
            Err(until) => Err((policy(0), until.wait_time_from(self.clock.now()))),
        }
    }
}

/// All request rates of this process.
pub struct RateLimits<C: Clock + Clone = DefaultClock> {
    user: Option<Buckets<UserId, C>>,
    key: Option<Buckets<KeyId, C>>,
    tenant: Option<Buckets<TenantId, C>>,
    /// Of tenants whose plan says how many, by that number: there are as many as operators think of.
    plans: DashMap<u32, Arc<Buckets<TenantId, C>>>,
    clock: C,
    share: Share,
}

impl RateLimits {
    /// Buckets of these sizes, which all replicas share; 0 = no limit.
    pub fn new(settings: &LimitSettings, share: Share) -> Self {
        Self { share, ..Self::with_clock(settings, &DefaultClock::default()) }
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    /// The same, by another clock.
    pub fn with_clock(settings: &LimitSettings, clock: &C) -> Self {
        Self {
            user: Buckets::new("user", settings.requests_per_minute_per_user, clock),
            key: Buckets::new("key", settings.requests_per_minute_per_key, clock),
            tenant: Buckets::new("tenant", settings.requests_per_minute_per_tenant, clock),
            plans: DashMap::new(),
            clock: clock.clone(),
            share: Share::default(),
        }
    }

    /// Buckets in memory.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.user.as_ref().map_or(0, |buckets| buckets.limiter.len())
            + self.key.as_ref().map_or(0, |buckets| buckets.limiter.len())
            + self.tenant.as_ref().map_or(0, |buckets| buckets.limiter.len())
    }

    /// Counts one request. Refused: `rate_limited`, with the same headers and the time to wait.
    pub fn check(&self, subject: RateSubject) -> Result<RateHeaders, ApiError> {
        let mut passed = Vec::with_capacity(3);
        let weight = u32::try_from(self.share.replicas()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        // From the narrowest to the widest: what a user's own bucket refuses costs nobody else a place.
        take(self.user.as_ref(), subject.user, weight, &mut passed)?;
        take(self.key.as_ref(), subject.key, weight, &mut passed)?;
        match subject.plan {
            None => take(self.tenant.as_ref(), subject.tenant, weight, &mut passed)?,
            Some(per_minute) => {
                let new = || Buckets::new("tenant", per_minute, &self.clock).map(Arc::new);
                let known = self.plans.get(&per_minute).map(|known| Arc::clone(&known));
                let buckets = known.or_else(|| {
                    let made = new()?;
                    Some(Arc::clone(&self.plans.entry(per_minute).or_insert(made)))
                });
                take(buckets.as_deref(), subject.tenant, weight, &mut passed)?;
            }
        }
        Ok(RateHeaders::of(&passed))
    }
}

/// Takes a place, where this kind is limited and there is somebody to count.
fn take<K: Hash + Eq + Clone, C: Clock + Clone>(
    buckets: Option<&Buckets<K, C>>,
    whose: Option<K>,
    weight: NonZeroU32,
    passed: &mut Vec<Policy>,
) -> Result<(), ApiError> {
    let Some((buckets, whose)) = buckets.zip(whose) else { return Ok(()) };
    let (policy, wait) = match buckets.take(&whose, weight) {
        Ok(policy) => {
            passed.push(policy);
            return Ok(());
        }
        Err(refused) => refused,
    };
    let name = policy.name;
    passed.push(policy);
    let mut headers = HeaderMap::new();
    RateHeaders::of(passed).apply(&mut headers);
    let error = ApiError::new(ErrorCode::RateLimited, format!("too many requests of this {name}"));
    Err(error.with("policy", name).retry_after(wait).with_headers(headers))
}
