//! OpenAI Chat Completions, streamed.
//!
//! Owns the dialect: its body, and what its events mean. Promises a success only for the protocol's own end (a finish reason
//! **and** `[DONE]`).

mod answer;
mod body;
mod chunk;

use headwater_protocol::Problem;

pub(super) use self::answer::Completion;
use super::endpoint::{Endpoint, KeyIn, Question};
use super::{Ask, MaxTokensField, ProviderConfig};
use crate::service::GatewayError;

const OPENAI: &str = "https://api.openai.com/v1";

pub(super) fn endpoint(name: &str, config: &ProviderConfig) -> Result<Endpoint, GatewayError> {
    Endpoint::new(name, config, OPENAI, &["chat", "completions"], KeyIn::Bearer)
}

pub(super) fn prepare(ask: Ask<'_>, limit: MaxTokensField) -> Result<Question, Problem> {
    Question::new(ask, body::render(ask, limit))
}
