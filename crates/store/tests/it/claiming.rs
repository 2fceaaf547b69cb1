//! Leases and claims: what a dead replica leaves behind, and who gets it.

use std::collections::HashMap;

use headwater_protocol::api::RunStatus;
use headwater_store::StoreError;
use headwater_store::commit::{LeaseToken, Verdict};

use crate::support::{LEASE_MS, NO_LEASE_MS, Owned, World, register, tenant};

#[tokio::test]
async fn claims_go_round_the_tenants() {
    let world = World::new().await;
    let elsewhere = tenant(&world.store, "other").await;
    let mut mine = Vec::new();
    for _ in 0..5 {
        mine.push(world.run().await.run);
    }
    for _ in 0..2 {
        world.run_of(&elsewhere).await;
    }
    let successor = register(&world.unscoped()).await;
    assert_eq!(world.unscoped().sweep().await.expect("counts"), 0);
    world.expire(world.replica).await;
    assert_eq!(world.unscoped().sweep().await.expect("counts"), 7);
    let mut got = Vec::new();
    for (limit, expected) in [(4, (2, 2)), (2, (2, 0)), (10, (1, 0)), (10, (0, 0))] {
        let claimed = world.unscoped().claim_runs(successor, NO_LEASE_MS, limit, false).await.expect("claims");
        let mut shares = HashMap::new();
        for claim in &claimed {
            *shares.entry(claim.tenant).or_insert(0) += 1;
        }
        let share = |tenant| shares.get(&tenant).copied().unwrap_or(0);
        assert_eq!((share(world.acme.id), share(elsewhere.id)), expected, "of {limit}");
        got.extend(claimed);
    }
    // Oldest first within a tenant.
    let order: Vec<_> = got.iter().filter(|claim| claim.tenant == world.acme.id).map(|claim| claim.run).collect();
    let (first, last) = order.split_at(4);
    assert!(first.iter().all(|run| mine[..4].contains(run)) && last == [mine[4]], "{order:?}");
    assert_eq!(world.unscoped().sweep().await.expect("counts"), 0);
}

#[tokio::test]
async fn what_is_claimed_is_the_claimers_alone() {
    let world = World::new().await;
    let run = world.run().await;
    let (waiting, _) = world.run_on(run.thread).await;
    world.expire(world.replica).await;
    let successor = register(&world.unscoped()).await;
    let claimed = world.unscoped().claim_runs(successor, NO_LEASE_MS, 10, false).await.expect("claims");
    assert_eq!(
        claimed.iter().map(|claim| claim.run).collect::<Vec<_>>(),
        [run.run],
        "what waits belongs to its thread"
    );
    assert_eq!((claimed[0].tenant, claimed[0].user), (run.tenant, run.user));
    assert_ne!(claimed[0].token, run.token);
    assert_eq!(world.commit(run.deltas(3, 3)).await, Verdict::Stale);
    assert_eq!(
        world.commit(Owned { token: claimed[0].token, ..run }.deltas(3, 3)).await,
        Verdict::Stale,
        "another replica"
    );
    let replica = headwater_store::Committer::start(
        world.store.clone(),
        successor,
        1,
        &tokio_util::task::TaskTracker::new(),
        &tokio_util::sync::CancellationToken::new(),
    );
    let (ending, _) = Owned { token: claimed[0].token, ..run }.ending(3);
    assert_eq!(replica.commit(ending).await.expect("an answer"), Verdict::Ok { next: Some(waiting.run) });
}

#[tokio::test]
async fn nothing_is_claimed_right_after_postgres_has_started() {
    let world = World::new().await;
    world.run().await;
    world.expire(world.replica).await;
    let successor = register(&world.unscoped()).await;
    // With a lease of ten years, any Postgres has just started.
    let ten_years = 10 * 365 * 24 * LEASE_MS;
    assert!(world.unscoped().claim_runs(successor, ten_years, 10, false).await.expect("asks").is_empty());
    // And so the one who was away may come back.
    assert!(world.unscoped().replica_renew(world.replica, LEASE_MS).await.expect("renews"));
    assert!(world.unscoped().claim_runs(successor, NO_LEASE_MS, 10, false).await.expect("asks").is_empty());
    world.expire(world.replica).await;
    assert_eq!(world.unscoped().claim_runs(successor, NO_LEASE_MS, 10, false).await.expect("claims").len(), 1);
    assert!(!world.unscoped().replica_renew(world.replica, LEASE_MS).await.expect("asks"), "its runs are gone");
}

#[tokio::test]
async fn a_dead_replicas_id_owns_nothing_when_it_comes_back() {
    let world = World::new().await;
    let run = world.run().await;
    let error = world.unscoped().replica_register(world.replica, LEASE_MS).await.expect_err("it lives");
    assert!(matches!(error, StoreError::Taken { .. }), "{error}");
    world.expire(world.replica).await;
    let successor = register(&world.unscoped()).await;
    assert_eq!(world.unscoped().claim_runs(successor, NO_LEASE_MS, 10, false).await.expect("claims").len(), 1);
    assert_eq!(world.commit(run.deltas(3, 3)).await, Verdict::Stale);
}

#[tokio::test]
async fn a_replica_that_takes_leave_is_inherited_at_once() {
    let world = World::new().await;
    let run = world.run().await;
    let successor = register(&world.unscoped()).await;
    assert!(world.unscoped().claim_runs(successor, NO_LEASE_MS, 10, false).await.expect("asks").is_empty());
    world.unscoped().replica_retire(world.replica).await.expect("takes leave");
    assert_eq!(world.commit(run.deltas(3, 3)).await, Verdict::Stale);
    assert_eq!(world.unscoped().claim_runs(successor, NO_LEASE_MS, 10, false).await.expect("claims").len(), 1);
}

#[tokio::test]
async fn two_claimers_share_what_there_is() {
    let world = World::new().await;
    for _ in 0..8 {
        world.run().await;
    }
    world.expire(world.replica).await;
    let (one, two) = (register(&world.unscoped()).await, register(&world.unscoped()).await);
    let unscoped = world.unscoped();
    let (a, b) = tokio::join!(
        unscoped.claim_runs(one, NO_LEASE_MS, 10, false),
        unscoped.claim_runs(two, NO_LEASE_MS, 10, false)
    );
    // Whoever lost a row to the other one's lock finds it taken later.
    let rest = unscoped.claim_runs(one, NO_LEASE_MS, 10, false).await.expect("claims");
    let mut runs: Vec<_> =
        a.expect("claims").into_iter().chain(b.expect("claims")).chain(rest).map(|c| c.run).collect();
    let all = runs.len();
    runs.sort();
    runs.dedup();
    assert_eq!((all, runs.len()), (8, 8), "each once");
}

#[tokio::test]
async fn cancelling_takes_a_run_from_wherever_it_is() {
    let world = World::new().await;
    let run = world.run().await;
    let canceller = register(&world.unscoped()).await;
    let token = LeaseToken::new();
    let storage = world.storage();
    assert_eq!(storage.run_take(canceller, run.run, token, None).await.expect("takes"), Some(RunStatus::Running));
    assert_eq!(world.commit(run.deltas(3, 3)).await, Verdict::Stale);
    let (taken, _) = storage.run_get(run.run).await.expect("reads").expect("is there");
    assert!(taken.cancel_requested_at.is_some());
    // Taken back, and ended: from then on nothing is taken.
    let token = LeaseToken::new();
    assert_eq!(storage.run_take(world.replica, run.run, token, None).await.expect("takes"), Some(RunStatus::Running));
    let (ending, _) = Owned { token, ..run }.ending(3);
    assert_eq!(world.commit(ending).await, Verdict::Ok { next: None });
    assert_eq!(
        storage.run_take(canceller, run.run, LeaseToken::new(), None).await.expect("asks"),
        Some(RunStatus::Completed)
    );
}

#[tokio::test]
async fn a_released_run_is_nobodys() {
    let world = World::new().await;
    let run = world.run().await;
    let other = register(&world.unscoped()).await;
    assert!(
        !world.unscoped().release_run(other, run.tenant, run.run).await.expect("asks"),
        "it is not the other one's"
    );
    assert!(world.unscoped().release_run(world.replica, run.tenant, run.run).await.expect("releases"));
    assert_eq!(world.commit(run.deltas(3, 3)).await, Verdict::Stale);
    assert_eq!(world.unscoped().claim_runs(other, NO_LEASE_MS, 10, false).await.expect("claims").len(), 1);
}

/// A run that was woken and then given back is there for others, and is counted as long as nobody has it.
#[tokio::test]
async fn what_was_woken_can_be_given_back() {
    let world = World::new().await;
    let run = world.run().await;
    let wake = format!(
        "UPDATE headwater.runs SET status = 'suspended', owner = NULL, lease_token = NULL WHERE run_id = '{}'",
        run.run.uuid()
    );
    let admin = world.database.admin().await;
    admin.execute(&wake).await.expect("suspends");
    let unscoped = world.unscoped();
    assert_eq!(unscoped.sweep().await.expect("counts"), 0, "it waits for somebody, and that is all");
    let claim = async || unscoped.claim_runs(world.replica, LEASE_MS, 10, true).await.expect("claims").len();
    assert_eq!(claim().await, 0);
    admin.execute("UPDATE headwater.runs SET woken = true").await.expect("wakes");
    assert_eq!(unscoped.sweep().await.expect("counts"), 1);
    assert_eq!((claim().await, claim().await), (1, 0));
    assert!(unscoped.release_run(world.replica, run.tenant, run.run).await.expect("gives back"));
    assert_eq!(claim().await, 1, "and somebody else has it");
}
