//! The SDKs of other languages: formatted, typed, tested alone, against the scripts of faults, and against a server.
//!
//! Needs npm and Python with venv; what they fetch stays in the SDKs' own directories and in `target`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

use crate::cargo::{self, Built, run};
use crate::clients::npm;
use crate::test;

/// Where a program listens says this line.
const LISTENS: &str = "listening on ";

/// A program that listens, until this is dropped.
pub(crate) struct Listening {
    process: Child,
    url: String,
}

impl Listening {
    /// Starts it and waits for its address, on the line that begins so.
    pub(crate) fn start(command: &mut Command, says: &str) -> anyhow::Result<Self> {
        let mut process =
            command.stdout(Stdio::piped()).spawn().with_context(|| format!("{command:?} does not start"))?;
        let mut lines = BufReader::new(process.stdout.take().expect("it was piped")).lines();
        let url =
            lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.split_once(says)?.1.trim().to_owned()));
        let Some(url) = url else {
            process.kill().ok();
            anyhow::bail!("{command:?} ended before it listened ({})", process.wait()?);
        };
        // What it says later is read, so that it is not held up, and shown to nobody.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { process, url })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // As a person would: a server in dev mode ends its Postgres with itself.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        self.process.wait().ok();
    }
}

/// All of it. `only_fetch`: only the packages that it takes.
pub(crate) fn sdk(only_fetch: bool) -> anyhow::Result<()> {
    fetch()?;
    if only_fetch {
        return Ok(());
    }
    let built = test::build(&[])?;
    let faults = Listening::start(Command::new(built.program("headwater-faults")?).args(["--port", "0"]), LISTENS)?;
    let server = Server::start(&built, &cargo::root().join("target/sdk"))?;
    typescript(&faults, &server)?;
    python(&faults, &server)?;
    rust(&built, &server)
}

/// A server in dev mode, on data of its own.
pub(crate) struct Server {
    _process: Listening,
    variables: Vec<(String, String)>,
}

impl Server {
    /// Starts one, with its data there.
    pub(crate) fn start(built: &Built, data: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(built.program("headwater")?);
        command.args(["dev", "--reset", "--port", "0", "--data-dir"]).arg(data);
        // A key of the developer's own is not to be spent here.
        command.env_remove("OPENAI_API_KEY").env_remove("DATABASE_URL");
        let process = Listening::start(&mut command, LISTENS)?;
        let text = std::fs::read_to_string(data.join("dev.env")).context("dev.env of the server")?;
        let set = text.lines().filter_map(|line| line.split_once('='));
        let mut variables: Vec<_> = set
            .filter(|(name, _)| matches!(*name, "HEADWATER_API_KEY" | "HEADWATER_OPERATOR_KEY"))
            .map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
            .collect();
        variables.push(("HEADWATER_URL".into(), process.url.clone()));
        // For what ends one and starts it again.
        variables.push(("HEADWATER_PROGRAM".into(), built.program("headwater")?.display().to_string()));
        Ok(Self { _process: process, variables })
    }

    /// A command that knows of it.
    pub(crate) fn told(&self, mut command: Command) -> Command {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// npm in a directory.
pub(crate) fn npm_in(dir: &Path, arguments: &[&str]) -> Command {
    let mut npm = npm();
    npm.current_dir(dir).args(arguments);
    npm
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
    let fetch = ["ci", "--no-audit", "--no-fund", "--silent"];
    run(&mut npm_in(&typescript_dir(), &fetch))?;
    for example in EXAMPLES {
        run(&mut npm_in(&typescript_dir().join("examples").join(example), &fetch))?;
    }
    if !in_venv("python").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(cargo::root().join("target/sdk-python")))?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "10", "-e", ".[dev]"];
    run(&mut in_python("python", &install))
}

fn typescript(faults: &Listening, server: &Server) -> anyhow::Result<()> {
    let dir = typescript_dir();
    let npm_run = |script: &str| npm_in(&dir, &["run", script, "--silent"]);
    run(&mut npm_run("lint"))?;
    run(&mut npm_run("test"))?;
    run(npm_run("test:faults").env("HEADWATER_FAULTS_URL", &faults.url))?;
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

/// Whether there is a browser.
pub(crate) fn has_chromium() -> bool {
    std::env::var_os("CHROMIUM").is_some() || Path::new("/usr/bin/chromium").exists()
}

fn python(faults: &Listening, server: &Server) -> anyhow::Result<()> {
    run(&mut in_python("ruff", &["check", "--quiet"]))?;
    run(&mut in_python("ruff", &["format", "--check", "--quiet"]))?;
    run(&mut in_python("mypy", &["--no-error-summary"]))?;
    run(&mut in_python("python", &["scripts/generate.py", "--check"]))?;
    let mut test = server.told(in_python("python", &["-m", "pytest", "--quiet"]));
    test.env("HEADWATER_FAULTS_URL", &faults.url).env("HEADWATER_REQUIRE_FAULTS", "1");
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
