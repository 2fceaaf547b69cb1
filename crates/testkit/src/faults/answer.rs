//! The bytes of an answer.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Request;
use super::script::{Log, Play};

/// A whole answer of the player's own.
pub(crate) fn plain(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// What a script has a client read.
pub(crate) fn bytes(answer: &Value, request: &Request, play: &Play) -> Vec<u8> {
    let cut = &answer["cut"];
    if cut["head"] == true {
        return Vec::new();
    }
    let (kind, status, body) = body_of(answer, request, play);
    let status = answer["status"].as_u64().unwrap_or(status);
    let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    if answer["edge"] != true {
        head.push_str("request-id: req_scripted\r\n");
    }
    let headers = answer["headers"].as_object();
    if !headers.is_some_and(|headers| headers.contains_key("content-type")) && !kind.is_empty() {
        let _ = write!(head, "content-type: {kind}\r\n");
    }
    for (name, value) in headers.into_iter().flatten() {
        let value = value.as_str().expect("a header's value").replace("{run}", play.run());
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let body = match answer["chunked"].as_u64() {
        Some(size) => {
            head.push_str("transfer-encoding: chunked\r\n");
            in_chunks(body.as_bytes(), usize::try_from(size).expect("a size"))
        }
        None => {
            // A stream ends where its connection does.
            if answer["stream"].is_null() && status != 204 {
                let _ = write!(head, "content-length: {}\r\n", body.len());
            }
            body.into_bytes()
        }
    };
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(b"\r\n");
    let kept = cut["from"].as_u64().map(|from| from * cut["times"].as_u64().unwrap_or(1));
    let kept = kept.map_or(body.len(), |kept| body.len().min(usize::try_from(kept).expect("a length")));
    bytes.extend_from_slice(&body[..kept]);
    bytes
}

/// Its media type, its status unless the script says another, its text.
fn body_of(answer: &Value, request: &Request, play: &Play) -> (&'static str, u64, String) {
    if let Some(parts) = answer["stream"].as_array() {
        let seen = request.header("last-event-id").and_then(|id| id.parse().ok()).unwrap_or(0);
        return ("text/event-stream; charset=utf-8", 200, parts.iter().map(|part| text_of(part, seen, play)).collect());
    }
    if let Some(code) = answer["problem"].as_str() {
        let (status, retryable) = match code {
            "not_found" => (404, false),
            "forbidden" => (403, false),
            "token_expired" => (401, false),
            "too_many_streams" => (429, true),
            "draining" | "unavailable" => (503, true),
            other => panic!("a script names {other}, whose status is not known here"),
        };
        let problem = json!({
            "type": format!("/docs/errors#{code}"), "title": "As scripted", "status": status, "detail": "as scripted", "code": code,
            "retryable": retryable, "fault": "caller", "request_id": null, "errors": [],
        });
        return ("application/problem+json", status, problem.to_string());
    }
    if answer["run"] == true {
        return ("application/json", 200, play.log().snapshot.to_string());
    }
    ("", 200, answer["body"].as_str().unwrap_or_default().to_owned())
}

fn text_of(part: &Value, seen: u64, play: &Play) -> String {
    let log = play.log();
    if let Some(text) = part.as_str() {
        return text.replace("{run}", play.run());
    }
    let ends = part["ends"].as_str().unwrap_or("\n");
    if let Some(range) = part["events"].as_array() {
        return log.between(range).map(|(seq, line)| frame(seq, line)).collect::<String>().replace('\n', ends);
    }
    if part["rest"] == true {
        let range = [json!(seen + 1), json!(log.lines.len())];
        let rest: String = log.between(&range).map(|(seq, line)| frame(seq, line)).collect();
        return rest + &control("stream.closing", play, json!({"reason": "done", "retry_ms": null}));
    }
    if let Some(seq) = part["half"].as_u64() {
        return half(log, seq);
    }
    if let Some(reason) = part["reset"].as_str() {
        let as_of = &log.snapshot["as_of_seq"];
        let fields = json!({"reason": reason, "as_of_seq": as_of, "snapshot": log.snapshot});
        return format!("id: {as_of:0>16}\n{}", control("stream.reset", play, fields));
    }
    let kind = part["control"].as_str().unwrap_or_else(|| panic!("a script's stream holds {part}"));
    let mut fields = part.clone();
    fields.as_object_mut().expect("an object").remove("control");
    control(kind, play, fields)
}

fn frame(seq: u64, line: &str) -> String {
    let event: Value = serde_json::from_str(line).expect("an event");
    format!("id: {seq:016}\nevent: {}\ndata: {line}\n\n", event["type"].as_str().expect("events have a type"))
}

/// The first half of an event's frame, in whole letters.
fn half(log: &Log, seq: u64) -> String {
    let whole: String = log.between(&[seq.into(), seq.into()]).map(|(seq, line)| frame(seq, line)).collect();
    whole.chars().take(whole.chars().count() / 2).collect()
}

/// A frame that is not in the log.
fn control(kind: &str, play: &Play, fields: Value) -> String {
    let mut data = json!({"v": 1, "ts": "2026-11-28T12:30:48.000Z", "run": play.run(), "type": kind});
    for (name, value) in fields.as_object().expect("an object") {
        data[name] = value.clone();
    }
    format!("event: {kind}\ndata: {data}\n\n")
}

/// With extensions and in upper case, as the standard has it.
fn in_chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (nth, chunk) in body.chunks(size).enumerate() {
        let extension = if nth % 3 == 0 { ";x=1" } else { "" };
        bytes.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}
