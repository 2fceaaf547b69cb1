//! `headwater wake`: wakes a service that sleeps, when something is due. For a scheduler outside of it.
//!
//! Asks the database, never the server: asking that would keep it awake.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use headwater_protocol::Timestamp;
use headwater_store::migrate::Roles;
use headwater_store::waker::next_wake_at;
use secrecy::ExposeSecret as _;

use super::signals::repeat;
use super::{output, settings};
use crate::config::Settings;

/// How long a service may take to wake.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long one request may take: a host may hold it until the service is up.
const REQUEST: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(super) struct WakeArgs {
    /// Where the service is
    #[arg(long, env = "HEADWATER_URL", value_name = "URL")]
    url: Option<String>,
    /// Look again after so many seconds, until stopped; without it once, for a cron service
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: Option<u64>,
    /// Wake for what is due within so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    ahead: u64,
    /// Print the two secrets that this command needs where there is no HEADWATER_MASTER_KEY, and end
    #[arg(long)]
    secrets: bool,
    /// A file with settings, as config/default.toml
    #[arg(long, value_name = "FILE", env = "HEADWATER_CONFIG")]
    config: Option<PathBuf>,
}

/// Where is asked, and with what is woken.
struct Waker {
    http: reqwest::Client,
    database: String,
    login: Option<(String, String)>,
    url: reqwest::Url,
    key: String,
    ahead: Duration,
}

pub(super) async fn run(args: WakeArgs) -> anyhow::Result<()> {
    let settings = settings::load(args.config.as_deref())?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let database = &settings.database;
    if args.secrets {
        let master = settings::master_key(&settings)?;
        let url = database.direct_url.as_ref().or(database.url.as_ref()).ok_or_else(settings::no_database)?;
        let mut url = reqwest::Url::parse(url.expose_secret()).context("the URL of the database")?;
        let role = Roles::new(&database.role_prefix)?.wake();
        let set = url.set_username(&role).and_then(|()| url.set_password(Some(&master.derive_wake_password())));
        set.map_err(|()| anyhow!("the URL of the database has no place for a login"))?;
        // A login in the query would win over the one before the host.
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| !matches!(&**name, "user" | "password" | "options"))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        output::line(&format!("DATABASE_WAKE_URL={url}"))?;
        return output::line(&format!("HEADWATER_WAKE_KEY={}", master.derive_wake_key()));
    }
    // Whoever has both secrets needs no master key.
    let (asked, login) = self::database(&settings)?;
    let key = match variable("HEADWATER_WAKE_KEY") {
        Some(key) => key,
        None => settings::master_key(&settings)?.derive_wake_key(),
    };
    let Some(url) = args.url else { bail!("where is the service? Set HEADWATER_URL, or name it with --url") };
    let url = reqwest::Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url =
        url.and_then(|url| url.join("/wake").ok()).ok_or_else(|| anyhow!("HEADWATER_URL is no http or https URL"))?;
    let http = reqwest::Client::builder().timeout(REQUEST).redirect(reqwest::redirect::Policy::none()).build()?;
    let waker = Waker { http, database: asked, login, url, key, ahead: Duration::from_secs(args.ahead) };
    match args.every {
        None => waker.look().await,
        Some(every) => repeat(Duration::from_secs(every), async || waker.look().await).await,
    }
}

/// Where the database is asked from outside, and as whom where the URL does not say.
pub(super) fn database(settings: &Settings) -> anyhow::Result<(String, Option<(String, String)>)> {
    if let Some(url) = std::env::var("DATABASE_WAKE_URL").ok().filter(|value| !value.is_empty()) {
        return Ok((url, None));
    }
    let database = &settings.database;
    let url = database.direct_url.as_ref().or(database.url.as_ref()).ok_or_else(settings::no_database)?;
    let master = settings::master_key(settings)?;
    let login = (Roles::new(&database.role_prefix)?.wake(), master.derive_wake_password());
    Ok((url.expose_secret().to_owned(), Some(login)))
}

impl Waker {
    /// Looks once, and wakes the service if something is due.
    async fn look(&self) -> anyhow::Result<()> {
        let at = next_wake_at(&self.database, self.login.clone())
            .await
            .with_context(|| format!("could not ask {} when something is due", settings::shown(&self.database)))?;
        let Some(at) = at else { return output::line("nothing is scheduled") };
        if at > Timestamp::now().plus_ms(self.ahead.as_millis() as i64) {
            return output::line(&format!("nothing is due before {at}"));
        }
        self.wake().await?;
        output::line(&format!("due since {at}: woke {}", self.url.origin().ascii_serialization()))
    }

    /// Asks until the service itself answers: what stands before one that sleeps may answer first.
    async fn wake(&self) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(500);
        loop {
            let asked = self.http.post(self.url.clone()).bearer_auth(&self.key).send().await;
            let words = match asked {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) if answer.headers().contains_key("request-id") && answer.status().is_client_error() => {
                    bail!("the service refuses to be woken ({}): is this its master key?", answer.status())
                }
                Ok(answer) => format!("it answered {}", answer.status()),
                Err(error) => format!("{}", error.without_url()),
            };
            if tokio::time::Instant::now() + pause > until {
                bail!("the service did not wake within {} s: {words}", PATIENCE.as_secs());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }
}
