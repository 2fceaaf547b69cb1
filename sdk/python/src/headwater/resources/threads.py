"""Threads.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import Thread


class ThreadsResource(SyncResource):
    """Threads. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        external_id: str | None = None,
        status: str | None = None,
        user: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Thread]:
        """Lists threads.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            external_id: Only with this `external_id`.
            status: Only with this `status`; several with commas between.
            user: Only with this `user`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Thread, _call("GET", ("threads",), query={"limit": limit, "after": after, "order": order,
            "external_id": external_id, "status": status, "user": user}, timeout=timeout))

    def create(
        self,
        *,
        external_id: str | None | Omit = OMIT,
        metadata: Mapping[str, str] | Omit = OMIT,
        title: str | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Thread:
        """Makes a thread.

        Args:
            external_id: The tenant's own id for it, unique per user.
            metadata: Own pairs.
            title: 1 to 256 characters.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Thread, _call("POST", ("threads",), body={"external_id": external_id, "metadata": metadata,
            "title": title}, idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        thread: str,
        *,
        timeout: float | None = None,
    ) -> Thread:
        """One thread.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Thread, _call("GET", ("threads", thread), timeout=timeout))

    def update(
        self,
        thread: str,
        *,
        external_id: str | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        title: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Thread:
        """Changes a thread.

        Args:
            external_id: The tenant's own id for it, unique per user.
            metadata: Own pairs.
            title: 1 to 256 characters.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Thread, _call("PATCH", ("threads", thread), body={"external_id": external_id, "metadata":
            metadata, "title": title}, timeout=timeout))

    def delete(
        self,
        thread: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Cancels a thread's runs and erases it with all that hangs on it.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("threads", thread), timeout=timeout))


class AsyncThreadsResource(AsyncResource):
    """Threads. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        external_id: str | None = None,
        status: str | None = None,
        user: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Thread]:
        """Lists threads.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            external_id: Only with this `external_id`.
            status: Only with this `status`; several with commas between.
            user: Only with this `user`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Thread, _call("GET", ("threads",), query={"limit": limit, "after": after, "order": order,
            "external_id": external_id, "status": status, "user": user}, timeout=timeout))

    async def create(
        self,
        *,
        external_id: str | None | Omit = OMIT,
        metadata: Mapping[str, str] | Omit = OMIT,
        title: str | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Thread:
        """Makes a thread.

        Args:
            external_id: The tenant's own id for it, unique per user.
            metadata: Own pairs.
            title: 1 to 256 characters.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Thread, _call("POST", ("threads",), body={"external_id": external_id, "metadata":
            metadata, "title": title}, idempotency_key=idempotency_key, timeout=timeout))

    async def get(
        self,
        thread: str,
        *,
        timeout: float | None = None,
    ) -> Thread:
        """One thread.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Thread, _call("GET", ("threads", thread), timeout=timeout))

    async def update(
        self,
        thread: str,
        *,
        external_id: str | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        title: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Thread:
        """Changes a thread.

        Args:
            external_id: The tenant's own id for it, unique per user.
            metadata: Own pairs.
            title: 1 to 256 characters.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Thread, _call("PATCH", ("threads", thread), body={"external_id": external_id,
            "metadata": metadata, "title": title}, timeout=timeout))

    async def delete(
        self,
        thread: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Cancels a thread's runs and erases it with all that hangs on it.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("threads", thread), timeout=timeout))
