/**
 * When to try again, and after how long.
 *
 * Promises never to come back earlier than the server asked, and never to repeat what was plainly refused.
 */
import type { Problem } from "../types.js";

/** How calls are repeated. Streams take `baseMs` from here and have a bound of their own (`attempts` of their options). */
export interface RetryPolicy {
  /** Tries in all, the first one included: 5 unless set. 1 is no retry. */
  attempts: number;
  /** The first pause where the server names none, in ms: 250 unless set; it doubles each time. */
  baseMs: number;
  /** The longest pause of the client's own, in ms: 8 000 unless set. */
  capMs: number;
  /** A call whose answer asks for a longer pause than this (ms) ends with that answer: 60 000 unless set. */
  patienceMs: number;
}

/** The policy of a client that is told nothing else. */
export const defaultRetry: RetryPolicy = { attempts: 5, baseMs: 250, capMs: 8_000, patienceMs: 60_000 };

/** What an answer (or none) means for the next try. */
export type Verdict =
  | { do: "final" }
  /** Worth another try, not before `afterMs`, where the server named a time. */
  | { do: "retry"; afterMs: number | null }
  /** Worth another try with another token. */
  | { do: "renew" };

/** Repeating changes nothing. */
export const final: Verdict = { do: "final" };

/** What an answer that is no success means. `problem` is `null` when the answer is not Headwater's. */
export function verdict(
  status: number,
  problem: Problem | null,
  header: (name: string) => string | null,
): Verdict {
  const retry: Verdict = { do: "retry", afterMs: retryAfter(header) };
  if (problem === null) {
    // An edge: a cold start, a deploy, a process that has just gone.
    return [404, 502, 503, 504].includes(status) ? retry : final;
  }
  if (status === 429 || status === 503 || (status === 409 && problem.retryable)) return retry;
  return status === 401 && problem.code === "token_expired" ? { do: "renew" } : final;
}

/** `Retry-After-Ms`, then `Retry-After` in seconds; in milliseconds. */
function retryAfter(header: (name: string) => string | null): number | null {
  const number = (name: string) => {
    const text = header(name)?.trim();
    return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
  };
  const seconds = number("retry-after");
  return number("retry-after-ms") ?? (seconds === null ? null : seconds * 1000);
}

/** The pause in ms after so many failed tries (from 1), or `null` when it is time to stop. `unit` is a random number in 0..1. */
export function pause(
  policy: RetryPolicy,
  failed: number,
  asked: number | null,
  unit: number,
): number | null {
  if (failed >= policy.attempts || (asked !== null && asked > policy.patienceMs)) return null;
  return jittered(asked ?? doubled(policy.baseMs, failed - 1, policy.capMs), unit);
}

/** `base` doubled so many times, at most `cap`. */
export function doubled(base: number, times: number, cap: number): number {
  return Math.min(base * 2 ** Math.min(times, 52), cap);
}

/** Between once and one and a half times `wait`: later than asked, never earlier. `unit` is in 0..1. */
export function jittered(wait: number, unit: number): number {
  return wait * (1 + unit / 2);
}
