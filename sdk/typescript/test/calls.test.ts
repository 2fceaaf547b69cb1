/** How calls are sent, repeated and refused. */
import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { ApiError, Headwater, HeadwaterError, type HeadwaterOptions } from "../src/index.js";
import { pause, defaultRetry, jittered, verdict } from "../src/http/retry.js";
import { uuid } from "../src/http/uuid.js";
import { Fake, json, problem } from "./support/fake.js";

/** A server that gives these answers in turn, the last one for all that follow. */
function answering(...answers: (() => Response | Promise<Response>)[]) {
  const fake = new Fake();
  const next = () => (answers.length > 1 ? answers.shift()! : answers[0]!)();
  fake.on("GET /v1/me", next).on("POST /v1/threads", next).on("DELETE /v1/threads/thr_a", next);
  return fake;
}

const good = () => json({ object: "principal" });

async function kindOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  return error instanceof HeadwaterError ? error.kind : ((error as Error | undefined)?.name ?? "none");
}

test("says who it is, as whom, and what it wants", async () => {
  const fake = answering(good);
  await fake
    .client({ baseUrl: "https://fake.test/edge/v1/", user: "alice" })
    .me()
    .catch(() => undefined);
  expect(fake.requests).toMatchObject([
    {
      path: "/edge/v1/me",
      headers: { authorization: "Bearer hw_sk_test", "headwater-user": "alice", accept: "application/json" },
    },
  ]);
  await fake.client().asUser("bob").me();
  await fake.client({ user: "bob" }).asTenant().me();
  expect(fake.requests.slice(1).map((request) => request.headers["headwater-user"])).toEqual([
    "bob",
    undefined,
  ]);
});

test("repeats a POST byte for byte, under one key", async () => {
  const fake = answering(
    () => Promise.reject(new TypeError("fetch failed")),
    () => new Response("starting", { status: 502 }),
    () => problem(429, "rate_limited", {}, { "retry-after-ms": "0" }),
    () => problem(409, "thread_busy", { retryable: true }),
    () => json({ id: "thr_a" }, 201),
  );
  await fake.client().threads.create({ title: "Ä" });
  const [first, ...others] = fake.requests;
  expect(others).toHaveLength(4);
  for (const other of others) expect(other).toEqual(first);
  expect(first?.headers["idempotency-key"]).toMatch(/^[0-9a-f-]{36}$/);
});

test("a key of the caller's own is sent", async () => {
  const fake = answering(good);
  await fake.client().threads.create({}, { idempotencyKey: "order-7" });
  expect(fake.requests[0]?.headers["idempotency-key"]).toBe("order-7");
  expect(await kindOf(fake.client().threads.create({}, { idempotencyKey: "no\nkey" }))).toBe("config");
});

describe("what ends a call", () => {
  const cases: [string, string, () => Response | Promise<Response>, number][] = [
    ["a refusal", "api", () => problem(422, "invalid_value"), 1],
    ["a bug of the server's", "api", () => problem(500, "internal", { retryable: true }), 1],
    ["an edge that forbids", "edge", () => new Response("no", { status: 403 }), 1],
    [
      "a redirect",
      "edge",
      () => new Response(null, { status: 302, headers: { location: "https://x.test" } }),
      1,
    ],
    [
      "an answer that is no JSON",
      "decode",
      () => new Response("<html>", { headers: { "request-id": "r" } }),
      1,
    ],
    ["an edge that does not wake", "edge", () => new Response("", { status: 503 }), 5],
    ["no connection", "transport", () => Promise.reject(new TypeError("fetch failed")), 5],
    [
      "a longer wait than one has patience for",
      "api",
      () => problem(429, "rate_limited", {}, { "retry-after": "61" }),
      1,
    ],
    ["a token that nobody renews", "api", () => problem(401, "token_expired"), 1],
  ];
  test.each(cases)("%s", async (_, kind, answer, tries) => {
    const fake = answering(answer);
    expect([await kindOf(fake.client().me()), fake.requests.length]).toEqual([kind, tries]);
  });

  test("time, for good", async () => {
    const fake = new Fake().on("GET /v1/me", (_, signal) => {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    expect([await kindOf(fake.client({ timeoutMs: 1 }).me()), fake.requests.length]).toEqual(["timeout", 1]);
  });

  test("the caller's signal, with its reason, also between tries", async () => {
    const stop = new AbortController();
    const fake = answering(() => {
      queueMicrotask(() => stop.abort(new Error("changed my mind")));
      return problem(429, "rate_limited", {}, { "retry-after": "60" });
    });
    await expect(fake.client().me({ signal: stop.signal })).rejects.toThrow("changed my mind");
    await expect(fake.client().me({ signal: stop.signal })).rejects.toThrow("changed my mind");
    expect(fake.requests).toHaveLength(1);
  });
});

test("a refusal tells what Headwater says", async () => {
  const errors = [{ param: "/agent", code: "invalid_value", detail: "no" }];
  const fake = answering(() => problem(409, "moon_phase", { detail: "wait", errors, moon: "full" }));
  const error = await fake
    .client()
    .me()
    .catch((error: unknown) => error);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({
    ...{ name: "ApiError", kind: "api", status: 409, code: "moon_phase", retryable: false, fault: "caller" },
    ...{ requestId: "req_test", errors, problem: { moon: "full" }, message: "wait (moon_phase, status 409)" },
  });
});

test("what is not there is deleted", async () => {
  const fake = answering(() => problem(404, "not_found"));
  await expect(fake.client().threads.delete("thr_a")).resolves.toBeUndefined();
});

describe("tokens", () => {
  function expiring(lives: number) {
    const fake = new Fake();
    fake.on("GET /v1/me", ({ headers }) =>
      Number(headers.authorization?.slice("Bearer t".length)) < lives
        ? problem(401, "token_expired")
        : good(),
    );
    return fake;
  }

  test("one that has expired is renewed once, however many find out", async () => {
    const fake = expiring(1);
    let asked = 0;
    const client = fake.client({ token: async () => `t${asked++}` });
    await Promise.all(Array.from({ length: 10 }, () => client.me()));
    await client.asUser("bob").me();
    expect(asked).toBe(2);
  });

  test("a call renews once", async () => {
    const fake = expiring(9);
    let asked = 0;
    expect(await kindOf(fake.client({ token: () => `t${asked++}` }).me())).toBe("api");
    expect([asked, fake.requests.length]).toEqual([2, 2]);
  });

  test("a callback that fails is asked again by the next call", async () => {
    const fake = expiring(0);
    const token = vi.fn().mockRejectedValueOnce(new Error("no network")).mockResolvedValue("t0");
    const client = fake.client({ token });
    await expect(client.me()).rejects.toMatchObject({ kind: "token", cause: { message: "no network" } });
    await client.me();
    expect(token).toHaveBeenCalledTimes(2);
  });
});

describe("settings", () => {
  const cases: [string, Partial<HeadwaterOptions>][] = [
    ["no URL", { baseUrl: "headwater.test" }],
    ["another protocol", { baseUrl: "ftp://headwater.test" }],
    ["a password", { baseUrl: "https://a:secret@headwater.test" }],
    ["a query", { baseUrl: "https://headwater.test?x=1" }],
    ["two credentials", { apiKey: "hw_sk_test", token: "t" }],
    ["a credential with a line break", { apiKey: "hw_sk_secret\n" }],
  ];
  test.each(cases)("%s is refused", (_, options) => {
    const make = () => new Headwater({ baseUrl: "https://headwater.test", ...options });
    expect(make).toThrow(expect.objectContaining({ kind: "config" }));
    expect(make).not.toThrow("secret");
  });

  test.each(["", ".", ".."])("the name %j is refused, which URLs would drop", async (name) => {
    expect(await kindOf(new Fake().client().threads.get(name))).toBe("config");
  });
});

test("no inspection shows a credential", async () => {
  const fake = new Fake();
  fake.on("GET /v1/me", () => Promise.reject(new TypeError("fetch failed")));
  const client = fake.client({ apiKey: "hw_sk_not_to_be_seen", retry: { attempts: 1 } });
  const stream = client.runs.stream("run_a");
  const error = await client.me().catch((error: unknown) => error);
  for (const value of [client, client.asUser("bob"), client.runs, stream, error]) {
    expect(inspect(value, { depth: 20, showHidden: true })).not.toContain("not_to_be_seen");
    expect(JSON.stringify(value)).not.toContain("not_to_be_seen");
  }
});

test("lists are read to their end, page by page", async () => {
  const fake = new Fake().on("GET /v1/runs", ({ query }) => {
    const from = Number(query.get("after") ?? 0);
    const more = from + 2 < 5;
    const data = [from, from + 1].filter((id) => id < 5).map((id) => ({ id }));
    return json({ object: "list", data, has_more: more, next_cursor: more ? String(from + 2) : null });
  });
  const runs = fake.client().runs.list({ status: "running", limit: 2 });
  const ids: unknown[] = [];
  for await (const run of runs) ids.push(run.id);
  expect(ids).toEqual([0, 1, 2, 3, 4]);
  expect(fake.requests.map((request) => request.query.toString())).toEqual([
    "status=running&limit=2",
    "status=running&limit=2&after=2",
    "status=running&limit=2&after=4",
  ]);
  expect((await runs.page()).data).toHaveLength(2);
});

describe("retrying", () => {
  const header = (headers: Record<string, string>) => (name: string) => headers[name] ?? null;

  test("milliseconds win over seconds, and dates are no numbers", () => {
    const after = (headers: Record<string, string>) => verdict(503, null, header(headers));
    expect(after({ "retry-after": "2", "retry-after-ms": "1250" })).toEqual({ do: "retry", afterMs: 1250 });
    expect(after({ "retry-after": "2" })).toEqual({ do: "retry", afterMs: 2000 });
    expect(after({ "retry-after": "Fri, 21 Nov 2026 02:30:00 GMT" })).toEqual({ do: "retry", afterMs: null });
  });

  test("pauses are bounded and never shorter than asked", () => {
    for (let failed = 1; failed < 5; failed++) {
      expect(pause(defaultRetry, failed, null, 0)).toBe(250 * 2 ** (failed - 1));
      expect(pause(defaultRetry, failed, 3000, 0.999)).toBeGreaterThanOrEqual(3000);
    }
    expect(pause({ ...defaultRetry, attempts: 99 }, 50, null, 0)).toBe(8000);
    expect(pause(defaultRetry, 5, null, 0)).toBeNull();
    expect(pause(defaultRetry, 1, 60_001, 0)).toBeNull();
    expect(jittered(2000, 0.5)).toBe(2500);
  });
});

test("keys are fresh where the runtime has no randomUUID", () => {
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  for (const crypto of [
    undefined,
    { getRandomValues: globalThis.crypto.getRandomValues.bind(globalThis.crypto) },
  ]) {
    vi.stubGlobal("crypto", crypto);
    const [one, other] = [uuid(), uuid()];
    vi.unstubAllGlobals();
    expect(one).toMatch(form);
    expect(other).toMatch(form);
    expect(one).not.toBe(other);
  }
});
