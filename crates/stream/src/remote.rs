//! Tails of runs that another process writes.
//!
//! Owns the list of runs that have readers here and no writer, and the one query that looks for all of them. Promises
//! that a reader hears of new events within [`remote_poll`](crate::StreamOptions::remote_poll), and at once where the
//! owner can send hints. Looks while there is somebody to look for, and does nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use headwater_protocol::{ReplicaId, RunId, TenantId};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::manager::{Inner, MessageStreamManager};
use crate::wake::FOLLOW_FOR;

/// Runs looked for in one query.
const AT_ONCE: usize = 1000;

/// Runs that are read here and written elsewhere.
#[derive(Debug, Default)]
pub(crate) struct RemoteTails {
    runs: Mutex<HashMap<RunId, Tail>>,
    changed: Notify,
}

#[derive(Debug)]
struct Tail {
    tenant: TenantId,
    readers: usize,
    /// The last event that readers were woken for.
    seen: u64,
    /// Who writes it, and until when it tells us.
    owner: Option<(ReplicaId, Instant)>,
}

/// A reader of a run that is written elsewhere.
#[derive(Debug)]
pub(crate) struct RemoteReader {
    manager: Arc<Inner>,
    run: RunId,
}

impl RemoteReader {
    /// A reader that has seen the log up to `tail`.
    pub(crate) fn new(manager: &Arc<Inner>, tenant: TenantId, run: RunId, tail: u64) -> Self {
        let tails = &manager.remote;
        let mut runs = tails.runs.lock().expect("no panic while counting");
        let entry = runs.entry(run).or_insert(Tail { tenant, readers: 0, seen: tail, owner: None });
        entry.readers += 1;
        // The one that is behind decides.
        entry.seen = entry.seen.min(tail);
        drop(runs);
        tails.changed.notify_one();
        Self { manager: manager.clone(), run }
    }
}

impl Drop for RemoteReader {
    fn drop(&mut self) {
        let mut runs = self.manager.remote.runs.lock().expect("no panic while counting");
        if let Some(tail) = runs.get_mut(&self.run) {
            tail.readers -= 1;
            if tail.readers == 0 {
                runs.remove(&self.run);
            }
        }
    }
}

impl MessageStreamManager {
    /// Looks after the readers of runs that are written elsewhere, for as long as it is polled. One such task serves all
    /// of them; without it each reader looks by itself.
    pub async fn tail_remote(&self) {
        let inner = &self.inner;
        inner.tailing.store(true, std::sync::atomic::Ordering::Relaxed);
        let mut next = Instant::now();
        loop {
            let idle = inner.remote.runs.lock().expect("no panic while counting").is_empty();
            if idle {
                inner.remote.changed.notified().await;
            } else {
                tokio::select! {
                    () = inner.remote.changed.notified() => {}
                    () = tokio::time::sleep_until(next) => {}
                }
            }
            self.look().await;
            next = Instant::now() + inner.options.remote_poll;
        }
    }

    /// Hints may have been lost: all readers of other processes' runs look again.
    pub fn poke_remote(&self) {
        let runs: Vec<RunId> =
            self.inner.remote.runs.lock().expect("no panic while counting").keys().copied().collect();
        for run in runs {
            self.poke(run);
        }
        self.inner.remote.changed.notify_one();
    }

    async fn look(&self) {
        let inner = &self.inner;
        let asked: Vec<(TenantId, RunId)> = {
            let runs = inner.remote.runs.lock().expect("no panic while counting");
            runs.iter().map(|(run, tail)| (tail.tenant, *run)).collect()
        };
        for asked in asked.chunks(AT_ONCE) {
            let unscoped = inner.store.unscoped("tails of runs of any tenant that have readers here");
            let tails = match unscoped.run_tails(asked).await {
                Ok(tails) => tails,
                Err(error) => {
                    tracing::warn!(%error, "tails of other processes' runs could not be read; trying again");
                    return;
                }
            };
            let now = Instant::now();
            let (mut news, mut follow) = (Vec::new(), Vec::new());
            let mut runs = inner.remote.runs.lock().expect("no panic while counting");
            let mut gone: Vec<RunId> = asked.iter().map(|(_, run)| *run).collect();
            for found in tails {
                gone.retain(|run| *run != found.run);
                let Some(tail) = runs.get_mut(&found.run) else { continue };
                if found.tail != tail.seen {
                    tail.seen = found.tail;
                    news.push(found.run);
                }
                if let Some(owner) = found.owner
                    && tail.owner.is_none_or(|(known, until)| known != owner || until < now)
                {
                    tail.owner = Some((owner, now + FOLLOW_FOR / 2));
                    follow.push((found.run, owner));
                }
            }
            drop(runs);
            // Erased: whoever looks finds out.
            news.extend(gone);
            for run in news {
                self.poke(run);
            }
            for (run, owner) in follow {
                inner.bus.follow(run, owner);
            }
        }
    }
}
