//! The request's body.
//!
//! Owns the JSON of Responses. Promises that a field which nobody set is not sent, except those that we always want: `stream`,
//! a limit of output, and whether the answer is kept. What the protocol has no field for (`stop`, `seed`) is not sent.

use bytes::Bytes;
use headwater_protocol::CallId;
use headwater_protocol::api::{ReasoningEffort, ResponseFormat, ToolChoice};
use headwater_protocol::event::Role;
use headwater_protocol::message::Detail;
use serde::Serialize;

use super::super::data_url::DataUrl;
use super::super::{Ask, Lives};
use crate::request::{ModelMessage, ModelRequest, Shown};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<Item<'a>>,
    stream: bool,
    store: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    background: bool,
    max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
}

#[derive(Serialize)]
struct Reasoning {
    effort: ReasoningEffort,
    /// Without it none of it is shown.
    summary: &'static str,
}

#[derive(Serialize)]
struct Text<'a> {
    format: Format<'a>,
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    name: &'a str,
    schema: &'a serde_json::Value,
    strict: bool,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a serde_json::Value,
    /// Strict unless told otherwise, and tenants' schemas are not written for that.
    strict: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item<'a> {
    Message { role: &'static str, content: Vec<Piece<'a>> },
    FunctionCall { call_id: CallId, name: &'a str, arguments: &'a str },
    FunctionCallOutput { call_id: CallId, output: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece<'a> {
    InputText { text: &'a str },
    InputImage { image_url: DataUrl<'a>, detail: Detail },
    InputFile { filename: &'a str, file_data: DataUrl<'a> },
    OutputText { text: &'a str },
}

/// What a message comes to: itself, and each of its calls.
fn items<'a>(message: &'a ModelMessage, into: &mut Vec<Item<'a>>) {
    if let (Role::Tool, Some(call_id)) = (message.role, message.answers) {
        into.push(Item::FunctionCallOutput { call_id, output: &message.text });
        return;
    }
    let content = match message.role {
        Role::Assistant if message.text.is_empty() => Vec::new(),
        Role::Assistant => vec![Piece::OutputText { text: &message.text }],
        Role::User | Role::Tool => said(message),
    };
    let role = if message.role == Role::Assistant { "assistant" } else { "user" };
    if !content.is_empty() {
        into.push(Item::Message { role, content });
    }
    let call = |call: &'a crate::request::ModelCall| Item::FunctionCall {
        call_id: call.call,
        name: &call.name,
        arguments: &call.args,
    };
    into.extend(message.calls.iter().map(call));
}

fn said(message: &ModelMessage) -> Vec<Piece<'_>> {
    if message.attachments.is_empty() {
        return vec![Piece::InputText { text: &message.text }];
    }
    let (mut pieces, mut from) = (Vec::new(), 0);
    for attachment in &message.attachments {
        pieces.extend(message.words(from, attachment.at).map(|text| Piece::InputText { text }));
        from = attachment.at.max(from);
        pieces.push(match &attachment.shown {
            Shown::Image(detail) => Piece::InputImage { image_url: DataUrl(attachment), detail: *detail },
            Shown::File(name) => {
                Piece::InputFile { filename: name.as_deref().unwrap_or("file"), file_data: DataUrl(attachment) }
            }
        });
    }
    pieces.extend(message.words(from, message.text.len()).map(|text| Piece::InputText { text }));
    pieces
}

pub(super) fn render(ask: Ask<'_>, lives: Lives) -> Result<Bytes, serde_json::Error> {
    let request: &ModelRequest = ask.request;
    let mut input = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        items(message, &mut input);
    }
    let offers = !request.tools.is_empty();
    let body = Body {
        model: ask.model_id,
        input,
        stream: true,
        store: lives == Lives::Kept,
        background: lives == Lives::Kept,
        max_output_tokens: ask.max_output_tokens,
        instructions: request.instructions.as_deref(),
        // JSON has no NaN; a null would be refused by some.
        temperature: request.temperature.filter(|value| value.is_finite()),
        top_p: request.top_p.filter(|value| value.is_finite()),
        reasoning: request.reasoning_effort.map(|effort| Reasoning { effort, summary: "auto" }),
        text: match &request.response_format {
            ResponseFormat::Text {} => None,
            ResponseFormat::JsonSchema { name, schema, strict } => {
                Some(Text { format: Format { r#type: "json_schema", name, schema, strict: *strict } })
            }
        },
        tools: request
            .tools
            .iter()
            .map(|tool| Tool {
                r#type: "function",
                name: &tool.name,
                description: tool.description.as_deref(),
                parameters: &tool.parameters,
                strict: false,
            })
            .collect(),
        tool_choice: offers.then_some(request.tool_choice),
        parallel_tool_calls: (offers && !request.parallel_tool_calls).then_some(false),
    };
    serde_json::to_vec(&body).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::request::{Attachment, ModelCall, ModelTool};

    fn rendered(request: &ModelRequest) -> Value {
        let ask = Ask { model_id: "m", request, max_output_tokens: 70, input_tokens: 0 };
        serde_json::from_slice(&render(ask, Lives::WithConnection).expect("it renders")).expect("it is JSON")
    }

    #[test]
    fn only_what_is_set_is_sent() {
        let request = ModelRequest::new("x/m", vec![ModelMessage::new(Role::User, "a \"quote\"")]);
        let text = json!({"type": "input_text", "text": "a \"quote\""});
        assert_eq!(
            rendered(&request),
            json!({
                "model": "m", "input": [{"type": "message", "role": "user", "content": [text]}],
                "stream": true, "store": false, "max_output_tokens": 70
            })
        );
    }

    #[test]
    fn calls_stand_beside_what_was_said_and_are_answered() {
        let call = CallId::new();
        let mut calling = ModelMessage::new(Role::Assistant, "Let me look.");
        calling.calls = vec![ModelCall { call, name: "look".into(), args: "{\"a\":1}".into() }];
        let silent = ModelMessage { text: "".into(), ..calling.clone() };
        let mut request = ModelRequest::new(
            "x/m",
            vec![calling, ModelMessage::answer(call, "found"), silent, ModelMessage::answer(call, "")],
        );
        request.instructions = Some("Be kind.".into());
        request.reasoning_effort = Some(ReasoningEffort::Low);
        request.parallel_tool_calls = false;
        request.tools =
            vec![ModelTool { name: "look".into(), description: None, parameters: json!({"type": "object"}) }];
        request.response_format =
            ResponseFormat::JsonSchema { name: "n".into(), schema: json!({"type": "object"}), strict: true };
        let body = rendered(&request);
        let called = json!({"type": "function_call", "call_id": call, "name": "look", "arguments": "{\"a\":1}"});
        let output = |output: &str| json!({"type": "function_call_output", "call_id": call, "output": output});
        let said = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]});
        assert_eq!(body["input"], json!([said, called, output("found"), called, output("")]));
        assert_eq!(
            (&body["instructions"], &body["reasoning"], &body["tool_choice"], &body["parallel_tool_calls"]),
            (&json!("Be kind."), &json!({"effort": "low", "summary": "auto"}), &json!("auto"), &json!(false))
        );
        assert_eq!(
            body["text"],
            json!({"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}})
        );
        let tool = json!({"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": false});
        assert_eq!(body["tools"], json!([tool]));
    }

    #[test]
    fn what_is_shown_stands_among_the_words() {
        let mut message = ModelMessage::new(Role::User, "look\nhere");
        let attachment = |at, shown, media_type: &str, content: &'static str| Attachment {
            at,
            artifact: headwater_protocol::ArtifactId::new(),
            shown,
            media_type: media_type.into(),
            size_bytes: content.len() as u64,
            content: content.into(),
        };
        message.attachments = vec![
            attachment(4, Shown::Image(Detail::Low), "image/png", "png"),
            attachment(9, Shown::File(Some("a.pdf".into())), "application/pdf", "%PDF"),
        ];
        assert_eq!(
            rendered(&ModelRequest::new("x/m", vec![message]))["input"][0]["content"],
            json!([
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "data:image/png;base64,cG5n", "detail": "low"},
                {"type": "input_text", "text": "here"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
            ])
        );
    }
}
