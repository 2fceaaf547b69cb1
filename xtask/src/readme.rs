//! The README's own steps, done as they stand there: the tour with curl, and the page in ten minutes, which a browser then looks at.
//!
//! Three things differ from what a reader does: `cargo run` is the server that is built already, its data lies in `target`, and Vite takes a port
//! that is free. Needs npm, and Chromium for the page.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::cargo::{self, Built, run};
use crate::clients;
use crate::packages::npm;
use crate::server::{Listening, Server, has_chromium};
use crate::test;

/// Where the README finds what the server has written down.
const DEV_ENV: &str = "~/.local/share/headwater/dev.env";

/// The page's last step, which does not end by itself.
const SERVES: &str = "npm run dev";

/// What Vite says before its address.
const VITE_LISTENS: &str = "Local:";

/// The one answer of the tour that is to be a problem: another tenant finds nothing.
const REFUSALS: usize = 1;

/// Does all of it.
pub(crate) fn readme() -> anyhow::Result<()> {
    let readme = std::fs::read_to_string(cargo::root().join("README.md")).context("README.md")?;
    let (tour, page) = (steps(&readme, "tour")?, steps(&readme, "page")?);
    let page = page.trim_end().strip_suffix(SERVES).context("the page's steps end with `npm run dev`")?;
    ensure!(has_chromium(), "the page is looked at in a browser: apt-get install chromium");
    clients::fetch()?;
    let built = test::build(&[])?;
    let desk = Desk::make(&built)?;
    let server = Server::start(&built, &desk.data(), &[])?;

    let begun = Instant::now();
    desk.shell(page)?;
    // What that last step starts, without npm around it, which would leave it behind.
    let mut vite = Command::new("node_modules/.bin/vite");
    vite.current_dir(desk.0.join("my-page")).args(["--host", "127.0.0.1", "--port", "0"]);
    // An address in colours is none.
    let vite = Listening::start(server.told(vite).env("NO_COLOR", "1"), VITE_LISTENS)?;
    let mut look = server.told(Command::new("node"));
    run(look.arg("page.mjs").env("PAGE", vite.url()).current_dir(clients::dir()))?;
    println!("ok: the README's page, in {} s", begun.elapsed().as_secs());
    drop(vite);

    let begun = Instant::now();
    let said = desk.shell(&tour)?;
    let refusals = said.matches("\"type\":\"/docs/errors#").count();
    ensure!(refusals == REFUSALS, "{refusals} answers of the tour are problems, not {REFUSALS}:\n{said}");
    println!("ok: the README's tour, in {} s", begun.elapsed().as_secs());
    Ok(())
}

/// The commands between two marks of the README, in their order.
fn steps(readme: &str, name: &str) -> anyhow::Result<String> {
    let (_, from) = readme.split_once(&format!("<!-- {name}:begin -->")).with_context(|| format!("{name} begins"))?;
    let (within, _) = from.split_once(&format!("<!-- {name}:end -->")).with_context(|| format!("{name} ends"))?;
    let blocks = within.split("```sh\n").skip(1).filter_map(|block| block.split_once("\n```"));
    let steps: Vec<&str> = blocks.map(|(commands, _)| commands).collect();
    ensure!(!steps.is_empty(), "there are commands in {name}");
    Ok(steps.join("\n"))
}

/// The directory in which a reader works.
struct Desk(PathBuf);

impl Desk {
    /// Makes it anew, with a `cargo` that has built everything already.
    fn make(built: &Built) -> anyhow::Result<Self> {
        let dir = cargo::root().join("target/readme");
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
        }
        let bin = dir.join("bin");
        std::fs::create_dir_all(&bin)?;
        let cargo = bin.join("cargo");
        let program = built.program("headwater")?.display();
        std::fs::write(
            &cargo,
            format!("#!/bin/sh\n[ \"$1 $2 $3\" = 'run -q --' ] || exit 64\nshift 3\nexec '{program}' \"$@\"\n"),
        )?;
        std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self(dir))
    }

    /// Where the server keeps its data.
    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Runs commands as one script that ends with the first that fails; what they said.
    fn shell(&self, commands: &str) -> anyhow::Result<String> {
        let dev_env = self.data().join("dev.env");
        let commands = commands.replace(DEV_ENV, &format!("'{}'", dev_env.display()));
        let mut path = OsString::from(self.0.join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        let trusted = npm();
        bash.envs(trusted.get_envs().filter_map(|(name, value)| Some((name, value?))));
        bash.current_dir(&self.0).env("PATH", path).args(["-euc", &commands]);
        let done = bash.stderr(Stdio::inherit()).output().context("bash")?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(done.status.success(), "a step of the README fails ({}), after this:\n{said}", done.status);
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_the_commands_between_the_marks() {
        let readme = "```sh\nno\n```\n<!-- x:begin -->\nWords.\n```sh\na\nb\n```\n```toml\nno\n```\n```sh\nc\n```\n<!-- x:end -->\n```sh\nno\n```";
        assert_eq!(steps(readme, "x").expect("there are"), "a\nb\nc");
        assert!(steps(readme, "y").is_err());
    }
}
