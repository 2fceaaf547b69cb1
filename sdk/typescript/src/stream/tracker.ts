/**
 * The rules of resuming, without any I/O: what a frame means at this cursor, and what the end of a connection means.
 *
 * Promises that each event passes once and in order: what is at or before the cursor is dropped, what is beyond the next one is never passed
 * on (but for a compacted log, and right after a `stream.reset`).
 */
import { CredentialEndedError, DecodeError, GaveUpError, StreamGapError, TransportError } from "../errors.js";
import type { HeadwaterError } from "../errors.js";
import { parseObject } from "../json.js";
import { doubled, jittered } from "../http/retry.js";
import type { RunSnapshot } from "../types.js";
import { EventItem, isTerminal, type StreamItem } from "./item.js";
import type { Cursor, StreamSettings, StreamStats } from "./options.js";
import type { Frame } from "./sse.js";

/** A pause of this much, asked for by a comment alone, means that the run waits for a person; overload asks for less. */
const parkedMs = 30_000;
/** The longest pause between reconnects of one's own choice. */
const capMs = 30_000;
/** A day is longer than any run may be worth waiting for without asking again. */
const longestRetryMs = 86_400_000;

/** Why a connection ended. */
export type Leave =
  /** It broke, or could not be made; the server may have asked for a pause. */
  | { why: "broken"; error: HeadwaterError; pauseMs: number | null }
  /** Its bytes ended as they should, without the run's end. */
  | { why: "eof" }
  /** `stream.closing` of the server process's own making. */
  | { why: "closing"; pauseMs: number | null }
  /** `stream.closing{suspended}`. */
  | { why: "suspended"; pauseMs: number | null }
  /** `stream.closing{auth}`: the token has to be renewed. */
  | { why: "auth" }
  /** Events were missing. */
  | { why: "gap" };

/** What to do with a frame. */
export type Step =
  | { do: "skip" }
  /** Give it to the caller; `last`: the run is over. */
  | { do: "yield"; item: StreamItem; last: boolean }
  /** This connection is over. */
  | { do: "leave"; leave: Leave }
  /** The stream is over. */
  | { do: "end" };

const skip: Step = { do: "skip" };

/** Where a stream stands. */
export class Tracker {
  readonly stats: StreamStats = { connections: 0, duplicates: 0, gaps: 0, bytes: 0 };
  readonly #settings: StreamSettings;
  /** The first pause of the client's own policy, which grows. */
  readonly #baseMs: number;
  /** The pause that the server named last. */
  #retryMs: number;
  /** Reconnects since something new came. */
  #failures = 0;
  /** The cursor at which a gap was seen. */
  #gapAt: number | null = null;
  /** Whether the run is suspended, as far as its log was read. */
  #suspended = false;
  /** Of this connection: seqs may jump. */
  #sparse = false;
  /** Of this connection: a `retry:` came without an event. */
  #asked = false;

  constructor(
    public run: string | null,
    public cursor: Cursor,
    settings: StreamSettings,
    baseMs: number,
  ) {
    this.#settings = settings;
    this.#baseMs = baseMs;
    this.#retryMs = settings.retryMs;
  }

  /** A connection stands. `run` is what its `Location` names; `compacted`: its log has lost deltas. */
  connected(run: string | null, compacted: boolean): void {
    this.stats.connections += 1;
    this.run ??= run;
    this.#sparse = compacted;
    this.#asked = false;
  }

  /** The server named a pause. */
  onRetry(ms: number, withEvent: boolean): void {
    this.#retryMs = Math.min(ms, longestRetryMs);
    this.#asked ||= !withEvent;
  }

  /** Takes one frame. Throws what ends the stream as it should not end. */
  onFrame(frame: Frame): Step {
    const before = this.#retryMs;
    if (frame.retry !== null) this.onRetry(frame.retry, frame.data !== null);
    if (frame.data === null) return skip;
    if (frame.id === null) {
      const step = this.#onControl(frame.event, frame.data);
      // That pause is for this once: an edge that answers first when a service wakes is asked again as soon as ever.
      if (step.do === "leave" && step.leave.why === "suspended") this.#retryMs = before;
      return step;
    }
    return frame.event === "stream.reset"
      ? this.#onReset(frame.id, frame.data)
      : this.#onEvent(frame.id, frame.event, frame.data);
  }

  #onEvent(seq: number, kind: string, raw: string): Step {
    if (this.cursor !== "now") {
      const last = this.cursor;
      if (seq <= last) {
        this.stats.duplicates += 1;
        return skip;
      }
      if (seq !== last + 1 && !this.#sparse) {
        this.stats.gaps += 1;
        if (this.#gapAt === last) throw new StreamGapError(last + 1, seq);
        this.#gapAt = last;
        return { do: "leave", leave: { why: "gap" } };
      }
    }
    this.cursor = seq;
    this.#suspended = kind === "run.suspended";
    this.#progress();
    // Found without parsing: the envelope comes first.
    this.run ??= /"run":"([^"\\]+)"/.exec(raw)?.[1] ?? null;
    if (kind === "hidden") return { do: "yield", item: { type: "hidden", seq, raw }, last: false };
    return { do: "yield", item: new EventItem(seq, kind, raw), last: isTerminal(kind) };
  }

  #onReset(id: number, data: string): Step {
    const { reason, as_of_seq, snapshot } = parseObject<{
      reason: string;
      as_of_seq: number;
      snapshot: RunSnapshot;
    }>(data, "stream.reset");
    if (typeof reason !== "string" || typeof as_of_seq !== "number" || typeof snapshot?.id !== "string") {
      throw new DecodeError("stream.reset cannot be read");
    }
    if (this.cursor !== id) this.#progress();
    this.cursor = id;
    this.#sparse = true;
    this.run ??= snapshot.id;
    return { do: "yield", item: { type: "reset", reason, as_of_seq, snapshot }, last: false };
  }

  /** Frames that are not in the log. None of them moves the cursor. */
  #onControl(kind: string, data: string): Step {
    if (kind === "stream.caught_up") {
      const { tail } = parseObject<{ tail?: unknown }>(data, kind);
      if (typeof tail !== "number") throw new DecodeError("stream.caught_up cannot be read");
      // "Now" has become a place: what happens during a cut must not be skipped.
      if (this.cursor === "now") this.cursor = tail;
      return { do: "yield", item: { type: "caught_up", tail }, last: false };
    }
    if (kind !== "stream.closing") return skip;
    const { reason, retry_ms } = parseObject<{ reason?: unknown; retry_ms?: unknown }>(data, kind);
    if (typeof reason !== "string") throw new DecodeError("stream.closing cannot be read");
    const pauseMs = typeof retry_ms === "number" ? retry_ms : null;
    switch (reason) {
      case "done":
        return { do: "end" };
      case "auth":
        return { do: "leave", leave: { why: "auth" } };
      case "suspended":
        return { do: "leave", leave: { why: "suspended", pauseMs } };
      default:
        return { do: "leave", leave: { why: "closing", pauseMs } };
    }
  }

  #progress(): void {
    this.#failures = 0;
    this.#gapAt = null;
  }

  /**
   * How long to wait in ms before the next connection; throws when there is none. `livedMs` is how long this one was heard of; `unit` is a
   * random number in 0..1.
   */
  onLeave(leave: Leave, livedMs: number, unit: number): number {
    // It was alive all that time, heartbeats and all: a run may be silent for hours.
    if (livedMs >= this.#settings.idleMs) this.#failures = 0;
    const parked = this.#asked && (this.#suspended || this.#retryMs >= parkedMs);
    let error: HeadwaterError | undefined;
    let asked: number | null = null;
    let counts = true;
    switch (leave.why) {
      case "broken":
        error = leave.error;
        asked = leave.pauseMs;
        break;
      case "eof":
        counts = !parked;
        break;
      case "closing":
        asked = leave.pauseMs;
        break;
      case "suspended":
        asked = leave.pauseMs ?? parkedMs;
        counts = false;
        break;
      case "auth":
        error = new CredentialEndedError();
        asked = 0;
        break;
      case "gap":
    }
    if (counts) {
      if (this.#failures >= this.#settings.attempts) {
        throw new GaveUpError(
          this.#failures,
          error ?? new TransportError("the connection ended before the run did"),
        );
      }
      this.#failures += 1;
    }
    const own =
      this.#failures <= 1
        ? this.#retryMs
        : doubled(Math.max(this.#retryMs, this.#baseMs), this.#failures - 2, Math.max(capMs, this.#retryMs));
    // What the server asks for is a floor; one's own patience grows above it.
    const wait = asked === null ? own : this.#failures <= 1 ? asked : Math.max(asked, own);
    return jittered(wait, unit);
  }
}
