//! Quiet: a process that nobody needs sends nothing and holds no connection, so that its host can put it to sleep.
//!
//! Owns the way there and back, Active → Quiescing → Quiet → Active. Active: everything that goes on by itself runs
//! ([`while_awake`](QuietParts::while_awake)). Quiescing, when nothing was under way for a while: what is left to say is said
//! ([`before_quiet`](QuietParts::before_quiet)), the door to the database is shut, what ticks is stopped, and if there is still
//! nothing to do the process takes leave, lets go of its idle connections ([`sheds`](QuietParts::sheds)) and closes those to the
//! database. Quiet: no packet, no socket but the listener, no timer. Active again: somebody comes through the door, and whoever
//! comes first opens it for all ([`Gate`]).
//!
//! Promises that nothing is lost on the way: what came in meanwhile waits at the door for a moment, and goes on. Whoever adds
//! something that sends or ticks by itself registers it here; what reaches the database without being registered wakes the
//! process, and is seen. Never ends the process, and never decides what a request may do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use headwater_protocol::Timestamp;
use headwater_store::unscoped::WorkAhead;
use headwater_store::{Gate, Store, StoreError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::HangUp;

/// A waker that was not seen for so long is none: it looks every few minutes.
const WAKER_IS_THERE: Duration = Duration::from_secs(3900);
/// How long what ticks may take to stop.
const STOPPING: Duration = Duration::from_secs(5);

/// When to be quiet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuietOptions {
    /// Whether at all.
    pub(crate) enabled: bool,
    /// After so long with nothing under way.
    pub(crate) idle_after: Duration,
}

type Ticks = Box<dyn Fn(CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>;
type Says = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;
type Sheds = Box<dyn Fn() + Send + Sync>;
type TakesLeave = Box<dyn Fn(Store) -> BoxFuture<'static, Result<i64, StoreError>> + Send + Sync>;
type ComesBack = Box<dyn Fn(Store) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// See the [module](self). Cheap to clone.
#[derive(Clone)]
pub(crate) struct Quiet(Arc<Inner>);

struct Inner {
    options: QuietOptions,
    gate: Arc<Gate>,
    store: Store,
    ticks: Vec<(&'static str, Ticks)>,
    says: Vec<Says>,
    sheds: Vec<Sheds>,
    takes_leave: TakesLeave,
    comes_back: ComesBack,
    hang_up: HangUp,
    era: Mutex<Era>,
}

/// From a wake to the next quiet.
#[derive(Default)]
struct Era {
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What there is to register, before the first wake.
pub(crate) struct QuietParts {
    pub(crate) options: QuietOptions,
    pub(crate) store: Store,
    pub(crate) hang_up: HangUp,
    ticks: Vec<(&'static str, Ticks)>,
    says: Vec<Says>,
    sheds: Vec<Sheds>,
}

/// Why a process stays awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stays {
    /// Something came, or is there that only this process knows of.
    Busy,
    /// Something is under way or due, here or elsewhere.
    UnderWay,
    /// Something is to be done then, and nobody would wake this process.
    NobodyWakes(Timestamp),
}

impl QuietParts {
    pub(crate) fn new(options: QuietOptions, store: Store, hang_up: HangUp) -> Self {
        Self { options, store, hang_up, ticks: Vec::new(), says: Vec::new(), sheds: Vec::new() }
    }

    /// Does this for as long as the process is awake, begun anew with each wake: until its token is cancelled. May be dropped
    /// at any await besides.
    pub(crate) fn while_awake<F>(
        &mut self,
        name: &'static str,
        ticks: impl Fn(CancellationToken) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.ticks.push((name, Box::new(move |stop| Box::pin(ticks(stop)))));
    }

    /// Says what is left to say, while nobody waits for it: the door is still open. It need not come to quiet after it.
    pub(crate) fn before_quiet<F>(&mut self, says: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.says.push(Box::new(move || Box::pin(says())));
    }

    /// Lets go of connections that nobody uses, on the way to quiet. Opens none.
    pub(crate) fn sheds(&mut self, sheds: impl Fn() + Send + Sync + 'static) {
        self.sheds.push(Box::new(sheds));
    }

    /// `takes_leave`: gives everything up that others would wait for, and tells how many runs that were; `comes_back`: what
    /// has to be done before anybody else reaches the database.
    pub(crate) fn into_quiet<L, C>(
        self,
        takes_leave: impl Fn(Store) -> L + Send + Sync + 'static,
        comes_back: impl Fn(Store) -> C + Send + Sync + 'static,
    ) -> Quiet
    where
        L: Future<Output = Result<i64, StoreError>> + Send + 'static,
        C: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let Self { options, store, hang_up, ticks, says, sheds } = self;
        let quiet = Quiet(Arc::new(Inner {
            options,
            gate: store.gate().clone(),
            store,
            ticks,
            says,
            sheds,
            takes_leave: Box::new(move |store| Box::pin(takes_leave(store))),
            comes_back: Box::new(move |store| Box::pin(comes_back(store))),
            hang_up,
            era: Mutex::default(),
        }));
        let waking = Arc::downgrade(&quiet.0);
        quiet.0.gate.on_wake(move |inside| {
            let waking = waking.upgrade().map(Quiet);
            Box::pin(async move {
                match waking {
                    Some(quiet) => quiet.wake(inside).await,
                    None => Err(StoreError::Unavailable("this process has ended".into())),
                }
            })
        });
        quiet
    }
}

impl Quiet {
    /// Watches for as long as it is polled whether anybody needs this process. Without a timer while it is quiet.
    pub(crate) async fn watch(self) {
        let Inner { options, gate, .. } = &*self.0;
        if !options.enabled {
            return;
        }
        let mut told = None;
        loop {
            gate.awake().await;
            let idle = gate.idle_for();
            if idle < options.idle_after {
                tokio::time::sleep(options.idle_after - idle).await;
                continue;
            }
            match self.be_quiet().await {
                Ok(None) => told = None,
                Ok(Some(stays)) => {
                    if let Stays::NobodyWakes(at) = stays
                        && told.replace(at) != Some(at)
                    {
                        tracing::warn!(
                            %at, "this process does not go quiet: something is to be done then, and nobody runs `headwater wake`"
                        );
                    }
                    gate.touch();
                }
                Err(error) => {
                    tracing::warn!(%error, "this process does not go quiet: it cannot ask what there is to do");
                    gate.touch();
                }
            }
        }
    }

    /// Ends what ticks, for good: the process ends.
    pub(crate) fn stop(&self) {
        self.0.era.lock().expect("no panic while stopping").stop.cancel();
    }

    /// From the outside of the door: what has to be there before anybody goes through it.
    async fn wake(&self, inside: Store) -> Result<(), StoreError> {
        let began = std::time::Instant::now();
        (self.0.comes_back)(inside).await?;
        self.begin();
        tracing::info!(took_ms = began.elapsed().as_millis() as u64, "awake");
        Ok(())
    }

    /// Begins what ticks. It waits at the door until that is open.
    fn begin(&self) {
        let mut era = self.0.era.lock().expect("no panic while beginning");
        *era = Era::default();
        for (name, ticks) in &self.0.ticks {
            use tracing::Instrument as _;
            let (stop, work) = (era.stop.clone(), ticks(era.stop.clone()));
            let work = async move {
                tokio::select! {
                    () = work => {}
                    () = stop.cancelled() => {}
                }
            };
            era.tasks.spawn(work.instrument(tracing::debug_span!("task", name)));
        }
        era.tasks.close();
    }

    async fn end(&self) {
        let tasks = {
            let era = self.0.era.lock().expect("no panic while ending");
            era.stop.cancel();
            era.tasks.clone()
        };
        if tokio::time::timeout(STOPPING, tasks.wait()).await.is_err() {
            tracing::warn!("something that goes on by itself did not stop in time");
        }
    }

    /// Goes quiet, or says why not.
    async fn be_quiet(&self) -> Result<Option<Stays>, StoreError> {
        let Inner { gate, store, .. } = &*self.0;
        // Asked before anything is stopped: nearly always it is this that says no.
        if let Some(stays) = self.stays(store).await? {
            return Ok(Some(stays));
        }
        for says in self.0.says.iter().filter(|_| gate.busy() == 0) {
            says().await;
        }
        let Some(shutting) = gate.shutting().await else { return Ok(None) };
        // From here on whoever comes waits at the door. Who came before has been counted, or has not reached it.
        if gate.busy() > 0 {
            return Ok(Some(Stays::Busy));
        }
        self.end().await;
        let inside = shutting.store();
        let leaving = async {
            let stays = self.stays(&inside).await?;
            // Also where it stays: then as another one, which owns nothing.
            let runs = (self.0.takes_leave)(inside.clone()).await?;
            Ok(stays.or((runs > 0).then_some(Stays::Busy)))
        };
        // Everybody who comes meanwhile waits for this.
        let leaving = tokio::time::timeout(STOPPING, leaving).await;
        let leaving = leaving.unwrap_or_else(|_| Err(StoreError::Unavailable("it does not answer".into())));
        if !matches!(leaving, Ok(None)) || gate.busy() > 0 {
            // Whatever was given up: from here on it is another one, with what it is given back.
            let back = tokio::time::timeout(STOPPING, (self.0.comes_back)(inside)).await;
            self.begin();
            match back {
                Ok(back) => back?,
                // Its lease has lapsed, if it had one; whoever keeps it finds that out, and takes another.
                Err(_) => return Err(StoreError::Unavailable("it does not answer".into())),
            }
            return leaving.map(|stays| stays.or(Some(Stays::Busy)));
        }
        for shed in &self.0.sheds {
            shed();
        }
        self.0.hang_up.now();
        shutting.shut().await;
        tracing::info!("quiet");
        Ok(None)
    }

    async fn stays(&self, store: &Store) -> Result<Option<Stays>, StoreError> {
        let WorkAhead { under_way, must_at, waker_seen_at } =
            store.unscoped("whether there is anything to do, whoever's it is").work_ahead().await?;
        let now = Timestamp::now();
        let soon = now.plus_ms(self.0.options.idle_after.as_millis() as i64);
        if under_way || must_at.is_some_and(|at| at <= soon) {
            return Ok(Some(Stays::UnderWay));
        }
        let has_waker =
            waker_seen_at.is_some_and(|seen| now.ms().saturating_sub(seen.ms()) < WAKER_IS_THERE.as_millis() as i64);
        Ok(must_at.filter(|_| !has_waker).map(Stays::NobodyWakes))
    }
}
