//! What a process tells its operator about itself.

use headwater_testkit::model::Reply;
use serde_json::{Value, json};

use crate::support::{Lane, Site, eventually};

#[tokio::test]
async fn an_operator_sees_what_goes_on_at_a_provider() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (held, gate) = Reply::tokens(2).gate();
    let lane = Lane::sequence([held]);
    tenant.agent(&lane).await;
    let run = crate::support::tenant::id(&alice.key.run("Count.").await);
    lane.called(1).await;
    let seen = site.operator().get("/v1/limiter").await.ok(200);
    assert_eq!(seen["object"], "limiter");
    // All models of this test's provider are known to no table: they share one.
    let provider = lane.model().split('/').next().expect("a provider").to_owned();
    let keys = seen["keys"].as_array().expect("a list");
    let of_provider =
        |key: &&Value| key["model"].as_str().is_some_and(|model| model.starts_with(&format!("{provider}/")));
    let busy = keys.iter().filter(of_provider).any(|key| key["in_flight"].as_u64() > Some(0));
    assert!(busy, "{seen}");
    assert!(keys.iter().all(|key| key["breaker"].is_string() && key["tenants"].is_array()), "{seen}");
    let quiet = site.operator().get("/v1/quiet").await.ok(200);
    assert_eq!((&quiet["state"], &quiet["replica"]), (&json!("awake"), &seen["replica"]));
    assert!(quiet["busy"].as_array().is_some_and(|busy| busy.iter().any(|it| it["what"] == "runs")), "{quiet}");
    gate.open();
    alice.key.ended(&run).await;
    for path in ["/v1/limiter", "/v1/quiet", "/v1/doctor"] {
        tenant.api.get(path).await.problem(403, "forbidden");
    }
}

#[tokio::test]
async fn an_operator_is_told_what_the_doctor_finds() {
    let site = Site::shared().await;
    // Runs of other tests may be without an owner for a moment: they are given one.
    let told = eventually("the doctor answers", || async {
        let told = site.operator().get("/v1/doctor").await.ok(200);
        let finding = |what: &str| {
            told["findings"].as_array().expect("a list").iter().find(|finding| finding["what"] == what).cloned()
        };
        let all = ["role", "schema", "wall"].map(|what| finding(what).map(|finding| finding["level"].clone()));
        (all == [(); 3].map(|()| Some(json!("ok")))).then_some(told.clone())
    })
    .await;
    assert!(told["checked_at"].is_string(), "{told}");
}
