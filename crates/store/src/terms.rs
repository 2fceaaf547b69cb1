//! What holds for each tenant, as this process remembers it.
//!
//! Owns [`TermsBook`]. Promises that a change of a plan or of prices is known within [`GOOD_FOR`] on every replica, and that a
//! database that is away leaves what was known last. Never says anything about a tenant of which it has not asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_protocol::TenantId;
use headwater_protocol::api::{PlanTerms, TenantPrices};
use moka::sync::Cache;
use serde::Deserialize;

use crate::{Store, StoreError};

/// How long an answer is taken for true.
pub const GOOD_FOR: Duration = Duration::from_secs(5);
/// What is known from before serves when the database takes longer than this.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one is kept, for when the database is away.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// A tenant's plan and prices.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct TenantTerms {
    /// The plan's name.
    pub plan: String,
    /// What it grants.
    #[serde(rename = "terms")]
    pub grants: PlanTerms,
    /// What the tenant pays.
    pub prices: TenantPrices,
}

/// Remembers tenants' terms. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct TermsBook {
    store: Store,
    known: Cache<TenantId, (Instant, Arc<TenantTerms>)>,
}

impl TermsBook {
    /// Knows nothing yet.
    pub fn new(store: Store) -> Self {
        Self { store, known: Cache::builder().max_capacity(100_000).time_to_live(KEPT_FOR).build() }
    }

    /// The tenant's terms, at most [`GOOD_FOR`] old. Of a tenant that there is not: those of nobody, the defaults.
    ///
    /// # Errors
    /// The database is away, and nothing is known from before.
    pub async fn of(&self, tenant: TenantId) -> Result<Arc<TenantTerms>, StoreError> {
        let known = self.known.get(&tenant);
        if let Some((at, terms)) = &known
            && at.elapsed() < GOOD_FOR
        {
            return Ok(Arc::clone(terms));
        }
        let unscoped = self.store.unscoped("what holds for a tenant");
        let asked = tokio::time::timeout(PATIENCE, unscoped.tenant_terms(tenant)).await;
        match asked.unwrap_or_else(|_| Err(StoreError::Unavailable("the database does not answer".into()))) {
            Ok(terms) => {
                let terms = Arc::new(terms.unwrap_or_default());
                self.known.insert(tenant, (Instant::now(), Arc::clone(&terms)));
                Ok(terms)
            }
            Err(error) => match known {
                // Not asked for again by everybody while the database is away.
                Some((_, terms)) if !matches!(error, StoreError::Corrupt(_)) => {
                    self.known.insert(tenant, (Instant::now(), Arc::clone(&terms)));
                    Ok(terms)
                }
                Some(_) | None => Err(error),
            },
        }
    }

    /// What was known last, without asking; the defaults where nothing is.
    pub fn last_known(&self, tenant: TenantId) -> Arc<TenantTerms> {
        self.known.get(&tenant).map(|(_, terms)| terms).unwrap_or_default()
    }

    /// Something was changed here: asks anew from now on.
    pub fn forget(&self) {
        self.known.invalidate_all();
    }
}
