//! Connections to Postgres, and the one pipelined round trip that a scoped statement takes.
//!
//! Promises that a scope never outlives its transaction: it is set with `set_config(…, true)` in the same pipeline as
//! BEGIN and COMMIT, and all four are handed to the connection in one go, so that a caller who is dropped half-way
//! leaves nothing open. Never sets anything on a session.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures_util::future::join4;
use headwater_protocol::Scope;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use tokio_util::task::TaskTracker;

use crate::{StoreError, Unscoped, UserScopedStorage, tls};

/// How to reach Postgres.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where Postgres is.
    pub url: String,
    /// User and password to log in with instead of those of the URL.
    pub login: Option<(String, String)>,
    /// Connections for requests.
    pub max_connections: usize,
    /// Connections for flushes, apart from those for requests: a burst of reads must not delay a write.
    pub flush_connections: usize,
    /// How long a request waits for a connection before it is told that the database is unavailable.
    pub acquire_timeout: Duration,
}

impl StoreOptions {
    /// Defaults for a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            login: None,
            max_connections: 16,
            flush_connections: 4,
            acquire_timeout: Duration::from_secs(5),
        }
    }
}

/// The door to Postgres. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    requests: Pool,
    flushes: Pool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("requests", &self.requests.status()).finish()
    }
}

const SET_SCOPE: &str = "SELECT set_config('headwater.tenant_id', $1, true), set_config('headwater.user_id', $2, true)";

impl Store {
    /// Makes the pools. Connects nowhere yet.
    pub fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        let requests = pool(options, options.max_connections, "")?;
        // At 4 MB `unnest` of a large flush spilled to disk. A flush waits for nobody's lock for long: it is split, and
        // the row that has to wait waits alone.
        let flushes = pool(options, options.flush_connections, " -c work_mem=64MB -c lock_timeout=250")?;
        Ok(Self { requests, flushes })
    }

    /// The storage of one tenant or one of its users.
    pub fn scoped(&self, scope: Scope) -> UserScopedStorage {
        UserScopedStorage::new(self.clone(), scope)
    }

    /// The definer functions, which reach across tenants. `reason` says in the code why that is right.
    pub fn unscoped(&self, reason: &'static str) -> Unscoped {
        Unscoped::new(self.clone(), reason)
    }

    /// One round trip to Postgres: whether it is there.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.client().await?.batch_execute("SELECT 1").await?;
        Ok(())
    }

    /// Closes all connections, for good.
    pub fn close(&self) {
        self.requests.close();
        self.flushes.close();
    }

    pub(crate) async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.requests.get().await?)
    }

    pub(crate) async fn flush_client(&self) -> Result<Object, StoreError> {
        Ok(self.flushes.get().await?)
    }

    /// One statement under a scope, in one round trip.
    pub(crate) async fn query_scoped(
        &self,
        scope: Scope,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.client().await?;
        let set = client.prepare_cached(SET_SCOPE).await?;
        let statement = client.prepare_cached(sql).await?;
        let (tenant, user) = scope_settings(scope);
        run_pipelined(&client, &set, [&tenant, &user], &statement, params).await
    }

    /// The same for erasing, which may take long and holds nothing that others wait for.
    pub(crate) async fn query_long(
        &self,
        scope: Option<Scope>,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute("SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '30s'").await?;
        if let Some(scope) = scope {
            set_scope(&transaction, scope).await?;
        }
        let rows = transaction.query(sql, params).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    /// The same for a POST: remembers `object` under the request's key in the transaction of the effect.
    pub(crate) async fn query_once(
        &self,
        scope: Scope,
        idempotency: Option<&Idempotency>,
        object: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Once<Vec<Row>>, StoreError> {
        let Some(idempotency) = idempotency else {
            return self.query_scoped(scope, sql, params).await.map(Once::Done);
        };
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        set_scope(&transaction, scope).await?;
        match remember(&transaction, idempotency, object).await? {
            Once::Done(()) => {}
            Once::Replay(object) => return Ok(Once::Replay(object)),
            Once::Mismatch => return Ok(Once::Mismatch),
        }
        let statement = transaction.prepare_cached(sql).await?;
        let rows = transaction.query(&statement, params).await?;
        transaction.commit().await?;
        Ok(Once::Done(rows))
    }
}

/// Remembers a request in the transaction of its effect.
pub(crate) async fn remember(
    transaction: &deadpool_postgres::Transaction<'_>,
    idempotency: &Idempotency,
    object: &str,
) -> Result<Once<()>, StoreError> {
    let once = transaction.prepare_cached(ONCE).await?;
    let asked =
        transaction.query(&once, &[&idempotency.actor, &idempotency.key, &idempotency.fingerprint, &object]).await;
    let Err(error) = asked else { return Ok(Once::Done(())) };
    match error.as_db_error().map(|db| (db.code().code(), db.detail())) {
        Some(("HW003", Some(object))) => Ok(Once::Replay(object.to_owned())),
        Some(("HW004", _)) => Ok(Once::Mismatch),
        _ => Err(error.into()),
    }
}

/// What a repeated POST must find again.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Who sent it: a user or a key.
    pub actor: uuid::Uuid,
    /// The request's key.
    pub key: String,
    /// Hash of the request.
    pub fingerprint: Vec<u8>,
}

/// What came of a request that is carried out once.
#[derive(Debug)]
pub enum Once<T> {
    /// Carried out now.
    Done(T),
    /// It was carried out before and made this.
    Replay(String),
    /// The key was used for another request.
    Mismatch,
}

impl<T> Once<T> {
    /// The same with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Once<U> {
        match self {
            Once::Done(value) => Once::Done(f(value)),
            Once::Replay(object) => Once::Replay(object),
            Once::Mismatch => Once::Mismatch,
        }
    }
}

const ONCE: &str = "SELECT headwater.once($1, $2, $3, $4)";

/// A scope as the two settings that policies read.
pub(crate) fn scope_settings(scope: Scope) -> (String, String) {
    (scope.tenant.uuid().to_string(), scope.user.map(|user| user.uuid().to_string()).unwrap_or_default())
}

/// BEGIN, scope, statement and COMMIT, all sent at the first poll. Prepared statements only: preparing on the way would
/// run the statement before its scope is set.
async fn run_pipelined(
    client: &Object,
    set: &Statement,
    settings: [&String; 2],
    statement: &Statement,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, StoreError> {
    let settings: [&(dyn ToSql + Sync); 2] = [settings[0], settings[1]];
    let (begun, scoped, rows, committed) = join4(
        client.batch_execute("BEGIN"),
        client.query(set, &settings),
        client.query(statement, params),
        client.batch_execute("COMMIT"),
    )
    .await;
    begun?;
    scoped?;
    let rows = rows?;
    committed?;
    Ok(rows)
}

pub(crate) async fn set_scope(
    transaction: &deadpool_postgres::Transaction<'_>,
    scope: Scope,
) -> Result<(), StoreError> {
    let set = transaction.prepare_cached(SET_SCOPE).await?;
    let (tenant, user) = scope_settings(scope);
    transaction.query(&set, &[&tenant, &user]).await?;
    Ok(())
}

/// A connection configuration from a URL, with our session defaults as start-up options.
pub(crate) fn config(url: &str, extra: &str) -> Result<(tokio_postgres::Config, bool), StoreError> {
    let (url, verify) = tls::split_mode(url);
    let form = "write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE";
    if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
        return Err(StoreError::Database(format!("this is no URL of a Postgres; {form}")));
    }
    let mut config: tokio_postgres::Config = url
        .parse()
        .map_err(|error| StoreError::Database(format!("the URL of the database does not parse ({error}); {form}")))?;
    config.application_name("headwater");
    config.connect_timeout(Duration::from_secs(5));
    // A paused owner must hold no lock for long, and a vanished peer no connection.
    config.tcp_user_timeout(Duration::from_secs(5));
    config.keepalives(false);
    config.options(format!(
        "-c statement_timeout=5000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=5000 -c TimeZone=UTC -c jit=off{extra}"
    ));
    Ok((config, verify))
}

/// User and password of a URL, where it names both.
///
/// # Errors
/// When it is no URL of a Postgres.
pub fn login_of(url: &str) -> Result<Option<(String, String)>, StoreError> {
    let (config, _) = config(url, "")?;
    let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    Ok(config.get_user().map(str::to_owned).zip(password))
}

fn pool(options: &StoreOptions, size: usize, extra: &str) -> Result<Pool, StoreError> {
    let (mut config, verify) = config(&options.url, extra)?;
    if let Some((user, password)) = &options.login {
        config.user(user).password(password);
    }
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config, tls::connector(verify), recycling);
    Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(options.acquire_timeout))
        .create_timeout(Some(options.acquire_timeout))
        .build()
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Spawns through a tracker, so that shutdown can wait.
pub(crate) fn spawn(tracker: &TaskTracker, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    use tracing::Instrument as _;
    tracker.spawn(task.instrument(tracing::debug_span!("task", name)));
}
