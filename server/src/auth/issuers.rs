//! Tokens of tenants' own identity providers.
//!
//! Promises that a token says who somebody is to one tenant alone: the tenant is named by the token's audience or by the request, and then `iss` and
//! `aud` have to be those of an issuer *of that tenant*, never the other way round; that only algorithms with a public half are let through, those
//! that the tenant has named, with a key that is meant for them; and that nobody who has no issuer's word makes this process fetch anything: keys
//! are fetched for an issuer that a tenant has named, at most once a minute, through the guarded client, and remembered.

use std::sync::Arc;
use std::time::Duration;

use headwater_guard::{Ask, Guard};
use headwater_protocol::api::{Issuer, IssuerAlgorithm, check_external_id};
use headwater_protocol::{ErrorCode, IssuerId, Problem, Scope, TenantId, Timestamp};
use headwater_store::scoped::Page;
use headwater_store::{Store, StoreError};
use http::{HeaderMap, Method};
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::future::Cache;
use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

/// How long keys are believed.
const KEYS_FOR: Duration = Duration::from_secs(600);
/// Keys that are not those of a token may have changed: looked at again after so long, and what failed too.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// For one document of an issuer.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 64;
/// Clocks differ.
const LEEWAY_SECONDS: u64 = 30;

/// Whom a token of theirs speaks for.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) tenant: TenantId,
    pub(super) issuer: IssuerId,
    pub(super) external_id: String,
    pub(super) scopes: Vec<String>,
    pub(super) expires_at: Timestamp,
}

/// The issuers of all tenants, as far as they were needed lately. Cheap to clone.
#[derive(Clone)]
pub struct Issuers {
    store: Store,
    guard: Guard,
    known: Cache<TenantId, Arc<Vec<Issuer>>>,
    keys: Cache<(IssuerId, Timestamp), Arc<Keys>>,
    strangers: Arc<Semaphore>,
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuers(…)")
    }
}

/// What an issuer has published, or that it could not be had.
struct Keys {
    set: Result<Vec<Jwk>, String>,
    at: Timestamp,
}

/// Whether keys may be fetched from there.
///
/// # Errors
/// Why not.
pub fn reachable(guard: &Guard, url: &str) -> Result<(), String> {
    let url = Url::parse(url).map_err(|_| "must be a URL".to_owned())?;
    guard.check(&url).map_err(|refused| refused.to_string())
}

fn not_good() -> Problem {
    Problem::new(ErrorCode::Unauthenticated, "this token is not one of an issuer of this tenant")
}

impl Issuers {
    pub(super) fn new(store: Store, guard: Guard, cache: Duration, strangers: Arc<Semaphore>) -> Self {
        Self {
            store,
            guard,
            known: Cache::builder().max_capacity(10_000).time_to_live(cache).build(),
            keys: Cache::builder().max_capacity(10_000).time_to_live(KEYS_FOR).build(),
            strangers,
        }
    }

    /// Reads a tenant's issuers anew.
    pub async fn forget(&self, tenant: TenantId) {
        self.known.invalidate(&tenant).await;
    }

    /// Whether there is still this issuer.
    pub(super) async fn is_there(&self, tenant: TenantId, issuer: IssuerId) -> bool {
        // The database being away throws nobody out.
        self.of(tenant).await.map_or(true, |known| known.iter().any(|known| known.id == issuer))
    }

    async fn of(&self, tenant: TenantId) -> Result<Arc<Vec<Issuer>>, StoreError> {
        let read = async {
            let _in_line = self.strangers.acquire().await;
            let page = Page { after: None, ascending: true, limit: headwater_protocol::api::MAX_ISSUERS };
            self.store.scoped(Scope { tenant, user: None }).issuer_list(page).await.map(Arc::new)
        };
        self.known.try_get_with(tenant, read).await.map_err(Arc::unwrap_or_clone)
    }

    /// Whether this is to be read here: a token that does not say that it is one of ours.
    pub(super) fn is_theirs(token: &str) -> bool {
        unverified(token).is_some_and(|claims| claims["iss"].as_str().is_some_and(|issuer| issuer != "headwater"))
    }

    /// Whom a token speaks for. `named`: the tenant that the request names.
    pub(super) async fn read(&self, token: &str, named: Option<TenantId>) -> Result<Spoken, super::TokenError> {
        let claims = unverified(token).ok_or_else(not_good)?;
        let audiences: Vec<&str> = match &claims["aud"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let tenant = audiences.iter().find_map(|audience| audience.parse().ok()).or(named);
        let tenant = tenant.ok_or_else(|| {
            let words = "name the tenant: its id among the token's audiences, or the header Headwater-Tenant";
            Problem::new(ErrorCode::Unauthenticated, words)
        })?;
        let known = self.of(tenant).await?;
        let is_it =
            |issuer: &&Issuer| claims["iss"] == issuer.issuer.as_str() && audiences.contains(&issuer.audience.as_str());
        let issuer = known.iter().find(is_it).ok_or_else(not_good)?;
        let claims = self.verified(token, issuer).await?;
        let user = match &claims[&issuer.user_claim] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(Problem::new(ErrorCode::Unauthenticated, "the token names no user").into()),
        };
        check_external_id("/", &user)
            .map_err(|_| Problem::new(ErrorCode::Unauthenticated, "the token's user is no external_id"))?;
        let exp =
            claims["exp"].as_i64().or_else(|| claims["exp"].as_f64().map(|exp| exp as i64)).ok_or_else(not_good)?;
        Ok(Spoken {
            tenant,
            issuer: issuer.id,
            external_id: user,
            scopes: issuer.scopes.clone(),
            expires_at: Timestamp::from_ms(exp.saturating_mul(1000).min(i64::MAX / 2_000_000)),
        })
    }

    async fn verified(&self, token: &str, issuer: &Issuer) -> Result<Value, Problem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| not_good())?;
        let algorithm = header.alg;
        if !issuer.algorithms.iter().any(|allowed| of(*allowed) == algorithm) {
            return Err(not_good());
        }
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&issuer.issuer]);
        validation.set_audience(&[&issuer.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECONDS;
        let mut keys = self.keys_of(issuer).await;
        let mut fit = fitting(&keys, header.kid.as_deref(), algorithm);
        let age = Timestamp::now().ms() - keys.at.ms();
        if fit.is_empty() && age >= AGAIN_AFTER.as_millis() as i64 {
            self.keys.invalidate(&(issuer.id, issuer.updated_at)).await;
            keys = self.keys_of(issuer).await;
            fit = fitting(&keys, header.kid.as_deref(), algorithm);
        }
        if let Err(words) = &keys.set {
            let words = format!("the keys of this token's issuer cannot be had: {words}");
            return Err(Problem::new(ErrorCode::Unauthenticated, words));
        }
        for key in fit {
            let Ok(key) = DecodingKey::from_jwk(&key) else { continue };
            match jsonwebtoken::decode::<Value>(token, &key, &validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::ExpiredSignature) => {
                    return Err(Problem::new(ErrorCode::TokenExpired, "the token has expired: get a new one"));
                }
                Err(_) => {}
            }
        }
        Err(not_good())
    }

    async fn keys_of(&self, issuer: &Issuer) -> Arc<Keys> {
        let fetch = async {
            let set = self.fetch(issuer).await;
            if let Err(words) = &set {
                tracing::info!(issuer = %issuer.id, %words, "the keys of an issuer cannot be had");
            }
            Arc::new(Keys { set, at: Timestamp::now() })
        };
        self.keys.get_with((issuer.id, issuer.updated_at), fetch).await
    }

    async fn fetch(&self, issuer: &Issuer) -> Result<Vec<Jwk>, String> {
        let uri = match &issuer.jwks_uri {
            Some(uri) => uri.clone(),
            None => {
                let base = issuer.issuer.trim_end_matches('/');
                let found = self.document(&format!("{base}/.well-known/openid-configuration")).await?;
                // As the standard has it: another issuer's document says nothing of this one.
                if found["issuer"] != issuer.issuer.as_str() {
                    return Err("its configuration is another issuer's".into());
                }
                found["jwks_uri"].as_str().ok_or("its configuration names no jwks_uri")?.to_owned()
            }
        };
        let mut document = self.document(&uri).await?;
        let keys = document["keys"].as_array_mut().map(std::mem::take).ok_or("its keys are no JSON Web Key Set")?;
        // What is not understood is passed over: a set may hold keys for other things.
        let keys = keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key).ok()).collect();
        Ok(JwkSet { keys }.keys)
    }

    async fn document(&self, url: &str) -> Result<Value, String> {
        let url = Url::parse(url).map_err(|_| "it names a place that is no URL".to_owned())?;
        let ask = Ask {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: None,
            timeout: PATIENCE,
            max_bytes: MAX_BYTES,
            beyond: None,
        };
        let answer = self.guard.call(ask).await.map_err(|error| error.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("its server answers with status {}", answer.status.as_u16()));
        }
        serde_json::from_slice(&answer.body).map_err(|_| "its server's answer is no JSON".into())
    }
}

/// What a token says of itself: to know whom to ask about it, and to be believed in nothing.
fn unverified(token: &str) -> Option<Value> {
    use base64::Engine as _;
    let payload = token.split('.').nth(1)?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object)
}

/// The keys that a token with this header may be signed with.
fn fitting(keys: &Keys, kid: Option<&str>, algorithm: Algorithm) -> Vec<Jwk> {
    let fits = |key: &&Jwk| {
        let common = &key.common;
        let is_named = kid.is_none_or(|kid| common.key_id.as_deref() == Some(kid));
        let is_meant = common.key_algorithm.is_none_or(|meant| meant.to_string() == name_of(algorithm));
        let signs = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let verifies =
            common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        is_named && is_meant && signs && verifies && of_family(key, algorithm)
    };
    keys.set.iter().flatten().filter(fits).cloned().collect()
}

/// Whether the key is of the kind that the algorithm takes: a public key is never taken for a shared secret.
fn of_family(key: &Jwk, algorithm: Algorithm) -> bool {
    use jsonwebtoken::jwk::AlgorithmParameters as P;
    matches!(
        (&key.algorithm, algorithm),
        (P::EllipticCurve(_), Algorithm::ES256 | Algorithm::ES384)
            | (P::OctetKeyPair(_), Algorithm::EdDSA)
            | (
                P::RSA(_),
                Algorithm::RS256
                    | Algorithm::RS384
                    | Algorithm::RS512
                    | Algorithm::PS256
                    | Algorithm::PS384
                    | Algorithm::PS512
            )
    )
}

fn of(algorithm: IssuerAlgorithm) -> Algorithm {
    match algorithm {
        IssuerAlgorithm::ES256 => Algorithm::ES256,
        IssuerAlgorithm::ES384 => Algorithm::ES384,
        IssuerAlgorithm::RS256 => Algorithm::RS256,
        IssuerAlgorithm::RS384 => Algorithm::RS384,
        IssuerAlgorithm::RS512 => Algorithm::RS512,
        IssuerAlgorithm::PS256 => Algorithm::PS256,
        IssuerAlgorithm::PS384 => Algorithm::PS384,
        IssuerAlgorithm::PS512 => Algorithm::PS512,
        IssuerAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

fn name_of(algorithm: Algorithm) -> &'static str {
    IssuerAlgorithm::ALL.into_iter().find(|known| of(*known) == algorithm).map_or("", IssuerAlgorithm::as_str)
}
