//! Hints between replicas: "this run has more".
//!
//! A hint can be lost and is never the truth; readers of a run that another process writes also look by themselves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use headwater_protocol::{ReplicaId, RunId};
use headwater_store::{Bus, Replica};
use tokio::time::Instant;

/// How long a replica is told of a run that it has asked for. It asks again sooner.
pub(crate) const FOLLOW_FOR: Duration = Duration::from_secs(30);

/// Carries hints to other replicas.
pub trait WakeBus: std::fmt::Debug + Send + Sync {
    /// Tells those who follow it that this run has new events. Called after the commit.
    fn publish(&self, run: RunId);
    /// Asks the owner of a run to tell us of it for a while.
    fn follow(&self, run: RunId, owner: ReplicaId);
    /// Another replica asks to be told of a run for a while.
    fn followed(&self, run: RunId, by: ReplicaId);
}

/// The bus of a single replica: its readers are woken by the ring itself, and there is nobody else to tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalWakeBus;

impl WakeBus for LocalWakeBus {
    fn publish(&self, _: RunId) {}
    fn follow(&self, _: RunId, _: ReplicaId) {}
    fn followed(&self, _: RunId, _: ReplicaId) {}
}

/// Hints over Postgres: sent to those replicas that have readers of a run, and to no others.
#[derive(Debug)]
pub struct PostgresWakeBus {
    bus: Bus,
    replica: Replica,
    followers: DashMap<RunId, HashMap<ReplicaId, Instant>>,
    /// So that nobody looks into the map where nobody follows anything.
    followed: AtomicUsize,
}

impl PostgresWakeBus {
    /// Nobody follows anything yet.
    pub fn new(bus: Bus, replica: Replica) -> Self {
        Self { bus, replica, followers: DashMap::new(), followed: AtomicUsize::new(0) }
    }
}

impl WakeBus for PostgresWakeBus {
    fn publish(&self, run: RunId) {
        if self.followed.load(Ordering::Relaxed) == 0 {
            return;
        }
        let Some(mut followers) = self.followers.get_mut(&run) else { return };
        let now = Instant::now();
        followers.retain(|_, until| *until > now);
        for replica in followers.keys() {
            self.bus.more(*replica, run);
        }
        let forgotten = followers.is_empty();
        drop(followers);
        if forgotten {
            self.followers.remove_if(&run, |_, followers| followers.is_empty());
            self.followed.store(self.followers.len(), Ordering::Relaxed);
        }
    }

    fn follow(&self, run: RunId, owner: ReplicaId) {
        // Whoever cannot hear need not be told.
        if self.bus.listens() && owner != self.replica.id() {
            self.bus.follow(owner, run, self.replica.id());
        }
    }

    fn followed(&self, run: RunId, by: ReplicaId) {
        self.followers.entry(run).or_default().insert(by, Instant::now() + FOLLOW_FOR);
        if self.followers.len() > 1000 {
            // Runs that have ended are published no more.
            let now = Instant::now();
            self.followers.retain(|_, followers| followers.values().any(|until| *until > now));
        }
        self.followed.store(self.followers.len(), Ordering::Relaxed);
        // What was committed before the question came is news to whoever asked.
        self.bus.more(by, run);
    }
}
