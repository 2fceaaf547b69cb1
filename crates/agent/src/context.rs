//! What the model is shown of the thread.
//!
//! Whole runs leave the context first, oldest first; never the instructions, never the run's own input, never a part of
//! a run without the rest of it.

use std::sync::Arc;

use headwater_llm::{GatewayLlmService, ModelMessage};
use headwater_protocol::api::{AgentConfig, Truncation};
use headwater_protocol::message::text_of;
use headwater_protocol::{ErrorCode, Problem};
use headwater_store::scoped::HistoryMessage;

/// What a message costs beside its words, in tokens: roles and separators. OpenAI's own count is 3 to 4.
const PER_MESSAGE: u64 = 4;

/// The messages for the model, oldest first.
pub async fn context(
    llm: &GatewayLlmService,
    config: &AgentConfig,
    history: Vec<HistoryMessage>,
) -> Result<Vec<ModelMessage>, Problem> {
    let mut runs: Vec<(i64, Vec<ModelMessage>)> = Vec::new();
    for message in history {
        let text = text_of(&message.content);
        if text.is_empty() {
            continue;
        }
        let message_for_model = ModelMessage::new(message.role, text);
        match runs.last_mut().filter(|(ord, _)| *ord == message.ord) {
            Some((_, messages)) => messages.push(message_for_model),
            None => runs.push((message.ord, vec![message_for_model])),
        }
    }
    let Some(room) = room(llm, config) else { return Ok(flat(runs)) };
    let instructions = config.instructions.as_deref().unwrap_or_default();
    // There are never more tokens than bytes: most threads are short, and need no counting.
    let bytes: usize =
        runs.iter().flat_map(|(_, messages)| messages).map(|m| m.text.len() + PER_MESSAGE as usize).sum();
    if (bytes + instructions.len()) as u64 <= room {
        return Ok(flat(runs));
    }
    let mut left = room.saturating_sub(count(llm, config, instructions).await);
    let mut kept = 0;
    for (_, messages) in runs.iter_mut().rev() {
        let mut size = 0;
        for message in messages.iter_mut() {
            let tokens = llm.estimator().tokens(&message.text).await;
            message.tokens = Some(tokens);
            size += llm.estimator().scale(&config.model, tokens, message.text.len()) + PER_MESSAGE;
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
