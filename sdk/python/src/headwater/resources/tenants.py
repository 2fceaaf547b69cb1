"""Tenants.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import Tenant, TenantStatus


class TenantsResource(SyncResource):
    """Tenants. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Tenant]:
        """Lists tenants.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Tenant, _call("GET", ("tenants",), query={"limit": limit, "after": after, "order": order},
            timeout=timeout))

    def create(
        self,
        *,
        name: str,
        allowed_origins: Sequence[str] | Omit = OMIT,
        metadata: Mapping[str, str] | Omit = OMIT,
        plan: str | Omit = OMIT,
        retention_ms: int | Omit = OMIT,
        status: TenantStatus | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Tenant:
        """Makes a tenant.

        Args:
            name: 1 to 128 characters.
            allowed_origins: Origins such as `https://app.acme.test`; at most 32.
            metadata: Own pairs.
            plan: Operator only: the plan's name.
            retention_ms: 60 000 to 31 536 000 000 (a year); a day unless given.
            status: Operator only: `active` or `suspended`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Tenant, _call("POST", ("tenants",), body={"allowed_origins": allowed_origins, "metadata":
            metadata, "name": name, "plan": plan, "retention_ms": retention_ms, "status": status},
            idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        tenant: str,
        *,
        timeout: float | None = None,
    ) -> Tenant:
        """One tenant.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Tenant, _call("GET", ("tenants", tenant), timeout=timeout))

    def update(
        self,
        tenant: str,
        *,
        allowed_origins: Sequence[str] | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        plan: str | None | Omit = OMIT,
        retention_ms: int | None | Omit = OMIT,
        status: TenantStatus | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Tenant:
        """Changes a tenant.

        Args:
            allowed_origins: Origins such as `https://app.acme.test`; at most 32.
            metadata: Own pairs.
            name: 1 to 128 characters.
            plan: Operator only: the plan's name.
            retention_ms: 60 000 to 31 536 000 000 (a year); a day unless given.
            status: Operator only: `active` or `suspended`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Tenant, _call("PATCH", ("tenants", tenant), body={"allowed_origins": allowed_origins,
            "metadata": metadata, "name": name, "plan": plan, "retention_ms": retention_ms, "status": status},
            timeout=timeout))

    def delete(
        self,
        tenant: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Erases a tenant with all that is its own.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("tenants", tenant), timeout=timeout))


class AsyncTenantsResource(AsyncResource):
    """Tenants. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Tenant]:
        """Lists tenants.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Tenant, _call("GET", ("tenants",), query={"limit": limit, "after": after, "order": order},
            timeout=timeout))

    async def create(
        self,
        *,
        name: str,
        allowed_origins: Sequence[str] | Omit = OMIT,
        metadata: Mapping[str, str] | Omit = OMIT,
        plan: str | Omit = OMIT,
        retention_ms: int | Omit = OMIT,
        status: TenantStatus | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Tenant:
        """Makes a tenant.

        Args:
            name: 1 to 128 characters.
            allowed_origins: Origins such as `https://app.acme.test`; at most 32.
            metadata: Own pairs.
            plan: Operator only: the plan's name.
            retention_ms: 60 000 to 31 536 000 000 (a year); a day unless given.
            status: Operator only: `active` or `suspended`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Tenant, _call("POST", ("tenants",), body={"allowed_origins": allowed_origins,
            "metadata": metadata, "name": name, "plan": plan, "retention_ms": retention_ms, "status": status},
            idempotency_key=idempotency_key, timeout=timeout))

    async def get(
        self,
        tenant: str,
        *,
        timeout: float | None = None,
    ) -> Tenant:
        """One tenant.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Tenant, _call("GET", ("tenants", tenant), timeout=timeout))

    async def update(
        self,
        tenant: str,
        *,
        allowed_origins: Sequence[str] | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        plan: str | None | Omit = OMIT,
        retention_ms: int | None | Omit = OMIT,
        status: TenantStatus | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Tenant:
        """Changes a tenant.

        Args:
            allowed_origins: Origins such as `https://app.acme.test`; at most 32.
            metadata: Own pairs.
            name: 1 to 128 characters.
            plan: Operator only: the plan's name.
            retention_ms: 60 000 to 31 536 000 000 (a year); a day unless given.
            status: Operator only: `active` or `suspended`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Tenant, _call("PATCH", ("tenants", tenant), body={"allowed_origins": allowed_origins,
            "metadata": metadata, "name": name, "plan": plan, "retention_ms": retention_ms, "status": status},
            timeout=timeout))

    async def delete(
        self,
        tenant: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Erases a tenant with all that is its own.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("tenants", tenant), timeout=timeout))
