//! Readers that are cut at random bytes and come back.
//!
//! Of each run there is one reader through the SDK, which makes the run over a link that is cut again and again, and
//! some on bare sockets that are cut anywhere, in the middle of the head too. Promises that what each of them put
//! together is compared, byte for byte, with one uncut reading after the run's end. The same seed makes the same cuts.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Args;
use headwater_client::protocol::api::RunParams;
use headwater_client::{Client, Options, RetryPolicy, StreamItem, StreamOptions};
use indicatif::ProgressBar;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answer::Side;
use crate::cut::{self, Cutter};
use crate::ground::{Ground, Pair, Shape};
use crate::log::{Frame, Log};
use crate::measure::{Meter, Outcome, Stretch};
use crate::progress;
use crate::report::Case;
use crate::run::{Pace, Recipe, all_at_once, at_a_time};
use crate::wire::Wire;
use headwater_testkit::Random;

/// How long one reader may take for a run of 3.15 s.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest piece between two cuts.
const LONGEST: u64 = 8192;

/// Readers cut at random bytes, which come back until they have seen everything, each event once
#[derive(Debug, Clone, Args)]
pub(crate) struct ResumeStorm {
    /// Runs at once, 64 tokens each, 50 ms apart
    #[arg(long, default_value_t = 200)]
    streams: usize,
    /// Readers of each run on bare sockets, beside the one through the SDK
    #[arg(long, default_value_t = 3)]
    readers: usize,
    /// Makes the same cuts again
    #[arg(long)]
    seed: Option<u64>,
}

impl Default for ResumeStorm {
    fn default() -> Self {
        Self { streams: 200, readers: 3, seed: None }
    }
}

/// What the readers went through.
#[derive(Debug, Default)]
struct Storm {
    outcome: Outcome,
    readers: u64,
    connections: u64,
    sdk_connections: u64,
    events: u64,
    bytes: u64,
}

impl ResumeStorm {
    /// Measures.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Vec<Case>> {
        let seed = cut::seed("resume-storm", self.seed)?;
        let (quick, shape) = (
            Shape { tokens: 32, delay_ms: 0, calls: false, slow: 0 },
            Shape { tokens: 64, delay_ms: 50, calls: false, slow: 0 },
        );
        let name = format!("resume-storm, {} runs × {} readers", self.streams, self.readers + 1);
        let pair = ground.pair(&[quick, shape]).await?;
        for side in [Side::Ours, Side::Relay] {
            let bar = progress::bar(&format!("{name}: warming up"), 64);
            at_a_time(&Recipe::new(&pair, side, quick), 4, Pace::new(64, None, None), &bar).await;
            bar.finish_and_clear();
        }
        let before = ground.settle().await?;
        let pair = Arc::new(pair);
        let (mut ours, mut relay) = (Meter::default(), Meter::default());

        let bar = progress::bar(&format!("{name}: {}", Side::Ours.name()), self.streams as u64);
        let stretch = Stretch::begin(ground, &pair, Side::Ours);
        let storm = self.storm(&pair, shape, seed, &bar).await?;
        stretch.end(ground, &pair, &mut ours);
        bar.finish_and_clear();
        let quiet_since = Instant::now();
        ours.outcome = storm.outcome;

        // A relay has nothing to come back to: its readers are not cut.
        let bar = progress::bar(&format!("{name}: {}, uncut", Side::Relay.name()), self.streams as u64);
        let stretch = Stretch::begin(ground, &pair, Side::Relay);
        let recipe = Recipe::new(&pair, Side::Relay, shape);
        relay.outcome = all_at_once(&recipe, self.streams, Duration::from_secs(1), &bar).await;
        stretch.end(ground, &pair, &mut relay);
        bar.finish_and_clear();

        ours.counters = Some((before, ground.counters(quiet_since).await?));
        if let Ok(pair) = Arc::try_unwrap(pair).map_err(|_| ()) {
            pair.stop().await?;
        }
        let mut case = Case::new(name, ours.figures(Side::Ours), relay.figures(Side::Relay));
        case.notes.push(format!(
            "{} readers saw every event exactly once and byte-equal, {} events and {} KiB in all, over {} connections \
             of bare sockets and {} of the SDK; seed {seed}. The relay's readers are not cut: they could not go on. Times of headwater are \
             those of cut readers, their pauses included.",
            storm.readers,
            storm.events,
            storm.bytes / 1024,
            storm.connections,
            storm.sdk_connections,
        ));
        Ok(vec![case])
    }

    async fn storm(&self, pair: &Arc<Pair>, shape: Shape, seed: u64, bar: &ProgressBar) -> anyhow::Result<Storm> {
        let cutter = Cutter::start(pair.server.address, seed, LONGEST * 2).await?;
        let retry = RetryPolicy { base: Duration::from_millis(20), ..RetryPolicy::default() };
        let client = Client::builder(format!("http://{}", cutter.address()))
            .api_key(&pair.who.key)
            .as_user(&pair.who.user)
            .retry(retry)
            .build()?;
        let storm = Arc::new(Mutex::new(Storm::default()));
        let mut tasks = JoinSet::new();
        let began = tokio::time::Instant::now();
        for stream in 0..self.streams {
            let (storm, pair, client, bar) = (storm.clone(), pair.clone(), client.clone(), bar.clone());
            let at = began + Duration::from_secs(1).mul_f64(stream as f64 / self.streams as f64);
            let (readers, seed) = (self.readers, seed ^ ((stream as u64 + 1) << 20));
            tasks.spawn(async move {
                tokio::time::sleep_until(at).await;
                let result = one_run(&pair, &client, shape, readers, seed, &storm).await;
                let mut storm = storm.lock().expect("nobody panics with it");
                match result {
                    Ok((first, end)) => storm.outcome.complete(first, end.saturating_sub(shape.ideal())),
                    Err(error) => storm.outcome.fail(error),
                }
                bar.inc(1);
            });
        }
        while tasks.join_next().await.is_some() {}
        Ok(std::mem::take(&mut storm.lock().expect("nobody panics with it")))
    }
}

/// One run and all its readers. Times are those of the reader that was done last.
async fn one_run(
    pair: &Arc<Pair>,
    client: &Client,
    shape: Shape,
    readers: usize,
    seed: u64,
    storm: &Mutex<Storm>,
) -> Result<(Duration, Duration), String> {
    let began = Instant::now();
    let (tell, run) = watch::channel(None::<String>);
    let mut tasks = JoinSet::new();
    for reader in 0..readers {
        let (pair, mut run) = (pair.clone(), run.clone());
        tasks.spawn(async move {
            let run = match run.wait_for(Option::is_some).await {
                Ok(run) => run.clone().unwrap_or_default(),
                Err(_) => return Err("the run was not made".to_owned()),
            };
            let read = read_cut(&pair, &run, Random::new(seed + reader as u64));
            tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| Err("a reader did not end in time".into()))
        });
    }
    let through_sdk = read_with_sdk(client, shape, tell);
    let sdk = tokio::time::timeout(PATIENCE, through_sdk).await.unwrap_or_else(|_| Err("the SDK did not end".into()));
    let (mut read, mut failed) = (Vec::new(), None);
    while let Some(done) = tasks.join_next().await {
        match done.map_err(|error| error.to_string()).flatten() {
            Ok(reading) => read.push(reading),
            Err(error) => failed = Some(error),
        }
    }
    let sdk = sdk?;
    if let Some(error) = failed {
        return Err(error);
    }
    let whole = read_whole(pair, &sdk.run).await?;
    let first = read.iter().map(|reading| reading.first).min().unwrap_or(sdk.end) - began;
    let end = read.iter().map(|reading| reading.end).max().unwrap_or(sdk.end) - began;
    for reading in &read {
        whole.compare(&reading.log)?;
    }
    if whole.frames().len() != sdk.lines.len() {
        return Err(format!("the SDK saw {} of {} events", sdk.lines.len(), whole.frames().len()));
    }
    if whole.frames().iter().zip(&sdk.lines).any(|(frame, line)| frame.data() != &line[..]) {
        return Err("the SDK saw other bytes".to_owned());
    }
    if sdk.duplicates > 0 {
        return Err(format!("the SDK was sent {} events twice", sdk.duplicates));
    }
    whole.check_text(&shape.text())?;
    let mut storm = storm.lock().expect("nobody panics with it");
    storm.readers += read.len() as u64 + 1;
    storm.sdk_connections += sdk.connections;
    storm.connections += read.iter().map(|reading| reading.connections).sum::<u64>();
    storm.events += (whole.frames().len() * (read.len() + 1)) as u64;
    storm.bytes += (whole.frames().iter().map(Frame::len).sum::<usize>() * (read.len() + 1)) as u64;
    Ok((first, end))
}

struct Reading {
    log: Log,
    connections: u64,
    first: Instant,
    end: Instant,
}

/// Reads a run over connections that are cut, each after a random number of bytes.
async fn read_cut(pair: &Pair, run: &str, mut random: Random) -> Result<Reading, String> {
    let (mut log, mut connections, mut first) = (Log::default(), 0, None);
    loop {
        connections += 1;
        let cut = read_once(pair, run, &mut log, Some(random.up_to(LONGEST)), &mut first).await?;
        if !cut && !log.is_over() {
            return Err(format!("the stream ended after event {} without the run's end", log.last()));
        }
        if log.is_over() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(random.up_to(60))).await;
    }
    let end = Instant::now();
    // Whoever comes back after the end is told that there is nothing left.
    let mut wire = Wire::connect(pair.server.address).await.map_err(|error| error.to_string())?;
    let head = wire.request(&pair.events_request(run, log.last())).await.map_err(|error| error.to_string())?;
    if head.status != 204 {
        return Err(format!("after the end: status {}, not 204", head.status));
    }
    Ok(Reading { log, connections, first: first.unwrap_or(end), end })
}

/// Reads on from where `log` stands. `true`: it was cut.
async fn read_once(
    pair: &Pair,
    run: &str,
    log: &mut Log,
    cut_after: Option<u64>,
    first: &mut Option<Instant>,
) -> Result<bool, String> {
    use std::io::ErrorKind;
    let cut = |error: &io::Error| error.kind() == ErrorKind::ConnectionAborted && cut_after.is_some();
    let address: SocketAddr = pair.server.address;
    let mut wire = Wire::connect(address).await.map_err(|error| format!("no connection: {error}"))?;
    if let Some(bytes) = cut_after {
        wire.cut_after(bytes as usize);
    }
    log.reconnect();
    match wire.request(&pair.events_request(run, log.last())).await {
        Ok(head) if head.status == 200 => {}
        Ok(head) => return Err(format!("status {} after event {}", head.status, log.last())),
        Err(error) if cut(&error) => return Ok(true),
        Err(error) => return Err(format!("no answer: {error}")),
    }
    let mut wrong = None;
    loop {
        let more = wire.body(|bytes| {
            if let Err(error) = log.feed(bytes) {
                wrong.get_or_insert(error);
            }
        });
        let more = more.await;
        if log.last() > 0 {
            first.get_or_insert_with(Instant::now);
        }
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        match more {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) if cut(&error) => return Ok(true),
            Err(error) => return Err(format!("broken after event {}: {error}", log.last())),
        }
    }
}

/// The whole log, uncut.
async fn read_whole(pair: &Pair, run: &str) -> Result<Log, String> {
    let mut log = Log::default();
    read_once(pair, run, &mut log, None, &mut None).await?;
    if log.is_over() { Ok(log) } else { Err("the whole log has no end".to_owned()) }
}

struct SdkReading {
    run: String,
    lines: Vec<bytes::Bytes>,
    connections: u64,
    duplicates: u64,
    end: Instant,
}

/// Makes a run over links that are cut and follows it to its end.
async fn read_with_sdk(
    client: &Client,
    shape: Shape,
    tell: watch::Sender<Option<String>>,
) -> Result<SdkReading, String> {
    let params = RunParams::new(shape.model(), "Please tell me where order 7 is.");
    let options = StreamOptions { attempts: 50, retry: Duration::from_millis(20), ..StreamOptions::default() };
    let stream = client.runs_create_stream(&params, Options::new()).map_err(|error| error.to_string())?;
    let (mut stream, mut lines) = (stream.with_options(options), Vec::new());
    while let Some(item) = stream.next_item().await {
        match item.map_err(|error| format!("the SDK gave up: {error}"))? {
            StreamItem::Event(line) => lines.push(bytes::Bytes::copy_from_slice(line.raw())),
            StreamItem::CaughtUp { .. } => {}
            other @ (StreamItem::Hidden(_) | StreamItem::Reset(_)) => return Err(format!("unexpected: {other:?}")),
        }
        if tell.borrow().is_none()
            && let Some(run) = stream.run()
        {
            let _ = tell.send(Some(run.to_string()));
        }
    }
    let stats = stream.stats();
    let run = stream.run().ok_or("a stream without a run")?.to_string();
    Ok(SdkReading { run, lines, connections: stats.connections, duplicates: stats.duplicates, end: Instant::now() })
}
