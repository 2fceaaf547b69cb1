"""What others have is not found, told or changed: what is asked for that, and what may be answered."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from api import EVENTS, Actor, Api, json_of
from schemathesis import Response
from schemathesis.core import NOT_SET
from world import World

# Served to the operator alone.
OPERATORS = re.compile(r"/v1/(tenants|plans|doctor|limiter|quiet)(/|$)")
# What a name in a path stands for, and where an operation needs an object in another state.
NAMED = {
    "agent": "agent",
    "approval": "approval_to_decide",
    "artifact": "artifact",
    "budget": "tenants_budget",
    "call": "call_to_call",
    "chat": "chat",
    "delivery": "delivery",
    "endpoint": "endpoint",
    "issuer": "issuer",
    "key": "memory",
    "message": "message",
    "name": "secret",
    "plan": "plan",
    "provider": "provider",
    "response": "response",
    "run": "run",
    "schedule": "schedule",
    "server": "server",
    "tenant": "tenant",
    "thread": "thread",
    "user": "somebody",
    "version": "version",
}
STATES = {
    "agents_put": {"agent": "agent_name"},
    "approvals_decide": {"run": "run_to_decide"},
    "chat_stop": {"chat": "chat_to_stop"},
    "responses_cancel": {"response": "response_to_cancel"},
    "runs_call_result": {"run": "run_to_call"},
    "runs_cancel": {"run": "run_to_cancel"},
    "runs_resume": {"run": "run_without_money"},
    "runs_tool_outputs": {"run": "run_to_output"},
    "tenant_budgets_delete": {"budget": "operators_budget"},
    "tenant_budgets_get": {"budget": "operators_budget"},
    "tenant_budgets_update": {"budget": "operators_budget"},
    "tenant_keys_revoke": {"key": "another_key"},
}
# What else names the same, or another one of the kind.
ALIASES = {
    "agent": "agent_name",
    "chat": "thread",
    "server": "server_name",
    "somebody": "somebody_name",
    "tenants_budget": "budget",
}
# In what follows `$` begins something of the other one's, and `@` something of the asker's.
# Bodies that an owner succeeds with.
BODIES: dict[str, Any] = {
    "ag_ui_run": {"threadId": "new", "runId": "new", "messages": [{"role": "user", "content": "changed"}]},
    "agents_put": {"model": "scripted/echo"},
    "agents_update": {"description": "changed"},
    "approvals_decide": {"decision": "approved"},
    "budgets_update": {"warn_at_percent": 70},
    "issuers_update": {"user_claim": "email"},
    "mcp_servers_update": {"auth": {"type": "none"}},
    "memory_put": {"value": "changed"},
    "messages_create": {"role": "user", "content": "changed"},
    "plans_put": {"weight": 2},
    "provider_keys_put": {"key": "changed"},
    "runs_call_result": {"output": "changed"},
    "runs_cancel": {},
    "runs_resume": {"run_budget": {"limit": {"usd": "1"}}},
    "runs_tool_outputs": {"tool_outputs": [{"call": "$call_to_output", "output": "changed"}]},
    "schedules_update": {"name": "changed"},
    "secrets_put": {"value": "changed"},
    "tenant_budgets_create": {"scope": {"type": "tenant"}, "mode": "soft", "limit": {"usd": "1"}},
    "tenant_budgets_update": {"warn_at_percent": 70},
    "tenant_keys_create": {"name": "changed"},
    "tenant_prices_put": {"markup_ppm": 2},
    "tenants_update": {"name": "changed"},
    "thread_runs_create": {"agent": "@agent", "input": "changed"},
    "threads_update": {"title": "changed"},
    "users_update": {"name": "changed"},
    "webhook_endpoints_update": {"description": "changed"},
}
FILE = [{"type": "file", "source": {"type": "artifact", "artifact": "$artifact"}, "filename": "f"}]
ASKS = {"name": "new", "agent": "@agent", "input": "x", "cron": "0 7 1 1 *", "enabled": False}
COSTS = {"mode": "soft", "limit": {"usd": "1"}}
CALLS = {"name": "new", "model": "scripted/tools"}
TALKS = {"id": "new", "agent": "@agent"}
WORDS = [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "x"}]}]
SAYS = {"threadId": "new", "runId": "new", "messages": [{"role": "user", "content": "x"}]}
DECIDES = [{"interruptId": "$approval_to_decide", "status": "resolved", "payload": True}]
# What names objects in bodies: refused.
REFERENCES: list[tuple[str, dict[str, str], Any]] = [
    ("ag_ui_run", {"agent": "@agent"}, {**SAYS, "threadId": "$thread"}),
    ("ag_ui_run", {"agent": "@agent"}, {**SAYS, "messages": [], "resume": DECIDES}),
    ("agents_create", {}, {**CALLS, "tools": [{"type": "agent", "name": "a", "agent": "$agent"}]}),
    ("agents_create", {}, {**CALLS, "tools": [{"type": "agent", "name": "a", "agent": "$agent_name"}]}),
    ("agents_create", {}, {**CALLS, "tools": [{"type": "mcp", "server": "$server"}]}),
    ("agents_create", {}, {**CALLS, "tools": [{"type": "mcp", "server": "$server_name"}]}),
    ("agents_update", {"agent": "@agent"}, {"tools": [{"type": "mcp", "server": "$server_name"}]}),
    ("budgets_create", {}, {**COSTS, "scope": {"type": "agent", "id": "$agent"}}),
    ("budgets_create", {}, {**COSTS, "scope": {"type": "user", "id": "$somebody"}}),
    ("chat_create", {}, {**TALKS, "agent": "$agent", "messages": WORDS}),
    ("chat_create", {}, {**TALKS, "id": "$thread", "messages": WORDS}),
    ("chat_create", {}, {**TALKS, "id": "$chat", "messages": [{**WORDS[0], "id": "$run", "role": "assistant"}]}),
    ("chat_create", {}, {**TALKS, "id": "@chat", "messages": [{**WORDS[0], "id": "$run", "role": "assistant"}]}),
    ("completions_create", {}, {"model": "$agent", "messages": [{"role": "user", "content": "x"}]}),
    ("messages_create", {"thread": "@thread"}, {"role": "user", "content": FILE}),
    ("responses_create", {}, {"model": "$agent", "input": "x"}),
    ("responses_create", {}, {"model": "$agent_name", "input": "x"}),
    ("responses_create", {}, {"model": "@agent", "input": "x", "conversation": "$thread"}),
    ("responses_create", {}, {"model": "@agent", "input": "x", "previous_response_id": "$response"}),
    ("runs_create", {}, {"agent": "$agent", "input": "x"}),
    ("runs_create", {}, {"agent": "$agent_name", "input": "x"}),
    ("runs_create", {}, {"agent": "@agent", "input": FILE}),
    ("runs_tool_outputs", {"run": "@run_to_output"}, {"tool_outputs": [{"call": "$call_to_output", "output": "x"}]}),
    ("schedules_create", {}, {**ASKS, "agent": "$agent"}),
    ("schedules_create", {}, {**ASKS, "thread": "$thread"}),
    ("schedules_create", {}, {**ASKS, "input": FILE}),
    ("schedules_update", {"schedule": "@schedule"}, {"agent": "$agent"}),
    ("schedules_update", {"schedule": "@schedule"}, {"thread": "$thread"}),
    ("schedules_update", {"schedule": "@schedule"}, {"input": FILE}),
    ("thread_runs_create", {"thread": "@thread"}, {"agent": "$agent", "input": "x"}),
    ("thread_runs_create", {"thread": "@thread"}, {"agent": "@agent", "input": FILE}),
    ("user_tokens_create", {}, {"user": "$somebody"}),
]
# What names objects in queries: nothing is found.
FILTERS: list[tuple[str, dict[str, str], dict[str, str]]] = [
    ("approvals_list", {}, {"run": "$run_to_decide"}),
    ("approvals_list", {}, {"thread": "$thread"}),
    ("approvals_list", {}, {"user": "$somebody"}),
    ("budgets_get", {"budget": "@budget"}, {"user": "$somebody"}),
    ("budgets_list", {}, {"user": "$somebody"}),
    ("memory_list", {}, {"prefix": "$memory"}),
    ("messages_list", {"thread": "@thread"}, {"run": "$run"}),
    ("runs_list", {}, {"agent": "$agent"}),
    ("runs_list", {}, {"external_id": "$run_name"}),
    ("runs_list", {}, {"parent": "$run"}),
    ("runs_list", {}, {"schedule": "$schedule"}),
    ("runs_list", {}, {"thread": "$thread"}),
    ("runs_list", {}, {"user": "$somebody"}),
    ("runs_list", {}, {"user": "$somebody_name"}),
    ("thread_runs_list", {"thread": "@thread"}, {"user": "$somebody"}),
    ("threads_list", {}, {"external_id": "$thread_name"}),
    ("threads_list", {}, {"user": "$somebody"}),
    ("users_list", {}, {"external_id": "$somebody_name"}),
]
# A name that is free is the caller's: these make an object of the caller's own, and tell of no other.
MAKE_THEIR_OWN = {"agents_put", "memory_put", "provider_keys_put", "secrets_put"}
# Kept unread, as an agent may be named before it is there: `Wall.call` looks who answers to it.
KEPT_UNREAD = ("agents_create", "agent")
# Whether somebody else has a chat of that name is not told: there is nothing in it.
TELL_NOTHING = {"chat_get": 200, "chat_stream": 204}
# The tenant's, though they are about a user: its key may, whomever it acts for.
TENANTS = {"budgets_create", "budgets_delete", "budgets_update", "user_tokens_create"}
TENANTS |= {"users_delete", "users_get", "users_list", "users_update"}
# Done for a user, who may not do it: nobody gives themselves more money.
FOR_USERS = {"runs_resume"}
# Without a provider that takes keys (`HEADWATER__PROVIDERS__LOCAL__BASE_URL` at the server's start) nobody has one.
OF_PROVIDERS = {"provider_keys_delete", "provider_keys_put"}
# Lists without anything that could be somebody's.
ANONYMOUS = {"doctor_get", "limiter_get", "models_list", "provider_keys_list", "quiet_get"}
# Where a tenant's key has to say for which user.
USERS = {"ag_ui_run", "memory_delete", "memory_get", "memory_list", "memory_put", "thread_runs_create"}
USERS |= {"chat_get", "chat_stop", "chat_stream"}
# What changes by itself: deliveries are tried again, and keys know when they were used.
CHANGING = {"attempts", "failing_since", "last_used_at", "next_attempt_at", "response_status"}
# What an owner does last, as nothing is left behind it.
LAST = ["agents_archive", "threads_delete", "users_delete", "tenants_delete"]


@dataclass(frozen=True)
class Question:
    """Something to ask for. `at`: where it names what is another one's, or `list` where it names nothing."""

    at: Literal["path", "body", "query", "list"]
    operation: str
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: Any = NOT_SET


def placeholders(api: Api, operation: str) -> list[str]:
    """The names in an operation's path."""
    return re.findall(r"{(\w+)}", api.operations[operation].path)


def kind(operation: str, placeholder: str) -> str:
    """What a name in a path stands for."""
    return STATES.get(operation, {}).get(placeholder) or NAMED.get(placeholder, "")


def unknown(api: Api) -> list[str]:
    """What the document has and nothing here asks for: a new operation wants an object here."""
    found = []
    for operation, it in api.operations.items():
        names = placeholders(api, operation)
        found += [f"{operation}: nothing is known of {{{name}}}" for name in names if not kind(operation, name)]
        if names and len(it.body) > 0 and operation not in BODIES:
            found.append(f"{operation}: no body is known")
    named = {*STATES, *BODIES, *MAKE_THEIR_OWN, *TELL_NOTHING, *TENANTS, *ANONYMOUS, *USERS, *FOR_USERS, *OF_PROVIDERS}
    named |= {*LAST, KEPT_UNREAD[0], *(it[0] for it in REFERENCES), *(it[0] for it in FILTERS)}
    return found + [f"{operation}: the document has no such operation" for operation in named - set(api.operations)]


def is_neighbour(other: World) -> bool:
    """Whether this is another user of the asker's tenant: who has nothing of a tenant's."""
    return "tenant" not in other.ids


def has(other: World, asked: Any) -> bool:
    """Whether there is what a question is about. Only neighbours lack some of it: what nobody has is a mistake here."""
    names = set(re.findall(r'"\$(\w+)"', json.dumps(asked)))
    return not is_neighbour(other) or names <= other.ids.keys()


def filled(value: Any, other: Mapping[str, str], own: Mapping[str, str]) -> Any:
    """With what stands for it, and a new name where there should be one."""
    if value == "new":
        return f"new-{secrets.token_hex(6)}"
    if isinstance(value, dict):
        return {name: filled(it, other, own) for name, it in value.items()}
    if isinstance(value, list):
        return [filled(it, other, own) for it in value]
    if isinstance(value, str) and value[:1] in ("$", "@"):
        return (other if value[0] == "$" else own)[value[1:]]
    return value


def by_path(api: Api, world: World, own: World) -> Iterator[Question]:
    """Every operation with names in its path, with what there is of that."""
    for operation in api.operations:
        paths: list[dict[str, str]] = [{}]
        names = placeholders(api, operation)
        for name in names:
            it = kind(operation, name)
            values = [world.ids[alias] for alias in (it, ALIASES.get(it, it)) if alias in world.ids]
            paths = [{**path, name: value} for path in paths for value in dict.fromkeys(values)]
        for path in paths if names else []:
            yield Question("path", operation, path, body=filled(BODIES.get(operation, NOT_SET), world.ids, own.ids))


def mixed(question: Question, own: World) -> Iterator[Question]:
    """The same with one name of several: the others being the asker's own is no reason to believe it."""
    for name, value in question.path.items():
        rest = {it: own.ids.get(kind(question.operation, it), "") for it in question.path if it != name}
        if rest and name != "version" and all(rest.values()):
            yield replace(question, path={**rest, name: value})


def references(other: World, own: World) -> Iterator[Question]:
    """Every way to name an object elsewhere than in a path."""
    for operation, path, body in REFERENCES:
        if has(other, body):
            yield Question("body", operation, filled(path, {}, own.ids), {}, filled(body, other.ids, own.ids))
    for operation, path, query in FILTERS:
        if has(other, query):
            yield Question("query", operation, filled(path, {}, own.ids), filled(query, other.ids, own.ids))


def lists(api: Api) -> Iterator[Question]:
    """Every reading operation without a name in its path."""
    for operation, it in api.operations.items():
        if it.method == "get" and not placeholders(api, operation):
            names = {parameter.name for parameter in it.query}
            query = {"limit": "100", "group_by": "user,agent"}
            yield Question("list", operation, query={name: it for name, it in query.items() if name in names})


def stranger(world: World) -> World:
    """Somebody of whom there is nothing, and who is asked for in the same words."""

    def unheard_of(found: re.Match[str]) -> str:
        other = secrets.token_hex(6)
        return other.upper() if found[0].isupper() else other

    ids = {name: re.sub(r"[0-9a-f]{12}|[0-9A-F]{12}", unheard_of, it) for name, it in world.ids.items()}
    return replace(world, ids=ids)


def is_kept(question: Question) -> bool:
    """Whether this makes something of the asker's own, whoever else has something of that name."""
    operation, tool = KEPT_UNREAD
    return question.operation in MAKE_THEIR_OWN or (
        question.operation == operation and question.at == "body" and question.body["tools"][0]["type"] == tool
    )


class Wall:
    """Between what two have: asks for what is the other's, and knows how that was."""

    def __init__(self, api: Api, other: World, own: World) -> None:
        self.api, self.other, self.own = api, other, own
        self.words = set(other.words)
        self.is_neighbour = is_neighbour(other)
        self.owned = list(by_path(api, other, own if self.is_neighbour else other))
        self.before = self._things()
        # What nobody has, and is not asked for therefore.
        self.missing = {operation for operation in api.operations if placeholders(api, operation)}
        self.missing -= {question.operation for question in self.owned}
        if not self.is_neighbour:
            for operation in self.missing - OF_PROVIDERS:
                api.report("nothing is proved", "nobody has what it is about: world.py should make it", operation)

    def ask(self, actors: list[Actor]) -> None:
        """Asks for all of it as each of these, and for the same of nobody's."""
        for actor in actors:
            for question in lists(self.api):
                if self._is_hidden(actor, question):
                    self._send(actor, question)
            self._compare_all(actor, are_kept=False)

    def make(self, actors: list[Actor]) -> None:
        """Makes what has the other's names. After all else: until then the names are the other's alone."""
        for actor in actors:
            self._compare_all(actor, are_kept=True)

    def _compare_all(self, actor: Actor, are_kept: bool) -> None:
        nobody = stranger(self.other)
        for question, nothing in zip(self._questions(self.other), self._questions(nobody), strict=True):
            if is_kept(question) == are_kept and self._is_hidden(actor, question):
                self.compare(actor, question, nothing)

    def call(self, actor: Actor) -> None:
        """Has an agent call another's by all its names: it finds nobody, where it finds one of the asker's own."""
        for world in (self.own, self.other):
            for name in ("agent", "agent_name"):
                tool = {"type": "agent", "name": "a", "agent": world.ids[name]}
                body = filled({**CALLS, "tools": [tool]}, {}, {})
                made = self.api.must(actor, "agents_create", body=body)
                asked = {"agent": made["id"], "input": '{"input": "x"}'}
                run = self.api.must(actor, "runs_create", query={"wait_ms": 20_000}, body=asked)
                found = self.api.must(actor, "runs_list", query={"parent": run["id"]})["data"]
                if bool(found) != (world is self.own):
                    whose = "the asker's own" if world is self.own else "a foreign"
                    about = f"{whose} agent, called by its {name}, ran {len(found)} times"
                    self.api.report("a foreign object is reached", about, "agents_create")

    def check(self) -> None:
        """Looks whether it is as it was, and has the owner do all that the others were refused."""
        after = self._things()
        for place, was in self.before.items():
            if place in after and after[place] != was:
                now = json.dumps(after[place])[:400]
                about = f"{place}: {json.dumps(was)[:400]} is now {now}"
                self.api.report("a foreign object has changed", about, place[0])
        self._prove()

    def _questions(self, other: World) -> Iterator[Question]:
        named = list(by_path(self.api, other, self.own))
        yield from named
        for question in named:
            yield from mixed(question, self.own)
        yield from references(other, self.own)

    def _is_hidden(self, actor: Actor, question: Question) -> bool:
        """Whether the actor is not to know."""
        return not (self.is_neighbour and actor.is_key and question.operation in TENANTS)

    def _send(self, actor: Actor, question: Question, words: Collection[str] | None = None) -> Response | None:
        case = self.api.case(question.operation, question.path, question.query, question.body)
        words = self.words if words is None else words
        return self.api.send(actor, case, self.api.accept(question.operation), words)

    def compare(self, actor: Actor, question: Question, nothing: Question) -> None:
        """Asks for what is the other's, and then for nobody's: both are refused, with the same words."""
        answers = self._send(actor, question), self._send(actor, nothing)
        if answers[0] is None or answers[1] is None:
            return
        response = answers[0]
        if is_kept(question) and response.status_code < 300:
            asked = json.dumps([question.path, question.body if question.at == "body" else None])
            self.words = {word for word in self.words if word not in asked}
            return
        if not self._may(actor, question, response):
            self.api.add("a foreign object is answered for", "404 is right", actor, question.operation, response)
        told = [without(response, question), without(answers[1], nothing)]
        if told[0] != told[1]:
            about = f"of nobody's it would be {told[1]}"
            self.api.add("a foreign object is told from none", about, actor, question.operation, response)

    def _may(self, actor: Actor, question: Question, response: Response) -> bool:
        """Whether that may be answered to somebody whose it is not. What it holds is looked at elsewhere."""
        status, operation = response.status_code, question.operation
        if not actor.credential:
            return status == 401
        if status == 404 or TELL_NOTHING.get(operation) == status:
            return True
        if status == 403:
            return not actor.is_key or bool(OPERATORS.match(self.api.operations[operation].path))
        if status == 400 and actor.is_key and actor.user is None:
            problem = json_of(response)
            return isinstance(problem, dict) and problem.get("code") == "user_required"
        if question.at == "query":
            return status < 500
        return question.at == "body" and 400 <= status < 500

    def _owner(self, operation: str) -> Actor:
        if OPERATORS.match(self.api.operations[operation].path):
            return self.other.operator
        if self.is_neighbour and operation not in FOR_USERS:
            return self.other.user
        return self.other.acting if operation in USERS | FOR_USERS else self.other.key

    def _things(self) -> dict[tuple[str, str], Any]:
        """How all of it is, as its owner reads it."""
        found: dict[tuple[str, str], Any] = {}
        for question in self.owned:
            it = self.api.operations[question.operation]
            is_read = it.method == "get" and self.api.accept(question.operation) != EVENTS
            if is_read and not (self.is_neighbour and question.operation in TENANTS):
                response = self._send(self._owner(question.operation), question, ())
                if response is not None and self._is_there(response, question):
                    found[question.operation, str(question.path)] = steady(response)
        for question in lists(self.api):
            actor = self._owner(question.operation)
            response = self._send(actor, question, ())
            if response is None:
                continue
            # Of what the operator lists much is not the other's.
            is_told = any(word in response.content.decode("utf-8", "replace") for word in self.other.words)
            if is_told and actor is not self.other.operator:
                found[question.operation, ""] = steady(response)
            elif not is_told and not self.is_neighbour and question.operation not in ANONYMOUS:
                self.api.add("nothing is proved", "the owner's list is empty", actor, question.operation, response)
        return found

    def _prove(self) -> None:
        """Has the owner succeed with all that others were refused: else their refusal would prove nothing."""
        ranks = {"get": 0, "head": 0, "post": 1, "put": 2, "patch": 2, "delete": 3}
        asked: list[tuple[int, Question]] = []
        for question in self.owned:
            rank = ranks[self.api.operations[question.operation].method]
            rank += LAST.index(question.operation) + 1 if question.operation in LAST else 0
            # What is gone by its id cannot go by its name once more.
            is_again = rank >= 3 and any(it.operation == question.operation for _, it in asked)
            if not is_again and not (self.is_neighbour and question.operation in TENANTS):
                asked.append((rank, question))
        for _, question in sorted(asked, key=lambda it: it[0]):
            response = self._send(self._owner(question.operation), question, ())
            if response is not None:
                self._is_there(response, question)

    def _is_there(self, response: Response, question: Question) -> bool:
        if response.status_code < 300:
            return True
        actor = self._owner(question.operation)
        self.api.add("nothing is proved", "the owner is refused", actor, question.operation, response)
        return False


def steady(response: Response) -> Any:
    """An answer without what changes by itself."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            changing = CHANGING | ({"status"} if value.get("object") == "webhook_delivery" else set())
            return {name: kept(it) for name, it in value.items() if name not in changing}
        return [kept(it) for it in value] if isinstance(value, list) else value

    found = json_of(response)
    return kept(found) if found is not None else response.content.decode("utf-8", "replace")


def without(response: Response, question: Question) -> str:
    """An answer without the question."""
    text = response.content.decode("utf-8", "replace")
    for value in re.findall(r"[\w-]+", json.dumps([question.path, question.query, str(question.body)])):
        if re.search(r"[0-9a-fA-F]{12}", value):
            text = text.replace(value, "…")
    return f"{response.status_code} " + re.sub(r"req_[0-9a-f-]{36}", "…", text)
