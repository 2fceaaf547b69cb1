"""The promise of the product, seen from the client: drop the connection at any byte, and every event comes exactly
once, in order, byte for byte."""

from __future__ import annotations

import random
from typing import Any, Literal

import pytest

from fake import MODES, FakeServer, Log, Mode, Reply, read, stream

pytestmark = pytest.mark.parametrize("mode", MODES)
LOG = Log()
Ending = Literal["whole", "broken"]


@pytest.mark.parametrize("ends", ["whole", "broken"])
def test_a_stream_cut_at_every_byte(mode: Mode, ends: Ending) -> None:
    text = LOG.rest(0).encode()
    for at in range(len(text) + 1):

        def answer(number: int, request: Any, at: int = at) -> Reply:
            reply = stream(LOG.rest(request.cursor))
            if number == 0:
                reply.body, reply.ends = reply.body[:at], ends
            return reply

        server = FakeServer(answer)
        found = read(mode, server, lambda hw: hw.runs.stream(LOG.run, retry_ms=0))
        assert found.lines == LOG.lines, f"cut at {at}"
        assert len(server.requests) <= 2
        if len(server.requests) == 2:
            # Exactly what was whole is not asked for again.
            seen = text[:at].decode("utf-8", "ignore")
            last = max((seq for seq in range(1, len(LOG.lines) + 1) if LOG.frame(seq) in seen), default=0)
            assert server.requests[1].cursor == last, f"cut at {at}"
        assert (found.stream.stats.duplicates, found.stream.stats.gaps, server.open) == (0, 0, 0)


def test_a_created_run_cut_at_every_byte_is_one_run(mode: Mode) -> None:
    text = LOG.rest(0).encode()
    for at in range(-1, len(text) + 1):
        ends: Ending = "broken" if at % 2 else "whole"

        def answer(number: int, request: Any, at: int = at, ends: Ending = ends) -> Reply:
            post = request.method == "POST"
            reply = stream(LOG.rest(request.cursor), 201 if post else 200, location=f"/v1/runs/{LOG.run}")
            if number == 0:
                if at < 0:
                    return Reply(no_head="broken")
                reply.body, reply.ends = reply.body[:at], ends
            return reply

        server = FakeServer(answer)
        found = read(mode, server, lambda hw: hw.runs.create_and_stream(agent="assistant", input="hi", retry_ms=0))
        assert found.lines == LOG.lines, f"cut at {at}"
        assert found.stream.run == LOG.run
        first, *more = server.requests
        assert (first.method, first.path, first.headers["accept"]) == ("POST", "/v1/runs", "text/event-stream")
        assert len(first.headers["idempotency-key"]) == 36
        for second in more:
            assert second.method == ("POST" if at < 0 else "GET"), f"cut at {at}"
            if at < 0:
                assert second.headers["idempotency-key"] == first.headers["idempotency-key"]
                assert second.body == first.body


def test_a_run_without_location_is_known_by_its_first_event(mode: Mode) -> None:
    def answer(number: int, request: Any) -> Reply:
        # Nothing, then one event, then the rest.
        if number < 2:
            return stream("retry: 0\n" + (LOG.frames(1) if number else ""), 201)
        return stream(LOG.rest(request.cursor))

    server = FakeServer(answer)
    found = read(
        mode,
        server,
        lambda hw: hw.runs.create_and_stream(agent="assistant", input="hi", idempotency_key="mine", retry_ms=0),
    )
    assert found.lines == LOG.lines
    assert [(one.method, one.cursor) for one in server.requests] == [("POST", 0), ("POST", 0), ("GET", 1)]
    assert [one.headers.get("idempotency-key") for one in server.requests] == ["mine", "mine", None]
    assert server.requests[2].path == f"/v1/runs/{LOG.run}/events"


def test_every_connection_cut_at_random(mode: Mode) -> None:
    # The same cuts at every run of this test.
    chance = random.Random(7)

    def answer(_: int, request: Any) -> Reply:
        reply = stream(LOG.rest(request.cursor))
        reply.body = reply.body[: chance.randrange(900)]
        reply.ends = chance.choice(("whole", "broken"))
        reply.piece = chance.randrange(1, 200)
        return reply

    for _ in range(100):
        found = read(mode, FakeServer(answer), lambda hw: hw.runs.stream(LOG.run, retry_ms=0, attempts=1000))
        assert found.error is None
        assert found.lines == LOG.lines
