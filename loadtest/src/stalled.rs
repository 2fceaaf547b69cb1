//! Readers that open a stream and then do not read it: what they cost the server, and the readers beside them.
//!
//! The same runs are measured three times in one call: alone, beside as many readers that do read, and beside those that
//! stopped. Both kinds begin at the first event of a run whose log is already longer than what the kernel buffers, so that a
//! write to each of those that stop stands still from the start. Those that read have runs of their own, with as long a log,
//! which from then on say next to nothing: they have read all of it and cost what an open stream costs at the least.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use headwater_client::protocol::Timestamp;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::child::Process;
use crate::ground::{Ground, Shape};
use crate::measure::peak_rss;
use crate::trial::{Trial, quantile, quantiles};
use crate::who::Who;
use crate::wire::Wire;
use crate::{progress, sys};

/// Room at the receiving end of a reader that does not read; the kernel makes the least it can of it.
const NARROW: u32 = 4096;
/// A connection with so much at the server's end that was not taken stands still.
const HELD_UP: u64 = 64 << 10;
/// What is on its way to the last ones fills the buffers in between first.
const SETTLE: Duration = Duration::from_secs(20);
/// What a server does at its start is not to be measured.
const WARM: Duration = Duration::from_secs(3);
/// Readers that connect at a time.
const AT_A_TIME: usize = 64;

/// Readers that stop reading, beside others that do not
#[derive(Debug, Clone, Args)]
pub(crate) struct StalledReaders {
    /// Readers that stop, and as many that read to compare them with
    #[arg(long, default_value_t = 5000)]
    readers: usize,
    /// Readers that go on, whose latencies are measured
    #[arg(long, default_value_t = 50)]
    others: usize,
    /// Runs that all of them read
    #[arg(long, default_value_t = 50)]
    streams: usize,
    /// The pause between two tokens of each
    #[arg(long, default_value_t = 50)]
    delay_ms: u64,
    /// How old the runs are when the readers come
    #[arg(long, default_value_t = 45)]
    age_seconds: u64,
    /// For how long latencies are measured, once all readers are there
    #[arg(long, default_value_t = 20)]
    hold_seconds: u64,
    /// After so long it gives up, and fails
    #[arg(long, default_value_t = 900)]
    seconds: u64,
}

/// Who is there beside the readers that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crowd {
    Nobody,
    Reading,
    Stalled,
}

/// One of the measurements.
#[derive(Debug, Default)]
struct Part {
    idle_kib: u64,
    /// When all readers were there, and when all was over.
    held_kib: (u64, u64),
    peak_kib: u64,
    open: usize,
    held_up: usize,
    opening: Duration,
    server_cpu: f64,
    /// What others did on the server's core meanwhile, as a share of it: with much of that, latencies say nothing.
    others_cpu: f64,
    /// From the event's own time to its arrival, in milliseconds.
    latencies: Vec<i64>,
    wrong: Vec<String>,
}

/// What is measured on.
struct Stage<'a> {
    server: &'a Process,
    core: usize,
    who: &'a Who,
    runs: &'a [String],
    /// Those that say little.
    quiet: &'a [String],
}

impl Crowd {
    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "alone",
            Self::Reading => "beside readers",
            Self::Stalled => "beside stalled ones",
        }
    }
}

impl StalledReaders {
    /// Measures.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Trial> {
        let mut trial = Trial::new(format!("stalled-readers, {} beside {}", self.readers, self.others));
        let all = async {
            let alone = self.part(ground, Crowd::Nobody).await?;
            let reading = self.part(ground, Crowd::Reading).await?;
            anyhow::Ok((alone, reading, self.part(ground, Crowd::Stalled).await?))
        };
        let Ok(all) = tokio::time::timeout(Duration::from_secs(self.seconds), all).await else {
            bail!("it did not come to an end within {} s", self.seconds);
        };
        let (alone, reading, stalled) = all?;
        let p99 = |part: &Part| {
            let mut sorted = part.latencies.clone();
            sorted.sort_unstable();
            quantile(&sorted, 0.99)
        };
        for (crowd, part) in [(Crowd::Nobody, &alone), (Crowd::Reading, &reading), (Crowd::Stalled, &stalled)] {
            let name = crowd.name();
            let (begin, end) = part.held_kib;
            trial.tell(
                &format!("{name}: server's RSS in KiB, idle / peak / when measuring began / ended"),
                format!("{} / {} / {begin} / {end}", part.idle_kib, part.peak_kib),
            );
            trial.tell(
                &format!("{name}: ms from event to arrival (p50 / p99 / most)"),
                quantiles(part.latencies.clone()),
            );
            trial.tell(
                &format!("{name}: the server's share of its core while measured, that of others"),
                format!("{:.2}, {:.2}", part.server_cpu, part.others_cpu),
            );
            trial.break_all(part.wrong.iter().map(|error| format!("{name}: {error}")).collect());
            if crowd == Crowd::Nobody {
                continue;
            }
            let each = part.held_kib.1.saturating_sub(alone.held_kib.1) as f64 / part.open.max(1) as f64;
            trial.tell(
                &format!("{name}: readers, opened in s, KiB each"),
                format!("{} in {:.1}, {each:.1}", part.open, part.opening.as_secs_f64()),
            );
            trial.hold(end <= begin + begin / 10, || {
                format!("{name}: the server grew from {begin} to {end} KiB while nobody new came")
            });
            trial.hold(part.open == self.readers, || {
                format!("only {} of {} readers could open", part.open, self.readers)
            });
        }
        let held_up = stalled.held_up;
        trial.tell("of the stalled, held up at the server", held_up);
        trial.hold(held_up * 10 >= stalled.open * 9, || format!("only {held_up} were held up: --age-seconds more"));
        let (with, without) = (stalled.held_kib.1, reading.held_kib.1);
        trial.tell(
            "RSS with stalled readers, of that with as many that read",
            format!("{:.2}", with as f64 / without as f64),
        );
        trial.hold(with <= without + without / 10, || {
            format!("stalled readers hold more: {with} KiB against {without}")
        });
        trial.tell(
            "p99 alone / beside readers / beside stalled ones",
            format!("{} / {} / {}", p99(&alone), p99(&reading), p99(&stalled)),
        );
        Ok(trial)
    }

    async fn part(&self, ground: &Ground, crowd: Crowd) -> anyhow::Result<Part> {
        let readers = if crowd == Crowd::Nobody { 0 } else { self.readers };
        // They are to stay for all of it: what closes them is not what is measured.
        let stall = ("HEADWATER__SERVER__WRITE_STALL_MS".to_owned(), "600000".to_owned());
        let server = ground.launcher().start(&[stall]).await?;
        // Longer than anything here takes, on a busy machine too: of a run that has ended nothing can be measured.
        let seconds = self.age_seconds + self.hold_seconds + 120 + readers as u64 / 10;
        let shape = Shape {
            tokens: (seconds * 1000 / self.delay_ms.max(1)) as usize,
            delay_ms: self.delay_ms,
            calls: false,
            slow: 0,
        };
        // As much as the others have said by the time at which the readers come, and then no more than a word now and then.
        let said = (self.age_seconds * 1000 / self.delay_ms.max(1)) as usize;
        let quiet_shape = Shape { tokens: said.max(1), slow: 200, ..shape };
        let who = ground.tenant(server.address, &format!("stalled {}", crowd.name()), &[shape, quiet_shape]).await?;
        tokio::time::sleep(WARM).await;
        let mut part = Part { idle_kib: sys::rss_kib(server.pid()), ..Part::default() };
        let (mut runs, mut quiet) = (Vec::new(), Vec::new());
        for _ in 0..self.streams.max(1) {
            runs.push(begin(&server, &who, shape).await?);
            if crowd == Crowd::Reading {
                quiet.push(begin(&server, &who, quiet_shape).await?);
            }
        }
        let bar = progress::bar(&format!("stalled-readers, {}", crowd.name()), readers as u64);
        let (pid, core) = (server.pid(), ground.options.cores.server);
        let stage = Stage { server: &server, core, who: &who, runs: &runs, quiet: &quiet };
        let (measured, peak) = peak_rss(pid, self.measure(&stage, crowd, &bar, &mut part)).await;
        measured?;
        bar.finish_and_clear();
        part.peak_kib = peak;
        // Its runs go on for long, and nobody waits for them.
        drop(server);
        Ok(part)
    }

    async fn measure(&self, stage: &Stage<'_>, crowd: Crowd, bar: &ProgressBar, part: &mut Part) -> anyhow::Result<()> {
        let Stage { server, core, who, runs, quiet } = *stage;
        tokio::time::sleep(Duration::from_secs(self.age_seconds)).await;
        let began = Instant::now();
        let (mut tasks, mut there) = (JoinSet::new(), There::default());
        let (readers, runs_of) = match crowd {
            Crowd::Nobody => (0, runs),
            Crowd::Reading => (self.readers, quiet),
            Crowd::Stalled => (self.readers, runs),
        };
        for reader in 0..readers {
            if tasks.len() == AT_A_TIME {
                there.keep(tasks.join_next().await, crowd, part);
            }
            let address = server.address;
            let request = who.events(address, &runs_of[reader % runs_of.len()], 0);
            tasks.spawn(async move {
                let mut wire = Wire::connect_narrow(address, NARROW).await.map_err(|error| error.to_string())?;
                let head = wire.request(&request).await.map_err(|error| error.to_string())?;
                if head.status == 200 { Ok(wire) } else { Err(format!("status {}", head.status)) }
            });
            bar.inc(1);
        }
        while !tasks.is_empty() {
            there.keep(tasks.join_next().await, crowd, part);
        }
        part.opening = began.elapsed();

        tokio::time::sleep(if readers > 0 { SETTLE } else { Duration::ZERO }).await;
        part.held_kib.0 = sys::rss_kib(server.pid());
        let until = Instant::now() + Duration::from_secs(self.hold_seconds);
        let (cpu, busy, from) = (sys::cpu_of(server.pid()), sys::core_busy(core), Instant::now());
        let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        let mut others = JoinSet::new();
        for reader in 0..self.others {
            let (address, seen) = (server.address, seen.clone());
            let request = who.events(address, &runs[reader % runs.len()], 0);
            // Only what is written from now on has a latency.
            let request = String::from_utf8_lossy(&request).replace("/events HTTP", "/events?after=now HTTP");
            others.spawn(async move {
                let mut wire = Wire::connect(address).await.map_err(|error| error.to_string())?;
                let reading = read(&mut wire, request.as_bytes(), &seen);
                tokio::time::timeout_at(until.into(), reading).await.unwrap_or(Ok(()))
            });
        }
        while let Some(done) = others.join_next().await {
            if let Err(error) = done.map_err(|error| error.to_string()).flatten() {
                part.wrong.push(format!("another reader: {error}"));
            }
        }
        part.held_kib.1 = sys::rss_kib(server.pid());
        if there.reading.try_join_next().is_some() {
            part.wrong.push("a stream ended".to_owned());
        }
        part.held_up = sys::held_up(server.address.port(), HELD_UP);
        let seconds = from.elapsed().as_secs_f64();
        part.server_cpu = (sys::cpu_of(server.pid()) - cpu) / seconds;
        part.others_cpu = ((sys::core_busy(core) - busy) / seconds - part.server_cpu).max(0.0);
        let mut seen = seen.lock().expect("nobody panics with it");
        part.latencies = std::mem::take(&mut seen.0);
        part.wrong.append(&mut seen.1);
        if part.latencies.is_empty() && self.others > 0 {
            part.wrong.push("the others saw nothing".to_owned());
        }
        Ok(())
    }
}

/// Reads to the end, and keeps nothing.
async fn read_on(mut wire: Wire) {
    while wire.body(|_| ()).await.unwrap_or(false) {}
}

type Opening = Option<Result<Result<Wire, String>, tokio::task::JoinError>>;

/// The crowd, as far as it has come.
#[derive(Default)]
struct There {
    stalled: Vec<Wire>,
    reading: JoinSet<()>,
}

impl There {
    fn keep(&mut self, opened: Opening, crowd: Crowd, part: &mut Part) {
        match opened.map(|opened| opened.map_err(|error| error.to_string()).flatten()) {
            None => return,
            Some(Ok(wire)) if crowd == Crowd::Reading => drop(self.reading.spawn(read_on(wire))),
            Some(Ok(wire)) => self.stalled.push(wire),
            Some(Err(error)) => return part.wrong.push(format!("a reader could not open: {error}")),
        }
        part.open += 1;
    }
}

/// Starts a run that nobody waits for.
async fn begin(server: &Process, who: &Who, shape: Shape) -> anyhow::Result<String> {
    let body = json!({ "agent": shape.model(), "input": "Go on for long." }).to_string();
    let mut wire = Wire::connect(server.address).await?;
    let head = wire.request(&who.post(server.address, "/v1/runs", "", &body)).await?;
    let text = wire.text().await?;
    if head.status != 201 {
        bail!("a run is not accepted: {} {text}", head.status);
    }
    let answer: Value = serde_json::from_str(&text)?;
    Ok(answer["id"].as_str().context("a run without an id")?.to_owned())
}

/// Reads until dropped, and writes down how late each event is.
async fn read(wire: &mut Wire, request: &[u8], seen: &Mutex<(Vec<i64>, Vec<String>)>) -> Result<(), String> {
    let head = wire.request(request).await.map_err(|error| error.to_string())?;
    if head.status != 200 {
        return Err(format!("status {}", head.status));
    }
    let mut text = Vec::new();
    loop {
        let more = wire.body(|bytes| text.extend_from_slice(bytes)).await.map_err(|error| error.to_string())?;
        let now = Timestamp::now().ms();
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data: ") else { continue };
            let Ok(event) = serde_json::from_slice::<Value>(data) else { continue };
            // Control frames have no number.
            if event["seq"].is_null() {
                continue;
            }
            if let Some(at) = event["ts"].as_str().and_then(|ts| ts.parse::<Timestamp>().ok()) {
                seen.lock().expect("nobody panics with it").0.push(now - at.ms());
            }
        }
        if !more {
            return Err("the stream ended".to_owned());
        }
    }
}
