//! A request that is dropped half-way leaves no scope behind on its pooled connection.

use std::task::Poll;

use headwater_protocol::event::Role;
use headwater_protocol::message::{Metadata, Part};
use headwater_protocol::{ThreadId, Timestamp};
use headwater_store::pool::Idempotency;
use headwater_store::scoped::{Page, ThreadFilter};
use headwater_store::{Store, UserScopedStorage};
use serde_json::json;

use crate::support::World;

/// Polls a future so many times and then drops it. Whether it was done before.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> bool {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if left <= 1 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// The store's one connection, asked what is set on it. `sweep` is a question without a scope; here it answers 1 when it
/// finds one, be it the session's or that of somebody's open transaction.
async fn left_behind(store: &Store) -> i64 {
    store.unscoped("a test looks at a connection").sweep().await.expect("asks")
}

const PROBE: &str = "CREATE OR REPLACE FUNCTION headwater.sweep() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN coalesce(current_setting('headwater.tenant_id', true), '') = ''
                 AND coalesce(current_setting('headwater.user_id', true), '') = '' THEN 0 ELSE 1 END::bigint $$";

async fn one_connection(world: &World) -> Store {
    world.database.admin().await.execute(PROBE).await.expect("replaces the function");
    let mut options = world.database.store_options();
    options.max_connections = 1;
    Store::new(&options).expect("the URL parses")
}

#[tokio::test]
async fn dropped_reads_leave_nothing_on_the_connection() {
    let world = World::new().await;
    let run = world.run().await;
    let store = one_connection(&world).await;
    let storage = store.scoped(world.acme.scope());
    let page = Page { after: None, ascending: true, limit: 10 };
    let mut finished = false;
    for polls in 1..200 {
        // The first time connects and prepares; from then on the first poll sends everything.
        finished = dropped_after(polls, storage.thread_list(&ThreadFilter::default(), page)).await;
        assert_eq!(left_behind(&store).await, 0, "after {polls} polls of a list");
        dropped_after(polls, storage.run_snapshot(run.run)).await;
        assert_eq!(left_behind(&store).await, 0, "after {polls} polls of a snapshot");
        if finished {
            break;
        }
    }
    assert!(finished, "it was never dropped at its end");
}

async fn post(storage: &UserScopedStorage, thread: ThreadId, key: u64) -> bool {
    let idempotency = Idempotency { actor: thread.uuid(), key: key.to_string(), fingerprint: vec![1] };
    let text: Part = serde_json::from_value(json!({"type": "text", "text": "hello"})).expect("a part");
    let now = Timestamp::now();
    storage.message_import(thread, Role::User, &[text], &Metadata::new(), now, Some(&idempotency)).await.is_ok()
}

#[tokio::test]
async fn dropped_transactions_leave_nothing_on_the_connection() {
    let world = World::new().await;
    let run = world.run().await;
    let (ending, _) = run.ending(3);
    world.commit(ending).await;
    let store = one_connection(&world).await;
    let storage = store.scoped(world.acme.scope());
    let mut finished = false;
    for polls in 1..200 {
        finished = dropped_after(polls, post(&storage, run.thread, polls as u64)).await;
        assert_eq!(left_behind(&store).await, 0, "after {polls} polls");
        if finished {
            break;
        }
    }
    assert!(finished, "it was never dropped at its end");
    let halves = "SELECT count(*) FROM headwater.messages WHERE run_id IS NULL";
    let keys = "SELECT count(*) FROM headwater.idempotency";
    assert_eq!(world.value(halves).await, world.value(keys).await, "a message and its key, or neither");
}

#[tokio::test]
async fn a_scope_that_was_left_behind_would_be_found() {
    let world = World::new().await;
    let store = one_connection(&world).await;
    assert_eq!(left_behind(&store).await, 0);
    // A definer function that sets a scope for the session, as none of ours does.
    let hole = "CREATE OR REPLACE FUNCTION headwater.replica_renew(p_replica uuid, p_lease_ms bigint) RETURNS boolean LANGUAGE sql
                AS $$ SELECT set_config('headwater.tenant_id', p_replica::text, false) IS NOT NULL $$";
    world.database.admin().await.execute(hole).await.expect("makes the hole");
    let renewed = store.unscoped("a test makes a hole").replica_renew(world.replica, 1).await;
    assert!(renewed.expect("asks"));
    assert_eq!(left_behind(&store).await, 1, "which is the hole");
}
