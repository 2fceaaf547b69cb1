/** A Headwater of the tests' own: a `fetch` over logs that a test writes while streams are open. */
import { Headwater, type HeadwaterOptions } from "../../src/index.js";

export interface Request {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Record<string, string>;
  body: unknown;
}

type Handler = (request: Request, signal: AbortSignal) => Response | Promise<Response> | undefined;

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "request-id": "req_test", ...headers },
  });
}

export function problem(
  status: number,
  code: string,
  more: object = {},
  headers: Record<string, string> = {},
) {
  const body = {
    type: "",
    title: code,
    status,
    detail: null,
    code,
    retryable: false,
    fault: "caller",
    errors: [],
  };
  return json({ ...body, ...more }, status, headers);
}

export type Line = { type: string; [field: string]: unknown };

/** A run's log, and the streams that are open on it. */
export class Log {
  readonly #lines: string[] = [];
  readonly open = new Set<ReadableStreamDefaultController<Uint8Array>>();
  connections = 0;
  over = false;

  constructor(readonly id: string) {}

  push(...events: Line[]): void {
    for (const event of events) {
      const seq = this.#lines.length + 1;
      const data = JSON.stringify({ v: 1, seq, ts: "2026-01-01T00:00:00.000Z", run: this.id, ...event });
      this.#lines.push(`id: ${String(seq).padStart(16, "0")}\nevent: ${event.type}\ndata: ${data}\n\n`);
      this.over ||= ["run.completed", "run.failed", "run.cancelled"].includes(event.type);
      for (const stream of this.open) stream.enqueue(new TextEncoder().encode(this.#lines.at(-1)));
    }
    if (this.over) this.cut();
  }

  /** Ends all connections. */
  cut(): void {
    for (const stream of this.open) stream.close();
    this.open.clear();
  }

  stream(after: number, signal: AbortSignal): Response {
    this.connections += 1;
    let mine: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        mine = controller;
        controller.enqueue(
          new TextEncoder().encode("retry: 0\n" + this.#lines.slice(after).join("") || ":\n\n"),
        );
        if (this.over) return controller.close();
        this.open.add(controller);
        signal.addEventListener("abort", () => {
          if (this.open.delete(controller)) controller.error(signal.reason);
        });
      },
      cancel: () => void this.open.delete(mine),
    });
    const headers = {
      "content-type": "text/event-stream; charset=utf-8",
      "request-id": "req_test",
      location: `/v1/runs/${this.id}`,
    };
    return new Response(body, { headers });
  }
}

/** Answers what handlers say, else streams of logs, else 404. */
export class Fake {
  readonly requests: Request[] = [];
  readonly logs = new Map<string, Log>();
  readonly handlers = new Map<string, Handler>();

  on(route: string, handler: Handler): this {
    this.handlers.set(route, handler);
    return this;
  }

  log(id: string): Log {
    const log = this.logs.get(id) ?? new Log(id);
    this.logs.set(id, log);
    return log;
  }

  /** What is asked, read and written down. */
  record(input: unknown, init: RequestInit = {}): Request {
    const url = new URL(String(input));
    const headers = init.headers as Record<string, string>;
    const body =
      typeof init.body === "string" && init.body.startsWith("{") ? JSON.parse(init.body) : init.body;
    const request = {
      method: init.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      headers,
      body,
    };
    this.requests.push(request);
    return request;
  }

  fetch = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const signal = init.signal ?? new AbortController().signal;
    signal.throwIfAborted();
    const request = this.record(input, init);
    const { method, path, headers } = request;
    const said = await this.handlers.get(`${method} ${path}`)?.(request, signal);
    if (said !== undefined) return said;
    const run = /^\/v1\/runs\/([^/]+)\/events$/.exec(path)?.[1];
    const log = run === undefined ? undefined : this.logs.get(run);
    if (log === undefined) return problem(404, "not_found");
    return log.stream(Number(headers["last-event-id"] ?? 0), signal);
  };

  client(options: Partial<HeadwaterOptions> = {}): Headwater {
    return new Headwater({
      baseUrl: "http://fake.test",
      apiKey: options.token === undefined ? "hw_sk_test" : undefined,
      retry: { baseMs: 0 },
      fetch: this.fetch as typeof fetch,
      ...options,
    });
  }

  count(route: string): number {
    return this.requests.filter((request) => `${request.method} ${request.path}` === route).length;
  }
}
