//! Who reads a run that is to end when nobody does.
//!
//! Owns the noting that somebody reads, before the first byte goes out, and the telling that somebody has gone. What
//! becomes of the run then is decided elsewhere.

use std::time::Duration;

use headwater_protocol::api::OnDisconnect;
use headwater_protocol::{RunId, Scope};
use headwater_store::{Replica, Store, StoreError};
use tokio::sync::mpsc;
use uuid::Uuid;

/// A reader has gone.
#[derive(Debug, Clone, Copy)]
pub struct Departure {
    /// Whose run it is.
    pub scope: Scope,
    /// The run.
    pub run: RunId,
    /// Who has gone.
    pub reader: Uuid,
    /// How long the run waits for one to come back.
    pub grace: Duration,
    /// Whether we sent it away, to come back: it is on its way.
    pub sent_away: bool,
    /// Whether its going means nothing: the run waits for somebody, and we sent its readers away for as long.
    pub excused: bool,
}

/// How long a run waits for readers; `None`: it goes on without.
pub fn grace(policy: OnDisconnect, grace: Duration) -> Option<Duration> {
    match policy {
        OnDisconnect::Continue => None,
        OnDisconnect::Cancel => Some(Duration::ZERO),
        OnDisconnect::Grace => Some(grace),
    }
}

/// Where readers of this process are noted.
#[derive(Debug)]
pub(crate) struct Register {
    pub(crate) replica: Replica,
    pub(crate) departures: mpsc::UnboundedSender<Departure>,
}

/// One reader. Its going is told when this is dropped.
#[derive(Debug)]
pub(crate) struct Present {
    tell: mpsc::UnboundedSender<Departure>,
    departure: Departure,
}

impl Register {
    /// Notes a reader.
    pub(crate) async fn note(
        &self,
        store: &Store,
        scope: Scope,
        run: RunId,
        grace: Duration,
    ) -> Result<Present, StoreError> {
        let reader = Uuid::now_v7();
        // Made first: a caller who leaves in between is told of, and may have been noted.
        let departure = Departure { scope, run, reader, grace, sent_away: false, excused: false };
        let present = Present { tell: self.departures.clone(), departure };
        store.scoped(scope).reader_here(self.replica.id(), run, reader).await?;
        Ok(present)
    }
}

impl Present {
    /// It does not go, we send it away, to come back.
    pub(crate) fn send_away(&mut self) {
        self.departure.sent_away = true;
    }

    /// The same for as long as the run waits for somebody.
    pub(crate) fn excuse(&mut self) {
        self.departure.excused = true;
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        // Nobody listens any more: the process ends.
        let _ = self.tell.send(self.departure);
    }
}
