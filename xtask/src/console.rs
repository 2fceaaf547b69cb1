//! The web console: built for the binary, and looked at in a browser.
//!
//! Needs npm, and for its tests Chromium. What is built lies in `console/dist`: the next build of the server takes it in.

use std::path::PathBuf;

use anyhow::ensure;

use crate::cargo::{self, run};
use crate::sdk::{Server, has_chromium, npm_in};
use crate::test;

fn dir() -> PathBuf {
    cargo::root().join("console")
}

/// Builds it. `then_test`: and runs its tests, those in a browser against a server of its own.
pub(crate) fn console(then_test: bool) -> anyhow::Result<()> {
    run(&mut npm_in(&dir(), &["ci", "--no-audit", "--no-fund", "--silent"]))?;
    run(&mut npm_in(&dir(), &["run", "build", "--silent"]))?;
    if !then_test {
        return Ok(());
    }
    ensure!(has_chromium(), "the console is looked at in a browser: apt-get install chromium");
    let built = test::build(&[])?;
    let server = Server::start(&built, "target/console")?;
    run(&mut npm_in(&dir(), &["run", "lint", "--silent"]))?;
    run(&mut npm_in(&dir(), &["test", "--silent"]))?;
    run(&mut server.told(npm_in(&dir(), &["run", "test:e2e", "--silent"])))
}
