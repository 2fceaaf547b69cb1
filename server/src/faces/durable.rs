//! Durable Streams, read side: the events of a run as JSON messages of a stream that is closed when the run has ended.
//!
//! An offset is the number of an event, as everywhere here. Of the protocol (read in the sources of `@durable-streams/client` 0.2.7) this is
//! what goes over server-sent events: what happened, and after each such message where to go on.

use bytes::Bytes;
use headwater_protocol::event::Event;
use serde_json::json;

use super::{Face, Frames};

/// A client that echoes this is told apart from one that asks the same a while later: the number of a third of a minute.
pub(crate) fn cursor() -> String {
    (headwater_protocol::Timestamp::now().ms() / 20_000).to_string()
}

/// An offset as its clients keep it.
pub(crate) fn offset(seq: u64) -> String {
    format!("{seq:016}")
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Durable {
    next: u64,
    is_over: bool,
}

impl Durable {
    /// Behind this event.
    pub(crate) fn after(seq: u64) -> Self {
        Self { next: seq, is_over: false }
    }

    /// All that is told behind the last event of a run that has ended.
    pub(crate) fn closed(seq: u64) -> Bytes {
        let mut out = Frames::default();
        Self { next: seq, is_over: true }.control(true, &mut out);
        out.bytes.into()
    }

    fn control(&self, up_to_date: bool, out: &mut Frames) {
        let mut control = json!({"streamNextOffset": offset(self.next)});
        if self.is_over {
            control["streamClosed"] = true.into();
        } else {
            control["streamCursor"] = cursor().into();
        }
        if up_to_date {
            control["upToDate"] = true.into();
        }
        out.named("control", &control.to_string());
    }
}

impl Face for Durable {
    fn event(&mut self, event: &Event, line: &str, out: &mut Frames) {
        self.next = event.seq;
        self.is_over = event.body.is_terminal();
        out.named("data", &format!("[{line}]"));
        self.control(self.is_over, out);
    }

    fn caught_up(&mut self, out: &mut Frames) {
        self.control(true, out);
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn comes_back(&self) -> bool {
        true
    }
}
