//! Runs that end when nobody reads them.
//!
//! Promises that such a run ends after its grace once its last reader, at whatever process, has gone, whatever becomes of
//! the process that saw it go; and that readers whom we sent away to come back do not count as gone while they are on
//! their way. Who reads is in the database; nothing is counted here.

use std::time::Duration;

use headwater_protocol::event::Actor;
use headwater_store::StoreError;
use headwater_stream::presence::Departure;
use tokio::sync::mpsc;

use crate::runtime::AgentRuntime;

/// How long a reader that we sent away may take to come back.
const ON_ITS_WAY: Duration = Duration::from_secs(30);
/// How often the database is asked to note that somebody has gone.
const ATTEMPTS: u32 = 5;

impl AgentRuntime {
    /// Does what has to be done for readers that go, for as long as it is polled.
    pub async fn watch_readers(&self, mut departures: mpsc::UnboundedReceiver<Departure>) {
        while let Some(departure) = departures.recv().await {
            let runtime = self.clone();
            // A process that goes quiet lets go of it: what was noted is found by whoever sweeps, and it takes its readers
            // with it when it takes leave.
            let gate = self.inner.parts.store.gate().clone();
            self.spawn_aside("reader gone", async move {
                tokio::select! {
                    () = runtime.gone(departure) => {}
                    () = gate.asleep() => {}
                }
            });
        }
    }

    async fn gone(&self, departure: Departure) {
        let Departure { scope, run, reader, grace, sent_away, excused } = departure;
        if excused {
            // Nobody reads it from here on, and it does not end for that: it waits for somebody, and who reads it next counts.
            let storage = self.inner.parts.store.scoped(scope);
            if let Err(error) = patiently(|| storage.reader_forget(run, reader)).await {
                tracing::warn!(%error, run.id = %run, "a reader is still taken for one until this process goes quiet");
            }
            return;
        }
        if sent_away {
            // Until then it counts as here. A process that ends meanwhile takes its readers' rows with it.
            tokio::select! {
                () = tokio::time::sleep(ON_ITS_WAY) => {}
                () = self.inner.parts.hard.cancelled() => return,
            }
        }
        let storage = self.inner.parts.store.scoped(scope);
        match patiently(|| storage.reader_gone(run, reader, grace)).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, run.id = %run, "a reader's going is not noted; the run goes on");
                return;
            }
        }
        // If this process ends before, whoever sweeps finds what was asked for.
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = self.inner.parts.hard.cancelled() => return,
        }
        let ended = match storage.run_cancel_is_due(run).await {
            Ok(true) => self.cancel(scope, run, Actor::system("on_disconnect")).await.map(drop),
            // Somebody has come back, or it has ended by itself.
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::warn!(%error, run.id = %run, "a run that nobody reads was not ended; the next sweep does");
        }
    }
}

/// Tries a few times: a note is worth it, and nobody waits.
async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(mut ask: impl FnMut() -> F) -> Result<T, StoreError> {
    let mut pause = Duration::from_millis(50);
    for _ in 1..ATTEMPTS {
        match ask().await {
            Err(error) if error.is_transient() => tokio::time::sleep(pause).await,
            answered => return answered,
        }
        pause *= 2;
    }
    ask().await
}
