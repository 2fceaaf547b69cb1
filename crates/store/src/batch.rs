//! Writing for many runs in few statements.
//!
//! Owns the queue in front of the flush connections: each worker takes what is waiting, up to a bound, and writes it in
//! one statement. While a statement is on its way the next batch grows by itself, so there is no timer and, when
//! nothing is to be written, no traffic.
//! Promises one answer per piece of work. One bad row stops nobody: on an unexpected error a batch is split until the
//! culprit stands alone. While Postgres is away the same bytes are tried again, which is harmless because every
//! statement here finds out by itself that it has been carried out already. What nobody waits for any more is not carried out, unless it
//! may have been sent already.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use headwater_protocol::ReplicaId;
use opentelemetry::metrics::Histogram;
use opentelemetry::{KeyValue, global};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::Connection;
use crate::{Replica, Store, StoreError, pool};

/// How long work is tried again while Postgres is away.
const OUTAGE: Duration = Duration::from_secs(600);
/// How often a single row is tried again that waits for a lock.
const CONTENDED: u32 = 8;
/// Pieces of work that may wait. Each run has at most one, so this is reached only by new runs while Postgres is away.
const MAX_WAITING: usize = 20_000;
/// Rows in one statement.
const MAX_ROWS: usize = 128;
/// Bytes in one statement.
const MAX_BYTES: usize = 256 * 1024;

/// Another statement is sent beside those under way only when so many rows wait for each of them: larger batches cost
/// Postgres far less per row than more statements do.
const ROWS_PER_STATEMENT: usize = 32;
/// Or when a row has waited for so long: then what is under way is stuck.
const PATIENCE: Duration = Duration::from_millis(5);

/// Something that is written in batches.
pub(crate) trait Work: std::fmt::Debug + Send + Sync + Sized + 'static {
    /// What it is counted as.
    const NAME: &'static str;
    /// What became of it.
    type Answer: std::fmt::Debug + Send + 'static;

    /// Bytes, roughly.
    fn size(&self) -> usize;
    /// Brings a batch into the order in which it takes its locks.
    fn order(batch: &mut [Queued<Self>]);
    /// Whether nobody waits for it any more, so that it should not be begun.
    fn is_late(&self) -> bool;
    /// Tells whoever waits to hear of it, once it is written.
    fn tell(&self, _answer: &Self::Answer, _store: &Store) {}
    /// The answer when it was refused for good.
    fn failed(error: &StoreError) -> Self::Answer;
    /// Writes a batch in one statement; one answer for each, in order.
    fn write(
        client: &Connection,
        replica: ReplicaId,
        batch: &[Queued<Self>],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

/// Seconds from taking a batch to its answer, retries through an outage included. Every stream waits for it.
static WRITES: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    let seconds = vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];
    global::meter("headwater")
        .f64_histogram("headwater.store.write.duration")
        .with_unit("s")
        .with_description("From taking a batch of writes to its answer.")
        .with_boundaries(seconds)
        .build()
});

/// A piece of work and where its answer goes.
#[derive(Debug)]
pub(crate) struct Queued<W: Work> {
    pub(crate) work: W,
    since: Instant,
    answer: oneshot::Sender<W::Answer>,
}

/// What is waiting.
#[derive(Debug)]
pub(crate) struct Queue<W: Work> {
    state: Mutex<State<W>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<W: Work> {
    waiting: VecDeque<Queued<W>>,
    /// Statements under way.
    under_way: usize,
    /// The workers have gone: nothing more is taken.
    closed: bool,
}

/// What a worker is to do.
enum Take<W: Work> {
    /// Write this.
    Batch(Vec<Queued<W>>),
    /// Look again then, if nothing changes before.
    Later(Instant),
    /// There is nothing.
    Nothing,
}

impl<W: Work> Queued<W> {
    fn came_too_late(self) {
        let _ = self.answer.send(W::failed(&StoreError::Unavailable("it waited for too long".into())));
    }
}

impl<W: Work> Queue<W> {
    /// A queue and its workers.
    pub(crate) fn start(
        name: &'static str,
        store: Store,
        replica: Replica,
        workers: usize,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let state = State { waiting: VecDeque::new(), under_way: 0, closed: false };
        let queue = Arc::new(Self { state: Mutex::new(state), changed: Notify::new() });
        for _ in 0..workers {
            let (queue, store, replica, stop) = (queue.clone(), store.clone(), replica.clone(), stop.clone());
            pool::spawn(tasks, name, async move {
                while let Some(mut batch) = queue.next_batch(&stop).await {
                    W::order(&mut batch);
                    write_all(&store, &replica, batch, &stop).await;
                    queue.lock().under_way -= 1;
                    queue.changed.notify_one();
                }
            });
        }
        queue
    }

    pub(crate) fn push(&self, work: W) -> oneshot::Receiver<W::Answer> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= MAX_WAITING {
            let reason =
                if state.closed { "this process is shutting down" } else { "too much is waiting to be written" };
            let _ = answer.send(W::failed(&StoreError::Unavailable(reason.into())));
            return receiver;
        }
        state.waiting.push_back(Queued { work, since: Instant::now(), answer });
        drop(state);
        self.changed.notify_one();
        receiver
    }

    /// Whether nothing is under way, nor waits.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.under_way == 0 && state.waiting.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<W>> {
        self.state.lock().expect("no panic while queueing")
    }

    /// What is waiting, up to the bounds. `None` when stopped and empty.
    async fn next_batch(&self, stop: &CancellationToken) -> Option<Vec<Queued<W>>> {
        loop {
            // The timer runs only while something waits behind a statement under way.
            let again = match self.take() {
                Take::Batch(batch) => return Some(batch),
                Take::Later(at) => Some(at),
                Take::Nothing if stop.is_cancelled() => {
                    let mut state = self.lock();
                    if state.waiting.is_empty() {
                        state.closed = true;
                        return None;
                    }
                    None
                }
                Take::Nothing => None,
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = stop.cancelled(), if again.is_none() => {}
                () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now).into()), if again.is_some() => {}
            }
        }
    }

    fn take(&self) -> Take<W> {
        let mut state = self.lock();
        while let Some(late) = state.waiting.pop_front_if(|first| first.work.is_late()) {
            late.came_too_late();
        }
        let Some(oldest) = state.waiting.front() else { return Take::Nothing };
        let stuck_at = oldest.since + PATIENCE;
        if state.waiting.len() < state.under_way * ROWS_PER_STATEMENT && Instant::now() < stuck_at {
            return Take::Later(stuck_at);
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(next) = state.waiting.front() {
            bytes += next.work.size();
            if batch.len() == MAX_ROWS || (bytes > MAX_BYTES && !batch.is_empty()) {
                break;
            }
            batch.extend(state.waiting.pop_front());
        }
        state.under_way += 1;
        if !state.waiting.is_empty() {
            // More than one batch is here: another worker may take the rest.
            self.changed.notify_one();
        }
        Take::Batch(batch)
    }
}

/// A batch, or what is left of one.
struct Part<W: Work> {
    items: Vec<Queued<W>>,
    /// How often it has met somebody's locks.
    tries: u32,
    /// Whether it may have been carried out although nothing came back: then only an answer ends the asking.
    sent: bool,
}

impl<W: Work> Part<W> {
    /// Leaves out what nobody waits for any more and Postgres has never had. Whether there is anything left.
    fn is_wanted(&mut self) -> bool {
        if !self.sent {
            for late in self.items.extract_if(.., |item| item.work.is_late()) {
                late.came_too_late();
            }
        }
        !self.items.is_empty()
    }
}

/// Writes a batch until each piece has its answer: again while Postgres is away, in halves when it refuses, and a piece
/// that waits for somebody's lock after all the others.
async fn write_all<W: Work>(store: &Store, replica: &Replica, batch: Vec<Queued<W>>, stop: &CancellationToken) {
    let mut parts = VecDeque::from([Part { items: batch, tries: 0, sent: false }]);
    while let Some(mut part) = parts.pop_front() {
        match write_through_outage(store, replica, &mut part, stop).await {
            Ok(answers) => {
                debug_assert_eq!(answers.len(), part.items.len(), "one answer each");
                for (item, answer) in part.items.into_iter().zip(answers) {
                    item.work.tell(&answer, store);
                    // Nobody may be waiting any more; what is written is written.
                    let _ = item.answer.send(answer);
                }
            }
            Err(error) if part.items.len() > 1 && !is_outage(&error) => {
                match &error {
                    StoreError::Contended(_) | StoreError::Unread => {
                        tracing::debug!(%error, rows = part.items.len(), "a batch has to wait and is split");
                    }
                    _ => tracing::warn!(%error, rows = part.items.len(), "a batch was refused and is split"),
                }
                let rest = part.items.split_off(part.items.len() / 2);
                let rest = Part { items: rest, tries: 0, sent: part.sent };
                part.tries = 0;
                parts.extend([part, rest]);
            }
            Err(StoreError::Contended(_)) if part.tries < CONTENDED && !stop.is_cancelled() => {
                if parts.is_empty() {
                    tokio::time::sleep(Duration::from_millis(20 << part.tries)).await;
                }
                part.tries += 1;
                parts.push_back(part);
            }
            Err(error) => {
                if !matches!(error, StoreError::Unread) {
                    tracing::error!(%error, "a write was refused");
                }
                for item in part.items {
                    let _ = item.answer.send(W::failed(&error));
                }
            }
        }
    }
}

async fn write_through_outage<W: Work>(
    store: &Store,
    replica: &Replica,
    part: &mut Part<W>,
    stop: &CancellationToken,
) -> Result<Vec<W::Answer>, StoreError> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(20);
    while part.is_wanted() {
        let tried = match store.flush_client().await {
            // It may have waited for that connection.
            Ok(_) if !part.is_wanted() => break,
            Ok(client) => {
                let tried = W::write(&client, replica.id(), &part.items).await;
                part.sent |= matches!(tried, Err(StoreError::Unavailable(_)));
                tried
            }
            Err(error) => Err(error),
        };
        let error = match tried {
            Err(error) if is_outage(&error) => error,
            other => {
                WRITES.record(began.elapsed().as_secs_f64(), &[KeyValue::new("headwater.write", W::NAME)]);
                return other;
            }
        };
        if began.elapsed() > OUTAGE || stop.is_cancelled() {
            return Err(error);
        }
        tracing::warn!(%error, rows = part.items.len(), "the database is away or busy; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
    Ok(Vec::new())
}

fn is_outage(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::TakesNothing(_))
}
