//! Reading streams byte by byte, and what of them is the log.

use futures_util::StreamExt as _;
use serde_json::Value;

use super::Api;

/// A stream of events that is open.
pub(crate) struct Stream {
    /// The status it began with.
    pub(crate) status: u16,
    /// The answer's headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    body: futures_util::stream::BoxStream<'static, Vec<u8>>,
    /// All that was read.
    pub(crate) bytes: Vec<u8>,
}

impl Stream {
    /// Opens a run's events after a cursor.
    pub(crate) async fn open(api: &Api, run: &str, after: Option<&str>) -> Self {
        let mut request = api.request("GET", &format!("/v1/runs/{run}/events")).header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        Self::send(request).await
    }

    /// Sends a request whose answer is a stream.
    pub(crate) async fn send(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A server that is killed ends its streams with an error: to a reader that is an end.
        let body = response.bytes_stream().take_while(|part| std::future::ready(part.is_ok()));
        let body = body.map(|part| part.expect("looked at").to_vec()).boxed();
        Self { status, headers, body, bytes: Vec::new() }
    }

    /// Reads a little more; `false` at the end.
    pub(crate) async fn more(&mut self) -> bool {
        let part = tokio::time::timeout(std::time::Duration::from_secs(60), self.body.next());
        match part.await.expect("the stream goes on") {
            Some(part) => {
                self.bytes.extend(part);
                true
            }
            None => false,
        }
    }

    /// Reads until this text was there.
    pub(crate) async fn until(&mut self, text: &str) -> &mut Self {
        while !String::from_utf8_lossy(&self.bytes).contains(text) {
            assert!(self.more().await, "{text} before the end of {}", String::from_utf8_lossy(&self.bytes));
        }
        self
    }

    /// Reads until so many bytes were there, or the end.
    pub(crate) async fn until_bytes(&mut self, count: usize) -> &mut Self {
        while self.bytes.len() < count && self.more().await {}
        self
    }

    /// Reads to the end.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        while self.more().await {}
        self.bytes
    }
}

/// The whole stream of a run after a cursor.
pub(crate) async fn read(api: &Api, run: &str, after: Option<&str>) -> Vec<u8> {
    let stream = Stream::open(api, run, after).await;
    assert_eq!(stream.status, 200, "a stream of {run}");
    stream.rest().await
}

/// The whole frames of what was read, as far as they are the log: no control frames, no waiting time.
pub(crate) fn log_of(bytes: &[u8]) -> String {
    // A cut may go through a character; what is behind the last whole frame is dropped anyway.
    let end = bytes.windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
    let text = std::str::from_utf8(&bytes[..end]).expect("whole frames are UTF-8");
    let mut log = String::new();
    for block in text.split_inclusive("\n\n") {
        let block = block.strip_prefix("retry: ").map_or(block, |rest| rest.split_once('\n').expect("a line").1);
        if block.starts_with("id: ") && !block.contains("\nevent: stream.reset\n") {
            log.push_str(block);
        }
    }
    log
}

/// The id of the last whole frame that has one.
pub(crate) fn last_id(bytes: &[u8]) -> Option<String> {
    let end = bytes.windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
    let text = std::str::from_utf8(&bytes[..end]).expect("whole frames are UTF-8");
    text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().map(str::to_owned)
}

/// All payloads, control frames included.
pub(crate) fn payloads(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(bytes);
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|line| serde_json::from_str(line).expect("one line of JSON")).collect()
}

/// The events of the log.
pub(crate) fn events(bytes: &[u8]) -> Vec<Value> {
    payloads(log_of(bytes).as_bytes())
}

/// The types of all frames, in order.
pub(crate) fn types(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

/// That ids go from 1 to n, each once, and that nothing follows a terminal event.
#[track_caller]
pub(crate) fn assert_dense(events: &[Value]) {
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], at + 1, "the log is dense: {events:#?}");
    }
    let terminal = ["run.completed", "run.failed", "run.cancelled"];
    let ends: Vec<_> =
        events.iter().filter(|event| terminal.contains(&event["type"].as_str().expect("a type"))).collect();
    assert_eq!(ends.len(), 1, "one terminal event: {events:#?}");
    assert_eq!(events.last(), ends.last().copied(), "nothing after it");
}
