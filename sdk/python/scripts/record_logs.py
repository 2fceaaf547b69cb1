"""Records the logs that the fold is tested on, from a server in dev mode (HEADWATER_URL, HEADWATER_API_KEY).

    python scripts/record_logs.py

Each log is a file of its events, one a line, and a snapshot of the run: of its end, or of where it waits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headwater import Headwater, HeadwaterError

LOGS = Path(__file__).resolve().parent.parent / "tests" / "logs"
PICK_FILE = {"type": "client", "name": "pick_file", "description": "Lets the user pick a file."}


def main() -> None:
    """Records all of them anew."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with Headwater(user="alice") as hw:
        tenant = hw.as_tenant()
        asking: Any = {**PICK_FILE, "policy": "ask"}
        free: Any = PICK_FILE
        tenant.agents.put("sdk-asks", model="scripted/tools", tools=[asking])
        tenant.agents.put("sdk-picks", model="scripted/tools", tools=[free])
        tenant.agents.put("sdk-echo", model="scripted/echo")
        tenant.agents.put("sdk-fails", model="scripted/fail-provider_rejected")

        words = hw.runs.create(agent="sdk-echo", input="Grüße 🌊\n\nA second line.", wait_ms=10_000)
        keep(hw, words.id, "text")

        picks = hw.runs.create(agent="sdk-picks", input="Which file?", wait_ms=10_000)
        (input_,) = hw.runs.get(picks.id).pending
        hw.runs.call_result(picks.id, str(input_.call), output={"file": "notes.txt"})
        keep(hw, wait(hw, picks.id), "tool")

        for name, decision in (("approved", "approved"), ("denied", "denied")):
            asks = hw.runs.create(agent="sdk-asks", input="Which file?", wait_ms=10_000)
            (approval,) = hw.runs.get(asks.id).pending
            if decision == "approved":
                (LOGS / "waits.snapshot.json").write_text(text(hw.runs.get(asks.id).raw), encoding="utf-8")
            hw.approvals.decide(asks.id, str(approval.approval), decision=decision, comment="as you like")
            if decision == "approved":
                pending = hw.runs.get(asks.id, wait_ms=10_000).pending
                hw.runs.call_result(asks.id, str(pending[0].call), error="no such file")
            keep(hw, wait(hw, asks.id), name)

        keep(hw, wait(hw, hw.runs.create(agent="sdk-fails", input="Count").id), "failed")

        with hw.runs.create_and_stream(agent="assistant", input="Count", model="scripted/tokens-600x100") as stream:
            for delta in stream.text_deltas():
                if delta:
                    break
        hw.runs.cancel(str(stream.run), reason="seen enough")
        keep(hw, wait(hw, str(stream.run)), "cancelled")


def wait(hw: Headwater, run: str) -> str:
    """Waits for a run's end."""
    hw.runs.stream(run).until_done()
    return run


def keep(hw: Headwater, run: str, name: str) -> None:
    """Writes a run's events and its snapshot."""
    items = [item for item in hw.runs.stream(run) if item.kind in ("event", "hidden")]
    lines = "".join(f"{item.raw}\n" for item in items if item.kind in ("event", "hidden"))
    (LOGS / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    (LOGS / f"{name}.snapshot.json").write_text(text(hw.runs.get(run).raw), encoding="utf-8")
    print(f"{name}: {len(items)} events")


def text(raw: dict[str, Any]) -> str:
    """JSON as it is kept."""
    return json.dumps(raw, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        raise SystemExit(str(error)) from None
