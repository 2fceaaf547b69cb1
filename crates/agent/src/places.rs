//! Room for large answers of tools.
//!
//! Owns how many of them are in memory at once: [`PLACES`], one for each tenant at a time. A tenant whose tools answer slowly
//! makes itself wait, and those few others that share its place.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use headwater_protocol::TenantId;
use tokio::sync::Semaphore;

/// With [`MAX_ARTIFACT_BYTES`](headwater_protocol::api::MAX_ARTIFACT_BYTES) each.
const PLACES: usize = 32;

/// The places. Which is a tenant's differs from process to process.
#[derive(Debug)]
pub(crate) struct Places {
    hasher: RandomState,
    places: [Arc<Semaphore>; PLACES],
}

impl Default for Places {
    fn default() -> Self {
        Self { hasher: RandomState::new(), places: std::array::from_fn(|_| Arc::new(Semaphore::new(1))) }
    }
}

impl Places {
    /// A tenant's.
    pub(crate) fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let at = self.hasher.hash_one(tenant) as usize % PLACES;
        self.places[at].clone()
    }
}
