//! Webhooks: what a tenant's own server is told of, as Standard Webhooks has it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{check_metadata, present};
use crate::message::Metadata;
use crate::{DeliveryId, EventId, Problem, TenantId, Timestamp, WebhookEndpointId};

/// Endpoints of one tenant.
pub const MAX_WEBHOOK_ENDPOINTS: i64 = 16;
/// The longest description, in characters.
const MAX_DESCRIPTION_CHARS: usize = 512;

words! {
    /// Whether an endpoint is told anything.
    WebhookStatus {
        /// It is.
        Enabled,
        /// It is not: somebody has said so, it answered 410, or nothing has arrived there for five days.
        Disabled,
    }
    /// How far a delivery is.
    DeliveryStatus {
        /// It is tried, or will be.
        Pending,
        /// It was taken.
        Delivered,
        /// It was given up.
        Failed,
    }
}

impl DeliveryStatus {
    /// Their words.
    pub const ALL: [&'static str; 3] = ["pending", "delivered", "failed"];
}

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $word:literal needs $scope:literal),* $(,)?) => {
        /// What endpoints are told of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum WebhookEventType { $($(#[$doc])* #[serde(rename = $word)] $variant),* }

        impl WebhookEventType {
            /// All of them, the test's included.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// What a key has to be allowed, beside webhooks, to be told.
            pub const fn scope(self) -> &'static str {
                match self { $(Self::$variant => $scope),* }
            }
        }
    };
}

impl utoipa::PartialSchema for WebhookEventType {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        super::words_schema(Self::ALL.iter().map(|kind| kind.as_str()), "What endpoints are told of.")
    }
}

impl utoipa::ToSchema for WebhookEventType {}

events! {
    /// A run has ended well. `data`: the run.
    RunCompleted = "run.completed" needs "runs:read",
    /// A run has failed. `data`: the run.
    RunFailed = "run.failed" needs "runs:read",
    /// A run was cancelled. `data`: the run.
    RunCancelled = "run.cancelled" needs "runs:read",
    /// A run waits: for an approval, an answer, another run or money. `data`: the run.
    RunSuspended = "run.suspended" needs "runs:read",
    /// Somebody is asked. `data`: the approval.
    ApprovalRequested = "approval.requested" needs "approvals:read",
    /// It was decided, or it is too late. `data`: the approval.
    ApprovalResolved = "approval.resolved" needs "approvals:read",
    /// So much of a budget is spent that it warns: once in each window and for each such amount. `data`: the budget, with its `user` where
    /// every user has a counter of their own. Sent late, it shows the window of then; `created_at` says which it was.
    BudgetWarning = "budget.warning" needs "budgets:read",
    /// A budget is spent, or has refused a call because too little of it is left: once in each window and for each limit; a
    /// second time where the refused call wanted much, and the budget is really spent later. `data`: as before.
    BudgetExhausted = "budget.exhausted" needs "budgets:read",
    /// Somebody tries the endpoint. `data`: the endpoint.
    WebhookTest = "webhook.test" needs "webhooks:read",
}

/// Where a tenant's own server is told of what happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Always `webhook_endpoint`.
    pub object: String,
    /// What is sent to, with `POST`.
    pub url: String,
    /// Of what it is told.
    pub events: Vec<WebhookEventType>,
    /// Whether it is told anything.
    pub status: WebhookStatus,
    /// Since when nothing has arrived there, while something was sent.
    pub failing_since: Option<Timestamp>,
    /// What is signed with: `whsec_` and Base64. Shown when it is made, and `null` ever after.
    pub secret: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Own pairs.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed by somebody.
    pub updated_at: Timestamp,
}

/// An endpoint to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookEndpointParams {
    /// `http` or `https`, and public; at most 2048 bytes.
    pub url: String,
    /// Of what it is told: one or more. The key needs to be allowed to read what comes with each.
    pub events: Vec<WebhookEventType>,
    /// For people: at most 512 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// At most 16 pairs.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

/// A change of an endpoint: what is absent stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookEndpointUpdate {
    /// As in [`WebhookEndpointParams`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// All of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<WebhookEventType>>,
    /// Whether it is told anything. What was to be sent to a disabled one is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<WebhookStatus>,
    /// For people; `null` = none.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// All of the pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// That one endpoint is told of one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebhookDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Always `webhook_delivery`.
    pub object: String,
    /// The event: the same at every endpoint, and when it is sent again.
    pub event: EventId,
    /// What has happened.
    pub r#type: WebhookEventType,
    /// How far it is.
    pub status: DeliveryStatus,
    /// How often it was sent.
    pub attempts: i32,
    /// What the last attempt was answered.
    pub response_status: Option<i32>,
    /// What went wrong with the last attempt, or why there is no other.
    pub error: Option<String>,
    /// When it is sent next.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was written down.
    pub created_at: Timestamp,
}

/// What is sent: its `webhook-id` is the event's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebhookEvent {
    /// The event: whoever has seen it has seen it. Deliveries come at least once, and in no order.
    pub id: EventId,
    /// Always `event`.
    pub object: String,
    /// What has happened.
    pub r#type: WebhookEventType,
    /// Whose it is.
    pub tenant: TenantId,
    /// When it happened.
    pub created_at: Timestamp,
    /// A run, an approval, a budget or the endpoint, as it is when this is sent.
    pub data: Value,
}

impl WebhookEndpointParams {
    /// Whether the values are within their bounds. Where the URL leads is for whoever calls it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), Problem> {
        if self.url.len() > 2048 || self.url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Problem::invalid("/url", "must be at most 2048 bytes, without spaces"));
        }
        if self.events.is_empty() {
            return Err(Problem::invalid("/events", "must name one or more"));
        }
        for (n, event) in self.events.iter().enumerate() {
            if self.events[..n].contains(event) {
                return Err(Problem::invalid(format!("/events/{n}"), "is there twice"));
            }
            if *event == WebhookEventType::WebhookTest {
                return Err(Problem::invalid(
                    format!("/events/{n}"),
                    "is sent to whoever is tested, and to nobody else",
                ));
            }
        }
        let bad = |text: &String| text.chars().count() > MAX_DESCRIPTION_CHARS || text.contains('\0');
        if self.description.as_ref().is_some_and(bad) {
            let words = format!("must have at most {MAX_DESCRIPTION_CHARS} characters, none of them NUL");
            return Err(Problem::invalid("/description", words));
        }
        self.metadata.as_ref().map_or(Ok(()), check_metadata)
    }
}
