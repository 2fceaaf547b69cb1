//! `loadtest`: what Headwater costs, measured against a relay that does nothing but pass bytes on.
//!
//! Owns the scenarios, the two measured processes and the clocks around them. Promises that both sides meet the same
//! load, on the same core, in the same call, and that a measurement in which the load generator itself was the limit
//! is called VOID. Never part of the product, and never a test that fails for being slow: only a run that failed or is
//! incomplete, or a promise that was broken, makes it exit with 1.
//!
//! | module | holds |
//! |---|---|
//! | `throughput`, `slow_streams`, `storm`, `money` | the scenarios that compare costs |
//! | `chaos`, `rolling`, `stalled`, `hostile`, `budget`, `neighbours`, `throttled` | the scenarios that are about promises |
//! | `waking` | starts, wakes, and the memory of a process that is asleep |
//! | `wicked` | the tools of `hostile` |
//! | `fleet`, `crowd`, `follow` | several servers, many runs at them, readers that go from one to the other |
//! | `audit`, `story`, `trial` | whether every promise was kept, and the table of it |
//! | `ground`, `child`, `roles` | Postgres, model, server and relay, each on its core |
//! | `run`, `wire`, `who`, `answer` | one run over a bare socket, and whether it is all there |
//! | `log`, `cut` | a log put together over connections that are cut |
//! | `measure`, `sys`, `report` | clocks, `/proc`, the table |

mod answer;
mod audit;
mod budget;
mod chaos;
mod child;
mod crowd;
mod cut;
mod fleet;
mod follow;
mod ground;
mod hostile;
mod log;
mod measure;
mod money;
mod neighbours;
mod progress;
mod report;
mod roles;
mod rolling;
mod run;
mod slow_streams;
mod stalled;
mod storm;
mod story;
mod sys;
mod throttled;
mod throughput;
mod trial;
mod waking;
mod who;
mod wicked;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};

use crate::budget::Budgets;
use crate::chaos::Chaos;
use crate::ground::{Ground, GroundOptions};
use crate::hostile::HostileTools;
use crate::money::Money;
use crate::neighbours::NoisyNeighbour;
use crate::report::Report;
use crate::rolling::RollingDeploy;
use crate::slow_streams::SlowStreams;
use crate::stalled::StalledReaders;
use crate::storm::ResumeStorm;
use crate::sys::Cores;
use crate::throttled::ThrottledProvider;
use crate::throughput::Throughput;
use crate::waking::Wake;

#[derive(Debug, Parser)]
#[command(name = "loadtest", about = "Measures Headwater against a relay that does nothing but pass bytes on")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// The server's binary
    #[arg(long, global = true, default_value = "target/release/headwater", value_name = "FILE")]
    server_bin: PathBuf,
    /// Write everything measured here as JSON, too
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The core of the server and of the relay
    #[arg(long, global = true, value_name = "N")]
    server_core: Option<usize>,
    /// The core of model, load generator and Postgres
    #[arg(long, global = true, value_name = "N")]
    load_core: Option<usize>,
    /// A setting of the server under test, as HEADWATER__SECTION__KEY=VALUE; may be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = pair)]
    server_env: Vec<(String, String)>,
    /// A PgBouncer in transaction mode between the servers and Postgres
    #[arg(long, global = true)]
    pooler: bool,
    /// Servers hear no hints of each other: they are given no direct URL of the database
    #[arg(long, global = true)]
    no_hints: bool,
    /// A setting of Postgres; may be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = pair)]
    pg: Vec<(String, String)>,
    /// SQL to run after the migrations: to try a change of the schema without a build
    #[arg(long, global = true, value_name = "FILE")]
    sql: Vec<PathBuf>,
    /// SQL to print the result of when all is done
    #[arg(long, global = true, value_name = "SQL")]
    query: Vec<String>,
    /// Without an ANALYZE after the warm-up: as on a database of the first minute
    #[arg(long, global = true)]
    no_analyze: bool,
    /// Leave the temporary directory, with logs and data, behind
    #[arg(long, global = true)]
    keep: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Throughput(Throughput),
    SlowStreams(SlowStreams),
    ResumeStorm(ResumeStorm),
    Chaos(Chaos),
    RollingDeploy(RollingDeploy),
    StalledReaders(StalledReaders),
    HostileTools(HostileTools),
    Budget(Budgets),
    Money(Money),
    NoisyNeighbour(NoisyNeighbour),
    ThrottledProvider(ThrottledProvider),
    Wake(Wake),
    /// Those that compare costs: throughput, slow-streams, resume-storm
    All,
    /// The model, in a process of its own
    #[command(hide = true)]
    ModelServer,
    /// The relay, in a process of its own
    #[command(hide = true)]
    RelayServer {
        #[arg(long)]
        model: String,
        #[arg(long)]
        tool: String,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `false`: some runs failed, or a promise was broken.
fn start(cli: Cli) -> anyhow::Result<bool> {
    // One thread is enough for one core. It has to be this one: children end when the thread that made them does.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match cli.command {
        Command::ModelServer => runtime.block_on(roles::model_server()).map(|()| true),
        Command::RelayServer { model, tool } => {
            // As many workers as cores, of which it has one: as the server under test.
            drop(runtime);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(roles::relay_server(&model, &tool)).map(|()| true)
        }
        Command::Throughput(_)
        | Command::SlowStreams(_)
        | Command::ResumeStorm(_)
        | Command::Chaos(_)
        | Command::RollingDeploy(_)
        | Command::StalledReaders(_)
        | Command::HostileTools(_)
        | Command::Budget(_)
        | Command::Money(_)
        | Command::NoisyNeighbour(_)
        | Command::ThrottledProvider(_)
        | Command::Wake(_)
        | Command::All => {
            check_server(&cli.common.server_bin)?;
            let cores = Cores::choose(cli.common.server_core, cli.common.load_core)?;
            sys::raise_open_files().context("the limit of open files")?;
            sys::pin_to(cores.load).context("this process cannot be kept on one core")?;
            runtime.block_on(async {
                tokio::select! {
                    done = measure(cli.command, cli.common, cores) => done,
                    _ = tokio::signal::ctrl_c() => bail!("interrupted"),
                }
            })
        }
    }
}

fn check_server(binary: &Path) -> anyhow::Result<()> {
    if !binary.is_file() {
        bail!(
            "{} is not there; build it with `cargo build --release -p headwater`, or name another with --server-bin",
            binary.display()
        );
    }
    Ok(())
}

async fn measure(command: Command, common: Common, cores: Cores) -> anyhow::Result<bool> {
    let load_average = sys::load_average();
    let read =
        |file: &PathBuf| std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()));
    let options = GroundOptions {
        sql: common.sql.iter().map(read).collect::<anyhow::Result<_>>()?,
        server_bin: common.server_bin,
        cores,
        server_env: common.server_env,
        pooler: common.pooler,
        hints: !common.no_hints,
        pg_settings: common.pg,
        no_analyze: common.no_analyze,
        keep: common.keep,
    };
    let mut ground = Ground::start(options).await?;
    if common.keep {
        eprintln!("data and logs are in {}", ground.dir().display());
    }
    let mut trials = Vec::new();
    let cases = match command {
        Command::Chaos(chaos) => {
            trials.push(Box::pin(chaos.run(&mut ground)).await?);
            Vec::new()
        }
        Command::RollingDeploy(deploy) => {
            trials.push(Box::pin(deploy.run(&mut ground)).await?);
            Vec::new()
        }
        Command::StalledReaders(stalled) => {
            trials.push(Box::pin(stalled.run(&mut ground)).await?);
            Vec::new()
        }
        Command::Budget(budgets) => {
            trials.push(Box::pin(budgets.run(&mut ground)).await?);
            Vec::new()
        }
        Command::Money(money) => {
            trials.push(Box::pin(money.run(&mut ground)).await?);
            Vec::new()
        }
        Command::NoisyNeighbour(neighbour) => {
            trials.push(Box::pin(neighbour.run(&mut ground)).await?);
            Vec::new()
        }
        Command::ThrottledProvider(throttled) => {
            trials.push(Box::pin(throttled.run(&mut ground)).await?);
            Vec::new()
        }
        Command::Wake(wake) => {
            trials.push(Box::pin(wake.run(&mut ground)).await?);
            Vec::new()
        }
        Command::HostileTools(hostile) => {
            trials.push(Box::pin(hostile.run(&mut ground)).await?);
            Vec::new()
        }
        Command::Throughput(throughput) => throughput.run(&mut ground).await?,
        Command::SlowStreams(slow_streams) => slow_streams.run(&mut ground).await?,
        Command::ResumeStorm(storm) => storm.run(&mut ground).await?,
        Command::All | Command::ModelServer | Command::RelayServer { .. } => {
            let mut cases = Throughput::default().run(&mut ground).await?;
            cases.extend(SlowStreams::default().run(&mut ground).await?);
            cases.extend(ResumeStorm::default().run(&mut ground).await?);
            cases
        }
    };
    let postgres = ground.postgres_version().to_owned();
    let report = Report { processor: sys::processor(), load_average, postgres, cases, trials };
    print!("{}", report.table());
    for sql in &common.query {
        println!("\n{sql}");
        for row in ground.admin.rows(sql).await? {
            println!("{}", row.iter().map(|v| v.as_deref().unwrap_or("")).collect::<Vec<_>>().join(" | "));
        }
    }
    if let Some(file) = &common.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    ground.stop().await?;
    Ok(!report.has_failed())
}
