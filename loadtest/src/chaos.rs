//! Servers that are killed, paused and stopped, and a Postgres that is, while many runs are under way.
//!
//! Promises that at least one server is up and not paused at any time (the seconds in which Postgres itself is away
//! excepted), and that what is done to which server follows from the seed; when exactly does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use headwater_client::protocol::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audit::{self, tell_hands};
use crate::crowd::{Crowd, Scene, Size};
use crate::cut;
use crate::fleet::{Fleet, Kind};
use crate::ground::Ground;
use crate::progress;
use crate::trial::Trial;
use headwater_testkit::Random;

/// Several servers under kill -9, pauses and stops, one restart of Postgres, and readers that come back
#[derive(Debug, Clone, Args)]
pub(crate) struct Chaos {
    /// Runs in all, of 2 to 4 seconds each
    #[arg(long, default_value_t = 1000)]
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
    /// Between two acts
    #[arg(long, default_value_t = 3000)]
    every_ms: u64,
    /// The lease of a server
    #[arg(long, default_value_t = 2000)]
    lease_ms: u64,
    /// What a server that is asked to end gives its runs
    #[arg(long, default_value_t = 500)]
    drain_ms: u64,
    /// Leave Postgres alone
    #[arg(long)]
    no_postgres_crash: bool,
    /// After so long it gives up, and fails
    #[arg(long, default_value_t = 900)]
    seconds: u64,
    /// Does the same to the same servers again
    #[arg(long)]
    seed: Option<u64>,
}

impl Chaos {
    /// Lets it happen, and looks at what is left.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Trial> {
        let seed = cut::seed("chaos", self.seed)?;
        let set = |name: &str, value: u64| (format!("HEADWATER__{name}"), value.to_string());
        let environment = vec![set("LEASE__MS", self.lease_ms), set("SERVER__DRAIN_MS", self.drain_ms)];
        let &Self { runs, at_a_time, tenants, replicas, seconds, .. } = self;
        let size = Size { runs, at_a_time, tenants, replicas, seconds };
        let Scene { fleet, tenants, crowd, mut trial } = Scene::set(ground, "chaos", size, seed, environment).await?;
        let bar = progress::bar(&trial.name, self.runs);
        let (tell, done) = watch::channel(false);
        let (began, began_at) = (Instant::now(), Timestamp::now().ms());
        let work = async {
            crowd.work(&bar).await;
            let _ = tell.send(true);
        };
        let ((), acts) = tokio::join!(work, self.acts(ground, &fleet, &crowd, Random::new(seed), done));
        bar.finish_and_clear();
        acts?;
        trial.tell("seed", seed);
        trial.tell("seconds", format!("{:.1}", began.elapsed().as_secs_f64()));
        let acts = fleet.acts();
        let count = |kind| acts.iter().filter(|act| act.kind == kind).count();
        trial.tell(
            "kill -9 / SIGSTOP / SIGTERM / Postgres",
            [Kind::Kill, Kind::Pause, Kind::End, Kind::Postgres].map(|kind| count(kind).to_string()).join(" / "),
        );
        trial.tell("acts, by second and server", fleet.acts_told(began_at));
        let findings = audit::audit(ground, &fleet, &tenants, self.runs, crowd.heard(), &mut trial).await?;
        tell_hands(&mut trial, &findings, &acts, "takeover", &[Kind::Kill, Kind::Pause, Kind::Postgres]);
        tell_hands(&mut trial, &findings, &acts, "handover", &[Kind::End]);
        // A run may fail only where too many servers died with it in their hands.
        for (end, runs) in &findings.ends {
            let allowed = ["completed", "failed: attempts_exhausted"].contains(&end.as_str());
            trial.hold(allowed, || format!("{runs} runs ended otherwise than well: {end}"));
        }
        fleet.stop().await?;
        Ok(trial)
    }

    /// One act after the other until the crowd is done; returns when every server is back.
    async fn acts(
        &self,
        ground: &mut Ground,
        fleet: &Arc<Fleet>,
        crowd: &Crowd,
        mut random: Random,
        mut done: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let (mut recoveries, mut postgres) = (JoinSet::new(), self.no_postgres_crash);
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(self.every_ms)) => {}
                _ = done.changed() => break,
            }
            while let Some(recovered) = recoveries.try_join_next() {
                recovered??;
            }
            fleet.look().await?;
            if !postgres && crowd.accepted() >= self.runs / 2 {
                postgres = true;
                fleet.note(Kind::Postgres, None);
                ground.crash_postgres().await?;
                continue;
            }
            // Drawn whether or not it is done, so that what follows stays the same.
            let (kind, place, wait) =
                (random.up_to(3), random.up_to(fleet.len() as u64) as usize - 1, random.up_to(1000));
            let up = fleet.up();
            if up.len() < 2 || !up.contains(&place) {
                continue;
            }
            let (fleet, lease_ms) = (fleet.clone(), self.lease_ms);
            match kind {
                1 => {
                    fleet.kill(place);
                    recoveries.spawn(async move {
                        tokio::time::sleep(Duration::from_millis(300 + wait)).await;
                        fleet.launch(place).await
                    });
                }
                2 => {
                    fleet.pause(place);
                    recoveries.spawn(async move {
                        tokio::time::sleep(Duration::from_millis(lease_ms * 5 / 4 + lease_ms * wait / 1000)).await;
                        fleet.go_on(place);
                        Ok(())
                    });
                }
                _ => {
                    recoveries.spawn(async move {
                        fleet.end(place).await?;
                        fleet.launch(place).await
                    });
                }
            }
        }
        while let Some(recovered) = recoveries.join_next().await {
            recovered??;
        }
        fleet.look().await
    }
}
