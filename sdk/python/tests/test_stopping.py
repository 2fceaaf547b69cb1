"""Whoever stops reading lets go of the connection at once, and may read on later."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from fake import RETRY, FakeServer, Log, Reply, stream
from headwater import AsyncHeadwater, EventItem

LOG = Log()


def server() -> FakeServer:
    def answer(_: int, request: Any) -> Reply:
        reply = stream(LOG.rest(request.cursor))
        reply.piece = 100
        return reply

    return FakeServer(answer)


def seqs(items: list[Any]) -> list[int]:
    return [item.seq for item in items if hasattr(item, "seq")]


def test_leaving_the_loop_closes_and_iterating_again_goes_on() -> None:
    fake = server()
    reader = fake.blocking().runs.stream(LOG.run, retry_ms=0)
    seen = []
    for item in reader:
        seen.append(item)
        if len(seen) == 2:
            assert fake.open == 1
            break
    assert (fake.open, reader.cursor) == (0, 2)
    seen += list(reader)
    assert seqs(seen) == list(range(1, len(LOG.lines) + 1))
    assert [request.cursor for request in fake.requests] == [0, 2]
    assert list(reader) == []
    assert len(fake.requests) == 2, "a run that is over is not asked for again"


def test_leaving_the_block_closes() -> None:
    fake = server()
    with fake.blocking().runs.stream(LOG.run, retry_ms=0) as reader:
        kept = iter(reader)
        next(kept)
        assert fake.open == 1
    assert fake.open == 0
    assert list(kept) == []
    with fake.blocking().runs.stream(LOG.run, retry_ms=0) as reader:
        for text in reader.text_deltas():
            assert text
            break
        assert fake.open == 0
        assert reader.until_done().is_over


def test_an_error_of_the_reader_closes() -> None:
    fake = server()
    with contextlib.suppress(ZeroDivisionError), fake.blocking().runs.stream(LOG.run) as reader:
        for event in reader.events():
            assert event.seq == 1
            _ = 1 / 0
    assert (fake.open, len(fake.requests)) == (0, 1)


def test_a_second_reader_of_one_stream_takes_over() -> None:
    fake = server()
    reader = fake.blocking().runs.stream(LOG.run, retry_ms=0)
    first = iter(reader)
    next(first)
    second = iter(reader)
    assert fake.open == 0
    assert seqs(list(second))[0] == 2
    assert list(first) == []


def test_nothing_is_sent_before_it_is_read() -> None:
    fake = server()
    hw = fake.blocking()
    hw.runs.create_and_stream(agent="assistant", input="hi")
    iter(hw.runs.stream(LOG.run))
    iter(hw.runs.list())
    assert fake.requests == []


async def test_leaving_the_loop_closes_too_when_it_awaits() -> None:
    fake = server()
    reader = fake.awaiting().runs.stream(LOG.run, retry_ms=0)
    seen = []
    async for item in reader:
        seen.append(item)
        if len(seen) == 2:
            break
    await reader.close()
    gc.collect()
    for _ in range(5):
        # The loop closes what was left behind as its next thing to do.
        await asyncio.sleep(0)
    assert (fake.open, reader.cursor) == (0, 2)
    seen += [item async for item in reader]
    assert seqs(seen) == list(range(1, len(LOG.lines) + 1))
    assert [request.cursor for request in fake.requests] == [0, 2]


async def test_leaving_the_block_closes_when_it_awaits() -> None:
    fake = server()
    async with fake.awaiting().runs.stream(LOG.run, retry_ms=0) as reader:
        kept = aiter(reader)
        await anext(kept)
        assert fake.open == 1
    assert fake.open == 0
    async with fake.awaiting().runs.stream(LOG.run, retry_ms=0) as reader:
        deltas = reader.text_deltas()
        assert await anext(deltas)
        await deltas.aclose()
        assert fake.open == 0
        assert (await reader.until_done()).is_over


async def test_a_cancelled_task_closes() -> None:
    waiting, closed = asyncio.Event(), asyncio.Event()

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield LOG.frames(1).encode()
            waiting.set()
            await asyncio.Event().wait()

        async def aclose(self) -> None:
            closed.set()

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Endless())

    hw = AsyncHeadwater(
        "http://fake",
        api_key="hw_sk_test",
        retry=RETRY,
        http_client=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
    )
    seen: list[int] = []

    async def follow() -> None:
        async for item in hw.runs.stream(LOG.run):
            assert isinstance(item, EventItem)
            seen.append(item.seq)

    task = asyncio.create_task(follow())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (seen, closed.is_set()) == ([1], True)


def test_an_interrupt_closes() -> None:
    class Interrupted(httpx.SyncByteStream):
        closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield LOG.frames(1).encode()
            raise KeyboardInterrupt

        def close(self) -> None:
            self.closed = True

    body = Interrupted()

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)

    fake = server().blocking()
    fake._api.http = httpx.Client(transport=httpx.MockTransport(answer))
    reader = fake.runs.stream(LOG.run)
    with pytest.raises(KeyboardInterrupt):
        list(reader)
    assert (body.closed, reader.cursor) == (True, 1)
