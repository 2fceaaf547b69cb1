//! Webhooks: what the tenant's own server is told of.

use headwater_protocol::api::{List, WebhookDelivery, WebhookEndpoint, WebhookEndpointParams, WebhookEndpointUpdate};
use headwater_protocol::{DeliveryId, WebhookEndpointId};

use crate::{Client, Error, ListOptions, Options};

impl Client {
    /// Adds an endpoint. Its secret is in this answer only: a repeated request finds the endpoint without it.
    pub async fn webhook_endpoints_create(
        &self,
        params: &WebhookEndpointParams,
        options: Options,
    ) -> Result<WebhookEndpoint, Error> {
        self.post(&["webhook_endpoints"], params, options).await
    }

    /// One endpoint.
    pub async fn webhook_endpoints_get(&self, endpoint: WebhookEndpointId) -> Result<WebhookEndpoint, Error> {
        self.get(&["webhook_endpoints", &endpoint.to_string()]).await
    }

    /// Endpoints.
    pub async fn webhook_endpoints_list(&self, page: ListOptions) -> Result<List<WebhookEndpoint>, Error> {
        self.list(&["webhook_endpoints"], page.into_query()).await
    }

    /// Changes an endpoint.
    pub async fn webhook_endpoints_update(
        &self,
        endpoint: WebhookEndpointId,
        change: &WebhookEndpointUpdate,
    ) -> Result<WebhookEndpoint, Error> {
        self.patch(&["webhook_endpoints", &endpoint.to_string()], change).await
    }

    /// Removes an endpoint; what was to be sent to it is not.
    pub async fn webhook_endpoints_delete(&self, endpoint: WebhookEndpointId) -> Result<(), Error> {
        self.delete(&["webhook_endpoints", &endpoint.to_string()]).await
    }

    /// Sends an endpoint a `webhook.test`.
    pub async fn webhook_endpoints_test(
        &self,
        endpoint: WebhookEndpointId,
        options: Options,
    ) -> Result<WebhookDelivery, Error> {
        self.post(&["webhook_endpoints", &endpoint.to_string(), "test"], &serde_json::json!({}), options).await
    }

    /// Gives an endpoint another secret, which is in this answer only. The one before signs along for 24 hours.
    pub async fn webhook_endpoints_rotate_secret(
        &self,
        endpoint: WebhookEndpointId,
        options: Options,
    ) -> Result<WebhookEndpoint, Error> {
        let path = ["webhook_endpoints", &endpoint.to_string(), "rotate_secret"];
        self.post(&path, &serde_json::json!({}), options).await
    }

    /// What was sent to an endpoint, and is to be; filter `status`.
    pub async fn webhook_deliveries_list(
        &self,
        endpoint: WebhookEndpointId,
        page: ListOptions,
    ) -> Result<List<WebhookDelivery>, Error> {
        self.list(&["webhook_endpoints", &endpoint.to_string(), "deliveries"], page.into_query()).await
    }

    /// Sends an event once more, as a delivery of its own.
    pub async fn webhook_deliveries_replay(
        &self,
        endpoint: WebhookEndpointId,
        delivery: DeliveryId,
        options: Options,
    ) -> Result<WebhookDelivery, Error> {
        let (endpoint, delivery) = (endpoint.to_string(), delivery.to_string());
        let path = ["webhook_endpoints", &endpoint, "deliveries", &delivery, "replay"];
        self.post(&path, &serde_json::json!({}), options).await
    }
}
