//! What this process has written that somebody in it waits to hear of: ends and suspensions of runs, and what webhooks tell.
//!
//! Promises nothing: what is told here is in the database first, and whoever hears of it looks there. Never holds up who writes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use headwater_protocol::{RunId, TenantId};
use tokio::sync::{Notify, mpsc};

use crate::gate::{Busy, Gate};

/// Runs that wait to be heard of. Beyond, they are not.
const MAX_WAITING: usize = 4096;

/// A run that has ended, or waits for somebody.
#[derive(Debug)]
pub struct Rested {
    /// Whose it is.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// Whether it has ended.
    pub over: bool,
    /// The process stays awake until this was seen to.
    pub busy: Busy,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct News {
    bell: Notify,
    rested: OnceLock<mpsc::Sender<Rested>>,
    missed: AtomicU64,
}

impl News {
    /// A tenant's webhooks may be to be told of what was written.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until they may. For one who waits; what is written while nobody does is remembered.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// A run has come to rest.
    pub(crate) fn rested(&self, gate: &Arc<Gate>, tenant: TenantId, run: RunId, over: bool) {
        if let Some(to) = self.rested.get() {
            // Full: whoever listens does not keep up, and misses some.
            if to.try_send(Rested { tenant, run, over, busy: gate.begin() }).is_err() {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Of how many runs nobody has heard since this was last asked.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }

    /// Hears of runs that come to rest from here on. `None`: somebody does already.
    pub(crate) fn hear(&self) -> Option<mpsc::Receiver<Rested>> {
        let (to, heard) = mpsc::channel(MAX_WAITING);
        self.rested.set(to).is_ok().then_some(heard)
    }
}
