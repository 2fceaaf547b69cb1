//! What can go wrong between the server and Postgres, by what the caller can do about it.

use tokio_postgres::error::{DbError, Severity, SqlState};

/// A failed operation on the store.
///
/// Can be had more than once: what several wait for fails for all of them.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Postgres cannot be reached, is starting or has no connection to spare, or has gone before it answered: what it was sent last
    /// may have been carried out. Trying again may help.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Postgres has answered that it carries nothing out now: it is read-only, or has no room. Trying again may help.
    #[error("the database takes nothing: {0}")]
    TakesNothing(String),
    /// Somebody else holds what this needs for longer than it may wait. Trying again may help.
    #[error("the database is busy: {0}")]
    Contended(String),
    /// A unique value is taken.
    #[error("{constraint} is taken")]
    Taken {
        /// The constraint's name.
        constraint: String,
    },
    /// Something refers to what does not exist or is still referred to.
    #[error("a reference does not hold: {0}")]
    Reference(String),
    /// What is stored does not read back; a bug or foreign hands.
    #[error("stored data does not read: {0}")]
    Corrupt(String),
    /// A run was not to end while something that was said to it is unread, and something is.
    #[error("something was said to the run that no step has taken")]
    Unread,
    /// Anything else that Postgres said.
    #[error("the database refused: {0}")]
    Database(String),
}

/// Everything a Postgres error says, without its parameters' values.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            text
        }
    }
}

/// Whether locks were in the way: of this statement, and not of all.
fn is_contention(state: &SqlState) -> bool {
    [
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
        &SqlState::LOCK_NOT_AVAILABLE,
        &SqlState::QUERY_CANCELED,
    ]
    .contains(&state)
}

/// Whether Postgres was not able to carry out any statement of the kind, and is still there: a standby that has not been promoted yet, or no
/// memory or disk to spare. One that ends over it (`PANIC` for want of disk) may have carried it out: a commit that was written is replayed.
fn takes_nothing(db: &DbError) -> bool {
    db.parsed_severity() == Some(Severity::Error)
        && (*db.code() == SqlState::READ_ONLY_SQL_TRANSACTION || db.code().code().starts_with("53"))
}

/// Whether the same statement may succeed later, unchanged: connection trouble, resources, operators' intervention; and a standby that has
/// not been promoted yet.
fn may_pass(state: &SqlState) -> bool {
    ["08", "53", "57"].iter().any(|class| state.code().starts_with(class))
        || [&SqlState::READ_ONLY_SQL_TRANSACTION, &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT].contains(&state)
}

impl StoreError {
    /// Whether the same may succeed later, unchanged.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TakesNothing(_) | Self::Contended(_))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let text = describe(&error);
        let Some(db) = error.as_db_error() else { return Self::Unavailable(text) };
        if is_contention(db.code()) {
            return Self::Contended(text);
        }
        if takes_nothing(db) {
            return Self::TakesNothing(text);
        }
        if may_pass(db.code()) {
            return Self::Unavailable(text);
        }
        if *db.code() == SqlState::UNIQUE_VIOLATION {
            return Self::Taken { constraint: db.constraint().unwrap_or("a value").to_owned() };
        }
        if *db.code() == SqlState::FOREIGN_KEY_VIOLATION {
            return Self::Reference(text);
        }
        if db.code().code() == "HW006" {
            return Self::Unread;
        }
        Self::Database(text)
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => match error.as_db_error() {
                // Wrong password, no such database: no retry mends it, but the answer to a client is the same.
                Some(_) => Self::Unavailable(describe(&error)),
                None => Self::from(error),
            },
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}
