//! `headwater autoscale`: sets how many replicas a service has on Railway, by what there is to do. For a cron service, or a sidecar.
//!
//! Asks the database, as the role that may ask two such questions and nothing else, and Railway; never the server. Remembers nothing: what has
//! to be remembered between two looks is in the database.

mod policy;
mod railway;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use headwater_store::waker;
use secrecy::SecretString;

use self::policy::{Bounds, Seen, decide};
use self::railway::{Railway, Token};
use super::signals::repeat;
use super::wake::database;
use super::{output, settings};

/// How long Railway may take: as its own command line waits.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, Args)]
pub(super) struct AutoscaleArgs {
    /// The service to scale, by its id
    #[arg(long, env = "HEADWATER_AUTOSCALE_SERVICE_ID", value_name = "ID")]
    service: String,
    /// The environment that it is in; Railway sets it for whatever runs there
    #[arg(long, env = "RAILWAY_ENVIRONMENT_ID", value_name = "ID")]
    environment: String,
    /// Replicas at least
    #[arg(long, env = "HEADWATER_AUTOSCALE_MIN", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=50))]
    min: u32,
    /// Replicas at most
    #[arg(long, env = "HEADWATER_AUTOSCALE_MAX", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=50))]
    max: u32,
    /// Runs under way that one replica is meant for
    #[arg(long, env = "HEADWATER_AUTOSCALE_RUNS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    runs_per_replica: u32,
    /// One replica fewer once fewer were enough for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    down_after: u64,
    /// Look again after so many seconds, until stopped; without it once, for a cron service
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=86_400))]
    every: Option<u64>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Where Railway's API is
    #[arg(long, value_name = "URL", default_value = "https://backboard.railway.com/graphql/v2")]
    api_url: String,
    /// A file with settings, as config/default.toml
    #[arg(long, value_name = "FILE", env = "HEADWATER_CONFIG")]
    config: Option<PathBuf>,
}

/// What is asked, and within what.
struct Scaler {
    railway: Railway,
    database: String,
    login: Option<(String, String)>,
    bounds: Bounds,
    dry_run: bool,
}

pub(super) async fn run(args: AutoscaleArgs) -> anyhow::Result<()> {
    if args.min > args.max {
        bail!("--min {} is more than --max {}", args.min, args.max);
    }
    let settings = settings::load(args.config.as_deref())?;
    let (database, login) = database(&settings)?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(SecretString::from);
    let token = match (variable("RAILWAY_API_TOKEN"), variable("RAILWAY_TOKEN")) {
        (Some(token), _) => Token::Bearer(token),
        (None, Some(token)) => Token::Project(token),
        (None, None) => bail!(
            "set RAILWAY_TOKEN to a token of the project's environment, or RAILWAY_API_TOKEN to one of an account or a workspace"
        ),
    };
    let url = reqwest::Url::parse(&args.api_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let railway = Railway {
        http: reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?,
        url: url.ok_or_else(|| anyhow!("--api-url is no http or https URL"))?,
        token,
        service: args.service,
        environment: args.environment,
    };
    let bounds = Bounds {
        min: args.min,
        max: args.max,
        runs_per_replica: args.runs_per_replica,
        down_after: Duration::from_secs(args.down_after),
    };
    let scaler = Scaler { railway, database, login, bounds, dry_run: args.dry_run };
    match args.every {
        None => scaler.look().await,
        Some(every) => repeat(Duration::from_secs(every), async || scaler.look().await).await,
    }
}

impl Scaler {
    /// Looks once, and sets what should be otherwise.
    async fn look(&self) -> anyhow::Result<()> {
        let asking = || format!("could not ask {} how much there is to do", settings::shown(&self.database));
        let load = waker::load(&self.database, self.login.clone()).await.with_context(asking)?;
        let scale = self.railway.scale().await?;
        let runs = load.busy + load.waiting;
        let seen = Seen { runs, replicas: scale.replicas, low_since: load.low_since, at: load.at };
        let (wanted, low_since) = decide(self.bounds, seen);
        let words = format!(
            "{} runs under way, {} waiting, {} processes; {} replicas are set, {} run",
            load.busy, load.waiting, load.processes, scale.replicas, scale.running
        );
        if self.dry_run {
            return output::line(&format!("{words}: would set {wanted}"));
        }
        if wanted != scale.replicas {
            self.railway.set(&scale, wanted).await?;
        }
        // After it is set: what could not be set is due at the next look still.
        waker::note_low(&self.database, self.login.clone(), low_since).await.with_context(asking)?;
        output::line(&match wanted == scale.replicas {
            true => format!("{words}: as it should be"),
            false => format!("{words}: set {wanted}"),
        })
    }
}
