//! One tenant that floods a provider with few places, and nine that ask for less than their share: who waits how long.
//!
//! Promises that the same questions at the same times are asked twice: once by ten tenants, once all in the name of one user
//! of one tenant, whose calls go first come, first served: what a plain queue would do. What is told comes from the ledger,
//! which knows of each call how long it waited and how long it took.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use headwater_client::Client;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::ground::{Ground, Shape};
use crate::progress;
use crate::trial::{Trial, counted, quantile};
use crate::who::Who;
use crate::wire::Wire;

/// A second of service.
const SHAPE: Shape = Shape { tokens: 21, delay_ms: 50, calls: false, slow: 0 };
/// Not counted at the beginning: the places are not all taken yet.
const WARM: Duration = Duration::from_secs(5);
/// The one that floods, among the agents.
const FLOOD: &str = "flood";

/// A flood beside light tenants, at a provider with few places
#[derive(Debug, Clone, Args)]
pub(crate) struct NoisyNeighbour {
    /// Calls that the provider takes at a time
    #[arg(long, default_value_t = 16)]
    slots: usize,
    /// Light tenants
    #[arg(long, default_value_t = 9)]
    light: usize,
    /// What each light tenant asks for, as a part of an even share of what the provider can do
    #[arg(long, default_value_t = 0.5)]
    part: f64,
    /// What the loud tenant asks for, in times of all that the provider can do
    #[arg(long, default_value_t = 10.0)]
    flood: f64,
    /// How long
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How long a call would wait
    #[arg(long, default_value_t = 10_000)]
    max_queue_ms: u64,
}

/// One of the two ways.
#[derive(Debug, Default)]
struct Way {
    waits: BTreeMap<bool, Vec<i64>>,
    /// Calls of each agent that began while it was measured.
    served: BTreeMap<String, u64>,
    /// Runs of each agent that were asked for while it was measured.
    asked: BTreeMap<String, u64>,
    rejected: BTreeMap<bool, BTreeMap<String, u64>>,
    utilisation: f64,
    service_ms: f64,
    seconds: f64,
}

impl NoisyNeighbour {
    /// Lets it happen twice.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Trial> {
        let mut trial = Trial::new(format!(
            "noisy-neighbour, {} slots, one tenant at {:.0} times what they can do, {} light ones at {:.0} % of an even share",
            self.slots,
            self.flood,
            self.light,
            self.part * 100.0
        ));
        let fair = self.way(ground, true).await.context("a queue for each tenant")?;
        let plain = self.way(ground, false).await.context("a plain queue")?;
        for (name, way) in [("fair", &fair), ("plain FIFO", &plain)] {
            self.tell(&mut trial, name, way);
        }
        for (name, way) in [("fair", &fair), ("plain FIFO", &plain)] {
            for (is_flood, who) in [(false, "light"), (true, "flood")] {
                plot(&format!("{name}: waits of the {who} calls"), way.waits.get(&is_flood));
            }
        }
        let rejected = |is_flood| fair.rejected.get(&is_flood).map_or(0, |codes| codes.values().sum::<u64>());
        let p99 = fair.waits.get(&false).map_or(0, |waits| quantile(waits, 0.99));
        trial.hold(p99 as f64 <= fair.service_ms, || format!("light tenants wait {p99} ms at p99"));
        trial.hold(rejected(false) == 0, || format!("{} light calls were rejected", rejected(false)));
        let jain = self.jain(&fair);
        trial.hold(jain >= 0.95, || format!("Jain's index is {jain:.3}"));
        trial.hold(fair.utilisation >= 0.98, || format!("utilisation is {:.3}", fair.utilisation));
        trial.hold(rejected(true) > 0, || "the flood was no flood: nothing of it was rejected".to_owned());
        Ok(trial)
    }

    fn tell(&self, trial: &mut Trial, name: &str, way: &Way) {
        for (is_flood, who) in [(false, "light"), (true, "flood")] {
            let waits = way.waits.get(&is_flood).map_or(&[][..], Vec::as_slice);
            let told = format!(
                "{} / {} / {} of {}",
                quantile(waits, 0.5),
                quantile(waits, 0.99),
                waits.last().copied().unwrap_or(0),
                waits.len()
            );
            trial.tell(&format!("{name}: {who} calls, ms waited (p50 / p99 / most)"), told);
            let none = BTreeMap::new();
            let rejected = way.rejected.get(&is_flood).unwrap_or(&none);
            trial.tell(&format!("{name}: {who}, not served"), counted(rejected));
        }
        trial.tell(
            &format!(
                "{name}: Jain's index of what each got of its fair share, utilisation of the slots, mean service ms"
            ),
            format!("{:.3}, {:.3}, {:.0}", self.jain(way), way.utilisation, way.service_ms),
        );
    }

    /// Of what each tenant got, as a part of what max-min fairness gives it: the light ones all they ask for, the loud one
    /// what is left.
    fn jain(&self, way: &Way) -> f64 {
        let can = self.slots as f64 * 1000.0 / way.service_ms.max(1.0) * way.seconds;
        let light: f64 = way.asked.iter().filter(|(who, _)| *who != FLOOD).map(|(_, asked)| *asked as f64).sum();
        let parts = way.asked.iter().map(|(who, asked)| {
            let due = if who == FLOOD { (*asked as f64).min((can - light).max(1.0)) } else { *asked as f64 };
            way.served.get(who).copied().unwrap_or(0) as f64 / due.max(1.0)
        });
        let parts: Vec<f64> = parts.collect();
        let (sum, squares) = (parts.iter().sum::<f64>(), parts.iter().map(|part| part * part).sum::<f64>());
        sum * sum / (parts.len().max(1) as f64 * squares.max(1e-9))
    }

    async fn way(&self, ground: &Ground, fair: bool) -> anyhow::Result<Way> {
        let set = |name: &str, value: String| (format!("HEADWATER__{name}"), value);
        let mut environment = vec![
            set("PROVIDERS__LOAD__MAX_CONCURRENT", self.slots.to_string()),
            set("LLM__MAX_WAITING_PER_TENANT", "1000".to_owned()),
            set("LLM__MAX_WAITING", "10000".to_owned()),
        ];
        environment.extend(ground.provider("LOAD"));
        let server = ground.launcher().start(&environment).await?;
        let address = server.address;
        let names: Vec<String> =
            (1..=self.light).map(|number| format!("light-{number}")).chain([FLOOD.to_owned()]).collect();
        let mut askers: Vec<(String, Who)> = Vec::new();
        let mut one = None;
        for name in &names {
            let who = match &one {
                Some(who) => Who::clone(who),
                None => ground.tenant(address, &format!("{name} {fair}"), &[]).await?,
            };
            let client = Client::builder(format!("http://{address}")).api_key(&who.key).build()?;
            let config = json!({"model": format!("load/{}", SHAPE.model()), "max_output_tokens": 100,
                "instructions": "You say where orders are.", "limits": {"max_queue_ms": self.max_queue_ms}});
            client.agents_put(name, &config).await.context("an agent")?;
            if !fair {
                one.get_or_insert(who.clone());
            }
            askers.push((name.clone(), who));
        }

        let capacity = self.slots as f64 * 1000.0 / SHAPE.ideal().as_millis() as f64;
        let even = capacity / (self.light + 1) as f64;
        let bar =
            progress::bar(if fair { "noisy-neighbour: fair" } else { "noisy-neighbour: plain FIFO" }, self.seconds);
        let answers = Arc::new(Mutex::new(BTreeMap::<(String, u16), u64>::new()));
        let begins: f64 = unix(ground).await?;
        let (start, time) = (Instant::now(), Duration::from_secs(self.seconds) + WARM);
        let mut lanes = JoinSet::new();
        for (name, who) in askers {
            let rate = if name == FLOOD { capacity * self.flood } else { even * self.part };
            let body = json!({"agent": name, "input": "Where is order 7?"}).to_string();
            let request = who.post(address, "/v1/runs", "", &body);
            let next = Arc::new(AtomicU64::new(0));
            for _ in 0..(rate / 10.0).ceil().clamp(1.0, 32.0) as usize {
                let (next, name, request, answers) = (next.clone(), name.clone(), request.clone(), answers.clone());
                lanes.spawn(async move {
                    let mut wire: Option<Wire> = None;
                    loop {
                        // Evenly, and the tenants not all at once.
                        let number = next.fetch_add(1, Ordering::Relaxed) as f64 + (name.len() % 7) as f64 / 7.0;
                        let at = Duration::from_secs_f64(number / rate);
                        if at > time {
                            return anyhow::Ok(());
                        }
                        tokio::time::sleep_until((start + at).into()).await;
                        let mut open = match wire.take() {
                            Some(open) => open,
                            None => Wire::connect(address).await?,
                        };
                        let head = open.request(&request).await?;
                        open.text().await?;
                        wire = Some(open).filter(Wire::is_reusable);
                        if at >= WARM {
                            *answers.lock().await.entry((name.clone(), head.status)).or_default() += 1;
                        }
                    }
                });
            }
        }
        while let Some(lane) = tokio::select! {
            lane = lanes.join_next() => lane,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                bar.inc(1);
                Some(Ok(Ok(())))
            }
        } {
            lane??;
        }
        bar.finish_and_clear();
        let mut way = Way::default();
        for ((name, status), count) in answers.lock().await.iter() {
            *way.asked.entry(name.clone()).or_default() += count;
            if *status != 201 {
                *way.rejected.entry(name == FLOOD).or_default().entry(format!("status {status}")).or_default() += count;
            }
        }
        wait_for_the_end(ground).await?;
        let (from, to) = (begins + WARM.as_secs_f64(), begins + time.as_secs_f64());
        self.sums(ground, &mut way, from, to).await?;
        server.stop().await?;
        ground.admin.rows("SELECT headwater.tenant_delete(tenant_id) FROM headwater.tenants").await?;
        Ok(way)
    }

    /// What the ledger knows of the calls between two moments.
    async fn sums(&self, ground: &Ground, way: &mut Way, from: f64, to: f64) -> anyhow::Result<()> {
        let calls = format!(
            "SELECT a.name, c.queued_ms, c.duration_ms, round(extract(epoch FROM c.settled_at) * 1000 - {})::bigint
             FROM headwater.usage_calls c JOIN headwater.agents a USING (tenant_id, agent_id)",
            (from * 1000.0) as i64
        );
        let window = ((to - from) * 1000.0) as i64;
        let (mut busy, mut took, mut count) = (0, 0, 0);
        for row in ground.admin.rows(&calls).await? {
            let text = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
            let number = |at: usize| text(at).parse::<i64>().unwrap_or_default();
            let (name, queued, duration, ended) = (text(0), number(1), number(2), number(3));
            let began = ended - duration;
            busy += (ended.min(window) - began.max(0)).max(0);
            if (0..window).contains(&began) {
                (took, count) = (took + duration, count + 1);
                way.waits.entry(name == FLOOD).or_default().push(queued);
                *way.served.entry(name.to_owned()).or_default() += 1;
            }
        }
        way.waits.values_mut().for_each(|waits| waits.sort_unstable());
        way.service_ms = took as f64 / f64::from(count.max(1));
        way.utilisation = busy as f64 / (window * self.slots as i64) as f64;
        way.seconds = window as f64 / 1000.0;
        let ends = "SELECT a.name, coalesce(r.error->>'code', r.status), count(*) FROM headwater.runs r
                    JOIN headwater.agents a USING (tenant_id, agent_id) WHERE r.status <> 'completed' GROUP BY 1, 2";
        for row in ground.admin.rows(ends).await? {
            let text = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
            let count: u64 = text(2).parse()?;
            *way.rejected.entry(text(0) == FLOOD).or_default().entry(text(1).to_owned()).or_default() += count;
        }
        Ok(())
    }
}

/// The time by Postgres, in seconds.
pub(crate) async fn unix(ground: &Ground) -> anyhow::Result<f64> {
    let rows = ground.admin.rows("SELECT extract(epoch FROM clock_timestamp())::text").await?;
    let now = rows.first().and_then(|row| row.first()?.as_deref()).context("the time")?;
    Ok(now.parse()?)
}

/// Waits until no run is under way.
pub(crate) async fn wait_for_the_end(ground: &Ground) -> anyhow::Result<()> {
    let open = "SELECT count(*) FROM headwater.runs WHERE status IN ('queued', 'running', 'suspended')";
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let rows = ground.admin.rows(open).await?;
        match rows.first().and_then(|row| row.first()?.as_deref()) {
            Some("0") => return Ok(()),
            left if Instant::now() > until => anyhow::bail!("{left:?} runs do not end"),
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Sorted milliseconds, by powers of two.
fn plot(title: &str, ms: Option<&Vec<i64>>) {
    let ms = ms.map_or(&[][..], Vec::as_slice);
    println!("\n{title} ({})", ms.len());
    let mut from = 0;
    while from <= ms.last().copied().unwrap_or(-1) {
        let to = if from == 0 { 1 } else { from * 2 };
        let count = ms.iter().filter(|ms| (from..to).contains(*ms)).count();
        let bar = (count * 60).div_ceil(ms.len().max(1));
        println!("{from:>6} ms  {}{}", "█".repeat(bar), if count > 0 { format!(" {count}") } else { String::new() });
        from = to;
    }
}
