//! How a stream begins, and how long it keeps trying.

use std::time::Duration;

/// A position in a run's log: strictly after which event to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cursor {
    /// From the first event on.
    #[default]
    Start,
    /// After this event.
    After(u64),
    /// Only what happens from now on.
    Now,
}

/// Options of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// Where to begin. Has no meaning for a stream that makes its run.
    pub after: Cursor,
    /// Reconnects in a row that may bring nothing new: 10 unless set.
    pub attempts: u32,
    /// The pause before a reconnect until the server names one: 2 s unless set.
    pub retry: Duration,
    /// How long a connection may be silent before it counts as broken: 45 s unless set, which is three heartbeats.
    pub idle: Duration,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { after: Cursor::Start, attempts: 10, retry: Duration::from_secs(2), idle: Duration::from_secs(45) }
    }
}

impl StreamOptions {
    /// The usual, from this cursor on.
    pub fn after(cursor: Cursor) -> Self {
        Self { after: cursor, ..Self::default() }
    }
}

/// What a stream has been through; for load tests and the curious.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamStats {
    /// Connections that were answered with a stream.
    pub connections: u64,
    /// Events that came again and were dropped.
    pub duplicates: u64,
    /// Gaps that a reconnect had to fill.
    pub gaps: u64,
    /// Bytes of all bodies.
    pub bytes: u64,
}
