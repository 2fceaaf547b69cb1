//! Reading a stream of server-sent events, and whether it is all there.
//!
//! Two dialects: ours (numbered events of a run) and the model's own, which is what a relay gives. Promises that an
//! answer only counts as complete when every token has come, in order, and then the end.

use std::time::Instant;

/// Whose bytes these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Headwater.
    Ours,
    /// The relay.
    Relay,
}

/// What the load script says: so many tokens, joined.
pub(crate) fn text_of(tokens: usize) -> String {
    (0..tokens).map(|token| format!(" tok{token}")).collect()
}

/// One answer as far as it has been read.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    side: Side,
    expected: &'a str,
    /// How much of `expected` has come.
    said: usize,
    /// Ours: the last event's number.
    seq: u64,
    kind: Kind,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// When the first token came.
    pub(crate) first: Option<Instant>,
    /// When the end came.
    pub(crate) end: Option<Instant>,
    /// What was wrong first.
    wrong: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Delta,
    Whole,
    Completed,
    Failed,
    Other,
}

impl<'a> Answer<'a> {
    /// Nothing read yet.
    pub(crate) fn new(side: Side, expected: &'a str) -> Self {
        Self {
            side,
            expected,
            said: 0,
            seq: 0,
            kind: Kind::Other,
            partial: Vec::new(),
            first: None,
            end: None,
            wrong: None,
        }
    }

    /// Takes what has come.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], now: Instant) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.partial.is_empty() {
                self.line(line, now);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole, now);
                whole.clear();
                self.partial = whole;
            }
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    fn line(&mut self, line: &[u8], now: Instant) {
        match self.side {
            Side::Ours => self.our_line(line, now),
            Side::Relay => self.relayed_line(line, now),
        }
    }

    fn our_line(&mut self, line: &[u8], now: Instant) {
        if let Some(id) = line.strip_prefix(b"id: ") {
            let seq = std::str::from_utf8(id).ok().and_then(|text| text.parse().ok());
            self.seq += 1;
            if seq != Some(self.seq) {
                self.fail(format!("event {} came as {}", self.seq, String::from_utf8_lossy(id)));
            }
            if self.end.is_some() {
                self.fail("something follows the run's end".to_owned());
            }
        } else if let Some(kind) = line.strip_prefix(b"event: ") {
            self.kind = match kind {
                b"message.delta" => Kind::Delta,
                b"message.completed" => Kind::Whole,
                b"run.completed" => Kind::Completed,
                b"run.failed" | b"run.cancelled" => Kind::Failed,
                _ => Kind::Other,
            };
        } else if let Some(data) = line.strip_prefix(b"data: ") {
            match self.kind {
                Kind::Delta => self.token(data, b"\"delta\":\"", now),
                // A message that calls a tool says nothing.
                Kind::Whole if find(data, b"\"text\":\"\"").is_some() && !self.expected.is_empty() => {}
                Kind::Whole if find(data, self.expected.as_bytes()).is_none() => {
                    self.fail("message.completed does not hold the text".to_owned());
                }
                Kind::Completed => self.end = Some(now),
                Kind::Failed => self.fail(String::from_utf8_lossy(&data[..data.len().min(400)]).into_owned()),
                Kind::Whole | Kind::Other => {}
            }
        }
    }

    fn relayed_line(&mut self, line: &[u8], now: Instant) {
        let Some(data) = line.strip_prefix(b"data: ") else { return };
        if data == b"[DONE]" {
            self.end = Some(now);
        } else if find(data, b"\"content\":\" tok").is_some() {
            self.token(data, b"\"content\":\"", now);
        }
    }

    /// The text after `key` goes on where the last one ended. No token needs escapes.
    fn token(&mut self, data: &[u8], key: &[u8], now: Instant) {
        let text = find(data, key).map(|at| &data[at + key.len()..]);
        let text = text.and_then(|rest| rest.iter().position(|byte| *byte == b'"').map(|end| &rest[..end]));
        match text {
            Some(text) if self.expected.as_bytes()[self.said..].starts_with(text) => {
                self.said += text.len();
                self.first.get_or_insert(now);
            }
            _ => self.fail(format!("unexpected text after {} bytes", self.said)),
        }
    }

    fn fail(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// Once the body has ended: when the first token and the end came, or what is wrong.
    pub(crate) fn complete(self) -> Result<(Instant, Instant), String> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        match (self.first, self.end) {
            (Some(first), Some(end)) if self.said == self.expected.len() => Ok((first, end)),
            _ => Err(format!("incomplete: {} of {} bytes of text came", self.said, self.expected.len())),
        }
    }
}

/// Where `needle` begins.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|byte| *byte == first) {
        if text[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(side: Side, tokens: usize, text: &str, step: usize) -> Result<(Instant, Instant), String> {
        let expected = text_of(tokens);
        let mut answer = Answer::new(side, &expected);
        for piece in text.as_bytes().chunks(step) {
            answer.feed(piece, Instant::now());
        }
        answer.complete()
    }

    const OURS: &str = "retry: 2000\nid: 0000000000000001\nevent: run.started\ndata: {}\n\nid: 2\nevent: message.delta\n\
        data: {\"delta\":\" tok0\"}\n\nid: 3\nevent: message.delta\ndata: {\"delta\":\" tok1 tok2\"}\n\nid: 4\n\
        event: message.completed\ndata: {\"text\":\" tok0 tok1 tok2\"}\n\nid: 5\nevent: run.completed\ndata: {}\n\n\
        event: stream.closing\ndata: {}\n\n";

    #[test]
    fn a_run_is_complete_however_it_is_cut_into_pieces() {
        for step in 1..OURS.len() {
            read(Side::Ours, 3, OURS, step).expect("a whole run");
        }
    }

    #[test]
    fn what_is_missing_is_noticed() {
        for (from, to) in
            [(" tok1 tok2\"}\n\nid: 4", " tok1\"}\n\nid: 4"), ("id: 3", "id: 4"), ("run.completed", "run.failed")]
        {
            read(Side::Ours, 3, &OURS.replace(from, to), 7).expect_err(to);
        }
        let relayed = "data: {\"content\":\"\"}\n\ndata: {\"content\":\" tok0\"}\n\ndata: [DONE]\n\n";
        read(Side::Relay, 1, relayed, 5).expect("a whole answer");
        read(Side::Relay, 2, relayed, 5).expect_err("a token is missing");
        read(Side::Relay, 1, &relayed.replace("[DONE]", "{}"), 5).expect_err("the end is missing");
    }
}
