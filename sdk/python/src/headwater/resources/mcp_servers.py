"""Mcp servers.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import McpAuthParam, McpServer


class McpServersResource(SyncResource):
    """Mcp servers. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[McpServer]:
        """Lists servers.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(McpServer, _call("GET", ("mcp_servers",), query={"limit": limit, "after": after, "order":
            order}, timeout=timeout))

    def create(
        self,
        *,
        name: str,
        url: str,
        auth: McpAuthParam | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> McpServer:
        """Adds a server, and asks it what it has: `status` and `error` tell how that went.

        Args:
            name: `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant.
            url: Its endpoint, over Streamable HTTP; at most 2048 bytes.
            auth: How it is called; `null` = without credentials.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(McpServer, _call("POST", ("mcp_servers",), body={"auth": auth, "name": name, "url": url},
            idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        server: str,
        *,
        timeout: float | None = None,
    ) -> McpServer:
        """A server, by its id or its name.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(McpServer, _call("GET", ("mcp_servers", server), timeout=timeout))

    def update(
        self,
        server: str,
        *,
        auth: McpAuthParam | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        url: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> McpServer:
        """Changes a server, and asks it what it has.

        Args:
            auth: As in `McpServerParams`; `null` = none.
            name: As in `McpServerParams`.
            url: As in `McpServerParams`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(McpServer, _call("PATCH", ("mcp_servers", server), body={"auth": auth, "name": name, "url":
            url}, timeout=timeout))

    def delete(
        self,
        server: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes a server that no agent names.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("mcp_servers", server), timeout=timeout))

    def refresh(
        self,
        server: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> McpServer:
        """Asks a server again what it has: `status` and `error` tell how that went.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(McpServer, _call("POST", ("mcp_servers", server, "refresh"), body={},
            idempotency_key=idempotency_key, timeout=timeout))


class AsyncMcpServersResource(AsyncResource):
    """Mcp servers. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[McpServer]:
        """Lists servers.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(McpServer, _call("GET", ("mcp_servers",), query={"limit": limit, "after": after, "order":
            order}, timeout=timeout))

    async def create(
        self,
        *,
        name: str,
        url: str,
        auth: McpAuthParam | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> McpServer:
        """Adds a server, and asks it what it has: `status` and `error` tell how that went.

        Args:
            name: `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant.
            url: Its endpoint, over Streamable HTTP; at most 2048 bytes.
            auth: How it is called; `null` = without credentials.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(McpServer, _call("POST", ("mcp_servers",), body={"auth": auth, "name": name, "url":
            url}, idempotency_key=idempotency_key, timeout=timeout))

    async def get(
        self,
        server: str,
        *,
        timeout: float | None = None,
    ) -> McpServer:
        """A server, by its id or its name.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(McpServer, _call("GET", ("mcp_servers", server), timeout=timeout))

    async def update(
        self,
        server: str,
        *,
        auth: McpAuthParam | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        url: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> McpServer:
        """Changes a server, and asks it what it has.

        Args:
            auth: As in `McpServerParams`; `null` = none.
            name: As in `McpServerParams`.
            url: As in `McpServerParams`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(McpServer, _call("PATCH", ("mcp_servers", server), body={"auth": auth, "name": name,
            "url": url}, timeout=timeout))

    async def delete(
        self,
        server: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes a server that no agent names.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("mcp_servers", server), timeout=timeout))

    async def refresh(
        self,
        server: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> McpServer:
        """Asks a server again what it has: `status` and `error` tell how that went.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(McpServer, _call("POST", ("mcp_servers", server, "refresh"), body={},
            idempotency_key=idempotency_key, timeout=timeout))
