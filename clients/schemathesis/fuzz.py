"""Asks a running server what its OpenAPI document lets one ask, and looks that nobody is answered what is another's.

`python clients/schemathesis/fuzz.py [--seed N] [--examples N] [--seconds N]`, with `HEADWATER_URL` and
`HEADWATER_OPERATOR_KEY` in the environment. It makes tenants of its own, and removes them where nothing was found.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import sys
import tempfile
import textwrap
import time
from collections import Counter
from dataclasses import replace

import prove
import requests
from api import NOBODY, Actor, Api, Finding, Refused
from foreign import Wall, unknown
from generated import Fuzz, ask
from world import World, tenant, user

EXAMPLES, SECONDS = 10, 150


def household(api: Api, operator: Actor, label: str) -> tuple[World, World, World]:
    """A tenant, and two of its users of whom the first has the tenant's ids too."""
    whole = tenant(api, operator, label)
    alice, bob = user(api, whole, "alice"), user(api, whole, "bob")
    bob.words -= alice.words
    alice.ids = {**whole.ids, **alice.ids}
    return whole, alice, bob


def generated(api: Api, operator: Actor, number: int, examples: int, end: float) -> list[World]:
    """Generated questions of everybody there is, each with a tenant of its own to leave in ruins."""
    started = time.monotonic()
    whole, other, _ = household(api, operator, "strange")
    other.words |= whole.words
    worlds, everybody = [whole], []
    for label in ("fuzzed", "acting", "asking"):
        whole, alice, bob = household(api, operator, label)
        worlds.append(whole)
        actor = {"fuzzed": alice.key, "acting": alice.acting, "asking": alice.user}[label]
        # To a key that acts for nobody, all users are its own.
        everybody.append(Fuzz(api, actor, alice, [other] if actor is alice.key else [other, bob], number))
    left_out = ask(api, everybody, number, examples, end)
    asked = ", ".join(f"{api.requests[it.actor.name]} as {it.actor.name}" for it in everybody)
    done = {operation for fuzz in everybody for operation in fuzz.succeeded}
    cut = f"; about {left_out} left out for want of time" if left_out else ""
    took = f"{time.monotonic() - started:.0f} s"
    print(f"generated: {asked} in {took}, {len(done)} of {len(api.operations)} operations done{cut}", flush=True)
    return worlds


def foreign(api: Api, operator: Actor) -> list[World]:
    """Everything that is another's, by all its names."""
    theirs, other, _ = household(api, operator, "other")
    ours, alice, bob = household(api, operator, "own")
    other.words |= theirs.words
    if "provider" in ours.ids:
        # A provider's name is everybody's: what is refused has to be about the other's key, not about one's own.
        api.must(alice.key, "provider_keys_delete", path={"provider": ours.ids["provider"]})
    before, started = api.requests.total(), time.monotonic()
    neighbour, wall = Wall(api, bob, alice), Wall(api, other, alice)
    users = [alice.acting, alice.user]
    for_foreign = replace(alice.key, name="own tenant for a foreign user", user=other.ids["somebody"])
    everybody = [alice.key, *users, for_foreign]
    neighbour.ask(users)
    wall.ask([*everybody, NOBODY])
    wall.call(alice.acting)
    neighbour.make(users)
    wall.make(everybody)
    neighbour.check()
    wall.check()
    took = time.monotonic() - started
    asked = len({question.operation for question in wall.owned})
    note = f", without {', '.join(sorted(wall.missing))}: nobody has such" if wall.missing else ""
    print(f"foreign ids: {api.requests.total() - before} requests in {took:.0f} s, {asked} operations{note}")
    return [ours]


def show(api: Api) -> None:
    """Prints what was found, and how to ask it again."""
    file, path = tempfile.mkstemp(prefix="fuzz-", suffix=".env")
    with os.fdopen(file, "w") as lines:
        lines.writelines(f"{name}={shlex.quote(it)}\n" for name, it in sorted(api.credentials.items()))
    # The same of many operations is one fault: it is shown once.
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in api.findings.values():
        alike.setdefault((finding.title, finding.about), []).append(finding)
    print(f"\n{len(alike)} different. Who asks in the commands: set -a; . {path}; set +a")
    for at, (finding, *others) in enumerate(alike.values(), 1):
        times = f", {finding.count} times" if finding.count > 1 else ""
        print(f"\n{at}. {finding.title}: {finding.operation} as {finding.actor.name}, status {finding.status}{times}")
        for line in [finding.about, finding.command, finding.answer]:
            print(textwrap.indent(line.rstrip(), "   "))
        if others:
            print(f"   and {', '.join(sorted({it.operation for it in others}))}")


def main() -> int:
    """Runs all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="generated questions of each kind and operation")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="after which what is left is left out")
    args = parser.parse_args()
    started = time.monotonic()
    url = os.environ["HEADWATER_URL"].rstrip("/")
    operator = Actor("operator", "HEADWATER_OPERATOR_KEY", os.environ["HEADWATER_OPERATOR_KEY"])
    print(f"seed {args.seed}, {args.examples} examples", flush=True)
    document = requests.get(f"{url}/openapi.json", timeout=20).json()
    prove.prove(document)
    api = Api(url, document)
    for about in unknown(api):
        api.report("nothing is known of it", f"{about}: foreign.py says what to ask", about.partition(":")[0])
    refused = ""
    try:
        worlds = foreign(api, operator)
        worlds += generated(api, operator, args.seed, args.examples, started + args.seconds)
        if not api.findings:
            for world in worlds:
                api.must(operator, "tenants_delete", path={"tenant": world.ids["tenant"]})
    except Refused as error:
        refused = f"\nThe rest could not be asked. {error}"
    statuses = sum(api.statuses.values(), Counter())
    told = ", ".join(f"{status} {count} times" for status, count in sorted(statuses.items()))
    print(f"answers: {told}; {len(api.findings)} findings in {time.monotonic() - started:.0f} s{refused}")
    if api.findings:
        show(api)
    if api.findings or refused:
        print(f"\nAgain with --seed {args.seed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
