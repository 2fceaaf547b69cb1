/**
 * A run's events as an async iterator that resumes by itself.
 *
 * Holds one connection or one timer at a time, and no queue: a caller that does not read slows only itself.
 */
import { ConfigError, CredentialEndedError, RunEndedError, TimeoutError, TransportError } from "../errors.js";
import { reasonOf } from "../http/abort.js";
import type { Token } from "../http/auth.js";
import type { Call } from "../http/call.js";
import { Failure, type Caller } from "../http/caller.js";
import type { WireResponse } from "../http/transport.js";
import type { Run, RunEvent } from "../types.js";
import { connect, eventsCall, type Connection } from "./connect.js";
import type { StreamItem } from "./item.js";
import {
  settingsOf,
  type Cursor,
  type StreamSettings,
  type StreamStats,
  type StreamTuning,
} from "./options.js";
import { Decoder } from "./sse.js";
import { Tracker, type Leave } from "./tracker.js";

/** What a stream is of: a run after a cursor, or a run that its call makes. */
export type StreamSource = { run: string; after: Cursor } | { create: Call };

/**
 * A run's events, each exactly once and in order, over as many connections as it takes. Ends after the run's terminal event, or throws one
 * error. It is read once, by one reader. Leaving the loop closes the connection; the run goes on.
 */
export class RunStream implements AsyncIterable<StreamItem> {
  readonly #caller: Caller;
  readonly #create: Call | null;
  readonly #tracker: Tracker;
  readonly #settings: StreamSettings;
  readonly #stop = new AbortController();
  /** Whether `close` has stopped it, which is no error. */
  #closed = false;
  readonly #outer: AbortSignal | undefined;
  readonly #items: AsyncGenerator<StreamItem, void, undefined>;

  /** @internal */
  constructor(caller: Caller, source: StreamSource, tuning: StreamTuning) {
    const after = "run" in source ? source.after : 0;
    if (after !== "now" && !(Number.isSafeInteger(after) && after >= 0)) {
      throw new ConfigError("a cursor is a whole number from 0, or `now`");
    }
    this.#caller = caller;
    this.#create = "create" in source ? source.create : null;
    this.#settings = settingsOf(tuning);
    this.#outer = tuning.signal;
    const run = "run" in source ? source.run : null;
    this.#tracker = new Tracker(run, after, this.#settings, caller.settings.retry.baseMs);
    this.#items = this.#read();
  }

  /** The run's id, as soon as it is known. */
  get run(): string | null {
    return this.#tracker.run;
  }

  /** After which event the stream stands: give it to `runs.stream` as `after` to go on elsewhere. */
  get cursor(): Cursor {
    return this.#tracker.cursor;
  }

  /** What the stream has been through. */
  get stats(): Readonly<StreamStats> {
    return { ...this.#tracker.stats };
  }

  /** Closes the connection at once; whoever iterates sees the end. The run goes on. */
  close(): void {
    this.#closed = true;
    this.#stop.abort();
  }

  /** Everything the stream tells. Leaving the loop closes it. */
  [Symbol.asyncIterator](): AsyncGenerator<StreamItem, void, undefined> {
    return this.#items;
  }

  /** Only the events, parsed. A reset is skipped: whoever must know of those iterates the stream itself, or folds it. */
  async *events(): AsyncGenerator<RunEvent, void, undefined> {
    for await (const item of this.#items) {
      if (item.type === "event") yield item.event;
    }
  }

  /**
   * Reads to the run's end, and gives the answer's words. Throws `RunEndedError` if the run failed or was cancelled. A run that waits for a
   * person is waited for.
   */
  async text(): Promise<string> {
    for await (const event of this.events()) {
      if (event.type === "run.completed") return event.result.text;
      if (event.type === "run.failed") throw new RunEndedError("failed", event.error);
      if (event.type === "run.cancelled") throw new RunEndedError("cancelled", null);
    }
    // The end was before the cursor, or part of a reset.
    const run = await this.#caller.json<Run>({ method: "GET", path: ["runs", this.run ?? ""] });
    if (run.status === "failed") throw new RunEndedError("failed", run.error ?? null);
    if (run.status === "cancelled") throw new RunEndedError("cancelled", null);
    return run.result?.text ?? "";
  }

  async *#read(): AsyncGenerator<StreamItem, void, undefined> {
    const follow = () => this.#stop.abort();
    if (this.#outer?.aborted) follow();
    this.#outer?.addEventListener("abort", follow, { once: true });
    try {
      yield* this.#connections(this.#stop.signal);
    } catch (error) {
      if (this.#closed) return;
      throw this.#outer?.aborted ? reasonOf(this.#outer) : error;
    } finally {
      this.#outer?.removeEventListener("abort", follow);
    }
  }

  /** Connects again and again, until the run is over. */
  async *#connections(signal: AbortSignal): AsyncGenerator<StreamItem, void, undefined> {
    const tracker = this.#tracker;
    let waitMs = 0;
    let stale: Token | null = null;
    // Whether the token was renewed since the last connection stood.
    let renewed = false;
    for (;;) {
      const opened = await connect(this.#caller, this.#next(), waitMs, stale, signal);
      stale = null;
      if (opened === "over") return;
      if (!(opened instanceof Failure)) {
        renewed = false;
        const since = Date.now();
        const left: Left = { leave: null, heard: since };
        yield* this.#connection(opened, left, signal);
        if (left.leave === null) return;
        if (left.leave.why === "auth") {
          if (opened.token === null || !this.#caller.settings.auth.renewable)
            throw new CredentialEndedError();
          stale = opened.token;
        }
        waitMs = tracker.onLeave(left.leave, left.heard - since, Math.random());
        continue;
      }
      const { error, verdict, token } = opened;
      if (verdict.do === "retry") {
        waitMs = tracker.onLeave({ why: "broken", error, pauseMs: verdict.afterMs }, 0, Math.random());
      } else if (
        verdict.do === "renew" &&
        !renewed &&
        token !== null &&
        this.#caller.settings.auth.renewable
      ) {
        renewed = true;
        stale = token;
        waitMs = 0;
      } else {
        throw error;
      }
    }
  }

  /** Makes the run until it is known, and reads it from then on. */
  #next(): Call {
    const { run, cursor } = this.#tracker;
    if (run !== null) return eventsCall(this.#caller, run, cursor);
    return this.#create as Call;
  }

  /** Reads one connection; `left` tells why it ended, unless the run is over. */
  async *#connection(
    { response, deadline, run, compacted }: Connection,
    left: Left,
    signal: AbortSignal,
  ): AsyncGenerator<StreamItem, void, undefined> {
    const tracker = this.#tracker;
    tracker.connected(run, compacted);
    const decoder = new Decoder();
    let over = false;
    try {
      for (;;) {
        for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
          const step = tracker.onFrame(frame);
          over = step.do === "end" || (step.do === "yield" && step.last);
          if (step.do === "end") return;
          if (step.do === "leave") {
            left.leave = step.leave;
            return;
          }
          if (step.do === "yield") {
            yield step.item;
            if (step.last) return;
          }
        }
        const piece = await readWithin(response, this.#settings.idleMs, signal);
        if (piece === null || piece instanceof TransportError || piece instanceof TimeoutError) {
          const retry = decoder.finish();
          if (retry !== null) tracker.onRetry(retry, false);
          left.leave = piece === null ? { why: "eof" } : { why: "broken", error: piece, pauseMs: null };
          return;
        }
        left.heard = Date.now();
        tracker.stats.bytes += piece.length;
        decoder.push(piece);
      }
    } finally {
      // What has come already is read, so that the connection can be used again.
      if (over && !signal.aborted) await drain(response);
      response.cancel();
      deadline.abort();
    }
  }
}

/** Reads what is there of a body that ends with its run. */
async function drain(response: WireResponse): Promise<void> {
  const now = Symbol("now");
  const soon = new Promise<typeof now>((resolve) => setTimeout(() => resolve(now), 0));
  for (let rest: unknown = ""; rest !== now && rest !== null;) {
    rest = await Promise.race([response.read().catch(() => null), soon]);
  }
}

/** Why a connection ended (`null`: the run is over), and when it was last heard of. */
interface Left {
  leave: Leave | null;
  heard: number;
}

/** The next piece, `null` at the end, or what broke. Rejects only with the signal's reason. */
function readWithin(
  response: WireResponse,
  idleMs: number,
  signal: AbortSignal,
): Promise<Uint8Array | string | null | TransportError | TimeoutError> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(reasonOf(signal));
    if (signal.aborted) return aborted();
    const silence = () => resolve(new TimeoutError("timed out waiting for an event or a heartbeat"));
    const timer = setTimeout(silence, idleMs);
    signal.addEventListener("abort", aborted, { once: true });
    response
      .read()
      .then(resolve, (cause: unknown) => resolve(new TransportError("the connection broke", { cause })))
      .finally(() => {
        clearTimeout(timer);
        signal.removeEventListener("abort", aborted);
      });
  });
}
