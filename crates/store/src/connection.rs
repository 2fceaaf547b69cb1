//! One connection on loan: statements and transactions, whatever stands between us and Postgres.
//!
//! Owns how a statement is sent. With Postgres itself at the other end it is prepared by name, once per connection. A
//! pooler in transaction mode gives each transaction another connection to Postgres, where that name is unknown or
//! somebody else's: there every statement goes out unnamed, parsed each time, with its parameters' types learned before.
//! Promises that a scope never outlives its transaction: it is set with `set_config(…, true)` in the same pipeline as
//! BEGIN and COMMIT, and all four are handed to the connection in one go, so that a caller who is dropped half-way
//! leaves nothing open. Never sets anything on a session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use futures_util::future::join4;
use headwater_protocol::Scope;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use crate::StoreError;

const SET_SCOPE: &str = "SELECT set_config('headwater.tenant_id', $1, true), set_config('headwater.user_id', $2, true)";

/// How long one of our statements takes at most once Postgres has it: its own limit ends it then.
const STATEMENT: Duration = Duration::from_secs(5);
const NO_CONNECTION: &str = "the pooler has no connection to it in time";

/// A statement's parameters.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection on loan from its pool.
pub(crate) struct Connection {
    /// There until the connection is dropped.
    object: Option<Object>,
    unnamed: Option<Arc<ParamTypes>>,
    /// Something was sent whose answer has not arrived.
    waiting: AtomicBool,
}

/// A transaction on it; rolled back unless it is committed.
pub(crate) struct Transaction<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    unnamed: Option<&'a ParamTypes>,
}

/// A statement that can be sent without waiting for anything.
enum Ready {
    Named(Statement),
    Unnamed(Arc<[Type]>),
}

impl Connection {
    /// `unnamed`: there is a pooler in between.
    pub(crate) fn new(object: Object, unnamed: Option<Arc<ParamTypes>>) -> Self {
        Self { object: Some(object), unnamed, waiting: AtomicBool::new(false) }
    }

    fn object(&self) -> &Object {
        self.object.as_ref().expect("it is there until the end")
    }

    async fn ready(&self, sql: &str) -> Result<Ready, StoreError> {
        Ok(match &self.unnamed {
            None => Ready::Named(self.object().prepare_cached(sql).await?),
            Some(types) => Ready::Unnamed(types.of(sql).await?),
        })
    }

    /// One statement in a transaction of its own.
    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let ready = self.ready(sql).await?;
        Ok(bounded(self.unnamed.as_deref(), &self.waiting, STATEMENT, ready.send(self.object(), sql, params)).await??)
    }

    /// The same, where exactly one row is answered.
    pub(crate) async fn query_one(&self, sql: &str, params: Params<'_>) -> Result<Row, StoreError> {
        one(self.query(sql, params).await?)
    }

    /// BEGIN, scope, statement and COMMIT in one round trip, all sent at the first poll.
    pub(crate) async fn query_scoped(
        &self,
        scope: Scope,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        // Made ready before: to prepare on the way would run the statement before its scope is set.
        let object = self.object();
        let (set, statement) = (self.ready(SET_SCOPE).await?, self.ready(sql).await?);
        let (tenant, user) = scope_settings(scope);
        let settings: [&(dyn ToSql + Sync); 2] = [&tenant, &user];
        let all = join4(
            object.batch_execute("BEGIN"),
            set.send(object, SET_SCOPE, &settings),
            statement.send(object, sql, params),
            object.batch_execute("COMMIT"),
        );
        let (begun, scoped, rows, committed) = bounded(self.unnamed.as_deref(), &self.waiting, STATEMENT, all).await?;
        begun?;
        scoped?;
        let rows = rows?;
        committed?;
        Ok(rows)
    }

    /// Begins a transaction.
    pub(crate) async fn transaction(&mut self) -> Result<Transaction<'_>, StoreError> {
        let unnamed = self.unnamed.as_deref();
        let object = self.object.as_mut().expect("it is there until the end");
        // Once it has begun it has a connection to Postgres, whose limits hold.
        let inner = bounded(unnamed, &self.waiting, Duration::ZERO, object.transaction()).await??;
        Ok(Transaction { inner, unnamed })
    }

    /// Statements without parameters, separated by semicolons.
    pub(crate) async fn batch_execute(&self, sql: &str) -> Result<(), StoreError> {
        Ok(bounded(self.unnamed.as_deref(), &self.waiting, Duration::ZERO, self.object().batch_execute(sql)).await??)
    }
}

/// A pooler lets statements wait until it has a connection to Postgres, for minutes if need be and past every limit
/// that Postgres sets. So the wait is bounded here, and a connection on which something still waits is closed.
async fn bounded<T>(
    unnamed: Option<&ParamTypes>,
    waiting: &AtomicBool,
    more: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, StoreError> {
    let Some(types) = unnamed else { return Ok(answer.await) };
    waiting.store(true, Ordering::Relaxed);
    let Ok(answer) = tokio::time::timeout(types.patience + more, answer).await else {
        return Err(StoreError::Unavailable(NO_CONNECTION.into()));
    };
    waiting.store(false, Ordering::Relaxed);
    Ok(answer)
}

impl Drop for Connection {
    fn drop(&mut self) {
        if *self.waiting.get_mut()
            && let Some(object) = self.object.take()
        {
            drop(Object::take(object));
        }
    }
}

impl Transaction<'_> {
    /// One statement.
    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        Ok(self.ask(sql, params).await??)
    }

    /// One statement, and what Postgres itself had to say about it.
    pub(crate) async fn ask(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Result<Vec<Row>, tokio_postgres::Error>, StoreError> {
        let ready = match self.unnamed {
            None => Ready::Named(self.inner.prepare_cached(sql).await?),
            Some(types) => Ready::Unnamed(types.of(sql).await?),
        };
        Ok(ready.send(self.inner.client(), sql, params).await)
    }

    /// The same, where one row is answered or none.
    pub(crate) async fn query_opt(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// The same, where exactly one row is answered.
    pub(crate) async fn query_one(&self, sql: &str, params: Params<'_>) -> Result<Row, StoreError> {
        one(self.query(sql, params).await?)
    }

    /// Statements without parameters, separated by semicolons.
    pub(crate) async fn batch_execute(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.inner.batch_execute(sql).await?)
    }

    /// Sets who is asking, until the transaction ends.
    pub(crate) async fn set_scope(&self, scope: Scope) -> Result<(), StoreError> {
        let (tenant, user) = scope_settings(scope);
        self.query(SET_SCOPE, &[&tenant, &user]).await?;
        Ok(())
    }

    /// Makes it so.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
}

impl Ready {
    async fn send(&self, client: &Client, sql: &str, params: Params<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        match self {
            Self::Named(statement) => client.query(statement, params).await,
            Self::Unnamed(types) => {
                let typed: Vec<_> = params.iter().copied().zip(types.iter().cloned()).collect();
                client.query_typed(sql, &typed).await
            }
        }
    }
}

fn one(rows: Vec<Row>) -> Result<Row, StoreError> {
    rows.into_iter().next().ok_or_else(|| StoreError::Corrupt("a statement answered no row".into()))
}

/// A scope as the two settings that policies read.
fn scope_settings(scope: Scope) -> (String, String) {
    (scope.tenant.uuid().to_string(), scope.user.map(|user| user.uuid().to_string()).unwrap_or_default())
}

/// The types of statements' parameters, by statement.
pub(crate) type KnownTypes = Arc<RwLock<HashMap<String, Arc<[Type]>>>>;

/// The types of the parameters of each statement, as Postgres infers them. Asked once per process and statement, on a
/// connection of their own: whoever waits for an answer may hold a connection of the pool already.
pub(crate) struct ParamTypes {
    pool: Pool,
    /// How long a statement may wait for a connection of the pooler's.
    patience: Duration,
    known: KnownTypes,
}

impl ParamTypes {
    pub(crate) fn new(pool: Pool, patience: Duration, known: KnownTypes) -> Self {
        Self { pool, patience, known }
    }

    async fn of(&self, sql: &str) -> Result<Arc<[Type]>, StoreError> {
        let known = self.known.read().expect("no panic while looking").get(sql).cloned();
        if let Some(types) = known {
            return Ok(types);
        }
        let types = self.ask(sql).await?;
        // A statement is one of ours, so there are a few hundred of them at most.
        self.known.write().expect("no panic while adding").insert(sql.to_owned(), types.clone());
        Ok(types)
    }

    /// Prepares the statement by name and forgets it again, in one transaction and so on one connection of the pooler's.
    async fn ask(&self, sql: &str) -> Result<Arc<[Type]>, StoreError> {
        let (pool, sql) = (self.pool.clone(), sql.to_owned());
        let patience = self.patience + STATEMENT;
        // In a task of its own: a caller who is dropped half-way would leave the name behind, on a connection that others
        // get next.
        #[expect(clippy::disallowed_methods, reason = "one statement long, and its caller waits for it")]
        let asked = tokio::spawn(async move {
            let mut object = pool.get().await?;
            let ask = async {
                let transaction = object.transaction().await?;
                let statement = transaction.prepare(&sql).await?;
                let types = Arc::<[Type]>::from(statement.params());
                // Closes the name, before the end of the transaction lets the connection go.
                drop(statement);
                transaction.commit().await?;
                Ok(types)
            };
            let asked = tokio::time::timeout(patience, ask).await;
            asked.unwrap_or_else(|_| {
                // With the connection goes whatever it has prepared.
                drop(Object::take(object));
                Err(StoreError::Unavailable(NO_CONNECTION.into()))
            })
        });
        asked.await.map_err(|error| StoreError::Corrupt(format!("a statement's types: {error}")))?
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }

    /// Connections that are not closed yet.
    pub(crate) fn open(&self) -> usize {
        self.pool.status().size
    }
}
