//! What the tests share: a gateway in front of model servers, and a call read to its end.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use headwater_llm::{
    CallContext, Estimate, GatewayLlmService, GatewayOptions, Grant, Granted, LlmEvent, ModelMessage, ModelRequest,
    Protocol, ProviderConfig, Settlement, Wanted,
};
use headwater_protocol::api::Fallback;
use headwater_protocol::event::{FinishReason, Role};
use headwater_protocol::{AgentId, Money, Problem, RunId, TenantId, UserId};
use headwater_testkit::model::ModelServer;
use tokio_util::sync::CancellationToken;

/// A context of a tenant of its own.
pub(crate) fn ctx() -> CallContext {
    CallContext {
        tenant: TenantId::new(),
        user: UserId::new(),
        agent: AgentId::new(),
        run: RunId::new(),
        step: 1,
        priority: headwater_protocol::api::Priority::Interactive,
        weight: 1,
        cancel: CancellationToken::new(),
        prices: Default::default(),
        keys: Default::default(),
        ledger: Arc::new(headwater_llm::OpenLedger),
    }
}

/// Options with one provider per pair of name and base URL.
pub(crate) fn options<const N: usize>(providers: [(&str, String); N]) -> GatewayOptions {
    let provider = |(name, base_url): (&str, String)| {
        (name.to_owned(), ProviderConfig { base_url: Some(base_url), ..ProviderConfig::new(Protocol::OpenAiChat) })
    };
    GatewayOptions { providers: providers.into_iter().map(provider).collect(), ..GatewayOptions::default() }
}

/// A gateway whose provider `openai` is this server.
pub(crate) fn gateway(model: &ModelServer) -> GatewayLlmService {
    service(options([("openai", model.base_url())]))
}

/// A gateway that tries everything once.
pub(crate) fn once(base_url: String) -> GatewayLlmService {
    service(GatewayOptions { max_attempts: 1, ..options([("openai", base_url)]) })
}

pub(crate) fn service(options: GatewayOptions) -> GatewayLlmService {
    GatewayLlmService::new(options).expect("the options are good")
}

/// Asks `openai/gpt-4o` something short.
pub(crate) fn ask() -> ModelRequest {
    ask_of("openai/gpt-4o")
}

pub(crate) fn ask_of(model: &str) -> ModelRequest {
    ModelRequest::new(model, vec![ModelMessage::new(Role::User, "How are you?")])
}

pub(crate) fn fallback(model: &str) -> Fallback {
    Fallback { model: model.to_owned(), max_output_tokens: None }
}

/// A call that was read to its end.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) events: Vec<LlmEvent>,
    pub(crate) error: Option<Problem>,
}

impl Told {
    pub(crate) fn text(&self) -> String {
        let text = |event: &LlmEvent| if let LlmEvent::Text(text) = event { Some(text.clone()) } else { None };
        self.events.iter().filter_map(text).collect()
    }

    pub(crate) fn reasoning(&self) -> String {
        let text = |event: &LlmEvent| if let LlmEvent::Reasoning(text) = event { Some(text.clone()) } else { None };
        self.events.iter().filter_map(text).collect()
    }

    pub(crate) fn estimates(&self) -> Vec<&Estimate> {
        let estimates = self.events.iter();
        estimates
            .filter_map(|event| if let LlmEvent::Estimated(estimate) = event { Some(estimate) } else { None })
            .collect()
    }

    pub(crate) fn settlements(&self) -> Vec<&Settlement> {
        let settlements = self.events.iter();
        settlements
            .filter_map(|event| if let LlmEvent::Settled(settled) = event { Some(settled) } else { None })
            .collect()
    }

    pub(crate) fn finished(&self) -> Option<FinishReason> {
        match self.events.last() {
            Some(LlmEvent::Finished { finish_reason }) => Some(*finish_reason),
            _ => None,
        }
    }

    /// The error's code.
    pub(crate) fn code(&self) -> &str {
        self.error.as_ref().map_or("no error", |problem| problem.code.as_str())
    }
}

/// Reads a call to its end. An error must be the last item.
pub(crate) async fn read(call: impl Stream<Item = Result<LlmEvent, Problem>>) -> Told {
    let mut call = Box::pin(call);
    let mut told = Told::default();
    while let Some(item) = call.next().await {
        assert_eq!(told.error, None, "nothing follows an error, but {item:?}");
        match item {
            Ok(event) => told.events.push(event),
            Err(problem) => told.error = Some(problem),
        }
    }
    told
}

/// Reads a call until it has said this much text; gives the open call back.
pub(crate) async fn read_until<S>(mut call: std::pin::Pin<Box<S>>, text: &str) -> std::pin::Pin<Box<S>>
where
    S: Stream<Item = Result<LlmEvent, Problem>>,
{
    let mut said = String::new();
    while said != text {
        match call.next().await {
            Some(Ok(LlmEvent::Text(delta))) => said.push_str(&delta),
            Some(Ok(_)) => {}
            end => panic!("the call ended after {said:?} with {end:?}"),
        }
        assert!(text.starts_with(&said), "{said:?}");
    }
    call
}

/// Asks, and reads to the end.
pub(crate) async fn call(gateway: &GatewayLlmService, request: ModelRequest) -> Told {
    read(gateway.stream(ctx(), request)).await
}

/// A ledger that remembers what became of each reservation, and grants so much.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    pub(crate) lines: Arc<std::sync::Mutex<Vec<&'static str>>>,
    /// `None`: all that is asked for.
    pub(crate) grants: Option<Money>,
    /// How often it has nothing for now.
    pub(crate) busy: Arc<std::sync::atomic::AtomicU32>,
}

impl Book {
    pub(crate) fn lines(&self) -> Vec<&'static str> {
        self.lines.lock().expect("never poisoned").clone()
    }

    fn write(&self, line: &'static str) {
        self.lines.lock().expect("never poisoned").push(line);
    }

    /// A context of a tenant of its own, whose calls ask this ledger.
    pub(crate) fn ctx(&self) -> CallContext {
        CallContext { ledger: Arc::new(self.clone()), ..ctx() }
    }
}

impl headwater_llm::Ledger for Book {
    fn reserve<'a>(&'a self, call: Wanted<'a>) -> futures_util::future::BoxFuture<'a, Result<Grant, Problem>> {
        use std::sync::atomic::Ordering::Relaxed;
        if self.busy.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            self.write("busy");
            return Box::pin(async { Ok(Grant::Busy) });
        }
        self.write("reserved");
        let hold: Box<dyn headwater_llm::Hold> = Box::new(Entry { book: self.clone(), released: false });
        let wanted = call.bounds.map(|bounds| bounds.most).unwrap_or_default();
        let amount = self.grants.map_or(wanted, |most| most.min(wanted));
        let reservation = headwater_llm::Reservation::held(hold);
        Box::pin(
            async move { Ok(Grant::Granted(Granted { reservation, amount, strict: false, warnings: Vec::new() })) },
        )
    }
}

/// One reservation. What is neither given back nor still held stays for whoever settles it.
struct Entry {
    book: Book,
    released: bool,
}

impl headwater_llm::Hold for Entry {
    fn release(mut self: Box<Self>) -> futures_util::future::BoxFuture<'static, ()> {
        self.released = true;
        self.book.write("released");
        Box::pin(std::future::ready(()))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.released {
            self.book.write("kept");
        }
    }
}
