/**
 * Serves `dist/` under `/console/` as the server does, with the same Content-Security-Policy, and forwards everything else to a real server.
 *
 * Promises that answers pass through byte by byte as they come, so that streams are live behind it too.
 */
import { createReadStream, existsSync, statSync } from "node:fs";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

/** What the server sends with every file of the console. */
export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** A file of the console, or 404. */
function serveFile(path: string, response: ServerResponse): void {
  const file = join(DIST, normalize(path === "" ? "index.html" : path));
  if (!file.startsWith(DIST) || !existsSync(file) || !statSync(file).isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  });
  createReadStream(file).pipe(response);
}

/** Passes a request on. A server that is not there is what an edge would make of it: 502 without a request id. */
function forward(target: URL, incoming: IncomingMessage, response: ServerResponse): void {
  const headers: OutgoingHttpHeaders = { ...incoming.headers, host: target.host };
  // For the server the console is of its own origin, as it is where it serves it.
  if (headers["origin"] !== undefined) headers["origin"] = target.origin;
  const upstream = httpRequest(
    { host: target.hostname, port: target.port, method: incoming.method, path: incoming.url, headers },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on("error", () => response.destroy());
      answer.on("aborted", () => response.destroy());
    },
  );
  upstream.on("error", () => {
    if (!response.headersSent) response.writeHead(502).end();
    else response.destroy();
  });
  response.on("close", () => upstream.destroy());
  incoming.pipe(upstream);
}

/** A proxy in front of a server. */
export interface Proxy {
  /** Its origin. */
  origin: string;
  close: () => Promise<void>;
}

/** Starts it on a free port of the loopback. */
export async function startProxy(server: string): Promise<Proxy> {
  const target = new URL(server);
  const listener: Server = createServer((incoming, response) => {
    const path = (incoming.url ?? "/").split("?", 1)[0] ?? "/";
    if (path.startsWith("/console/")) serveFile(path.slice("/console/".length), response);
    else forward(target, incoming, response);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        listener.closeAllConnections();
        listener.close(() => resolve());
      }),
  };
}
