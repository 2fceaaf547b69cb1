//! A provider's limiters, by model and key.
//!
//! Owns [`Lanes`]. Promises that models and keys do not hold each other up, as providers count them apart; that the number of
//! limiters stays bounded whatever tenants ask for: models share one by their entry in the table of prices, those that
//! nobody knows share one, and a limiter that has nothing to
//! remember is forgotten.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use headwater_protocol::TenantId;
use tokio::time::Instant;

use super::{ConcurrencyLimiter, QueueBounds};

/// Below this many limiters none is looked at.
const KEPT: usize = 64;

/// Which calls share a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lane {
    /// Its entry in the table of prices. `None`: a model of which nothing is known.
    model: Option<String>,
    /// Whose key it is; `None`: the platform's.
    key_of: Option<TenantId>,
}

/// How much goes on at a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Calls that have their place.
    pub in_use: usize,
    /// Calls that wait for one.
    pub waiting: usize,
}

/// The limiters of one provider.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// Of all processes together; 0 = none.
    limit: usize,
    bounds: QueueBounds,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// This process' part of the limit.
    share: usize,
    lanes: HashMap<Lane, ConcurrencyLimiter>,
    looked_at: usize,
}

impl Lanes {
    /// Each with this limit (0 = none).
    pub(crate) fn new(limit: usize, bounds: QueueBounds) -> Self {
        Self { limit, bounds, known: Mutex::new(Known { share: limit, lanes: HashMap::new(), looked_at: KEPT }) }
    }

    /// The limiter of an entry of the table (`None`: models of which nothing is known) with the key of a tenant, or the platform's.
    pub(crate) fn lane(&self, model: Option<&str>, key_of: Option<TenantId>) -> ConcurrencyLimiter {
        let lane = Lane { model: model.map(str::to_owned), key_of };
        let mut known = self.lock();
        if let Some(limiter) = known.lanes.get(&lane) {
            return limiter.clone();
        }
        if known.lanes.len() >= known.looked_at * 2 {
            let now = Instant::now();
            known.lanes.retain(|_, limiter| limiter.is_shared() || !limiter.is_idle(now));
            known.looked_at = known.lanes.len().max(KEPT);
        }
        let limiter = ConcurrencyLimiter::new(known.share, self.bounds);
        known.lanes.insert(lane, limiter.clone());
        limiter
    }

    /// Takes this process' part of the limit, which may be less or more than before.
    pub(crate) fn set_share(&self, of: impl Fn(usize) -> usize) {
        if self.limit == 0 {
            return;
        }
        let mut known = self.lock();
        known.share = of(self.limit);
        for limiter in known.lanes.values() {
            limiter.set_share(known.share);
        }
    }

    /// Each of them, with its entry of the table (`None`: models of which nothing is known) and whose key it is.
    pub(crate) fn all(&self) -> Vec<(Option<String>, Option<TenantId>, ConcurrencyLimiter)> {
        let known = self.lock();
        known.lanes.iter().map(|(lane, limiter)| (lane.model.clone(), lane.key_of, limiter.clone())).collect()
    }

    /// Permits that are out and calls that wait, of all of them together.
    pub(crate) fn traffic(&self) -> Traffic {
        let known = self.lock();
        let states = known.lanes.values().map(ConcurrencyLimiter::state);
        states.fold(Traffic::default(), |sum, state| Traffic {
            in_use: sum.in_use + state.in_use,
            waiting: sum.waiting + state.waiting,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_apart_and_those_nobody_uses_are_forgotten() {
        let lanes = Lanes::new(1, QueueBounds { per_tenant: 1, in_all: 1 });
        let (mine, platform) = (TenantId::new(), lanes.lane(Some("m"), None));
        let ctx = crate::limiter::tests::of(mine);
        let _permit = platform.enter(&ctx, 1, std::time::Duration::ZERO).expect("room");
        assert_eq!(lanes.lane(Some("m"), None).in_use(), 1);
        assert_eq!(lanes.lane(Some("m"), Some(mine)).in_use(), 0);
        assert_eq!(lanes.lane(Some("other"), None).in_use(), 0);
        drop(platform);
        for _ in 0..1000 {
            let _ = lanes.lane(None, Some(TenantId::new()));
        }
        assert!(lanes.lock().lanes.len() <= 2 * KEPT + 1);
        assert_eq!(lanes.lane(Some("m"), None).in_use(), 1, "one that is in use is not forgotten");
    }
}
