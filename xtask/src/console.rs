//! The web console: built for the binary, and looked at in a browser.
//!
//! Needs npm, and for its tests Chromium. What is built lies in `console/dist`: the next build of the server takes it in.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::ensure;

use crate::cargo::{self, run};
use crate::packages::{npm_fetch, npm_in};
use crate::server::{Server, has_chromium};
use crate::test;

fn dir() -> PathBuf {
    cargo::root().join("console")
}

/// Builds it. `then_test`: and runs its tests, those in a browser against a server of its own.
pub(crate) fn console(then_test: bool) -> anyhow::Result<()> {
    if !then_test {
        return build();
    }
    // What is built anew has the server built anew, too.
    if !is_built() {
        build()?;
    }
    ensure!(has_chromium(), "the console is looked at in a browser: apt-get install chromium");
    let built = test::build(&[])?;
    let server = Server::start(&built, &cargo::root().join("target/console"), &[])?;
    run(&mut npm_in(&dir(), &["run", "lint", "--silent"]))?;
    run(&mut npm_in(&dir(), &["test", "--silent"]))?;
    run(&mut server.told(npm_in(&dir(), &["run", "test:e2e", "--silent"])))
}

fn build() -> anyhow::Result<()> {
    npm_fetch(&dir())?;
    run(&mut npm_in(&dir(), &["run", "build", "--silent"]))
}

/// Whether what is built is as new as everything that it is built from.
fn is_built() -> bool {
    let Some(built) = changed(&dir().join("dist/index.html")) else { return false };
    let sources = ["src", "public", "index.html", "package-lock.json", "vite.config.ts"].map(|name| dir().join(name));
    let sdk = cargo::root().join("sdk/typescript/src");
    dir().join("node_modules").exists()
        && sources.iter().chain([&sdk]).all(|source| changed(source).is_some_and(|at| at <= built))
}

/// When a file was last changed; of a directory, whatever is in it.
fn changed(path: &Path) -> Option<SystemTime> {
    let metadata = path.metadata().ok()?;
    let within = std::fs::read_dir(path).into_iter().flatten().flatten().filter_map(|entry| changed(&entry.path()));
    within.chain(metadata.modified().ok()).max()
}
