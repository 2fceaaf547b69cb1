//! OpenAI Chat Completions, streamed.
//!
//! Owns the dialect: its body, and what its events mean. Promises a success only for the protocol's own end (a finish reason
//! **and** `[DONE]`).

mod answer;
mod body;
mod chunk;

use std::time::Duration;

use bytes::Bytes;
use headwater_protocol::api::Timeouts;
use headwater_protocol::{ErrorCode, Problem};
use secrecy::SecretString;
use tokio::time::Instant;

use self::answer::Completion;
use super::endpoint::{Endpoint, KeyIn, Opened, no_stream};
use super::reply::Reply;
use super::{Ask, MaxTokensField, ProviderConfig};
use crate::failure::Failure;
use crate::service::GatewayError;

const OPENAI: &str = "https://api.openai.com/v1";

/// An answer in this dialect.
pub(super) type Answer = Reply<Completion>;

/// A request's body, and what matters for reading its answer.
#[derive(Debug)]
pub(crate) struct Prepared {
    body: Bytes,
    offers_tools: bool,
}

/// A provider that speaks Chat Completions.
#[derive(Debug)]
pub(crate) struct OpenAi {
    endpoint: Endpoint,
    max_tokens_field: MaxTokensField,
}

impl OpenAi {
    pub(super) fn new(name: &str, config: &ProviderConfig) -> Result<Self, GatewayError> {
        let endpoint = Endpoint::new(name, config, OPENAI, &["chat", "completions"], KeyIn::Bearer)?;
        Ok(Self { endpoint, max_tokens_field: config.max_tokens_field })
    }

    pub(super) fn prepare(&self, ask: Ask<'_>) -> Result<Prepared, Problem> {
        let offers_tools = !ask.request.tools.is_empty();
        body::render(ask, self.max_tokens_field)
            .map(|body| Prepared { body, offers_tools })
            .map_err(|error| Problem::new(ErrorCode::Internal, format!("the request cannot be written: {error}")))
    }

    pub(super) fn host(&self) -> Option<String> {
        self.endpoint.host()
    }

    pub(super) async fn open(
        &self,
        prepared: &Prepared,
        own_key: Option<&SecretString>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<(Answer, Option<Duration>), Failure> {
        let Opened { response, key, is_stream, pause } =
            self.endpoint.open(prepared.body.clone(), own_key, timeouts, deadline).await?;
        if !is_stream {
            return Ok((Answer::unreadable(response, Completion::default(), no_stream()), pause));
        }
        Ok((Answer::new(response, Completion::default(), key, prepared.offers_tools), pause))
    }
}
