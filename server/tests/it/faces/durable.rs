//! A run's log as a stream of the Durable Streams protocol.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::runs::suspended;
use crate::support::sse::Stream;
use crate::support::tenant::id;
use crate::support::{Lane, Site};

#[tokio::test]
async fn what_has_happened_is_read_from_any_offset_and_closed_at_its_end() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Here."))).await;
    let run = id(&alice.key.run("x").await);
    alice.key.ended(&run).await;
    for api in [&alice.token, &alice.key] {
        let events = format!("/v1/runs/{run}/events");
        let native = api.with("accept", "application/json").get(&events).await.ok(200)["data"].clone();
        let path = format!("/v1/streams/runs/{run}");
        let whole = api.get(&path).await;
        assert_eq!(whole.header("content-type"), Some("application/json"));
        assert_eq!((whole.header("stream-up-to-date"), whole.header("stream-closed")), (Some("true"), Some("true")));
        let next = whole.header("stream-next-offset").expect("an offset").to_owned();
        let whole = whole.ok(200);
        assert_eq!(whole, native, "the same events, as this reader sees them");
        let at = format!("{:016}", 2);
        assert_eq!(
            api.get(&format!("{path}?offset={at}")).await.ok(200),
            Value::from(whole.as_array().expect("a list")[2..].to_vec())
        );
        assert_eq!(api.get(&format!("{path}?offset=-1")).await.ok(200), whole);
        for nothing in [format!("{path}?offset={next}"), format!("{path}?offset=now")] {
            let answer = api.get(&nothing).await;
            assert_eq!(
                (answer.header("stream-closed"), answer.header("stream-next-offset")),
                (Some("true"), Some(&*next))
            );
            assert_eq!(answer.ok(200), json!([]));
        }
        let polled = api.get(&format!("{path}?offset={next}&live=long-poll")).await;
        assert_eq!((polled.status, polled.header("stream-closed")), (204, Some("true")));
        let told = api.get(&format!("{path}?offset={next}&live=sse")).await.text();
        assert!(told.starts_with("event: control\ndata: {") && told.contains(r#""streamClosed":true"#), "{told}");
        let head = Stream::send(api.request("HEAD", &path)).await;
        assert_eq!((head.status, head.headers["stream-next-offset"].to_str().ok()), (200, Some(&*next)));
        api.get(&format!("{path}?offset=x")).await.problem(400, "invalid_cursor");
        api.get(&format!("{path}?offset={:016}", 9999)).await.problem(410, "cursor_ahead");
        api.get(&format!("{path}?live=always")).await.problem(400, "invalid_request");
    }
    tenant.user("bob").await.token.get(&format!("/v1/streams/runs/{run}")).await.problem(404, "not_found");
}

#[tokio::test]
async fn what_happens_is_waited_for() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::tokens(3).gate();
    tenant.agent(&Lane::sequence([held])).await;
    let run = id(&alice.key.run("x").await);
    let path = format!("/v1/streams/runs/{run}");
    let followed = format!("{path}?live=sse&offset=-1");
    let mut stream = Stream::send(alice.token.request("GET", &followed)).await;
    stream.until(r#""upToDate":true"#).await;
    let answer = alice.token.get(&path).await;
    assert_eq!((answer.header("stream-up-to-date"), answer.header("stream-closed")), (Some("true"), None));
    let offset = answer.header("stream-next-offset").expect("an offset").to_owned();
    let waiting = format!("{path}?live=long-poll&offset={offset}");
    let (polled, ()) = tokio::join!(alice.token.get(&waiting), async { gate.open() });
    let after = polled.header("stream-next-offset").expect("an offset").to_owned();
    assert!(after > offset, "{after}");
    assert!(!polled.ok(200).as_array().expect("a list").is_empty());
    let told = String::from_utf8(stream.rest().await).expect("UTF-8");
    let data = told.split("event: data\ndata: ").skip(1).map(|rest| rest.split_once('\n').expect("a line").0);
    let events: Vec<Value> =
        data.map(|line| serde_json::from_str::<Vec<Value>>(line).expect("a list").remove(0)).collect();
    let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().expect("a number")).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "each once, in order");
    assert_eq!(events.last().expect("one")["type"], "run.completed");
    assert!(told.trim_end().ends_with(r#""upToDate":true}"#) && told.contains(r#""streamClosed":true"#), "{told}");
}

#[tokio::test]
async fn whoever_polls_a_run_that_waits_for_somebody_is_told_when_it_goes_on_and_does_not_spin() {
    let quiet = [("HEADWATER__QUIET__ENABLED", "true"), ("HEADWATER__QUIET__IDLE_AFTER_MS", "60000")];
    let site = Site::start(&quiet).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("").tool_call("pick", "{}"), Reply::text("Picked.")]);
    let tool = json!({"type": "client", "name": "pick", "parameters": {"type": "object"}});
    tenant.agent_with(&lane, json!({"tools": [tool]})).await;
    let run = id(&alice.key.run("x").await);
    let waits = suspended(&alice, &run).await;
    let path = format!("/v1/streams/runs/{run}");
    let tail = alice.token.get(&path).await.header("stream-next-offset").expect("an offset").to_owned();
    let outputs = json!({"tool_outputs": [{"call": waits["pending"][0]["call"], "output": "red"}]});
    let poll = format!("{path}?live=long-poll&offset={tail}");
    let answers = format!("/v1/runs/{run}/tool_outputs");
    let (polled, answered) = tokio::join!(alice.token.get(&poll), alice.key.post(&answers, outputs));
    answered.ok(200);
    assert_eq!(polled.ok(200)[0]["type"], "run.resumed", "its stream was sent away, and it was not");
}
