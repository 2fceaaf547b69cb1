//! OpenAI Responses, streamed.
//!
//! Owns the dialect: its body, and what its events mean. Promises a success only for the protocol's own end
//! (`response.completed` or `response.incomplete`), and that the provider is asked to keep nothing (`store: false`).

mod answer;
mod body;

use std::time::Duration;

use bytes::Bytes;
use headwater_protocol::api::Timeouts;
use headwater_protocol::{ErrorCode, Problem};
use secrecy::SecretString;
use tokio::time::Instant;

use self::answer::Responding;
use super::endpoint::{Endpoint, KeyIn, Opened, no_stream};
use super::reply::Reply;
use super::{Ask, ProviderConfig};
use crate::failure::Failure;
use crate::service::GatewayError;

const OPENAI: &str = "https://api.openai.com/v1";

/// An answer in this dialect.
pub(super) type Answer = Reply<Responding>;

/// A request's body, and what matters for reading its answer.
#[derive(Debug)]
pub(crate) struct Prepared {
    body: Bytes,
    offers_tools: bool,
}

/// A provider that speaks Responses.
#[derive(Debug)]
pub(crate) struct Responses(Endpoint);

impl Responses {
    pub(super) fn new(name: &str, config: &ProviderConfig) -> Result<Self, GatewayError> {
        Endpoint::new(name, config, OPENAI, &["responses"], KeyIn::Bearer).map(Self)
    }

    pub(super) fn prepare(ask: Ask<'_>) -> Result<Prepared, Problem> {
        let offers_tools = !ask.request.tools.is_empty();
        body::render(ask)
            .map(|body| Prepared { body, offers_tools })
            .map_err(|error| Problem::new(ErrorCode::Internal, format!("the request cannot be written: {error}")))
    }

    pub(super) fn host(&self) -> Option<String> {
        self.0.host()
    }

    pub(super) async fn open(
        &self,
        prepared: &Prepared,
        own_key: Option<&SecretString>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<(Answer, Option<Duration>), Failure> {
        let Opened { response, key, is_stream, pause } =
            self.0.open(prepared.body.clone(), own_key, timeouts, deadline).await?;
        if !is_stream {
            return Ok((Answer::unreadable(response, Responding::default(), no_stream()), pause));
        }
        Ok((Answer::new(response, Responding::default(), key, prepared.offers_tools), pause))
    }
}
