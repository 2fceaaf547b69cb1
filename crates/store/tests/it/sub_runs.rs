//! Runs that carry out calls of other runs: which are made, and what the sweep sees to.

use headwater_protocol::{CallId, RunId};
use headwater_store::create::{Created, RunOfCall};
use serde_json::json;

use crate::support::{Owned, World, new_run, owned};

/// A call of an agent that this run has made, in this state.
async fn call(world: &World, run: &Owned, status: &str) -> CallId {
    let call = CallId::new();
    let sql = format!(
        "INSERT INTO headwater.tool_calls (tenant_id, call_id, run_id, user_id, step, position, name, kind, status, created_at)
         VALUES ('{}', '{}', '{}', '{}', 1, 0, 'ask', 'agent', '{status}', now())",
        run.tenant.uuid(),
        call.uuid(),
        run.run.uuid(),
        run.user.uuid()
    );
    world.database.admin().await.execute(&sql).await.expect("the superuser makes a call");
    call
}

async fn below(world: &World, parent: &Owned, call: CallId, max_below: i32) -> (Owned, Created) {
    let mut new = new_run(&world.acme, None);
    new.params.source =
        Some(RunOfCall { parent_run: parent.run.uuid(), parent_call: call.uuid(), depth: 1, max_below });
    (owned(&new), world.creator.create(new).await.expect("the worker answers"))
}

fn refused(created: &Created) -> &str {
    let Created::Refused { reason, .. } = created else { panic!("{created:?}") };
    reason
}

async fn status(world: &World, run: RunId, set: &str) {
    let sql = format!("UPDATE headwater.runs SET {set} WHERE run_id = '{}'", run.uuid());
    world.database.admin().await.execute(&sql).await.expect("the superuser changes a run");
}

#[tokio::test]
async fn one_run_per_call_that_is_waited_for() {
    let world = World::new().await;
    let top = world.run().await;
    let first = call(&world, &top, "ready").await;
    let (one, created) = below(&world, &top, first, 3).await;
    assert!(matches!(created, Created::Yes { .. }), "{created:?}");
    let (found, _) = world.storage().run_get(one.run).await.expect("reads").expect("it is there");
    assert_eq!((found.source.parent(), found.source.call), (Some(top.run), Some(first)));
    assert_eq!(refused(&below(&world, &top, first, 3).await.1), "called_before");
    // Of another state, of another run, of no run.
    let over = call(&world, &top, "completed").await;
    assert_eq!(refused(&below(&world, &top, over, 3).await.1), "nobody_waits");
    let other = world.run().await;
    let elsewhere = call(&world, &other, "ready").await;
    assert_eq!(refused(&below(&world, &top, elsewhere, 3).await.1), "nobody_waits");
    assert_eq!(refused(&below(&world, &top, CallId::new(), 3).await.1), "nobody_waits");
    // What is below a run below counts to the one at the top.
    let deeper = call(&world, &one, "ready").await;
    assert!(matches!(below(&world, &one, deeper, 3).await.1, Created::Yes { .. }));
    for (parent, expected) in [(&top, true), (&one, false), (&top, false)] {
        let made = call(&world, parent, "ready").await;
        let (_, created) = below(&world, parent, made, 3).await;
        assert_eq!(matches!(created, Created::Yes { .. }), expected, "{created:?}");
        assert!(expected || refused(&created) == "too_many_below");
    }
    let alone = call(&world, &other, "ready").await;
    assert!(matches!(below(&world, &other, alone, 3).await.1, Created::Yes { .. }), "another tree has its own");
}

#[tokio::test]
async fn the_sweep_wakes_who_waits_for_what_is_over_and_ends_whom_nobody_waits_for() {
    let world = World::new().await;
    let top = world.run().await;
    let asked = call(&world, &top, "ready").await;
    let (sub, _) = below(&world, &top, asked, 9).await;
    let pending = format!("UPDATE headwater.tool_calls SET status = 'pending' WHERE call_id = '{}'", asked.uuid());
    world.database.admin().await.execute(&pending).await.expect("the call is waited for");
    status(&world, top.run, "status = 'suspended', owner = NULL").await;
    let sweep = async || world.unscoped().sweep_sub_runs().await.expect("sweeps");
    assert_eq!(sweep().await, 0, "it goes on below");
    assert!(!world.storage().run_wake_parent(top.run).await.expect("looks"));
    status(&world, sub.run, "status = 'completed', finished_at = now()").await;
    assert_eq!(sweep().await, 1);
    assert_eq!(sweep().await, 0, "once");
    status(&world, top.run, "woken = false").await;
    assert!(world.storage().run_wake_parent(top.run).await.expect("looks"));
    assert!(!world.storage().run_wake_parent(top.run).await.expect("looks"), "once");

    // And the other way: the one above is over.
    let second = call(&world, &top, "ready").await;
    status(&world, top.run, "status = 'running'").await;
    let (left, _) = below(&world, &top, second, 9).await;
    status(&world, top.run, "status = 'cancelled', finished_at = now()").await;
    sweep().await;
    let asked = format!("SELECT actor->>'reason' FROM headwater.run_cancels WHERE run_id = '{}'", left.run.uuid());
    assert_eq!(world.value(&asked).await.as_deref(), Some("parent_ended"));
    let none = format!("SELECT count(*) FROM headwater.run_cancels WHERE run_id = '{}'", sub.run.uuid());
    assert_eq!(world.value(&none).await.as_deref(), Some("0"), "what is over is left alone");
}

#[tokio::test]
async fn a_purge_takes_what_was_done_below() {
    let world = World::new().await;
    let top = world.run().await;
    let asked = call(&world, &top, "ready").await;
    let (sub, _) = below(&world, &top, asked, 9).await;
    let deeper = call(&world, &sub, "ready").await;
    let (deepest, _) = below(&world, &sub, deeper, 9).await;
    let other = world.run().await;
    assert!(world.storage().thread_delete(top.thread).await.expect("erases"));
    for gone in [&top, &sub, &deepest] {
        assert!(world.storage().run_get(gone.run).await.expect("reads").is_none());
        assert!(world.storage().thread_get(gone.thread).await.expect("reads").is_none());
    }
    assert!(world.storage().run_get(other.run).await.expect("reads").is_some());
    assert_eq!(json!(world.value("SELECT count(*) FROM headwater.run_events").await), json!("1"));
}
