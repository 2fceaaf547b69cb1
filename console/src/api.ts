/**
 * The one way to call the API: the SDK, and three endpoints of the operator's that it has no methods for.
 *
 * Promises that errors of both look the same: `ApiError` with the server's own words.
 */
import { ApiError, TransportError, type Problem } from "headwater";
import { session } from "./session.ts";

export { client } from "./session.ts";

/** How one model's queue stands on the replica that answers. */
export interface LimiterKey {
  model: string;
  /** `platform`, or the tenant whose own provider key is used. */
  key: string;
  /** Calls at a time that the provider seems to take. */
  limit: number;
  in_flight: number;
  waiting: number;
  breaker: "closed" | "open" | "probing";
  open_until: string | null;
  tenants: { tenant: string; weight: number; in_flight: number; waiting: number }[];
}

/** `GET /v1/limiter`. */
export interface Limiter {
  replica: string;
  keys: LimiterKey[];
}

/** `GET /v1/quiet`: whether the process sleeps, and what keeps it awake. */
export interface Quiet {
  enabled: boolean;
  state: "awake" | "going_quiet" | "quiet";
  since: string;
  idle_ms: number;
  quiet_after_ms: number;
  busy: { what: string; count: number }[];
  next_wake_at: string | null;
}

/** `GET /v1/doctor`. */
export interface Doctor {
  checked_at: string;
  findings: { level: "ok" | "note" | "warning" | "error"; what: string; advice: string | null }[];
}

/** What the operator may ask of one replica. */
export const operator = {
  limiter: (signal?: AbortSignal) => ask<Limiter>("limiter", signal),
  quiet: (signal?: AbortSignal) => ask<Quiet>("quiet", signal),
  doctor: (signal?: AbortSignal) => ask<Doctor>("doctor", signal),
};

async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  const credential = session.value?.credential;
  let response: Response;
  try {
    response = await fetch(`/v1/${path}`, {
      headers: { accept: "application/json", authorization: `Bearer ${credential ?? ""}` },
      signal: signal ?? null,
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new TransportError("the server did not answer", { cause });
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return body as T;
  const requestId = response.headers.get("request-id");
  throw new ApiError(response.status, problemOf(response.status, body), requestId);
}

function problemOf(status: number, body: unknown): Problem {
  const members = typeof body === "object" && body !== null ? (body as Partial<Problem>) : {};
  return {
    type: "about:blank",
    title: `Status ${status}`,
    status,
    detail: null,
    code: "internal",
    retryable: status >= 500,
    fault: "server",
    request_id: null,
    errors: [],
    ...members,
  };
}

/** Whether a server simply does not have what was asked: an older one, or another mode. */
export function isAbsent(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}
