//! Room for what is large.
//!
//! Owns how much of a kind is in memory at once, and how that is shared: a tenant has one of a few shares for itself, and what
//! takes long there makes that tenant wait, and those few others that have the same one.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use headwater_protocol::TenantId;
use tokio::sync::Semaphore;

/// Shares of some room. Which is a tenant's differs from process to process.
#[derive(Debug)]
pub(crate) struct Places {
    hasher: RandomState,
    shares: Vec<Arc<Semaphore>>,
}

impl Places {
    /// So many shares, with so many places each.
    pub(crate) fn new(shares: usize, places: usize) -> Self {
        let shares = (0..shares).map(|_| Arc::new(Semaphore::new(places))).collect();
        Self { hasher: RandomState::new(), shares }
    }

    /// A tenant's.
    pub(crate) fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let at = self.hasher.hash_one(tenant) as usize % self.shares.len();
        self.shares[at].clone()
    }
}
