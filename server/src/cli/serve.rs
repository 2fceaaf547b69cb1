//! `headwater serve`: the server, against a database that is there.

use std::path::PathBuf;

use clap::Args;

use super::signals::Signals;
use super::{logs, output, settings};
use crate::wiring;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// A file with settings, as config/default.toml
    #[arg(long, value_name = "FILE", env = "HEADWATER_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let settings = settings::load(args.config.as_deref())?;
    if settings.database.url.is_none() && settings.database.app_url.is_none() {
        return Err(settings::no_database());
    }
    settings::master_key(&settings)?;
    logs::as_set(&settings);
    let running = tokio::select! {
        running = Box::pin(wiring::start(settings, false)) => running?,
        () = signals.next() => return Err(super::Exit(130).into()),
    };
    // For whoever waits for it, whatever the logs leave out; whether anybody reads it or not, the server runs.
    let _ = output::line(&format!("listening on http://{}", running.address));
    let asked = tokio::select! {
        () = signals.next() => true,
        () = running.failed() => false,
    };
    tokio::select! {
        () = running.shutdown() => {}
        // Once more: at once.
        () = signals.next() => {
            running.abort();
            return Err(super::Exit(130).into());
        }
    }
    if asked { Ok(()) } else { Err(anyhow::anyhow!("the server ended by itself; its last log lines say why")) }
}
