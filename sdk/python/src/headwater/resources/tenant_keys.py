"""Tenant keys.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import ApiKey


class TenantKeysResource(SyncResource):
    """Tenant keys. A method for each operation."""

    def list(
        self,
        tenant: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[ApiKey]:
        """Lists a tenant's keys.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(ApiKey, _call("GET", ("tenants", tenant, "keys"), query={"limit": limit, "after": after,
            "order": order}, timeout=timeout))

    def create(
        self,
        tenant: str,
        *,
        name: str,
        expires_at: str | datetime | None | Omit = OMIT,
        scopes: Sequence[str] | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> ApiKey:
        """Makes a key of a tenant. Its secret is in this answer and nowhere else.

        Args:
            name: 1 to 128 characters.
            expires_at: When it stops working; never unless given.
            scopes: `["*"]` unless given.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(ApiKey, _call("POST", ("tenants", tenant, "keys"), body={"expires_at": expires_at, "name":
            name, "scopes": scopes}, idempotency_key=idempotency_key, timeout=timeout))

    def revoke(
        self,
        tenant: str,
        key: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Revokes a key.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("tenants", tenant, "keys", key), timeout=timeout))


class AsyncTenantKeysResource(AsyncResource):
    """Tenant keys. A method for each operation."""

    def list(
        self,
        tenant: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[ApiKey]:
        """Lists a tenant's keys.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(ApiKey, _call("GET", ("tenants", tenant, "keys"), query={"limit": limit, "after": after,
            "order": order}, timeout=timeout))

    async def create(
        self,
        tenant: str,
        *,
        name: str,
        expires_at: str | datetime | None | Omit = OMIT,
        scopes: Sequence[str] | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> ApiKey:
        """Makes a key of a tenant. Its secret is in this answer and nowhere else.

        Args:
            name: 1 to 128 characters.
            expires_at: When it stops working; never unless given.
            scopes: `["*"]` unless given.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(ApiKey, _call("POST", ("tenants", tenant, "keys"), body={"expires_at": expires_at,
            "name": name, "scopes": scopes}, idempotency_key=idempotency_key, timeout=timeout))

    async def revoke(
        self,
        tenant: str,
        key: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Revokes a key.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("tenants", tenant, "keys", key), timeout=timeout))
