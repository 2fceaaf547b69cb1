/** What a stream yields. */
import { parseObject } from "../json.js";
import { readEvent } from "../event.js";
import type { RunEvent, RunSnapshot } from "../types.js";

/** An event as it came over the wire: one line of JSON, parsed only if asked. */
export class EventItem {
  readonly type = "event";
  #event: RunEvent | undefined;

  constructor(
    /** Its position in the run's log, dense from 1. */
    readonly seq: number,
    /** Its type, such as `message.delta`, known without parsing. */
    readonly kind: string,
    /** Its JSON, byte for byte as the server wrote it. */
    readonly raw: string,
  ) {}

  /** The event, parsed at the first look. Throws `DecodeError` if it is no JSON. */
  get event(): RunEvent {
    return (this.#event ??= readEvent(parseObject(this.raw, "an event")));
  }

  /** Whether nothing follows it. */
  get isTerminal(): boolean {
    return isTerminal(this.kind);
  }
}

/** An event that this reader may not see: its place in the order, and nothing else. */
export interface HiddenItem {
  type: "hidden";
  seq: number;
  /** Its JSON, as the server wrote it. */
  raw: string;
}

/** Everything that was in the log is read; what follows is live. Once per connection. */
export interface CaughtUpItem {
  type: "caught_up";
  /** The last event of the log at that moment. */
  tail: number;
}

/** The cursor was older than what is kept, or ahead of the log: begin anew from this snapshot. */
export interface ResetItem {
  type: "reset";
  /** `trimmed` or `cursor_ahead`. */
  reason: string;
  /** The snapshot holds everything up to this event; the stream goes on after it. */
  as_of_seq: number;
  /** The run, as of then. */
  snapshot: RunSnapshot;
}

/** One thing a stream tells. */
export type StreamItem = EventItem | HiddenItem | CaughtUpItem | ResetItem;

/** Whether an event of this type ends its run. */
export function isTerminal(kind: string): boolean {
  return kind === "run.completed" || kind === "run.failed" || kind === "run.cancelled";
}
