/** What the tenant's own server is told of. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { Schema, WebhookDelivery, WebhookEndpoint } from "../types.js";
import { Resource } from "./resource.js";

/** Where the tenant's own server is told what happens. */
export class WebhookEndpoints extends Resource {
  /** Lists endpoints. */
  list(query?: ListParams, options?: RequestOptions): Pages<WebhookEndpoint> {
    return this.api.list(["webhook_endpoints"], query, options);
  }

  /** Adds an endpoint. Its secret is shown in this answer only. */
  create(params: Schema<"WebhookEndpointParams">, options?: PostOptions): Promise<WebhookEndpoint> {
    return this.api.post(["webhook_endpoints"], params, options);
  }

  /** An endpoint. */
  get(endpoint: string, options?: RequestOptions): Promise<WebhookEndpoint> {
    return this.api.get(["webhook_endpoints", endpoint], options);
  }

  /** Changes an endpoint. One that is enabled again has not failed yet. */
  update(
    endpoint: string,
    params: Schema<"WebhookEndpointUpdate">,
    options?: RequestOptions,
  ): Promise<WebhookEndpoint> {
    return this.api.patch(["webhook_endpoints", endpoint], params, options);
  }

  /** Removes an endpoint; what was to be sent to it is not. */
  delete(endpoint: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["webhook_endpoints", endpoint], options);
  }

  /** Sends an endpoint a `webhook.test`, also if it is disabled. */
  test(endpoint: string, options?: PostOptions): Promise<WebhookDelivery> {
    return this.api.post(["webhook_endpoints", endpoint, "test"], undefined, options);
  }

  /** Gives an endpoint another secret, which is shown in this answer only. The one before signs along for 24 hours. */
  rotateSecret(endpoint: string, options?: PostOptions): Promise<WebhookEndpoint> {
    return this.api.post(["webhook_endpoints", endpoint, "rotate_secret"], undefined, options);
  }
}

/** What was sent to endpoints, and is to be. */
export class WebhookDeliveries extends Resource {
  /** Lists what was sent to an endpoint, and is to be: for 30 days after it was taken or given up. */
  list(
    endpoint: string,
    query?: ListParams & { status?: string },
    options?: RequestOptions,
  ): Pages<WebhookDelivery> {
    return this.api.list(["webhook_endpoints", endpoint, "deliveries"], query, options);
  }

  /** Sends an event once more, as a delivery of its own. What it is about is sent as it is now. */
  replay(endpoint: string, delivery: string, options?: PostOptions): Promise<WebhookDelivery> {
    return this.api.post(
      ["webhook_endpoints", endpoint, "deliveries", delivery, "replay"],
      undefined,
      options,
    );
  }
}
