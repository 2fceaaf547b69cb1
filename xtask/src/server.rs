//! Programs that listen while something else is asked of them: a server in dev mode, and what stands beside it.
//!
//! Promises that each ends with its owner.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

use crate::cargo::Built;

/// Where a program listens says this line.
pub(crate) const LISTENS: &str = "listening on ";

/// A program that listens, until this is dropped.
pub(crate) struct Listening {
    process: Child,
    url: String,
}

impl Listening {
    /// Starts it and waits for its address, on the line that begins so.
    pub(crate) fn start(command: &mut Command, says: &str) -> anyhow::Result<Self> {
        let mut process =
            command.stdout(Stdio::piped()).spawn().with_context(|| format!("{command:?} does not start"))?;
        let mut lines = BufReader::new(process.stdout.take().expect("it was piped")).lines();
        let url =
            lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.split_once(says)?.1.trim().to_owned()));
        let Some(url) = url else {
            process.kill().ok();
            anyhow::bail!("{command:?} ended before it listened ({})", process.wait()?);
        };
        // What it says later is read, so that it is not held up, and shown to nobody.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { process, url })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // As a person would: a server in dev mode ends its Postgres with itself.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        self.process.wait().ok();
    }
}

/// A server in dev mode, on data of its own.
pub(crate) struct Server {
    _process: Listening,
    variables: Vec<(String, String)>,
}

impl Server {
    /// Starts one, with its data there, and these settings.
    pub(crate) fn start(built: &Built, data: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut command = Command::new(built.program("headwater")?);
        command.args(["dev", "--reset", "--port", "0", "--data-dir"]).arg(data);
        // A key of the developer's own is not to be spent here.
        command.env_remove("OPENAI_API_KEY").env_remove("DATABASE_URL").envs(settings.iter().copied());
        let process = Listening::start(&mut command, LISTENS)?;
        let text = std::fs::read_to_string(data.join("dev.env")).context("dev.env of the server")?;
        let set = text.lines().filter_map(|line| line.split_once('='));
        let mut variables: Vec<_> = set
            .filter(|(name, _)| matches!(*name, "HEADWATER_API_KEY" | "HEADWATER_OPERATOR_KEY"))
            .map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
            .collect();
        variables.push(("HEADWATER_URL".into(), process.url.clone()));
        // For what ends one and starts it again.
        variables.push(("HEADWATER_PROGRAM".into(), built.program("headwater")?.display().to_string()));
        Ok(Self { _process: process, variables })
    }

    /// A command that knows of it.
    pub(crate) fn told(&self, mut command: Command) -> Command {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Whether there is a browser.
pub(crate) fn has_chromium() -> bool {
    std::env::var_os("CHROMIUM").is_some() || Path::new("/usr/bin/chromium").exists()
}
