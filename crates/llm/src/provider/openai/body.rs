//! The request's body.
//!
//! Owns the JSON of Chat Completions. Promises that a field which nobody set is not sent, except the three that we always
//! want: `stream`, usage at its end, and a limit of output. Never copies a message's text but into the body itself.

use bytes::Bytes;
use headwater_protocol::CallId;
use headwater_protocol::api::{ReasoningEffort, ResponseFormat, ToolChoice};
use headwater_protocol::event::Role;
use headwater_protocol::message::Detail;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::super::data_url::DataUrl;
use super::super::{Ask, MaxTokensField};
use crate::request::{ModelCall, ModelMessage, ModelRequest, ModelTool, Shown};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Messages<'a>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<ReasoningEffort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    json_schema: Described<'a>,
}

#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    schema: &'a serde_json::Value,
    strict: bool,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a serde_json::Value,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

struct Messages<'a>(&'a ModelRequest);

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    /// `null` where a message consists of calls alone.
    content: Option<Said<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<CallId>,
}

/// Words, or words with what is shown beside them.
#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Words(&'a str),
    Parts(Vec<Piece<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Image<'a> },
    File { file: File<'a> },
}

#[derive(Serialize)]
struct Image<'a> {
    url: DataUrl<'a>,
    detail: Detail,
}

#[derive(Serialize)]
struct File<'a> {
    filename: &'a str,
    file_data: DataUrl<'a>,
}

fn said(message: &ModelMessage) -> Option<Said<'_>> {
    if message.attachments.is_empty() {
        let is_said = !message.text.is_empty() || message.calls.is_empty();
        return is_said.then_some(Said::Words(&message.text));
    }
    let (mut pieces, mut from) = (Vec::new(), 0);
    for attachment in &message.attachments {
        pieces.extend(message.words(from, attachment.at).map(|text| Piece::Text { text }));
        from = attachment.at.max(from);
        pieces.push(match &attachment.shown {
            Shown::Image(detail) => Piece::ImageUrl { image_url: Image { url: DataUrl(attachment), detail: *detail } },
            Shown::File(name) => Piece::File {
                file: File { filename: name.as_deref().unwrap_or("file"), file_data: DataUrl(attachment) },
            },
        });
    }
    pieces.extend(message.words(from, message.text.len()).map(|text| Piece::Text { text }));
    Some(Said::Parts(pieces))
}

#[derive(Serialize)]
struct Call<'a> {
    id: CallId,
    r#type: &'static str,
    function: Called<'a>,
}

#[derive(Serialize)]
struct Called<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let request = self.0;
        let length = request.messages.len() + usize::from(request.instructions.is_some());
        let mut list = serializer.serialize_seq(Some(length))?;
        if let Some(instructions) = &request.instructions {
            list.serialize_element(&Message {
                role: "system",
                content: Some(Said::Words(instructions)),
                tool_calls: Vec::new(),
                tool_call_id: None,
            })?;
        }
        for message in &request.messages {
            let role = match message.role {
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::Tool => "tool",
            };
            list.serialize_element(&Message {
                role,
                content: said(message),
                tool_calls: message.calls.iter().map(called).collect(),
                tool_call_id: message.answers,
            })?;
        }
        list.end()
    }
}

fn called(call: &ModelCall) -> Call<'_> {
    Call { id: call.call, r#type: "function", function: Called { name: &call.name, arguments: &call.args } }
}

fn tool(tool: &ModelTool) -> Tool<'_> {
    let function =
        Function { name: &tool.name, description: tool.description.as_deref(), parameters: &tool.parameters };
    Tool { r#type: "function", function }
}

pub(super) fn render(ask: Ask<'_>, field: MaxTokensField) -> Result<Bytes, serde_json::Error> {
    let request = ask.request;
    let newer = match field {
        MaxTokensField::Auto => wants_max_completion_tokens(ask.model_id),
        MaxTokensField::MaxTokens => false,
        MaxTokensField::MaxCompletionTokens => true,
    };
    let offers = !request.tools.is_empty();
    let body = Body {
        model: ask.model_id,
        messages: Messages(request),
        stream: true,
        stream_options: StreamOptions { include_usage: true },
        max_tokens: (!newer).then_some(ask.max_output_tokens),
        max_completion_tokens: newer.then_some(ask.max_output_tokens),
        // JSON has no NaN; a null would be refused by some.
        temperature: request.temperature.filter(|value| value.is_finite()),
        top_p: request.top_p.filter(|value| value.is_finite()),
        stop: &request.stop,
        seed: request.seed,
        reasoning_effort: request.reasoning_effort,
        response_format: match &request.response_format {
            // It is what all of them do unless told otherwise.
            ResponseFormat::Text {} => None,
            ResponseFormat::JsonSchema { name, schema, strict } => {
                Some(Format { r#type: "json_schema", json_schema: Described { name, schema, strict: *strict } })
            }
        },
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: offers.then_some(request.tool_choice),
        // That it may is every provider's default, and some know no such field.
        parallel_tool_calls: (offers && !request.parallel_tool_calls).then_some(false),
    };
    let shown =
        |message: &ModelMessage| message.attachments.iter().map(|it| it.content.len() / 3 * 4 + 160).sum::<usize>();
    let text: usize = request.messages.iter().map(|message| message.text.len() + shown(message) + 40).sum();
    let mut json = Vec::with_capacity(text + request.instructions.as_ref().map_or(0, |text| text.len()) + 256);
    serde_json::to_writer(&mut json, &body)?;
    Ok(json.into())
}

/// `o1` to `o9`, `gpt-5` and up, whatever stands before the last slash.
fn wants_max_completion_tokens(model_id: &str) -> bool {
    let id = model_id.rsplit_once('/').map_or(model_id, |(_, id)| id).as_bytes();
    matches!(
        id,
        [b'o', b'1'..=b'9']
            | [b'o', b'1'..=b'9', b'-', ..]
            | [b'g', b'p', b't', b'-', b'5'..=b'9']
            | [b'g', b'p', b't', b'-', b'5'..=b'9', b'-' | b'.', ..]
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::request::Attachment;

    fn rendered(request: &ModelRequest, model_id: &str, field: MaxTokensField) -> Value {
        let ask = Ask { model_id, request, max_output_tokens: 7, input_tokens: 0 };
        serde_json::from_slice(&render(ask, field).expect("it renders")).expect("it is JSON")
    }

    #[test]
    fn only_what_is_set_is_sent() {
        let request = ModelRequest::new("x/m", vec![ModelMessage::new(Role::User, "a \"quote\"")]);
        assert_eq!(
            rendered(&request, "m", MaxTokensField::Auto),
            json!({
                "model": "m", "messages": [{"role": "user", "content": "a \"quote\""}],
                "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 7
            })
        );
    }

    #[test]
    fn everything_that_is_set_is_sent() {
        let mut request = ModelRequest::new(
            "x/o3",
            vec![ModelMessage::new(Role::User, "q"), ModelMessage::new(Role::Assistant, "a")],
        );
        request.instructions = Some("be kind".into());
        request.temperature = Some(0.5);
        request.top_p = Some(0.9);
        request.stop = vec!["END".into()];
        request.seed = Some(-1);
        request.reasoning_effort = Some(ReasoningEffort::Low);
        request.response_format =
            ResponseFormat::JsonSchema { name: "n".into(), schema: json!({"type": "object"}), strict: true };
        assert_eq!(
            rendered(&request, "o3", MaxTokensField::Auto),
            json!({
                "model": "o3",
                "messages": [
                    {"role": "system", "content": "be kind"},
                    {"role": "user", "content": "q"},
                    {"role": "assistant", "content": "a"}
                ],
                "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 7,
                "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "seed": -1, "reasoning_effort": "low",
                "response_format": {
                    "type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}
                }
            })
        );
    }

    #[test]
    fn what_is_shown_stands_beside_the_words() {
        let mut message = ModelMessage::new(Role::User, "look\nand look");
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
            attachment(13, Shown::File(Some("a \"b\".pdf".into())), "application/pdf", "%PDF"),
        ];
        let mut silent = message.clone();
        silent.text = "".into();
        silent.attachments.truncate(1);
        silent.attachments[0].at = 0;
        let request = ModelRequest::new("x/m", vec![message, silent]);
        let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n", "detail": "low"}});
        let file = json!({"filename": "a \"b\".pdf", "file_data": "data:application/pdf;base64,JVBERg=="});
        assert_eq!(
            rendered(&request, "m", MaxTokensField::Auto)["messages"],
            json!([
                {"role": "user", "content": [
                    {"type": "text", "text": "look"}, picture, {"type": "text", "text": "and look"}, {"type": "file", "file": file}
                ]},
                {"role": "user", "content": [picture]}
            ])
        );
    }

    #[test]
    fn the_limit_has_the_name_that_the_model_knows() {
        for new in ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.6-luna", "gpt-6-sol", "openai/gpt-5-mini"] {
            assert!(wants_max_completion_tokens(new), "{new}");
        }
        for old in ["gpt-4o", "gpt-4.1", "gpt-oss-20b", "claude-opus-5", "o", "omni", "gpt-50x", "llama", ""] {
            assert!(!wants_max_completion_tokens(old), "{old}");
        }
        let request = ModelRequest::new("x/m", Vec::new());
        assert_eq!(rendered(&request, "m", MaxTokensField::MaxCompletionTokens)["max_completion_tokens"], 7);
        assert_eq!(rendered(&request, "o3", MaxTokensField::MaxTokens)["max_tokens"], 7);
    }
}
