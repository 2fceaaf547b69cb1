//! Clients that others wrote, as they are, against a real server.
//!
//! Needs npm and Python with venv; what they fetch stays in `clients/node_modules` and `clients/.venv`. Once that is there, `cargo xtask
//! test` asks them too.

use std::path::PathBuf;
use std::process::Command;

use crate::cargo::{self, run};
use crate::packages::{npm_fetch, pip_fetch};

/// Where they are.
pub(crate) fn dir() -> PathBuf {
    cargo::root().join("clients")
}

/// Fetches their packages of JavaScript.
pub(crate) fn fetch() -> anyhow::Result<()> {
    npm_fetch(&dir())
}

/// Fetches their packages. `then_ask`: and runs their tests.
pub(crate) fn clients(then_ask: bool) -> anyhow::Result<()> {
    fetch()?;
    pip_fetch(&dir().join(".venv"), &dir(), ["-r", "requirements.txt"])?;
    if !then_ask {
        return Ok(());
    }
    let mut test = Command::new(std::env::current_exe()?);
    test.args(["test", "-p", "headwater", "--test", "it", "--", "real::"]).env("HEADWATER_TEST_REQUIRE_CLIENTS", "1");
    run(&mut test)
}
