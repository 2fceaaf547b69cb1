"""Reads good answers: an object, or a page of a list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .._model import ApiObject, ResponseInfo
from ..errors import DecodeError
from .calls import Answer

M = TypeVar("M", bound=ApiObject)
M_co = TypeVar("M_co", bound=ApiObject, covariant=True)


@dataclass(frozen=True)
class Page(Generic[M_co]):
    """One page of a list."""

    data: tuple[M_co, ...]
    """The objects of this page."""
    has_more: bool
    """Whether there is a page after it."""
    next_cursor: str | None
    """Give it as `after` for the next page; `None` at the end."""
    response_info: ResponseInfo
    """What the head of the answer told."""

    def __iter__(self) -> Iterator[M_co]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


def info(answer: Answer) -> ResponseInfo:
    """What the head of an answer tells."""
    headers = answer.head.headers
    replayed = headers.get("idempotent-replayed") == "true"
    return ResponseInfo(answer.head.status, headers.get("request-id"), headers.get("etag"), replayed)


def _members(what: str, answer: Answer) -> dict[str, Any]:
    try:
        members: Any = json.loads(answer.body)
    except ValueError as error:
        raise DecodeError(what, str(error)) from None
    if not isinstance(members, dict):
        raise DecodeError(what, "it is no JSON object")
    return members


def read_object(kind: type[M], answer: Answer) -> M:
    """The object in an answer."""
    what = f"the answer, a {kind.__name__},"
    members = _members(what, answer)
    # Every object of the API says what it is: without that it is somebody else's.
    if "object" in kind._required and not isinstance(members.get("object"), str):
        raise DecodeError(what, "it does not say what it is")
    return ApiObject.of(kind, members, info(answer))


def read_page(kind: type[M], answer: Answer) -> Page[M]:
    """The page in an answer."""
    what = f"the answer, a list of {kind.__name__},"
    members = _members(what, answer)
    data, cursor = members.get("data"), members.get("next_cursor")
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise DecodeError(what, "it has no data")
    if cursor is not None and not isinstance(cursor, str):
        raise DecodeError(what, "its cursor is no text")
    more = members.get("has_more") is True and cursor is not None
    return Page(tuple(ApiObject.of(kind, one) for one in data), more, cursor, info(answer))
