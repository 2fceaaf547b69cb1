//! What setting money aside costs: the same runs of one model call each, by tenants without budgets, by as many tenants with a
//! budget each, and by one tenant with one, for which all of them wait.
//!
//! Promises that the three take turns on one server, and that what is told of each is what it took itself.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use headwater_client::protocol::api::TenantPrices;
use headwater_client::{Client, Options};
use serde_json::json;
use tokio::task::JoinSet;

use crate::answer::Side;
use crate::ground::{Ground, Shape};
use crate::measure::{Meter, Stretch};
use crate::progress;
use crate::run::{Pace, Recipe, at_a_time};
use crate::trial::Trial;

const SHAPE: Shape = Shape { tokens: 32, delay_ms: 0, calls: false, slow: 0 };
/// How late Postgres' own counts may be.
const STATISTICS: Duration = Duration::from_millis(1200);

/// Reserve and settle, for one tenant and for many
#[derive(Debug, Clone, Args)]
pub(crate) struct Money {
    /// Runs of each kind, in all
    #[arg(long, default_value_t = 3000)]
    runs: u64,
    /// Runs at a time, and tenants where there are many
    #[arg(long, default_value_t = 32)]
    at_a_time: usize,
    /// How often they take turns
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

/// One kind of tenants.
struct Kind {
    name: &'static str,
    recipes: Vec<Recipe>,
    meter: Meter,
    commits: u64,
}

impl Money {
    /// Measures.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Trial> {
        let mut trial = Trial::new(format!("money, {} runs of one call each, {} at a time", self.runs, self.at_a_time));
        let pair = ground.pair(&[]).await?;
        let address = pair.server.address;
        let mut kinds = Vec::new();
        for (name, tenants, has_budget) in [
            ("no budget, many tenants", self.at_a_time, false),
            ("a budget each, many tenants", self.at_a_time, true),
            ("one budget, one tenant", 1, true),
        ] {
            let mut recipes = Vec::new();
            for number in 0..tenants {
                let who = ground.tenant(address, &format!("{name} {number}"), &[]).await?;
                let client = Client::builder(format!("http://{address}")).api_key(&who.key).build()?;
                let tenant = client.tenant_get().await?.id;
                // Its limit is the model's: what is set aside is what is spent, and nothing is made shorter.
                let model = format!("load/{}", SHAPE.model());
                let price = json!({"models": {&model: {"input_pico_usd": 100_000, "output_pico_usd": 400_000}}});
                let prices: TenantPrices = serde_json::from_value(price)?;
                ground.operator(address)?.tenant_prices_put(tenant, &prices).await.context("prices")?;
                let config =
                    json!({"model": model, "max_output_tokens": 64, "instructions": "You say where orders are."});
                client.agents_put("assistant", &config).await.context("an agent")?;
                if has_budget {
                    let budget = json!({"scope": {"type": "tenant"}, "window": "total", "limit": {"usd": "1000000"}});
                    client
                        .budgets_create(&serde_json::from_value(budget)?, Options::new())
                        .await
                        .context("a budget")?;
                }
                let body = json!({"agent": "assistant", "input": "Where is order 7?"}).to_string();
                let request = who.post(address, "/v1/runs", "accept: text/event-stream\r\n", &body);
                recipes.push(Recipe::ours(address, request, SHAPE));
            }
            kinds.push(Kind { name, recipes, meter: Meter::default(), commits: 0 });
        }
        // Prices and budgets are known everywhere by then.
        tokio::time::sleep(Duration::from_secs(6)).await;
        for kind in &mut kinds {
            self.stretch(ground, None, kind, 400).await?;
        }
        ground.settle().await?;
        for _ in 0..self.rounds.max(1) {
            for kind in &mut kinds {
                self.stretch(ground, Some(&pair), kind, self.runs / u64::from(self.rounds.max(1))).await?;
            }
        }
        for Kind { name, meter, commits, .. } in kinds {
            let figures = meter.figures(Side::Ours);
            trial.tell(
                &format!(
                    "{name}: runs/s; CPU ms per run of the server, of Postgres; commits per run; end + ms, p50 / p99"
                ),
                format!(
                    "{:.0}; {:.3}, {:.3}; {:.2}; {:.1} / {:.1}{}",
                    figures.runs_per_second,
                    figures.server_cpu_ms_per_run,
                    figures.postgres_cpu_ms_per_run,
                    commits as f64 / figures.complete.max(1) as f64,
                    figures.completion_added_p50_ms,
                    figures.completion_added_p99_ms,
                    if figures.void { " (the load's core was the limit)" } else { "" }
                ),
            );
            trial.hold(figures.failed == 0, || format!("{name}: {}", figures.errors.join("; ")));
        }
        let left = "SELECT count(*) FROM headwater.budget_counters WHERE reserved_nano_usd < 0";
        let left = ground.admin.rows(left).await?.first().and_then(|row| row.first()?.clone()).unwrap_or_default();
        trial.hold(left == "0", || format!("{left} counters have less than nothing set aside"));
        pair.stop().await?;
        Ok(trial)
    }

    /// So many runs of one kind; measured, if there is something to measure with.
    async fn stretch(
        &self,
        ground: &Ground,
        pair: Option<&crate::ground::Pair>,
        kind: &mut Kind,
        runs: u64,
    ) -> anyhow::Result<()> {
        let commits = async || -> anyhow::Result<u64> {
            tokio::time::sleep(STATISTICS).await;
            let rows = ground.admin.rows("SELECT sum(xact_commit)::bigint FROM pg_stat_database").await?;
            Ok(rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok()).unwrap_or(0))
        };
        let before = commits().await?;
        let bar = progress::bar(&format!("money: {}", kind.name), runs);
        let (lanes, places) = (kind.recipes.len(), self.at_a_time / kind.recipes.len());
        let stretch = pair.map(|pair| Stretch::begin(ground, pair, Side::Ours));
        let mut tasks = JoinSet::new();
        for recipe in kind.recipes.clone() {
            let (bar, pace) = (bar.clone(), Pace::new(runs / lanes as u64, None, None));
            tasks.spawn(async move { at_a_time(&recipe, places.max(1), pace, &bar).await });
        }
        let mut outcomes = Vec::new();
        while let Some(outcome) = tasks.join_next().await {
            outcomes.push(outcome?);
        }
        bar.finish_and_clear();
        if let (Some(stretch), Some(pair)) = (stretch, pair) {
            stretch.end(ground, pair, &mut kind.meter);
            outcomes.into_iter().for_each(|outcome| kind.meter.outcome.join(outcome));
            kind.commits += commits().await?.saturating_sub(before);
        }
        Ok(())
    }
}
