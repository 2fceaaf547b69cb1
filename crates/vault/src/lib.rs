//! Secrets of tenants, sealed at rest.
//!
//! Owns the keys: one for each tenant, made at its first secret, wrapped by one that is derived from the installation's
//! master key; AES-256-GCM with random nonces throughout. Each secret is sealed to its tenant, its name and its hosts, so
//! that a row that is moved or changed does not open; each key at a model provider to its tenant, provider and host; and what a
//! webhook's deliveries are signed with to its tenant and endpoint. Promises that a value leaves this crate only as a [`SecretString`], for
//! a host that it may be sent to, and that no error holds any of it.
//! Never knows HTTP or a tool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use headwater_protocol::api::{ProviderKey, ProviderKeyParams, Secret, SecretParams};
use headwater_protocol::{Scope, TenantId, Timestamp, WebhookEndpointId};
use headwater_store::{Store, StoreError, UserScopedStorage};
use moka::future::Cache;
use secrecy::SecretString;

/// Why a secret is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is none of that name.
    #[error("there is no such secret")]
    NotFound,
    /// It may not be sent there.
    #[error("the secret is not for this host")]
    OtherHost,
    /// The tenant has as many as may be.
    #[error("there are too many secrets")]
    TooMany,
    /// It was sealed under another master key, or its row was changed.
    #[error("the secret does not open: it was sealed under another master key, or changed")]
    Sealed,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key that wraps the keys of tenants.
#[derive(Clone)]
pub struct WrappingKey([u8; 32]);

impl WrappingKey {
    /// From 256 secret bits.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WrappingKey(…)")
    }
}

/// What a webhook's deliveries are signed with.
pub struct SigningSecret([u8; 32]);

impl SigningSecret {
    /// Its bits, for whoever signs.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// A tenant's own keys at model providers, by the provider's name. `None`: there is one, and it cannot be used.
pub type ProviderKeys = Arc<BTreeMap<String, Option<SecretString>>>;

/// How long a process believes what it has read of a tenant's provider keys.
const BELIEVED: Duration = Duration::from_secs(5);
/// Of how many tenants it remembers that.
const REMEMBERED: u64 = 10_000;

/// Keeps secrets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vault {
    store: Store,
    /// Most calls are of tenants that have none: it is not asked for each of them.
    provider_keys: Cache<TenantId, ProviderKeys>,
    /// What is wrapped from now on; then those that keys may still be wrapped with.
    keys: Arc<[WrappingKey]>,
}

/// How many tenants' keys are wrapped anew between two looks.
const ROTATE: i32 = 500;

impl Vault {
    /// A vault under this key. What is still under one of the `old` ones is read too.
    pub fn new(store: Store, key: WrappingKey, old: Vec<WrappingKey>) -> Self {
        let provider_keys = Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build();
        Self { store, provider_keys, keys: std::iter::once(key).chain(old).collect() }
    }

    /// Keeps a secret, in place of one of the same name.
    ///
    /// # Errors
    /// As said at [`VaultError`].
    pub async fn put(&self, tenant: TenantId, name: &str, params: &SecretParams) -> Result<Secret, VaultError> {
        let storage = self.store.scoped(Scope { tenant, user: None });
        let at = Timestamp::now();
        let key = self.key_of(tenant, &storage, at).await?;
        let sealed = seal(&key, &secret_label(tenant, name, params.hosts.as_deref()), params.value.as_bytes());
        storage.secret_put(name, &sealed, params.hosts.as_deref(), at).await?.ok_or(VaultError::TooMany)
    }

    /// Keeps a tenant's own key at a provider, which is at this host now.
    ///
    /// # Errors
    /// As said at [`VaultError`].
    pub async fn put_provider_key(
        &self,
        tenant: TenantId,
        provider: &str,
        host: &str,
        params: &ProviderKeyParams,
    ) -> Result<ProviderKey, VaultError> {
        let storage = self.store.scoped(Scope { tenant, user: None });
        let at = Timestamp::now();
        let key = self.key_of(tenant, &storage, at).await?;
        let sealed = seal(&key, &provider_label(tenant, provider, host), params.key.as_bytes());
        let kept = storage.provider_key_put(provider, &sealed, host, at).await?;
        self.provider_keys.invalidate(&tenant).await;
        Ok(kept)
    }

    /// Forgets one. Whether there was one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn delete_provider_key(&self, tenant: TenantId, provider: &str) -> Result<bool, VaultError> {
        let storage = self.store.scoped(Scope { tenant, user: None });
        let was = storage.provider_key_delete(provider).await?;
        self.provider_keys.invalidate(&tenant).await;
        Ok(was)
    }

    /// A tenant's own keys, as they were a few seconds ago at most. One is usable while its provider is at the host that it
    /// was given for: `host_of` says where a provider is.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn provider_keys(
        &self,
        tenant: TenantId,
        host_of: impl Fn(&str) -> Option<String>,
    ) -> Result<ProviderKeys, StoreError> {
        let read = async {
            let storage = self.store.scoped(Scope { tenant, user: None });
            let mut keys = BTreeMap::new();
            for (provider, found) in storage.provider_keys_sealed().await? {
                let host = host_of(&provider);
                let key = host.filter(|host| found.hosts.as_ref().is_some_and(|hosts| hosts.contains(host))).and_then(
                    |host| {
                        let key = self.unwrap(tenant, &found.wrapped).ok()?;
                        let opened = open(&key, &provider_label(tenant, &provider, &host), &found.sealed).ok()?;
                        String::from_utf8(opened).ok().map(SecretString::from)
                    },
                );
                keys.insert(provider, key);
            }
            Ok(Arc::new(keys))
        };
        self.provider_keys.try_get_with(tenant, read).await.map_err(Arc::unwrap_or_clone)
    }

    /// Makes what an endpoint's deliveries are to be signed with, and seals it: 256 random bits.
    ///
    /// # Errors
    /// As said at [`VaultError`].
    pub async fn new_signing_secret(
        &self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
    ) -> Result<(SigningSecret, Vec<u8>), VaultError> {
        let storage = self.store.scoped(Scope { tenant, user: None });
        let key = self.key_of(tenant, &storage, Timestamp::now()).await?;
        let secret = SigningSecret(random());
        let sealed = seal(&key, &signing_label(tenant, endpoint), &secret.0);
        Ok((secret, sealed))
    }

    /// What an endpoint's deliveries are signed with now: one secret, and those before it that still sign along.
    ///
    /// # Errors
    /// As said at [`VaultError`].
    pub async fn signing_secrets(
        &self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
    ) -> Result<Vec<SigningSecret>, VaultError> {
        let storage = self.store.scoped(Scope { tenant, user: None });
        let found = storage.webhook_signing(endpoint).await?.ok_or(VaultError::NotFound)?;
        let (key, label) = (self.unwrap(tenant, &found.wrapped)?, signing_label(tenant, endpoint));
        let all = std::iter::once(found.secret).chain(found.old_secrets);
        all.map(|sealed| open(&key, &label, &sealed)?.try_into().map(SigningSecret).map_err(|_| VaultError::Sealed))
            .collect()
    }

    /// The key of a tenant, made if there is none.
    async fn key_of(
        &self,
        tenant: TenantId,
        storage: &UserScopedStorage,
        at: Timestamp,
    ) -> Result<[u8; 32], VaultError> {
        let new = self.wrap(tenant, &random());
        let wrapped = storage.tenant_key(&new, at).await?;
        self.unwrap(tenant, &wrapped)
    }

    /// A secret, to be sent to this host.
    ///
    /// # Errors
    /// As said at [`VaultError`].
    pub async fn reveal(&self, tenant: TenantId, name: &str, host: &str) -> Result<SecretString, VaultError> {
        let storage = self.store.scoped(Scope { tenant, user: None });
        let found = storage.secret_sealed(name).await?.ok_or(VaultError::NotFound)?;
        if found.hosts.as_ref().is_some_and(|hosts| !hosts.iter().any(|one| one.eq_ignore_ascii_case(host))) {
            return Err(VaultError::OtherHost);
        }
        let key = self.unwrap(tenant, &found.wrapped)?;
        let opened = open(&key, &secret_label(tenant, name, found.hosts.as_deref()), &found.sealed)?;
        Ok(SecretString::from(String::from_utf8(opened).map_err(|_| VaultError::Sealed)?))
    }

    /// Wraps the keys of all tenants anew that are still under an old one. Returns how many there were. What every process
    /// reads by then may be done while they serve, and again.
    ///
    /// # Errors
    /// When the database is away, or a key opens under none.
    pub async fn rotate(&self) -> Result<u64, VaultError> {
        let unscoped = self.store.unscoped("keys of all tenants are wrapped anew");
        let (mut after, mut count) = (None, 0);
        loop {
            let keys = unscoped.tenant_keys(after, ROTATE).await?;
            let Some((last, _)) = keys.last() else { return Ok(count) };
            after = Some(*last);
            for (tenant, wrapped) in &keys {
                if open(&self.keys[0].0, &key_label(*tenant), wrapped).is_ok() {
                    continue;
                }
                let new = self.wrap(*tenant, &self.unwrap(*tenant, wrapped)?);
                count += u64::from(unscoped.tenant_key_rewrap(*tenant, wrapped, &new).await?);
            }
        }
    }

    /// How many tenants' keys open under none of ours, and how many there are: what they seal cannot be read here.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn unreadable(&self) -> Result<(u64, u64), StoreError> {
        let unscoped = self.store.unscoped("keys of all tenants are looked at");
        let (mut after, mut lost, mut all) = (None, 0, 0);
        loop {
            let keys = unscoped.tenant_keys(after, ROTATE).await?;
            let Some((last, _)) = keys.last() else { return Ok((lost, all)) };
            after = Some(*last);
            all += keys.len() as u64;
            lost += keys.iter().filter(|(tenant, wrapped)| self.unwrap(*tenant, wrapped).is_err()).count() as u64;
        }
    }

    fn wrap(&self, tenant: TenantId, key: &[u8; 32]) -> Vec<u8> {
        seal(&self.keys[0].0, &key_label(tenant), key)
    }

    fn unwrap(&self, tenant: TenantId, wrapped: &[u8]) -> Result<[u8; 32], VaultError> {
        let opened = self.keys.iter().find_map(|key| open(&key.0, &key_label(tenant), wrapped).ok());
        opened.ok_or(VaultError::Sealed)?.try_into().map_err(|_| VaultError::Sealed)
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    bytes
}

fn key_label(tenant: TenantId) -> Vec<u8> {
    [b"headwater tenant key v1".as_slice(), tenant.uuid().as_bytes()].concat()
}

/// What a secret is bound to.
fn secret_label(tenant: TenantId, name: &str, hosts: Option<&[String]>) -> Vec<u8> {
    let kind = if hosts.is_some() { "hosts" } else { "any" };
    let hosts = hosts.unwrap_or_default().iter().map(String::as_str);
    label(b"headwater secret v1", tenant, [name, kind].into_iter().chain(hosts))
}

/// What a key at a provider is bound to.
fn provider_label(tenant: TenantId, provider: &str, host: &str) -> Vec<u8> {
    label(b"headwater provider key v1", tenant, [provider, host].into_iter())
}

/// What signs a webhook's deliveries is bound to this.
fn signing_label(tenant: TenantId, endpoint: WebhookEndpointId) -> Vec<u8> {
    label(b"headwater webhook secret v1", tenant, std::iter::once(&*endpoint.to_string()))
}

/// Each part has its length before it, so that no two are alike.
fn label<'a>(kind: &[u8], tenant: TenantId, parts: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut label = [kind, tenant.uuid().as_bytes()].concat();
    for part in parts {
        label.extend_from_slice(&(part.len() as u64).to_be_bytes());
        label.extend_from_slice(part.as_bytes());
    }
    label
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the cipher's length"))
}

/// Nonce, then what is sealed, then the tag.
fn seal(key: &[u8; 32], label: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    aws_lc_rs::rand::fill(&mut nonce).expect("the system has randomness");
    let mut sealed = plain.to_vec();
    cipher(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(label), &mut sealed)
        .expect("it is far from as long as the cipher takes");
    [nonce.as_slice(), &sealed].concat()
}

fn open(key: &[u8; 32], label: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(VaultError::Sealed)?;
    let mut rest = rest.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = cipher(key).open_in_place(nonce, Aad::from(label), &mut rest).map_err(|_| VaultError::Sealed)?;
    Ok(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_where_it_belongs_and_nowhere_else() {
        let (key, tenant) = (random(), TenantId::new());
        let label = secret_label(tenant, "SHOP", None);
        let sealed = seal(&key, &label, b"hush");
        assert_eq!(open(&key, &label, &sealed).expect("opens"), b"hush");
        assert_ne!(seal(&key, &label, b"hush"), sealed, "never twice the same");
        let hosts = ["shop.test".to_owned()];
        for other in [
            secret_label(TenantId::new(), "SHOP", None),
            secret_label(tenant, "SHO", None),
            secret_label(tenant, "SHOP", Some(&hosts)),
            key_label(tenant),
            provider_label(tenant, "SHOP", "any"),
        ] {
            assert!(matches!(open(&key, &other, &sealed), Err(VaultError::Sealed)));
        }
        assert!(matches!(open(&random(), &label, &sealed), Err(VaultError::Sealed)));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(matches!(open(&key, &label, &changed), Err(VaultError::Sealed)), "byte {at}");
        }
        assert!(matches!(open(&key, &label, &sealed[..5]), Err(VaultError::Sealed)));
    }
}
