//! `headwater migrate`: makes a database ours, or brings it up to date. To be run before a new release serves.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use headwater_store::migrate::{MigrateOptions, Roles, known_version, migrate};
use secrecy::ExposeSecret as _;

use super::{output, settings};

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// A file with settings, as config/default.toml
    #[arg(long, value_name = "FILE", env = "HEADWATER_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    let settings = settings::load(args.config.as_deref())?;
    let database = &settings.database;
    // A migration wants a session of its own, which a pooler in front of the database does not give.
    let url = database.direct_url.as_ref().or(database.url.as_ref()).ok_or_else(settings::no_database)?;
    let options = MigrateOptions {
        admin_url: url.expose_secret().to_owned(),
        app_password: settings::app_password(&settings)?,
        wake_password: settings::master_key(&settings)?.derive_wake_password(),
        prefix: database.role_prefix.clone(),
    };
    let shown = settings::shown(&options.admin_url);
    let count = migrate(&options).await.map_err(|error| {
        anyhow!(
            "could not migrate {shown}: {error}; it takes a user who may make roles and schemas there, named by \
             DATABASE_DIRECT_URL or else DATABASE_URL"
        )
    })?;
    let did = match count {
        0 => "was up to date".to_owned(),
        1 => "is up to date: 1 migration ran".to_owned(),
        count => format!("is up to date: {count} migrations ran"),
    };
    let app = Roles::new(&options.prefix)?.app();
    output::line(&format!("{shown} {did} (schema version {}; the server logs in as {app})", known_version()))
}
