//! Calls of language models: what they will cost, who may go first, and what happens when they fail.
//!
//! Owns the one door to model providers, [`GatewayLlmService::stream`], and behind it the order that no caller can get
//! wrong: **estimate → permit → reserve → call → stream → settle**.
//! Promises that a call ends in exactly one of [`LlmEvent::Finished`], an error, or (when its token was cancelled)
//! silence after what was used is settled; that a failed attempt is repeated only while nothing of it was forwarded;
//! that dropping the stream gives the permit and the reservation back and closes the provider's connection.
//! Never spawns a task for a call, never writes to a database, and never shows a provider's key.
//!
//! | module | holds |
//! |---|---|
//! | [`request`] | what is asked, and for whom |
//! | [`event`] | what a call tells while it runs |
//! | [`service`] | the one deep method |
//! | [`estimate`] | tokens and the two numbers of money |
//! | `learnt` | what settled calls have taught of models and agents |
//! | [`prices`] | `config/pricing.toml` and the arithmetic of cost |
//! | [`limiter`] | the queue in front of each model: whose turn it is, and how many a provider takes at a time |
//! | [`ledger`] | the seam where budgets are reserved |
//! | [`provider`] | OpenAI Chat Completions and Responses, Anthropic Messages and the scripted model |
//! | [`sse`] | the decoder of server-sent events |
//! | `metrics` | what is counted of calls |
//! | `retry`, `failure` | which failures are tried again, and how each is named |

pub mod estimate;
pub mod event;
mod failure;
mod learnt;
pub mod ledger;
pub mod limiter;
mod metrics;
pub mod prices;
pub mod provider;
pub mod request;
mod retry;
pub mod service;
pub mod sse;

pub use estimate::{CostEstimator, attachment_tokens};
pub use event::{Estimate, LlmEvent, Outcome, Settlement};
pub use ledger::{
    Bounds, BudgetWarning, Grant, Granted, Hold, Ledger, OpenLedger, Reservation, USEFUL_OUTPUT_TOKENS, Wanted,
};
pub use limiter::{BreakerNow, ConcurrencyLimiter, LimiterState, Permit, QueueBounds, Traffic};
pub use prices::{ModelFacts, Prices};
pub use provider::{MaxTokensField, Protocol, ProviderConfig};
pub use request::{
    Attachment, CallContext, Keys, ModelCall, ModelMessage, ModelRequest, ModelTool, Place, Shown, has_own_key,
};
pub use service::{Attach, GatewayError, GatewayLlmService, GatewayOptions};
