/**
 * Follows a run: reads its log from the start, stays with it while somebody looks, and goes on where it was when they look again.
 *
 * Promises one connection at most, none a while after the page was hidden, and one re-render per frame however many events come.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { visible } from "../lib/visible.ts";
import { client } from "../session.ts";
import { isOver } from "headwater";
import { RunLog } from "./log.ts";

/** How long the stream of a hidden page stays open, in ms: long enough for a look at another tab. */
const HIDDEN_MS = 20_000;

/** How a run is followed. `paused`: the page was hidden, and nothing is open. */
export type FollowState = "loading" | "live" | "over" | "paused" | "failed";

/** A run that is followed. The log is one object that grows: `revision` tells that it did. */
export interface Followed {
  log: RunLog;
  state: FollowState;
  error: unknown;
  revision: number;
  /** Connects again after an error. */
  retry: () => void;
}

/** Follows a run. */
export function useFollow(run: string): Followed {
  const [, draw] = useState(0);
  const held = useRef<{
    run: string;
    log: RunLog;
    state: FollowState;
    error: unknown;
    revision: number;
  } | null>(null);
  if (held.current?.run !== run) {
    held.current = { run, log: new RunLog(run), state: "loading", error: undefined, revision: 0 };
  }
  const mine = held.current;
  const [turn, setTurn] = useState(0);
  const shown = useLingering(visible.value);
  useEffect(() => {
    const over = () => isOver(mine.log.view);
    if (over()) return;
    let frame = 0;
    let alive = true;
    const changed = () => {
      if (!alive || frame !== 0) return;
      frame = requestAnimationFrame(() => {
        frame = 0;
        mine.revision++;
        draw((before) => before + 1);
      });
    };
    const become = (state: FollowState, error?: unknown) => {
      mine.state = state;
      mine.error = error;
      changed();
    };
    if (!shown) {
      become("paused");
      return;
    }
    const stream = client.peek().runs.stream(run, { after: mine.log.view.seq, attempts: 1000 });
    if (mine.state === "paused" || mine.state === "failed") become("loading");
    void (async () => {
      try {
        for await (const item of stream) {
          if (!alive) return;
          mine.log.push(item);
          if (item.type === "caught_up") mine.state = "live";
          changed();
        }
        if (alive) become("over");
      } catch (error) {
        if (alive) become("failed", error);
      }
    })();
    return () => {
      alive = false;
      cancelAnimationFrame(frame);
      stream.close();
    };
  }, [run, turn, shown]);
  return {
    log: mine.log,
    state: mine.state,
    error: mine.error,
    revision: mine.revision,
    retry: () => setTurn((before) => before + 1),
  };
}

/** Whether the page is shown, or was until a moment ago. */
function useLingering(shown: boolean): boolean {
  const [lingering, setLingering] = useState(shown);
  useEffect(() => {
    if (shown) {
      setLingering(true);
      return;
    }
    const timer = setTimeout(() => setLingering(false), HIDDEN_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  return lingering || shown;
}
