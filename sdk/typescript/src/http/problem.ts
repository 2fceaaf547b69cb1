/**
 * Reads the body of an answer that is an error of Headwater's.
 *
 * Promises that a body of a later release still reads: an unknown `code` is kept as it is, and treated by its HTTP status and `retryable`.
 */
import type { Problem } from "../types.js";

/** The plainest code of a status, for bodies without one. */
function codeFor(status: number): Problem["code"] {
  switch (status) {
    case 401:
      return "unauthenticated";
    case 402:
      return "budget_exhausted";
    case 403:
      return "forbidden";
    case 404:
      return "not_found";
    case 405:
      return "method_not_allowed";
    case 406:
      return "not_acceptable";
    case 408:
      return "request_timeout";
    case 412:
      return "version_conflict";
    case 413:
      return "body_too_large";
    case 415:
      return "unsupported_media_type";
    case 422:
      return "invalid_value";
    case 429:
      return "rate_limited";
    case 431:
      return "headers_too_large";
    case 503:
      return "unavailable";
    default:
      return status >= 500 ? "internal" : "invalid_request";
  }
}

/** The problem that a body of `status` tells of; text that is no JSON becomes its `detail`. */
export function readProblem(status: number, body: string): Problem {
  let members: Partial<Problem> = {};
  let detail: string | null = body.slice(0, 256);
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      members = value as Partial<Problem>;
      detail = null;
    }
  } catch {
    // Not JSON: its words are all there is.
  }
  return {
    type: "about:blank",
    title: `Status ${status}`,
    detail,
    status,
    code: codeFor(status),
    retryable: status === 429 || status >= 500,
    fault: status >= 500 ? "server" : "caller",
    request_id: null,
    ...members,
    errors: Array.isArray(members.errors) ? members.errors : [],
  };
}
