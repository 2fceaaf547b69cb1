//! Packages of JavaScript and Python, fetched into places of their own.
//!
//! Promises that nothing is installed for the whole machine or for its user. Needs npm, or Python with venv.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::cargo::run;

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

/// npm in a directory.
pub(crate) fn npm_in(dir: &Path, arguments: &[&str]) -> Command {
    let mut npm = npm();
    npm.current_dir(dir).args(arguments);
    npm
}

/// Fetches what the lock file of a directory names.
pub(crate) fn npm_fetch(dir: &Path) -> anyhow::Result<()> {
    run(&mut npm_in(dir, &["ci", "--no-audit", "--no-fund", "--silent"]))
}

/// Fetches packages of Python into a place of their own, in this directory. `packages`: as `pip install` takes them.
pub(crate) fn pip_fetch<A: AsRef<OsStr>>(
    venv: &Path,
    dir: &Path,
    packages: impl IntoIterator<Item = A>,
) -> anyhow::Result<()> {
    let python = venv.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "10"]);
    run(install.args(packages).current_dir(dir))
}
