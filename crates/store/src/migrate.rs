//! Roles, migrations, and the lint of the wall.
//!
//! Owns how a database becomes Headwater's: an administrator's URL makes the roles, the owner role makes the schema,
//! and the server logs in as a role that owns nothing. Promises that running it again changes nothing, that a password
//! which already works is never changed, and that the server refuses to run as a role that could see past the wall.

use sqlx::Connection as _;
use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use std::borrow::Cow;
use std::str::FromStr as _;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::{Store, StoreError, pool, tls};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// What is needed to make or update a database.
#[derive(Debug, Clone)]
pub struct MigrateOptions {
    /// A URL of somebody who may make roles and schemas.
    pub admin_url: String,
    /// The password that the `app` role is to log in with.
    pub app_password: String,
    /// The same of the `wake` role.
    pub wake_password: String,
    /// Begins the names of our roles.
    pub prefix: String,
}

/// The names of our five roles.
#[derive(Debug, Clone)]
pub struct Roles {
    prefix: String,
}

impl Roles {
    /// Roles whose names begin so: lowercase letters, digits and underscores.
    pub fn new(prefix: &str) -> Result<Self, StoreError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if prefix.is_empty() || prefix.len() > 40 || !prefix.bytes().all(good) {
            return Err(StoreError::Database("the role prefix must be lowercase letters, digits and _".into()));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    /// The role that may ask when something is due, and nothing else.
    pub fn wake(&self) -> String {
        self.name("wake")
    }

    fn name(&self, role: &str) -> String {
        format!("{}{role}", self.prefix)
    }

    /// The role the server logs in as.
    pub fn app(&self) -> String {
        self.name("app")
    }

    /// Fills in `@role@` (as an identifier) and `@role_text@` (as a string).
    fn fill(&self, sql: &str) -> String {
        ["owner", "app", "append", "dispatch", "wake"].iter().fold(sql.to_owned(), |sql, role| {
            let name = self.name(role);
            sql.replace(&format!("@{role}_text@"), &format!("'{name}'"))
                .replace(&format!("@{role}@"), &format!("\"{name}\""))
        })
    }
}

/// The newest migration this build knows.
pub fn known_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Makes roles and schema, or brings them up to date. Returns how many migrations ran.
pub async fn migrate(options: &MigrateOptions) -> Result<usize, StoreError> {
    let roles = Roles::new(&options.prefix)?;
    let (config, verify) = pool::config(&options.admin_url)?;
    if !pool::reaches_postgres(&config, verify).await.map_err(explained)? {
        return Err(StoreError::Database(
            "a pooler stands between us and this database, and a migration takes a session of its own: set \
             DATABASE_DIRECT_URL to a URL that leads to Postgres itself"
                .into(),
        ));
    }
    let admin = connect(&options.admin_url, None).await?;
    let before = migrated(&admin).await;
    let made_app = prepare(&admin, &roles).await.map_err(|error| match error {
        StoreError::Database(text) if text.contains("(42501)") => StoreError::Database(format!(
            "{text}; migrating takes an administrator's URL: a superuser, or a role that may create roles and owns the database"
        )),
        other => other,
    })?;
    run_migrations(&options.admin_url, &roles).await?;
    admin
        .batch_execute(&roles.fill(
            "REVOKE CREATE ON SCHEMA headwater FROM @append@, @dispatch@;
             DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO @app@, @wake@', current_database()); END $$",
        ))
        .await?;
    give_settings(&admin, &roles.app()).await?;
    give_password(&admin, options, &roles.app(), made_app).await?;
    give_wake_password(&admin, options, &roles.wake()).await?;
    Ok(migrated(&admin).await.saturating_sub(before))
}

/// Gives the `app` role what its transactions run under, for connections whose start cannot say so.
async fn give_settings(admin: &Client, role: &str) -> Result<(), StoreError> {
    let has = "SELECT coalesce(rolconfig, '{}') FROM pg_roles WHERE rolname = $1";
    let has: Vec<String> = admin.query_one(has, &[&role]).await?.try_get(0)?;
    for (name, value) in pool::SESSION {
        if has.contains(&format!("{name}={value}")) {
            continue;
        }
        let set = format!("ALTER ROLE \"{role}\" SET {name} = '{value}'");
        match admin.batch_execute(&set).await {
            Ok(()) => {}
            // Somebody else's role, and only poolers need it: a server behind one looks, and says what is missing.
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => return Ok(()),
            // A role belongs to the whole cluster; another database's migration says the same at this moment.
            Err(error) if error.to_string().contains("concurrently") => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Gives the `app` role its password. One that works is never changed, and one that somebody else has set is not taken
/// from them: roles belong to the whole cluster, and another installation may live in it.
async fn give_password(admin: &Client, options: &MigrateOptions, role: &str, made: bool) -> Result<(), StoreError> {
    if !made && password_is_asked(admin, role).await? {
        let login = (role.to_owned(), options.app_password.clone());
        return match connect(&options.admin_url, Some(&login)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(StoreError::Database(format!(
                "the role {role} of this Postgres does not take our password ({error}): it belongs to a Headwater with another \
                 master key. Set HEADWATER_MASTER_KEY to that one's, or database.role_prefix to other roles, or \
                 DATABASE_APP_URL to a login of your own"
            ))),
        };
    }
    let password = options.app_password.replace('\'', "''");
    Ok(admin.batch_execute(&format!("ALTER ROLE \"{role}\" PASSWORD '{password}'")).await?)
}

/// The same for the `wake` role, which belongs to whoever the `app` role belongs to.
async fn give_wake_password(admin: &Client, options: &MigrateOptions, role: &str) -> Result<(), StoreError> {
    let login = (role.to_owned(), options.wake_password.clone());
    if password_is_asked(admin, role).await? && connect(&options.admin_url, Some(&login)).await.is_ok() {
        return Ok(());
    }
    let password = options.wake_password.replace('\'', "''");
    match admin.batch_execute(&format!("ALTER ROLE \"{role}\" PASSWORD '{password}'")).await {
        // Roles belong to the whole cluster; another database's migration says the same at this moment.
        Err(error) if error.to_string().contains("concurrently") => Ok(()),
        done => Ok(done?),
    }
}

/// How many migrations have run.
async fn migrated(admin: &Client) -> usize {
    let count = admin.query_one("SELECT count(*) FROM headwater_sys._sqlx_migrations WHERE success", &[]).await;
    count.ok().and_then(|row| row.try_get::<_, i64>(0).ok()).unwrap_or_default() as usize
}

/// Whether the role has a password at all; a server that trusts its socket lets it in without.
async fn password_is_asked(admin: &Client, role: &str) -> Result<bool, StoreError> {
    // Only a superuser may look; others take it that there is one when the login works.
    let row = admin.query_opt("SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = $1", &[&role]).await;
    Ok(row.ok().flatten().is_none_or(|row| row.get(0)))
}

/// Makes what is missing. Returns whether the `app` role is new.
async fn prepare(admin: &Client, roles: &Roles) -> Result<bool, StoreError> {
    let mut made_app = false;
    for (role, attributes) in [
        ("owner", "NOLOGIN NOINHERIT"),
        ("app", "LOGIN NOINHERIT"),
        ("append", "NOLOGIN NOINHERIT"),
        ("wake", "LOGIN NOINHERIT"),
        ("dispatch", "NOLOGIN NOINHERIT"),
    ] {
        let name = roles.name(role);
        let exists = admin.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&name]).await?.is_some();
        if !exists {
            let made = admin.batch_execute(&format!("CREATE ROLE \"{name}\" {attributes}")).await;
            made_app |= role == "app" && made.is_ok();
            // Roles belong to the whole cluster: another database's migration may have been first.
            if let Err(error) = made
                && error.code() != Some(&SqlState::DUPLICATE_OBJECT)
                && error.code() != Some(&SqlState::UNIQUE_VIOLATION)
            {
                return Err(error.into());
            }
        }
    }
    let grants = "GRANT @owner@ TO CURRENT_USER;
         GRANT @append@, @dispatch@ TO @owner@;
         CREATE SCHEMA IF NOT EXISTS headwater AUTHORIZATION @owner@;
         CREATE SCHEMA IF NOT EXISTS headwater_sys AUTHORIZATION @owner@;
         GRANT CREATE ON SCHEMA headwater TO @append@, @dispatch@;";
    for attempt in 0.. {
        match admin.batch_execute(&roles.fill(grants)).await {
            Ok(()) => break,
            // Memberships are rows of the whole cluster; two migrations may write the same one at once.
            Err(error) if attempt < 5 && error.to_string().contains("concurrently") => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Where the database holds nothing but us it is ours, and strangers have no business in it.
    admin
        .batch_execute(
            "DO $$ BEGIN
                 IF NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT LIKE 'pg\\_%'
                                  AND n.nspname NOT IN ('information_schema', 'headwater', 'headwater_sys'))
                    AND pg_has_role(current_user, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') THEN
                     EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
                 END IF;
             END $$",
        )
        .await?;
    Ok(made_app)
}

async fn run_migrations(url: &str, roles: &Roles) -> Result<(), StoreError> {
    let failed = |error: sqlx::Error| StoreError::Unavailable(error.to_string());
    // As it stands: sqlx knows every mode of libpq, and with `verify-full` must verify here too.
    let options = PgConnectOptions::from_str(url).map_err(failed)?;
    let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
    sqlx::query(sqlx::AssertSqlSafe(roles.fill("SET ROLE @owner@"))).execute(&mut connection).await.map_err(failed)?;
    let filled: Vec<Migration> = MIGRATIONS
        .iter()
        .map(|migration| {
            let sql = roles.fill(migration.sql.as_str());
            Migration {
                sql: sqlx::SqlStr::from_static(Box::leak(sql.into_boxed_str())),
                // The checksum stays that of the file: it must not depend on the names of the roles.
                ..migration.clone()
            }
        })
        .collect();
    let migrator = Migrator {
        migrations: Cow::Owned(filled),
        table_name: Cow::Borrowed("headwater_sys._sqlx_migrations"),
        ..Migrator::DEFAULT
    };
    let ran = migrator.run(&mut connection).await;
    connection.close().await.map_err(failed)?;
    ran.map_err(|error| StoreError::Database(format!("migration failed: {error}")))
}

/// A connection of its own, as the URL says or as somebody else.
pub(crate) async fn connect(url: &str, login: Option<&(String, String)>) -> Result<Client, StoreError> {
    let (mut config, verify) = pool::config(url)?;
    // Migrations may take longer than requests.
    config.options("-c TimeZone=UTC -c lock_timeout=10000");
    if let Some((user, password)) = login {
        config.user(user).password(password);
    }
    let (client, connection) = config.connect(tls::connector(verify)).await.map_err(explained)?;
    #[expect(clippy::disallowed_methods, reason = "ends with the client, which every caller drops")]
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended");
        }
    });
    Ok(client)
}

/// A connection that did not come about, with what to do about it.
fn explained(error: tokio_postgres::Error) -> StoreError {
    let advice = match error.code().map(SqlState::code) {
        Some("28P01" | "28000") => "correct the user and password in its URL",
        Some("3D000") => "make it with `createdb NAME`, or name another one",
        Some(_) => "",
        None => "is it running, and is its URL right? Without DATABASE_URL, `headwater dev` brings its own",
    };
    match StoreError::from(error) {
        StoreError::Unavailable(text) | StoreError::Database(text) if !advice.is_empty() => {
            StoreError::Unavailable(format!("{text}; {advice}"))
        }
        other => other,
    }
}

/// One finding of the lint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that is broken.
    pub rule: String,
    /// What breaks it.
    pub object: String,
}

impl Store {
    /// Everything that breaks a rule of the wall. Empty is good.
    pub async fn lint(&self, prefix: &str) -> Result<Vec<Finding>, StoreError> {
        let roles = Roles::new(prefix)?;
        let client = self.client().await?;
        let rows = client.query(&roles.fill(include_str!("lint.sql")), &[]).await?;
        Ok(rows.iter().map(|row| Finding { rule: row.get(0), object: row.get(1) }).collect())
    }

    /// Refuses to go on as a role that could see past the wall. `Err` says why.
    pub async fn check_role(&self) -> Result<Result<(), String>, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT r.rolname, r.rolsuper, r.rolbypassrls,
                        EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                WHERE n.nspname IN ('headwater', 'headwater_sys') AND pg_has_role(r.oid, c.relowner, 'MEMBER')) AS owns
                 FROM pg_roles r WHERE r.rolname = current_user",
                &[],
            )
            .await?;
        let name: &str = row.get(0);
        let reason = match (row.get(1), row.get(2), row.get(3)) {
            (true, _, _) => "is a superuser, for whom there is no row-level security",
            (_, true, _) => "has BYPASSRLS",
            (_, _, true) => "owns the tables, or may become their owner",
            (false, false, false) => return Ok(Ok(())),
        };
        Ok(Err(format!("the database role {name} {reason}: log in as the app role that `headwater migrate` makes")))
    }
}
