//! The promise of the product: whatever is cut, flushed, dropped or taken over, a reader sees 1…n once, in order, and
//! byte for byte what the table holds.

use std::time::Duration;

use futures_util::future::join_all;
use headwater_protocol::MessageId;
use headwater_store::commit::{LeaseToken, Writes};
use headwater_stream::{Cursor, Opened, RunIdentity, RunWriter, StreamOptions, WriteError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Begun, Blocks, Frame, Replica, World, delta, ending, frames, quick, started};

/// What the owner does next.
#[derive(Debug, Clone)]
enum Step {
    /// Adds a delta of so many letters.
    Delta(usize),
    /// Lets the flush go on, so many times.
    Progress(u8),
    /// Sees the flush through.
    Settle,
    /// Commits an event that is no delta.
    Commit,
    /// Lets readers run.
    Pause(u8),
    /// The writer is dropped and another one of the same process goes on.
    Reattach,
    /// The other process takes the run, whatever is under way here.
    TakeOver,
}

/// How a reader reads: on which process, how far each connection gets, and how slowly.
#[derive(Debug, Clone)]
struct Reading {
    /// Bytes after which each connection is cut, in turn; whatever is not a whole frame by then is lost.
    cuts: Vec<usize>,
    /// Which process each connection goes to, in turn.
    replicas: Vec<bool>,
    /// How often others run before each block is taken.
    idle: u8,
}

#[derive(Debug, Clone)]
struct Plan {
    ring_bytes: usize,
    flush_bytes: usize,
    coalesce_ms: u64,
    steps: Vec<Step>,
    readings: Vec<Reading>,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![Just(1_usize), 1..40_usize, 500..3000_usize].prop_map(Step::Delta),
        4 => (1..4_u8).prop_map(Step::Progress),
        2 => Just(Step::Settle),
        3 => Just(Step::Commit),
        2 => (1..20_u8).prop_map(Step::Pause),
        1 => Just(Step::Reattach),
        1 => Just(Step::TakeOver),
    ]
}

fn reading() -> impl Strategy<Value = Reading> {
    let cut = prop_oneof![3 => 1..2000_usize, 1 => 2000..20_000_usize, 1 => Just(usize::MAX)];
    (proptest::collection::vec(cut, 1..5), proptest::collection::vec(any::<bool>(), 1..4), 0..12_u8)
        .prop_map(|(cuts, replicas, idle)| Reading { cuts, replicas, idle })
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        prop_oneof![Just(1_usize), 200..2000_usize, Just(1 << 20)],
        prop_oneof![Just(1_usize), Just(4096_usize)],
        0..3_u64,
        proptest::collection::vec(step(), 1..30),
        proptest::collection::vec(reading(), 1..4),
    )
        .prop_map(|(ring_bytes, flush_bytes, coalesce_ms, steps, readings)| Plan {
            ring_bytes,
            flush_bytes,
            coalesce_ms,
            steps,
            readings,
        })
}

/// The owner of a run, on one of two processes.
struct Owner<'a> {
    world: &'a World,
    replicas: &'a [Replica; 2],
    at: usize,
    identity: RunIdentity,
    writer: RunWriter,
    message: MessageId,
}

impl Owner<'_> {
    async fn take(&mut self, step: &Step) -> Result<(), WriteError> {
        match step {
            Step::Delta(letters) => {
                let text: String = "aü€\n".chars().cycle().take(*letters).collect();
                self.writer.delta(delta(self.message, &text));
            }
            Step::Progress(times) => {
                for _ in 0..*times {
                    if self.writer.is_busy() {
                        self.writer.progress().await?;
                    }
                }
            }
            Step::Settle => {
                self.writer.settle().await?;
            }
            Step::Commit => {
                self.message = MessageId::new();
                self.writer.commit(vec![started(self.message)], Writes::default()).await?;
            }
            Step::Pause(turns) => idle(*turns).await,
            Step::Reattach => {
                // What is in flight is seen through first: the next writer has to know where the log ends.
                self.writer.settle().await?;
                self.writer = self.replicas[self.at].streams.writer(self.identity, self.writer.tail());
            }
            Step::TakeOver => self.change_hands().await,
        }
        Ok(())
    }

    /// The other process takes the run, and the old owner learns it at its next word.
    async fn change_hands(&mut self) {
        let token = LeaseToken::new();
        let storage = self.world.store.scoped(self.world.scope());
        let to = 1 - self.at;
        // Whatever the old owner has under way is committed before, or not at all.
        storage.run_take(self.replicas[to].id, self.identity.run, token, None).await.expect("takes the run");
        self.identity.token = token;
        let tail = storage.events_fold(self.identity.run).await.expect("reads").seq;
        let writer = self.replicas[to].streams.writer(self.identity, tail);
        let mut zombie = std::mem::replace(&mut self.writer, writer);
        self.at = to;
        let (events, writes) = (vec![started(MessageId::new())], Writes::default());
        // A flush that was on its way may have come through before; the next one cannot.
        let overtaken = match zombie.commit(events, writes).await {
            Err(error) => error,
            Ok(_) => panic!("an overtaken owner has written"),
        };
        assert_eq!(overtaken, WriteError::Fenced);
    }
}

async fn idle(turns: u8) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

async fn write(world: &World, replicas: &[Replica; 2], begun: &Begun, steps: &[Step]) {
    let writer = replicas[0].write(begun);
    let message = MessageId::new();
    let mut owner = Owner { world, replicas, at: 0, identity: begun.identity, writer, message };
    for step in steps {
        owner.take(step).await.expect("the run is its own");
    }
    let (events, writes) = ending(begun.thread, owner.message);
    owner.writer.commit(events, writes).await.expect("the run is its own");
}

/// Reads a run to its end over as many connections as it takes. Returns the log's events in the order of arrival.
async fn read(world: &World, replicas: &[Replica; 2], begun: &Begun, reading: &Reading) -> Vec<(u64, String)> {
    let (mut seen, mut cursor) = (Vec::new(), 0);
    for connection in 0.. {
        // A connection that never gets as far as one whole frame would go on for ever.
        let cut = reading.cuts[connection % reading.cuts.len()].saturating_add(connection * 64);
        let replica = &replicas[usize::from(reading.replicas[connection % reading.replicas.len()])];
        let opened = replica.streams.open(begun.run(), world.from(Cursor::After(cursor))).await.expect("opens");
        let mut blocks = match opened.expect("within the caps") {
            Opened::Stream { blocks, .. } => Blocks { blocks },
            Opened::NothingLeft => return seen,
            Opened::NotFound => panic!("the run is there"),
        };
        let mut bytes = Vec::new();
        while bytes.len() < cut {
            idle(reading.idle).await;
            match blocks.next().await {
                Some(block) => bytes.extend_from_slice(&block),
                None => break,
            }
        }
        bytes.truncate(cut);
        let (mut live, mut over) = (0, false);
        for Frame { id, event, data, .. } in frames(&bytes) {
            match (event.as_str(), id) {
                ("stream.caught_up", None) => live += 1,
                ("stream.closing", None) => over = true,
                (event, Some(id)) if !event.starts_with("stream.") => {
                    cursor = id;
                    seen.push((id, data));
                }
                other => panic!("an unexpected frame: {other:?}"),
            }
        }
        assert!(live <= 1, "it is said once that a stream is live");
        if over {
            return seen;
        }
    }
    seen
}

async fn carry_out(world: &World, plan: &Plan) {
    let options = StreamOptions {
        ring_bytes: plan.ring_bytes,
        flush_bytes: plan.flush_bytes,
        coalesce: Duration::from_millis(plan.coalesce_ms),
        ..quick()
    };
    let replicas = [world.replica(options.clone()).await, world.replica(options).await];
    let begun = world.run(&replicas[0]).await;
    let reading = join_all(plan.readings.iter().map(|reading| read(world, &replicas, &begun, reading)));
    let ((), seen) = tokio::join!(write(world, &replicas, &begun, &plan.steps), reading);
    let table = world.table(begun.run()).await;
    let numbers: Vec<u64> = table.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=table.len() as u64).collect::<Vec<_>>(), "the log is dense");
    for seen in seen {
        assert!(seen == table, "a reader saw {seen:#?}\nand the table holds {table:#?}");
    }
    assert_eq!([replicas[0].streams.channels(), replicas[1].streams.channels()], [0, 0]);
    assert_eq!([replicas[0].streams.open_streams(), replicas[1].streams.open_streams()], [0, 0]);
}

#[test]
fn every_reader_sees_the_log_once_and_in_order() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let world = runtime.block_on(World::new());
    let config = Config { cases: 64, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let outcome = TestRunner::new(config).run(&plan(), |plan| {
        runtime.block_on(carry_out(&world, &plan));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
