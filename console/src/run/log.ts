/**
 * A run's log as the console holds it: every event, what they come to, and what they came to at any of them.
 *
 * Promises that an event costs the same whether it is the tenth or the ten-thousandth, and that the view as of any event is found by folding at
 * most `CHECKPOINT` events.
 */
import {
  emptyRunView,
  foldRun,
  type EventItem,
  type HiddenItem,
  type RunView,
  type StreamItem,
} from "headwater";
import { Axis } from "./axis.ts";
import { Spans } from "./spans.ts";

/** Between two kept views, so many events. */
export const CHECKPOINT = 200;

/** An event, or the place of one that this reader may not see. */
export type LogItem = EventItem | HiddenItem;

/** The log of one run, which grows. */
export class RunLog {
  readonly items: LogItem[] = [];
  /** When each was written, in ms since the epoch; never smaller than the one before. */
  readonly times: number[] = [];
  spans = new Spans();
  /** Everything folded. */
  view: RunView;
  /** How often each type is in it. */
  readonly counts = new Map<string, number>();
  /** Where the log begins if it does not begin at its beginning: the view of the snapshot it goes on from. */
  #base: RunView;
  #checkpoints: RunView[] = [];
  /** The last view that was asked for: a replay asks for the one behind it next. */
  #last: { index: number; view: RunView } | null = null;
  #axis: { of: number; now: number; axis: Axis } | null = null;

  constructor(readonly run: string) {
    this.view = emptyRunView(run);
    this.#base = this.view;
  }

  /** How many events there are. */
  get length(): number {
    return this.items.length;
  }

  /** Takes what a stream tells. */
  push(item: StreamItem): void {
    if (item.type === "reset") {
      this.#reset(foldRun(this.view, item));
      return;
    }
    this.view = foldRun(this.view, item);
    if (item.type === "caught_up") return;
    const index = this.items.push(item) - 1;
    const written = Date.parse(timeOf(item));
    const time = Math.max(this.times[index - 1] ?? 0, Number.isNaN(written) ? 0 : written);
    this.times.push(time);
    const kind = kindOf(item);
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    if (item.type === "event") this.spans.push(item.event, time, index);
    if (index % CHECKPOINT === CHECKPOINT - 1) this.#checkpoints.push(this.view);
  }

  /** The run as of an event, by its index; before the first one for -1. */
  viewAt(index: number): RunView {
    if (index >= this.items.length - 1) return this.view;
    if (index < 0) return this.#base;
    const kept = Math.floor((index + 1) / CHECKPOINT) - 1;
    let from = (kept + 1) * CHECKPOINT;
    let view = kept >= 0 ? (this.#checkpoints[kept] as RunView) : this.#base;
    if (this.#last !== null && this.#last.index <= index && this.#last.index >= from) {
      view = this.#last.view;
      from = this.#last.index + 1;
    }
    for (let at = from; at <= index; at++) view = foldRun(view, this.items[at] as LogItem);
    this.#last = { index, view };
    return view;
  }

  /** The axis over all events, and until `now` for a run that goes on (0 for none). */
  axis(now: number): Axis {
    if (this.#axis?.of !== this.items.length || this.#axis.now !== now) {
      const last = this.times.at(-1) ?? 0;
      const times = now > last && this.items.length > 0 ? [...this.times, now] : this.times;
      this.#axis = { of: this.items.length, now, axis: Axis.of(times) };
    }
    return this.#axis.axis;
  }

  /** The last event not behind a time; -1 if all are. */
  indexAt(time: number): number {
    let low = 0;
    let high = this.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.times[middle] as number) <= time) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** What was here is trimmed away at the server: the log begins anew behind the snapshot. */
  #reset(view: RunView): void {
    this.items.length = 0;
    this.times.length = 0;
    this.counts.clear();
    this.#checkpoints = [];
    this.#last = null;
    this.spans = new Spans();
    this.#base = view;
    this.view = view;
  }
}

/** The type of an event, `hidden` for one that may not be seen. */
export function kindOf(item: LogItem): string {
  return item.type === "event" ? item.kind : "hidden";
}

/** When it was written, as the server says it. Taken from the line itself, which is in the order that the server promises. */
function timeOf(item: LogItem): string {
  if (item.type === "event") return item.event.ts;
  return /"ts":"([^"]+)"/.exec(item.raw)?.[1] ?? "";
}
