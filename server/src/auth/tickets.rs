//! Tickets: keys to one run's events that may stand in a URL.
//!
//! A ticket is a signature over whose run it is and when it was made, so making one stores nothing. Its first use
//! within a minute writes it down; from then on it is good until shortly after the run's end.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_protocol::{ErrorCode, Problem, RunId, TenantId, Timestamp, UserId};
use uuid::Uuid;

use crate::keys::MasterKey;

/// What a ticket begins with.
pub(super) const PREFIX: &str = "hw_rt_";
/// How long it waits for its first use.
pub(super) const FIRST_USE_MS: i64 = 60_000;
/// How long it stays good after the run's end.
pub(super) const AFTER_END_MS: i64 = 5 * 60_000;
/// How long it stays good at most.
pub(super) const MAX_AGE_MS: i64 = 24 * 3_600_000;

/// What a ticket says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketClaims {
    /// The tenant.
    pub tenant: TenantId,
    /// The run's user.
    pub user: UserId,
    /// The run.
    pub run: RunId,
    /// Its own id.
    pub id: Uuid,
    /// When it was made.
    pub made_at: Timestamp,
}

/// Signs and reads tickets.
#[derive(Debug)]
pub struct Tickets(hmac::Key);

impl Tickets {
    /// With the installation's key.
    pub fn new(master: &MasterKey) -> Self {
        Self(master.ticket_key())
    }

    /// A new ticket.
    pub fn mint(&self, tenant: TenantId, user: UserId, run: RunId) -> (String, TicketClaims) {
        let claims = TicketClaims { tenant, user, run, id: Uuid::now_v7(), made_at: Timestamp::now() };
        let mut bytes = Vec::with_capacity(104);
        for uuid in [tenant.uuid(), user.uuid(), run.uuid(), claims.id] {
            bytes.extend_from_slice(uuid.as_bytes());
        }
        bytes.extend_from_slice(&claims.made_at.ms().to_be_bytes());
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        (format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)), claims)
    }

    /// What a ticket says, if it is one of ours.
    pub fn read(&self, ticket: &str) -> Result<TicketClaims, Problem> {
        let bad = || Problem::new(ErrorCode::Unauthenticated, "this is not a ticket of ours");
        let bytes = ticket.strip_prefix(PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(bad)?;
        if bytes.len() != 104 {
            return Err(bad());
        }
        let (said, tag) = bytes.split_at(72);
        hmac::verify(&self.0, said, tag).map_err(|_| bad())?;
        let uuid = |i: usize| Uuid::from_slice(&said[i * 16..(i + 1) * 16]).expect("16 bytes");
        let made_at = i64::from_be_bytes(said[64..72].try_into().expect("8 bytes"));
        Ok(TicketClaims {
            tenant: TenantId::from_uuid(uuid(0)),
            user: UserId::from_uuid(uuid(1)),
            run: RunId::from_uuid(uuid(2)),
            id: uuid(3),
            made_at: Timestamp::from_ms(made_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_ticket_is_none() {
        let tickets = Tickets::new(&MasterKey::generate());
        let (ticket, claims) = tickets.mint(TenantId::new(), UserId::new(), RunId::new());
        assert_eq!(tickets.read(&ticket), Ok(claims));
        for at in PREFIX.len()..ticket.len() {
            let mut other = ticket.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("ASCII");
            assert_ne!(tickets.read(&other), Ok(claims), "at {at}");
        }
        assert!(tickets.read("hw_rt_").is_err());
    }
}
