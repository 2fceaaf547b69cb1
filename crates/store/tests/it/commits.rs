//! Commits: one verdict each, whatever stands beside them in the same statement.

use headwater_protocol::{MessageId, ModelCallId, ThreadId, Timestamp, UserId};
use headwater_store::commit::{LeaseToken, MessageWrite, StepWrite, UsageWrite, Verdict, Writes, segment_header};
use headwater_store::scoped::EventRange;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Owned, World, begin, register, tenant, until_waiting};

const OK: Verdict = Verdict::Ok { next: None };

fn message(thread: ThreadId, user: UserId) -> MessageWrite {
    let now = Timestamp::now().0;
    MessageWrite {
        message_id: MessageId::new().uuid(),
        thread_id: thread.uuid(),
        user_id: user.uuid(),
        ord: 1,
        role: "assistant",
        status: "completed",
        agent_id: None,
        step: Some(1),
        content: json!([{"type": "text", "text": "hi"}]),
        created_at: now,
        completed_at: Some(now),
    }
}

fn says(thread: ThreadId, user: UserId) -> Writes {
    Writes { messages: vec![message(thread, user)], ..Writes::default() }
}

async fn messages_of(world: &World, run: &Owned) -> Option<String> {
    let sql =
        format!("SELECT count(*) FROM headwater.messages WHERE run_id = '{}' AND role = 'assistant'", run.run.uuid());
    world.value(&sql).await
}

#[tokio::test]
async fn each_segment_has_its_verdict() {
    let world = World::new().await;
    let run = world.run().await;
    let before = world.lines(run.run).await;
    assert_eq!(world.commit(run.deltas(3, 5)).await, OK);
    // The answer was lost and the caller asks again: the same segment stands there already, and once.
    assert_eq!(world.commit(run.deltas(3, 5)).await, OK);
    let (_, added) =
        run.segment(3, 5, "delta").split_once('\n').map(|(_, lines)| ((), lines.to_owned())).expect("lines");
    assert_eq!(world.lines(run.run).await, format!("{before}{added}"));

    let mut other_words = run.deltas(3, 5);
    other_words.segment = run.segment(3, 5, "others");
    assert_eq!(world.commit(other_words).await, Verdict::Stale, "the same place with other words");
    assert_eq!(world.commit(run.deltas(5, 6)).await, Verdict::Stale, "it overlaps");
    assert_eq!(world.commit(run.deltas(7, 7)).await, Verdict::Stale, "it leaves a hole");
    let stranger = Owned { token: LeaseToken::new(), ..run };
    assert_eq!(world.commit(stranger.deltas(6, 6)).await, Verdict::Stale, "a token of nobody");

    let unknown = Owned { run: headwater_protocol::RunId::new(), ..run };
    assert_eq!(world.commit(unknown.deltas(1, 1)).await, Verdict::Gone, "no such run");
    let elsewhere = tenant(&world.store, "other").await;
    let foreign = Owned { tenant: elsewhere.id, user: elsewhere.user, ..run };
    assert_eq!(world.commit(foreign.deltas(6, 6)).await, Verdict::Gone, "no such run in that tenant");

    let (ending, _) = run.ending(6);
    assert_eq!(world.commit(ending).await, OK);
    assert_eq!(world.commit(run.deltas(7, 7)).await, Verdict::Ended, "nothing comes after the end");
    assert_eq!(world.commit(run.deltas(6, 6)).await, OK, "the last segment may still be asked for");
    assert_eq!(world.commit(run.deltas(3, 5)).await, Verdict::Ended, "an older one is not needed any more");
}

#[tokio::test]
async fn a_segment_of_another_run_is_refused() {
    let world = World::new().await;
    let (run, neighbour) = (world.run().await, world.run().await);
    let elsewhere = tenant(&world.store, "other").await;
    let foreign = world.run_of(&elsewhere).await;
    for segment in [
        neighbour.segment(3, 3, "delta"),
        foreign.segment(3, 3, "delta"),
        run.segment(3, 3, "delta").split_off(1),
        run.segment(3, 3, "delta").replace('\n', " "),
        segment_header(run.tenant, run.run).trim_end().to_owned(),
        String::new(),
    ] {
        let mut commit = run.deltas(3, 3);
        commit.segment = segment;
        assert_eq!(world.commit(commit).await, Verdict::Stale);
    }
    assert_eq!(world.commit(run.deltas(3, 3)).await, OK);
}

#[tokio::test]
async fn another_replica_cannot_append_with_a_stolen_token() {
    let world = World::new().await;
    let run = world.run().await;
    let thief = register(&world.unscoped()).await;
    let sql = format!(
        "SELECT (headwater.append_events('{}', ARRAY['{}'::uuid], ARRAY['{}'::uuid], ARRAY['{}'::uuid], '{{3}}', '{{3}}', ARRAY['{}']))[1]",
        thief.0,
        run.tenant.uuid(),
        run.run.uuid(),
        run.token.0,
        run.segment(3, 3, "delta")
    );
    let app = world.database.app().await;
    assert_eq!(app.value(&sql).await.expect("never raises").as_deref(), Some("stale"));
    let unregistered = sql.replace(&thief.0.to_string(), &Uuid::now_v7().to_string());
    assert_eq!(app.value(&unregistered).await.expect("never raises").as_deref(), Some("stale"));
}

#[tokio::test]
async fn one_bad_row_stops_nobody() {
    let world = World::new().await;
    let mut runs = Vec::new();
    for _ in 0..9 {
        runs.push(world.run().await);
    }
    let odd = |change: fn(&mut MessageWrite)| {
        move |run: &Owned| {
            let mut odd = message(run.thread, run.user);
            change(&mut odd);
            // What stands before the bad row in the same commit goes with it.
            Some(Writes { messages: vec![message(run.thread, run.user), odd], ..Writes::default() })
        }
    };
    let elsewhere = world.acme.other;
    let bad = |run: &Owned| match runs.iter().position(|other| other.run == run.run) {
        Some(1) => odd(|message| message.role = "nobody")(run),
        Some(4) => odd(|message| message.status = "nowhere")(run),
        Some(6) => Some(says(run.thread, elsewhere)),
        Some(8) => odd(|message| message.content = json!(null))(run),
        _ => None,
    };
    // Queued before the worker runs again: one statement takes them all.
    let answers: Vec<_> = runs
        .iter()
        .map(|run| world.committer.commit(run.step(3, 3, bad(run).unwrap_or_else(|| says(run.thread, run.user)))))
        .collect();
    for (run, answer) in runs.iter().zip(answers) {
        let verdict = answer.await.expect("the worker answers");
        let written = messages_of(&world, run).await;
        let tail = world.storage().run_get(run.run).await.expect("reads").expect("is there").0.as_of_seq;
        if bad(run).is_some() {
            assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
            assert_eq!((written.as_deref(), tail), (Some("0"), 2), "neither state nor events");
        } else {
            assert_eq!(verdict, OK);
            assert_eq!((written.as_deref(), tail), (Some("1"), 3), "state and events");
        }
    }
    // Who was refused may go on with other rows.
    assert_eq!(world.commit(runs[1].step(3, 3, says(runs[1].thread, runs[1].user))).await, OK);
}

#[tokio::test]
async fn a_repeated_commit_writes_its_state_once() {
    let world = World::new().await;
    let run = world.run().await;
    let (now, call, text) = (Timestamp::now().0, ModelCallId::new().uuid(), message(run.thread, run.user));
    let writes = || Writes {
        messages: vec![MessageWrite { content: text.content.clone(), ..text }],
        step: Some(StepWrite {
            step: 1,
            user_id: run.user.uuid(),
            attempt: 1,
            message_id: text.message_id,
            model_call: call,
            model: "scripted/echo".into(),
            finish_reason: "stop".into(),
            seq: 3,
            finished_at: now,
        }),
        usage: vec![UsageWrite {
            reserve_nano_usd: Some(9),
            error: None,
            model_call: call,
            step: 1,
            user_id: run.user.uuid(),
            agent_id: world.acme.agent.uuid(),
            model: "scripted/echo".into(),
            usage: [1, 0, 0, 2, 0],
            cost_nano_usd: Some(5),
            expected_nano_usd: None,
            estimated: false,
            outcome: "ok",
            attempt: 1,
            queued_ms: 0,
            first_token_ms: None,
            duration_ms: 1,
            settled_at: now,
        }],
        run: None,
        ..Writes::default()
    };
    for _ in 0..2 {
        assert_eq!(world.commit(run.step(3, 3, writes())).await, OK);
    }
    let counts =
        "SELECT (SELECT count(*) FROM headwater.run_steps) || ' ' || (SELECT count(*) FROM headwater.usage_calls)
                  || ' ' || (SELECT count(*) FROM headwater.messages WHERE role = 'assistant')";
    assert_eq!(world.value(counts).await.as_deref(), Some("1 1 1"));
}

#[tokio::test]
async fn a_run_ends_once() {
    let world = World::new().await;
    let run = world.run().await;
    let (ending, _) = run.ending(3);
    assert_eq!(world.commit(ending).await, OK);
    let app = world.database.app().await;
    for status in ["running", "queued", "failed"] {
        begin(&app, world.acme.scope()).await;
        let sql = format!("UPDATE headwater.runs SET status = '{status}' WHERE run_id = '{}'", run.run.uuid());
        let error = app.execute(&sql).await.expect_err("it has ended");
        assert!(error.to_string().contains("HW001"), "{error}");
        app.execute("ROLLBACK").await.expect("rolls back");
    }
    let (again, _) = run.ending(4);
    assert_eq!(world.commit(again).await, Verdict::Ended);
}

#[tokio::test]
async fn a_purge_in_the_middle_of_a_run_disturbs_nobodys_flush() {
    let world = World::new().await;
    let (run, neighbour) = (world.run().await, world.run().await);
    // The purge is under way and holds what it holds, while both runs flush in one statement.
    let app = world.database.app().await;
    begin(&app, world.acme.scope()).await;
    app.execute(&format!("SELECT headwater.purge_thread('{}')", run.thread.uuid())).await.expect("purges");
    let purged = world.committer.commit(run.step(3, 3, says(run.thread, run.user)));
    let kept = world.committer.commit(neighbour.step(3, 3, says(neighbour.thread, neighbour.user)));
    until_waiting(&world.database.admin().await, 1).await;
    app.execute("COMMIT").await.expect("commits");
    assert_eq!(purged.await.expect("an answer"), Verdict::Gone);
    assert_eq!(kept.await.expect("an answer"), OK);
    assert_eq!(messages_of(&world, &neighbour).await.as_deref(), Some("1"));
    for table in ["runs", "messages", "run_events"] {
        let left = format!("SELECT count(*) FROM headwater.{table} WHERE run_id = '{}'", run.run.uuid());
        assert_eq!(world.value(&left).await.as_deref(), Some("0"), "headwater.{table}");
    }
    assert_eq!(world.commit(neighbour.deltas(4, 4)).await, OK);
}

#[tokio::test]
async fn a_purge_between_two_flushes_and_a_deleted_tenant_are_gone() {
    let world = World::new().await;
    let (run, neighbour) = (world.run().await, world.run().await);
    let elsewhere = tenant(&world.store, "other").await;
    let foreign = world.run_of(&elsewhere).await;
    assert_eq!(world.commit(run.deltas(3, 3)).await, OK);
    assert!(world.storage().thread_delete(run.thread).await.expect("deletes"));
    assert!(!world.storage().thread_delete(run.thread).await.expect("looks"), "it is gone already");
    assert!(world.unscoped().tenant_delete(elsewhere.id).await.expect("deletes"));
    let answers = [run.deltas(4, 4), foreign.deltas(3, 3), neighbour.deltas(3, 3)].map(|c| world.committer.commit(c));
    let mut verdicts = Vec::new();
    for answer in answers {
        verdicts.push(answer.await.expect("an answer"));
    }
    assert_eq!(verdicts, [Verdict::Gone, Verdict::Gone, OK]);
    let left = format!(
        "SELECT count(*) FROM headwater.run_events WHERE run_id IN ('{}', '{}')",
        run.run.uuid(),
        foreign.run.uuid()
    );
    assert_eq!(world.value(&left).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_log_belongs_to_its_user() {
    let world = World::new().await;
    let run = world.run().await;
    let elsewhere = tenant(&world.store, "other").await;
    let range = EventRange { after: 0, segments: 10 };
    let other = world.storage().for_user(world.acme.other);
    for storage in [other, world.store.scoped(elsewhere.scope())] {
        assert!(storage.events_read(run.run, range).await.expect("reads").is_none());
        assert!(storage.run_get(run.run).await.expect("reads").is_none());
        assert!(storage.run_snapshot(run.run).await.expect("reads").is_none());
        assert!(storage.run_for_loop(run.run).await.expect("reads").is_none());
        assert!(storage.thread_get(run.thread).await.expect("reads").is_none());
        assert!(!storage.thread_delete(run.thread).await.expect("looks"));
        assert_eq!(storage.run_take(world.replica, run.run, run.token, None).await.expect("asks"), None);
    }
    assert_eq!(world.commit(run.deltas(3, 3)).await, OK, "all that changed nothing");
}
