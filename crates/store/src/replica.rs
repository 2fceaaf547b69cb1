//! This process as the database knows it.
//!
//! A replica's id is good until somebody has taken its runs: then its row is gone, and it never comes back. The process
//! goes on under a new id, and what it still writes for its old runs does not fit them any more.

use std::sync::{Arc, Mutex};

use headwater_protocol::ReplicaId;

/// The id under which this process owns runs at present. Cheap to clone; clones change together.
#[derive(Debug, Clone)]
pub struct Replica(Arc<Mutex<ReplicaId>>);

impl Replica {
    /// A process that has not been here before.
    #[expect(clippy::new_without_default, reason = "a random value is no default")]
    pub fn new() -> Self {
        Self::from(ReplicaId(uuid::Uuid::now_v7()))
    }

    /// The id at present.
    pub fn id(&self) -> ReplicaId {
        *self.0.lock().expect("no panic while copying")
    }

    /// Goes on under another id, which is registered already.
    pub fn rename(&self, id: ReplicaId) {
        *self.0.lock().expect("no panic while copying") = id;
    }
}

impl From<ReplicaId> for Replica {
    fn from(id: ReplicaId) -> Self {
        Self(Arc::new(Mutex::new(id)))
    }
}
