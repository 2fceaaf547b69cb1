"""Mcp server tools.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import McpTool


class McpServerToolsResource(SyncResource):
    """Mcp server tools. A method for each operation."""

    def list(
        self,
        server: str,
        *,
        timeout: float | None = None,
    ) -> Listing[McpTool]:
        """The tools that a server last said it has.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(McpTool, _call("GET", ("mcp_servers", server, "tools"), timeout=timeout))


class AsyncMcpServerToolsResource(AsyncResource):
    """Mcp server tools. A method for each operation."""

    def list(
        self,
        server: str,
        *,
        timeout: float | None = None,
    ) -> AsyncListing[McpTool]:
        """The tools that a server last said it has.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(McpTool, _call("GET", ("mcp_servers", server, "tools"), timeout=timeout))
