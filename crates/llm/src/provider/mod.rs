//! Providers: who is asked, and in which dialect.
//!
//! Owns the configuration of `[providers.NAME]` and the shape that every dialect has: prepare once per model, open once per
//! attempt, then read pieces. Promises that reading is safe to cancel at any await. Never retries, queues or settles; that
//! is the [service](crate::service).

mod anthropic;
mod connect;
mod data_url;
mod endpoint;
mod openai;
mod reply;
mod responses;
mod scripted;

use std::time::Duration;

use headwater_protocol::api::Timeouts;
use headwater_protocol::event::FinishReason;
use headwater_protocol::{Problem, Usage};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::Instant;

use self::endpoint::{Endpoint, Question};
use self::reply::Reply;
use crate::failure::Failure;
use crate::request::ModelRequest;
use crate::service::GatewayError;

/// The dialect that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// OpenAI's Chat Completions, and everything that imitates it.
    #[serde(rename = "openai-chat")]
    OpenAiChat,
    /// OpenAI's Responses.
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    /// Anthropic's Messages.
    AnthropicMessages,
    /// The built-in model that needs no network.
    Scripted,
}

/// Which field limits the answer. Newer models of OpenAI refuse the old name, most imitators do not know the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_completion_tokens` for models named `o1`…`o9`, `gpt-5` and up; `max_tokens` for all others.
    #[default]
    Auto,
    /// `max_tokens`, always.
    MaxTokens,
    /// `max_completion_tokens`, always.
    MaxCompletionTokens,
}

/// One `[providers.NAME]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its dialect.
    pub protocol: Protocol,
    /// Where it is, up to and without `/chat/completions` or `/messages`. Without it: OpenAI, or Anthropic.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The environment variable that holds the key. For whoever reads the configuration: the gateway looks at `api_key` only.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The key, sent as a bearer token, or as `x-api-key` to Anthropic. Never read from a file.
    #[serde(skip)]
    pub api_key: Option<SecretString>,
    /// Calls at a time; 0 = no limit. Without it: [`GatewayOptions::max_concurrent`](crate::GatewayOptions).
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// Which field limits the answer.
    #[serde(default)]
    pub max_tokens_field: MaxTokensField,
    /// Whether its answers go on when nobody reads them, so that whoever takes a run over reads on instead of asking, and
    /// paying, once more. The provider keeps each answer for that (`background` and `store` of OpenAI Responses, whose own
    /// rules say for how long). No other dialect has it.
    #[serde(default)]
    pub background: bool,
}

impl ProviderConfig {
    /// A provider of this dialect with every default.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            base_url: None,
            api_key_env: None,
            api_key: None,
            max_concurrent: None,
            max_tokens_field: MaxTokensField::Auto,
            background: false,
        }
    }
}

/// One thing that an open answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The provider keeps the answer under this id.
    Kept(String),
    Reasoning(String),
    Text(String),
    /// A call begins.
    ToolCall {
        index: usize,
        name: String,
    },
    /// More of its arguments.
    ToolArgs {
        index: usize,
        delta: String,
    },
    /// The protocol's own end was seen. Nothing follows.
    End(FinishReason),
}

/// What is asked of a dialect for one model: everything but the attempt itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// The id behind the provider's name.
    pub(crate) model_id: &'a str,
    pub(crate) request: &'a ModelRequest,
    pub(crate) max_output_tokens: u32,
    /// Our own count; what the scripted model reports.
    pub(crate) input_tokens: u64,
}

/// A provider, ready to be asked.
#[derive(Debug)]
pub(crate) enum Provider {
    Http { endpoint: Box<Endpoint>, speaks: Speaks },
    Scripted,
}

/// What is spoken at an endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Speaks {
    Chat(MaxTokensField),
    Responses(Lives),
    Messages,
}

/// What becomes of an answer that nobody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lives {
    /// It ends with its connection, and is forgotten.
    WithConnection,
    /// It goes on, and can be read again.
    Kept,
}

/// A request in its provider's dialect; serves every attempt at its model.
#[derive(Debug)]
pub(crate) enum Prepared {
    Question(Question),
    Scripted(scripted::Script),
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) enum Answer {
    Chat(Box<Reply<openai::Completion>>),
    Responses(Box<Reply<responses::Responding>>),
    Messages(Box<Reply<anthropic::Message>>),
    Scripted(scripted::Answer),
}

impl Provider {
    pub(crate) fn new(name: &str, config: &ProviderConfig) -> Result<Self, GatewayError> {
        if config.background && config.protocol != Protocol::OpenAiResponses {
            return Err(GatewayError::Background { provider: name.to_owned() });
        }
        let lives = if config.background { Lives::Kept } else { Lives::WithConnection };
        let (endpoint, speaks) = match config.protocol {
            Protocol::OpenAiChat => (openai::endpoint(name, config)?, Speaks::Chat(config.max_tokens_field)),
            Protocol::OpenAiResponses => (responses::endpoint(name, config)?, Speaks::Responses(lives)),
            Protocol::AnthropicMessages => (anthropic::endpoint(name, config)?, Speaks::Messages),
            Protocol::Scripted => return Ok(Self::Scripted),
        };
        Ok(Self::Http { endpoint: Box::new(endpoint), speaks })
    }

    /// The models that a provider has besides those of the price table.
    pub(crate) fn own_models(&self) -> &'static [&'static str] {
        match self {
            Self::Http { .. } => &[],
            Self::Scripted => scripted::MODELS,
        }
    }

    pub(crate) fn prepare(&self, ask: Ask<'_>) -> Result<Prepared, Problem> {
        match self {
            Self::Http { speaks: Speaks::Chat(limit), .. } => openai::prepare(ask, *limit).map(Prepared::Question),
            Self::Http { speaks: Speaks::Responses(lives), .. } => {
                responses::prepare(ask, *lives).map(Prepared::Question)
            }
            Self::Http { speaks: Speaks::Messages, .. } => anthropic::prepare(ask).map(Prepared::Question),
            Self::Scripted => scripted::Script::new(ask).map(Prepared::Scripted),
        }
    }

    /// Where it is asked.
    pub(crate) fn host(&self) -> Option<String> {
        match self {
            Self::Http { endpoint, .. } => endpoint.host(),
            Self::Scripted => None,
        }
    }

    /// Sends the request and waits for the answer's beginning; for how long the provider takes nothing more, if it told.
    /// `own_key`: instead of the platform's. `deadline` is the end of all attempts together.
    pub(crate) async fn open(
        &self,
        prepared: &Prepared,
        own_key: Option<&SecretString>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<(Answer, Option<Duration>), Failure> {
        let (endpoint, speaks, question) = match (self, prepared) {
            (Self::Http { endpoint, speaks }, Prepared::Question(question)) => (endpoint, speaks, question),
            (_, Prepared::Scripted(script)) => return script.open().map(|answer| (Answer::Scripted(answer), None)),
            (Self::Scripted, Prepared::Question(_)) => return Err(Failure::invalid("prepared for another provider")),
        };
        match speaks {
            Speaks::Chat(_) => {
                let (reply, pause) = endpoint.ask(question, own_key, timeouts, deadline).await?;
                Ok((Answer::Chat(reply), pause))
            }
            Speaks::Responses(_) => {
                let (reply, pause) = endpoint.ask(question, own_key, timeouts, deadline).await?;
                Ok((Answer::Responses(reply), pause))
            }
            Speaks::Messages => {
                let (reply, pause) = endpoint.ask(question, own_key, timeouts, deadline).await?;
                Ok((Answer::Messages(reply), pause))
            }
        }
    }

    /// Lets go of connections that nobody uses.
    pub(crate) fn shed_connections(&self) {
        if let Self::Http { endpoint, .. } = self {
            endpoint.shed_connections();
        }
    }

    /// Whether answers are kept here, and can be read again.
    pub(crate) fn keeps(&self) -> bool {
        matches!(self, Self::Http { speaks: Speaks::Responses(Lives::Kept), .. })
    }

    /// Reads an answer that is kept here from its beginning, whoever asked for it.
    pub(crate) async fn fetch(
        &self,
        response: &str,
        offers_tools: bool,
        own_key: Option<&SecretString>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let Self::Http { endpoint, .. } = self else { return Err(keeps_none()) };
        let opened = endpoint.fetch(response, None, own_key, timeouts, deadline).await?;
        Ok(Answer::Responses(Box::new(opened.into_reply(offers_tools))))
    }

    /// Goes on reading an answer that is kept, where its connection was lost.
    pub(crate) async fn reopen(
        &self,
        answer: &mut Answer,
        own_key: Option<&SecretString>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let (Self::Http { endpoint, .. }, Answer::Responses(reply)) = (self, answer) else { return Err(keeps_none()) };
        let Some(kept) = reply.kept() else { return Err(keeps_none()) };
        // Without a number there is no telling where to go on.
        let Some(last) = kept.last else { return Err(keeps_none()) };
        let opened = endpoint.fetch(&kept.id, Some(last), own_key, timeouts, deadline).await?;
        reply.go_on(opened.into_stream()?);
        Ok(())
    }

    /// Stops an answer that is kept, for nobody wants it any more, and says what it used, as far as the provider tells.
    pub(crate) async fn stop(&self, response: &str, own_key: Option<&SecretString>) -> Option<Usage> {
        let Self::Http { endpoint, .. } = self else { return None };
        responses::usage_of(&endpoint.stop(response, own_key).await?)
    }
}

fn keeps_none() -> Failure {
    Failure::invalid("the provider keeps no answers").final_here()
}

impl Answer {
    /// The next piece. Safe to cancel: what was read is not lost.
    pub(crate) async fn next(&mut self) -> Result<Piece, Failure> {
        match self {
            Self::Chat(answer) => answer.next().await,
            Self::Responses(answer) => answer.next().await,
            Self::Messages(answer) => answer.next().await,
            Self::Scripted(answer) => answer.next().await,
        }
    }

    /// When the last event came, whether or not it held a delta. Comments that only keep a line open do not count.
    pub(crate) fn last_event(&self) -> Instant {
        match self {
            Self::Chat(answer) => answer.last_event(),
            Self::Responses(answer) => answer.last_event(),
            Self::Messages(answer) => answer.last_event(),
            Self::Scripted(answer) => answer.last_event(),
        }
    }

    /// The provider's id of an answer that it keeps.
    pub(crate) fn kept(&self) -> Option<&str> {
        match self {
            Self::Responses(answer) => answer.kept().map(|kept| kept.id.as_str()),
            Self::Chat(_) | Self::Messages(_) | Self::Scripted(_) => None,
        }
    }

    /// The usage as the provider told it, if it has.
    pub(crate) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Chat(answer) => answer.usage(),
            Self::Responses(answer) => answer.usage(),
            Self::Messages(answer) => answer.usage(),
            Self::Scripted(answer) => answer.usage(),
        }
    }
}
