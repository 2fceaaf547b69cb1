/**
 * Where the scrubber stands, and how it moves by itself.
 *
 * Owns the cursor: an event's index, or `null` for the end, which moves as the log grows. Replays go by the axis, so that what is compressed
 * there passes quickly here too.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { RunLog } from "./log.ts";

/** How fast a replay goes, in times real time. */
export const SPEEDS = [0.25, 0.5, 1, 2, 5, 10, 50] as const;

/** A player. */
export interface Player {
  /** The event as of which the run is shown; -1 before the first. */
  cursor: number;
  /** Whether it stands at the end and moves with it. */
  following: boolean;
  playing: boolean;
  speed: number;
  /** The place on the axis between two events while it plays. */
  playhead: number | null;
  /** To an event; to the last one is to follow. */
  seek: (index: number) => void;
  /** So many events on, or back. Steps that come faster than frames add up. */
  step: (by: number) => void;
  /** To the end, and on with it. */
  follow: () => void;
  toggle: () => void;
  setSpeed: (speed: number) => void;
}

/** A player of a log. `now` is what the axis goes by (0 for a run that is over). */
export function usePlayer(log: RunLog, now: number): Player {
  const [at, setAt] = useState<number | null>(null);
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(1);
  const [playhead, setPlayhead] = useState<number | null>(null);
  const latest = useRef({ now, speed });
  latest.current = { now, speed };
  const last = log.length - 1;

  useEffect(() => {
    if (!playing) {
      setPlayhead(null);
      return;
    }
    const axisOf = () => log.axis(latest.current.now);
    let place = axisOf().place(log.times[Math.max(0, at ?? 0)] ?? 0);
    let before = performance.now();
    let frame = requestAnimationFrame(function step(time: number) {
      const axis = axisOf();
      place += (time - before) * latest.current.speed;
      before = time;
      const index = log.indexAt(axis.time(place));
      if (index >= log.length - 1) {
        setPlaying(false);
        setAt(null);
        return;
      }
      setAt(index);
      setPlayhead(place);
      frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
    // It begins where the cursor stands then, and moves the cursor itself.
  }, [playing, log]);

  return {
    cursor: at === null ? last : Math.min(at, last),
    following: at === null,
    playing,
    speed,
    playhead,
    seek: (index) => {
      setPlaying(false);
      setAt(index >= last ? null : Math.max(0, index));
    },
    step: (by) => {
      setPlaying(false);
      setAt((before) => {
        const next = Math.min(before ?? last, last) + by;
        return next >= last ? null : Math.max(0, next);
      });
    },
    follow: () => {
      setPlaying(false);
      setAt(null);
    },
    toggle: () => {
      if (!playing && (at === null || at >= last)) setAt(0);
      setPlaying(!playing);
    },
    setSpeed,
  };
}
