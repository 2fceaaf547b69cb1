//! Pictures and files in messages.

use headwater_testkit::ToolServer;
use headwater_testkit::model::Reply;
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use serde_json::{Value, json};

use crate::support::sse::{assert_dense, events, read};
use crate::support::tenant::id;
use crate::support::{Lane, Site, User};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand so on";
/// The same in base64.
const PNG64: &str = "iVBORw0KGgphbmQgc28gb24=";
const PDF64: &str = "JVBERi0xLjQ=";

fn image(source: Value) -> Value {
    json!({"type": "image", "source": source})
}

fn inline(media_type: &str, data: &str) -> Value {
    json!({"type": "base64", "media_type": media_type, "data": data})
}

async fn upload(user: &User, name: &str, kind: &str, content: &'static [u8]) -> Value {
    user.token.raw("POST", &format!("/v1/artifacts?filename={name}"), Some(kind), content).await.ok(201)
}

fn url_of(part: &Value) -> &str {
    part["image_url"]["url"].as_str().unwrap_or_else(|| panic!("no picture: {part}"))
}

#[tokio::test]
async fn a_picture_reaches_the_model_however_it_was_sent() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let server =
        ToolServer::start(|_| ToolAnswer { kind: "image/png".into(), body: PNG.to_vec(), ..ToolAnswer::text("") });
    let uploaded = upload(&alice, "caf%C3%A9.png", "image/png", PNG).await;
    assert_eq!(
        (&uploaded["object"], &uploaded["filename"], &uploaded["size_bytes"], &uploaded["run"]),
        (&json!("artifact"), &json!("café.png"), &json!(PNG.len()), &Value::Null)
    );
    let answers = [Reply::empty().tool_call("time", "{}"), Reply::text("A cat."), Reply::text("Still a cat.")];
    let lane = Lane::sequence(answers);
    tenant.agent_with(&lane, json!({"tools": [{"type": "builtin", "name": "time"}]})).await;
    let input = json!([
        {"type": "text", "text": "What is it?"},
        {"type": "image", "source": inline("image/png", PNG64), "detail": "low"},
        image(json!({"type": "url", "url": format!("{}/cat.png", server.url)})),
        image(json!({"type": "artifact", "artifact": uploaded["id"]})),
    ]);
    let run = alice.token.post("/v1/runs", json!({"agent": "assistant", "input": input})).await.ok(201);
    let ended = alice.key.ended(&id(&run)).await;
    assert_eq!(ended["result"]["text"], "A cat.", "{ended}");
    // Kept as artifacts, whatever they were sent as.
    let shown = &ended["messages"][0]["content"];
    for part in &shown.as_array().expect("parts")[1..] {
        assert_eq!((&part["type"], &part["source"]["type"]), (&json!("image"), &json!("artifact")), "{part}");
        assert_eq!(
            (&part["source"]["media_type"], &part["source"]["size_bytes"]),
            (&json!("image/png"), &json!(PNG.len()))
        );
        let artifact = part["source"]["artifact"].as_str().expect("an id");
        let content = alice.token.get(&format!("/v1/artifacts/{artifact}/content")).await;
        assert_eq!((content.status, content.bytes.as_slice()), (200, PNG));
    }
    assert_eq!((&shown[1]["detail"], &shown[2]["detail"]), (&json!("low"), &json!("auto")));
    let content = alice.token.get(&format!("/v1/artifacts/{}/content", id(&uploaded))).await;
    let named = content.header("content-disposition").expect("a name");
    assert_eq!(named, "attachment; filename=\"caf_.png\"; filename*=UTF-8''caf%C3%A9.png");
    // At each step, and at the next run on the thread.
    let next = alice.key.run_on(run["thread"].as_str().expect("an id"), "Sure?").await;
    assert_eq!(alice.key.ended(&id(&next)).await["result"]["text"], "Still a cat.");
    let asked = lane.requests();
    assert_eq!(asked.len(), 3);
    for request in &asked {
        let message = &request.body["messages"][1];
        let [words, pictures @ ..] = message["content"].as_array().expect("parts").as_slice() else {
            panic!("{message}")
        };
        assert_eq!(words, &json!({"type": "text", "text": "What is it?"}));
        assert_eq!(pictures.len(), 3, "{message}");
        for picture in pictures {
            assert_eq!(url_of(picture), format!("data:image/png;base64,{PNG64}"));
        }
        assert_eq!(pictures[0]["image_url"]["detail"], "low");
    }
    let fetched = server.requests();
    assert_eq!(fetched.len(), 1, "a URL is fetched once: it may lead elsewhere tomorrow");
    assert_dense(&events(&read(&alice.token, &id(&run), None).await));
}

#[tokio::test]
async fn files_are_words_or_files() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let csv = upload(&alice, "sales.csv", "text/csv", b"day,sum\n1,2\n").await;
    let lane = Lane::sequence([Reply::text("Two."), Reply::text("Said before.")]);
    tenant.agent(&lane).await;
    let input = json!([
        {"type": "file", "source": {"type": "artifact", "artifact": csv["id"]}},
        {"type": "file", "source": inline("application/json; charset=utf-8", "eyJhIjoxfQ=="), "filename": "a.json"},
        {"type": "file", "source": inline("application/pdf", PDF64), "filename": "r.pdf"},
    ]);
    let run = alice.token.post("/v1/runs", json!({"agent": "assistant", "input": input})).await.ok(201);
    alice.key.ended(&id(&run)).await;
    let asked = lane.requests().remove(0);
    let parts = asked.body["messages"][1]["content"].as_array().expect("parts").clone();
    let words = parts[0]["text"].as_str().expect("words");
    for said in ["The file sales.csv:\nday,sum\n1,2", "The file a.json:\n{\"a\":1}"] {
        assert!(words.contains(said), "{words}");
    }
    let file = json!({"filename": "r.pdf", "file_data": format!("data:application/pdf;base64,{PDF64}")});
    assert_eq!(parts[1], json!({"type": "file", "file": file}));
    // Imported, by the tenant, to the user whose thread it is.
    let thread = id(&alice.key.post("/v1/threads", json!({})).await.ok(201));
    let said = json!({"role": "user", "content": [image(inline("image/png", PNG64))]});
    let message = tenant.api.post(&format!("/v1/threads/{thread}/messages"), said.clone()).await.ok(201);
    let artifact = message["content"][0]["source"]["artifact"].as_str().expect("an id").to_owned();
    assert_eq!(alice.token.get(&format!("/v1/artifacts/{artifact}")).await.ok(200)["user"], alice.id);
    let words = json!({"role": "assistant", "content": said["content"]});
    tenant.api.post(&format!("/v1/threads/{thread}/messages"), words).await.blames(422, "invalid_value", "/content");
    let run = id(&alice.key.run_on(&thread, "And?").await);
    alice.key.ended(&run).await;
    let asked = lane.requests().remove(1);
    assert_eq!(url_of(&asked.body["messages"][1]["content"][0]), format!("data:image/png;base64,{PNG64}"));
}

#[tokio::test]
async fn what_cannot_be_shown_is_refused() {
    let tenant = Site::shared().await.tenant().await;
    let (alice, bob) = (tenant.user("alice").await, tenant.user("bob").await);
    let server = ToolServer::start(|asked: &ToolRequest| match asked.path.as_str() {
        "/moved" => ToolAnswer::text("").status(302),
        "/large" => ToolAnswer { kind: "image/png".into(), body: vec![0; (8 << 20) + 1], ..ToolAnswer::text("") },
        "/page" => ToolAnswer { kind: "image/png".into(), ..ToolAnswer::text("<html>") },
        _ => ToolAnswer::text("x"),
    });
    let lane = Lane::sequence([]);
    tenant.agent(&lane).await;
    let bobs = id(&upload(&bob, "x.png", "image/png", PNG).await);
    let text = id(&upload(&alice, "x.txt", "text/plain", b"x").await);
    let url = |path: &str| json!({"type": "url", "url": format!("{}/{path}", server.url)});
    let many: Vec<Value> = (0..17).map(|_| image(inline("image/png", PNG64))).collect();
    let file = |source: Value, name: &str| json!({"type": "file", "source": source, "filename": name});
    for (part, code, param) in [
        (image(url("moved")), "invalid_value", "/input/0/source/url"),
        (image(url("large")), "invalid_value", "/input/0/source/url"),
        (image(url("page")), "invalid_value", "/input/0/source/url"),
        (image(url("text")), "invalid_value", "/input/0/source/url"),
        (image(json!({"type": "url", "url": "file:///etc/passwd"})), "url_not_allowed", ""),
        (image(json!({"type": "url", "url": "http://10.0.0.1/x.png"})), "url_not_allowed", ""),
        (image(json!({"type": "url", "url": "not a url"})), "invalid_value", "/input/0/source/url"),
        (image(json!({"type": "artifact", "artifact": bobs})), "invalid_value", "/input/0/source/artifact"),
        (image(json!({"type": "artifact", "artifact": text})), "invalid_value", "/input/0/source/artifact"),
        (image(inline("image/svg+xml", "PHN2Zz4=")), "invalid_value", "/input/0/source/data"),
        (image(inline("image/png", "!")), "invalid_value", "/input/0/source/data"),
        (image(inline("png", PNG64)), "invalid_value", "/input/0/source/media_type"),
        (image(inline("image/jpeg", PNG64)), "invalid_value", "/input/0/source/data"),
        (image(inline("image/png", &"A".repeat(700_000))), "invalid_value", "/input/0/source/data"),
        (file(inline("application/zip", PDF64), "x"), "invalid_value", "/input/0/source/data"),
        (file(inline("text/plain", "eA=="), "a/b"), "invalid_value", "/input/0/filename"),
        (json!({"type": "image"}), "invalid_value", "/input/0/source"),
    ] {
        let refused = alice.token.post("/v1/runs", json!({"agent": "assistant", "input": [part]})).await;
        if param.is_empty() {
            refused.problem(422, code);
        } else {
            refused.blames(422, code, param);
        }
    }
    alice.token.post("/v1/runs", json!({"agent": "assistant", "input": many})).await.blames(
        422,
        "invalid_value",
        "/input",
    );
    tenant.api.put("/v1/agents/words", json!({"model": "scripted/demo"})).await.ok(201);
    let shown = json!({"agent": "words", "input": [image(inline("image/png", PNG64))]});
    alice.token.post("/v1/runs", shown).await.problem(422, "unsupported_by_model");
    assert_eq!(lane.requests().len(), 0);
    let none = alice.token.get("/v1/runs").await.ok(200);
    assert_eq!(none["data"], json!([]), "nothing was begun");
    let kept = "SELECT string_agg(filename, ',' ORDER BY filename) FROM headwater.artifacts WHERE tenant_id = ";
    let kept = format!("{kept}'{}'", tenant.id.trim_start_matches("ten_"));
    let kept = Site::shared().await.database.admin().await.value(&kept).await.expect("looks");
    assert_eq!(kept.as_deref(), Some("x.png,x.txt"), "nor kept");

    // And what is no upload.
    let raw = |path: &'static str, kind: Option<&'static str>, body: &'static [u8]| {
        let user = alice.token.clone();
        async move { user.raw("POST", path, kind, body).await }
    };
    raw("/v1/artifacts", None, PNG).await.problem(415, "unsupported_media_type");
    raw("/v1/artifacts", Some("png"), PNG).await.problem(415, "unsupported_media_type");
    raw("/v1/artifacts", Some("image/png"), b"").await.problem(400, "invalid_request");
    raw("/v1/artifacts?filename=a%2Fb", Some("image/png"), PNG).await.problem(400, "invalid_request");
    raw("/v1/artifacts?name=a", Some("image/png"), PNG).await.problem(400, "invalid_request");
    let large = vec![0_u8; (8 << 20) + 1];
    alice.token.raw("POST", "/v1/artifacts", Some("image/png"), large).await.problem(413, "body_too_large");
    tenant.api.raw("POST", "/v1/artifacts", Some("image/png"), PNG).await.problem(400, "user_required");
}

#[tokio::test]
async fn an_upload_is_made_once_and_goes_with_the_last_thread_that_shows_it() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let once = alice.token.with("idempotency-key", "upload-1");
    let send = |name: &'static str, body: &'static [u8]| {
        let once = once.clone();
        async move { once.raw("POST", &format!("/v1/artifacts?filename={name}"), Some("image/png"), body).await }
    };
    let first = send("a.png", PNG).await;
    let again = send("a.png", PNG).await;
    assert_eq!(
        (first.ok(201)["id"].clone(), again.header("idempotent-replayed")),
        (again.ok(201)["id"].clone(), Some("true"))
    );
    send("b.png", PNG).await.problem(409, "idempotency_mismatch");
    send("a.png", b"other").await.problem(409, "idempotency_mismatch");
    let artifact = id(&first.ok(201));

    let lane = Lane::always(Reply::text("Seen."));
    tenant.agent(&lane).await;
    let shown = json!({"agent": "assistant", "input": [image(json!({"type": "artifact", "artifact": artifact}))]});
    let mut threads = Vec::new();
    for _ in 0..2 {
        let run = alice.token.post("/v1/runs", shown.clone()).await.ok(201);
        alice.key.ended(&id(&run)).await;
        threads.push(run["thread"].as_str().expect("an id").to_owned());
    }
    let path = format!("/v1/artifacts/{artifact}");
    alice.token.delete(&format!("/v1/threads/{}", threads[0])).await.ok(204);
    alice.token.get(&path).await.ok(200);
    alice.token.delete(&format!("/v1/threads/{}", threads[1])).await.ok(204);
    alice.token.get(&path).await.problem(404, "not_found");
    alice.token.post("/v1/runs", shown).await.blames(422, "invalid_value", "/input/0/source/artifact");
}

#[tokio::test]
async fn what_is_shown_stands_where_it_was_put() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("I see.")]);
    tenant.agent(&lane).await;
    let text = |words: &str| json!({"type": "text", "text": words});
    let picture = || image(inline("image/png; charset=utf-8", PNG64));
    let input = json!([picture(), text("before"), picture(), text("after")]);
    let run = alice.token.post("/v1/runs", json!({"agent": "assistant", "input": input})).await.ok(201);
    alice.key.ended(&id(&run)).await;
    let asked = lane.requests().remove(0);
    let parts = asked.body["messages"][1]["content"].as_array().expect("parts").clone();
    let kinds: Vec<&str> = parts.iter().filter_map(|part| part["type"].as_str()).collect();
    assert_eq!(kinds, ["image_url", "text", "image_url", "text"]);
    assert_eq!((&parts[1]["text"], &parts[3]["text"]), (&json!("before"), &json!("after")));
    assert_eq!(url_of(&parts[0]), format!("data:image/png;base64,{PNG64}"));
}

/// A request that is repeated fetches nothing again, and keeps nothing twice; one that is refused keeps nothing.
#[tokio::test]
async fn a_repeated_request_shows_what_the_first_has_shown() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let server =
        ToolServer::start(|_| ToolAnswer { kind: "image/png".into(), body: PNG.to_vec(), ..ToolAnswer::text("") });
    let (held, gate) = Reply::text("I see.").gate();
    let lane = Lane::sequence([held]);
    tenant.agent(&lane).await;
    let shown = json!([image(json!({"type": "url", "url": format!("{}/a.png", server.url)}))]);
    let body = json!({"agent": "assistant", "input": shown});
    let once = alice.token.with("idempotency-key", "run-1");
    let run = once.post("/v1/runs", body.clone()).await.ok(201);
    assert_eq!(once.post("/v1/runs", body).await.ok(201)["id"], run["id"]);
    let thread = run["thread"].as_str().expect("an id");
    let busy = json!({"agent": "assistant", "input": shown, "on_conflict": "reject"});
    alice.token.post(&format!("/v1/threads/{thread}/runs"), busy).await.problem(409, "thread_busy");
    gate.open();
    alice.key.ended(&id(&run)).await;
    let said = json!({"role": "user", "content": shown});
    let (path, once) = (format!("/v1/threads/{thread}/messages"), alice.token.with("idempotency-key", "message-1"));
    let message = once.post(&path, said.clone()).await.ok(201);
    assert_eq!(once.post(&path, said).await.ok(201)["id"], message["id"]);
    assert_eq!(server.requests().len(), 3, "the run, the refused one, the message");
    let kept = format!(
        "SELECT count(*) FROM headwater.artifacts WHERE tenant_id = '{}'",
        tenant.id.trim_start_matches("ten_")
    );
    assert_eq!(site.database.admin().await.value(&kept).await.expect("looks").as_deref(), Some("2"));
}

/// Networks that were opened for those who write agents are not open to users.
#[tokio::test]
async fn a_users_url_reaches_what_is_public() {
    let reach = ("HEADWATER__MESSAGES__ALLOW_NETWORKS", "192.0.2.0/24");
    let site = Site::start(&[reach]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let server = ToolServer::start(|_| ToolAnswer::text("internal"));
    let look =
        json!({"type": "http", "name": "look", "effect": "read", "request": {"method": "GET", "url": server.url}});
    let lane = Lane::calling("look", "{}", Reply::text("Looked."));
    tenant.agent_with(&lane, json!({"tools": [look]})).await;
    let file = json!({"type": "file", "source": {"type": "url", "url": server.url}});
    let refused = alice.token.post("/v1/runs", json!({"agent": "assistant", "input": [file]})).await;
    refused.problem(422, "url_not_allowed");
    assert_eq!(server.requests().len(), 0);
    alice.key.ended(&id(&alice.key.run("x").await)).await;
    assert_eq!(server.requests().len(), 1, "and the agent's own tool does");
}

/// What is said to a run that is under way may show something too.
#[tokio::test]
async fn a_picture_may_be_steered_in() {
    let tenant = Site::shared().await.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::text("Hm.").gate();
    let lane = Lane::sequence([held, Reply::text("A cat.")]);
    tenant.agent(&lane).await;
    let run = alice.key.run("Look.").await;
    lane.called(1).await;
    let thread = run["thread"].as_str().expect("an id");
    let more = json!({"agent": "assistant", "input": [image(inline("image/png", PNG64))], "on_conflict": "steer"});
    assert_eq!(alice.token.post(&format!("/v1/threads/{thread}/runs"), more).await.ok(200)["id"], run["id"]);
    gate.open();
    let ended = alice.key.ended(&id(&run)).await;
    assert_eq!(ended["result"]["text"], "A cat.", "{ended}");
    let asked = lane.requests().remove(1);
    let last = asked.body["messages"].as_array().expect("messages").last().expect("one").clone();
    assert_eq!(url_of(&last["content"][0]), format!("data:image/png;base64,{PNG64}"));
    alice.token.delete(&format!("/v1/threads/{thread}")).await.ok(204);
}
