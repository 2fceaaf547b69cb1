"""Limiter.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._resource import AsyncResource, SyncResource
from ..types import Limiter


class LimiterResource(SyncResource):
    """Limiter. A method for each operation."""

    def get(
        self,
        *,
        timeout: float | None = None,
    ) -> Limiter:
        """What goes on at the providers, as this process sees it: limits, who has a place and who waits for one.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Limiter, _call("GET", ("limiter",), timeout=timeout))


class AsyncLimiterResource(AsyncResource):
    """Limiter. A method for each operation."""

    async def get(
        self,
        *,
        timeout: float | None = None,
    ) -> Limiter:
        """What goes on at the providers, as this process sees it: limits, who has a place and who waits for one.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Limiter, _call("GET", ("limiter",), timeout=timeout))
