//! Waiting with an end: the two small tools of the call's loop.
//!
//! Owns the race between work, a timer and a cancel, and instants that cannot overflow. Promises that a cancel wins over
//! work that is ready, so that a provider that never stops talking can be stopped. Never owns the timer, so that one serves
//! a whole call.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Longer than any process runs.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Which of the three came first.
pub(super) enum Raced<T> {
    Done(T),
    Cancelled,
    TimedOut,
}

pub(super) async fn race<T>(
    cancelled: Pin<&mut impl Future<Output = ()>>,
    timer: Pin<&mut Sleep>,
    work: impl Future<Output = T>,
) -> Raced<T> {
    tokio::select! {
        biased;
        () = cancelled => Raced::Cancelled,
        done = work => Raced::Done(done),
        () = timer => Raced::TimedOut,
    }
}

/// The work's result, or `None` if the call was cancelled first.
pub(super) async fn unless<T>(
    cancelled: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = cancelled => None,
        done = work => Some(done),
    }
}

/// So many milliseconds later; whatever a request asks for, an instant that exists.
pub(super) fn later(from: Instant, ms: u64) -> Instant {
    from + Duration::from_millis(ms).min(FAR)
}

/// Whole milliseconds.
pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
