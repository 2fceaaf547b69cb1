//! What is tried again, where, and what it is called then.

use headwater_llm::{GatewayOptions, LlmEvent, Outcome};
use headwater_testkit::model::{ModelServer, Reply};

use crate::support::*;

#[tokio::test]
async fn a_refused_attempt_is_repeated_under_the_same_id() {
    for fault in [429, 500, 502, 503, 504, 529] {
        let model = ModelServer::start([
            Reply::status(fault).retry_after_ms(1),
            Reply::status(fault).retry_after_ms(1),
            Reply::text("fine"),
        ]);
        let told = call(&gateway(&model), ask()).await;
        assert_eq!((told.text().as_str(), told.code()), ("fine", "no error"), "{fault}");
        assert_eq!(told.estimates().len(), 1);
        let settled = told.settlements()[0];
        assert_eq!((settled.model_call, settled.attempt), (told.estimates()[0].model_call, 3));
    }
}

#[tokio::test]
async fn three_attempts_and_no_more() {
    let model = ModelServer::start(vec![Reply::status(502).retry_after_ms(1); 3]);
    let told = call(&gateway(&model), ask()).await;
    assert_eq!((told.code(), model.requests().len()), ("provider_unavailable", 3));
    assert_eq!(told.error.expect("it fails").extra["retry_after_ms"], 1);
}

#[tokio::test]
async fn a_provider_that_is_asked_too_much_is_asked_again_as_long_as_the_call_would_wait() {
    let faults = [429, 503, 529].map(|fault| async move {
        let mut replies = vec![Reply::status(fault).retry_after_ms(1); 4];
        replies.push(Reply::text("fine"));
        let model = ModelServer::start(replies);
        let told = call(&gateway(&model), ask()).await;
        assert_eq!((told.text().as_str(), told.code()), ("fine", "no error"), "{fault}");
        assert_eq!((model.requests().len(), told.estimates().len()), (5, 1));
    });
    futures_util::future::join_all(faults).await;
    // One that would not wait is told the provider's own words.
    let model = ModelServer::start(vec![Reply::status(503).retry_after_ms(1); 3]);
    let mut request = ask();
    request.max_queue_ms = 0;
    let told = call(&gateway(&model), request).await;
    assert_eq!((told.code(), model.requests().len()), ("provider_unavailable", 1));
}

/// A hint of nothing is no leave to ask without end.
#[tokio::test]
async fn a_provider_that_refuses_at_once_is_not_asked_at_once_again() {
    let model = ModelServer::start(vec![Reply::status(429).retry_after_ms(0); 100]);
    let told = call(&gateway(&model), headwater_llm::ModelRequest { max_queue_ms: 2_000, ..ask() }).await;
    assert!(["provider_rate_limited", "capacity_exceeded"].contains(&told.code()), "{told:?}");
    let asked = model.requests().len();
    assert!((2..=8).contains(&asked), "{asked}");
}

#[tokio::test]
async fn what_one_call_learns_holds_back_the_others_and_not_those_of_another_model() {
    let model = ModelServer::start([Reply::status(429).retry_after(20), Reply::text("fine")]);
    let gateway = gateway(&model);
    let mut request = ask();
    request.max_queue_ms = 0;
    assert_eq!(call(&gateway, request.clone()).await.code(), "provider_rate_limited");
    let told = call(&gateway, request.clone()).await;
    assert_eq!((told.code(), model.requests().len()), ("queue_timeout", 1), "the hint is for all");
    request.max_queue_ms = 10_000;
    let told = call(&gateway, request.clone()).await;
    assert_eq!((told.code(), model.requests().len()), ("capacity_exceeded", 1), "told at once");
    assert!(told.error.expect("it fails").extra["wait_ms"].as_u64().expect("a number") > 10_000);
    request.model = "openai/gpt-5-mini".to_owned();
    assert_eq!(call(&gateway, request).await.text(), "fine");
}

#[tokio::test]
async fn a_provider_that_is_down_is_left_alone() {
    let model = ModelServer::start(vec![Reply::status(500).retry_after_ms(1); 20]);
    let gateway = gateway(&model);
    let told = call(&gateway, ask()).await;
    assert_eq!((told.code(), model.requests().len()), ("provider_unavailable", 3));
    let told = call(&gateway, ask()).await;
    assert_eq!((told.code(), model.requests().len()), ("provider_unavailable", 5), "the breaker opens at the fifth");
    // Who has somewhere else to go goes there at once.
    let other = ModelServer::start(Reply::text("here"));
    let providers = [("openai", model.base_url()), ("other", other.base_url())];
    let gateway = service(GatewayOptions { max_attempts: 5, ..options(providers) });
    assert_eq!(call(&gateway, ask()).await.code(), "provider_unavailable");
    let asked = model.requests().len();
    let mut request = ask();
    request.fallbacks = vec![fallback("other/m")];
    request.timeouts.total_ms = 60_000;
    let told = call(&service(options([("openai", model.base_url()), ("other", other.base_url())])), request).await;
    assert_eq!((told.text().as_str(), model.requests().len()), ("here", asked + 3));
}

#[tokio::test]
async fn what_cannot_be_cured_is_tried_once() {
    for reply in [
        Reply::status(400),
        Reply::status(401),
        Reply::status(403),
        Reply::status(404),
        Reply::status(413),
        Reply::insufficient_quota().retry_after_ms(1),
        Reply::context_length_exceeded(),
        Reply::status(400).error("content_filter", "no"),
    ] {
        let primary = ModelServer::start(reply);
        let other = ModelServer::start(Reply::text("not asked"));
        let gateway = service(options([("openai", primary.base_url()), ("other", other.base_url())]));
        let mut request = ask();
        request.fallbacks = vec![fallback("other/m")];
        let told = call(&gateway, request).await;
        assert_ne!(told.code(), "no error");
        assert_eq!((primary.requests().len(), other.requests().len()), (1, 0), "{}", told.code());
    }
}

#[tokio::test]
async fn an_answered_attempt_that_showed_nothing_is_charged_and_repeated_under_a_new_id() {
    for broken in [
        Reply::tokens(3).cut_after(0),
        Reply::tokens(3).end_without_done(0),
        Reply::tokens(3).error_event_after(0, "server_error", "oops"),
        Reply::tokens(3).malformed_chunk_after(0),
    ] {
        let model = ModelServer::start([broken, Reply::text("fine")]);
        let told = call(&gateway(&model), ask()).await;
        assert_eq!((told.text().as_str(), told.code()), ("fine", "no error"));
        let (estimates, settled) = (told.estimates(), told.settlements());
        assert_eq!((estimates.len(), settled.len()), (2, 2));
        assert_ne!(estimates[0].model_call, estimates[1].model_call);
        for (estimate, settled) in estimates.iter().zip(&settled) {
            assert_eq!((estimate.model_call, estimate.attempt), (settled.model_call, settled.attempt));
        }
        assert_eq!((settled[0].outcome, settled[1].outcome), (Outcome::Failed, Outcome::Completed));
        assert_eq!((settled[0].usage.output_tokens, settled[0].first_token_ms), (0, None));
        assert_eq!((settled[0].attempt, settled[1].attempt), (1, 2));
    }
}

#[tokio::test]
async fn once_a_delta_was_shown_nothing_is_repeated() {
    for broken in [
        Reply::tokens(3).cut_after(1),
        Reply::tokens(3).error_event_after(1, "rate_limit_exceeded", "x"),
        Reply::tokens(3).reasoning("hm").malformed_chunk_after(1),
    ] {
        let primary = ModelServer::start([broken, Reply::text("never")]);
        let other = ModelServer::start(Reply::text("never"));
        let gateway = service(options([("openai", primary.base_url()), ("other", other.base_url())]));
        let mut request = ask();
        request.fallbacks = vec![fallback("other/m")];
        let told = call(&gateway, request).await;
        assert_ne!(told.code(), "no error");
        assert_eq!((primary.requests().len(), other.requests().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_hint_too_far_away_ends_it_at_once() {
    let model = ModelServer::start([Reply::status(429).retry_after(31), Reply::text("never")]);
    let told = call(&gateway(&model), ask()).await;
    assert_eq!((told.code(), model.requests().len()), ("provider_rate_limited", 1));
    assert_eq!(told.error.expect("it fails").extra["retry_after_ms"], 31_000);
}

#[tokio::test]
async fn a_hint_beyond_the_time_that_is_left_ends_it_at_once() {
    let model = ModelServer::start([Reply::status(429).retry_after(20), Reply::text("never")]);
    let mut request = ask();
    request.timeouts.total_ms = 15_000;
    let told = call(&gateway(&model), request).await;
    assert_eq!((told.code(), model.requests().len()), ("provider_rate_limited", 1));
}

#[tokio::test]
async fn fallbacks_are_asked_in_order_each_under_its_own_id() {
    let down = ModelServer::start(vec![Reply::status(503).retry_after_ms(1); 3]);
    let limited = ModelServer::start(Reply::status(429).retry_after(60));
    let up = ModelServer::start(Reply::text("here"));
    let providers = [("openai", down.base_url()), ("second", limited.base_url()), ("third", up.base_url())];
    let mut request = ask();
    request.max_output_tokens = Some(100);
    request.fallbacks = vec![fallback("second/m"), fallback("nobody/m"), fallback("third/n")];
    request.fallbacks[2].max_output_tokens = Some(77);
    let told = call(&service(options(providers)), request).await;

    assert_eq!((told.text().as_str(), told.code()), ("here", "no error"));
    assert_eq!((down.requests().len(), limited.requests().len(), up.requests().len()), (3, 1, 1));
    let models: Vec<_> = told.estimates().iter().map(|estimate| (estimate.model.as_str(), estimate.attempt)).collect();
    assert_eq!(models, [("openai/gpt-4o", 1), ("second/m", 4), ("third/n", 5)]);
    assert_eq!(limited.requests()[0].body["max_tokens"], 100);
    assert_eq!(up.requests()[0].body["max_tokens"], 77);
    assert_eq!((told.settlements()[0].model.as_str(), told.settlements()[0].attempt), ("third/n", 5));
}

#[tokio::test]
async fn when_all_models_fail_the_last_failure_is_told() {
    let down = ModelServer::start(Reply::status(503));
    let limited = ModelServer::start(Reply::status(429));
    let options = options([("openai", down.base_url()), ("second", limited.base_url())]);
    let mut request = ask();
    request.fallbacks = vec![fallback("second/m")];
    request.max_queue_ms = 0;
    let told = call(&service(GatewayOptions { max_attempts: 1, ..options }), request).await;
    assert_eq!(told.code(), "provider_rate_limited");
}

// The scripted provider needs no socket, so its time can be paused.

#[tokio::test(start_paused = true)]
async fn hints_are_kept_to_the_millisecond_and_told() {
    let gateway = scripted();
    gateway.estimator().warm().await;
    let before = tokio::time::Instant::now();
    let mut request = ask_of("scripted/fail-provider_rate_limited-1500");
    request.max_queue_ms = 4_000;
    let told = call(&gateway, request).await;
    assert_eq!(told.code(), "provider_rate_limited");
    let waited = before.elapsed().as_millis();
    assert!((3000..3010).contains(&waited), "two waits of 1.5 s, and no third that would be too long: {waited} ms");
    let provider = |event: &&LlmEvent| matches!(event, LlmEvent::Throttled { reason: "provider", queue_pos: 1, .. });
    assert_eq!(told.events.iter().filter(provider).count(), 3, "after 0.25 and 1.25 s, and in the second wait");
}

#[tokio::test(start_paused = true)]
async fn without_a_hint_the_waits_grow() {
    let gateway = scripted();
    gateway.estimator().warm().await;
    let before = tokio::time::Instant::now();
    let told = call(&gateway, ask_of("scripted/fail-provider_unavailable")).await;
    assert_eq!(told.code(), "provider_unavailable");
    let waited = before.elapsed().as_millis();
    assert!((1500..3010).contains(&waited), "0.5 to 1 s and 1 to 2 s, {waited} ms in all");
}

fn scripted() -> headwater_llm::GatewayLlmService {
    let config = headwater_llm::ProviderConfig::new(headwater_llm::Protocol::Scripted);
    service(GatewayOptions { providers: [("scripted".to_owned(), config)].into(), ..GatewayOptions::default() })
}
