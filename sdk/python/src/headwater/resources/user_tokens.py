"""User tokens.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._resource import AsyncResource, SyncResource
from ..types import UserToken


class UserTokensResource(SyncResource):
    """User tokens. A method for each operation."""

    def create(
        self,
        *,
        user: str,
        agents: Sequence[str] | None | Omit = OMIT,
        scopes: Sequence[str] | None | Omit = OMIT,
        ttl_ms: int | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> UserToken:
        """Mints a token of a user. Stores nothing; a new external id makes the user.

        Args:
            user: `external_id` or `usr_…`; a new `external_id` makes the user.
            agents: Names or ids of the agents it may run; all unless given.
            scopes: What it may do; all that a user may unless given.
            ttl_ms: 60 000 to 3 600 000; 900 000 unless given.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(UserToken, _call("POST", ("user_tokens",), body={"agents": agents, "scopes": scopes,
            "ttl_ms": ttl_ms, "user": user}, idempotency_key=idempotency_key, timeout=timeout))


class AsyncUserTokensResource(AsyncResource):
    """User tokens. A method for each operation."""

    async def create(
        self,
        *,
        user: str,
        agents: Sequence[str] | None | Omit = OMIT,
        scopes: Sequence[str] | None | Omit = OMIT,
        ttl_ms: int | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> UserToken:
        """Mints a token of a user. Stores nothing; a new external id makes the user.

        Args:
            user: `external_id` or `usr_…`; a new `external_id` makes the user.
            agents: Names or ids of the agents it may run; all unless given.
            scopes: What it may do; all that a user may unless given.
            ttl_ms: 60 000 to 3 600 000; 900 000 unless given.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(UserToken, _call("POST", ("user_tokens",), body={"agents": agents, "scopes": scopes,
            "ttl_ms": ttl_ms, "user": user}, idempotency_key=idempotency_key, timeout=timeout))
