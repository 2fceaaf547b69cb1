"""Quiet.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._resource import AsyncResource, SyncResource
from ..types import QuietStatus


class QuietResource(SyncResource):
    """Quiet. A method for each operation."""

    def get(
        self,
        *,
        timeout: float | None = None,
    ) -> QuietStatus:
        """Whether this process is quiet, and what keeps it awake.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(QuietStatus, _call("GET", ("quiet",), timeout=timeout))


class AsyncQuietResource(AsyncResource):
    """Quiet. A method for each operation."""

    async def get(
        self,
        *,
        timeout: float | None = None,
    ) -> QuietStatus:
        """Whether this process is quiet, and what keeps it awake.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(QuietStatus, _call("GET", ("quiet",), timeout=timeout))
