//! User tokens: JWTs signed with Ed25519, valid for minutes.

use headwater_protocol::api::UserToken;
use headwater_protocol::{ErrorCode, Problem, TenantId, Timestamp, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::keys::MasterKey;

/// Who issues and who is meant.
const HEADWATER: &str = "headwater";

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    /// The tenant.
    pub ten: TenantId,
    /// The user.
    pub sub: UserId,
    /// What it may do, separated by spaces.
    pub scope: String,
    /// The agents it may run; `null` is all.
    pub agents: Option<Vec<String>>,
    /// Seconds since 1970.
    pub exp: i64,
    iat: i64,
    jti: uuid::Uuid,
}

/// Signs and reads tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

impl Tokens {
    /// With the installation's keys.
    pub fn new(master: &MasterKey) -> Self {
        let (private, public) = master.token_keys();
        Self { encoding: EncodingKey::from_ed_der(&private), decoding: DecodingKey::from_ed_der(&public) }
    }

    /// A token of a user.
    pub fn mint(
        &self,
        tenant: TenantId,
        user: UserId,
        scopes: Vec<String>,
        agents: Option<Vec<String>>,
        ttl_ms: i64,
    ) -> Result<UserToken, Problem> {
        let now = Timestamp::now();
        // The claim counts in seconds; what is shown is what is enforced.
        let expires_at = Timestamp::from_ms(now.plus_ms(ttl_ms).ms() / 1000 * 1000);
        let claims = Claims {
            iss: HEADWATER.into(),
            aud: HEADWATER.into(),
            ten: tenant,
            sub: user,
            scope: scopes.join(" "),
            agents: agents.clone(),
            exp: expires_at.ms() / 1000,
            iat: now.ms() / 1000,
            jti: uuid::Uuid::now_v7(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.encoding)
            .map_err(|_| Problem::new(ErrorCode::Internal, "the token could not be signed"))?;
        Ok(UserToken { object: "user_token".into(), token, user, scopes, agents, expires_at })
    }

    /// What a token says, if it is one of ours and has not expired.
    pub fn read(&self, token: &str) -> Result<Claims, Problem> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[HEADWATER]);
        validation.set_audience(&[HEADWATER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        match jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation) {
            Ok(data) => Ok(data.claims),
            Err(error) if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::ExpiredSignature) => {
                Err(Problem::new(ErrorCode::TokenExpired, "the token has expired: get a new one"))
            }
            Err(_) => Err(Problem::new(ErrorCode::Unauthenticated, "this is not a token of ours")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_unexpired_tokens_are_read() {
        let tokens = Tokens::new(&MasterKey::generate());
        let mint = |ttl| {
            tokens.mint(TenantId::new(), UserId::new(), vec!["runs:read".into()], None, ttl).expect("signs").token
        };
        let token = mint(60_000);
        assert_eq!(tokens.read(&token).expect("ours").scope, "runs:read");
        assert_eq!(tokens.read(&mint(-5_000)).expect_err("expired").code, ErrorCode::TokenExpired);
        let other = Tokens::new(&MasterKey::generate());
        assert_eq!(other.read(&token).expect_err("not theirs").code, ErrorCode::Unauthenticated);
        let (head, rest) = token.split_once('.').expect("three parts");
        let unsigned = format!("eyJhbGciOiJub25lIn0.{rest}");
        assert!(tokens.read(&unsigned).is_err(), "{head}");
    }
}
