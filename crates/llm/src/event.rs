//! What a model call tells while it runs.
//!
//! Owns [`LlmEvent`] and the values inside. Promises the order: `Estimated`, then `Throttled` any number of times, then
//! deltas, then `Settled`; again from `Estimated` for the next charged attempt; `Finished` last. Never holds anything that
//! the run loop could not write down as it is.

use headwater_protocol::event::FinishReason;
use headwater_protocol::{ModelCallId, Money, Problem, Usage};

use crate::ledger::BudgetWarning;

/// One item of [`GatewayLlmService::stream`](crate::GatewayLlmService::stream).
#[derive(Debug, Clone, PartialEq)]
pub enum LlmEvent {
    /// What the attempt that begins is expected to cost. Once per model call id.
    Estimated(Estimate),
    /// The call waits. At most one per second, and none for a wait that is over at once.
    Throttled {
        /// How long it will probably take from now.
        wait_ms: u64,
        /// How many calls are in front, this one included. 0 while the provider itself asked to wait.
        queue_pos: u32,
        /// `concurrency`: all places are taken. `provider`: it asked to come back later. `budget`: what is left of one is set
        /// aside for calls that are under way.
        reason: &'static str,
    },
    /// The provider has begun an answer that it keeps: somebody else can go on reading it.
    Kept {
        /// The call.
        model_call: ModelCallId,
        /// `PROVIDER/model-id`.
        model: String,
        /// The provider's id of the answer.
        response: String,
    },
    /// A budget that covers the call is about to be used up. Told with each call.
    BudgetWarning(BudgetWarning),
    /// More of the model's reasoning: all that came in one network chunk.
    Reasoning(String),
    /// More of its answer: all that came in one network chunk.
    Text(String),
    /// The model begins to call a tool. Calls are numbered from 0 in the order in which they begin.
    ToolCall {
        /// Its number within the answer.
        index: usize,
        /// The tool, as the model names it: it may be none that was offered.
        name: String,
    },
    /// More of a call's arguments: a piece of JSON text.
    ToolArgs {
        /// The call's number.
        index: usize,
        /// What came in one network chunk.
        delta: String,
    },
    /// What an attempt used. One for every attempt that the provider had answered with 200, whatever became of it.
    Settled(Settlement),
    /// The answer is whole. Always the last item of a success.
    Finished {
        /// Why the model stopped.
        finish_reason: FinishReason,
    },
}

/// What an attempt is expected to cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// The unit of the ledger. Attempts that were never answered share it.
    pub model_call: ModelCallId,
    /// `PROVIDER/model-id`.
    pub model: String,
    /// Counts all attempts of the call, over all its models, from 1.
    pub attempt: u32,
    /// Tokens that will probably go in.
    pub input_tokens: u64,
    /// What it will probably cost: shown to people. `None` when the price is unknown.
    pub expected: Option<Money>,
    /// What it can cost at most: guards hard budgets. `None` when the price is unknown.
    pub reserve: Option<Money>,
}

/// How an attempt that was answered ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Whole, with the protocol's own end.
    Completed,
    /// Cut, refused half-way, or nonsense.
    Failed,
    /// Stopped by our side.
    Cancelled,
}

impl Outcome {
    /// As the database and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
        }
    }
}

/// What an attempt did cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// As in its [`Estimate`].
    pub model_call: ModelCallId,
    /// `PROVIDER/model-id`.
    pub model: String,
    /// Counts all attempts of the call from 1.
    pub attempt: u32,
    /// Its tokens: the provider's own numbers, or ours where it gave none.
    pub usage: Usage,
    /// Its cost; `None` when the price is unknown.
    pub cost: Option<Money>,
    /// What was expected.
    pub expected: Option<Money>,
    /// The most that it could cost: what was set aside where a budget covers it.
    pub reserve: Option<Money>,
    /// What went wrong, of a call that failed.
    pub error: Option<Box<Problem>>,
    /// Whether some of the usage is our own count: the provider's numbers were missing or came from a cut stream.
    pub estimated: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// How long this attempt waited for its permit.
    pub queued_ms: u64,
    /// From sending to the first delta, if there was one.
    pub first_token_ms: Option<u64>,
    /// From sending to the end.
    pub duration_ms: u64,
}

impl Settlement {
    /// Of an answer that goes on at its provider, and of which that has not said what it used: as much as it can come to.
    pub(crate) fn unread(mut self, set_aside: Option<Money>) -> Self {
        self.cost = set_aside.or(self.reserve).or(self.cost);
        self
    }

    /// What we counted ourselves may be more than it was, and is no more than it can have been: what was set aside.
    pub(crate) fn within(mut self, set_aside: Option<Money>) -> Self {
        self.reserve = set_aside.or(self.reserve);
        if self.estimated
            && let Some(most) = set_aside
        {
            self.cost = self.cost.map(|cost| cost.min(most));
        }
        self
    }
}
