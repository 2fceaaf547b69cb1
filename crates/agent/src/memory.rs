//! The user's memory, as tools.

use headwater_protocol::api::{MAX_MEMORY_BYTES, check_memory_key};
use headwater_protocol::{ErrorCode, Problem, RunId, Timestamp};
use headwater_store::UserScopedStorage;
use headwater_store::commit::LeaseToken;
use serde_json::{Value, json};

/// Keys that a list shows.
const LISTED: i64 = 200;

/// What is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryAct {
    Get,
    Set,
    List,
    Delete,
}

/// Does it, for the user of the run. `of`: the run, which changes nothing any more once it is somebody else's.
pub(crate) async fn act(
    storage: &UserScopedStorage,
    of: (RunId, LeaseToken),
    what: MemoryAct,
    args: &Value,
) -> Result<Value, Problem> {
    let of = Some(of);
    let text = |name: &str| args[name].as_str().unwrap_or_default().to_owned();
    let key = text("key");
    if what != MemoryAct::List {
        let bad = |problem: Problem| Problem::new(ErrorCode::ToolInvalidArgs, problem.detail.unwrap_or_default());
        check_memory_key("key", &key).map_err(bad)?;
    }
    let Some(user) = storage.scope().user else {
        return Err(Problem::new(ErrorCode::ToolError, "there is no user"));
    };
    let done = match what {
        MemoryAct::Get => {
            storage.memory_get(user, &key).await.map(|entry| entry.map_or(Value::Null, |entry| entry.value))
        }
        MemoryAct::Set => {
            let value = &args["value"];
            if value.to_string().len() > MAX_MEMORY_BYTES || headwater_protocol::api::holds_nul(value) {
                let words = format!("a value is at most {MAX_MEMORY_BYTES} bytes of JSON, without NUL characters");
                return Err(Problem::new(ErrorCode::ToolInvalidArgs, words));
            }
            match storage.memory_put(user, &key, value, Timestamp::now(), of).await {
                Ok(None) => {
                    return Err(Problem::new(ErrorCode::ToolLimit, "too much is remembered of this user already"));
                }
                Ok(Some(_)) => Ok(json!({"remembered": true})),
                Err(error) => Err(error),
            }
        }
        MemoryAct::List => {
            let prefix = text("prefix");
            storage.memory_list(user, &prefix, None, LISTED).await.map(|entries| {
                let keys: Vec<String> = entries.into_iter().map(|entry| entry.key).collect();
                json!({ "keys": keys })
            })
        }
        MemoryAct::Delete => storage.memory_delete(user, &key, of).await.map(|there| json!({ "forgotten": there })),
    };
    done.map_err(|error| {
        tracing::warn!(%error, "a memory could not be reached");
        Problem::new(ErrorCode::ToolUnreachable, "the memory cannot be reached at the moment")
    })
}
