/** Makes one connection of a stream. */
import { DecodeError, EdgeError } from "../errors.js";
import { sleep, unlessAborted, type Deadline } from "../http/abort.js";
import type { Token } from "../http/auth.js";
import type { Call } from "../http/call.js";
import { Failure, type Caller } from "../http/caller.js";
import { final } from "../http/retry.js";
import type { WireResponse } from "../http/transport.js";
import type { Cursor } from "./options.js";

/** A stream that is open, and what its head told. */
export interface Connection {
  response: WireResponse;
  token: Token | null;
  deadline: Deadline;
  /** The run that `Location` names. */
  run: string | null;
  compacted: boolean;
}

/** Waits, renews the token if it is known to have ended, and connects. `"over"`: 204, everything of the run has been read. */
export async function connect(
  caller: Caller,
  call: Call,
  waitMs: number,
  stale: Token | null,
  signal: AbortSignal,
): Promise<Connection | Failure | "over"> {
  if (waitMs > 0) await sleep(waitMs, signal);
  if (stale !== null) await unlessAborted(caller.settings.auth.renew(stale), signal);
  // The time-out is for the head only: a stream may last for hours.
  const answer = await caller.head(call, caller.settings.timeoutMs, signal);
  if (answer instanceof Failure) return answer;
  const { response, token, deadline } = answer;
  deadline.lift();
  if (response.status === 204) {
    deadline.release();
    return "over";
  }
  if (!response.header("content-type")?.startsWith("text/event-stream")) {
    deadline.abort();
    if (response.header("request-id") !== null) {
      return new Failure(new DecodeError("the stream's content type is not text/event-stream"), final, null);
    }
    // A cold start's page with a status of success.
    return new Failure(new EdgeError(response.status), { do: "retry", afterMs: null }, null);
  }
  const run = /\/(run_[^/?#]+)$/.exec(response.header("location") ?? "")?.[1] ?? null;
  return { response, token, deadline, run, compacted: response.header("headwater-log") === "compacted" };
}

/** The call that reads a run's events after a cursor. */
export function eventsCall(caller: Caller, run: string, cursor: Cursor): Call {
  return caller.prepare({
    method: "GET",
    path: ["runs", run, "events"],
    accept: "text/event-stream",
    query: { after: cursor === "now" ? "now" : undefined },
    headers: typeof cursor === "number" && cursor > 0 ? { "last-event-id": String(cursor) } : {},
  });
}
