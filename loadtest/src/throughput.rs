//! Many short runs, so many at a time: what a run costs.

use std::time::{Duration, Instant};

use clap::Args;

use crate::answer::Side;
use crate::ground::{Ground, Shape};
use crate::measure::{Figures, Meter, Stretch};
use crate::progress;
use crate::report::Case;
use crate::run::{Pace, Recipe, at_a_time};

/// How busy the load core should be when a case is repeated slower because the core was the limit.
const AIM: f64 = 0.72;
/// What is left of the rate with each step, at most.
const STEP: f64 = 0.6;
/// With so much of it taken by others nothing helps but waiting.
const OTHERS: f64 = 0.25;

/// 32 runs at a time, 32 tokens each, no delay
#[derive(Debug, Clone, Args)]
pub(crate) struct Throughput {
    /// Runs of each side, in all
    #[arg(long, default_value_t = 3000)]
    runs: u64,
    /// At most so long for each side
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Runs at a time
    #[arg(long, default_value_t = 32)]
    at_a_time: usize,
    /// Both sides take turns so often
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Runs per second, at most; without it as fast as they go and, where that makes the load core the limit, once
    /// more at a rate that does not
    #[arg(long)]
    rate: Option<f64>,
    /// Each run calls a tool over HTTP, and then says its tokens: two steps
    #[arg(long)]
    tools: bool,
    /// Runs of each side before anything is measured
    #[arg(long, default_value_t = 400)]
    warm_up: u64,
}

impl Default for Throughput {
    fn default() -> Self {
        Self { runs: 3000, seconds: 60, at_a_time: 32, rounds: 3, rate: None, tools: false, warm_up: 400 }
    }
}

impl Throughput {
    /// Measures.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Vec<Case>> {
        let mut cases = vec![self.case(ground, self.rate).await?];
        let mut cases_left = 2;
        // What the core can take is found in steps: pauses change the cost of a run, too.
        while let Some(last) = cases.last_mut().filter(|case| case.is_void() && self.rate.is_none()) {
            let (ours, relay) = (&last.ours, &last.relay);
            let others = ours.load_core_others.max(relay.load_core_others);
            if others > OTHERS {
                last.notes
                    .push(format!("other work took up to {:.0} % of the load core; quieter, please", others * 100.0));
                break;
            }
            if cases_left == 0 {
                break;
            }
            cases_left -= 1;
            // The rate at which the side that asks more of the core leaves enough of it.
            let at = |figures: &Figures| figures.runs_per_second * (AIM - others) / (figures.load_core_busy - others);
            // Fewer runs a second make smaller statements, and each run dearer for Postgres: steps are large ones.
            let most = STEP * ours.runs_per_second.min(relay.runs_per_second);
            let rate = Some(at(ours).min(at(relay)).min(most).floor().max(1.0));
            cases.push(self.case(ground, rate).await?);
        }
        Ok(cases)
    }

    async fn case(&self, ground: &mut Ground, rate: Option<f64>) -> anyhow::Result<Case> {
        let shape = Shape { tokens: 32, delay_ms: 0, calls: self.tools, slow: 0 };
        let pace = rate.map_or_else(String::new, |rate| format!(", {rate} runs/s"));
        let what = if self.tools { "tool calls" } else { "throughput" };
        let name = format!("{what}, {} at a time{pace}", self.at_a_time);
        let pair = ground.pair(&[shape]).await?;
        let (mut ours, mut relay) = (Meter::default(), Meter::default());
        for side in [Side::Ours, Side::Relay] {
            let bar = progress::bar(&format!("{name}: warming up"), self.warm_up);
            at_a_time(&Recipe::new(&pair, side, shape), self.at_a_time, Pace::new(self.warm_up, rate, None), &bar)
                .await;
            bar.finish_and_clear();
        }
        let before = ground.settle().await?;
        let rounds = u64::from(self.rounds.max(1));
        let mut quiet_since = Instant::now();
        for round in 0..rounds {
            for (side, meter) in [(Side::Ours, &mut ours), (Side::Relay, &mut relay)] {
                let runs = self.runs * (round + 1) / rounds - self.runs * round / rounds;
                let bar = progress::bar(&format!("{name}: {} {}/{rounds}", side.name(), round + 1), runs);
                let recipe = Recipe::new(&pair, side, shape);
                let at_most = Duration::from_secs(self.seconds) / rounds as u32;
                let stretch = Stretch::begin(ground, &pair, side);
                let outcome = at_a_time(&recipe, self.at_a_time, Pace::new(runs, rate, Some(at_most)), &bar).await;
                stretch.end(ground, &pair, meter);
                bar.finish_and_clear();
                meter.outcome.join(outcome);
                if side == Side::Ours {
                    quiet_since = Instant::now();
                }
            }
        }
        ours.counters = Some((before, ground.counters(quiet_since).await?));
        pair.stop().await?;
        Ok(Case::new(name, ours.figures(Side::Ours), relay.figures(Side::Relay)))
    }
}
