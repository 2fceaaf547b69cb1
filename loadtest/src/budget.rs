//! Budgets under kill -9: many runs of many tenants, at several servers, each tenant with money for a part of them.
//!
//! Promises that what every counter says is compared with the ledger's own sum, and the ledger with the calls that the model
//! was asked for; and that by how much a budget was overrun is told beside the bound that is promised for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use headwater_client::{Client, Options};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audit::all_end;
use crate::crowd::{Asking, question};
use crate::fleet::{Fleet, Kind};
use crate::ground::{Ground, Shape};
use crate::progress;
use crate::trial::{Trial, counted};
use crate::who::Who;
use crate::{cut, follow};
use headwater_testkit::Random;

/// What each answer says.
const SHAPE: Shape = Shape { tokens: 32, delay_ms: 10, calls: false, slow: 0 };
/// Its limit, which the model keeps to; so little that no answer is made shorter for want of money.
const MOST: u32 = 32;

/// Budgets at several servers that are killed
#[derive(Debug, Clone, Args)]
pub(crate) struct Budgets {
    /// Tenants
    #[arg(long, default_value_t = 50)]
    tenants: usize,
    /// Runs of each
    #[arg(long, default_value_t = 12)]
    runs: u64,
    /// For how many of them there is money
    #[arg(long, default_value_t = 6)]
    paid: u64,
    /// Runs at a time
    #[arg(long, default_value_t = 64)]
    at_a_time: u64,
    /// Servers
    #[arg(long, default_value_t = 4)]
    replicas: usize,
    /// Between two kills; 0 = none
    #[arg(long, default_value_t = 1500)]
    every_ms: u64,
    /// What the model counts of what it used, in percent: above 100 it counts more than was set aside
    #[arg(long, default_value_t = 100)]
    counts: u64,
    /// After so long it gives up, and fails
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Does the same to the same servers again
    #[arg(long)]
    seed: Option<u64>,
}

impl Budgets {
    /// Lets it happen, and does the sums.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Trial> {
        let seed = cut::seed("budget", self.seed)?;
        // The price list has prices for every model of this provider.
        let priced = ground.provider("SCRIPTED");
        let environment = [("HEADWATER__LEASE__MS".to_owned(), "1000".to_owned())]
            .into_iter()
            .chain(priced)
            .chain(ground.direct_url());
        let fleet = Arc::new(Fleet::start(ground.launcher(), self.replicas.max(2), environment.collect()).await?);
        let mut trial = Trial::new(format!(
            "budget, {} tenants with money for {} of {} runs, at {} servers; the model counts {} %",
            self.tenants,
            self.paid,
            self.runs,
            fleet.len(),
            self.counts
        ));
        let model = if self.counts == 100 { SHAPE.model() } else { format!("{}-at{}", SHAPE.model(), self.counts) };
        let mut tenants = Vec::new();
        for number in 0..self.tenants {
            tenants.push(self.tenant(ground, &fleet, number, &model).await?);
        }
        let tenants = Arc::new(tenants);
        ground.record_calls().await?;
        // A budget that was made a moment ago is not known everywhere yet.
        tokio::time::sleep(Duration::from_secs(3)).await;

        let bar = progress::bar(&trial.name, self.tenants as u64 * self.runs);
        let until = Instant::now() + Duration::from_secs(self.seconds);
        let (tell, done) = watch::channel(false);
        let work = async {
            let refused = self.ask_for_all(&fleet, &tenants, seed, until, &bar).await;
            let _ = tell.send(true);
            refused
        };
        let (refused, kills) = tokio::join!(work, self.kill(&fleet, Random::new(seed), done));
        bar.finish_and_clear();
        kills?;
        trial.break_all(refused);
        all_end(ground, &mut trial).await?;
        trial.tell("seed", seed);
        trial.tell("kill -9", fleet.acts().iter().filter(|act| act.kind == Kind::Kill).count());
        self.sums(ground, &mut trial).await?;
        trial.break_all(fleet.wrong());
        fleet.stop().await?;
        Ok(trial)
    }

    /// A tenant with an agent whose model has a price, and a hard budget.
    async fn tenant(&self, ground: &Ground, fleet: &Fleet, number: usize, model: &str) -> anyhow::Result<Who> {
        let address = fleet.addresses()[0];
        let who = ground.tenant(address, &format!("tenant {number}"), &[]).await?;
        let client = Client::builder(format!("http://{address}")).api_key(&who.key).build()?;
        let config = json!({"model": format!("scripted/{model}"), "max_output_tokens": MOST, "on_budget": "fail",
            "instructions": "You say where orders are."});
        client.agents_put("assistant", &config).await.context("an agent")?;
        // What one run costs by the price list, 400 nano-dollars a token that comes out and 100 a token that goes in, and a
        // little: so that there is money for this many, and for none of the next.
        let each = u64::from(SHAPE.tokens as u32) * 400 + 40 * 100;
        let limit = self.paid * each + u64::from(MOST) * 400 / 2;
        let budget = json!({"scope": {"type": "tenant"}, "window": "total", "limit": {"nano_usd": limit}});
        client.budgets_create(&serde_json::from_value(budget)?, Options::new()).await.context("a budget")?;
        Ok(who)
    }

    /// Asks for all runs, each at some server, until each is accepted. What failed for good.
    async fn ask_for_all(
        &self,
        fleet: &Arc<Fleet>,
        tenants: &Arc<Vec<Who>>,
        seed: u64,
        until: Instant,
        bar: &indicatif::ProgressBar,
    ) -> Vec<String> {
        let all = self.tenants as u64 * self.runs;
        let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let mut lanes = JoinSet::new();
        for _ in 0..self.at_a_time {
            let (fleet, tenants, next, bar) = (fleet.clone(), tenants.clone(), next.clone(), bar.clone());
            lanes.spawn(async move {
                let mut refused = Vec::new();
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= all || Instant::now() > until {
                        return refused;
                    }
                    let mut random = Random::new(seed).branch(number);
                    let who = &tenants[(number as usize) % tenants.len()];
                    let body = json!({"agent": "assistant", "input": question(number)}).to_string();
                    let headers = format!("idempotency-key: run-{seed}-{number}\r\n");
                    let asking = Asking { fleet: &fleet, who, headers: &headers, body: &body, until };
                    match asking.until_accepted(&mut random, |_| {}).await {
                        // One lane asks for the next one when this is over, wherever it is read.
                        Ok(run) => {
                            if let Err(error) = follow::follow(&fleet, who, &run, random, false, until).await {
                                refused.push(format!("{run}: {error}"));
                            }
                        }
                        // Told before it was accepted that there is no money for it.
                        Err(error) if error.starts_with("402: ") => {}
                        Err(error) => refused.push(format!("run {number}: {error}")),
                    }
                    bar.inc(1);
                }
            });
        }
        let mut refused = Vec::new();
        while let Some(lane) = lanes.join_next().await {
            refused.extend(lane.unwrap_or_else(|error| vec![error.to_string()]));
        }
        refused
    }

    /// One server after the other, until the work is done.
    async fn kill(
        &self,
        fleet: &Arc<Fleet>,
        mut random: Random,
        mut done: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut recoveries: JoinSet<anyhow::Result<()>> = JoinSet::new();
        if self.every_ms == 0 {
            return Ok(());
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(self.every_ms)) => {}
                _ = done.changed() => break,
            }
            while let Some(recovered) = recoveries.try_join_next() {
                recovered??;
            }
            let place = random.up_to(fleet.len() as u64) as usize - 1;
            if fleet.up().len() < 2 || !fleet.up().contains(&place) {
                continue;
            }
            fleet.kill(place);
            let fleet = fleet.clone();
            recoveries.spawn(async move { fleet.launch(place).await });
        }
        while let Some(recovered) = recoveries.join_next().await {
            recovered??;
        }
        Ok(())
    }

    /// What was spent, by the counters, the ledger and the model.
    async fn sums(&self, ground: &Ground, trial: &mut Trial) -> anyhow::Result<()> {
        let by_end = "SELECT coalesce(error->>'code', status), count(*) FROM headwater.runs GROUP BY 1";
        let mut ends = std::collections::BTreeMap::new();
        for row in ground.admin.rows(by_end).await? {
            if let [Some(end), Some(count)] = row.as_slice() {
                ends.insert(end.clone(), count.parse::<u64>().unwrap_or_default());
            }
        }
        trial.tell("runs by their end", counted(&ends));
        for end in ends.keys() {
            let allowed = ["completed", "budget_exhausted", "attempts_exhausted"].contains(&end.as_str());
            trial.hold(allowed, || format!("runs ended otherwise than well: {end}"));
        }
        let number = async |sql: &str| -> anyhow::Result<i64> {
            Ok(ground.admin.value(sql).await?.context("a number")?.parse()?)
        };
        let asked: i64 = ground.calls().await?.into_iter().map(|(_, calls)| calls as i64).sum();
        let lines = number("SELECT count(*) FROM headwater.usage_calls").await?;
        let estimated = number("SELECT count(*) FROM headwater.usage_calls WHERE estimated").await?;
        trial.tell(
            "calls, by the model / lines of the ledger, of which estimates",
            format!("{asked} / {lines}, {estimated}"),
        );
        trial.hold(lines >= asked, || format!("the model was asked {asked} times, and the ledger knows of {lines}"));
        let left = number("SELECT count(*) FROM headwater.budget_reservations").await?;
        let reserved =
            number("SELECT coalesce(sum(abs(reserved_nano_usd)), 0)::bigint FROM headwater.budget_counters").await?;
        trial.tell("reservations left, nano-dollars set aside", format!("{left}, {reserved}"));
        trial.hold(left == 0 && reserved == 0, || format!("{left} reservations of {reserved} nano-dollars are left"));
        let differ = number(
            "SELECT count(*) FROM headwater.budget_counters k WHERE spent_nano_usd <> coalesce((SELECT sum(cost_nano_usd)
             FROM headwater.usage_calls u WHERE u.tenant_id = k.tenant_id), 0)",
        )
        .await?;
        trial.hold(differ == 0, || format!("{differ} counters are not what the ledger adds up to"));
        let money = "SELECT sum(k.spent_nano_usd)::text, sum(b.limit_nano_usd)::text,
                            sum(greatest(k.spent_nano_usd - b.limit_nano_usd, 0))::text,
                            max(k.spent_nano_usd - b.limit_nano_usd)::text
                     FROM headwater.budget_counters k JOIN headwater.budgets b USING (tenant_id, budget_id)";
        let row = ground.admin.rows(money).await?.into_iter().next().context("a row")?;
        let at = |i: usize| row.get(i).and_then(Option::as_deref).unwrap_or("0").parse::<i64>().unwrap_or_default();
        trial.tell("nano-dollars spent / allowed", format!("{} / {}", at(0), at(1)));
        trial.tell("overrun in all, and of one tenant at most", format!("{}, {}", at(2), at(3).max(0)));
        // Of each tenant as many calls can be under way as it has runs at a time.
        let (in_flight, beyond) = (self.at_a_time.min(self.runs) as i64, self.beyond());
        trial.tell(
            "the bound: calls in flight of one tenant × what each costs beyond what is set aside",
            in_flight * beyond,
        );
        trial.hold(at(3) <= in_flight * beyond, || format!("a budget was overrun by {} nano-dollars", at(3)));
        Ok(())
    }

    /// By how much a call costs more than what is set aside for it, in nano-dollars: what comes out is as many
    /// tokens as may, and what goes in is taken as twice what is expected.
    fn beyond(&self) -> i64 {
        let most = i64::from(MOST) * 400;
        let said = (SHAPE.tokens as u64 * self.counts / 100) as i64 * 400;
        // Input: expected with 1.35 tokens for each of ours, and set aside with twice that.
        let input = 40 * 100 * (self.counts as i64 - 270).max(0) / 100;
        (said - most).max(0) + input
    }
}
