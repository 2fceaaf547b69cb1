//! Resets, gaps, pauses and endings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use headwater_client::protocol::ErrorCode;
use headwater_client::protocol::event::EventBody;
use headwater_client::{BoxError, Cursor, Error, StreamItem, StreamOptions};

use crate::support::{
    FakeServer, Log, Reply, answer, at_once, control, frame, line, ours, problem, read_lines, stream,
};

#[tokio::test]
async fn no_content_is_the_end() {
    let log = Log::new();
    let server = FakeServer::start(|_, _| ours(204, "", ""));
    let mut stream = server.client().runs_stream(log.run, StreamOptions { after: Cursor::After(8), ..at_once() });
    assert!(stream.next_item().await.is_none() && stream.next_item().await.is_none());
    assert_eq!(server.requests()[0].last_event_id(), 8);
    assert_eq!(server.requests()[0].header("accept"), Some("text/event-stream"));
}

#[tokio::test]
async fn it_is_a_stream_and_the_terminal_event_ends_it() {
    let log = Log::new();
    let script = log.clone();
    // What follows a terminal event is not for anybody.
    let server =
        FakeServer::start(move |_, _| stream(200, "", &format!("{}{}", script.rest(0), script.frames([1, 2]))));
    let items: Vec<_> = server.client().runs_stream(log.run, at_once()).collect().await;
    assert_eq!(items.len(), log.lines.len() + 1, "{items:?}");
    let StreamItem::Event(last) = items.last().expect("items").as_ref().expect("no error") else { panic!("{items:?}") };
    assert!(last.is_terminal() && last.seq() == 8);
    assert!(matches!(last.parse().expect("an event").body, EventBody::RunCancelled { .. }));
    assert!(items.iter().any(|item| matches!(item, Ok(StreamItem::CaughtUp { tail: 3 }))), "{items:?}");
}

#[tokio::test]
async fn what_came_before_is_dropped() {
    let log = Log::new();
    let script = log.clone();
    let server = FakeServer::start(move |number, _| match number {
        0 => stream(200, "", &format!("retry: 0\n{}", script.frames([1, 2, 2, 1, 3]))),
        // A server that does not honour the cursor.
        _ => stream(200, "", &script.rest(0)),
    });
    let mut stream = server.client().runs_stream(log.run, at_once());
    assert_eq!(read_lines(&mut stream).await.0, log.lines);
    assert_eq!((stream.stats().duplicates, stream.stats().connections), (5, 2));
    assert_eq!(stream.cursor(), Cursor::After(8));
}

#[tokio::test]
async fn a_gap_is_asked_for_once() {
    let log = Log::new();
    let script = log.clone();
    let server = FakeServer::start(move |number, request| match number {
        0 => stream(200, "", &format!("retry: 0\n{}", script.frames([1, 2, 4]))),
        _ => stream(200, "", &script.rest(request.last_event_id())),
    });
    let mut reader = server.client().runs_stream(log.run, at_once());
    assert_eq!(read_lines(&mut reader).await.0, log.lines);
    assert_eq!((server.requests()[1].last_event_id(), reader.stats().gaps), (2, 1));

    let script = log.clone();
    let server = FakeServer::start(move |number, _| match number {
        // A try that fails in between changes nothing.
        1 => answer(502, "", ""),
        _ => stream(200, "", &format!("retry: 0\n{}", script.frames([1, 2, 4]))),
    });
    let mut reader = server.client().runs_stream(log.run, at_once());
    let (lines, error) = read_lines(&mut reader).await;
    assert_eq!(lines, log.lines[..2]);
    assert!(matches!(error, Some(Error::StreamGap { expected: 3, got: 4 })), "{error:?}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_compacted_log_has_gaps_by_right() {
    let log = Log::new();
    let script = log.clone();
    let server =
        FakeServer::start(move |_, _| stream(200, "headwater-log: compacted\r\n", &script.frames([1, 2, 7, 8])));
    let mut reader = server.client().runs_stream(log.run, at_once());
    assert_eq!(read_lines(&mut reader).await.0, [1, 2, 7, 8].map(|seq: usize| log.lines[seq - 1].clone()));
    assert_eq!(server.requests().len(), 1);
}

fn snapshot(log: &Log) -> String {
    let usage = serde_json::to_value(headwater_client::protocol::Usage::default()).expect("serialises");
    let id = "0193a4b2-0000-7000-8000-000000000001";
    serde_json::json!({
        "id": log.run, "object": "run", "thread": format!("thr_{id}"), "user": format!("usr_{id}"),
        "agent": format!("agt_{id}"), "agent_version": 1, "model": "m/x", "external_id": null, "status": "running",
        "as_of_seq": 5, "input_messages": [], "source": {"type": "api", "id": null}, "attempt": 1, "steps": 0,
        "priority": "interactive", "on_conflict": "enqueue", "on_disconnect": "continue", "run_at": null,
        "after_run": null, "result": null, "error": null, "usage": usage, "cost": null, "cost_estimated": false,
        "metadata": {}, "events_url": "/v1/runs/x/events", "cancel_requested_at": null,
        "created_at": "2026-11-21T02:30:00.123Z", "started_at": null, "suspended_at": null, "finished_at": null,
        "messages": [], "pending": [],
    })
    .to_string()
}

#[tokio::test]
async fn a_reset_begins_anew_forwards_and_backwards() {
    let log = Log::new();
    for (before, reason) in [(2, "trimmed"), (100, "cursor_ahead")] {
        let script = log.clone();
        let server = FakeServer::start(move |number, request| match number {
            0 => {
                let fields = format!(r#""reason":"{reason}","as_of_seq":5,"snapshot":{}"#, snapshot(&script));
                stream(200, "", &format!("retry: 0\nid: 0000000000000005\n{}", control("stream.reset", &fields)))
            }
            _ => stream(200, "", &script.rest(request.last_event_id())),
        });
        let options = StreamOptions { after: Cursor::After(before), ..at_once() };
        let mut reader = server.client().runs_stream(log.run, options);
        let Some(Ok(StreamItem::Reset(reset))) = reader.next_item().await else { panic!("a reset comes first") };
        assert_eq!((reset.reason.as_str(), reset.as_of_seq, reset.snapshot.run.id), (reason, 5, log.run));
        assert_eq!(reader.cursor(), Cursor::After(5));
        assert_eq!(read_lines(&mut reader).await.0, log.lines[5..]);
        let cursors: Vec<_> = server.requests().iter().map(|request| request.last_event_id()).collect();
        assert_eq!(cursors, [before, 5]);
    }
}

#[tokio::test]
async fn now_becomes_a_place_as_soon_as_it_is_known() {
    let log = Log::new();
    let script = log.clone();
    let server = FakeServer::start(move |number, request| match number {
        0 => stream(200, "", "retry: 0\n: nothing yet\n\n"),
        1 => stream(200, "", &control("stream.caught_up", r#""tail":5"#)),
        _ => stream(200, "", &script.rest(request.last_event_id())),
    });
    let mut reader = server.client().runs_stream(log.run, StreamOptions { after: Cursor::Now, ..at_once() });
    assert_eq!(read_lines(&mut reader).await.0, log.lines[5..]);
    let requests = server.requests();
    assert!(requests[0].path.ends_with("?after=now") && requests[1].path.ends_with("?after=now"));
    assert!(requests[2].path.ends_with("/events") && requests[2].last_event_id() == 5);
}

#[tokio::test]
async fn an_ended_credential_is_renewed_or_the_end() {
    let log = Log::new();
    let closing = control("stream.closing", r#""reason":"auth","retry_ms":null"#);
    let script = log.clone();
    let server = FakeServer::start(move |_, request| match request.header("authorization") {
        Some("Bearer t0") => stream(200, "", &format!("retry: 0\n{}{closing}", script.frames([1, 2]))),
        // Expired before it was used: asked for again, once.
        Some("Bearer t1") => problem(ErrorCode::TokenExpired, ""),
        Some("Bearer t2") => stream(200, "", &script.rest(request.last_event_id())),
        _ => stream(200, "", &closing),
    });
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let provider = move || {
        let token = format!("t{}", count.fetch_add(1, Ordering::SeqCst));
        async move { Ok::<_, BoxError>(token) }
    };
    let client = server.builder().user_token_provider(provider).build().expect("good settings");
    let mut reader = client.runs_stream(log.run, at_once());
    assert_eq!(read_lines(&mut reader).await.0, log.lines);
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let mut reader = server.client().runs_stream(log.run, at_once());
    let (lines, error) = read_lines(&mut reader).await;
    assert!(lines.is_empty() && matches!(error, Some(Error::CredentialEnded)), "{error:?}");
}

#[tokio::test]
async fn an_expired_token_that_stays_expired_is_an_error() {
    let log = Log::new();
    let server = FakeServer::start(|_, _| problem(ErrorCode::TokenExpired, ""));
    let stale = || async { Ok::<_, BoxError>("stale".to_owned()) };
    let client = server.builder().user_token_provider(stale).build().expect("good settings");
    let (_, error) = read_lines(&mut client.runs_stream(log.run, at_once())).await;
    assert_eq!(error.and_then(|error| error.code()), Some(ErrorCode::TokenExpired));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn refusals_and_edges_before_a_stream() {
    let log = Log::new();
    let script = log.clone();
    let server = FakeServer::start(move |number, request| match number {
        0 => answer(502, "content-type: text/html\r\n", "<h1>starting</h1>"),
        1 => answer(404, "content-type: text/html\r\n", "<h1>No such application</h1>"),
        2 => answer(200, "content-type: text/html\r\n", "<h1>waking up</h1>"),
        3 => problem(ErrorCode::Draining, "retry-after-ms: 0\r\n"),
        4 => problem(ErrorCode::TooManyStreams, "retry-after-ms: 0\r\n"),
        _ => stream(200, "", &script.rest(request.last_event_id())),
    });
    let mut reader = server.client().runs_stream(log.run, at_once());
    assert_eq!(read_lines(&mut reader).await.0, log.lines);
    assert_eq!((server.requests().len(), reader.stats().connections), (6, 1));

    for code in [ErrorCode::NotFound, ErrorCode::InvalidCursor, ErrorCode::Unauthenticated] {
        let server = FakeServer::start(move |_, _| problem(code, ""));
        let (_, error) = read_lines(&mut server.client().runs_stream(log.run, at_once())).await;
        assert_eq!((error.and_then(|error| error.code()), server.requests().len()), (Some(code), 1));
    }
}

#[tokio::test]
async fn without_progress_it_gives_up_and_progress_begins_the_count_anew() {
    let log = Log::new();
    let script = log.clone();
    // Two cuts in vain, then an event, and so on.
    let server = FakeServer::start(move |number, request| match number % 3 {
        2 => stream(200, "", &format!("retry: 0\n{}", script.frames([request.last_event_id() + 1]))),
        _ => stream(200, "", "retry: 0\n"),
    });
    let options = StreamOptions { attempts: 3, ..at_once() };
    let mut reader = server.client().runs_stream(log.run, options);
    assert_eq!(read_lines(&mut reader).await.0, log.lines);

    let server = FakeServer::start(move |_, _| stream(200, "", ""));
    let (_, error) = read_lines(&mut server.client().runs_stream(log.run, options)).await;
    let Some(Error::GaveUp { attempts: 3, last }) = error else { panic!("{error:?}") };
    assert!(matches!(*last, Error::Cut), "{last:?}");
    assert_eq!(server.requests().len(), 4, "the first connection and three more");
}

#[tokio::test]
async fn a_suspended_run_is_waited_for_as_long_as_it_takes() {
    let log = Log::new();
    let suspended = line(log.run, 1, &EventBody::RunSuspended { reason: "approval".into(), pending: vec![] });
    let script = log.clone();
    let first = suspended.clone();
    let server = FakeServer::start(move |number, request| match number {
        0 => {
            let closing = control("stream.closing", r#""reason":"suspended","retry_ms":0"#);
            stream(200, "", &format!("retry: 0\n{}{closing}", frame(1, &first)))
        }
        1..30 => stream(200, "", "retry: 0\n: suspended\n\n"),
        _ => stream(200, "", &script.rest(request.last_event_id())),
    });
    let mut reader = server.client().runs_stream(log.run, StreamOptions { attempts: 2, ..at_once() });
    let (lines, error) = read_lines(&mut reader).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((lines[0].as_str(), &lines[1..]), (suspended.as_str(), &log.lines[1..]));
    assert_eq!(server.requests().len(), 31);
}

#[tokio::test]
async fn a_replica_that_goes_says_so() {
    let log = Log::new();
    let script = log.clone();
    let server = FakeServer::start(move |number, request| {
        let reason = if number % 2 == 0 { "drain" } else { "max_age" };
        let closing = control("stream.closing", &format!(r#""reason":"{reason}","retry_ms":0"#));
        match number {
            0..7 => Reply::Hold(stream(200, "", &format!("{}{closing}", script.frames([request.last_event_id() + 1])))),
            _ => Reply::Close(stream(200, "", &script.rest(request.last_event_id()))),
        }
    });
    // The pause is the closing's own; without it this test would take minutes.
    let options = StreamOptions { retry: Duration::from_secs(60), ..StreamOptions::default() };
    let mut reader = server.client().runs_stream(log.run, options);
    assert_eq!(read_lines(&mut reader).await.0, log.lines);
    assert_eq!(reader.stats().connections, 8);
}

#[tokio::test]
async fn silence_is_a_cut() {
    let log = Log::new();
    let script = log.clone();
    let server = FakeServer::start(move |number, request| match number {
        0 => Reply::Hold(stream(200, "", &format!("retry: 0\n{}", script.frames([1, 2])))),
        1 => Reply::Hold(stream(200, "", ": hb\n\n")),
        _ => Reply::Close(stream(200, "", &script.rest(request.last_event_id()))),
    });
    let options = StreamOptions { idle: Duration::from_millis(20), ..at_once() };
    let mut reader = server.client().runs_stream(log.run, options);
    assert_eq!(read_lines(&mut reader).await.0, log.lines);
}

#[tokio::test]
async fn what_a_server_of_ours_never_sends_is_an_error() {
    let log = Log::new();
    for body in ["id: -1\nevent: x\ndata: {}\n\n", "event: stream.closing\ndata: {\n\n", "id: 1\ndata: \u{0}"] {
        let body = body.replace('\u{0}', &"x".repeat(1024 * 1024));
        let server = FakeServer::start(move |_, _| stream(200, "", &body));
        let (_, error) = read_lines(&mut server.client().runs_stream(log.run, at_once())).await;
        assert!(matches!(error, Some(Error::Decode { .. })), "{error:?}");
    }
}
