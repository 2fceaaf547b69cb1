//! The built-in model.

use headwater_llm::{GatewayLlmService, GatewayOptions, Outcome, Protocol, ProviderConfig};
use headwater_protocol::Money;
use headwater_protocol::event::FinishReason;

use crate::support::*;

async fn gateway() -> GatewayLlmService {
    let providers = [("scripted".to_owned(), ProviderConfig::new(Protocol::Scripted))].into();
    let gateway = service(GatewayOptions { providers, ..GatewayOptions::default() });
    gateway.estimator().warm().await;
    gateway
}

#[tokio::test(start_paused = true)]
async fn the_demo_quotes_tells_what_it_is_and_shows_money() {
    let told = call(&gateway().await, ask_of("scripted/demo")).await;
    assert_eq!(told.finished(), Some(FinishReason::Stop));
    for part in ["\"How are you?\"", "scripted model", "OPENAI_API_KEY"] {
        assert!(told.text().contains(part), "{}", told.text());
    }
    let settled = told.settlements()[0];
    assert!((30..60).contains(&settled.usage.output_tokens), "{settled:?}");
    assert_eq!(settled.duration_ms, 30 * settled.usage.output_tokens);
    assert!(settled.cost > Some(Money::ZERO) && !settled.estimated);
}

#[tokio::test(start_paused = true)]
async fn echo_and_tokens() {
    let gateway = gateway().await;
    assert_eq!(call(&gateway, ask_of("scripted/echo")).await.text(), "How are you?");
    let told = call(&gateway, ask_of("scripted/tokens-3x50")).await;
    assert_eq!(told.text(), " tok0 tok1 tok2");
    assert_eq!((told.settlements()[0].duration_ms, told.settlements()[0].usage.output_tokens), (100, 3));
    let mut request = ask_of("scripted/tokens-3x0");
    request.max_output_tokens = Some(2);
    let told = call(&gateway, request).await;
    assert_eq!((told.text().as_str(), told.finished()), (" tok0 tok1", Some(FinishReason::Length)));
    assert_eq!(call(&gateway, ask_of("scripted/tokens-0x0")).await.finished(), Some(FinishReason::Stop));
}

#[tokio::test(start_paused = true)]
async fn failures_and_unknown_ids() {
    let gateway = gateway().await;
    assert_eq!(call(&gateway, ask_of("scripted/fail-provider_rejected")).await.code(), "provider_rejected");
    let unknown = [
        "x",
        "tokens-",
        "tokens-1",
        "tokens-1x60001",
        "tokens-100001x0",
        "tokens--1x1",
        "fail-internal",
        "fail-",
        "fail-x-1",
    ];
    for id in unknown {
        assert_eq!(call(&gateway, ask_of(&format!("scripted/{id}"))).await.code(), "model_not_found", "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_it_is_settled_at_what_it_said() {
    let gateway = gateway().await;
    let ctx = ctx();
    let call = Box::pin(gateway.stream(ctx.clone(), ask_of("scripted/tokens-100x1000")));
    let open = read_until(call, " tok0 tok1").await;
    ctx.cancel.cancel();
    let told = read(open).await;
    assert_eq!((told.settlements()[0].outcome, told.error), (Outcome::Cancelled, None));
}
