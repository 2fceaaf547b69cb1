//! `headwater dev`: everything a newcomer needs, from nothing, with one command.
//!
//! In order: lock the data directory, take the port, bring up Postgres unless there is a DATABASE_URL,
//! migrate, start the server, make the demo tenant, write `dev.env`, and say what there is. Whatever goes wrong goes
//! wrong in that order, so that nothing slow is started for nothing. At the end the server is stopped first, and its
//! Postgres when nobody uses it any more; a second signal ends both at once, and Postgres never outlives the process.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use headwater_store::migrate::{MigrateOptions, migrate};
use secrecy::{ExposeSecret as _, SecretString};

use super::data_dir::{DEV_ENV, DataDir, Lock};
use super::demo::{self, Demo, Model};
use super::postgres::{self, Database};
use super::progress::Progress;
use super::signals::Signals;
use super::{env_file, logs, myself, output, settings};
use crate::config::Settings;
use crate::keys::MasterKey;
use crate::routes::dev::PageUser;
use crate::wiring::{self, Running};

const MASTER_KEY: &str = "master.key";

#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// The port to listen on; 0 takes a free one [default: 8080, or PORT]
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// Where data and dev.env are kept [default: /var/lib/headwater for root, ~/.local/share/headwater for others]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Delete the private database and begin anew
    #[arg(long)]
    reset: bool,
    /// A file with settings, as config/default.toml
    #[arg(long, value_name = "FILE", env = "HEADWATER_CONFIG")]
    config: Option<PathBuf>,
}

/// All that runs.
struct Up {
    running: Running,
    database: Database,
    _lock: Lock,
}

pub(super) async fn run(args: DevArgs) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let up = tokio::select! {
        up = Box::pin(bring_up(args)) => up?,
        // Dropping the half-made start stops what runs of it; a Postgres on its way ends with this process.
        () = signals.next() => return Err(super::Exit(130).into()),
    };
    let Up { running, mut database, _lock } = up;
    let asked = tokio::select! {
        () = signals.next() => true,
        () = running.failed() => false,
        () = database.keep_running() => unreachable!("it never returns"),
    };
    output::note(if asked { "\nstopping (once more to stop at once)" } else { "the server has ended; stopping" });
    let end = async {
        running.shutdown().await;
        database.stop().await
    };
    tokio::select! {
        ended = end => ended?,
        // Postgres ends with this process.
        () = signals.next() => return Err(super::Exit(130).into()),
    }
    if asked { Ok(()) } else { Err(anyhow!("the server ended by itself; its last log lines say why")) }
}

async fn bring_up(args: DevArgs) -> anyhow::Result<Up> {
    let mut settings = settings::load(args.config.as_deref())?;
    settings.apply_dev_profile();
    settings.server.port = args.port.unwrap_or(settings.server.port);
    if !settings.is_explicit("server.host") {
        settings.server.host = "127.0.0.1".to_owned();
    }
    logs::for_dev(&settings);
    let data = DataDir::make(args.data_dir.as_deref())?;
    let lock = data.lock()?;
    let port = settings.server.port;
    let listener = wiring::listen(&settings).await.map_err(|error| taken(&error, port).unwrap_or(error))?;
    let last = env_file::parse(&data.read(DEV_ENV)?.unwrap_or_default());

    let master = master_key(&settings, &data)?;
    settings.auth.master_key = Some(SecretString::from(master.to_hex()));
    let operator_key = settings.auth.operator_key.as_ref().map(|key| key.expose_secret().to_owned());
    let operator_key = operator_key.unwrap_or_else(|| master.derive_operator_key());
    settings.auth.operator_key = Some(SecretString::from(operator_key.clone()));

    let given = settings.database.url.as_ref().map(|url| url.expose_secret().to_owned());
    let database = match given.filter(|url| postgres::is_given(url, &data, last.get("DATABASE_URL"))) {
        Some(url) if args.reset => return postgres::refuse_reset(&url).map(|()| unreachable!("it refuses")),
        Some(url) => Database::Given { url },
        None => {
            (settings.database.app_url, settings.database.direct_url) = (None, None);
            if args.reset {
                // Its keys are those of a database that goes: whoever looks before it is written anew is to find nothing.
                data.remove(DEV_ENV)?;
            }
            Database::start(&data, args.reset).await?
        }
    };
    let url = database.url().to_owned();
    settings.database.url = Some(SecretString::from(url.clone()));
    settings.database.direct_url.get_or_insert_with(|| SecretString::from(url.clone()));

    let progress = Progress::new();
    progress.step("migrating the database");
    let admin_url = settings.database.direct_url.as_ref().map_or(url.clone(), |url| url.expose_secret().to_owned());
    let options = MigrateOptions {
        admin_url,
        app_password: settings::app_password(&settings)?,
        wake_password: settings::master_key(&settings)?.derive_wake_password(),
        prefix: settings.database.role_prefix.clone(),
    };
    migrate(&options).await.with_context(|| format!("could not prepare {}", database.words()))?;

    progress.step("starting the server");
    let running = Box::pin(wiring::start_on(settings, true, listener)).await?;
    progress.step("making the demo tenant");
    let model = Model::choose(|name| std::env::var(name).ok());
    let place = data.path().display().to_string();
    let last_key = last.get("HEADWATER_API_KEY");
    let prepared = demo::prepare(&running.url, &operator_key, last_key, &place, &model).await;
    let Demo { tenant, user, key, model } = prepared.context("the server is up, but refuses its own set-up")?;
    let _ = running.state.page_user.set(PageUser { tenant, user });
    drop(progress);

    let variables = [
        ("HEADWATER_URL", running.url.clone()),
        ("HEADWATER_API_KEY", key.clone()),
        ("HEADWATER_OPERATOR_KEY", operator_key),
        ("HEADWATER_MASTER_KEY", master.to_hex()),
        ("DATABASE_URL", url.clone()),
        // Nothing stands between us and this Postgres: other processes may listen for hints.
        ("DATABASE_DIRECT_URL", url),
        ("HEADWATER__PROFILE", "dev".to_owned()),
    ];
    let config = args.config.and_then(|file| file.canonicalize().ok()).map(|file| file.display().to_string());
    let variables: Vec<_> = variables.into_iter().chain(config.map(|config| ("HEADWATER_CONFIG", config))).collect();
    data.write(DEV_ENV, &env_file::render("written by headwater dev at each start: set -a; . dev.env", &variables))?;
    // Whether anybody reads it or not, the server runs.
    let _ = output::print(&greeting(&running.url, &key, &data, &database, &model, args.data_dir.is_some()));
    Ok(Up { running, database, _lock: lock })
}

/// The key that all else is derived from: as set, else that of the data directory, made once.
fn master_key(settings: &Settings, data: &DataDir) -> anyhow::Result<MasterKey> {
    if settings.auth.master_key.is_some() {
        return settings::master_key(settings);
    }
    if let Some(kept) = data.read(MASTER_KEY)? {
        let place = data.file(MASTER_KEY);
        let unusable = || format!("{} cannot be used; delete it, and a new one is made", place.display());
        return MasterKey::from_hex(&kept).with_context(unusable);
    }
    let key = MasterKey::generate();
    data.write(MASTER_KEY, &format!("{}\n", key.to_hex()))?;
    Ok(key)
}

/// What to do about a port that cannot be had.
fn taken(error: &anyhow::Error, port: u16) -> Option<anyhow::Error> {
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind)?;
    let what = match kind {
        ErrorKind::AddrInUse => "is taken by another program",
        ErrorKind::PermissionDenied => "may not be used by this user",
        _ => return None,
    };
    Some(anyhow!("port {port} {what}; choose another one: {} --port {}", myself(), port.saturating_add(1).max(8081)))
}

/// The first lines. A dozen at most.
fn greeting(url: &str, key: &str, data: &DataDir, database: &Database, model: &str, own_dir: bool) -> String {
    let env = env_file::quote(&data.file(DEV_ENV).display().to_string());
    let dir = if own_dir {
        format!(" --data-dir {}", env_file::quote(&data.path().display().to_string()))
    } else {
        String::new()
    };
    let model = match model.split('/').next() {
        Some("scripted") => {
            format!("{model}, built in: it cannot think. For a real one set OPENAI_API_KEY and start again")
        }
        Some("openai") => format!("{model} (OPENAI_MODEL names another)"),
        _ => model.to_owned(),
    };
    format!(
        "Headwater {version}, dev mode, with {database}
  model    {model}
  browser  {url}/
  key      {key}  (tenant {tenant})
  shell    set -a; . {env}; set +a
  chat     {myself} chat{dir} \"Hello\"
  curl     curl -N {url}/v1/runs -H 'Authorization: Bearer {key}' -H 'Headwater-User: {user}' \
-H 'Accept: text/event-stream' -H 'Content-Type: application/json' -d '{{\"agent\":\"{agent}\",\"input\":\"Hello\"}}'
listening on {url}
",
        version = env!("CARGO_PKG_VERSION"),
        database = database.words(),
        myself = myself(),
        tenant = demo::TENANT,
        user = demo::USER,
        agent = demo::AGENT,
    )
}
