//! The load test, on release builds of itself and of the server.

use std::ffi::OsString;
use std::process::Command;

use crate::cargo;

const SERVER: &str = "--server-bin";

/// Builds both and runs `loadtest all`, or what the arguments say.
pub(crate) fn run(arguments: &[OsString]) -> anyhow::Result<()> {
    let built = cargo::build(["build", "--release", "--package", "headwater", "--package", "headwater-loadtest"])?;
    let mut command = Command::new(built.program("loadtest")?);
    command.current_dir(cargo::root());
    // Without a scenario: all of them.
    if arguments.first().is_none_or(|first| first.to_string_lossy().starts_with('-')) {
        command.arg("all");
    }
    command.args(arguments);
    // Wherever cargo put the server that was just built; or another one, to compare with.
    if !arguments.iter().any(|argument| argument.to_string_lossy().starts_with(SERVER)) {
        command.arg(SERVER).arg(built.program("headwater")?);
    }
    cargo::run(&mut command)
}
