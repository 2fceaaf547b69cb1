"""What a stream yields: events, places of hidden events, and two kinds of word about the stream itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal, TypeAlias

from ._model import ApiObject
from .errors import DecodeError
from .types import Event, RunSnapshot

__all__ = ["CaughtUpItem", "EventItem", "HiddenItem", "ResetItem", "StreamItem", "StreamStats", "is_terminal"]


@dataclass(frozen=True)
class EventItem:
    """An event of the run's log, as it came over the wire: one line of JSON, parsed only if asked."""

    seq: int
    """Its position in the run's log, dense from 1."""
    type: str
    """Its type, such as `message.delta`."""
    raw: str = field(repr=False)
    """Its JSON, byte for byte as the server wrote it."""
    kind: ClassVar[Literal["event"]] = "event"

    @cached_property
    def event(self) -> Event:
        """The event. One of a later release is a plain `Event`. Raises `DecodeError` if it cannot be read."""
        try:
            return ApiObject.of(Event, json.loads(self.raw))
        except (ValueError, TypeError) as error:
            raise DecodeError("an event", str(error)) from None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows it."""
        return is_terminal(self.type)


@dataclass(frozen=True)
class HiddenItem:
    """An event that this reader may not see: its place in the order, and nothing else."""

    seq: int
    """Its position in the run's log."""
    raw: str = field(repr=False)
    """Its JSON, byte for byte as the server wrote it."""
    kind: ClassVar[Literal["hidden"]] = "hidden"


@dataclass(frozen=True)
class CaughtUpItem:
    """Everything that was in the log is read; what follows is live. Once per connection."""

    tail: int
    """The last event of the log at that moment."""
    kind: ClassVar[Literal["caught_up"]] = "caught_up"


@dataclass(frozen=True)
class ResetItem:
    """The cursor was older than what is kept, or ahead of the log: begin anew from this snapshot."""

    reason: str
    """`trimmed` or `cursor_ahead`."""
    as_of_seq: int
    """The snapshot holds everything up to this event; the stream goes on after it."""
    snapshot: RunSnapshot
    """The run, as of then."""
    kind: ClassVar[Literal["reset"]] = "reset"


StreamItem: TypeAlias = EventItem | HiddenItem | CaughtUpItem | ResetItem
"""One thing a stream tells. Tell them apart with `isinstance`, `match` or `kind`."""


@dataclass
class StreamStats:
    """What a stream has been through; for load tests and the curious."""

    connections: int = 0
    """Connections that were answered with a stream."""
    duplicates: int = 0
    """Events that came again and were dropped."""
    gaps: int = 0
    """Gaps that a reconnect had to fill."""
    bytes: int = 0
    """Bytes of all bodies."""


def is_terminal(type: str) -> bool:
    """Whether an event of this type ends its run."""
    return type in ("run.completed", "run.failed", "run.cancelled")
