//! Whose webhooks are sent next, and what an endpoint's answers make of it.

use headwater_protocol::api::{WebhookEndpoint, WebhookEndpointParams, WebhookStatus};
use headwater_protocol::{DeliveryId, Scope, TenantId, Timestamp, WebhookEndpointId};
use headwater_store::UserScopedStorage;
use headwater_store::pool::Once;
use headwater_store::scoped::Reached;
use serde_json::json;

use crate::support::{World, tenant};

const PATIENCE_MS: i64 = 5 * 24 * 3_600_000;

fn of(world: &World, tenant: TenantId) -> UserScopedStorage {
    world.store.scoped(Scope { tenant, user: None })
}

async fn endpoint(storage: &UserScopedStorage) -> WebhookEndpoint {
    let params = json!({"url": "http://example.test/", "events": ["run.completed"]});
    let params: WebhookEndpointParams = serde_json::from_value(params).expect("parameters");
    let id = WebhookEndpointId::new();
    let made = storage.webhook_create(id, &params, b"first", Timestamp::now(), None).await.expect("makes it");
    let Once::Done(Some(made)) = made else { panic!("{made:?}") };
    made
}

async fn found(storage: &UserScopedStorage, id: WebhookEndpointId) -> WebhookEndpoint {
    storage.webhook_get(id).await.expect("looks").expect("it is there")
}

/// So many deliveries that are due since this long ago.
async fn due(world: &World, tenant: TenantId, endpoint: WebhookEndpointId, count: usize, since: &str) {
    let (tenant, endpoint) = (tenant.uuid(), endpoint.uuid());
    let sql = format!(
        "INSERT INTO headwater.webhook_deliveries (tenant_id, delivery_id, endpoint_id, event_id, type, next_attempt_at, happened_at, created_at)
         SELECT '{tenant}', gen_random_uuid(), '{endpoint}', gen_random_uuid(), 'run.completed', now() - interval '{since}', now(), now()
         FROM generate_series(1, {count})"
    );
    world.database.admin().await.execute(&sql).await.expect("it is due");
}

#[tokio::test]
async fn who_is_next_however_much_waits_and_whoever_is_suspended() {
    let world = World::new().await;
    let mut tenants =
        vec![world.acme.id, tenant(&world.store, "second").await.id, tenant(&world.store, "third").await.id];
    tenants.sort();
    let mut lanes = Vec::new();
    for id in &tenants {
        for _ in 0..2 {
            let made = endpoint(&of(&world, *id)).await.id;
            due(&world, *id, made, 300, "1 hour").await;
            lanes.push((*id, made));
        }
    }
    lanes.sort();
    let unscoped = world.unscoped();
    let next = async |behind, limit| unscoped.webhooks_due(behind, limit).await.expect("asks");
    assert_eq!(next(None, 10).await, lanes);
    assert_eq!(next(Some(tenants[0]), 3).await, [lanes[2], lanes[3], lanes[4]]);
    let around = [lanes[4], lanes[5], lanes[0], lanes[1], lanes[2], lanes[3]];
    assert_eq!(next(Some(tenants[1]), 10).await, around);
    // Whoever is suspended is stepped over, and what is due for it makes nobody look again and again.
    let admin = world.database.admin().await;
    let suspend =
        format!("UPDATE headwater.tenants SET status = 'suspended' WHERE tenant_id <> '{}'", tenants[1].uuid());
    admin.execute(&suspend).await.expect("suspends");
    assert_eq!(next(Some(tenants[1]), 10).await, lanes[2..4]);
    admin
        .execute(&format!(
            "UPDATE headwater.webhook_deliveries SET next_attempt_at = now() + interval '1 hour' WHERE tenant_id = '{}'",
            tenants[1].uuid()
        ))
        .await
        .expect("it is later");
    assert_eq!(next(None, 10).await, []);
    let left = world.unscoped().webhooks_next_ms().await.expect("asks").expect("something waits");
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    // No more are taken than were asked for, and none twice.
    let storage = of(&world, tenants[0]);
    let mut seen = Vec::<DeliveryId>::new();
    for _ in 0..10 {
        let taken = storage.deliveries_claim(lanes[0].1, 7, 60_000, false).await.expect("takes");
        assert_eq!(taken.len(), 7);
        seen.extend(taken.iter().map(|one| one.delivery));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 70);
}

#[tokio::test]
async fn one_that_takes_nothing_is_left_alone_for_a_while_and_then_disabled() {
    let world = World::new().await;
    let storage = of(&world, world.acme.id);
    let made = endpoint(&storage).await;
    due(&world, world.acme.id, made.id, 5, "1 minute").await;
    let unscoped = world.unscoped();
    let admin = world.database.admin().await;
    let age = |ago: &str, last: &str| {
        format!(
            "UPDATE headwater.webhook_endpoints SET failing_since = now() - interval '{ago}', not_before = now() - interval '{last}'"
        )
    };
    assert_eq!(unscoped.webhooks_due(None, 10).await.expect("asks").len(), 1);
    storage.webhook_reached(&made, Reached::Not, PATIENCE_MS).await.expect("notes");
    assert_eq!(unscoped.webhooks_due(None, 10).await.expect("asks"), []);
    let left = unscoped.webhooks_next_ms().await.expect("asks").expect("something waits");
    assert!((1..=5_000).contains(&left), "{left}");
    let failing = found(&storage, made.id).await;
    assert!(failing.failing_since.is_some() && failing.status == WebhookStatus::Enabled);
    // Long enough without anything arriving: but for the last one that was sent, which nobody was.
    admin.execute(&age("6 days", "2 days")).await.expect("time passes");
    storage.webhook_reached(&failing, Reached::Not, PATIENCE_MS).await.expect("notes");
    let anew = found(&storage, made.id).await;
    assert!(anew.status == WebhookStatus::Enabled && anew.failing_since > failing.failing_since, "{anew:?}");
    // What its URL before has answered says nothing of it.
    let elsewhere = WebhookEndpoint { url: "http://before.test/".into(), ..anew.clone() };
    storage.webhook_reached(&elsewhere, Reached::Gone, PATIENCE_MS).await.expect("notes");
    assert_eq!(found(&storage, made.id).await.status, WebhookStatus::Enabled);
    storage.webhook_reached(&anew, Reached::Takes, PATIENCE_MS).await.expect("notes");
    assert_eq!(found(&storage, made.id).await.failing_since, None);
    assert_eq!(unscoped.webhooks_due(None, 10).await.expect("asks").len(), 1);
    admin.execute(&age("6 days", "1 minute")).await.expect("time passes");
    let failing = found(&storage, made.id).await;
    storage.webhook_reached(&failing, Reached::Not, PATIENCE_MS).await.expect("notes");
    assert_eq!(found(&storage, made.id).await.status, WebhookStatus::Disabled);
    // What is due for it is given up at once: nobody waits for it to come back.
    assert_eq!(unscoped.webhooks_due(None, 10).await.expect("asks").len(), 1);
}

#[tokio::test]
async fn what_is_old_is_forgotten() {
    let world = World::new().await;
    let made = endpoint(&of(&world, world.acme.id)).await.id;
    due(&world, world.acme.id, made, 5, "1 minute").await;
    let ended = "UPDATE headwater.webhook_deliveries SET status = 'delivered', next_attempt_at = NULL, ended_at = now() - interval '29 days'";
    let admin = world.database.admin().await;
    admin.execute(ended).await.expect("they are sent");
    assert_eq!(world.unscoped().sweep_webhooks().await.expect("sweeps"), 0);
    admin.execute(&ended.replace("29", "31")).await.expect("time passes");
    assert_eq!(world.unscoped().sweep_webhooks().await.expect("sweeps"), 5);
}

#[tokio::test]
async fn whoever_tries_one_that_is_left_alone_does_not_make_it_new() {
    let world = World::new().await;
    let storage = of(&world, world.acme.id);
    let made = endpoint(&storage).await;
    storage.webhook_reached(&made, Reached::Not, PATIENCE_MS).await.expect("notes");
    let admin = world.database.admin().await;
    let age = "UPDATE headwater.webhook_endpoints SET failing_since = now() - interval '4 days', not_before = now() + interval '5 minutes'";
    admin.execute(age).await.expect("time passes");
    storage.webhook_test(made.id, DeliveryId::new(), None).await.expect("tries it");
    let unscoped = world.unscoped();
    assert_eq!(unscoped.webhooks_due(None, 10).await.expect("asks").len(), 1, "at once");
    assert_eq!(storage.deliveries_claim(made.id, 1, 60_000, true).await.expect("takes").len(), 1);
    let failing = found(&storage, made.id).await;
    storage.webhook_reached(&failing, Reached::Not, PATIENCE_MS).await.expect("notes");
    assert_eq!(found(&storage, made.id).await.failing_since, failing.failing_since);
}

#[tokio::test]
async fn secrets_before_sign_along_however_often_it_is_changed() {
    let world = World::new().await;
    let storage = of(&world, world.acme.id);
    storage.tenant_key(b"wrapped", Timestamp::now()).await.expect("a key");
    let made = endpoint(&storage).await.id;
    let rotate = |secret: &'static [u8]| storage.webhook_rotate(made, secret, 3_600_000, Timestamp::now(), None);
    for secret in [b"second", b"third.", b"fourth", b"fifth."] {
        rotate(secret).await.expect("changes it");
    }
    let signing = storage.webhook_signing(made).await.expect("looks").expect("it is there");
    assert_eq!(signing.secret, b"fifth.");
    assert_eq!(signing.old_secrets, [b"fourth", b"third.", b"second"]);
    let passed = "UPDATE headwater.webhook_endpoints SET old_secrets_until[2] = now(), old_secrets_until[3] = now()";
    world.database.admin().await.execute(passed).await.expect("time passes");
    let signing = storage.webhook_signing(made).await.expect("looks").expect("it is there");
    assert_eq!(signing.old_secrets, [b"fourth"]);
}
