//! Issuers: who else says who a tenant's users are.

use serde::{Deserialize, Serialize};

use super::{USER_SCOPES, check_name, check_scopes};
use crate::{IssuerId, Problem, Timestamp};

/// Issuers of one tenant.
pub const MAX_ISSUERS: i64 = 16;

/// How a token of an issuer may be signed. Only with keys that have a public half: a secret that both sides know proves nothing to anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the names of RFC 7518 and RFC 8037")]
pub enum IssuerAlgorithm {
    ES256,
    ES384,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    EdDSA,
}

impl IssuerAlgorithm {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::ES256,
        Self::ES384,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::EdDSA,
    ];

    /// As JSON and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Reads what [`IssuerAlgorithm::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

/// An identity provider of a tenant, whose tokens its users may come with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Issuer {
    /// Its id.
    pub id: IssuerId,
    /// Always `issuer`.
    pub object: String,
    /// What tokens have as `iss`.
    pub issuer: String,
    /// What tokens have as `aud`, or among it.
    pub audience: String,
    /// Where its keys are; `null`: where `{issuer}/.well-known/openid-configuration` says.
    pub jwks_uri: Option<String>,
    /// How tokens may be signed.
    pub algorithms: Vec<IssuerAlgorithm>,
    /// The claim that is the user's `external_id`.
    pub user_claim: String,
    /// What its users may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An issuer to be; and, with what it holds changed, as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerParams {
    /// What tokens have as `iss`: a URL of at most 512 characters, exactly as it stands there.
    pub issuer: String,
    /// What tokens have as `aud`: at most 256 characters.
    pub audience: String,
    /// Where its keys are; `null`: OpenID Connect Discovery.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// 1 to 9; `["RS256", "ES256"]` unless given.
    #[serde(default)]
    pub algorithms: Option<Vec<IssuerAlgorithm>>,
    /// `sub` unless given; at most 64 characters.
    #[serde(default)]
    pub user_claim: Option<String>,
    /// Of those that user tokens may have; `null` is all of them.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

impl IssuerParams {
    /// How tokens may be signed.
    pub fn algorithms(&self) -> Vec<IssuerAlgorithm> {
        self.algorithms.clone().unwrap_or_else(|| vec![IssuerAlgorithm::RS256, IssuerAlgorithm::ES256])
    }

    /// The claim that is the user's `external_id`.
    pub fn user_claim(&self) -> &str {
        self.user_claim.as_deref().unwrap_or("sub")
    }

    /// What its users may do.
    pub fn scopes(&self) -> Vec<String> {
        let all = || USER_SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
        self.scopes.clone().unwrap_or_else(all)
    }

    /// Whether all values are within their bounds. Whether its URLs may be reached is for whoever reaches them.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), Problem> {
        check_name("/issuer", &self.issuer, 512)?;
        if self.issuer == "headwater" {
            return Err(Problem::invalid("/issuer", "is this service's own name"));
        }
        check_name("/audience", &self.audience, 256)?;
        if let Some(uri) = &self.jwks_uri {
            check_name("/jwks_uri", uri, 2048)?;
        }
        if self.algorithms.as_ref().is_some_and(|algorithms| algorithms.is_empty() || algorithms.len() > 9) {
            return Err(Problem::invalid("/algorithms", "must name 1 to 9 algorithms"));
        }
        check_name("/user_claim", self.user_claim(), 64)?;
        check_scopes(&self.scopes(), |scope| USER_SCOPES.contains(&scope))
    }
}
