//! What the events of a streamed message mean.

use std::borrow::Cow;

use headwater_protocol::Usage;
use headwater_protocol::event::FinishReason;
use serde::Deserialize;

use super::super::reply::{Dialect, Seen, offered_none};
use crate::failure::{self, Failure};
use crate::sse::SseEvent;

/// Messages, as they stream.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// What each block is to us, by its number.
    blocks: Vec<Block>,
    counts: Counts,
}

/// A block of content.
#[derive(Debug, Clone, Copy)]
enum Block {
    Text,
    Reasoning,
    /// A call, by our number. `given`: its arguments came with its beginning.
    Call {
        index: usize,
        given: bool,
    },
    /// What nobody asked for: reasoning that is not shown, tools of the provider's own.
    Other,
}

/// Blocks of one answer. Beyond, the model has lost its way.
const MAX_BLOCKS: usize = 1024;

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart {
        message: Started,
    },
    ContentBlockStart {
        index: usize,
        #[serde(borrow)]
        content_block: Begun<'a>,
    },
    ContentBlockDelta {
        index: usize,
        #[serde(borrow)]
        delta: Delta<'a>,
    },
    MessageDelta {
        #[serde(borrow)]
        delta: Ended<'a>,
        #[serde(default)]
        usage: Counts,
    },
    MessageStop,
    Error {
        error: serde_json::Value,
    },
    /// `ping`, `content_block_stop`, and what a later version may send.
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Started {
    #[serde(default)]
    usage: Counts,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Begun<'a> {
    Text {
        #[serde(borrow, default)]
        text: Cow<'a, str>,
    },
    Thinking {
        #[serde(borrow, default)]
        thinking: Cow<'a, str>,
    },
    ToolUse {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(default)]
        input: serde_json::Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the protocol's names")]
enum Delta<'a> {
    TextDelta {
        #[serde(borrow)]
        text: Cow<'a, str>,
    },
    ThinkingDelta {
        #[serde(borrow)]
        thinking: Cow<'a, str>,
    },
    InputJsonDelta {
        #[serde(borrow)]
        partial_json: Cow<'a, str>,
    },
    /// Signatures, citations.
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Ended<'a> {
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
}

/// Tokens, as they are told: at the beginning, and again, cumulative, at the end.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Counts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
}

impl Counts {
    fn update(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens = newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
    }

    /// In our terms, where input includes cached tokens. `None` when the numbers that matter are missing.
    fn read(self) -> Option<Usage> {
        let (input, output) = (self.input_tokens?, self.output_tokens?);
        let cached = self.cache_read_input_tokens.unwrap_or(0);
        let written = self.cache_creation_input_tokens.unwrap_or(0);
        let input = input.saturating_add(cached).saturating_add(written);
        Some(Usage {
            input_tokens: input,
            cached_input_tokens: cached,
            cache_write_tokens: written,
            output_tokens: output,
            reasoning_tokens: 0,
            total_tokens: input.saturating_add(output),
        })
    }
}

impl Dialect for Message {
    fn event(&mut self, seen: &mut Seen, event: SseEvent<'_>) -> Result<(), Failure> {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Ok(());
        }
        let unreadable = |_| Failure::invalid("the provider sent an event that is not a message's");
        match serde_json::from_slice(data).map_err(unreadable)? {
            // What is told at the beginning of output is a placeholder: only the end is the whole.
            Event::MessageStart { message } => self.counts.update(Counts { output_tokens: None, ..message.usage }),
            Event::ContentBlockStart { index, content_block } => self.begin(seen, index, content_block)?,
            Event::ContentBlockDelta { index, delta } => self.more(seen, index, &delta),
            Event::MessageDelta { delta, usage } => {
                self.counts.update(usage);
                seen.usage = self.counts.read().or(seen.usage);
                if let Some(reason) = delta.stop_reason {
                    seen.finish = Some(finish_reason(&reason, seen.offers_tools)?);
                }
            }
            Event::MessageStop => seen.done = true,
            Event::Error { error } => return Err(failure::from_stream(error.to_string().as_bytes(), seen.key())),
            Event::Other => {}
        }
        Ok(())
    }
}

impl Message {
    fn begin(&mut self, seen: &mut Seen, index: usize, begun: Begun<'_>) -> Result<(), Failure> {
        if index != self.blocks.len() || index == MAX_BLOCKS {
            return Err(Failure::invalid("the provider sent blocks out of order, or too many"));
        }
        let block = match begun {
            Begun::Text { text } => {
                seen.text(&text);
                Block::Text
            }
            Begun::Thinking { thinking } => {
                seen.reasoning(&thinking);
                Block::Reasoning
            }
            Begun::ToolUse { .. } if !seen.offers_tools => return Err(offered_none()),
            Begun::ToolUse { name, input } => {
                let index = seen.begin_call(&name)?;
                // As a rule empty, and what follows is all of it.
                let given = input.as_object().is_some_and(|input| !input.is_empty());
                if given {
                    seen.args(index, &input.to_string());
                }
                Block::Call { index, given }
            }
            Begun::Other => Block::Other,
        };
        self.blocks.push(block);
        Ok(())
    }

    fn more(&mut self, seen: &mut Seen, index: usize, delta: &Delta<'_>) {
        match (self.blocks.get(index), delta) {
            (Some(Block::Text), Delta::TextDelta { text }) => seen.text(text),
            (Some(Block::Reasoning), Delta::ThinkingDelta { thinking }) => seen.reasoning(thinking),
            (Some(Block::Call { index, given: false }), Delta::InputJsonDelta { partial_json }) => {
                seen.args(*index, partial_json);
            }
            _ => {}
        }
    }
}

fn finish_reason(reason: &str, offers_tools: bool) -> Result<FinishReason, Failure> {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Ok(FinishReason::Length),
        "refusal" => Ok(FinishReason::ContentFilter),
        "tool_use" if offers_tools => Ok(FinishReason::ToolCalls),
        "tool_use" => Err(offered_none()),
        // `end_turn`, `stop_sequence`, `pause_turn`.
        _ => Ok(FinishReason::Stop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_all_that_went_in() {
        let mut counts = Counts::default();
        assert_eq!(counts.read(), None);
        counts.update(serde_json::from_str(r#"{"input_tokens":10,"cache_read_input_tokens":100}"#).expect("counts"));
        assert_eq!(counts.read(), None, "what came out is not known yet");
        counts.update(serde_json::from_str(r#"{"output_tokens":7,"cache_creation_input_tokens":5}"#).expect("counts"));
        let usage = Usage {
            input_tokens: 115,
            cached_input_tokens: 100,
            cache_write_tokens: 5,
            output_tokens: 7,
            reasoning_tokens: 0,
            total_tokens: 122,
        };
        assert_eq!(counts.read(), Some(usage));
    }
}
