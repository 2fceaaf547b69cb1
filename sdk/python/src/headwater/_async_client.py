"""The client that awaits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType

import httpx

from . import webhooks as _webhooks
from ._config import credential, settings
from ._core.calls import call
from ._core.retry import RetryPolicy
from ._drivers.awaiting import AwaitingApi, AwaitingTokens
from ._drivers.http import LIMITS, no_cookies
from .resources import AsyncResources
from .types import Principal

__all__ = ["AsyncHeadwater"]


class AsyncHeadwater(AsyncResources):
    """Headwater's API for one credential: a resource for each noun, a method for each operation.

    For tasks of one event loop. Holds a connection pool: close it, or use it as a context manager.
    """

    webhooks = _webhooks
    """`webhooks.verify(payload, headers, secret)`."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        token: str | Callable[[], str | Awaitable[str]] | None = None,
        user: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: float = 30.0,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        """Checks the settings. Connects to nothing.

        Args:
            base_url: `https://HOST`, with or without `/v1`; HEADWATER_URL unless given.
            api_key: A tenant's secret key (`hw_sk_…`) or the operator's (`hw_op_…`); HEADWATER_API_KEY unless given.
            token: A user's token, or a callback (async or not) that gives one: asked at the first call, and again
                whenever the server says that one has expired, once however many calls and streams find out at once.
            user: With a tenant's key: whom to act for (`external_id` or `usr_…`).
            retry: How calls are repeated.
            timeout: Seconds that one try of a call may take, and a stream until its head is there.
            http_client: A pool of your own (proxies, certificates). It is not closed with this client, and must have no
                limit of connections that streams could use up.

        Raises:
            ConfigError: a setting is missing or wrong.
        """
        self._own = http_client is None
        given = credential(api_key, token)
        made = settings(base_url, user, retry, timeout)
        http = http_client if http_client is not None else httpx.AsyncClient(limits=LIMITS, cookies=no_cookies())
        super().__init__(AwaitingApi(made, http, AwaitingTokens(given.fixed, given.ask)))

    def as_user(self, user: str) -> AsyncHeadwater:
        """The same client, on the same connections, acting for a user of the tenant (`external_id` or `usr_…`)."""
        return self._as(user)

    def as_tenant(self) -> AsyncHeadwater:
        """The same client acting as the tenant itself."""
        return self._as(None)

    def _as(self, user: str | None) -> AsyncHeadwater:
        other = object.__new__(type(self))
        other._api, other._own = self._api.as_user(user), False
        return other

    async def me(self, *, timeout: float | None = None) -> Principal:
        """Who is calling."""
        return await self._object(Principal, call("GET", ("me",), timeout=timeout))

    async def close(self) -> None:
        """Closes the connections, unless they are another client's."""
        if self._own:
            await self._api.http.aclose()

    async def __aenter__(self) -> AsyncHeadwater:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncHeadwater({self._api.settings.base_url!r}, user={self._api.settings.user!r})"
