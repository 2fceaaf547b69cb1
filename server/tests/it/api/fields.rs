//! A response holds every field of its schema, and no other.

use std::collections::BTreeSet;

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::tenant::id;
use crate::support::{Lane, Site};

/// The properties of a schema, those it is composed of included.
fn properties(document: &Value, schema: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().expect("a name");
        return properties(document, &document["components"]["schemas"][name]);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        names.append(&mut properties(document, part));
    }
    names.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    names
}

#[tokio::test]
async fn every_field_is_there_and_no_other() {
    let site = Site::shared().await;
    let document = site.anybody().get("/openapi.json").await.ok(200);
    let (operator, tenant) = (site.operator(), site.tenant().await);
    let lane = Lane::always(Reply::text("Hello."));
    let agent = tenant.agent(&lane).await;
    let alice = tenant.user("alice").await;
    let (api, tenant_path) = (&alice.key, format!("/v1/tenants/{}", tenant.id));
    let run = id(&api.run("Hi").await);
    let snapshot = api.ended(&run).await;
    let thread = snapshot["thread"].as_str().expect("an id").to_owned();
    let thread_path = format!("/v1/threads/{thread}");
    let key = operator.post(&format!("{tenant_path}/keys"), json!({"name": "k"})).await.ok(201);
    let keys = operator.get(&format!("{tenant_path}/keys")).await.ok(200);
    let messages = api.get(&format!("{thread_path}/messages")).await.ok(200);
    let imported = api.post(&format!("{thread_path}/messages"), json!({"role": "user", "content": "x"})).await.ok(201);
    let page = api.with("accept", "application/json").get(&format!("/v1/runs/{run}/events")).await.ok(200);
    let calls = tenant.api.get("/v1/usage/calls").await.ok(200);
    let unpriced = tenant.api.get("/v1/usage").await.ok(200);
    let missing = api.get("/v1/runs/run_x").await.problem(404, "not_found");
    let answers: Vec<(&str, Value)> = vec![
        ("Tenant", operator.get(&tenant_path).await.ok(200)),
        ("Tenant", tenant.api.get("/v1/tenant").await.ok(200)),
        ("ApiKey", key),
        ("ApiKey", keys["data"][0].clone()),
        ("List_ApiKey", keys),
        ("User", tenant.api.get("/v1/users/alice").await.ok(200)),
        ("User", tenant.api.post("/v1/users", json!({})).await.ok(201)),
        ("Principal", tenant.api.get("/v1/me").await.ok(200)),
        ("Principal", alice.token.get("/v1/me").await.ok(200)),
        ("UserToken", tenant.api.post("/v1/user_tokens", json!({"user": "alice"})).await.ok(201)),
        ("Agent", agent),
        ("Agent", tenant.api.get("/v1/agents/assistant/versions/1").await.ok(200)),
        ("AgentSummary", alice.token.get("/v1/agents/assistant").await.ok(200)),
        ("Thread", api.get(&thread_path).await.ok(200)),
        ("Thread", api.post("/v1/threads", json!({})).await.ok(201)),
        ("Message", messages["data"][0].clone()),
        ("Message", messages["data"][1].clone()),
        ("Message", imported),
        ("List_Message", messages),
        ("Run", api.get("/v1/runs").await.ok(200)["data"][0].clone()),
        ("Run", alice.token.get("/v1/runs").await.ok(200)["data"][0].clone()),
        ("RunSnapshot", snapshot.clone()),
        ("RunSnapshot", alice.token.get(&format!("/v1/runs/{run}")).await.ok(200)),
        ("Usage", snapshot["usage"].clone()),
        ("RunResult", snapshot["result"].clone()),
        ("Ticket", api.post(&format!("/v1/runs/{run}/tickets"), json!({})).await.ok(201)),
        ("EventPage", page),
        ("UsageCall", calls["data"][0].clone()),
        ("UsageGroup", unpriced["data"][0].clone()),
        ("Model", tenant.api.get("/v1/models").await.ok(200)["data"][0].clone()),
        ("Problem", missing),
    ];
    for (schema, answer) in answers {
        let got: BTreeSet<String> =
            answer.as_object().unwrap_or_else(|| panic!("{schema}: {answer}")).keys().cloned().collect();
        let mut want = properties(&document, &json!({"$ref": format!("#/components/schemas/{schema}")}));
        if schema == "AgentSummary" {
            // Not in the document by itself: what a user may see of an agent (api.md §2).
            want = ["id", "object", "name", "description", "metadata", "created_at"].map(str::to_owned).into();
        }
        assert!(!want.is_empty(), "{schema} is in the document");
        assert_eq!(got, want, "the fields of {schema}");
    }
    // What has no value is null, what is unknown is no zero.
    assert_eq!(
        (&snapshot["error"], &snapshot["external_id"], &snapshot["cost"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(snapshot["pending"], json!([]));
}

#[tokio::test]
async fn null_is_the_default_when_something_is_made() {
    let tenant = Site::shared().await.tenant().await;
    let (lane, alice) = (Lane::always(Reply::text("Hello.")), tenant.user("alice").await);
    let config = json!({"name": "nulls", "model": lane.model(), "description": null, "temperature": null, "stop": null,
        "limits": null, "tools": null, "metadata": null, "truncation": null, "user_overrides": null});
    let agent = tenant.api.post("/v1/agents", config).await.ok(201);
    assert_eq!(
        (&agent["stop"], &agent["truncation"], &agent["limits"]["max_steps"]),
        (&json!([]), &json!("auto"), &json!(16))
    );
    let thread = json!({"external_id": null, "title": null, "metadata": null});
    assert_eq!(alice.key.post("/v1/threads", thread).await.ok(201)["metadata"], json!({}));
    let run = json!({"agent": "nulls", "input": "x", "model": null, "on_conflict": null, "metadata": null,
        "thread": null, "run_at": null, "limits": null, "external_id": null, "agent_version": null});
    let run = alice.token.post("/v1/runs", run).await.ok(201);
    assert_eq!((&run["on_conflict"], &run["model"]), (&json!("enqueue"), &json!(lane.model())));
    tenant
        .api
        .post("/v1/user_tokens", json!({"user": "alice", "ttl_ms": null, "scopes": null, "agents": null}))
        .await
        .ok(201);
}

#[tokio::test]
async fn ids_times_and_references_have_their_forms() {
    let tenant = Site::shared().await.tenant().await;
    let (lane, alice) = (Lane::always(Reply::text("Hello.")), tenant.user("alice").await);
    tenant.agent(&lane).await;
    let ended = alice.key.ended(&id(&alice.key.run("Hi").await)).await;
    let forms = [("id", "run_"), ("thread", "thr_"), ("user", "usr_"), ("agent", "agt_")];
    for (field, prefix) in forms {
        let text = ended[field].as_str().expect("text");
        let uuid: uuid::Uuid = text.strip_prefix(prefix).expect("its prefix").parse().expect("a UUID");
        assert_eq!((uuid.get_version_num(), uuid.to_string()), (7, text[prefix.len()..].to_owned()), "{field}");
    }
    for field in ["created_at", "started_at", "finished_at"] {
        let text = ended[field].as_str().expect("text");
        let bytes = text.as_bytes();
        assert_eq!((bytes.len(), bytes[10], bytes[19], bytes[23]), (24, b'T', b'.', b'Z'), "{field}: {text}");
    }
    assert_eq!(ended["events_url"], format!("/v1/runs/{}/events", id(&ended)));
}
