"""Writes `headwater.types`: the values that come (models), the words they are made of, and what requests take."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Any

from openapi_schemas import Document, Schema, camel, safe, words


def head(about: str) -> str:
    """How a file begins."""
    lines = [about, "", "Generated from the OpenAPI document by scripts/generate.py: do not edit."]
    text = "\n".join(lines)
    return f'"""{text}\n"""\n\nfrom __future__ import annotations\n\n'


class Shapes:
    """How schemas are said in Python."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def shown(self, schema: Schema) -> tuple[str, str | None]:
        """The annotation of an answer's field, and how it is read (see `_model`)."""
        if "$ref" in schema:
            name: str = schema["$ref"].rsplit("/", 1)[1]
            match self.document.kind(name):
                case "text":
                    return "str", None
                case "map":
                    return self.shown(self.document.schemas[name])
                case "words":
                    return name, None
                case "content":
                    return "str | list[Any]", None
                case _:
                    return name, name
        if "oneOf" in schema:
            inner = [one for one in schema["oneOf"] if one.get("type") != "null"]
            annotation, spec = self.shown(inner[0])
            return _nullable(annotation, len(inner) < len(schema["oneOf"])), spec
        kind, null = _type(schema)
        if kind == "array":
            annotation, spec = self.shown(schema["items"])
            return _nullable(f"tuple[{annotation}, ...]", null), f"[]{spec or ''}"
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            annotation, spec = self.shown(schema["additionalProperties"])
            return _nullable(f"dict[str, {annotation}]", null), f"{{}}{spec}" if spec else None
        return _nullable(_plain(kind), null and kind is not None), None

    def taken(self, schema: Schema, *, patch: bool = False) -> str:
        """The annotation of a request's field."""
        if "$ref" in schema:
            name: str = schema["$ref"].rsplit("/", 1)[1]
            match self.document.kind(name):
                case "text":
                    return "str | datetime" if name == "Timestamp" else "str"
                case "map":
                    mapped: Schema = self.document.schemas[name]
                    return "Mapping[str, str | None]" if patch else self.taken(mapped)
                case "words":
                    return name
                case _:
                    return f"{name}Param"
        if "oneOf" in schema:
            inner = [one for one in schema["oneOf"] if one.get("type") != "null"]
            return _nullable(self.taken(inner[0], patch=patch), len(inner) < len(schema["oneOf"]))
        if "enum" in schema:
            return f"Literal[{', '.join(map(_quoted, schema['enum']))}]"
        kind, null = _type(schema)
        if kind == "array":
            return _nullable(f"Sequence[{self.taken(schema['items'])}]", null)
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return _nullable(f"Mapping[str, {self.taken(schema['additionalProperties'])}]", null)
        return _nullable(_plain(kind), null and kind is not None)


def _type(schema: Schema) -> tuple[str | None, bool]:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    return next((one for one in kinds if one != "null"), None), "null" in kinds


def _plain(kind: str | None) -> str:
    return {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "object": "dict[str, Any]"}.get(
        kind or "", "Any"
    )


def _nullable(annotation: str, null: bool) -> str:
    return f"{annotation} | None" if null and not annotation.endswith("| None") and annotation != "Any" else annotation


def _quoted(text: str) -> str:
    return f'"{text}"'


def _constant(code: str) -> str:
    """A class's constant, in lines that end in time: nothing in it has a space that matters."""
    lines = textwrap.wrap(code, 120, initial_indent="    ", subsequent_indent="        ", break_long_words=False)
    return "\n".join(lines) + "\n"


def describe(schema: Schema) -> str:
    """What a field is, from wherever the document says it."""
    for place in (schema, *schema.get("oneOf", [])):
        if place.get("description"):
            return words(place["description"])
    return ""


def _doc(text: str, indent: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["(The API's document does not say.)"]
    body = f"\n{indent}".join(lines)
    # A quote at the end would run into the three that close.
    return f'{indent}"""{body}"""\n' if not body.endswith('"') else f'{indent}"""{body} """\n'


class _Writer:
    """Writes classes of models."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.shapes = Shapes(document)

    def model(self, name: str, base: str, about: str, schema: Schema, head: str = "", skip: Iterable[str] = ()) -> str:
        _, properties, required = self.document.merged(schema)
        fields = {field: one for field, one in properties.items() if field not in skip}
        nested, lines = {}, []
        for field, one in fields.items():
            annotation, spec = self.shapes.shown(one)
            lines.append(f"    {safe(field)}: {_nullable(annotation, field not in required)}\n")
            if describe(one):
                lines.append(_doc(describe(one), "    "))
            if spec:
                nested[field] = spec
        must = sorted(field for field in fields if field in required)
        may = sorted(field for field in fields if field not in required)
        text = f"class {name}({base}):\n{_doc(about, '    ')}\n"
        text += head
        if nested:
            seen = "".join(f', "{field}": "{spec}"' for field, spec in nested.items())
            text += _constant(f"_nested: ClassVar[Mapping[str, str]] = {{**{base}._nested{seen}}}")
        for kind, named in (("_required", must), ("_optional", may)):
            if named:
                quoted = ", ".join(map(_quoted, named))
                text += _constant(f"{kind}: ClassVar[frozenset[str]] = {base}.{kind} | {{{quoted}}}")
        return text + ("\n" if lines and (nested or must or may or head) else "") + "".join(lines) + "\n\n"

    def union(self, name: str, about: str) -> str:
        base: Schema = {"properties": {"type": {"type": "string", "description": "Which it is."}}, "required": ["type"]}
        own = "    _variants: ClassVar[dict[str, type[ApiObject]]] = {}\n"
        text = self.model(name, "ApiObject", f"{about}\nOne of a later release is a plain `{name}`.", base, own)
        for variant in self.document.variants(name, name):
            text += self.variant(variant.name, name, variant.tag, variant.schema)
        return text

    def variant(self, name: str, base: str, tag: str, schema: Schema) -> str:
        about = words(schema.get("description", "")) or f"`{tag}`."
        inherited, properties, required = self.document.merged(schema)
        if inherited:
            _, more, also = self.document.merged(self.document.schemas[inherited])
            properties, required = {**properties, **more}, required + also
        whole: Schema = {"properties": properties, "required": list(required)}
        return self.model(name, base, about, whole, f'    _tag: ClassVar[str | None] = "{tag}"\n', skip=("type",))


def types(document: Document) -> dict[str, str]:
    """The files of `headwater.types`."""
    answers, requests = document.answers, document.requests
    used = answers | requests
    files = {
        "words.py": _words(document, sorted(name for name in used if document.kind(name) == "words")),
        "objects.py": _objects(document, sorted(answers - {"Event", "EventBody"})),
        "events.py": _events(document),
        "params.py": _params(document, sorted(requests)),
    }
    names = {file[:-3]: _public(text) for file, text in files.items()}
    text = head("The values of the API, and what its requests take.")
    for module in ("events", "objects", "params", "words"):
        text += f"from .{module} import (\n" + "".join(f"    {name},\n" for name in names[module]) + ")\n"
    everything = sorted(name for module in names.values() for name in module)
    text += "\n__all__ = [\n" + "".join(f'    "{name}",\n' for name in everything) + "]\n"
    return {**files, "__init__.py": text}


def _public(text: str) -> list[str]:
    found = []
    for line in text.splitlines():
        if line.startswith("class ") and not line.startswith("class _"):
            found.append(line[6:].split("(")[0])
        elif ": TypeAlias = " in line and not line.startswith(" "):
            found.append(line.split(":")[0])
    return sorted(found)


def _words(document: Document, names: list[str]) -> str:
    text = head("Words that fields are made of. A word of a later release is a plain string.")
    text += "from typing import Literal, TypeAlias, Union\n\n"
    for name in names:
        schema = document.schemas[name]
        choices = "".join(f'        "{one}",\n' for one in schema["enum"])
        text += f"{name}: TypeAlias = Union[\n    Literal[\n{choices}    ],\n    str,\n]\n"
        text += _doc(words(schema.get("description", "")), "") + "\n"
    return text


def _objects(document: Document, names: list[str]) -> str:
    writer = _Writer(document)
    text = head("The objects that the API answers with.")
    text += "from collections.abc import Mapping\nfrom typing import Any, ClassVar\n\nfrom .._model import ApiObject\n"
    body, waiting = "", list(names)
    unions = [name for name in names if document.kind(name) == "union"]
    inside = {variant.name for name in unions for variant in document.variants(name, name)}
    written: set[str] = {"Event", "EventBody"}
    while waiting:
        name = waiting.pop(0)
        schema = document.schemas[name]
        base = document.merged(schema)[0] if document.kind(name) == "object" else None
        if base is not None and base not in written:
            waiting.append(name)
            continue
        written.add(name)
        if document.kind(name) == "union":
            body += writer.union(name, words(schema.get("description", "")))
        elif document.kind(name) == "object" and name not in inside:
            body += writer.model(name, base or "ApiObject", words(schema.get("description", "")), schema)
    if "Event" in document.references([document.schemas[name] for name in names]):
        text += "from .events import Event\n"
    return text + _imports_of_words(document, body) + "\n\n" + body.rstrip() + "\n"


def _events(document: Document) -> str:
    writer = _Writer(document)
    envelope = {
        "properties": {
            **document.merged(document.schemas["Event"])[1],
            "type": {"type": "string", "description": "What happened. Types of later releases are plain `Event`s."},
        },
        "required": [*document.merged(document.schemas["Event"])[2], "type"],
    }
    own = "    _variants: ClassVar[dict[str, type[ApiObject]]] = {}\n"
    body = writer.model("Event", "ApiObject", words(document.schemas["Event"]["description"]), envelope, own)
    for variant in document.variants("EventBody", "Event"):
        body += writer.variant(variant.name, "Event", variant.tag, variant.schema)
    text = head("The events of a run's log. Tell them apart with `isinstance` or `match`.")
    text += "from collections.abc import Mapping\nfrom typing import TYPE_CHECKING, Any, ClassVar\n\n"
    text += "from .._model import ApiObject\n"
    text += _imports_of_words(document, body)
    objects = sorted(
        name
        for name in document.reachable(["EventBody"])
        if document.kind(name) in ("object", "union") and name != "EventBody" and f" {name}" in body.replace("[", " ")
    )
    # Only for type checkers: the objects import the events.
    text += "\nif TYPE_CHECKING:\n" + textwrap.indent(imported("from .objects", objects), "    ")
    return text + "\n\n" + body.rstrip() + "\n"


def _imports_of_words(document: Document, body: str) -> str:
    named = set(re.findall(r": ([^\n]+)\n", re.sub(r'""".*?"""', "", body, flags=re.S)))
    found = {name for annotation in named for name in re.findall(r"\w+", annotation)}
    used = sorted(name for name in found if name in document.schemas and document.kind(name) == "words")
    return imported("from .words", used)


def imported(source: str, names: list[str]) -> str:
    """An import, in one line or in many."""
    line = f"{source} import {', '.join(names)}\n"
    if not names or len(line) <= 121:
        return line if names else ""
    return f"{source} import (\n" + "".join(f"    {name},\n" for name in names) + ")\n"


def _params(document: Document, names: list[str]) -> str:
    shapes, body, aliases = Shapes(document), "", ""
    unions = [name for name in names if document.kind(name) == "union"]
    inside = {variant.name for name in unions for variant in document.variants(name, name)}
    for name in names:
        schema = document.schemas[name]
        about = words(schema.get("description", ""))
        match document.kind(name):
            case "object" if name not in inside:
                body += _typed(shapes, f"{name}Param", about, *document.merged(schema)[1:])
            case "union":
                members = []
                for variant in document.variants(name, name):
                    base, properties, required = document.merged(variant.schema)
                    if base:
                        _, more, also = document.merged(document.schemas[base])
                        properties, required = {**properties, **more}, required + also
                    said = words(variant.schema.get("description", "")) or about
                    body += _typed(shapes, f"{variant.name}Param", said, properties, required)
                    members.append(f"{variant.name}Param")
                joined = "".join(f"    {one},\n" for one in members)
                aliases += f"{name}Param: TypeAlias = Union[\n{joined}]\n{_doc(about, '')}\n"
            case "content":
                joined = "".join(f"    {_late(shapes.taken(one))},\n" for one in schema["oneOf"])
                aliases += f"{name}Param: TypeAlias = Union[\n{joined}]\n{_doc(about, '')}\n"
            case _:
                pass
    text = head("What requests take: plain dicts of these shapes.")
    text += "from collections.abc import Mapping, Sequence\n"
    text += "from datetime import datetime\n" if "| datetime" in body else ""
    text += "from typing import Any, Literal, TypeAlias, TypedDict, Union\n\n"
    return text + _imports_of_words(document, body) + "\n\n" + body + aliases.rstrip() + "\n"


def _late(annotation: str) -> str:
    """An annotation that is evaluated, with names that come later in quotes."""
    return annotation if annotation == "str" else annotation.replace("InputPartParam", '"InputPartParam"')


def _typed(shapes: Shapes, name: str, about: str, properties: dict[str, Any], required: tuple[str, ...]) -> str:
    def fields(chosen: list[str]) -> str:
        lines = ""
        for one in chosen:
            lines += f"    {one}: {shapes.taken(properties[one])}\n"
            lines += _doc(describe(properties[one]), "    ") if describe(properties[one]) else ""
        return lines

    must = [one for one in properties if one in required]
    may = [one for one in properties if one not in required]
    if not may:
        return f"class {name}(TypedDict):\n{_doc(about, '    ')}\n{fields(must)}\n\n"
    if not must:
        return f"class {name}(TypedDict, total=False):\n{_doc(about, '    ')}\n{fields(may)}\n\n"
    base = f"_{name}Required"
    return (
        f"class {base}(TypedDict):\n{fields(must)}\n\n"
        f"class {name}({base}, total=False):\n{_doc(about, '    ')}\n{fields(may)}\n\n"
    )


__all__ = ["Shapes", "camel", "describe", "head", "imported", "types"]
