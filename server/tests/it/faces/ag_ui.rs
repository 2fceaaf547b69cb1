//! `/ag-ui/{agent}` by what goes over the wire, where its own client (`real`) does not come.

use headwater_testkit::model::Reply;
use serde_json::json;

use crate::support::{Lane, Site};

#[tokio::test]
async fn a_run_without_a_name_is_refused() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::sequence([])).await;
    let messages = json!([{"id": "1", "role": "user", "content": "Hi"}]);
    let asked = json!({"threadId": "a thread", "runId": "", "messages": messages});
    alice.token.post("/ag-ui/assistant", asked).await.blames(422, "invalid_value", "/runId");
    // A second message would have found the first one's answer.
    assert_eq!(alice.token.get("/v1/threads").await.ok(200)["data"], json!([]));
}

#[tokio::test]
async fn asked_for_several_times_at_once_it_is_one_run_and_all_are_told_its_answer() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::sequence([Reply::text("Hello.")])).await;
    let messages = json!([{"id": "1", "role": "user", "content": "Hi"}]);
    let mut asked = json!({"threadId": "a thread", "runId": "a run", "messages": messages});
    alice.token.post("/ag-ui/assistant", asked.clone()).await.blames(422, "invalid_value", "/threadId");
    asked["threadId"] = "a-thread".into();
    let answers = (0..8).map(|_| alice.token.post("/ag-ui/assistant", asked.clone()));
    let answers = futures_util::future::join_all(answers).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let runs = alice.token.get("/v1/runs").await.ok(200);
    let location = format!("/v1/runs/{}", runs["data"][0]["id"].as_str().expect("a run"));
    assert_eq!(runs["data"].as_array().map(Vec::len), Some(1), "{runs}");
    for answer in answers {
        assert_eq!((answer.status, answer.header("location")), (200, Some(location.as_str())), "{}", answer.text());
        assert!(answer.text().contains("Hello."), "{}", answer.text());
    }
}
