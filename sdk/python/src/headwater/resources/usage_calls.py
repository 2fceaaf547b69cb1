"""Usage calls.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import UsageCall


class UsageCallsResource(SyncResource):
    """Usage calls. A method for each operation."""

    def list(
        self,
        *,
        from_: str | None = None,
        to: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        timeout: float | None = None,
    ) -> Listing[UsageCall]:
        """The ledger, call by call: JSON pages, or all of it as CSV or JSON lines.

        Args:
            from_: From this day or instant on.
            to: Until before this day or instant.
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(UsageCall, _call("GET", ("usage", "calls"), query={"from": from_, "to": to, "limit": limit,
            "after": after}, timeout=timeout))


class AsyncUsageCallsResource(AsyncResource):
    """Usage calls. A method for each operation."""

    def list(
        self,
        *,
        from_: str | None = None,
        to: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[UsageCall]:
        """The ledger, call by call: JSON pages, or all of it as CSV or JSON lines.

        Args:
            from_: From this day or instant on.
            to: Until before this day or instant.
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(UsageCall, _call("GET", ("usage", "calls"), query={"from": from_, "to": to, "limit": limit,
            "after": after}, timeout=timeout))
