//! `headwater doctor`: looks at settings, database, wall and providers as the server would, and says of each finding
//! what to do. Changes nothing. Ends with 1 if there is a finding.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use headwater_llm::{Protocol, ProviderConfig};
use headwater_protocol::api::{Finding, FindingLevel};
use headwater_store::Store;
use secrecy::ExposeSecret as _;

use super::data_dir::{DEV_ENV, DataDir};
use super::{Chain, env_file, output, settings};
use crate::config::Settings;
use crate::doctor::installation;
use crate::wiring;

const OPENAI: &str = "https://api.openai.com/v1";
const ANTHROPIC: &str = "https://api.anthropic.com/v1";
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

async fn check_database(settings: &Settings, report: &mut Report) -> anyhow::Result<()> {
    let database = &settings.database;
    let Some(url) = database.app_url.as_ref().or(database.url.as_ref()) else {
        let text = settings::no_database().to_string();
        let (what, todo) = text.split_once("; ").unwrap_or((&text, "set DATABASE_URL"));
        return report.finding("database", what, todo);
    };
    let shown = settings::shown(url.expose_secret());
    let master = settings::master_key(settings)?;
    let options = wiring::store_options(settings, &master)?;
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
    let looks = wiring::looks(settings);
    let vault = wiring::vault(settings, &master, store.clone())?;
    for finding in installation(&store, &vault, &looks).await? {
        report.tell(&finding)?;
    }
    store.close();
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
    fn tell(&mut self, finding: &Finding) -> anyhow::Result<()> {
        let Finding { level, what, words, advice } = finding;
        match level {
            FindingLevel::Ok => self.good(what, words),
            FindingLevel::Note => self.note(what, words),
            FindingLevel::Error => self.finding(what, words, advice.as_deref().unwrap_or_default()),
        }
    }

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
