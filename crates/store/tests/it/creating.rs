//! New runs: accepted once, in the order of their thread, one under way at a time.

use headwater_protocol::api::UserSettings;
use headwater_protocol::{RunId, ThreadId, Timestamp};
use headwater_store::StoreError;
use headwater_store::commit::Verdict;
use headwater_store::create::Created;
use headwater_store::pool::{Idempotency, Once};
use serde_json::json;

use crate::support::{Owned, World, begin, key, new_run, owned};

fn refused(created: &Created) -> &str {
    match created {
        Created::Refused { reason, .. } => reason,
        other @ (Created::Yes { .. } | Created::Steered(_) | Created::Replay { .. } | Created::Failed(_)) => {
            panic!("accepted: {other:?}")
        }
    }
}

async fn count(world: &World, table: &str) -> Option<String> {
    world.value(&format!("SELECT count(*) FROM headwater.{table}")).await
}

#[tokio::test]
async fn a_repeated_request_finds_its_run_again() {
    let world = World::new().await;
    let ask = |fingerprint: &str| {
        let mut new = new_run(&world.acme, None);
        new.params.idempotency = key(world.acme.user, "once", fingerprint);
        new
    };
    let first = ask("aa");
    let run = owned(&first).run;
    let ran = Created::Yes { ord: 1, after_run: None, running: true, gives_way: Vec::new() };
    assert_eq!(world.creator.create(first).await.expect("an answer"), ran);
    assert_eq!(world.creator.create(ask("aa")).await.expect("an answer"), Created::Replay { run, steered: false });
    assert_eq!(refused(&world.creator.create(ask("bb")).await.expect("an answer")), "idempotency_mismatch");
    // Neither left anything behind.
    for table in ["runs", "threads", "messages", "idempotency"] {
        assert_eq!(count(&world, table).await.as_deref(), Some("1"), "headwater.{table}");
    }
    // Another actor's key of the same name is another key.
    let mut others = new_run(&world.acme, None);
    others.params.idempotency = key(world.acme.other, "once", "bb");
    assert_eq!(world.creator.create(others).await.expect("an answer"), ran);
    // A day later the key is free.
    let age = "UPDATE headwater.idempotency SET created_at = created_at - interval '25 hours'";
    world.database.admin().await.execute(age).await.expect("ages the keys");
    assert_eq!(world.creator.create(ask("bb")).await.expect("an answer"), ran);
}

#[tokio::test]
async fn two_at_once_with_one_key_make_one_run() {
    let world = World::new().await;
    let ask = || {
        let mut new = new_run(&world.acme, None);
        new.params.idempotency = key(world.acme.user, "once", "aa");
        new
    };
    let answers = [ask(), ask(), ask()].map(|new| world.creator.create(new));
    let (mut made, mut replays) = (0, 0);
    for answer in answers {
        match answer.await.expect("an answer") {
            Created::Yes { .. } => made += 1,
            Created::Replay { .. } => replays += 1,
            other @ (Created::Steered(_) | Created::Refused { .. } | Created::Failed(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!((made, replays), (1, 2));
    assert_eq!(count(&world, "runs").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_refusal_leaves_nothing_behind() {
    let world = World::new().await;
    let mut asked = Vec::new();
    let mut of_nobody = new_run(&world.acme, None);
    of_nobody.user = headwater_protocol::UserId::new();
    asked.push(("not_found", of_nobody));
    asked.push(("not_found", new_run(&world.acme, Some(ThreadId::new()))));
    let mut changed = new_run(&world.acme, None);
    changed.params.active_version = 2;
    asked.push(("agent_changed", changed));
    for (reason, mut new) in asked {
        new.params.idempotency = key(new.user, "once", "aa");
        assert_eq!(refused(&world.creator.create(new).await.expect("an answer")), reason);
        for table in ["runs", "threads", "messages", "idempotency", "run_events"] {
            assert_eq!(count(&world, table).await.as_deref(), Some("0"), "headwater.{table} after {reason}");
        }
    }
    // The key of a refused request may be used again.
    let mut good = new_run(&world.acme, None);
    good.params.idempotency = key(world.acme.user, "once", "bb");
    assert!(matches!(world.creator.create(good).await.expect("an answer"), Created::Yes { .. }));
}

#[tokio::test]
async fn a_repeated_post_is_carried_out_once() {
    let world = World::new().await;
    let tenant = world.store.scoped(headwater_protocol::Scope { tenant: world.acme.id, user: None });
    let settings = |external: &str| -> UserSettings {
        serde_json::from_value(json!({"external_id": external})).expect("settings")
    };
    let ask = |fingerprint: u8| Idempotency {
        actor: world.acme.user.uuid(),
        key: "once".into(),
        fingerprint: vec![fingerprint],
    };
    let now = Timestamp::now();
    let Once::Done(user) = tenant.user_create(&settings("new"), now, Some(&ask(1))).await.expect("makes a user") else {
        panic!("nothing was asked before")
    };
    let again = tenant.user_create(&settings("new"), now, Some(&ask(1))).await.expect("asks again");
    assert!(matches!(&again, Once::Replay(object) if *object == user.id.to_string()), "{again:?}");
    let other = tenant.user_create(&settings("newer"), now, Some(&ask(2))).await.expect("asks for something else");
    assert!(matches!(other, Once::Mismatch), "{other:?}");
    // What fails is not remembered.
    let taken = Idempotency { key: "twice".into(), ..ask(3) };
    let error = tenant.user_create(&settings("new"), now, Some(&taken)).await.expect_err("the name is taken");
    assert!(matches!(error, StoreError::Taken { .. }), "{error}");
    assert!(matches!(tenant.user_create(&settings("twice"), now, Some(&taken)).await, Ok(Once::Done(_))));
    let age = "UPDATE headwater.idempotency SET created_at = created_at - interval '25 hours'";
    world.database.admin().await.execute(age).await.expect("ages the keys");
    assert!(matches!(tenant.user_create(&settings("late"), now, Some(&ask(4))).await, Ok(Once::Done(_))));
}

#[tokio::test]
async fn runs_of_a_thread_follow_each_other() {
    let world = World::new().await;
    let first = world.run().await;
    let (second, created) = world.run_on(first.thread).await;
    assert_eq!(created, Created::Yes { ord: 2, after_run: Some(first.run), running: false, gives_way: Vec::new() });
    let (third, created) = world.run_on(first.thread).await;
    assert_eq!(created, Created::Yes { ord: 3, after_run: Some(second.run), running: false, gives_way: Vec::new() });
    let queued = world.lines(third.run).await;
    assert_eq!(queued.lines().count(), 1, "it has not begun");
    assert!(queued.contains(&format!("\"after_run\":\"{}\"", second.run)), "{queued}");
    // Nobody owns what waits, so its own token is worth nothing.
    assert_eq!(world.commit(second.deltas(2, 2)).await, Verdict::Stale);

    let (ending, next) = first.ending(3);
    assert_eq!(world.commit(ending).await, Verdict::Ok { next: Some(second.run) });
    let second = Owned { token: next, ..second };
    assert_eq!(world.commit(second.deltas(2, 2)).await, Verdict::Ok { next: None }, "the next one is ours");
    assert_eq!(world.commit(third.deltas(2, 2)).await, Verdict::Stale, "and the one after it not yet");
    let (ending, next) = second.ending(3);
    assert_eq!(world.commit(ending).await, Verdict::Ok { next: Some(third.run) });
    let third = Owned { token: next, ..third };
    let (ending, _) = third.ending(2);
    assert_eq!(world.commit(ending).await, Verdict::Ok { next: None });
}

#[tokio::test]
async fn an_end_whose_answer_was_lost_finds_its_next_run_again() {
    let world = World::new().await;
    let first = world.run().await;
    let (second, _) = world.run_on(first.thread).await;
    let (ending, _) = first.ending(3);
    assert_eq!(world.commit(ending).await, Verdict::Ok { next: Some(second.run) });
    // The same segment again, with a token of its own.
    let (again, next) = first.ending(3);
    assert_eq!(world.commit(again).await, Verdict::Ok { next: Some(second.run) });
    assert_eq!(world.commit(Owned { token: next, ..second }.deltas(2, 2)).await, Verdict::Ok { next: None });
}

#[tokio::test]
async fn one_run_of_a_thread_is_under_way() {
    let world = World::new().await;
    let first = world.run().await;
    let (second, _) = world.run_on(first.thread).await;
    let app = world.database.app().await;
    begin(&app, world.acme.scope()).await;
    let start = format!("UPDATE headwater.runs SET status = 'running' WHERE run_id = '{}'", second.run.uuid());
    let error = app.execute(&start).await.expect_err("one is under way");
    assert!(matches!(&error, StoreError::Taken { constraint } if constraint == "runs_one_active"), "{error}");
    app.execute("ROLLBACK").await.expect("rolls back");
}

#[tokio::test]
async fn a_busy_thread_refuses_and_a_full_one_too() {
    let world = World::new().await;
    let first = world.run().await;
    let mut rejecting = new_run(&world.acme, Some(first.thread));
    rejecting.params.on_conflict = json!("reject");
    let created = world.creator.create(rejecting).await.expect("an answer");
    let Created::Refused { reason, details } = created else { panic!("the thread is busy: {created:?}") };
    assert_eq!(
        (reason.as_str(), details["active_run"].as_str()),
        ("thread_busy", Some(first.run.to_string().as_str()))
    );
    let mut waiting = new_run(&world.acme, Some(first.thread));
    waiting.params.max_queued = 1;
    assert!(matches!(world.creator.create(waiting).await.expect("an answer"), Created::Yes { .. }));
    let mut one_more = new_run(&world.acme, Some(first.thread));
    one_more.params.max_queued = 1;
    assert_eq!(refused(&world.creator.create(one_more).await.expect("an answer")), "too_many_runs");
}

#[tokio::test]
async fn many_at_once_on_one_thread_are_numbered_without_gaps() {
    let world = World::new().await;
    let first = world.run().await;
    let waiting: Vec<_> = (0..6).map(|_| world.creator.create(new_run(&world.acme, Some(first.thread)))).collect();
    let mut made = vec![];
    for answer in waiting {
        match answer.await.expect("an answer") {
            Created::Yes { ord, after_run, running, .. } => made.push((ord, after_run, running)),
            other @ (Created::Replay { .. } | Created::Steered(_) | Created::Refused { .. } | Created::Failed(_)) => {
                panic!("{other:?}")
            }
        }
    }
    made.sort_by_key(|(ord, ..)| *ord);
    assert_eq!(made.iter().map(|(ord, ..)| *ord).collect::<Vec<_>>(), (2..8).collect::<Vec<_>>());
    assert!(made.iter().all(|(_, after, running)| after.is_some() && !running), "{made:?}");
    let after: std::collections::HashSet<RunId> = made.iter().filter_map(|(_, after, _)| *after).collect();
    assert_eq!(after.len(), 6, "each waits behind another one");
}

#[tokio::test]
async fn a_replica_that_is_no_more_accepts_nothing() {
    let world = World::new().await;
    world.unscoped().replica_retire(world.replica).await.expect("retires");
    let created = world.creator.create(new_run(&world.acme, None)).await.expect("an answer");
    assert!(matches!(&created, Created::Failed(reason) if reason.contains("HW002")), "{created:?}");
    assert_eq!(count(&world, "runs").await.as_deref(), Some("0"));
    assert_eq!(count(&world, "threads").await.as_deref(), Some("0"));
}
