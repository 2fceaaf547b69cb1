//! The gateway to all models.
//!
//! Owns the providers of a process, their limiters, the prices and the estimator, and ties them together in one
//! method. Promises the order estimate → permit → reserve → call → stream → settle for every attempt. Never keeps anything
//! of a call once its stream is gone.

mod attach;
mod call;
mod metered;
mod pace;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use headwater_protocol::api::{Model, ModelPrice, TenantPrices, split_model};
use headwater_protocol::{ErrorCode, Problem, TenantId, Usage};
use secrecy::SecretString;

use crate::estimate::CostEstimator;
use crate::event::LlmEvent;
use crate::failure::Failure;
use crate::limiter::{ConcurrencyLimiter, Lanes, QueueBounds, Traffic};
use crate::metrics::Labels;
use crate::prices::{ModelFacts, Prices};
use crate::provider::{Provider, ProviderConfig};
use crate::request::{CallContext, Keys, ModelRequest};
use crate::retry::RetryPolicy;

/// What a gateway is made of.
pub struct GatewayOptions {
    /// `[providers.NAME]`, by name.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// What models cost.
    pub prices: Prices,
    /// Calls at a time of each model with each key, at each provider that does not say; 0 = no limit.
    pub max_concurrent: usize,
    /// Calls of one tenant that may wait for one model.
    pub max_waiting_per_tenant: usize,
    /// Calls of all tenants that may wait for one model.
    pub max_waiting: usize,
    /// Attempts at each model, the first one included.
    pub max_attempts: u32,
    /// A provider that wants to be left alone for longer than this is not asked again by the same call.
    pub max_retry_after: Duration,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            providers: BTreeMap::new(),
            prices: Prices::builtin(),
            max_concurrent: 256,
            max_waiting_per_tenant: 1000,
            max_waiting: 10_000,
            max_attempts: 3,
            max_retry_after: Duration::from_secs(30),
        }
    }
}

/// A configuration that no gateway can be made of.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The name could not stand in `PROVIDER/model-id`.
    #[error("providers.{provider}: a name has only a-z, 0-9, _ and -")]
    Name {
        /// The name.
        provider: String,
    },
    /// Not a URL, or neither http nor https.
    #[error("providers.{provider}: base_url must be an http or https URL")]
    BaseUrl {
        /// The provider's name.
        provider: String,
    },
    /// `background` where the dialect has none.
    #[error("providers.{provider}: only openai-responses knows background")]
    Background {
        /// The provider's name.
        provider: String,
    },
    /// The key holds characters that no header can.
    #[error("providers.{provider}: the key holds characters that cannot be sent")]
    ApiKey {
        /// The provider's name.
        provider: String,
    },
    /// No client could be set up: most likely the machine has no CA certificates.
    #[error("providers.{provider}: no HTTP client could be set up (are CA certificates installed?)")]
    Client {
        /// The provider's name.
        provider: String,
        /// Why.
        source: reqwest::Error,
    },
}

pub use self::attach::Attach;

/// Calls models. Cheap to clone; clones share everything.
#[doc(alias = "GatewayLLMService")]
#[derive(Clone)]
pub struct GatewayLlmService(Arc<Gateway>);

/// What all calls share.
struct Gateway {
    providers: BTreeMap<String, Registered>,
    prices: Arc<Prices>,
    estimator: CostEstimator,
    retry: RetryPolicy,
}

struct Registered {
    provider: Provider,
    lanes: Lanes,
}

impl GatewayLlmService {
    /// Sets up a client and a limiter for each provider. Connects to none.
    pub fn new(options: GatewayOptions) -> Result<Self, GatewayError> {
        let mut providers = BTreeMap::new();
        for (name, config) in options.providers {
            if split_model(&format!("{name}/x")).is_none_or(|(provider, _)| provider != name) {
                return Err(GatewayError::Name { provider: name });
            }
            let limit = config.max_concurrent.unwrap_or(options.max_concurrent);
            let bounds = QueueBounds { per_tenant: options.max_waiting_per_tenant, in_all: options.max_waiting };
            let lanes = Lanes::new(limit, bounds);
            let provider = Provider::new(&name, &config)?;
            providers.insert(name, Registered { provider, lanes });
        }
        let prices = Arc::new(options.prices);
        Ok(Self(Arc::new(Gateway {
            providers,
            estimator: CostEstimator::new(Arc::clone(&prices)),
            prices,
            retry: RetryPolicy { max_attempts: options.max_attempts.max(1), max_hint: options.max_retry_after },
        })))
    }

    /// Asks a model and streams its answer.
    ///
    /// The last item is `Ok(Finished)` or an `Err`; when `ctx.cancel` fires the stream ends without either, after a
    /// `Settled` if an attempt was under way. Dropping the stream at any point gives everything back. The run's own task
    /// does all the work by polling: nothing is spawned.
    pub fn stream(
        &self,
        ctx: CallContext,
        request: ModelRequest,
    ) -> impl Stream<Item = Result<LlmEvent, Problem>> + Send + use<> {
        call::stream(Arc::clone(&self.0), ctx, request)
    }

    /// Goes on with an answer that its provider keeps, and of which another process has read some. All of it is told again,
    /// from its first word; what follows is as for [`stream`](Self::stream), under the same id, and nothing is reserved: what
    /// was set aside for the call still is.
    ///
    /// An `Err` without a `Settled` before it: the provider does not have it any more, or does not answer, and the call is
    /// as lost as any whose process died.
    pub fn attach(
        &self,
        ctx: CallContext,
        attach: Attach,
    ) -> impl Stream<Item = Result<LlmEvent, Problem>> + Send + use<> {
        attach::stream(Arc::clone(&self.0), ctx, attach)
    }

    /// Whether this model's provider keeps answers.
    pub fn keeps(&self, model: &str) -> bool {
        self.0.find(model).is_ok_and(|(registered, _)| registered.provider.keeps())
    }

    /// Stops an answer that its provider keeps, as nobody will read it. What it used, if the provider says so in time.
    pub async fn stop(&self, keys: &Keys, model: &str, response: &str) -> Option<Usage> {
        let (registered, _) = self.0.find(model).ok()?;
        registered.provider.stop(response, own_key(keys, model).ok()?).await
    }

    /// How much goes on at each provider, by its name.
    pub fn traffic(&self) -> Vec<(String, Traffic)> {
        self.0.providers.iter().map(|(name, registered)| (name.clone(), registered.lanes.traffic())).collect()
    }

    /// Every limiter in use: of which model (`PROVIDER/model-id`, `PROVIDER/*` for those of which nothing is known), with whose key (`None`:
    /// the platform's).
    pub fn limiters(&self) -> Vec<(String, Option<TenantId>, ConcurrencyLimiter)> {
        let all = self.0.providers.iter().flat_map(|(name, registered)| {
            let lanes = registered.lanes.all().into_iter();
            lanes.map(move |(model, key_of, limiter)| {
                let model = model.unwrap_or_else(|| "*".into());
                let model = if model.contains('/') { model } else { format!("{name}/{model}") };
                (model, key_of, limiter)
            })
        });
        all.collect()
    }

    /// Lets go of connections to providers that nobody uses. Opens none.
    pub fn shed_connections(&self) {
        for registered in self.0.providers.values() {
            registered.provider.shed_connections();
        }
    }

    /// This process is one of several: how much of each limit is its part.
    pub fn set_share(&self, of: impl Fn(usize) -> usize) {
        for registered in self.0.providers.values() {
            registered.lanes.set_share(&of);
        }
    }

    /// Counts tokens, as the gateway itself does.
    pub fn estimator(&self) -> &CostEstimator {
        &self.0.estimator
    }

    /// What is known about a model: its window, its largest answer, its price.
    pub fn facts(&self, model: &str) -> Option<&ModelFacts> {
        self.0.prices.facts(model)
    }

    /// What a tenant pays for a token: see [`Prices::charged`].
    pub fn charged(&self, tenant: &TenantPrices, model: &str, own_key: bool, input_tokens: u64) -> Option<ModelPrice> {
        self.0.prices.charged(tenant, model, own_key, input_tokens)
    }

    /// Whether a model can be shown this; one of which nothing is known is not doubted.
    pub fn takes(&self, model: &str, shown: &crate::Shown) -> bool {
        self.0.takes(model, shown)
    }

    /// The host at which a provider is asked; `None` for one that there is not, or that is asked nowhere.
    pub fn provider_host(&self, provider: &str) -> Option<String> {
        self.0.providers.get(provider).and_then(|registered| registered.provider.host())
    }

    /// The limiter of a model, with the platform's key or, of this tenant, its own; `None` without such a provider.
    pub fn limiter(&self, model: &str, key_of: Option<TenantId>) -> Option<ConcurrencyLimiter> {
        self.0.find(model).ok().map(|(registered, _)| self.0.lane(registered, model, key_of))
    }

    /// Whether the model's provider is configured; else `model_not_found`. Its id is the provider's business.
    pub fn check_model(&self, model: &str) -> Result<(), Problem> {
        self.0.find(model).map(|_| ())
    }

    /// The models worth listing: those of the price table whose provider is configured, and the scripted ones.
    pub fn models(&self) -> Vec<Model> {
        let mut models = Vec::new();
        for (name, registered) in &self.0.providers {
            for own in registered.provider.own_models() {
                let id = format!("{name}/{own}");
                models.push(model(&id, name, self.0.prices.facts(&id)));
            }
            models.extend(self.0.prices.listed(name).map(|(id, facts)| model(id, name, Some(facts))));
        }
        models
    }
}

impl std::fmt::Debug for GatewayLlmService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayLlmService").field("providers", &self.0.providers.keys()).finish_non_exhaustive()
    }
}

impl Gateway {
    fn takes(&self, model: &str, shown: &crate::Shown) -> bool {
        let Some(facts) = self.prices.facts(model) else { return true };
        let takes = |modality: &str| facts.input_modalities.iter().any(|known| known == modality);
        match shown {
            crate::Shown::Image(_) => takes("image"),
            // Where files are taken, a page is looked at as a picture.
            crate::Shown::File(_) => takes("file") || takes("image"),
        }
    }

    /// How a model is called where it is counted.
    fn labels(&self, model: &str) -> Labels {
        Labels::new(model, self.prices.facts(model).map(|facts| facts.entry.as_str()))
    }

    /// Which limiter a model's calls pass.
    fn lane(&self, registered: &Registered, model: &str, key_of: Option<TenantId>) -> ConcurrencyLimiter {
        registered.lanes.lane(self.prices.facts(model).map(|facts| facts.entry.as_str()), key_of)
    }

    /// The model's provider, and its id there.
    fn find<'a>(&self, model: &'a str) -> Result<(&Registered, &'a str), Problem> {
        let not_found = |detail: String| Problem::new(ErrorCode::ModelNotFound, detail);
        let (name, id) = split_model(model)
            .ok_or_else(|| not_found("a model is written PROVIDER/model-id, such as openai/gpt-5-mini".to_owned()))?;
        match self.providers.get(name) {
            Some(registered) => Ok((registered, id)),
            None => {
                let known: Vec<_> = self.providers.keys().map(String::as_str).collect();
                Err(not_found(format!("there is no provider {name}; configured: {}", known.join(", "))))
            }
        }
    }
}

/// The tenant's own key for this model's provider, if it has one; `Err`: one that cannot be used.
fn own_key<'a>(keys: &'a Keys, model: &str) -> Result<Option<&'a SecretString>, Failure> {
    match split_model(model).and_then(|(provider, _)| keys.get(provider)) {
        None => Ok(None),
        Some(Some(key)) => Ok(Some(key)),
        Some(None) => {
            let words = "the tenant's key for this provider is of another host: set it anew";
            Err(Failure::new(ErrorCode::ProviderAuthFailed, words).with_own_key())
        }
    }
}

fn model(id: &str, provider: &str, facts: Option<&ModelFacts>) -> Model {
    Model {
        id: id.to_owned(),
        object: "model".to_owned(),
        provider: provider.to_owned(),
        input_modalities: facts.map_or_else(|| vec!["text".to_owned()], |facts| facts.input_modalities.clone()),
        context_window: facts.and_then(|facts| facts.context_window),
        max_output_tokens: facts.and_then(|facts| facts.max_output_tokens),
        price: facts.and_then(|facts| facts.price),
        key: "platform".to_owned(),
    }
}
