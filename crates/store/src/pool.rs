//! The pools of connections to Postgres, and what every connection of ours is like.
//!
//! Owns the URL, the login, the time limits, and whether a pooler stands between us and Postgres. What is sent over a
//! connection is its own affair ([`crate::connection`]).

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use headwater_protocol::{RunId, Scope, TenantId};
use tokio::sync::mpsc;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, Params, Transaction};
use crate::gate::{Gate, Pools};
use crate::news::Rested;
use crate::{StoreError, Unscoped, UserScopedStorage, tls};

/// What every transaction of ours runs under: nobody waits for long, a paused owner holds no lock, times are in UTC, and
/// no statement is worth compiling. Where a connection's start cannot say so, the role does: `migrate` gives it these.
pub(crate) const SESSION: [(&str, &str); 5] = [
    ("statement_timeout", "5s"),
    ("lock_timeout", "1s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("TimeZone", "UTC"),
    ("jit", "off"),
];

/// How long Postgres may take to let somebody in.
const CONNECT: Duration = Duration::from_secs(5);

/// A setting of the connection's start that means nothing, and that a pooler in transaction mode loses.
const MARK: &str = "headwater.direct";

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
    /// Whether a pooler in transaction mode stands in between: then no settings go out with a connection's start, and no
    /// statements by name. `None`: to be found out.
    pub pooled: Option<bool>,
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
            pooled: None,
        }
    }

    /// Whether a pooler stands in between, found out by asking: settings given at a connection's start are refused by it,
    /// or they are not there afterwards.
    ///
    /// # Errors
    /// When nobody answers, or whoever answers does not let us in.
    pub(crate) async fn find_pooler(&self) -> Result<bool, StoreError> {
        let (mut config, verify) = config(&self.url)?;
        if let Some((user, password)) = &self.login {
            config.user(user).password(password);
        }
        // Asked once, and nobody waits for it longer than for a connection.
        let patience = self.acquire_timeout.max(CONNECT);
        let asked = tokio::time::timeout(patience, reaches_postgres(&config, verify)).await;
        let asked = asked.map_err(|_| StoreError::Unavailable("nobody answers in time".into()))?;
        Ok(!asked?)
    }
}

/// Whether what is set at a connection's start is there in its first transaction.
pub(crate) async fn reaches_postgres(
    config: &tokio_postgres::Config,
    verify: bool,
) -> Result<bool, tokio_postgres::Error> {
    let mut config = config.clone();
    config.options(format!("{} -c {MARK}=yes", config.get_options().unwrap_or_default()));
    let (client, connection) = match config.connect(tls::connector(verify)).await {
        Ok(connected) => connected,
        // "unsupported startup parameter": what PgBouncer says. Postgres never does.
        Err(error) if is_refusal_of_options(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let ask = async {
        let answer = client.simple_query(&format!("SELECT current_setting('{MARK}', true)")).await;
        drop(client);
        answer
    };
    let (answer, _) = tokio::join!(ask, connection);
    Ok(answer?.iter().any(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0) == Some("yes"),
        _ => false,
    }))
}

fn is_refusal_of_options(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|db| *db.code() == SqlState::PROTOCOL_VIOLATION && db.message().contains("startup parameter"))
}

/// The way to Postgres. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    gate: Arc<Gate>,
    /// For whoever opens or shuts the door: what lies behind it.
    inside: Option<Arc<Pools>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("gate", &self.gate).finish()
    }
}

impl Store {
    /// Finds out whether a pooler stands in between, unless that is said, and makes the pools.
    ///
    /// # Errors
    /// When the URL is none, nobody answers, or whoever answers does not let us in.
    pub async fn connect(options: &StoreOptions) -> Result<Self, StoreError> {
        let pooled = match options.pooled {
            Some(said) => said,
            None => options.find_pooler().await?,
        };
        Self::new(&StoreOptions { pooled: Some(pooled), ..options.clone() })
    }

    /// Makes the pools, and connects nowhere yet: without a word about a pooler, there is none.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        Ok(Self { gate: Arc::new(Gate::open(options.clone())?), inside: None })
    }

    /// A store whose door is shut until somebody comes: see [`Gate`].
    pub fn asleep(options: &StoreOptions) -> Self {
        Self { gate: Arc::new(Gate::shut(options.clone())), inside: None }
    }

    pub(crate) fn inside(gate: Arc<Gate>, pools: Arc<Pools>) -> Self {
        Self { gate, inside: Some(pools) }
    }

    /// The door, and whether anybody has gone through it.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    async fn pools(&self) -> Result<Arc<Pools>, StoreError> {
        match &self.inside {
            Some(pools) => Ok(pools.clone()),
            None => match self.gate.there() {
                Some(pools) => Ok(pools),
                // Rare, and large: it takes no place in everything that asks the database.
                None => Box::pin(self.gate.pools()).await,
            },
        }
    }

    /// The storage of one tenant or one of its users.
    pub fn scoped(&self, scope: Scope) -> UserScopedStorage {
        UserScopedStorage::new(self.clone(), scope)
    }

    /// The definer functions, which reach across tenants. `reason` says in the code why that is right.
    pub fn unscoped(&self, reason: &'static str) -> Unscoped {
        Unscoped::new(self.clone(), reason)
    }

    /// Waits until this process has written something that a tenant's webhooks may be to be told of. For one who waits; what is
    /// written while nobody does is remembered.
    pub async fn rung(&self) {
        self.gate.news.rung().await;
    }

    /// Hears of runs that end or wait, from here on. `None`: somebody does already.
    pub fn hear_of_runs(&self) -> Option<mpsc::Receiver<Rested>> {
        self.gate.news.hear()
    }

    /// How many of them whoever hears has missed since this was last asked: it did not keep up.
    pub fn runs_not_heard_of(&self) -> u64 {
        self.gate.news.missed()
    }

    pub(crate) fn ring(&self) {
        self.gate.news.ring();
    }

    pub(crate) fn rested(&self, tenant: TenantId, run: RunId, over: bool) {
        self.gate.news.rested(&self.gate, tenant, run, over);
    }

    /// One round trip to Postgres: whether it is there.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.client().await?.batch_execute("SELECT 1").await
    }

    /// Whether a pooler stands in between, once somebody has gone through the door.
    pub fn is_pooled(&self) -> bool {
        self.gate.is_pooled()
    }

    /// The settings of [`SESSION`] that transactions do not have, as the statement that gives them to the role. `None`:
    /// all are as they should be.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn missing_settings(&self) -> Result<Option<String>, StoreError> {
        let names: Vec<&str> = SESSION.iter().map(|(name, _)| *name).collect();
        let sql = "SELECT current_user::text, array_agg(current_setting(name) ORDER BY n)
                   FROM unnest($1::text[]) WITH ORDINALITY AS given (name, n)";
        let row = self.client().await?.query_one(sql, &[&names]).await?;
        let (role, values): (String, Vec<String>) = (row.try_get(0)?, row.try_get(1)?);
        let wrong: Vec<_> =
            SESSION.iter().zip(&values).filter(|((_, ours), theirs)| *ours != theirs.as_str()).collect();
        if wrong.is_empty() {
            return Ok(None);
        }
        let set =
            |((name, value), _): &(&(&str, &str), &String)| format!("ALTER ROLE \"{role}\" SET {name} = '{value}';");
        Ok(Some(wrong.iter().map(set).collect::<Vec<_>>().join(" ")))
    }

    /// Closes all connections, for good.
    pub fn close(&self) {
        self.gate.close();
    }

    pub(crate) async fn client(&self) -> Result<Connection, StoreError> {
        self.connection(|pools| &pools.requests).await
    }

    pub(crate) async fn flush_client(&self) -> Result<Connection, StoreError> {
        self.connection(|pools| &pools.flushes).await
    }

    async fn connection(&self, of: impl Fn(&Pools) -> &Pool) -> Result<Connection, StoreError> {
        let pools = self.pools().await?;
        match of(&pools).get().await {
            // The door was shut behind us: once more, through it.
            Err(PoolError::Closed) if self.inside.is_none() && !self.gate.is_closed() => {
                let pools = Box::pin(self.pools()).await?;
                let client = Box::pin(of(&pools).get()).await?;
                Ok(Connection::new(client, pools.unnamed.clone()))
            }
            got => Ok(Connection::new(got?, pools.unnamed.clone())),
        }
    }

    /// One statement under a scope, in one round trip.
    pub(crate) async fn query_scoped(
        &self,
        scope: Scope,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.client().await?.query_scoped(scope, sql, params).await
    }

    /// The same for erasing, which may take long and holds nothing that others wait for.
    pub(crate) async fn query_long(
        &self,
        scope: Option<Scope>,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute("SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '30s'").await?;
        if let Some(scope) = scope {
            transaction.set_scope(scope).await?;
        }
        let rows = transaction.query(sql, params).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    /// The same for a POST: remembers `object` under the request's key in the transaction of the effect. The statement returns
    /// what it made: without a row it has made nothing, and nothing is remembered.
    pub(crate) async fn query_once(
        &self,
        scope: Scope,
        idempotency: Option<&Idempotency>,
        object: &str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Once<Vec<Row>>, StoreError> {
        let Some(idempotency) = idempotency else {
            return self.query_scoped(scope, sql, params).await.map(Once::Done);
        };
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        transaction.set_scope(scope).await?;
        match remember(&transaction, idempotency, object).await? {
            Once::Done(()) => {}
            Once::Replay(object) => return Ok(Once::Replay(object)),
            Once::Mismatch => return Ok(Once::Mismatch),
        }
        let rows = transaction.query(sql, params).await?;
        if !rows.is_empty() {
            transaction.commit().await?;
        }
        Ok(Once::Done(rows))
    }
}

/// Remembers a request in the transaction of its effect.
pub(crate) async fn remember(
    transaction: &Transaction<'_>,
    idempotency: &Idempotency,
    object: &str,
) -> Result<Once<()>, StoreError> {
    let asked =
        transaction.ask(ONCE, &[&idempotency.actor, &idempotency.key, &idempotency.fingerprint, &object]).await?;
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

impl<T, E> Once<Result<T, E>> {
    /// Out with what went wrong.
    pub fn transpose(self) -> Result<Once<T>, E> {
        Ok(match self {
            Once::Done(value) => Once::Done(value?),
            Once::Replay(object) => Once::Replay(object),
            Once::Mismatch => Once::Mismatch,
        })
    }
}

const ONCE: &str = "SELECT headwater.once($1, $2, $3, $4)";

/// A connection configuration from a URL, with [`SESSION`] as start-up options.
pub(crate) fn config(url: &str) -> Result<(tokio_postgres::Config, bool), StoreError> {
    let (mut config, verify) = bare_config(url)?;
    let options: Vec<_> = SESSION.iter().map(|(name, value)| format!("-c {name}={value}")).collect();
    config.options(options.join(" "));
    Ok((config, verify))
}

/// The same without any options but the URL's own.
pub(crate) fn bare_config(url: &str) -> Result<(tokio_postgres::Config, bool), StoreError> {
    let (url, verify) = tls::split_mode(url);
    let form = "write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE";
    if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
        return Err(StoreError::Database(format!("this is no URL of a Postgres; {form}")));
    }
    let mut config: tokio_postgres::Config = url
        .parse()
        .map_err(|error| StoreError::Database(format!("the URL of the database does not parse ({error}); {form}")))?;
    config.application_name("headwater");
    config.connect_timeout(CONNECT);
    // A paused owner must hold no lock for long, and a vanished peer no connection.
    config.tcp_user_timeout(Duration::from_secs(5));
    config.keepalives(false);
    Ok((config, verify))
}

/// User and password of a URL, where it names both.
///
/// # Errors
/// When it is no URL of a Postgres.
pub fn login_of(url: &str) -> Result<Option<(String, String)>, StoreError> {
    let (config, _) = config(url)?;
    let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    Ok(config.get_user().map(str::to_owned).zip(password))
}

pub(crate) fn pool(options: &StoreOptions, size: usize) -> Result<Pool, StoreError> {
    let (mut config, verify) =
        if options.pooled == Some(true) { bare_config(&options.url)? } else { config(&options.url)? };
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
