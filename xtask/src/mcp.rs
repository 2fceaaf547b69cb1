//! The protocol's own tests of the MCP client: its conformance suite, and its reference server.
//!
//! Needs npm, and what it installs stays below the target directory. Not part of `test`: it takes other people's packages.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::cargo::{self, run};
use crate::packages::npm;

/// What is installed. The suite wants a newer Node than some have: the `node` package carries one.
const PACKAGES: [&str; 3] =
    ["@modelcontextprotocol/conformance@0.1.16", "@modelcontextprotocol/server-everything@2026.8.31", "node@22"];
/// The suite's scenarios for what this client does: it offers no elicitation, and is told where tokens are given out.
const SCENARIOS: [&str; 3] = ["initialize", "tools_call", "sse-retry"];
const PORT: &str = "39417";

pub(crate) fn mcp() -> anyhow::Result<()> {
    let dir = cargo::root().join("target/mcp");
    std::fs::create_dir_all(&dir).with_context(|| format!("{}", dir.display()))?;
    run(npm().args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(&dir).args(PACKAGES))?;
    let modules = dir.join("node_modules");
    let node = modules.join("node/bin/node");
    cargo::cargo(["build", "--quiet", "--package", "headwater-mcp", "--example", "conformance"])?;
    let client = cargo::root().join("target/debug/examples/conformance");
    for scenario in SCENARIOS {
        let mut suite = Command::new(&node);
        suite.current_dir(&dir).arg(modules.join(".bin/conformance")).args(["client", "--command"]).arg(&client);
        run(suite.args(["--scenario", scenario]))?;
    }
    let mut everything = Command::new(&node)
        .arg(modules.join(".bin/mcp-server-everything"))
        .arg("streamableHttp")
        .env("PORT", PORT)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("the reference server does not start")?;
    // It says so once it listens.
    let said = everything.stderr.take().map(BufReader::new);
    let _ = said.into_iter().flat_map(BufReader::lines).map_while(Result::ok).find(|line| line.contains("listening"));
    let mut test = cargo::command();
    test.args(["xtask", "test", "-p", "headwater", "--test", "it", "--", "every_tool_of_the_reference_server"]);
    test.env("HEADWATER_TEST_MCP_URL", format!("http://127.0.0.1:{PORT}/mcp")).env("HEADWATER_TEST_REQUIRE_MCP", "1");
    let tested = run(&mut test);
    let _ = everything.kill();
    let _ = everything.wait();
    tested
}
