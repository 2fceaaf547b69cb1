"""Messages.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import ContentParam, Message, Role


class MessagesResource(SyncResource):
    """Messages. A method for each operation."""

    def list(
        self,
        thread: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        run: str | None = None,
        role: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Message]:
        """Lists a thread's messages.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            run: Only with this `run`.
            role: Only with this `role`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Message, _call("GET", ("threads", thread, "messages"), query={"limit": limit, "after": after,
            "order": order, "run": run, "role": role}, timeout=timeout))

    def create(
        self,
        thread: str,
        *,
        content: ContentParam,
        role: Role,
        metadata: Mapping[str, str] | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Message:
        """Adds a message of the past, without a run.

        Args:
            content: A string or parts.
            role: `user`, or `assistant` with a tenant key.
            metadata: Own pairs.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Message, _call("POST", ("threads", thread, "messages"), body={"content": content,
            "metadata": metadata, "role": role}, idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        thread: str,
        message: str,
        *,
        timeout: float | None = None,
    ) -> Message:
        """One message.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Message, _call("GET", ("threads", thread, "messages", message), timeout=timeout))


class AsyncMessagesResource(AsyncResource):
    """Messages. A method for each operation."""

    def list(
        self,
        thread: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        run: str | None = None,
        role: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Message]:
        """Lists a thread's messages.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            run: Only with this `run`.
            role: Only with this `role`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Message, _call("GET", ("threads", thread, "messages"), query={"limit": limit, "after": after,
            "order": order, "run": run, "role": role}, timeout=timeout))

    async def create(
        self,
        thread: str,
        *,
        content: ContentParam,
        role: Role,
        metadata: Mapping[str, str] | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Message:
        """Adds a message of the past, without a run.

        Args:
            content: A string or parts.
            role: `user`, or `assistant` with a tenant key.
            metadata: Own pairs.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Message, _call("POST", ("threads", thread, "messages"), body={"content": content,
            "metadata": metadata, "role": role}, idempotency_key=idempotency_key, timeout=timeout))

    async def get(
        self,
        thread: str,
        message: str,
        *,
        timeout: float | None = None,
    ) -> Message:
        """One message.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Message, _call("GET", ("threads", thread, "messages", message), timeout=timeout))
