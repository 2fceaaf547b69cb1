//! The promises of the scripted model, seen by an HTTP client and, where bytes matter, from a bare socket.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, future::join_all};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Counters, ModelServer, Outcome, Reply, Script, ideal};

/// What came of a streamed call.
#[derive(Debug, Default)]
struct Seen {
    /// The data of each event.
    events: Vec<String>,
    /// Bytes after the last whole event.
    rest: Vec<u8>,
    /// The pieces as the HTTP client handed them out.
    pieces: Vec<usize>,
    /// Whether the body ended with an error.
    failed: bool,
}

impl Seen {
    fn json(&self) -> Vec<Value> {
        let events = self.events.iter().filter(|event| *event != "[DONE]");
        events.map(|event| serde_json::from_str(event).expect("every event but [DONE] is JSON")).collect()
    }

    fn text(&self) -> String {
        let events = self.json();
        events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
    }

    /// Deltas with contents, the opening chunk not counted.
    fn deltas(&self) -> usize {
        let said =
            |event: &&Value| event["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty());
        self.json().iter().filter(said).count()
    }

    fn finish(&self) -> Option<String> {
        let events = self.json();
        events.iter().find_map(|event| event["choices"][0]["finish_reason"].as_str().map(str::to_owned))
    }

    fn done(&self) -> bool {
        self.events.last().is_some_and(|event| event == "[DONE]")
    }
}

fn ask(stream: bool) -> Value {
    let mut body =
        json!({"model": "scripted", "messages": [{"role": "user", "content": "hello there"}], "stream": stream});
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

async fn post(server: &ModelServer, body: &Value) -> reqwest::Result<reqwest::Response> {
    reqwest::Client::new().post(format!("{}/chat/completions", server.base_url())).json(body).send().await
}

async fn read(response: reqwest::Response) -> Seen {
    let (mut seen, mut stream) = (Seen::default(), response.bytes_stream());
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => {
                seen.pieces.push(piece.len());
                seen.rest.extend_from_slice(&piece);
            }
            Err(_) => seen.failed = true,
        }
    }
    while let Some((at, eol)) = end_of_event(&seen.rest) {
        let event: Vec<u8> = seen.rest.drain(..at + eol).collect();
        let event = String::from_utf8(event[..at].to_vec()).expect("an event is UTF-8");
        seen.events.push(event.strip_prefix("data: ").expect("an event is one data line").to_owned());
    }
    seen
}

fn end_of_event(bytes: &[u8]) -> Option<(usize, usize)> {
    let find = |needle: &[u8]| bytes.windows(needle.len()).position(|window| window == needle);
    find(b"\n\n").map(|at| (at, 2)).or_else(|| find(b"\r\n\r\n").map(|at| (at, 4)))
}

async fn stream(server: &ModelServer) -> Seen {
    read(post(server, &ask(true)).await.expect("the headers of a stream come")).await
}

/// Writes a request on a bare socket.
async fn raw(server: &ModelServer, body: &Value) -> TcpStream {
    let mut sock = TcpStream::connect(server.address()).await.expect("the server listens");
    let body = body.to_string();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    sock.write_all((head + &body).as_bytes()).await.expect("a request can be written");
    sock
}

fn only(answered: u64, refused: u64, broken: u64, aborted: u64, tokens: u64) -> Counters {
    Counters { started: answered + refused + broken + aborted, answered, refused, broken, aborted, tokens }
}

/// Waits until nothing is in flight.
async fn settled(server: &ModelServer) -> Counters {
    server.wait_for(|counters| counters.started > 0 && counters.in_flight() == 0).await
}

#[tokio::test]
async fn a_stream_has_the_shape_of_the_dialect() {
    let server = ModelServer::start(Reply::text("It is sunny.").usage(11, 5).cached(7).reasoning_tokens(2));
    let response = post(&server, &ask(true)).await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let seen = read(response).await;
    let mut events = seen.json();
    for event in &mut events {
        assert!(event["created"].as_u64().expect("created is a number") > 1_700_000_000);
        event["created"] = json!(0);
    }
    let chunk = |choices: Value, usage: Value| {
        json!({"id": "chatcmpl-000000000000", "object": "chat.completion.chunk", "created": 0, "model": "scripted",
            "service_tier": "default", "system_fingerprint": null, "choices": choices, "usage": usage})
    };
    let choice = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), Value::Null)
    };
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 7, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0, "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0}});
    let expected = vec![
        choice(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null),
        choice(json!({"content": "It"}), Value::Null),
        choice(json!({"content": " is"}), Value::Null),
        choice(json!({"content": " sunny."}), Value::Null),
        choice(json!({}), json!("stop")),
        chunk(json!([]), usage),
    ];
    assert_eq!(events, expected);
    assert!(seen.done() && !seen.failed);
    assert_eq!(settled(&server).await, only(1, 0, 0, 0, 3));
}

#[tokio::test]
async fn without_include_usage_no_chunk_speaks_of_usage() {
    let server = ModelServer::start(Script::always(Reply::tokens(2)));
    let mut body = ask(true);
    body.as_object_mut().expect("the body is an object").remove("stream_options");
    let seen = read(post(&server, &body).await.expect("an answer")).await;
    assert!(seen.json().iter().all(|event| event.get("usage").is_none()));
    server.set_script(Reply::tokens(2).without_usage());
    let seen = stream(&server).await;
    assert!(seen.json().iter().all(|event| event["usage"].is_null()), "usage was asked for and withheld");
    assert!(seen.done());
}

#[tokio::test]
async fn the_same_answer_comes_whole() {
    let reply = Reply::text("Looking.").reasoning("hm so").tool_call("weather", json!({"city": "Oslo"}));
    let server = ModelServer::start(Script::always(reply));
    let response = post(&server, &ask(false)).await.expect("an answer");
    let body: Value = response.json().await.expect("a JSON body");
    let call = json!({"id": "call_0_0", "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}});
    let message = json!({"role": "assistant", "content": "Looking.", "refusal": null, "annotations": [],
        "tool_calls": [call], "reasoning_content": "hm so"});
    assert_eq!(
        body["choices"],
        json!([{"index": 0, "message": message, "logprobs": null, "finish_reason": "tool_calls"}])
    );
    // "hello there" is 11 bytes, so 3 tokens; 2 thoughts, 1 word, a call opened and its 15 characters in 2 fragments.
    assert_eq!(body["usage"]["prompt_tokens"], 3);
    assert_eq!(body["usage"]["completion_tokens"], 6);
    assert_eq!(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 2);
}

#[tokio::test]
async fn tool_calls_and_reasoning_stream_in_fragments() {
    let reply = Reply::empty()
        .tool_call("weather", r#"{"city":"Tromsø"}"#)
        .tool_call("time", "{}")
        .reasoning_openrouter("let me see");
    let server = ModelServer::start(reply);
    let events = stream(&server).await.json();
    let thoughts: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["reasoning"].as_str()).collect();
    assert_eq!(thoughts, "let me see");
    assert_eq!(events[1]["choices"][0]["delta"]["reasoning"], "let", "thoughts come before anything else");
    let calls: Vec<&Value> =
        events.iter().map(|e| &e["choices"][0]["delta"]["tool_calls"][0]).filter(|call| !call.is_null()).collect();
    assert_eq!(
        calls[0],
        &json!({"index": 0, "id": "call_0_0", "type": "function", "function": {"name": "weather", "arguments": ""}})
    );
    let arguments: Vec<_> = calls.iter().filter(|call| call["index"] == 0).collect();
    assert_eq!(arguments.len(), 4, "one that opens and three fragments");
    let arguments: String = arguments.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, r#"{"city":"Tromsø"}"#);
    assert!(calls.iter().any(|call| call["id"] == "call_0_1" && call["function"]["name"] == "time"));
    assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn words_joined_are_the_text() {
    for text in ["", " ", "one", "  two\n\nlines  of täxt 🌊 \t", "a  b"] {
        let server = ModelServer::start(Reply::text(text).finish("length"));
        let seen = stream(&server).await;
        assert_eq!((seen.text().as_str(), seen.finish().as_deref()), (text, Some("length")));
    }
}

#[tokio::test]
async fn a_gate_lets_exactly_so_many_through() {
    let (reply, gate) = Reply::tokens(4).gate();
    let server = ModelServer::start(reply);
    let response = post(&server, &ask(true)).await.expect("the headers need no pass");
    assert_eq!(gate.sent(), 0);
    let mut stream = response.bytes_stream();
    let mut got = Vec::new();
    for (pass, expected) in [(1, 1), (2, 3), (1, 4)] {
        gate.pass(pass);
        gate.reached(expected).await;
        while got.windows(4).filter(|window| window == b" tok").count() < expected {
            got.extend_from_slice(&stream.next().await.expect("the stream goes on").expect("no error"));
        }
        assert_eq!(gate.sent(), expected, "nothing past the gate");
    }
    let held = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
    assert!(held.is_err(), "the end is a step of its own");
    assert_eq!(server.counters().in_flight(), 1);
    gate.open();
    while let Some(piece) = stream.next().await {
        got.extend_from_slice(&piece.expect("no error"));
    }
    assert!(got.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(settled(&server).await, only(1, 0, 0, 0, 4));
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_at_once() {
    let (held, gate) = Reply::tokens(5).gate();
    let (slow, stalled) = (Reply::tokens(9).delay_each(60_000), Reply::tokens(3).stall_after(1));
    let server = ModelServer::start([held, slow, stalled, Reply::never_headers().delay_headers(60_000)]);
    let response = post(&server, &ask(true)).await.expect("headers");
    gate.pass(2);
    gate.reached(2).await;
    drop(response);
    server.wait_for_aborts(1).await;
    for aborts in 2..=3 {
        drop(post(&server, &ask(true)).await.expect("headers"));
        server.wait_for_aborts(aborts).await;
    }
    let sock = raw(&server, &ask(true)).await;
    server.wait_for_requests(4).await;
    drop(sock);
    server.wait_for_aborts(4).await;
    let outcomes: Vec<_> = server.requests().iter().map(|request| request.outcome).collect();
    assert_eq!(outcomes, [Outcome::Aborted; 4]);
    assert!(server.requests()[0].client_disconnected());
    assert_eq!(server.counters(), only(0, 0, 0, 4, 2 + 1 + 1));
}

#[tokio::test]
async fn errors_have_status_body_and_headers() {
    let server = ModelServer::start([
        Reply::status(429).retry_after_ms(50),
        Reply::status(529).retry_after(2),
        Reply::status(500).error("bad_luck", "no luck today"),
        Reply::context_length_exceeded(),
        Reply::insufficient_quota(),
        Reply::invalid_api_key(),
        Reply::status(429).retry_after_ms(1500).header("Retry-After", "Wed, 21 Oct 2065 07:28:00 GMT"),
    ]);
    let mut got = Vec::new();
    for stream in [true, false, true, false, true, false, true] {
        let response = post(&server, &ask(stream)).await.expect("an answer");
        let header = |name| response.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned());
        let (status, after, after_ms) = (response.status().as_u16(), header("retry-after"), header("retry-after-ms"));
        let error = response.json::<Value>().await.expect("a JSON body")["error"].take();
        assert!(error["message"].is_string() && error.get("param").is_some());
        got.push((status, after, after_ms, error["type"].clone(), error["code"].clone()));
    }
    let some = |text: &str| Some(text.to_owned());
    let invalid = json!("invalid_request_error");
    let expected = vec![
        (429, some("1"), some("50"), json!("requests"), json!("rate_limit_exceeded")),
        (529, some("2"), None, json!("overloaded_error"), json!("overloaded")),
        (500, None, None, json!("server_error"), json!("bad_luck")),
        (400, None, None, invalid.clone(), json!("context_length_exceeded")),
        (429, None, None, json!("insufficient_quota"), json!("insufficient_quota")),
        (401, None, None, invalid, json!("invalid_api_key")),
        (429, some("Wed, 21 Oct 2065 07:28:00 GMT"), some("1500"), json!("requests"), json!("rate_limit_exceeded")),
    ];
    assert_eq!(got, expected);
    assert_eq!(settled(&server).await, only(0, 7, 0, 0, 0));
    assert_eq!(server.violations(), Vec::<String>::new(), "a scripted refusal is no violation");
}

#[tokio::test]
async fn cut_leaves_the_chunked_body_open() {
    let server = ModelServer::start(Script::always(Reply::tokens(5).cut_after(2)));
    let seen = stream(&server).await;
    assert!(seen.failed, "the client is told that the body is not whole");
    assert_eq!((seen.deltas(), seen.finish(), seen.done()), (2, None, false));
    assert!(seen.rest.starts_with(b"data: {") && !seen.rest.ends_with(b"\n"), "half an event is left over");
    let mut bytes = Vec::new();
    raw(&server, &ask(true)).await.read_to_end(&mut bytes).await.expect("an end, not a reset");
    assert!(!bytes.ends_with(b"\r\n"), "not even the chunk is whole");
    assert_eq!(settled(&server).await, only(0, 0, 2, 0, 4));
}

#[tokio::test]
async fn cut_past_the_last_delta_comes_before_the_finish() {
    let server = ModelServer::start(Reply::tokens(2).cut_after(99));
    let seen = stream(&server).await;
    assert_eq!((seen.deltas(), seen.finish(), seen.failed), (2, None, true));
}

#[tokio::test]
async fn reset_is_a_reset() {
    let (reply, gate) = Reply::tokens(5).reset_after(2).gate();
    let server = ModelServer::start(reply);
    let mut sock = raw(&server, &ask(true)).await;
    gate.pass(2);
    gate.reached(2).await;
    gate.open();
    settled(&server).await;
    let mut bytes = Vec::new();
    let error = sock.read_to_end(&mut bytes).await.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(server.counters(), only(0, 0, 1, 0, 2));
}

#[tokio::test]
async fn end_without_done_is_a_clean_end() {
    let server = ModelServer::start(Reply::tokens(5).end_without_done(3));
    let seen = stream(&server).await;
    assert_eq!((seen.deltas(), seen.finish(), seen.done(), seen.failed), (3, None, false, false));
    assert!(seen.rest.is_empty());
    assert_eq!(settled(&server).await, only(0, 0, 1, 0, 3));
}

#[tokio::test]
async fn stall_keeps_the_socket_and_says_nothing() {
    let server = ModelServer::start(Reply::tokens(5).stall_after(1));
    let mut sock = raw(&server, &ask(true)).await;
    let mut bytes = Vec::new();
    while !bytes.windows(5).any(|window| window == b" tok0") {
        sock.read_buf(&mut bytes).await.expect("the first token comes");
    }
    let more = tokio::time::timeout(Duration::from_millis(100), sock.read_buf(&mut bytes)).await;
    assert!(more.is_err(), "neither bytes nor an end");
    assert_eq!(server.counters().in_flight(), 1);
}

#[tokio::test]
async fn never_headers_takes_the_request_and_is_silent() {
    let server = ModelServer::start(Reply::never_headers());
    let mut sock = raw(&server, &ask(true)).await;
    server.wait_for_requests(1).await;
    let read = tokio::time::timeout(Duration::from_millis(100), sock.read_u8()).await;
    assert!(read.is_err(), "neither bytes nor an end");
}

#[tokio::test]
async fn error_event_is_inside_a_200_stream() {
    let server = ModelServer::start(Reply::tokens(5).error_event_after(2, "server_error", "gave up"));
    let seen = stream(&server).await;
    let error = json!({"error": {"message": "gave up", "type": "server_error", "param": null, "code": "server_error"}});
    assert_eq!(seen.json().last(), Some(&error));
    assert_eq!((seen.deltas(), seen.finish(), seen.done(), seen.failed), (2, None, false, false));
}

#[tokio::test]
async fn malformed_chunk_is_followed_by_the_rest() {
    let server = ModelServer::start(Reply::tokens(3).malformed_chunk_after(1));
    let seen = stream(&server).await;
    let at = seen.events.iter().position(|event| event == "{not json").expect("the malformed chunk comes");
    assert!(seen.events[at - 1].contains("tok0") && seen.events[at + 1].contains("tok1"));
    assert!(seen.done());
}

#[tokio::test]
async fn garbage_is_html_with_200() {
    let server = ModelServer::start(Reply::garbage());
    let response = post(&server, &ask(true)).await.expect("an answer");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"].as_bytes()[..9]),
        (200, &b"text/html"[..])
    );
    assert!(response.text().await.expect("a body").contains("<html>"));
    assert_eq!(settled(&server).await, only(0, 0, 1, 0, 0));
}

#[tokio::test]
async fn huge_chunk_is_one_event() {
    let server = ModelServer::start(Reply::text("small").huge_chunk(3_000_000));
    let seen = stream(&server).await;
    assert!(seen.events[2].len() > 3_000_000 && seen.done());
    assert_eq!(seen.text().len(), "small".len() + 3_000_000);
}

#[tokio::test]
async fn split_bytes_cuts_characters_and_lines() {
    let text = "smörgåsbord 🌊 ".repeat(5);
    for size in [1, 7, 64, 100_000] {
        for crlf in [false, true] {
            let reply = Reply::text(&text).split_bytes(size);
            let server = ModelServer::start(if crlf { reply.crlf() } else { reply });
            let seen = stream(&server).await;
            assert_eq!(seen.text(), text);
            assert!(seen.done() && seen.rest.is_empty());
            assert!(seen.pieces.iter().all(|piece| *piece <= size), "no piece is larger than asked");
            let full = seen.pieces.iter().filter(|piece| **piece == size).count();
            assert!(size == 100_000 || full >= seen.pieces.len() - 1, "only the last piece may be smaller");
        }
    }
}

#[tokio::test]
async fn crlf_ends_every_line() {
    let server = ModelServer::start(Reply::tokens(3).crlf());
    let body = post(&server, &ask(true)).await.expect("an answer").text().await.expect("a body");
    assert_eq!(body.matches('\n').count(), body.matches("\r\n").count());
    assert!(body.ends_with("data: [DONE]\r\n\r\n"));
}

#[tokio::test]
async fn faults_have_an_equivalent_in_whole_answers() {
    let server = ModelServer::start([
        Reply::tokens(5).cut_after(2),
        Reply::tokens(5).reset_after(2),
        Reply::tokens(5).malformed_chunk_after(2),
        Reply::tokens(5).end_without_done(2),
        Reply::tokens(5).error_event_after(2, "server_error", "gave up"),
        Reply::tokens(5).stall_after(2),
    ]);
    for _ in 0..2 {
        let body = post(&server, &ask(false)).await.expect("headers").bytes().await;
        assert!(body.is_err(), "the body is shorter than announced");
    }
    let body = post(&server, &ask(false)).await.expect("headers").bytes().await.expect("a body");
    assert_eq!(body.as_ref(), b"{not json");
    let body: Value = post(&server, &ask(false)).await.expect("headers").json().await.expect("a JSON body");
    assert!(body["choices"][0]["finish_reason"].is_null());
    let body: Value = post(&server, &ask(false)).await.expect("headers").json().await.expect("a JSON body");
    assert_eq!(body["error"]["code"], "server_error");
    let body = post(&server, &ask(false)).await.expect("headers").bytes();
    assert!(tokio::time::timeout(Duration::from_millis(100), body).await.is_err());
    assert_eq!(server.wait_until_idle().await, only(0, 0, 5, 1, 0));
}

#[tokio::test]
async fn pace_is_kept() {
    let slow = Reply::tokens(5).delay_first(60).delay_each(20);
    let server = ModelServer::start([
        Reply::tokens(1).delay_headers(60),
        Reply::status(500).delay_headers(30).delay_first(30),
        slow.clone(),
        slow,
        Reply::tokens(1).delay_first(60_000),
    ]);
    for (streams, at_least) in [(true, 60), (true, 60), (true, 140), (false, 140)] {
        let begin = Instant::now();
        post(&server, &ask(streams)).await.expect("headers").bytes().await.expect("a body");
        assert!(begin.elapsed() >= Duration::from_millis(at_least), "{:?} of {at_least} ms", begin.elapsed());
    }
    post(&server, &ask(true)).await.expect("headers do not wait for the first delta");
}

#[tokio::test]
async fn rules_are_enforced_and_remembered() {
    let assistant = |ids: &[&str]| {
        let call = |id: &&str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
        json!({"role": "assistant", "content": null, "tool_calls": ids.iter().map(call).collect::<Vec<_>>()})
    };
    let tool = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "ok"});
    let user = json!({"role": "user", "content": [{"type": "text", "text": "hi"}]});
    let with = |messages: Value| json!({"model": "m", "messages": messages});
    let server = ModelServer::start(Script::always(Reply::text("fine")));
    let good = [
        with(json!([{"role": "system", "content": "be"}, {"role": "developer", "content": "x"}, user])),
        with(json!([user, assistant(&["a", "b"]), tool("b"), tool("a"), assistant(&["a"]), tool("a"), user])),
        json!({"model": "m", "messages": [user], "max_tokens": 3, "max_completion_tokens": null, "stream_options": null}),
    ];
    for body in good {
        assert_eq!(post(&server, &body).await.expect("an answer").status(), 200, "{body}");
    }
    assert_eq!(server.violations(), Vec::<String>::new());
    let bad = [
        (with(json!([])), "messages must not be empty"),
        (json!({"model": "m"}), "messages must not be empty"),
        (with(json!([{"role": "robot", "content": "x"}])), "unknown role"),
        (with(json!([user, assistant(&["a"]), user])), "without a result"),
        (with(json!([user, assistant(&["a", "b"]), tool("a")])), "without a result"),
        (with(json!([user, assistant(&["a"]), user, tool("a")])), "without a result"),
        (with(json!([user, assistant(&["a"]), tool("a"), tool("a")])), "does not answer"),
        (with(json!([user, tool("a")])), "does not answer"),
        (with(json!([user, assistant(&["a"]), {"role": "tool", "content": "x"}])), "does not answer"),
        (with(json!([user, assistant(&["a", "a"]), tool("a")])), "used twice"),
        (json!({"messages": [user]}), "model"),
        (json!({"model": "m", "messages": [user], "stream_options": {"include_usage": true}}), "stream_options"),
        (json!({"model": "m", "messages": [user], "max_tokens": 3, "max_completion_tokens": 3}), "max_tokens"),
        (json!("no object"), "cannot be read"),
    ];
    for (number, (body, expected)) in bad.iter().enumerate() {
        let response = post(&server, body).await.expect("an answer");
        assert_eq!(response.status(), 400, "{body}");
        let error = response.json::<Value>().await.expect("a JSON body")["error"].take();
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(expected)), "{error} for {body}");
        let violations = server.violations();
        assert!(violations[number].starts_with(&format!("call {}: ", number + 3)), "{violations:?}");
    }
    assert_eq!(server.violations().len(), bad.len());
    assert_eq!(settled(&server).await, only(3, 14, 0, 0, 3));
}

#[tokio::test]
async fn a_key_can_be_required() {
    let server = ModelServer::start(Script::always(Reply::text("in")));
    server.require_key("sk-right");
    let client = reqwest::Client::new();
    let (chat, models) = (format!("{}/chat/completions", server.base_url()), format!("{}/models", server.base_url()));
    for (key, expected) in [(None, 401), (Some("sk-wrong"), 401), (Some("sk-right"), 200)] {
        for request in [client.post(&chat).json(&ask(false)), client.get(&models)] {
            let request = if let Some(key) = key { request.bearer_auth(key) } else { request };
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status(), expected);
            let body: Value = response.json().await.expect("a JSON body");
            assert_eq!(body["error"]["code"] == "invalid_api_key", expected == 401);
        }
    }
    assert_eq!(settled(&server).await, only(1, 2, 0, 0, 1));
}

#[tokio::test]
async fn scripts_choose_the_reply() {
    let server = ModelServer::start([Reply::text("one"), Reply::text("two")]);
    assert_eq!((stream(&server).await.text(), stream(&server).await.text()), ("one".to_owned(), "two".to_owned()));
    let response = post(&server, &ask(true)).await.expect("an answer");
    assert_eq!(response.status(), 400);
    assert_eq!(server.violations(), ["call 2: the script has no reply left for this call"]);

    server.set_script(Script::from_fn(|request| Reply::text(format!("{} {}", request.call, request.model()))));
    server.record(false);
    assert_eq!(stream(&server).await.text(), "3 scripted");
    assert_eq!(server.requests().len(), 3, "functions work without recording");

    server.set_script(Script::from_fn(|_| panic!("not what I expected")));
    assert_eq!(post(&server, &ask(true)).await.expect("an answer").status(), 400);
    assert!(server.violations()[1].contains("not what I expected"));

    server.set_script(Script::echo());
    let mut body = ask(true);
    let ask = |body: &Value| {
        let body = body.clone();
        let server = &server;
        async move { read(post(server, &body).await.expect("an answer")).await.text() }
    };
    assert_eq!(ask(&body).await, "You said: \"hello there\"");
    body["messages"] = json!([{"role": "user", "content": [{"type": "text", "text": "hey"}]},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "7 °C"}]);
    assert_eq!(ask(&body).await, "The tool said: \"7 °C\"");
}

#[tokio::test]
async fn requests_are_recorded() {
    let server = ModelServer::start(Script::always(Reply::text("yes")));
    let before = Instant::now();
    let url = format!("{}/chat/completions?x=y", server.base_url());
    let sent = reqwest::Client::new().post(url).header("X-Thing", "some thing").json(&ask(true)).send().await;
    read(sent.expect("an answer")).await;
    settled(&server).await;
    let requests = server.wait_for_requests(1).await;
    let [request] = &requests[..] else { panic!("one request: {requests:?}") };
    assert_eq!((request.call, request.outcome, &request.body), (0, Outcome::Answered, &ask(true)));
    assert_eq!((request.header("x-thing"), request.header("y")), (Some("some thing"), None));
    assert!(request.at >= before && !request.client_disconnected());
    assert_eq!(request.last_text("user").as_deref(), Some("hello there"));
}

#[tokio::test]
async fn other_paths_are_404_and_connections_are_kept() {
    let server = ModelServer::start(Script::always(Reply::tokens(2)));
    let mut sock = TcpStream::connect(server.address()).await.expect("the server listens");
    let body = ask(false).to_string();
    // Four requests in one write on one connection: a wrong path, a chunked body, a length, and one that asks to close.
    let (first, second) = body.split_at(20);
    let requests = format!(
        "GET /nope HTTP/1.1\r\n\r\n\
         POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x};x=y\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\nt: u\r\n\r\n\
         POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}\
         GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n",
        first.len(),
        second.len(),
        body.len()
    );
    sock.write_all(requests.as_bytes()).await.expect("requests can be written");
    let mut answers = String::new();
    sock.read_to_string(&mut answers).await.expect("the last answer closes");
    let statuses: Vec<&str> = answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["404", "200", "200", "200"]);
    assert!(answers.contains("\"object\":\"list\""));
    assert_eq!(server.wait_until_idle().await, only(2, 0, 0, 0, 4));
}

#[tokio::test]
async fn bad_http_is_refused() {
    let server = ModelServer::start(Script::always(Reply::tokens(2)));
    for bytes in ["hello\r\n\r\n", "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: many\r\n\r\n"] {
        let mut sock = TcpStream::connect(server.address()).await.expect("the server listens");
        sock.write_all(bytes.as_bytes()).await.expect("bytes can be written");
        let mut answer = String::new();
        sock.read_to_string(&mut answer).await.expect("an answer and an end");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(server.counters(), Counters::default());
}

#[tokio::test]
async fn expect_continue_is_answered() {
    let server = ModelServer::start(Reply::tokens(1));
    let mut sock = TcpStream::connect(server.address()).await.expect("the server listens");
    let body = ask(false).to_string();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n", body.len());
    sock.write_all(head.as_bytes()).await.expect("a head can be written");
    let mut line = [0; 25];
    sock.read_exact(&mut line).await.expect("an interim answer");
    assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    sock.write_all(body.as_bytes()).await.expect("a body can be written");
    let mut status = [0; 15];
    sock.read_exact(&mut status).await.expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_stopped_server_is_gone_and_may_come_back() {
    let (held, gate) = Reply::tokens(5).gate();
    let server = ModelServer::start(held);
    let address = server.address();
    let response = post(&server, &ask(true)).await.expect("headers");
    gate.pass(1);
    gate.reached(1).await;
    server.stop().await;
    assert!(read(response).await.failed, "streams are cut");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    let again = ModelServer::start_at(address, Reply::text("back")).expect("the port is free");
    assert_eq!(stream(&again).await.text(), "back");
    drop(again);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn load_says_what_the_model_name_says() {
    let server = ModelServer::start(Script::load());
    server.record(false);
    let mut body = ask(true);
    for (model, tokens) in [
        ("load-32x0", 32),
        ("load-5x3", 5),
        ("load-1x9", 1),
        ("load-0x0", 0),
        ("load-0x5", 0),
        ("load-6x1-then-3x2", 9),
    ] {
        body["model"] = json!(model);
        let before = server.wait_until_idle().await.tokens;
        let seen = read(post(&server, &body).await.expect("an answer")).await;
        assert_eq!(seen.text(), (0..tokens).map(|token| format!(" tok{token}")).collect::<String>());
        assert_eq!((seen.finish().as_deref(), seen.done(), seen.failed), (Some("stop"), true, false));
        let events = seen.json();
        assert_eq!(events[0]["model"], model);
        assert_eq!(events[events.len() - 1]["usage"]["prompt_tokens"], 3);
        assert_eq!(events[events.len() - 1]["usage"]["completion_tokens"], tokens);
        assert_eq!(server.wait_until_idle().await.tokens - before, tokens);
    }
    body.as_object_mut().expect("the body is an object").remove("stream_options");
    let seen = read(post(&server, &body).await.expect("an answer")).await;
    assert!(seen.done() && seen.json().iter().all(|event| event.get("usage").is_none()));
    let whole = json!({"model": "load-4x0", "messages": [{"role": "user", "content": "x"}]});
    let whole: Value = post(&server, &whole).await.expect("an answer").json().await.expect("a JSON body");
    assert_eq!(whole["choices"][0]["message"]["content"], " tok0 tok1 tok2 tok3");
    for model in ["gpt", "load-", "load-9", "load-x", "load-100001x0", "load--1x0", "load-2x3600001", "load-2x1-then-3"]
    {
        body["model"] = json!(model);
        assert_eq!(post(&server, &body).await.expect("an answer").status(), 404, "{model}");
    }
    assert!(server.requests().is_empty() && server.violations().is_empty());
}

#[tokio::test]
async fn load_keeps_its_pace_and_notices_who_leaves() {
    let server = ModelServer::start(Script::load());
    let mut body = ask(true);
    body["model"] = json!("load-11x20");
    assert_eq!(ideal(11, 20), Duration::from_millis(200));
    let begin = Instant::now();
    let streams = join_all((0..50).map(|_| async { read(post(&server, &body).await.expect("headers")).await })).await;
    let took = begin.elapsed();
    assert!(streams.iter().all(|seen| seen.deltas() == 11 && seen.done()));
    assert!(took >= ideal(11, 20), "{took:?}");
    assert!(took < ideal(11, 20) * 50, "as long as one after the other: {took:?}");
    body["model"] = json!("load-3x60000");
    drop(post(&server, &body).await.expect("headers"));
    server.wait_for_aborts(1).await;
    assert_eq!(server.wait_until_idle().await, only(50, 0, 0, 1, 551));
}
