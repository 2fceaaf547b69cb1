"""Tenants and users with something of everything: what is fuzzed, and what must not be found by others."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from api import EVENTS, NOBODY, Actor, Api, Refused

ID = re.compile(r"\b[a-z]{2,4}_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
# Nobody listens there, and no name has to be looked up for it.
NOWHERE = "http://127.0.0.1:9"
PROVIDER = "local"
WAIT = {"wait_ms": 20_000}
TRIES = 200
# Runs that wait for what somebody says to them, and the agents that make them wait.
WAITING = {"run_to_decide": "asks", "run_to_cancel": "asks", "run_to_call": "calls", "run_to_output": "calls"}
COSTS = {"scope": {"type": "tenant"}, "mode": "soft", "limit": {"usd": "1000"}}
# What else there can be more of, and how it is made.
MADE: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "agent": ("agents_create", {}, {"name": "$name", "model": "scripted/echo"}),
    "agent_name": ("agents_create", {}, {"name": "$name", "model": "scripted/echo"}),
    "endpoint": ("webhook_endpoints_create", {}, {"url": NOWHERE, "events": ["budget.exhausted"]}),
    "issuer": ("issuers_create", {}, {"issuer": "$url", "audience": "a"}),
    "memory": ("memory_put", {"key": "$name"}, {"value": 1}),
    "schedule": ("schedules_create", {}, {"name": "$name", "input": "x", "cron": "0 7 1 1 *", "enabled": False}),
    "secret": ("secrets_put", {"name": "$NAME"}, {"value": "x"}),
    "server": ("mcp_servers_create", {}, {"name": "$name", "url": f"{NOWHERE}/mcp"}),
    "somebody": ("users_create", {}, {"external_id": "$name"}),
    "tenants_budget": ("budgets_create", {}, COSTS),
    "thread": ("threads_create", {}, {}),
}


@dataclass
class World:
    """What somebody has.

    `ids`: by what they name. `words`: what others are never told. `name` is part of all names, which others can ask
    with; `said` is part of what they could only be told.
    """

    label: str
    name: str
    said: str
    operator: Actor
    key: Actor
    ids: dict[str, str] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    # The key for the user, and the user with a token.
    acting: Actor = NOBODY
    user: Actor = NOBODY

    def learn(self, answer: Any) -> Any:
        """Takes the ids in an answer for the owner's."""
        self.words |= {word for word in ID.findall(json.dumps(answer)) if not word.startswith("req_")}
        return answer

    @property
    def secret_name(self) -> str:
        """The name, as secrets have it."""
        return self.name.upper().replace("-", "_")


def tenant(api: Api, operator: Actor, label: str) -> World:
    """A tenant with a key, and what it has before anybody uses it."""
    name, said = f"{label}-{secrets.token_hex(6)}", f"said-{secrets.token_hex(12)}"
    made = api.must(operator, "tenants_create", body={"name": name, "metadata": {"k": said}})
    at = {"tenant": made["id"]}
    secret = api.must(operator, "tenant_keys_create", path=at, body={"name": name})
    key = Actor(f"{label} tenant", f"{label.upper()}_KEY", secret["secret"])
    world = World(label, name, said, operator, key, words={name, name.upper().replace("-", "_"), said, key.credential})
    world.learn([made, secret["id"]])

    def make(operation: str, actor: Actor = key, **asked: Any) -> Any:
        return world.learn(api.must(actor, operation, **asked))

    described = {"description": said, "metadata": {"k": said}}
    picks = {"type": "client", "name": "pick", "parameters": {"type": "object"}}
    echo = {"name": f"{name}-echo", "model": "scripted/echo", "instructions": said, **described}
    asks = {"name": f"{name}-asks", "model": "scripted/tools", "tools": [{**picks, "policy": "ask"}]}
    calls = {"name": f"{name}-calls", "model": "scripted/tools", "tools": [picks]}
    endpoint = {"url": f"{NOWHERE}/{name}", "events": ["budget.exhausted"], **described}
    world.ids |= at | {
        "another_key": make("tenant_keys_create", operator, path=at, body={"name": said})["id"],
        "operators_budget": make("tenant_budgets_create", operator, path=at, body=COSTS)["id"],
        "plan": make("plans_put", operator, path={"plan": f"{name}-plan"}, body={"weight": 1})["name"],
        "agent": make("agents_create", body=echo)["id"],
        "agent_name": f"{name}-echo",
        "version": "1",
        "asks": make("agents_create", body=asks)["name"],
        "calls": make("agents_create", body=calls)["name"],
        "tenants_budget": make("budgets_create", body=COSTS)["id"],
        "endpoint": make("webhook_endpoints_create", body=endpoint)["id"],
        "secret": make("secrets_put", path={"name": world.secret_name}, body={"value": said})["name"],
        "server": make("mcp_servers_create", body={"name": f"{name}-mcp", "url": f"{NOWHERE}/mcp"})["id"],
        "server_name": f"{name}-mcp",
        "issuer": make("issuers_create", body={"issuer": f"https://{name}.test/", "audience": said})["id"],
    }
    make("tenant_prices_put", operator, path=at, body={"markup_ppm": 1, "models": {}})
    taken = api.send(key, api.case("provider_keys_put", path={"provider": PROVIDER}, body={"key": said}))
    if taken is not None and taken.status_code < 300:
        # The server may have no such provider.
        world.ids["provider"] = PROVIDER
    world.ids["delivery"] = make("webhook_endpoints_test", path={"endpoint": world.ids["endpoint"]})["id"]
    return world


def user(api: Api, whole: World, label: str) -> World:
    """A user of a tenant, with what only users have."""
    name, said = f"{whole.label}-{label}-{secrets.token_hex(6)}", f"said-{secrets.token_hex(12)}"
    made = api.must(whole.key, "users_create", body={"external_id": name, "name": said})
    token = api.must(whole.key, "user_tokens_create", body={"user": made["id"], "ttl_ms": 3_600_000})["token"]
    acting = replace(whole.key, name=f"{whole.key.name} for a user", user=name)
    variable = f"{whole.label}_{label}_TOKEN".upper()
    world = World(whole.label, name, said, whole.operator, whole.key, words={name, said, token})
    world.acting, world.user = acting, Actor(f"{whole.label} user", variable, token)
    world.learn(made)

    def make(operation: str, actor: Actor = acting, **asked: Any) -> Any:
        return world.learn(api.must(actor, operation, **asked))

    thread = make("threads_create", body={"external_id": f"{name}-thread", "title": said, "metadata": {"k": said}})
    run = {"agent": whole.ids["agent"], "input": said, "external_id": f"{name}-run"}
    run = make("thread_runs_create", path={"thread": thread["id"]}, query=WAIT, body=run)
    world.ids |= {
        "somebody": made["id"],
        "somebody_name": name,
        "thread": thread["id"],
        "run": run["id"],
        "run_name": f"{name}-run",
        "thread_name": f"{name}-thread",
        "message": make("messages_list", path={"thread": thread["id"]})["data"][0]["id"],
    }
    world.ids |= {"asks": whole.ids["asks"], "calls": whole.ids["calls"]}
    for what in WAITING:
        world.ids |= spare(api, world, what)
    poor = {"agent": whole.ids["agent"], "input": said, "run_budget": {"limit": {"nano_usd": 1}}}
    poor = make("runs_create", body=poor)
    for _ in range(TRIES):
        if poor["status"] == "suspended":
            break
        poor = make("runs_get", path={"run": poor["id"]}, query={"wait_ms": 50})
    schedule = {"name": name, "agent": whole.ids["agent"], "input": said, "cron": "0 7 1 1 *", "enabled": False}
    money = {**COSTS, "scope": {"type": "user", "id": made["id"]}}
    asks = {"model": whole.ids["asks"], "input": said}
    world.ids |= {
        "run_without_money": poor["id"],
        "artifact": make("artifacts_create", query={"filename": name}, body=said.encode())["id"],
        "schedule": make("schedules_create", body=schedule)["id"],
        "budget": make("budgets_create", whole.key, body=money)["id"],
        "response": make("responses_create", body={"model": whole.ids["agent_name"], "input": said})["id"],
        "response_to_cancel": make("responses_create", body={**asks, "background": True})["id"],
        "memory": make("memory_put", path={"key": f"{name}-key"}, body={"value": said})["key"],
        "ticket": make("runs_tickets_create", path={"run": run["id"]})["ticket"],
    }
    words = [{"id": "m", "role": "user", "parts": [{"type": "text", "text": said}]}]
    for chat, agent in [("chat", "asks"), ("chat_to_stop", "asks")]:
        world.ids[chat] = f"{name}-{chat}"
        make("chat_create", accept=EVENTS, body={"id": world.ids[chat], "agent": whole.ids[agent], "messages": words})
    # Its users have these in common.
    world.words -= whole.words
    return world


def spare(api: Api, world: World, what: str) -> dict[str, str]:
    """One more of something, for what uses it up: its names, by what they name."""
    said = world.said
    if what in WAITING:
        run = {"agent": world.ids[WAITING[what]], "input": said}
        made = world.learn(api.must(world.acting, "runs_create", query=WAIT, body=run))
        made = world.learn(api.must(world.acting, "runs_get", path={"run": made["id"]}))
        if not made["pending"]:
            raise Refused(f"a run of {run['agent']} does not wait: {made}")
        waits = {**made["pending"][0], "run": made["id"]}
        purpose = what.removeprefix("run_to_")
        return {f"{name}_to_{purpose}": waits[name] for name in ("run", "call", "approval") if waits.get(name)}
    name = f"{world.name}-{secrets.token_hex(4)}"
    operation, path, body = MADE[what]
    names = {"$name": name, "$NAME": name.upper().replace("-", "_"), "$url": f"https://{name}.test/"}
    path, body = ({key: names.get(str(it), it) for key, it in each.items()} for each in (path, body))
    if what == "schedule":
        body["agent"] = world.ids["asks"]
    actor = world.acting if what in ("memory", "schedule", "thread") else world.key
    made = world.learn(api.must(actor, operation, path=path, body=body))
    return {what: made.get("id") or made.get("key") or made["name"]}
