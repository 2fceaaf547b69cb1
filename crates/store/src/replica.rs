//! This process as the database knows it.
//!
//! A replica's id is good until somebody has taken its runs: then its row is gone, and it never comes back. The process
//! goes on under a new id, and what it still writes for its old runs does not fit them any more.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use headwater_protocol::ReplicaId;

/// The id under which this process owns runs at present, and until when it is sure to. Cheap to clone; clones change
/// together.
#[derive(Debug, Clone)]
pub struct Replica(Arc<State>);

#[derive(Debug)]
struct State {
    id: Mutex<ReplicaId>,
    /// Until when the lease holds, by [`clock`].
    until_ms: AtomicI64,
}

/// Milliseconds on a clock that nobody sets and that goes on while the machine sleeps: a process that has slept through its
/// lease must not take it for fresh.
pub fn clock() -> i64 {
    // On macOS it is this one that goes on; on Linux the other one.
    #[cfg(target_os = "macos")]
    let clock = rustix::time::ClockId::Monotonic;
    #[cfg(not(target_os = "macos"))]
    let clock = rustix::time::ClockId::Boottime;
    let now = rustix::time::clock_gettime(clock);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

impl Replica {
    /// A process that has not been here before.
    #[expect(clippy::new_without_default, reason = "a random value is no default")]
    pub fn new() -> Self {
        Self::from(ReplicaId(uuid::Uuid::now_v7()))
    }

    /// The id at present.
    pub fn id(&self) -> ReplicaId {
        *self.0.id.lock().expect("no panic while copying")
    }

    /// Goes on under another id, which is registered already.
    pub fn rename(&self, id: ReplicaId) {
        *self.0.id.lock().expect("no panic while copying") = id;
    }

    /// The lease holds until then, by [`clock`]: counted from before it was asked for.
    pub fn renewed(&self, until_ms: i64) {
        self.0.until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// Whether nobody can have taken this process' runs yet.
    pub fn is_fresh(&self) -> bool {
        clock() < self.0.until_ms.load(Ordering::Relaxed)
    }
}

impl From<ReplicaId> for Replica {
    fn from(id: ReplicaId) -> Self {
        Self(Arc::new(State { id: Mutex::new(id), until_ms: AtomicI64::new(0) }))
    }
}

/// This process' part of the caps that hold for all replicas together: an equal one. Asks nobody when something is
/// counted; how many replicas live is told three times per lease. Cheap to clone; clones change together.
#[derive(Debug, Clone)]
pub struct Share(Arc<AtomicUsize>);

/// The least of a cap that each replica may use: else a small cap could be used up by where requests happen to arrive.
const LEAST: usize = 4;

impl Default for Share {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(1)))
    }
}

impl Share {
    /// So many replicas live, this one included.
    pub fn tell(&self, replicas: usize) {
        self.0.store(replicas.max(1), Ordering::Relaxed);
    }

    /// Replicas that live.
    pub fn replicas(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// What this replica may use of a cap; 0 stays no cap. All shares together exceed it by less than one for each
    /// replica, or by [`LEAST`] each where the cap is as small as that.
    pub fn of(&self, cap: usize) -> usize {
        cap.div_ceil(self.replicas()).max(cap.min(LEAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let share = Share::default();
        assert_eq!((share.of(64), share.of(0), share.of(usize::MAX)), (64, 0, usize::MAX));
        share.tell(3);
        assert_eq!((share.of(64), share.of(0), share.of(5), share.of(2)), (22, 0, 4, 2));
        share.tell(0);
        assert_eq!(share.of(64), 64, "this one lives");
    }
}
