//! A whole run at a provider that speaks Anthropic's Messages.

use headwater_testkit::ToolServer;
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use serde_json::{Value, json};

use crate::support::Site;
use crate::support::sse::{assert_dense, events, read};
use crate::support::tenant::id;

/// A stream of a message with this block, filled by these deltas.
fn message(block: &Value, deltas: &[Value], reason: &str) -> ToolAnswer {
    let usage = json!({"input_tokens": 10, "output_tokens": 1});
    let mut events = vec![
        json!({"type": "message_start", "message": {"usage": usage}}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
    ];
    events.extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": 0, "delta": delta})));
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}));
    events.push(json!({"type": "message_stop"}));
    let body: String = events.iter().map(|event| format!("event: x\ndata: {event}\n\n")).collect();
    ToolAnswer { kind: "text/event-stream".into(), ..ToolAnswer::text(body) }
}

#[tokio::test]
async fn a_run_with_a_tool_and_a_picture() {
    let model = ToolServer::start(|asked: &ToolRequest| {
        let answers = asked.body.contains("tool_result");
        if answers {
            let said = json!({"type": "text_delta", "text": "It is late."});
            return message(&json!({"type": "text", "text": ""}), &[said], "end_turn");
        }
        let args = json!({"type": "input_json_delta", "partial_json": "{\"timezone\":\"Europe/Berlin\"}"});
        message(&json!({"type": "tool_use", "id": "toolu_1", "name": "time", "input": {}}), &[args], "tool_use")
    });
    let base = format!("{}/v1", model.url);
    let site = Site::start(&[
        ("HEADWATER__PROVIDERS__CLAUDE__PROTOCOL", "anthropic-messages"),
        ("HEADWATER__PROVIDERS__CLAUDE__BASE_URL", &base),
        ("HEADWATER__PROVIDERS__CLAUDE__API_KEY", "sk-ant-platform"),
    ])
    .await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let tools = json!([{"type": "builtin", "name": "time"}]);
    let agent = json!({"model": "claude/claude-x", "instructions": "You help.", "tools": tools});
    tenant.api.put("/v1/agents/assistant", agent).await.ok(201);
    let picture = json!({"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="});
    let input = json!([{"type": "text", "text": "How late?"}, {"type": "image", "source": picture}]);
    let run = alice.token.post("/v1/runs", json!({"agent": "assistant", "input": input})).await.ok(201);
    let ended = alice.key.ended(&id(&run)).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("It is late.")), "{ended}");
    assert_eq!((&ended["usage"]["input_tokens"], &ended["usage"]["output_tokens"]), (&json!(20), &json!(10)));
    assert_dense(&events(&read(&alice.token, &id(&run), None).await));

    let [first, second] = model.requests().try_into().expect("two calls of the model");
    assert_eq!(first.header("x-api-key"), Some("sk-ant-platform"));
    let asked = second.json();
    let messages = asked["messages"].as_array().expect("messages");
    let [user, assistant, answered] = messages.as_slice() else { panic!("{messages:?}") };
    let mut begun = first.json()["messages"][0].clone();
    let mark = begun["content"][1].as_object_mut().and_then(|part| part.remove("cache_control"));
    assert_eq!(
        (mark, &begun),
        (Some(json!({"type": "ephemeral"})), user),
        "the same words again, kept from the first time"
    );
    let shown = json!({"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="});
    assert_eq!(user["content"], json!([{"type": "text", "text": "How late?"}, {"type": "image", "source": shown}]));
    let call = &assistant["content"][0];
    assert_eq!((&call["type"], &call["input"]), (&json!("tool_use"), &json!({"timezone": "Europe/Berlin"})));
    let result = &answered["content"][0];
    assert_eq!(
        (&answered["role"], &result["type"], &result["tool_use_id"]),
        (&json!("user"), &json!("tool_result"), &call["id"])
    );
    assert!(result["content"].as_str().is_some_and(|text| text.contains("utc")), "{result}");
    assert_eq!(asked["system"][0]["text"], "You help.");
}
