"""The driver that awaits. `blocking` is the same without `await`: what is changed here is changed there."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from .._core.calls import Settings
from .._core.commands import Close, Command, Emit, Flow, GetToken, Head, Read, RenewToken, Send, Sleep, Token
from .._core.driving import NOTHING, Done, Outcome, advance
from .._core.tokens import Tokens
from ..errors import ConfigError, HeadwaterError, TokenError
from .http import allow_silence, head_of, timeouts, translated

T = TypeVar("T")


class AwaitingTokens:
    """Asks the application for tokens, one call at a time."""

    def __init__(self, fixed: str | None, ask: Callable[[], str | Awaitable[str]] | None) -> None:
        self._tokens = Tokens(fixed)
        self._ask = ask
        self._lock = asyncio.Lock()

    async def get(self, stale: Token | None) -> Token | None:
        """The token to send; where it is the stale one, another."""
        async with self._lock:
            if self._ask is not None and self._tokens.is_stale(stale):
                try:
                    secret = self._ask()
                    if inspect.isawaitable(secret):
                        secret = await secret
                except Exception as error:
                    raise TokenError() from error
                self._tokens.put(secret)
            return self._tokens.current


class AwaitingApi:
    """A connection pool with a credential."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient, tokens: AwaitingTokens) -> None:
        self.settings = settings
        self.http = http
        self.tokens = tokens

    def as_user(self, user: str | None) -> AwaitingApi:
        """The same for another user."""
        return AwaitingApi(replace(self.settings, user=user), self.http, self.tokens)

    async def run(self, flow: Flow[T]) -> T:
        """Goes through a flow to its end."""
        exchange, outcome = _Exchange(self), NOTHING
        try:
            while not isinstance(command := advance(flow, outcome), Done):
                outcome = await exchange.outcome(command)
            return command.value
        finally:
            await exchange.close()
            flow.close()

    async def items(self, flow: Flow[None]) -> AsyncGenerator[Any, None]:
        """Goes through a flow as far as its items are asked for."""
        exchange, outcome = _Exchange(self), NOTHING
        try:
            while not isinstance(command := advance(flow, outcome), Done):
                if isinstance(command, Emit):
                    outcome = NOTHING
                    yield command.item
                else:
                    outcome = await exchange.outcome(command)
        finally:
            await exchange.close()
            flow.close()


class _Exchange:
    """One answer at a time."""

    def __init__(self, api: AwaitingApi) -> None:
        self._api = api
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def outcome(self, command: Command) -> Outcome:
        """Does what a flow asks for. Errors that are not ours (a cancelled task) end the flow."""
        try:
            return Outcome(await self._perform(command))
        except HeadwaterError as error:
            return Outcome(error=error)

    async def _perform(self, command: Command) -> Any:
        match command:
            case Read(seconds):
                return await self._read(seconds)
            case Send():
                return await self._send(command)
            case GetToken():
                return await self._api.tokens.get(None)
            case RenewToken(stale):
                await self._api.tokens.get(stale)
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Close():
                await self.close()
            case Emit():
                raise AssertionError("items are handed out by who drives")
        return None

    async def _send(self, command: Send) -> Head:
        await self.close()
        http, wanted = self._api.http, command.request
        if http.is_closed:
            raise ConfigError("the client is closed")
        try:
            request = http.build_request(
                wanted.method,
                wanted.url,
                headers=list(wanted.headers),
                content=wanted.body,
                timeout=timeouts(command.timeout),
            )
            self._response = await http.send(request, stream=True, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise translated(error) from error
        return head_of(self._response)

    async def _read(self, seconds: float) -> bytes | None:
        assert self._response is not None, "what is read was sent"
        if self._chunks is None:
            allow_silence(self._response, seconds)
            self._chunks = self._response.aiter_bytes()
        try:
            return await anext(self._chunks, None)
        except httpx.HTTPError as error:
            raise translated(error) from error

    async def close(self) -> None:
        """Lets go of the answer."""
        response, self._response, self._chunks = self._response, None, None
        if response is not None:
            await response.aclose()
