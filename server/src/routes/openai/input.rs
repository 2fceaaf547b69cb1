//! What clients of OpenAI send as input, in both of its APIs, as ours.

use headwater_protocol::Problem;
use headwater_protocol::api::{Overrides, Tool};
use headwater_protocol::event::Role;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::routes::answers::Answers;
use crate::routes::body::from_value;
use crate::routes::talk;

/// What a request says.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// What was said before, oldest first: for a thread that is new here.
    pub(super) before: Vec<(Role, Vec<Value>)>,
    /// What is said now, as parts of a message.
    pub(super) now: Vec<Value>,
    /// Words for the model that are nobody's message.
    pub(super) instructions: Vec<String>,
    /// What a run that waits is given.
    pub(super) answers: Answers,
}

impl Input {
    /// The `input` of a response: words, or items.
    pub(super) fn of_response(input: &Value) -> Result<Self, ApiError> {
        let mut read = Turns::default();
        match input {
            Value::String(text) => read.turn(Role::User, vec![json!({"type": "text", "text": text})]),
            Value::Array(items) => {
                for (nth, item) in items.iter().enumerate() {
                    read.item(item, &format!("/input/{nth}"))?;
                }
            }
            _ => return Err(Problem::invalid("/input", "must be a string or a list of items").into()),
        }
        Ok(read.done())
    }

    /// The `messages` of a chat completion.
    pub(super) fn of_messages(messages: &[Value]) -> Result<Self, Problem> {
        let mut read = Turns::default();
        for (nth, message) in messages.iter().enumerate() {
            read.message(message, &format!("/messages/{nth}"))?;
        }
        Ok(read.done())
    }
}

#[derive(Default)]
struct Turns {
    turns: Vec<(Role, Vec<Value>)>,
    /// How many of them there were at the last answer to a call.
    answered_at: usize,
    read: Input,
}

impl Turns {
    fn turn(&mut self, role: Role, parts: Vec<Value>) {
        self.turns.push((role, parts));
    }

    fn item(&mut self, item: &Value, at: &str) -> Result<(), ApiError> {
        let text = |field: &str| item[field].as_str();
        match text("type").unwrap_or("message") {
            "message" => Ok(self.message(item, at)?),
            "function_call_output" => Ok(self.output(&item["call_id"], &item["output"], at)?),
            "mcp_approval_response" => {
                let approval = text("approval_request_id").and_then(|id| id.parse().ok());
                let approval = approval.ok_or_else(|| must(at, "approval_request_id", "be one of ours"))?;
                let approve = item["approve"].as_bool().ok_or_else(|| must(at, "approve", "be true or false"))?;
                let verdict = if approve { "approved" } else { "denied" };
                let decision = from_value(json!({"decision": verdict, "comment": text("reason")}), at)?;
                self.read.answers.decisions.push((approval, decision, at.to_owned()));
                self.answered_at = self.turns.len();
                Ok(())
            }
            // What we have told ourselves: the thread remembers it.
            "function_call"
            | "mcp_call"
            | "mcp_approval_request"
            | "mcp_list_tools"
            | "reasoning"
            | "item_reference" => Ok(()),
            _ => Err(must(at, "type", "be message, function_call_output or mcp_approval_response").into()),
        }
    }

    /// A message; the two APIs write them nearly alike.
    fn message(&mut self, message: &Value, at: &str) -> Result<(), Problem> {
        let parts = || content(&message["content"], at);
        match message["role"].as_str() {
            Some("user") => {
                let parts = parts()?;
                self.turn(Role::User, parts);
            }
            Some("assistant") => {
                // One that only calls is nothing to remember here.
                let words: Vec<Value> = if message["content"].is_null() { Vec::new() } else { parts()? };
                if !words.is_empty() {
                    self.turn(Role::Assistant, words);
                }
            }
            Some("system" | "developer") => {
                let parts = parts()?;
                self.read.instructions.extend(parts.iter().filter_map(|part| Some(part["text"].as_str()?.to_owned())));
            }
            Some("tool") => self.output(&message["tool_call_id"], &message["content"], at)?,
            _ => return Err(must(at, "role", "be user, assistant, system, developer or tool")),
        }
        Ok(())
    }

    fn output(&mut self, call: &Value, output: &Value, at: &str) -> Result<(), Problem> {
        let call = call.as_str().and_then(|call| call.parse().ok());
        let call = call.ok_or_else(|| Problem::invalid(at, "must answer a call of ours, by its id"))?;
        let output = match output {
            Value::String(text) => parsed(text),
            Value::Array(parts) => {
                let texts: Option<Vec<&str>> = parts.iter().map(|part| part["text"].as_str()).collect();
                parsed(&texts.ok_or_else(|| Problem::invalid(at, "must be answered in words"))?.concat())
            }
            _ => return Err(Problem::invalid(at, "must be answered in words")),
        };
        self.read.answers.outputs.push((call, output, at.to_owned()));
        self.answered_at = self.turns.len();
        Ok(())
    }

    fn done(self) -> Input {
        let Self { mut turns, answered_at, mut read } = self;
        read.answers.says_more = turns.len() > answered_at;
        let from = turns.iter().rposition(|(role, _)| *role != Role::User).map_or(0, |at| at + 1);
        read.now = turns.split_off(from).into_iter().flat_map(|(_, parts)| parts).collect();
        read.before = turns;
        read
    }
}

/// What a call has come to: JSON where it is an object or a list, else the words.
fn parsed(text: &str) -> Value {
    let json: Option<Value> = serde_json::from_str(text).ok();
    json.filter(|json| json.is_object() || json.is_array()).unwrap_or_else(|| text.into())
}

fn must(at: &str, field: &str, what: &str) -> Problem {
    Problem::invalid(format!("{at}/{field}"), format!("must {what}"))
}

/// The content of a message: words, or parts.
fn content(content: &Value, at: &str) -> Result<Vec<Value>, Problem> {
    match content {
        Value::String(text) => Ok(vec![json!({"type": "text", "text": text})]),
        Value::Array(parts) => {
            parts.iter().enumerate().map(|(nth, it)| part(it, &format!("{at}/content/{nth}"))).collect()
        }
        _ => Err(must(at, "content", "be a string or a list of parts")),
    }
}

fn part(part: &Value, at: &str) -> Result<Value, Problem> {
    let text = |field: &str| part[field].as_str();
    let source =
        |url: &str, field: &str| talk::source(url).map_err(|words| Problem::invalid(format!("{at}/{field}"), words));
    let uploaded =
        text("file_id").or(part["file"]["file_id"].as_str()).map(|id| json!({"type": "artifact", "artifact": id}));
    match text("type") {
        Some("input_text" | "output_text" | "text") => {
            Ok(json!({"type": "text", "text": text("text").ok_or_else(|| must(at, "text", "be a string"))?}))
        }
        Some("refusal") => Ok(json!({"type": "text", "text": text("refusal").unwrap_or_default()})),
        Some("input_image" | "image_url") => {
            // A string in one API, an object in the other.
            let shown = &part["image_url"];
            let detail = text("detail").or(shown["detail"].as_str()).filter(|detail| *detail != "original");
            let source = match (uploaded, shown.as_str().or(shown["url"].as_str())) {
                (Some(source), _) => source,
                (None, Some(url)) => source(url, "image_url")?,
                (None, None) => return Err(must(at, "image_url", "be a URL")),
            };
            Ok(json!({"type": "image", "source": source, "detail": detail.unwrap_or("auto")}))
        }
        Some("input_file" | "file") => {
            let file = if part["file"].is_object() { &part["file"] } else { part };
            let source = match (uploaded, file["file_data"].as_str(), file["file_url"].as_str()) {
                (Some(source), ..) => source,
                (None, Some(data), _) => source(data, "file_data")?,
                (None, None, Some(url)) => source(url, "file_url")?,
                (None, None, None) => {
                    return Err(must(at, "file_data", "be a data: URL, or beside it file_url or file_id"));
                }
            };
            Ok(json!({"type": "file", "source": source, "filename": file["filename"]}))
        }
        _ => Err(must(at, "type", "be input_text, input_image or input_file")),
    }
}

/// A function of the client's own, as both APIs write it.
#[derive(Debug, Clone, Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
}

/// Tools of a request: functions, which its client carries out. All else is the agent's.
pub(super) fn tools(tools: &[Value]) -> Result<Option<Vec<Tool>>, ApiError> {
    if tools.is_empty() {
        return Ok(None);
    }
    let read = tools.iter().enumerate().map(|(nth, tool)| {
        let at = format!("/tools/{nth}");
        if tool["type"] != "function" {
            return Err(must(&at, "type", "be function: other tools are the agent's").into());
        }
        let function = if tool["function"].is_object() { &tool["function"] } else { tool };
        let Function { name, description, parameters } = from_value(function.clone(), &at)?;
        let mut ours = json!({"type": "client", "name": name, "description": description});
        if let Some(parameters) = parameters {
            ours["parameters"] = parameters;
        }
        from_value::<Tool>(ours, &at)
    });
    read.collect::<Result<Vec<_>, ApiError>>().map(Some)
}

/// Whether tools are called, by a word alone.
pub(super) fn tool_choice(choice: Option<&Value>, set: &mut Overrides) -> Result<(), ApiError> {
    set.tool_choice = match choice {
        None | Some(Value::Null) => None,
        Some(word) => Some(from_value(word.clone(), "/tool_choice")?),
    };
    Ok(())
}

/// How hard a model is to think, in their words.
pub(super) fn effort(effort: Option<&str>) -> Result<Option<Value>, Problem> {
    Ok(match effort {
        None => None,
        Some(known @ ("none" | "low" | "medium" | "high")) => Some(known.into()),
        Some("minimal") => Some("low".into()),
        Some("xhigh") => Some("high".into()),
        Some(_) => {
            return Err(Problem::invalid("/reasoning/effort", "must be none, minimal, low, medium, high or xhigh"));
        }
    })
}

/// What the answer has to look like. `described`: where the schema stands, in either API.
pub(super) fn format(format: &Value, described: &Value, at: &str) -> Result<Option<Value>, Problem> {
    match format["type"].as_str() {
        None | Some("text") => Ok(None),
        Some("json_schema") => Ok(Some(
            json!({"type": "json_schema", "name": described["name"], "schema": described["schema"], "strict": true}),
        )),
        Some(_) => Err(must(at, "type", "be text or json_schema")),
    }
}

#[cfg(test)]
mod tests {
    use headwater_protocol::CallId;

    use super::*;

    #[test]
    fn what_is_said_now_is_what_follows_the_last_answer() {
        let read = Input::of_response(&json!([
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "And now?"}]},
            {"role": "user", "content": "Please."},
        ]))
        .expect("good input");
        assert_eq!(read.instructions, ["Be brief."]);
        assert_eq!(read.before.iter().map(|(role, _)| *role).collect::<Vec<_>>(), [Role::User, Role::Assistant]);
        assert_eq!(read.now.iter().map(|part| &part["text"]).collect::<Vec<_>>(), ["And now?", "Please."]);
        assert!(read.answers.outputs.is_empty() && read.answers.says_more);
    }

    #[test]
    fn what_is_said_before_an_answer_to_a_call_is_no_news() {
        let call = CallId::new();
        let history = [
            json!({"role": "user", "content": "Weather?"}),
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": call, "type": "function", "function": {"name": "w", "arguments": "{}"}}]}),
            json!({"role": "tool", "tool_call_id": call, "content": "{\"c\":21}"}),
        ];
        let read = Input::of_messages(&history).expect("good messages");
        assert!(!read.answers.says_more);
        assert_eq!((read.answers.outputs[0].0, &read.answers.outputs[0].1), (call, &json!({"c": 21})));
    }

    #[test]
    fn nor_is_what_is_said_before_a_decision() {
        let approval = headwater_protocol::ApprovalId::new();
        let history = json!([
            {"role": "user", "content": "Pay."},
            {"type": "mcp_approval_request", "id": approval, "name": "pay", "arguments": "{}", "server_label": "headwater"},
            {"type": "mcp_approval_response", "approval_request_id": approval, "approve": true},
        ]);
        let read = Input::of_response(&history).expect("good input");
        assert_eq!((read.answers.decisions.len(), read.answers.says_more), (1, false));
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (input, at) in [
            (json!(7), "/input"),
            (json!([{"role": "narrator", "content": "x"}]), "/input/0/role"),
            (json!([{"type": "web_search_call"}]), "/input/0/type"),
            (json!([{"role": "user", "content": [{"type": "input_audio"}]}]), "/input/0/content/0/type"),
            (
                json!([{"role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]}]),
                "/input/0/content/0/image_url",
            ),
            (json!([{"type": "function_call_output", "call_id": "call_x", "output": "x"}]), "/input/0"),
        ] {
            let error = Input::of_response(&input).expect_err("bad input");
            assert_eq!(error.problem().errors[0].param, at, "{input}");
        }
    }
}
