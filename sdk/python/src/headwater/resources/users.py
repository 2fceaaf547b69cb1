"""Users.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import User, UserStatus


class UsersResource(SyncResource):
    """Users. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        external_id: str | None = None,
        status: str | None = None,
        timeout: float | None = None,
    ) -> Listing[User]:
        """Lists users.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            external_id: Only with this `external_id`.
            status: Only with this `status`; several with commas between.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(User, _call("GET", ("users",), query={"limit": limit, "after": after, "order": order,
            "external_id": external_id, "status": status}, timeout=timeout))

    def create(
        self,
        *,
        external_id: str | None | Omit = OMIT,
        metadata: Mapping[str, str] | Omit = OMIT,
        name: str | None | Omit = OMIT,
        status: UserStatus | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> User:
        """Makes a user.

        Args:
            external_id: The tenant's own id for it.
            metadata: Own pairs.
            name: 1 to 128 characters.
            status: `active` or `blocked`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(User, _call("POST", ("users",), body={"external_id": external_id, "metadata": metadata,
            "name": name, "status": status}, idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        user: str,
        *,
        timeout: float | None = None,
    ) -> User:
        """One user, by id or external id.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(User, _call("GET", ("users", user), timeout=timeout))

    def update(
        self,
        user: str,
        *,
        external_id: str | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        status: UserStatus | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> User:
        """Changes a user.

        Args:
            external_id: The tenant's own id for it.
            metadata: Own pairs.
            name: 1 to 128 characters.
            status: `active` or `blocked`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(User, _call("PATCH", ("users", user), body={"external_id": external_id, "metadata":
            metadata, "name": name, "status": status}, timeout=timeout))

    def delete(
        self,
        user: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Cancels a user's runs and erases all that is the user's.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("users", user), timeout=timeout))


class AsyncUsersResource(AsyncResource):
    """Users. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        external_id: str | None = None,
        status: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[User]:
        """Lists users.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            external_id: Only with this `external_id`.
            status: Only with this `status`; several with commas between.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(User, _call("GET", ("users",), query={"limit": limit, "after": after, "order": order,
            "external_id": external_id, "status": status}, timeout=timeout))

    async def create(
        self,
        *,
        external_id: str | None | Omit = OMIT,
        metadata: Mapping[str, str] | Omit = OMIT,
        name: str | None | Omit = OMIT,
        status: UserStatus | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> User:
        """Makes a user.

        Args:
            external_id: The tenant's own id for it.
            metadata: Own pairs.
            name: 1 to 128 characters.
            status: `active` or `blocked`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(User, _call("POST", ("users",), body={"external_id": external_id, "metadata":
            metadata, "name": name, "status": status}, idempotency_key=idempotency_key, timeout=timeout))

    async def get(
        self,
        user: str,
        *,
        timeout: float | None = None,
    ) -> User:
        """One user, by id or external id.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(User, _call("GET", ("users", user), timeout=timeout))

    async def update(
        self,
        user: str,
        *,
        external_id: str | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        status: UserStatus | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> User:
        """Changes a user.

        Args:
            external_id: The tenant's own id for it.
            metadata: Own pairs.
            name: 1 to 128 characters.
            status: `active` or `blocked`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(User, _call("PATCH", ("users", user), body={"external_id": external_id, "metadata":
            metadata, "name": name, "status": status}, timeout=timeout))

    async def delete(
        self,
        user: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Cancels a user's runs and erases all that is the user's.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("users", user), timeout=timeout))
