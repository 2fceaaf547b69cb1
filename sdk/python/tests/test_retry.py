"""What is repeated, and after how long."""

from __future__ import annotations

import pytest

from headwater import RetryPolicy
from headwater._core.problem import read_problem
from headwater._core.retry import FINAL, RENEW, RETRY, Next, doubled, jittered, retry_after, verdict
from headwater.types import Problem


def problem(status: int, code: str, retryable: bool = False) -> Problem:
    return Problem({"status": status, "code": code, "retryable": retryable})


def test_milliseconds_win_over_seconds() -> None:
    assert retry_after({"retry-after": "2", "retry-after-ms": "1250"}) == 1.25
    assert retry_after({"retry-after": "2"}) == 2
    for other in ("Fri, 21 Nov 2026 02:30:00 GMT", "-1", "1.5", "", "²"):
        assert retry_after({"retry-after": other}) is None


def test_what_is_repeated() -> None:
    assert all(verdict(status, None, {}) == RETRY for status in (404, 502, 503, 504))
    assert all(verdict(status, None, {}) == FINAL for status in (301, 400, 403, 500))
    for status, code, retryable in (
        (429, "rate_limited", True),
        (503, "draining", True),
        (409, "thread_busy", True),
        (409, "moon_phase", True),
    ):
        assert verdict(status, problem(status, code, retryable), {}) == RETRY
    for status, code, retryable in (
        (404, "not_found", False),
        (500, "internal", True),
        (409, "idempotency_mismatch", False),
        (401, "unauthenticated", False),
    ):
        assert verdict(status, problem(status, code, retryable), {}) == FINAL
    assert verdict(401, problem(401, "token_expired"), {}) == RENEW
    asked = verdict(503, problem(503, "overloaded"), {"retry-after": "3"})
    assert (asked.next, asked.asked) == (Next.RETRY, 3)


def test_pauses_are_bounded_and_never_shorter_than_asked() -> None:
    policy = RetryPolicy()
    assert [policy.pause(failed, None, 0) for failed in range(1, 5)] == [0.25, 0.5, 1, 2]
    assert RetryPolicy(attempts=20).pause(10, None, 0.999) == pytest.approx(8 * 1.4995)
    assert policy.pause(1, 3, 0) == 3
    assert policy.pause(1, 3, 0.5) == 3.75
    assert policy.pause(5, None, 0) is None
    assert policy.pause(1, 60, 0) == 60
    assert policy.pause(1, 61, 0) is None
    assert RetryPolicy.never().pause(1, None, 0) is None
    assert jittered(2, 0.5) == 2.5
    assert doubled(1, 10_000, 8) == 8


def test_a_code_of_a_later_release_goes_by_status_and_retryable() -> None:
    body = b'{"type":"/docs/errors#moon_phase","title":"Moon","status":409,"detail":"wait","code":"moon_phase"'
    later = read_problem(409, body + b',"retryable":true,"fault":"moon","request_id":null,"errors":[],"moon":"full"}')
    assert (later.status, later.retryable, later.code, later.fault) == (409, True, "moon_phase", "moon")
    assert (later.title, later.detail, later.extra) == ("Moon", "wait", {"moon": "full"})


def test_a_body_that_is_no_json_is_the_detail() -> None:
    for body, detail in ((b"down", "down"), (b"", ""), (b"[1]", "[1]"), (b"\xff", "\ufffd")):
        found = read_problem(503, body)
        assert (found.code, found.detail, found.status, found.errors) == ("unavailable", detail, 503, ())
    assert read_problem(418, b"{}").code == "invalid_request"
    # What is of another kind than it should be is not believed.
    assert read_problem(503, b'{"retryable":"no","code":7}').retryable is True
