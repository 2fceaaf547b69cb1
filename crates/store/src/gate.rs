//! The one door to the database, and whether anybody has gone through it lately.
//!
//! Owns the pools, when there are any: a process that is quiet has none, and holds no connection. Whoever asks for a connection
//! opens the door, one of them doing the work for all ([`on_wake`](Gate::on_wake)); so nothing can reach the database and
//! leave a process quiet that is not. Owns also the count of what keeps a process awake ([`Busy`]). Never decides when to be
//! quiet: the server does.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use deadpool_postgres::Pool;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::Instant;

use crate::connection::ParamTypes;
use crate::news::News;
use crate::pool::{self, Store, StoreOptions};
use crate::{StoreError, connection};

/// How long connections may take to be gone once their pools are closed.
const CLOSING: Duration = Duration::from_secs(5);

/// How long opening the door may take, whoever still waits for it.
const OPENING: Duration = Duration::from_secs(30);

/// What has to happen before others may go through a door that was shut.
type OnWake = Box<dyn Fn(Store) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// See the [module](self).
pub struct Gate {
    options: StoreOptions,
    /// Whether a pooler stands before the database: said, or found out once.
    pooled: OnceLock<bool>,
    /// Types of statements' parameters, which outlive the connections that told them.
    types: connection::KnownTypes,
    pools: RwLock<Option<Arc<Pools>>>,
    /// Held by whoever opens or shuts.
    turn: Arc<tokio::sync::Mutex<()>>,
    on_wake: OnceLock<OnWake>,
    awake: watch::Sender<bool>,
    wakes: AtomicU64,
    busy: AtomicUsize,
    last: Mutex<Instant>,
    /// The last attempt to open it.
    attempt: Mutex<Option<watch::Receiver<Attempt>>>,
    closed: AtomicBool,
    /// Who waits to hear of what was written.
    pub(crate) news: News,
}

/// What came of opening the door, once it has.
type Attempt = Option<Result<Arc<Pools>, StoreError>>;

/// Connections by what they are for.
pub(crate) struct Pools {
    pub(crate) requests: Pool,
    pub(crate) flushes: Pool,
    /// With a pooler in between.
    pub(crate) unnamed: Option<Arc<ParamTypes>>,
}

impl Pools {
    pub(crate) fn close(&self) {
        self.requests.close();
        self.flushes.close();
        if let Some(unnamed) = &self.unnamed {
            unnamed.close();
        }
    }

    /// Connections that are not closed yet.
    fn open(&self) -> usize {
        let unnamed = self.unnamed.as_ref().map_or(0, |unnamed| unnamed.open());
        self.requests.status().size + self.flushes.status().size + unnamed
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("awake", &self.is_awake()).field("busy", &self.busy()).finish_non_exhaustive()
    }
}

impl Gate {
    /// A door that is shut.
    pub(crate) fn shut(options: StoreOptions) -> Self {
        let pooled = OnceLock::new();
        if let Some(said) = options.pooled {
            let _ = pooled.set(said);
        }
        Self {
            options,
            pooled,
            types: connection::KnownTypes::default(),
            pools: RwLock::default(),
            turn: Arc::default(),
            on_wake: OnceLock::new(),
            awake: watch::Sender::new(false),
            wakes: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
            attempt: Mutex::default(),
            closed: AtomicBool::new(false),
            news: News::default(),
        }
    }

    /// A door that is open, with nobody asked whether a pooler stands behind it.
    ///
    /// # Errors
    /// When the URL is none.
    pub(crate) fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let gate = Self::shut(options);
        let pools = gate.make(gate.options.pooled == Some(true))?;
        gate.put(Arc::new(pools));
        Ok(gate)
    }

    /// Has this done each time before the door opens, with a store that goes through it already. When it fails the door stays
    /// shut, and who came is told so. For once, before anybody comes.
    pub fn on_wake(&self, wake: impl Fn(Store) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync + 'static) {
        let _ = self.on_wake.set(Box::new(wake));
    }

    /// Whether the door is open.
    pub fn is_awake(&self) -> bool {
        *self.awake.borrow()
    }

    /// Whether it is shut, and was open before.
    pub fn is_quiet(&self) -> bool {
        !self.is_awake() && self.wakes() > 0
    }

    /// How often it was opened.
    pub fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }

    /// Waits until it is open.
    pub async fn awake(&self) {
        // The sender is ours, so it is there.
        let _ = self.awake.subscribe().wait_for(|awake| *awake).await;
    }

    /// Waits until it is shut.
    pub async fn asleep(&self) {
        let _ = self.awake.subscribe().wait_for(|awake| !*awake).await;
    }

    /// Something is under way for as long as this is kept. Opens no door.
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::SeqCst);
        Busy(Arc::clone(self))
    }

    /// How much is under way.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::SeqCst)
    }

    /// For how long nothing has been under way; nothing while something is.
    pub fn idle_for(&self) -> Duration {
        if self.busy() > 0 { Duration::ZERO } else { self.last.lock().expect("no panic while copying").elapsed() }
    }

    /// As if something had just been under way.
    pub fn touch(&self) {
        *self.last.lock().expect("no panic while copying") = Instant::now();
    }

    /// Whether it was closed for good.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether a pooler stands in between, as far as anybody knows.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled.get().copied().unwrap_or(false)
    }

    /// Opens the door if it is shut. One attempt serves all who come while it is under way, whatever comes of it, and goes on
    /// without whoever began it; nobody waits for it for longer than for a connection.
    pub(crate) async fn pools(self: &Arc<Self>) -> Result<Arc<Pools>, StoreError> {
        let patience = self.options.acquire_timeout;
        tokio::time::timeout(patience, self.through()).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(format!("it did not answer within {} ms", patience.as_millis())))
        })
    }

    /// Opens the door for whoever has more patience than a request: waits for what comes of the attempt, half a minute at most.
    ///
    /// # Errors
    /// What stood in its way.
    pub async fn opened(self: &Arc<Self>) -> Result<(), StoreError> {
        self.through().await.map(drop)
    }

    async fn through(self: &Arc<Self>) -> Result<Arc<Pools>, StoreError> {
        let mut attempt = self.attempt();
        let ended = attempt.wait_for(Option::is_some).await;
        let broken = || Err(StoreError::Unavailable("the attempt to reach it broke off".into()));
        ended.map_or_else(|_| broken(), |ended| ended.clone().unwrap_or_else(broken))
    }

    /// The attempt that is under way, or a new one.
    fn attempt(self: &Arc<Self>) -> watch::Receiver<Attempt> {
        let mut last = self.attempt.lock().expect("no panic while looking");
        if let Some(attempt) =
            last.as_ref().filter(|attempt| attempt.borrow().is_none() && attempt.has_changed().is_ok())
        {
            return attempt.clone();
        }
        let (ended, attempt) = watch::channel(None);
        *last = Some(attempt.clone());
        drop(last);
        let gate = Arc::clone(self);
        #[expect(clippy::disallowed_methods, reason = "bounded in time, and whoever comes waits for it")]
        tokio::spawn(async move {
            let opened = match tokio::time::timeout(OPENING, gate.open_now()).await {
                Ok(opened) => opened,
                Err(_) => Err(StoreError::Unavailable("it takes too long".into())),
            };
            ended.send_replace(Some(opened));
        });
        attempt
    }

    async fn open_now(self: &Arc<Self>) -> Result<Arc<Pools>, StoreError> {
        let _turn = self.turn.lock().await;
        if let Some(pools) = self.there() {
            return Ok(pools);
        }
        if self.is_closed() {
            return Err(StoreError::Unavailable("this process ends".into()));
        }
        let pooled = match self.pooled.get() {
            Some(known) => *known,
            None => self.options.find_pooler().await?,
        };
        let pools = Arc::new(self.make(pooled)?);
        let _ = self.pooled.set(pooled);
        if let Some(wake) = self.on_wake.get()
            && let Err(error) = wake(Store::inside(Arc::clone(self), Arc::clone(&pools))).await
        {
            pools.close();
            return Err(error);
        }
        self.touch();
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.put(Arc::clone(&pools));
        Ok(pools)
    }

    /// Shuts the door before the connections are closed: whoever comes waits. `None`: it is shut.
    pub async fn shutting(self: &Arc<Self>) -> Option<Shutting> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let pools = self.pools.write().expect("no panic while taking").take()?;
        Some(Shutting { gate: Arc::clone(self), pools: Some(pools), _turn: turn })
    }

    /// Closes all connections, for good: the process ends.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(pools) = &*self.pools.read().expect("no panic while looking") {
            pools.close();
        }
    }

    pub(crate) fn there(&self) -> Option<Arc<Pools>> {
        self.pools.read().expect("no panic while looking").clone()
    }

    fn put(&self, pools: Arc<Pools>) {
        *self.pools.write().expect("no panic while putting") = Some(pools);
        self.awake.send_replace(true);
    }

    fn make(&self, pooled: bool) -> Result<Pools, StoreError> {
        let options = StoreOptions { pooled: Some(pooled), ..self.options.clone() };
        let unnamed = match pooled {
            true => {
                let pool = pool::pool(&options, 1)?;
                Some(Arc::new(ParamTypes::new(pool, options.acquire_timeout, Arc::clone(&self.types))))
            }
            false => None,
        };
        Ok(Pools {
            requests: pool::pool(&options, options.max_connections)?,
            flushes: pool::pool(&options, options.flush_connections)?,
            unnamed,
        })
    }
}

/// Something that is under way: a process that has some is not quiet.
#[must_use = "nothing is under way once this is dropped"]
#[derive(Debug)]
pub struct Busy(Arc<Gate>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A door that is being shut. Dropped: it opens again, with the connections that it had.
#[must_use = "the door opens again when this is dropped"]
pub struct Shutting {
    gate: Arc<Gate>,
    pools: Option<Arc<Pools>>,
    _turn: OwnedMutexGuard<()>,
}

impl Shutting {
    /// A store that still goes through.
    pub fn store(&self) -> Store {
        let pools = self.pools.as_ref().expect("until it is shut").clone();
        Store::inside(Arc::clone(&self.gate), pools)
    }

    /// Shuts it: all connections are closed when this returns, unless one of them does not let go.
    pub async fn shut(mut self) {
        let pools = self.pools.take().expect("until it is shut");
        self.gate.awake.send_replace(false);
        pools.close();
        let closed = async {
            while pools.open() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(CLOSING, closed).await.is_err() {
            tracing::warn!("a connection to the database is still used by somebody while this process goes quiet");
        }
    }
}

impl Drop for Shutting {
    fn drop(&mut self) {
        if let Some(pools) = self.pools.take() {
            self.gate.put(pools);
        }
    }
}
