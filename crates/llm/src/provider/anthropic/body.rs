//! The request's body.
//!
//! Owns the JSON of Messages. Promises that a field which nobody set is not sent, except the two that the protocol or we always
//! want: `stream` and `max_tokens`; that roles alternate as far as the protocol asks, with answers of tools right behind their
//! calls; and that, unless caching is not wanted, what will begin the next request too is marked to be kept by the provider.

use base64::display::Base64Display;
use bytes::Bytes;
use headwater_protocol::CallId;
use headwater_protocol::api::{ReasoningEffort, ResponseFormat, ToolChoice};
use headwater_protocol::event::Role;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::super::Ask;
use crate::request::{Attachment, ModelMessage, ModelRequest, ModelTool, Shown};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: Vec<Message<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<System>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice>,
}

/// Words before all others. What is marked, and all that stands before it, the provider keeps for the next call.
#[derive(Serialize)]
struct System {
    r#type: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Cached>,
}

#[derive(Serialize)]
struct Cached {
    r#type: &'static str,
}

const CACHED: Option<Cached> = Some(Cached { r#type: "ephemeral" });

#[derive(Serialize)]
struct Thinking {
    r#type: &'static str,
    budget_tokens: u32,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: &'a serde_json::Value,
}

#[derive(Serialize)]
struct Choice {
    r#type: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Marked<'a>>,
}

#[derive(Serialize)]
struct Marked<'a> {
    #[serde(flatten)]
    block: Block<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Cached>,
}

impl<'a> From<Block<'a>> for Marked<'a> {
    fn from(block: Block<'a>) -> Self {
        Self { block, cache_control: None }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    ToolUse {
        id: CallId,
        name: &'a str,
        input: Input<'a>,
    },
    ToolResult {
        tool_use_id: CallId,
        content: &'a str,
    },
}

#[derive(Serialize)]
struct Source<'a> {
    r#type: &'static str,
    media_type: &'a str,
    data: Data<'a>,
}

/// Written as it is encoded: a picture is not held once more for that.
struct Data<'a>(&'a Attachment);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0.content, &base64::engine::general_purpose::STANDARD))
    }
}

/// Arguments as the model gave them, if they are JSON.
struct Input<'a>(&'a str);

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(self.0) {
            Ok(json) if self.0.trim_start().starts_with('{') => json.serialize(serializer),
            Ok(_) | Err(_) => serde_json::Map::new().serialize(serializer),
        }
    }
}

pub(super) fn render(ask: Ask<'_>) -> Result<Bytes, serde_json::Error> {
    let request = ask.request;
    let thinking = thinking(request, ask.max_output_tokens);
    let sampled = thinking.is_none();
    let body = Body {
        model: ask.model_id,
        max_tokens: ask.max_output_tokens,
        messages: messages(request),
        stream: true,
        system: system(request),
        // It goes no higher here, and with reasoning neither is taken.
        temperature: request.temperature.filter(|value| sampled && value.is_finite()).map(|value| value.min(1.0)),
        top_p: request.top_p.filter(|value| sampled && value.is_finite()),
        stop_sequences: &request.stop,
        thinking,
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: choice(request),
    };
    let shown =
        |message: &ModelMessage| message.attachments.iter().map(|it| it.content.len() / 3 * 4 + 160).sum::<usize>();
    let text: usize = request.messages.iter().map(|message| message.text.len() + shown(message) + 60).sum();
    let mut json = Vec::with_capacity(text + request.instructions.as_ref().map_or(0, |text| text.len()) + 256);
    serde_json::to_writer(&mut json, &body)?;
    Ok(json.into())
}

fn system(request: &ModelRequest) -> Vec<System> {
    let mut words = request.instructions.as_deref().unwrap_or_default().to_owned();
    if let ResponseFormat::JsonSchema { schema, .. } = &request.response_format {
        // Models of this dialect differ in what they take for a schema; all of them can read.
        let gap = if words.is_empty() { "" } else { "\n\n" };
        words.push_str(&format!(
            "{gap}Answer with JSON alone, without any other words, that fits this JSON Schema:\n{schema}"
        ));
    }
    if words.trim().is_empty() {
        return Vec::new();
    }
    vec![System { r#type: "text", text: words, cache_control: CACHED.filter(|_| request.prompt_caching) }]
}

/// Reasoning, where there is room for it. Not with tools: between a call and its answer the provider asks for its own signature
/// of what was thought.
fn thinking(request: &ModelRequest, max_tokens: u32) -> Option<Thinking> {
    const LEAST: u32 = 1024;
    let wanted = match request.reasoning_effort? {
        ReasoningEffort::None => return None,
        ReasoningEffort::Low => LEAST,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::High => 24_576,
    };
    let has_calls = || request.messages.iter().any(|message| !message.calls.is_empty());
    if !request.tools.is_empty() || has_calls() || max_tokens < 2 * LEAST {
        return None;
    }
    Some(Thinking { r#type: "enabled", budget_tokens: wanted.min(max_tokens - LEAST) })
}

fn tool(tool: &ModelTool) -> Tool<'_> {
    Tool { name: &tool.name, description: tool.description.as_deref(), input_schema: &tool.parameters }
}

fn choice(request: &ModelRequest) -> Option<Choice> {
    if request.tools.is_empty() {
        return None;
    }
    let kind = match request.tool_choice {
        ToolChoice::Auto if request.parallel_tool_calls => return None,
        ToolChoice::Auto => "auto",
        ToolChoice::None => "none",
        ToolChoice::Required => "any",
    };
    Some(Choice { r#type: kind, disable_parallel_tool_use: kind != "none" && !request.parallel_tool_calls })
}

fn messages(request: &ModelRequest) -> Vec<Message<'_>> {
    let mut all: Vec<Message<'_>> = Vec::new();
    for message in &request.messages {
        // Answers of tools are the user's here, and those to one message's calls stand in one.
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        let content: Vec<Marked<'_>> = blocks(message).into_iter().map(Marked::from).collect();
        if content.is_empty() {
            continue;
        }
        match all.last_mut() {
            Some(last) if last.role == role => last.content.extend(content),
            Some(_) => all.push(Message { role, content }),
            None => {
                if role == "assistant" {
                    // A conversation begins with the user.
                    let words = Block::Text { text: "(The conversation goes on.)" };
                    all.push(Message { role: "user", content: vec![words.into()] });
                }
                all.push(Message { role, content });
            }
        }
    }
    // Where more steps are to come, or some have been, the next request begins with all of this one. What is asked but once
    // would only cost more.
    let goes_on = !request.tools.is_empty() || all.len() > 1;
    if let Some(last) = all.last_mut().and_then(|message| message.content.last_mut())
        && request.prompt_caching
        && goes_on
    {
        last.cache_control = CACHED;
    }
    all
}

fn blocks(message: &ModelMessage) -> Vec<Block<'_>> {
    if let Some(call) = message.answers {
        return vec![Block::ToolResult { tool_use_id: call, content: &message.text }];
    }
    let (mut blocks, mut from) = (Vec::new(), 0);
    for attachment in &message.attachments {
        blocks.extend(message.words(from, attachment.at).map(|text| Block::Text { text }));
        from = attachment.at.max(from);
        let source = Source { r#type: "base64", media_type: &attachment.media_type, data: Data(attachment) };
        blocks.push(match &attachment.shown {
            Shown::Image(_) => Block::Image { source },
            Shown::File(name) => Block::Document { source, title: name.as_deref() },
        });
    }
    blocks.extend(message.words(from, message.text.len()).map(|text| Block::Text { text }));
    // A text of white space alone is refused.
    blocks.retain(|block| !matches!(block, Block::Text { text } if text.trim().is_empty()));
    let calls = message.calls.iter();
    blocks.extend(calls.map(|call| Block::ToolUse { id: call.call, name: &call.name, input: Input(&call.args) }));
    blocks
}

#[cfg(test)]
mod tests {
    use headwater_protocol::message::Detail;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::ModelCall;

    fn rendered(request: &ModelRequest) -> Value {
        let ask = Ask { model_id: "m", request, max_output_tokens: 4096, input_tokens: 0 };
        serde_json::from_slice(&render(ask).expect("it renders")).expect("it is JSON")
    }

    #[test]
    fn only_what_is_set_is_sent() {
        let request = ModelRequest::new("x/m", vec![ModelMessage::new(Role::User, "a \"quote\"")]);
        let said = json!([{"role": "user", "content": [{"type": "text", "text": "a \"quote\""}]}]);
        assert_eq!(rendered(&request), json!({"model": "m", "max_tokens": 4096, "messages": said, "stream": true}));
    }

    #[test]
    fn calls_and_answers_stand_as_the_protocol_has_them() {
        let (first, second) = (CallId::new(), CallId::new());
        let mut called = ModelMessage::new(Role::Assistant, "");
        let call = |call, args: &str| ModelCall { call, name: "look".into(), args: args.into() };
        called.calls = vec![call(first, r#"{"a":1}"#), call(second, "no JSON")];
        let mut request = ModelRequest::new(
            "x/m",
            vec![
                ModelMessage::new(Role::Assistant, "Imported."),
                called,
                ModelMessage::answer(first, "one"),
                ModelMessage::answer(second, "two"),
                ModelMessage::new(Role::User, "and then?"),
            ],
        );
        request.tools =
            vec![ModelTool { name: "look".into(), description: None, parameters: json!({"type": "object"}) }];
        request.tool_choice = ToolChoice::Required;
        request.parallel_tool_calls = false;
        request.reasoning_effort = Some(ReasoningEffort::High);
        request.temperature = Some(1.5);
        let body = rendered(&request);
        assert_eq!(
            body["messages"],
            json!([
                {"role": "user", "content": [{"type": "text", "text": "(The conversation goes on.)"}]},
                {"role": "assistant", "content": [
                    {"type": "text", "text": "Imported."},
                    {"type": "tool_use", "id": first, "name": "look", "input": {"a": 1}},
                    {"type": "tool_use", "id": second, "name": "look", "input": {}}
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": first, "content": "one"},
                    {"type": "tool_result", "tool_use_id": second, "content": "two"},
                    {"type": "text", "text": "and then?", "cache_control": {"type": "ephemeral"}}
                ]}
            ])
        );
        assert_eq!(body["tools"], json!([{"name": "look", "input_schema": {"type": "object"}}]));
        assert_eq!(body["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
        assert_eq!((&body["thinking"], &body["temperature"]), (&Value::Null, &json!(1.0)));
    }

    #[test]
    fn instructions_are_kept_and_reasoning_has_room() {
        let mut message = ModelMessage::new(Role::User, "look");
        message.attachments = vec![Attachment {
            artifact: headwater_protocol::ArtifactId::new(),
            at: 4,
            shown: Shown::Image(Detail::Auto),
            media_type: "image/png".into(),
            size_bytes: 3,
            content: "png".into(),
        }];
        let mut request = ModelRequest::new("x/m", vec![message]);
        request.instructions = Some("Be kind.".into());
        request.reasoning_effort = Some(ReasoningEffort::Medium);
        request.temperature = Some(0.5);
        request.response_format =
            ResponseFormat::JsonSchema { name: "n".into(), schema: json!({"type": "object"}), strict: true };
        let body = rendered(&request);
        let system = &body["system"][0];
        assert!(
            system["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("Be kind.\n\n") && text.contains(r#"{"type":"object"}"#))
        );
        assert_eq!(system["cache_control"], json!({"type": "ephemeral"}));
        assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 3072}));
        assert_eq!(body["temperature"], Value::Null, "it is not taken with reasoning");
        let picture = json!({"type": "base64", "media_type": "image/png", "data": "cG5n"});
        assert_eq!(body["messages"][0]["content"][1], json!({"type": "image", "source": picture}));
        request.prompt_caching = false;
        assert!(!rendered(&request).to_string().contains("cache_control"));
    }
}
