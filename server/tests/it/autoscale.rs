//! `headwater autoscale` against a stand-in for Railway's API: what it reads, what it sets, and what it may see.

use std::path::Path;
use std::sync::{Arc, Mutex};

use headwater_testkit::ToolServer;
use headwater_testkit::model::Reply;
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use serde_json::{Value, json};

use crate::support::tenant::id;
use crate::support::{Lane, Site, eventually};

/// Railway with one service, whose replicas can be set.
fn railway() -> (ToolServer, Arc<Mutex<u64>>) {
    let set = Arc::new(Mutex::new(1));
    let replicas = set.clone();
    let answer = move |request: &ToolRequest| {
        let asked = request.json();
        if request.header("project-access-token") != Some("of-the-project") {
            return ToolAnswer::json(&json!({"errors": [{"message": "Not Authorized"}], "data": null}));
        }
        let variables = &asked["variables"];
        if asked["query"].as_str().is_some_and(|query| query.starts_with("query")) {
            assert_eq!((&variables["serviceId"], &variables["environmentId"]), (&json!("srv"), &json!("env")));
            let count = *replicas.lock().expect("no panic");
            let regions = json!({"us-west2": {"numReplicas": count}});
            let meta = json!({"serviceManifest": {"deploy": {"multiRegionConfig": regions}}});
            let running: Vec<Value> = (0..count).map(|_| json!({"status": "RUNNING"})).collect();
            let deployment = json!({"meta": meta, "instances": running});
            return ToolAnswer::json(&json!({"data": {"serviceInstance":
                {"numReplicas": null, "region": "us-west2", "latestDeployment": deployment}}}));
        }
        let path = "/patch/services/srv/deploy/multiRegionConfig/us-west2/numReplicas";
        *replicas.lock().expect("no panic") = variables.pointer(path).and_then(Value::as_u64).expect("a number");
        ToolAnswer::json(&json!({"data": {"environmentPatchCommit": "done"}}))
    };
    (ToolServer::start(answer), set)
}

async fn autoscale(site: &Site, api: &str, token: &str, more: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::new(Path::new(env!("CARGO_BIN_EXE_headwater")));
    let arguments = ["autoscale", "--service", "srv", "--environment", "env", "--max", "4", "--runs-per-replica", "2"];
    command.args(arguments).args(["--api-url", api]).args(more).env_clear();
    command.envs(site.environment(&[("RAILWAY_TOKEN", token)]));
    let output = command.output().await.expect("it runs");
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&words).into_owned())
}

#[tokio::test]
async fn replicas_follow_what_there_is_to_do() {
    // One process has room for five of a tenant's runs at a time.
    let site = Site::start(&[("HEADWATER__RUNS__MAX_ACTIVE_PER_TENANT", "5")]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (api, set) = railway();
    let look = async |more: &[&str]| autoscale(&site, &api.url, "of-the-project", more).await;
    let now = || *set.lock().expect("no panic");

    let (fine, words) = look(&[]).await;
    assert!(
        fine && words.contains("0 runs under way, 0 waiting, 1 processes; 1 replicas are set, 1 run: as it should be"),
        "{words}"
    );
    let (reply, gate) = Reply::tokens(2).gate();
    tenant.agent(&Lane::always(reply)).await;
    let mut runs = Vec::new();
    for _ in 0..6 {
        runs.push(id(&alice.key.run("x").await));
    }
    eventually("they are under way", || async {
        let found = alice.key.get("/v1/runs?status=running").await.ok(200);
        (found["data"].as_array().expect("a list").len() == 5).then_some(())
    })
    .await;
    let (fine, words) = look(&["--dry-run"]).await;
    assert!(fine && words.contains("would set 3") && now() == 1, "{words}");
    let (fine, words) = look(&[]).await;
    assert!(fine && words.contains("5 runs under way, 1 waiting") && words.contains("set 3"), "{words}");
    assert_eq!(now(), 3, "up at once");
    gate.open();
    for run in &runs {
        alice.key.ended(run).await;
    }
    // Down only when it was low for long, and one at a time: remembered by nobody but the database.
    look(&[]).await;
    assert_eq!(now(), 3);
    look(&["--down-after", "0"]).await;
    assert_eq!(now(), 2);
    look(&[]).await;
    assert_eq!(now(), 2, "the time begins anew");
    let admin = site.database.admin().await;
    let ago = "UPDATE headwater_sys.autoscale SET low_since = low_since - interval '10 minutes'";
    admin.execute(ago).await.expect("time passes");
    look(&[]).await;
    assert_eq!(now(), 1);

    // What waits because its tenant's plan allows one at a time would wait with any number of processes.
    let plan = json!({"max_active_runs": 1});
    assert!(site.operator().put("/v1/plans/one", plan).await.status < 300);
    site.operator().patch(&format!("/v1/tenants/{}", tenant.id), json!({"plan": "one"})).await.ok(200);
    let (reply, gate) = Reply::tokens(2).gate();
    let lane = Lane::always(reply);
    tenant.agent(&lane).await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(id(&alice.key.run("x").await));
    }
    eventually("one is under way", || async {
        let found = alice.key.get("/v1/runs?status=running").await.ok(200);
        (found["data"].as_array().expect("a list").len() == 1).then_some(())
    })
    .await;
    let (fine, words) = look(&["--dry-run"]).await;
    assert!(fine && words.contains("1 runs under way, 0 waiting"), "{words}");
    gate.open();
    for run in &runs {
        alice.key.ended(run).await;
    }

    let (fine, words) = autoscale(&site, &api.url, "of-somebody-else", &[]).await;
    assert!(!fine && words.contains("Not Authorized") && !words.contains("of-somebody-else"), "{words}");
    let (fine, words) = autoscale(&site, "http://127.0.0.1:1/", "of-the-project", &[]).await;
    assert!(!fine && words.contains("could not read the service's replicas"), "{words}");
    // Its role sees numbers.
    let asked = "SET ROLE headwater_wake; SELECT busy FROM headwater.autoscale_look()";
    let rows = admin.rows(asked).await.expect("it may ask");
    assert_eq!(rows.last().and_then(|row| row[0].clone()).as_deref(), Some("0"));
    for forbidden in ["SELECT * FROM headwater_sys.autoscale", "SELECT * FROM headwater_sys.replicas"] {
        let refused = admin.rows(forbidden).await.expect_err(forbidden);
        assert!(refused.to_string().contains("42501"), "{forbidden}: {refused}");
    }
}
