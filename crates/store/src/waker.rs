//! What is asked from outside: when the service has to be woken next, and how much there is to do.
//!
//! Owns one connection for one question, as a role that may ask nothing else. Promises that the answer is the database's, so
//! that asking wakes no process; and that having been asked when to wake is noted there, which lets processes go quiet with something
//! scheduled. Never wakes anybody itself, and never says how many processes there should be.

use std::time::Duration;

use headwater_protocol::Timestamp;
use tokio_postgres::SimpleQueryMessage;

use crate::{StoreError, pool, tls};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A login instead of that of the URL.
type Login = Option<(String, String)>;

/// How much there is to do, and who is there to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Runs that a process works on.
    pub busy: u64,
    /// Runs that could begin, or go on, if one had room.
    pub waiting: u64,
    /// Processes whose lease has not lapsed.
    pub processes: u64,
    /// Since when fewer would do, as was noted last.
    pub low_since: Option<Timestamp>,
    /// When this was so.
    pub at: Timestamp,
}

/// When something is due next, by the database's clock; `None` when nothing is.
///
/// # Errors
/// When nobody answers there, or does not let us in.
pub async fn next_wake_at(url: &str, login: Login) -> Result<Option<Timestamp>, StoreError> {
    let row = ask(url, login, "SELECT (extract(epoch FROM headwater.next_wake_at()) * 1000)::bigint").await?;
    Ok(row.first().copied().flatten().map(Timestamp::from_ms))
}

/// How much there is to do.
///
/// # Errors
/// As [`next_wake_at`].
pub async fn load(url: &str, login: Login) -> Result<Load, StoreError> {
    let sql = "SELECT busy, waiting, processes, (extract(epoch FROM low_since) * 1000)::bigint,
                      (extract(epoch FROM seen_at) * 1000)::bigint FROM headwater.autoscale_look()";
    match ask(url, login, sql).await?[..] {
        [Some(busy), Some(waiting), Some(processes), low_since, Some(at)] => Ok(Load {
            busy: busy.max(0).unsigned_abs(),
            waiting: waiting.max(0).unsigned_abs(),
            processes: processes.max(0).unsigned_abs(),
            low_since: low_since.map(Timestamp::from_ms),
            at: Timestamp::from_ms(at),
        }),
        _ => Err(StoreError::Corrupt("a function answered no row".into())),
    }
}

/// Notes since when fewer processes would do.
///
/// # Errors
/// As [`next_wake_at`].
pub async fn note_low(url: &str, login: Login, since: Option<Timestamp>) -> Result<(), StoreError> {
    let since = since.map_or_else(|| "NULL".to_owned(), |at| at.ms().to_string());
    ask(url, login, &format!("SELECT headwater.autoscale_note(to_timestamp({since} / 1000.0))")).await?;
    Ok(())
}

/// Asks one question; the answer's first row, of numbers.
async fn ask(url: &str, login: Login, sql: &str) -> Result<Vec<Option<i64>>, StoreError> {
    let (mut config, verify) = pool::bare_config(url)?;
    if let Some((user, password)) = login {
        config.user(user).password(password);
    }
    let asking = async {
        let (client, connection) = config.connect(tls::connector(verify)).await?;
        let ask = async {
            // Without a statement by name, and as text: through any pooler.
            let answer = client.simple_query(sql).await;
            drop(client);
            answer
        };
        let (answer, _) = tokio::join!(ask, connection);
        let row = answer?.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|n| row.get(n).and_then(|text| text.parse().ok())).collect())
            }
            _ => None,
        });
        Ok(row.unwrap_or_default())
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()))))
}
