//! Throw-away databases: one Postgres per test run, one database per test, copied from a migrated template.
//!
//! The Postgres is the one named by `HEADWATER_TEST_ADMIN_URL`, as `cargo xtask test` sets it, else a private one of
//! this process, which ends with it. With `HEADWATER_TEST_POOLER_DIR` the application reaches it through the pooler there. Tests log in as the application role: a superuser skips row-level security, and
//! such a test would prove nothing.

use std::sync::OnceLock;

use headwater_store::admin::{Admin, with_database};
use headwater_store::embedded::{EmbeddedOptions, EmbeddedPostgres};
use headwater_store::migrate::{MigrateOptions, Roles, known_version, migrate};
use headwater_store::{Store, StoreOptions};

use crate::pooler;

/// The app role's password in tests.
pub const APP_PASSWORD: &str = "only-for-tests";
/// The prefix of the roles in tests.
pub const PREFIX: &str = "headwater_";

struct Cluster {
    admin_url: String,
    // Ends with the process; kept so that it is not stopped before.
    _postgres: Option<EmbeddedPostgres>,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// A URL of a superuser on the tests' Postgres.
pub fn admin_url() -> &'static str {
    &CLUSTER
        .get_or_init(|| match std::env::var("HEADWATER_TEST_ADMIN_URL") {
            Ok(admin_url) => Cluster { admin_url, _postgres: None },
            Err(_) => private_cluster(),
        })
        .admin_url
}

/// Removes what test binaries that have ended left behind: their Postgres ends with them, its files stay.
fn remove_leftovers() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("headwater-test-"));
        let owner = owner.and_then(|pid| pid.trim_start_matches("postgres-").parse::<libc::pid_t>().ok());
        // SAFETY: signal 0 only asks whether the process is there.
        let gone = owner.is_some_and(|pid| unsafe { libc::kill(pid, 0) } == -1)
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        if gone {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn private_cluster() -> Cluster {
    remove_leftovers();
    let dir = std::env::temp_dir().join(format!("headwater-test-{}", std::process::id()));
    let mut options = EmbeddedOptions::new(dir);
    options.fsync = false;
    let postgres = EmbeddedPostgres::start(&options, &|_| {}).expect("a Postgres for the tests");
    Cluster { admin_url: postgres.admin_url("postgres"), _postgres: Some(postgres) }
}

/// A database of one test's own.
#[derive(Debug, Clone)]
pub struct Database {
    /// As a superuser, for looking past the wall.
    pub admin_url: String,
}

impl Database {
    /// A fresh database with the current schema.
    pub async fn fresh() -> Self {
        let template = template().await;
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let admin = Admin::connect(admin_url()).await.expect("connects as superuser");
        // Copying fails while somebody is connected to the template; nobody should be, but the one who made it may
        // just be leaving.
        for attempt in 0.. {
            match admin.create_database(&name, Some(&template)).await {
                Ok(_) => break,
                Err(error) if attempt < 50 && error.to_string().contains("being accessed") => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                Err(error) => panic!("a test database: {error}"),
            }
        }
        Self { admin_url: with_database(admin_url(), &name) }
    }

    /// Its name in its Postgres.
    pub fn name(&self) -> &str {
        self.admin_url.split(['/', '?']).find(|part| part.starts_with("test_")).expect("it was made with that name")
    }

    /// Ends all connections to it, also such as are just being made, and waits until they are gone. Whoever has changed before who may come
    /// in, or as what, finds nobody there afterwards to whom that does not apply.
    pub async fn everybody_out(&self) {
        let name = self.name();
        let admin = Admin::connect(admin_url()).await.expect("connects as superuser");
        // Whoever comes in holds this lock until it is listed among those who are in: read in `InitPostgres` of PostgreSQL 15.
        let coming = format!(
            "SELECT 1 FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass
             AND objid = (SELECT oid FROM pg_database WHERE datname = '{name}') LIMIT 1"
        );
        while admin.value(&coming).await.expect("looks who is coming in").is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let end = format!("SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = '{name}'");
        admin.execute(&end).await.expect("everybody out");
    }

    /// A store that is logged in as the application role.
    pub fn store(&self) -> Store {
        Store::new(&self.store_options()).expect("the URL parses")
    }

    /// How the application role reaches it.
    pub fn store_options(&self) -> StoreOptions {
        let pooled = self.pooled_url();
        let mut options = self.direct_options();
        options.pooled = Some(pooled.is_some());
        options.url = pooled.unwrap_or(options.url);
        options
    }

    /// The same with nothing in between, for tests that are about connections themselves.
    pub fn direct_options(&self) -> StoreOptions {
        let mut options = StoreOptions::new(self.admin_url.clone());
        options.login = Some((Roles::new(PREFIX).expect("a good prefix").app(), APP_PASSWORD.to_owned()));
        options
    }

    /// The same through the pooler that all tests of this run are to use, if they are.
    pub fn pooled_url(&self) -> Option<String> {
        let dir = std::env::var("HEADWATER_TEST_POOLER_DIR").ok().filter(|dir| !dir.is_empty())?;
        Some(pooler::url_at(&dir, &self.admin_url))
    }

    /// A superuser's connection.
    pub async fn admin(&self) -> Admin {
        Admin::connect(&self.admin_url).await.expect("connects as superuser")
    }

    /// A connection as the application role, for raw statements.
    pub async fn app(&self) -> Admin {
        let role = Roles::new(PREFIX).expect("a good prefix").app();
        Admin::connect_as(&self.admin_url, &role, APP_PASSWORD).await.expect("connects as the application role")
    }
}

/// The template, made by whoever comes first; others, in this or other processes, wait.
async fn template() -> String {
    static MADE: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    MADE.get_or_init(|| async {
        let name = format!("headwater_template_{}", known_version());
        let admin = Admin::connect(admin_url()).await.expect("connects as superuser");
        admin.execute("SELECT pg_advisory_lock(7246001)").await.expect("waits its turn");
        let ready = format!("SELECT 1 FROM pg_database WHERE datname = '{name}' AND datistemplate");
        if admin.value(&ready).await.expect("looks for the template").is_none() {
            admin.execute(&format!("DROP DATABASE IF EXISTS \"{name}\"")).await.expect("removes a half-made template");
            admin.create_database(&name, None).await.expect("makes the template");
            let options = MigrateOptions {
                admin_url: with_database(admin_url(), &name),
                app_password: APP_PASSWORD.into(),
                wake_password: APP_PASSWORD.into(),
                prefix: PREFIX.into(),
            };
            migrate(&options).await.expect("migrates the template");
            admin.execute(&format!("ALTER DATABASE \"{name}\" IS_TEMPLATE true")).await.expect("marks the template");
        }
        admin.execute("SELECT pg_advisory_unlock(7246001)").await.expect("lets the next one in");
        name
    })
    .await
    .clone()
}
