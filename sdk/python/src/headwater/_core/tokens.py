"""Credentials, without asking for them: which token stands, and whether it is the stale one."""

from __future__ import annotations

from ..errors import TokenError
from .calls import bearer
from .commands import Token


class Tokens:
    """A fixed credential, or the last token that a callback gave.

    The drivers hold a lock while they ask the callback: that is what makes it one question, however many calls and
    streams find out at once that a token has ended.
    """

    def __init__(self, fixed: str | None) -> None:
        self._current = None if fixed is None else Token(bearer(fixed))
        self._fixed = fixed is not None

    @property
    def current(self) -> Token | None:
        """The token to send, if there is one already."""
        return self._current

    def is_stale(self, stale: Token | None) -> bool:
        """Whether the callback has to be asked: nobody has renewed this token yet."""
        if self._fixed:
            return False
        return self._current is None or (stale is not None and self._current.generation == stale.generation)

    def put(self, secret: object) -> Token:
        """Keeps what the callback gave."""
        if not isinstance(secret, str):
            raise TokenError("the token callback has to give a string")
        generation = 0 if self._current is None else self._current.generation + 1
        self._current = Token(bearer(secret), generation, renewable=True)
        return self._current
