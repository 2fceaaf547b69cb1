"""How a driver goes through a flow, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

from ..errors import HeadwaterError
from .commands import Command, Flow, T


@dataclass(frozen=True)
class Outcome:
    """What came of a command."""

    value: Any = None
    error: HeadwaterError | None = None


@dataclass(frozen=True)
class Done(Generic[T]):
    """The flow has come to its end, with this."""

    value: T


NOTHING = Outcome()


def advance(flow: Flow[T], outcome: Outcome) -> Command | Done[T]:
    """Tells a flow what came of its last command, and gives its next one."""
    try:
        return flow.send(outcome.value) if outcome.error is None else flow.throw(outcome.error)
    except StopIteration as stop:
        return Done(stop.value)
