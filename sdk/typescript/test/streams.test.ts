/** Streams as their callers hold them: leaving, closing, collecting. The rules are in tracker.test.ts and the shared scripts. */
import { expect, test } from "vitest";
import { RunEndedError, type RunStream } from "../src/index.js";
import { Fake, json, problem, type Line } from "./support/fake.js";

const usage = {
  input_tokens: 1,
  cached_input_tokens: 0,
  cache_write_tokens: 0,
  output_tokens: 1,
  reasoning_tokens: 0,
  total_tokens: 2,
};
const queued: Line = {
  type: "run.queued",
  thread: "thr_a",
  user: "usr_a",
  agent: "agt_a",
  agent_version: 1,
  input_messages: [],
};
const completed: Line = {
  type: "run.completed",
  result: { message: "m", text: "Hello", json: null, finish_reason: "stop" },
  usage,
  cost: null,
};
const failed: Line = {
  type: "run.failed",
  code: "internal",
  message: null,
  retryable: true,
  error: { code: "internal", title: "Bug" },
  usage,
  cost: null,
};
const cancelled: Line = {
  type: "run.cancelled",
  by: { type: "user", id: "usr_a", reason: null },
  usage,
  cost: null,
};

function streaming(...events: Line[]) {
  const fake = new Fake();
  const log = fake.log("run_a");
  log.push(...events);
  return { fake, log, stream: fake.client().runs.stream("run_a", { retryMs: 0 }) };
}

async function kinds(stream: RunStream): Promise<string[]> {
  const seen: string[] = [];
  for await (const item of stream) seen.push(item.type === "event" ? item.kind : item.type);
  return seen;
}

test("leaving the loop closes the connection", async () => {
  const { log, stream } = streaming(queued);
  for await (const item of stream) {
    expect(item.type).toBe("event");
    break;
  }
  expect(log.open.size).toBe(0);
  expect(stream.cursor).toBe(1);
  expect(await kinds(stream)).toEqual([]);
});

test("close ends whoever waits", async () => {
  const { log, stream } = streaming(queued);
  const seen = kinds(stream);
  while (log.open.size === 0) await new Promise(setImmediate);
  stream.close();
  expect(await seen).toEqual(["run.queued"]);
  expect(log.open.size).toBe(0);
});

test("a signal ends it with its reason, before and while it is read", async () => {
  const { fake, log } = streaming(queued);
  const stop = new AbortController();
  const stream = fake.client().runs.stream("run_a", { signal: stop.signal });
  await expect(async () => {
    for await (const _ of stream) stop.abort(new Error("enough"));
  }).rejects.toThrow("enough");
  expect(log.open.size).toBe(0);
  await expect(kinds(fake.client().runs.stream("run_a", { signal: stop.signal }))).rejects.toThrow("enough");
});

test("text gives the answer, over cuts", async () => {
  const { log, stream } = streaming(queued, { type: "message.delta", message: "m", delta: "Hel" });
  const text = stream.text();
  while (log.open.size === 0) await new Promise(setImmediate);
  log.cut();
  while (log.open.size === 0) await new Promise(setImmediate);
  log.push(completed);
  expect(await text).toBe("Hello");
  expect([stream.run, stream.cursor, stream.stats.connections]).toEqual(["run_a", 3, 2]);
});

test("text of a run without an answer says how it ended", async () => {
  const error = await streaming(queued, failed)
    .stream.text()
    .catch((error: unknown) => error);
  expect(error).toBeInstanceOf(RunEndedError);
  expect(error).toMatchObject({ status: "failed", problem: { code: "internal" } });
  await expect(streaming(queued, cancelled).stream.text()).rejects.toMatchObject({
    status: "cancelled",
    problem: null,
  });
});

test("text of a run that was over before the cursor asks for it", async () => {
  const fake = new Fake();
  const headers = { "request-id": "req_test" };
  fake.on("GET /v1/runs/run_a/events", () => new Response(null, { status: 204, headers }));
  fake.on("GET /v1/runs/run_a", () => json({ status: "completed", result: { text: "Hello" } }));
  expect(await fake.client().runs.stream("run_a", { after: 9 }).text()).toBe("Hello");
});

test("events gives only events, those of later releases too", async () => {
  const { stream } = streaming(queued, { type: "hidden" }, { type: "moon.phase", phase: "full" }, completed);
  const seen: string[] = [];
  for await (const event of stream.events())
    seen.push(event.type === "unknown" ? event.original_type : event.type);
  expect(seen).toEqual(["run.queued", "moon.phase", "run.completed"]);
});

test("a run is made once, on a thread, and streamed", async () => {
  const fake = new Fake();
  const log = fake.log("run_a");
  log.push(queued, completed);
  let tries = 0;
  fake.on("POST /v1/threads/thr_a/runs", (_, signal) =>
    ++tries === 1 ? new Response("", { status: 502 }) : log.stream(0, signal),
  );
  const stream = fake
    .client()
    .threadRuns.createAndStream(
      "thr_a",
      { agent: "assistant", input: "hi" },
      { idempotencyKey: "mine", retryMs: 0 },
    );
  expect(fake.requests).toEqual([]);
  expect(await kinds(stream)).toEqual(["run.queued", "run.completed"]);
  expect(fake.requests.map((request) => request.headers["idempotency-key"])).toEqual(["mine", "mine"]);
});

test("a run that is refused is an error at once", async () => {
  const fake = new Fake().on("POST /v1/runs", () => problem(422, "invalid_value"));
  const stream = fake.client().runs.createAndStream({ agent: "x", input: "hi" });
  await expect(kinds(stream)).rejects.toMatchObject({ kind: "api", code: "invalid_value" });
  expect(fake.requests).toHaveLength(1);
});

test.each([-1, 1.5, NaN])("the cursor %j is refused", (after) => {
  expect(() => new Fake().client().runs.stream("run_a", { after })).toThrow(
    expect.objectContaining({ kind: "config" }),
  );
});
