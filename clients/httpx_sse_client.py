"""httpx-sse, as it is, against a run's events: read on behind the last id, over every cut, to the end.

BASE   the server
TOKEN  a user's token
RUN    the run
GATE   when that is asked, the model goes on with its answer
"""

import json
import os

import httpx
from httpx_sse import connect_sse

BASE, TOKEN, RUN, GATE = (os.environ[name] for name in ("BASE", "TOKEN", "RUN", "GATE"))
seen, last, connections = [], "", 0
with httpx.Client(headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
    while not seen or seen[-1]["type"] != "run.completed":
        connections += 1
        assert connections < 200, "it comes to an end"
        try:
            with connect_sse(client, "GET", f"{BASE}/v1/runs/{RUN}/events", headers={"last-event-id": last}) as events:
                for event in events.iter_sse():
                    if event.event.startswith("stream."):
                        continue
                    last = event.id
                    seen.append(json.loads(event.data))
                    if event.event == "message.delta":
                        httpx.get(GATE, trust_env=False)
        except httpx.TransportError:
            pass
assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1)), "each once, in order"
assert connections > 1, "it was cut"
