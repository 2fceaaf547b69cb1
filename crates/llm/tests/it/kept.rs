//! Answers that their provider keeps: read on where a connection was lost, by another process, or stopped.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use headwater_llm::{
    Attach, CallContext, Estimate, GatewayLlmService, GatewayOptions, Grant, Ledger, LlmEvent, ModelRequest,
    OpenLedger, Outcome, Protocol, ProviderConfig, Wanted,
};
use headwater_protocol::event::FinishReason;
use headwater_protocol::{ModelCallId, Problem};
use headwater_testkit::KeepingModel;
use headwater_testkit::keeping::{FIRST, USAGE};

use crate::support::{ask_of, ctx, read, service};

const WORDS: [&str; 3] = ["One, ", "two, ", "three."];
const WHOLE: &str = "One, two, three.";
const MODEL: &str = "openai/gpt-5-mini";

fn gateway_that(provider: &KeepingModel, background: bool) -> GatewayLlmService {
    let config = ProviderConfig {
        base_url: Some(provider.base_url()),
        background,
        ..ProviderConfig::new(Protocol::OpenAiResponses)
    };
    service(GatewayOptions { providers: [("openai".to_owned(), config)].into(), ..GatewayOptions::default() })
}

fn gateway(provider: &KeepingModel) -> GatewayLlmService {
    gateway_that(provider, true)
}

fn ask() -> ModelRequest {
    ask_of(MODEL)
}

fn attach() -> Attach {
    Attach {
        estimate: Estimate {
            model_call: ModelCallId::new(),
            model: MODEL.into(),
            attempt: 1,
            input_tokens: 12,
            expected: None,
            reserve: None,
        },
        response: FIRST.into(),
        set_aside: None,
        offers_tools: false,
        timeouts: ask().timeouts,
    }
}

#[tokio::test]
async fn a_lost_connection_costs_nothing() {
    for positions in [true, false] {
        let provider = KeepingModel::words(&WORDS, Some(3));
        if !positions {
            provider.ignore_positions();
        }
        let told = read(gateway(&provider).stream(ctx(), ask())).await;
        assert_eq!((told.text().as_str(), told.finished()), (WHOLE, Some(FinishReason::Stop)), "{told:?}");
        let call = told.estimates()[0].model_call;
        let kept = |event: &&LlmEvent| matches!(event, LlmEvent::Kept { .. });
        let kept: Vec<_> = told.events.iter().filter(kept).collect();
        assert_eq!(
            kept,
            [&LlmEvent::Kept { model_call: call, model: MODEL.into(), response: FIRST.into() }],
            "it is told once"
        );
        let [settled] = told.settlements()[..] else { panic!("one settlement: {told:?}") };
        assert_eq!((settled.model_call, settled.usage.output_tokens, settled.estimated), (call, USAGE[1], false));
        let read_on = "GET /v1/responses/resp_1?stream=true&starting_after=2";
        assert_eq!(provider.asked(), ["POST /v1/responses", read_on]);
        let body = provider.requests()[0].json();
        assert_eq!((&body["background"], &body["store"]), (&true.into(), &true.into()));
    }
}

#[tokio::test]
async fn what_nobody_keeps_is_lost() {
    let provider = KeepingModel::words(&WORDS, Some(3));
    let told = read(gateway_that(&provider, false).stream(ctx(), ask())).await;
    assert_eq!((told.text().as_str(), told.code()), ("One, two, ", "provider_truncated"));
    assert_eq!(provider.asked(), ["POST /v1/responses"]);
    assert_eq!(provider.requests()[0].json()["background"], serde_json::Value::Null);
    let provider = KeepingModel::words(&WORDS, Some(3));
    provider.forget();
    assert_eq!(read(gateway(&provider).attach(ctx(), attach())).await.code(), "provider_rejected", "404");
}

#[tokio::test]
async fn another_process_reads_it_from_its_beginning() {
    let provider = KeepingModel::words(&WORDS, None);
    let (gateway, attach) = (gateway(&provider), attach());
    let told = read(gateway.attach(ctx(), attach.clone())).await;
    assert_eq!((told.text().as_str(), told.finished()), (WHOLE, Some(FinishReason::Stop)), "{told:?}");
    let [settled] = told.settlements()[..] else { panic!("one settlement: {told:?}") };
    assert_eq!((settled.model_call, settled.usage.output_tokens), (attach.estimate.model_call, USAGE[1]));
    assert!(told.estimates().is_empty(), "nothing new is announced");
    assert_eq!(provider.asked(), ["GET /v1/responses/resp_1?stream=true"]);

    let unknown = Attach { estimate: Estimate { model: "nowhere/x".into(), ..attach.estimate.clone() }, ..attach };
    let told = read(gateway.attach(ctx(), unknown)).await;
    assert_eq!((told.code(), told.settlements().len()), ("model_not_found", 0));
}

#[tokio::test]
async fn one_that_is_not_wanted_is_stopped_and_says_what_it_used() {
    let provider = KeepingModel::words(&WORDS, Some(2));
    provider.hold(true);
    let (gateway, ctx) = (gateway(&provider), ctx());
    let cancel = ctx.cancel.clone();
    let call = read(gateway.stream(ctx, ask()));
    let cancelling = async {
        // Its connection is lost, and the rest of it does not come.
        provider.until_asked(2).await;
        cancel.cancel();
    };
    let (told, ()) = tokio::join!(call, cancelling);
    assert_eq!((told.text().as_str(), told.error.as_ref()), ("One, ", None));
    let [settled] = told.settlements()[..] else { panic!("one settlement: {told:?}") };
    assert_eq!((settled.outcome, settled.usage.output_tokens), (Outcome::Cancelled, USAGE[1]));
    assert_eq!(provider.asked().last().map(String::as_str), Some("POST /v1/responses/resp_1/cancel"));
    let usage = gateway.stop(&Default::default(), MODEL, FIRST).await;
    assert_eq!(usage.map(|usage| usage.total_tokens), Some(USAGE[0] + USAGE[1]));
}

/// The ledger of a run that somebody else has taken over.
#[derive(Debug)]
struct Elsewhere;

impl Ledger for Elsewhere {
    fn reserve<'a>(&'a self, call: Wanted<'a>) -> BoxFuture<'a, Result<Grant, Problem>> {
        OpenLedger.reserve(call)
    }

    fn is_owner(&self) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(false))
    }
}

#[tokio::test]
async fn one_that_somebody_else_reads_is_not_stopped() {
    let provider = KeepingModel::words(&WORDS, Some(2));
    provider.hold(true);
    let ctx = CallContext { ledger: Arc::new(Elsewhere), ..ctx() };
    let cancel = ctx.cancel.clone();
    let call = read(gateway(&provider).stream(ctx, ask()));
    let cancelling = async {
        // Its connection is lost, and the rest of it does not come.
        provider.until_asked(2).await;
        cancel.cancel();
    };
    let (told, ()) = tokio::join!(call, cancelling);
    let [settled] = told.settlements()[..] else { panic!("one settlement: {told:?}") };
    assert!(settled.estimated);
    assert_eq!(provider.asked().len(), 2, "{:?}", provider.asked());
}

#[test]
fn only_one_dialect_keeps() {
    let config = ProviderConfig { background: true, ..ProviderConfig::new(Protocol::AnthropicMessages) };
    let options = GatewayOptions { providers: [("a".to_owned(), config)].into(), ..GatewayOptions::default() };
    let refused = GatewayLlmService::new(options).err().map(|error| error.to_string());
    assert_eq!(refused.as_deref(), Some("providers.a: only openai-responses knows background"));
}
