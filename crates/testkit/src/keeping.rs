//! [`KeepingModel`]: a provider of OpenAI Responses that keeps its answers.
//!
//! Owns its answers, each told again to whoever asks for it, and how much of the first comes before its connection is lost. Promises that
//! an answer is the same each time, event for event. Never makes one by itself after it was stopped.

use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use crate::tools::{ToolAnswer, ToolRequest, ToolServer};

/// The provider's id of the first answer; others count on.
pub const FIRST: &str = "resp_1";

#[derive(Debug)]
struct State {
    /// Events that come before the connection of the first answer is lost. `None`: all of them.
    cut: Option<usize>,
    /// Whether those who want to go on in the middle have to wait.
    held: bool,
    /// Whether those have to wait too who want all of it.
    held_whole: bool,
    /// Whether it still knows the answers that it has begun.
    knows: bool,
    /// Whether it looks at where somebody wants to go on.
    positions: bool,
    begun: usize,
    stopped: bool,
}

#[derive(Debug)]
struct Shared {
    answers: Vec<Vec<Value>>,
    state: Mutex<State>,
    changed: Condvar,
}

/// A provider that keeps what it has begun.
#[derive(Debug)]
pub struct KeepingModel {
    server: ToolServer,
    shared: Arc<Shared>,
}

/// What an answer uses here, whole or stopped.
pub const USAGE: [u64; 2] = [115, 40];

fn response(id: &str, status: &str) -> Value {
    let [input, output] = USAGE;
    let usage = json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output});
    json!({"id": id, "status": status, "background": true, "usage": usage})
}

impl KeepingModel {
    /// Answers with these events of the model, each between a beginning and an end of its own; the last one again and again.
    /// `cut`: of the first answer only so many events come, its beginning counted, and then the connection is lost.
    pub fn start(answers: Vec<Vec<Value>>, cut: Option<usize>) -> Self {
        let state =
            State { cut, held: false, held_whole: false, knows: true, positions: true, begun: 0, stopped: false };
        let shared = Arc::new(Shared { answers, state: Mutex::new(state), changed: Condvar::new() });
        let served = shared.clone();
        let server = ToolServer::start(move |request| served.answer(request));
        Self { server, shared }
    }

    /// The same with words.
    pub fn words(words: &[&str], cut: Option<usize>) -> Self {
        Self::start(vec![words.iter().map(|word| text(word)).collect()], cut)
    }

    /// What a client takes as its base URL.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.server.url)
    }

    /// Lets those wait, or not, who want to go on in the middle of an answer.
    pub fn hold(&self, held: bool) {
        self.change(|state| state.held = held);
    }

    /// The same for those who want all of it.
    pub fn hold_whole(&self, held: bool) {
        self.change(|state| state.held_whole = held);
    }

    /// Forgets what it has begun. What begins from now on comes whole.
    pub fn forget(&self) {
        self.change(|state| (state.knows, state.cut) = (false, None));
    }

    /// Tells everything from the beginning, wherever somebody wants to go on.
    pub fn ignore_positions(&self) {
        self.change(|state| state.positions = false);
    }

    /// What was asked, as `METHOD path?query`.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    /// All that was asked.
    pub fn requests(&self) -> Vec<ToolRequest> {
        self.server.requests()
    }

    /// Waits until so much was asked.
    pub async fn until_asked(&self, count: usize) {
        self.server.asked(count).await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock().expect("no panic while it is held"));
        self.shared.changed.notify_all();
    }
}

impl Drop for KeepingModel {
    fn drop(&mut self) {
        self.hold(false);
        self.hold_whole(false);
    }
}

/// Some of an answer's text.
pub fn text(delta: &str) -> Value {
    json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": delta})
}

impl Shared {
    fn answer(&self, request: &ToolRequest) -> ToolAnswer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let mut state = self.state.lock().expect("no panic while it is held");
        let Some(id) = path.strip_prefix("/v1/responses/") else {
            let background = request.json()["background"] == true;
            state.begun += 1;
            let cut = state.cut.take().unwrap_or(usize::MAX);
            return self.stream(&format!("resp_{}", state.begun), background, 0, cut);
        };
        if !state.knows {
            return ToolAnswer::json(&json!({"error": {"message": "no such response"}})).status(404);
        }
        if let Some(id) = id.strip_suffix("/cancel") {
            state.stopped = true;
            return ToolAnswer::json(&response(id, "cancelled"));
        }
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        if parameter("stream") != Some("true") {
            return ToolAnswer::json(&response(id, if state.stopped { "cancelled" } else { "completed" }));
        }
        let after = parameter("starting_after").and_then(|after| after.parse::<usize>().ok());
        if after.is_some() || state.held_whole {
            state = self
                .changed
                .wait_while(state, |state| state.held || state.held_whole)
                .expect("no panic while it is held");
        }
        let from = after.filter(|_| state.positions).map_or(0, |after| after + 1);
        self.stream(id, true, from, usize::MAX)
    }

    fn stream(&self, id: &str, background: bool, from: usize, count: usize) -> ToolAnswer {
        let mut begins = response(id, "queued");
        begins["background"] = background.into();
        let begins = json!({"type": "response.created", "response": begins});
        let ends = json!({"type": "response.completed", "response": response(id, "completed")});
        let number = id.rsplit('_').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(1);
        let events = &self.answers[number.min(self.answers.len()).saturating_sub(1)];
        let all = std::iter::once(begins).chain(events.iter().cloned()).chain([ends]).enumerate();
        let frame = |(number, mut event): (usize, Value)| {
            event["sequence_number"] = number.into();
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
        };
        let body: String = all.skip(from).take(count).map(frame).collect();
        ToolAnswer { kind: "text/event-stream".into(), ..ToolAnswer::text(body) }
    }
}
