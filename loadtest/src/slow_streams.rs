//! Many slow streams at once: what an open stream costs in memory and in lateness.

use std::time::{Duration, Instant};

use clap::Args;

use crate::answer::Side;
use crate::ground::{Ground, Shape};
use crate::measure::{Meter, Stretch, peak_rss};
use crate::report::Case;
use crate::run::{Pace, Recipe, all_at_once, at_a_time};
use crate::{progress, sys};

/// N streams at once, 64 tokens each, 50 ms apart, one reader each
#[derive(Debug, Clone, Args)]
pub(crate) struct SlowStreams {
    /// How many streams; several counts are measured one after the other
    #[arg(long, value_delimiter = ',', default_values_t = [500, 1000, 2000])]
    streams: Vec<usize>,
    /// Over how long their starts are spread; all are open together for the 3.15 s of the model less this
    #[arg(long, default_value_t = 2000)]
    ramp_ms: u64,
    /// Tokens of each answer
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// The pause between two tokens
    #[arg(long, default_value_t = 50)]
    delay_ms: u64,
    /// Runs of each side before anything is measured
    #[arg(long, default_value_t = 64)]
    warm_up: u64,
}

impl Default for SlowStreams {
    fn default() -> Self {
        Self { streams: vec![500, 1000, 2000], ramp_ms: 2000, tokens: 64, delay_ms: 50, warm_up: 64 }
    }
}

impl SlowStreams {
    /// Measures.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Vec<Case>> {
        let mut cases = Vec::new();
        for streams in &self.streams {
            cases.push(self.case(ground, *streams).await?);
        }
        Ok(cases)
    }

    async fn case(&self, ground: &mut Ground, streams: usize) -> anyhow::Result<Case> {
        let (quick, shape) = (
            Shape { tokens: 32, delay_ms: 0, calls: false, slow: 0 },
            Shape { tokens: self.tokens, delay_ms: self.delay_ms, calls: false, slow: 0 },
        );
        let name = format!("slow-streams, {streams}");
        let pair = ground.pair(&[quick, shape]).await?;
        for side in [Side::Ours, Side::Relay] {
            let bar = progress::bar(&format!("{name}: warming up"), self.warm_up);
            at_a_time(&Recipe::new(&pair, side, quick), 4, Pace::new(self.warm_up, None, None), &bar).await;
            bar.finish_and_clear();
        }
        let before = ground.settle().await?;
        let (mut ours, mut relay, mut quiet_since) = (Meter::default(), Meter::default(), Instant::now());
        for (side, meter) in [(Side::Ours, &mut ours), (Side::Relay, &mut relay)] {
            let bar = progress::bar(&format!("{name}: {}", side.name()), streams as u64);
            let (recipe, pid) = (Recipe::new(&pair, side, shape), pair.process(side).pid());
            let idle = sys::rss_kib(pid);
            let stretch = Stretch::begin(ground, &pair, side);
            let all = all_at_once(&recipe, streams, Duration::from_millis(self.ramp_ms), &bar);
            let (outcome, peak) = peak_rss(pid, all).await;
            stretch.end(ground, &pair, meter);
            bar.finish_and_clear();
            meter.outcome = outcome;
            meter.memory = Some((peak.saturating_sub(idle), streams));
            if side == Side::Ours {
                quiet_since = Instant::now();
            }
        }
        ours.counters = Some((before, ground.counters(quiet_since).await?));
        pair.stop().await?;
        Ok(Case::new(name, ours.figures(Side::Ours), relay.figures(Side::Relay)))
    }
}
