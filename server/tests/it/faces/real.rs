//! Clients of others, as they are, from `clients/`: where their packages are there (`cargo xtask clients` fetches them).

use std::collections::BTreeMap;
use std::path::Path;

use headwater_testkit::model::Reply;
use headwater_testkit::tools::ToolAnswer;
use headwater_testkit::{Cutter, ToolServer};
use serde_json::json;

use crate::support::tenant::Tenant;
use crate::support::{Lane, Site};

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients");

/// Whether they are there. Said, where they are not.
fn are_there() -> bool {
    let there = Path::new(CLIENTS).join("node_modules").exists();
    assert!(
        there || std::env::var_os("HEADWATER_TEST_REQUIRE_CLIENTS").is_none(),
        "`cargo xtask clients` fetches them"
    );
    if !there {
        println!("NOT ASKED: clients of others, whose packages are not there; `cargo xtask clients` fetches them");
    }
    there
}

/// Runs one of the scripts there to its end.
async fn node(script: &str, variables: &BTreeMap<&str, String>) {
    run("node", script, variables).await;
}

/// The same, in Python.
async fn python(script: &str, variables: &BTreeMap<&str, String>) {
    run(&format!("{CLIENTS}/.venv/bin/python"), script, variables).await;
}

async fn run(program: &str, script: &str, variables: &BTreeMap<&str, String>) {
    let mut command = tokio::process::Command::new(program);
    command.arg(script).current_dir(CLIENTS).envs(variables).kill_on_drop(true);
    let done = tokio::time::timeout(std::time::Duration::from_secs(120), command.output()).await;
    let done = done.unwrap_or_else(|_| panic!("{script} {variables:?} has no end")).expect("it runs");
    let words = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    let which = ["SCENARIO", "VERSION"].map(|name| variables.get(name));
    assert!(done.status.success(), "{script} {which:?}: {words}");
}

/// A proxy that cuts each connection a little later than the one before, so that it comes to an end.
fn cutter(url: &str) -> Cutter {
    Cutter::start(url, |nth| Some(700 + 300 * nth)).expect("a proxy")
}

async fn use_chat(version: &str, scenario: &str) {
    if !are_there() {
        return;
    }
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let (counted, gate) = Reply::tokens(4).gate();
    let lane = match scenario {
        "talk" => Lane::sequence([Reply::text("Well.").usage(10, 5), Reply::text("Better.").usage(10, 5)]),
        "resume" | "cut" | "cut_again" => Lane::sequence([counted]),
        "approve" | "reload" | "decided_elsewhere" => {
            Lane::sequence([Reply::text("").tool_call("pay", json!({"amount": 7}).to_string()), Reply::text("Paid.")])
        }
        "client_tool" => Lane::sequence([Reply::text("").tool_call("pick", "{}"), Reply::text("Red it is.")]),
        "asked_client_tool" => Lane::sequence([Reply::text("").tool_call("choose", "{}"), Reply::text("Red it is.")]),
        _ => Lane::sequence([Reply::status(400)]),
    };
    gate.pass(1);
    let shop = ToolServer::start(|_| ToolAnswer::json(&json!({"paid": true})));
    let opener = ToolServer::start(move |_| {
        gate.open();
        ToolAnswer::text("")
    });
    let request = json!({"method": "POST", "url": shop.url, "body": "{{args}}"});
    let tools = json!([
        {"type": "http", "name": "pay", "effect": "idempotent", "policy": "ask", "request": request,
         "parameters": {"type": "object", "properties": {"amount": {"type": "number"}}}},
        {"type": "client", "name": "pick", "parameters": {"type": "object"}},
        {"type": "client", "name": "choose", "parameters": {"type": "object"}, "policy": "ask"}]);
    tenant.agent_with(&lane, json!({"tools": tools})).await;
    let minted = tenant.api.post("/v1/user_tokens", json!({"user": "alice"})).await.ok(201);
    let cutter = (scenario == "cut_again").then(|| cutter(&site.url));
    let variables = BTreeMap::from([
        ("BASE", cutter.as_ref().map_or_else(|| site.url.clone(), Cutter::url)),
        ("TOKEN", minted["token"].as_str().expect("a token").to_owned()),
        ("GATE", opener.url.clone()),
        ("VERSION", version.to_owned()),
        ("SCENARIO", scenario.to_owned()),
    ]);
    node("ai-sdk.mjs", &variables).await;
}

#[tokio::test]
async fn durable_streams_reads_on_whatever_it_is_given() {
    durable_streams(false).await;
}

#[tokio::test]
async fn durable_streams_is_cut_again_and_again() {
    durable_streams(true).await;
}

async fn durable_streams(cut: bool) {
    if !are_there() {
        return;
    }
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    for live in ["true", "long-poll", "sse"] {
        let (counted, gate) = Reply::tokens(8).gate();
        tenant.agent(&Lane::sequence([counted])).await;
        let run = crate::support::tenant::id(&alice.key.run("Count.").await);
        gate.pass(1);
        let opener = ToolServer::start(move |_| {
            gate.open();
            ToolAnswer::text("")
        });
        let minted = tenant.api.post("/v1/user_tokens", json!({"user": "alice"})).await.ok(201);
        let cutter = cut.then(|| cutter(&site.url));
        let base = cutter.as_ref().map_or_else(|| site.url.clone(), Cutter::url);
        let variables = BTreeMap::from([
            ("STREAM", format!("{base}/v1/streams/runs/{run}")),
            ("TOKEN", minted["token"].as_str().expect("a token").to_owned()),
            ("GATE", opener.url.clone()),
            ("SCENARIO", live.to_owned()),
        ]);
        node("durable-streams.mjs", &variables).await;
        assert!(cutter.is_none_or(|cutter| cutter.cuts() > 1), "{live} was cut");
    }
}

/// What a scenario of a client needs: an agent whose model answers as it is to, and a tool that a person has to permit.
async fn scene(scenario: &str, user_overrides: &[&str]) -> (Tenant, BTreeMap<&'static str, String>, Option<Cutter>) {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let (counted, gate) = Reply::tokens(4).gate();
    let well = || Reply::text("Well.").usage(10, 5);
    let pick = || Reply::text("").tool_call("pick", "{}");
    let pay = || Reply::text("").tool_call("pay", json!({"amount": 7}).to_string());
    let lane = match scenario {
        "talk" => Lane::sequence([well(), Reply::text("Better.").usage(10, 5), Reply::text("Once more.")]),
        "stream" | "cut" => Lane::sequence([counted]),
        "repeat" => Lane::sequence([well()]),
        "background" => Lane::sequence([counted, Reply::tokens(100_000)]),
        "tools" if user_overrides.is_empty() => {
            Lane::sequence([pick(), Reply::text("Red it is."), pick(), Reply::text("Blue it is.")])
        }
        "tools" => Lane::sequence([pick(), Reply::text("Red it is."), Reply::text("Nothing.")]),
        "completions" => Lane::sequence([well(), pick(), Reply::text("Red it is.")]),
        "approve" => Lane::sequence([pay(), Reply::text("Paid."), pay(), Reply::text("Then not.")]),
        _ => Lane::sequence([Reply::status(400)]),
    };
    gate.pass(1);
    let shop = Box::leak(Box::new(ToolServer::start(|_| ToolAnswer::json(&json!({"paid": true})))));
    let opener = Box::leak(Box::new(ToolServer::start(move |_| {
        gate.open();
        ToolAnswer::text("")
    })));
    let request = json!({"method": "POST", "url": shop.url, "body": "{{args}}"});
    let tools = json!([{"type": "http", "name": "pay", "effect": "idempotent", "policy": "ask", "request": request,
        "parameters": {"type": "object", "properties": {"amount": {"type": "number"}}}}]);
    tenant.agent_with(&lane, json!({"tools": tools, "user_overrides": user_overrides})).await;
    let minted = tenant.api.post("/v1/user_tokens", json!({"user": "alice"})).await.ok(201);
    let cutter = match scenario {
        "cut" => Some(cutter(&site.url)),
        // In the head of the first answer.
        "repeat" => Some(Cutter::start(&site.url, |nth| (nth == 0).then_some(100)).expect("a proxy")),
        _ => None,
    };
    let variables = BTreeMap::from([
        ("BASE", cutter.as_ref().map_or_else(|| site.url.clone(), Cutter::url)),
        ("KEY", tenant.secret.clone()),
        ("TOKEN", minted["token"].as_str().expect("a token").to_owned()),
        ("GATE", opener.url.clone()),
        ("SCENARIO", scenario.to_owned()),
    ]);
    (tenant, variables, cutter)
}

/// The packages of OpenAI, in both languages.
async fn openai(scenario: &str) {
    if are_there() {
        let (_tenant, variables, _cutter) = scene(scenario, &[]).await;
        node("openai.mjs", &variables).await;
        let (_tenant, variables, _cutter) = scene(scenario, &[]).await;
        python("openai_client.py", &variables).await;
    }
}

async fn ag_ui(scenario: &str) {
    if are_there() {
        let (_tenant, variables, _cutter) = scene(scenario, &["tools"]).await;
        node("ag-ui.mjs", &variables).await;
    }
}

#[tokio::test]
async fn ag_ui_talks() {
    ag_ui("talk").await;
}

#[tokio::test]
async fn ag_ui_is_cut_again_and_again() {
    ag_ui("cut").await;
}

#[tokio::test]
async fn ag_ui_is_interrupted_and_resumed() {
    ag_ui("approve").await;
}

#[tokio::test]
async fn ag_ui_has_tools_of_its_own() {
    ag_ui("tools").await;
}

#[tokio::test]
async fn ag_ui_is_told_what_goes_wrong() {
    ag_ui("fail").await;
}

/// Plain readers of server-sent events, through a proxy that cuts each connection a little later than the one before.
#[tokio::test]
async fn readers_of_server_sent_events_are_cut_again_and_again() {
    if !are_there() {
        return;
    }
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    for script in ["eventsource.mjs", "httpx_sse_client.py"] {
        let (counted, gate) = Reply::tokens(8).gate();
        tenant.agent(&Lane::sequence([counted])).await;
        let run = crate::support::tenant::id(&alice.key.run("Count.").await);
        gate.pass(1);
        let opener = ToolServer::start(move |_| {
            gate.open();
            ToolAnswer::text("")
        });
        let cutter = Cutter::start(&site.url, |nth| Some(900 + 100 * nth)).expect("a proxy");
        let minted = tenant.api.post("/v1/user_tokens", json!({"user": "alice"})).await.ok(201);
        let variables = BTreeMap::from([
            ("BASE", cutter.url()),
            ("TOKEN", minted["token"].as_str().expect("a token").to_owned()),
            ("RUN", run),
            ("GATE", opener.url.clone()),
        ]);
        match script {
            "eventsource.mjs" => node(script, &variables).await,
            _ => python(script, &variables).await,
        }
        assert!(cutter.cuts() > 1, "{script} was cut");
    }
}

#[tokio::test]
async fn openai_talks() {
    openai("talk").await;
}

/// From another origin, with all the headers of its own that it sends.
#[tokio::test]
async fn openai_talks_from_a_page() {
    if !are_there() {
        return;
    }
    if std::env::var_os("CHROMIUM").is_none() && !Path::new("/usr/bin/chromium").exists() {
        println!("NOT ASKED: openai in a page, for want of a browser (apt-get install chromium)");
        return;
    }
    let (_tenant, variables, _) = scene("talk", &[]).await;
    node("openai-page.mjs", &variables).await;
}

#[tokio::test]
async fn openai_streams_and_reads_on() {
    openai("stream").await;
}

#[tokio::test]
async fn openai_asks_in_the_background() {
    openai("background").await;
}

#[tokio::test]
async fn openai_is_cut_again_and_again() {
    openai("cut").await;
}

#[tokio::test]
async fn openai_repeats_a_request_and_it_is_carried_out_once() {
    openai("repeat").await;
}

#[tokio::test]
async fn openai_has_functions_of_its_own() {
    openai("tools").await;
}

#[tokio::test]
async fn openai_asks_a_person() {
    openai("approve").await;
}

#[tokio::test]
async fn openai_is_told_what_goes_wrong() {
    openai("fail").await;
}

#[tokio::test]
async fn openai_completes_chats() {
    openai("completions").await;
}

#[tokio::test]
async fn use_chat_talks() {
    use_chat("6", "talk").await;
    use_chat("7", "talk").await;
}

#[tokio::test]
async fn use_chat_stops_and_another_page_reads_on() {
    use_chat("6", "resume").await;
    use_chat("7", "resume").await;
}

#[tokio::test]
async fn use_chat_survives_a_cut() {
    use_chat("6", "cut").await;
    use_chat("7", "cut").await;
}

#[tokio::test]
async fn use_chat_is_cut_again_and_again() {
    use_chat("6", "cut_again").await;
    use_chat("7", "cut_again").await;
}

#[tokio::test]
async fn use_chat_asks_a_person() {
    use_chat("6", "approve").await;
    use_chat("7", "approve").await;
}

#[tokio::test]
async fn use_chat_is_opened_anew() {
    use_chat("6", "reload").await;
    use_chat("7", "reload").await;
}

#[tokio::test]
async fn use_chat_has_tools_of_its_own() {
    use_chat("6", "client_tool").await;
    use_chat("7", "client_tool").await;
}

#[tokio::test]
async fn use_chat_carries_out_what_is_permitted_and_only_then() {
    use_chat("6", "asked_client_tool").await;
    use_chat("7", "asked_client_tool").await;
}

#[tokio::test]
async fn use_chat_is_told_of_what_others_have_decided() {
    use_chat("6", "decided_elsewhere").await;
    use_chat("7", "decided_elsewhere").await;
}

#[tokio::test]
async fn use_chat_is_told_what_goes_wrong() {
    use_chat("6", "fail").await;
    use_chat("7", "fail").await;
}
