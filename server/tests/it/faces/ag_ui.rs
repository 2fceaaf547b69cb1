//! `/ag-ui/{agent}` by what goes over the wire, where its own client (`real`) does not come.

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
