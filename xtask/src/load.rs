//! The load test, on release builds of itself and of the server.

use std::ffi::OsString;
use std::process::Command;

use crate::cargo;

/// Builds both and runs `loadtest all`, or what the arguments say.
pub(crate) fn run(arguments: &[OsString]) -> anyhow::Result<()> {
    let built = cargo::build(["build", "--release", "--package", "headwater", "--package", "headwater-loadtest"])?;
    let mut command = Command::new(built.program("headwater-loadtest")?);
    // Without a scenario: all of them.
    if arguments.first().is_none_or(|first| first.to_string_lossy().starts_with('-')) {
        command.arg("all");
    }
    // The server is looked for next to the load test, where cargo puts both.
    cargo::run(command.current_dir(cargo::root()).args(arguments))
}
