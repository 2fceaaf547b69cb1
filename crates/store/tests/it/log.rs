//! The log in its partitions: made once, read where they are, packed without a byte's difference.

use headwater_protocol::RunId;
use headwater_store::commit::Verdict;
use headwater_store::scoped::EventRange;
use headwater_testkit::Database;
use headwater_testkit::database::PREFIX;

use crate::support::{Owned, World, begin, tenant};

const OK: Verdict = Verdict::Ok { next: None };

#[tokio::test]
async fn partitions_are_made_once_however_many_ask() {
    let database = Database::fresh().await;
    let store = database.store();
    let unscoped = store.unscoped("a test makes partitions");
    let many = futures_util::future::join_all((0..8).map(|_| unscoped.ensure_partitions())).await;
    let made: i32 = many.into_iter().map(|made| made.expect("nobody is turned away")).sum();
    assert_eq!(made, 4, "yesterday, today and two days more");
    assert_eq!(unscoped.ensure_partitions().await.expect("asks again"), 0);
    assert_eq!(store.lint(PREFIX).await.expect("lints"), vec![], "they are behind the wall as well");
}

#[tokio::test]
async fn partitions_are_made_for_days_near_today_only() {
    let database = Database::fresh().await;
    let app = database.app().await;
    for bad in ["now()::date + 30, 1", "now()::date - 30, 1", "now()::date, 0", "now()::date, 400"] {
        let error = app.execute(&format!("SELECT headwater.ensure_partitions({bad})")).await.expect_err("far away");
        assert!(error.to_string().contains("near today"), "{error}");
    }
}

#[tokio::test]
async fn a_run_lives_in_the_partition_of_its_day() {
    let world = World::new().await;
    let run = world.run().await;
    assert_eq!(world.commit(run.deltas(3, 4)).await, OK);
    let of_today = "SELECT string_agg(DISTINCT tableoid::regclass::text, ',') = 'headwater.run_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')
                    FROM headwater.run_events";
    assert_eq!(world.value(of_today).await.as_deref(), Some("t"));
    // The plan of the reader's own question touches that one alone.
    let app = world.database.app().await;
    begin(&app, world.acme.scope()).await;
    let plan = app
        .rows(&format!(
            "EXPLAIN SELECT events FROM headwater.run_events WHERE tenant_id = headwater.tenant_id() AND run_id = '{}' AND seq_to > 0",
            run.run.uuid()
        ))
        .await
        .expect("explains");
    let plan: Vec<_> = plan.into_iter().filter_map(|mut row| row.remove(0)).collect();
    let scanned = plan.iter().filter(|line| line.contains("run_events_")).count();
    assert!(scanned >= 1 && plan.iter().all(|line| !line.contains("run_events_default")), "{plan:#?}");
}

#[tokio::test]
async fn a_run_of_a_day_without_a_partition_loses_nothing() {
    let world = World::new().await;
    // The process has been up for longer than it has made partitions for.
    let drop_today = "DO $$ BEGIN EXECUTE 'DROP TABLE headwater.run_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'); END $$";
    world.database.admin().await.execute(drop_today).await.expect("removes today's partition");
    let run = world.run().await;
    assert_eq!(world.commit(run.deltas(3, 4)).await, OK);
    let before = world.lines(run.run).await;
    // The next start makes what is missing, and must not stumble over what lies in the default partition.
    world.unscoped().ensure_partitions().await.expect("starts");
    assert_eq!(world.lines(run.run).await, before);
    assert_eq!(world.commit(run.deltas(5, 5)).await, OK);
    assert_eq!(world.lines(run.run).await.lines().count(), 5);
}

/// The log as a reader at each cursor gets it, page by page.
async fn read_from(world: &World, run: RunId, cursor: u64, segments: i64) -> String {
    let (mut lines, mut after) = (String::new(), cursor);
    loop {
        let page = world.storage().events_read(run, EventRange { after, segments }).await.expect("reads");
        let page = page.expect("the run is there");
        if page.last == after {
            assert_eq!(after, page.tail.max(cursor), "a page is empty at the tail only");
            return lines;
        }
        lines.push_str(&page.lines);
        after = page.last;
    }
}

/// A page is found by the index: a reader of a long log pays for what it gets, not for what is there.
#[tokio::test]
async fn a_page_of_a_long_log_reads_no_more_than_itself() {
    const LONG: u64 = 3000;
    let world = World::new().await;
    let run = world.run().await;
    let id = run.run.uuid();
    let longer = format!(
        "INSERT INTO headwater.run_events (tenant_id, run_id, seq_from, seq_to, events)
         SELECT tenant_id, run_id, seq, seq, replace(events, '\"seq\":2,', '\"seq\":' || seq || ',')
         FROM (SELECT * FROM headwater.run_events WHERE run_id = '{id}' ORDER BY seq_from DESC LIMIT 1) e,
              generate_series(10, {LONG}) seq;
         UPDATE headwater.runs SET tail = {LONG} WHERE run_id = '{id}'"
    );
    let admin = world.database.admin().await;
    admin.execute(&longer).await.expect("makes it long");
    let read = "SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_all_indexes WHERE relname LIKE 'run_events%'";
    let before: u64 = world.value(read).await.expect("a count").parse().expect("a number");
    let cursors = [0, LONG / 2, LONG - 3, LONG];
    for after in cursors {
        world
            .storage()
            .events_read(run.run, EventRange { after, segments: 8 })
            .await
            .expect("reads")
            .expect("is there");
    }
    // Postgres tells it a moment later.
    let told = async {
        loop {
            let now: u64 = world.value(read).await.expect("a count").parse().expect("a number");
            if now > before {
                return now - before;
            }
            tokio::task::yield_now().await;
        }
    };
    let entries = tokio::time::timeout(std::time::Duration::from_secs(60), told).await.expect("it is told");
    assert!(entries < 100, "{entries} entries of the index for four pages of at most eight segments");
}

async fn segments(world: &World, run: &Owned) -> u64 {
    let sql = format!("SELECT count(*) FROM headwater.run_events WHERE run_id = '{}'", run.run.uuid());
    world.value(&sql).await.expect("a count").parse().expect("a number")
}

#[tokio::test]
async fn packing_changes_no_byte_for_any_cursor() {
    let world = World::new().await;
    let (run, neighbour) = (world.run().await, world.run().await);
    let mut seq = 2;
    for (i, length) in [1, 3, 1, 7, 2].into_iter().enumerate() {
        let mut commit = run.deltas(seq + 1, seq + length);
        // Letters of several bytes, and more than one packed segment holds.
        commit.segment = run.segment(seq + 1, seq + length, &"ü€".repeat(if i == 3 { 8_000 } else { 3 }));
        assert_eq!(world.commit(commit).await, OK);
        assert_eq!(world.commit(neighbour.deltas(seq + 1, seq + length)).await, OK);
        seq += length;
    }
    world.store.pack(&[(world.acme.id, run.run)]).await.expect("asks");
    assert_eq!(segments(&world, &run).await, 6, "a run that has not ended is left alone");
    let (ending, _) = run.ending(seq + 1);
    assert_eq!(world.commit(ending).await, OK);

    let neighbours = read_from(&world, neighbour.run, 0, 64).await;
    let mut before = Vec::new();
    for cursor in 0..=seq + 1 {
        before.push(read_from(&world, run.run, cursor, 64).await);
    }
    assert_eq!(before[0].lines().count() as u64, seq + 1);
    let elsewhere = tenant(&world.store, "other").await;
    world.store.pack(&[(elsewhere.id, run.run)]).await.expect("asks");
    assert_eq!(segments(&world, &run).await, 7, "another tenant packs nothing of ours");

    world.store.pack(&[(world.acme.id, run.run)]).await.expect("packs");
    let packed = segments(&world, &run).await;
    assert!(packed < 7, "{packed} segments");
    for cursor in 0..=seq + 1 {
        for page in [1, 64] {
            let after = read_from(&world, run.run, cursor, page).await;
            assert!(after == before[cursor as usize], "after {cursor}, in pages of {page} segments");
        }
    }
    assert_eq!(read_from(&world, neighbour.run, 0, 64).await, neighbours);
    // Once more changes nothing.
    world.store.pack(&[(world.acme.id, run.run)]).await.expect("packs");
    assert_eq!(segments(&world, &run).await, packed);
    assert!(read_from(&world, run.run, 0, 64).await == before[0]);
}
