"""The Python SDK of Headwater: typed calls of the HTTP API v1, and streams of a run's events that resume by themselves.

    from headwater import Headwater

    with Headwater("https://headwater.example", api_key="hw_sk_…", user="alice") as hw:
        with hw.runs.create_and_stream(agent="assistant", input="Where is order 7?") as stream:
            for text in stream.text_deltas():
                print(text, end="", flush=True)

Promises that a call which may have had its effect is only repeated under the same `Idempotency-Key`, and that a stream
yields every event of a run exactly once, in order, or raises an error that says why not. Never starts a thread or a
task, never writes a log, never shows a credential in a `repr` or in an error.

`Headwater` blocks, `AsyncHeadwater` awaits; all rules are the same code. `headwater.types` holds the API's values,
`headwater.fold` what a user interface shows of a stream, `headwater.webhooks` the check of signatures.
"""

from . import errors, fold, types, webhooks
from ._async_client import AsyncHeadwater
from ._client import Headwater
from ._core.answers import Page
from ._core.retry import RetryPolicy
from ._model import OMIT, ApiObject, Omit, ResponseInfo
from ._pages import AsyncListing, Listing
from ._streams import AsyncRunStream, RunStream
from ._version import __version__
from .errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConfigError,
    ConflictError,
    CredentialEndedError,
    DecodeError,
    EdgeError,
    GaveUpError,
    GoneError,
    HeadwaterError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    StreamGapError,
    TimedOutError,
    TokenError,
    TransportError,
    WebhookVerificationError,
)
from .fold import RunView
from .items import CaughtUpItem, EventItem, HiddenItem, ResetItem, StreamItem, StreamStats

__all__ = [
    "OMIT",
    "ApiError",
    "ApiObject",
    "AsyncHeadwater",
    "AsyncListing",
    "AsyncRunStream",
    "AuthenticationError",
    "BadRequestError",
    "CaughtUpItem",
    "ConfigError",
    "ConflictError",
    "CredentialEndedError",
    "DecodeError",
    "EdgeError",
    "EventItem",
    "GaveUpError",
    "GoneError",
    "Headwater",
    "HeadwaterError",
    "HiddenItem",
    "InvalidValueError",
    "Listing",
    "NotFoundError",
    "Omit",
    "Page",
    "PermissionDeniedError",
    "RateLimitedError",
    "ResetItem",
    "ResponseInfo",
    "RetryPolicy",
    "RunStream",
    "RunView",
    "ServerError",
    "StreamGapError",
    "StreamItem",
    "StreamStats",
    "TimedOutError",
    "TokenError",
    "TransportError",
    "WebhookVerificationError",
    "__version__",
    "errors",
    "fold",
    "types",
    "webhooks",
]
