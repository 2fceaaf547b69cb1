//! Tenants whose tools mean harm, and what other tenants notice of them.
//!
//! The same runs, each with one call of a good tool, are measured alone, beside tenants that call good tools as often, and
//! beside tenants whose tools never answer, drip, never end, are too large, too deep, of another schema, or point elsewhere;
//! tools of plain HTTP and of MCP servers.
//! They take turns on one server.
//! What a tool answers at length and in order is kept: it is written to the disk that all write to, so those tenants are a
//! crowd of their own, which is told of and judged by nobody.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::answer::Side;
use crate::ground::{Ground, Shape, Tool};
use crate::measure::{Outcome, peak_rss};
use crate::run::{Pace, Recipe, at_a_time};
use crate::trial::Trial;
use crate::wicked::{MCP_GOOD, MCP_LARGE, MCP_WAYS, WAYS};
use crate::{progress, sys};

/// What all the others say.
const SHORT: Shape = Shape { tokens: 1, delay_ms: 0, calls: true, slow: 0 };
/// Whose latencies are measured.
const MEASURED: Shape = Shape { tokens: 32, delay_ms: 0, calls: true, slow: 0 };
/// Each crowd gets so long to be there before it counts.
const WARM: Duration = Duration::from_secs(2);
/// Runs of others that are under way at once, at most.
const PLACES: usize = 32;

/// Tools that mean harm, beside other tenants' runs
#[derive(Debug, Clone, Args)]
pub(crate) struct HostileTools {
    /// Runs per second that are measured
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How long each stretch is measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How often they take turns
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Runs per second of each other tenant, and how many of them it has at once
    #[arg(long, default_value_t = 4)]
    lanes: usize,
    /// What a call of those may take
    #[arg(long, default_value_t = 1000)]
    timeout_ms: i64,
    /// Only tools whose path contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// One crowd, over all its turns.
#[derive(Debug, Default)]
struct Part {
    outcome: Outcome,
    /// Of each turn: the median, and p99, in milliseconds.
    turns: Vec<(f64, f64)>,
    theirs: Outcome,
    cpu: f64,
    /// For which the load's core was busy.
    load: f64,
    seconds: f64,
    peak_kib: u64,
}

impl HostileTools {
    /// Measures.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Trial> {
        let plain = WAYS.map(|way| (way, "/tool", false));
        let mcp = MCP_WAYS.map(|way| (way, MCP_GOOD, true));
        let mut ways: Vec<_> = plain.into_iter().chain(mcp).collect();
        ways.retain(|(way, ..)| way.contains(&self.only));
        let title = format!("hostile-tools, {} tenants with {} at once", ways.len(), self.lanes);
        let mut trial = Trial::new(title);
        let pair = ground.pair(&[MEASURED]).await?;
        let (address, pid, core) = (pair.server.address, pair.server.pid(), ground.options.cores.load);
        let mine = Recipe::new(&pair, Side::Ours, MEASURED);
        let schema = json!({"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]});
        let tool = |path, mcp| Tool { path, timeout_ms: self.timeout_ms, output_schema: schema.clone(), mcp };
        let (mut good, mut wicked, mut large) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (way, harmless, mcp)) in ways.into_iter().enumerate() {
            for (crowd, path) in [(&mut good, harmless), (&mut wicked, way)] {
                let who = ground.tenant_with_tool(address, &format!("{path} {at}"), &[SHORT], &tool(path, mcp)).await?;
                let body = json!({ "agent": SHORT.model(), "input": "Where is order 7?" }).to_string();
                let request = who.post(address, "/v1/runs", "accept: text/event-stream\r\n", &body);
                let crowd = if way == MCP_LARGE && path == way { &mut large } else { crowd };
                crowd.push(Recipe::ours(address, request, SHORT));
            }
        }
        let crowds = [
            ("alone", Vec::new()),
            ("beside good tools", good),
            ("beside hostile tools", wicked),
            ("beside answers of 3 MiB that are kept", large),
        ];
        let mut parts: [Part; 4] = Default::default();
        let bar = progress::bar("hostile-tools: warming up", 500);
        at_a_time(&mine, PLACES, Pace::new(500, Some(self.rate), None), &bar).await;
        bar.finish_and_clear();
        ground.settle().await?;
        for round in 0..self.rounds.max(1) {
            for ((name, crowd), part) in crowds.iter().zip(&mut parts) {
                let bar = progress::bar(&format!("hostile-tools: {name} {}", round + 1), 0);
                let measured = self.stretch((pid, core), &mine, crowd, part, &bar);
                let ((), peak) = peak_rss(pid, measured).await;
                part.peak_kib = part.peak_kib.max(peak);
                bar.finish_and_clear();
            }
        }
        for ((name, _), part) in crowds.iter().zip(&parts) {
            let theirs = &part.theirs.completion;
            let turns: Vec<String> = part.turns.iter().map(|(p50, p99)| format!("{p50:.1} / {p99:.1}")).collect();
            trial.tell(
                &format!("{name}: runs, ms beside the model's own time (p50 / p99 of each turn)"),
                format!("{}; {}", part.outcome.complete, turns.join(", ")),
            );
            trial.tell(
                &format!(
                    "{name}: the server's share of its core, of the other core all the rest, its RSS at most in MiB"
                ),
                format!(
                    "{:.2}, {:.2}, {}",
                    part.cpu / part.seconds.max(1e-9),
                    part.load / part.seconds.max(1e-9),
                    part.peak_kib >> 10
                ),
            );
            if part.theirs.complete > 0 {
                let took = format!("{}, {:.0} / {:.0}", part.theirs.complete, theirs.at(0.5), theirs.at(0.99));
                trial.tell(&format!("{name}: theirs"), took);
            }
            for (whose, outcome) in [("measured", &part.outcome), ("theirs", &part.theirs)] {
                trial.hold(outcome.failed == 0, || {
                    format!("{name}: {} of {whose} did not complete: {}", outcome.failed, outcome.errors.join("; "))
                });
            }
        }
        let became =
            "SELECT coalesce(error->>'code', status), count(*) FROM headwater.tool_calls GROUP BY 1 ORDER BY 1";
        for row in ground.admin.rows(became).await.context("what became of the calls")? {
            let words: Vec<&str> = row.iter().map(|word| word.as_deref().unwrap_or("–")).collect();
            trial.tell("calls that ended so", words.join(" "));
        }
        // Of the turns the middle one: other work on this machine comes and goes.
        let p99 = |part: &Part| {
            let mut turns: Vec<f64> = part.turns.iter().map(|(_, p99)| *p99).collect();
            turns.sort_by(f64::total_cmp);
            turns.get(turns.len() / 2).copied().unwrap_or_default()
        };
        let all: Vec<String> = parts.iter().map(|part| format!("{:.1}", p99(part))).collect();
        trial.tell(
            "p99 of the turn in the middle: alone / beside good / beside hostile / beside large",
            all.join(" / "),
        );
        trial.hold(p99(&parts[2]) <= 1.25 * p99(&parts[1]) + 2.0, || {
            format!(
                "others notice: p99 {:.1} ms beside hostile tools, {:.1} beside good ones",
                p99(&parts[2]),
                p99(&parts[1])
            )
        });
        pair.stop().await?;
        Ok(trial)
    }

    async fn stretch(
        &self,
        (pid, core): (u32, usize),
        mine: &Recipe,
        crowd: &[Recipe],
        part: &mut Part,
        bar: &indicatif::ProgressBar,
    ) {
        let whole = WARM + Duration::from_secs(self.seconds);
        let mut others = JoinSet::new();
        for recipe in crowd {
            let (recipe, lanes, bar) = (recipe.clone(), self.lanes, bar.clone());
            let pace = Pace::new(u64::MAX, Some(lanes as f64), Some(whole));
            others.spawn(async move { at_a_time(&recipe, lanes, pace, &bar).await });
        }
        tokio::time::sleep(WARM).await;
        let (cpu, load, began) = (sys::cpu_of(pid), sys::core_busy(core), std::time::Instant::now());
        let runs = (self.rate * self.seconds as f64) as u64;
        let outcome = at_a_time(mine, PLACES, Pace::new(runs, Some(self.rate), None), bar).await;
        part.cpu += sys::cpu_of(pid) - cpu;
        part.load += sys::core_busy(core) - load;
        part.seconds += began.elapsed().as_secs_f64();
        part.turns.push((outcome.completion.at(0.5), outcome.completion.at(0.99)));
        part.outcome.join(outcome);
        while let Some(theirs) = others.join_next().await {
            part.theirs.join(theirs.unwrap_or_default());
        }
    }
}
