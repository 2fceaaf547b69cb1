//! The ledger's part, and the list of models.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use headwater_llm::{CallContext, GatewayOptions, Grant, Ledger, LlmEvent, Prices, Protocol, ProviderConfig, Wanted};
use headwater_protocol::{ErrorCode, Money, Problem};
use headwater_testkit::model::{ModelServer, Reply};

use crate::support::*;

#[tokio::test]
async fn what_was_answered_stays_reserved_and_all_else_is_given_back() {
    let model =
        ModelServer::start([Reply::status(500).retry_after_ms(1), Reply::tokens(1).cut_after(0), Reply::text("fine")]);
    let book = Book::default();
    let gateway = service(options([("openai", model.base_url())]));
    let told = read(gateway.stream(book.ctx(), ask())).await;
    assert_eq!(told.text(), "fine");
    // The first was never answered; the second was cut, the third is whole: both are settled by whoever writes them down.
    assert_eq!(book.lines(), ["reserved", "released", "reserved", "kept", "reserved", "kept"]);
    let outcomes: Vec<_> = told.settlements().iter().map(|settled| settled.outcome.as_str()).collect();
    assert_eq!(outcomes, ["failed", "completed"]);
}

#[tokio::test]
async fn an_answer_is_as_long_as_there_is_money_for() {
    let prices = "[tokens]\ndefault_factor_ppm = 1_000_000\nfamilies = []\n[models]\n\"openai/m\" = { input_pico_usd = 1000, \
        output_pico_usd = 2000, max_output_tokens = 5000 }";
    let model = ModelServer::start(Reply::text("x"));
    let prices = Prices::parse(prices).expect("it reads");
    let gateway = service(GatewayOptions { prices, ..options([("openai", model.base_url())]) });
    let input = {
        let told = read(gateway.stream(Book::default().ctx(), ask_of("openai/m"))).await;
        told.settlements();
        let LlmEvent::Estimated(estimate) = &told.events[0] else { panic!("{:?}", told.events) };
        assert_eq!(estimate.reserve, Some(Money(estimate.input_tokens as i64 + 2 * 5000)));
        estimate.input_tokens as i64
    };
    let book = Book { grants: Some(Money(input + 2 * 900 + 1)), ..Book::default() };
    read(gateway.stream(book.ctx(), ask_of("openai/m"))).await;
    let asked: Vec<_> = model.requests().iter().map(|asked| asked.body["max_tokens"].clone()).collect();
    assert_eq!(asked, [5000, 900], "and not one token more");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_money_keeps_no_place() {
    let model = ModelServer::start(Reply::text("x"));
    let gateway = service(options([("openai", model.base_url())]));
    let book = Book { busy: Arc::new(2.into()), ..Book::default() };
    let mut waiting = Box::pin(gateway.stream(book.ctx(), ask()));
    let mut reasons = Vec::new();
    while let Some(event) = waiting.next().await {
        if let LlmEvent::Throttled { reason, .. } = event.expect("it is granted in the end") {
            assert_eq!(gateway.limiter("openai/gpt-4o", None).expect("configured").in_use(), 0);
            reasons.push(reason);
        }
    }
    assert_eq!(reasons, ["budget"], "told once a second");
    assert_eq!(book.lines(), ["busy", "busy", "reserved", "kept"]);

    let never = Book { busy: Arc::new(u32::MAX.into()), ..Book::default() };
    let told = read(gateway.stream(never.ctx(), ask())).await;
    assert_eq!(told.code(), "queue_timeout");
}

#[derive(Debug)]
struct Broke;

impl Ledger for Broke {
    fn reserve<'a>(&'a self, _: Wanted<'a>) -> BoxFuture<'a, Result<Grant, Problem>> {
        Box::pin(async { Err(Problem::new(ErrorCode::BudgetExhausted, "no money left")) })
    }
}

#[tokio::test]
async fn without_money_nobody_is_asked_and_no_place_is_taken() {
    let model = ModelServer::start(Reply::text("x"));
    let gateway = service(options([("openai", model.base_url())]));
    let told = read(gateway.stream(CallContext { ledger: Arc::new(Broke), ..ctx() }, ask())).await;
    assert_eq!(told.code(), "budget_exhausted");
    assert!(matches!(told.events[..], [LlmEvent::Estimated(_)]));
    assert_eq!(model.requests().len(), 0);
    assert_eq!(gateway.limiter("openai/gpt-4o", None).expect("configured").in_use(), 0);
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
