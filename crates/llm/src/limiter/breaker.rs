//! Whether a provider is down, so that not everybody has to find out by waiting.
//!
//! Owns [`Breaker`]. Promises that after [`FAILURES`] failures in a row nobody is sent there for a while, then one, and only
//! when that one is answered everybody again; that what only one tenant's calls have met stops only that tenant (a question
//! that breaks a provider's server must not shut the door for others); and that being asked too much does not count: that is
//! the limit's business.

use std::time::Duration;

use headwater_protocol::TenantId;
use tokio::time::Instant;

/// Failures in a row after which it opens.
pub(super) const FAILURES: u32 = 5;
/// How long it stays open at first, then twice as long each time the one that is sent fails too.
const FIRST_OPEN: Duration = Duration::from_secs(2);
const LONGEST_OPEN: Duration = Duration::from_secs(60);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Who met them, if it was one tenant alone.
    met_by: Option<TenantId>,
    met_by_many: bool,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    lasts: Duration,
    /// One is on its way to find out.
    probe: bool,
    /// Closed for this tenant alone.
    only: Option<TenantId>,
}

/// Whether somebody may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// Like everybody.
    Free,
    /// To find out: its end must be told.
    Probe,
    /// Not for so long.
    Shut(Duration),
}

impl Breaker {
    /// Whether this tenant may be sent now.
    pub(super) fn pass(&mut self, tenant: TenantId, now: Instant) -> Passage {
        let Some(open) = &mut self.open else { return Passage::Free };
        if open.only.is_some_and(|only| only != tenant) {
            return Passage::Free;
        }
        let left = open.until.saturating_duration_since(now);
        if !left.is_zero() {
            return Passage::Shut(left);
        }
        if open.probe {
            return Passage::Shut(open.lasts);
        }
        open.probe = true;
        Passage::Probe
    }

    /// Whether it is open, and for whom alone.
    pub(super) fn shut(&self) -> Option<Option<TenantId>> {
        self.open.as_ref().map(|open| open.only)
    }

    /// The provider answered somebody.
    pub(super) fn answered(&mut self, tenant: TenantId) {
        let is_others = self.open.as_ref().is_some_and(|open| open.only.is_some_and(|only| only != tenant));
        if !is_others {
            *self = Self::default();
        }
    }

    /// The provider failed somebody. Says whether that opened it.
    pub(super) fn failed(&mut self, tenant: TenantId, was_probe: bool, now: Instant) -> bool {
        if let Some(open) = &mut self.open
            && was_probe
        {
            open.lasts = (open.lasts * 2).min(LONGEST_OPEN);
            open.until = now + open.lasts;
            open.probe = false;
            return true;
        }
        self.failures = self.failures.saturating_add(1);
        self.met_by_many |= self.met_by.is_some_and(|met_by| met_by != tenant);
        self.met_by = Some(tenant);
        let only = self.met_by.filter(|_| !self.met_by_many);
        match &mut self.open {
            // What stopped one tenant is met by others too.
            Some(open) if open.only.is_some() && only.is_none() => open.only = None,
            Some(_) => return false,
            None if self.failures < FAILURES => return false,
            None => self.open = Some(Open { until: now + FIRST_OPEN, lasts: FIRST_OPEN, probe: false, only }),
        }
        true
    }

    /// The one that was sent to find out came back without an answer to that.
    pub(super) fn probe_lost(&mut self) {
        if let Some(open) = &mut self.open {
            open.probe = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_opens_after_failures_of_several_lets_one_through_and_closes_when_that_is_answered() {
        let (one, two) = (TenantId::new(), TenantId::new());
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for index in 0..FAILURES {
            assert_eq!(breaker.pass(one, now), Passage::Free);
            let opened = breaker.failed(if index % 2 == 0 { one } else { two }, false, now);
            assert_eq!(opened, index + 1 == FAILURES);
        }
        let stranger = TenantId::new();
        assert_eq!(breaker.pass(stranger, now + SECOND), Passage::Shut(SECOND));
        let later = now + 2 * SECOND;
        assert_eq!(breaker.pass(stranger, later), Passage::Probe);
        assert_eq!(breaker.pass(one, later), Passage::Shut(2 * SECOND));
        assert!(breaker.failed(stranger, true, later));
        assert_eq!(breaker.pass(one, later), Passage::Shut(4 * SECOND), "twice as long");
        let later = later + 4 * SECOND;
        assert_eq!(breaker.pass(two, later), Passage::Probe);
        breaker.probe_lost();
        assert_eq!(breaker.pass(one, later), Passage::Probe);
        breaker.answered(one);
        assert_eq!(breaker.pass(two, later), Passage::Free);
    }

    #[test]
    fn what_one_tenant_meets_stops_that_tenant() {
        let (one, two) = (TenantId::new(), TenantId::new());
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.failed(one, false, now);
        }
        assert!(matches!(breaker.pass(one, now), Passage::Shut(_)));
        assert_eq!(breaker.pass(two, now), Passage::Free);
        breaker.answered(two);
        assert!(matches!(breaker.pass(one, now), Passage::Shut(_)), "the other's success says nothing about this one");
        assert!(breaker.failed(two, false, now));
        assert!(matches!(breaker.pass(two, now), Passage::Shut(_)), "both meet it");
    }

    #[test]
    fn an_answer_in_between_begins_the_count_anew() {
        let one = TenantId::new();
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 1..FAILURES {
                assert!(!breaker.failed(one, false, now));
            }
            breaker.answered(one);
        }
        assert_eq!(breaker.pass(one, now), Passage::Free);
    }
}
