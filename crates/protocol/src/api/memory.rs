//! What is remembered of a user, across threads; and the names of a tenant's secrets.

use serde::{Deserialize, Serialize};

use super::check_name;
use crate::{Problem, Timestamp};

/// The largest value, in bytes of its JSON.
pub const MAX_MEMORY_BYTES: usize = 16 * 1024;
/// Entries of one user.
pub const MAX_MEMORY_ENTRIES: i64 = 1000;
/// The largest secret, in bytes.
pub const MAX_SECRET_BYTES: usize = 16 * 1024;
/// Secrets of one tenant.
pub const MAX_SECRETS: i64 = 500;

/// Something that is remembered of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemoryEntry {
    /// Always `memory`.
    pub object: String,
    /// Under what.
    pub key: String,
    /// What: any JSON of at most 16 KiB.
    pub value: serde_json::Value,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What is to be remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryParams {
    /// Any JSON of at most 16 KiB.
    pub value: serde_json::Value,
}

/// Whether a key is one: 1 to 256 characters, none of them a control character.
///
/// # Errors
/// What is wrong.
pub fn check_memory_key(param: &str, key: &str) -> Result<(), Problem> {
    check_name(param, key, 256)
}

/// A secret, without what is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Secret {
    /// Always `secret`.
    pub object: String,
    /// What templates call it.
    pub name: String,
    /// The only hosts that it is sent to; `null`: those of the tools that name it.
    pub hosts: Option<Vec<String>>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A secret to keep.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretParams {
    /// 1 to 16384 bytes; never shown again.
    pub value: String,
    /// The only hosts that it is sent to, such as `shop.test`; at most 16. `null`: those of the tools that name it.
    #[serde(default)]
    pub hosts: Option<Vec<String>>,
}

impl std::fmt::Debug for SecretParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretParams").field("value", &"…").field("hosts", &self.hosts).finish()
    }
}

impl SecretParams {
    /// Whether it can be kept.
    ///
    /// # Errors
    /// What is wrong, without what is secret.
    pub fn check(&self) -> Result<(), Problem> {
        if self.value.is_empty() || self.value.len() > MAX_SECRET_BYTES || self.value.contains('\0') {
            return Err(Problem::invalid("/value", "must be 1 to 16384 bytes, without NUL"));
        }
        let hosts = self.hosts.as_deref().unwrap_or_default();
        let good = |host: &String| {
            !host.is_empty()
                && host.len() <= 253
                && !host.chars().any(|c| c.is_whitespace() || c.is_control() || "/:@?#".contains(c))
        };
        if hosts.len() > 16 || !hosts.iter().all(good) || self.hosts.as_ref().is_some_and(Vec::is_empty) {
            return Err(Problem::invalid(
                "/hosts",
                "must hold 1 to 16 host names, without scheme and port, or be null",
            ));
        }
        Ok(())
    }
}

/// Whether a secret can be called so: `[A-Z][A-Z0-9_]{0,63}`.
///
/// # Errors
/// That it cannot.
pub fn check_secret_name(name: &str) -> Result<(), Problem> {
    let bytes = name.as_bytes();
    let good = bytes.len() <= 64
        && bytes.first().is_some_and(u8::is_ascii_uppercase)
        && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
    if good { Ok(()) } else { Err(Problem::invalid("/name", "must match [A-Z][A-Z0-9_]{0,63}")) }
}

/// A tenant's own key at a model provider: used instead of the platform's. Its value is never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderKey {
    /// Always `provider_key`.
    pub object: String,
    /// The provider, as it stands in `PROVIDER/model-id`.
    pub provider: String,
    /// When it was set last.
    pub updated_at: Timestamp,
}

/// A key to keep.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKeyParams {
    /// 1 to 1024 visible ASCII characters; never shown again.
    pub key: String,
}

impl std::fmt::Debug for ProviderKeyParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderKeyParams").field("key", &"…").finish()
    }
}

impl ProviderKeyParams {
    /// Whether it can be kept, and sent in a header.
    ///
    /// # Errors
    /// What is wrong, without what is secret.
    pub fn check(&self) -> Result<(), Problem> {
        if self.key.is_empty() || self.key.len() > 1024 || !self.key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::invalid("/key", "must be 1 to 1024 visible ASCII characters"));
        }
        Ok(())
    }
}
