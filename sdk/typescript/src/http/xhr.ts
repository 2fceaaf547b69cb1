/**
 * Streams through `XMLHttpRequest`, for React Native: its growing `responseText` is the body.
 *
 * Promises the same answers as `fetch`. A connection's text is kept until it ends, which the server brings about every ten minutes.
 */
import { reasonOf } from "./abort.js";
import type { WireRequest, WireResponse } from "./transport.js";

/** Carries one request whose body is read as it comes. */
export function xhrTransport(request: WireRequest): Promise<WireResponse> {
  return new Promise((resolve, reject) => {
    const { signal } = request;
    if (signal.aborted) return reject(reasonOf(signal));
    const xhr = new XMLHttpRequest();
    let given = 0;
    let ended = false;
    let failure: { error: unknown } | undefined;
    let wake: (() => void) | undefined;

    const tell = () => {
      wake?.();
      wake = undefined;
    };
    const end = (error?: unknown) => {
      if (ended) return;
      ended = true;
      signal.removeEventListener("abort", aborted);
      if (error !== undefined) failure = { error };
      reject(error ?? new TypeError("Network request failed"));
      tell();
    };
    const aborted = () => {
      end(reasonOf(signal));
      xhr.abort();
    };

    xhr.open(request.method, request.url);
    for (const [name, value] of Object.entries(request.headers)) xhr.setRequestHeader(name, value);
    xhr.responseType = "text";
    // Both handlers are set before sending: that is how React Native knows that text is wanted piece by piece.
    xhr.onprogress = tell;
    xhr.onreadystatechange = () => {
      if (xhr.readyState >= 2 && xhr.status !== 0) resolve(response);
      if (xhr.readyState === 4 && xhr.status !== 0) end();
    };
    xhr.onerror = () => end(new TypeError("Network request failed"));
    xhr.ontimeout = () => end(new TypeError("Network request timed out"));
    signal.addEventListener("abort", aborted, { once: true });

    const more = () => new Promise<void>((woken) => (wake = woken));
    const response: WireResponse = {
      get status() {
        return xhr.status;
      },
      header: (name) => xhr.getResponseHeader(name),
      async read() {
        for (;;) {
          const text = xhr.readyState >= 3 ? (xhr.responseText ?? "") : "";
          if (text.length > given) {
            const piece = text.slice(given);
            given = text.length;
            return piece;
          }
          if (failure !== undefined) throw failure.error;
          if (ended) return null;
          await more();
        }
      },
      async text() {
        let all = "";
        for (let piece = await response.read(); piece !== null; piece = await response.read())
          all += String(piece);
        return all;
      },
      bytes: () => Promise.reject(new TypeError("a stream of text has no bytes")),
      cancel() {
        end();
        xhr.abort();
      },
    };
    xhr.send(request.body as XMLHttpRequestBodyInit | undefined);
  });
}
