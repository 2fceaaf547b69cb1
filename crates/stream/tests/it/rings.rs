//! Ring and table show the same, whoever looks and however slowly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use futures_util::StreamExt as _;
use headwater_protocol::event::{EventBody, Visibility};
use headwater_protocol::{MessageId, ModelCallId, Money, Usage};
use headwater_store::commit::{LeaseToken, Writes};
use headwater_stream::{Cursor, Opened, ReaderParams, Room, RunIdentity, StreamOptions, WriteError};

use crate::support::{World, delta, ending, events, finish, frames, names, quick, say, started};

#[tokio::test]
async fn each_audience_sees_its_own_and_the_numbers_are_dense_for_all() {
    let world = World::new().await;
    let replica = world.replica(StreamOptions { ring_bytes: 1 << 20, ..quick() }).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let message = MessageId::new();
    let settled = EventBody::CostSettled {
        step: 1,
        model_call: ModelCallId::new(),
        model: "scripted/echo".into(),
        usage: Usage::default(),
        cost: Some(Money(123_456_789)),
        estimated: false,
        run_cost: Some(Money(123_456_789)),
    };
    writer.commit(vec![started(message), settled], Writes::default()).await.expect("commits");
    say(&mut writer, message, "hello").await;
    let params = |as_user| ReaderParams { as_user, ..world.from(Cursor::After(0)) };
    let mut live = Vec::new();
    for as_user in [true, false] {
        live.push(replica.open(begun.run(), params(as_user)).await);
    }
    finish(&mut writer, &begun).await;
    let seen_live = [live[0].rest().await, live[1].rest().await];
    drop((live, writer));
    let table = [
        replica.open(begun.run(), params(true)).await.rest().await,
        replica.open(begun.run(), params(false)).await.rest().await,
    ];
    for (live, table) in seen_live.iter().zip(&table) {
        assert_eq!(events(live), events(table), "the ring and the table say the same");
        assert_eq!(events(live).iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
    }
    let [user, tenant] = &table;
    assert_eq!(events(tenant), world.table(begun.run()).await, "the tenant sees what is stored");
    let money = |frames: &[crate::support::Frame]| frames.iter().any(|frame| frame.data.contains("0.123456789"));
    assert!(money(tenant) && !money(user));
    let hidden = user.iter().find(|frame| frame.id == Some(5)).expect("its place");
    assert_eq!((hidden.event.as_str(), hidden.json()["type"].as_str()), ("hidden", Some("hidden")));
    assert_eq!(hidden.json().as_object().map(|object| object.len()), Some(5), "its envelope and nothing else");
    assert!(user.iter().any(|frame| frame.event == "run.completed" && frame.json()["cost"].is_null()));
}

#[tokio::test]
async fn a_slow_reader_holds_nobody_up_and_loses_nothing() {
    let world = World::new().await;
    let replica = world.replica(StreamOptions { ring_bytes: 512, ..quick() }).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let message = MessageId::new();
    // One was never polled, one took a single block.
    let mut never = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    let mut once = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    let mut all = once.frames().await;
    for i in 0..150 {
        say(&mut writer, message, &format!("{i} {}", "x".repeat(i))).await;
    }
    finish(&mut writer, &begun).await;
    drop(writer);
    let table = world.table(begun.run()).await;
    assert_eq!(table.len(), 154);
    assert_eq!(events(&never.rest().await), table);
    all.extend(once.rest().await);
    assert_eq!(events(&all), table);
}

/// A socket that takes one piece at a time, and none while it is shut.
#[derive(Default)]
struct Socket {
    shut: AtomicBool,
    /// How often it was asked in vain.
    asked: tokio::sync::watch::Sender<u32>,
    waiting: Mutex<Option<Waker>>,
}

impl Socket {
    fn shut(&self) {
        self.asked.send_replace(0);
        self.shut.store(true, Ordering::SeqCst);
    }

    fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
        if let Some(waker) = self.waiting.lock().expect("no panic").take() {
            waker.wake();
        }
    }

    fn room(self: &Arc<Self>) -> Room {
        let socket = self.clone();
        Arc::new(move |cx| {
            if !socket.shut.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *socket.waiting.lock().expect("no panic") = Some(cx.waker().clone());
            socket.asked.send_modify(|asked| *asked += 1);
            Poll::Pending
        })
    }
}

/// What a client leaves lying is let go of, and read again when it has room: nothing is lost and nothing comes twice.
#[tokio::test]
async fn what_a_stopped_reader_was_to_have_is_read_again() {
    let world = World::new().await;
    let replica = world.replica(StreamOptions { ring_bytes: 512, ..quick() }).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let message = MessageId::new();
    for i in 0..60 {
        say(&mut writer, message, &format!("{i} {}", "x".repeat(900))).await;
    }
    finish(&mut writer, &begun).await;
    drop(writer);
    let socket = Arc::new(Socket::default());
    let params = ReaderParams { room: Some(socket.room()), ..world.from(Cursor::After(0)) };
    let mut blocks = replica.open(begun.run(), params).await;
    let (mut all, mut longest) = (Vec::new(), 0);
    for _ in 0..2 {
        let piece = blocks.blocks.next().await.expect("a piece");
        longest = longest.max(piece.len());
        all.extend_from_slice(&piece);
        socket.shut();
        let mut asked = socket.asked.subscribe();
        tokio::select! {
            piece = blocks.blocks.next() => panic!("nothing goes out of a shut socket: {piece:?}"),
            // Once for the piece that is out, again when that has taken too long, and once before more is read.
            asked = asked.wait_for(|asked| *asked >= 3) => drop(asked.expect("the socket is there")),
        }
        socket.open();
    }
    while let Some(piece) = blocks.blocks.next().await {
        longest = longest.max(piece.len());
        all.extend_from_slice(&piece);
    }
    let table = world.table(begun.run()).await;
    assert_eq!(events(&frames(&all)), table);
    assert!(longest <= 2048 + 512, "a piece of {longest} bytes");
}

#[tokio::test]
async fn a_created_run_streams_from_its_first_event() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let opened = replica.streams.open_created(
        begun.run(),
        world.user,
        world.from(Cursor::After(0)),
        Visibility::default(),
        None,
    );
    let Ok(Ok(Opened::Stream { mut blocks, .. })) = opened.await else { panic!("a stream") };
    let mut writer = replica.write(&begun);
    finish(&mut writer, &begun).await;
    let mut bytes = Vec::new();
    while let Some(block) = futures_util::StreamExt::next(&mut blocks).await {
        bytes.extend_from_slice(&block);
    }
    assert_eq!(events(&crate::support::frames(&bytes)), world.table(begun.run()).await);
}

#[tokio::test]
async fn an_overtaken_writer_says_nothing_more_and_its_readers_go_on() {
    let world = World::new().await;
    let (old, new) = (world.replica(quick()).await, world.replica(quick()).await);
    let begun = world.run(&old).await;
    let mut zombie = old.write(&begun);
    let message = MessageId::new();
    zombie.commit(vec![started(message)], Writes::default()).await.expect("commits");
    let mut blocks = old.open(begun.run(), world.from(Cursor::After(0))).await;
    let mut all = blocks.until("stream.caught_up").await;

    let token = LeaseToken::new();
    world.store.scoped(world.scope()).run_take(new.id, begun.run(), token, None).await.expect("takes the run");
    zombie.delta(delta(message, "of the zombie"));
    let fenced = async {
        while zombie.is_busy() {
            zombie.progress().await?;
        }
        Ok(())
    };
    assert_eq!(fenced.await, Err(WriteError::Fenced));
    let (last_words, writes) = ending(begun.thread, message);
    assert_eq!(zombie.commit(last_words, writes).await, Err(WriteError::Fenced));

    let mut writer = new.streams.writer(RunIdentity { token, ..begun.identity }, zombie.tail());
    say(&mut writer, message, "of the successor").await;
    finish(&mut writer, &begun).await;
    all.extend(blocks.rest().await);
    assert_eq!(events(&all), world.table(begun.run()).await);
    assert!(all.iter().all(|frame| !frame.data.contains("zombie")), "what was not committed is seen by nobody");
    drop((zombie, writer, blocks));
    assert_eq!((old.streams.channels(), new.streams.channels()), (0, 0));
}

#[tokio::test]
async fn a_dropped_writer_leaves_its_readers_to_the_table() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let mut writer = replica.write(&begun);
    let message = MessageId::new();
    say(&mut writer, message, "one").await;
    let mut blocks = replica.open(begun.run(), world.from(Cursor::After(0))).await;
    let mut all = blocks.until("stream.caught_up").await;
    let tail = writer.tail();
    // Its last words are pending, and lost with it.
    writer.delta(delta(message, "never flushed"));
    drop(writer);
    let mut writer = replica.streams.writer(begun.identity, tail);
    say(&mut writer, message, "two").await;
    finish(&mut writer, &begun).await;
    all.extend(blocks.rest().await);
    assert_eq!(events(&all), world.table(begun.run()).await);
    assert_eq!(names(&all).iter().filter(|name| **name == "message.delta").count(), 2);
}

#[tokio::test]
async fn readers_that_leave_at_once_leave_no_channel_behind() {
    let world = World::new().await;
    let replica = world.replica(quick()).await;
    let begun = world.run(&replica).await;
    let (together, params) = (std::sync::Barrier::new(2), || world.from(Cursor::After(0)));
    // Opening a stream of a created run asks nobody, so two threads can do it in step.
    let come_and_go = || {
        for round in 0..5_000 {
            together.wait();
            let opened = replica.streams.open_created(begun.run(), world.user, params(), Visibility::default(), None);
            let opened = futures_util::FutureExt::now_or_never(opened).expect("it waits for nobody");
            together.wait();
            drop(opened);
            together.wait();
            assert_eq!(replica.streams.channels(), 0, "round {round}");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(come_and_go);
        come_and_go();
    });
}
