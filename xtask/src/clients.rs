//! Clients that others wrote, as they are, against a real server.
//!
//! Needs npm and Python with venv; what they fetch stays in `clients/node_modules` and `clients/.venv`. Once that is there, `cargo xtask
//! test` asks them too.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{self, run};

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// npm, which trusts whom this machine trusts.
pub(crate) fn npm() -> Command {
    let mut npm = Command::new("npm");
    if Path::new(CERTIFICATES).exists() && std::env::var_os("NODE_EXTRA_CA_CERTS").is_none() {
        // Node brings its own, and does not know those that this machine trusts beside them.
        npm.env("NODE_EXTRA_CA_CERTS", CERTIFICATES);
    }
    npm
}

/// Fetches these packages of Python into a place of their own.
pub(crate) fn python(venv: &Path, requirements: &Path) -> anyhow::Result<()> {
    let python = venv.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "10", "-r"]);
    run(install.arg(requirements))
}

/// Where they are.
pub(crate) fn dir() -> PathBuf {
    cargo::root().join("clients")
}

/// Fetches their packages of JavaScript.
pub(crate) fn fetch() -> anyhow::Result<()> {
    run(npm().args(["ci", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(dir()))
}

/// Fetches their packages. `then_ask`: and runs their tests.
pub(crate) fn clients(then_ask: bool) -> anyhow::Result<()> {
    fetch()?;
    python(&dir().join(".venv"), &dir().join("requirements.txt"))?;
    if !then_ask {
        return Ok(());
    }
    let mut test = Command::new(std::env::current_exe()?);
    test.args(["test", "-p", "headwater", "--test", "it", "--", "real::"]).env("HEADWATER_TEST_REQUIRE_CLIENTS", "1");
    run(&mut test)
}
