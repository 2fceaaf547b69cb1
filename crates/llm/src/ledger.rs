//! The seam where money is set aside before a call, and where it is asked whether a run is still ours.
//!
//! Owns the shape: a [`Reservation`] of a call that was never sent is given back, by [`release`](Reservation::release) or when
//! it is dropped; once the call was [`sent`](Reservation::sent) it stays until somebody settles it, for then it may be paid
//! for. Promises that the gateway reserves after the permit and before the call, so that queued calls pin no money.
//! Never settles: that is done in the transaction of the events that tell of it, by the run loop.

use futures_util::future::BoxFuture;
use headwater_protocol::api::{BudgetMode, BudgetScope};
use headwater_protocol::{BudgetId, Money, Problem};

use crate::event::Estimate;

/// Grants or refuses money to the calls of one run.
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// Sets aside what the call can cost at most, in every budget that it falls under, or says which one forbids it.
    fn reserve<'a>(&'a self, call: Wanted<'a>) -> BoxFuture<'a, Result<Grant, Problem>>;

    /// Whether the run still is whose who asks: somebody else may have taken it over meanwhile, and read its answer on. When
    /// nobody knows, it is not. Without anything said, runs are never taken over.
    fn is_owner(&self) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(true))
    }
}

/// Money that a call wants.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The call.
    pub estimate: &'a Estimate,
    /// How much. `None`: nobody knows the price.
    pub bounds: Option<Bounds>,
    /// Whether the tenant pays the provider itself.
    pub own_key: bool,
}

/// What a call can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At most.
    pub most: Money,
    /// With less it is not worth making: its input, and an answer of [`USEFUL_OUTPUT_TOKENS`] at most.
    pub least: Money,
    /// As `most`, if every byte that goes in is a token.
    pub strict_most: Money,
    /// As `least`, if every byte that goes in is a token.
    pub strict_least: Money,
}

/// An answer of fewer tokens, unless somebody asked for fewer, is not worth paying for.
pub const USEFUL_OUTPUT_TOKENS: u32 = 64;

/// What a ledger answers.
#[derive(Debug)]
pub enum Grant {
    /// No budget covers the call.
    Open,
    /// So much is set aside.
    Granted(Granted),
    /// What others have set aside leaves too little. They will give some of it back.
    Busy,
}

/// Money that is set aside.
#[derive(Debug)]
pub struct Granted {
    /// Until it is settled or given back.
    pub reservation: Reservation,
    /// All that was wanted, or what there was: at least [`Bounds::least`].
    pub amount: Money,
    /// Whether a strict budget covers the call.
    pub strict: bool,
    /// Budgets that are about to be used up.
    pub warnings: Vec<BudgetWarning>,
}

/// A budget that is about to be used up.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetWarning {
    /// Which.
    pub budget: BudgetId,
    /// Whose calls it covers.
    pub scope: BudgetScope,
    /// What happens when it is.
    pub mode: BudgetMode,
    /// Its limit.
    pub limit: Money,
    /// What was spent of it, before this call.
    pub spent: Money,
    /// The first day of its window; 1970-01-01 for all time.
    pub since: jiff::civil::Date,
}

/// How a ledger takes money back that was set aside for a call that was never sent.
pub trait Hold: Send {
    /// Gives it back. Must not fail: what cannot be given back now is when the run ends.
    fn release(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Money set aside for one attempt.
#[must_use = "a reservation that is dropped before the call is sent is given back"]
pub struct Reservation {
    hold: Option<Box<dyn Hold>>,
    sent: bool,
}

impl Reservation {
    /// A reservation that `hold` keeps.
    pub fn held(hold: Box<dyn Hold>) -> Self {
        Self { hold: Some(hold), sent: false }
    }

    /// A reservation of nothing, where no budget applies.
    pub fn open() -> Self {
        Self { hold: None, sent: false }
    }

    /// Whether any money is set aside.
    pub fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    /// From here on the call may be paid for: whatever becomes of this process, what was set aside stays until it is settled.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// The provider has refused the call, or never had it.
    pub async fn release(mut self) {
        if let Some(hold) = self.hold.take() {
            hold.release().await;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take().filter(|_| !self.sent)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(hold.release());
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.hold.is_some() { "Reservation(held)" } else { "Reservation(open)" })
    }
}

/// Grants everything, and keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenLedger;

impl Ledger for OpenLedger {
    fn reserve<'a>(&'a self, _: Wanted<'a>) -> BoxFuture<'a, Result<Grant, Problem>> {
        Box::pin(std::future::ready(Ok(Grant::Open)))
    }
}
