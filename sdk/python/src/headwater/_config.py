"""How a client is put together: what it is told, what the environment says, and what is checked at once."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ._core.calls import Settings, bearer
from ._core.retry import RetryPolicy
from ._version import __version__
from .errors import ConfigError


@dataclass(frozen=True)
class Credential:
    """A fixed key or token, or a callback that gives tokens."""

    fixed: str | None
    ask: Callable[[], Any] | None


def base_url(text: str | None) -> str:
    """The host's URL, with or without a trailing slash or `/v1`; HEADWATER_URL unless given."""
    text = text if text is not None else os.environ.get("HEADWATER_URL")
    if not text:
        raise ConfigError("where is headwater? Give a base URL, or set HEADWATER_URL")
    wrong = ConfigError("the base URL must be http(s)://HOST, without credentials, query or fragment")
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and parts.port != 0
    except ValueError:
        raise wrong from None
    if not good or "?" in text or "#" in text or any(ord(one) <= 32 for one in text):
        raise wrong
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def credential(api_key: str | None, token: str | Callable[[], Any] | None) -> Credential:
    """What the client shows; HEADWATER_API_KEY unless given."""
    if api_key is not None and token is not None:
        raise ConfigError("give an API key or a token, not both")
    if callable(token):
        return Credential(None, token)
    fixed = api_key if api_key is not None else token
    if fixed is None:
        fixed = os.environ.get("HEADWATER_API_KEY")
    if not fixed:
        raise ConfigError("no credential: give api_key or token, or set HEADWATER_API_KEY")
    bearer(fixed)
    return Credential(fixed, None)


def settings(base: str | None, user: str | None, retry: RetryPolicy | None, timeout: float) -> Settings:
    """The settings of a client."""
    if not timeout > 0:
        raise ConfigError("a timeout is more than no time")
    return Settings(
        base_url=base_url(base),
        user=user,
        retry=retry if retry is not None else RetryPolicy(),
        timeout=timeout,
        user_agent=f"headwater-python/{__version__}",
        clock=time.monotonic,
        chance=random.random,
    )
