//! What is asked of a model, and for whom.
//!
//! Owns the provider-neutral request. Promises nothing about its values: those of an agent were checked where it was
//! written. Never holds a provider's own names; each provider translates.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use headwater_protocol::api::{
    Fallback, Priority, ReasoningEffort, ResponseFormat, TenantPrices, Timeouts, ToolChoice, split_model,
};
use headwater_protocol::event::Role;
use headwater_protocol::message::Detail;
use headwater_protocol::{AgentId, ArtifactId, CallId, RunId, TenantId, UserId};
use secrecy::SecretString;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;

/// For whom a model is called, and how the call is stopped.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Who pays, and in whose queue the call waits.
    pub tenant: TenantId,
    /// The tenant's user.
    pub user: UserId,
    /// The agent that asks.
    pub agent: AgentId,
    /// Its run.
    pub run: RunId,
    /// The step of the run.
    pub step: i32,
    /// Whether somebody waits for the answer: within a tenant those calls go first.
    pub priority: Priority,
    /// The tenant's share of what tenants that wait are served, beside others' weights. At least 1.
    pub weight: u32,
    /// Ends the call at its next await.
    pub cancel: CancellationToken,
    /// What the tenant pays, where that is not what the table says.
    pub prices: Arc<TenantPrices>,
    /// The tenant's own keys, by provider, used instead of the platform's. `None`: there is one that cannot be used, and then
    /// the provider is not asked.
    pub keys: Keys,
    /// Who grants money to the run.
    pub ledger: Arc<dyn Ledger>,
}

/// Keys of a tenant's own at providers.
pub type Keys = Arc<BTreeMap<String, Option<SecretString>>>;

/// Whether calls of this model go out with a key of the tenant's own.
pub fn has_own_key(keys: &Keys, model: &str) -> bool {
    split_model(model).is_some_and(|(provider, _)| keys.contains_key(provider))
}

/// One message of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMessage {
    /// Who speaks.
    pub role: Role,
    /// What they say.
    pub text: Arc<str>,
    /// What [`CostEstimator::tokens`](crate::CostEstimator::tokens) said about the text, if the caller remembers: saves
    /// counting a long history again at each step.
    pub tokens: Option<u64>,
    /// What an assistant's message calls.
    pub calls: Vec<ModelCall>,
    /// Which call a tool's message answers.
    pub answers: Option<CallId>,
    /// What a user's message shows beside its words, in the order of their places among those.
    pub attachments: Vec<Attachment>,
}

/// A picture or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Where it is kept.
    pub artifact: ArtifactId,
    /// Behind how many bytes of the message's text it stands.
    pub at: usize,
    /// What it is to the model.
    pub shown: Shown,
    /// What it is.
    pub media_type: Arc<str>,
    /// How large it is.
    pub size_bytes: u64,
    /// All of it; nothing before it is read.
    pub content: Bytes,
}

/// How a model sees an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// As a picture.
    Image(Detail),
    /// As a file of this name.
    File(Option<String>),
}

/// A call of a tool, as the model made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCall {
    /// The call.
    pub call: CallId,
    /// The tool.
    pub name: String,
    /// Its arguments, as JSON text.
    pub args: Arc<str>,
}

/// A tool that a model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelTool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: serde_json::Value,
}

impl ModelTool {
    /// Its words and its schema, as far as they cost tokens.
    pub fn text(&self) -> String {
        [self.name.as_str(), self.description.as_deref().unwrap_or_default(), &self.parameters.to_string()].join(" ")
    }
}

impl ModelMessage {
    /// A message whose tokens nobody has counted yet.
    pub fn new(role: Role, text: impl Into<Arc<str>>) -> Self {
        Self { role, text: text.into(), tokens: None, calls: Vec::new(), answers: None, attachments: Vec::new() }
    }

    /// What is said between two attachments, without the line break that joins parts of text.
    pub(crate) fn words(&self, from: usize, to: usize) -> Option<&str> {
        let said = self.text.get(from..to).unwrap_or_default();
        let said = if from > 0 { said.strip_prefix('\n').unwrap_or(said) } else { said };
        (!said.is_empty()).then_some(said)
    }

    /// What a tool answered to a call.
    pub fn answer(call: CallId, text: impl Into<Arc<str>>) -> Self {
        Self { answers: Some(call), ..Self::new(Role::Tool, text) }
    }
}

/// One question to a model, with the models to ask instead if its provider fails.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// `PROVIDER/model-id`.
    pub model: String,
    /// Other models, in order.
    pub fallbacks: Vec<Fallback>,
    /// The system prompt.
    pub instructions: Option<Arc<str>>,
    /// The context, oldest first.
    pub messages: Vec<ModelMessage>,
    /// Sent only if set.
    pub temperature: Option<f64>,
    /// Sent only if set.
    pub top_p: Option<f64>,
    /// The most that may come out. Without it: what the model can give.
    pub max_output_tokens: Option<u32>,
    /// Where the model has to stop.
    pub stop: Vec<String>,
    /// Sent only if set.
    pub seed: Option<i64>,
    /// Sent only if set.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// What the answer has to look like.
    pub response_format: ResponseFormat,
    /// What the model may call.
    pub tools: Vec<ModelTool>,
    /// Whether it does. Sent only with tools.
    pub tool_choice: ToolChoice,
    /// Whether it may call several at once. Sent only with tools.
    pub parallel_tool_calls: bool,
    /// Whether the provider is asked to keep the beginning of the request for the next one, where it has to be asked.
    pub prompt_caching: bool,
    /// How long each phase of an attempt may take, and all attempts together (`total_ms`, not counting time in queues).
    pub timeouts: Timeouts,
    /// How long the call may wait for permits, over all its attempts. 0 = not at all.
    pub max_queue_ms: u64,
    /// The place in memory of what the messages show: given back when they are needed no more.
    pub place: Place,
}

/// A share of a process' room for attachments, held as long as they are.
#[derive(Debug, Clone, Default)]
pub struct Place(pub Option<Arc<OwnedSemaphorePermit>>);

impl PartialEq for Place {
    /// Where a request lies is nothing of what it asks.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl ModelRequest {
    /// Lets go of what is asked, once it will not be asked again.
    pub(crate) fn let_go(&mut self) {
        self.messages = Vec::new();
        self.place = Place::default();
    }

    /// A question with every default.
    pub fn new(model: impl Into<String>, messages: Vec<ModelMessage>) -> Self {
        Self {
            model: model.into(),
            fallbacks: Vec::new(),
            instructions: None,
            messages,
            temperature: None,
            top_p: None,
            max_output_tokens: None,
            stop: Vec::new(),
            seed: None,
            reasoning_effort: None,
            response_format: ResponseFormat::Text {},
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
            prompt_caching: true,
            timeouts: Timeouts::default(),
            max_queue_ms: 60_000,
            place: Place::default(),
        }
    }
}
