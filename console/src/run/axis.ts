/**
 * The time axis of a run: real time, with long silences compressed.
 *
 * A run that waits three days for a person has seconds of work and days of nothing. Promises that the order of times is kept, that outside of
 * compressed gaps one millisecond is as wide as any other, and that every compressed gap is listed, so that the page can say so.
 */

/** A silence that is drawn narrower than it was. */
export interface Gap {
  /** Real time in ms since the epoch. */
  from: number;
  to: number;
  /** Where it begins on the axis, and how wide it is drawn, in ms of the axis. */
  at: number;
  width: number;
}

/** A silence is only ever compressed when it is longer than this, in ms. */
export const SHORTEST_GAP_MS = 5_000;

/** Maps real time to places on the axis (both in ms) and back. */
export class Axis {
  private constructor(
    /** The first time. */
    readonly start: number,
    /** The last time. */
    readonly end: number,
    /** What is compressed, in order. */
    readonly gaps: readonly Gap[],
    /** The length of the axis in ms of the axis; at least 1. */
    readonly length: number,
  ) {}

  /** An axis over times in order. A gap is compressed when it is longer than 5 s and than a quarter of all that is no such gap. */
  static of(times: readonly number[]): Axis {
    const start = times[0] ?? 0;
    let active = 0;
    let before = start;
    for (const time of times) {
      const silence = time - before;
      if (silence > 0 && silence <= SHORTEST_GAP_MS) active += silence;
      if (time > before) before = time;
    }
    const longest = Math.max(SHORTEST_GAP_MS, active / 4);
    // As wide as a seventh of the work, and all of them together not wider than most of it.
    const many = times.reduce((sum, time, at) => sum + (time - (times[at - 1] ?? time) > longest ? 1 : 0), 0);
    const width = Math.max(20, active * Math.min(0.15, 0.6 / Math.max(1, many)));
    const gaps: Gap[] = [];
    let saved = 0;
    before = start;
    for (const time of times) {
      const silence = time - before;
      if (silence > longest) {
        gaps.push({ from: before, to: time, at: before - start - saved, width });
        saved += silence - width;
      }
      if (time > before) before = time;
    }
    return new Axis(start, before, gaps, Math.max(1, before - start - saved));
  }

  /** Where a time is on the axis. */
  place(time: number): number {
    let saved = 0;
    for (const gap of this.gaps) {
      if (time <= gap.from) break;
      if (time < gap.to) return gap.at + ((time - gap.from) / (gap.to - gap.from)) * gap.width;
      saved += gap.to - gap.from - gap.width;
    }
    return time - this.start - saved;
  }

  /** The time at a place. */
  time(place: number): number {
    let saved = 0;
    for (const gap of this.gaps) {
      if (place <= gap.at) break;
      if (place < gap.at + gap.width) {
        return gap.from + ((place - gap.at) / gap.width) * (gap.to - gap.from);
      }
      saved += gap.to - gap.from - gap.width;
    }
    return place + this.start + saved;
  }
}

/** The part of the axis that is seen, in ms of the axis. */
export interface Viewport {
  from: number;
  to: number;
}

/** Zooms by `factor` (below 1 is closer) around a place, within an axis of `length`. */
export function zoom(view: Viewport, around: number, factor: number, length: number): Viewport {
  const width = Math.min(length, Math.max(Math.min(2, length), (view.to - view.from) * factor));
  const share = (around - view.from) / Math.max(1e-9, view.to - view.from);
  return pan({ from: around - share * width, to: around - share * width + width }, 0, length);
}

/** Moves by so many ms of the axis, and never out of it. */
export function pan(view: Viewport, by: number, length: number): Viewport {
  const width = Math.min(length, view.to - view.from);
  const from = Math.max(0, Math.min(length - width, view.from + by));
  return { from, to: from + width };
}
