"""The API's error body.

Promises that an error body of a later release still reads: an unknown `code` stays as it is and is treated by its HTTP
status and `retryable`; members that are not known are kept.
"""

from __future__ import annotations

import json
from typing import Any

from .._model import ApiObject
from ..types import Problem

__all__ = ["MAX_ERROR_BYTES", "Problem", "read_problem"]

MAX_ERROR_BYTES = 64 * 1024
"""What an error's body may hold at most; more of it is not read."""

_CODES = {
    401: "unauthenticated",
    402: "budget_exhausted",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    412: "version_conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_value",
    429: "rate_limited",
    431: "headers_too_large",
    503: "unavailable",
}


def read_problem(status: int, body: bytes) -> Problem:
    """Reads the body of an answer that is an error of Headwater's own, whatever came of it."""
    try:
        members: Any = json.loads(body)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        members = {"detail": body.decode("utf-8", "replace")[:256]}
    code = _CODES.get(status, "internal" if status >= 500 else "invalid_request")
    usual: dict[str, Any] = {
        "type": f"/docs/errors#{code}",
        "title": code.replace("_", " ").capitalize(),
        "code": code,
        "retryable": status in (408, 429) or status >= 500,
        "fault": "server" if status >= 500 else "caller",
        "detail": None,
        "request_id": None,
        "errors": [],
    }
    kinds = {"type": str, "title": str, "code": str, "retryable": bool, "fault": str, "errors": list}
    read = {name: value for name, value in members.items() if isinstance(value, kinds.get(name, object))}
    problem = ApiObject.of(Problem, {**usual, **read, "status": status})
    assert isinstance(problem, Problem)
    return problem
