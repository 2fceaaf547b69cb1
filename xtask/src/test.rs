//! Every test there is.
//!
//! One throw-away Postgres serves all test binaries: `test-postgres` of the testkit starts it, runs `cargo test`, and
//! removes it. That program is part of the same build as the tests, so nothing is compiled twice.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::cargo::{self, Built};

/// Runs the tests: all of them, or what these arguments of `cargo test` say.
pub(crate) fn run(arguments: &[OsString]) -> anyhow::Result<()> {
    run_built(&build(arguments)?, arguments)
}

/// The proof of quiet alone, for so many seconds.
pub(crate) fn quiet(seconds: u64) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe().context("this program")?);
    command.args(["test", "-p", "headwater", "--test", "it", "--", "alone::", "--nocapture"]);
    command.env("HEADWATER_TEST_QUIET_SECONDS", seconds.to_string()).env("HEADWATER_TEST_REQUIRE_ALONE", "1");
    cargo::run(&mut command)
}

/// Whether the arguments say themselves which packages are meant.
fn names_packages(arguments: &[OsString]) -> bool {
    let ours = arguments.iter().take_while(|argument| *argument != "--").filter_map(|argument| argument.to_str());
    ours.into_iter().any(|argument| {
        let long = ["--package", "--workspace", "--all", "--manifest-path"];
        // `-p NAME` and `-pNAME`; the only other option that begins so is none of cargo test's.
        argument.starts_with("-p") || long.contains(&argument) || argument.starts_with("--package=")
    })
}

/// Builds what is to be run, and the program that starts a Postgres for it.
pub(crate) fn build(arguments: &[OsString]) -> anyhow::Result<Built> {
    let packages: Vec<&OsStr> =
        if names_packages(arguments) && !arguments.iter().any(|argument| argument == "--workspace") {
            // Filters and options of the test binaries mean nothing to a build; which packages are built does not matter
            // but for what follows.
            ["-p", "headwater-testkit"].map(OsStr::new).to_vec()
        } else {
            vec![OsStr::new("--workspace")]
        };
    cargo::build(["test", "--no-run"].map(OsStr::new).into_iter().chain(packages))
}

/// Runs the tests of a build. The last lines are cargo's own.
pub(crate) fn run_built(built: &Built, arguments: &[OsString]) -> anyhow::Result<()> {
    let everything = arguments.is_empty();
    if everything {
        node_tests()?;
    }
    let mut command = Command::new(built.program("test-postgres")?);
    let cargo = cargo::command();
    command.current_dir(cargo::root()).arg(cargo.get_program()).arg("test");
    for (name, value) in cargo.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if !names_packages(arguments) {
        command.arg("--workspace");
    }
    if everything {
        command.arg("--no-fail-fast");
    }
    command.args(arguments);
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        // Most tests wait for processes, leases and sockets more than they compute. Not too many at a time: their leases are short.
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        command.env("RUST_TEST_THREADS", (cores + cores.div_ceil(2)).to_string());
    }
    for (name, _) in std::env::vars_os() {
        if is_setting(&name) {
            command.env_remove(&name);
        }
    }
    cargo::run(&mut command)
}

/// Whether a variable sets Headwater up: a developer who has sourced `dev.env` gets the same results as everybody. The
/// database is left for `test-postgres`, which falls back on it.
fn is_setting(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let ours = name.starts_with("HEADWATER_") && !name.starts_with("HEADWATER_TEST_");
    ours || name.starts_with("OPENAI_") || matches!(name, "PORT" | "DATABASE_APP_URL" | "DATABASE_DIRECT_URL")
}

/// Tests of JavaScript, where there is a node to run them.
fn node_tests() -> anyhow::Result<()> {
    let mut files = Vec::new();
    find(&cargo::root(), &mut files).context("looking for tests of JavaScript")?;
    files.sort();
    if files.is_empty() {
        return Ok(());
    }
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !node.is_ok_and(|status| status.success()) {
        eprintln!("note: node is not installed; {} files of tests in JavaScript are left out", files.len());
        return Ok(());
    }
    cargo::run(Command::new("node").current_dir(cargo::root()).arg("--test").args(files))
}

/// Adds the files below a directory that `node --test` is meant for, but those of others.
fn find(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            // What is built, fetched or hidden is not ours.
            if !name.starts_with('.') && !matches!(&*name, "target" | "node_modules" | "data" | "dist") {
                find(&path, files)?;
            }
        } else if name.ends_with(".test.mjs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_ours_unless_named() {
        let names = |arguments: &[&str]| names_packages(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(names(&["-p", "x"]) && names(&["--package=x"]) && names(&["name", "-px"]));
        assert!(!names(&[]) && !names(&["name"]) && !names(&["name", "--", "-p"]));
    }

    #[test]
    fn a_sourced_dev_env_changes_nothing() {
        for name in ["HEADWATER_URL", "HEADWATER__PROFILE", "OPENAI_API_KEY", "PORT", "DATABASE_APP_URL"] {
            assert!(is_setting(OsStr::new(name)), "{name}");
        }
        for name in ["HEADWATER_TEST_ADMIN_URL", "DATABASE_URL", "PATH", "CARGO_HOME"] {
            assert!(!is_setting(OsStr::new(name)), "{name}");
        }
    }
}
