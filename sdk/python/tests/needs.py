"""Servers that tests may need: where they are not there, the tests are skipped, or fail where they are required."""

from __future__ import annotations

import os

import pytest


def faults() -> str | None:
    """The player of faults: HEADWATER_FAULTS_URL."""
    url = os.environ.get("HEADWATER_FAULTS_URL")
    _check(bool(url), "HEADWATER_FAULTS_URL", "HEADWATER_REQUIRE_FAULTS")
    return url


def live() -> str | None:
    """A server: HEADWATER_URL, with HEADWATER_API_KEY."""
    url = os.environ.get("HEADWATER_URL") if os.environ.get("HEADWATER_API_KEY") else None
    _check(bool(url), "HEADWATER_URL and HEADWATER_API_KEY", "HEADWATER_REQUIRE_LIVE")
    return url


def _check(there: bool, what: str, required: str) -> None:
    if not there and os.environ.get(required) == "1":
        raise pytest.UsageError(f"{required} is set, and {what} is not")
