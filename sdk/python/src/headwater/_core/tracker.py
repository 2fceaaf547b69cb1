"""The rules of resuming: what a frame means at this cursor, and what the end of a connection means.

Promises that each event passes once and in order: what is at or before the cursor is dropped, what is beyond the next
one is never passed on (but for a compacted log, and right after a `stream.reset`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeAlias

from .._model import ApiObject
from ..errors import ConfigError, CredentialEndedError, DecodeError, GaveUpError, StreamGapError, TransportError
from ..errors import HeadwaterError as Error
from ..items import CaughtUpItem, EventItem, HiddenItem, ResetItem, StreamItem, StreamStats, is_terminal
from ..types import RunSnapshot
from .retry import doubled, jittered
from .sse import Frame

_PARKED = 30.0
"""A pause of this much, asked for by a comment alone, means that the run waits for a person; overload asks for less."""
_CAP = 30.0
"""The longest pause between reconnects of one's own choice."""
_DAY = 86_400.0
"""Longer than any run may be worth waiting for without asking again."""

_RUN = re.compile(r"run_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RUN_OF_EVENT = re.compile(rf'"run":"({_RUN.pattern})"')

Cursor: TypeAlias = int | Literal["now"]
"""Strictly after which event to read; `"now"` until that is known."""


@dataclass(frozen=True)
class StreamOptions:
    """How a stream begins, and how long it keeps trying."""

    after: Cursor = 0
    attempts: int = 10
    retry_ms: int = 2_000
    idle_ms: int = 45_000

    def __post_init__(self) -> None:
        if self.after != "now" and (isinstance(self.after, str) or self.after < 0):
            raise ConfigError('a stream begins after an event\'s seq (0 is the beginning) or at "now"')


class Why(Enum):
    """Why a connection ended."""

    BROKEN = "broken"
    """It broke, or could not be made; the server may have asked for a pause."""
    EOF = "eof"
    """Its bytes ended as they should, without the run's end."""
    CLOSING = "closing"
    """`stream.closing` of the replica's own making."""
    SUSPENDED = "suspended"
    """`stream.closing{suspended}`."""
    AUTH = "auth"
    """`stream.closing{auth}`: the token has to be renewed."""
    GAP = "gap"
    """Events were missing."""


@dataclass(frozen=True)
class Leave:
    """This connection is over."""

    why: Why
    error: Error
    pause: float | None = None
    """Seconds that the server asks for."""


@dataclass(frozen=True)
class Yield:
    """Give this to the caller; if it is `last`, the run is over."""

    item: StreamItem
    last: bool = False


class End(Enum):
    """The stream is over."""

    END = "end"


Step: TypeAlias = Yield | Leave | End | None
"""What to do with a frame; `None` is nothing."""


def run_of_location(location: str | None) -> str | None:
    """The run that a `Location` header names."""
    last = (location or "").rsplit("/", 1)[-1]
    return last if _RUN.fullmatch(last) else None


def cut() -> TransportError:
    """The error of a connection that ended before its run did."""
    return TransportError("the connection ended before the run did")


class Tracker:
    """Where a stream stands."""

    def __init__(self, run: str | None, options: StreamOptions, base: float = 0.25) -> None:
        self.cursor: Cursor = options.after
        self.run = run
        self.stats: StreamStats = StreamStats()
        self.over: bool = False
        """Whether everything of the run was read."""
        self._attempts = options.attempts
        self.idle: float = options.idle_ms / 1000
        """How long a connection may be silent, in seconds."""
        self._base = base
        self._retry = options.retry_ms / 1000
        """The pause the server named last."""
        self._failures = 0
        """Reconnects since something new came."""
        self._gap_at: int | None = None
        """The cursor at which a gap was seen."""
        self._suspended = False
        """Whether the run is suspended, as far as its log was read."""
        self._sparse = False
        """Of this connection: seqs may jump."""
        self._asked = False
        """Of this connection: a `retry:` came without an event."""

    def begin(self) -> None:
        """Somebody begins to read, or to read on."""
        self._progress()

    def connected(self, run: str | None, compacted: bool) -> None:
        """A connection stands."""
        self.stats.connections += 1
        self.run = self.run or run
        self._sparse, self._asked = compacted, False

    def on_retry(self, ms: int, with_event: bool) -> None:
        """The server named a pause."""
        self._retry = min(ms / 1000, _DAY)
        self._asked = self._asked or not with_event

    def on_frame(self, frame: Frame) -> Step:
        """Takes one frame. Raises `StreamGapError` and `DecodeError`: the stream is over, and not as it should be."""
        before = self._retry
        if frame.retry is not None:
            self.on_retry(frame.retry, frame.data is not None)
        if frame.data is None:
            return None
        if frame.id is None:
            step = self._on_control(frame.event, frame.data)
        elif frame.event == "stream.reset":
            step = self._on_reset(frame.id, frame.data)
        else:
            step = self._on_event(frame.id, frame.event, frame.data)
        if isinstance(step, Leave) and step.why is Why.SUSPENDED:
            # That pause is for this once: an edge that answers first when a service wakes is asked again soon.
            self._retry = before
        return step

    def _on_event(self, seq: int, kind: str, raw: str) -> Step:
        if self.cursor != "now":
            if seq <= self.cursor:
                self.stats.duplicates += 1
                return None
            if seq != self.cursor + 1 and not self._sparse:
                self.stats.gaps += 1
                again, self._gap_at = self._gap_at == self.cursor, self.cursor
                if again:
                    raise StreamGapError(self.cursor + 1, seq)
                return Leave(Why.GAP, cut())
        self.cursor = seq
        self._suspended = kind == "run.suspended"
        self._progress()
        if self.run is None and (found := _RUN_OF_EVENT.search(raw)):
            self.run = found[1]
        if kind == "hidden":
            return Yield(HiddenItem(seq, raw))
        last = is_terminal(kind)
        self.over = self.over or last
        return Yield(EventItem(seq, kind, raw), last)

    def _on_reset(self, id_: int, data: str) -> Step:
        fields = _read("stream.reset", data, reason=str, as_of_seq=int, snapshot=dict)
        if self.cursor != id_:
            self._progress()
        self.cursor, self._sparse = id_, True
        snapshot = ApiObject.of(RunSnapshot, fields["snapshot"])
        named = fields["snapshot"].get("id")
        self.run = self.run or (named if isinstance(named, str) and _RUN.fullmatch(named) else None)
        return Yield(ResetItem(fields["reason"], fields["as_of_seq"], snapshot))

    def _on_control(self, kind: str, data: str) -> Step:
        """Frames that are not in the log. None of them moves the cursor."""
        if kind == "stream.caught_up":
            tail = _read(kind, data, tail=int)["tail"]
            if self.cursor == "now":
                # "Now" has become a place: what happens during a cut must not be skipped.
                self.cursor = tail
            return Yield(CaughtUpItem(tail))
        if kind != "stream.closing":
            return None
        fields = _read(kind, data, reason=str)
        ms = fields.get("retry_ms")
        if not (ms is None or (isinstance(ms, int) and not isinstance(ms, bool) and ms >= 0)):
            raise DecodeError(kind, "retry_ms is no number")
        pause = None if ms is None else ms / 1000
        match fields["reason"]:
            case "done":
                self.over = True
                return End.END
            case "auth":
                return Leave(Why.AUTH, CredentialEndedError())
            case "suspended":
                return Leave(Why.SUSPENDED, cut(), pause)
            case _:
                return Leave(Why.CLOSING, cut(), pause)

    def _progress(self) -> None:
        self._failures, self._gap_at = 0, None

    def on_leave(self, leave: Leave, lived: float, unit: float) -> float:
        """How many seconds to wait before the next connection; raises `GaveUpError` when there is none.

        `lived` is how long this connection was heard of, in seconds; `unit` is a random number in 0..1.
        """
        if lived >= self.idle:
            # It was alive all that time, heartbeats and all: a run may be silent for hours.
            self._failures = 0
        parked = self._asked and (self._suspended or self._retry >= _PARKED)
        pause = leave.pause
        if leave.why is Why.SUSPENDED:
            pause = _PARKED if pause is None else pause
        elif leave.why is Why.AUTH:
            pause = 0.0
        if leave.why is not Why.SUSPENDED and not (leave.why is Why.EOF and parked):
            if self._failures >= self._attempts:
                raise GaveUpError(self._failures, leave.error)
            self._failures += 1
        own = self._retry
        if self._failures > 1:
            own = doubled(max(self._retry, self._base), self._failures - 2, max(_CAP, self._retry))
        # What the server asks for is a floor; one's own patience grows above it.
        if pause is not None:
            own = pause if self._failures <= 1 else max(pause, own)
        return jittered(own, unit)


def _read(what: str, data: str, **kinds: type) -> dict[str, Any]:
    """A control frame's JSON, with the fields that it must have."""
    try:
        fields: Any = json.loads(data)
    except ValueError as error:
        raise DecodeError(what, str(error)) from None
    if not isinstance(fields, dict):
        raise DecodeError(what, "it is no JSON object")
    for name, kind in kinds.items():
        value = fields.get(name)
        if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
            raise DecodeError(what, f"{name} is missing or of another kind")
    return fields
