"""Shows that what should be found is found: every check is given an answer that it has to object to.

Without it, a check that has come loose would look like a server without faults.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection
from typing import Any

import requests
from api import JSON, Actor, Api
from foreign import Question, Wall, unknown
from generated import Fuzz, generated
from schemathesis import Case, GenerationMode, Response
from world import NOWHERE, World

KEY = Actor("the proof's tenant", "KEY", "hw_sk_proof")
MARKER, ID = "said-0123456789ab", "run_00000000-0000-7000-8000-000000000000"
GOOD: dict[str, Any] = {"object": "list", "data": [], "has_more": False, "next_cursor": None}
BAD: dict[str, Any] = {
    "type": "/docs/errors#not_found",
    "title": "Not found",
    "status": 404,
    "code": "not_found",
    "retryable": False,
    "fault": "caller",
    "errors": [],
}


class Canned(Api):
    """A server that answers what it is told to."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(NOWHERE, document)
        self.answers: list[tuple[int, Any]] = []

    def send(self, actor: Actor, case: Case[Any], accept: str = JSON, words: Collection[str] = ()) -> Response | None:
        """The next answer, if there is one, judged as a server's is."""
        if not self.answers:
            return None
        status, body = self.answers.pop(0)
        return self.given(actor, case, status, body, words=words)

    def given(
        self,
        actor: Actor,
        case: Case[Any],
        status: int,
        body: Any,
        kind: str | None = None,
        headers: dict[str, list[str]] | None = None,
        words: Collection[str] = (),
    ) -> Response:
        """An answer, judged as a server's is."""
        kwargs = case.as_transport_kwargs(base_url=NOWHERE)
        request = requests.Request(kwargs["method"], kwargs["url"], headers=actor.headers, params=kwargs.get("params"))
        # Of what kind errors should be is found out elsewhere.
        error = next(iter(case.operation.definition.raw["responses"]["default"]["content"]))
        kind = kind or (error if status >= 400 else JSON)
        headers = {"content-type": [kind], "request-id": ["req_1"]} if headers is None else headers
        response = Response(status, headers, json.dumps(body).encode(), request.prepare(), 0.0, verify=True)
        self.judge(actor, case, response, words)
        return response


def holds(is_so: bool, otherwise: str) -> None:
    """What has to be so."""
    if not is_so:
        raise AssertionError(otherwise)


def prove(document: dict[str, Any]) -> None:
    """Raises `AssertionError` where something would not be found."""
    document = copy.deepcopy(document)
    reads_new = {"operationId": "thing_get", "responses": {"default": {"description": ""}}}
    document["paths"]["/v1/things/{thing}"] = {"get": reads_new}
    api = Canned(document)
    holds(any("thing_get" in it for it in unknown(api)), "a new operation would not be noticed")
    reads = api.case("threads_list")

    def titles() -> set[str]:
        found = {finding.title for finding in api.findings.values()}
        api.findings.clear()
        return found

    def finds(title: str) -> None:
        found = titles()
        holds(title in found, f"{title!r} would not be found, only {sorted(found)}")

    def finds_nothing() -> None:
        found = titles()
        holds(not found, f"found in answers that are right: {sorted(found)}")

    api.given(KEY, reads, 200, GOOD)
    api.given(KEY, reads, 404, BAD)
    tells = {**GOOD, "next_cursor": MARKER}
    api.given(KEY, api.case("threads_list", query={"external_id": MARKER}), 200, tells, words={MARKER})
    finds_nothing()
    api.given(KEY, reads, 200, tells, words={MARKER})
    finds("a foreign object")
    api.given(KEY, reads, 500, {**BAD, "status": 500, "code": "internal"})
    finds("Server error")
    api.given(KEY, reads, 200, {**GOOD, "data": [{"id": 1}]})
    finds("Response violates schema")
    api.given(KEY, reads, 404, {**BAD, "code": "unheard_of"})
    finds("Response violates schema")
    api.given(KEY, reads, 200, GOOD, kind="text/html")
    finds("Undocumented Content-Type")
    api.given(KEY, reads, 207, GOOD)
    finds("undocumented success")
    api.given(KEY, reads, 400, BAD)
    finds("a status that is not the problem's")
    api.given(KEY, reads, 409, {**BAD, "status": 409})
    finds("a code with two statuses")
    api.given(KEY, reads, 200, GOOD, headers={"content-type": [JSON]})
    finds("no Request-Id")
    negative = api.operations["threads_list"].as_strategy(generation_mode=GenerationMode.NEGATIVE)
    for case in generated(negative, 5, 1):
        api.given(KEY, case, 200, GOOD)
    finds("Schema-violating request accepted")

    other = World("other", "other", MARKER, KEY, KEY, ids={"tenant": "ten_1", "run": ID}, words={MARKER, ID})
    own = World("own", "own", "own", KEY, KEY)
    wall = Wall(api, other, own)
    finds("nothing is proved")
    asked, nothing = (Question("path", "runs_get", {"run": it}) for it in (ID, ID.replace("8", "9")))
    api.answers = [(404, BAD), (404, BAD)]
    wall.compare(KEY, asked, nothing)
    finds_nothing()
    api.answers = [(404, {**BAD, "detail": "it is another's"}), (404, BAD)]
    wall.compare(KEY, asked, nothing)
    finds("a foreign object is told from none")
    api.answers = [(409, {**BAD, "status": 409, "code": "run_finished"})] * 2
    wall.compare(KEY, asked, nothing)
    finds("a foreign object is answered for")
    fuzz = Fuzz(api, KEY, own, [other], 1)
    api.answers = [(200, GOOD)]
    fuzz.send("tenants_list", api.case("tenants_list"))
    finds("the operator's")
    api.answers = [(200, GOOD)]
    fuzz.send("runs_get", api.case("runs_get", path={"run": ID}))
    finds("a foreign object is answered for")
