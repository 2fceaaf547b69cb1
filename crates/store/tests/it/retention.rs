//! What is kept of a log, and for how long.

use headwater_protocol::event::{EventBody, seq_of, type_of};
use headwater_protocol::{MessageId, Timestamp};
use headwater_store::commit::segment_header;
use headwater_store::scoped::EventRange;

use headwater_store::commit::Verdict;

use crate::support::{Owned, World, tenant};

const OK: Verdict = Verdict::Ok { next: None };

/// A commit of these events.
fn commit(run: &Owned, from: u64, bodies: &[EventBody]) -> headwater_store::commit::Commit {
    let mut lines = Vec::new();
    for (seq, body) in (from..).zip(bodies) {
        headwater_protocol::event::render(&mut lines, seq, Timestamp::now(), run.run, body);
        lines.push(b'\n');
    }
    let mut commit = run.deltas(from, from + bodies.len() as u64 - 1);
    commit.segment = segment_header(run.tenant, run.run) + std::str::from_utf8(&lines).expect("JSON is UTF-8");
    commit
}

/// A finished run that said three words, one of which looks like an event.
async fn finished(world: &World) -> (Owned, u64) {
    let run = world.run().await;
    let message = MessageId::new();
    let delta = |text: &str| EventBody::MessageDelta { message, delta: text.into() };
    let nasty = "\",\"type\":\"message.delta\"";
    let started = EventBody::MessageStarted { step: 1, message, role: headwater_protocol::event::Role::Assistant };
    let completed = EventBody::MessageCompleted {
        step: 1,
        message,
        role: headwater_protocol::event::Role::Assistant,
        text: nasty.into(),
        status: headwater_protocol::event::MessageStatus::Completed,
    };
    assert_eq!(world.commit(commit(&run, 3, &[started, delta("a")])).await, OK);
    assert_eq!(world.commit(commit(&run, 5, &[delta("\n"), delta(nasty), completed])).await, OK);
    let (ending, _) = run.ending(8);
    assert_eq!(world.commit(ending).await, OK);
    (run, 8)
}

async fn age(world: &World, run: &Owned, days: u32) {
    let sql = format!(
        "UPDATE headwater.runs SET finished_at = finished_at - interval '{days} days' WHERE run_id = '{}'",
        run.run.uuid()
    );
    world.database.admin().await.execute(&sql).await.expect("time passes");
}

#[tokio::test]
async fn deltas_go_and_what_they_amount_to_stays() {
    let world = World::new().await;
    let ((run, end), (young, _)) = (finished(&world).await, finished(&world).await);
    let live = world.run().await;
    let whole = world.lines(run.run).await;
    assert_eq!(world.store.compact(10).await.expect("asks"), 0, "nothing is due");
    age(&world, &run, 2).await;
    assert_eq!(world.store.compact(10).await.expect("compacts"), 1);
    assert_eq!(world.store.compact(10).await.expect("asks"), 0, "once");

    let kept = world.lines(run.run).await;
    let expected: String = whole.split_inclusive('\n').filter(|line| type_of(line) != "message.delta").collect();
    assert_eq!(kept, expected, "not a byte of what is kept has changed");
    let seqs: Vec<u64> = kept.lines().filter_map(seq_of).collect();
    assert_eq!(seqs, [1, 2, 3, 7, 8]);
    let read = |after| {
        let storage = world.storage();
        async move {
            storage.events_read(run.run, EventRange { after, segments: 64 }).await.expect("reads").expect("is there")
        }
    };
    let page = read(6).await;
    assert_eq!((page.earliest, page.tail, page.last), (7, end, end));
    assert_eq!(page.lines.lines().count(), 2);
    for other in [&young, &live] {
        let page = world.storage().events_read(other.run, EventRange { after: 0, segments: 64 }).await;
        assert_eq!(page.expect("reads").expect("is there").earliest, 1, "others keep theirs");
    }
    // Another user, another tenant: no more than before.
    let elsewhere = tenant(&world.store, "other").await;
    let range = EventRange { after: 0, segments: 64 };
    assert!(world.store.scoped(elsewhere.scope()).events_read(run.run, range).await.expect("asks").is_none());
    // Packing finds nothing to do, and erasing leaves nothing.
    world.store.pack(&[(world.acme.id, run.run)]).await.expect("asks");
    assert_eq!(world.lines(run.run).await, expected);
    assert!(world.storage().thread_delete(run.thread).await.expect("erases"));
    let sql = format!("SELECT count(*) FROM headwater.run_events_kept WHERE run_id = '{}'", run.run.uuid());
    assert_eq!(world.value(&sql).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_day_of_which_nothing_is_left_is_dropped() {
    let world = World::new().await;
    let (run, _) = finished(&world).await;
    let admin = world.database.admin().await;
    // Two past days: on one of them a run began whose log still is where it was.
    let old = "01900000-0000-7000-8000-000000000000";
    let day = "to_char(to_timestamp(x'019000000000'::bigint / 1000.0) AT TIME ZONE 'UTC', 'YYYYMMDD')";
    for (name, low, high) in [
        (
            format!("SELECT 'run_events_' || {day}"),
            "01900000-0000-0000-0000-000000000000",
            "01900526-5c00-0000-0000-000000000000",
        ),
        (
            "SELECT 'run_events_20200101'".to_owned(),
            "016f5e66-e800-0000-0000-000000000000",
            "016f638d-4400-0000-0000-000000000000",
        ),
    ] {
        let name = admin.value(&name).await.expect("asks").expect("a name");
        let make = format!(
            "CREATE TABLE headwater.{name} PARTITION OF headwater.run_events FOR VALUES FROM ('{low}') TO ('{high}');
             SELECT headwater_sys.wall('headwater.{name}'); ALTER TABLE headwater.{name} OWNER TO {}owner",
            headwater_testkit::database::PREFIX
        );
        admin.execute(&make).await.expect("makes a partition");
    }
    let insert = format!("INSERT INTO headwater.run_events VALUES ('{}', '{old}', 1, 1, 'x')", run.tenant.uuid());
    admin.execute(&insert).await.expect("a row of that day");
    assert_eq!(world.unscoped().drop_partitions().await.expect("drops"), 1);
    let left = "SELECT count(*) FROM pg_class WHERE relname = 'run_events_20200101'";
    assert_eq!(world.value(left).await.as_deref(), Some("0"));
    admin.execute(&format!("DELETE FROM headwater.run_events WHERE run_id = '{old}'")).await.expect("is gone");
    assert_eq!(world.unscoped().drop_partitions().await.expect("drops"), 1);
    assert_eq!(world.unscoped().drop_partitions().await.expect("asks"), 0, "today's and yesterday's stay");
}
