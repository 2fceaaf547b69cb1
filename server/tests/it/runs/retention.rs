//! Reading a log whose deltas are no longer kept.

use headwater_testkit::model::Reply;
use serde_json::json;

use crate::support::sse::{events, payloads, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site};

#[tokio::test]
async fn a_log_without_its_deltas_says_so() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::sequence([Reply::tokens(5).delay_each(25)])).await;
    let run = id(&alice.key.run("x").await);
    alice.key.ended(&run).await;
    let whole = events(&read(&alice.key, &run, None).await);
    let uuid = |id: &str| id.split_once('_').expect("a prefix").1.to_owned();
    let compact = format!(
        "SELECT set_config('headwater.tenant_id', '{}', false); SELECT headwater.compact_run('{}')",
        uuid(&tenant.id),
        uuid(&run)
    );
    site.database.admin().await.execute(&compact).await.expect("compacts");

    let kept = events(&read(&alice.key, &run, None).await);
    let expected: Vec<_> = whole.iter().filter(|event| event["type"] != "message.delta").cloned().collect();
    assert_eq!(kept, expected, "under the old numbers");
    let last_delta = whole.iter().rfind(|event| event["type"] == "message.delta").expect("it spoke")["seq"].clone();
    let earliest = last_delta.as_u64().expect("a number") + 1;

    let path = format!("/v1/runs/{run}/events");
    let page = alice.key.with("accept", "application/json").get(&path).await.ok(200);
    assert_eq!((&page["compacted"], &page["earliest"]), (&json!(true), &json!(earliest)));
    let trimmed = alice.key.with("accept", "application/json").get(&format!("{path}?after=4")).await;
    let problem = trimmed.problem(410, "history_trimmed");
    assert_eq!((&problem["earliest"], &problem["tail"]), (&json!(earliest), &whole.last().expect("an end")["seq"]));
    assert_eq!(problem["snapshot"]["id"], run);

    let stream = alice.token.with("last-event-id", "4").with("accept", "text/event-stream").get(&path).await;
    assert_eq!((stream.status, stream.header("headwater-log")), (200, Some("compacted")));
    let frames = payloads(&stream.bytes);
    assert_eq!(types(&frames), ["stream.reset", "stream.closing"], "{frames:?}");
    assert_eq!(
        (&frames[0]["reason"], &frames[0]["as_of_seq"]),
        (&json!("trimmed"), &whole.last().expect("an end")["seq"])
    );
    // A cursor from which nothing is missing goes on as before.
    let rest = read(&alice.token, &run, Some(&(earliest - 1).to_string())).await;
    assert_eq!(events(&rest).first().expect("more")["seq"], json!(earliest));
    let tail = alice.key.with("last-event-id", &whole.len().to_string()).get(&path).await;
    assert_eq!(tail.status, 204);
    // What it amounts to is all there.
    let snapshot = alice.key.get(&format!("/v1/runs/{run}")).await.ok(200);
    assert_eq!(snapshot["messages"][1]["content"][0]["text"], " tok0 tok1 tok2 tok3 tok4");
}
