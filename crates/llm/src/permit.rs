//! The queue in front of a provider: who may call it next.
//!
//! Owns [`ConcurrencyLimiter`], one per provider, with a limit that does not move. Promises that tenants take turns and
//! that each tenant's calls keep their order; that a permit comes back when it is dropped, at whatever await that
//! happens; and that nothing ticks while nobody waits. Never touches a database: the limit is this process's own.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use headwater_protocol::{ErrorCode, Money, Problem, TenantId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::request::CallContext;

/// Bounds the calls in flight at one provider. Cheap to clone; clones share the limit.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Calls at a time; 0 = no limit.
    limit: usize,
    /// Calls of one tenant that may wait.
    max_waiting: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_use: usize,
    /// Tenants that wait, in the order of their turns. Each has a queue that is not empty.
    turns: VecDeque<TenantId>,
    queues: HashMap<TenantId, VecDeque<Waiter>>,
    next_number: u64,
    /// How long a permit is held, as a moving average in milliseconds. 0 until the first one is back.
    held_ms: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    grant: oneshot::Sender<Permit>,
}

/// The right to have one call in flight. Comes back when it is dropped.
#[must_use = "a permit that is dropped is returned at once"]
#[derive(Debug)]
pub struct Permit {
    limiter: Option<Arc<Shared>>,
    since: Instant,
}

/// A place in the queue: a future of the permit. Leaves the queue when it is dropped.
#[must_use = "a ticket that is dropped leaves the queue"]
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<Shared>,
    tenant: TenantId,
    number: u64,
    granted: oneshot::Receiver<Permit>,
}

/// What a caller gets on entry.
#[derive(Debug)]
pub enum Entry {
    /// A place was free.
    Granted(Permit),
    /// All places are taken.
    Waiting(Ticket),
}

impl ConcurrencyLimiter {
    /// At most `limit` permits at a time (0 = any number), and at most `max_waiting` waiting calls of each tenant.
    pub fn new(limit: usize, max_waiting: usize) -> Self {
        Self(Arc::new(Shared { limit, max_waiting, state: Mutex::default() }))
    }

    /// Waits for a permit. `weight` is what the call is expected to cost: turns are by tenant only as yet, and a fair queue
    /// by cost takes this same shape.
    pub async fn acquire(&self, ctx: &CallContext, weight: Option<Money>) -> Result<Permit, Problem> {
        match self.enter(ctx, weight)? {
            Entry::Granted(permit) => Ok(permit),
            Entry::Waiting(ticket) => Ok(ticket.await),
        }
    }

    /// Takes a permit or a place in the queue; `capacity_exceeded` when the tenant has too many waiting already.
    pub fn enter(&self, ctx: &CallContext, _weight: Option<Money>) -> Result<Entry, Problem> {
        if self.0.limit == 0 {
            return Ok(Entry::Granted(Permit { limiter: None, since: Instant::now() }));
        }
        let mut state = self.0.lock();
        if state.in_use < self.0.limit && state.turns.is_empty() {
            state.in_use += 1;
            drop(state);
            return Ok(Entry::Granted(Permit::new(&self.0)));
        }
        let waiting = state.queues.get(&ctx.tenant).map_or(0, VecDeque::len);
        if waiting >= self.0.max_waiting {
            let wait_ms = state.predict(waiting, self.0.limit);
            drop(state);
            let detail = format!("{waiting} model calls of this tenant are waiting already");
            return Err(Problem::new(ErrorCode::CapacityExceeded, detail).with("wait_ms", wait_ms));
        }
        let number = state.next_number;
        state.next_number += 1;
        let (grant, granted) = oneshot::channel();
        let queue = state.queues.entry(ctx.tenant).or_default();
        queue.push_back(Waiter { number, grant });
        if queue.len() == 1 {
            state.turns.push_back(ctx.tenant);
        }
        drop(state);
        Ok(Entry::Waiting(Ticket { shared: Arc::clone(&self.0), tenant: ctx.tenant, number, granted }))
    }

    /// Permits that are out. Always 0 without a limit.
    pub fn in_use(&self) -> usize {
        self.0.lock().in_use
    }

    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.0.lock().queues.values().map(VecDeque::len).sum()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way; a poisoned lock would only mean a caller's panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One permit is back: passes it to whose turn it is.
    fn give_back(self: &Arc<Self>, held: Duration) {
        let mut held_ms = Some(u64::try_from(held.as_millis()).unwrap_or(u64::MAX));
        loop {
            let mut state = self.lock();
            if let Some(ms) = held_ms.take() {
                state.held_ms =
                    if state.held_ms == 0 { ms } else { (state.held_ms.saturating_mul(7).saturating_add(ms)) / 8 };
            }
            let Some(waiter) = state.next() else {
                state.in_use = state.in_use.saturating_sub(1);
                return;
            };
            drop(state);
            // Sent without the lock: a permit that nobody takes comes back through its own drop, which locks.
            match waiter.grant.send(Permit::new(self)) {
                Ok(()) => return,
                Err(mut unwanted) => unwanted.limiter = None,
            }
        }
    }
}

impl State {
    /// Takes the first waiter of the tenant whose turn it is, and puts the tenant behind the others.
    fn next(&mut self) -> Option<Waiter> {
        let tenant = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&tenant)?;
        let waiter = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        waiter
    }

    /// How many calls go before, this one included, for the `index`-th waiter (from 0) of a tenant: each other tenant has a
    /// turn for each turn of ours.
    fn position(&self, tenant: TenantId, index: usize) -> usize {
        let mut ahead = index + 1;
        let mut before_us = true;
        for other in &self.turns {
            if *other == tenant {
                before_us = false;
                continue;
            }
            let waiting = self.queues.get(other).map_or(0, VecDeque::len);
            ahead += waiting.min(index + usize::from(before_us));
        }
        ahead
    }

    /// When the waiter at this position may start, in milliseconds, from how long permits are held.
    fn predict(&self, position: usize, limit: usize) -> u64 {
        (position as u64).saturating_mul(self.held_ms).div_ceil(limit.max(1) as u64)
    }
}

impl Permit {
    fn new(shared: &Arc<Shared>) -> Self {
        Self { limiter: Some(Arc::clone(shared)), since: Instant::now() }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(shared) = self.limiter.take() {
            shared.give_back(self.since.elapsed());
        }
    }
}

impl Ticket {
    /// How many calls are in front, this one included (1 = next), and the predicted wait in milliseconds.
    pub fn place(&self) -> (u32, u64) {
        let state = self.shared.lock();
        let queue = state.queues.get(&self.tenant);
        let Some(Ok(index)) = queue.map(|queue| queue.binary_search_by_key(&self.number, |waiter| waiter.number))
        else {
            // Granted in this moment.
            return (1, 0);
        };
        let position = state.position(self.tenant, index);
        (u32::try_from(position).unwrap_or(u32::MAX), state.predict(position, self.shared.limit))
    }
}

impl Future for Ticket {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        // The sender is kept in the queue until it sends, so an error cannot happen; if it did, waiting would be the
        // harmless answer, for every wait here has an end of its own.
        match Pin::new(&mut self.granted).poll(cx) {
            Poll::Ready(Ok(permit)) => Poll::Ready(permit),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Some(queue) = state.queues.get_mut(&self.tenant) else { return };
        let Ok(index) = queue.binary_search_by_key(&self.number, |waiter| waiter.number) else { return };
        let waiter = queue.remove(index);
        if queue.is_empty() {
            state.queues.remove(&self.tenant);
            state.turns.retain(|tenant| *tenant != self.tenant);
        }
        drop(state);
        drop(waiter);
        // A permit that was sent in between is in `granted`, and comes back when that is dropped.
    }
}

#[cfg(test)]
pub(crate) mod tests;
