"""Agent versions.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import Agent


class AgentVersionsResource(SyncResource):
    """Agent versions. A method for each operation."""

    def list(
        self,
        agent: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Agent]:
        """Lists an agent's versions.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Agent, _call("GET", ("agents", agent, "versions"), query={"limit": limit, "after": after,
            "order": order}, timeout=timeout))

    def get(
        self,
        agent: str,
        version: int | str,
        *,
        timeout: float | None = None,
    ) -> Agent:
        """One version of an agent.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Agent, _call("GET", ("agents", agent, "versions", version), timeout=timeout))


class AsyncAgentVersionsResource(AsyncResource):
    """Agent versions. A method for each operation."""

    def list(
        self,
        agent: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Agent]:
        """Lists an agent's versions.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Agent, _call("GET", ("agents", agent, "versions"), query={"limit": limit, "after": after,
            "order": order}, timeout=timeout))

    async def get(
        self,
        agent: str,
        version: int | str,
        *,
        timeout: float | None = None,
    ) -> Agent:
        """One version of an agent.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Agent, _call("GET", ("agents", agent, "versions", version), timeout=timeout))
