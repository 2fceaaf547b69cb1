//! Decodes `text/event-stream` from chunks that may be split anywhere.
//!
//! Promises that the frames do not depend on how the bytes were cut, and that a frame which lies whole in one chunk
//! is a slice of it, without a copy. Memory is bounded: a frame larger than [`MAX_FRAME_BYTES`] is an error.
//!
//! LF and CRLF end a line; a CR alone does not (no face of Headwater writes it).

use bytes::{Bytes, BytesMut};

/// The largest frame that is read. Headwater's own end at a quarter of it.
pub(crate) const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// One block between blank lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The `id:`, a sequence number.
    pub(crate) id: Option<u64>,
    /// The `event:`; empty if there is none.
    pub(crate) event: Bytes,
    /// The `data:` lines, joined by LF; valid UTF-8. `None` where the block dispatches nothing.
    pub(crate) data: Option<Bytes>,
    /// The `retry:`, in milliseconds.
    pub(crate) retry: Option<u64>,
}

/// What no server of ours sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SseError {
    /// A block without an end.
    #[error("an event is larger than {MAX_FRAME_BYTES} bytes")]
    TooLarge,
    /// An id that is no position.
    #[error("an event's id is no sequence number")]
    Id,
    /// Data that is no text.
    #[error("an event is not UTF-8")]
    Utf8,
}

/// The state between chunks of one connection.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of a block whose end was not in its chunk.
    carry: BytesMut,
    /// What is left of the last chunk.
    chunk: Bytes,
    /// How much of `chunk` was searched for the end of a block.
    searched: usize,
    /// Bytes of the line being searched, not counting a CR at its beginning.
    line: usize,
    /// Whether that line begins with a CR.
    cr: bool,
    begun: bool,
}

impl Decoder {
    /// Takes the next chunk. The one before must have been read to its end.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "read to its end");
        (self.chunk, self.searched) = (chunk, 0);
    }

    /// The next whole block, or none until there are more bytes.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, SseError> {
        while let Some(at) = self.chunk[self.searched..].iter().position(|b| *b == b'\n') {
            let blank = self.is_blank(&self.chunk[self.searched..self.searched + at]);
            self.searched += at + 1;
            (self.line, self.cr) = (0, false);
            if blank {
                let rest = self.chunk.split_to(self.searched);
                self.searched = 0;
                let block = self.whole(rest)?;
                return parse(block).map(Some);
            }
        }
        // No end in sight: keep what there is, and how far its last line has come.
        let tail = &self.chunk[self.searched..];
        if let Some(first) = tail.first() {
            if self.line == 0 && !self.cr {
                self.cr = *first == b'\r';
                self.line = tail.len() - usize::from(self.cr);
            } else {
                self.line += tail.len();
            }
        }
        let rest = std::mem::take(&mut self.chunk);
        self.searched = 0;
        self.keep(&rest)?;
        Ok(None)
    }

    /// The end of the connection: a block without its end is void, but a `retry:` counts as soon as its line is over.
    pub(crate) fn finish(&mut self) -> Option<u64> {
        let carry = std::mem::take(&mut self.carry);
        let end = carry.iter().rposition(|b| *b == b'\n')?;
        carry[..end].split(|b| *b == b'\n').filter_map(|line| retry(field(line)?)).next_back()
    }

    /// Whether the line that ends with these bytes has nothing in it.
    fn is_blank(&self, end: &[u8]) -> bool {
        self.line == 0 && (end.is_empty() || (end == b"\r" && !self.cr))
    }

    fn keep(&mut self, rest: &[u8]) -> Result<(), SseError> {
        if self.carry.len() + rest.len() > MAX_FRAME_BYTES {
            return Err(SseError::TooLarge);
        }
        self.carry.extend_from_slice(rest);
        Ok(())
    }

    /// A block, from what was carried over and what this chunk has of it.
    fn whole(&mut self, rest: Bytes) -> Result<Bytes, SseError> {
        let mut block = rest;
        if self.carry.len() + block.len() > MAX_FRAME_BYTES {
            return Err(SseError::TooLarge);
        }
        if !self.carry.is_empty() {
            self.carry.extend_from_slice(&block);
            block = self.carry.split().freeze();
        }
        if !self.begun {
            self.begun = true;
            if block.starts_with(b"\xEF\xBB\xBF") {
                block = block.slice(3..);
            }
        }
        Ok(block)
    }
}

/// A line's name and value; none for comments.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.iter().position(|b| *b == b':') {
        Some(0) => None,
        Some(at) => {
            let value = &line[at + 1..];
            Some((&line[..at], value.strip_prefix(b" ").unwrap_or(value)))
        }
        None => (!line.is_empty()).then_some((line, &[])),
    }
}

/// Milliseconds, if this is a `retry:` of digits only, as the standard has it.
fn retry((name, value): (&[u8], &[u8])) -> Option<u64> {
    number(value).filter(|_| name == b"retry")
}

fn number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

fn parse(block: Bytes) -> Result<Frame, SseError> {
    let mut frame = Frame::default();
    let mut joined: Option<BytesMut> = None;
    for line in block.split(|b| *b == b'\n') {
        let Some((name, value)) = field(line) else { continue };
        match name {
            b"data" => match (&mut frame.data, &mut joined) {
                (None, _) => frame.data = Some(block.slice_ref(value)),
                (Some(_), Some(lines)) => {
                    lines.extend_from_slice(b"\n");
                    lines.extend_from_slice(value);
                }
                (Some(first), none) => {
                    let mut lines = BytesMut::from(&first[..]);
                    lines.extend_from_slice(b"\n");
                    lines.extend_from_slice(value);
                    *none = Some(lines);
                }
            },
            b"event" => frame.event = block.slice_ref(value),
            b"id" => frame.id = Some(number(value).ok_or(SseError::Id)?),
            b"retry" => frame.retry = number(value).or(frame.retry),
            _ => {}
        }
    }
    if let Some(lines) = joined {
        frame.data = Some(lines.freeze());
    }
    if frame.data.as_ref().is_some_and(|data| std::str::from_utf8(data).is_err()) {
        return Err(SseError::Utf8);
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<Frame>, Option<u64>), SseError> {
        let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
        for chunk in chunks {
            decoder.push(Bytes::copy_from_slice(chunk));
            while let Some(frame) = decoder.next_frame()? {
                frames.push(frame);
            }
        }
        Ok((frames, decoder.finish()))
    }

    fn frame(id: u64, event: &'static str, data: &'static str) -> Frame {
        Frame { id: Some(id), event: event.into(), data: Some(data.into()), retry: None }
    }

    const LF: &str = "retry: 2000\nid: 0000000000000001\nevent: a\ndata: {\"x\":\"ü\"}\n\n: hb\n\nid: 2\nevent: b\ndata: one\ndata:two\ndata\n\n\ndata:  spaced\nunknown: x\n\nretry: 30000\n: waiting";

    fn expected() -> Vec<Frame> {
        vec![
            Frame { retry: Some(2000), ..frame(1, "a", "{\"x\":\"ü\"}") },
            Frame::default(),
            frame(2, "b", "one\ntwo\n"),
            Frame::default(),
            Frame { data: Some(" spaced".into()), ..Frame::default() },
        ]
    }

    #[test]
    fn any_two_splits_of_lf_and_crlf_give_the_same_frames() {
        for text in [LF.to_owned(), LF.replace('\n', "\r\n"), format!("\u{feff}{LF}")] {
            let bytes = text.as_bytes();
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let (frames, retry) =
                        decode([&bytes[..first], &bytes[first..second], &bytes[second..]]).expect("well-formed");
                    assert_eq!((frames, retry), (expected(), Some(30_000)), "split at {first}, {second}");
                }
            }
            let (frames, _) = decode(bytes.chunks(1)).expect("well-formed");
            assert_eq!(frames, expected());
        }
    }

    #[test]
    fn a_half_block_is_void_and_a_half_retry_too() {
        assert_eq!(decode([&b"id: 1\ndata: x\n"[..]]), Ok((vec![], None)));
        assert_eq!(decode([&b"retry: 30"[..]]), Ok((vec![], None)));
        assert_eq!(decode([&b"retry: 30\n"[..]]), Ok((vec![], Some(30))));
    }

    #[test]
    fn bounds_and_nonsense() {
        let large = vec![b'x'; MAX_FRAME_BYTES];
        assert_eq!(decode([&b"data: "[..], &large]), Err(SseError::TooLarge));
        let mut whole = b"data: ".to_vec();
        whole.extend_from_slice(&large);
        whole.extend_from_slice(b"\n\n");
        assert_eq!(decode([&whole[..]]), Err(SseError::TooLarge));
        assert_eq!(decode([&b"id: seven\n\n"[..]]), Err(SseError::Id));
        assert_eq!(decode([&b"data: \xff\n\n"[..]]), Err(SseError::Utf8));
    }

    #[test]
    fn a_frame_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"id: 1\ndata: abc\n\n");
        let mut decoder = Decoder::default();
        decoder.push(chunk.clone());
        let data = decoder.next_frame().expect("well-formed").expect("whole").data.expect("data");
        assert_eq!(data.as_ptr(), chunk[12..].as_ptr());
    }
}
