//! OpenAI Responses: what is sent, and what its events come to.

use headwater_llm::{GatewayLlmService, GatewayOptions, LlmEvent, ModelRequest, ModelTool, Protocol, ProviderConfig};
use headwater_protocol::event::FinishReason;
use headwater_protocol::{ErrorCode, Usage};
use headwater_testkit::ToolServer;
use headwater_testkit::tools::ToolAnswer;
use serde_json::{Value, json};

use crate::support::{Told, ask_of, read, service};

/// A stream of these events.
fn stream(events: &[Value]) -> ToolAnswer {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("ping"));
    let body: String = events.iter().map(frame).collect();
    ToolAnswer { kind: "text/event-stream; charset=utf-8".into(), ..ToolAnswer::text(body) }
}

fn begins() -> Value {
    json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}})
}

fn text(delta: &str) -> Value {
    json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "content_index": 0, "delta": delta})
}

fn ended(kind: &str, details: Value) -> Value {
    let usage = json!({"input_tokens": 115, "input_tokens_details": {"cached_tokens": 100}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 122});
    json!({"type": kind, "response": {"id": "resp_1", "usage": usage, "incomplete_details": details}})
}

fn completed() -> Value {
    ended("response.completed", Value::Null)
}

fn gateway(server: &ToolServer) -> GatewayLlmService {
    let config = ProviderConfig {
        base_url: Some(format!("{}/v1", server.url)),
        api_key: Some("sk-canary".into()),
        ..ProviderConfig::new(Protocol::OpenAiResponses)
    };
    let providers = [("openai".to_owned(), config)].into_iter().collect();
    service(GatewayOptions { providers, max_attempts: 1, ..GatewayOptions::default() })
}

fn ask() -> ModelRequest {
    ask_of("openai/gpt-5-mini")
}

fn with_tool() -> ModelRequest {
    let tool = ModelTool { name: "look".into(), description: None, parameters: json!({"type": "object"}) };
    ModelRequest { tools: vec![tool], ..ask() }
}

async fn told(events: Vec<Value>, request: ModelRequest) -> Told {
    let server = ToolServer::start(move |_| stream(&events));
    read(gateway(&server).stream(crate::support::ctx(), request)).await
}

#[tokio::test]
async fn an_answer_with_reasoning_and_what_it_used() {
    let events = vec![
        begins(),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1", "summary": []}}),
        json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "delta": "Hm."}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "id": "msg_1", "content": []}}),
        text("Good, "),
        text("and \"you\"?"),
        json!({"type": "response.of_a_later_version", "x": [1]}),
        completed(),
    ];
    let server = ToolServer::start(move |_| stream(&events));
    let mut request = ask();
    request.instructions = Some("Be kind.".into());
    let told = read(gateway(&server).stream(crate::support::ctx(), request)).await;
    assert_eq!((told.text().as_str(), told.reasoning().as_str()), ("Good, and \"you\"?", "Hm."), "{told:?}");
    assert_eq!(told.finished(), Some(FinishReason::Stop));
    let usage = Usage {
        input_tokens: 115,
        cached_input_tokens: 100,
        cache_write_tokens: 0,
        output_tokens: 7,
        reasoning_tokens: 3,
        total_tokens: 122,
    };
    let settled = told.settlements()[0];
    assert_eq!((settled.usage, settled.estimated), (usage, false));
    let [asked] = server.requests().try_into().expect("one request");
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/responses"));
    assert_eq!(asked.header("authorization"), Some("Bearer sk-canary"));
    let body = asked.json();
    assert_eq!((&body["model"], &body["store"]), (&json!("gpt-5-mini"), &json!(false)), "nothing is kept there");
}

#[tokio::test]
async fn calls_of_tools_in_pieces_and_whole() {
    let item = |arguments: &str| json!({"type": "function_call", "id": "fc_1", "call_id": "call_x", "name": "look", "arguments": arguments});
    let added = |place: usize, arguments: &str| json!({"type": "response.output_item.added", "output_index": place, "item": item(arguments)});
    let done = |place: usize, arguments: &str| json!({"type": "response.output_item.done", "output_index": place, "item": item(arguments)});
    let args = |place: usize, delta: &str| json!({"type": "response.function_call_arguments.delta", "output_index": place, "delta": delta});
    let events = vec![
        begins(),
        added(0, ""),
        added(1, ""),
        args(1, "{\"b\":"),
        args(0, "{\"a\":1}"),
        args(1, "2}"),
        done(0, "{\"a\":1}"),
        done(1, "{\"b\":2}"),
        // Whole at once, and with its arguments only at the end.
        done(2, "{\"c\":3}"),
        added(3, ""),
        done(3, "{\"d\":4}"),
        completed(),
    ];
    let answer = told(events, with_tool()).await;
    assert_eq!(answer.finished(), Some(FinishReason::ToolCalls), "{answer:?}");
    let mut calls = vec![String::new(); 4];
    for event in &answer.events {
        if let LlmEvent::ToolArgs { index, delta } = event {
            calls[*index].push_str(delta);
        }
    }
    assert_eq!(calls, ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}", "{\"d\":4}"]);
    let none = told(vec![begins(), added(0, "{}"), completed()], ask()).await;
    assert_eq!(none.code(), "provider_invalid_response", "it was offered none");
}

#[tokio::test]
async fn each_end_has_its_name() {
    let incomplete = |reason: &str| ended("response.incomplete", json!({"reason": reason}));
    for (last, finish) in [
        (completed(), FinishReason::Stop),
        (incomplete("max_output_tokens"), FinishReason::Length),
        (incomplete("content_filter"), FinishReason::ContentFilter),
    ] {
        assert_eq!(told(vec![begins(), text("a"), last], ask()).await.finished(), Some(finish));
    }
    let refusal =
        json!({"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "I will not."});
    let refused = told(vec![begins(), refusal, completed()], ask()).await;
    assert_eq!((refused.text().as_str(), refused.finished()), ("I will not.", Some(FinishReason::ContentFilter)));

    let failed = |code: &str| json!({"type": "response.failed", "response": {"error": {"code": code, "message": "sk-canary went wrong"}}});
    for (last, code) in [
        (failed("server_error"), ErrorCode::ProviderUnavailable),
        (failed("rate_limit_exceeded"), ErrorCode::ProviderRateLimited),
        (
            json!({"type": "error", "code": "context_length_exceeded", "message": "too long", "param": null}),
            ErrorCode::ContextLengthExceeded,
        ),
        (
            json!({"type": "error", "error": {"type": "insufficient_quota", "message": "no money"}}),
            ErrorCode::ProviderQuotaExhausted,
        ),
        (json!({"type": "response.output_text.delta"}), ErrorCode::ProviderInvalidResponse),
        (json!({"type": "response.in_progress"}), ErrorCode::ProviderTruncated),
    ] {
        let answer = told(vec![begins(), text("a"), last.clone()], ask()).await;
        let error = answer.error.unwrap_or_else(|| panic!("{last}: no error"));
        assert_eq!(error.code, code, "{last}: {error:?}");
        assert!(!error.detail.unwrap_or_default().contains("sk-canary"), "{last}");
    }
}
