"""Asks an agent something and prints the answer as it is written.

    export HEADWATER_URL=… HEADWATER_API_KEY=…
    python ask.py "Where is order 7?"

Ctrl-C lets go of the answer, which is written on all the same, and says how to read the rest of it.
"""

from __future__ import annotations

import argparse
import sys

from headwater import Headwater, HeadwaterError, RunStream


def begin(hw: Headwater, options: argparse.Namespace) -> RunStream:
    """A new run, or the rest of one."""
    if options.resume:
        return hw.runs.stream(options.resume, after=options.after)
    if not options.question:
        raise SystemExit("ask what? (or --resume RUN)")
    return hw.runs.create_and_stream(agent=options.agent, input=options.question)


def main() -> int:
    """Asks, or reads on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", nargs="?", help="what to ask")
    parser.add_argument("--agent", default="assistant", help="whom to ask")
    parser.add_argument("--user", default="alice", help="who asks")
    parser.add_argument("--resume", metavar="RUN", help="read a run that was begun before")
    parser.add_argument("--after", metavar="SEQ", type=int, default=0, help="what of it was read already")
    options = parser.parse_args()
    try:
        with Headwater(user=options.user) as hw, begin(hw, options) as stream:
            try:
                for text in stream.text_deltas():
                    print(text, end="", flush=True)
            except KeyboardInterrupt:
                rest = f"--resume {stream.run} --after {stream.cursor}" if stream.run else "by asking again"
                print(f"\nlet go of it; go on with {rest}", file=sys.stderr)
                return 130
            print()
            # The words are not all that may come of a run.
            run = hw.runs.get(str(stream.run))
            if run.status != "completed":
                print(f"{run.id} is {run.status}: {run.error.detail if run.error else ''}", file=sys.stderr)
            return 0 if run.status == "completed" else 1
    except HeadwaterError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
