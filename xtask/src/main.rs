//! `cargo xtask`: what a developer and CI do with this repository, with nothing to install beside cargo.
//!
//! Owns the order in which tools are called. Promises that a command's exit code tells whether all of it went well, that
//! CI runs nothing that a developer cannot run by the same name, and that nothing here needs a network of its own.
//! Never holds a rule of the product.
//!
//! | module | holds |
//! |---|---|
//! | `cargo` | calling cargo, and finding what it built |
//! | `packages` | packages of JavaScript and Python |
//! | `server` | programs that listen: a server in dev mode |
//! | `test` | every test there is, around one throw-away Postgres |
//! | `openapi` | the checked-in document against the code |
//! | `load` | release builds and the load test |
//! | `prices` | the prices of models against a public table |
//! | `clients` | clients that others wrote against the server |
//! | `schemathesis` | the server against its own document, by strangers |
//! | `providers` | the gateway against the LiteLLM proxy and aimock |
//! | `mcp` | the protocol's own tests of the MCP client |
//! | `readme` | the steps of the README, as they stand there |
//! | `sdk` | the SDKs of other languages |
//! | `console` | the web console |

mod cargo;
mod clients;
mod console;
mod load;
mod mcp;
mod openapi;
mod packages;
mod prices;
mod providers;
mod readme;
mod schemathesis;
mod sdk;
mod server;
mod test;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cargo::cargo;

/// The daily commands of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every test there is; arguments go to `cargo test` (`-p headwater-store some_name`)
    Test {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        arguments: Vec<OsString>,
    },
    /// rustfmt --check, and clippy with warnings as errors
    Lint,
    /// Format all code
    Fmt,
    /// Compare docs/openapi.json with the code
    Openapi {
        /// Write it instead
        #[arg(long)]
        write: bool,
        /// Ask the server that the tests are built with: nothing is compiled anew after `cargo xtask test`
        #[arg(long)]
        built: bool,
    },
    /// Compare config/pricing.toml with a downloaded copy of litellm's model_prices_and_context_window.json
    Prices {
        /// The copy
        table: PathBuf,
        /// Take over what it says
        #[arg(long)]
        write: bool,
        /// A model to add, as PROVIDER/model-id; may be repeated
        #[arg(long, value_name = "MODEL")]
        add: Vec<String>,
    },
    /// The load test, on release builds; arguments go to it (default: `all`)
    Load {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        arguments: Vec<OsString>,
    },
    /// Clients that others wrote (`useChat`), against a server: needs npm. Once fetched, `test` asks them too
    Clients {
        /// Only fetch their packages
        #[arg(long)]
        fetch: bool,
    },
    /// The server asked for all that its OpenAPI document allows and forbids, and for what others have, by schemathesis: needs Python
    Schemathesis {
        /// Only fetch the packages that it takes
        #[arg(long)]
        fetch: bool,
        /// Passed on (`--seed 7`, `--examples 50`, `--seconds 600`)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        arguments: Vec<OsString>,
    },
    /// The LiteLLM proxy and aimock, asked by the gateway: needs Python and npm
    Providers {
        /// Packages that cannot be fetched are no failure, and said
        #[arg(long)]
        if_there: bool,
    },
    /// The proof that a quiet process sends nothing, for so long: takes root and iproute2
    Quiet {
        /// How long nothing may go out
        #[arg(long, default_value_t = 660)]
        seconds: u64,
    },
    /// The MCP client against the protocol's conformance suite and reference server, which npm fetches
    Mcp,
    /// Build the web console, which the next build of the server takes in; needs npm
    Console {
        /// And test it, in a browser too: needs Chromium
        #[arg(long)]
        test: bool,
    },
    /// Do what the README tells its readers to, and look at the page that comes of it: needs npm and Chromium
    Readme,
    /// The SDKs in TypeScript and Python, and all SDKs' examples: alone, against scripted faults, and against a server; needs npm and Python
    Sdk {
        /// Only fetch the packages that they take
        #[arg(long)]
        fetch: bool,
    },
    /// What CI runs: lint, openapi, test
    Ci,
}

fn main() -> ExitCode {
    let Some(command) = Cli::parse().command else {
        // Without a command: what there is. Not an error.
        return match Cli::command().print_help() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Test { arguments } => test::run(&arguments),
        Command::Lint => lint(),
        Command::Fmt => cargo(["fmt", "--all"]),
        Command::Openapi { write, built: false } => openapi::run(&openapi::current()?, write),
        Command::Openapi { write, built: true } => {
            openapi::run(&openapi::of(test::build(&[])?.program("headwater")?)?, write)
        }
        Command::Prices { table, write, add } => prices::run(&table, write, &add),
        Command::Load { arguments } => load::run(&arguments),
        Command::Clients { fetch } => clients::clients(!fetch),
        Command::Schemathesis { fetch, arguments } => schemathesis::schemathesis(fetch, &arguments),
        Command::Providers { if_there } => providers::providers(if_there),
        Command::Quiet { seconds } => test::quiet(seconds),
        Command::Mcp => mcp::mcp(),
        Command::Console { test } => console::console(test),
        Command::Readme => readme::readme(),
        Command::Sdk { fetch } => sdk::sdk(fetch),
        Command::Ci => ci(),
    }
}

fn lint() -> anyhow::Result<()> {
    cargo(["fmt", "--all", "--check"])?;
    cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])
}

fn ci() -> anyhow::Result<()> {
    lint()?;
    // The tests' own build of the server tells the document: another one would compile everything once more.
    let built = test::build(&[])?;
    openapi::run(&openapi::of(built.program("headwater")?)?, false)?;
    test::run_built(&built, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_hold_together() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["cargo xtask"]).expect("lists the commands").command.is_none());
        let cli = Cli::try_parse_from(["cargo xtask", "test", "-p", "x", "--", "--nocapture"]).expect("passed on");
        let Some(Command::Test { arguments }) = cli.command else { panic!("it is test") };
        assert_eq!(arguments, ["-p", "x", "--", "--nocapture"]);
    }
}
