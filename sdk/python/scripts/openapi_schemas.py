"""Reads the OpenAPI document: which schemas are answers, which are requests, and what each is in Python.

Owns every exception that the document needs, in the tables at the top: where it says less than the API does.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]

LEFT_OUT = ("/api/chat", "/v1/streams", "/v1/responses", "/v1/chat/completions", "/ag-ui", "/v1/ag-ui")
"""Other people's protocols, which have SDKs of their own."""

_NAME = {"type": "string", "description": "`[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant."}
_METADATA = {"$ref": "#/components/schemas/BTreeMap", "description": "The tenant's own pairs."}

EXTRA_BODY: dict[str, tuple[dict[str, Schema], tuple[str, ...]]] = {
    "agents_create": ({"name": _NAME, "metadata": _METADATA}, ("name",)),
    "agents_put": ({"metadata": _METADATA}, ()),
    "agents_update": (
        {
            "metadata": _METADATA,
            "active_version": {
                "type": "integer",
                "description": "The version that new runs use: rolls back. Goes with no change of the configuration.",
            },
            "activate": {
                "type": "boolean",
                "description": "Whether new runs use the version that the change makes: `True` unless given.",
            },
        },
        (),
    ),
}
"""Members that a body takes and the document does not name, and which of them are required."""

IF_MATCH = ("agents_put", "agents_update", "budgets_update", "tenant_budgets_update")
"""Operations that honour `If-Match`, which the document does not say."""

VERBS = ("rotate_secret", "call_result", "tool_outputs", "tickets_create")
"""Verbs of more than one word; all others are the last word of their operationId."""


def camel(text: str) -> str:
    """`tool.args_delta` as `ToolArgsDelta`."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[._\-]", text))


def safe(name: str) -> str:
    """A name that Python takes: `from` becomes `from_`."""
    return f"{name}_" if keyword.iskeyword(name) else name


def words(description: str) -> str:
    """A description without Rust's own notation."""
    text = re.sub(r"\[`(\w+)(?:::(\w+))?`\]", lambda found: f"`{found[2] or found[1]}`", description)
    return text.replace("\\", "\\\\").strip()


@dataclass(frozen=True)
class Variant:
    """One of several shapes of a schema."""

    name: str
    tag: str
    schema: Schema


@dataclass(frozen=True)
class Operation:
    """One operation of the API."""

    id: str
    resource: str
    verb: str
    method: str
    path: str
    body: Schema
    required: tuple[str, ...]
    path_parameters: list[Schema]
    query: list[Schema]
    answer: str | None
    listed: str | None
    raw_body: bool
    raw_answer: bool
    document: Schema = field(repr=False)

    @property
    def summary(self) -> str:
        """What it does."""
        return words(f"{self.document.get('summary') or self.document.get('description') or ''}")


class Document:
    """An OpenAPI document."""

    def __init__(self, document: Schema) -> None:
        self.schemas: dict[str, Schema] = document["components"]["schemas"]
        self.operations = list(self._operations(document["paths"]))

    def resolved(self, schema: Schema) -> Schema:
        """The schema behind a reference."""
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def kind(self, name: str) -> str:
        """`text`, `words` (an enum), `union`, `map`, `content` or `object`."""
        schema = self.schemas[name]
        if "enum" in schema:
            return "words"
        if "oneOf" in schema:
            return (
                "content" if any("properties" not in one and "allOf" not in one for one in schema["oneOf"]) else "union"
            )
        if "properties" in schema or "allOf" in schema:
            return "object"
        return "map" if "additionalProperties" in schema else "text"

    def merged(self, schema: Schema) -> tuple[str | None, dict[str, Schema], tuple[str, ...]]:
        """The schema that it extends, its own properties, and which of them are required."""
        base, properties, required = None, {}, []
        for part in schema.get("allOf", [schema]):
            if "$ref" in part:
                base = part["$ref"].rsplit("/", 1)[1]
            else:
                properties.update(part.get("properties", {}))
                required += part.get("required", [])
        return base, properties, tuple(required)

    def variants(self, name: str, suffix: str) -> list[Variant]:
        """The shapes of a union, each with the value of its `type`."""
        found = []
        for one in self.schemas[name]["oneOf"]:
            base, properties, _ = self.merged(one)
            tag = properties["type"]["enum"][0]
            if tag != "Unknown":
                found.append(Variant(base or f"{camel(tag)}{suffix}", tag, one))
        return found

    def references(self, schema: Any) -> Iterator[str]:
        """The names of all schemas that this one mentions."""
        if isinstance(schema, dict):
            if isinstance(schema.get("$ref"), str):
                yield schema["$ref"].rsplit("/", 1)[1]
            for value in schema.values():
                yield from self.references(value)
        elif isinstance(schema, list):
            for value in schema:
                yield from self.references(value)

    def reachable(self, names: Iterator[str] | list[str]) -> set[str]:
        """These schemas and all that they mention."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found and not name.startswith("List_"):
                found.add(name)
                waiting += self.references(self.schemas[name])
        return found

    @property
    def answers(self) -> set[str]:
        """The schemas of answers."""
        return self.reachable([one.answer or one.listed or "Problem" for one in self.operations] + ["Event", "Problem"])

    @property
    def requests(self) -> set[str]:
        """The schemas within requests' bodies."""
        return self.reachable([name for one in self.operations for name in self.references(one.body)])

    def _operations(self, paths: Schema) -> Iterator[Operation]:
        for path, methods in paths.items():
            if path.startswith(LEFT_OUT):
                continue
            for method in ("get", "post", "put", "patch", "delete"):
                if method in methods:
                    yield self._operation(path, method, methods[method])

    def _operation(self, path: str, method: str, document: Schema) -> Operation:
        id_ = document["operationId"]
        verb = next((verb for verb in VERBS if id_.endswith(f"_{verb}")), id_.rsplit("_", 1)[-1])
        parameters = document.get("parameters", [])
        in_path = [one for one in parameters if one["in"] == "path"]
        # A ticket stands in a URL for those who cannot send headers; this SDK can.
        taken = {one["name"] for one in in_path} | {"ticket"}
        query = [one for one in parameters if one["in"] == "query" and one["name"] not in taken]
        content = document.get("requestBody", {}).get("content", {})
        body, required = self._body(id_, method, content.get("application/json", {}).get("schema"))
        # What the path names is not named again.
        body = {name: one for name, one in body.items() if name not in taken}
        answer, listed, raw = None, None, False
        for status, response in sorted(document["responses"].items()):
            kinds = response.get("content", {})
            schema = kinds.get("application/json", {}).get("schema")
            if schema and "anyOf" in schema:
                # What keys are told. Users are told less, in an object that has less.
                schema = schema["anyOf"][0]
            if status.startswith("2") and schema and "$ref" in schema:
                name = schema["$ref"].rsplit("/", 1)[1]
                answer, listed = (None, name[5:]) if name.startswith("List_") else (name, None)
            raw = raw or (status.startswith("2") and "*/*" in kinds)
        return Operation(
            id=id_,
            resource=id_[: -len(verb) - 1],
            verb=verb,
            method=method.upper(),
            path=path,
            body=body,
            required=required,
            path_parameters=in_path,
            query=query,
            answer=answer,
            listed=listed,
            raw_body="application/octet-stream" in content,
            raw_answer=raw,
            document=document,
        )

    def _body(self, id_: str, method: str, schema: Schema | None) -> tuple[Schema, tuple[str, ...]]:
        if schema is None:
            return {}, ()
        base, properties, required = self.merged(self.resolved(schema))
        if base is not None:
            _, inherited, before = self.merged(self.schemas[base])
            properties, required = {**inherited, **properties}, before + required
        extra, also = EXTRA_BODY.get(id_, ({}, ()))
        # An update is a merge patch: what is absent stays.
        return {**extra, **properties}, () if method == "patch" else also + required
