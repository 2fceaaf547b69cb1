"""Memory.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from typing import Any

from .._core.calls import call as _call
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import MemoryEntry


class MemoryResource(SyncResource):
    """Memory. A method for each operation."""

    def list(
        self,
        *,
        prefix: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        timeout: float | None = None,
    ) -> Listing[MemoryEntry]:
        """Lists what is remembered of a user, in the order of the keys.

        Args:
            prefix: Only keys that begin so.
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(MemoryEntry, _call("GET", ("memory",), query={"prefix": prefix, "limit": limit, "after":
            after}, timeout=timeout))

    def get(
        self,
        key: str,
        *,
        timeout: float | None = None,
    ) -> MemoryEntry:
        """What is remembered under a key.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(MemoryEntry, _call("GET", ("memory", key), timeout=timeout))

    def put(
        self,
        key: str,
        *,
        value: Any,
        timeout: float | None = None,
    ) -> MemoryEntry:
        """Remembers something under a key, in place of what was there.

        Args:
            value: Any JSON of at most 16 KiB.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(MemoryEntry, _call("PUT", ("memory", key), body={"value": value}, timeout=timeout))

    def delete(
        self,
        key: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Forgets what is remembered under a key.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("memory", key), timeout=timeout))


class AsyncMemoryResource(AsyncResource):
    """Memory. A method for each operation."""

    def list(
        self,
        *,
        prefix: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[MemoryEntry]:
        """Lists what is remembered of a user, in the order of the keys.

        Args:
            prefix: Only keys that begin so.
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(MemoryEntry, _call("GET", ("memory",), query={"prefix": prefix, "limit": limit, "after":
            after}, timeout=timeout))

    async def get(
        self,
        key: str,
        *,
        timeout: float | None = None,
    ) -> MemoryEntry:
        """What is remembered under a key.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(MemoryEntry, _call("GET", ("memory", key), timeout=timeout))

    async def put(
        self,
        key: str,
        *,
        value: Any,
        timeout: float | None = None,
    ) -> MemoryEntry:
        """Remembers something under a key, in place of what was there.

        Args:
            value: Any JSON of at most 16 KiB.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(MemoryEntry, _call("PUT", ("memory", key), body={"value": value}, timeout=timeout))

    async def delete(
        self,
        key: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Forgets what is remembered under a key.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("memory", key), timeout=timeout))
