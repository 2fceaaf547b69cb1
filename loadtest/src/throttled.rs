//! A provider that takes fewer calls at a time than it did, refuses the others, and comes back: does the limit follow, and does
//! any run notice more than that it takes longer?
//!
//! Promises that what is told comes from the ledger: how many calls were in flight at each moment, and what was served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use headwater_client::Client;
use serde_json::json;
use tokio::task::JoinSet;

use crate::ground::{Ground, Shape};
use crate::neighbours::{unix, wait_for_the_end};
use crate::progress;
use crate::trial::Trial;
use crate::wire::Wire;

/// A second of service.
const SHAPE: Shape = Shape { tokens: 21, delay_ms: 50, calls: false, slow: 0 };
/// Five times as long as a call takes.
const WINDOW: Duration = Duration::from_secs(5);

/// A provider that turns to 429 and 529, and back
#[derive(Debug, Clone, Args)]
pub(crate) struct ThrottledProvider {
    /// Calls at a time that the provider takes when it is well
    #[arg(long, default_value_t = 16)]
    slots: usize,
    /// Calls at a time that it takes when it is not
    #[arg(long, default_value_t = 4)]
    throttled: usize,
    /// What is asked for, as a part of what it can do when it is well
    #[arg(long, default_value_t = 0.7)]
    part: f64,
    /// Windows of five seconds in each stretch
    #[arg(long, default_value_t = 4)]
    windows: u32,
}

/// A stretch of time in which the provider takes the same.
struct Stretch {
    name: String,
    takes: usize,
    /// Seconds since the beginning.
    from: f64,
    to: f64,
    refused: u64,
}

impl ThrottledProvider {
    /// Lets it happen.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Trial> {
        let mut trial = Trial::new(format!(
            "throttled-provider: takes {} calls at a time, then {} (429), then {0}, then {1} (529), then {0}",
            self.slots, self.throttled
        ));
        let environment: Vec<_> = [("HEADWATER__PROVIDERS__LOAD__MAX_CONCURRENT".to_owned(), self.slots.to_string())]
            .into_iter()
            .chain(ground.provider("LOAD"))
            .collect();
        let server = ground.launcher().start(&environment).await?;
        let who = ground.tenant(server.address, "tenant", &[]).await?;
        let client = Client::builder(format!("http://{}", server.address)).api_key(&who.key).build()?;
        let config = json!({"model": format!("load/{}", SHAPE.model()), "max_output_tokens": 100,
            "instructions": "You say where orders are.", "limits": {"max_queue_ms": 300_000}});
        client.agents_put("assistant", &config).await.context("an agent")?;

        let capacity = self.slots as f64 * 1000.0 / SHAPE.ideal().as_millis() as f64;
        let rate = capacity * self.part;
        let body = json!({"agent": "assistant", "input": "Where is order 7?"}).to_string();
        let request = who.post(server.address, "/v1/runs", "", &body);
        let stretch = WINDOW * self.windows;
        let bar = progress::bar("throttled-provider", u64::from(self.windows) * 5);
        let zero = unix(ground).await?;
        let (begun, next) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let time = stretch * 5;
        let mut lanes = JoinSet::new();
        for _ in 0..4 {
            let (next, request, address) = (next.clone(), request.clone(), server.address);
            lanes.spawn(async move {
                let mut wire: Option<Wire> = None;
                let mut refused = 0;
                loop {
                    let at = Duration::from_secs_f64(next.fetch_add(1, Ordering::Relaxed) as f64 / rate);
                    if at > time {
                        return anyhow::Ok(refused);
                    }
                    tokio::time::sleep_until((begun + at).into()).await;
                    let mut open = match wire.take() {
                        Some(open) => open,
                        None => Wire::connect(address).await?,
                    };
                    let head = open.request(&request).await?;
                    open.text().await?;
                    refused += u64::from(head.status != 201);
                    wire = Some(open).filter(Wire::is_reusable);
                }
            });
        }
        let mut stretches: Vec<Stretch> = Vec::new();
        for (name, takes, status) in [
            ("well", self.slots, 429),
            ("429", self.throttled, 429),
            ("well again", self.slots, 429),
            ("529", self.throttled, 529),
            ("well at last", self.slots, 529),
        ] {
            let refused = ground.model_takes(takes, status).await?;
            if let Some(before) = stretches.last_mut() {
                before.refused = refused - before.refused;
            }
            let from = begun.elapsed().as_secs_f64();
            let name = format!("{name}: takes {takes}");
            for _ in 0..self.windows {
                tokio::time::sleep(WINDOW).await;
                bar.inc(1);
            }
            stretches.push(Stretch { name, takes, from, to: begun.elapsed().as_secs_f64(), refused });
        }
        let refused = ground.model_takes(self.slots, 429).await?;
        if let Some(last) = stretches.last_mut() {
            last.refused = refused - last.refused;
        }
        bar.finish_and_clear();
        let mut turned_away = 0;
        while let Some(lane) = lanes.join_next().await {
            turned_away += lane??;
        }
        wait_for_the_end(ground).await?;
        self.sums(ground, &mut trial, zero, &stretches).await?;
        trial.hold(turned_away == 0, || format!("{turned_away} runs were not accepted"));
        let failed = "SELECT count(*) FROM headwater.runs WHERE status <> 'completed'";
        let failed = ground.admin.rows(failed).await?.first().and_then(|row| row.first()?.clone()).unwrap_or_default();
        trial.tell("runs that did not complete", &failed);
        trial.hold(failed == "0", || format!("{failed} runs did not complete"));
        server.stop().await?;
        Ok(trial)
    }

    async fn sums(&self, ground: &Ground, trial: &mut Trial, zero: f64, stretches: &[Stretch]) -> anyhow::Result<()> {
        let calls = format!(
            "SELECT extract(epoch FROM settled_at) - {zero} - duration_ms / 1000.0, extract(epoch FROM settled_at) - {zero}
             FROM headwater.usage_calls"
        );
        let mut spans = Vec::new();
        for row in ground.admin.rows(&calls).await? {
            let at = |at: usize| row.get(at).and_then(Option::as_deref).and_then(|text| text.parse::<f64>().ok());
            if let Some(span) = at(0).zip(at(1)) {
                spans.push(span);
            }
        }
        let busy = |from: f64, to: f64| -> f64 {
            let within = |(began, ended): &(f64, f64)| (ended.min(to) - began.max(from)).max(0.0);
            spans.iter().map(within).sum::<f64>() / (to - from)
        };
        for (number, stretch) in stretches.iter().enumerate() {
            let window = WINDOW.as_secs_f64();
            let windows: Vec<f64> = (0..self.windows)
                .map(|window_number| {
                    let from = stretch.from + window * f64::from(window_number);
                    busy(from, from + window)
                })
                .collect();
            let told: Vec<String> = windows.iter().map(|busy| format!("{busy:.1}")).collect();
            // What there is to do: in the first stretch what is asked for, later also what has piled up.
            trial.tell(
                &format!("{}: calls in flight, in windows of 5 s; refused by the provider", stretch.name),
                format!("{}; {}", told.join(", "), stretch.refused),
            );
            if number == 0 {
                continue;
            }
            let (from, to) = (stretch.from + window, stretch.from + 2.0 * window);
            // After two windows: between two thirds and all of what it takes, as long as there is more to do than that.
            let settled = busy(to - 1.0, to);
            let takes = stretch.takes as f64;
            trial.hold((takes * 0.66..=takes * 1.05).contains(&settled), || {
                format!("{}: after two windows {settled:.1} calls are in flight", stretch.name)
            });
            let good = busy(from, stretch.to.min(from + 2.0 * window));
            trial.tell(
                &format!("{}: goodput against the ideal, from the second window on", stretch.name),
                format!("{:.2}", good / takes),
            );
        }
        Ok(())
    }
}
