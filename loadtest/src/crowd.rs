//! Many runs of many tenants, each begun at some server and read at all of them.
//!
//! A run is asked for under an idempotency key, again and again, until some server has accepted it; then its readers
//! follow it to its end. Promises that what was accepted is known even if time is up before the end, and that everything
//! random follows from the seed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::follow::{self, Reading};
use crate::ground::{Ground, Shape};
use crate::trial::Trial;
use crate::who::Who;
use crate::wire::Wire;
use headwater_testkit::Random;

/// Of each answer: 2 to 4 seconds.
pub(crate) const SHAPES: [Shape; 6] = [
    Shape { tokens: 40, delay_ms: 50, calls: false, slow: 0 },
    Shape { tokens: 50, delay_ms: 40, calls: false, slow: 0 },
    Shape { tokens: 60, delay_ms: 40, calls: false, slow: 0 },
    Shape { tokens: 70, delay_ms: 45, calls: false, slow: 0 },
    Shape { tokens: 80, delay_ms: 30, calls: false, slow: 0 },
    Shape { tokens: 80, delay_ms: 50, calls: false, slow: 0 },
];
/// How long one request for a run may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many runs, and for how long.
#[derive(Debug, Clone, Copy)]
struct CrowdOptions {
    pub(crate) runs: u64,
    pub(crate) at_a_time: u64,
    pub(crate) seed: u64,
    pub(crate) until: Instant,
}

/// How large a scenario with a crowd is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) runs: u64,
    pub(crate) at_a_time: u64,
    pub(crate) tenants: usize,
    pub(crate) replicas: usize,
    pub(crate) seconds: u64,
}

/// A crowd before a fleet, and the trial that is held of both.
pub(crate) struct Scene {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) tenants: Arc<Vec<Who>>,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) trial: Trial,
}

impl Scene {
    /// Starts the servers, with this environment and a direct URL if they are to hear each other, and makes the tenants.
    pub(crate) async fn set(
        ground: &mut Ground,
        name: &str,
        size: Size,
        seed: u64,
        environment: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let environment = environment.into_iter().chain(ground.direct_url()).collect();
        let fleet = Arc::new(Fleet::start(ground.launcher(), size.replicas.max(2), environment).await?);
        let tenants = tenants(ground, &fleet, size.tenants.max(1)).await?;
        ground.record_calls().await?;
        let trial = Trial::new(format!("{name}, {} runs at {} servers", size.runs, fleet.len()));
        let until = Instant::now() + Duration::from_secs(size.seconds);
        let options = CrowdOptions { runs: size.runs, at_a_time: size.at_a_time, seed, until };
        let crowd = Crowd::new(options, fleet.clone(), tenants.clone());
        Ok(Self { fleet, tenants, crowd, trial })
    }
}

/// One run that was accepted.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its place in the order of asking, by which the model's calls are told apart.
    pub(crate) number: u64,
    pub(crate) run: String,
    pub(crate) tenant: usize,
    pub(crate) shape: Shape,
    /// What its readers saw. Empty: time was up.
    pub(crate) readings: Vec<Result<Reading, String>>,
}

/// Everything that came of it.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) told: BTreeMap<u64, Told>,
    /// Requests that failed for good, in words.
    pub(crate) refused: Vec<String>,
    /// Why requests were sent again, and how often.
    pub(crate) again: BTreeMap<String, u64>,
}

/// The crowd, at work.
#[derive(Debug)]
pub(crate) struct Crowd {
    options: CrowdOptions,
    fleet: Arc<Fleet>,
    tenants: Arc<Vec<Who>>,
    heard: Mutex<Heard>,
    next: Mutex<u64>,
}

/// What the user says in one of the runs.
pub(crate) fn question(number: u64) -> String {
    format!("Please tell me, in as many words as you like, where order {number} is.")
}

/// So many tenants, each with an agent of every shape.
async fn tenants(ground: &Ground, fleet: &Fleet, count: usize) -> anyhow::Result<Arc<Vec<Who>>> {
    let address = fleet.addresses()[0];
    let mut tenants = Vec::new();
    for number in 0..count {
        tenants.push(ground.tenant(address, &format!("tenant {number}"), &SHAPES).await?);
    }
    Ok(Arc::new(tenants))
}

impl Crowd {
    /// Before it begins.
    fn new(options: CrowdOptions, fleet: Arc<Fleet>, tenants: Arc<Vec<Who>>) -> Arc<Self> {
        Arc::new(Self { options, fleet, tenants, heard: Mutex::default(), next: Mutex::default() })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Heard) -> T) -> T {
        change(&mut self.heard.lock().expect("nobody panics with what was heard"))
    }

    /// How many runs were accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.change(|heard| heard.told.len() as u64)
    }

    /// Makes all runs and reads them; returns early when time is up.
    pub(crate) async fn work(self: &Arc<Self>, bar: &ProgressBar) {
        let mut tasks = JoinSet::new();
        for _ in 0..self.options.at_a_time {
            let (crowd, bar) = (self.clone(), bar.clone());
            tasks.spawn(async move {
                while let Some(number) = crowd.turn() {
                    crowd.one(number).await;
                    bar.inc(1);
                }
            });
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        // Readers give up by themselves a little earlier, and say where they stood.
        let _ = tokio::time::timeout_at((self.options.until + Duration::from_secs(15)).into(), all).await;
    }

    /// What came of it.
    pub(crate) fn heard(&self) -> Heard {
        self.change(std::mem::take)
    }

    fn turn(&self) -> Option<u64> {
        let mut next = self.next.lock().expect("nobody panics with it");
        let number = *next;
        if number == self.options.runs || Instant::now() > self.options.until {
            return None;
        }
        *next += 1;
        Some(number)
    }

    async fn one(self: &Arc<Self>, number: u64) {
        let mut random = Random::new(self.options.seed).branch(number);
        // The first runs come one after the other, so that not all of them are of the same age.
        if number < self.options.at_a_time {
            tokio::time::sleep(Duration::from_millis(number * 3000 / self.options.at_a_time)).await;
        }
        let tenant = random.up_to(self.tenants.len() as u64) as usize - 1;
        let shape = random.one_of(&SHAPES).expect("there are shapes");
        let run = match self.ask(number, &self.tenants[tenant], shape, &mut random).await {
            Ok(run) => run,
            Err(error) => return self.change(|heard| heard.refused.push(format!("run {number}: {error}"))),
        };
        let told = Told { number, run: run.clone(), tenant, shape, readings: Vec::new() };
        self.change(|heard| heard.told.insert(number, told));
        let mut readers = JoinSet::new();
        for reader in 0..=u64::from(random.up_to(4) == 1) {
            let (crowd, run, random) = (self.clone(), run.clone(), random.branch(reader));
            readers.spawn(async move {
                let who = &crowd.tenants[tenant];
                follow::follow(&crowd.fleet, who, &run, random, true, crowd.options.until).await
            });
        }
        while let Some(reading) = readers.join_next().await {
            let reading = reading.map_err(|error| error.to_string()).flatten();
            self.change(|heard| heard.told.get_mut(&number).expect("it was just put there").readings.push(reading));
        }
    }

    async fn ask(&self, number: u64, who: &Who, shape: Shape, random: &mut Random) -> Result<String, String> {
        let body = json!({ "agent": shape.model(), "input": question(number) }).to_string();
        let headers = format!("idempotency-key: run-{}-{number}\r\n", self.options.seed);
        let asking = Asking { fleet: &self.fleet, who, headers: &headers, body: &body, until: self.options.until };
        asking.until_accepted(random, |why| self.change(|heard| *heard.again.entry(why).or_default() += 1)).await
    }
}

/// A request for a run, under an idempotency key.
pub(crate) struct Asking<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) who: &'a Who,
    /// Lines, each with its end.
    pub(crate) headers: &'a str,
    pub(crate) body: &'a str,
    pub(crate) until: Instant,
}

impl Asking<'_> {
    /// Asks until some server has accepted it. The same key all the while: however often it is asked for, it is one run.
    /// `again`: why it is sent once more.
    pub(crate) async fn until_accepted(&self, random: &mut Random, again: impl Fn(String)) -> Result<String, String> {
        loop {
            let why = match tokio::time::timeout(PATIENCE, self.once(random)).await {
                Ok(Ok(Ok(run))) => return Ok(run),
                Ok(Ok(Err(for_good))) => return Err(for_good),
                Ok(Err(why)) => why,
                Err(_) => "no answer in time".to_owned(),
            };
            if Instant::now() > self.until {
                return Err(format!("not accepted when time was up; last: {why}"));
            }
            again(why);
            tokio::time::sleep(Duration::from_millis(20 + random.up_to(180))).await;
        }
    }

    /// The outer error may be tried again.
    async fn once(&self, random: &mut Random) -> Result<Result<String, String>, String> {
        let Self { who, headers, body, .. } = self;
        let address = self.fleet.any(random);
        let broken = |error: std::io::Error| error.kind().to_string();
        let mut wire = Wire::connect(address).await.map_err(broken)?;
        let head = wire.request(&who.post(address, "/v1/runs", headers, body)).await.map_err(broken)?;
        let text = wire.text().await.map_err(broken)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let code = answer["code"].as_str().unwrap_or_default();
        match head.status {
            201 => Ok(answer["id"].as_str().map(str::to_owned).ok_or(format!("201 without a run: {text}"))),
            status if status >= 500 => Err(format!("{status} {code}")),
            status if !head.has_request_id => Err(format!("{status} without Request-Id")),
            // The first request with this key is still under way there: ours, which we gave up.
            409 if code == "idempotency_in_progress" => Err(format!("409 {code}")),
            status => Ok(Err(format!("{status}: {text}"))),
        }
    }
}
