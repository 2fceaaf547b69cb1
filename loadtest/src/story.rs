//! What one run's log tells, and whether it agrees with itself.

use std::collections::BTreeMap;

use headwater_client::protocol::event::{Event, EventBody};

use crate::ground::Shape;
use crate::log::Log;

/// A run that changed hands.
#[derive(Debug, Clone)]
pub(crate) struct Resumed {
    /// Which.
    pub(crate) run: String,
    /// `takeover` or `handover`.
    pub(crate) reason: String,
    /// When, in milliseconds since 1970.
    pub(crate) at: i64,
    /// Since the event before it, which was the last of the owner before.
    pub(crate) silence: i64,
    /// From that same event to the next words for a reader. `None`: there were no more of them.
    pub(crate) wordless: Option<i64>,
    /// Whether a model call had to be made again.
    pub(crate) repeats: bool,
}

/// What is of interest in a log.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// How it ended: `completed`, or the status with its code.
    pub(crate) end: String,
    /// Calls of the model that were begun, as far as the log knows.
    pub(crate) calls: u64,
    /// In order.
    pub(crate) resumed: Vec<Resumed>,
    /// What does not fit together.
    pub(crate) wrong: Vec<String>,
}

impl Story {
    /// Reads it.
    pub(crate) fn of(log: &Log, shape: Shape) -> Self {
        let mut story = Self::default();
        let mut said = BTreeMap::<String, String>::new();
        let (mut before, mut settled, mut last_kind) = (None, 0, String::new());
        for frame in log.frames() {
            let kind = String::from_utf8_lossy(frame.kind()).into_owned();
            let event: Event = match serde_json::from_slice(frame.data()) {
                Ok(event) => event,
                Err(error) => {
                    story.wrong.push(format!("{kind} does not read: {error}"));
                    continue;
                }
            };
            let at = event.ts.ms();
            match event.body {
                EventBody::CostEstimated { .. } => story.calls += 1,
                EventBody::CostSettled { .. } => settled += 1,
                EventBody::RunResumed { reason, .. } => {
                    let (run, silence) = (event.run.to_string(), at - before.unwrap_or(at));
                    story.resumed.push(Resumed { run, reason, at, silence, wordless: None, repeats: false });
                }
                EventBody::StepReset { messages, .. } => {
                    for message in messages {
                        said.remove(&message.to_string());
                    }
                    match story.resumed.last_mut() {
                        Some(resumed) if last_kind == "run.resumed" => resumed.repeats = true,
                        _ => story.wrong.push("a step.reset without a run.resumed before it".to_owned()),
                    }
                }
                EventBody::MessageStarted { message, .. } => drop(said.insert(message.to_string(), String::new())),
                EventBody::MessageDelta { message, delta } => {
                    if let Some(resumed) = story.resumed.last_mut() {
                        resumed.wordless.get_or_insert(at - resumed.at + resumed.silence);
                    }
                    match said.get_mut(&message.to_string()) {
                        Some(text) => text.push_str(&delta),
                        None => story.wrong.push(format!("words of no message at event {}", event.seq)),
                    }
                }
                EventBody::MessageCompleted { message, text, .. } if said.get(&message.to_string()) != Some(&text) => {
                    story.wrong.push(format!("the deltas do not make the message's text, event {}", event.seq));
                }
                EventBody::RunCompleted { result, .. } => {
                    story.end = "completed".to_owned();
                    if result.text != shape.text() {
                        story.wrong.push("the result is not what the model said".to_owned());
                    }
                }
                EventBody::RunFailed { code, .. } => story.end = format!("failed: {}", code.as_str()),
                EventBody::RunCancelled { .. } => story.end = "cancelled".to_owned(),
                _ => {}
            }
            before = Some(at);
            last_kind = kind;
        }
        if settled != story.calls {
            story.wrong.push(format!("{} calls were estimated and {settled} settled", story.calls));
        }
        story
    }

    /// How many calls of the model this run needed: one, and one for each that was cut with its owner.
    pub(crate) fn needed(&self) -> u64 {
        1 + self.resumed.iter().filter(|resumed| resumed.repeats).count() as u64
    }

    /// One more for each change of hands: a call that was cut before the log knew of it.
    pub(crate) fn excused(&self) -> u64 {
        1 + self.resumed.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "run_01a21c3f-39c9-71a0-91fa-178774b7b364";

    /// A log of `(ms, type, more fields)`.
    fn log(events: &[(u64, &str, &str)]) -> Log {
        let mut log = Log::of_any_end();
        for (n, (ms, kind, more)) in events.iter().enumerate() {
            let (seq, ts) = (n + 1, format!("2026-11-27T09:00:0{}.{:03}Z", ms / 1000, ms % 1000));
            let data = format!(r#"{{"v":1,"seq":{seq},"ts":"{ts}","run":"{RUN}","type":"{kind}"{more}}}"#);
            log.feed(format!("id: {seq:016}\nevent: {kind}\ndata: {data}\n\n").as_bytes()).expect("a log");
        }
        log
    }

    #[test]
    fn a_change_of_hands_is_measured_from_the_event_before_it() {
        let message =
            |n: u8| format!(r#","step":1,"message":"msg_01a21c3f-39c9-71a0-91fa-1787 74b7b36{n}""#).replace(' ', "");
        let (first, second) = (message(1), message(2));
        let begun = |message: &str| format!(r#"{message},"role":"assistant""#);
        let word = |message: &str| format!(r#"{message},"delta":" tok0""#);
        let reset =
            r#","step":1,"reason":"takeover","messages":["msg_01a21c3f-39c9-71a0-91fa-178774b7b361"],"calls":[]"#;
        let log = log(&[
            (0, "message.started", &begun(&first)),
            (10, "message.delta", &word(&first)),
            (2010, "run.resumed", r#","attempt":2,"reason":"takeover""#),
            (2010, "step.reset", reset),
            (2050, "message.started", &begun(&second)),
            (2060, "message.delta", &word(&second)),
        ]);
        let story = Story::of(&log, Shape { tokens: 1, delay_ms: 0, calls: false, slow: 0 });
        assert_eq!(story.wrong, Vec::<String>::new());
        assert_eq!((story.needed(), story.excused()), (2, 2));
        let resumed = &story.resumed[0];
        assert_eq!((resumed.silence, resumed.wordless, resumed.repeats), (2000, Some(2050), true));
    }
}
