/**
 * The TypeScript SDK of Headwater: typed calls of the HTTP API v1, and streams of a run's events that resume by themselves.
 *
 * Owns how a client authenticates, repeats and resumes, and what a stream's events come to (`RunView`). Promises that a call which may have
 * had its effect is only repeated under the same `Idempotency-Key`, and that a `RunStream` yields every event of a run exactly once, in order,
 * or ends with an error that says why not. Never writes a log, never shows a credential in an error or an inspection.
 */
export { Headwater, type HeadwaterOptions } from "./client.js";
export * from "./errors.js";
export * from "./fold/index.js";
export type { TokenCallback } from "./http/auth.js";
export type { PostOptions, RequestOptions } from "./http/call.js";
export { Pages, type ListParams } from "./http/pages.js";
export type { RetryPolicy } from "./http/retry.js";
export type * from "./resources/agents.js";
export type * from "./resources/approvals.js";
export type * from "./resources/artifacts.js";
export type * from "./resources/budgets.js";
export type * from "./resources/mcp.js";
export type * from "./resources/runs.js";
export type * from "./resources/schedules.js";
export type * from "./resources/tenants.js";
export type * from "./resources/threads.js";
export type * from "./resources/tools.js";
export type * from "./resources/operations.js";
export type * from "./resources/users.js";
export type * from "./resources/webhooks.js";
export type { UpdateOptions } from "./resources/resource.js";
export {
  EventItem,
  type CaughtUpItem,
  type HiddenItem,
  type ResetItem,
  type StreamItem,
} from "./stream/item.js";
export type { Cursor, StreamOptions, StreamStats, StreamTuning } from "./stream/options.js";
export { RunStream } from "./stream/run-stream.js";
export type * from "./types.js";
export { Webhooks, type HeadersLike, type VerifyOptions, type WebhookEvent } from "./webhook-signature.js";
