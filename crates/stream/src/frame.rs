//! Frames of server-sent events, as WHATWG defines them.
//!
//! Each event is one `id`, one `event` and one `data` line, LF only. Control frames carry no id, so they never move a
//! reader's `Last-Event-ID`; only `stream.reset` does.

use std::borrow::Cow;
use std::io::Write as _;

use bytes::Bytes;
use headwater_protocol::api::RunSnapshot;
use headwater_protocol::event::{Audience, render_for, seq_of, type_of};
use headwater_protocol::{RunId, Timestamp};

/// How long a browser waits before it comes back, in milliseconds, unless told otherwise.
pub const RETRY_MS: u64 = 2000;

/// The heartbeat: a comment, which no client sees as an event.
pub const HEARTBEAT: Bytes = Bytes::from_static(b": hb\n\n");

/// Frames of stored lines, for one audience.
pub fn frames(lines: &str, audience: Audience) -> Bytes {
    // `id`, `event` and `data` add about seventy bytes to a line.
    let mut out = Vec::with_capacity(lines.len() + 80 * (1 + lines.len() / 200));
    for line in lines.lines().filter(|line| !line.is_empty()) {
        write_frame(&mut out, &render_for(line, audience));
    }
    Bytes::from(out.into_boxed_slice())
}

/// The tenant's frames as another audience sees them: the same memory where nothing is hidden from it.
pub fn seen_by(frames: &Bytes, audience: Audience) -> Bytes {
    let text = std::str::from_utf8(frames).expect("frames are made of lines of text");
    // JSON holds no raw line breaks, so each line that begins so is one event.
    let lines = || text.lines().filter_map(|line| line.strip_prefix("data: "));
    if lines().all(|line| matches!(render_for(line, audience), Cow::Borrowed(_))) {
        return frames.clone();
    }
    let mut out = Vec::with_capacity(frames.len());
    for line in lines() {
        write_frame(&mut out, &render_for(line, audience));
    }
    Bytes::from(out.into_boxed_slice())
}

fn write_frame(out: &mut Vec<u8>, line: &str) {
    let seq = seq_of(line).unwrap_or_default();
    write!(out, "id: {seq:016}\nevent: {}\ndata: {line}\n\n", type_of(line)).expect("writing to memory");
}

/// The part of rendered frames that comes after a cursor.
pub fn frames_after(frames: &Bytes, after: u64) -> Bytes {
    let text = &frames[..];
    let mut at = 0;
    while at < text.len() {
        let seq =
            text[at..].get(4..20).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|t| t.parse().ok());
        if seq.is_none_or(|seq: u64| seq > after) {
            break;
        }
        let end = text[at..].windows(2).position(|pair| pair == FRAME_END);
        at = end.map_or(text.len(), |end| at + end + FRAME_END.len());
    }
    frames.slice(at..)
}

/// Cuts whole frames off a block: as many as fit into `size` bytes, at least one, and those at its end that have no number.
/// A copy: a piece that stays with a slow client must not keep the whole block, not even the last one of it.
pub fn piece(block: &mut Bytes, size: usize) -> Bytes {
    let pairs = block[..block.len().min(size)].windows(2);
    let mut end = block.len();
    if end > size {
        let fits = { pairs }.rposition(|pair| pair == FRAME_END);
        let at = fits.or_else(|| block.windows(2).position(|pair| pair == FRAME_END));
        // What follows without a number belongs to what came before it: nothing could be read again after it.
        end = at.map(|at| at + FRAME_END.len()).filter(|end| block[*end..].starts_with(b"id: ")).unwrap_or(end);
    }
    Bytes::copy_from_slice(&block.split_to(end))
}

/// JSON holds no raw line breaks, so an empty line is a frame's end.
const FRAME_END: &[u8] = b"\n\n";

/// The number of the last event among frames.
pub fn last_seq(frames: &[u8]) -> Option<u64> {
    let at = frames.windows(6).rposition(|begin| begin == b"\n\nid: ").map_or(0, |at| at + FRAME_END.len());
    std::str::from_utf8(frames.get(at..)?.strip_prefix(b"id: ")?.get(..16)?).ok()?.parse().ok()
}

fn control(run: RunId, kind: &str, fields: &str) -> String {
    let ts = Timestamp::now();
    format!("event: {kind}\ndata: {{\"v\":1,\"ts\":\"{ts}\",\"run\":\"{run}\",\"type\":\"{kind}\"{fields}}}\n\n")
}

/// "You have all there is; what follows is live."
pub fn caught_up(run: RunId, tail: u64) -> String {
    control(run, "stream.caught_up", &format!(",\"tail\":{tail}"))
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The server is shutting down.
    Drain,
    /// It has been open for long enough.
    MaxAge,
    /// The credential is no longer good.
    Auth,
    /// The run is over.
    Done,
    /// The run waits for somebody, and nobody keeps a process awake for that.
    Suspended,
}

/// "This connection ends now", and when to come back, if at all.
pub fn closing(run: RunId, reason: Closing, retry_ms: Option<u64>) -> String {
    let name = match reason {
        Closing::Drain => "drain",
        Closing::MaxAge => "max_age",
        Closing::Auth => "auth",
        Closing::Done => "done",
        Closing::Suspended => "suspended",
    };
    let retry = retry_ms.map_or("null".to_owned(), |ms| ms.to_string());
    let frame = control(run, "stream.closing", &format!(",\"reason\":\"{name}\",\"retry_ms\":{retry}"));
    match retry_ms {
        // Browsers read the field, not the payload.
        Some(ms) => format!("retry: {ms}\n{frame}"),
        None => frame,
    }
}

/// "Your cursor points to nowhere; here is where the run stands, go on from there."
pub fn reset(run: RunId, reason: &str, as_of_seq: u64, snapshot: &RunSnapshot) -> String {
    let snapshot = serde_json::to_string(snapshot).expect("snapshots serialise");
    let fields = format!(",\"reason\":\"{reason}\",\"as_of_seq\":{as_of_seq},\"snapshot\":{snapshot}");
    format!("id: {as_of_seq:016}\n{}", control(run, "stream.reset", &fields))
}

/// "Come back in a moment", for trouble that must not end an `EventSource` for good.
pub fn overloaded(reason: &str) -> Bytes {
    Bytes::from(format!("retry: 5000\n: {reason}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_protocol::MessageId;
    use headwater_protocol::event::{EventBody, render};

    fn lines(n: u64) -> String {
        let (run, message) = (RunId::new(), MessageId::new());
        let mut out = Vec::new();
        for seq in 1..=n {
            let body = EventBody::MessageDelta { message, delta: format!("{seq}\n\nx") };
            render(&mut out, seq, Timestamp::now(), run, &body);
            out.push(b'\n');
        }
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn pieces_are_whole_frames_and_add_up() {
        let closing = closing(RunId::new(), Closing::Done, None);
        let all: Bytes = [&frames(&lines(40), Audience::Tenant)[..], closing.as_bytes()].concat().into();
        for size in [1, 100, 500, 1000, 4096, 100_000] {
            let (mut rest, mut joined, mut seen) = (all.clone(), Vec::new(), 0);
            while !rest.is_empty() {
                let piece = piece(&mut rest, size);
                assert!(piece.starts_with(b"id: ") && piece.ends_with(b"\n\n"), "size {size}");
                assert_eq!(last_seq(&frames_after(&all, seen)), Some(40), "size {size}");
                seen = last_seq(&piece).unwrap_or(seen);
                joined.extend_from_slice(&piece);
                assert!(!rest.is_empty() || joined.ends_with(closing.as_bytes()), "size {size}");
            }
            assert_eq!((joined, seen), (all.to_vec(), 40), "size {size}");
        }
    }

    #[test]
    fn a_cursor_cuts_between_frames() {
        let all = frames(&lines(5), Audience::Tenant);
        assert!(all.starts_with(b"id: 0000000000000001\nevent: message.delta\ndata: {\"v\":1,\"seq\":1,"));
        for after in 0..=6 {
            let rest = frames_after(&all, after);
            let ids = String::from_utf8(rest.to_vec()).expect("UTF-8").matches("\nevent: ").count() as u64;
            assert_eq!(ids, 5_u64.saturating_sub(after), "after {after}");
        }
    }
}
