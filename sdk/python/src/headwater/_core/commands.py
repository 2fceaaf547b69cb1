"""What the rules ask of a driver.

A rule is a generator (`Flow`): it yields a command, and is sent what came of it, or has an error thrown into it. There
are two drivers, one that blocks and one that awaits; everything else is here once.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Token:
    """A credential with its number: the number tells whether somebody else has renewed it already."""

    header: str = field(repr=False)
    generation: int = 0
    renewable: bool = False
    """Whether there is a callback to ask for another one."""


@dataclass(frozen=True)
class Request:
    """A request as it goes over the wire."""

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Head:
    """The head of an answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True)
class GetToken:
    """Gives the `Token` to send, or `None`. A callback that fails is a `TokenError`."""


@dataclass(frozen=True)
class RenewToken:
    """Renews this token, unless that has happened already. Gives nothing."""

    stale: Token


@dataclass(frozen=True)
class Sleep:
    """Waits so many seconds. Gives nothing."""

    seconds: float


@dataclass(frozen=True)
class Send:
    """Sends a request and gives the `Head` of its answer; the one before is closed.

    Fails with `TransportError`, and with `TimedOutError` if the head is not there after `timeout` seconds.
    """

    request: Request
    timeout: float


@dataclass(frozen=True)
class Read:
    """Gives the next bytes of the answer's body, or `None` at its end. Fails as `Send` does."""

    timeout: float


@dataclass(frozen=True)
class Close:
    """Lets go of the answer, and of its connection if the body was not read to its end. Gives nothing."""


@dataclass(frozen=True)
class Emit:
    """Hands an item to the caller. Gives nothing. Only streams do this."""

    item: Any


Command: TypeAlias = "GetToken | RenewToken | Sleep | Send | Read | Close | Emit"
Flow: TypeAlias = Generator[Command, Any, T]
