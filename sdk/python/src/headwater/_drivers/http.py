"""What both drivers need to know of httpx."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from .._core.commands import Head
from ..errors import ConfigError, HeadwaterError, TimedOutError, TransportError

CONNECT_SECONDS = 10.0
"""How long a connection may take to stand."""

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30.0)
"""Streams hold a connection each: a pool with an end would make calls wait for them."""


def no_cookies() -> CookieJar:
    """A jar that takes none: every try of a call is the same request."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def timeouts(seconds: float) -> httpx.Timeout:
    """The bounds of a request."""
    return httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))


def allow_silence(response: httpx.Response, seconds: float) -> None:
    """Bounds the silence between chunks of a body, which begins to be read after this."""
    bounds = response.request.extensions.get("timeout")
    if isinstance(bounds, dict):
        bounds["read"] = seconds


def head_of(response: httpx.Response) -> Head:
    """The head of an answer."""
    return Head(response.status_code, {name.lower(): value for name, value in response.headers.items()})


def translated(error: Exception) -> HeadwaterError:
    """An error of httpx as one of ours. Its own words are left out where they may quote a header or a URL."""
    if isinstance(error, httpx.ConnectTimeout):
        return TransportError("headwater could not be reached in time")
    if isinstance(error, httpx.TimeoutException):
        return TimedOutError("an answer")
    if isinstance(error, httpx.ConnectError):
        return TransportError(f"headwater could not be reached: {error}")
    if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return ConfigError(f"the request cannot be sent ({type(error).__name__})")
    return TransportError(f"no complete answer from headwater ({type(error).__name__})")
