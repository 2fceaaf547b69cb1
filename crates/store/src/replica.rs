//! This process as the database knows it.
//!
//! A replica's id is good until somebody has taken its runs: then its row is gone, and it never comes back. The process
//! goes on under a new id, and what it still writes for its old runs does not fit them any more.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use headwater_protocol::ReplicaId;
use tokio::sync::Notify;

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
pub struct Share(Arc<Seats>);

#[derive(Debug)]
struct Seats {
    replicas: AtomicUsize,
    /// This one's place among them, from 0.
    place: AtomicUsize,
    /// The others have not had the time to notice this one.
    is_new: AtomicBool,
    changed: Notify,
}

/// The least of a cap that each replica may use: else a small cap could be used up by where requests happen to arrive.
const LEAST: usize = 4;

impl Default for Share {
    fn default() -> Self {
        Self(Arc::new(Seats {
            replicas: AtomicUsize::new(1),
            place: AtomicUsize::new(0),
            is_new: AtomicBool::new(false),
            changed: Notify::new(),
        }))
    }
}

impl Share {
    /// So many replicas live, this one included, at this place among them, from 0. `is_new`: the others may not have
    /// noticed it yet.
    pub fn tell(&self, place: usize, replicas: usize, is_new: bool) {
        let seats = &self.0;
        let before = (seats.replicas.load(Ordering::Relaxed), self.0.place.load(Ordering::Relaxed), self.is_new());
        let now = (replicas.max(1), place, is_new && replicas > 1);
        seats.replicas.store(now.0, Ordering::Relaxed);
        seats.place.store(now.1, Ordering::Relaxed);
        seats.is_new.store(now.2, Ordering::Relaxed);
        if now != before {
            seats.changed.notify_one();
        }
    }

    /// Replicas that live.
    pub fn replicas(&self) -> usize {
        self.0.replicas.load(Ordering::Relaxed)
    }

    fn is_new(&self) -> bool {
        self.0.is_new.load(Ordering::Relaxed)
    }

    /// Waits until something was told that was not so before. For one task: each change wakes one.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// What this replica may use of something that others count too: all shares together are the whole, but where there
    /// is less of it than replicas, each of which has one. A replica that the others have not noticed yet has one, so that
    /// what they still use is not given out twice. 0 stays no limit.
    pub fn exactly(&self, whole: usize) -> usize {
        if whole == 0 || self.is_new() {
            return whole.min(1);
        }
        let replicas = self.replicas();
        let rest = usize::from(self.0.place.load(Ordering::Relaxed) < whole % replicas);
        (whole / replicas + rest).max(1)
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
        share.tell(0, 3, false);
        assert_eq!((share.of(64), share.of(0), share.of(5), share.of(2)), (22, 0, 4, 2));
        share.tell(0, 0, false);
        assert_eq!(share.of(64), 64, "this one lives");
    }

    #[test]
    fn exact_shares_are_the_whole() {
        for whole in 3..100 {
            for replicas in 1..=3 {
                let shares: usize = (0..replicas)
                    .map(|place| {
                        let share = Share::default();
                        share.tell(place, replicas, false);
                        share.exactly(whole)
                    })
                    .sum();
                assert_eq!(shares, whole);
            }
        }
        let share = Share::default();
        share.tell(1, 2, true);
        assert_eq!((share.exactly(16), share.exactly(0)), (1, 0), "until the others have made room");
        share.tell(0, 1, true);
        assert_eq!(share.exactly(16), 16, "there is nobody to wait for");
    }
}
