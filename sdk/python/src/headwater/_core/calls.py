"""One logical call: how it is written, tried, and tried again.

Promises that all tries of a call are the same request, byte for byte but for a renewed token.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from .._model import OMIT, ApiObject
from ..errors import ApiError, ConfigError, EdgeError, HeadwaterError, TimedOutError, TransportError
from .commands import Close, Flow, GetToken, Head, Read, RenewToken, Request, Send, Sleep, Token
from .problem import MAX_ERROR_BYTES, read_problem
from .retry import FINAL, RETRY, Next, RetryPolicy, Verdict, verdict

_KEY = re.compile(r"[!-~]{1,255}")
_VALUE = re.compile(r"[ -~]*")


@dataclass(frozen=True)
class Settings:
    """What all calls of a client have in common."""

    base_url: str
    user: str | None
    retry: RetryPolicy
    timeout: float
    user_agent: str
    clock: Callable[[], float]
    """Seconds that never go back."""
    chance: Callable[[], float]
    """A random number in 0..1, for spreading clients out and nothing else."""


@dataclass(frozen=True)
class Call:
    """A request that can be sent again."""

    method: str
    path: str
    """Below the base URL."""
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    timeout: float | None
    """Seconds that one try may take, if not as the client says."""
    extra: float
    """Seconds that the server was asked to take."""

    def to_stream(self, last_event_id: int | None) -> Call:
        """The same call, asking for a stream of events instead of an object."""
        headers = [(name, value) for name, value in self.headers if name != "accept"]
        # What is compressed is held back by those who compress it.
        headers += [("accept", "text/event-stream"), ("accept-encoding", "identity")]
        if last_event_id is not None:
            headers.append(("last-event-id", str(last_event_id)))
        return replace(self, headers=tuple(headers))

    def after(self, cursor: str) -> Call:
        """The same list's next page."""
        query = [(name, value) for name, value in self.query if name != "after"]
        return replace(self, query=(*query, ("after", cursor)))


def call(
    method: str,
    path: tuple[str | int, ...],
    *,
    query: Mapping[str, str | int | bool | None] | None = None,
    body: Mapping[str, Any] | None = None,
    content: bytes | None = None,
    media_type: str = "application/json",
    accept: str = "application/json",
    idempotency_key: str | None = None,
    if_match: str | None = None,
    range: str | None = None,
    wait_ms: int | None = None,
    timeout: float | None = None,
) -> Call:
    """Writes a call of the path below `/v1`. What is `OMIT` in the body and `None` in the query is left out."""
    headers = [("accept", accept)]
    if method == "POST":
        headers.append(("idempotency-key", _key(idempotency_key)))
    if body is not None:
        content = _json({name: value for name, value in body.items() if value is not OMIT})
    if content is not None:
        headers.append(("content-type", _value(media_type, "the media type")))
    for name, value in (("if-match", if_match), ("range", range)):
        if value is not None:
            headers.append((name, _value(value, name)))
    asked = tuple((name, _word(value)) for name, value in (query or {}).items() if value is not None)
    return Call(method, f"/v1/{_path(path)}", asked, tuple(headers), content, timeout, (wait_ms or 0) / 1000)


def _path(path: tuple[str | int, ...]) -> str:
    segments = [str(segment) for segment in path]
    # HTTP clients drop dot segments without a word: the call would go to another resource.
    if any(segment in ("", ".", "..") for segment in segments):
        raise ConfigError("an empty name or a dot is no path segment")
    return "/".join(quote(segment, safe="") for segment in segments)


def _word(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key(key: str | None) -> str:
    if key is None:
        return str(uuid.uuid4())
    if not _KEY.fullmatch(key):
        raise ConfigError("an idempotency key has 1 to 255 visible ASCII characters")
    return key


def _value(value: str, what: str) -> str:
    """A header's value."""
    if not _VALUE.fullmatch(value):
        raise ConfigError(f"{what} holds characters that no header can")
    return value


def bearer(secret: str) -> str:
    """The `Authorization` header of a key or a token."""
    return f"Bearer {_value(secret, 'the credential')}"


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
        return text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the body is no JSON: {error}") from None


def _plain(value: Any) -> Any:
    """Values that JSON has no word for."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a datetime needs a time zone")
        return value.isoformat()
    if isinstance(value, ApiObject):
        return value.raw
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | list | set | frozenset):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is no JSON")


class Failure(Exception):
    """A try that failed."""

    def __init__(self, error: HeadwaterError, verdict: Verdict, token: Token | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.verdict = verdict
        self.token = token
        """The token that was sent, to renew that and no later one."""


def request(settings: Settings, call: Call, token: Token | None) -> Request:
    """A call as it goes over the wire."""
    headers = [("user-agent", settings.user_agent), *call.headers]
    if token is not None:
        headers.append(("authorization", token.header))
    if settings.user is not None:
        headers.append(("headwater-user", _value(settings.user, "the user's id")))
    query = f"?{urlencode(call.query, quote_via=quote, safe='')}" if call.query else ""
    return Request(call.method, f"{settings.base_url}{call.path}{query}", tuple(headers), call.body)


def head(settings: Settings, call: Call, *, streams: bool) -> Flow[tuple[Head, Token | None]]:
    """One try until the head of a good answer, and the token that was good for it; raises `Failure`.

    An answer that is not good is read and closed.
    """
    token = yield from _token()
    wire = request(settings, call, token)
    timeout = (settings.timeout if call.timeout is None else call.timeout) + call.extra
    try:
        answer = yield Send(wire, timeout)
        assert isinstance(answer, Head)
        if 200 <= answer.status < 300:
            return answer, token
        raise (yield from _refusal(answer, token, timeout))
    except TimedOutError as error:
        # The time of a call is spent then; a stream has time.
        raise Failure(error, RETRY if streams else FINAL, token) from None
    except TransportError as error:
        raise Failure(error, RETRY, token) from None


def _token() -> Flow[Token | None]:
    token = yield GetToken()
    assert token is None or isinstance(token, Token)
    return token


def _refusal(answer: Head, token: Token | None, timeout: float) -> Flow[Failure]:
    """Reads an answer that is no success. Without `Request-Id` it is not Headwater's."""
    request_id = answer.headers.get("request-id")
    if request_id is None:
        yield Close()
        return Failure(EdgeError(answer.status), verdict(answer.status, None, answer.headers), token)
    body = b""
    try:
        while len(body) < MAX_ERROR_BYTES:
            chunk = yield Read(timeout)
            if chunk is None:
                break
            assert isinstance(chunk, bytes)
            body += chunk
    except (TransportError, TimedOutError):
        # What has broken off is what there is.
        pass
    yield Close()
    problem = read_problem(answer.status, body[:MAX_ERROR_BYTES])
    error = ApiError.of(answer.status, problem, request_id)
    return Failure(error, verdict(answer.status, problem, answer.headers), token)


@dataclass(frozen=True)
class Answer:
    """A good answer, whole."""

    head: Head
    body: bytes


def _whole(settings: Settings, call: Call) -> Flow[Answer]:
    """One try, with a bound on the time of head and body together."""
    limit = (settings.timeout if call.timeout is None else call.timeout) + call.extra
    begun = settings.clock()
    answer, token = yield from head(settings, call, streams=False)
    chunks: list[bytes] = []
    try:
        while True:
            chunk = yield Read(limit)
            if chunk is None:
                break
            assert isinstance(chunk, bytes)
            chunks.append(chunk)
            if settings.clock() - begun > limit:
                raise TimedOutError("the answer's end")
    except TimedOutError as error:
        yield Close()
        raise Failure(error, FINAL, token) from None
    except TransportError as error:
        yield Close()
        raise Failure(error, RETRY, token) from None
    yield Close()
    return Answer(answer, b"".join(chunks))


def send(settings: Settings, call: Call) -> Flow[Answer]:
    """Sends a call, as often as it takes."""
    failed, renewed = 0, False
    while True:
        try:
            return (yield from _whole(settings, call))
        except Failure as caught:
            failure = caught
        if failure.verdict.next is Next.RENEW and not renewed and failure.token and failure.token.renewable:
            renewed = True
            yield RenewToken(failure.token)
            continue
        pause = None
        if failure.verdict.next is Next.RETRY:
            failed += 1
            pause = settings.retry.pause(failed, failure.verdict.asked, settings.chance())
        if pause is None:
            raise failure.error
        yield Sleep(pause)
