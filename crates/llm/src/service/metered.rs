//! What an answer used, told by the provider or counted by us.
//!
//! Owns the record of one answered attempt. Promises a settlement for every end, and that its usage is never less than what
//! was streamed when the provider told nothing. Holds at most [`KEPT_BYTES`] of text, and only until the settlement.

use headwater_protocol::Usage;
use headwater_protocol::api::ModelPrice;
use tokio::time::Instant;

use super::pace::ms;
use crate::estimate::CostEstimator;
use crate::event::{Estimate, Outcome, Settlement};
use crate::prices::cost;

/// Text beyond this is extrapolated from what is kept.
const KEPT_BYTES: usize = 256 * 1024;

/// Text of one kind, kept in case nobody tells how many tokens it had.
#[derive(Debug, Default)]
struct Streamed {
    kept: String,
    bytes: u64,
}

impl Streamed {
    fn push(&mut self, text: &str) {
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        if self.kept.len() + text.len() <= KEPT_BYTES {
            self.kept.push_str(text);
        }
    }

    async fn tokens(&self, estimator: &CostEstimator, model: &str) -> u64 {
        let kept = self.kept.len() as u64;
        if kept == 0 {
            return self.bytes;
        }
        let counted = estimator.count(model, &self.kept).await;
        let all = u128::from(counted) * u128::from(self.bytes) / u128::from(kept);
        u64::try_from(all).unwrap_or(u64::MAX)
    }
}

/// One attempt that the provider answered.
pub(super) struct Metered {
    sent: Instant,
    queued_ms: u64,
    first_token_ms: Option<u64>,
    text: Streamed,
    reasoning: Streamed,
}

impl Metered {
    pub(super) fn new(sent: Instant, queued_ms: u64) -> Self {
        Self { sent, queued_ms, first_token_ms: None, text: Streamed::default(), reasoning: Streamed::default() }
    }

    /// Notes more of the answer; says whether it was the first delta.
    pub(super) fn text(&mut self, delta: &str) -> bool {
        self.text.push(delta);
        self.is_first()
    }

    /// Notes more of the reasoning; says whether it was the first delta.
    pub(super) fn reasoning(&mut self, delta: &str) -> bool {
        self.reasoning.push(delta);
        self.is_first()
    }

    /// Whether a delta was seen.
    pub(super) fn has_begun(&self) -> bool {
        self.first_token_ms.is_some()
    }

    fn is_first(&mut self) -> bool {
        let first = self.first_token_ms.is_none();
        if first {
            self.first_token_ms = Some(ms(self.sent.elapsed()));
        }
        first
    }

    pub(super) async fn settle(
        self,
        told: Option<Usage>,
        outcome: Outcome,
        estimate: &Estimate,
        estimator: &CostEstimator,
        price_at: impl FnOnce(u64) -> Option<ModelPrice>,
    ) -> Settlement {
        let usage = match told {
            Some(usage) => usage,
            None => self.count(estimate, estimator).await,
        };
        let price = price_at(usage.input_tokens);
        Settlement {
            model_call: estimate.model_call,
            model: estimate.model.clone(),
            attempt: estimate.attempt,
            usage,
            cost: price.map(|price| cost(&usage, &price)),
            expected: estimate.expected,
            reserve: estimate.reserve,
            error: None,
            // Numbers told before a stream was cut may not be the last ones.
            estimated: told.is_none() || outcome != Outcome::Completed,
            outcome,
            queued_ms: self.queued_ms,
            first_token_ms: self.first_token_ms,
            duration_ms: ms(self.sent.elapsed()),
        }
    }

    async fn count(&self, estimate: &Estimate, estimator: &CostEstimator) -> Usage {
        let reasoning_tokens = self.reasoning.tokens(estimator, &estimate.model).await;
        let text = self.text.tokens(estimator, &estimate.model).await;
        let output_tokens = text.saturating_add(reasoning_tokens);
        Usage {
            input_tokens: estimate.input_tokens,
            output_tokens,
            reasoning_tokens,
            total_tokens: estimate.input_tokens.saturating_add(output_tokens),
            ..Usage::default()
        }
    }
}
