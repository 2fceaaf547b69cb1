//! A run's log as one reader has put it together, over as many connections as it took.
//!
//! Promises that an event only counts once it is whole, and that one which comes twice, early or late is an error.

use bytes::Bytes;

use crate::answer::find;

/// One event, exactly as it came: its `id`, `event` and `data` lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame(Bytes);

impl Frame {
    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Its JSON.
    pub(crate) fn data(&self) -> &[u8] {
        self.field(b"data: ").unwrap_or_default()
    }

    /// What it tells.
    pub(crate) fn kind(&self) -> &[u8] {
        self.field(b"event: ").unwrap_or_default()
    }

    fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))
    }
}

/// Events 1 to n.
#[derive(Debug, Default)]
pub(crate) struct Log {
    frames: Vec<Frame>,
    partial: Vec<u8>,
    over: bool,
    any_end: bool,
    aside: Vec<u8>,
}

impl Log {
    /// Of a run that may end in any way; else an end that is none of success is an error.
    pub(crate) fn of_any_end() -> Self {
        Self { any_end: true, ..Self::default() }
    }

    /// The last event's number, which is how many there are.
    pub(crate) fn last(&self) -> u64 {
        self.frames.len() as u64
    }

    /// The events.
    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Whether the run's end has come.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// A new connection: what is half here will come again, whole.
    pub(crate) fn reconnect(&mut self) {
        self.partial.clear();
        self.aside.clear();
    }

    /// Why the server closes this connection, in the last words on it that are no event.
    pub(crate) fn closing(&self) -> String {
        let key = b"\"reason\":\"";
        let reason = find(&self.aside, key).map(|at| &self.aside[at + key.len()..]);
        let words = reason.and_then(|reason| reason.split(|byte| *byte == b'"').next()).unwrap_or(&self.aside);
        String::from_utf8_lossy(words).trim_start_matches([':', ' ']).replace('\n', " ")
    }

    /// Takes what has come.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = find(&self.partial, b"\n\n") {
            let block: Vec<u8> = self.partial.drain(..end + 2).collect();
            self.block(&block[..end])?;
        }
        Ok(())
    }

    fn block(&mut self, mut block: &[u8]) -> Result<(), String> {
        // Of the connection, not of the event.
        if block.starts_with(b"retry: ") {
            block = find(block, b"\n").map_or(&[], |end| &block[end + 1..]);
        }
        // Control frames and comments have no id.
        if !block.starts_with(b"id: ") {
            self.aside = block.to_vec();
            return Ok(());
        }
        let frame = Frame(Bytes::copy_from_slice(block));
        let kind = frame.kind();
        let seq = frame.field(b"id: ").and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        if seq != Some(self.last() + 1) {
            return Err(format!("event {seq:?} came after {}", self.last()));
        }
        if self.over {
            return Err(format!("event {seq:?} came after the run's end"));
        }
        match kind {
            b"run.completed" => self.over = true,
            b"run.failed" | b"run.cancelled" if self.any_end => self.over = true,
            b"run.failed" | b"run.cancelled" | b"stream.reset" | b"hidden" => {
                return Err(String::from_utf8_lossy(block).into_owned());
            }
            _ => {}
        }
        self.frames.push(frame);
        Ok(())
    }

    /// Whether another reader saw just the same.
    pub(crate) fn compare(&self, other: &Self) -> Result<(), String> {
        if other.frames.len() != self.frames.len() {
            return Err(format!("a reader saw {} of {} events", other.frames.len(), self.frames.len()));
        }
        match self.frames.iter().zip(&other.frames).position(|(ours, theirs)| ours != theirs) {
            None => Ok(()),
            Some(at) => Err(format!("event {} is not byte-equal", at + 1)),
        }
    }

    /// Whether the deltas make this text, and the message's end holds it.
    pub(crate) fn check_text(&self, expected: &str) -> Result<(), String> {
        let (mut said, mut whole) = (Vec::<u8>::new(), false);
        for frame in &self.frames {
            match frame.kind() {
                b"message.delta" => {
                    let key = b"\"delta\":\"";
                    let rest = find(frame.data(), key).map(|at| &frame.data()[at + key.len()..]).unwrap_or_default();
                    said.extend(rest.iter().take_while(|byte| **byte != b'"'));
                }
                b"message.completed" => whole |= find(frame.data(), expected.as_bytes()).is_some(),
                _ => {}
            }
        }
        if whole && said == expected.as_bytes() { Ok(()) } else { Err("the log does not hold the text".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "retry: 2000\nid: 01\nevent: run.started\ndata: {}\n\n: hb\n\nid: 02\nevent: message.delta\n\
        data: {\"delta\":\" tok0\"}\n\nid: 03\nevent: message.completed\ndata: {\"text\":\" tok0\"}\n\nid: 04\n\
        event: run.completed\ndata: {}\n\n";

    fn log(text: &str) -> Result<Log, String> {
        let mut log = Log::default();
        log.feed(text.as_bytes()).map(|()| log)
    }

    #[test]
    fn cut_anywhere_it_is_the_same_log() {
        let whole = log(TEXT).expect("a whole log");
        whole.check_text(" tok0").expect("its text");
        for cut in 0..TEXT.len() {
            let mut cut_log = log(&TEXT[..cut]).expect("its beginning");
            cut_log.reconnect();
            // The server goes on behind the last whole event.
            let from = TEXT.find(&format!("id: {:02}", cut_log.last() + 1)).unwrap_or(TEXT.len());
            cut_log.feed(&TEXT.as_bytes()[from..]).expect("the rest");
            whole.compare(&cut_log).expect("nothing is missing");
        }
    }

    #[test]
    fn twice_early_late_and_other_bytes_are_noticed() {
        log(&format!("{TEXT}id: 04\nevent: x\ndata: {{}}\n\n")).expect_err("twice");
        log(&format!("{TEXT}id: 05\nevent: x\ndata: {{}}\n\n")).expect_err("after the end");
        log(&TEXT.replace("id: 03", "id: 05")).expect_err("early");
        let whole = log(TEXT).expect("a whole log");
        whole
            .compare(&log(&TEXT.replace("started\ndata: {}", "started\ndata: {} ")).expect("a log"))
            .expect_err("bytes");
        whole.check_text(" tok0 tok1").expect_err("text");
    }
}
