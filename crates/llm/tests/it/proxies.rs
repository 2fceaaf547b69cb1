//! Other people's servers: the LiteLLM proxy and aimock. `cargo xtask providers` starts them and says where; without that
//! there is nothing to try.

use headwater_llm::{GatewayLlmService, GatewayOptions, LlmEvent, ModelRequest, Outcome, Protocol, ProviderConfig};
use headwater_protocol::event::FinishReason;
use secrecy::SecretString;

use crate::support::*;

/// Where one of them is.
fn url(name: &str) -> Option<String> {
    let url = std::env::var(name).ok();
    let is_required = std::env::var_os("HEADWATER_TEST_REQUIRE_PROVIDERS").is_some();
    assert!(url.is_some() || !is_required, "{name} is not set");
    url
}

fn at(provider: &str, protocol: Protocol, base_url: String) -> GatewayLlmService {
    let key = std::env::var("HEADWATER_TEST_PROVIDER_KEY").unwrap_or_else(|_| "none".to_owned());
    let api_key = Some(SecretString::from(key));
    let config = ProviderConfig { base_url: Some(base_url), api_key, ..ProviderConfig::new(protocol) };
    service(GatewayOptions { providers: [(provider.to_owned(), config)].into(), ..GatewayOptions::default() })
}

#[tokio::test]
async fn the_litellm_proxy_answers_counts_and_refuses() {
    let Some(url) = url("HEADWATER_TEST_LITELLM_URL") else { return };
    let gateway = at("litellm", Protocol::OpenAiChat, format!("{url}/v1"));
    let told = call(&gateway, ask_of("litellm/mock")).await;
    assert_eq!((told.text().as_str(), told.code()), ("Hello from a proxy.", "no error"));
    let settled = told.settlements()[0];
    assert_eq!((settled.outcome, settled.estimated), (Outcome::Completed, false), "its own numbers: {settled:?}");
    assert!(settled.usage.input_tokens > 0 && settled.usage.output_tokens > 0, "{settled:?}");

    // Its 429: told at once to whoever would not wait, and waited for by whoever would.
    let refused = call(&gateway, ModelRequest { max_queue_ms: 0, ..ask_of("litellm/busy") }).await;
    assert_eq!(refused.code(), "provider_rate_limited");
    assert_eq!(refused.settlements().len(), 0, "nobody pays for it");
    let waited = call(&gateway, ModelRequest { max_queue_ms: 2_500, ..ask_of("litellm/busy") }).await;
    assert!(["provider_rate_limited", "capacity_exceeded"].contains(&waited.code()), "{waited:?}");
    let told_to_wait = |event: &LlmEvent| matches!(event, LlmEvent::Throttled { .. });
    assert!(waited.events.iter().any(told_to_wait), "{waited:?}");
    // Another model of it is another queue.
    let unknown = call(&gateway, ModelRequest { max_queue_ms: 30_000, ..ask_of("litellm/nobody") }).await;
    assert!(unknown.error.is_some_and(|error| !error.retryable), "a model that it does not have");
}

#[tokio::test]
async fn aimock_speaks_every_dialect() {
    let Some(url) = url("HEADWATER_TEST_AIMOCK_URL") else { return };
    for (model, protocol) in [
        ("mock/gpt-4o", Protocol::OpenAiChat),
        ("mock/gpt-5", Protocol::OpenAiResponses),
        ("mock/claude-sonnet-4-5", Protocol::AnthropicMessages),
    ] {
        let gateway = at("mock", protocol, format!("{url}/v1"));
        let told = call(&gateway, ask_of(model)).await;
        assert_eq!((told.text().as_str(), told.code()), ("Quite well, for a mock.", "no error"), "{protocol:?}");
        assert_eq!(told.settlements()[0].outcome, Outcome::Completed);

        let mut request = ask_of(model);
        request.messages[0].text = "What is the weather?".into();
        request.tools = vec![headwater_llm::ModelTool {
            name: "get_weather".to_owned(),
            description: None,
            parameters: serde_json::json!({"type": "object", "properties": {"location": {"type": "string"}}}),
        }];
        let told = call(&gateway, request).await;
        assert_eq!(told.code(), "no error", "{protocol:?}");
        let names = told.events.iter().filter_map(|event| match event {
            LlmEvent::ToolCall { name, .. } => Some(name.as_str()),
            _ => None,
        });
        assert_eq!(names.collect::<Vec<_>>(), ["get_weather"], "{protocol:?}");
        let args: String = told
            .events
            .iter()
            .filter_map(|event| match event {
                LlmEvent::ToolArgs { delta, .. } => Some(delta.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(args, r#"{"location":"Rome"}"#, "{protocol:?}");
        let finished = told.events.iter().any(|event| {
            matches!(event, LlmEvent::Finished { finish_reason: FinishReason::Stop | FinishReason::ToolCalls })
        });
        assert!(finished, "{protocol:?}: {:?}", told.events.last());
    }
}
