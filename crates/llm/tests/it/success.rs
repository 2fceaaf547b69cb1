//! Answers as they should be.

use std::collections::BTreeSet;

use headwater_llm::{LlmEvent, Outcome};
use headwater_protocol::event::FinishReason;
use headwater_protocol::{Money, Usage};
use headwater_testkit::model::{ModelServer, Reply, Script};

use crate::support::*;

#[tokio::test]
async fn a_call_tells_its_estimate_its_text_its_cost_and_its_end() {
    let model = ModelServer::start(Reply::text("I am fine, thank you.").usage(100, 20).cached(60));
    let told = call(&gateway(&model), ask()).await;

    assert_eq!(told.text(), "I am fine, thank you.");
    assert_eq!((told.finished(), told.code()), (Some(FinishReason::Stop), "no error"));
    let estimate = told.estimates()[0];
    assert_eq!((estimate.model.as_str(), estimate.attempt, estimate.input_tokens), ("openai/gpt-4o", 1, 11));
    assert!(estimate.reserve > estimate.expected && estimate.expected > Some(Money::ZERO));

    let settled = told.settlements()[0];
    assert_eq!(settled.model_call, estimate.model_call);
    assert_eq!((settled.outcome, settled.estimated), (Outcome::Completed, false));
    let usage =
        Usage { input_tokens: 100, cached_input_tokens: 60, output_tokens: 20, total_tokens: 120, ..Usage::default() };
    assert_eq!(settled.usage, usage);
    // 40 × 2.5 + 60 × 1.25 + 20 × 10 dollars per million.
    assert_eq!(settled.cost, Some(Money(40 * 2_500 + 60 * 1_250 + 20 * 10_000)));
    assert_eq!(settled.expected, estimate.expected);
    assert!(settled.first_token_ms.is_some());
    assert!(matches!(told.events[..], [LlmEvent::Estimated(_), .., LlmEvent::Settled(_), LlmEvent::Finished { .. }]));
    assert_eq!(model.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn the_request_is_what_was_asked_for() {
    let model = ModelServer::start(Reply::text("ok"));
    let mut request = ask_of("openai/gpt-5-mini");
    request.instructions = Some("Be brief.".into());
    request.max_output_tokens = Some(50);
    request.temperature = Some(0.25);
    call(&gateway(&model), request).await;

    let sent = &model.requests()[0];
    assert_eq!(sent.header("accept"), Some("text/event-stream"));
    assert_eq!(sent.header("authorization"), None);
    assert_eq!(sent.model(), "gpt-5-mini");
    assert_eq!(sent.body["stream_options"]["include_usage"], true);
    assert_eq!(sent.body["max_completion_tokens"], 50);
    assert_eq!(sent.body["temperature"], 0.25);
    assert_eq!(sent.messages()[0]["content"], "Be brief.");
    assert_eq!(sent.last_text("user").as_deref(), Some("How are you?"));
    let fields: BTreeSet<_> = sent.body.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = ["max_completion_tokens", "messages", "model", "stream", "stream_options", "temperature"];
    assert_eq!(fields, BTreeSet::from(expected));
}

#[tokio::test]
async fn reasoning_in_both_spellings_comes_before_the_text() {
    for reply in
        [Reply::text("So: 4.").reasoning("two and two"), Reply::text("So: 4.").reasoning_openrouter("two and two")]
    {
        let model = ModelServer::start(reply);
        let told = call(&gateway(&model), ask()).await;
        assert_eq!((told.reasoning().as_str(), told.text().as_str()), ("two and two", "So: 4."));
        assert_eq!(told.settlements()[0].usage.reasoning_tokens, 3);
    }
}

#[tokio::test]
async fn deltas_of_one_network_chunk_come_as_one() {
    let model = ModelServer::start(Script::load());
    let told = call(&gateway(&model), ask_of("openai/load-32x0")).await;
    let deltas = told.events.iter().filter(|event| matches!(event, LlmEvent::Text(_))).count();
    assert!(deltas < 32, "{deltas} deltas for one write of 32 tokens");
    assert_eq!(told.settlements()[0].usage.output_tokens, 32);
    assert_eq!(told.settlements()[0].cost, None, "a model without a price");
}

#[tokio::test]
async fn however_the_bytes_are_cut_the_text_is_the_same() {
    for size in [1, 2, 3, 7, 64, 1000] {
        let reply = Reply::text("Grüße aus Köln, \"quoted\"\n\\ and 😀!").reasoning("hm ä").split_bytes(size);
        for reply in [reply.clone(), reply.crlf()] {
            let model = ModelServer::start(reply);
            let told = call(&gateway(&model), ask()).await;
            assert_eq!(told.text(), "Grüße aus Köln, \"quoted\"\n\\ and 😀!", "{size}");
            assert_eq!((told.reasoning().as_str(), told.finished()), ("hm ä", Some(FinishReason::Stop)));
        }
    }
}

#[tokio::test]
async fn a_huge_delta_is_passed_on_whole() {
    let model = ModelServer::start(Reply::empty().huge_chunk(900_000));
    assert_eq!(call(&gateway(&model), ask()).await.text().len(), 900_000);
}

#[tokio::test]
async fn finish_reasons_are_kept() {
    for (reason, expected) in [
        ("stop", FinishReason::Stop),
        ("length", FinishReason::Length),
        ("content_filter", FinishReason::ContentFilter),
        ("something_new", FinishReason::Stop),
    ] {
        let model = ModelServer::start(Reply::text("x").finish(reason));
        assert_eq!(call(&gateway(&model), ask()).await.finished(), Some(expected), "{reason}");
    }
}

#[tokio::test]
async fn without_usage_we_count_ourselves() {
    let model = ModelServer::start(Reply::text("Hello, world!").reasoning("hm").without_usage());
    let told = call(&gateway(&model), ask()).await;
    let settled = told.settlements()[0];
    assert_eq!((settled.outcome, settled.estimated), (Outcome::Completed, true));
    let usage = Usage { input_tokens: 11, output_tokens: 5, reasoning_tokens: 1, total_tokens: 16, ..Usage::default() };
    assert_eq!(settled.usage, usage);
    assert!(settled.cost > Some(Money::ZERO));
}
