"""Generated questions: what schemathesis makes of the document, with ids that are there put into them.

Without those everything would be 404. What a question uses up is made for it, so that nothing else loses the ground it
stands on.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

from api import JSON, Actor, Api, Refused, question
from foreign import (
    ASKS,
    BODIES,
    COSTS,
    MAKE_THEIR_OWN,
    OPERATORS,
    TALKS,
    TELL_NOTHING,
    TENANTS,
    WORDS,
    filled,
    kind,
    placeholders,
)
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.core import NOT_SET
from schemathesis.schemas import APIOperation
from world import MADE, NOWHERE, WAITING, World, spare

# Hypothesis keeps what it knows of characters there.
set_hypothesis_home_dir(tempfile.mkdtemp(prefix="hypothesis-"))

# What a field of a query or a body names.
FIELDS = {
    "agent": "agent",
    "artifact": "artifact",
    "call": "call_to_output",
    "conversation": "thread",
    "interruptId": "approval_to_decide",
    "parent": "run",
    "prefix": "memory",
    "previous_response_id": "response",
    "run": "run",
    "schedule": "schedule",
    "server": "server_name",
    "thread": "thread",
    "threadId": "thread",
    "ticket": "ticket",
    "user": "somebody",
}
NAMED_IN = {
    "chat_create": {"id": "chat"},
    "completions_create": {"model": "agent_name"},
    "responses_create": {"model": "agent_name"},
    "runs_list": {"external_id": "run_name"},
    "threads_list": {"external_id": "thread_name"},
    "users_list": {"external_id": "somebody_name"},
}
MODEL = "scripted/echo"
# Bodies that are right, beside those of the other part: as much of what is generated is added to them.
RIGHT = BODIES | {
    "agents_create": {"name": "new", "model": MODEL},
    "budgets_create": {**COSTS, "scope": {"type": "user", "id": "@somebody"}},
    "chat_create": {**TALKS, "messages": WORDS},
    "completions_create": {"model": "@agent", "messages": [{"role": "user", "content": "x"}]},
    "issuers_create": {"issuer": "https://fuzzed.test/", "audience": "a"},
    "mcp_servers_create": {"name": "new", "url": NOWHERE},
    "responses_create": {"model": "@agent", "input": "x"},
    "runs_create": {"agent": "@agent", "input": "x"},
    "schedules_create": ASKS,
    "user_tokens_create": {"user": "@somebody"},
    "webhook_endpoints_create": {"url": NOWHERE, "events": ["budget.exhausted"]},
}
# How often a name stays as it was generated, and how often it is one of another's.
KEPT, FOREIGN = 0.2, 0.2
# What may leave a tenant without money: nothing runs after that.
LATE = {"budgets_create": 1, "budgets_update": 2}
RANKS = {"get": 0, "head": 0, "post": 0, "put": 2, "patch": 2, "delete": 3}


def generated(strategy: Any, examples: int, number: int) -> list[Case[Any]]:
    """What Hypothesis makes of a strategy: the same for the same number."""
    found: list[Case[Any]] = []

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def keep(case: Case[Any]) -> None:
        found.append(case)

    with suppress(Unsatisfiable):
        keep()
    return found


def is_choosy(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    """Whether there can be something outside the document: in what takes any text, that is looked for at length."""
    parameters = operation.definition.raw.get("parameters", [])
    return len(operation.body) > 0 or any(it.get("schema") != {"type": "string"} for it in parameters)


def without_nulls(body: Any) -> Any:
    """A body as the server takes it."""
    if isinstance(body, dict):
        return {name: without_nulls(it) for name, it in body.items() if it is not None}
    if isinstance(body, list):
        return [without_nulls(it) for it in body]
    return {} if body is NOT_SET else body


class Fuzz:
    """One actor's generated questions, about what is its own and now and then about what others have."""

    def __init__(self, api: Api, actor: Actor, own: World, others: list[World], number: int) -> None:
        self.api, self.actor, self.own, self.others = api, actor, own, others
        self.random = Random(f"{number} {actor.name}")
        self.words: set[str] = set().union(*(other.words for other in others))
        self.succeeded: Counter[str] = Counter()
        # What may be changed and removed: names by what they name, by what it is.
        self.spares: dict[str, dict[str, str]] = {}

    def begin(self) -> None:
        """Makes one of each while there is room: generated questions make as many of a kind as there may be."""
        self.spares = {what: spare(self.api, self.own, what) for what in MADE}

    def ask(self, operation: str, case: Case[Any], is_negative: bool) -> None:
        """Asks with what is there, and leaves the question as it was generated to others."""
        was = case.path_parameters, case.query, type(case.headers)(case.headers), case.body
        self._prepare(operation, case, is_negative)
        is_done = self.send(operation, case)
        named = set((case.path_parameters or {}).values())
        if is_done and (case.method == "DELETE" or self.api.operations[operation].method == "post"):
            self.spares = {what: names for what, names in self.spares.items() if not named & set(names.values())}
        case.path_parameters, case.query, case.headers, case.body = was

    def send(self, operation: str, case: Case[Any]) -> bool:
        """Asks one: answers whether it was done."""
        words = self.words
        if operation in TENANTS and self.actor.is_key:
            # The key may, whomever it acts for: of its tenant's users there is nothing to hide from it.
            words = set().union(*(other.words for other in self.others if other.label != self.own.label))
        response = self.api.send(self.actor, case, self.api.accept(operation), words)
        if response is None or response.status_code >= 300:
            return False
        self.succeeded[operation] += 1
        self._judge(operation, case, response, words)
        if case.method not in ("GET", "HEAD"):
            # What was said has been kept, and is from now on told to who said it.
            asked = question(response)
            self.words = {word for word in self.words if word not in asked}
        return True

    def _judge(self, operation: str, case: Case[Any], response: Response, words: set[str]) -> None:
        if OPERATORS.match(case.operation.path):
            self.api.add("the operator's", "403 is right", self.actor, operation, response)
        foreign = words & {str(value) for value in (case.path_parameters or {}).values()}
        if foreign and operation not in MAKE_THEIR_OWN and TELL_NOTHING.get(operation) != response.status_code:
            self.api.add("a foreign object is answered for", "404 is right", self.actor, operation, response)

    def _prepare(self, operation: str, case: Case[Any], is_negative: bool) -> None:
        """Puts in what is there."""
        # Schemathesis looks itself whether a question is still outside the document after this.
        named = FIELDS | NAMED_IN.get(operation, {})
        ids = self.own.ids
        path = dict(case.path_parameters or {})
        if path.keys() == set(placeholders(self.api, operation)):
            names, ids = self._path(operation)
            case.path_parameters = path | names
        query = dict(case.query or {})
        for name in sorted(query.keys() & named.keys()):
            query[name] = self._named(named[name], query[name])
        # These only wait.
        if isinstance(query.get("wait_ms"), int) or str(query.get("wait_ms", "")).isdecimal():
            query["wait_ms"] = min(int(query["wait_ms"]), 50)
        if query.get("live") in ("long-poll", "sse"):
            del query["live"]
        if query != case.query:
            case.query = query
        is_heads = self.random.random() < 0.5
        if is_heads or not is_negative:
            case.body = self._filled(case.body, named)
        if is_heads and not is_negative and isinstance(case.body, dict) and operation in RIGHT:
            some = {name: it for name, it in case.body.items() if self.random.random() < 0.3}
            case.body = some | filled(RIGHT[operation], ids, ids)
        if is_negative and len(case.operation.body) > 0 and case.operation.body[0].media_type == JSON:
            # The document cannot say that `null` is the default, that it removes what a patch is made to, and that no
            # body is an empty one: `server/src/http/json.rs`. What is outside the document by this alone is not.
            case.body = without_nulls(case.body)
            case.media_type = JSON
        if self.actor.user is not None:
            case.headers["Headwater-User"] = self.actor.user

    def _path(self, operation: str) -> tuple[dict[str, str], dict[str, str]]:
        """What a path should name, and what else is there. What is not in it is left as it was generated."""
        kinds = {name: kind(operation, name) for name in placeholders(self.api, operation)}
        changes = self.api.operations[operation].method in ("put", "patch", "delete")
        made = dict(self.own.ids)
        for what in kinds.values():
            if what in WAITING or (changes and what in MADE):
                del made[what]
                made |= self._spare(what)
        found = {}
        for name, what in kinds.items():
            dice = self.random.random()
            ids = made if dice > (KEPT + FOREIGN) / len(kinds) else self.random.choice(self.others).ids
            if what in ids and dice > KEPT / len(kinds):
                found[name] = ids[what]
        return found, self.own.ids | made

    def _spare(self, what: str) -> dict[str, str]:
        if what not in self.spares:
            try:
                self.spares[what] = spare(self.api, self.own, what)
            except Refused:
                # There are as many as may be.
                return {}
        return self.spares[what]

    def _named(self, what: str, value: Any) -> Any:
        dice = self.random.random()
        if dice < KEPT:
            return value
        # Whoever has a ticket may read with it.
        is_foreign = dice < KEPT + FOREIGN and what != "ticket"
        world = self.random.choice(self.others) if is_foreign else self.own
        return world.ids.get(what, value)

    def _filled(self, value: Any, named: dict[str, str]) -> Any:
        if isinstance(value, list):
            return [self._filled(it, named) for it in value]
        if not isinstance(value, dict):
            return value
        found = {name: self._filled(it, named) for name, it in value.items()}
        for name, it in found.items():
            if isinstance(it, str) and name in named:
                found[name] = self._named(named[name], it)
            elif isinstance(it, str) and name == "model" and self.random.random() > KEPT:
                found[name] = MODEL
        return found


def ask(api: Api, everybody: list[Fuzz], number: int, examples: int, end: float) -> int:
    """Has everybody ask all there is. Stops at `end` of the monotonic clock: answers about how many were left out."""
    random = Random(number)
    operations = list(api.operations)
    random.shuffle(operations)
    # What takes something away comes last.
    operations.sort(key=lambda name: LATE.get(name, RANKS[api.operations[name].method]))
    left_out = 0
    for fuzz in everybody:
        fuzz.begin()
    for at, operation in enumerate(operations):
        # Each has its share of the time, of which the quick leave some for the slow.
        now = time.monotonic()
        if now > end:
            left_out += (len(operations) - at) * 4 * examples
            break
        until = now + 3 * (end - now) / (len(operations) - at)
        is_refused = OPERATORS.match(api.operations[operation].path) is not None
        found = list(cases(api, operation, random, max(1, examples // 4) if is_refused else examples))
        for asked, case in enumerate(found):
            is_negative = case.meta is not None and case.meta.generation.mode.is_negative
            if time.monotonic() > until:
                left_out += len(found) - asked
                break
            for fuzz in everybody:
                fuzz.ask(operation, case, is_negative)
    for fuzz in everybody:
        if not left_out and len(fuzz.succeeded) < len(operations) / 4:
            about = f"{fuzz.actor.name} was let do {len(fuzz.succeeded)} of {len(operations)} operations"
            api.report("nothing is proved", about, "any")
    return left_out


def cases(api: Api, operation: str, random: Random, examples: int) -> Iterator[Case[Any]]:
    """As many as there should be of each: within the document, outside it, and at its edges."""
    it = api.operations[operation]
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    for mode in modes if is_choosy(it) else modes[:1]:
        yield from generated(it.as_strategy(generation_mode=mode), examples, random.randrange(2**32))
    config = api.schema.config.generation_for(operation=it)
    edges = list(api.schema.iter_coverage_cases(it, generation_modes=modes, generation_config=config))
    yield from random.sample(edges, min(2 * examples, len(edges)))
