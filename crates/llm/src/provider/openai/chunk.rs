//! One chunk of a streamed completion, borrowed from the bytes it came in.
//!
//! Owns the wire types. Promises that text without escapes is not copied, and that fields we do not know are skipped.
//! Never judges; `answer` does.

use std::borrow::Cow;

use headwater_protocol::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Debug, Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: u32,
    #[serde(borrow, default)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Text<'a>>,
    /// What OpenAI sends instead of content when the model declines.
    #[serde(borrow, default)]
    pub(super) refusal: Option<Text<'a>>,
    /// DeepSeek, vLLM.
    #[serde(borrow, default)]
    pub(super) reasoning_content: Option<Text<'a>>,
    /// OpenRouter.
    #[serde(borrow, default)]
    pub(super) reasoning: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<ToolCall<'a>>>,
}

/// A piece of a call: its beginning has the name, the others more of the arguments.
#[derive(Debug, Deserialize)]
pub(super) struct ToolCall<'a> {
    /// Some imitators number nothing, others all calls with 0: then a piece with a name, and an id of its own, begins the
    /// next call.
    #[serde(default)]
    pub(super) index: Option<usize>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) function: Option<Function<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<Text<'a>>,
}

/// A `Cow` inside an `Option` is borrowed only through a type of its own.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    /// In our terms, where input includes cached tokens and output includes reasoning. `None` when the numbers that matter
    /// are missing.
    pub(super) fn read(self) -> Option<Usage> {
        let (input, completion) = (self.prompt_tokens?, self.completion_tokens?);
        // Some (xAI, Gemini) leave the reasoning out of `completion_tokens` and count it in the total.
        let beyond = self.total_tokens.unwrap_or(0).saturating_sub(input);
        let output = completion.max(beyond);
        let details = self.prompt_tokens_details;
        let cached = details.and_then(|details| details.cached_tokens).unwrap_or(0).min(input);
        let written = details.and_then(|details| details.cache_write_tokens).unwrap_or(0).min(input - cached);
        let reasoning = self.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        Some(Usage {
            input_tokens: input,
            cached_input_tokens: cached,
            cache_write_tokens: written,
            output_tokens: output,
            reasoning_tokens: reasoning.unwrap_or(output - completion).min(output),
            total_tokens: input.saturating_add(output),
        })
    }
}

/// Whether a JSON value is there and is not `null` (an `Option` of a `RawValue` holds `null` as text).
pub(super) fn is_something(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|value| value.get() != "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Chunk<'_> {
        serde_json::from_str(json).expect("it is a chunk")
    }

    #[test]
    fn text_is_borrowed_and_all_else_is_skipped() {
        let json = r#"{"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"hi","tool_calls":[{"index":0}]},"logprobs":null,"finish_reason":null}],"usage":null,"x":[1,{"y":2}]}"#;
        let chunk = chunk(json);
        let choice = &chunk.choices.as_deref().expect("choices")[0];
        let delta = choice.delta.as_ref().expect("a delta");
        assert!(matches!(&delta.content, Some(Text(Cow::Borrowed("hi")))));
        assert!(choice.finish_reason.is_none() && chunk.usage.is_none() && is_something(chunk.error).is_none());
    }

    #[test]
    fn escapes_are_decoded() {
        let chunk = chunk(r#"{"choices":[{"delta":{"reasoning":"a\n\u00e4\ud83d\ude00"}}],"error":null}"#);
        let choices = chunk.choices.expect("choices");
        let reasoning = choices[0].delta.as_ref().and_then(|delta| delta.reasoning.as_ref());
        assert_eq!(reasoning.map(|text| &*text.0), Some("a\nä😀"));
        assert!(is_something(chunk.error).is_none());
    }

    #[test]
    fn usage_in_everybodys_habit() {
        let read = |json: &str| serde_json::from_str::<WireUsage>(json).expect("usage").read();
        let openai = read(
            r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,
            "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":12}}"#,
        );
        let expected = Usage {
            input_tokens: 100,
            cached_input_tokens: 64,
            cache_write_tokens: 0,
            output_tokens: 20,
            reasoning_tokens: 12,
            total_tokens: 120,
        };
        assert_eq!(openai, Some(expected));
        let apart = read(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40}"#).expect("usage");
        assert_eq!((apart.output_tokens, apart.reasoning_tokens), (30, 25));
        assert_eq!(read(r#"{"prompt_tokens":10,"completion_tokens":null}"#), None);
        let absurd = read(
            r#"{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9,"cache_write_tokens":9}}"#,
        );
        assert_eq!(absurd.expect("usage").cached_input_tokens, 1);
    }
}
