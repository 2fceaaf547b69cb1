//! Where a run stands in a trace, as W3C Trace Context writes it.
//!
//! Ids are not made up: a run without a caller's trace is a trace of its own, by the id of the run; and a span's id is the second half
//! of the id of what it is of. So any process knows them at any time, and a run is one trace whoever works on it. Never records
//! anything.

use std::fmt;

use uuid::Uuid;

use crate::RunId;

/// The id of a span: the half of this id that is random. It has a bit that is always set, and so is never none.
pub fn span_id(of: Uuid) -> [u8; 8] {
    let (_, half) = of.as_bytes().split_at(8);
    half.try_into().expect("half of sixteen is eight")
}

/// A trace, the span that what comes next is below, and whether it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span above; `None`: there is none.
    pub parent: Option<[u8; 8]>,
    /// Whether it is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`. `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut next = |length: usize| {
            let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            parts.next().filter(|part| part.len() == length && part.bytes().all(lower))
        };
        let (version, trace, parent, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        // Of a version to come the beginning is as it is now; of this one there is nothing behind it.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?.to_be_bytes();
        let parent = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?.to_be_bytes();
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Self { trace_id, parent: Some(parent), sampled })
    }

    /// The trace of a run that was asked for within this one, or else of its own: recorded if it is among so many (0 to 1) of all.
    pub fn of_run(run: RunId, within: Option<Self>, ratio: f64) -> Self {
        within.unwrap_or_else(|| {
            // The last four bytes of an id are random; those before them count within a millisecond.
            let [.., a, b, c, d] = *run.uuid().as_bytes();
            let sampled = f64::from(u32::from_be_bytes([a, b, c, d])) < ratio * 4_294_967_296.0;
            Self { trace_id: run.uuid().into_bytes(), parent: None, sampled }
        })
    }

    /// The same, for what comes below the span of this.
    #[must_use]
    pub fn below(self, of: Uuid) -> Self {
        Self { parent: Some(span_id(of)), ..self }
    }

    /// The same, if there is anybody who keeps this trace, or says that it is not kept: a run's own that is not recorded is nobody's, and
    /// whoever is told of it would record nothing either.
    pub fn told(self, within: Option<Self>) -> Option<Self> {
        (self.sampled || within.is_some()).then_some(self)
    }

    /// The id of the trace, in hexadecimal.
    pub fn trace_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace_id))
    }
}

/// As a `traceparent`. What has no span above says so with zeros, which nobody takes for one.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, parent) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.parent.unwrap_or_default()));
        write!(f, "00-{trace:032x}-{parent:016x}-{:02x}", u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = TraceContext::parse(text).expect("one");
        assert_eq!((read.to_string().as_str(), read.sampled), (text, true));
        assert_eq!(read.trace_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let later = TraceContext::parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more").expect("one");
        assert!(!later.sampled);
        for none in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_run_is_a_trace_of_its_own_unless_somebody_asks_within_one() {
        let run = RunId::new();
        let own = TraceContext::of_run(run, None, 1.0);
        assert_eq!(own.trace_hex(), run.uuid().simple().to_string());
        assert_eq!((own.parent, own.sampled), (None, true));
        assert!(!TraceContext::of_run(run, None, 0.0).sampled);
        let half = (0..2000).filter(|_| TraceContext::of_run(RunId::new(), None, 0.5).sampled).count();
        assert!((800..1200).contains(&half), "{half} of 2000");
        let asked = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
        assert_eq!(Some(TraceContext::of_run(run, asked, 1.0)), asked);
        assert_eq!(own.below(run.uuid()).parent, Some(span_id(run.uuid())));
        // What nobody records is nobody's business.
        assert_eq!(TraceContext::of_run(run, None, 0.0).told(None), None);
        assert_eq!((own.told(None), asked.and_then(|asked| asked.told(Some(asked)))), (Some(own), asked));
    }
}
