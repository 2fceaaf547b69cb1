//! Webhooks of a tenant: its endpoints, and what is sent to them.

use headwater_protocol::api::{
    DeliveryStatus, MAX_WEBHOOK_ENDPOINTS, WebhookDelivery, WebhookEndpoint, WebhookEndpointParams, WebhookEventType,
    WebhookStatus,
};
use headwater_protocol::{ApprovalId, BudgetId, DeliveryId, EventId, RunId, Timestamp, UserId, WebhookEndpointId};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{Page, UserScopedStorage, maybe_time, metadata, time, word};
use crate::StoreError;
use crate::connection::Params;
use crate::pool::{Idempotency, Once};

const ENDPOINT: &str = "endpoint_id, url, events, status, failing_since, description, metadata, created_at, updated_at";
/// Secrets before the one that is signed with that sign along.
const OLD_SECRETS: i64 = 3;
const DELIVERY: &str =
    "delivery_id, event_id, type, status, attempts, response_status, error, next_attempt_at, created_at";

/// What an endpoint's deliveries are signed with, sealed.
#[derive(Debug, Clone)]
pub struct SealedSigning {
    /// The tenant's wrapped key.
    pub wrapped: Vec<u8>,
    /// What is signed with.
    pub secret: Vec<u8>,
    /// What signs along for a while, the latest first.
    pub old_secrets: Vec<Vec<u8>>,
}

/// A delivery that is about to be tried.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The delivery.
    pub delivery: DeliveryId,
    /// How often it was tried, this time included: whoever reports back says which time that was.
    pub attempts: i32,
    /// The event.
    pub event: EventId,
    /// What has happened. `None`: something that this build does not know; a newer one does.
    pub kind: Option<WebhookEventType>,
    /// When.
    pub happened_at: Timestamp,
    /// What it is about.
    pub about: About,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A run.
    Run(RunId),
    /// A question of a run.
    Approval(ApprovalId),
    /// A budget, and whose counter of it, where every user has one.
    Budget(BudgetId, Option<UserId>),
    /// The endpoint itself.
    Endpoint,
}

/// Whether an endpoint takes what is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It does.
    Takes,
    /// It does not.
    Not,
    /// It says that it is there no more.
    Gone,
}

/// What came of an attempt.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// How far the delivery is now.
    pub status: DeliveryStatus,
    /// What was answered.
    pub response_status: Option<i32>,
    /// What went wrong.
    pub error: Option<String>,
    /// Of one that is to be tried again: in how long.
    pub again_ms: Option<i64>,
}

fn endpoint(row: &Row) -> Result<WebhookEndpoint, StoreError> {
    let events: Vec<String> = row.try_get("events")?;
    let event = |text: String| serde_json::from_value(serde_json::Value::String(text));
    Ok(WebhookEndpoint {
        id: WebhookEndpointId::from_uuid(row.try_get("endpoint_id")?),
        object: "webhook_endpoint".into(),
        url: row.try_get("url")?,
        // What a newer release knows besides is that one's to tell.
        events: events.into_iter().filter_map(|text| event(text).ok()).collect(),
        status: word(row, "status")?,
        failing_since: maybe_time(row, "failing_since")?,
        secret: None,
        description: row.try_get("description")?,
        metadata: metadata(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn delivery(row: &Row) -> Result<WebhookDelivery, StoreError> {
    Ok(WebhookDelivery {
        id: DeliveryId::from_uuid(row.try_get("delivery_id")?),
        object: "webhook_delivery".into(),
        event: EventId::from_uuid(row.try_get("event_id")?),
        r#type: word(row, "type")?,
        status: word(row, "status")?,
        attempts: row.try_get("attempts")?,
        response_status: row.try_get("response_status")?,
        error: row.try_get("error")?,
        next_attempt_at: maybe_time(row, "next_attempt_at")?,
        created_at: time(row, "created_at")?,
    })
}

fn attempt(row: &Row) -> Result<Attempt, StoreError> {
    let id = |column: &str| row.try_get::<_, Option<Uuid>>(column);
    Ok(Attempt {
        delivery: DeliveryId::from_uuid(row.try_get("delivery_id")?),
        attempts: row.try_get("attempts")?,
        event: EventId::from_uuid(row.try_get("event_id")?),
        kind: word(row, "type").ok(),
        happened_at: time(row, "happened_at")?,
        about: match (id("approval_id")?, id("run_id")?, id("budget_id")?) {
            (Some(approval), _, _) => About::Approval(ApprovalId::from_uuid(approval)),
            (None, Some(run), _) => About::Run(RunId::from_uuid(run)),
            (None, None, Some(budget)) => {
                About::Budget(BudgetId::from_uuid(budget), id("holder")?.map(UserId::from_uuid))
            }
            (None, None, None) => About::Endpoint,
        },
    })
}

fn words(events: &[WebhookEventType]) -> Vec<&'static str> {
    events.iter().map(|event| event.as_str()).collect()
}

fn status(status: WebhookStatus) -> &'static str {
    match status {
        WebhookStatus::Enabled => "enabled",
        WebhookStatus::Disabled => "disabled",
    }
}

fn progress(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Pending => "pending",
        DeliveryStatus::Delivered => "delivered",
        DeliveryStatus::Failed => "failed",
    }
}

impl UserScopedStorage {
    /// Keeps a new endpoint. `None`: the tenant has as many as may be.
    pub async fn webhook_create(
        &self,
        id: WebhookEndpointId,
        params: &WebhookEndpointParams,
        secret: &[u8],
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<Option<WebhookEndpoint>>, StoreError> {
        let sql = format!(
            "INSERT INTO headwater.webhook_endpoints (tenant_id, endpoint_id, url, events, status, description, secret, metadata,
                    created_at, updated_at)
             SELECT headwater.tenant_id(), $1, $2, $3, 'enabled', $4, $5, $6, $7, $7
             WHERE (SELECT count(*) FROM headwater.webhook_endpoints) < $8 RETURNING {ENDPOINT}"
        );
        let (uuid, object, events) = (id.uuid(), id.to_string(), words(&params.events));
        let metadata = Json(params.metadata.clone().unwrap_or_default());
        let values: Params<'_> =
            &[&uuid, &params.url, &events, &params.description, &secret, &metadata, &at.0, &MAX_WEBHOOK_ENDPOINTS];
        let made = self.store.query_once(self.scope, idempotency, &object, &sql, values).await?;
        made.map(|rows| rows.first().map(endpoint).transpose()).transpose()
    }

    /// One endpoint.
    pub async fn webhook_get(&self, id: WebhookEndpointId) -> Result<Option<WebhookEndpoint>, StoreError> {
        let sql = format!("SELECT {ENDPOINT} FROM headwater.webhook_endpoints WHERE endpoint_id = $1");
        self.query(&sql, &[&id.uuid()]).await?.first().map(endpoint).transpose()
    }

    /// A page of endpoints.
    pub async fn webhook_list(&self, page: Page) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let (after, order) = page.order("endpoint_id");
        let sql = format!(
            "SELECT {ENDPOINT} FROM headwater.webhook_endpoints WHERE ($1::uuid IS NULL OR {after} $1) ORDER BY {order} LIMIT $2"
        );
        self.query(&sql, &[&page.after, &page.limit]).await?.iter().map(endpoint).collect()
    }

    /// Changes an endpoint that was `read` as it was then changed last. One that is enabled has not failed yet. `changes`: whether its
    /// events are, which a newer release may know more of, and its status, which an answer may have changed since. `None`: there is no
    /// such one, or somebody has changed it meanwhile.
    pub async fn webhook_update(
        &self,
        id: WebhookEndpointId,
        params: &WebhookEndpointParams,
        changes: (bool, Option<WebhookStatus>),
        read: Timestamp,
        at: Timestamp,
    ) -> Result<Option<WebhookEndpoint>, StoreError> {
        let sql = format!(
            "UPDATE headwater.webhook_endpoints SET url = $2, events = CASE WHEN $9 THEN $3 ELSE events END, status = coalesce($4, status),
                    description = $5, metadata = $6, updated_at = $7,
                    failing_since = CASE WHEN status = coalesce($4, status) AND url = $2 THEN failing_since END,
                    not_before = CASE WHEN status = coalesce($4, status) AND url = $2 THEN not_before END
             WHERE endpoint_id = $1 AND date_trunc('milliseconds', updated_at) = $8 RETURNING {ENDPOINT}"
        );
        let metadata = Json(params.metadata.clone().unwrap_or_default());
        let (uuid, events, is) = (id.uuid(), words(&params.events), changes.1.map(status));
        let values: Params<'_> =
            &[&uuid, &params.url, &events, &is, &params.description, &metadata, &at.0, &read.0, &changes.0];
        self.query(&sql, values).await?.first().map(endpoint).transpose()
    }

    /// Gives an endpoint another secret; the ones before sign along for so long each, the last [`OLD_SECRETS`] of them. `None`: there is
    /// no such endpoint.
    pub async fn webhook_rotate(
        &self,
        id: WebhookEndpointId,
        secret: &[u8],
        along_ms: i64,
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<Option<WebhookEndpoint>>, StoreError> {
        let sql = format!(
            "UPDATE headwater.webhook_endpoints w SET secret = $2, updated_at = $4, (old_secrets, old_secrets_until) = (
                 SELECT array_agg(o.secret ORDER BY o.until DESC), array_agg(o.until ORDER BY o.until DESC) FROM (
                     SELECT w.secret, clock_timestamp() + $3::bigint * interval '1 millisecond' AS until
                     UNION ALL SELECT * FROM unnest(w.old_secrets, w.old_secrets_until) AS s (secret, until) WHERE s.until > clock_timestamp()
                     ORDER BY until DESC LIMIT $5) o)
             WHERE endpoint_id = $1 RETURNING {ENDPOINT}"
        );
        let values: Params<'_> = &[&id.uuid(), &secret, &along_ms, &at.0, &OLD_SECRETS];
        let made = self.store.query_once(self.scope, idempotency, &id.to_string(), &sql, values).await?;
        made.map(|rows| rows.first().map(endpoint).transpose()).transpose()
    }

    /// Removes an endpoint; what was to be sent to it is not. Whether there was one.
    pub async fn webhook_delete(&self, id: WebhookEndpointId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM headwater.webhook_endpoints WHERE endpoint_id = $1 RETURNING endpoint_id";
        Ok(!self.query(sql, &[&id.uuid()]).await?.is_empty())
    }

    /// What an endpoint's deliveries are signed with. `None`: there is no such endpoint.
    pub async fn webhook_signing(&self, id: WebhookEndpointId) -> Result<Option<SealedSigning>, StoreError> {
        let sql = "SELECT k.wrapped, w.secret, ARRAY(
                       SELECT s.secret FROM unnest(w.old_secrets, w.old_secrets_until) AS s (secret, until)
                       WHERE s.until > clock_timestamp() ORDER BY s.until DESC) AS old_secrets
                   FROM headwater.webhook_endpoints w JOIN headwater.tenant_keys k ON k.tenant_id = w.tenant_id
                   WHERE w.endpoint_id = $1";
        let rows = self.query(sql, &[&id.uuid()]).await?;
        let sealed = |row: &Row| {
            Ok(SealedSigning {
                wrapped: row.try_get("wrapped")?,
                secret: row.try_get("secret")?,
                old_secrets: row.try_get("old_secrets")?,
            })
        };
        rows.first().map(sealed).transpose()
    }

    /// Has an endpoint told that somebody tries it: at once, also if it is left alone because it fails.
    pub async fn webhook_test(
        &self,
        id: WebhookEndpointId,
        new: DeliveryId,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<Option<WebhookDelivery>>, StoreError> {
        let sql = format!(
            "WITH tried AS (
                 UPDATE headwater.webhook_endpoints SET not_before = clock_timestamp()
                 WHERE endpoint_id = $1 AND not_before > clock_timestamp())
             INSERT INTO headwater.webhook_deliveries (tenant_id, delivery_id, endpoint_id, event_id, type, next_attempt_at, happened_at, created_at)
             SELECT headwater.tenant_id(), $2, $1, $3, 'webhook.test', clock_timestamp(), clock_timestamp(), clock_timestamp()
             WHERE EXISTS (SELECT 1 FROM headwater.webhook_endpoints WHERE endpoint_id = $1) RETURNING {DELIVERY}"
        );
        let event = EventId::new().uuid();
        self.new_delivery(&sql, &[&id.uuid(), &new.uuid(), &event], new, idempotency).await
    }

    /// Has what was sent, or given up, sent once more: the same event, as a delivery of its own.
    pub async fn webhook_replay(
        &self,
        id: WebhookEndpointId,
        delivery: DeliveryId,
        new: DeliveryId,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<Option<WebhookDelivery>>, StoreError> {
        let sql = format!(
            "INSERT INTO headwater.webhook_deliveries (tenant_id, delivery_id, endpoint_id, event_id, type, run_id, approval_id,
                    budget_id, holder, next_attempt_at, happened_at, created_at)
             SELECT d.tenant_id, $3, d.endpoint_id, d.event_id, d.type, d.run_id, d.approval_id, d.budget_id, d.holder,
                    clock_timestamp(), d.happened_at, clock_timestamp()
             FROM headwater.webhook_deliveries d WHERE d.endpoint_id = $1 AND d.delivery_id = $2 RETURNING {DELIVERY}"
        );
        self.new_delivery(&sql, &[&id.uuid(), &delivery.uuid(), &new.uuid()], new, idempotency).await
    }

    async fn new_delivery(
        &self,
        sql: &str,
        values: Params<'_>,
        new: DeliveryId,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<Option<WebhookDelivery>>, StoreError> {
        let made = self.store.query_once(self.scope, idempotency, &new.to_string(), sql, values).await?;
        self.store.ring();
        made.map(|rows| rows.first().map(delivery).transpose()).transpose()
    }

    /// One delivery of an endpoint.
    pub async fn delivery_get(
        &self,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
    ) -> Result<Option<WebhookDelivery>, StoreError> {
        let sql =
            format!("SELECT {DELIVERY} FROM headwater.webhook_deliveries WHERE endpoint_id = $1 AND delivery_id = $2");
        self.query(&sql, &[&endpoint.uuid(), &id.uuid()]).await?.first().map(delivery).transpose()
    }

    /// A page of an endpoint's deliveries, of these statuses if some are given.
    pub async fn delivery_list(
        &self,
        endpoint: WebhookEndpointId,
        of: Option<&[String]>,
        page: Page,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let (after, order) = page.order("delivery_id");
        // Said outright, for the index of what was not taken: most was.
        let all = of.is_none_or(|of| of.iter().any(|of| of == progress(DeliveryStatus::Delivered)));
        let not_taken = if all { "" } else { "AND status <> 'delivered'" };
        let sql = format!(
            "SELECT {DELIVERY} FROM headwater.webhook_deliveries
             WHERE endpoint_id = $1 AND ($2::text[] IS NULL OR status = ANY ($2)) AND ($3::uuid IS NULL OR {after} $3)
               {not_taken} AND type = ANY ($5) ORDER BY {order} LIMIT $4"
        );
        // What a newer release has written is shown by that one.
        let known = words(WebhookEventType::ALL);
        self.query(&sql, &[&endpoint.uuid(), &of, &page.after, &page.limit, &known])
            .await?
            .iter()
            .map(delivery)
            .collect()
    }

    /// Takes deliveries that are due, so many at most, for so long: whoever has not reported back by then has died with them.
    /// `tests`: those with which somebody tries the endpoint, and no others.
    pub async fn deliveries_claim(
        &self,
        endpoint: WebhookEndpointId,
        at_most: i64,
        hold_ms: i64,
        tests: bool,
    ) -> Result<Vec<Attempt>, StoreError> {
        let which = if tests { "o.type = 'webhook.test'" } else { "true" };
        let sql = format!(
            "WITH due AS MATERIALIZED (
                 SELECT o.tenant_id, o.delivery_id FROM headwater.webhook_deliveries o
                 WHERE o.endpoint_id = $1 AND o.next_attempt_at <= (SELECT clock_timestamp()) AND {which}
                 ORDER BY o.next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)
             UPDATE headwater.webhook_deliveries d
             SET attempts = d.attempts + 1, next_attempt_at = clock_timestamp() + $3::bigint * interval '1 millisecond'
             FROM due WHERE d.tenant_id = due.tenant_id AND d.delivery_id = due.delivery_id
             RETURNING d.delivery_id, attempts, event_id, type, run_id, approval_id, budget_id, holder, happened_at"
        );
        self.query(&sql, &[&endpoint.uuid(), &at_most, &hold_ms]).await?.iter().map(attempt).collect()
    }

    /// Gives up what is due for an endpoint that is told nothing, so many at most; what somebody tries it with is sent. How many.
    pub async fn deliveries_give_up(&self, endpoint: WebhookEndpointId, at_most: i64) -> Result<usize, StoreError> {
        let sql = "WITH due AS MATERIALIZED (
                       SELECT o.tenant_id, o.delivery_id FROM headwater.webhook_deliveries o
                       WHERE o.endpoint_id = $1 AND o.next_attempt_at <= (SELECT clock_timestamp()) AND o.type <> 'webhook.test'
                       ORDER BY o.next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)
                   UPDATE headwater.webhook_deliveries d
                   SET status = 'failed', next_attempt_at = NULL, ended_at = clock_timestamp(), error = 'the endpoint is disabled'
                   FROM due WHERE d.tenant_id = due.tenant_id AND d.delivery_id = due.delivery_id
                   RETURNING d.delivery_id";
        Ok(self.query(sql, &[&endpoint.uuid(), &at_most]).await?.len())
    }

    /// Forgets what was to be sent, or was, to an endpoint that is not there any more, so many at most. How many.
    pub async fn deliveries_forget(&self, endpoint: WebhookEndpointId, at_most: i64) -> Result<usize, StoreError> {
        let sql = "WITH gone AS MATERIALIZED (
                       SELECT o.tenant_id, o.delivery_id FROM headwater.webhook_deliveries o WHERE o.endpoint_id = $1 LIMIT $2
                       FOR UPDATE SKIP LOCKED)
                   DELETE FROM headwater.webhook_deliveries d USING gone
                   WHERE d.tenant_id = gone.tenant_id AND d.delivery_id = gone.delivery_id
                   RETURNING d.delivery_id";
        Ok(self.query(sql, &[&endpoint.uuid(), &at_most]).await?.len())
    }

    /// Writes down what came of an attempt, unless somebody has begun another one since.
    pub async fn delivery_attempted(&self, tried: &Attempt, came: &Attempted) -> Result<(), StoreError> {
        let sql = "UPDATE headwater.webhook_deliveries SET status = $3, response_status = $4, error = $5,
                          next_attempt_at = CASE WHEN $3 = 'pending' THEN clock_timestamp() + $6::bigint * interval '1 millisecond' END,
                          ended_at = CASE WHEN $3 = 'pending' THEN NULL ELSE clock_timestamp() END
                   WHERE delivery_id = $1 AND attempts = $2 AND status = 'pending'";
        let (status, again) = (progress(came.status), came.again_ms.unwrap_or(0));
        let values: Params<'_> =
            &[&tried.delivery.uuid(), &tried.attempts, &status, &came.response_status, &came.error, &again];
        self.query(sql, values).await?;
        Ok(())
    }

    /// Notes whether an endpoint takes anything, as it was when that was seen: an answer of its URL before says nothing of it. One that
    /// takes nothing is left alone for a while, an eighth of the time since it began to fail, 5 s to 15 min. One that has taken
    /// nothing for `patience_ms`, or is gone, is disabled; where nothing was sent for a day, that time begins anew.
    pub async fn webhook_reached(
        &self,
        endpoint: &WebhookEndpoint,
        reached: Reached,
        patience_ms: i64,
    ) -> Result<(), StoreError> {
        let (id, url, was) = (endpoint.id.uuid(), &endpoint.url, status(endpoint.status));
        if reached == Reached::Takes {
            let sql = "UPDATE headwater.webhook_endpoints SET failing_since = NULL, not_before = NULL
                       WHERE endpoint_id = $1 AND url = $2 AND failing_since IS NOT NULL";
            self.query(sql, &[&id, url]).await?;
            return Ok(());
        }
        let sql = "WITH seen AS (
                       SELECT clock_timestamp() AS now, CASE WHEN not_before > clock_timestamp() - interval '1 day'
                              THEN failing_since END AS failing_since
                       FROM headwater.webhook_endpoints WHERE endpoint_id = $1)
                   UPDATE headwater.webhook_endpoints e SET failing_since = coalesce(seen.failing_since, seen.now),
                          not_before = seen.now + least(interval '15 minutes', greatest(interval '5 seconds',
                              (seen.now - coalesce(seen.failing_since, seen.now)) / 8)),
                          status = CASE WHEN $4::bool OR seen.failing_since < seen.now - $5::bigint * interval '1 millisecond' THEN 'disabled'
                                        ELSE status END
                   FROM seen WHERE endpoint_id = $1 AND url = $2 AND status = $3";
        self.query(sql, &[&id, url, &was, &(reached == Reached::Gone), &patience_ms]).await?;
        Ok(())
    }

    /// Tells endpoints that a hard budget has refused a call, if nobody was told before. `holder`: whose counter it is, where every user
    /// has one, else nobody (zeros); `per`: what its limit is for, `day`, `month` or `total`.
    pub async fn budget_refused(&self, budget: BudgetId, holder: Uuid, per: &str) -> Result<(), StoreError> {
        self.query("SELECT headwater.budget_refused($1, $2, $3)", &[&budget.uuid(), &holder, &per]).await?;
        self.store.ring();
        Ok(())
    }
}
