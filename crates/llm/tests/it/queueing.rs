//! Waiting for a place.

use futures_util::{FutureExt, StreamExt};
use headwater_llm::{GatewayLlmService, GatewayOptions, LlmEvent, Protocol, ProviderConfig};
use headwater_protocol::Problem;

use crate::support::*;

fn one_place() -> GatewayLlmService {
    let config = ProviderConfig { max_concurrent: Some(1), ..ProviderConfig::new(Protocol::Scripted) };
    let providers = [("scripted".to_owned(), config)].into();
    service(GatewayOptions { providers, max_waiting_per_tenant: 2, ..GatewayOptions::default() })
}

type Call = std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<LlmEvent, Problem>> + Send>>;

/// A call that has the one place and keeps it.
async fn occupy(gateway: &GatewayLlmService) -> Call {
    let mut call: Call = Box::pin(gateway.stream(ctx(), ask_of("scripted/tokens-2x60000")));
    assert!(matches!(call.next().await, Some(Ok(LlmEvent::Estimated(_)))));
    assert!(matches!(call.next().await, Some(Ok(LlmEvent::Text(_)))));
    call
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_told_once_per_second_and_ends_in_time() {
    let gateway = one_place();
    gateway.estimator().warm().await;
    let _occupied = occupy(&gateway).await;
    let before = tokio::time::Instant::now();
    let mut request = ask_of("scripted/echo");
    request.max_queue_ms = 3_000;
    let told = call(&gateway, request).await;
    assert_eq!(told.code(), "queue_timeout");
    let waited = before.elapsed().as_millis();
    assert!((3000..3010).contains(&waited), "{waited}");
    let throttled =
        |event: &&LlmEvent| matches!(event, LlmEvent::Throttled { queue_pos: 1, reason: "concurrency", .. });
    assert_eq!(told.events.iter().filter(throttled).count(), 3, "after 0.25, 1.25 and 2.25 s");
    assert_eq!(told.events.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn who_will_not_wait_is_told_at_once() {
    let gateway = one_place();
    gateway.estimator().warm().await;
    let _occupied = occupy(&gateway).await;
    let mut request = ask_of("scripted/echo");
    request.max_queue_ms = 0;
    assert_eq!(call(&gateway, request).await.code(), "queue_timeout");
    assert_eq!(gateway.limiter("scripted/echo", None).expect("configured").waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_too_many_waiting_is_refused() {
    let gateway = one_place();
    gateway.estimator().warm().await;
    let _occupied = occupy(&gateway).await;
    let ctx = ctx();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut call = Box::pin(gateway.stream(ctx.clone(), ask_of("scripted/echo")));
        assert!(matches!(call.next().await, Some(Ok(LlmEvent::Estimated(_)))));
        assert!(call.next().now_or_never().is_none());
        waiting.push(call);
    }
    let told = read(gateway.stream(ctx, ask_of("scripted/echo"))).await;
    assert_eq!(told.code(), "capacity_exceeded");
    assert!(told.error.expect("it fails").extra["wait_ms"].is_u64());
}

#[tokio::test(start_paused = true)]
async fn time_in_the_queue_is_not_the_calls_own() {
    let gateway = one_place();
    gateway.estimator().warm().await;
    let occupied = occupy(&gateway).await;
    let mut request = ask_of("scripted/tokens-3x100");
    request.timeouts.total_ms = 1_000;
    let waits = call(&gateway, request);
    let (told, first) = tokio::join!(waits, read(occupied));
    assert_eq!((told.code(), first.code()), ("no error", "no error"));
    let settled = told.settlements()[0];
    assert!(settled.queued_ms >= 59_000, "{settled:?}");
    assert_eq!(settled.duration_ms, 200);
    assert_eq!(settled.first_token_ms, Some(0));
}
