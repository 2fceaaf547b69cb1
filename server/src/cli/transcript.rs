//! A run's events as text on a screen: each character of the answer once, however the stream came.
//!
//! Pure: events in, pieces to print out. Owns the one thing that has to be kept to go on later: which message was being
//! printed, and how much of it.

use headwater_client::protocol::api::RunSnapshot;
use headwater_client::protocol::event::{EventBody, MessageStatus, Role};
use headwater_client::protocol::message::text_of;
use headwater_client::protocol::{ErrorCode, MessageId};
use serde::{Deserialize, Serialize};

/// Something to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Of the answer.
    Text(String),
    /// Of the model's reasoning.
    Reasoning(String),
    /// About the run.
    Note(String),
}

/// How far an answer is printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Printed {
    /// The message that was printed last.
    pub(super) message: Option<MessageId>,
    /// How many bytes of it.
    pub(super) bytes: usize,
}

/// How a run ended, where it did not complete.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    /// It failed.
    #[error("the run failed: {}: {message}{}", .code.as_str(), if *.retryable { "; sending it again may help" } else { "" })]
    Failed { code: ErrorCode, message: String, retryable: bool },
    /// Somebody cancelled it.
    #[error("the run was cancelled")]
    Cancelled,
}

/// The printing of one run.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    printed: Printed,
    reasoning: bool,
    ended: Option<Ended>,
}

impl Transcript {
    /// Goes on where an earlier one was.
    pub(super) fn resume(printed: Printed) -> Self {
        Self { printed, ..Self::default() }
    }

    /// How far it is.
    pub(super) fn printed(&self) -> &Printed {
        &self.printed
    }

    /// How the run ended, if not well.
    pub(super) fn ended(self) -> Option<Ended> {
        self.ended
    }

    /// What an event adds.
    pub(super) fn event(&mut self, event: EventBody) -> Vec<Piece> {
        match event {
            EventBody::ReasoningDelta { delta, .. } => {
                self.reasoning = true;
                vec![Piece::Reasoning(delta)]
            }
            EventBody::ReasoningCompleted { .. } => self.end_reasoning(),
            EventBody::MessageDelta { message, delta } => {
                self.turn_to(message);
                self.printed.bytes += delta.len();
                let mut pieces = self.end_reasoning();
                pieces.push(Piece::Text(delta));
                pieces
            }
            EventBody::MessageCompleted { message, role: Role::Assistant, text, status, .. } => {
                let mut pieces = self.end_reasoning();
                pieces.extend(self.rest(message, &text));
                if !text.is_empty() {
                    pieces.push(Piece::Text("\n".into()));
                }
                if status == MessageStatus::Incomplete {
                    pieces.push(Piece::Note("the answer was cut here".into()));
                }
                pieces
            }
            EventBody::StepReset { .. } => {
                self.printed = Printed::default();
                vec![Piece::Note("\nthe model call broke and is made again: what it had said above is void".into())]
            }
            EventBody::RunSuspended { reason, .. } if reason == "sub_run" => Vec::new(),
            EventBody::SubRunStarted { sub_run, .. } => {
                vec![Piece::Note(format!("another agent works on it: {sub_run}"))]
            }
            EventBody::RunSuspended { reason, .. } => {
                vec![Piece::Note(format!("the run waits for somebody ({reason}); this stream goes on once they act"))]
            }
            EventBody::RunFailed { code, message, retryable, .. } => {
                let message = message.unwrap_or_else(|| code.title().to_owned());
                self.ended = Some(Ended::Failed { code, message, retryable });
                Vec::new()
            }
            EventBody::RunCancelled { .. } => {
                self.ended = Some(Ended::Cancelled);
                Vec::new()
            }
            EventBody::ToolArgs { call: _, args: Some(args) } => vec![Piece::Note(format!("calls a tool with {args}"))],
            EventBody::ToolFailed { error, .. } => {
                let words = error.detail.unwrap_or_else(|| error.code.title().to_owned());
                vec![Piece::Note(format!("a tool failed: {words}"))]
            }
            EventBody::ApprovalRequested { approval, message, args, .. } => {
                let args = args.map(|args| format!(" with {args}")).unwrap_or_default();
                vec![Piece::Note(format!("{message}{args} It is for somebody to decide: {approval}"))]
            }
            EventBody::ToolDenied { .. } => vec![Piece::Note("the call of a tool was not permitted".into())],
            // Nothing to see.
            _ => Vec::new(),
        }
    }

    /// What a snapshot adds: the stream begins anew from it, because the events before are no longer kept.
    pub(super) fn snapshot(&mut self, snapshot: &RunSnapshot) -> Vec<Piece> {
        let answers: Vec<_> = snapshot.messages.iter().filter(|message| message.role == Role::Assistant).collect();
        let from = answers.iter().position(|message| Some(message.id) == self.printed.message).unwrap_or_default();
        let mut pieces = self.end_reasoning();
        for message in &answers[from..] {
            pieces.extend(self.rest(message.id, &text_of(&message.content)));
            if message.status != MessageStatus::InProgress {
                pieces.push(Piece::Text("\n".into()));
            }
        }
        pieces
    }

    /// What is not printed of a message yet.
    fn rest(&mut self, message: MessageId, text: &str) -> Option<Piece> {
        self.turn_to(message);
        let rest = text.get(self.printed.bytes..).filter(|rest| !rest.is_empty()).map(|rest| Piece::Text(rest.into()));
        self.printed.bytes = self.printed.bytes.max(text.len());
        rest
    }

    fn turn_to(&mut self, message: MessageId) {
        if self.printed.message != Some(message) {
            self.printed = Printed { message: Some(message), bytes: 0 };
        }
    }

    fn end_reasoning(&mut self) -> Vec<Piece> {
        let open = std::mem::take(&mut self.reasoning);
        if open { vec![Piece::Reasoning("\n".into())] } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| if let Piece::Text(text) = piece { text.as_str() } else { "" }).collect()
    }

    fn delta(message: MessageId, delta: &str) -> EventBody {
        EventBody::MessageDelta { message, delta: delta.into() }
    }

    fn completed(message: MessageId, text: &str) -> EventBody {
        let status = MessageStatus::Completed;
        EventBody::MessageCompleted { step: 1, message, role: Role::Assistant, text: text.into(), status }
    }

    #[test]
    fn each_character_once_wherever_it_was_left() {
        let message = MessageId::new();
        let events = [
            delta(message, "Grü"),
            delta(message, "ße, "),
            delta(message, "Alice."),
            completed(message, "Grüße, Alice."),
        ];
        for left_after in 0..=events.len() {
            let mut first = Transcript::default();
            let mut seen: String = events[..left_after].iter().map(|e| text(&first.event(e.clone()))).collect();
            // The rest in full, and without its deltas, as a compacted log gives it.
            for skip in [0, (events.len() - left_after).saturating_sub(1)] {
                let mut second = Transcript::resume(first.printed().clone());
                let rest: String = events[left_after + skip..].iter().map(|e| text(&second.event(e.clone()))).collect();
                assert_eq!(format!("{seen}{rest}"), "Grüße, Alice.\n", "left after {left_after}, skipping {skip}");
            }
            seen.clear();
        }
    }

    #[test]
    fn a_late_reader_needs_no_deltas() {
        let (one, two) = (MessageId::new(), MessageId::new());
        let mut transcript = Transcript::default();
        assert_eq!(text(&transcript.event(completed(one, "One."))), "One.\n");
        assert_eq!(text(&transcript.event(completed(two, "Two."))), "Two.\n");
    }

    #[test]
    fn reasoning_ends_its_line() {
        let message = MessageId::new();
        let mut transcript = Transcript::default();
        assert_eq!(
            transcript.event(EventBody::ReasoningDelta { message, delta: "hm".into() }),
            [Piece::Reasoning("hm".into())]
        );
        assert_eq!(transcript.event(delta(message, "Yes")), [Piece::Reasoning("\n".into()), Piece::Text("Yes".into())]);
    }
}
