"""When to try again, and after how long.

Promises never to come back earlier than the server asked, and never to repeat what was plainly refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .problem import Problem


@dataclass(frozen=True)
class RetryPolicy:
    """How calls are repeated. Streams take `base_ms` from here and have a bound of their own (`attempts`)."""

    attempts: int = 5
    """Tries in all, the first one included. 1 is no retry."""
    base_ms: float = 250
    """The first pause where the server names none; it doubles each time."""
    cap_ms: float = 8_000
    """The longest pause of one's own."""
    patience_ms: float = 60_000
    """A call whose answer asks for a longer pause than this ends with that answer."""

    @classmethod
    def never(cls) -> RetryPolicy:
        """Every call is tried once."""
        return cls(attempts=1)

    def pause(self, failed: int, asked: float | None, unit: float) -> float | None:
        """The pause in seconds after so many failed tries (from 1), or `None` when it is time to stop.

        `asked` is what the server asks for, in seconds; `unit` is a random number in 0..1.
        """
        if failed >= self.attempts or (asked is not None and asked > self.patience_ms / 1000):
            return None
        own = doubled(self.base_ms / 1000, failed - 1, self.cap_ms / 1000)
        return jittered(own if asked is None else asked, unit)


class Next(Enum):
    """What a failed try means for the next one."""

    FINAL = "final"
    """Repeating changes nothing."""
    RETRY = "retry"
    """Worth another try."""
    RENEW = "renew"
    """Worth another try with another token."""


@dataclass(frozen=True)
class Verdict:
    """What a failed try means."""

    next: Next
    asked: float | None = None
    """With `RETRY`: not before so many seconds."""


FINAL = Verdict(Next.FINAL)
RETRY = Verdict(Next.RETRY)
RENEW = Verdict(Next.RENEW)


def verdict(status: int, problem: Problem | None, headers: Mapping[str, str]) -> Verdict:
    """What an answer that is no success means. `problem` is there when the answer is Headwater's own."""
    again = Verdict(Next.RETRY, retry_after(headers))
    if problem is None:
        # An edge: a cold start, a deploy, a replica that has just gone.
        return again if status in (404, 502, 503, 504) else FINAL
    if status in (429, 503) or (status == 409 and problem.retryable):
        return again
    return RENEW if status == 401 and problem.code == "token_expired" else FINAL


def retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After-Ms`, then `Retry-After` in seconds; dates are not understood. In seconds."""
    for name, scale in (("retry-after-ms", 1000), ("retry-after", 1)):
        value = headers.get(name, "").strip()
        if value.isascii() and value.isdigit():
            return int(value) / scale
    return None


def doubled(base: float, times: int, cap: float) -> float:
    """`base` doubled so many times, at most `cap`."""
    return float(min(base * 2 ** min(times, 64), cap))


def jittered(wait: float, unit: float) -> float:
    """Between once and one and a half times `wait`: later than asked, never earlier. `unit` is in 0..1."""
    return wait + wait * unit / 2
