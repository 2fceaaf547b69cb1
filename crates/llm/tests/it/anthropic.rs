//! Anthropic's Messages: what is sent, and what its events come to.

use headwater_llm::{GatewayLlmService, GatewayOptions, LlmEvent, ModelRequest, ModelTool, Protocol, ProviderConfig};
use headwater_protocol::event::FinishReason;
use headwater_protocol::{ErrorCode, Money, Usage};
use headwater_testkit::ToolServer;
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use serde_json::{Value, json};

use crate::support::{ask_of, read, service};

/// A stream of these events.
fn stream(events: &[Value]) -> ToolAnswer {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("ping"));
    let body: String = events.iter().map(frame).collect();
    ToolAnswer { kind: "text/event-stream; charset=utf-8".into(), ..ToolAnswer::text(body) }
}

fn begins() -> Value {
    let usage = json!({"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 1});
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": usage}})
}

fn block(index: usize, content: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": content})
}

fn delta(index: usize, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn text(index: usize, text: &str) -> Value {
    delta(index, json!({"type": "text_delta", "text": text}))
}

fn ends(reason: &str) -> [Value; 2] {
    let usage = json!({"output_tokens": 7});
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ]
}

fn gateway(server: &ToolServer) -> GatewayLlmService {
    let config = ProviderConfig {
        base_url: Some(format!("{}/v1", server.url)),
        api_key: Some("sk-ant-canary".into()),
        ..ProviderConfig::new(Protocol::AnthropicMessages)
    };
    let providers = [("anthropic".to_owned(), config)].into_iter().collect();
    service(GatewayOptions { providers, max_attempts: 2, ..GatewayOptions::default() })
}

fn ask() -> ModelRequest {
    ask_of("anthropic/claude-haiku-4-5")
}

#[tokio::test]
async fn an_answer_with_reasoning_and_what_it_costs() {
    let mut events = vec![
        begins(),
        json!({"type": "ping"}),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
        delta(0, json!({"type": "signature_delta", "signature": "EqQB"})),
        json!({"type": "content_block_stop", "index": 0}),
        block(1, json!({"type": "redacted_thinking", "data": "x"})),
        block(2, json!({"type": "text", "text": ""})),
        text(2, "Good, "),
        text(2, "and \"you\"?"),
        json!({"type": "of_a_later_version", "x": [1]}),
    ];
    events.extend(ends("end_turn"));
    let server = ToolServer::start(move |_| stream(&events));
    let mut request = ask();
    request.instructions = Some("Be kind.".into());
    let told = read(gateway(&server).stream(crate::support::ctx(), request)).await;
    assert_eq!((told.text().as_str(), told.reasoning().as_str()), ("Good, and \"you\"?", "Hm."), "{told:?}");
    assert_eq!(told.finished(), Some(FinishReason::Stop), "{told:?}");
    let [settled] = told.settlements().try_into().expect("one");
    let usage = Usage {
        input_tokens: 115,
        cached_input_tokens: 100,
        cache_write_tokens: 5,
        output_tokens: 7,
        reasoning_tokens: 0,
        total_tokens: 122,
    };
    assert_eq!(settled.usage, usage);
    // 10 at 1 dollar, 100 at 0.1, 5 at 1.25, 7 at 5 per million.
    assert_eq!(settled.cost, Some(Money(10 * 1_000 + 100 * 100 + 5 * 1_250 + 7 * 5_000)));
    let [asked] = server.requests().try_into().expect("one request");
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/messages"));
    assert_eq!(
        (asked.header("x-api-key"), asked.header("anthropic-version")),
        (Some("sk-ant-canary"), Some("2023-06-01"))
    );
    assert_eq!(asked.header("authorization"), None);
    let body = asked.json();
    assert_eq!((&body["model"], &body["stream"]), (&json!("claude-haiku-4-5"), &json!(true)));
    assert!(body["max_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{body}");
}

#[tokio::test]
async fn calls_of_tools() {
    let mut events = vec![
        begins(),
        block(0, json!({"type": "text", "text": "Let me look."})),
        block(1, json!({"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}})),
        delta(1, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(1, json!({"type": "input_json_delta", "partial_json": "{\"at\":"})),
        delta(1, json!({"type": "input_json_delta", "partial_json": "\"sea\"}"})),
        block(2, json!({"type": "tool_use", "id": "toolu_2", "name": "wait", "input": {}})),
    ];
    events.extend(ends("tool_use"));
    let server = ToolServer::start(move |_| stream(&events));
    let mut request = ask();
    let told = read(gateway(&server).stream(crate::support::ctx(), request.clone())).await;
    assert_eq!(told.error.map(|error| error.code), Some(ErrorCode::ProviderInvalidResponse), "it was offered none");
    request.tools = vec![ModelTool { name: "look".into(), description: None, parameters: json!({"type": "object"}) }];
    let told = read(gateway(&server).stream(crate::support::ctx(), request)).await;
    let (mut calls, mut args) = (Vec::new(), vec![String::new(); 2]);
    for event in &told.events {
        match event {
            LlmEvent::ToolCall { name, .. } => calls.push(name.clone()),
            LlmEvent::ToolArgs { index, delta } => args[*index].push_str(delta),
            _ => {}
        }
    }
    assert_eq!(
        (calls.as_slice(), args.as_slice()),
        (["look".to_owned(), "wait".to_owned()].as_slice(), [r#"{"at":"sea"}"#.to_owned(), String::new()].as_slice())
    );
    assert_eq!(told.finished(), Some(FinishReason::ToolCalls), "{told:?}");
}

#[tokio::test]
async fn each_trouble_has_its_name() {
    let error = |kind: &str, words: &str| json!({"type": "error", "error": {"type": kind, "message": words}});
    let refused = |status: u16, kind: &str, words: &str| ToolAnswer::json(&error(kind, words)).status(status);
    let begun = |more: Vec<Value>| {
        let mut events = vec![begins(), block(0, json!({"type": "text", "text": ""})), text(0, "So")];
        events.extend(more);
        stream(&events)
    };
    let cases = [
        (refused(401, "authentication_error", "invalid x-api-key sk-ant-canary"), ErrorCode::ProviderAuthFailed, 1),
        (refused(429, "rate_limit_error", "slow down"), ErrorCode::ProviderRateLimited, 1),
        (refused(529, "overloaded_error", "Overloaded"), ErrorCode::ProviderUnavailable, 1),
        (
            refused(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            ErrorCode::ContextLengthExceeded,
            1,
        ),
        (
            refused(400, "invalid_request_error", "Your credit balance is too low to access the API"),
            ErrorCode::ProviderQuotaExhausted,
            1,
        ),
        (refused(400, "invalid_request_error", "messages: something else"), ErrorCode::ProviderRejected, 1),
        (refused(404, "not_found_error", "model: claude-none"), ErrorCode::ModelNotFound, 1),
        (stream(&[begins(), error("overloaded_error", "Overloaded")]), ErrorCode::ProviderUnavailable, 2),
        (begun(vec![error("overloaded_error", "Overloaded")]), ErrorCode::ProviderUnavailable, 1),
        (begun(vec![]), ErrorCode::ProviderTruncated, 1),
        (begun(vec![json!({"type": "message_stop"})]), ErrorCode::ProviderTruncated, 1),
        (begun(vec![block(7, json!({"type": "text", "text": ""}))]), ErrorCode::ProviderInvalidResponse, 1),
        (begun(vec![json!({"type": "content_block_delta"})]), ErrorCode::ProviderInvalidResponse, 1),
        (ToolAnswer::json(&json!({"content": []})), ErrorCode::ProviderInvalidResponse, 2),
    ];
    for (answer, code, attempts) in cases {
        let what = String::from_utf8_lossy(&answer.body).into_owned();
        let server = ToolServer::start(move |_: &ToolRequest| answer.clone());
        // One that is asked too much is asked again as long as a call would wait.
        let request = ModelRequest { max_queue_ms: 0, ..ask() };
        let told = read(gateway(&server).stream(crate::support::ctx(), request)).await;
        let error = told.error.unwrap_or_else(|| panic!("{what}: no error"));
        assert_eq!((error.code, server.requests().len()), (code, attempts), "{what}: {error:?}");
        assert!(!error.detail.unwrap_or_default().contains("sk-ant-canary"), "{what}");
    }
    let mut events = vec![begins(), block(0, json!({"type": "text", "text": "I"}))];
    events.extend(ends("refusal"));
    let server = ToolServer::start(move |_| stream(&events));
    let told = read(gateway(&server).stream(crate::support::ctx(), ask())).await;
    assert_eq!(told.finished(), Some(FinishReason::ContentFilter), "{told:?}");
}
