//! Gates: how a test holds a stream without sleeping.
//!
//! Owns: [`Gate`] and the one way this module waits for a condition.
//! Promises: after `pass(n)` exactly `n` further steps happen and then the stream stands still until the next `pass` or
//! `open`. A wait that cannot end panics and says what it was waiting for.
//! Never does: sleep or poll.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;

/// How long a wait may take before it is taken for a hung test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A handle that lets a gated [`Reply`](super::Reply) go on, step by step.
///
/// A step is one delta, one fault, or the end of the answer (finish reason, usage, `[DONE]`). The headers and the
/// opening chunk with the role need no step. So a gated reply of five tokens takes `pass(5)` to show all its tokens and
/// one more, or `open()`, to end. A gate belongs to one answer: if its reply is served twice, both draw from the same
/// passes.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    passes: usize,
    open: bool,
    sent: usize,
}

impl Gate {
    /// A closed gate, for [`Reply::gated_by`](super::Reply::gated_by).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the next `steps` steps through.
    pub fn pass(&self, steps: usize) {
        self.change(|state| state.passes += steps);
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.change(|state| state.open = true);
    }

    /// How many deltas were written to the socket.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.0.state.lock().expect("a gate's lock is never poisoned").sent
    }

    /// Waits until `deltas` deltas were written to the socket.
    pub async fn reached(&self, deltas: usize) {
        until(
            &self.0.changed,
            || (self.sent() >= deltas).then_some(()),
            || format!("waited for {deltas} deltas behind a gate, {} were sent", self.sent()),
        )
        .await;
    }

    /// Takes one step, waiting for it. The client's patience is the limit here, so this wait has none of its own.
    pub(super) async fn take(&self) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            {
                let mut state = self.0.state.lock().expect("a gate's lock is never poisoned");
                if state.open {
                    return;
                }
                if state.passes > 0 {
                    state.passes -= 1;
                    return;
                }
            }
            changed.await;
        }
    }

    pub(super) fn mark_sent(&self) {
        self.change(|state| state.sent += 1);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.lock().expect("a gate's lock is never poisoned"));
        self.0.changed.notify_waiters();
    }
}

/// Waits until `check` gives a value, looking again at every notification.
pub(super) async fn until<T>(changed: &Notify, check: impl Fn() -> Option<T>, gave_up: impl Fn() -> String) -> T {
    let wait = async {
        loop {
            let mut notified = std::pin::pin!(changed.notified());
            notified.as_mut().enable();
            if let Some(value) = check() {
                return value;
            }
            notified.await;
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("{}", gave_up()),
    }
}
