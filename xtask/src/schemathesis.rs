//! The server against its own OpenAPI document, by schemathesis: as a tenant, as a user, and with what others have.
//!
//! Needs Python with venv; what it fetches, and the server's data, lie in `target`. What is asked is in `clients/schemathesis`.

use std::ffi::OsString;
use std::process::Command;

use crate::cargo::{self, run};
use crate::clients;
use crate::packages::pip_fetch;
use crate::server::Server;
use crate::test;

/// Asks a server in dev mode. `arguments` go to the program that asks. `only_fetch`: only the packages that it takes.
pub(crate) fn schemathesis(only_fetch: bool, arguments: &[OsString]) -> anyhow::Result<()> {
    let (dir, venv) = (clients::dir().join("schemathesis"), cargo::root().join("target/schemathesis/venv"));
    pip_fetch(&venv, &dir, ["-r", "requirements.txt"])?;
    if only_fetch {
        return Ok(());
    }
    let built = test::build(&[])?;
    // A provider that tenants may have keys of their own for. Nobody listens there.
    let provider = ("HEADWATER__PROVIDERS__LOCAL__BASE_URL", "http://127.0.0.1:9/v1");
    let server = Server::start(&built, &cargo::root().join("target/schemathesis/data"), &[provider])?;
    let mut ask = server.told(Command::new(venv.join("bin/python")));
    run(ask.arg("fuzz.py").args(arguments).current_dir(dir))
}
