//! Anthropic Messages, streamed.
//!
//! Owns the dialect: its body, and what its events mean. Promises a success only for the protocol's own end (a stop reason
//! **and** `message_stop`). What the protocol does not know is left out: `seed`.

mod answer;
mod body;

use std::time::Duration;

use bytes::Bytes;
use headwater_protocol::api::Timeouts;
use headwater_protocol::{ErrorCode, Problem};
use secrecy::SecretString;
use tokio::time::Instant;

use self::answer::Message;
use super::endpoint::{Endpoint, KeyIn, Opened, no_stream};
use super::reply::Reply;
use super::{Ask, ProviderConfig};
use crate::failure::Failure;
use crate::service::GatewayError;

const ANTHROPIC: &str = "https://api.anthropic.com/v1";
/// The version of the protocol that is spoken here.
const VERSION: &str = "2023-06-01";

/// An answer in this dialect.
pub(super) type Answer = Reply<Message>;

/// A request's body, and what matters for reading its answer.
#[derive(Debug)]
pub(crate) struct Prepared {
    body: Bytes,
    offers_tools: bool,
}

/// A provider that speaks Messages.
#[derive(Debug)]
pub(crate) struct Anthropic(Endpoint);

impl Anthropic {
    pub(super) fn new(name: &str, config: &ProviderConfig) -> Result<Self, GatewayError> {
        let endpoint = Endpoint::new(name, config, ANTHROPIC, &["messages"], KeyIn::Header("x-api-key"))?;
        Ok(Self(endpoint.with("anthropic-version", VERSION)))
    }

    pub(super) fn prepare(&self, ask: Ask<'_>) -> Result<Prepared, Problem> {
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
            return Ok((Answer::unreadable(response, Message::default(), no_stream()), pause));
        }
        Ok((Answer::new(response, Message::default(), key, prepared.offers_tools), pause))
    }
}
