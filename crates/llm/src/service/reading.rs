//! Reading one answer, from its first event to however it ends.
//!
//! Owns the open answer, what it came to so far, and by when its next event has to be there. Promises that an answer which its
//! provider keeps is read on where its connection was lost, and is stopped there when it is read no more. Never settles, and
//! knows nothing of permits and money.

use std::pin::Pin;

use headwater_protocol::api::Timeouts;
use headwater_protocol::event::FinishReason;
use headwater_protocol::{ErrorCode, ModelCallId, Usage};
use secrecy::SecretString;
use tokio::time::{Instant, Sleep};

use super::metered::Metered;
use super::pace::{Raced, later, race, unless};
use crate::event::{LlmEvent, Outcome};
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::provider::{Answer, Piece, Provider};
use crate::retry::{Attempts, Next, RetryPolicy};

/// How reading an answer ended.
pub(super) enum End {
    Finished(FinishReason),
    Failed(Failure),
    Cancelled,
}

impl End {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            End::Finished(_) => Outcome::Completed,
            End::Failed(_) => Outcome::Failed,
            End::Cancelled => Outcome::Cancelled,
        }
    }
}

/// What reading on came to.
pub(super) enum Read {
    Told {
        event: LlmEvent,
        /// Whether it is the first of what the model says.
        first: bool,
    },
    End(End),
}

/// Who is asked, for which call, and how patiently.
pub(super) struct Reader<'a> {
    pub(super) provider: &'a Provider,
    pub(super) own_key: Option<&'a SecretString>,
    pub(super) model_call: ModelCallId,
    pub(super) model: &'a str,
    pub(super) timeouts: Timeouts,
    /// When the provider was asked.
    pub(super) sent: Instant,
    /// The end of all attempts together.
    pub(super) until: Instant,
    pub(super) retry: RetryPolicy,
    pub(super) ledger: &'a dyn Ledger,
}

/// What an answer came to that is read no more.
pub(super) struct Closed {
    /// By our count.
    pub(super) metered: Metered,
    /// By its provider's.
    pub(super) told: Option<Usage>,
    /// It may go on there, and be paid for to its end.
    pub(super) unread: bool,
}

/// An answer that is being read.
pub(super) struct Reading<'a> {
    reader: Reader<'a>,
    answer: Answer,
    metered: Metered,
    /// Since the last event that came over a connection that was lost later.
    reopening: Option<Attempts>,
}

impl<'a> Reading<'a> {
    /// Sets the timer to when the first token has to be there.
    pub(super) fn new(reader: Reader<'a>, answer: Answer, queued_ms: u64, timer: Pin<&mut Sleep>) -> Self {
        let metered = Metered::new(reader.sent, queued_ms);
        let reading = Self { reader, answer, metered, reopening: None };
        timer.reset(reading.due().0);
        reading
    }

    /// The next thing that it tells.
    pub(super) async fn next(
        &mut self,
        mut cancelled: Pin<&mut impl Future<Output = ()>>,
        mut timer: Pin<&mut Sleep>,
    ) -> Read {
        loop {
            let piece = match race(cancelled.as_mut(), timer.as_mut(), self.answer.next()).await {
                Raced::Done(Ok(piece)) => piece,
                Raced::Done(Err(failure)) => match Box::pin(self.reopen(failure, cancelled.as_mut())).await {
                    Some(end) => return Read::End(end),
                    None => continue,
                },
                Raced::Cancelled => return Read::End(End::Cancelled),
                // The timer is not moved at each event: when it fires, it is told how far it should have been.
                Raced::TimedOut => {
                    let (at, phase, limit) = self.due();
                    if Instant::now() >= at {
                        return Read::End(End::Failed(Failure::timeout(phase, limit)));
                    }
                    timer.as_mut().reset(at);
                    continue;
                }
            };
            self.reopening = None;
            let (event, first) = match piece {
                Piece::End(reason) => return Read::End(End::Finished(reason)),
                Piece::Kept(response) => {
                    let (model_call, model) = (self.reader.model_call, self.reader.model.to_owned());
                    (LlmEvent::Kept { model_call, model, response }, false)
                }
                Piece::Text(delta) => {
                    let first = self.metered.text(&delta);
                    (LlmEvent::Text(delta), first)
                }
                Piece::Reasoning(delta) => {
                    let first = self.metered.reasoning(&delta);
                    (LlmEvent::Reasoning(delta), first)
                }
                Piece::ToolCall { index, name } => {
                    let first = self.metered.text(&name);
                    (LlmEvent::ToolCall { index, name }, first)
                }
                Piece::ToolArgs { index, delta } => {
                    let first = self.metered.text(&delta);
                    (LlmEvent::ToolArgs { index, delta }, first)
                }
            };
            if first {
                timer.as_mut().reset(self.due().0);
            }
            return Read::Told { event, first };
        }
    }

    /// Whether the model has said anything.
    pub(super) fn has_begun(&self) -> bool {
        self.metered.has_begun()
    }

    /// Lets go of the answer: what it came to by our count, and by the provider's if that told. Closes the connection of one
    /// that was not read to its end, and stops one that is kept, unless somebody else reads it on.
    pub(super) async fn close(self, end: &End) -> Closed {
        let Self { reader, answer, metered, .. } = self;
        let mut told = answer.usage();
        let is_over = matches!(end, End::Finished(_)) || told.is_some();
        let kept = answer.kept().filter(|_| !is_over).map(str::to_owned);
        drop(answer);
        let goes_on = kept.is_some();
        if let Some(kept) = kept
            && reader.ledger.is_owner().await
        {
            told = Box::pin(reader.provider.stop(&kept, reader.own_key)).await;
        }
        Closed { metered, unread: goes_on && told.is_none(), told }
    }

    /// Asks for the rest of an answer that is kept. An end: there is none to be had.
    async fn reopen(&mut self, failure: Failure, mut cancelled: Pin<&mut impl Future<Output = ()>>) -> Option<End> {
        if failure.problem.code != ErrorCode::ProviderTruncated || self.answer.kept().is_none() {
            return Some(End::Failed(failure));
        }
        let Reader { provider, own_key, timeouts, until, retry, .. } = self.reader;
        let mut why = failure.clone();
        loop {
            let attempts = self.reopening.get_or_insert_with(|| Attempts::new(retry));
            let left = until.saturating_duration_since(Instant::now());
            let Next::Again(delay) = attempts.next(&why, false, left) else { return Some(End::Failed(failure)) };
            let opening = async {
                tokio::time::sleep(delay).await;
                provider.reopen(&mut self.answer, own_key, &timeouts, until).await
            };
            match unless(cancelled.as_mut(), opening).await {
                None => return Some(End::Cancelled),
                Some(Ok(())) => return None,
                Some(Err(again)) => why = again,
            }
        }
    }

    /// By when the next thing has to happen, in which phase, and what limit that is.
    fn due(&self) -> (Instant, &'static str, u64) {
        let Timeouts { first_token_ms, idle_ms, total_ms, .. } = self.reader.timeouts;
        let (at, phase, limit) = match self.metered.has_begun() {
            true => (later(self.answer.last_event(), idle_ms), "idle", idle_ms),
            false => (later(self.reader.sent, first_token_ms), "first_token", first_token_ms),
        };
        if self.reader.until <= at { (self.reader.until, "total", total_ms) } else { (at, phase, limit) }
    }
}
