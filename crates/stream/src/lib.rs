//! `MessageStreamManager`: one append-only log per run, and everybody who reads it.
//!
//! Owns the way of an event from the loop that makes it to the readers that see it: sequence numbers, the group flush,
//! the hot ring of rendered frames, resume from any cursor, the end of streams.
//! Promises that nobody sees an event that is not committed; that every reader sees 1…n once, in order, whatever mix of
//! ring and table it reads from; that a slow reader neither slows the producer nor loses an event; and that a closed
//! socket never stops a run.
//! Never decides what happens in a run, and knows no HTTP: a stream is a series of byte blocks.
//!
//! | module | holds |
//! |---|---|
//! | [`writer`] | the one writer of a run: pending deltas, flushes, commits |
//! | [`channel`] | the ring of a run and who waits for it |
//! | [`reader`] | a cursor and a socket, no queue |
//! | [`frame`] | how events and control frames look on the wire |
//! | [`presence`] | who reads a run that is to end when nobody does |
//! | [`view`] | runs and snapshots as each audience may see them |
//! | `remote` | tails of runs that another process writes |
//! | [`wake`] | hints between replicas |
//! | [`quota`] | open streams and replayed bytes |

pub mod channel;
pub mod frame;
pub mod manager;
pub mod presence;
pub mod quota;
pub mod reader;
mod remote;
pub mod view;
pub mod wake;
pub mod writer;

pub use manager::{MessageStreamManager, StreamOptions};
pub use reader::{Cursor, Opened, ReaderParams, Room, Trouble};
pub use wake::{LocalWakeBus, PostgresWakeBus, WakeBus};
pub use writer::{RunIdentity, RunWriter, WriteError};
