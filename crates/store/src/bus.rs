//! Hints between replicas, over Postgres' NOTIFY.
//!
//! Owns what goes out (gathered, sent in a statement of its own, never in a transaction that anybody waits for) and the
//! one connection that listens, where a direct URL allows for one. Promises nothing: a hint can be lost, and whoever
//! gets one only looks. Carries ids and nothing else, because Postgres' channels know no tenants.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_protocol::{ReplicaId, RunId};
use tokio::sync::{Notify, mpsc};
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{Replica, Store, StoreError, pool, tls};

/// Postgres takes 8,000 bytes.
const MAX_PAYLOAD: usize = 7000;
/// The channel that all replicas listen to.
const EVERYBODY: &str = "headwater";
/// Hints that wait to be looked at. Beyond, they are dropped, as hints may be.
const MAX_WAITING: usize = 10_000;

/// What another replica says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// This run has more.
    More(RunId),
    /// That replica has readers of this run, which we write.
    Follow {
        /// The run.
        run: RunId,
        /// Who wants to know.
        replica: ReplicaId,
    },
    /// There are runs to be claimed.
    Claim,
    /// Somebody has taken this run from its owner.
    Taken(RunId),
    /// Hints may have been lost: look everywhere.
    Lost,
}

/// Where to listen.
#[derive(Debug, Clone)]
pub struct ListenAt {
    /// A URL that leads to Postgres itself, with no pooler in between.
    pub url: String,
    /// User and password to log in with instead of those of the URL.
    pub login: Option<(String, String)>,
}

/// Carries hints. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    /// By channel.
    waiting: Mutex<BTreeMap<String, BTreeSet<String>>>,
    changed: Notify,
    /// The id to listen as has changed.
    renamed: Notify,
    listens: bool,
}

fn channel_of(replica: ReplicaId) -> String {
    format!("headwater_{}", replica.0.simple())
}

impl Bus {
    /// Starts the task that sends. `listens`: whether somebody runs the [`Listener`] too.
    pub fn start(store: Store, listens: bool, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let inner = Inner { store, waiting: Mutex::default(), changed: Notify::new(), renamed: Notify::new(), listens };
        let bus = Self { inner: Arc::new(inner) };
        let (sender, token) = (bus.clone(), stop.clone());
        pool::spawn(tasks, "hints out", async move {
            tokio::select! {
                () = sender.send() => {}
                () = token.cancelled() => {}
            }
        });
        bus
    }

    /// What hears hints, for as long as it is polled, and where they arrive.
    pub fn listener(&self, at: ListenAt, replica: Replica) -> (Listener, mpsc::Receiver<Hint>) {
        let (hints, received) = mpsc::channel(MAX_WAITING);
        (Listener { bus: self.clone(), at: Arc::new(at), replica, hints }, received)
    }

    /// Whether hints reach this replica.
    pub fn listens(&self) -> bool {
        self.inner.listens
    }

    /// Tells a replica that a run has more.
    pub fn more(&self, replica: ReplicaId, run: RunId) {
        self.put(channel_of(replica), run.uuid().simple().to_string());
    }

    /// Asks a replica to tell us of a run.
    pub fn follow(&self, owner: ReplicaId, run: RunId, us: ReplicaId) {
        self.put(channel_of(owner), format!("f{}{}", us.0.simple(), run.uuid().simple()));
    }

    /// Tells everybody that there are runs to be claimed, and waits until it is said: whoever says it is about to end.
    pub async fn claim_now(&self) {
        if let Err(error) = notify(&self.inner.store, &[EVERYBODY.to_owned()], &["c".to_owned()]).await {
            tracing::debug!(%error, "a hint was not sent");
        }
    }

    /// Tells everybody that a run was taken from its owner, which may not know.
    pub fn taken(&self, run: RunId) {
        self.put(EVERYBODY.to_owned(), format!("t{}", run.uuid().simple()));
    }

    /// Listens under this process' new id.
    pub fn rename(&self) {
        self.inner.renamed.notify_one();
    }

    fn put(&self, channel: String, word: String) {
        let mut waiting = self.inner.waiting.lock().expect("no panic while queueing");
        if waiting.values().map(BTreeSet::len).sum::<usize>() < MAX_WAITING {
            waiting.entry(channel).or_default().insert(word);
        }
        drop(waiting);
        self.inner.changed.notify_one();
    }

    /// Sends what has gathered while the last statement was under way.
    async fn send(&self) {
        loop {
            self.inner.changed.notified().await;
            let waiting = std::mem::take(&mut *self.inner.waiting.lock().expect("no panic while queueing"));
            let (mut channels, mut payloads) = (Vec::new(), Vec::new());
            for (channel, words) in waiting {
                let mut payload = String::new();
                for word in words {
                    if payload.len() + word.len() + 1 > MAX_PAYLOAD {
                        channels.push(channel.clone());
                        payloads.push(std::mem::take(&mut payload));
                    }
                    payload.push_str(&word);
                    payload.push(' ');
                }
                channels.push(channel);
                payloads.push(payload);
            }
            if let Err(error) = notify(&self.inner.store, &channels, &payloads).await {
                tracing::debug!(%error, "hints were not sent");
            }
        }
    }

    async fn listen(&self, at: &ListenAt, replica: &Replica, hints: &mpsc::Sender<Hint>) {
        let mut pause = Duration::from_millis(200);
        loop {
            match self.hear(at, replica, hints, &mut pause).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "no hints from other replicas for a while; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// Listens until the connection is lost, or this process has another id.
    async fn hear(
        &self,
        at: &ListenAt,
        replica: &Replica,
        hints: &mpsc::Sender<Hint>,
        pause: &mut Duration,
    ) -> Result<(), StoreError> {
        let (mut config, verify) = pool::config(&at.url)?;
        if let Some((user, password)) = &at.login {
            config.user(user).password(password);
        }
        // An idle listener must notice that nobody is there any more.
        config.keepalives(true).keepalives_idle(Duration::from_secs(10)).keepalives_interval(Duration::from_secs(3));
        let (client, mut connection) = config.connect(tls::connector(verify)).await?;
        let mine = channel_of(replica.id());
        let begin = async {
            let begun = client.batch_execute(&format!("LISTEN {EVERYBODY}; LISTEN {mine}")).await;
            // What was said before is lost.
            let _ = hints.try_send(Hint::Lost);
            begun
        };
        let mut begin = std::pin::pin!(begin);
        let mut begun = false;
        loop {
            tokio::select! {
                done = &mut begin, if !begun => {
                    done?;
                    begun = true;
                    *pause = Duration::from_millis(200);
                }
                message = std::future::poll_fn(|cx| connection.poll_message(cx)) => match message {
                    Some(Ok(AsyncMessage::Notification(note))) => {
                        for hint in note.payload().split_ascii_whitespace().filter_map(hint) {
                            // Full: whoever looks anyway finds it.
                            let _ = hints.try_send(hint);
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(StoreError::Unavailable("the connection that listens was closed".into())),
                },
                () = self.inner.renamed.notified() => return Ok(()),
            }
        }
    }
}

/// Hears hints over a connection of its own. Cheap to clone; one at a time is polled.
#[derive(Debug, Clone)]
pub struct Listener {
    bus: Bus,
    at: Arc<ListenAt>,
    replica: Replica,
    hints: mpsc::Sender<Hint>,
}

impl Listener {
    /// Hears until it is dropped, and with it its connection.
    pub async fn listen(self) {
        self.bus.listen(&self.at, &self.replica, &self.hints).await;
    }
}

fn hint(word: &str) -> Option<Hint> {
    let run = |text: &str| Uuid::from_str(text).ok().map(RunId::from_uuid);
    match word.as_bytes() {
        [b'c'] => Some(Hint::Claim),
        [b't', ..] => run(word.get(1..)?).map(Hint::Taken),
        [b'f', ..] if word.len() == 65 => {
            let replica = ReplicaId(Uuid::from_str(word.get(1..33)?).ok()?);
            Some(Hint::Follow { run: run(word.get(33..)?)?, replica })
        }
        _ => run(word).map(Hint::More),
    }
}

async fn notify(store: &Store, channels: &[String], payloads: &[String]) -> Result<(), StoreError> {
    let client = store.client().await?;
    let sql = "SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS n (channel, payload)";
    client.query(sql, &[&channels, &payloads]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_they_said() {
        let (run, replica) = (RunId::new(), ReplicaId(Uuid::now_v7()));
        let follow = format!("f{}{}", replica.0.simple(), run.uuid().simple());
        assert_eq!(hint(&follow), Some(Hint::Follow { run, replica }));
        assert_eq!(hint(&run.uuid().simple().to_string()), Some(Hint::More(run)));
        assert_eq!(hint(&format!("t{}", run.uuid().simple())), Some(Hint::Taken(run)));
        assert_eq!(hint("c"), Some(Hint::Claim));
        for nonsense in ["", "f", "t", "x", "fé", &follow[..64]] {
            assert_eq!(hint(nonsense), None, "{nonsense}");
        }
    }
}
