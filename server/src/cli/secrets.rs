//! `headwater secrets rotate`: seals tenants' secrets under a new key, while everything serves.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use headwater_store::Store;

use super::{output, settings};
use crate::wiring::{store_options, vault};

#[derive(Debug, Args)]
pub(super) struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// Seal all secrets under HEADWATER_SECRETS_KEY that are under HEADWATER_OLD_SECRETS_KEY or the master key
    Rotate {
        /// A file with settings, as config/default.toml
        #[arg(long, value_name = "FILE", env = "HEADWATER_CONFIG")]
        config: Option<PathBuf>,
    },
}

pub(super) async fn run(args: SecretsArgs) -> anyhow::Result<()> {
    let SecretsCommand::Rotate { config } = args.command;
    let settings = settings::load(config.as_deref())?;
    if settings.database.url.is_none() && settings.database.app_url.is_none() {
        return Err(settings::no_database());
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let master = settings::master_key(&settings)?;
    let store = Store::connect(&store_options(&settings, &master)?).await.context("the database")?;
    let count = vault(&settings, &master, store.clone())?.rotate().await.context("the keys of tenants")?;
    store.close();
    output::line(&match count {
        0 => "all secrets are under the key that is set".to_owned(),
        1 => "the secrets of 1 tenant are under the key that is set now".to_owned(),
        count => format!("the secrets of {count} tenants are under the key that is set now"),
    })
}
