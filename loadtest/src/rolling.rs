//! A deploy under load: each server is replaced in turn, and nobody should notice.

use std::time::{Duration, Instant};

use clap::Args;
use headwater_client::protocol::Timestamp;
use tokio::sync::watch;

use crate::audit::{self, tell_hands};
use crate::crowd::{Scene, Size};
use crate::cut;
use crate::fleet::{Fleet, Kind};
use crate::ground::Ground;
use crate::progress;
use crate::trial::{Trial, quantile};

/// The longest that a run may be in nobody's hands, for 99 of 100.
const GOAL_MS: i64 = 1000;

/// Servers replaced in turn under load: a new one is ready before the old one is asked to end
#[derive(Debug, Clone, Args)]
pub(crate) struct RollingDeploy {
    /// Runs in all, of 2 to 4 seconds each
    #[arg(long, default_value_t = 600)]
    runs: u64,
    /// Tenants that they belong to
    #[arg(long, default_value_t = 20)]
    tenants: usize,
    /// Runs at a time
    #[arg(long, default_value_t = 100)]
    at_a_time: u64,
    /// Servers
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    /// Between the end of one server and the next one's turn
    #[arg(long, default_value_t = 1000)]
    pause_ms: u64,
    /// What a server that is asked to end gives its runs: little, so that they are handed over
    #[arg(long, default_value_t = 500)]
    drain_ms: u64,
    /// After so long it gives up, and fails
    #[arg(long, default_value_t = 900)]
    seconds: u64,
    /// Makes the same cuts again
    #[arg(long)]
    seed: Option<u64>,
}

impl RollingDeploy {
    /// Deploys, and looks at what was noticed.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Trial> {
        let seed = cut::seed("rolling-deploy", self.seed)?;
        let drain = ("HEADWATER__SERVER__DRAIN_MS".to_owned(), self.drain_ms.to_string());
        let &Self { runs, at_a_time, tenants, replicas, seconds, .. } = self;
        let size = Size { runs, at_a_time, tenants, replicas, seconds };
        let scene = Scene::set(ground, "rolling-deploy", size, seed, vec![drain]).await?;
        let Scene { fleet, tenants, crowd, mut trial } = scene;
        let bar = progress::bar(&trial.name, self.runs);
        let (tell, done) = watch::channel(false);
        let (began, began_at) = (Instant::now(), Timestamp::now().ms());
        let work = async {
            crowd.work(&bar).await;
            let _ = tell.send(true);
        };
        let ((), replaced) = tokio::join!(work, self.deploy(&fleet, done));
        let replaced = replaced?;
        bar.finish_and_clear();
        trial.tell("seed", seed);
        trial.tell("seconds", format!("{:.1}", began.elapsed().as_secs_f64()));
        trial.tell("servers replaced", format!("{replaced} of {}", fleet.len()));
        trial.hold(replaced >= fleet.len(), || {
            "the load ended before every server was replaced: --runs more".to_owned()
        });
        let acts = fleet.acts();
        trial.tell("acts, by second and server", fleet.acts_told(began_at));
        let findings = audit::audit(ground, &fleet, &tenants, self.runs, crowd.heard(), &mut trial).await?;
        tell_hands(&mut trial, &findings, &acts, "takeover", &[Kind::End]);
        let silence = tell_hands(&mut trial, &findings, &acts, "handover", &[Kind::End]);
        for (end, runs) in &findings.ends {
            trial.hold(end == "completed", || format!("{runs} runs ended otherwise than well: {end}"));
        }
        trial.hold(!silence.is_empty(), || "no run was handed over: --drain-ms less".to_owned());
        let p99 = quantile(&silence, 0.99);
        trial.hold(p99 < GOAL_MS, || {
            format!("a hand-over's silence is {p99} ms at the 99th percentile, the goal {GOAL_MS}")
        });
        fleet.stop().await?;
        Ok(trial)
    }

    /// Replaces one after the other while there is load.
    async fn deploy(&self, fleet: &Fleet, mut done: watch::Receiver<bool>) -> anyhow::Result<usize> {
        for place in 0..fleet.len() {
            tokio::select! {
                // The first once the load is up.
                () = tokio::time::sleep(Duration::from_millis(if place == 0 { 4000 } else { self.pause_ms })) => {}
                _ = done.changed() => return Ok(place),
            }
            fleet.replace(place).await?;
        }
        Ok(fleet.len())
    }
}
