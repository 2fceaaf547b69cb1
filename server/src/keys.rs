//! The master key and all that is derived from it.
//!
//! One 256-bit secret per installation. Passwords, peppers and signing keys are derived from it by HKDF-SHA256 with a
//! label each, so that none of them tells anything of another and a second process needs nothing else.

use aws_lc_rs::hkdf;
use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_vault::WrappingKey;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::AuthSettings;

/// The master key is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("the master key must be 64 hexadecimal digits; `openssl rand -hex 32` makes one")]
pub struct BadMasterKey;

/// The secret of an installation. Never printed.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

impl MasterKey {
    /// A new one.
    pub fn generate() -> Self {
        Self(random())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, BadMasterKey> {
        let text = text.trim().as_bytes();
        if text.len() != 64 {
            return Err(BadMasterKey);
        }
        let mut key = [0u8; 32];
        for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16).ok_or(BadMasterKey);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(key))
    }

    /// As 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    fn derive(&self, label: &str) -> [u8; 32] {
        let info = [b"headwater/".as_slice(), label.as_bytes()];
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, b"headwater master key v1").extract(&self.0);
        let mut out = [0u8; 32];
        key.expand(&info, Length).and_then(|okm| okm.fill(&mut out)).expect("32 bytes are not too many for SHA-256");
        out
    }

    /// The password of the `app` role, where the operator has set none.
    pub fn derive_app_password(&self) -> String {
        hex(&self.derive("database/app"))
    }

    /// What the `wake` role logs in with.
    pub fn derive_wake_password(&self) -> String {
        hex(&self.derive("database/wake"))
    }

    /// What `POST /wake` takes.
    pub fn derive_wake_key(&self) -> String {
        format!("hw_wk_{}", URL_SAFE_NO_PAD.encode(self.derive("wake")))
    }

    /// The operator's key, where none is set.
    pub fn derive_operator_key(&self) -> String {
        format!("hw_op_{}", URL_SAFE_NO_PAD.encode(self.derive("operator")))
    }

    /// Hashes the secrets of keys: useless without this installation's pepper.
    pub fn pepper(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.derive("keys/pepper"))
    }

    /// Wraps the keys that tenants' secrets are sealed with.
    pub fn wrapping_key(&self) -> WrappingKey {
        WrappingKey::new(self.derive("secrets"))
    }

    /// The keys that tenants' secrets are sealed with: the one that counts, and those that may still be met.
    ///
    /// # Errors
    /// When one that is set is no key.
    pub fn wrapping_keys(&self, auth: &AuthSettings) -> Result<(WrappingKey, Vec<WrappingKey>), BadMasterKey> {
        let own = |set: &Option<SecretString>| {
            set.as_ref().map(|text| Self::from_hex(text.expose_secret()).map(|key| key.wrapping_key())).transpose()
        };
        let (new, old) = (own(&auth.secrets_key)?, own(&auth.old_secrets_key)?);
        let derived = self.wrapping_key();
        Ok(match new {
            Some(new) => (new, old.into_iter().chain([derived]).collect()),
            None => (derived, old.into_iter().collect()),
        })
    }

    /// Signs tickets.
    pub fn ticket_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.derive("tickets"))
    }

    /// Signs user tokens: the private key as PKCS#8 and the public key's 32 bytes.
    pub fn token_keys(&self) -> (Vec<u8>, Vec<u8>) {
        let seed = self.derive("user tokens");
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed");
        let private = pair.to_pkcs8().expect("a key pair has a PKCS#8 form");
        (private.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    rand::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// SHA-256 of this, in hexadecimal digits: a name for what may be long or hold anything.
pub fn name_of(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new secret: this prefix and 256 random bits.
pub fn new_secret(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random()))
}

/// What is shown of a secret for telling keys apart.
pub fn hint(secret: &str) -> String {
    let last: String = secret.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    format!("hw_sk_…{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_round_trips_and_derives_different_things() {
        let key = MasterKey::generate();
        let again = MasterKey::from_hex(&key.to_hex()).expect("its own form");
        assert_eq!(key.derive_operator_key(), again.derive_operator_key());
        assert_ne!(key.derive("a"), key.derive("b"));
        assert!(MasterKey::from_hex("xyz").is_err());
        assert!(MasterKey::from_hex(&"g".repeat(64)).is_err());
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
    }
}
