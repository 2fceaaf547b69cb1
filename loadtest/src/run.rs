//! One run, read to its end: what all scenarios do many times.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::ProgressBar;

use crate::answer::{Answer, Side};
use crate::ground::{Pair, Shape};
use crate::measure::{Latencies, Outcome};
use crate::wire::Wire;

/// An answer that takes so much longer than the model does not come any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same run, to be made again and again.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    side: Side,
    address: SocketAddr,
    request: Bytes,
    text: Arc<str>,
    ideal: Duration,
}

impl Recipe {
    /// For one side.
    pub(crate) fn new(pair: &Pair, side: Side, shape: Shape) -> Self {
        let (address, request) = (pair.process(side).address, pair.start_request(side, shape));
        Self { side, ..Self::ours(address, request, shape) }
    }

    /// For a request of whoever it may be, to a server of ours.
    pub(crate) fn ours(address: SocketAddr, request: Bytes, shape: Shape) -> Self {
        Self { side: Side::Ours, address, request, text: shape.text().into(), ideal: shape.ideal() }
    }

    /// Makes one run over this connection, or over a new one, which is left for the next run.
    pub(crate) async fn run(&self, wire: &mut Option<Wire>, outcome: &Mutex<Outcome>) {
        let began = Instant::now();
        let result = match tokio::time::timeout(self.ideal + PATIENCE, self.read(wire)).await {
            Ok(result) => result,
            Err(_) => Err("it did not end in time".to_owned()),
        };
        let mut outcome = outcome.lock().expect("nobody panics with the outcome");
        match result {
            Ok((first, end)) => outcome.complete(first - began, (end - began).saturating_sub(self.ideal)),
            Err(error) => {
                *wire = None;
                outcome.fail(error);
            }
        }
    }

    /// The same, and when its first token was there, and its end.
    pub(crate) async fn read(&self, wire: &mut Option<Wire>) -> Result<(Instant, Instant), String> {
        if wire.as_ref().is_none_or(|wire| !wire.is_reusable()) {
            *wire = Some(Wire::connect(self.address).await.map_err(|error| format!("no connection: {error}"))?);
        }
        let wire = wire.as_mut().expect("it was just made");
        let head = wire.request(&self.request).await.map_err(|error| format!("no answer: {error}"))?;
        if !matches!(head.status, 200 | 201) {
            let mut body = Vec::new();
            while wire.body(|bytes| body.extend_from_slice(bytes)).await.unwrap_or(false) {}
            let body = String::from_utf8_lossy(&body);
            return Err(format!("status {}: {}", head.status, body.chars().take(300).collect::<String>()));
        }
        let mut answer = Answer::new(self.side, &self.text);
        while wire.body(|bytes| answer.feed(bytes, Instant::now())).await.map_err(|error| format!("cut: {error}"))? {}
        answer.complete()
    }
}

/// When the next run may begin.
#[derive(Debug)]
pub(crate) struct Pace {
    began: Instant,
    /// Runs per second; none: at once.
    rate: Option<f64>,
    left: Mutex<(u64, u64)>,
    until: Option<Instant>,
}

impl Pace {
    /// So many runs, at most so long.
    pub(crate) fn new(runs: u64, rate: Option<f64>, at_most: Option<Duration>) -> Self {
        let began = Instant::now();
        Self { began, rate, left: Mutex::new((0, runs)), until: at_most.map(|time| began + time) }
    }

    /// Waits for one's turn. `false`: there is none any more.
    pub(crate) async fn turn(&self) -> bool {
        let number = {
            let mut left = self.left.lock().expect("nobody panics with it");
            if left.0 == left.1 || self.until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
            left.0 += 1;
            left.0 - 1
        };
        if let Some(rate) = self.rate {
            tokio::time::sleep_until((self.began + Duration::from_secs_f64(number as f64 / rate)).into()).await;
        }
        true
    }
}

/// Makes runs, so many at a time, each place with a connection of its own.
pub(crate) async fn at_a_time(recipe: &Recipe, places: usize, pace: Pace, bar: &ProgressBar) -> Outcome {
    let (pace, outcome) = (Arc::new(pace), Arc::new(Mutex::new(Outcome::default())));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..places {
        let (recipe, pace, outcome, bar) = (recipe.clone(), pace.clone(), outcome.clone(), bar.clone());
        tasks.spawn(async move {
            let mut wire = None;
            while pace.turn().await {
                recipe.run(&mut wire, &outcome).await;
                bar.inc(1);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    std::mem::take(&mut outcome.lock().expect("nobody panics with the outcome"))
}

/// Makes so many runs on a connection each, begun evenly over `ramp`.
pub(crate) async fn all_at_once(recipe: &Recipe, streams: usize, ramp: Duration, bar: &ProgressBar) -> Outcome {
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let mut tasks = tokio::task::JoinSet::new();
    let began = tokio::time::Instant::now();
    for stream in 0..streams {
        let (recipe, outcome, bar) = (recipe.clone(), outcome.clone(), bar.clone());
        let at = began + ramp.mul_f64(stream as f64 / streams as f64);
        tasks.spawn(async move {
            tokio::time::sleep_until(at).await;
            recipe.run(&mut None, &outcome).await;
            bar.inc(1);
        });
    }
    while tasks.join_next().await.is_some() {}
    std::mem::take(&mut outcome.lock().expect("nobody panics with the outcome"))
}

impl Outcome {
    /// Both together.
    pub(crate) fn join(&mut self, other: Self) {
        self.complete += other.complete;
        self.failed += other.failed;
        for error in other.errors {
            if self.errors.len() < 5 && !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
        self.first_token.join(&other.first_token);
        self.completion.join(&other.completion);
    }
}

impl Latencies {
    fn join(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the same bounds");
    }
}
