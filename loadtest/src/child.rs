//! A process of the measurement, kept on its core.
//!
//! Promises that it ends with us, and that its output goes to a file: a pipe would cost the load generator time for
//! each line of it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::sys::{self, Signal};

const LISTENING: &str = "listening on http://";
const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(40);

/// A running process that listens.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Process {
    /// Starts it on a core and waits until it has said where it listens. None of our own settings reach it.
    pub(crate) async fn start(name: &str, mut command: Command, core: usize, dir: &Path) -> anyhow::Result<Self> {
        without_our_settings(&mut command);
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        sys::pin_child(&mut command, core);
        let mut child = command.spawn().with_context(|| format!("{:?} does not start", command.get_program()))?;
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(address) = address_after(&text, LISTENING) {
                return Ok(Self { child, address, log });
            }
            if child.try_wait()?.is_some() || began.elapsed() > START {
                let _ = child.kill();
                let _ = child.wait();
                bail!("{name} did not come up:\n{text}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails, with the last of what it said, if it has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("a process has ended ({status}):\n{}", self.tail()),
        }
    }

    /// The end of what it said.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The address that follows these words of what it said.
    pub(crate) fn said(&self, words: &str) -> Option<SocketAddr> {
        address_after(&std::fs::read_to_string(&self.log).unwrap_or_default(), words)
    }

    /// Where its output is.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        sys::signal(self.pid(), signal);
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.end().await.map(drop)
    }

    /// The same, and how it ended. `None`: it had to be killed.
    pub(crate) async fn end(mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.signal(Signal::End);
        let began = Instant::now();
        while began.elapsed() < END {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(None)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> anyhow::Result<()> {
    without_our_settings(&mut command);
    let done = command.stdin(Stdio::null()).output()?;
    if !done.status.success() {
        bail!("{}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim_end());
    }
    Ok(())
}

/// What is set for us is not meant for the server under test; what the caller set on the command stays.
fn without_our_settings(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        let ours = ["HEADWATER_", "DATABASE_", "OPENAI_"].iter().any(|prefix| text.starts_with(prefix));
        if (ours || text == "PORT") && !command.get_envs().any(|(set, _)| set == variable) {
            command.env_remove(&variable);
        }
    }
}

/// The address behind these words, in a line that is whole.
fn address_after(text: &str, words: &str) -> Option<SocketAddr> {
    let rest = &text[text.find(words)? + words.len()..];
    let end = rest.find(|c: char| c.is_whitespace() || c == '"')?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{LISTENING, address_after};

    #[test]
    fn an_address_is_taken_from_a_whole_line() {
        assert_eq!(address_after("x\nlistening on http://127.0.0.1:80\n", LISTENING), "127.0.0.1:80".parse().ok());
        assert_eq!(address_after("listening on http://127.0.0.1:8", LISTENING), None);
        assert_eq!(address_after("elsewhere\n", LISTENING), None);
    }
}
