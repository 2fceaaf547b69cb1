"""The rules of pauses and cursors, without any connection."""

from __future__ import annotations

import pytest

from headwater import CaughtUpItem, ConfigError, GaveUpError
from headwater._core.sse import Frame
from headwater._core.tracker import Leave, StreamOptions, Tracker, Why, Yield, cut, run_of_location

RUN = "run_01a22222-fa44-7607-8ff4-ce40f77d09b8"


def tracker() -> Tracker:
    return Tracker(None, StreamOptions(), 0.25)


def event(seq: int, kind: str) -> Frame:
    return Frame(seq, kind, "{}")


def closing(data: str) -> Frame:
    return Frame(event="stream.closing", data=data)


def leave_of(step: object) -> Leave:
    assert isinstance(step, Leave)
    return step


EOF = Leave(Why.EOF, cut())


def test_pauses_grow_from_what_the_server_says() -> None:
    one = tracker()
    one.on_retry(1000, True)
    assert [one.on_leave(EOF, 0, 0) for _ in range(10)] == [1, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    with pytest.raises(GaveUpError) as caught:
        one.on_leave(EOF, 0, 0)
    assert caught.value.attempts == 10
    assert isinstance(one.on_frame(event(1, "message.delta")), Yield)
    assert one.on_leave(EOF, 0, 0.5) == 1.25


def test_the_pause_asked_for_is_a_floor() -> None:
    one = tracker()
    asked = Leave(Why.BROKEN, cut(), 5)
    assert [one.on_leave(asked, 0, 0) for _ in range(5)] == [5, 5, 5, 8, 16]
    leave = leave_of(one.on_frame(closing('{"reason":"suspended","retry_ms":30000}')))
    assert one.on_leave(leave, 0, 0) == 30


def test_the_pause_of_a_suspension_is_for_this_once() -> None:
    one = tracker()
    frame = Frame(event="stream.closing", data='{"reason":"suspended","retry_ms":600000}', retry=600_000)
    assert one.on_leave(leave_of(one.on_frame(frame)), 0, 0) == 600
    # An edge that answers first when the service wakes is asked again as soon as ever.
    assert one.on_leave(Leave(Why.BROKEN, cut()), 0, 0) == 2


def test_suspensions_are_no_failures() -> None:
    one = tracker()
    for _ in range(100):
        one.connected(None, False)
        leave = leave_of(one.on_frame(closing('{"reason":"suspended","retry_ms":1000}')))
        assert one.on_leave(leave, 0, 0) == 1


def test_a_suspension_that_names_no_pause() -> None:
    one = tracker()
    assert one.on_leave(leave_of(one.on_frame(closing('{"reason":"suspended"}'))), 0, 0) == 30


def test_a_person_may_take_days() -> None:
    one = tracker()
    for _ in range(100):
        # What a suspended run answers where quiet is on: no event, no closing, half a minute.
        one.connected(None, False)
        one.on_frame(Frame(retry=30_000))
        assert one.on_leave(EOF, 0, 0) == 30
    # Overload asks for less, and is not waited for without end.
    for _ in range(10):
        one.connected(None, False)
        one.on_frame(Frame(retry=5_000))
        one.on_leave(EOF, 0, 0)
    with pytest.raises(GaveUpError):
        one.on_leave(EOF, 0, 0)


def test_a_connection_that_was_alive_for_long_is_no_failure() -> None:
    one = tracker()
    for _ in range(100):
        one.connected(None, False)
        leave = leave_of(one.on_frame(closing('{"reason":"max_age","retry_ms":100}')))
        assert one.on_leave(leave, 600, 0) == 0.1


def test_frames_without_an_id_never_move_the_cursor() -> None:
    one = tracker()
    one.on_frame(event(1, "run.queued"))
    for kind in ("stream.caught_up", "stream.later", "message.delta", ""):
        step = one.on_frame(Frame(event=kind, data='{"seq":9,"tail":9}'))
        assert step is None or step == Yield(CaughtUpItem(9))
        assert one.cursor == 1


def test_a_day_is_the_longest_pause() -> None:
    one = tracker()
    one.on_retry(10**15, True)
    assert one.on_leave(EOF, 0, 0) == 86_400


def test_where_a_stream_may_begin() -> None:
    assert StreamOptions("now").after == "now"
    for wrong in (-1, "later"):
        with pytest.raises(ConfigError):
            StreamOptions(wrong)  # type: ignore[arg-type]


def test_runs_by_their_location() -> None:
    assert run_of_location(f"/v1/runs/{RUN}") == RUN
    assert run_of_location(f"https://h/x/v1/runs/{RUN}") == RUN
    for other in (None, "", "/v1/runs/", "/v1/threads/thr_x", f"/v1/runs/{RUN}/events"):
        assert run_of_location(other) is None
