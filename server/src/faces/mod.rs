//! Faces: a run's log as clients read it that were written for somebody else's protocol.
//!
//! Each face is a pure function of the events of one run, in their order: the same events give the same bytes at every process, at any
//! time. So whoever comes back reads the same answer from its beginning, or goes on behind a place. Owns how events look to such a client
//! and how a stream of ours becomes one of theirs. Never decides what somebody may see (that was decided when the events were rendered),
//! and nothing in the loop, the store or the stream knows of it.
//!
//! | module | holds |
//! |---|---|
//! | [`ai_sdk`] | Vercel's AI SDK: UI message stream, version 1 |
//! | [`durable`] | Durable Streams, read side, over server-sent events |
//! | [`responses`] | OpenAI Responses |
//! | [`completions`] | OpenAI Chat Completions |
//! | [`ag_ui`] | AG-UI |
//! | `rests` | where an answer ends because its reader has to do something |

pub(crate) mod ag_ui;
pub(crate) mod ai_sdk;
pub(crate) mod completions;
pub(crate) mod durable;
pub(crate) mod responses;
mod rests;

use std::io;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use headwater_protocol::event::Event;
use headwater_protocol::{Problem, RunId};
use serde::Serialize;

/// A protocol's view of a run.
pub(crate) trait Face: Send + 'static {
    /// Tells what has happened. `line`: the same as it was rendered for this reader.
    fn event(&mut self, event: &Event, line: &str, out: &mut Frames);

    /// There is nothing more for now.
    fn caught_up(&mut self, _: &mut Frames) {}

    /// The run waits for somebody, and the stream ends with that.
    fn suspended(&mut self, _: &mut Frames) {}

    /// Whether the answer is whole: nothing follows for this client.
    fn is_over(&self) -> bool;

    /// Whether its clients come back by themselves where a stream ends early.
    fn comes_back(&self) -> bool {
        false
    }
}

/// Frames of server-sent events that are being written.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// Where the last frame begins: it bears the event's number, so that a client that knows of cursors comes back behind it.
    last: Option<usize>,
}

impl Frames {
    /// A frame whose data is this, as JSON.
    pub(crate) fn push(&mut self, data: &impl Serialize) {
        self.last = Some(self.bytes.len());
        self.bytes.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut self.bytes, data).expect("what we write serialises");
        self.bytes.extend_from_slice(b"\n\n");
    }

    /// A frame of this name, whose data is this one line.
    pub(crate) fn named(&mut self, name: &str, data: &str) {
        self.last = Some(self.bytes.len());
        self.bytes.extend_from_slice(format!("event: {name}\ndata: {data}\n\n").as_bytes());
    }

    /// A frame whose data is these words.
    pub(crate) fn word(&mut self, word: &str) {
        self.bytes.extend_from_slice(format!("data: {word}\n\n").as_bytes());
    }

    /// Marks the frames since the last mark as those of this event.
    fn number(&mut self, event: &Event) {
        if let Some(at) = self.last.take() {
            let line = format!("id: {}\n", place(event.run, event.seq));
            self.bytes.splice(at..at, line.into_bytes());
        }
    }
}

/// What went wrong, for a person.
pub(crate) fn words(problem: &Problem) -> String {
    problem.detail.clone().unwrap_or_else(|| problem.title.clone())
}

/// A place in the answers of a client that reads one run after the other: which of them, and how far.
pub(crate) fn place(run: RunId, seq: u64) -> String {
    format!("{run}:{seq:016}")
}

/// The same, read.
pub(crate) fn place_of(text: &str) -> Option<(RunId, u64)> {
    let (run, seq) = text.split_once(':')?;
    Some((run.parse().ok()?, seq.parse().ok()?))
}

/// A stream of ours as this face tells it, from behind a place on: events up to it are known to the client, and told to the face alone. A
/// stream that ends before the answer does ends with an error, so that no client takes what it has for the whole, but for those that
/// know how to come back.
pub(crate) fn worn(
    face: impl Face,
    blocks: BoxStream<'static, Bytes>,
    after: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let state = Some((face, blocks));
    futures_util::stream::unfold(state, move |state| async move {
        let (mut face, mut blocks) = state?;
        loop {
            let Some(block) = blocks.next().await else {
                if face.comes_back() {
                    return None;
                }
                let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "the stream was ended before the answer");
                return Some((Err(cut), None));
            };
            let mut out = Frames::default();
            tell(&mut face, &block, after, &mut out);
            if face.is_over() {
                return Some((Ok(out.bytes.into()), None));
            }
            if !out.bytes.is_empty() {
                return Some((Ok(out.bytes.into()), Some((face, blocks))));
            }
        }
    })
}

/// A face that has been told all there is of an answer by now; nothing, where that was cut.
pub(crate) async fn so_far<F: Face>(mut face: F, mut blocks: BoxStream<'static, Bytes>) -> Option<F> {
    loop {
        let is_all = tell(&mut face, &blocks.next().await?, 0, &mut Frames::default());
        if is_all || face.is_over() {
            return Some(face);
        }
    }
}

/// A face that has been told a whole answer; nothing, where that was cut.
pub(crate) async fn to_end<F: Face>(mut face: F, mut blocks: BoxStream<'static, Bytes>) -> Option<F> {
    while !face.is_over() {
        tell(&mut face, &blocks.next().await?, 0, &mut Frames::default());
    }
    Some(face)
}

/// An answer as one piece of JSON, once it is whole. Until then there is a blank now and then, so that nothing in between takes the connection
/// for dead. `answer`: what there is to say when the stream has ended; nothing where it was cut.
pub(crate) fn whole<F: Face>(
    face: F,
    blocks: BoxStream<'static, Bytes>,
    answer: impl Fn(&F) -> Option<Vec<u8>> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let state = Some((face, blocks, answer));
    futures_util::stream::unfold(state, move |state| async move {
        let (mut face, mut blocks, answer) = state?;
        loop {
            let Some(block) = blocks.next().await else { break };
            tell(&mut face, &block, 0, &mut Frames::default());
            if face.is_over() {
                break;
            }
            if block.starts_with(b": hb") {
                return Some((Ok(Bytes::from_static(b"\n")), Some((face, blocks, answer))));
            }
        }
        let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the stream was ended before the answer");
        Some((answer(&face).map(Bytes::from).ok_or_else(cut), None))
    })
}

/// Tells a face a block of our frames. Whether there is nothing more for now.
fn tell(face: &mut impl Face, block: &[u8], after: u64, out: &mut Frames) -> bool {
    let text = std::str::from_utf8(block).unwrap_or_default();
    let (mut kind, mut is_all) = ("", false);
    for line in text.lines() {
        if face.is_over() {
            return true;
        }
        if let Some(name) = line.strip_prefix("event: ") {
            kind = name;
        } else if line.starts_with(": hb") {
            out.bytes.extend_from_slice(b": hb\n\n");
        } else if let Some(data) = line.strip_prefix("data: ") {
            if kind == "stream.caught_up" {
                is_all = true;
                face.caught_up(out);
            } else if kind == "stream.closing" && data.contains(r#""reason":"suspended""#) {
                face.suspended(out);
            } else if !kind.starts_with("stream.")
                && let Ok(event) = serde_json::from_str::<Event>(data)
            {
                let known = event.seq <= after;
                let mut silent = Frames::default();
                let out = if known { &mut silent } else { &mut *out };
                face.event(&event, data, out);
                out.number(&event);
            }
        }
    }
    is_all
}

#[cfg(test)]
pub(crate) mod tests {
    use headwater_protocol::event::{EventBody, FinishReason, MessageStatus, Role, RunResult, render};
    use headwater_protocol::{AgentId, MessageId, ThreadId, Timestamp, Usage, UserId};
    use serde_json::Value;

    use super::*;

    pub(crate) fn log(bodies: Vec<EventBody>) -> Vec<Event> {
        let (run, ts) = (RunId::new(), Timestamp::from_ms(0));
        bodies.into_iter().zip(1..).map(|(body, seq)| Event { v: 1, seq, ts, run, body }).collect()
    }

    pub(crate) fn queued() -> EventBody {
        let (thread, user, agent) = (ThreadId::new(), UserId::new(), AgentId::new());
        EventBody::RunQueued {
            thread,
            user,
            agent,
            agent_version: 1,
            input_messages: vec![],
            run_at: None,
            after_run: None,
        }
    }

    pub(crate) fn step(step: i32) -> EventBody {
        EventBody::StepStarted { step, model: "m/x".into(), input_messages: vec![] }
    }

    pub(crate) fn stepped(step: i32, finish_reason: FinishReason) -> EventBody {
        EventBody::StepFinished { step, finish_reason, usage: Usage::default(), cost: None }
    }

    pub(crate) fn said(message: MessageId, text: &str) -> EventBody {
        let status = MessageStatus::Completed;
        EventBody::MessageCompleted { step: 1, message, role: Role::Assistant, text: text.into(), status }
    }

    pub(crate) fn delta(message: MessageId, delta: &str) -> EventBody {
        EventBody::MessageDelta { message, delta: delta.into() }
    }

    pub(crate) fn completed(message: MessageId) -> EventBody {
        let result = RunResult { message, text: "x".into(), json: None, finish_reason: FinishReason::Stop };
        EventBody::RunCompleted { result, usage: Usage::default(), cost: None }
    }

    /// What a face tells of a log, as a client reads it that has it up to `after`; `rests`: behind this event it waits for somebody. A word
    /// that is no JSON is a string.
    pub(crate) fn told(face: impl Face, log: &[Event], after: u64, rests: Option<u64>) -> Vec<Value> {
        let mut blocks = vec![Bytes::from_static(b"retry: 2000\n")];
        for event in log {
            let mut line = Vec::new();
            render(&mut line, event.seq, event.ts, event.run, &event.body);
            let line = String::from_utf8(line).expect("JSON is UTF-8");
            blocks.push(format!("id: {:016}\nevent: x\ndata: {line}\n\n", event.seq).into());
            if rests == Some(event.seq) {
                let closing = b"event: stream.closing\ndata: {\"reason\":\"suspended\",\"retry_ms\":30000}\n\n";
                blocks.push(Bytes::from_static(closing));
                break;
            }
        }
        let told = worn(face, futures_util::stream::iter(blocks).boxed(), after).collect::<Vec<_>>();
        let told = futures_util::FutureExt::now_or_never(told).expect("nothing is waited for");
        let bytes = told.into_iter().map(|block| block.expect("a whole answer")).collect::<Vec<_>>().concat();
        let text = String::from_utf8(bytes).expect("UTF-8");
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.into()))).collect()
    }

    #[test]
    fn an_answer_that_is_cut_is_not_taken_for_whole() {
        let blocks = futures_util::stream::iter([Bytes::from_static(b": hb\n\n")]).boxed();
        let told = worn(ai_sdk::AiSdk::new(), blocks, 0).collect::<Vec<_>>();
        let told = futures_util::FutureExt::now_or_never(told).expect("nothing is waited for");
        assert!(matches!(&told[..], [Ok(_), Err(_)]), "{told:?}");
    }
}
