"""Resets, gaps, pauses and endings, with both clients."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from fake import MODES, FakeServer, Log, Mode, Reply, control, edge, ours, problem, read, stream
from headwater import (
    CaughtUpItem,
    CredentialEndedError,
    DecodeError,
    EventItem,
    GaveUpError,
    ResetItem,
    StreamGapError,
    TransportError,
)
from headwater.types import RunCompletedEvent

pytestmark = pytest.mark.parametrize("mode", MODES)
LOG = Log()
AT_ONCE: dict[str, Any] = {"retry_ms": 0}


def whole(mode: Mode, server: FakeServer, *, client: dict[str, Any] | None = None, **options: Any) -> Any:
    return read(mode, server, lambda hw: hw.runs.stream(LOG.run, **{**AT_ONCE, **options}), **(client or {}))


def test_no_content_is_the_end(mode: Mode) -> None:
    server = FakeServer(lambda _, __: Reply(204, {"request-id": "req_x"}))
    found = whole(mode, server, after=8)
    assert (found.items, found.error) == ([], None)
    (request,) = server.requests
    assert (request.cursor, request.headers["accept"]) == (8, "text/event-stream")


def test_the_terminal_event_ends_it(mode: Mode) -> None:
    # What follows a terminal event is not for anybody.
    server = FakeServer(lambda _, __: stream(LOG.rest(0) + LOG.frames(1, 2)))
    found = whole(mode, server)
    assert found.lines == LOG.lines
    assert CaughtUpItem(3) in found.items
    last = found.items[-1]
    assert isinstance(last, EventItem)
    assert last.is_terminal
    assert isinstance(last.event, RunCompletedEvent)
    assert (last.event.result.finish_reason, server.open) == ("stop", 0)


def test_what_came_before_is_dropped(mode: Mode) -> None:
    def answer(number: int, _: Any) -> Reply:
        # The second time, a server that does not honour the cursor.
        return stream("retry: 0\n" + LOG.frames(1, 2, 2, 1, 3)) if number == 0 else stream(LOG.rest(0))

    found = whole(mode, FakeServer(answer))
    assert found.lines == LOG.lines
    stats = found.stream.stats
    assert (stats.duplicates, stats.connections, found.stream.cursor) == (5, 2, len(LOG.lines))


def test_a_gap_is_asked_for_once(mode: Mode) -> None:
    server = FakeServer(
        lambda number, request: (
            stream("retry: 0\n" + LOG.frames(1, 2, 4)) if number == 0 else stream(LOG.rest(request.cursor))
        )
    )
    found = whole(mode, server)
    assert found.lines == LOG.lines
    assert (server.requests[1].cursor, found.stream.stats.gaps) == (2, 1)

    # A try that fails in between changes nothing.
    server = FakeServer(lambda number, _: edge(502) if number == 1 else stream("retry: 0\n" + LOG.frames(1, 2, 4)))
    found = whole(mode, server)
    assert found.lines == LOG.lines[:2]
    assert isinstance(found.error, StreamGapError)
    assert (found.error.expected, found.error.got, len(server.requests)) == (3, 4, 3)
    assert server.open == 0


def test_a_compacted_log_has_gaps_by_right(mode: Mode) -> None:
    server = FakeServer(lambda _, __: stream(LOG.frames(1, 2, 7, 10), headwater_log="compacted"))
    found = whole(mode, server)
    assert found.lines == [LOG.lines[seq - 1] for seq in (1, 2, 7, 10)]
    assert len(server.requests) == 1


@pytest.mark.parametrize(("before", "reason"), [(2, "trimmed"), (100, "cursor_ahead")])
def test_a_reset_begins_anew_forwards_and_backwards(mode: Mode, before: int, reason: str) -> None:
    reset = control("stream.reset", reason=reason, as_of_seq=5, snapshot={**LOG.snapshot, "status": "running"})

    def answer(number: int, request: Any) -> Reply:
        return stream(f"retry: 0\nid: {5:016}\n{reset}") if number == 0 else stream(LOG.rest(request.cursor))

    server = FakeServer(answer)
    found = whole(mode, server, after=before)
    first, *_ = found.items
    assert isinstance(first, ResetItem)
    assert (first.reason, first.as_of_seq, first.snapshot.id) == (reason, 5, LOG.run)
    assert found.lines == LOG.lines[5:]
    assert [request.cursor for request in server.requests] == [before, 5]


def test_after_a_reset_seqs_may_jump(mode: Mode) -> None:
    reset = control("stream.reset", reason="trimmed", as_of_seq=5, snapshot=LOG.snapshot)
    server = FakeServer(lambda _, __: stream(f"retry: 0\nid: 5\n{reset}{LOG.frames(8, 10)}"))
    assert whole(mode, server, after=2).lines == [LOG.lines[7], LOG.lines[9]]


def test_now_becomes_a_place_as_soon_as_it_is_known(mode: Mode) -> None:
    def answer(number: int, request: Any) -> Reply:
        match number:
            case 0:
                return stream("retry: 0\n: nothing yet\n\n")
            case 1:
                return stream(control("stream.caught_up", tail=5))
            case _:
                return stream(LOG.rest(request.cursor))

    server = FakeServer(answer)
    assert whole(mode, server, after="now").lines == LOG.lines[5:]
    asked = [request.path.rsplit("/", 1)[1] for request in server.requests]
    assert asked == ["events?after=now", "events?after=now", "events"]
    assert server.requests[2].cursor == 5


def test_an_ended_credential_is_renewed_or_the_end(mode: Mode) -> None:
    closing = control("stream.closing", reason="auth", retry_ms=None)

    def answer(_: int, request: Any) -> Reply:
        match request.headers["authorization"]:
            case "Bearer t0":
                return stream(f"retry: 0\n{LOG.frames(1, 2)}{closing}")
            case "Bearer t1":
                # Expired before it was used: asked for again, once.
                return problem(401, "token_expired")
            case "Bearer t2":
                return stream(LOG.rest(request.cursor))
            case _:
                return stream(closing)

    numbers = count()
    found = whole(mode, FakeServer(answer), client={"token": lambda: f"t{next(numbers)}"})
    assert (found.lines, found.error, next(numbers)) == (LOG.lines, None, 3)
    found = whole(mode, FakeServer(answer))
    assert found.lines == []
    assert isinstance(found.error, CredentialEndedError)


def test_an_expired_token_that_stays_expired_is_an_error(mode: Mode) -> None:
    server = FakeServer(lambda _, __: problem(401, "token_expired"))
    found = whole(mode, server, client={"token": lambda: "stale"})
    assert found.error is not None
    assert (found.error.code, len(server.requests)) == ("token_expired", 2)


def test_each_connection_may_find_its_token_expired_once(mode: Mode) -> None:
    def answer(number: int, request: Any) -> Reply:
        # Every other request comes with a token that has expired since.
        if number % 2 == 0:
            return problem(401, "token_expired")
        return stream("retry: 0\n" + LOG.frames(request.cursor + 1))

    numbers = count()
    found = whole(mode, FakeServer(answer), client={"token": lambda: f"t{next(numbers)}"})
    assert (found.lines, found.error) == (LOG.lines, None)
    assert next(numbers) == len(LOG.lines) + 1


def test_the_beginning_needs_no_cursor(mode: Mode) -> None:
    server = FakeServer(lambda _, request: stream(LOG.rest(request.cursor)))
    assert whole(mode, server).lines == LOG.lines
    assert "last-event-id" not in server.requests[0].headers


def test_refusals_and_edges_before_a_stream(mode: Mode) -> None:
    replies = [
        edge(502),
        edge(404),
        edge(200, "<h1>waking up</h1>"),
        problem(503, "draining", retry_after_ms="0"),
        problem(429, "too_many_streams", retry_after_ms="0"),
        Reply(no_head="unreachable"),
        Reply(no_head="slow"),
        Reply(no_head="silent"),
    ]
    server = FakeServer(
        lambda number, request: replies[number] if number < len(replies) else stream(LOG.rest(request.cursor))
    )
    found = whole(mode, server)
    assert found.lines == LOG.lines
    assert (len(server.requests), found.stream.stats.connections, server.open) == (len(replies) + 1, 1, 0)


@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (400, "invalid_cursor"), (401, "unauthenticated")])
def test_plain_refusals_end_it(mode: Mode, status: int, code: str) -> None:
    server = FakeServer(lambda _, __: problem(status, code))
    found = whole(mode, server)
    assert found.error is not None
    assert (found.error.code, len(server.requests), server.open) == (code, 1, 0)


def test_an_answer_of_ours_that_is_no_stream(mode: Mode) -> None:
    server = FakeServer(lambda _, __: ours(200, {}))
    assert isinstance(whole(mode, server).error, DecodeError)
    assert (len(server.requests), server.open) == (1, 0)


def test_without_progress_it_gives_up_and_progress_begins_the_count_anew(mode: Mode) -> None:
    def answer(number: int, request: Any) -> Reply:
        # Two cuts in vain, then an event, and so on.
        return stream("retry: 0\n" + (LOG.frames(request.cursor + 1) if number % 3 == 2 else ""))

    assert whole(mode, FakeServer(answer), attempts=3).lines == LOG.lines
    server = FakeServer(lambda _, __: stream(""))
    found = whole(mode, server, attempts=3)
    assert isinstance(found.error, GaveUpError)
    assert isinstance(found.error.last, TransportError)
    assert (found.error.attempts, len(server.requests)) == (3, 4)


def test_a_suspended_run_is_waited_for_as_long_as_it_takes(mode: Mode) -> None:
    suspended = json.dumps(
        {"v": 1, "seq": 1, "run": LOG.run, "type": "run.suspended", "reason": "approval", "pending": []}
    )

    def answer(number: int, request: Any) -> Reply:
        if number == 0:
            closing = control("stream.closing", reason="suspended", retry_ms=0)
            return stream(f"retry: 0\nid: 1\nevent: run.suspended\ndata: {suspended}\n\n{closing}")
        return stream("retry: 0\n: suspended\n\n") if number < 30 else stream(LOG.rest(request.cursor))

    server = FakeServer(answer)
    found = whole(mode, server, attempts=2)
    assert (found.error, found.lines) == (None, [suspended, *LOG.lines[1:]])
    assert len(server.requests) == 31


def test_a_replica_that_goes_says_so(mode: Mode) -> None:
    def answer(number: int, request: Any) -> Reply:
        if number < 7:
            closing = control("stream.closing", reason="max_age" if number % 2 else "drain", retry_ms=0)
            return stream(LOG.frames(request.cursor + 1) + closing)
        return stream(LOG.rest(request.cursor))

    # The pause is the closing's own; without it this test would take minutes.
    found = whole(mode, FakeServer(answer), retry_ms=60_000)
    assert found.lines == LOG.lines
    assert found.stream.stats.connections == 8


def test_silence_is_a_cut(mode: Mode) -> None:
    def answer(number: int, request: Any) -> Reply:
        if number < 2:
            reply = stream("retry: 0\n" + (LOG.frames(1, 2) if number == 0 else ": hb\n\n"))
            reply.ends = "silent"
            return reply
        return stream(LOG.rest(request.cursor))

    server = FakeServer(answer)
    assert whole(mode, server).lines == LOG.lines
    assert (server.requests[1].cursor, server.open) == (2, 0)


@pytest.mark.parametrize(
    "body",
    [
        "id: -1\nevent: x\ndata: {}\n\n",
        "event: stream.closing\ndata: {\n\n",
        "event: stream.caught_up\ndata: {}\n\n",
        "event: stream.closing\ndata: []\n\n",
        'id: 3\nevent: stream.reset\ndata: {"reason":"trimmed"}\n\n',
        "id: 1\ndata: " + "x" * 1024 * 1024,
    ],
    ids=["id", "half", "no-tail", "no-object", "no-snapshot", "large"],
)
def test_what_a_server_of_ours_never_sends_is_an_error(mode: Mode, body: str) -> None:
    server = FakeServer(lambda _, __: stream(body))
    assert isinstance(whole(mode, server).error, DecodeError)
    assert (len(server.requests), server.open) == (1, 0)


def test_events_of_a_later_release_pass(mode: Mode) -> None:
    later = json.dumps({"v": 1, "seq": 1, "ts": "", "run": LOG.run, "type": "moon.phase", "phase": "full"})
    server = FakeServer(
        lambda _, request: stream(f"retry: 0\nid: 1\nevent: moon.phase\ndata: {later}\n\n" + LOG.rest(1))
    )
    found = whole(mode, server)
    first = found.items[0]
    assert isinstance(first, EventItem)
    assert (first.type, first.event.type, first.event.extra) == ("moon.phase", "moon.phase", {"phase": "full"})
    assert found.lines == [later, *LOG.lines[1:]]
