//! What holds for each tenant, as this process remembers it.
//!
//! Owns [`TermsBook`]. Promises that a change of a plan or of prices is known within [`GOOD_FOR`] on every replica, and that a
//! database that is away leaves what was known last. Never says anything about a tenant of which it has not asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use headwater_protocol::TenantId;
use headwater_protocol::api::{PlanTerms, TenantPrices};
use moka::sync::Cache;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

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
    #[serde(rename = "terms", deserialize_with = "lenient")]
    pub grants: PlanTerms,
    /// What the tenant pays.
    #[serde(deserialize_with = "lenient")]
    pub prices: TenantPrices,
}

/// Remembers tenants' terms. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct TermsBook {
    store: Store,
    known: Cache<TenantId, Known>,
    /// Changes that were made here.
    changes: Arc<AtomicU64>,
}

#[derive(Debug, Clone)]
struct Known {
    asked: Instant,
    /// After so many changes.
    after: u64,
    terms: Arc<TenantTerms>,
}

impl TermsBook {
    /// Knows nothing yet.
    pub fn new(store: Store) -> Self {
        let known = Cache::builder().max_capacity(100_000).time_to_live(KEPT_FOR).build();
        Self { store, known, changes: Arc::default() }
    }

    /// The tenant's terms, at most [`GOOD_FOR`] old. Of a tenant that there is not: those of nobody, the defaults.
    ///
    /// # Errors
    /// The database is away, and nothing is known from before.
    pub async fn of(&self, tenant: TenantId) -> Result<Arc<TenantTerms>, StoreError> {
        let (asked, after) = (Instant::now(), self.changes.load(Ordering::Acquire));
        let known = self.known.get(&tenant);
        if let Some(known) = &known
            && known.after == after
            && known.asked.elapsed() < GOOD_FOR
        {
            return Ok(Arc::clone(&known.terms));
        }
        let unscoped = self.store.unscoped("what holds for a tenant");
        let asking = unscoped.tenant_terms(tenant);
        let answer = match known {
            // A busy database is waited for where there is nothing else to go by, as for everything else.
            None => asking.await,
            Some(_) => tokio::time::timeout(PATIENCE, asking)
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("the database does not answer".into()))),
        };
        match answer {
            Ok(terms) => {
                let terms = Arc::new(terms.unwrap_or_default());
                self.known.insert(tenant, Known { asked, after, terms: Arc::clone(&terms) });
                Ok(terms)
            }
            Err(error) => match known {
                // Not asked for again by everybody while the database is away.
                Some(known) if !matches!(error, StoreError::Corrupt(_)) => {
                    self.known.insert(tenant, Known { asked: Instant::now(), after, terms: Arc::clone(&known.terms) });
                    Ok(known.terms)
                }
                Some(_) | None => Err(error),
            },
        }
    }

    /// What was known last, without asking; the defaults where nothing is.
    pub fn last_known(&self, tenant: TenantId) -> Arc<TenantTerms> {
        self.known.get(&tenant).map(|known| known.terms).unwrap_or_default()
    }

    /// Something was changed here: asks anew from now on. What was known serves until there is an answer.
    pub fn forget(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

/// What is stored, without what only a later release knows.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Serialize + DeserializeOwned,
{
    let mut stored = serde_json::Value::deserialize(deserializer)?;
    let known = serde_json::to_value(T::default()).map_err(D::Error::custom)?;
    if let (Some(stored), Some(known)) = (stored.as_object_mut(), known.as_object()) {
        stored.retain(|name, _| known.contains_key(name));
    }
    serde_json::from_value(stored).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_release_has_stored_is_read_as_far_as_it_is_known() {
        let stored =
            serde_json::json!({"plan": "team", "terms": {"weight": 3, "moon_phase": true}, "prices": {"rebate": 1}});
        let terms: TenantTerms = serde_json::from_value(stored).expect("it reads");
        assert_eq!((terms.grants.weight, terms.prices), (3, TenantPrices::default()));
    }
}
