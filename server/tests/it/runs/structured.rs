//! Answers that have to fit a schema.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::sse::{assert_dense, events, read, types};
use crate::support::tenant::id;
use crate::support::{Lane, Site};

fn format() -> Value {
    json!({"type": "json_schema", "name": "order", "schema": {"type": "object", "properties": {"n": {"type": "integer"}},
           "required": ["n"], "additionalProperties": false}})
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_once_more() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([
        Reply::text(r#"{"n":1}"#),
        Reply::text("n is 2"),
        Reply::text(r#"{"n":2}"#),
        Reply::text("n is 3"),
        Reply::text(r#"{"n":"3"}"#),
        Reply::text("free words"),
    ]);
    tenant.agent_with(&lane, json!({"response_format": format(), "user_overrides": ["response_format"]})).await;
    let run = async || {
        let run = id(&alice.key.run("x").await);
        alice.key.ended(&run).await
    };
    let good = run().await;
    assert_eq!((&good["result"]["json"], &good["result"]["text"]), (&json!({"n": 1}), &json!(r#"{"n":1}"#)));
    let asked = lane.requests().remove(0);
    assert_eq!(asked.body["response_format"]["json_schema"]["name"], "order");
    let repaired = run().await;
    assert_eq!(
        (&repaired["status"], &repaired["result"]["json"], &repaired["steps"]),
        (&json!("completed"), &json!({"n": 2}), &json!(2))
    );
    let again = lane.requests().remove(2);
    let last = again.body["messages"].as_array().expect("messages").last().expect("one").clone();
    assert!(
        last["role"] == "user" && last["content"].as_str().is_some_and(|words| words.contains("not JSON")),
        "{last}"
    );
    let log = events(&read(&alice.key, repaired["id"].as_str().expect("an id"), None).await);
    assert_dense(&log);
    assert_eq!(types(&log).iter().filter(|kind| *kind == "step.finished").count(), 2);
    let listed =
        alice.key.get(&format!("/v1/threads/{}/messages", repaired["thread"].as_str().expect("an id"))).await.ok(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(3), "what the model was told is in no thread");
    let failed = run().await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("invalid_output")), "{failed}");
    // A run may ask for something else.
    let body = json!({"agent": "assistant", "input": "x", "response_format": {"type": "text"}});
    let free = id(&alice.token.post("/v1/runs", body).await.ok(201));
    let free = alice.key.ended(&free).await;
    assert_eq!((&free["result"]["text"], &free["result"]["json"]), (&json!("free words"), &json!(null)));
    let wrong = json!({"type": "json_schema", "name": "n", "schema": {"$ref": "http://127.0.0.1:1/x"}});
    let body = json!({"agent": "assistant", "input": "x", "response_format": wrong});
    alice.token.post("/v1/runs", body).await.problem(422, "invalid_schema");
    let named = json!({"model": lane.model(), "response_format": {"type": "json_schema", "name": "a b", "schema": {}}});
    tenant.api.put("/v1/agents/other", named).await.blames(422, "invalid_value", "/response_format/name");
}
