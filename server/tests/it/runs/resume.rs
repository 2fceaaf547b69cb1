//! Coming back: at every event, after any byte, too early, too late, in pages.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{Stream, assert_dense, events, last_id, log_of, payloads, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site, User};

async fn finished(user: &User) -> (String, String) {
    let run = id(&user.key.run("x").await);
    user.key.ended(&run).await;
    let log = log_of(&read(&user.key, &run, None).await);
    (run, log)
}

#[tokio::test]
async fn at_every_event_the_rest_is_the_same_bytes() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::tokens(12).delay_each(25))).await;
    let (run, log) = finished(&alice).await;
    assert_dense(&events(log.as_bytes()));
    let frames: Vec<&str> = log.split_inclusive("\n\n").collect();
    assert!(frames.len() > 9, "{log}");
    for after in 0..frames.len() {
        let rest: String = frames[after..].concat();
        for cursor in [format!("{after}"), format!("{after:016}")] {
            assert_eq!(log_of(&read(&alice.key, &run, Some(&cursor)).await), rest, "after {cursor}");
        }
        let by_query = alice.key.get(&format!("/v1/runs/{run}/events?after={after}")).await;
        assert_eq!(log_of(&by_query.bytes), rest, "?after={after}");
    }
    // The header wins over the query; an empty one is none.
    let both = alice.key.with("last-event-id", "3").get(&format!("/v1/runs/{run}/events?after=1")).await;
    assert_eq!(log_of(&both.bytes), frames[3..].concat());
    let empty = alice.key.with("last-event-id", "").get(&format!("/v1/runs/{run}/events?after=1")).await;
    assert_eq!(log_of(&empty.bytes), frames[1..].concat());
}

/// Reads with a connection that is cut after so many bytes each time.
async fn read_in_cuts(user: &User, run: &str, cuts: impl Iterator<Item = usize>) -> String {
    let (mut log, mut cursor) = (String::new(), None::<String>);
    let mut cuts = cuts.map(Some).chain(std::iter::repeat(None));
    loop {
        let mut stream = Stream::open(&user.token, run, cursor.as_deref()).await;
        if stream.status == 204 {
            return log;
        }
        assert_eq!(stream.status, 200);
        let bytes = match cuts.next().flatten() {
            Some(cut) => {
                stream.until_bytes(cut).await;
                // What came after the cut was never seen.
                stream.bytes.truncate(cut);
                stream.bytes.clone()
            }
            None => stream.rest().await,
        };
        log += &log_of(&bytes);
        cursor = last_id(&bytes).or(cursor);
    }
}

#[tokio::test]
async fn after_any_byte_of_a_finished_run() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::deltas(["Grüße", " aus", " 東京", " 🌊"]).delay_each(25))).await;
    let (run, _) = finished(&alice).await;
    let whole = read(&alice.token, &run, None).await;
    let log = log_of(&whole);
    for cut in 0..=whole.len() {
        let first = log_of(&whole[..cut]);
        // Every cut is tried on what was read; every 97th, and those in the middle of a character, on a socket.
        let inside = std::str::from_utf8(&whole[..cut]).is_err();
        assert!(log.starts_with(&first), "whole frames only, at {cut}");
        if cut % 97 == 0 || inside {
            assert_eq!(read_in_cuts(&alice, &run, std::iter::once(cut)).await, log, "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn after_many_cuts_of_a_live_run() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::tokens(60).delay_each(5))).await;
    for seed in [1_u64, 7, 99] {
        let run = id(&alice.key.run("x").await);
        let mut state = seed;
        let cuts = std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % 2_000
        });
        let log = read_in_cuts(&alice, &run, cuts.take(40)).await;
        assert_dense(&events(log.as_bytes()));
        assert_eq!(log, log_of(&read(&alice.token, &run, None).await), "seed {seed}");
    }
}

#[tokio::test]
async fn the_end_is_the_end() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let (run, log) = finished(&alice).await;
    let tail = events(log.as_bytes()).len();
    let path = format!("/v1/runs/{run}/events");
    for cursor in [format!("{tail}"), "now".to_owned()] {
        let end = alice.key.get(&format!("{path}?after={cursor}")).await;
        assert_eq!((end.status, end.bytes.len()), (204, 0), "{cursor}");
        let page = alice.key.with("accept", "application/json").get(&format!("{path}?after={cursor}")).await.ok(200);
        assert_eq!((&page["data"], &page["has_more"], &page["next_cursor"]), (&json!([]), &json!(false), &Value::Null));
    }
    // Ahead of the tail: told inside the stream, or by status.
    for ahead in [format!("{}", tail + 1), "18446744073709551615".to_owned()] {
        let bytes = read(&alice.token, &run, Some(&ahead)).await;
        let frames = payloads(&bytes);
        assert_eq!(types(&frames), ["stream.reset", "stream.closing"], "{ahead}");
        let reset = &frames[0];
        assert_eq!((&reset["reason"], &reset["as_of_seq"]), (&json!("cursor_ahead"), &json!(tail)));
        assert_eq!(reset["snapshot"]["id"], run);
        assert_eq!(last_id(&bytes), Some(format!("{tail:016}")), "the reset carries the id to go on from");
        let json = alice.key.with("accept", "application/json").with("last-event-id", &ahead).get(&path).await;
        let problem = json.problem(410, "cursor_ahead");
        assert_eq!(
            (&problem["tail"], &problem["earliest"], &problem["snapshot"]["id"]),
            (&json!(tail), &json!(1), &json!(run))
        );
    }
    for bad in ["-1", "x", "1.5", "%20", "99999999999999999999999"] {
        alice.key.get(&format!("{path}?after={bad}")).await.problem(400, "invalid_cursor");
        let json = alice.key.with("accept", "application/json");
        json.get(&format!("{path}?after={bad}")).await.problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn pages_of_json() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::tokens(8).delay_each(25))).await;
    let (run, log) = finished(&alice).await;
    let want = events(log.as_bytes());
    let json = alice.key.with("accept", "application/json");
    for limit in [1, 3, want.len(), 1000] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = json.get(&format!("/v1/runs/{run}/events?limit={limit}{cursor}")).await.ok(200);
            assert_eq!(
                (&page["tail"], &page["earliest"], &page["compacted"]),
                (&json!(want.len()), &json!(1), &json!(false))
            );
            assert_eq!(page["status"], "completed");
            let data = page["data"].as_array().expect("a list");
            assert!(data.len() <= limit);
            all.extend(data.iter().cloned());
            if page["has_more"] == false {
                break;
            }
            let next = page["next_cursor"].as_str().expect("a cursor");
            assert_eq!(next.len(), 16);
            cursor = format!("&after={next}");
        }
        assert_eq!(all, want, "by {limit}");
    }
    for bad in ["limit=0", "limit=1001", "limit=x"] {
        json.get(&format!("/v1/runs/{run}/events?{bad}")).await.problem(400, "invalid_request");
    }
    // Only Accept decides: what asks for nothing in particular gets the stream.
    assert_eq!(
        alice.key.get(&format!("/v1/runs/{run}/events")).await.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
}

#[tokio::test]
async fn now_and_caught_up() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(4).gate();
    tenant.agent(&Lane::sequence([reply])).await;
    let run = id(&alice.key.run("x").await);
    gate.pass(2);
    let mut old = Stream::open(&alice.key, &run, None).await;
    old.until("tok1").await;
    let mut new = Stream::open(&alice.key, &run, Some("now")).await;
    new.until("stream.caught_up").await;
    let frames = payloads(&new.bytes);
    assert_eq!(types(&frames), ["stream.caught_up"], "nothing of the past: {:?}", String::from_utf8_lossy(&new.bytes));
    let tail = frames[0]["tail"].as_u64().expect("a position");
    assert_eq!(events(&old.bytes).last().expect("an event")["seq"], tail);
    assert!(String::from_utf8_lossy(&new.bytes).starts_with("retry: "), "the waiting time comes first");
    gate.open();
    let (old, bytes) = (log_of(&old.rest().await), new.rest().await);
    let new = log_of(&bytes);
    assert!(old.ends_with(&new), "{old}\n{new}");
    let first = events(new.as_bytes()).first().map(|event| event["seq"].clone());
    assert_eq!(first, Some(json!(tail + 1)), "all that came after: {}", String::from_utf8_lossy(&bytes));
}

#[tokio::test]
async fn waiting_for_the_end() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let ((first, gate), second) = (Reply::tokens(3).gate(), Reply::text("Done."));
    tenant.agent(&Lane::sequence([first, second.clone(), second])).await;
    let body = json!({"agent": "assistant", "input": "x"});
    let early = alice.key.post("/v1/runs?wait_ms=1", body.clone()).await.ok(201);
    assert_ne!(early["status"], "completed", "the model is held");
    let path = format!("/v1/runs/{}", id(&early));
    assert_eq!(alice.key.get(&format!("{path}?wait_ms=1")).await.ok(200)["status"], "running");
    gate.open();
    let late = alice.key.get(&format!("{path}?wait_ms=25000")).await.ok(200);
    assert_eq!((&late["status"], &late["result"]["text"]), (&json!("completed"), &json!(" tok0 tok1 tok2")));
    let whole = alice.key.post("/v1/runs?wait_ms=25000", body.clone()).await.ok(201);
    assert_eq!((&whole["status"], &whole["result"]["text"]), (&json!("completed"), &json!("Done.")));
    assert_eq!(alice.token.post("/v1/runs?wait_ms=25000", body.clone()).await.ok(201)["cost"], Value::Null);
    for bad in ["25001", "-1", "x"] {
        alice.key.post(&format!("/v1/runs?wait_ms={bad}"), body.clone()).await.problem(400, "invalid_request");
    }
}
