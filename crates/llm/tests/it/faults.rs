//! Everything that a provider can do wrong, tried once: the code, whose fault it is, and what is settled.

use headwater_llm::{GatewayOptions, LlmEvent, Outcome, Protocol, ProviderConfig};
use headwater_protocol::Fault;
use headwater_testkit::model::{ModelServer, Reply};

use crate::support::*;

async fn told(reply: Reply) -> Told {
    let model = ModelServer::start(reply);
    // One that is asked too much is asked again as long as a call would wait.
    call(&once(model.base_url()), headwater_llm::ModelRequest { max_queue_ms: 0, ..ask() }).await
}

#[tokio::test]
async fn refusals_have_their_codes_and_cost_nothing() {
    for (reply, code, fault) in [
        (Reply::status(400), "provider_rejected", Fault::Tenant),
        (Reply::invalid_api_key(), "provider_auth_failed", Fault::Server),
        (Reply::status(403), "provider_auth_failed", Fault::Server),
        (Reply::status(404), "model_not_found", Fault::Tenant),
        (Reply::status(413), "provider_rejected", Fault::Tenant),
        (Reply::status(429), "provider_rate_limited", Fault::Provider),
        (Reply::insufficient_quota(), "provider_quota_exhausted", Fault::Server),
        (Reply::context_length_exceeded(), "context_length_exceeded", Fault::Tenant),
        (Reply::status(400).error("content_filter", "no"), "content_filtered", Fault::Caller),
        (Reply::status(500), "provider_unavailable", Fault::Provider),
        (Reply::status(529), "provider_unavailable", Fault::Provider),
    ] {
        let told = told(reply).await;
        let problem = told.error.as_ref().expect("it fails");
        assert_eq!((told.code(), problem.fault), (code, fault), "{problem:?}");
        assert!(problem.extra["provider_status"].is_u64(), "{problem:?}");
        assert!(matches!(told.events[..], [LlmEvent::Estimated(_)]), "{:?}", told.events);
    }
}

#[tokio::test]
async fn the_providers_words_are_kept() {
    let told = told(Reply::status(400).error("x", "temperature is not supported")).await;
    assert_eq!(told.error.expect("it fails").message(), "status 400: temperature is not supported");
}

#[tokio::test]
async fn a_key_is_sent_and_never_told() {
    let model = ModelServer::start(vec![
        Reply::text("in"),
        Reply::status(401).error("invalid_api_key", "Incorrect API key provided: sk-secret-123."),
        Reply::empty().error_event_after(0, "server_error", "worker of sk-secret-123 died"),
    ]);
    model.require_key("sk-secret-123");
    let provider = ProviderConfig {
        base_url: Some(model.base_url()),
        api_key: Some("sk-secret-123".into()),
        ..ProviderConfig::new(Protocol::OpenAiChat)
    };
    let providers = [("openai".to_owned(), provider)].into();
    let gateway = service(GatewayOptions { providers, max_attempts: 1, ..GatewayOptions::default() });
    assert_eq!(call(&gateway, ask()).await.text(), "in");
    for expected in ["status 401: Incorrect API key provided: [key].", "worker of [key] died"] {
        let told = call(&gateway, ask()).await;
        assert_eq!(told.error.expect("it fails").message(), expected);
    }
    assert!(!format!("{gateway:?}").contains("sk-secret"));
}

#[tokio::test]
async fn streams_that_break_are_charged_and_fail() {
    for (reply, code) in [
        (Reply::tokens(9).cut_after(4), "provider_truncated"),
        (Reply::tokens(9).end_without_done(4), "provider_truncated"),
        (Reply::tokens(9).error_event_after(4, "server_error", "oops"), "provider_unavailable"),
        (Reply::tokens(9).error_event_after(4, "rate_limit_exceeded", "slow down"), "provider_rate_limited"),
        (Reply::tokens(9).malformed_chunk_after(4), "provider_invalid_response"),
    ] {
        let told = told(reply).await;
        assert_eq!((told.text().as_str(), told.code()), (" tok0 tok1 tok2 tok3", code));
        let settled = told.settlements()[0];
        assert_eq!((settled.outcome, settled.estimated), (Outcome::Failed, true));
        assert_eq!(settled.usage.input_tokens, told.estimates()[0].input_tokens);
        assert!(settled.usage.output_tokens >= 4 && settled.cost.is_some());
        assert!(matches!(told.events.last(), Some(LlmEvent::Settled(_))), "settled last");
    }
}

#[tokio::test]
async fn a_reset_is_a_truncation() {
    let told = told(Reply::tokens(9).reset_after(4)).await;
    assert_eq!(told.code(), "provider_truncated");
    assert_eq!(told.settlements().len(), 1);
}

#[tokio::test]
async fn a_200_that_is_no_stream_counts_as_answered() {
    let told = told(Reply::garbage()).await;
    assert_eq!((told.code(), told.text().as_str()), ("provider_invalid_response", ""));
    let settled = told.settlements()[0];
    assert_eq!((settled.outcome, settled.usage.output_tokens), (Outcome::Failed, 0));
}

#[tokio::test]
async fn a_model_that_calls_tools_it_was_not_offered_makes_no_sense() {
    let model = ModelServer::start(vec![Reply::empty().tool_call("weather", "{}"), Reply::text("never asked for")]);
    let told = call(&gateway(&model), ask()).await;
    assert_eq!(told.code(), "provider_invalid_response");
    assert_eq!(model.requests().len(), 1, "another attempt would only be paid for once more");
    assert_eq!(told.settlements().len(), 1);
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let model = ModelServer::start(Reply::text("x"));
    let gateway = once(model.base_url());
    model.stop().await;
    let told = call(&gateway, ask()).await;
    assert_eq!(told.code(), "provider_unavailable");
    assert!(told.error.expect("it fails").message().starts_with("cannot connect to the provider"));
}

#[tokio::test]
async fn unknown_providers_and_malformed_models_are_not_found() {
    let model = ModelServer::start(Reply::text("x"));
    let gateway = gateway(&model);
    for unknown in ["nobody/gpt-4o", "gpt-4o", "", "/", "openai/", "openai/a b", "OPENAI/gpt-4o"] {
        let told = call(&gateway, ask_of(unknown)).await;
        assert_eq!((told.code(), told.events.len()), ("model_not_found", 0), "{unknown}");
        assert!(gateway.check_model(unknown).is_err());
    }
    assert!(gateway.check_model("openai/whatever/it:is").is_ok());
    assert_eq!(model.requests().len(), 0);
}

#[test]
fn configurations_that_cannot_work_are_refused_by_name() {
    let make = |name: &str, config: ProviderConfig| {
        let providers = [(name.to_owned(), config)].into();
        let made = headwater_llm::GatewayLlmService::new(GatewayOptions { providers, ..GatewayOptions::default() });
        made.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let config = || ProviderConfig::new(Protocol::OpenAiChat);
    for name in ["", "Open AI", "a/b"] {
        assert!(make(name, config()).contains("a name has only"), "{name}");
    }
    for url in ["", "localhost:1", "ftp://x/", "http://", "http://[::"] {
        let error = make("x", ProviderConfig { base_url: Some(url.to_owned()), ..config() });
        assert!(error.starts_with("providers.x: base_url"), "{url}: {error}");
    }
    let local = ProviderConfig { base_url: Some("http://localhost/v1/".to_owned()), ..config() };
    assert_eq!(make("x", local.clone()), "");
    let error = make("x", ProviderConfig { api_key: Some("a\nb".into()), ..local });
    assert!(error.starts_with("providers.x: the key") && !error.contains("a\nb"), "{error}");
}
