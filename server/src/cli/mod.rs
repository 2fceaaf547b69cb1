//! The command line: what a person types.
//!
//! Owns the arguments, the words that are printed, the exit codes, and the data directory's small files (`dev.env`,
//! `master.key`). Promises that every error says what happened and what to do, on stderr, in one line or two, and ends
//! with code 1; wrong usage ends with 2. Never holds a rule of the product: a command loads the settings, calls the
//! part that does the work, or the HTTP API, and prints what came of it.
//!
//! | module | command |
//! |---|---|
//! | `dev` | `headwater`, `headwater dev`: everything, from nothing (`postgres`, `demo`, `progress` are its parts) |
//! | `serve` | `headwater serve`: the server alone |
//! | `migrate`, `doctor`, `openapi` | about this installation |
//! | `wake` | wakes a service that sleeps, from outside |
//! | `autoscale` | sets how many replicas there are, from outside |
//! | `cost` | what hosting costs |
//! | `tenant`, `key` | the operator's work, over HTTP |
//! | `budget` | both, over HTTP |
//! | `agent`, `chat` | a tenant's work, over HTTP |
//!
//! `data_dir`, `env_file`, `remote`, `signals` and `output` are what they share.

mod agent;
mod autoscale;
mod budget;
mod chat;
mod cost;
mod data_dir;
mod demo;
mod dev;
mod doctor;
mod env_file;
mod key;
mod logs;
mod migrate;
mod openapi;
mod output;
mod postgres;
mod progress;
mod remote;
mod secrets;
mod serve;
mod settings;
mod signals;
mod tenant;
mod transcript;
mod wake;

use crate::doctor::myself;
use std::fmt;
use std::process::exit;

use clap::{Parser, Subcommand};

/// A multi-tenant agent runtime. Without a command: `dev`.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::DevArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine, Postgres included: the default
    Dev(dev::DevArgs),
    /// Run the server
    Serve(serve::ServeArgs),
    /// Make or update roles and schema in the database
    Migrate(migrate::MigrateArgs),
    /// Wake a service that sleeps, if something is due
    Wake(wake::WakeArgs),
    /// Set how many replicas a service has on Railway, by what there is to do
    Autoscale(autoscale::AutoscaleArgs),
    /// Say what hosting costs, here and elsewhere
    Cost(Box<cost::CostArgs>),
    /// Make and list tenants (operator)
    Tenant(tenant::TenantArgs),
    /// Make, list and revoke the keys of a tenant (operator)
    Key(key::KeyArgs),
    /// Make, list and change limits on what calls may cost (tenant or operator)
    Budget(budget::BudgetArgs),
    /// Seal tenants' secrets under a new key
    Secrets(secrets::SecretsArgs),
    /// Make agents what a file says they are (tenant)
    Agent(agent::AgentArgs),
    /// Talk to an agent
    Chat(chat::ChatArgs),
    /// Print the OpenAPI document
    Openapi,
    /// Look for what is wrong here, and say what to do about it
    Doctor(doctor::DoctorArgs),
}

/// Runs the command that the process was started with, and ends the process.
pub fn main() -> ! {
    // Wrong usage ends here, with code 2.
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: could not start the runtime: {error}; too many threads on this machine?");
            exit(1)
        }
    };
    let code = match runtime.block_on(Box::pin(run(cli))) {
        Ok(()) => 0,
        Err(error) => match error.downcast_ref::<Exit>() {
            Some(Exit(code)) => *code,
            None => {
                eprintln!("error: {}", Chain(&error));
                1
            }
        },
    };
    // Without waiting for what still runs in the background: whoever needs an orderly end has waited for it above.
    exit(code)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => dev::run(cli.dev).await,
        Some(Command::Dev(args)) => dev::run(args).await,
        Some(Command::Serve(args)) => serve::run(args).await,
        Some(Command::Migrate(args)) => migrate::run(args).await,
        Some(Command::Wake(args)) => wake::run(args).await,
        Some(Command::Autoscale(args)) => autoscale::run(args).await,
        Some(Command::Cost(args)) => cost::run(*args),
        Some(Command::Tenant(args)) => tenant::run(args).await,
        Some(Command::Key(args)) => key::run(args).await,
        Some(Command::Budget(args)) => budget::run(args).await,
        Some(Command::Secrets(args)) => secrets::run(args).await,
        Some(Command::Agent(args)) => agent::run(args).await,
        Some(Command::Chat(args)) => chat::run(args).await,
        Some(Command::Openapi) => openapi::run(),
        Some(Command::Doctor(args)) => doctor::run(args).await,
    }
}

/// Ends the process with this code; all there is to say has been said.
#[derive(Debug, thiserror::Error)]
#[error("exit code {0}")]
struct Exit(i32);

/// An error with its causes, each told once: some errors already hold the words of their cause.
struct Chain<'a>(&'a anyhow::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        for cause in self.0.chain().skip(1) {
            let words = cause.to_string();
            if !said.contains(&words) {
                write!(f, ": {words}")?;
                said = words;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_hold_together() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["headwater"]).expect("no arguments are dev");
        assert!(cli.command.is_none());
        let cli = Cli::try_parse_from(["headwater", "--port", "0"]).expect("options of dev without naming it");
        assert_eq!((cli.command.is_none(), cli.dev.port), (true, Some(0)));
        assert!(Cli::try_parse_from(["headwater", "serve", "--port", "1"]).is_err());
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("disk full").context("writing failed: disk full").context("could not save");
        assert_eq!(Chain(&error).to_string(), "could not save: writing failed: disk full");
    }
}
