"""Waits for what people are asked, and decides on the terminal.

    export HEADWATER_URL=… HEADWATER_API_KEY=…
    python approve.py

Runs that wait for a person take no time of anybody's: leave it and come back whenever you like.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from headwater import ConflictError, GoneError, Headwater, HeadwaterError
from headwater.types import Approval


def decide(hw: Headwater, approval: Approval) -> bool:
    """Asks about one approval; whether there is anybody to answer."""
    print(f"\n{approval.message or approval.name}  (run {approval.run}, until {approval.expires_at})")
    print(f"  {approval.name}({json.dumps(approval.args, ensure_ascii=False)})")
    print("  [y]es, [n]o, or why not: ", end="", flush=True)
    answer = sys.stdin.readline()
    if not answer:
        return False
    said = answer.strip()
    yes, no = said.lower() in ("y", "yes"), said.lower() in ("n", "no", "")
    comment = None if yes or no else said
    try:
        done = hw.approvals.decide(approval.run, approval.id, decision="approved" if yes else "denied", comment=comment)
        print(f"  {done.status}", flush=True)
    except (ConflictError, GoneError) as error:
        # Somebody else was quicker, or it took too long.
        print(f"  not any more: {error.detail}", flush=True)
    return True


def main() -> int:
    """Asks about each approval that is pending, and looks again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user", default=None, help="who decides; the tenant itself unless given")
    parser.add_argument("--run", default=None, help="only what this run asks")
    parser.add_argument("--once", action="store_true", help="do not wait for more")
    parser.add_argument("--every", metavar="SECONDS", type=float, default=3.0, help="how often to look")
    options = parser.parse_args()
    try:
        with Headwater(user=options.user) as hw:
            while True:
                for approval in hw.approvals.list(status="pending", run=options.run, order="asc"):
                    if not decide(hw, approval):
                        return 0
                if options.once:
                    return 0
                time.sleep(options.every)
    except KeyboardInterrupt:
        return 130
    except HeadwaterError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
