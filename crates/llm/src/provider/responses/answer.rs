//! What the events of a streamed response mean.

use std::borrow::Cow;

use headwater_protocol::Usage;
use headwater_protocol::event::FinishReason;
use serde::Deserialize;

use super::super::reply::{Dialect, Kept, Seen, offered_none};
use crate::failure::{self, Failure};
use crate::sse::SseEvent;

/// A response, as it streams.
#[derive(Debug, Default)]
pub(crate) struct Responding {
    /// Calls that have begun.
    calls: Vec<Call>,
    refused: bool,
    kept: Option<Kept>,
}

/// The longest id of an answer that is believed to be one.
const MAX_ID_BYTES: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Call {
    /// Its place among what comes out, by the provider's count.
    place: usize,
    /// Its number, by ours.
    index: usize,
    /// Some of its arguments came already.
    has_args: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Event<'a> {
    #[serde(rename = "response.created")]
    Created {
        /// Looked at leniently: an imitator's may be anything.
        #[serde(default)]
        response: serde_json::Value,
    },
    #[serde(rename = "response.output_text.delta")]
    Text {
        #[serde(borrow)]
        delta: Cow<'a, str>,
    },
    #[serde(rename = "response.refusal.delta")]
    Refusal {
        #[serde(borrow)]
        delta: Cow<'a, str>,
    },
    #[serde(rename = "response.reasoning_summary_text.delta", alias = "response.reasoning_text.delta")]
    Reasoning {
        #[serde(borrow)]
        delta: Cow<'a, str>,
    },
    #[serde(rename = "response.output_item.added")]
    Added {
        output_index: usize,
        #[serde(borrow)]
        item: Item<'a>,
    },
    #[serde(rename = "response.function_call_arguments.delta")]
    Args {
        output_index: usize,
        #[serde(borrow)]
        delta: Cow<'a, str>,
    },
    #[serde(rename = "response.output_item.done")]
    Done {
        output_index: usize,
        #[serde(borrow)]
        item: Item<'a>,
    },
    #[serde(rename = "response.completed", alias = "response.incomplete")]
    Ended { response: Ended },
    #[serde(rename = "response.failed")]
    Failed { response: Failing },
    #[serde(rename = "error")]
    Error(serde_json::Value),
    /// Progress, parts, annotations, and what a later version may send.
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item<'a> {
    FunctionCall {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow, default)]
        arguments: Cow<'a, str>,
    },
    #[serde(other)]
    Other,
}

/// The place of an event among all of its response.
#[derive(Debug, Deserialize)]
struct Numbered {
    #[serde(default)]
    sequence_number: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Ended {
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(default)]
    incomplete_details: Option<Incomplete>,
}

#[derive(Debug, Deserialize)]
struct Incomplete {
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Failing {
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(default)]
    error: serde_json::Value,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Counts {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    input_tokens_details: InputDetails,
    #[serde(default)]
    output_tokens_details: OutputDetails,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: u64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: u64,
}

impl From<Counts> for Usage {
    /// What was cached is part of what went in, and reasoning of what came out, as we count too.
    fn from(counts: Counts) -> Self {
        Self {
            input_tokens: counts.input_tokens,
            cached_input_tokens: counts.input_tokens_details.cached_tokens,
            cache_write_tokens: 0,
            output_tokens: counts.output_tokens,
            reasoning_tokens: counts.output_tokens_details.reasoning_tokens,
            total_tokens: counts.input_tokens.saturating_add(counts.output_tokens),
        }
    }
}

impl Dialect for Responding {
    fn event(&mut self, seen: &mut Seen, event: SseEvent<'_>) -> Result<(), Failure> {
        let data = event.data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        // Counted only where somebody may go on behind it.
        let number = self.kept.as_ref().and_then(|_| number_of(data));
        if self.kept.as_ref().and_then(|kept| kept.last).zip(number).is_some_and(|(last, number)| number <= last) {
            return Ok(());
        }
        let unreadable = |_| Failure::invalid("the provider sent an event that is not a response's");
        match serde_json::from_slice(data).map_err(unreadable)? {
            Event::Created { response } => {
                // It becomes part of a URL.
                let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
                let id = response["id"].as_str().unwrap_or_default();
                let is_known = !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(is_id);
                // Whether it was asked for like this: an imitator that does not know the word says nothing.
                if self.kept.is_none() && response["background"] == true && is_known {
                    seen.kept(id);
                    self.kept = Some(Kept { id: id.to_owned(), last: None });
                }
            }
            Event::Text { delta } => seen.text(&delta),
            Event::Refusal { delta } => {
                self.refused = true;
                seen.text(&delta);
            }
            Event::Reasoning { delta } => seen.reasoning(&delta),
            Event::Added { output_index, item: Item::FunctionCall { name, arguments } } => {
                self.begin(seen, output_index, &name, &arguments)?;
            }
            Event::Args { output_index, delta } => self.more(seen, output_index, &delta),
            Event::Done { output_index, item: Item::FunctionCall { name, arguments } } => {
                match self.calls.iter().find(|call| call.place == output_index) {
                    // Some imitators send a call only when it is whole, or its arguments.
                    None => self.begin(seen, output_index, &name, &arguments)?,
                    Some(call) if !call.has_args => self.more(seen, output_index, &arguments),
                    Some(_) => {}
                }
            }
            Event::Ended { response } => {
                seen.usage = response.usage.map(Usage::from).or(seen.usage);
                seen.finish = Some(match response.incomplete_details {
                    Some(incomplete) if incomplete.reason == "content_filter" => FinishReason::ContentFilter,
                    Some(_) => FinishReason::Length,
                    None if self.refused => FinishReason::ContentFilter,
                    None => FinishReason::Stop,
                });
                seen.done = true;
            }
            Event::Failed { response } => {
                seen.usage = response.usage.map(Usage::from).or(seen.usage);
                return Err(failure::from_stream(response.error.to_string().as_bytes(), seen.key()));
            }
            Event::Error(error) => {
                // At the top, or below a name as in all their other answers.
                let error = error.get("error").filter(|inner| inner.is_object()).cloned().unwrap_or(error);
                return Err(failure::from_stream(error.to_string().as_bytes(), seen.key()));
            }
            Event::Added { item: Item::Other, .. } | Event::Done { item: Item::Other, .. } | Event::Other => {}
        }
        if let Some(kept) = &mut self.kept {
            kept.last = number.or_else(|| number_of(data)).or(kept.last);
        }
        Ok(())
    }

    fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }
}

fn number_of(event: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Numbered>(event).ok().and_then(|event| event.sequence_number)
}

/// What a response as it is kept says that it used.
pub(in super::super) fn usage_of(response: &serde_json::Value) -> Option<Usage> {
    Counts::deserialize(response.get("usage")?).ok().map(Usage::from)
}

impl Responding {
    fn begin(&mut self, seen: &mut Seen, place: usize, name: &str, args: &str) -> Result<(), Failure> {
        if !seen.offers_tools {
            return Err(offered_none());
        }
        let index = seen.begin_call(name)?;
        seen.args(index, args);
        self.calls.push(Call { place, index, has_args: !args.is_empty() });
        Ok(())
    }

    fn more(&mut self, seen: &mut Seen, place: usize, args: &str) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.place == place) {
            call.has_args |= !args.is_empty();
            seen.args(call.index, args);
        }
    }
}
