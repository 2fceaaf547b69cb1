/**
 * The one way to call the API: the SDK.
 *
 * Here are the few things of it that pages share.
 */
import { ApiError, type Schema } from "headwater";
import { client } from "./session.ts";

export { client, ownClient } from "./session.ts";

/** How one model's queue stands on the process that answers. */
export type LimiterKey = Schema<"LimiterKey">;
/** `GET /v1/limiter`. */
export type Limiter = Schema<"Limiter">;
/** `GET /v1/quiet`: whether the process sleeps, and what keeps it awake. */
export type Quiet = Schema<"QuietStatus">;
/** `GET /v1/doctor`. */
export type Doctor = Schema<"Doctor">;

const options = (signal?: AbortSignal) => (signal ? { signal } : {});

/** What the operator may ask of one process. */
export const operator = {
  limiter: (signal?: AbortSignal) => client.value.limiter.get(options(signal)),
  quiet: (signal?: AbortSignal) => client.value.quiet.get(options(signal)),
  doctor: (signal?: AbortSignal) => client.value.doctor.get(options(signal)),
};

/** Whether a server simply does not have what was asked: an older one, or another mode. */
export function isAbsent(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}
