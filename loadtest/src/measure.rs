//! What a stretch of load cost: CPU by process, how busy the cores were, latencies, memory.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::answer::Side;
use crate::ground::{Counters, Ground, Pair};
use crate::sys;

/// A core that was busier than this was itself the limit, and says nothing about the server.
pub(crate) const VOID_ABOVE: f64 = 0.85;

/// Latencies, as far as a microsecond matters.
#[derive(Debug)]
pub(crate) struct Latencies(pub(crate) Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are in order"))
    }
}

impl Latencies {
    /// Adds one.
    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.saturating_record((latency.as_micros() as u64).max(1));
    }

    /// In milliseconds.
    pub(crate) fn at(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// What became of the runs of one stretch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Complete runs.
    pub(crate) complete: u64,
    /// Others.
    pub(crate) failed: u64,
    /// What the first ones of them died of.
    pub(crate) errors: Vec<String>,
    /// From the request to the first token.
    pub(crate) first_token: Latencies,
    /// From the request to the end, without the model's own time.
    pub(crate) completion: Latencies,
}

impl Outcome {
    /// One run ended well.
    pub(crate) fn complete(&mut self, first_token: Duration, completion: Duration) {
        self.complete += 1;
        self.first_token.add(first_token);
        self.completion.add(completion);
    }

    /// One run did not.
    pub(crate) fn fail(&mut self, error: String) {
        self.failed += 1;
        if self.errors.len() < 5 && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }
}

/// Readings of all clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    server: f64,
    postgres: f64,
    model: f64,
    generator: f64,
    server_core: f64,
    load_core: f64,
}

/// Reads the clocks before and after a stretch of load on one side, and adds up the differences.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    wall: f64,
    server: f64,
    postgres: f64,
    model: f64,
    generator: f64,
    server_core: f64,
    load_core: f64,
    pub(crate) outcome: Outcome,
    /// KiB above idle at the peak, and how many streams were open.
    pub(crate) memory: Option<(u64, usize)>,
    pub(crate) counters: Option<(Counters, Counters)>,
}

/// A stretch under way.
#[derive(Debug)]
#[must_use]
pub(crate) struct Stretch {
    side: Side,
    from: Reading,
}

fn read(ground: &Ground, pair: &Pair, side: Side) -> Reading {
    let cores = ground.options.cores;
    Reading {
        at: Instant::now(),
        server: sys::cpu_of(pair.process(side).pid()),
        postgres: sys::cpu_of_tree(ground.postgres_pid()),
        model: sys::cpu_of(ground.model_pid()),
        generator: sys::cpu_of(std::process::id()),
        server_core: sys::core_busy(cores.server),
        load_core: sys::core_busy(cores.load),
    }
}

impl Stretch {
    /// Begins one.
    pub(crate) fn begin(ground: &Ground, pair: &Pair, side: Side) -> Self {
        Self { side, from: read(ground, pair, side) }
    }

    /// Ends it.
    pub(crate) fn end(self, ground: &Ground, pair: &Pair, meter: &mut Meter) {
        let (from, to) = (self.from, read(ground, pair, self.side));
        meter.wall += (to.at - from.at).as_secs_f64();
        meter.server += to.server - from.server;
        meter.postgres += to.postgres - from.postgres;
        meter.model += to.model - from.model;
        meter.generator += to.generator - from.generator;
        meter.server_core += to.server_core - from.server_core;
        meter.load_core += to.load_core - from.load_core;
    }
}

/// One side of a case, in figures. Times are milliseconds, shares are of one core.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) complete: u64,
    pub(crate) failed: u64,
    pub(crate) errors: Vec<String>,
    pub(crate) seconds: f64,
    pub(crate) runs_per_second: f64,
    pub(crate) server_cpu_ms_per_run: f64,
    pub(crate) postgres_cpu_ms_per_run: f64,
    pub(crate) model_cpu_ms_per_run: f64,
    pub(crate) generator_cpu_ms_per_run: f64,
    pub(crate) first_token_added_p50_ms: f64,
    pub(crate) first_token_added_p99_ms: f64,
    pub(crate) completion_added_p50_ms: f64,
    pub(crate) completion_added_p99_ms: f64,
    pub(crate) rss_kib_per_stream: Option<f64>,
    /// Written, packing included.
    pub(crate) log_rows_written_per_run: Option<f64>,
    /// Left at the end.
    pub(crate) log_rows_kept_per_run: Option<f64>,
    pub(crate) commits_per_run: Option<f64>,
    pub(crate) server_core_busy: f64,
    pub(crate) load_core_busy: f64,
    /// What neither the server under test nor we did there.
    pub(crate) server_core_others: f64,
    pub(crate) load_core_others: f64,
    pub(crate) void: bool,
}

impl Meter {
    /// The figures.
    pub(crate) fn figures(self, side: Side) -> Figures {
        let Outcome { complete, failed, errors, first_token, completion } = self.outcome;
        let (wall, runs) = (self.wall.max(1e-9), (complete + failed).max(1) as f64);
        let per_run = |seconds: f64| seconds * 1000.0 / runs;
        let counted = self.counters.filter(|_| side == Side::Ours);
        let mine = self.generator + self.model + self.postgres;
        let busy = self.load_core / wall;
        Figures {
            complete,
            failed,
            errors,
            seconds: self.wall,
            runs_per_second: complete as f64 / wall,
            server_cpu_ms_per_run: per_run(self.server),
            postgres_cpu_ms_per_run: if side == Side::Ours { per_run(self.postgres) } else { 0.0 },
            model_cpu_ms_per_run: per_run(self.model),
            generator_cpu_ms_per_run: per_run(self.generator),
            first_token_added_p50_ms: first_token.at(0.5),
            first_token_added_p99_ms: first_token.at(0.99),
            completion_added_p50_ms: completion.at(0.5),
            completion_added_p99_ms: completion.at(0.99),
            rss_kib_per_stream: self.memory.map(|(kib, streams)| kib as f64 / streams.max(1) as f64),
            log_rows_written_per_run: counted.map(|(from, to)| (to.written - from.written) as f64 / runs),
            log_rows_kept_per_run: counted.map(|(from, to)| (to.kept - from.kept) as f64 / runs),
            commits_per_run: counted.map(|(from, to)| (to.commits - from.commits) as f64 / runs),
            server_core_busy: self.server_core / wall,
            load_core_busy: busy,
            server_core_others: (self.server_core - self.server).max(0.0) / wall,
            load_core_others: (self.load_core - mine).max(0.0) / wall,
            void: busy > VOID_ABOVE,
        }
    }
}

/// The most memory that a process has while something goes on.
pub(crate) async fn peak_rss<T>(pid: u32, during: impl Future<Output = T>) -> (T, u64) {
    let mut during = std::pin::pin!(during);
    let mut peak = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(25));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            done = &mut during => return (done, peak.max(sys::rss_kib(pid))),
            _ = tick.tick() => peak = peak.max(sys::rss_kib(pid)),
        }
    }
}
