//! The SDKs of other languages: formatted, typed, tested alone, against the scripts of faults, and against a server.
//!
//! Needs npm and Python with venv; what they fetch stays in the SDKs' own directories and in `target`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::cargo::{self, Built, run};
use crate::packages::{npm_fetch, npm_in, pip_fetch};
use crate::server::{LISTENS, Listening, Server, has_chromium};
use crate::test;

/// All of it. `only_fetch`: only the packages that it takes.
pub(crate) fn sdk(only_fetch: bool) -> anyhow::Result<()> {
    fetch()?;
    if only_fetch {
        return Ok(());
    }
    let built = test::build(&[])?;
    let faults = Listening::start(Command::new(built.program("headwater-faults")?).args(["--port", "0"]), LISTENS)?;
    let server = Server::start(&built, &cargo::root().join("target/sdk"), &[])?;
    typescript(&faults, &server)?;
    python(&faults, &server)?;
    rust(&built, &server)
}

/// Those with pages of their own begin with `vite`: they are looked at in a browser.
const EXAMPLES: [&str; 3] = ["express", "vite-usechat", "vite-ag-ui"];

fn typescript_dir() -> PathBuf {
    cargo::root().join("sdk/typescript")
}

/// A program of the place for Python's packages.
fn in_venv(program: &str) -> PathBuf {
    cargo::root().join("target/sdk-python/bin").join(program)
}

fn in_python(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(in_venv(program));
    command.current_dir(cargo::root().join("sdk/python")).args(arguments);
    command
}

fn fetch() -> anyhow::Result<()> {
    npm_fetch(&typescript_dir())?;
    for example in EXAMPLES {
        npm_fetch(&typescript_dir().join("examples").join(example))?;
    }
    let (venv, sdk) = (cargo::root().join("target/sdk-python"), cargo::root().join("sdk/python"));
    pip_fetch(&venv, &sdk, ["-e", ".[dev]"])
}

fn typescript(faults: &Listening, server: &Server) -> anyhow::Result<()> {
    let dir = typescript_dir();
    let npm_run = |script: &str| npm_in(&dir, &["run", script, "--silent"]);
    run(&mut npm_run("lint"))?;
    run(&mut npm_run("test"))?;
    run(npm_run("test:faults").env("HEADWATER_FAULTS_URL", faults.url()))?;
    run(&mut server.told(npm_run("test:live")))?;
    run(&mut npm_run("build"))?;
    for example in EXAMPLES {
        if example.starts_with("vite") && !has_chromium() {
            println!("NOT LOOKED AT: {example}, for want of a browser (apt-get install chromium)");
            continue;
        }
        let dir = dir.join("examples").join(example);
        run(&mut server.told(npm_in(&dir, &["run", "check", "--silent"])))?;
    }
    Ok(())
}

fn python(faults: &Listening, server: &Server) -> anyhow::Result<()> {
    // What asks in `clients` is held to the same.
    let ours = [".", "../../clients/schemathesis", "--quiet", "--config", "pyproject.toml"];
    run(in_python("ruff", &["check"]).args(ours))?;
    run(in_python("ruff", &["format", "--check"]).args(ours))?;
    run(&mut in_python("mypy", &["--no-error-summary"]))?;
    run(&mut in_python("python", &["scripts/generate.py", "--check"]))?;
    let mut test = server.told(in_python("python", &["-m", "pytest", "--quiet"]));
    test.env("HEADWATER_FAULTS_URL", faults.url()).env("HEADWATER_REQUIRE_FAULTS", "1");
    run(test.env("HEADWATER_REQUIRE_LIVE", "1"))
}

/// The Rust SDK's example; its tests are among all others.
fn rust(built: &Built, server: &Server) -> anyhow::Result<()> {
    let mut ask = server.told(Command::new(built.program("ask")?));
    let said = ask.args(["assistant", "Hello from Rust"]).output().context("the example of the Rust SDK")?;
    let text = String::from_utf8_lossy(&said.stdout);
    anyhow::ensure!(said.status.success() && !text.trim().is_empty(), "the example of the Rust SDK says: {said:?}");
    Ok(())
}
