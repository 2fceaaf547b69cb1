//! Answers as bytes, for where no request ever reached a handler.
//!
//! Owns how they look: like every other error of ours, `Request-Id` included, so that a client can tell them from an
//! answer of whatever stands before us.

use std::io::IoSlice;

use headwater_protocol::{ErrorCode, Problem, RequestId};

use crate::error::{PROBLEM_JSON, addressed, render};

/// An answer with this problem, after which the connection is closed.
pub(super) fn close_with(code: ErrorCode, detail: &str, members: &[(&str, usize)]) -> Vec<u8> {
    let id = RequestId::new();
    let mut problem = addressed(&Problem::new(code, detail), id);
    for (name, value) in members {
        problem = problem.with(name, *value);
    }
    let body = render(&problem);
    let status = http::StatusCode::from_u16(problem.status).unwrap_or(http::StatusCode::BAD_REQUEST);
    let retry = if problem.status == 503 { "retry-after: 1\r\nretry-after-ms: 1000\r\n" } else { "" };
    let mut answer = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {PROBLEM_JSON}\r\nrequest-id: {id}\r\nheadwater-version: {}\r\n{retry}\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        super::VERSION,
        body.len(),
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

/// Ours in place of an error that hyper answers by itself, recognised by its exact form: a status line of hyper's and
/// nothing but its own few headers.
pub(super) fn instead_of(bufs: &[IoSlice<'_>]) -> Option<Vec<u8>> {
    let first = bufs.iter().find(|buf| !buf.is_empty())?;
    if !first.starts_with(b"HTTP/1.1 4") || bufs.iter().map(|buf| buf.len()).sum::<usize>() > 256 {
        return None;
    }
    let whole: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
    let head = std::str::from_utf8(&whole).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?;
    let ours = |line: &str| ["connection: ", "content-length: 0", "date: "].iter().any(|own| line.starts_with(own));
    if !lines.all(ours) {
        return None;
    }
    Some(match status {
        "HTTP/1.1 400 Bad Request" => close_with(ErrorCode::InvalidRequest, "this is not an HTTP request", &[]),
        "HTTP/1.1 414 URI Too Long" => close_with(ErrorCode::HeadersTooLarge, "the request line is too long", &[]),
        "HTTP/1.1 431 Request Header Fields Too Large" => {
            close_with(ErrorCode::HeadersTooLarge, "the head of the request is too large", &[])
        }
        _ => return None,
    })
}
