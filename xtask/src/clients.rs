//! Clients that others wrote, as they are, against a real server.
//!
//! Needs npm; what it fetches stays in `clients/node_modules`. Once that is there, `cargo xtask test` asks them too.

use std::path::Path;
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

/// Fetches their packages. `then_ask`: and runs their tests.
pub(crate) fn clients(then_ask: bool) -> anyhow::Result<()> {
    let mut fetch = npm();
    fetch.args(["ci", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(cargo::root().join("clients"));
    run(&mut fetch)?;
    if !then_ask {
        return Ok(());
    }
    let mut test = Command::new(std::env::current_exe()?);
    test.args(["test", "-p", "headwater", "--test", "it", "--", "real::"]).env("HEADWATER_TEST_REQUIRE_CLIENTS", "1");
    run(&mut test)
}
