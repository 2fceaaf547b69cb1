//! Whether a provider is down, so that not everybody has to find out by waiting.
//!
//! Owns [`Breaker`]. Promises that after [`FAILURES`] failures in a row, not all of one tenant, nobody is sent there for a while,
//! then one, and only when somebody is answered everybody again; that what only one tenant's calls meet stops only that tenant (a
//! question that breaks a provider's server must not shut the door for others); that one that is sent to find out and does
//! not come back keeps nobody out for long; and that being asked too much does not count: that is the limit's business.

use std::collections::HashMap;
use std::time::Duration;

use headwater_protocol::TenantId;
use tokio::time::Instant;

/// Failures in a row after which it opens.
pub(super) const FAILURES: u32 = 5;
/// Of these, so many have to be of others than the one that has most.
const OF_OTHERS: u32 = 2;
/// Failures further apart than this are not in a row.
const TOGETHER: Duration = Duration::from_secs(60);
/// How long it stays open at first, then twice as long each time the one that is sent fails too.
const FIRST_OPEN: Duration = Duration::from_secs(2);
const LONGEST_OPEN: Duration = Duration::from_secs(60);
/// One that was sent to find out has so long, or as long as it was shut, before another one is sent.
const PROBE_TIME: Duration = Duration::from_secs(30);
/// Tenants whose own failures are remembered.
const REMEMBERED: usize = 1000;

/// Counts failures in a row, of everybody and of each.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Since anybody was answered.
    all: Count,
    /// By whom those were.
    by: HashMap<TenantId, u32>,
    /// Of each, since that one was answered.
    own: HashMap<TenantId, Count>,
    next_probe: u64,
}

#[derive(Debug, Default)]
struct Count {
    failures: u32,
    last: Option<Instant>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    lasts: Duration,
    /// One is on its way to find out: which, and since when.
    probe: Option<(u64, Instant)>,
}

/// Whether somebody may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// Like everybody.
    Free,
    /// To find out, under this number: its end must be told.
    Probe(u64),
    /// Not for so long.
    Shut(Duration),
}

/// How it stands for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerNow {
    /// Everybody is let through.
    Closed,
    /// Nobody, for so long.
    Open(Duration),
    /// One is on its way to find out.
    Probing,
}

/// For whom it has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    All,
    Only(TenantId),
}

impl Count {
    fn one_more(&mut self, now: Instant) {
        if self.last.is_some_and(|last| now.duration_since(last) > TOGETHER) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = Some(now);
    }

    fn open_first(&mut self, now: Instant) {
        self.open = Some(Open { until: now + FIRST_OPEN, lasts: FIRST_OPEN, probe: None });
    }

    /// `number`: of the probe, if one is sent.
    fn pass(&mut self, number: u64, now: Instant) -> Passage {
        let Some(open) = &mut self.open else { return Passage::Free };
        let left = open.until.saturating_duration_since(now);
        if !left.is_zero() {
            return Passage::Shut(left);
        }
        let patience = open.lasts.max(PROBE_TIME);
        match open.probe {
            Some((_, since)) if now.duration_since(since) < patience => Passage::Shut(open.lasts),
            Some(_) | None => {
                open.probe = Some((number, now));
                Passage::Probe(number)
            }
        }
    }

    /// The probe of this number failed; whether it was the last one that was sent.
    fn probe_failed(&mut self, number: u64, now: Instant) -> bool {
        let Some(open) = self.open.as_mut().filter(|open| open.probe.is_some_and(|(probe, _)| probe == number)) else {
            return false;
        };
        open.lasts = (open.lasts * 2).min(LONGEST_OPEN);
        open.until = now + open.lasts;
        open.probe = None;
        true
    }

    fn probe_lost(&mut self, number: u64) {
        if let Some(open) = self.open.as_mut().filter(|open| open.probe.is_some_and(|(probe, _)| probe == number)) {
            open.probe = None;
        }
    }
}

impl Breaker {
    /// How it stands, without anybody being sent.
    pub(super) fn now(&self, now: Instant) -> BreakerNow {
        let Some(open) = &self.all.open else { return BreakerNow::Closed };
        match open.until.saturating_duration_since(now) {
            Duration::ZERO => BreakerNow::Probing,
            left => BreakerNow::Open(left),
        }
    }

    /// Whether this tenant may be sent now.
    pub(super) fn pass(&mut self, tenant: TenantId, now: Instant) -> Passage {
        let number = self.next_probe;
        self.next_probe += 1;
        match self.all.pass(number, now) {
            Passage::Free => self.own.get_mut(&tenant).map_or(Passage::Free, |own| own.pass(number, now)),
            other => other,
        }
    }

    /// Whether somebody would miss it: it is open, or was a moment ago.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        let recent = |count: &Count| {
            count.open.is_some() && count.last.is_some_and(|last| now.duration_since(last) < TOGETHER * 10)
        };
        recent(&self.all) || self.own.values().any(recent)
    }

    /// The provider answered somebody.
    pub(super) fn answered(&mut self, tenant: TenantId) {
        if self.all.failures > 0 || self.all.open.is_some() {
            self.all = Count::default();
            self.by.clear();
        }
        self.own.remove(&tenant);
    }

    /// The provider failed somebody. Says for whom that opened it.
    pub(super) fn failed(&mut self, tenant: TenantId, probe: Option<u64>, now: Instant) -> Option<Shut> {
        if self.all.last.is_some_and(|last| now.duration_since(last) > TOGETHER) {
            self.by.clear();
        }
        self.all.one_more(now);
        *self.by.entry(tenant).or_default() += 1;
        if self.own.len() >= REMEMBERED && !self.own.contains_key(&tenant) {
            self.own.retain(|_, own| own.last.is_some_and(|last| now.duration_since(last) <= TOGETHER));
            if self.own.len() >= REMEMBERED {
                self.own.clear();
            }
        }
        let own = self.own.entry(tenant).or_default();
        own.one_more(now);
        if let Some(number) = probe {
            if self.all.probe_failed(number, now) {
                return Some(Shut::All);
            }
            if own.probe_failed(number, now) {
                return Some(Shut::Only(tenant));
            }
        }
        let most = self.by.values().copied().max().unwrap_or(0);
        let all: u32 = self.by.values().sum();
        if self.all.open.is_none() && all >= FAILURES && all - most >= OF_OTHERS {
            self.all.open_first(now);
            return Some(Shut::All);
        }
        if own.open.is_none() && own.failures >= FAILURES {
            own.open_first(now);
            return Some(Shut::Only(tenant));
        }
        None
    }

    /// The one that was sent to find out came back without an answer to that.
    pub(super) fn probe_lost(&mut self, tenant: TenantId, number: u64) {
        self.all.probe_lost(number);
        if let Some(own) = self.own.get_mut(&tenant) {
            own.probe_lost(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn is_shut(breaker: &mut Breaker, tenant: TenantId, now: Instant) -> bool {
        matches!(breaker.pass(tenant, now), Passage::Shut(_))
    }

    #[test]
    fn it_opens_after_failures_of_several_lets_one_through_and_closes_when_that_is_answered() {
        let (one, two) = (TenantId::new(), TenantId::new());
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for index in 0..FAILURES {
            assert_eq!(breaker.pass(one, now), Passage::Free);
            let opened = breaker.failed(if index % 2 == 0 { one } else { two }, None, now);
            assert_eq!(opened.is_some(), index + 1 == FAILURES);
        }
        let stranger = TenantId::new();
        assert_eq!(breaker.pass(stranger, now + SECOND), Passage::Shut(SECOND));
        let later = now + 2 * SECOND;
        let Passage::Probe(number) = breaker.pass(stranger, later) else { panic!("one is sent to find out") };
        assert_eq!(breaker.pass(one, later), Passage::Shut(2 * SECOND));
        assert_eq!(breaker.failed(stranger, Some(number), later), Some(Shut::All));
        assert_eq!(breaker.pass(one, later), Passage::Shut(4 * SECOND), "twice as long");
        let later = later + 4 * SECOND;
        let Passage::Probe(number) = breaker.pass(two, later) else { panic!("and again") };
        breaker.probe_lost(two, number);
        assert!(matches!(breaker.pass(one, later), Passage::Probe(_)));
        breaker.answered(one);
        assert_eq!(breaker.pass(two, later), Passage::Free);
    }

    #[test]
    fn what_one_tenant_meets_stops_that_tenant_alone() {
        let (one, two) = (TenantId::new(), TenantId::new());
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..20 {
            breaker.failed(one, None, now);
        }
        assert!(is_shut(&mut breaker, one, now));
        assert_eq!(breaker.pass(two, now), Passage::Free);
        // Once in a while something fails for another: that shuts nothing.
        for _ in 0..10 {
            breaker.answered(two);
            assert!(is_shut(&mut breaker, one, now), "the other's success says nothing about this one");
            assert_eq!(breaker.failed(two, None, now), None);
            assert_eq!(breaker.pass(two, now), Passage::Free);
            now += SECOND / 10;
        }
        // What others meet too, in a row, is everybody's.
        for _ in 0..3 {
            breaker.failed(one, None, now);
        }
        assert_eq!(breaker.failed(two, None, now), Some(Shut::All));
        assert!(is_shut(&mut breaker, TenantId::new(), now));
    }

    #[test]
    fn failures_far_apart_are_not_in_a_row() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..20 {
            assert_eq!(breaker.failed(TenantId::new(), None, now), None);
            now += TOGETHER + SECOND;
        }
    }

    #[test]
    fn one_that_does_not_come_back_keeps_nobody_out() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.failed(TenantId::new(), None, now);
        }
        now += FIRST_OPEN;
        let slow = TenantId::new();
        let Passage::Probe(first) = breaker.pass(slow, now) else { panic!("one is sent") };
        now += PROBE_TIME;
        let Passage::Probe(second) = breaker.pass(TenantId::new(), now) else { panic!("another one is sent") };
        // The first one's end says nothing any more.
        breaker.probe_lost(slow, first);
        assert!(is_shut(&mut breaker, slow, now));
        assert_ne!(breaker.failed(slow, Some(first), now), Some(Shut::All));
        assert_eq!(breaker.failed(slow, Some(second), now), Some(Shut::All));
    }

    #[test]
    fn an_answer_in_between_begins_the_count_anew() {
        let one = TenantId::new();
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 1..FAILURES {
                assert_eq!(breaker.failed(one, None, now), None);
            }
            breaker.answered(one);
        }
        assert_eq!(breaker.pass(one, now), Passage::Free);
        for _ in 0..2 * REMEMBERED {
            breaker.failed(TenantId::new(), None, now);
        }
        assert!(breaker.own.len() <= REMEMBERED);
    }
}
