//! The ring of one run: its last committed frames, and who waits for more.
//!
//! Promises that a read of the ring gives exactly what follows a cursor, or says that the ring does not reach back so
//! far. Holds at most a few KiB, whatever the readers do.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};

use bytes::{Bytes, BytesMut};
use headwater_protocol::event::Audience;
use tokio::sync::Notify;

use crate::frame;

/// One flush: a stretch of the log, rendered.
#[derive(Debug)]
struct Block {
    from: u64,
    to: u64,
    /// As the tenant sees it, which is everything.
    tenant: Bytes,
    /// As users see it: mostly the very same bytes.
    user: OnceLock<Bytes>,
}

impl Block {
    /// Memory that it takes: its frames and itself. Users see no more than the tenant, so theirs at most double it.
    fn weight(&self) -> usize {
        self.tenant.len() + size_of::<Self>()
    }

    fn frames(&self, audience: Audience) -> &Bytes {
        match audience {
            Audience::Tenant => &self.tenant,
            // All users of one run see with the same agent's eyes.
            Audience::User(_) => self.user.get_or_init(|| frame::seen_by(&self.tenant, audience)),
        }
    }
}

#[derive(Debug, Default)]
struct Ring {
    blocks: VecDeque<Block>,
    bytes: usize,
    /// The last committed event that this process knows of.
    tail: u64,
    /// Whether this process writes the run.
    live: bool,
    /// Which of the run's writers on this process is the last. What an earlier one still says does not count: the run
    /// was taken from it, and what it committed before that is in the table.
    writer: u64,
    /// Whether the log has ended.
    ended: bool,
}

/// One run, as its readers on this process see it.
#[derive(Debug, Default)]
pub struct Channel {
    ring: Mutex<Ring>,
    changed: Notify,
}

/// What a reader finds after its cursor.
#[derive(Debug)]
pub enum Read {
    /// Frames up to `last`; `ended` when the terminal event is among them.
    Frames {
        /// Whole frames.
        frames: Bytes,
        /// The last event among them.
        last: u64,
        /// Whether nothing follows.
        ended: bool,
    },
    /// All has been read; more will come here.
    AtTail {
        /// The last event of the log.
        tail: u64,
    },
    /// The ring does not reach back so far, or somebody else writes the run: read the table.
    Elsewhere,
}

impl Channel {
    /// A writer begins here, after `tail`. Returns its number.
    pub fn attach(&self, tail: u64) -> u64 {
        let mut ring = self.lock();
        let writer = ring.writer + 1;
        if ring.ended {
            // Too late: the log has ended, and its readers keep what they have.
            ring.writer = writer;
            return writer;
        }
        *ring = Ring { tail, live: true, writer, ..Ring::default() };
        drop(ring);
        self.changed.notify_waiters();
        writer
    }

    /// The writer has gone. What it committed is in the table.
    pub fn detach(&self, writer: u64) {
        let mut ring = self.lock();
        // A log that has ended stays as it is for the readers that are here: nothing can follow.
        if ring.writer != writer || ring.ended {
            return;
        }
        ring.live = false;
        ring.blocks.clear();
        ring.bytes = 0;
        drop(ring);
        self.changed.notify_waiters();
    }

    /// Adds what has just been committed.
    pub fn publish(&self, writer: u64, from: u64, to: u64, lines: &str, ended: bool, ring_bytes: usize) {
        let mut ring = self.lock();
        if ring.writer != writer || !ring.live || ring.ended {
            drop(ring);
            // Readers are on the table, which has it.
            self.changed.notify_waiters();
            return;
        }
        debug_assert_eq!(ring.tail + 1, from, "the ring is dense");
        ring.tail = to;
        ring.ended = ended;
        let block = Block { from, to, tenant: frame::frames(lines, Audience::Tenant), user: OnceLock::new() };
        ring.bytes += block.weight();
        ring.blocks.push_back(block);
        // The newest block stays, however large: it has been delivered to nobody yet.
        while ring.bytes > ring_bytes && ring.blocks.len() > 1 {
            if let Some(old) = ring.blocks.pop_front() {
                ring.bytes -= old.weight();
            }
        }
        drop(ring);
        self.changed.notify_waiters();
    }

    /// What follows a cursor.
    pub fn read(&self, after: u64, audience: Audience) -> Read {
        let ring = self.lock();
        if !ring.live {
            return Read::Elsewhere;
        }
        if after >= ring.tail {
            return if after == ring.tail && !ring.ended { Read::AtTail { tail: ring.tail } } else { Read::Elsewhere };
        }
        if ring.blocks.front().is_none_or(|first| first.from > after + 1) {
            return Read::Elsewhere;
        }
        let mut wanted = ring.blocks.iter().filter(|block| block.to > after);
        let first = wanted.next().expect("the tail is after the cursor");
        let first_frames = frame::frames_after(first.frames(audience), after);
        let frames = if ring.tail == first.to {
            first_frames
        } else {
            let mut all = BytesMut::from(first_frames);
            wanted.for_each(|block| all.extend_from_slice(block.frames(audience)));
            all.freeze()
        };
        Read::Frames { frames, last: ring.tail, ended: ring.ended }
    }

    /// Whether the log has ended, as far as this process knows.
    pub fn has_ended(&self) -> bool {
        let ring = self.lock();
        ring.live && ring.ended
    }

    /// Whether a writer of this process is attached.
    pub fn is_live(&self) -> bool {
        self.lock().live
    }

    /// Resolves at the next change. Must be made before looking, so that nothing is missed in between.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Makes all waiting readers look again.
    pub fn poke(&self) {
        self.changed.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.ring.lock().expect("no panic while the ring is held")
    }
}
