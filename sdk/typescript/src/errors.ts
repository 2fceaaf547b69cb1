/**
 * Everything that can go wrong, as classes that `instanceof` and `kind` tell apart.
 *
 * Promises that no message, property or inspection of an error shows a credential.
 */
import type { ErrorCode, FieldError, Problem } from "./types.js";

/** What an error is, for a `switch`. */
export type ErrorKind =
  | "api"
  | "edge"
  | "transport"
  | "timeout"
  | "decode"
  | "stream_gap"
  | "gave_up"
  | "credential_ended"
  | "token"
  | "config"
  | "run_ended"
  | "webhook";

/** The base of all errors of this SDK. A call that was aborted rejects with its signal's reason instead, as `fetch` does. */
export abstract class HeadwaterError extends Error {
  /** The class's name, written out in each: minifiers rename classes. */
  abstract override readonly name: string;
  /** Which error it is. */
  abstract readonly kind: ErrorKind;
}

/** Headwater refused: the members are those of its problem document. */
export class ApiError extends HeadwaterError {
  override readonly name = "ApiError";
  readonly kind = "api";
  constructor(
    /** The HTTP status. */
    readonly status: number,
    /** What Headwater says about it, with the extra members that some codes have. */
    readonly problem: Problem,
    /** The `Request-Id` of the answer, for a report. */
    readonly requestId: string | null,
  ) {
    super(`${problem.detail ?? problem.title} (${problem.code}, status ${status})`);
  }
  /** The stable name. Codes of later releases come as they are. */
  get code(): ErrorCode {
    return this.problem.code as ErrorCode;
  }
  /** Whether the same request may succeed later, unchanged. */
  get retryable(): boolean {
    return this.problem.retryable;
  }
  /** Who has to act: `caller`, `tenant`, `provider`, `tool` or `server`. */
  get fault(): Problem["fault"] {
    return this.problem.fault;
  }
  /** Each field that is wrong; empty where there is no list. */
  get errors(): FieldError[] {
    return this.problem.errors;
  }
}

/** Something in front of Headwater answered: there was no `Request-Id`. */
export class EdgeError extends HeadwaterError {
  override readonly name = "EdgeError";
  readonly kind = "edge";
  constructor(
    /** The HTTP status; 0 for a redirect that a browser hides. */
    readonly status: number,
  ) {
    super(`an edge in front of Headwater answered with status ${status}`);
  }
}

/** No answer, half of one, or a stream's connection that ended before its run did. `cause` says more, where there is more. */
export class TransportError extends HeadwaterError {
  override readonly name = "TransportError";
  readonly kind = "transport";
}

/** An answer did not come in time, or an open stream fell silent. */
export class TimeoutError extends HeadwaterError {
  override readonly name = "TimeoutError";
  readonly kind = "timeout";
}

/** What came is not what the API promises. */
export class DecodeError extends HeadwaterError {
  override readonly name = "DecodeError";
  readonly kind = "decode";
}

/** Events are missing, and reconnecting did not bring them. */
export class StreamGapError extends HeadwaterError {
  override readonly name = "StreamGapError";
  readonly kind = "stream_gap";
  constructor(
    /** The next event of a dense log. */
    readonly expected: number,
    /** What came instead. */
    readonly got: number,
  ) {
    super(`events are missing: expected seq ${expected}, got ${got}`);
  }
}

/** Too many reconnects in a row brought nothing new; `cause` is why the last one failed. */
export class GaveUpError extends HeadwaterError {
  override readonly name = "GaveUpError";
  readonly kind = "gave_up";
  constructor(
    /** Reconnects in a row. */
    readonly attempts: number,
    last: HeadwaterError,
  ) {
    super(`gave up after ${attempts} reconnects without progress`, { cause: last });
  }
}

/** The server ended a stream because its credential did, and there is no `token` callback to ask for another one. */
export class CredentialEndedError extends HeadwaterError {
  override readonly name = "CredentialEndedError";
  readonly kind = "credential_ended";
  constructor() {
    super("the credential of this stream has ended");
  }
}

/** The `token` callback failed; `cause` is what it threw. */
export class TokenError extends HeadwaterError {
  override readonly name = "TokenError";
  readonly kind = "token";
  constructor(cause: unknown) {
    super("no user token", { cause });
  }
}

/** A value that cannot be sent: a base URL, a credential, a user, a key, a path segment. */
export class ConfigError extends HeadwaterError {
  override readonly name = "ConfigError";
  readonly kind = "config";
}

/** A run ended without an answer: `RunStream.text()` has none to give. */
export class RunEndedError extends HeadwaterError {
  override readonly name = "RunEndedError";
  readonly kind = "run_ended";
  constructor(
    /** How it ended. */
    readonly status: "failed" | "cancelled",
    /** Why it failed; `null` if it was cancelled. */
    readonly problem: Problem | null,
  ) {
    super(
      status === "cancelled"
        ? "the run was cancelled"
        : `the run failed: ${problem?.detail ?? problem?.title}`,
    );
  }
}

/** A webhook's signature does not hold: answer it with 400 and do nothing else. */
export class WebhookVerificationError extends HeadwaterError {
  override readonly name = "WebhookVerificationError";
  readonly kind = "webhook";
}
