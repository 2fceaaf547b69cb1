//! What a waker asks: when the service has to be woken next.
//!
//! Owns one connection for one question, as a role that may ask nothing else. Promises that the answer is the database's, so
//! that asking wakes no process; and that having been asked is noted there, which lets processes go quiet with something
//! scheduled. Never wakes anybody itself.

use std::time::Duration;

use headwater_protocol::Timestamp;
use tokio_postgres::SimpleQueryMessage;

use crate::{StoreError, pool, tls};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// When something is due next, by the database's clock; `None` when nothing is. `login`: instead of that of the URL.
///
/// # Errors
/// When nobody answers there, or does not let us in.
pub async fn next_wake_at(url: &str, login: Option<(String, String)>) -> Result<Option<Timestamp>, StoreError> {
    let (mut config, verify) = pool::bare_config(url)?;
    if let Some((user, password)) = login {
        config.user(user).password(password);
    }
    tokio::time::timeout(PATIENCE, ask(&config, verify))
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()))))
}

async fn ask(config: &tokio_postgres::Config, verify: bool) -> Result<Option<Timestamp>, StoreError> {
    let (client, connection) = config.connect(tls::connector(verify)).await?;
    let ask = async {
        // Without a statement by name, and as text: through any pooler.
        let sql = "SELECT (extract(epoch FROM headwater.next_wake_at()) * 1000)::bigint";
        let answer = client.simple_query(sql).await;
        drop(client);
        answer
    };
    let (answer, _) = tokio::join!(ask, connection);
    let at = answer?.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).and_then(|ms| ms.parse().ok()),
        _ => None,
    });
    Ok(at.map(Timestamp::from_ms))
}
