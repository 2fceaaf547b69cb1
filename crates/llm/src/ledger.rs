//! The seam where budgets are reserved before a call and settled after it.
//!
//! Owns the shape: a [`Reservation`] is given back by consuming it, and is released when it is dropped instead. Promises
//! that the gateway reserves after the permit and before the call, so that queued calls pin no money.
//! Never writes usage: its rows are written by the run loop in the transaction of the events that tell of them.

use futures_util::future::BoxFuture;
use headwater_protocol::Problem;

use crate::event::{Estimate, Settlement};
use crate::request::CallContext;

/// Grants or refuses money before a call.
pub trait Ledger: Send + Sync {
    /// Sets aside what the call can cost at most, in every budget that it falls under, or says which one forbids it.
    fn reserve<'a>(
        &'a self,
        ctx: &'a CallContext,
        estimate: &'a Estimate,
    ) -> BoxFuture<'a, Result<Reservation, Problem>>;
}

/// What a ledger keeps of a reservation.
pub trait Hold: Send {
    /// The call was answered and cost this much. Must neither block nor fail: a debt is kept and never forgiven.
    fn settle(self: Box<Self>, settlement: &Settlement);

    /// The call was never answered, or nobody can say: give back what was set aside.
    fn release(self: Box<Self>);
}

/// Money set aside for one attempt.
#[must_use = "a reservation that is dropped is released at once"]
pub struct Reservation(Option<Box<dyn Hold>>);

impl Reservation {
    /// A reservation that `hold` keeps.
    pub fn held(hold: Box<dyn Hold>) -> Self {
        Self(Some(hold))
    }

    /// A reservation of nothing, where no budget applies.
    pub fn open() -> Self {
        Self(None)
    }

    /// Gives it back for what the attempt did cost.
    pub fn settle(mut self, settlement: &Settlement) {
        if let Some(hold) = self.0.take() {
            hold.settle(settlement);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(hold) = self.0.take() {
            hold.release();
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Reservation(held)" } else { "Reservation(open)" })
    }
}

/// Grants everything. Budgets are a later release's; until then every call passes and its cost is only written down.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenLedger;

impl Ledger for OpenLedger {
    fn reserve<'a>(&'a self, _: &'a CallContext, _: &'a Estimate) -> BoxFuture<'a, Result<Reservation, Problem>> {
        Box::pin(std::future::ready(Ok(Reservation::open())))
    }
}
