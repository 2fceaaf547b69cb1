//! How streams begin and end: cursors, resets, rotation, caps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use headwater_protocol::{MessageId, RunId, Scope, TenantId, Timestamp};
use headwater_store::Share;
use headwater_stream::quota::Caps;
use headwater_stream::{Cursor, ReaderParams, StreamOptions};

use crate::support::{World, events, finish, names, quick, say};

#[tokio::test]
async fn a_reader_at_the_end_of_a_finished_run_is_told_that_nothing_is_left() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let run = begun.run();
    assert_eq!(replica.answer(run, world.from(Cursor::After(3))).await, "stream", "never before the terminal");
    finish(&mut writer, &begun).await;
    assert_eq!(replica.answer(run, world.from(Cursor::After(4))).await, "nothing left");
    assert_eq!(replica.answer(run, world.from(Cursor::Now)).await, "nothing left");
    assert_eq!(replica.answer(run, world.from(Cursor::After(3))).await, "stream");
    drop(writer);
    assert_eq!(replica.answer(run, world.from(Cursor::After(4))).await, "nothing left");
}

#[tokio::test]
async fn another_users_run_is_not_there() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let writer = replica.write(&begun);
    let as_other = |scope| ReaderParams { scope, ..world.from(Cursor::After(0)) };
    let other = Scope { tenant: world.tenant, user: Some(world.other) };
    let stranger = Scope { tenant: TenantId::new(), user: None };
    for cursor in [Cursor::After(0), Cursor::After(99), Cursor::Now] {
        for scope in [other, stranger] {
            let params = ReaderParams { cursor, ..as_other(scope) };
            assert_eq!(replica.answer(begun.run(), params).await, "not found");
        }
    }
    assert_eq!(replica.answer(RunId::new(), world.from(Cursor::After(0))).await, "not found");
    assert_eq!((replica.streams.open_streams(), replica.streams.channels()), (0, 1), "the writer's alone");
    drop(writer);
    assert_eq!(replica.streams.channels(), 0);
}

#[tokio::test]
async fn a_reader_of_the_future_is_reset_to_where_the_run_stands() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let mut blocks = replica.open(begun.run(), world.from(Cursor::After(99))).await;
    let first = blocks.frames().await;
    assert_eq!(names(&first), ["stream.reset"]);
    let reset = first[0].json();
    assert_eq!((first[0].id, first[0].retry), (Some(3), Some(2000)));
    assert_eq!((reset["reason"].as_str(), reset["as_of_seq"].as_u64()), (Some("cursor_ahead"), Some(3)));
    assert_eq!(reset["snapshot"]["status"], "running");
    assert_eq!(reset["snapshot"]["id"], begun.run().to_string());
    finish(&mut writer, &begun).await;
    let rest = blocks.rest().await;
    assert_eq!(events(&rest), world.table(begun.run()).await[3..]);
    // At a finished run: where it stands, and that it is over.
    let mut blocks = replica.open(begun.run(), world.from(Cursor::After(99))).await;
    let all = blocks.rest().await;
    assert_eq!(names(&all), ["stream.reset", "stream.closing"]);
    assert_eq!((all[0].id, all[0].json()["snapshot"]["status"].as_str()), (Some(4), Some("completed")));
    assert_eq!(all[1].json()["reason"], "done");
}

#[tokio::test]
async fn a_reader_of_what_was_dropped_is_reset() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let message = MessageId::new();
    say(&mut writer, message, "one").await;
    let sql = format!("UPDATE headwater.runs SET log_earliest = 3 WHERE run_id = '{}'", begun.run().uuid());
    world.database.admin().await.execute(&sql).await.expect("compacts");
    let mut blocks = replica.open(begun.run(), world.from(Cursor::After(1))).await;
    let first = blocks.frames().await;
    assert_eq!((names(&first), first[0].id), (vec!["stream.reset"], Some(4)));
    assert_eq!(first[0].json()["reason"], "trimmed");
    say(&mut writer, message, "two").await;
    assert_eq!(events(&blocks.until("message.delta").await), world.table(begun.run()).await[4..]);
    // From the beginning it gets what is kept, and from the edge nothing is missing.
    let mut blocks = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    assert_eq!(names(&blocks.until("stream.caught_up").await).last(), Some(&"stream.caught_up"));
    let mut blocks = replica.open(begun.run(), world.from(Cursor::After(2))).await;
    assert_eq!(events(&blocks.until("stream.caught_up").await), world.table(begun.run()).await[2..]);
}

#[tokio::test]
async fn now_begins_with_what_comes_next() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let mut blocks = replica.open(begun.run(), world.from(Cursor::Now)).await;
    let first = blocks.frames().await;
    assert_eq!((names(&first), first[0].json()["tail"].as_u64()), (vec!["stream.caught_up"], Some(3)));
    assert_eq!((first[0].id, first[0].retry), (None, Some(2000)), "a control frame moves no cursor");
    finish(&mut writer, &begun).await;
    let rest = blocks.rest().await;
    assert_eq!(events(&rest), world.table(begun.run()).await[3..]);
}

#[tokio::test]
async fn a_stream_says_once_that_it_is_live_and_ends_with_the_run() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let message = MessageId::new();
    let mut blocks = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    let mut all = blocks.until("stream.caught_up").await;
    assert_eq!((all[0].id, all[0].retry), (Some(1), Some(2000)), "the waiting time rides with the first frame");
    for text in ["one", "two", "three"] {
        say(&mut writer, message, text).await;
        all.extend(blocks.frames().await);
    }
    finish(&mut writer, &begun).await;
    let last = blocks.frames().await;
    assert_eq!(names(&last), ["run.completed", "stream.closing"], "in one write");
    assert_eq!((last[1].json()["reason"].as_str(), last[1].id), (Some("done"), None));
    assert!(last[1].json()["retry_ms"].is_null(), "there is nothing to come back for");
    assert!(blocks.next().await.is_none());
    all.extend(last);
    assert_eq!(all.iter().filter(|frame| frame.event == "stream.caught_up").count(), 1);
    assert_eq!(all.iter().filter(|frame| frame.retry.is_some()).count(), 1);
    assert_eq!(events(&all), world.table(begun.run()).await);
    // From the table it ends in the same way.
    drop((blocks, writer));
    assert_eq!(replica.streams.channels(), 0);
    let mut again = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    let all = again.rest().await;
    assert_eq!(events(&all), world.table(begun.run()).await);
    assert_eq!(names(&all[all.len() - 2..]), ["run.completed", "stream.closing"]);
}

#[tokio::test]
async fn too_many_streams_are_refused_until_one_closes() {
    let world = World::new().await;
    for caps in [
        Caps { per_user: 2, per_tenant: 0, replay_bytes_per_minute: 0, share: Share::default(), terms: None },
        Caps { per_user: 0, per_tenant: 2, replay_bytes_per_minute: 0, share: Share::default(), terms: None },
    ] {
        let replica = world.replica(StreamOptions { caps, ..quick() }).await;
        let begun = world.run(&replica).await;
        let first = replica.open(begun.run(), world.from(Cursor::After(0))).await;
        let second = replica.open(begun.run(), world.from(Cursor::After(0))).await;
        assert_eq!(replica.streams.open_streams(), 2);
        assert_eq!(replica.answer(begun.run(), world.from(Cursor::After(0))).await, "too many streams");
        drop(first);
        assert_eq!(replica.answer(begun.run(), world.from(Cursor::After(0))).await, "stream");
        drop(second);
        assert_eq!((replica.streams.open_streams(), replica.streams.channels()), (0, 0));
    }
}

#[tokio::test]
async fn too_many_replayed_bytes_are_told_and_close_the_stream() {
    let world = World::new().await;
    let caps = Caps { per_user: 0, per_tenant: 0, replay_bytes_per_minute: 1500, share: Share::default(), terms: None };
    let replica = world.replica(StreamOptions { caps, ..quick() }).await;
    let begun = world.run(&replica).await;
    // Nobody writes here, so each reads the table.
    let mut first = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    assert_eq!(events(&first.until("stream.caught_up").await), world.table(begun.run()).await);
    let mut seen = 0;
    let last = loop {
        let mut blocks = replica.open(begun.run(), world.from(Cursor::After(0))).await;
        let frames = blocks.frames().await;
        if events(&frames).is_empty() {
            assert!(blocks.next().await.is_none(), "it is closed");
            break frames;
        }
        seen += 1;
    };
    assert!(seen < 5, "{seen} replays");
    // Without an end for good: the browser comes back.
    let comment = last[0].comment.clone().unwrap_or_default();
    assert!(last[0].retry.is_some() && comment.contains("replayed"), "{last:?}");
}

#[tokio::test]
async fn rotation_ends_native_streams_between_two_events() {
    let world = World::new().await;
    let options = StreamOptions { rotate: Duration::ZERO, rotate_jitter: Duration::ZERO, ..quick() };
    let replica = world.replica(options).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let rotating = |cursor| ReaderParams { rotates: true, ..world.from(cursor) };
    // However short the time, each connection brings something, so that the client gets on.
    let mut blocks = replica.open(begun.run(), rotating(Cursor::After(0))).await;
    let all = blocks.rest().await;
    assert_eq!(events(&all), world.table(begun.run()).await);
    let closing = all.last().expect("a frame");
    assert_eq!((closing.event.as_str(), closing.json()["reason"].as_str()), ("stream.closing", Some("max_age")));
    assert_eq!((closing.retry, closing.json()["retry_ms"].as_u64(), closing.id), (Some(100), Some(100), None));
    // Who cannot come back by itself is not sent away.
    let mut stays = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    finish(&mut writer, &begun).await;
    assert_eq!(stays.rest().await.last().map(|frame| frame.json()["reason"].clone()), Some("done".into()));
}

#[tokio::test]
async fn a_credential_that_is_no_longer_good_ends_the_stream() {
    let world = World::new().await;
    let replica = world.replica(StreamOptions { recheck: Duration::ZERO, ..quick() }).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let good = Arc::new(AtomicBool::new(true));
    let asked = good.clone();
    let recheck = move || std::future::ready(asked.load(Ordering::SeqCst)).boxed();
    let params = ReaderParams { recheck: Some(Arc::new(recheck)), ..world.from(Cursor::After(0)) };
    let mut blocks = replica.open(begun.run(), params).await;
    blocks.until("stream.caught_up").await;
    say(&mut writer, MessageId::new(), "one").await;
    assert_eq!(names(&blocks.frames().await), ["message.delta"]);
    good.store(false, Ordering::SeqCst);
    say(&mut writer, MessageId::new(), "two").await;
    let rest = blocks.rest().await;
    assert_eq!((names(&rest), rest[0].json()["reason"].as_str()), (vec!["stream.closing"], Some("auth")));
    assert_eq!(rest[0].retry, Some(2000));

    // A token that is over: it is believed a minute longer, and no more.
    let expired = |ms| ReaderParams { expires_at: Some(Timestamp::now().plus_ms(ms)), ..world.from(Cursor::Now) };
    let rest = replica.open(begun.run(), expired(-61_000)).await.rest().await;
    assert_eq!((names(&rest), rest[0].json()["reason"].as_str()), (vec!["stream.closing"], Some("auth")));
    let mut blocks = replica.open(begun.run(), expired(-1_000)).await;
    assert_eq!(names(&blocks.frames().await), ["stream.caught_up"]);
}

#[tokio::test]
async fn draining_sends_everybody_away_to_come_back() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let (begun, idle) = (world.run(&replica).await, world.run(&replica).await);
    let writer = replica.write(&begun);
    let mut live = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    let mut remote = replica.open(idle.run(), world.from(Cursor::After(0))).await;
    live.until("stream.caught_up").await;
    remote.until("stream.caught_up").await;
    replica.drain.cancel();
    for blocks in [&mut live, &mut remote] {
        let rest = blocks.rest().await;
        assert_eq!((names(&rest), rest[0].json()["reason"].as_str()), (vec!["stream.closing"], Some("drain")));
        assert!(rest[0].retry.is_some_and(|ms| (250..2000).contains(&ms)), "{rest:?}");
    }
    drop(writer);
}

#[tokio::test]
async fn a_deleted_runs_stream_ends() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let mut blocks = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    blocks.until("stream.caught_up").await;
    assert!(world.store.scoped(world.scope()).thread_delete(begun.thread).await.expect("deletes"));
    let rest = blocks.rest().await;
    assert_eq!((names(&rest), rest[0].json()["reason"].as_str()), (vec!["stream.closing"], Some("done")));
}

#[tokio::test]
async fn silence_is_broken_by_a_heartbeat() {
    let world = World::new().await;
    let replica = world.replica(StreamOptions { heartbeat: Duration::from_millis(1), ..quick() }).await;
    let begun = world.run(&replica).await;
    let _writer = replica.write(&begun);
    let mut blocks = replica.open(begun.run(), world.from(Cursor::Now)).await;
    blocks.until("stream.caught_up").await;
    assert_eq!(blocks.next().await.as_deref(), Some(&b": hb\n\n"[..]));
}
