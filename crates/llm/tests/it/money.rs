//! The ledger's part, and the list of models.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use headwater_llm::{
    CallContext, Estimate, GatewayOptions, Ledger, LlmEvent, Prices, Protocol, ProviderConfig, Reservation,
};
use headwater_protocol::{ErrorCode, Money, Problem};
use headwater_testkit::model::{ModelServer, Reply};

use crate::support::*;

#[tokio::test]
async fn every_answered_attempt_is_settled_and_every_other_released() {
    let model =
        ModelServer::start([Reply::status(500).retry_after_ms(1), Reply::tokens(1).cut_after(0), Reply::text("fine")]);
    let book = Book::default();
    let ledger = Arc::new(book.clone());
    let told = call(&service(GatewayOptions { ledger, ..options([("openai", model.base_url())]) }), ask()).await;
    assert_eq!(told.text(), "fine");
    let expected = ["reserved", "released", "reserved", "settled failed", "reserved", "settled completed"];
    assert_eq!(book.lines(), expected);
}

struct Broke;

impl Ledger for Broke {
    fn reserve<'a>(&'a self, _: &'a CallContext, _: &'a Estimate) -> BoxFuture<'a, Result<Reservation, Problem>> {
        Box::pin(async { Err(Problem::new(ErrorCode::BudgetExhausted, "no money left")) })
    }
}

#[tokio::test]
async fn without_money_nobody_is_asked_and_no_place_is_taken() {
    let model = ModelServer::start(Reply::text("x"));
    let gateway = service(GatewayOptions { ledger: Arc::new(Broke), ..options([("openai", model.base_url())]) });
    let told = call(&gateway, ask()).await;
    assert_eq!(told.code(), "budget_exhausted");
    assert!(matches!(told.events[..], [LlmEvent::Estimated(_)]));
    assert_eq!(model.requests().len(), 0);
    assert_eq!(gateway.limiter("openai").expect("configured").in_use(), 0);
}

#[tokio::test]
async fn the_long_context_tier_is_chosen_by_what_really_went_in() {
    let prices = "[tokens]\ndefault_factor_ppm = 1_000_000\nfamilies = []\n[models]\n\"openai/m\" = { input_pico_usd = 1000, \
        output_pico_usd = 2000, long_context = { above_input_tokens = 100, input_pico_usd = 3000, output_pico_usd = 5000 } }";
    let model = ModelServer::start([Reply::text("x").usage(100, 1), Reply::text("x").usage(101, 1)]);
    let prices = Prices::parse(prices).expect("it reads");
    let gateway = service(GatewayOptions { prices, ..options([("openai", model.base_url())]) });
    for expected in [100 + 2, 303 + 5] {
        let told = call(&gateway, ask_of("openai/m")).await;
        assert_eq!(told.settlements()[0].cost, Some(Money(expected)));
    }
}

#[test]
fn models_are_those_of_configured_providers() {
    let providers = [
        ("mine".to_owned(), ProviderConfig::new(Protocol::Scripted)),
        (
            "openai".to_owned(),
            ProviderConfig {
                base_url: Some("http://localhost/v1".into()),
                ..ProviderConfig::new(Protocol::OpenAiChat)
            },
        ),
    ];
    let gateway = service(GatewayOptions { providers: providers.into(), ..GatewayOptions::default() });
    let models = gateway.models();
    let ids: Vec<_> = models.iter().map(|model| model.id.as_str()).collect();
    assert!(ids.contains(&"mine/demo") && ids.contains(&"openai/gpt-5-mini"), "{ids:?}");
    assert!(!ids.iter().any(|id| id.starts_with("anthropic/") || id.ends_with("/*")), "{ids:?}");
    let mini = models.iter().find(|model| model.id == "openai/gpt-5-mini").expect("listed");
    assert_eq!((mini.object.as_str(), mini.key.as_str(), mini.provider.as_str()), ("model", "platform", "openai"));
    assert_eq!(mini.price.expect("known").input_pico_usd, 250_000);
    assert_eq!(mini.input_modalities, ["text", "image"]);
}
