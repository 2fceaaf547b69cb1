//! Answers that have to fit a schema.

use headwater_llm::ModelMessage;
use headwater_protocol::api::{ResponseFormat, holds_nul};
use headwater_protocol::event::Role;
use serde_json::Value;

use crate::schema;

/// What was wrong, where nobody remembers it.
pub(crate) const UNKNOWN: &str = "it is not JSON that fits the schema";

/// An answer as the JSON that it has to be; `None` where words will do.
///
/// # Errors
/// What is wrong with it, for the model.
pub(crate) fn parsed(format: &ResponseFormat, text: &str) -> Result<Option<Value>, String> {
    let schema = match format {
        ResponseFormat::Text {} => return Ok(None),
        ResponseFormat::JsonSchema { schema, .. } => schema,
    };
    let value: Value = serde_json::from_str(bare(text)).map_err(|error| format!("it is not JSON: {error}"))?;
    if holds_nul(&value) {
        return Err("it holds a NUL character".to_owned());
    }
    schema::wrong_with(schema, &value, text.len()).map_or(Ok(Some(value)), Err)
}

/// Some models put JSON into a block of Markdown, whatever they are told.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    fenced.map_or(text, |inner| inner.strip_prefix("json").unwrap_or(inner).trim())
}

/// What the model is told of an answer that does not fit. It is in no thread.
pub(crate) fn again(wrong: &str) -> ModelMessage {
    let words =
        format!("Your last answer cannot be used: {wrong}. Answer again, with JSON alone that fits the schema.");
    ModelMessage::new(Role::User, words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_json_that_fits() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let format = ResponseFormat::JsonSchema { name: "n".into(), schema, strict: true };
        for good in ["{\"n\":1}", " {\"n\":1}\n", "```json\n{\"n\":1}\n```", "```\n{\"n\":1}```"] {
            assert_eq!(parsed(&format, good), Ok(Some(json!({"n": 1}))), "{good}");
        }
        for bad in ["", "n is 1", "{\"n\":\"1\"}", "{}", "{\"n\":1} and more", "{\"n\":1,\"x\":\"\\u0000\"}"] {
            assert!(parsed(&format, bad).is_err(), "{bad}");
        }
        assert_eq!(parsed(&ResponseFormat::Text {}, "words"), Ok(None));
    }
}
