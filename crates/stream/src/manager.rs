//! The manager: which runs this process writes or reads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use headwater_protocol::api::RunStatus;
use headwater_protocol::{ReplicaId, RunId, Scope, TenantId, UserId};
use headwater_store::{Committer, Replica, Share, Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::channel::Channel;
use crate::presence::{Departure, Register};
use crate::quota::{Caps, Quota};
use crate::remote::RemoteTails;
use crate::wake::WakeBus;
use crate::writer::{RunIdentity, RunWriter};

/// How streams behave.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// At most one flush of deltas per run in this time.
    pub coalesce: Duration,
    /// Unless so many bytes are waiting.
    pub flush_bytes: usize,
    /// What the ring of a run holds.
    pub ring_bytes: usize,
    /// A comment after so long without bytes.
    pub heartbeat: Duration,
    /// Whether streams of runs that wait for somebody are ended: a process with nothing else to do goes quiet then.
    pub ends_suspended: bool,
    /// A native stream is ended after so long, for the client to come back.
    pub rotate: Duration,
    /// Plus or minus so much.
    pub rotate_jitter: Duration,
    /// How often a reader of another process' run looks into the table.
    pub remote_poll: Duration,
    /// How long a credential is believed without asking again, while a stream is open.
    pub recheck: Duration,
    /// Un-flushed bytes of one run, beyond which its model's stream is not read.
    pub pending_bytes_per_run: usize,
    /// Un-flushed bytes of all runs.
    pub pending_bytes_total: usize,
    /// Caps on readers.
    pub caps: Caps,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            coalesce: Duration::from_millis(20),
            flush_bytes: 4096,
            ring_bytes: 4096,
            heartbeat: Duration::from_secs(15),
            ends_suspended: false,
            rotate: Duration::from_secs(600),
            rotate_jitter: Duration::from_secs(30),
            remote_poll: Duration::from_secs(1),
            recheck: Duration::from_secs(3),
            pending_bytes_per_run: 64 * 1024,
            pending_bytes_total: 256 * 1024 * 1024,
            caps: Caps {
                per_user: 64,
                per_tenant: 4096,
                replay_bytes_per_minute: 16 * 1024 * 1024,
                share: Share::default(),
                terms: None,
            },
        }
    }
}

/// One log per run: writers, rings and readers of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MessageStreamManager {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) committer: Committer,
    pub(crate) options: StreamOptions,
    pub(crate) channels: DashMap<RunId, Arc<Channel>>,
    pub(crate) bus: Arc<dyn WakeBus>,
    pub(crate) quota: Arc<Quota>,
    pub(crate) pending: AtomicUsize,
    /// Runs that this process writes at present.
    pub(crate) writers: AtomicUsize,
    pub(crate) drain: CancellationToken,
    pub(crate) remote: RemoteTails,
    /// Whether one task looks for all readers of runs that are written elsewhere.
    pub(crate) tailing: AtomicBool,
    /// Where readers are noted.
    pub(crate) register: OnceLock<Register>,
    /// Where the ticks of common flushes are counted from.
    started: Instant,
}

/// Between two common flushes of deltas.
const TICK: Duration = Duration::from_millis(10);

impl MessageStreamManager {
    /// A manager without runs. When `drain` is cancelled, readers are told to come back and are closed.
    pub fn new(
        store: Store,
        committer: Committer,
        options: StreamOptions,
        bus: Arc<dyn WakeBus>,
        drain: CancellationToken,
    ) -> Self {
        let quota = Quota::new(options.caps.clone());
        let inner = Inner {
            store,
            committer,
            options,
            channels: DashMap::new(),
            bus,
            quota,
            pending: AtomicUsize::new(0),
            writers: AtomicUsize::new(0),
            drain,
            remote: RemoteTails::default(),
            tailing: AtomicBool::new(false),
            register: OnceLock::new(),
            started: Instant::now(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The one writer of a run that this process owns, after `tail`.
    pub fn writer(&self, identity: RunIdentity, tail: u64) -> RunWriter {
        let channel = ChannelRef::new(&self.inner, identity.run);
        RunWriter::new(self.clone(), channel, identity, tail)
    }

    /// From now on readers of runs that are to end when nobody reads them are noted, as this replica's; what comes out
    /// are those that go. Can be asked for once.
    ///
    /// # Panics
    /// When it was asked for before.
    pub fn departures(&self, replica: Replica) -> mpsc::UnboundedReceiver<Departure> {
        let (departures, hear) = mpsc::unbounded_channel();
        self.inner.register.set(Register { replica, departures }).expect("it is asked for once");
        hear
    }

    /// Another replica has readers of a run that is written here.
    pub fn followed(&self, run: RunId, by: ReplicaId) {
        self.inner.bus.followed(run, by);
    }

    /// Makes local readers of a run look again; what a hint from another replica does.
    pub fn poke(&self, run: RunId) {
        if let Some(channel) = self.inner.channels.get(&run) {
            channel.poke();
        }
    }

    /// Waits until a run has ended, at most this long. A run that this scope cannot see has ended long ago.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn wait_for_end(&self, scope: Scope, run: RunId, at_most: Duration) -> Result<(), StoreError> {
        self.wait_until(scope, run, at_most, false).await
    }

    /// The same until it has ended or waits for somebody, itself or in a run below it.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn wait_for_rest(&self, scope: Scope, run: RunId, at_most: Duration) -> Result<(), StoreError> {
        self.wait_until(scope, run, at_most, true).await
    }

    async fn wait_until(&self, scope: Scope, run: RunId, at_most: Duration, or_rest: bool) -> Result<(), StoreError> {
        let until = Instant::now() + at_most;
        let storage = self.inner.store.scoped(scope);
        // Under the scope, before anything of this process is looked at: how long a foreign run takes is nobody's business.
        let enough = async || match storage.run_get(run).await? {
            Some((found, _)) if found.status == RunStatus::Suspended && or_rest => storage.run_waits(run).await,
            found => Ok(found.is_none_or(|(found, _)| found.status.is_terminal())),
        };
        if enough().await? {
            return Ok(());
        }
        let channel = ChannelRef::new(&self.inner, run);
        loop {
            let changed = channel.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if channel.has_ended() {
                return Ok(());
            }
            // While the run is written here its ring tells; else the table does.
            let live = channel.is_live();
            if !live && enough().await? {
                return Ok(());
            }
            let poll = Instant::now() + self.inner.options.remote_poll;
            tokio::select! {
                () = &mut changed => {}
                () = tokio::time::sleep_until(until) => return Ok(()),
                () = tokio::time::sleep_until(poll), if !live => {}
            }
        }
    }

    /// How long a run's deltas may gather before they are flushed. Each flush is a row for Postgres; with many runs under
    /// way the window grows, so that the rows in a second stay about the same (10,000 of them): 100 ms with 1,000 runs.
    /// A message's first words, and everything that is no delta, never wait for it.
    fn coalesce(&self) -> Duration {
        let writers = self.inner.writers.load(Ordering::Relaxed);
        let under_load = Duration::from_micros(100 * writers as u64).min(Duration::from_millis(250));
        self.inner.options.coalesce.max(under_load)
    }

    /// When the deltas of a run may be flushed that has flushed at `last`. Under load at a common tick, so that the
    /// deltas of many runs are one statement: a statement costs Postgres as much as some twenty rows of it.
    pub(crate) fn next_flush(&self, last: Instant) -> Instant {
        let window = self.coalesce();
        let due = last + window;
        if window == self.inner.options.coalesce {
            return due;
        }
        let since = due.saturating_duration_since(self.inner.started).as_millis() as u64;
        let tick = TICK.as_millis() as u64;
        self.inner.started + Duration::from_millis(since.next_multiple_of(tick))
    }

    /// Whether the process-wide bound on un-flushed bytes is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.inner.pending.load(Ordering::Relaxed) >= self.inner.options.pending_bytes_total
    }

    /// Counts bytes that were read from the table for a user; `false` when the minute's share is used up.
    pub fn count_replay(&self, tenant: TenantId, user: UserId, bytes: usize) -> bool {
        self.inner.quota.replayed(tenant, user, bytes)
    }

    /// Streams that are open on this process.
    pub fn open_streams(&self) -> usize {
        self.inner.quota.open_streams()
    }

    /// Runs that have a ring or readers on this process.
    pub fn channels(&self) -> usize {
        self.inner.channels.len()
    }
}

/// A channel that is in the map for as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct ChannelRef {
    manager: Arc<Inner>,
    run: RunId,
    /// `None` only while this is being dropped.
    channel: Option<Arc<Channel>>,
}

impl ChannelRef {
    pub(crate) fn new(manager: &Arc<Inner>, run: RunId) -> Self {
        let channel = manager.channels.entry(run).or_default().clone();
        Self { manager: manager.clone(), run, channel: Some(channel) }
    }

    /// Another handle on the channel alone.
    pub(crate) fn shared(&self) -> Arc<Channel> {
        self.channel.clone().expect("held until it is dropped")
    }
}

impl std::ops::Deref for ChannelRef {
    type Target = Channel;
    fn deref(&self) -> &Channel {
        self.channel.as_deref().expect("held until it is dropped")
    }
}

impl Drop for ChannelRef {
    fn drop(&mut self) {
        // Given up before looking: of two that go at once, the last one then sees that nobody is left. New holders come
        // through the map, whose entry is locked here.
        let mine = self.channel.take().map(|channel| Arc::as_ptr(&channel));
        self.manager
            .channels
            .remove_if(&self.run, |_, channel| Some(Arc::as_ptr(channel)) == mine && Arc::strong_count(channel) == 1);
    }
}
