//! Server-sent events, decoded from bytes as they come.
//!
//! Owns [`SseDecoder`]. Promises the same events for the same bytes however they are cut into chunks, with lines ended by
//! LF, CR LF or CR; data of an event that lies whole in a chunk is lent from it, not copied; memory is bounded by
//! [`MAX_LINE_BYTES`] and [`MAX_EVENT_BYTES`]. Never looks into the data, which need not even be UTF-8, and knows neither
//! `id` nor `retry`: nobody reconnects to a model.

/// The longest line.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// The most data of one event.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// A stream that exceeds a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line without end.
    #[error("a line is longer than {} bytes", MAX_LINE_BYTES)]
    LineTooLong,
    /// An event without end.
    #[error("an event is longer than {} bytes", MAX_EVENT_BYTES)]
    EventTooLong,
}

/// One event. Lives only as long as the call that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// The `event` field; empty means `message`.
    pub name: &'a [u8],
    /// The `data` lines, joined by LF.
    pub data: &'a [u8],
}

/// Holds what is between two chunks: the beginning of a line, and the data of an event that has not ended.
#[derive(Debug, Default)]
pub struct SseDecoder {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    name: Vec<u8>,
    /// The last chunk ended with CR: a LF at the start of the next one belongs to it.
    after_cr: bool,
    past_first_line: bool,
}

enum Line<'a> {
    Blank,
    Data(&'a [u8]),
    Name(&'a [u8]),
    Other,
}

impl SseDecoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and shows every event that they complete. Stops at the first error; the stream is then of no
    /// more use.
    pub fn feed<E: From<SseError>>(
        &mut self,
        chunk: &[u8],
        mut on_event: impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = chunk;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        // Data of the open event, as long as it is one line of this chunk: lent, not copied.
        let mut lent: Option<&[u8]> = None;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = &rest[..end];
            rest = self.skip_line_end(&rest[end..]);
            if self.line.len() + line.len() > MAX_LINE_BYTES {
                return Err(SseError::LineTooLong.into());
            }
            if self.line.is_empty() {
                match self.parse(line) {
                    Line::Data(data) if !self.has_data && lent.is_none() => lent = Some(data),
                    Line::Data(data) => {
                        self.keep(lent.take())?;
                        self.keep(Some(data))?;
                    }
                    Line::Name(name) => name.clone_into(&mut self.name),
                    Line::Blank => self.dispatch(lent.take(), &mut on_event)?,
                    Line::Other => {}
                }
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.keep(lent.take())?;
                self.take_line(&whole, &mut on_event)?;
                whole.clear();
                self.line = whole;
            }
        }
        self.keep(lent)?;
        if self.line.len() + rest.len() > MAX_LINE_BYTES {
            return Err(SseError::LineTooLong.into());
        }
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// The stream has ended: shows the event that was open, as if its last line and itself had ended. The standard throws
    /// it away; a caller that trusts only events it knows can afford to look.
    pub fn finish<E: From<SseError>>(
        &mut self,
        mut on_event: impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, &mut on_event)?;
        }
        self.dispatch(None, &mut on_event)
    }

    /// `at` begins with a line's end; gives what is behind it.
    fn skip_line_end<'a>(&mut self, at: &'a [u8]) -> &'a [u8] {
        match at {
            [b'\r', b'\n', rest @ ..] => rest,
            [b'\r'] => {
                self.after_cr = true;
                &[]
            }
            [_, rest @ ..] => rest,
            [] => at,
        }
    }

    fn parse<'a>(&mut self, line: &'a [u8]) -> Line<'a> {
        const BOM: &[u8] = b"\xEF\xBB\xBF";
        let line = if self.past_first_line { line } else { line.strip_prefix(BOM).unwrap_or(line) };
        self.past_first_line = true;
        if line.is_empty() {
            return Line::Blank;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => Line::Data(value),
            b"event" => Line::Name(value),
            // Comments (an empty name), id, retry, and whatever else there may be.
            _ => Line::Other,
        }
    }

    /// A line that is not of the chunk at hand: everything about it is copied.
    fn take_line<E: From<SseError>>(
        &mut self,
        line: &[u8],
        on_event: &mut impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.parse(line) {
            Line::Data(data) => self.keep(Some(data))?,
            Line::Name(name) => name.clone_into(&mut self.name),
            Line::Blank => self.dispatch(None, on_event)?,
            Line::Other => {}
        }
        Ok(())
    }

    /// Adds a line to the data of the open event.
    fn keep(&mut self, data: Option<&[u8]>) -> Result<(), SseError> {
        let Some(data) = data else { return Ok(()) };
        if self.data.len() + data.len() + 1 > MAX_EVENT_BYTES {
            return Err(SseError::EventTooLong);
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(data);
        self.has_data = true;
        Ok(())
    }

    fn dispatch<E>(
        &mut self,
        lent: Option<&[u8]>,
        on_event: &mut impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let shown = match lent {
            Some(data) => on_event(SseEvent { name: &self.name, data }),
            None if self.has_data => on_event(SseEvent { name: &self.name, data: &self.data }),
            None => Ok(()),
        };
        self.has_data = false;
        self.data.clear();
        self.name.clear();
        shown
    }
}
