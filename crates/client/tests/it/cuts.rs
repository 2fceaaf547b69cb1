//! The promise of the product, seen from the client: drop the connection at any byte, and every event comes exactly
//! once, in order, byte for byte.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use headwater_client::protocol::api::RunParams;
use headwater_client::{Options, StreamOptions};

use crate::support::{FakeServer, Log, at_once, chunked_stream, read_lines, stream};

type Framing = fn(u16, &str, &str) -> Vec<u8>;
const FRAMINGS: [Framing; 2] = [stream, chunked_stream];

#[tokio::test]
async fn a_stream_cut_at_every_byte() {
    for (i, framing) in FRAMINGS.into_iter().enumerate() {
        let log = Log::new();
        let cut = Arc::new(AtomicUsize::new(0));
        let (script, at) = (log.clone(), cut.clone());
        let server = FakeServer::start(move |number, request| {
            let mut bytes = framing(200, "", &script.rest(request.last_event_id()));
            if number == 0 {
                bytes.truncate(at.load(Ordering::SeqCst));
            }
            bytes
        });
        let client = server.client();
        let whole = framing(200, "", &log.rest(0));
        for at in 0..=whole.len() {
            cut.store(at, Ordering::SeqCst);
            server.forget();
            let mut stream = client.runs_stream(log.run, at_once());
            assert_eq!(read_lines(&mut stream).await.0, log.lines, "cut at {at}");
            let requests = server.requests();
            assert!(requests.len() <= 2, "cut at {at}: {requests:?}");
            if let Some(second) = requests.get(1) {
                // Exactly what was whole is not asked for again.
                let text = String::from_utf8_lossy(&whole[..at]).into_owned();
                let ids = (1..=log.lines.len() as u64).rev();
                if i == 0 {
                    let last = ids.into_iter().find(|seq| text.contains(&log.frames([*seq]))).unwrap_or(0);
                    assert_eq!(second.last_event_id(), last, "cut at {at}");
                }
            }
            let stats = stream.stats();
            assert_eq!((stats.duplicates, stats.gaps), (0, 0), "cut at {at}");
        }
    }
}

#[tokio::test]
async fn a_created_run_cut_at_every_byte_is_one_run() {
    for framing in FRAMINGS {
        let log = Log::new();
        let location = format!("location: /v1/runs/{}\r\n", log.run);
        let cut = Arc::new(AtomicUsize::new(0));
        let (script, at, head) = (log.clone(), cut.clone(), location.clone());
        let server = FakeServer::start(move |number, request| {
            let status = if request.method == "POST" { 201 } else { 200 };
            let mut bytes = framing(status, &head, &script.rest(request.last_event_id()));
            if number == 0 {
                bytes.truncate(at.load(Ordering::SeqCst));
            }
            bytes
        });
        let client = server.client();
        let whole = framing(201, &location, &log.rest(0));
        let head_end = whole.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
        for at in 0..=whole.len() {
            cut.store(at, Ordering::SeqCst);
            server.forget();
            let params = RunParams::new("assistant", "hi");
            let stream = client.runs_create_stream(&params, Options::new()).expect("good parameters");
            let mut stream = stream.with_options(at_once());
            assert_eq!(read_lines(&mut stream).await.0, log.lines, "cut at {at}");
            assert_eq!(stream.run(), Some(log.run));
            let requests = server.requests();
            assert_eq!(requests[0].method, "POST");
            assert_eq!(requests[0].header("accept"), Some("text/event-stream"));
            assert!(requests[0].header("idempotency-key").is_some_and(|key| key.len() == 36));
            if let Some(second) = requests.get(1) {
                let again = if at < head_end { "POST" } else { "GET" };
                assert_eq!(second.method, again, "cut at {at}");
                if again == "POST" {
                    assert_eq!(second.header("idempotency-key"), requests[0].header("idempotency-key"));
                    assert_eq!(second.body, requests[0].body);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_run_without_location_is_known_by_its_first_event() {
    let log = Log::new();
    let script = log.clone();
    let server = FakeServer::start(move |number, request| match number {
        // Nothing, then one event, then the rest.
        0 => stream(201, "", "retry: 0\n"),
        1 => stream(201, "", &format!("retry: 0\n{}", script.frames([1]))),
        _ => stream(200, "", &script.rest(request.last_event_id())),
    });
    let params = RunParams::new("assistant", "hi");
    let stream = server.client().runs_create_stream(&params, Options::new().idempotency_key("mine"));
    let mut stream = stream.expect("good parameters").with_options(at_once());
    assert_eq!(read_lines(&mut stream).await.0, log.lines);
    let requests = server.requests();
    let methods: Vec<_> = requests.iter().map(|r| (r.method.as_str(), r.last_event_id())).collect();
    assert_eq!(methods, [("POST", 0), ("POST", 0), ("GET", 1)]);
    assert!(requests[..2].iter().all(|r| r.header("idempotency-key") == Some("mine")));
    assert_eq!(requests[2].path, format!("/v1/runs/{}/events", log.run));
}

#[tokio::test]
async fn every_connection_cut_at_random() {
    let log = Log::new();
    let script = log.clone();
    let seed = Arc::new(Mutex::new(7u64));
    let server = FakeServer::start(move |_, request| {
        let mut seed = seed.lock().expect("no panic");
        // Numerical Recipes' generator: the same cuts at every run of this test.
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % (1 << 32);
        let framing = FRAMINGS[(*seed >> 20) as usize % 2];
        let mut bytes = framing(200, "", &script.rest(request.last_event_id()));
        bytes.truncate((*seed >> 8) as usize % 900);
        bytes
    });
    let client = server.client();
    for _ in 0..200 {
        let options = StreamOptions { attempts: 1000, ..at_once() };
        let mut stream = client.runs_stream(log.run, options);
        let (lines, error) = read_lines(&mut stream).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(lines, log.lines);
    }
}
