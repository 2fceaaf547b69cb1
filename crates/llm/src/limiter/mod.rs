//! The queue in front of a provider: who may call it next, and how many may at a time.
//!
//! Owns [`ConcurrencyLimiter`], one for each model and key: a fair queue, a limit that follows what the provider takes, and a
//! breaker. Promises that a permit comes back when it is dropped, at whatever await that happens; that whoever would wait
//! longer than they will is told at once; and that nothing ticks while nobody waits. Never touches a database.

mod adaptive;
mod breaker;
mod fair;
mod lanes;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use headwater_protocol::{ErrorCode, Problem, TenantId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::adaptive::{Adaptive, Load};
pub use self::breaker::BreakerNow;
use self::breaker::{Breaker, Passage, Shut};
use self::fair::{FairQueue, Payer};
pub(crate) use self::lanes::Lanes;
pub use self::lanes::Traffic;
use crate::request::CallContext;

/// How many may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueBounds {
    /// Of one tenant.
    pub per_tenant: usize,
    /// In all. Whoever comes when so many wait takes the place of the last one of the tenant that has most waiting.
    pub in_all: usize,
}

/// Bounds the calls in flight of one model with one key. Cheap to clone; clones share the limit.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: QueueBounds,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    in_use: usize,
    /// Permits of calls that are being answered.
    answering: usize,
    queue: FairQueue<Waiter>,
    adaptive: Adaptive,
    breaker: Breaker,
    /// How long a permit is held, as a moving average in milliseconds. 0 until the first one is back.
    held_ms: u64,
    /// How long waits have lately looked like, by the queue as it was, and how long they were, in seconds, older ones counting
    /// less: whoever comes later may go first.
    looked: f64,
    were: f64,
}

/// Somebody who waits.
#[derive(Debug)]
struct Waiter {
    grant: oneshot::Sender<Result<Permit, Turned>>,
    since: Instant,
    /// What the queue alone made of the wait, when it began.
    looked: Duration,
}

/// As if waits of so long together had turned out as they looked.
const TELLING: Duration = Duration::from_secs(10);

/// The right to have one call in flight. Comes back when it is dropped.
#[must_use = "a permit that is dropped is returned at once"]
#[derive(Debug)]
pub struct Permit {
    limiter: Option<Arc<Shared>>,
    payer: Payer,
    cost: u64,
    since: Instant,
    is_answered: bool,
    /// What it cost is known.
    is_spent: bool,
    /// Sent to find out whether the provider is back.
    probe: Option<u64>,
}

/// A place in the queue: a future of the permit. Leaves the queue when it is dropped.
#[must_use = "a ticket that is dropped leaves the queue"]
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<Shared>,
    payer: Payer,
    number: u64,
    granted: oneshot::Receiver<Result<Permit, Turned>>,
}

/// What a caller gets on entry.
#[derive(Debug)]
pub enum Entry {
    /// A place was free.
    Granted(Permit),
    /// All places are taken.
    Waiting(Ticket),
}

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// Too many of the same tenant wait already. The predicted wait behind them.
    Full(Duration),
    /// It would not begin in time. When it would.
    TooLate(Duration),
    /// The provider has failed too often to be asked. For how long it is left alone.
    Down(Duration),
}

/// Where somebody who waits stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How many calls are in front, this one included (1 = next).
    pub position: u32,
    /// The predicted wait in milliseconds.
    pub wait_ms: u64,
    /// How long nobody is let through, because the provider wants it so.
    pub paused: Option<Duration>,
}

/// What a limiter is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimiterState {
    /// Permits that are out.
    pub in_use: usize,
    /// Calls that wait.
    pub waiting: usize,
    /// How many calls it lets through at a time now; `u32::MAX` where nothing is configured and nothing was refused.
    pub limit: usize,
    /// For how many milliseconds it lets nobody through.
    pub paused_ms: u64,
}

impl ConcurrencyLimiter {
    /// At most `limit` permits at a time (0 = any number), and so many waiting.
    pub fn new(limit: usize, bounds: QueueBounds) -> Self {
        let state = State {
            in_use: 0,
            answering: 0,
            queue: FairQueue::default(),
            adaptive: Adaptive::new(limit),
            breaker: Breaker::default(),
            held_ms: 0,
            looked: TELLING.as_secs_f64(),
            were: TELLING.as_secs_f64(),
        };
        Self(Arc::new(Shared { bounds, state: Mutex::new(state) }))
    }

    /// Takes a permit or a place in the queue. `cost` is what the call is expected to cost, in whatever unit all calls of
    /// this limiter share; `within` how long the caller would wait.
    ///
    /// # Errors
    /// [`Turned`], at once, rather than waiting in vain.
    pub fn enter(&self, ctx: &CallContext, cost: u64, within: Duration) -> Result<Entry, Turned> {
        let payer = Payer { tenant: ctx.tenant, user: ctx.user, priority: ctx.priority, weight: ctx.weight.max(1) };
        let now = Instant::now();
        let mut state = self.0.lock();
        let probe = match state.breaker.pass(payer.tenant, now) {
            Passage::Free => None,
            Passage::Probe(number) => Some(number),
            Passage::Shut(left) => return Err(Turned::Down(left)),
        };
        // One that is sent to find out does not wait: who waits would find out nothing.
        if probe.is_some() || (state.queue.len() == 0 && state.has_room(now)) {
            state.in_use += 1;
            state.queue.charge(payer, cost);
            drop(state);
            let mut permit = Permit::new(&self.0, payer, cost);
            permit.probe = probe;
            return Ok(Entry::Granted(permit));
        }
        let waiting = state.queue.len_of(payer.tenant);
        if waiting >= self.0.bounds.per_tenant {
            return Err(Turned::Full(state.predict(state.queue.len() + 1, now)));
        }
        let (grant, granted) = oneshot::channel();
        let mut number = state.queue.push(payer, cost, Waiter { grant, since: now, looked: Duration::ZERO });
        let position = state.queue.position(payer, number).unwrap_or(1);
        let predicted = state.predict(position, now);
        let looked = state.looks_like(position);
        // Somebody who does not want to wait at all is told so by a wait that ends at once.
        if predicted > within && !within.is_zero() {
            state.queue.remove(payer, number);
            return Err(Turned::TooLate(predicted));
        }
        if state.queue.len() > self.0.bounds.in_all {
            // Whoever makes room is one of those that were here before.
            let waiter = state.queue.remove(payer, number);
            let (Some(waiter), Some(evicted)) = (waiter, state.queue.evict(waiting)) else {
                return Err(Turned::Full(predicted));
            };
            let _ = evicted.grant.send(Err(Turned::Full(predicted)));
            number = state.queue.push(payer, cost, waiter);
        }
        if let Some(waiter) = state.queue.get_mut(payer, number) {
            waiter.looked = looked;
        }
        // There may be room all the same: a pause that has just ended, with nobody awake to see it.
        self.0.pump(state);
        Ok(Entry::Waiting(Ticket { shared: Arc::clone(&self.0), payer, number, granted }))
    }

    /// When a call that came now would probably begin.
    pub fn predicted(&self, ctx_tenant: TenantId) -> Duration {
        let now = Instant::now();
        let state = self.0.lock();
        if state.queue.len() == 0 && state.has_room(now) {
            return Duration::ZERO;
        }
        // Behind its own, and as many of each other tenant: what a fair queue comes to for calls that cost alike.
        let position = state.queue.len_of(ctx_tenant).saturating_mul(state.queue.tenants_waiting().max(1));
        state.predict(position.min(state.queue.len()) + 1, now)
    }

    /// Lets through whoever may go by now: called when a pause is over.
    pub fn nudge(&self) {
        let state = self.0.lock();
        self.0.pump(state);
    }

    /// Sets how many permits this process may give at a time, as its share of what all may.
    pub fn set_share(&self, share: usize) {
        let mut state = self.0.lock();
        state.adaptive.set_most(share);
        self.0.pump(state);
    }

    /// What it is doing.
    pub fn state(&self) -> LimiterState {
        let now = Instant::now();
        let state = self.0.lock();
        LimiterState {
            in_use: state.in_use,
            waiting: state.queue.len(),
            limit: state.adaptive.limit(),
            paused_ms: state.adaptive.paused(now).map_or(0, millis),
        }
    }

    /// Whether its provider is asked, and which tenants wait, with their weight and how much of each.
    pub fn queue(&self) -> (BreakerNow, Vec<(TenantId, u32, usize)>) {
        let now = Instant::now();
        let state = self.0.lock();
        (state.breaker.now(now), state.queue.tenants().collect())
    }

    /// Permits that are out.
    pub fn in_use(&self) -> usize {
        self.0.lock().in_use
    }

    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// Whether anybody holds it beside whoever asks.
    fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Whether nobody would miss it: nothing is in flight, nothing waits, nothing was learnt that matters.
    fn is_idle(&self, now: Instant) -> bool {
        let state = self.0.lock();
        state.in_use == 0 && state.adaptive.is_untouched(now) && !state.breaker.is_open(now)
    }
}

impl Turned {
    /// What the caller is told.
    pub(crate) fn problem(self, within_ms: u64) -> Problem {
        match self {
            Self::Full(wait) => {
                let words = "too many model calls wait for this provider already";
                Problem::new(ErrorCode::CapacityExceeded, words).with("wait_ms", millis(wait))
            }
            Self::TooLate(wait) => {
                let wait = millis(wait);
                let words = format!("the call would begin in {wait} ms, and was to wait for {within_ms} ms at most");
                Problem::new(ErrorCode::CapacityExceeded, words).with("wait_ms", wait)
            }
            Self::Down(left) => {
                let words = "the provider has failed too often in a row and is left alone for a moment";
                Problem::new(ErrorCode::ProviderUnavailable, words).with("retry_after_ms", millis(left))
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way; a poisoned lock would only mean a caller's panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives permits to whoever is next, as long as there is room.
    fn pump(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let now = Instant::now();
        let mut granted = Vec::new();
        if state.queue.len() > 0 && state.in_use >= state.adaptive.limit() {
            state.adaptive.waited_for(now);
        }
        while state.has_room(now) {
            let Some((payer, cost, waiter)) = state.queue.pop() else { break };
            state.in_use += 1;
            state.learn(&waiter, now);
            granted.push((waiter.grant, Permit::new(self, payer, cost)));
        }
        if state.in_use == 0 {
            state.queue.reset();
        }
        drop(state);
        // Sent without the lock: a permit that nobody takes comes back through its own drop, which locks.
        for (grant, permit) in granted {
            let _ = grant.send(Ok(permit));
        }
    }

    /// Turns away those who wait for a provider that is down for them.
    fn turn_away(&self, mut state: MutexGuard<'_, State>, shut: Shut) {
        let waiting = state.queue.drain(match shut {
            Shut::All => None,
            Shut::Only(tenant) => Some(tenant),
        });
        drop(state);
        for waiter in waiting {
            let _ = waiter.grant.send(Err(Turned::Down(Duration::ZERO)));
        }
    }
}

impl State {
    fn has_room(&self, now: Instant) -> bool {
        self.in_use < self.adaptive.limit() && self.adaptive.paused(now).is_none()
    }

    /// When the waiter at this position may start, from how long permits are held.
    fn predict(&self, position: usize, now: Instant) -> Duration {
        let ms = self.looks_like(position).as_millis() as f64 * self.stretch();
        Duration::from_millis(ms as u64).saturating_add(self.adaptive.paused(now).unwrap_or_default())
    }

    fn looks_like(&self, position: usize) -> Duration {
        let limit = self.adaptive.limit().max(1) as u64;
        Duration::from_millis((position as u64).saturating_mul(self.held_ms).div_ceil(limit))
    }

    /// Somebody has waited so long, or longer still. A pause that the provider wanted says nothing about the queue.
    fn learn(&mut self, waiter: &Waiter, now: Instant) {
        const OLDER: f64 = 63.0 / 64.0;
        if self.adaptive.was_paused(waiter.since) {
            return;
        }
        let prior = TELLING.as_secs_f64() * (1.0 - OLDER);
        self.looked = self.looked * OLDER + waiter.looked.as_secs_f64() + prior;
        self.were = self.were * OLDER + now.duration_since(waiter.since).as_secs_f64() + prior;
    }

    fn stretch(&self) -> f64 {
        (self.were / self.looked).clamp(0.5, 4.0)
    }

    fn load(&self) -> Load {
        let is_full = self.queue.len() > 0 || self.in_use >= self.adaptive.limit();
        Load { in_use: self.in_use, answering: self.answering, is_full }
    }
}

impl Permit {
    fn new(shared: &Arc<Shared>, payer: Payer, cost: u64) -> Self {
        let limiter = Some(Arc::clone(shared));
        Self { limiter, payer, cost, since: Instant::now(), is_answered: false, is_spent: false, probe: None }
    }

    /// The provider has begun to answer. `pause`: it takes nothing more for so long.
    pub(crate) fn answered(&mut self, pause: Option<Duration>) {
        let Some(shared) = &self.limiter else { return };
        let now = Instant::now();
        let mut state = shared.lock();
        if !self.is_answered {
            self.is_answered = true;
            state.answering += 1;
        }
        if let Some(pause) = pause {
            state.adaptive.pause(pause, now);
        }
    }

    /// Its first token is there, so long after the request was sent.
    pub(crate) fn first_token(&mut self, after: Duration) {
        let Some(shared) = &self.limiter else { return };
        let now = Instant::now();
        self.probe = None;
        let mut state = shared.lock();
        let load = state.load();
        state.breaker.answered(self.payer.tenant);
        state.adaptive.accepted(after, now - after.min(self.since.elapsed()), now, load);
        shared.pump(state);
    }

    /// The provider refused because it is asked too much. `hint`: for how long it wants to be left alone.
    pub(crate) fn refused(self, hint: Option<Duration>) {
        if let Some(shared) = &self.limiter {
            let mut state = shared.lock();
            let mut load = state.load();
            load.answering -= usize::from(self.is_answered);
            state.adaptive.refused(hint, self.since, Instant::now(), load);
            // Whoever refuses is there.
            state.breaker.answered(self.payer.tenant);
        }
    }

    /// The provider would not have this call, and is there for others.
    pub(crate) fn rejected(mut self) {
        if let Some(shared) = &self.limiter {
            shared.lock().breaker.answered(self.payer.tenant);
            self.probe = None;
        }
    }

    /// The provider failed.
    pub(crate) fn failed(mut self) {
        if let Some(shared) = &self.limiter {
            let mut state = shared.lock();
            let shut = state.breaker.failed(self.payer.tenant, self.probe.take(), Instant::now());
            if let Some(shut) = shut {
                shared.turn_away(state, shut);
            }
        }
    }

    /// The call is over, and cost this in the unit of what was expected. `whole`: the provider answered to its end.
    pub(crate) fn spent(&mut self, actual: u64, whole: bool) {
        if let Some(shared) = &self.limiter {
            let mut state = shared.lock();
            if whole {
                state.breaker.answered(self.payer.tenant);
                self.probe = None;
            }
            state.queue.correct(self.payer, self.cost, actual.max(1));
            self.is_spent = true;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(shared) = self.limiter.take() else { return };
        let held_ms = millis(self.since.elapsed());
        let mut state = shared.lock();
        state.in_use = state.in_use.saturating_sub(1);
        if self.is_answered {
            state.answering = state.answering.saturating_sub(1);
            let known = state.held_ms;
            state.held_ms = if known == 0 { held_ms } else { (known.saturating_mul(7).saturating_add(held_ms)) / 8 };
        }
        if let Some(number) = self.probe {
            state.breaker.probe_lost(self.payer.tenant, number);
        }
        if !self.is_answered && !self.is_spent {
            // Nothing came of it: it took nothing of what it was charged with.
            state.queue.correct(self.payer, self.cost, 1);
        }
        shared.pump(state);
    }
}

impl Ticket {
    /// Where it stands; `None` when it has been granted, or turned away, in this moment.
    pub fn standing(&self) -> Option<Standing> {
        let now = Instant::now();
        let state = self.shared.lock();
        let position = state.queue.position(self.payer, self.number)?;
        Some(Standing {
            position: u32::try_from(position).unwrap_or(u32::MAX),
            wait_ms: millis(state.predict(position, now)),
            paused: state.adaptive.paused(now),
        })
    }

    /// When nobody is held back any more by a pause, if there is one: [`nudge`](ConcurrencyLimiter::nudge) then.
    pub fn paused_until(&self) -> Option<Instant> {
        let now = Instant::now();
        self.shared.lock().adaptive.paused(now).map(|left| now + left)
    }
}

impl Future for Ticket {
    type Output = Result<Permit, Turned>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The sender is kept in the queue until it sends, so an error cannot happen; if it did, waiting would be the
        // harmless answer, for every wait here has an end of its own.
        match Pin::new(&mut self.granted).poll(cx) {
            Poll::Ready(Ok(outcome)) => Poll::Ready(outcome),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let waiter = state.queue.remove(self.payer, self.number);
        if let Some(waiter) = &waiter {
            let now = Instant::now();
            if now.duration_since(waiter.since) > waiter.looked.mul_f64(state.stretch()) {
                state.learn(waiter, now);
            }
        }
        drop(state);
        drop(waiter);
        // A permit that was sent in between is in `granted`, and comes back when that is dropped.
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
