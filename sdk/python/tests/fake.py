"""A server within the process: it answers each request by a function, whole, in pieces, or not at all."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from headwater import AsyncHeadwater, EventItem, Headwater, HeadwaterError, HiddenItem, RetryPolicy, StreamItem

Mode = Literal["blocking", "awaiting"]
MODES: list[Mode] = ["blocking", "awaiting"]
LOGS = Path(__file__).parent / "logs"
RETRY = RetryPolicy(base_ms=0)


@dataclass
class Reply:
    """An answer: its head, the pieces of its body, and how it ends."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ends: Literal["whole", "broken", "silent"] = "whole"
    no_head: Literal["", "broken", "silent", "unreachable", "slow"] = ""
    piece: int = 0

    def pieces(self) -> Iterator[bytes]:
        step = self.piece or max(len(self.body), 1)
        for at in range(0, len(self.body), step):
            yield self.body[at : at + step]
        if self.ends == "broken":
            raise httpx.RemoteProtocolError("peer closed the connection")
        if self.ends == "silent":
            raise httpx.ReadTimeout("nothing came")

    def head(self) -> None:
        match self.no_head:
            case "broken":
                raise httpx.RemoteProtocolError("peer closed the connection")
            case "silent":
                raise httpx.ReadTimeout("nothing came")
            case "unreachable":
                raise httpx.ConnectError("refused")
            case "slow":
                raise httpx.ConnectTimeout("not in time")
            case "":
                pass


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def cursor(self) -> int:
        return int(self.headers.get("last-event-id", 0))


Handler = Callable[[int, Request], Reply]


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, server: FakeServer, reply: Reply) -> None:
        self._server, self._reply = server, reply
        server.open += 1
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        yield from self._reply.pieces()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._reply.pieces():
            await asyncio.sleep(0)
            yield piece

    def close(self) -> None:
        if self._open:
            self._open, self._server.open = False, self._server.open - 1

    async def aclose(self) -> None:
        self.close()


class FakeServer(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers every request by a function of its number (from 0) and itself."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[Request] = []
        self.open = 0
        self._lock = threading.Lock()

    def _answer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        path = request.url.raw_path.decode("ascii")
        with self._lock:
            number = len(self.requests)
            seen = Request(request.method, path, dict(request.headers), body)
            self.requests.append(seen)
        reply = self.handler(number, seen)
        reply.head()
        return httpx.Response(reply.status, headers=dict(reply.headers), stream=_Body(self, reply))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._answer(request, request.read())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._answer(request, await request.aread())

    def blocking(self, **options: Any) -> Headwater:
        given = {"api_key": "hw_sk_test", "retry": RETRY, **options}
        if "token" in options:
            del given["api_key"]
        return Headwater("http://fake", http_client=httpx.Client(transport=self), **given)

    def awaiting(self, **options: Any) -> AsyncHeadwater:
        given = {"api_key": "hw_sk_test", "retry": RETRY, **options}
        if "token" in options:
            del given["api_key"]
        return AsyncHeadwater("http://fake", http_client=httpx.AsyncClient(transport=self), **given)


def on(mode: Mode, server: FakeServer, act: Callable[[Any], Any], **options: Any) -> Any:
    """What `act` gives with a client of either kind; what it gives may be awaitable, or a stream to be read."""
    if mode == "blocking":
        return act(server.blocking(**options))

    async def go() -> Any:
        found = act(server.awaiting(**options))
        return await found if hasattr(found, "__await__") else found

    return asyncio.run(go())


@dataclass
class Read:
    """What came of a stream."""

    items: list[StreamItem]
    error: HeadwaterError | None
    stream: Any

    @property
    def lines(self) -> list[str]:
        return [item.raw for item in self.items if isinstance(item, EventItem | HiddenItem)]


def read(mode: Mode, server: FakeServer, begin: Callable[[Any], Any], **options: Any) -> Read:
    """Reads a stream to its end or its error."""
    items: list[StreamItem] = []
    if mode == "blocking":
        stream = begin(server.blocking(**options))
        try:
            for item in stream:
                items.append(item)
        except HeadwaterError as error:
            return Read(items, error, stream)
        return Read(items, None, stream)

    async def go() -> Read:
        stream = begin(server.awaiting(**options))
        try:
            async for item in stream:
                items.append(item)
        except HeadwaterError as error:
            return Read(items, error, stream)
        return Read(items, None, stream)

    return asyncio.run(go())


class Log:
    """A recorded log, and what a server makes of it."""

    def __init__(self, name: str = "text") -> None:
        self.lines = (LOGS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        self.snapshot: dict[str, Any] = json.loads((LOGS / f"{name}.snapshot.json").read_text(encoding="utf-8"))
        self.run: str = self.snapshot["id"]

    def frame(self, seq: int) -> str:
        line = self.lines[seq - 1]
        return f"id: {seq:016}\nevent: {json.loads(line)['type']}\ndata: {line}\n\n"

    def frames(self, *seqs: int) -> str:
        return "".join(map(self.frame, seqs))

    def rest(self, after: int) -> str:
        """What a server says to who has read so far: the tail is known after the third event."""
        text = "retry: 0\n"
        for seq in range(after + 1, len(self.lines) + 1):
            text += self.frame(seq)
            if seq == 3:
                text += control("stream.caught_up", tail=3)
        return text + control("stream.closing", reason="done", retry_ms=None)


def control(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'v': 1, 'type': kind, **fields})}\n\n"


def stream(text: str, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        status,
        {"request-id": "req_x", "content-type": "text/event-stream; charset=utf-8", **named},
        text.encode("utf-8"),
    )


def ours(status: int, body: Any = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    text = b"" if body is None else json.dumps(body).encode()
    return Reply(status, {"request-id": "req_x", "content-type": "application/json", **named}, text)


def problem(status: int, code: str, *, retryable: bool = False, **headers: str) -> Reply:
    body = {
        "type": f"/docs/errors#{code}",
        "title": code,
        "status": status,
        "detail": "so it is",
        "code": code,
        "retryable": retryable,
        "fault": "caller",
        "request_id": "req_x",
        "errors": [],
    }
    return ours(status, body, **headers)


def edge(status: int, text: str = "<h1>edge</h1>") -> Reply:
    return Reply(status, {"content-type": "text/html"}, text.encode())
