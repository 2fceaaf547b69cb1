//! Webhooks: sending tenants' own servers what has happened.
//!
//! What is to be sent is written by the database with what it tells of, one row for each endpoint. Owns the sending: who is served
//! next, what is sent, how it is signed, and when it is tried again. Promises that each delivery is tried until it was taken or the
//! last try has failed, whichever processes die meanwhile: at least once, in no order. An endpoint that is slow or gone holds up
//! itself, a little its tenant, and nobody else. Nothing is sent but to addresses that tenants' tools may reach, and nothing of
//! what is answered is kept but its status. Sends nothing while the process is quiet.

mod signature;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use headwater_guard::{Answer, Ask, GuardError, Refused};
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
/// What is read of an answer: what it says is of no interest.
const ANSWER_BYTES: usize = 1024;

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
    let mut lanes = Lanes { state: state.clone(), under_way: JoinSet::new(), busy: HashMap::new(), behind: None };
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
            Some(ended) = lanes.under_way.join_next_with_id() => {
                let task = ended.map_or_else(|panicked| panicked.id(), |(task, ())| task);
                lanes.busy.remove(&task);
            }
        }
    }
}

/// The endpoints that are being served, each in a task of its own: one that holds a connection, or has been promised one, goes on
/// while others are looked for. They end with this.
struct Lanes {
    state: AppState,
    under_way: JoinSet<()>,
    busy: HashMap<task::Id, Lane>,
    /// Who was served last: who comes after it is next.
    behind: Option<Lane>,
}

impl Lanes {
    /// Begins to serve endpoints that something is due for, as far as there is room. When to look again.
    async fn fill(&mut self) -> Result<Duration, StoreError> {
        let unscoped = self.state.store.unscoped("webhooks that are due are of any tenant");
        let mut of_tenant = BTreeMap::<TenantId, usize>::new();
        for (tenant, _) in self.busy.values() {
            *of_tenant.entry(*tenant).or_default() += 1;
        }
        // Around, from whoever comes next.
        let mut due = unscoped.webhooks_due(self.behind, LOOK_AT).await?;
        if self.behind.is_some() && due.len() < LOOK_AT as usize {
            due.extend(unscoped.webhooks_due(None, LOOK_AT).await?);
        }
        let mut crowded = due.len() >= LOOK_AT as usize;
        for lane in due {
            if self.busy.len() >= LANES {
                crowded = true;
                break;
            }
            self.behind = Some(lane);
            let taken = of_tenant.entry(lane.0).or_default();
            if self.busy.values().any(|busy| *busy == lane) {
                continue;
            }
            if *taken >= LANES_OF_TENANT {
                crowded = true;
                continue;
            }
            *taken += 1;
            let task = self.under_way.spawn(serve(self.state.clone(), lane));
            self.busy.insert(task.id(), lane);
        }
        if crowded {
            return Ok(CROWDED);
        }
        let next = unscoped.webhooks_next().await?;
        let left =
            next.map(|at| Duration::from_millis(u64::try_from(at.ms() - Timestamp::now().ms()).unwrap_or_default()));
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
        let at_once = if endpoint.failing_since.is_some() { 1 } else { AT_ONCE };
        // What has come since those were given up is not sent either.
        let attempts = storage.deliveries_claim(id, at_once, HOLD.as_millis() as i64, disabled).await?;
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
        if let Some(reached) = reached.filter(|reached| *reached != Reached::Takes || endpoint.failing_since.is_some())
        {
            storage.webhook_reached(id, reached, GIVES_UP.as_millis() as i64).await?;
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
    let given_up = |error: String| Attempted {
        status: DeliveryStatus::Failed,
        response_status: None,
        error: Some(error),
        again_ms: None,
    };
    let (came, reached) = match (signing, data(storage, endpoint, attempt).await?) {
        // Under a key that this process does not have, or not any more: others may.
        (Err(error), _) => {
            (Attempted { error: Some(error.clone()), ..judged(attempt.attempts, Reached::Not, None) }, None)
        }
        (Ok(_), None) => (given_up("what it tells of is not there any more".into()), None),
        (Ok(secrets), Some(data)) => {
            let tenant = storage.scope().tenant;
            let answer = send(state, tenant, endpoint, secrets, attempt, data).await;
            let reached = match &answer {
                Ok(answer) if answer.status.is_success() => Reached::Takes,
                Ok(answer) if answer.status == StatusCode::GONE => Reached::Gone,
                Ok(_) | Err(_) => Reached::Not,
            };
            (judged(attempt.attempts, reached, Some(answer)), Some(reached))
        }
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

/// What an answer means for a delivery that was tried so often; `None`: nothing was sent.
fn judged(attempts: i32, reached: Reached, answer: Option<Result<Answer, GuardError>>) -> Attempted {
    let response_status = answer.as_ref().and_then(|answer| Some(i32::from(answer.as_ref().ok()?.status.as_u16())));
    let error = match &answer {
        Some(Ok(_)) if reached == Reached::Takes => None,
        Some(Ok(answer)) => Some(format!("it answered {}", answer.status.as_u16())),
        Some(Err(error)) => Some(error.to_string()),
        None => None,
    };
    let again = usize::try_from(attempts).ok().and_then(|tried| AGAIN.get(tried.saturating_sub(1)));
    let (status, again) = match (reached, again) {
        (Reached::Takes, _) => (DeliveryStatus::Delivered, None),
        (Reached::Not, Some(again)) => (DeliveryStatus::Pending, Some(*again)),
        (Reached::Gone, _) | (Reached::Not, None) => (DeliveryStatus::Failed, None),
    };
    Attempted { status, response_status, error, again_ms: again.map(|again| again.as_millis() as i64) }
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
    tenant: TenantId,
    endpoint: &WebhookEndpoint,
    secrets: &[SigningSecret],
    attempt: &Attempt,
    data: Value,
) -> Result<Answer, GuardError> {
    let url = Url::parse(&endpoint.url).map_err(|_| Refused::Host)?;
    let event = WebhookEvent {
        id: attempt.event,
        object: "event".into(),
        r#type: attempt.kind,
        tenant,
        created_at: attempt.happened_at,
        data,
    };
    let body = serde_json::to_vec(&event).expect("an event serialises");
    let (id, timestamp) = (attempt.event.to_string(), Timestamp::now().ms() / 1000);
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
    state.guard.of(&tenant).call(ask).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Result<Answer, GuardError> {
        let status = StatusCode::from_u16(status).expect("a status");
        Ok(Answer { status, headers: HeaderMap::new(), body: bytes::Bytes::new(), cut: false, place: None })
    }

    #[test]
    fn what_fails_is_tried_again_ever_later_and_then_given_up() {
        let waits: Vec<Option<i64>> = (1..=9).map(|n| judged(n, Reached::Not, Some(answered(500))).again_ms).collect();
        let seconds = [5, 30, 120, 600, 3600, 10_800, 21_600, 43_200].map(|s| Some(s * 1000));
        assert_eq!(waits[..8], seconds);
        assert_eq!(waits[8], None);
        assert_eq!(judged(9, Reached::Not, Some(answered(500))).status, DeliveryStatus::Failed);
        let refused = judged(1, Reached::Not, Some(Err(GuardError::Refused(Refused::Address))));
        assert_eq!((refused.response_status, refused.status), (None, DeliveryStatus::Pending));
        let gone = judged(1, Reached::Gone, Some(answered(410)));
        assert_eq!((gone.response_status, gone.status, gone.again_ms), (Some(410), DeliveryStatus::Failed, None));
        let taken = judged(3, Reached::Takes, Some(answered(204)));
        assert_eq!((taken.status, taken.error), (DeliveryStatus::Delivered, None));
    }
}
