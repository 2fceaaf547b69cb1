"""Tenant.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._resource import AsyncResource, SyncResource
from ..types import Tenant, TenantStatus


class TenantResource(SyncResource):
    """Tenant. A method for each operation."""

    def get(
        self,
        *,
        timeout: float | None = None,
    ) -> Tenant:
        """The caller's own tenant.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Tenant, _call("GET", ("tenant",), timeout=timeout))

    def update(
        self,
        *,
        allowed_origins: Sequence[str] | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        plan: str | None | Omit = OMIT,
        retention_ms: int | None | Omit = OMIT,
        status: TenantStatus | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Tenant:
        """Changes what a tenant may change of itself.

        Args:
            allowed_origins: Origins such as `https://app.acme.test`; at most 32.
            metadata: Own pairs.
            name: 1 to 128 characters.
            plan: Operator only: the plan's name.
            retention_ms: 60 000 to 31 536 000 000 (a year); a day unless given.
            status: Operator only: `active` or `suspended`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Tenant, _call("PATCH", ("tenant",), body={"allowed_origins": allowed_origins, "metadata":
            metadata, "name": name, "plan": plan, "retention_ms": retention_ms, "status": status}, timeout=timeout))


class AsyncTenantResource(AsyncResource):
    """Tenant. A method for each operation."""

    async def get(
        self,
        *,
        timeout: float | None = None,
    ) -> Tenant:
        """The caller's own tenant.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Tenant, _call("GET", ("tenant",), timeout=timeout))

    async def update(
        self,
        *,
        allowed_origins: Sequence[str] | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        plan: str | None | Omit = OMIT,
        retention_ms: int | None | Omit = OMIT,
        status: TenantStatus | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Tenant:
        """Changes what a tenant may change of itself.

        Args:
            allowed_origins: Origins such as `https://app.acme.test`; at most 32.
            metadata: Own pairs.
            name: 1 to 128 characters.
            plan: Operator only: the plan's name.
            retention_ms: 60 000 to 31 536 000 000 (a year); a day unless given.
            status: Operator only: `active` or `suspended`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Tenant, _call("PATCH", ("tenant",), body={"allowed_origins": allowed_origins,
            "metadata": metadata, "name": name, "plan": plan, "retention_ms": retention_ms, "status": status},
            timeout=timeout))
