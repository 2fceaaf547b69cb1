"""Webhook deliveries.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import WebhookDelivery


class WebhookDeliveriesResource(SyncResource):
    """Webhook deliveries. A method for each operation."""

    def list(
        self,
        endpoint: str,
        *,
        status: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[WebhookDelivery]:
        """Lists what was sent to an endpoint, and is to be: for 30 days after it was taken or given up.

        Args:
            status: `pending`, `delivered`, `failed`, or several with commas.
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `asc` or `desc`, by creation; `desc` unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(WebhookDelivery, _call("GET", ("webhook_endpoints", endpoint, "deliveries"), query={"status":
            status, "limit": limit, "after": after, "order": order}, timeout=timeout))

    def replay(
        self,
        endpoint: str,
        delivery: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> WebhookDelivery:
        """Sends an event once more, as a delivery of its own. What it is about is sent as it is now.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(WebhookDelivery, _call("POST", ("webhook_endpoints", endpoint, "deliveries", delivery,
            "replay"), body={}, idempotency_key=idempotency_key, timeout=timeout))


class AsyncWebhookDeliveriesResource(AsyncResource):
    """Webhook deliveries. A method for each operation."""

    def list(
        self,
        endpoint: str,
        *,
        status: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[WebhookDelivery]:
        """Lists what was sent to an endpoint, and is to be: for 30 days after it was taken or given up.

        Args:
            status: `pending`, `delivered`, `failed`, or several with commas.
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `asc` or `desc`, by creation; `desc` unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(WebhookDelivery, _call("GET", ("webhook_endpoints", endpoint, "deliveries"), query={"status":
            status, "limit": limit, "after": after, "order": order}, timeout=timeout))

    async def replay(
        self,
        endpoint: str,
        delivery: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> WebhookDelivery:
        """Sends an event once more, as a delivery of its own. What it is about is sent as it is now.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(WebhookDelivery, _call("POST", ("webhook_endpoints", endpoint, "deliveries", delivery,
            "replay"), body={}, idempotency_key=idempotency_key, timeout=timeout))
