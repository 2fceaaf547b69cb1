//! Hints between replicas: "this run has more".
//!
//! A hint can be lost and is never the truth; readers of a run that another process writes also look by themselves.

use headwater_protocol::RunId;

/// Carries hints to other replicas.
pub trait WakeBus: std::fmt::Debug + Send + Sync {
    /// Tells others that these runs have new events. Called after the commit.
    fn publish(&self, run: RunId);
}

/// The bus of a single replica: its readers are woken by the ring itself, and there is nobody else to tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalWakeBus;

impl WakeBus for LocalWakeBus {
    fn publish(&self, _: RunId) {}
}
