"""What the values of the API have in common.

An `ApiObject` is a JSON object as it came, seen through the names of its class. Promises that it never changes, that
fields of later releases stay reachable (`raw`, `extra`), and that its `repr` shows no secret.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

__all__ = ["OMIT", "ApiObject", "Omit", "ResponseInfo"]

M = TypeVar("M", bound="ApiObject")

_SHOWN = ("id", "type", "name", "status", "code", "seq", "kind", "usd", "total_tokens")


class Omit(Enum):
    """The type of `OMIT`."""

    OMIT = "omit"

    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final = Omit.OMIT
"""A parameter that is not sent: the default of a new object, "unchanged" in an update. `None` is sent, as `null`."""


@dataclass(frozen=True)
class ResponseInfo:
    """What the head of an answer told about the object in it."""

    status: int
    """The HTTP status."""
    request_id: str | None
    """The `Request-Id`: to be named when asking for help."""
    etag: str | None
    """The `ETag`, for `if_match`."""
    replayed: bool
    """Whether an earlier call with the same idempotency key has done this already; its secrets are `None` then."""


class ApiObject:
    """A value of the API: immutable, with the fields of its class as attributes.

    Objects in it are models too, lists are tuples, and free JSON is a copy. A field that may be absent is `None` then.
    Two models are equal if they are of one class and were made of the same JSON.
    """

    __slots__ = ("_cache", "_info", "_raw")

    if TYPE_CHECKING:
        _cache: dict[str, Any]
        _info: ResponseInfo | None
        _raw: Mapping[str, Any]

    _nested: ClassVar[Mapping[str, str]] = {}
    _required: ClassVar[frozenset[str]] = frozenset()
    _optional: ClassVar[frozenset[str]] = frozenset()
    _tag: ClassVar[str | None] = None
    _variants: ClassVar[dict[str, type[ApiObject]]] = {}
    _classes: ClassVar[dict[str, type[ApiObject]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ApiObject._classes[cls.__name__] = cls
        if "_variants" not in cls.__dict__ and cls._tag is not None:
            cls._variants[cls._tag] = cls

    def __init__(self, raw: Mapping[str, Any], info: ResponseInfo | None = None) -> None:
        object.__setattr__(self, "_raw", raw)
        object.__setattr__(self, "_cache", {})
        object.__setattr__(self, "_info", info)

    @classmethod
    def of(cls, kind: type[M], raw: Any, info: ResponseInfo | None = None) -> M:
        """Makes a model of JSON, in the class that its `type` names where there are several."""
        if not isinstance(raw, Mapping):
            raise TypeError(f"a {kind.__name__} is a JSON object")
        tag = raw.get("type")
        variant = kind._variants.get(tag) if isinstance(tag, str) else None
        chosen: type[M] = variant if variant is not None and issubclass(variant, kind) else kind
        return chosen(raw, info)

    @classmethod
    def from_dict(cls: type[M], raw: Mapping[str, Any]) -> M:
        """Makes a model of JSON that was kept, such as `to_dict()` gave it."""
        return ApiObject.of(cls, copy.deepcopy(dict(raw)))

    @property
    def raw(self) -> dict[str, Any]:
        """A copy of the JSON, with everything in it that this release does not know."""
        return copy.deepcopy(dict(self._raw))

    def to_dict(self) -> dict[str, Any]:
        """The same as `raw`."""
        return self.raw

    @property
    def extra(self) -> dict[str, Any]:
        """Only the fields that this release does not know."""
        known = self._required | self._optional
        return {name: copy.deepcopy(value) for name, value in self._raw.items() if name not in known}

    @property
    def response_info(self) -> ResponseInfo | None:
        """What the head of the answer told; `None` for what was not an answer of its own."""
        return self._info

    if not TYPE_CHECKING:
        # Type checkers go by the annotations of the subclasses, so that a mistyped name is found.
        def __getattr__(self, name: str) -> Any:
            field = name.removesuffix("_")
            if field not in self._required and field not in self._optional:
                raise AttributeError(
                    f"{type(self).__name__} has no field {name!r}; see raw for those of later releases"
                )
            if field not in self._cache:
                if field not in self._raw and field in self._required:
                    raise AttributeError(f"this {type(self).__name__} came without {name!r}")
                self._cache[field] = _seen(self._raw.get(field), self._nested.get(field))
            value = self._cache[field]
            return copy.deepcopy(value) if isinstance(value, dict | list) else value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, ApiObject) and self._raw == other._raw

    def __hash__(self) -> int:
        return hash((type(self), json.dumps(self._raw, sort_keys=True)))

    def __repr__(self) -> str:
        shown = ((name, self._raw[name]) for name in _SHOWN if self._raw.get(name) is not None)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._raw, self._info)

    def __copy__(self: M) -> M:
        return self

    def __deepcopy__(self: M, memo: Any) -> M:
        return self

    def __dir__(self) -> Iterator[str]:
        yield from object.__dir__(self)
        yield from sorted(self._required | self._optional)


def _seen(value: Any, spec: str | None) -> Any:
    """A field's value as its class shows it. `spec`: a class, `[]` before it for a list, `{}` for a map."""
    if spec is None or value is None:
        return value
    if spec.startswith("[]"):
        inner = spec[2:] or None
        return tuple(_seen(item, inner) for item in value) if isinstance(value, list) else value
    if spec.startswith("{}"):
        return {name: _seen(item, spec[2:]) for name, item in value.items()} if isinstance(value, Mapping) else value
    return ApiObject.of(ApiObject._classes[spec], value) if isinstance(value, Mapping) else value
