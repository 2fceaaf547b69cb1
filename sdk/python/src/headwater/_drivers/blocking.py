"""The driver that blocks. `awaiting` is the same with `await`: what is changed here is changed there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
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


class BlockingTokens:
    """Asks the application for tokens, one call at a time."""

    def __init__(self, fixed: str | None, ask: Callable[[], str] | None) -> None:
        self._tokens = Tokens(fixed)
        self._ask = ask
        self._lock = threading.Lock()

    def get(self, stale: Token | None) -> Token | None:
        """The token to send; where it is the stale one, another."""
        with self._lock:
            if self._ask is not None and self._tokens.is_stale(stale):
                try:
                    secret = self._ask()
                except Exception as error:
                    raise TokenError() from error
                self._tokens.put(secret)
            return self._tokens.current


class BlockingApi:
    """A connection pool with a credential."""

    def __init__(self, settings: Settings, http: httpx.Client, tokens: BlockingTokens) -> None:
        self.settings = settings
        self.http = http
        self.tokens = tokens

    def as_user(self, user: str | None) -> BlockingApi:
        """The same for another user."""
        return BlockingApi(replace(self.settings, user=user), self.http, self.tokens)

    def run(self, flow: Flow[T]) -> T:
        """Goes through a flow to its end."""
        exchange, outcome = _Exchange(self), NOTHING
        try:
            while not isinstance(command := advance(flow, outcome), Done):
                outcome = exchange.outcome(command)
            return command.value
        finally:
            exchange.close()
            flow.close()

    def items(self, flow: Flow[None]) -> Generator[Any, None, None]:
        """Goes through a flow as far as its items are asked for."""
        exchange, outcome = _Exchange(self), NOTHING
        try:
            while not isinstance(command := advance(flow, outcome), Done):
                if isinstance(command, Emit):
                    outcome = NOTHING
                    yield command.item
                else:
                    outcome = exchange.outcome(command)
        finally:
            exchange.close()
            flow.close()


class _Exchange:
    """One answer at a time."""

    def __init__(self, api: BlockingApi) -> None:
        self._api = api
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] | None = None

    def outcome(self, command: Command) -> Outcome:
        """Does what a flow asks for. Errors that are not ours (an interrupt) end the flow."""
        try:
            return Outcome(self._perform(command))
        except HeadwaterError as error:
            return Outcome(error=error)

    def _perform(self, command: Command) -> Any:
        match command:
            case Read(seconds):
                return self._read(seconds)
            case Send():
                return self._send(command)
            case GetToken():
                return self._api.tokens.get(None)
            case RenewToken(stale):
                self._api.tokens.get(stale)
            case Sleep(seconds):
                time.sleep(seconds)
            case Close():
                self.close()
            case Emit():
                raise AssertionError("items are handed out by who drives")
        return None

    def _send(self, command: Send) -> Head:
        self.close()
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
            self._response = http.send(request, stream=True, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise translated(error) from error
        return head_of(self._response)

    def _read(self, seconds: float) -> bytes | None:
        assert self._response is not None, "what is read was sent"
        if self._chunks is None:
            allow_silence(self._response, seconds)
            self._chunks = self._response.iter_bytes()
        try:
            return next(self._chunks, None)
        except httpx.HTTPError as error:
            raise translated(error) from error

    def close(self) -> None:
        """Lets go of the answer."""
        response, self._response, self._chunks = self._response, None, None
        if response is not None:
            response.close()
