"""Writes `headwater.resources`: one module for each resource, with a class for each of the two clients."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from openapi_schemas import IF_MATCH, Document, Operation, Schema, camel, safe
from openapi_types import Shapes, describe, head, imported

_KEY = (
    "idempotency_key",
    "str | None = None",
    "A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh one unless given.",
)
_TIMEOUT = ("timeout", "float | None = None", "Seconds that one try may take; as the client says unless given.")
_IF_MATCH = (
    "if_match",
    "str | None = None",
    "Only if this is still its `ETag` (`response_info.etag`); else a `ConflictError` with `version_conflict`.",
)
_STREAM = [
    ("attempts", "int = 10", "Reconnects in a row that may bring nothing new."),
    ("retry_ms", "int = 2000", "The pause before a reconnect until the server names one."),
    ("idle_ms", "int = 45_000", "How long a connection may be silent before it counts as broken."),
]
_AFTER = (
    "after",
    'int | Literal["now"] = 0',
    'Read what follows this event: 0 is the beginning, "now" only what happens from now on.',
)


@dataclass
class Method:
    """A method, as it is written."""

    name: str
    positional: list[tuple[str, str, str]]
    keywords: list[tuple[str, str, str]]
    returns: str
    about: str
    code: str
    awaits: bool = True

    def text(self, asynchronous: bool) -> str:
        """Its source."""
        lines = "".join(f"        {name}: {annotation},\n" for name, annotation, _ in self.positional)
        if self.keywords:
            lines += "        *,\n" + "".join(
                f"        {name}: {annotation},\n" for name, annotation, _ in self.keywords
            )
        args = "".join(
            _wrapped(f"{name}: {about}", 12, 16) for name, _, about in self.positional + self.keywords if about
        )
        doc = (
            f'        """{self.about}\n\n        Args:\n{args}        """\n'
            if args
            else f'        """{self.about}"""\n'
        )
        awaits = self.awaits and asynchronous
        returns = re.sub(r"\b(Listing|RunStream)\b", r"Async\1", self.returns) if asynchronous else self.returns
        code = f"return {'await ' if awaits else ''}self.{self.code}"
        begin = f"    {'async ' if awaits else ''}def {self.name}(\n        self,\n{lines}    ) -> {returns}:\n"
        return f"{begin}{doc}{_wrapped(code, 8, 12)}\n"


def _wrapped(text: str, first: int, rest: int) -> str:
    """Text or code in lines that end in time. No string of the code has a space in it."""
    lines = textwrap.wrap(
        " ".join(text.split()),
        120,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) + "\n"


def kind_of(name: str) -> str:
    """The class of a resource."""
    return f"{camel(name)}Resource"


def resources(document: Document) -> dict[str, str]:
    """The files of `headwater.resources`."""
    by_name: dict[str, list[Operation]] = {}
    for operation in document.operations:
        if operation.resource:
            by_name.setdefault(operation.resource, []).append(operation)
    shapes = Shapes(document)
    files = {f"{name}.py": _module(name, operations, shapes) for name, operations in sorted(by_name.items())}
    files["__init__.py"] = _index(sorted(by_name))
    return files


def _index(names: list[str]) -> str:
    text = head("The resources of the API, each with its operations.")
    text += "from .._resource import AsyncResource, SyncResource\n"
    for name in names:
        text += f"from .{name} import Async{kind_of(name)}, {kind_of(name)}\n"
    for prefix, base in (("", "SyncResource"), ("Async", "AsyncResource")):
        text += f'\n\nclass {prefix}Resources({base}):\n    """Every resource, by its name."""\n'
        for name in names:
            kind = f"{prefix}{kind_of(name)}"
            text += f"\n    @property\n    def {name}(self) -> {kind}:\n"
            text += f'        """See `{kind}`."""\n        return {kind}(self._api)\n'
    kinds = [kind_of(name) for name in names] + ["Resources"]
    exported = sorted(f"{prefix}{kind}" for kind in kinds for prefix in ("", "Async"))
    return text + "\n\n__all__ = [\n" + "".join(f'    "{name}",\n' for name in exported) + "]\n"


def _module(name: str, operations: list[Operation], shapes: Shapes) -> str:
    methods = [method for operation in operations for method in _methods(operation, shapes)]
    title = name.replace("_", " ").capitalize()
    body = ""
    for prefix, base in (("", "SyncResource"), ("Async", "AsyncResource")):
        body += f'class {prefix}{kind_of(name)}({base}):\n    """{title}. A method for each operation."""\n\n'
        body += "".join(method.text(bool(prefix)) for method in methods) + "\n"
    text = head(f"{title}.")
    code = re.sub(r'""".*?"""', "", body, flags=re.S)
    abc = [word for word in ("Mapping", "Sequence") if f"{word}[" in body]
    text += f"from collections.abc import {', '.join(abc)}\n" if abc else ""
    text += "from datetime import datetime\n" if "datetime" in body else ""
    typing = [word for word in ("Any", "Literal") if re.search(rf"\b{word}\b", code)]
    text += f"from typing import {', '.join(typing)}\n" if typing else ""
    text += "\nfrom .._core.calls import call as _call\n"
    model = [word for word in ("OMIT", "Omit") if re.search(rf"\b{word}\b", code)]
    text += f"from .._model import {', '.join(model)}\n" if model else ""
    pages = [word for word in ("AsyncListing", "Listing") if re.search(rf"\b{word}\b", code)]
    text += f"from .._pages import {', '.join(pages)}\n" if pages else ""
    text += "from .._resource import AsyncResource, SyncResource\n"
    if "RunStream" in body:
        text += "from .._streams import AsyncRunStream, RunStream\n"
    known = shapes.document.answers | shapes.document.requests
    named = set(re.findall(r"\b[A-Z]\w+\b", code))
    used = sorted(one for one in named if one in known or one.removesuffix("Param") in known)
    text += imported("from ..types", used)
    return text + "\n\n" + body.rstrip() + "\n"


def _methods(operation: Operation, shapes: Shapes) -> list[Method]:
    positional = [(safe(one["name"]), _path_type(one), _about_path(one)) for one in operation.path_parameters]
    body = _body(operation, shapes)
    query = [
        (safe(one["name"]), f"{_query_type(one['schema'])} | None = None", _about_query(one)) for one in operation.query
    ]
    extra = [_KEY] if operation.method == "POST" else []
    extra += [_IF_MATCH] if operation.id in IF_MATCH else []
    path = _path(operation)
    names = [(one["name"], safe(one["name"])) for one in operation.query]
    parts = {
        "query": f"{{{', '.join(f'{chr(34)}{name}{chr(34)}: {own}' for name, own in names)}}}" if names else "",
        "body": f"{{{', '.join(f'{chr(34)}{name}{chr(34)}: {safe(name)}' for name in operation.body)}}}"
        if operation.body or (operation.method == "POST" and not operation.raw_body)
        else "",
        "idempotency_key": "idempotency_key" if operation.method == "POST" else "",
        "if_match": "if_match" if operation.id in IF_MATCH else "",
    }
    if operation.raw_body:
        positional = [("content", "bytes", "The bytes."), *positional]
        body = [("media_type", "str", "What they are, such as `image/png`.")]
        parts.update(content="content", media_type="media_type")
    if operation.raw_answer:
        query.append(("range", "str | None = None", "One range of it, such as `bytes=0-99`."))
        parts.update(range="range", accept='"*/*"')
    waits = {"wait_ms": "wait_ms"} if any(name == "wait_ms" for name, _ in names) else {}
    made = _call(operation.method, path, {**parts, **waits, "timeout": "timeout"})
    keywords = [*body, *query, *extra, _TIMEOUT]
    about = operation.summary
    if operation.raw_answer:
        methods = [Method(operation.verb, positional, keywords, "bytes", about, f"_bytes({made})")]
    elif operation.listed:
        code = f"_list({operation.listed}, {made})"
        methods = [
            Method(operation.verb, positional, keywords, f"Listing[{operation.listed}]", about, code, awaits=False)
        ]
    elif operation.answer:
        code = f"_object({operation.answer}, {made})"
        methods = [Method(operation.verb, positional, keywords, operation.answer, about, code)]
    else:
        methods = [Method(operation.verb, positional, keywords, "None", about, f"_nothing({made})")]
    if operation.id in ("runs_create", "thread_runs_create"):
        streamed = _call("POST", path, {"body": parts["body"], "idempotency_key": "idempotency_key"})
        code = f"_create_stream({streamed}, attempts=attempts, retry_ms=retry_ms, idle_ms=idle_ms)"
        about = (
            f"{about.rstrip('.')}, and streams what happens. Nothing is sent before the stream is read.\n\n"
            "        One idempotency key for the whole stream: however often the connection breaks, there is one run."
        )
        keywords = [*body, _KEY, *_STREAM]
        methods.append(Method("create_and_stream", positional, keywords, "RunStream", about, code, awaits=False))
    if operation.id == "runs_events":
        about = (
            "Streams a run's events, over as many connections as it takes. Nothing is sent before the stream is read."
        )
        code = "_read_stream(run, after=after, attempts=attempts, retry_ms=retry_ms, idle_ms=idle_ms)"
        methods.append(Method("stream", positional, [_AFTER, *_STREAM], "RunStream", about, code, awaits=False))
    return methods


def _call(method: str, path: str, parts: dict[str, str]) -> str:
    named = [(name, value) for name, value in parts.items() if value]
    return f'_call("{method}", {path}' + "".join(f", {name}={value}" for name, value in named) + ")"


def _path(operation: Operation) -> str:
    segments = [one for one in operation.path.split("/") if one][1:]
    own = [safe(one[1:-1]) if one.startswith("{") else f'"{one}"' for one in segments]
    return f"({', '.join(own)},)" if len(own) == 1 else f"({', '.join(own)})"


def _body(operation: Operation, shapes: Shapes) -> list[tuple[str, str, str]]:
    must, may = [], []
    for name, schema in operation.body.items():
        annotation = shapes.taken(schema, patch=operation.method == "PATCH")
        if name in operation.required:
            must.append((safe(name), annotation, describe(schema)))
        else:
            if operation.method == "PATCH" and annotation != "Any" and not annotation.endswith("| None"):
                annotation += " | None"
            may.append((safe(name), f"{annotation} | Omit = OMIT", describe(schema)))
    return must + may


def _query_type(schema: Schema) -> str:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [str(kind)]
    return {"integer": "int", "boolean": "bool"}.get(next(one for one in kinds if one != "null"), "str")


def _path_type(parameter: Schema) -> str:
    return "int | str" if parameter["name"] == "version" else _query_type(parameter["schema"])


_QUERY = {
    "limit": "How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.",
    "after": "What follows this `next_cursor`.",
    "order": '`"desc"` (the newest first, unless given) or `"asc"`.',
    "wait_ms": "Answer only at the run's end, at its suspension, or after so long: at most 25 000.",
    "group_by": "Any of `day`, `user`, `agent`, `model`, with commas between.",
    "from": "From this day or instant on.",
    "to": "Until before this day or instant.",
    "filename": "What to call it.",
    "status": "Only with this `status`; several with commas between.",
    "created_after": "Made at this time or later.",
    "created_before": "Made before this time.",
    "prefix": "Only keys that begin with this.",
    "archived": "Those that are archived, instead of those that are not.",
}


def _about_query(parameter: Schema) -> str:
    return describe(parameter) or _QUERY.get(parameter["name"], f"Only with this `{parameter['name']}`.")


def _about_path(parameter: Schema) -> str:
    return describe(parameter)
