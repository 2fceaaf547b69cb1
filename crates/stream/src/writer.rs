//! The one writer of a run.
//!
//! Owns the run's next sequence number, the deltas that wait for the group flush, and the one commit that may be under
//! way. Promises that what readers get has been committed, in the order in which it was given, and that events which
//! are not deltas commit in the same transaction as the state they tell of. Once it learns that it is no longer the
//! owner it writes nothing more.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use headwater_protocol::event::{EventBody, render};
use headwater_protocol::{RunId, TenantId, Timestamp, UserId};
use headwater_store::commit::{Commit, LeaseToken, Verdict, Writes, segment_header};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::manager::{ChannelRef, MessageStreamManager};

/// Whose run it is and the right to write it.
#[derive(Debug, Clone, Copy)]
pub struct RunIdentity {
    /// The tenant.
    pub tenant: TenantId,
    /// The run's user.
    pub user: UserId,
    /// The run.
    pub run: RunId,
    /// Proof of ownership.
    pub token: LeaseToken,
}

/// Why nothing more can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Somebody else owns the run now, or it has ended, or it is gone. Whoever that is tells the readers.
    #[error("this process no longer owns the run")]
    Fenced,
    /// The run was to end, and something was said to it that no step has taken. Nothing was written;
    /// [`RunWriter::take_unread`] gives back what was to be.
    #[error("something was said to the run that no step has taken")]
    Unread,
    /// Postgres refused these rows, or was away for too long. The run may still be ended with others.
    #[error("the log could not be written: {0}")]
    Refused(String),
}

#[derive(Debug)]
struct InFlight {
    answer: oneshot::Receiver<Verdict>,
    from: u64,
    to: u64,
    lines: String,
    ended: bool,
    /// What it counts for among the waiting bytes.
    bytes: usize,
    /// Kept while it may be given back.
    refusable: Option<Refusable>,
}

/// A commit that was not carried out: the deltas that waited and the events that were given, and the state with them.
type Refusable = (Vec<EventBody>, Arc<Writes>);

/// A stretch of the log, rendered.
struct Lines {
    from: u64,
    to: u64,
    text: String,
    ended: bool,
}

/// Writes one run's log.
#[derive(Debug)]
pub struct RunWriter {
    manager: MessageStreamManager,
    channel: ChannelRef,
    /// Which of the run's writers on this process this is.
    number: u64,
    identity: RunIdentity,
    /// The last event that is committed.
    tail: u64,
    pending: Vec<EventBody>,
    pending_bytes: usize,
    /// Whether the oldest pending delta begins its part: it must not wait.
    urgent: bool,
    in_flight: Option<InFlight>,
    last_flush: Option<Instant>,
    /// Segments that this writer has committed.
    segments: usize,
    fenced: bool,
    unread: Option<Refusable>,
}

impl RunWriter {
    pub(crate) fn new(manager: MessageStreamManager, channel: ChannelRef, identity: RunIdentity, tail: u64) -> Self {
        let number = channel.attach(tail);
        manager.inner.writers.fetch_add(1, Ordering::Relaxed);
        let fenced = channel.has_ended();
        Self {
            manager,
            channel,
            number,
            identity,
            tail,
            pending: Vec::new(),
            pending_bytes: 0,
            urgent: false,
            in_flight: None,
            last_flush: None,
            segments: 0,
            fenced,
            unread: None,
        }
    }

    /// Whose run this writes.
    pub fn identity(&self) -> RunIdentity {
        self.identity
    }

    /// The last committed event.
    pub fn tail(&self) -> u64 {
        self.tail
    }

    /// Whether nothing more can be written: somebody else has ended the run, or owns it.
    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Segments that this writer has committed: many small ones are worth packing once the run has ended.
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// Shows readers what was committed elsewhere in this process: the events that came with the run's creation.
    pub fn publish_created(&mut self, lines: &str, to: u64) {
        self.channel.publish(self.number, self.tail + 1, to, lines, false, self.manager.inner.options.ring_bytes);
        self.tail = to;
    }

    /// Adds a delta, merged with the one before when it continues it.
    pub fn delta(&mut self, body: EventBody) {
        debug_assert!(body.is_delta(), "everything else goes with a commit");
        let grown = match (self.pending.last_mut(), body) {
            (
                Some(EventBody::MessageDelta { message: last, delta: text }),
                EventBody::MessageDelta { message, delta },
            ) if *last == message && text.len() + delta.len() <= 16 * 1024 => {
                text.push_str(&delta);
                delta.len()
            }
            (
                Some(EventBody::ReasoningDelta { message: last, delta: text }),
                EventBody::ReasoningDelta { message, delta },
            ) if *last == message && text.len() + delta.len() <= 16 * 1024 => {
                text.push_str(&delta);
                delta.len()
            }
            (Some(EventBody::ToolArgsDelta { call: last, delta: text }), EventBody::ToolArgsDelta { call, delta })
                if *last == call && text.len() + delta.len() <= 16 * 1024 =>
            {
                text.push_str(&delta);
                delta.len()
            }
            (_, body) => {
                let bytes = match &body {
                    EventBody::MessageDelta { delta, .. }
                    | EventBody::ReasoningDelta { delta, .. }
                    | EventBody::ToolArgsDelta { delta, .. } => delta.len(),
                    _ => 0,
                };
                self.pending.push(body);
                bytes + 128
            }
        };
        self.pending_bytes += grown;
        self.manager.inner.pending.fetch_add(grown, Ordering::Relaxed);
    }

    /// Counts bytes that the caller keeps for its next commit as waiting: they are as much in memory as any others.
    pub fn hold(&mut self, bytes: usize) {
        self.pending_bytes += bytes;
        self.manager.inner.pending.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The next flush goes out as soon as the connection is free, with no timer in between.
    pub fn hurry(&mut self) {
        self.urgent = true;
    }

    /// Whether the producer may go on. Beyond the bounds it must wait for [`RunWriter::progress`].
    pub fn has_room(&self) -> bool {
        let limit = self.manager.inner.options.pending_bytes_per_run;
        let waiting = self.pending_bytes + self.in_flight.as_ref().map_or(0, |in_flight| in_flight.bytes);
        waiting < limit && (waiting == 0 || !self.manager.is_full())
    }

    /// Whether [`RunWriter::progress`] has something to do.
    pub fn is_busy(&self) -> bool {
        self.in_flight.is_some() || !self.pending.is_empty()
    }

    /// Whether a commit is under way.
    pub fn is_committing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Begins a commit: the pending deltas, then these events, and the state they tell of. One may be under way at a
    /// time; [`RunWriter::progress`] sees it through.
    pub fn begin(&mut self, events: Vec<EventBody>, mut writes: Writes) {
        assert!(self.in_flight.is_none(), "one commit at a time");
        let (bodies, lines) = self.take_lines(events);
        if let Some(step) = &mut writes.step {
            step.seq = lines.to;
        }
        let refusable = writes.run.as_ref().is_some_and(|run| run.unless_input || run.suspended_at.is_some());
        let writes = Arc::new(writes);
        let kept = refusable.then(|| (bodies, writes.clone()));
        self.send(lines, Some(writes), kept);
    }

    /// What was to be written by the commit that was refused with [`WriteError::Unread`]: events, deltas among them, and
    /// state.
    pub fn take_unread(&mut self) -> Option<(Vec<EventBody>, Writes)> {
        let (events, writes) = self.unread.take()?;
        Some((events, Arc::unwrap_or_clone(writes)))
    }

    /// The same, seen through to its end. Returns the next run of the thread when this one ended and another waited.
    pub async fn commit(&mut self, events: Vec<EventBody>, writes: Writes) -> Result<Option<RunId>, WriteError> {
        self.settle().await?;
        self.begin(events, writes);
        self.settle().await
    }

    /// Waits for the commit under way, if any.
    pub async fn settle(&mut self) -> Result<Option<RunId>, WriteError> {
        if self.fenced {
            return Err(WriteError::Fenced);
        }
        let Some(in_flight) = &mut self.in_flight else { return Ok(None) };
        let verdict = (&mut in_flight.answer).await;
        let in_flight = self.in_flight.take().expect("it was just there");
        self.manager.inner.pending.fetch_sub(in_flight.bytes, Ordering::Relaxed);
        let verdict = verdict.unwrap_or_else(|_| Verdict::Failed("the flush worker has gone".into()));
        match verdict {
            Verdict::Ok { next } => {
                self.tail = in_flight.to;
                self.segments += 1;
                let ring_bytes = self.manager.inner.options.ring_bytes;
                self.channel.publish(
                    self.number,
                    in_flight.from,
                    in_flight.to,
                    &in_flight.lines,
                    in_flight.ended,
                    ring_bytes,
                );
                self.manager.inner.bus.publish(self.identity.run);
                Ok(next)
            }
            Verdict::Stale | Verdict::Ended | Verdict::Gone => {
                self.fenced = true;
                self.forget_pending();
                self.channel.detach(self.number);
                Err(WriteError::Fenced)
            }
            Verdict::Unread => {
                self.unread = in_flight.refusable;
                Err(WriteError::Unread)
            }
            Verdict::Failed(reason) => Err(WriteError::Refused(reason)),
        }
    }

    /// Sees the commit under way through, or begins the next flush when it is due. Cancel-safe: meant for `select!`.
    /// Never resolves while there is nothing to do.
    pub async fn progress(&mut self) -> Result<(), WriteError> {
        if self.in_flight.is_some() {
            return self.settle().await.map(drop);
        }
        if self.pending.is_empty() {
            return std::future::pending().await;
        }
        let options = &self.manager.inner.options;
        if !self.urgent
            && self.pending_bytes < options.flush_bytes
            && let Some(last) = self.last_flush
        {
            tokio::time::sleep_until(self.manager.next_flush(last)).await;
        }
        self.urgent = false;
        let (_, lines) = self.take_lines(Vec::new());
        self.send(lines, None, None);
        Ok(())
    }

    /// Renders the pending deltas and these events, numbered in order.
    fn take_lines(&mut self, events: Vec<EventBody>) -> (Vec<EventBody>, Lines) {
        let from = self.tail + 1;
        let now = Timestamp::now();
        let mut out = Vec::with_capacity(self.pending_bytes + events.len() * 256);
        let (mut to, mut ended) = (self.tail, false);
        let mut bodies = std::mem::take(&mut self.pending);
        bodies.extend(events);
        for body in &bodies {
            to += 1;
            ended |= body.is_terminal();
            render(&mut out, to, now, self.identity.run, body);
            out.push(b'\n');
        }
        (bodies, Lines { from, to, text: String::from_utf8(out).expect("JSON is UTF-8"), ended })
    }

    fn send(&mut self, lines: Lines, writes: Option<Arc<Writes>>, refusable: Option<Refusable>) {
        let RunIdentity { tenant, user, run, token } = self.identity;
        let Lines { from, to, text: lines, ended } = lines;
        let mut segment = segment_header(tenant, run);
        segment.push_str(&lines);
        let commit = Commit { tenant, user, run, token, seq_from: from, seq_to: to, segment, writes };
        let answer = self.manager.inner.committer.commit(commit);
        self.last_flush = Some(Instant::now());
        // Still in memory until Postgres has answered.
        let bytes = std::mem::take(&mut self.pending_bytes);
        self.in_flight = Some(InFlight { answer, from, to, lines, ended, bytes, refusable });
    }

    fn forget_pending(&mut self) {
        self.pending.clear();
        self.manager.inner.pending.fetch_sub(std::mem::take(&mut self.pending_bytes), Ordering::Relaxed);
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        self.manager.inner.writers.fetch_sub(1, Ordering::Relaxed);
        self.forget_pending();
        if let Some(in_flight) = self.in_flight.take() {
            self.manager.inner.pending.fetch_sub(in_flight.bytes, Ordering::Relaxed);
        }
        self.channel.detach(self.number);
    }
}
