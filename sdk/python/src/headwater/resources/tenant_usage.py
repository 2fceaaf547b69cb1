"""Tenant usage.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import UsageGroup


class TenantUsageResource(SyncResource):
    """Tenant usage. A method for each operation."""

    def get(
        self,
        tenant: str,
        *,
        from_: str | None = None,
        to: str | None = None,
        group_by: str | None = None,
        timeout: float | None = None,
    ) -> Listing[UsageGroup]:
        """Sums of a tenant's model calls, as the tenant sees them.

        Args:
            from_: From this day or instant on.
            to: Until before this day or instant.
            group_by: Any of `day`, `user`, `agent`, `model`, with commas between.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(UsageGroup, _call("GET", ("tenants", tenant, "usage"), query={"from": from_, "to": to,
            "group_by": group_by}, timeout=timeout))


class AsyncTenantUsageResource(AsyncResource):
    """Tenant usage. A method for each operation."""

    def get(
        self,
        tenant: str,
        *,
        from_: str | None = None,
        to: str | None = None,
        group_by: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[UsageGroup]:
        """Sums of a tenant's model calls, as the tenant sees them.

        Args:
            from_: From this day or instant on.
            to: Until before this day or instant.
            group_by: Any of `day`, `user`, `agent`, `model`, with commas between.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(UsageGroup, _call("GET", ("tenants", tenant, "usage"), query={"from": from_, "to": to,
            "group_by": group_by}, timeout=timeout))
