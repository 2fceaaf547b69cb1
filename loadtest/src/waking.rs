//! Starts and wakes: how long until a process listens, until its first token, and what it holds while it is asleep.
//!
//! The same binary is started again and again on a database that is warm; every other one goes quiet in between. Memory is
//! that of one process that has done its runs and gone quiet: once after runs that have ended, once after as many that wait for
//! somebody, and once of a process that has been started anew beside those.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use headwater_client::Client;
use headwater_testkit::model::TOOL;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::child::Process;
use crate::ground::{Ground, Shape};
use crate::run::{Pace, Recipe, at_a_time};
use crate::trial::{Trial, quantile};
use crate::who::Who;
use crate::wire::Wire;
use crate::{progress, sys};

const SHAPE: Shape = Shape { tokens: 8, delay_ms: 0, calls: false, slow: 0 };
/// The same, but it calls a tool that somebody else runs.
const ASKS: Shape = Shape { calls: true, ..SHAPE };
/// The least that a server takes; what is measured is not the wait.
const IDLE_MS: u64 = 1000;
/// Between two looks whether it listens.
const LOOK: Duration = Duration::from_micros(200);
/// After so long something does not come any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// exec to listening, exec and wake to the first token, memory of a process that is quiet
#[derive(Debug, Clone, Args)]
pub(crate) struct Wake {
    /// How often it is started, and how often it is woken
    #[arg(long, default_value_t = 20)]
    starts: usize,
    /// Runs that wait for somebody
    #[arg(long, default_value_t = 1000)]
    suspended: usize,
}

impl Wake {
    /// Measures.
    pub(crate) async fn run(&self, ground: &mut Ground) -> anyhow::Result<Trial> {
        let name = format!("wake, {} starts and wakes, {} suspended runs", self.starts, self.suspended);
        let mut trial = Trial::new(name);
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let site = Site { ground, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let (server, _) = site.start().await?;
        let who = site.who().await?;
        let recipe = Recipe::ours(site.address, site.request(&who, SHAPE), SHAPE);
        // What is done once in the life of a database is done.
        first_token(&recipe).await?;
        server.stop().await?;
        let (mut listening, mut started, mut woken, mut answered) = (vec![], vec![], vec![], vec![]);
        let (mut fresh, mut idle, mut quiet) = (vec![], vec![], vec![]);
        let bar = progress::bar("wake: starts", self.starts as u64);
        for _ in 0..self.starts {
            let began = Instant::now();
            let (server, after) = site.start().await?;
            listening.push(after);
            fresh.push(sys::rss_kib(server.pid()));
            started.push(first_token(&recipe).await? - began);
            idle.push(sys::rss_kib(server.pid()));
            site.until_quiet().await?;
            quiet.push(sys::rss_kib(server.pid()));
            let began = Instant::now();
            woken.push(first_token(&recipe).await? - began);
            // The same once more, awake: what of it is the run itself.
            let began = Instant::now();
            answered.push(first_token(&recipe).await? - began);
            server.stop().await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        trial.tell("exec to listening, ms, p50 / most", told(&listening));
        trial.tell("exec to the first token, ms, p50 / most", told(&started));
        trial.tell("a request to a process that is quiet, to the first token, ms", told(&woken));
        trial.tell("the same to one that is awake, ms", told(&answered));
        let words =
            "RSS when it listens / after a first run, for which the tokenizer is loaded / once it is quiet, MiB";
        trial.tell(words, format!("{} / {} / {}", mib(&mut fresh), mib(&mut idle), mib(&mut quiet)));
        self.memory(&site, &who, &mut trial).await?;
        Ok(trial)
    }

    /// What runs that wait cost a process that is quiet.
    async fn memory(&self, site: &Site<'_>, who: &Who, trial: &mut Trial) -> anyhow::Result<()> {
        let (server, _) = site.start().await?;
        let recipe = Recipe::ours(site.address, site.request(who, SHAPE), SHAPE);
        let bar = progress::bar("wake: runs that end", self.suspended as u64);
        let ended = at_a_time(&recipe, 32, Pace::new(self.suspended as u64, None, None), &bar).await;
        bar.finish_and_clear();
        trial.hold(ended.failed == 0, || ended.errors.join("; "));
        site.until_quiet().await?;
        let after_ended = sys::rss_kib(server.pid());
        self.suspend(site, who).await?;
        site.until_quiet().await?;
        let after_waiting = sys::rss_kib(server.pid());
        server.stop().await?;
        let (server, _) = site.start().await?;
        first_token(&recipe).await?;
        site.until_quiet().await?;
        let anew = sys::rss_kib(server.pid());
        server.stop().await?;
        let words = format!(
            "RSS of a quiet process after {} runs that ended / as many more that wait / one started anew beside those, MiB",
            self.suspended
        );
        trial.tell(&words, format!("{} / {} / {}", one(after_ended), one(after_waiting), one(anew)));
        let counted = "SELECT count(*) FROM headwater.runs WHERE status = 'suspended'";
        let counted = site.ground.admin.rows(counted).await?.first().and_then(|row| row.first()?.clone());
        trial.hold(counted == Some(self.suspended.to_string()), || format!("{counted:?} runs wait"));
        Ok(())
    }

    /// Makes runs that wait for somebody, and waits until they do.
    async fn suspend(&self, site: &Site<'_>, who: &Who) -> anyhow::Result<()> {
        let bar = progress::bar("wake: runs that wait", self.suspended as u64);
        let body = json!({"agent": "asks", "input": "Where is order 7?"}).to_string();
        let request = who.post(site.address, "/v1/runs?wait_ms=20000", "", &body);
        let (mut left, mut tasks) = (self.suspended, JoinSet::new());
        while left > 0 || !tasks.is_empty() {
            if left > 0 && tasks.len() < 32 {
                left -= 1;
                let (request, address) = (request.clone(), site.address);
                tasks.spawn(async move {
                    let mut wire = Wire::connect(address).await?;
                    let head = wire.request(&request).await?;
                    let text = wire.text().await?;
                    let waits = head.status == 201 && text.contains("\"suspended\"");
                    if waits { Ok(()) } else { bail!("status {}: {text}", head.status) }
                });
                continue;
            }
            if let Some(done) = tasks.join_next().await {
                done??;
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// Where all of it happens: one port, so that it can be asked for before anybody listens there.
struct Site<'a> {
    ground: &'a Ground,
    address: SocketAddr,
}

impl Site<'_> {
    /// Starts a server. How long until somebody could connect to it.
    async fn start(&self) -> anyhow::Result<(Process, Duration)> {
        let more = [
            ("HEADWATER__SERVER__PORT", self.address.port().to_string()),
            ("HEADWATER__QUIET__ENABLED", "true".to_owned()),
            ("HEADWATER__QUIET__IDLE_AFTER_MS", IDLE_MS.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let (launcher, began) = (self.ground.launcher(), Instant::now());
        let listens = async {
            while TcpStream::connect(self.address).await.is_err() && began.elapsed() < PATIENCE {
                tokio::time::sleep(LOOK).await;
            }
            began.elapsed()
        };
        let (server, after) = tokio::join!(launcher.start(&more), listens);
        Ok((server?, after))
    }

    /// A tenant with an agent that answers, and one that waits for somebody.
    async fn who(&self) -> anyhow::Result<Who> {
        let who = self.ground.tenant(self.address, "wake", &[SHAPE]).await?;
        let client = Client::builder(format!("http://{}", self.address)).api_key(&who.key).build()?;
        let asks = json!({"model": format!("load/{}", ASKS.model()), "tools": [{"type": "client", "name": TOOL}]});
        client.agents_put("asks", &asks).await.context("an agent")?;
        Ok(who)
    }

    fn request(&self, who: &Who, shape: Shape) -> bytes::Bytes {
        let body = json!({"agent": shape.model(), "input": "Where is order 7?"}).to_string();
        who.post(self.address, "/v1/runs", "accept: text/event-stream\r\nconnection: close\r\n", &body)
    }

    /// Waits until it says that it is quiet, which keeps nobody awake.
    async fn until_quiet(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        while began.elapsed() < PATIENCE {
            let mut wire = Wire::connect(self.address).await?;
            wire.request(request.as_bytes()).await?;
            if wire.text().await?.contains("quiet") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("it does not go quiet")
    }
}

/// Makes one run over a new connection, to its end. When its first token was there.
async fn first_token(recipe: &Recipe) -> anyhow::Result<Instant> {
    let read = tokio::time::timeout(PATIENCE, recipe.read(&mut None)).await.context("a run does not end")?;
    read.map(|(first, _)| first).map_err(anyhow::Error::msg)
}

fn told(times: &[Duration]) -> String {
    let mut us: Vec<i64> = times.iter().map(|time| time.as_micros() as i64).collect();
    us.sort_unstable();
    let ms = |us: i64| us as f64 / 1000.0;
    format!("{:.1} / {:.1}", ms(quantile(&us, 0.5)), ms(us.last().copied().unwrap_or(0)))
}

fn mib(kib: &mut [u64]) -> String {
    kib.sort_unstable();
    one(kib.get(kib.len() / 2).copied().unwrap_or(0))
}

fn one(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}
