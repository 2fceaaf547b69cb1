//! What a stream yields.

use bytes::Bytes;
use headwater_protocol::RunId;
use headwater_protocol::api::RunSnapshot;
use headwater_protocol::event::{self, Event};

use crate::Error;

/// One thing a stream tells.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamItem {
    /// An event of the run's log.
    Event(EventLine),
    /// An event that this reader may not see: its place in the order, and nothing else.
    Hidden(EventLine),
    /// Everything that was in the log is read; what follows is live. Once per connection.
    CaughtUp {
        /// The last event of the log at that moment.
        tail: u64,
    },
    /// The cursor was older than what is kept, or ahead of the log: begin anew from this snapshot.
    Reset(Box<StreamReset>),
}

/// A new beginning, in place of events that are no longer there.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamReset {
    /// `trimmed` or `cursor_ahead`.
    pub reason: String,
    /// The snapshot holds everything up to this event; the stream goes on after it.
    pub as_of_seq: u64,
    /// The run, as of then.
    pub snapshot: RunSnapshot,
}

/// An event as it came over the wire: one line of JSON, parsed only if asked.
///
/// It shares the memory of the chunk it came in (mostly 8 to 64 KiB); copy its text to keep single lines for long.
#[derive(Clone, PartialEq, Eq)]
pub struct EventLine {
    seq: u64,
    raw: Bytes,
}

impl EventLine {
    /// `raw` must be UTF-8.
    pub(crate) fn new(seq: u64, raw: Bytes) -> Self {
        Self { seq, raw }
    }

    /// Its position in the run's log, dense from 1.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Its JSON, byte for byte as the server wrote it.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The same, as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.raw).expect("checked when it was read")
    }

    /// Its type, such as `message.delta`, found without parsing.
    pub fn kind(&self) -> &str {
        event::type_of(self.text())
    }

    /// Whether nothing follows it.
    pub fn is_terminal(&self) -> bool {
        is_terminal(self.kind().as_bytes())
    }

    /// The event. A type of a later release reads as [`EventBody::Unknown`](event::EventBody::Unknown).
    pub fn parse(&self) -> Result<Event, Error> {
        serde_json::from_slice(&self.raw).map_err(|error| Error::decode("an event", error))
    }

    /// The run it belongs to, found without parsing.
    pub(crate) fn run(&self) -> Option<RunId> {
        const KEY: &str = r#""run":""#;
        let text = self.text();
        text[text.find(KEY)? + KEY.len()..].split('"').next()?.parse().ok()
    }
}

impl std::fmt::Debug for EventLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

/// Whether an event of this type ends its run.
pub(crate) fn is_terminal(kind: &[u8]) -> bool {
    matches!(kind, b"run.completed" | b"run.failed" | b"run.cancelled")
}
