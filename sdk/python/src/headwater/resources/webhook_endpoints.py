"""Webhook endpoints.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import WebhookDelivery, WebhookEndpoint, WebhookEventType, WebhookStatus


class WebhookEndpointsResource(SyncResource):
    """Webhook endpoints. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[WebhookEndpoint]:
        """Lists endpoints.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(WebhookEndpoint, _call("GET", ("webhook_endpoints",), query={"limit": limit, "after": after,
            "order": order}, timeout=timeout))

    def create(
        self,
        *,
        events: Sequence[WebhookEventType],
        url: str,
        description: str | None | Omit = OMIT,
        metadata: Mapping[str, str] | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> WebhookEndpoint:
        """Adds an endpoint. Its secret is shown in this answer only.

        Args:
            events: Of what it is told: one or more. The key needs to be allowed to read what comes with each.
            url: `http` or `https`, and public; at most 2048 bytes.
            description: For people: at most 512 characters.
            metadata: At most 16 pairs.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(WebhookEndpoint, _call("POST", ("webhook_endpoints",), body={"description": description,
            "events": events, "metadata": metadata, "url": url}, idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        endpoint: str,
        *,
        timeout: float | None = None,
    ) -> WebhookEndpoint:
        """An endpoint.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(WebhookEndpoint, _call("GET", ("webhook_endpoints", endpoint), timeout=timeout))

    def update(
        self,
        endpoint: str,
        *,
        description: str | None | Omit = OMIT,
        events: Sequence[WebhookEventType] | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        status: WebhookStatus | None | Omit = OMIT,
        url: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> WebhookEndpoint:
        """Changes an endpoint. One that is enabled again has not failed yet.

        Args:
            description: For people; `null` = none.
            events: All of them.
            metadata: All of the pairs.
            status: Whether it is told anything. What was to be sent to a disabled one is given up.
            url: As in `WebhookEndpointParams`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(WebhookEndpoint, _call("PATCH", ("webhook_endpoints", endpoint), body={"description":
            description, "events": events, "metadata": metadata, "status": status, "url": url}, timeout=timeout))

    def delete(
        self,
        endpoint: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes an endpoint; what was to be sent to it is not.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("webhook_endpoints", endpoint), timeout=timeout))

    def rotate_secret(
        self,
        endpoint: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> WebhookEndpoint:
        """Gives an endpoint another secret, which is shown in this answer only. The one before signs along for 24 hours.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(WebhookEndpoint, _call("POST", ("webhook_endpoints", endpoint, "rotate_secret"), body={},
            idempotency_key=idempotency_key, timeout=timeout))

    def test(
        self,
        endpoint: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> WebhookDelivery:
        """Sends an endpoint a `webhook.test`, also if it is disabled.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(WebhookDelivery, _call("POST", ("webhook_endpoints", endpoint, "test"), body={},
            idempotency_key=idempotency_key, timeout=timeout))


class AsyncWebhookEndpointsResource(AsyncResource):
    """Webhook endpoints. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[WebhookEndpoint]:
        """Lists endpoints.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(WebhookEndpoint, _call("GET", ("webhook_endpoints",), query={"limit": limit, "after": after,
            "order": order}, timeout=timeout))

    async def create(
        self,
        *,
        events: Sequence[WebhookEventType],
        url: str,
        description: str | None | Omit = OMIT,
        metadata: Mapping[str, str] | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> WebhookEndpoint:
        """Adds an endpoint. Its secret is shown in this answer only.

        Args:
            events: Of what it is told: one or more. The key needs to be allowed to read what comes with each.
            url: `http` or `https`, and public; at most 2048 bytes.
            description: For people: at most 512 characters.
            metadata: At most 16 pairs.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(WebhookEndpoint, _call("POST", ("webhook_endpoints",), body={"description":
            description, "events": events, "metadata": metadata, "url": url}, idempotency_key=idempotency_key,
            timeout=timeout))

    async def get(
        self,
        endpoint: str,
        *,
        timeout: float | None = None,
    ) -> WebhookEndpoint:
        """An endpoint.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(WebhookEndpoint, _call("GET", ("webhook_endpoints", endpoint), timeout=timeout))

    async def update(
        self,
        endpoint: str,
        *,
        description: str | None | Omit = OMIT,
        events: Sequence[WebhookEventType] | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        status: WebhookStatus | None | Omit = OMIT,
        url: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> WebhookEndpoint:
        """Changes an endpoint. One that is enabled again has not failed yet.

        Args:
            description: For people; `null` = none.
            events: All of them.
            metadata: All of the pairs.
            status: Whether it is told anything. What was to be sent to a disabled one is given up.
            url: As in `WebhookEndpointParams`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(WebhookEndpoint, _call("PATCH", ("webhook_endpoints", endpoint), body={"description":
            description, "events": events, "metadata": metadata, "status": status, "url": url}, timeout=timeout))

    async def delete(
        self,
        endpoint: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes an endpoint; what was to be sent to it is not.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("webhook_endpoints", endpoint), timeout=timeout))

    async def rotate_secret(
        self,
        endpoint: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> WebhookEndpoint:
        """Gives an endpoint another secret, which is shown in this answer only. The one before signs along for 24 hours.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(WebhookEndpoint, _call("POST", ("webhook_endpoints", endpoint, "rotate_secret"),
            body={}, idempotency_key=idempotency_key, timeout=timeout))

    async def test(
        self,
        endpoint: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> WebhookDelivery:
        """Sends an endpoint a `webhook.test`, also if it is disabled.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(WebhookDelivery, _call("POST", ("webhook_endpoints", endpoint, "test"), body={},
            idempotency_key=idempotency_key, timeout=timeout))
