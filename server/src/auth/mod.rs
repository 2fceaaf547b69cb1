//! Who is calling.
//!
//! Owns the six kinds of credentials, the caches in front of the database, and the middleware that turns a request's
//! credential into a [`Caller`]. Promises that a revoked key, a blocked user or a suspended tenant is refused on every
//! replica within the cache's few seconds, and that no secret is stored, logged or compared byte by byte.
//! Never decides what a caller may see: its scope does, in the database.

mod caller;
mod issuers;
mod middleware;
mod tickets;
mod tokens;

pub use caller::{Caller, CallerKind, Operator, UserRef};
pub use issuers::{Issuers, reachable};
pub use middleware::{RouteKind, authenticate, bearer, user_ref};
pub use tickets::Tickets;
pub use tokens::{Claims, Tokens};

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use headwater_guard::Guard;
use headwater_protocol::{Problem, Scope, TenantId, Timestamp, UserId};
use headwater_store::scoped::UserAccess;
use headwater_store::unscoped::KeyGrant;
use headwater_store::{Store, StoreError};
use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::keys::MasterKey;

/// Everything that credentials are checked with.
#[derive(Debug, Clone)]
pub struct Auth {
    store: Store,
    pepper: Arc<hmac::Key>,
    operator: Arc<hmac::Tag>,
    waker: Arc<hmac::Tag>,
    operator_key: Arc<hmac::Key>,
    /// Signs and reads user tokens.
    pub tokens: Arc<Tokens>,
    /// Signs and reads tickets.
    pub tickets: Arc<Tickets>,
    /// Reads tokens of tenants' own issuers.
    pub issuers: Issuers,
    keys: Cache<[u8; 32], Option<Arc<KeyGrant>>>,
    access: Cache<(TenantId, UserId), Option<Arc<UserAccess>>>,
    users: Cache<(TenantId, String), UserId>,
    origins: Cache<String, bool>,
    /// What nobody has vouched for waits in line for the database, so that guessing cannot take every connection.
    strangers: Arc<Semaphore>,
}

impl Auth {
    /// Checks credentials against this store, remembering answers for `cache`.
    pub fn new(store: Store, guard: Guard, master: &MasterKey, operator_key: &str, cache: Duration) -> Self {
        // The operator's key is compared as a MAC under a random key: equal time, whatever is presented.
        let strangers = Arc::new(Semaphore::new(4));
        let random = hmac::Key::new(hmac::HMAC_SHA256, crate::keys::new_secret("").as_bytes());
        Self {
            store: store.clone(),
            pepper: Arc::new(master.pepper()),
            operator: Arc::new(hmac::sign(&random, operator_key.as_bytes())),
            waker: Arc::new(hmac::sign(&random, master.derive_wake_key().as_bytes())),
            operator_key: Arc::new(random),
            tokens: Arc::new(Tokens::new(master)),
            tickets: Arc::new(Tickets::new(master)),
            issuers: Issuers::new(store.clone(), guard, cache, strangers.clone()),
            keys: Cache::builder().max_capacity(10_000).time_to_live(cache).support_invalidation_closures().build(),
            access: Cache::builder().max_capacity(100_000).time_to_live(cache).support_invalidation_closures().build(),
            users: Cache::builder().max_capacity(100_000).time_to_live(cache).support_invalidation_closures().build(),
            origins: Cache::builder().max_capacity(1_000).time_to_live(cache).build(),
            strangers,
        }
    }

    /// Whether this is the key that a waker has.
    pub fn is_waker(&self, secret: &str) -> bool {
        hmac::verify(&self.operator_key, secret.as_bytes(), (*self.waker).as_ref()).is_ok()
    }

    /// Whether this is the operator's key.
    pub fn is_operator(&self, secret: &str) -> bool {
        hmac::verify(&self.operator_key, secret.as_bytes(), (*self.operator).as_ref()).is_ok()
    }

    /// The hash under which a key's secret is stored.
    pub fn hash(&self, secret: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.pepper, secret.as_bytes());
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// What a key is good for. Unknown secrets are remembered too, so that guessing does not reach the database at will.
    async fn key(&self, secret: &str) -> Result<Option<Arc<KeyGrant>>, StoreError> {
        let hash = self.hash(secret);
        let read = async {
            let _in_line = self.strangers.acquire().await;
            let unscoped = self.store.unscoped("a key's hash is looked up before any scope exists");
            Ok(unscoped.auth_key(&hash).await?.map(Arc::new))
        };
        self.keys.try_get_with(hash, read).await.map_err(Arc::unwrap_or_clone)
    }

    /// Whether a user may act.
    pub async fn access(&self, tenant: TenantId, user: UserId) -> Result<Option<Arc<UserAccess>>, StoreError> {
        let scope = Scope { tenant, user: Some(user) };
        let read = async { Ok(self.store.scoped(scope).user_access().await?.map(Arc::new)) };
        self.access.try_get_with((tenant, user), read).await.map_err(Arc::unwrap_or_clone)
    }

    /// The user with this external id, if there is one.
    pub async fn user_find(&self, tenant: TenantId, external_id: &str) -> Result<Option<UserId>, StoreError> {
        let key = (tenant, external_id.to_owned());
        if let Some(user) = self.users.get(&key).await {
            return Ok(Some(user));
        }
        let found = self.store.scoped(Scope { tenant, user: None }).user_by_external_id(external_id).await?;
        if let Some(user) = &found {
            self.users.insert(key, user.id).await;
        }
        Ok(found.map(|user| user.id))
    }

    /// The user with this external id, made if there is none.
    pub async fn user_ensure(&self, tenant: TenantId, external_id: &str) -> Result<UserId, StoreError> {
        let storage = self.store.scoped(Scope { tenant, user: None });
        let user = storage.user_ensure(external_id, Timestamp::now()).await?;
        self.users.insert((tenant, external_id.to_owned()), user).await;
        Ok(user)
    }

    /// Whether some tenant lists this origin.
    pub async fn origin_known(&self, origin: &str) -> bool {
        let store = self.store.clone();
        let read = async {
            let _in_line = self.strangers.acquire().await;
            store.unscoped("a preflight carries no credential").tenant_origin_known(origin).await
        };
        self.origins.try_get_with(origin.to_owned(), read).await.unwrap_or(false)
    }

    /// Forgets what is known of a tenant, or of one of its users, at once on this process. Others' stays: a tenant must
    /// not be able to empty everybody's caches.
    pub async fn forget(&self, tenant: TenantId, user: Option<UserId>) {
        // By external id a user may be cached under any name.
        let users = self
            .users
            .invalidate_entries_if(move |(of, _), cached| *of == tenant && user.is_none_or(|user| *cached == user));
        let access = self
            .access
            .invalidate_entries_if(move |(of, known), _| *of == tenant && user.is_none_or(|user| *known == user));
        let mut forgotten = users.is_ok() && access.is_ok();
        if user.is_none() {
            let keys = self.keys.invalidate_entries_if(move |_, grant| {
                grant.as_ref().is_some_and(|grant| grant.tenant == tenant.uuid())
            });
            forgotten &= keys.is_ok();
            self.origins.invalidate_all();
        }
        debug_assert!(forgotten, "these caches were built with closures allowed");
    }

    /// Whether a credential is still good, asked now and then while a stream is open.
    pub async fn is_still_good(&self, caller: &Caller) -> bool {
        // The database being away throws nobody out.
        if let CallerKind::Key { secret_hash, .. } = &caller.kind {
            let grant = match self.keys.get(secret_hash).await {
                Some(grant) => grant,
                None => {
                    let unscoped = self.store.unscoped("a key's hash is looked up before any scope exists");
                    let Ok(grant) = unscoped.auth_key(secret_hash).await else { return true };
                    let grant = grant.map(Arc::new);
                    self.keys.insert(*secret_hash, grant.clone()).await;
                    grant
                }
            };
            if grant.is_none_or(|grant| !grant.active) {
                return false;
            }
        }
        if let CallerKind::Foreign { issuer } = caller.kind
            && !self.issuers.is_there(caller.tenant, issuer).await
        {
            return false;
        }
        match caller.user.known() {
            Some(user) => match self.access(caller.tenant, user).await {
                Ok(access) => access.is_some_and(|access| access.tenant_active && access.user_active == Some(true)),
                Err(_) => true,
            },
            // A key alone speaks for the tenant; all else speaks for a user.
            None => caller.is_key(),
        }
    }
}

/// Why a token is not read: it is not good, or the database is away.
#[derive(Debug)]
enum TokenError {
    Not(Problem),
    Store(StoreError),
}

impl From<Problem> for TokenError {
    fn from(problem: Problem) -> Self {
        Self::Not(problem)
    }
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Not(problem) => problem.into(),
            TokenError::Store(error) => error.into(),
        }
    }
}
