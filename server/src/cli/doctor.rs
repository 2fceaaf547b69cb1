//! `headwater doctor`: looks at settings, database, wall and providers as the server would, and says of each finding
//! what to do. Changes nothing. Ends with 1 if there is a finding.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use headwater_llm::{Protocol, ProviderConfig};
use headwater_protocol::{RunId, Timestamp};
use headwater_store::Store;
use headwater_store::migrate::known_version;
use secrecy::ExposeSecret as _;

use super::data_dir::{DEV_ENV, DataDir};
use super::{Chain, env_file, myself, output, settings};
use crate::config::Settings;
use crate::wiring;

const OPENAI: &str = "https://api.openai.com/v1";
const ANTHROPIC: &str = "https://api.anthropic.com/v1";
/// How old a run may be whose money is added up.
const LOOKED_BACK: Duration = Duration::from_secs(7 * 24 * 3600);
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// A file with settings, as config/default.toml
    #[arg(long, value_name = "FILE", env = "HEADWATER_CONFIG")]
    config: Option<PathBuf>,
    /// Headwater's data directory; its dev.env is used unless DATABASE_URL is set
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) async fn run(args: DoctorArgs) -> anyhow::Result<()> {
    let mut report = Report::default();
    examine(&args, &mut report).await?;
    match report.findings {
        0 => output::line("all is well"),
        count => {
            output::line(&format!("{count} finding{}", if count == 1 { "" } else { "s" }))?;
            Err(super::Exit(1).into())
        }
    }
}

async fn examine(args: &DoctorArgs, report: &mut Report) -> anyhow::Result<()> {
    let (defaults, place) = defaults(args)?;
    let settings = match settings::load_with(args.config.as_deref(), &defaults) {
        Ok(settings) => settings,
        Err(error) => {
            return report.finding("settings", &Chain(&error).to_string(), "mend what is named, and look again");
        }
    };
    report.good("settings", &place)?;
    for warning in settings.warnings() {
        report.finding("settings", &warning, "set it, or take the provider out of the settings")?;
    }
    let keys = check_keys(&settings, report)?;
    check_providers(&settings, report).await?;
    if keys {
        check_database(&settings, report).await?;
    }
    Ok(())
}

/// What a developer's own server runs with, unless the environment names a database.
fn defaults(args: &DoctorArgs) -> anyhow::Result<(BTreeMap<String, String>, String)> {
    let data = DataDir::at(args.data_dir.as_deref());
    let set =
        ["DATABASE_URL", "DATABASE_APP_URL"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    Ok(match data.read(DEV_ENV)? {
        Some(text) if !set => {
            let place = format!("read, with those of {}", data.file(DEV_ENV).display());
            (env_file::parse(&text), place)
        }
        Some(_) | None => (BTreeMap::new(), "read from the environment".to_owned()),
    })
}

/// Whether there is a master key that can be used.
fn check_keys(settings: &Settings, report: &mut Report) -> anyhow::Result<bool> {
    let usable = match settings::master_key(settings) {
        Ok(_) => {
            report.good("master key", "set")?;
            true
        }
        Err(error) => {
            let text = Chain(&error).to_string();
            let (what, todo) = text.split_once("; ").unwrap_or((&text, "set HEADWATER_MASTER_KEY"));
            report.finding("master key", what, todo)?;
            false
        }
    };
    // What cannot be one was refused with the settings.
    match &settings.auth.operator_key {
        Some(_) => report.good("operator key", "set")?,
        None => report.good("operator key", "follows from the master key")?,
    }
    Ok(usable)
}

/// What a pooler in between asks for.
async fn check_pooler(settings: &Settings, store: &Store, report: &mut Report) -> anyhow::Result<()> {
    if !store.is_pooled() {
        return Ok(());
    }
    match store.missing_settings().await? {
        None => report.good("pooler", "there is one; the role brings its own settings")?,
        Some(statement) => {
            let todo = format!("run `{} migrate`, or else {statement}", myself());
            report.finding("pooler", "there is one, and the role does not bring its own settings", &todo)?;
        }
    }
    if settings.database.direct_url.is_none() {
        let words = "without DATABASE_DIRECT_URL no migration can be run, and other processes' events are looked for once \
                     a second";
        report.note("pooler", words)?;
    }
    Ok(())
}

async fn check_database(settings: &Settings, report: &mut Report) -> anyhow::Result<()> {
    let database = &settings.database;
    let Some(url) = database.app_url.as_ref().or(database.url.as_ref()) else {
        let text = settings::no_database().to_string();
        let (what, todo) = text.split_once("; ").unwrap_or((&text, "set DATABASE_URL"));
        return report.finding("database", what, todo);
    };
    let shown = settings::shown(url.expose_secret());
    let options = wiring::store_options(settings, &settings::master_key(settings)?)?;
    let connected = async {
        let store = Store::connect(&options).await?;
        store.ping().await.map(|()| store)
    };
    let store = match connected.await {
        Ok(store) => store,
        Err(error) => {
            let todo = wiring::what_to_do(&error);
            return report.finding("database", &format!("{shown}: {error}"), todo);
        }
    };
    report.good("database", &format!("{shown} answers"))?;
    check_pooler(settings, &store, report).await?;
    match store.check_role().await? {
        Ok(()) => report.good("role", "the server logs in as one that owns nothing")?,
        Err(reason) => report.finding("role", &reason, "set DATABASE_APP_URL to the app role, or unset it")?,
    }

    let unscoped = store.unscoped("the doctor looks at the whole installation");
    let known = known_version();
    let version = match unscoped.schema_version().await {
        Ok(version) => version,
        Err(error) => {
            let todo = format!("run `{} migrate`", myself());
            return report.finding("schema", &format!("it is not there ({error})"), &todo);
        }
    };
    match version.cmp(&known) {
        std::cmp::Ordering::Equal => report.good("schema", &format!("version {version}"))?,
        std::cmp::Ordering::Less => {
            let what = format!("it is at version {version}, this release wants {known}");
            report.finding("schema", &what, &format!("run `{} migrate`", myself()))?;
        }
        std::cmp::Ordering::Greater if unscoped.schema_serves().await.is_ok_and(|oldest| oldest <= known) => {
            report.good(
                "schema",
                &format!("version {version}, of a newer release, which serves this one ({known}) too"),
            )?;
        }
        std::cmp::Ordering::Greater => {
            let what = format!("it is at version {version}, this release knows {known}");
            report.finding("schema", &what, "use the release that migrated it, or a later one")?;
        }
    }

    let broken = store.lint(&settings.database.role_prefix).await?;
    if broken.is_empty() {
        report.good("wall", "every rule holds")?;
    }
    for finding in broken {
        let what = format!("{}: {}", finding.rule, finding.object);
        let todo = "undo what was changed by hand in this database; tenants may not be apart until then";
        report.finding("wall", &what, todo)?;
    }
    match unscoped.sweep().await? {
        0 => report.good("runs", "each has an owner, or is over")?,
        count => report.finding(
            "runs",
            &format!("{count} without a living owner"),
            "start a server on this database: it ends them at its start and again one lease time later",
        )?,
    }
    check_money(&store, report).await?;
    store.close();
    Ok(())
}

/// The ledger's lines, what runs say that they cost, and what budgets have set aside, are one another's sums.
async fn check_money(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    let since = Timestamp(jiff::Timestamp::now() - LOOKED_BACK);
    let differs = store.unscoped("the doctor adds up what was spent").money_differs(since, 20).await?;
    if differs.is_empty() {
        return report.good("money", "runs of the last week cost what the ledger says, and budgets set aside what is");
    }
    for (tenant, what, object, recorded, told) in differs {
        let (what, records) = match what.as_str() {
            "run" => (format!("run {} of {tenant} says it cost {told}", RunId::from_uuid(object)), "the ledger"),
            _ => (format!("budget {object} of {tenant} has set aside {told}"), "the reservations"),
        };
        let words = format!("{what} nano-dollars, and {records} add up to {recorded}");
        report.finding(
            "money",
            &words,
            "report this, with the run's events: amounts are written together, and cannot part",
        )?;
    }
    Ok(())
}

async fn check_providers(settings: &Settings, report: &mut Report) -> anyhow::Result<()> {
    let providers = settings.provider_configs();
    let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
    for (name, provider) in &providers {
        let what = format!("provider {name}");
        match provider.protocol {
            Protocol::Scripted => report.good(&what, "built in")?,
            Protocol::OpenAiChat | Protocol::OpenAiResponses | Protocol::AnthropicMessages => {
                match ask(&http, provider).await {
                    Ok(words) => report.good(&what, &words)?,
                    Err((finding, todo)) => report.finding(&what, &finding, &todo)?,
                }
            }
        }
    }
    match settings.llm.prices() {
        Ok(_) if settings.llm.prices_file.is_empty() => {}
        Ok(_) => report.good("prices", &format!("{} reads", settings.llm.prices_file))?,
        Err(error) => {
            report.finding("prices", &Chain(&error).to_string(), "mend the file, or unset llm.prices_file")?
        }
    }
    if providers.values().all(|provider| provider.protocol == Protocol::Scripted) {
        report.note(
            "providers",
            "only the built-in one; set OPENAI_API_KEY, ANTHROPIC_API_KEY or HEADWATER__PROVIDERS__NAME__BASE_URL for more",
        )?;
    }
    Ok(())
}

/// Asks a provider for its models, which costs nothing. `Err` is a finding and what to do.
async fn ask(http: &reqwest::Client, provider: &ProviderConfig) -> Result<String, (String, String)> {
    let default = if provider.protocol == Protocol::AnthropicMessages { ANTHROPIC } else { OPENAI };
    let base = provider.base_url.as_deref().unwrap_or(default).trim_end_matches('/');
    let mut request = http.get(format!("{base}/models"));
    if let Some(key) = &provider.api_key {
        request = match provider.protocol {
            Protocol::AnthropicMessages => {
                request.header("x-api-key", key.expose_secret()).header("anthropic-version", "2023-06-01")
            }
            Protocol::OpenAiChat | Protocol::OpenAiResponses | Protocol::Scripted => {
                request.bearer_auth(key.expose_secret())
            }
        };
    }
    let answer = request.send().await.map_err(|error| {
        let cause = Chain(&anyhow::Error::new(error.without_url())).to_string();
        (format!("{base} does not answer ({cause})"), "look at its base_url, and at the network from here".to_owned())
    })?;
    let status = answer.status().as_u16();
    match status {
        401 | 403 if provider.api_key.is_none() => {
            Err((format!("{base} wants a key"), "set its api_key_env to the variable that holds one".to_owned()))
        }
        401 | 403 => {
            Err((format!("{base} refuses the key (status {status})"), "set a key that is good there".to_owned()))
        }
        500.. => Err((format!("{base} is in trouble (status {status})"), "try later; runs fail until then".to_owned())),
        // Some have no list of models; that they answer is all we wanted to know.
        _ => Ok(format!("{base} answers")),
    }
}

#[derive(Default)]
struct Report {
    findings: usize,
}

impl Report {
    fn good(&mut self, what: &str, words: &str) -> anyhow::Result<()> {
        output::line(&format!("ok    {what:<14}  {words}"))
    }

    fn note(&mut self, what: &str, words: &str) -> anyhow::Result<()> {
        output::line(&format!("note  {what:<14}  {words}"))
    }

    fn finding(&mut self, what: &str, words: &str, todo: &str) -> anyhow::Result<()> {
        self.findings += 1;
        output::line(&format!("BAD   {what:<14}  {words}\n      {:<14}  → {todo}", ""))
    }
}
