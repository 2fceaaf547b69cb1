//! Saying what takes so long, but only once it does.
//!
//! A step that is over within a second is never mentioned. On a terminal the rest is a line that moves and goes away;
//! elsewhere it is one plain line each.

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const PATIENCE: Duration = Duration::from_secs(1);

/// Tells of one step after another, on stderr. Dropped, it tidies up.
#[derive(Debug)]
pub(super) struct Progress {
    steps: Option<mpsc::Sender<String>>,
    teller: Option<thread::JoinHandle<()>>,
}

impl Progress {
    /// Begins without a step.
    pub(super) fn new() -> Self {
        let (steps, inbox) = mpsc::channel();
        // A thread, because what takes long may keep the runtime busy.
        let teller = thread::Builder::new().name("progress".into()).spawn(move || tell(&inbox)).ok();
        Self { steps: Some(steps), teller }
    }

    /// The next step begins, and the one before is over.
    pub(super) fn step(&self, words: impl Into<String>) {
        if let Some(steps) = &self.steps {
            let _ = steps.send(words.into());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.steps = None;
        if let Some(teller) = self.teller.take() {
            let _ = teller.join();
        }
    }
}

fn tell(inbox: &mpsc::Receiver<String>) {
    let mut step = inbox.recv();
    while let Ok(words) = step {
        step = match inbox.recv_timeout(PATIENCE) {
            Ok(next) => Ok(next),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) if std::io::stderr().is_terminal() => {
                let bar = ProgressBar::new_spinner().with_elapsed(PATIENCE).with_style(
                    ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("the template is right"),
                );
                bar.set_message(words);
                bar.enable_steady_tick(Duration::from_millis(120));
                let next = inbox.recv();
                bar.finish_and_clear();
                next
            }
            Err(RecvTimeoutError::Timeout) => {
                super::output::note(&format!("{words} …"));
                inbox.recv()
            }
        };
    }
}
