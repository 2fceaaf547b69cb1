//! What the model is shown of the thread.
//!
//! Whole runs leave the context first, oldest first; never the instructions, never the run's own input, never a part of
//! a run without the rest of it.

use std::sync::Arc;

use headwater_llm::{GatewayLlmService, ModelCall, ModelMessage, ModelTool, attachment_tokens};
use headwater_protocol::api::{AgentConfig, Truncation};
use headwater_protocol::event::Role;
use headwater_protocol::message::Part;
use headwater_protocol::{ErrorCode, Problem};
use headwater_store::scoped::HistoryMessage;

use crate::attachments;

/// What a message costs beside its words, in tokens: roles and separators. OpenAI's own count is 3 to 4.
const PER_MESSAGE: u64 = 4;

/// The messages for the model, oldest first.
pub async fn context(
    llm: &GatewayLlmService,
    config: &AgentConfig,
    tools: &[ModelTool],
    history: Vec<HistoryMessage>,
) -> Result<Vec<ModelMessage>, Problem> {
    let mut runs: Vec<(i64, Vec<ModelMessage>)> = Vec::new();
    for message in history {
        if !matches!(runs.last(), Some((ord, _)) if *ord == message.ord) {
            runs.push((message.ord, Vec::new()));
        }
        let (_, messages) = runs.last_mut().expect("just made");
        if message.role == Role::Tool {
            messages.extend(message.content.iter().filter_map(answer));
            continue;
        }
        let (text, attachments) = attachments::said(llm, &config.model, &message.content);
        let mut for_model = ModelMessage::new(message.role, text);
        for_model.calls = message.content.iter().filter_map(call).collect();
        for_model.attachments = attachments;
        if !for_model.text.is_empty() || !for_model.calls.is_empty() || !for_model.attachments.is_empty() {
            messages.push(for_model);
        }
    }
    for (_, messages) in &mut runs {
        answer_all(messages);
    }
    runs.retain(|(_, messages)| !messages.is_empty());
    let Some(room) = room(llm, config) else { return Ok(flat(runs)) };
    let tools: Vec<String> = tools.iter().map(ModelTool::text).collect();
    let instructions = config.instructions.as_deref().unwrap_or_default();
    // There are never more tokens than bytes: most threads are short, and need no counting.
    let bytes: usize = runs.iter().flat_map(|(_, messages)| messages).map(|m| bytes_of(m) + PER_MESSAGE as usize).sum();
    let bytes = bytes + tools.iter().map(|text| text.len() + PER_MESSAGE as usize).sum::<usize>();
    if (bytes + instructions.len()) as u64 <= room {
        return Ok(flat(runs));
    }
    let mut room = room;
    for text in &tools {
        room = room.saturating_sub(count(llm, config, text).await);
    }
    let mut left = room.saturating_sub(count(llm, config, instructions).await);
    let mut kept = 0;
    for (_, messages) in runs.iter_mut().rev() {
        let mut size = 0;
        for message in messages.iter_mut() {
            let tokens = llm.estimator().tokens(&message.text).await;
            message.tokens = Some(tokens);
            size += llm.estimator().scale(&config.model, tokens, message.text.len()) + PER_MESSAGE;
            size += message.attachments.iter().map(attachment_tokens).sum::<u64>();
            for call in &message.calls {
                for text in [call.name.as_str(), &call.args] {
                    size += llm.estimator().count(&config.model, text).await + PER_MESSAGE;
                }
            }
        }
        if size > left {
            break;
        }
        left -= size;
        kept += 1;
    }
    let all = runs.len();
    if kept == 0 || (kept < all && config.truncation == Truncation::Disabled) {
        return Err(Problem::new(
            ErrorCode::ContextLengthExceeded,
            format!("the thread does not fit the {room} tokens that the model's context leaves"),
        ));
    }
    Ok(flat(runs.split_off(all - kept)))
}

fn bytes_of(message: &ModelMessage) -> usize {
    let shown: u64 = message.attachments.iter().map(attachment_tokens).sum();
    let shown = usize::try_from(shown).unwrap_or(usize::MAX);
    shown + message.text.len() + message.calls.iter().map(|call| call.name.len() + call.args.len()).sum::<usize>()
}

/// A call as the model made it.
fn call(part: &Part) -> Option<ModelCall> {
    let Part::ToolCall { call, name, args } = part else { return None };
    // Providers refuse names that no tool can have, and what is no JSON: both are the model's own inventions.
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name.chars().take(64).map(|c| if good(c) { c } else { '_' }).collect();
    let name = if name.is_empty() { "_".to_owned() } else { name };
    let args = args.as_ref().map_or_else(|| "{}".to_owned(), serde_json::Value::to_string);
    Some(ModelCall { call: *call, name, args: args.into() })
}

/// What came of a call, in words for the model.
fn answer(part: &Part) -> Option<ModelMessage> {
    let Part::ToolResult { call, status, output, error, comment, .. } = part else { return None };
    let words = |error: &Problem| error.detail.clone().unwrap_or_else(|| error.title.clone());
    let text = match (status.as_str(), output, error) {
        ("denied", _, _) if comment.is_some() => {
            serde_json::json!({"error": "this call is not permitted", "reason": comment}).to_string()
        }
        ("denied", _, _) => r#"{"error":"this call is not permitted"}"#.to_owned(),
        (_, _, Some(error)) => serde_json::json!({"error": words(error), "code": error.code}).to_string(),
        // Words are words, and not JSON of words.
        (_, Some(serde_json::Value::String(text)), None) => text.clone(),
        (_, output, None) => output.as_ref().map_or_else(|| "null".to_owned(), serde_json::Value::to_string),
    };
    Some(ModelMessage::answer(*call, text))
}

/// Providers refuse a call without an answer right behind it, and an answer without its call. A run that ended before has
/// no answer; a history that was cut may have no call.
fn answer_all(messages: &mut Vec<ModelMessage>) {
    let all = std::mem::take(messages);
    let (answers, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|message| message.answers.is_some());
    for message in others {
        let calls: Vec<_> = message.calls.iter().map(|call| call.call).collect();
        messages.push(message);
        for call in calls {
            let answer = answers.iter().find(|answer| answer.answers == Some(call)).cloned();
            let none = || ModelMessage::answer(call, r#"{"error":"the run ended before this was answered"}"#);
            messages.push(answer.unwrap_or_else(none));
        }
    }
}

async fn count(llm: &GatewayLlmService, config: &AgentConfig, text: &str) -> u64 {
    if text.is_empty() { 0 } else { llm.estimator().count(&config.model, text).await + PER_MESSAGE }
}

/// Bytes of history worth reading: a token is hardly ever longer than 16 bytes, and no thread is worth more than a few
/// MiB of memory.
pub fn worth_reading(llm: &GatewayLlmService, config: &AgentConfig) -> i64 {
    const MOST: u64 = 8 * 1024 * 1024;
    let bytes = room(llm, config).map_or(MOST, |tokens| tokens.saturating_mul(16)).min(MOST);
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Tokens for instructions and messages; `None` where nobody knows a limit.
fn room(llm: &GatewayLlmService, config: &AgentConfig) -> Option<u64> {
    let facts = llm.facts(&config.model);
    let window = facts.and_then(|facts| facts.context_window).map(u64::from);
    let window = window.map(|window| {
        // Leave space to answer: what was asked for, else a quarter of the window at most.
        let answer = config.max_output_tokens.or(facts.and_then(|facts| facts.max_output_tokens)).map_or(0, u64::from);
        window - answer.min(window / 4)
    });
    match (config.limits.max_input_tokens.map(u64::from), window) {
        (Some(limit), Some(window)) => Some(limit.min(window)),
        (limit, window) => limit.or(window),
    }
}

fn flat(runs: Vec<(i64, Vec<ModelMessage>)>) -> Vec<ModelMessage> {
    runs.into_iter().flat_map(|(_, messages)| messages).collect()
}

/// Instructions in the form the gateway takes.
pub fn instructions(config: &AgentConfig) -> Option<Arc<str>> {
    config.instructions.as_deref().filter(|text| !text.is_empty()).map(Arc::from)
}
