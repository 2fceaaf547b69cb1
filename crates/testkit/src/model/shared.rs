//! What all connections of a server share: settings, counters, records.
//!
//! Owns: [`Counters`] and everything a test can ask a running server.
//! Promises: a request is recorded before it is counted, and an outcome before its counter moves, so whoever waited for
//! a number finds the records that go with it.
//! Never does: grow when recording is off.

use std::sync::{
    Mutex, RwLock,
    atomic::{
        AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use tokio::sync::Notify;

use super::{
    request::{Outcome, RecordedRequest},
    script::Script,
};

/// What a server did so far. `started` is the sum of the four outcomes and what is still in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls read whole, whatever became of them.
    pub started: u64,
    /// Calls answered to their end.
    pub answered: u64,
    /// Calls answered with an error status, scripted or because the request was wrong.
    pub refused: u64,
    /// Calls ended by a scripted fault.
    pub broken: u64,
    /// Calls whose client hung up before the end.
    pub aborted: u64,
    /// Deltas written to sockets.
    pub tokens: u64,
}

impl Counters {
    /// Calls that have neither ended nor been given up.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.started - self.answered - self.refused - self.broken - self.aborted
    }
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) script: Script,
    pub(super) key: Option<String>,
    pub(super) record: bool,
    /// Calls at a time, and the status of what is beyond.
    pub(super) takes: Option<(usize, u16)>,
}

/// One call that is being answered.
pub(super) struct Serving<'a>(&'a AtomicUsize);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Release);
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: RwLock<Settings>,
    pub(super) changed: Notify,
    serving: AtomicUsize,
    next_call: AtomicU64,
    started: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
    aborted: AtomicU64,
    tokens: AtomicU64,
    records: Mutex<Vec<RecordedRequest>>,
    violations: Mutex<Vec<String>>,
}

impl Shared {
    pub(super) fn new(script: Script) -> Self {
        Self {
            settings: RwLock::new(Settings { script, key: None, record: true, takes: None }),
            changed: Notify::new(),
            serving: AtomicUsize::new(0),
            next_call: AtomicU64::new(0),
            started: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            records: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings.read().expect("a server's lock is never poisoned").clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.write().expect("a server's lock is never poisoned"));
    }

    pub(super) fn number_call(&self) -> u64 {
        self.next_call.fetch_add(1, Relaxed)
    }

    /// Counts a call that was read whole; gives the place of its record.
    pub(super) fn start(&self, record: Option<RecordedRequest>) -> Option<usize> {
        let place = record.map(|record| {
            let mut records = self.records.lock().expect("a server's lock is never poisoned");
            records.push(record);
            records.len() - 1
        });
        self.started.fetch_add(1, Release);
        self.changed.notify_waiters();
        place
    }

    /// A place among those that are answered at a time; `None` when all are taken.
    pub(super) fn serve(&self, most: usize) -> Option<Serving<'_>> {
        if self.serving.fetch_add(1, Acquire) < most {
            return Some(Serving(&self.serving));
        }
        self.serving.fetch_sub(1, Release);
        None
    }

    pub(super) fn end(&self, place: Option<usize>, outcome: Outcome) {
        if let Some(place) = place {
            self.records.lock().expect("a server's lock is never poisoned")[place].outcome = outcome;
        }
        let counter = match outcome {
            Outcome::InFlight => return,
            Outcome::Answered => &self.answered,
            Outcome::Refused => &self.refused,
            Outcome::Broken => &self.broken,
            Outcome::Aborted => &self.aborted,
        };
        counter.fetch_add(1, Release);
        self.changed.notify_waiters();
    }

    pub(super) fn count_tokens(&self, tokens: usize) {
        self.tokens.fetch_add(tokens as u64, Relaxed);
    }

    pub(super) fn violation(&self, call: u64, what: &str) {
        self.violations.lock().expect("a server's lock is never poisoned").push(format!("call {call}: {what}"));
    }

    /// Outcomes are read before `started`, so that what is in flight never comes out negative.
    pub(super) fn counters(&self) -> Counters {
        let (answered, refused) = (self.answered.load(Acquire), self.refused.load(Acquire));
        let (broken, aborted) = (self.broken.load(Acquire), self.aborted.load(Acquire));
        let tokens = self.tokens.load(Relaxed);
        Counters { started: self.started.load(Acquire), answered, refused, broken, aborted, tokens }
    }

    pub(super) fn requests(&self) -> Vec<RecordedRequest> {
        self.records.lock().expect("a server's lock is never poisoned").clone()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.violations.lock().expect("a server's lock is never poisoned").clone()
    }
}
