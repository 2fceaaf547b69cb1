//! The rules of resuming, without any I/O: what a frame means at this cursor, and what the end of a connection means.
//!
//! Promises that each event passes once and in order: what is at or before the cursor is dropped, what is beyond the
//! next one is never passed on (but for a compacted log, and right after a `stream.reset`).

use std::time::Duration;

use headwater_protocol::RunId;
use headwater_protocol::api::RunSnapshot;
use serde::Deserialize;

use super::item::{self, EventLine, StreamItem, StreamReset};
use super::options::{Cursor, StreamOptions, StreamStats};
use super::sse::Frame;
use crate::Error;
use crate::retry::{doubled, jittered};

/// A pause of this much, asked for by a comment alone, means that the run waits for a person; overload asks for less.
const PARKED: Duration = Duration::from_secs(30);
/// The longest pause between reconnects of one's own choice.
const CAP: Duration = Duration::from_secs(30);

/// What to do with a frame.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing.
    Skip,
    /// Give it to the caller.
    Yield(StreamItem),
    /// Give it to the caller; the run is over.
    Last(StreamItem),
    /// This connection is over.
    Leave(Leave),
    /// The stream is over.
    End,
    /// The stream is over, and not as it should be.
    Fail(Error),
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Leave {
    /// It broke, or could not be made; the server may have asked for a pause.
    Broken(Error, Option<Duration>),
    /// Its bytes ended as they should, without the run's end.
    Eof,
    /// `stream.closing` of the replica's own making.
    Closing(Option<Duration>),
    /// `stream.closing{suspended}`.
    Suspended(Option<Duration>),
    /// `stream.closing{auth}`: the token has to be renewed.
    Auth,
    /// Events were missing.
    Gap,
}

/// Where a stream stands.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(crate) cursor: Cursor,
    pub(crate) run: Option<RunId>,
    pub(crate) stats: StreamStats,
    options: StreamOptions,
    /// The pause of the client's own policy, which grows.
    base: Duration,
    /// The pause the server named last.
    retry: Duration,
    /// Reconnects since something new came.
    failures: u32,
    /// The cursor at which a gap was seen.
    gap_at: Option<u64>,
    /// Whether the run is suspended, as far as its log was read.
    suspended: bool,
    /// Of this connection: seqs may jump.
    sparse: bool,
    /// Of this connection: a `retry:` came without an event.
    asked: bool,
}

#[derive(Deserialize)]
struct CaughtUp {
    tail: u64,
}

#[derive(Deserialize)]
struct Closing {
    reason: String,
    retry_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Reset {
    reason: String,
    as_of_seq: u64,
    snapshot: RunSnapshot,
}

impl Tracker {
    pub(crate) fn new(run: Option<RunId>, options: StreamOptions, base: Duration) -> Self {
        Self {
            cursor: match options.after {
                Cursor::Start => Cursor::After(0),
                other => other,
            },
            run,
            stats: StreamStats::default(),
            options,
            base,
            retry: options.retry,
            failures: 0,
            gap_at: None,
            suspended: false,
            sparse: false,
            asked: false,
        }
    }

    /// A connection stands.
    pub(crate) fn connected(&mut self, run: Option<RunId>, compacted: bool) {
        self.stats.connections += 1;
        self.run = self.run.or(run);
        (self.sparse, self.asked) = (compacted, false);
    }

    /// The server named a pause.
    pub(crate) fn on_retry(&mut self, ms: u64, with_event: bool) {
        // A day is longer than any run may be worth waiting for without asking again.
        self.retry = Duration::from_millis(ms.min(86_400_000));
        self.asked |= !with_event;
    }

    /// How long a connection may be silent.
    pub(crate) fn idle(&self) -> Duration {
        self.options.idle
    }

    /// Takes one frame.
    pub(crate) fn on_frame(&mut self, frame: Frame) -> Step {
        let before = self.retry;
        if let Some(ms) = frame.retry {
            self.on_retry(ms, frame.data.is_some());
        }
        let Some(data) = frame.data else { return Step::Skip };
        let step = match (frame.id, &frame.event[..]) {
            (Some(id), b"stream.reset") => self.on_reset(id, &data),
            (Some(seq), kind) => self.on_event(kind, EventLine::new(seq, data)),
            (None, kind) => self.on_control(kind, &data),
        };
        if matches!(step, Step::Leave(Leave::Suspended(_))) {
            // That pause is for this once: an edge that answers first when a service wakes is asked again as soon as ever.
            self.retry = before;
        }
        step
    }

    fn on_event(&mut self, kind: &[u8], line: EventLine) -> Step {
        let seq = line.seq();
        if let Cursor::After(last) = self.cursor {
            if seq <= last {
                self.stats.duplicates += 1;
                return Step::Skip;
            }
            if seq != last + 1 && !self.sparse {
                self.stats.gaps += 1;
                if self.gap_at.replace(last) == Some(last) {
                    return Step::Fail(Error::StreamGap { expected: last + 1, got: seq });
                }
                return Step::Leave(Leave::Gap);
            }
        }
        self.cursor = Cursor::After(seq);
        self.suspended = kind == b"run.suspended";
        self.progress();
        if self.run.is_none() {
            self.run = line.run();
        }
        match kind {
            b"hidden" => Step::Yield(StreamItem::Hidden(line)),
            kind if item::is_terminal(kind) => Step::Last(StreamItem::Event(line)),
            _ => Step::Yield(StreamItem::Event(line)),
        }
    }

    fn on_reset(&mut self, id: u64, data: &[u8]) -> Step {
        let Reset { reason, as_of_seq, snapshot } = match read("stream.reset", data) {
            Ok(reset) => reset,
            Err(error) => return Step::Fail(error),
        };
        if self.cursor != Cursor::After(id) {
            self.progress();
        }
        (self.cursor, self.sparse) = (Cursor::After(id), true);
        self.run = self.run.or(Some(snapshot.run.id));
        Step::Yield(StreamItem::Reset(Box::new(StreamReset { reason, as_of_seq, snapshot })))
    }

    /// Frames that are not in the log. None of them moves the cursor.
    fn on_control(&mut self, kind: &[u8], data: &[u8]) -> Step {
        let step = match kind {
            b"stream.caught_up" => read("stream.caught_up", data).map(|CaughtUp { tail }| {
                if self.cursor == Cursor::Now {
                    // "Now" has become a place: what happens during a cut must not be skipped.
                    self.cursor = Cursor::After(tail);
                }
                Step::Yield(StreamItem::CaughtUp { tail })
            }),
            b"stream.closing" => read("stream.closing", data).map(|Closing { reason, retry_ms }| {
                let pause = retry_ms.map(Duration::from_millis);
                match reason.as_str() {
                    "done" => Step::End,
                    "auth" => Step::Leave(Leave::Auth),
                    "suspended" => Step::Leave(Leave::Suspended(pause)),
                    _ => Step::Leave(Leave::Closing(pause)),
                }
            }),
            _ => Ok(Step::Skip),
        };
        step.unwrap_or_else(Step::Fail)
    }

    fn progress(&mut self) {
        (self.failures, self.gap_at) = (0, None);
    }

    /// How long to wait before the next connection, or why there is none. `lived` is how long this one was heard of;
    /// `unit` is a random number in 0..1.
    pub(crate) fn on_leave(&mut self, leave: Leave, lived: Duration, unit: f64) -> Result<Duration, Error> {
        if lived >= self.options.idle {
            // It was alive all that time, heartbeats and all: a run may be silent for hours.
            self.failures = 0;
        }
        let parked = self.asked && (self.suspended || self.retry >= PARKED);
        let (error, pause, counts) = match leave {
            Leave::Broken(error, pause) => (error, pause, true),
            Leave::Eof => (Error::Cut, None, !parked),
            Leave::Closing(pause) => (Error::Cut, pause, true),
            Leave::Suspended(pause) => (Error::Cut, Some(pause.unwrap_or(PARKED)), false),
            Leave::Auth => (Error::CredentialEnded, Some(Duration::ZERO), true),
            Leave::Gap => (Error::Cut, None, true),
        };
        if counts {
            if self.failures >= self.options.attempts {
                return Err(Error::GaveUp { attempts: self.failures, last: Box::new(error) });
            }
            self.failures += 1;
        }
        let own = match self.failures {
            0 | 1 => self.retry,
            more => doubled(self.retry.max(self.base), more - 2, CAP.max(self.retry)),
        };
        // What the server asks for is a floor; one's own patience grows above it.
        let wait = match pause {
            Some(pause) if self.failures <= 1 => pause,
            Some(pause) => pause.max(own),
            None => own,
        };
        Ok(jittered(wait, unit))
    }
}

fn read<'a, T: Deserialize<'a>>(what: &'static str, data: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(data).map_err(|error| Error::decode(what, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Duration = Duration::ZERO;

    fn tracker() -> Tracker {
        Tracker::new(None, StreamOptions::default(), Duration::from_millis(250))
    }

    fn event(seq: u64, kind: &'static str) -> Frame {
        Frame { id: Some(seq), event: kind.into(), data: Some("{}".into()), retry: None }
    }

    fn closing(data: &'static str) -> Frame {
        Frame { event: "stream.closing".into(), data: Some(data.into()), ..Frame::default() }
    }

    #[test]
    fn pauses_grow_from_what_the_server_says() {
        let mut tracker = tracker();
        tracker.on_retry(1000, true);
        let waits: Vec<u64> = (0..10)
            .map(|_| tracker.on_leave(Leave::Eof, NEW, 0.0).expect("tries are left").as_millis() as u64)
            .collect();
        assert_eq!(waits, [1000, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000]);
        assert!(matches!(tracker.on_leave(Leave::Eof, NEW, 0.0), Err(Error::GaveUp { attempts: 10, .. })));
        assert!(matches!(tracker.on_frame(event(1, "message.delta")), Step::Yield(_)));
        assert_eq!(tracker.on_leave(Leave::Eof, NEW, 0.5).expect("progress"), Duration::from_millis(1250));
    }

    #[test]
    fn the_pause_asked_for_is_a_floor() {
        let mut tracker = tracker();
        let asked = Some(Duration::from_secs(5));
        let pause = |t: &mut Tracker| t.on_leave(Leave::Broken(Error::Cut, asked), NEW, 0.0).expect("tries are left");
        let waits: Vec<_> = (0..5).map(|_| pause(&mut tracker).as_secs()).collect();
        assert_eq!(waits, [5, 5, 5, 8, 16]);
        let Step::Leave(leave) = tracker.on_frame(closing(r#"{"reason":"suspended","retry_ms":30000}"#)) else {
            panic!("a closing ends the connection")
        };
        assert_eq!(tracker.on_leave(leave, NEW, 0.0).expect("not counted").as_secs(), 30);
    }

    #[test]
    fn a_person_may_take_days() {
        let mut tracker = tracker();
        for _ in 0..100 {
            // What a suspended run answers where quiet is on: no event, no closing, half a minute.
            tracker.connected(None, false);
            tracker.on_frame(Frame { retry: Some(30_000), ..Frame::default() });
            let wait = tracker.on_leave(Leave::Eof, NEW, 0.0).expect("not counted");
            assert_eq!(wait, Duration::from_secs(30));
        }
        // Overload asks for less, and is not waited for without end.
        for _ in 0..10 {
            tracker.connected(None, false);
            tracker.on_frame(Frame { retry: Some(5000), ..Frame::default() });
            tracker.on_leave(Leave::Eof, NEW, 0.0).expect("tries are left");
        }
        assert!(tracker.on_leave(Leave::Eof, NEW, 0.0).is_err());
    }

    #[test]
    fn a_connection_that_was_alive_for_long_is_no_failure() {
        let mut tracker = tracker();
        for _ in 0..100 {
            tracker.connected(None, false);
            let Step::Leave(leave) = tracker.on_frame(closing(r#"{"reason":"max_age","retry_ms":100}"#)) else {
                panic!("a closing ends the connection")
            };
            let wait = tracker.on_leave(leave, Duration::from_secs(600), 0.0).expect("alive");
            assert_eq!(wait, Duration::from_millis(100));
        }
    }

    #[test]
    fn frames_without_an_id_never_move_the_cursor() {
        let mut tracker = tracker();
        tracker.on_frame(event(1, "run.queued"));
        for kind in ["stream.caught_up", "stream.later", "message.delta", ""] {
            let frame = Frame { event: kind.into(), data: Some(r#"{"seq":9,"tail":9}"#.into()), ..Frame::default() };
            assert!(matches!(tracker.on_frame(frame), Step::Skip | Step::Yield(StreamItem::CaughtUp { tail: 9 })));
            assert_eq!(tracker.cursor, Cursor::After(1));
        }
    }
}
