//! OpenAI Responses, streamed.
//!
//! Owns the dialect: its body, and what its events mean. Promises a success only for the protocol's own end
//! (`response.completed` or `response.incomplete`), and that the provider is asked to keep nothing (`store: false`) unless the
//! operator wants answers that can be read again (`background`).

mod answer;
mod body;

use headwater_protocol::Problem;

pub(super) use self::answer::{Responding, usage_of};
use super::endpoint::{Endpoint, KeyIn, Question};
use super::{Ask, Lives, ProviderConfig};
use crate::service::GatewayError;

const OPENAI: &str = "https://api.openai.com/v1";

pub(super) fn endpoint(name: &str, config: &ProviderConfig) -> Result<Endpoint, GatewayError> {
    Endpoint::new(name, config, OPENAI, &["responses"], KeyIn::Bearer)
}

pub(super) fn prepare(ask: Ask<'_>, lives: Lives) -> Result<Question, Problem> {
    Question::new(ask, body::render(ask, lives))
}
