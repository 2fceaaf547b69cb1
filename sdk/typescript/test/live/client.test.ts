/** The client against a real server. */
import { beforeAll, expect, test } from "vitest";
import { emptyRunView, foldRun, pendingApprovals, viewOfSnapshot, type RunView } from "../../src/index.js";
import { agents, alice, page, tenant, user } from "./support.js";

beforeAll(agents);

test("who is calling", async () => {
  expect(await tenant.me()).toMatchObject({ object: "principal" });
  expect(await page().me()).toMatchObject({ kind: "user" });
});

test("a run is made, streamed, and answers", async () => {
  const stream = page().runs.createAndStream({ agent: "sdk-echo", input: "Grüße" });
  const text = await stream.text();
  expect(text).toContain("Grüße");
  const run = await alice.runs.get(stream.run as string);
  expect(run).toMatchObject({ status: "completed", as_of_seq: stream.cursor });
  const page1 = await alice.runs.events(run.id, { limit: 2 });
  expect(page1.data.map((event) => event.type)).toEqual(["run.queued", "run.started"]);
});

test("every connection is cut, and every event is seen once", async () => {
  const run = await alice.runs.create({ agent: "sdk-slow", input: "Count", model: "scripted/tokens-64x5" });
  let after = 0;
  let view = emptyRunView();
  const seen: number[] = [];
  for (let left = false; !left;) {
    left = true;
    for await (const item of alice.runs.stream(run.id, { after })) {
      view = foldRun(view, item);
      if (item.type !== "event" && item.type !== "hidden") continue;
      seen.push(item.seq);
      after = item.seq;
      if (item.seq % 3 === 0 && !(item.type === "event" && item.isTerminal)) {
        left = false;
        break;
      }
    }
  }
  expect(seen).toEqual(Array.from({ length: seen.length }, (_, at) => at + 1));
  const snapshot = viewOfSnapshot(await alice.runs.get(run.id));
  expect([view.status, view.seq, view.result]).toEqual([snapshot.status, snapshot.seq, snapshot.result]);
});

test("a person decides, the application answers, and the stream goes on", async () => {
  const hw = page();
  const stream = hw.runs.createAndStream({ agent: "sdk-careful", input: "Which file?" });
  let view: RunView = emptyRunView();
  for await (const item of stream) {
    view = foldRun(view, item);
    if (item.type !== "event" || item.event.type !== "run.suspended") continue;
    const [approval] = pendingApprovals(view);
    if (approval !== undefined) {
      const listed = await hw.approvals.list({ run: view.run as string, status: "pending" }).page();
      expect(listed.data.map(({ id }) => id)).toEqual([approval.id]);
      await hw.approvals.decide(view.run as string, approval.id, { decision: "approved" });
    } else {
      const call = view.pending[0]?.call as string;
      await hw.runs.callResult(view.run as string, call, { output: { file: "notes.txt" } });
    }
  }
  expect(view.status).toBe("completed");
  expect(view.result?.text).toContain("notes.txt");
});

test("a key repeats what was done, and a cancel ends it", async () => {
  const idempotencyKey = crypto.randomUUID();
  const params = { agent: "sdk-slow", input: "Count" };
  const run = await alice.runs.create(params, { idempotencyKey });
  expect((await alice.runs.create(params, { idempotencyKey })).id).toBe(run.id);
  await expect(alice.runs.create({ ...params, input: "Other" }, { idempotencyKey })).rejects.toMatchObject({
    code: "idempotency_mismatch",
  });
  await alice.runs.cancel(run.id, { reason: "seen enough" });
  await expect(alice.runs.stream(run.id).text()).rejects.toMatchObject({ status: "cancelled" });
});

test("threads, messages and lists", async () => {
  const thread = await alice.threads.create({ title: "Lists" });
  for (const content of ["one", "two", "three"])
    await alice.messages.create(thread.id, { role: "user", content });
  const said: unknown[] = [];
  for await (const message of alice.messages.list(thread.id, { limit: 2, order: "asc" })) {
    said.push(...message.content.map((part) => part.type === "text" && part.text));
  }
  expect(said).toEqual(["one", "two", "three"]);
  await alice.threads.delete(thread.id);
  await alice.threads.delete(thread.id);
  await expect(alice.threads.get(thread.id)).rejects.toMatchObject({ code: "not_found" });
});

test("artifacts come back as they were sent", async () => {
  const made = await alice.artifacts.create(new Uint8Array([1, 2, 255]), {
    filename: "a.bin",
    media_type: "application/octet-stream",
  });
  expect(made).toMatchObject({ filename: "a.bin", size_bytes: 3 });
  expect(new Uint8Array(await alice.artifacts.content(made.id))).toEqual(new Uint8Array([1, 2, 255]));
  const range = await alice.artifacts.content(made.id, { range: "bytes=1-1" });
  expect(new Uint8Array(range)).toEqual(new Uint8Array([2]));
});

test("another user sees nothing of it", async () => {
  const run = await alice.runs.create({ agent: "sdk-echo", input: "mine" });
  await expect(tenant.asUser(`not-${user}`).runs.get(run.id)).rejects.toMatchObject({ code: "not_found" });
});

test("a webhook endpoint's own secret signs", async () => {
  const endpoint = await tenant.webhookEndpoints.create({
    url: "http://127.0.0.1:9/hooks",
    events: ["run.failed"],
  });
  expect(endpoint.secret).toMatch(/^whsec_/);
  await tenant.webhookEndpoints.delete(endpoint.id);
});
