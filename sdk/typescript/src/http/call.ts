/**
 * One logical call as it goes over the wire: URL, headers and bytes, made once and sent as often as it takes.
 *
 * Promises that nothing is sent which the runtime would refuse with words that quote it: names and keys are checked here.
 */
import { ConfigError } from "../errors.js";
import type { Token } from "./auth.js";
import type { WireRequest } from "./transport.js";
import { uuid } from "./uuid.js";

/** What every call takes beside the API's own parameters. */
export interface RequestOptions {
  /** Ends the call: it rejects with the signal's reason. What the server has begun goes on. */
  signal?: AbortSignal | undefined;
  /** How long the call may take in ms, each try by itself: what the client has (30 000) unless set. */
  timeoutMs?: number | undefined;
}

/** What a call that makes or changes something takes. */
export interface PostOptions extends RequestOptions {
  /** A key of the caller's own (1–255 visible ASCII), so that the call can be repeated by another process too. A fresh UUID unless set. */
  idempotencyKey?: string | undefined;
}

/** Values of a query; those that are `undefined` are left out, lists are comma-separated. */
export type Query = Readonly<Record<string, unknown>>;

/** A call as resources say it. */
export interface CallSpec {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below `/v1`, segment by segment. */
  path: readonly string[];
  query?: Query | undefined;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, in place of `body`. */
  upload?: { content: Blob | ArrayBuffer | Uint8Array | string; mediaType: string } | undefined;
  /** More headers. */
  headers?: Record<string, string> | undefined;
  options?: PostOptions | undefined;
  /** Time in ms that the server was asked to take. */
  extraMs?: number | undefined;
  accept?: string | undefined;
}

/** A request that can be sent again. */
export class Call {
  readonly stream: boolean;
  readonly #method: string;
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #body: BodyInit | undefined;

  constructor(base: string, user: string | undefined, spec: CallSpec) {
    const accept = spec.accept ?? "application/json";
    const headers: Record<string, string> = { accept, ...spec.headers };
    if (user !== undefined) headers["headwater-user"] = visible(user, "the user's id", 256);
    if (spec.method === "POST") {
      headers["idempotency-key"] = visible(
        spec.options?.idempotencyKey ?? uuid(),
        "the idempotency key",
        255,
      );
    }
    if (spec.upload !== undefined) {
      headers["content-type"] = spec.upload.mediaType;
      this.#body = spec.upload.content as BodyInit;
    } else if (spec.body !== undefined) {
      headers["content-type"] = "application/json";
      this.#body = JSON.stringify(spec.body);
    }
    this.stream = accept === "text/event-stream";
    this.#method = spec.method;
    this.#url = `${base}/v1${path(spec.path)}${queryOf(spec.query)}`;
    this.#headers = headers;
  }

  /** The request of one try. */
  request(token: Token | null, signal: AbortSignal): WireRequest {
    const headers = token === null ? this.#headers : { ...this.#headers, authorization: token.header() };
    return { method: this.#method, url: this.#url, headers, body: this.#body, signal, stream: this.stream };
  }
}

/** The host's URL, with or without a trailing slash or `/v1`; without either. */
export function baseUrl(text: string): string {
  // By hand: React Native's URL has no setters and adds slashes. A name and password in it would be quoted by the runtime's errors.
  if (!/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/.test(text)) {
    throw new ConfigError("the base URL must be http(s)://HOST, without credentials, query or fragment");
  }
  return text.replace(/\/+$/, "").replace(/\/v1$/, "").replace(/\/+$/, "");
}

function path(segments: readonly string[]): string {
  let text = "";
  for (const segment of segments) {
    // URLs drop dot segments without a word: the call would go to another resource.
    if (segment === "" || segment === "." || segment === "..") {
      throw new ConfigError("an empty name or a dot is no path segment");
    }
    text += `/${encodeURIComponent(segment)}`;
  }
  return text;
}

function queryOf(query: Query | undefined): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === null) continue;
    const text =
      value instanceof Date ? value.toISOString() : Array.isArray(value) ? value.join(",") : String(value);
    pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(text)}`);
  }
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function visible(text: string, what: string, most: number): string {
  if (text.length > most || !/^[\x21-\x7e]+$/.test(text)) {
    throw new ConfigError(`${what} has to be 1 to ${most} visible ASCII characters`);
  }
  return text;
}
