//! What the events of a streamed completion mean.

use headwater_protocol::event::FinishReason;

use super::super::reply::{Dialect, Seen, offered_none};
use super::chunk::{Chunk, Text, ToolCall, is_something};
use crate::failure::{self, Failure};
use crate::sse::SseEvent;

/// Chat Completions, as it and its imitators stream.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    /// Calls that have begun, by the number and the id that the provider gave each.
    calls: Vec<(Option<usize>, Option<String>)>,
}

impl Dialect for Completion {
    fn event(&mut self, seen: &mut Seen, event: SseEvent<'_>) -> Result<(), Failure> {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            seen.done = true;
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data)
            .map_err(|_| Failure::invalid("the provider sent a chunk that is not a completion's"))?;
        if let Some(error) = is_something(chunk.error) {
            return Err(failure::from_stream(error.get().as_bytes(), seen.key()));
        }
        if let Some(usage) = chunk.usage.and_then(|usage| usage.read()) {
            seen.usage = Some(usage);
        }
        // We never ask for more than one answer.
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index == 0) {
            if let Some(delta) = choice.delta {
                for Text(text) in [delta.reasoning_content, delta.reasoning].into_iter().flatten() {
                    seen.reasoning(&text);
                }
                for Text(text) in [delta.content, delta.refusal].into_iter().flatten() {
                    seen.text(&text);
                }
                for call in delta.tool_calls.into_iter().flatten() {
                    self.call(seen, call)?;
                }
            }
            if let Some(reason) = choice.finish_reason {
                seen.finish = Some(finish_reason(&reason.0, seen.offers_tools)?);
            }
        }
        Ok(())
    }

    fn rest(&mut self, seen: &mut Seen, event: SseEvent<'_>) -> Result<(), Failure> {
        if event.data.trim_ascii() == b"[DONE]" { self.event(seen, event) } else { Ok(()) }
    }
}

impl Completion {
    fn call(&mut self, seen: &mut Seen, piece: ToolCall<'_>) -> Result<(), Failure> {
        if !seen.offers_tools {
            return Err(offered_none());
        }
        let function = piece.function;
        let name = function.as_ref().and_then(|function| function.name.as_ref()).filter(|name| !name.0.is_empty());
        let arguments = function.as_ref().and_then(|function| function.arguments.as_ref());
        if name.is_none() && arguments.is_none_or(|text| text.0.is_empty()) {
            return Ok(());
        }
        let id = piece.id.as_ref().map(|id| id.0.as_ref()).filter(|id| !id.is_empty());
        let known = match piece.index {
            Some(_) => self.calls.iter().rposition(|(number, _)| *number == piece.index),
            None if name.is_some() => None,
            None => self.calls.len().checked_sub(1),
        };
        let another = |at: &usize| name.is_some() && id.is_some() && self.calls[*at].1.as_deref() != id;
        let known = known.filter(|at| !another(at));
        let index = match (known, name) {
            (Some(index), _) => index,
            (None, Some(Text(name))) => {
                let index = seen.begin_call(name)?;
                self.calls.push((piece.index, id.map(str::to_owned)));
                index
            }
            (None, None) => return Err(Failure::invalid("the provider sent arguments of a call that has no name")),
        };
        if let Some(Text(arguments)) = arguments {
            seen.args(index, arguments);
        }
        Ok(())
    }
}

fn finish_reason(reason: &str, offers_tools: bool) -> Result<FinishReason, Failure> {
    match reason {
        "length" | "max_tokens" => Ok(FinishReason::Length),
        "content_filter" => Ok(FinishReason::ContentFilter),
        "tool_calls" | "function_call" if offers_tools => Ok(FinishReason::ToolCalls),
        "tool_calls" | "function_call" => Err(offered_none()),
        // `stop`, and the names that imitators have for it.
        _ => Ok(FinishReason::Stop),
    }
}
