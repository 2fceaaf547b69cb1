//! Anthropic Messages, streamed.
//!
//! Owns the dialect: its body, and what its events mean. Promises a success only for the protocol's own end (a stop reason
//! **and** `message_stop`). What the protocol does not know is left out: `seed`.

mod answer;
mod body;

use headwater_protocol::Problem;

pub(super) use self::answer::Message;
use super::endpoint::{Endpoint, KeyIn, Question};
use super::{Ask, ProviderConfig};
use crate::service::GatewayError;

const ANTHROPIC: &str = "https://api.anthropic.com/v1";
/// The version of the protocol that is spoken here.
const VERSION: &str = "2023-06-01";

pub(super) fn endpoint(name: &str, config: &ProviderConfig) -> Result<Endpoint, GatewayError> {
    let endpoint = Endpoint::new(name, config, ANTHROPIC, &["messages"], KeyIn::Header("x-api-key"))?;
    Ok(endpoint.with("anthropic-version", VERSION))
}

pub(super) fn prepare(ask: Ask<'_>) -> Result<Question, Problem> {
    Question::new(ask, body::render(ask))
}
