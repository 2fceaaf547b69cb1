//! Webhooks: sending tenants' own servers what has happened.
//!
//! What is to be sent is written by the database with what it tells of, one row for each endpoint. Owns the sending: who is served
//! next, what is sent, how it is signed, and when it is tried again. Promises that each delivery is tried until it was taken or the
//! last try has failed, whichever processes die meanwhile: at least once, in no order. An endpoint that is slow or gone holds up
//! itself, a little its tenant, and nobody else; while it takes nothing it is tried with one delivery now and then. Nothing is sent but to addresses that tenants' tools may reach, and nothing of
//! what is answered is kept but its status. Sends nothing while the process is quiet.

mod signature;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use headwater_guard::{Ask, GuardError, Refused};
use headwater_protocol::api::{DeliveryStatus, WebhookEndpoint, WebhookEvent, WebhookStatus};
use headwater_protocol::{Scope, TenantId, Timestamp, WebhookEndpointId};
use headwater_store::scoped::{About, Attempt, Attempted, Reached};
use headwater_store::{StoreError, UserScopedStorage};
use headwater_vault::{SigningSecret, VaultError};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};
use serde_json::Value;
use tokio::task::{self, JoinSet};
use url::Url;

pub(crate) use self::signature::shown;
use crate::wiring::AppState;

/// After the first attempt, and each that fails, the next one comes so much later. After the last one none does.
const AGAIN: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(3 * 3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(12 * 3600),
];
/// How long an endpoint may take to take something.
const PATIENCE: Duration = Duration::from_secs(10);
/// Until somebody else tries what this process has taken: it has died, or cannot reach the database.
const HOLD: Duration = Duration::from_secs(60);
/// An endpoint that has taken nothing for so long is disabled.
const GIVES_UP: Duration = Duration::from_secs(5 * 24 * 3600);
/// How long the secret before signs along.
pub(crate) const OLD_SECRET: Duration = Duration::from_secs(24 * 3600);
/// What is let go by of an answer: what it says is of no interest.
const ANSWER_BYTES: usize = 4096;
/// A delivery that was begun so often without a report has killed, or lost, whoever tried it.
const BEGUN: i32 = 20;

/// Endpoints served at a time, by this process.
const LANES: usize = 64;
/// And of one tenant.
const LANES_OF_TENANT: usize = 4;
/// Deliveries to one endpoint under way at a time; to one at which nothing arrives, one.
const AT_ONCE: i64 = 4;
/// Rounds of them until others have their turn.
const ROUNDS: usize = 8;
/// Endpoints looked at in one go.
const LOOK_AT: i32 = 256;
/// Rows forgotten or given up in one go.
const BITE: usize = 500;
/// Between two looks where nothing is due: for what others have written.
const LOOK: Duration = Duration::from_secs(15);
/// Between two looks at the least: what happens all the time is looked for together.
const AT_LEAST: Duration = Duration::from_millis(50);
/// While what is due waits for its turn.
const CROWDED: Duration = Duration::from_secs(1);

static ATTEMPTS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("headwater")
        .u64_counter("headwater.webhook.attempts")
        .with_description("Attempts to deliver webhooks: delivered, to be tried again (pending), or given up (failed).")
        .build()
});

type Lane = (TenantId, WebhookEndpointId);

/// For as long as it is polled, sends what is due.
pub(crate) async fn keep(state: AppState) {
    let mut lanes = Lanes {
        state: state.clone(),
        under_way: JoinSet::new(),
        busy: HashMap::new(),
        behind: None,
        turns: HashMap::new(),
    };
    loop {
        let pause = if state.draining.is_cancelled() {
            // What is under way comes to its end; what is not is there for others.
            LOOK
        } else {
            match lanes.fill().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "webhooks could not be looked at; tried again");
                    AGAIN[0]
                }
            }
        };
        tokio::time::sleep(AT_LEAST).await;
        tokio::select! {
            () = tokio::time::sleep(pause.saturating_sub(AT_LEAST)) => {}
            () = state.store.rung() => {}
            Some(ended) = lanes.under_way.join_next_with_id() => lanes.ended(ended),
        }
        // All that have: whoever waits for them waits for one look, and not for one of each.
        while let Some(ended) = lanes.under_way.try_join_next_with_id() {
            lanes.ended(ended);
        }
    }
}

/// The endpoints that are being served, each in a task of its own: one that holds a connection, or has been promised one, goes on
/// while others are looked for. They end with this.
struct Lanes {
    state: AppState,
    under_way: JoinSet<()>,
    busy: HashMap<task::Id, Lane>,
    /// Which tenant was served last: the one behind it is next.
    behind: Option<TenantId>,
    /// And which endpoint of each tenant that has more of them than are served at a time.
    turns: HashMap<TenantId, WebhookEndpointId>,
}

impl Lanes {
    fn ended(&mut self, ended: Result<(task::Id, ()), task::JoinError>) {
        let task = ended.map_or_else(|panicked| panicked.id(), |(task, ())| task);
        self.busy.remove(&task);
    }

    /// Begins to serve endpoints that something is due for, as far as there is room. When to look again.
    async fn fill(&mut self) -> Result<Duration, StoreError> {
        let unscoped = self.state.store.unscoped("webhooks that are due are of any tenant");
        let mut of_tenant = BTreeMap::<TenantId, usize>::new();
        for (tenant, _) in self.busy.values() {
            *of_tenant.entry(*tenant).or_default() += 1;
        }
        let due = unscoped.webhooks_due(self.behind, LOOK_AT).await?;
        let full = due.len() >= LOOK_AT as usize;
        let (mut crowded, before) = (full, self.under_way.len());
        self.turns.retain(|tenant, _| due.iter().any(|(of, _)| of == tenant));
        for lanes in due.chunk_by(|one, next| one.0 == next.0) {
            let tenant = lanes[0].0;
            let taken = of_tenant.get(&tenant).copied().unwrap_or_default();
            // Around, from whichever of its endpoints comes next.
            let first = self.turns.get(&tenant).map_or(0, |last| lanes.partition_point(|(_, id)| id <= last));
            let waits = lanes[first..].iter().chain(&lanes[..first]);
            let mut waits = waits.filter(|lane| !self.busy.values().any(|busy| busy == *lane)).peekable();
            let room = (LANES_OF_TENANT.saturating_sub(taken)).min(LANES - self.busy.len());
            let begin: Vec<Lane> = waits.by_ref().take(room).copied().collect();
            crowded |= waits.peek().is_some();
            for lane in begin {
                self.behind = Some(tenant);
                self.turns.insert(tenant, lane.1);
                let task = self.under_way.spawn(serve(self.state.clone(), lane));
                self.busy.insert(task.id(), lane);
            }
        }
        if full && self.under_way.len() == before {
            // However much one tenant has, the look after this one is at those behind it.
            self.behind = due.last().map(|(tenant, _)| *tenant);
        }
        if crowded {
            return Ok(CROWDED);
        }
        let left = unscoped.webhooks_next_ms().await?;
        let left = left.map(|left| Duration::from_millis(u64::try_from(left).unwrap_or_default()));
        // What is due for an endpoint that is being served is sent without another look.
        let least = if self.busy.is_empty() { AT_LEAST } else { CROWDED };
        Ok(left.map_or(LOOK, |left| LOOK.min(left.max(least))))
    }
}

/// Sends an endpoint what is due, until nothing is, or others have their turn.
async fn serve(state: AppState, lane: Lane) {
    let busy = state.store.gate().begin();
    let served = Box::pin(serve_rounds(&state, lane)).await;
    drop(busy);
    if let Err(error) = served {
        tracing::warn!(%error, tenant.id = %lane.0, webhook.id = %lane.1, "an endpoint could not be served; tried again");
        tokio::time::sleep(AGAIN[0]).await;
    }
}

async fn serve_rounds(state: &AppState, (tenant, id): Lane) -> Result<(), StoreError> {
    let storage = state.store.scoped(Scope { tenant, user: None });
    for _ in 0..ROUNDS {
        if state.draining.is_cancelled() {
            break;
        }
        let Some(endpoint) = storage.webhook_get(id).await? else {
            while storage.deliveries_forget(id, BITE as i64).await? == BITE {}
            break;
        };
        let disabled = endpoint.status == WebhookStatus::Disabled;
        if disabled {
            while storage.deliveries_give_up(id, BITE as i64).await? == BITE {}
        }
        let fails = endpoint.failing_since.is_some();
        let (at_once, hold) = (if fails { 1 } else { AT_ONCE }, HOLD.as_millis() as i64);
        // What somebody tries it with does not stand behind all that could not be sent.
        let mut attempts = Vec::new();
        if disabled || fails {
            attempts = storage.deliveries_claim(id, at_once, hold, true).await?;
        }
        // What has come to a disabled one since the others were given up is not sent either.
        if attempts.is_empty() && !disabled {
            attempts = storage.deliveries_claim(id, at_once, hold, false).await?;
        }
        if attempts.is_empty() {
            break;
        }
        let signing = match state.vault.signing_secrets(tenant, id).await {
            Ok(secrets) => Ok(secrets),
            Err(VaultError::Store(error)) => return Err(error),
            Err(error) => Err(error.to_string()),
        };
        let tried = attempts.iter().map(|attempt| Box::pin(try_one(state, &storage, &endpoint, &signing, attempt)));
        let tried = join_all(tried).await.into_iter().collect::<Result<Vec<Option<Reached>>, StoreError>>()?;
        let came = |reached| tried.contains(&Some(reached));
        let reached = [Reached::Gone, Reached::Takes, Reached::Not].into_iter().find(|reached| came(*reached));
        if let Some(reached) = reached {
            storage.webhook_reached(&endpoint, reached, GIVES_UP.as_millis() as i64).await?;
        }
        // One that takes nothing has no turns for that: it is tried again when it was left alone for a while.
        if reached.is_some_and(|reached| reached != Reached::Takes) {
            break;
        }
    }
    Ok(())
}

/// Tries one delivery, and writes down what came of it. Whether the endpoint takes anything, if that was seen.
async fn try_one(
    state: &AppState,
    storage: &UserScopedStorage,
    endpoint: &WebhookEndpoint,
    signing: &Result<Vec<SigningSecret>, String>,
    attempt: &Attempt,
) -> Result<Option<Reached>, StoreError> {
    let (came, reached) = match prepared(storage, endpoint, signing, attempt).await? {
        Prepared::Sendable(secrets, event) => {
            let answer = send(state, endpoint, secrets, &event).await;
            let reached = match answer {
                Ok(status) if status.is_success() => Reached::Takes,
                Ok(StatusCode::GONE) => Reached::Gone,
                _ => Reached::Not,
            };
            (judged(attempt.attempts, reached, &answer), Some(reached))
        }
        Prepared::NotHere(error) => (not_sent(attempt.attempts, error), None),
        Prepared::Never(error) => (given_up(error), None),
    };
    let progress = match came.status {
        DeliveryStatus::Delivered => "delivered",
        DeliveryStatus::Pending => "pending",
        DeliveryStatus::Failed => "failed",
    };
    ATTEMPTS.add(1, &[KeyValue::new("headwater.delivery.status", progress)]);
    storage.delivery_attempted(attempt, &came).await?;
    Ok(reached)
}

/// Whether a delivery can be sent.
enum Prepared<'a> {
    /// Signed with these, this is what is sent.
    Sendable(&'a [SigningSecret], WebhookEvent),
    /// This process cannot, others may.
    NotHere(String),
    /// Nobody can.
    Never(String),
}

async fn prepared<'a>(
    storage: &UserScopedStorage,
    endpoint: &WebhookEndpoint,
    signing: &'a Result<Vec<SigningSecret>, String>,
    attempt: &Attempt,
) -> Result<Prepared<'a>, StoreError> {
    if attempt.attempts > BEGUN {
        return Ok(Prepared::Never("it was begun again and again, and never came to an end".into()));
    }
    let Some(kind) = attempt.kind else {
        return Ok(Prepared::NotHere("an event that this version does not know".into()));
    };
    let secrets = match signing {
        Ok(secrets) => secrets,
        // Under a key that this process does not have, or not any more.
        Err(error) => return Ok(Prepared::NotHere(error.clone())),
    };
    let data = match data(storage, endpoint, attempt).await {
        Ok(Some(data)) => data,
        Ok(None) => return Ok(Prepared::Never("what it tells of is not there any more".into())),
        Err(error) if error.is_transient() => return Err(error),
        // What one delivery tells of does not hold up the others.
        Err(error) => {
            tracing::error!(%error, tenant.id = %storage.scope().tenant, delivery.id = %attempt.delivery, "what a webhook tells of does not read");
            return Ok(Prepared::NotHere("what it tells of could not be read".into()));
        }
    };
    let tenant = storage.scope().tenant;
    let (id, created_at) = (attempt.event, attempt.happened_at);
    Ok(Prepared::Sendable(secrets, WebhookEvent { id, object: "event".into(), r#type: kind, tenant, created_at, data }))
}

fn given_up(error: String) -> Attempted {
    Attempted { status: DeliveryStatus::Failed, response_status: None, error: Some(error), again_ms: None }
}

/// In how long something is tried again that was tried so often; `None`: no more.
fn again_ms(attempts: i32) -> Option<i64> {
    let tried = usize::try_from(attempts).ok()?;
    AGAIN.get(tried.saturating_sub(1)).map(|again| again.as_millis() as i64)
}

/// What becomes of a delivery that could not be sent.
fn not_sent(attempts: i32, error: String) -> Attempted {
    match again_ms(attempts) {
        Some(again) => Attempted { status: DeliveryStatus::Pending, again_ms: Some(again), ..given_up(error) },
        None => given_up(error),
    }
}

/// What an answer means for a delivery that was tried so often.
fn judged(attempts: i32, reached: Reached, answer: &Result<StatusCode, GuardError>) -> Attempted {
    let response_status = answer.as_ref().ok().map(|status| i32::from(status.as_u16()));
    let error = match answer {
        Ok(status) => format!("it answered {}", status.as_u16()),
        Err(error) => error.to_string(),
    };
    let came = match reached {
        Reached::Takes => {
            Attempted { status: DeliveryStatus::Delivered, response_status: None, error: None, again_ms: None }
        }
        Reached::Not => not_sent(attempts, error),
        Reached::Gone => given_up(error),
    };
    Attempted { response_status, ..came }
}

/// What an event is about, as the tenant sees it now. `None`: it is not there any more.
async fn data(
    storage: &UserScopedStorage,
    endpoint: &WebhookEndpoint,
    attempt: &Attempt,
) -> Result<Option<Value>, StoreError> {
    let data = match attempt.about {
        About::Run(run) => storage.run_get(run).await?.map(|(run, _)| serde_json::to_value(run)),
        About::Approval(approval) => {
            storage.approval_get(approval).await?.map(|(approval, _)| serde_json::to_value(approval))
        }
        About::Budget(budget, user) => {
            storage.budget_get(budget, user).await?.map(|found| serde_json::to_value(found.budget))
        }
        About::Endpoint => Some(serde_json::to_value(endpoint)),
    };
    Ok(data.transpose()?)
}

async fn send(
    state: &AppState,
    endpoint: &WebhookEndpoint,
    secrets: &[SigningSecret],
    event: &WebhookEvent,
) -> Result<StatusCode, GuardError> {
    let url = Url::parse(&endpoint.url).map_err(|_| Refused::Host)?;
    let body = serde_json::to_vec(event).expect("an event serialises");
    let (id, timestamp) = (event.id.to_string(), Timestamp::now().ms() / 1000);
    let signature = signature::sign(secrets.iter().map(SigningSecret::bytes), &id, timestamp, &body);
    let mut headers = HeaderMap::new();
    let words = [
        ("content-type", "application/json".to_owned()),
        ("user-agent", format!("Headwater/{}", crate::http::VERSION)),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signature),
    ];
    for (name, value) in words {
        headers.insert(name, HeaderValue::from_str(&value).expect("all of it is visible ASCII"));
    }
    let ask = Ask {
        method: Method::POST,
        url,
        headers,
        body: Some(body.into()),
        timeout: PATIENCE,
        max_bytes: ANSWER_BYTES,
        beyond: None,
    };
    state.guard.of(&event.tenant).status(ask).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Result<StatusCode, GuardError> {
        Ok(StatusCode::from_u16(status).expect("a status"))
    }

    #[test]
    fn what_fails_is_tried_again_ever_later_and_then_given_up() {
        let waits: Vec<Option<i64>> = (1..=9).map(|n| judged(n, Reached::Not, &answered(500)).again_ms).collect();
        let seconds = [5, 30, 120, 600, 3600, 10_800, 21_600, 43_200].map(|s| Some(s * 1000));
        assert_eq!(waits[..8], seconds);
        assert_eq!(waits[8], None);
        assert_eq!(judged(9, Reached::Not, &answered(500)).status, DeliveryStatus::Failed);
        let refused = judged(1, Reached::Not, &Err(GuardError::Refused(Refused::Address)));
        assert_eq!((refused.response_status, refused.status), (None, DeliveryStatus::Pending));
        let gone = judged(1, Reached::Gone, &answered(410));
        assert_eq!((gone.response_status, gone.status, gone.again_ms), (Some(410), DeliveryStatus::Failed, None));
        let taken = judged(3, Reached::Takes, &answered(204));
        assert_eq!((taken.status, taken.error), (DeliveryStatus::Delivered, None));
    }
}
