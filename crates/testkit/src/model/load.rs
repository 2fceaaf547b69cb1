//! The load script: tokens at a fixed pace for thousands of streams at once.
//!
//! Owns: the model names `load-<tokens>x<ms>` and the bytes that answer them, rendered once per name and shared. With
//! `-then-<tokens>x<ms>` behind it a model goes on at another pace, and with
//! `-calls` behind it a model first calls the tool [`TOOL`], and says its tokens once that has been answered. With
//! `-at<percent>` behind all that it counts so much of what it used.
//! Promises: per stream one timer, per token one write of bytes that exist already. With no delay the whole answer is
//! one write. Deadlines are counted from the start of the stream, so a late tick does not push the ones after it;
//! tokens that are overdue by then go out in one write, each still an event and an HTTP chunk of its own.
//! Never does: name the call. All streams of a model share one completion id; who needs ids uses another script.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, RwLock},
    time::Duration,
};

use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{
    http::{self, Conn, Gone},
    render::{self, Events, Usage},
    reply::Delta,
    request::{ChatRequest, Outcome},
    shared::Shared,
};

/// Past this the pre-rendered answer would be some tens of megabytes.
const MAX_TOKENS: usize = 100_000;
/// The tool that a model with `-calls` calls.
pub const TOOL: &str = "look";
/// An hour between tokens is no load.
const MAX_DELAY_MS: u64 = 3_600_000;

/// The rendered answers, by model name and whether usage was asked for.
#[derive(Default)]
pub(super) struct Plans([RwLock<HashMap<String, Arc<Plan>>>; 2]);

/// The answer to one model name.
pub(super) struct Plan {
    tokens: usize,
    /// What it says that it used, in percent of what it did.
    counts: u64,
    pace: Pace,
    /// Everything but usage and end: response head and role, each token, finish reason. In HTTP chunks.
    wire: Vec<u8>,
    /// Where each token ends in `wire`. The first write reaches to the end of the first token.
    ends: Vec<usize>,
    events: Events,
}

/// When each token is due.
#[derive(Clone, Copy)]
struct Pace {
    delay: Duration,
    /// From this token on it is another one.
    until: usize,
    then: Duration,
}

impl Pace {
    /// How long after the beginning.
    fn due(self, token: usize) -> Duration {
        self.delay * token.min(self.until) as u32 + self.then * token.saturating_sub(self.until) as u32
    }

    /// How many are due by then.
    fn by(self, elapsed: Duration) -> usize {
        let steps = |time: Duration, delay: Duration| (time.as_nanos() / delay.as_nanos().max(1)) as usize;
        match elapsed.checked_sub(self.due(self.until)) {
            Some(more) if !self.then.is_zero() => 1 + self.until + steps(more, self.then),
            _ => 1 + steps(elapsed, self.delay),
        }
    }
}

impl Plans {
    /// The plan of a model name, or none if it names no load. `answered`: the last thing said to it is a tool's answer.
    pub(super) fn get(&self, model: &str, wants_usage: bool, answered: bool) -> Option<Arc<Plan>> {
        let plans = &self.0[usize::from(wants_usage)];
        let shape = model.strip_suffix("-calls");
        // Until its tool has answered such a model has a plan of its own.
        let (name, calls) = (shape.filter(|_| answered).unwrap_or(model), shape.is_some() && !answered);
        if let Some(plan) = plans.read().expect("a plan's lock is never poisoned").get(name) {
            return Some(plan.clone());
        }
        let plan = Arc::new(Plan::render(shape.unwrap_or(model), wants_usage, calls)?);
        plans.write().expect("a plan's lock is never poisoned").insert(name.to_owned(), plan.clone());
        Some(plan)
    }
}

impl Plan {
    fn render(model: &str, wants_usage: bool, calls: bool) -> Option<Self> {
        let (shape, counts) = match model.rsplit_once("-at") {
            Some((shape, percent)) => (shape, percent.parse().ok()?),
            None => (model, 100),
        };
        let (tokens, pace) = parse(shape)?;
        let tokens = if calls { 0 } else { tokens };
        let events = Events::new(0, model, wants_usage, false);
        let (mut wire, mut event) = (Vec::new(), Vec::new());
        let mut ends = Vec::with_capacity(tokens);
        http::push_head(&mut wire, 200, "text/event-stream; charset=utf-8", None, &[]);
        events.role(&mut event);
        http::push_chunk(&mut wire, &event);
        for token in 0..tokens {
            event.clear();
            events.delta(&mut event, &Delta::Content(format!(" tok{token}")));
            http::push_chunk(&mut wire, &event);
            ends.push(wire.len());
        }
        if calls {
            let parts = [
                Delta::ToolStart { index: 0, name: TOOL.to_owned() },
                Delta::ToolArguments { index: 0, fragment: r#"{"order":"7"}"#.to_owned() },
            ];
            for part in &parts {
                event.clear();
                events.delta(&mut event, part);
                http::push_chunk(&mut wire, &event);
            }
        }
        event.clear();
        events.finish(&mut event, if calls { "tool_calls" } else { "stop" });
        http::push_chunk(&mut wire, &event);
        Some(Self { tokens, counts, pace, wire, ends, events })
    }

    /// Where in `wire` a token begins; the first one takes along all that comes before it.
    fn start_of(&self, token: usize) -> usize {
        if token == 0 { 0 } else { self.ends[token - 1] }
    }

    /// Usage if asked for, `[DONE]`, end of body.
    fn tail(&self, request: &ChatRequest) -> Vec<u8> {
        let (mut event, mut tail) = (Vec::with_capacity(512), Vec::with_capacity(560));
        if request.wants_usage() {
            self.events.usage(&mut event, &self.usage(request));
        }
        self.events.done(&mut event);
        http::push_chunk(&mut tail, &event);
        tail.extend_from_slice(http::LAST_CHUNK);
        tail
    }

    fn usage(&self, request: &ChatRequest) -> Usage {
        let counted = |tokens: u64| tokens * self.counts / 100;
        Usage { input: counted(request.input_tokens()), output: counted(self.tokens as u64), cached: 0, reasoning: 0 }
    }

    /// Answers one call.
    pub(super) async fn play(&self, conn: &mut Conn, request: &ChatRequest, shared: &Shared) -> Result<Outcome, Gone> {
        if !request.streams() {
            conn.wait(tokio::time::sleep(self.pace.due(self.tokens.saturating_sub(1)))).await?;
            let content: String = (0..self.tokens).map(|token| format!(" tok{token}")).collect();
            let message = json!({"role": "assistant", "content": content, "refusal": null});
            let model = request.model.as_deref().unwrap_or_default();
            let body = render::completion(0, model, &message, Some(self.usage(request)), Some("stop"));
            let mut head = Vec::with_capacity(128);
            http::push_head(&mut head, 200, "application/json", Some(body.len()), &[]);
            conn.send_pair(&head, &body).await?;
            shared.count_tokens(self.tokens);
            return Ok(Outcome::Answered);
        }
        let mut written = 0;
        if !self.pace.delay.is_zero() && self.tokens > 0 {
            let begin = Instant::now();
            let mut tick = pin!(sleep_until(begin));
            let mut token = 0;
            while token < self.tokens {
                if token > 0 {
                    tick.as_mut().reset(begin + self.pace.due(token));
                    conn.wait(tick.as_mut()).await?;
                }
                // On time this is one token. A server that is late joins what is overdue instead of falling back
                // further.
                let upto = self.pace.by(begin.elapsed()).clamp(token + 1, self.tokens);
                conn.send(&self.wire[self.start_of(token)..self.ends[upto - 1]]).await?;
                shared.count_tokens(upto - token);
                token = upto;
            }
            written = self.ends[self.tokens - 1];
        }
        conn.send_pair(&self.wire[written..], &self.tail(request)).await?;
        if written == 0 {
            shared.count_tokens(self.tokens);
        }
        Ok(Outcome::Answered)
    }
}

fn parse(model: &str) -> Option<(usize, Pace)> {
    let shape = model.strip_prefix("load-")?;
    let (first, then) = shape.split_once("-then-").map_or((shape, None), |(first, then)| (first, Some(then)));
    let (until, delay) = stretch(first)?;
    let (more, then) = then.map_or(Some((0, Duration::ZERO)), stretch)?;
    let tokens = Some(until + more).filter(|tokens| *tokens <= MAX_TOKENS)?;
    Some((tokens, Pace { delay, until, then }))
}

fn stretch(text: &str) -> Option<(usize, Duration)> {
    let (tokens, ms) = text.split_once('x')?;
    let tokens = tokens.parse().ok().filter(|tokens| *tokens <= MAX_TOKENS)?;
    let ms = ms.parse().ok().filter(|ms| *ms <= MAX_DELAY_MS)?;
    Some((tokens, Duration::from_millis(ms)))
}
