"""Everything that can go wrong.

Every error of the SDK is a `HeadwaterError`. None of them shows a credential, nor the URL of a request (which may hold
one).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .types import ErrorCode, FieldError, Problem

__all__ = [
    "ApiError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigError",
    "ConflictError",
    "CredentialEndedError",
    "DecodeError",
    "EdgeError",
    "GaveUpError",
    "GoneError",
    "HeadwaterError",
    "InvalidValueError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitedError",
    "ServerError",
    "StreamGapError",
    "TimedOutError",
    "TokenError",
    "TransportError",
    "WebhookVerificationError",
]


class HeadwaterError(Exception):
    """Why a call or a stream failed."""

    @property
    def problem(self) -> Problem | None:
        """What Headwater says about it, where Headwater has answered; also that of the last try of `GaveUpError`."""
        return None

    @property
    def code(self) -> ErrorCode | None:
        """The stable name of the error, where Headwater gave one. Codes of later releases are kept as they are."""
        return self.problem.code if self.problem is not None else None


class ApiError(HeadwaterError):
    """Headwater refused. The subclasses tell the usual statuses apart."""

    def __init__(self, status: int, problem: Problem, request_id: str | None) -> None:
        detail = f": {problem.detail}" if problem.detail else ""
        super().__init__(f"{problem.title}{detail} (status {status}, code {problem.code}, request {request_id})")
        self.status = status
        self._problem = problem
        self.request_id = request_id
        """The `Request-Id` of the answer."""

    @property
    def problem(self) -> Problem:
        """What Headwater says about it."""
        return self._problem

    @property
    def code(self) -> ErrorCode:
        """The stable name of the error."""
        return self._problem.code

    @property
    def title(self) -> str:
        """The code in words."""
        return self._problem.title

    @property
    def detail(self) -> str | None:
        """What happened here."""
        return self._problem.detail

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later, unchanged."""
        return self._problem.retryable

    @property
    def fault(self) -> str:
        """Who has to act: `caller`, `tenant`, `provider`, `tool` or `server`."""
        return self._problem.fault

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """Each field that is wrong; empty where there is no list."""
        return self._problem.errors

    _BY_STATUS: ClassVar[dict[int, type[ApiError]]] = {}

    @staticmethod
    def of(status: int, problem: Problem, request_id: str | None) -> ApiError:
        """The error of this status, in its own class."""
        kind = ServerError if status >= 500 else ApiError._BY_STATUS.get(status, ApiError)
        return kind(status, problem, request_id)


class BadRequestError(ApiError):
    """400: the request is malformed."""


class AuthenticationError(ApiError):
    """401: the credential is missing, unknown, revoked or past its time."""


class PermissionDeniedError(ApiError):
    """403: the credential is not enough, or the tenant or user is switched off."""


class NotFoundError(ApiError):
    """404: it is not there, or not for this caller."""


class ConflictError(ApiError):
    """409 and 412: it stands as it does; see `code`."""


class GoneError(ApiError):
    """410: too late."""


class InvalidValueError(ApiError):
    """422: a value is not as it has to be; see `errors`."""


class RateLimitedError(ApiError):
    """429: too much at once. Raised only after the retries."""


class ServerError(ApiError):
    """5xx of Headwater's own."""


ApiError._BY_STATUS.update(
    {
        400: BadRequestError,
        401: AuthenticationError,
        403: PermissionDeniedError,
        404: NotFoundError,
        409: ConflictError,
        410: GoneError,
        412: ConflictError,
        422: InvalidValueError,
        429: RateLimitedError,
    }
)


class EdgeError(HeadwaterError):
    """Something in front of Headwater answered: there was no `Request-Id`."""

    def __init__(self, status: int) -> None:
        super().__init__(f"an edge in front of headwater answered with status {status}")
        self.status = status


class TransportError(HeadwaterError):
    """No answer, or half of one; of a stream: its connection ended before its run did."""


class TimedOutError(HeadwaterError):
    """The answer did not come in time, or an open stream fell silent."""

    def __init__(self, what: str) -> None:
        super().__init__(f"timed out waiting for {what}")


class DecodeError(HeadwaterError):
    """What came is not what the API promises."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} cannot be read: {why}")


class StreamGapError(HeadwaterError):
    """Events are missing, and reconnecting did not bring them."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"events are missing: expected seq {expected}, got {got}")
        self.expected = expected
        self.got = got


class GaveUpError(HeadwaterError):
    """Too many reconnects in a row brought nothing new."""

    def __init__(self, attempts: int, last: HeadwaterError) -> None:
        super().__init__(f"gave up after {attempts} reconnects without progress; the last one: {last}")
        self.attempts = attempts
        """Reconnects in a row."""
        self.last = last
        """Why the last one failed."""

    @property
    def problem(self) -> Problem | None:
        """What Headwater said at the last try, if it answered."""
        return self.last.problem


class CredentialEndedError(HeadwaterError):
    """The server ended a stream because its credential did, and there is nobody to ask for another one."""

    def __init__(self) -> None:
        super().__init__("the credential of this stream has ended")


class TokenError(HeadwaterError):
    """The callback that gives tokens failed: its own exception is the `__cause__`."""

    def __init__(self, why: str = "the token callback failed") -> None:
        super().__init__(f"no user token: {why}")


class ConfigError(HeadwaterError, ValueError):
    """A value that cannot be sent: a base URL, a credential, a user, a key, a path segment, a body."""


class WebhookVerificationError(HeadwaterError):
    """A webhook's signature is missing, wrong or too old: do not believe what it says."""
