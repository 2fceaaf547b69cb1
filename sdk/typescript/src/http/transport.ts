/**
 * One request and its answer, whatever carries them: `fetch`, or `XMLHttpRequest` where `fetch` cannot stream.
 *
 * Promises that an answer's bytes can be read as they come and let go of at any time. Never retries, never reads a credential.
 */
import { xhrTransport } from "./xhr.js";

/** What is sent. */
export interface WireRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: BodyInit | undefined;
  signal: AbortSignal;
  /** Whether the body is to be read while it comes. */
  stream: boolean;
}

/** What is answered. */
export interface WireResponse {
  status: number;
  /** A header, by its lower-case name. */
  header(name: string): string | null;
  text(): Promise<string>;
  bytes(): Promise<ArrayBuffer>;
  /** The body as it comes: bytes, or text where the runtime decodes by itself. `null` at its end. */
  read(): Promise<Uint8Array | string | null>;
  /** Lets go of the rest of the body. */
  cancel(): void;
}

/** Carries one request. Rejects where there is no answer. */
export type Transport = (request: WireRequest) => Promise<WireResponse>;

/** The transport of a runtime: the caller's own `fetch`, else React Native's `XMLHttpRequest` for streams, else the global `fetch`. */
export function pickTransport(own: typeof fetch | undefined): Transport {
  if (own !== undefined) return fetchTransport(own);
  const global = fetchTransport((input, init) => fetch(input, init));
  const reactNative = typeof navigator !== "undefined" && navigator.product === "ReactNative";
  // React Native's fetch answers when everything is there, and has no body to read.
  return reactNative ? (request) => (request.stream ? xhrTransport(request) : global(request)) : global;
}

/** A transport by any function like `fetch`. */
export function fetchTransport(send: typeof fetch): Transport {
  return async ({ method, url, headers, body, signal }) => {
    const init: RequestInit = { method, headers, signal, redirect: "manual" };
    if (body !== undefined) init.body = body;
    const response = await send(url, init);
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    return {
      status: response.status,
      header: (name) => response.headers.get(name),
      text: () => response.text(),
      bytes: () => response.arrayBuffer(),
      async read() {
        reader ??= response.body?.getReader();
        // A fetch without streams: all of it at once, which is late but right.
        if (reader === undefined) return response.bodyUsed ? null : response.text();
        const { done, value } = await reader.read();
        return done ? null : value;
      },
      cancel() {
        const rest = reader === undefined ? response.body?.cancel() : reader.cancel();
        // What is let go of may fail as it likes.
        rest?.catch(() => undefined);
      },
    };
  };
}
