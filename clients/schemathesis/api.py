"""Asks the server, holds every answer against its OpenAPI document, and keeps what was found."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import schemathesis
from schemathesis import Case, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

# The server is the one that is named: no proxy of the environment stands in between.
os.environ["NO_PROXY"] = "*"

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    # What the document forbids is refused. The opposite (positive_data_acceptance) is not asked for: a document cannot
    # say that an agent has to be there, that a model has to be known, or that a name is taken.
    checks.negative_data_rejection,
]
ANY, EVENTS, JSON = "*/*", "text/event-stream", "application/json"
# Seconds. A stream that stays open is read for so long and then left.
PATIENCE, STREAM_PATIENCE = 20.0, 3.0
# What matters in a command, of all that is sent along.
SENT_BY_ITSELF = {"host", "user-agent", "accept-encoding", "connection", "content-length", "x-schemathesis-testcaseid"}


@dataclass(frozen=True)
class Actor:
    """Somebody who asks. `variable`: what holds the credential in the commands that are printed."""

    name: str
    variable: str
    credential: str
    user: str | None = None

    @property
    def is_key(self) -> bool:
        """Whether this is a tenant, whomever it acts for."""
        return self.credential.startswith("hw_sk_")

    @property
    def headers(self) -> dict[str, str]:
        """What goes along with everything that the actor asks."""
        headers = {"Authorization": f"Bearer {self.credential}"} if self.credential else {}
        return headers if self.user is None else {**headers, "Headwater-User": self.user}


NOBODY = Actor("nobody", "NOBODY", "")


@dataclass
class Finding:
    """Something that should not be, and how to see it again."""

    title: str
    actor: Actor
    operation: str
    status: int | None
    about: str
    command: str
    answer: str
    count: int = 1


class Refused(Exception):
    """What everything else is built on could not be made."""


class Api:
    """The server under test."""

    def __init__(self, url: str, document: dict[str, Any]) -> None:
        self.url = url
        self.schema = schemathesis.openapi.from_dict(with_events(document))
        found = [result.ok() for result in self.schema.get_all_operations() if isinstance(result, Ok)]
        self.operations = {str(operation.definition.raw["operationId"]): operation for operation in found}
        self.findings: dict[tuple[object, ...], Finding] = {}
        self.requests: Counter[str] = Counter()
        # By the names that commands have for them.
        self.credentials: dict[str, str] = {}
        self.statuses: dict[str, Counter[int]] = {}
        # Which status an error code came with: it has one.
        self.codes: dict[str, int] = {}

    def case(
        self,
        operation: str,
        path: Mapping[str, object] | None = None,
        query: Mapping[str, object] | None = None,
        body: Any = NOT_SET,
        headers: Mapping[str, str] | None = None,
    ) -> Case[Any]:
        """A question, by the operation's id."""
        case: Case[Any] = self.operations[operation].Case(
            path_parameters=dict(path or {}), query=dict(query or {}), headers=dict(headers or {}), body=body
        )
        return case

    def accept(self, operation: str) -> str:
        """What an operation can be asked for that comes to an end."""
        responses = self.operations[operation].definition.raw["responses"]
        types = {kind for status, it in responses.items() if status < "3" for kind in it.get("content", {})}
        return JSON if JSON in types else EVENTS if EVENTS in types else ANY

    def send(self, actor: Actor, case: Case[Any], accept: str = JSON, words: Collection[str] = ()) -> Response | None:
        """Asks. `words`: what must not be in the answer unless it is in the question. `None`: there was no answer."""
        operation = str(case.operation.definition.raw["operationId"])
        headers = {**actor.headers, "Accept": accept}
        self.requests[actor.name] += 1
        self.credentials[actor.variable] = actor.credential
        try:
            # Each on a connection of its own: what breaks one is what was asked on it.
            patience = STREAM_PATIENCE if accept == EVENTS else PATIENCE
            response = case.call(base_url=self.url, headers=headers, timeout=patience)
        except OSError as error:
            # As all that the transport raises is.
            request = getattr(error, "request", None)
            command = "" if request is None else curl(actor, request.method, request.url, request.headers, request.body)
            self._keep(Finding("no answer", actor, operation, None, repr(error), command, ""))
            return None
        self.judge(actor, case, response, words)
        return response

    def judge(self, actor: Actor, case: Case[Any], response: Response, words: Collection[str] = ()) -> None:
        """Holds an answer against the document, and against what must not be in it."""
        operation = str(case.operation.definition.raw["operationId"])
        self.statuses.setdefault(operation, Counter())[response.status_code] += 1
        headers = dict(response.request.headers)
        # What a patch says of something nested is judged once that is merged: the document cannot say so.
        is_part = case.method == "PATCH" and holds_objects(case.body)
        held = [check for check in CHECKS if not (is_part and check is checks.negative_data_rejection)]
        try:
            case.validate_response(response, checks=held, headers=headers)
        except FailureGroup as group:
            for failure in group.exceptions:
                self.add(failure.title, failure.message, actor, operation, response)
        for title, about in self._conventions(case, response):
            self.add(title, about, actor, operation, response)
        found = told(response, words)
        if found:
            self.add("a foreign object", f"the answer holds {max(found, key=len)}", actor, operation, response)

    def _conventions(self, case: Case[Any], response: Response) -> list[tuple[str, str]]:
        """What the document has only words for."""
        found = []
        status = response.status_code
        if "request-id" not in response.headers:
            found.append(("no Request-Id", "every answer of the server has one"))
        if status < 400:
            # `default` is for errors: it would let any other success pass.
            named = case.operation.responses.status_codes
            if str(status) not in named:
                found.append(("undocumented success", f"{status} is not one of {', '.join(named)}"))
        elif response.request.method != "HEAD":
            problem = json_of(response)
            problem = problem if isinstance(problem, dict) else {}
            code = str(problem.get("code"))
            if problem.get("status") != status:
                found.append(("a status that is not the problem's", f"the problem says {problem.get('status')}"))
            elif self.codes.setdefault(code, status) != status:
                found.append(("a code with two statuses", f"{code} came with {self.codes[code]} before"))
        return found

    def add(self, title: str, about: str, actor: Actor, operation: str, response: Response) -> None:
        """Keeps what was found in an answer."""
        request = response.request
        command = curl(actor, request.method, request.url, request.headers, request.body)
        text = response.content[:1000].decode("utf-8", "replace")
        self._keep(Finding(title, actor, operation, response.status_code, about, command, text))

    def report(self, title: str, about: str, operation: str) -> None:
        """Keeps what was found in no single answer."""
        self._keep(Finding(title, NOBODY, operation, None, about, "", ""))

    def _keep(self, finding: Finding) -> None:
        # The same with other ids and numbers is only counted.
        about = re.sub(r"[0-9a-f]*\d[0-9a-f]*", "0", finding.about)[:160]
        key = (finding.title, finding.actor.name, finding.operation, finding.status, about)
        self.findings.setdefault(key, finding).count += key in self.findings and self.findings[key] is not finding

    def must(self, actor: Actor, operation: str, accept: str = JSON, **asked: Any) -> Any:
        """What comes of something that has to succeed: its JSON, or `None` where it has none."""
        response = self.send(actor, self.case(operation, **asked), accept)
        if response is None or response.status_code >= 300:
            what = "no answer" if response is None else f"{response.status_code} {response.content[:600]!r}"
            raise Refused(f"{operation} as {actor.name}: {what}")
        return json_of(response)


def with_events(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with what the events of its streams hold.

    A stream is a string to the document, as OpenAPI 3.1 has no word for its events; schemathesis takes the schema for
    that of each event.
    """
    # Who asks is said beside what is asked.
    document = {name: it for name, it in document.items() if name != "security"}
    control = {
        "type": "object",
        "required": ["v", "ts", "run", "type"],
        "properties": {"type": {"pattern": r"^stream\."}},
        "not": {"required": ["seq"]},
    }
    event = {"anyOf": [{"$ref": "#/components/schemas/Event"}, control]}
    of_run = {"type": "string", "contentMediaType": JSON, "contentSchema": event}
    for path, item in document["paths"].items():
        for operation in item.values():
            for response in operation["responses"].values():
                content = response.get("content", {})
                if EVENTS in content:
                    # What other clients understand is described where they are.
                    is_run = path.startswith(("/v1/runs", "/v1/threads"))
                    content[EVENTS]["schema"] = {"properties": {"data": of_run}} if is_run else {}
    return document


def holds_objects(body: Any) -> bool:
    """Whether there are objects in an object."""
    return isinstance(body, dict) and any(isinstance(it, dict) for it in body.values())


def json_of(response: Response) -> Any:
    """An answer's JSON; `None` where there is none."""
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def told(response: Response, words: Collection[str]) -> list[str]:
    """Which of these an answer tells of itself."""
    if not words:
        return []
    text = response.content.decode("utf-8", "replace") + " ".join(chain(*response.headers.values()))
    found = [word for word in words if word in text]
    if not found:
        return []
    asked = question(response)
    return [word for word in found if word not in asked]


def question(response: Response) -> str:
    """All that was sent."""
    request = response.request
    body = request.body or b""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    return f"{request.url} {text} {request.headers}"


def curl(actor: Actor, method: str | None, url: str | None, headers: Mapping[str, Any], body: object) -> str:
    """The command that asks the same."""
    words = ["curl -sS -i", f"-X {method}" if method != "HEAD" else "-I", shlex.quote(str(url))]
    for name, value in headers.items():
        if name.lower() == "authorization":
            words.append(f'-H "Authorization: Bearer ${actor.variable}"')
        elif name.lower() not in SENT_BY_ITSELF:
            words.append("-H " + shell(f"{name}: {value}" if value else f"{name};"))
    if body:
        words.append("--data-binary " + shell(body if isinstance(body, (str, bytes)) else str(body)))
    return " ".join(words)


def shell(text: str | bytes) -> str:
    """A word for a shell, whatever is in it."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    plain = raw.decode("ascii", "replace")
    if plain.isprintable() and raw.isascii():
        return shlex.quote(plain)
    return "$'" + "".join(chr(at) if 32 <= at < 127 and at not in b"\\'" else f"\\x{at:02x}" for at in raw) + "'"
