// Tests of client.js without a browser: `node --test`. Run by the unit test of page.rs where there is a node.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  answerOf, Api, callsAfter, callsOf, Cursor, decisionOf, eventsOf, parseJson, pretty, RunStream, SseParser,
} from "./client.js";

const bytes = (text) => new TextEncoder().encode(text);
const frame = (event) => {
  const id = event.seq === undefined ? "" : `id: ${String(event.seq).padStart(16, "0")}\n`;
  return `${id}event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
};
const RUN = "run_1";
const EVENTS = ["run.queued", "run.started", "message.delta", "message.delta", "run.completed"].map((type, i) => ({
  v: 1, seq: i + 1, run: RUN, type, delta: type === "message.delta" ? "wörds 🦀" : undefined,
}));

test("a stream cut between any two bytes parses the same", () => {
  const text = `retry: 1500\n${EVENTS.map(frame).join(": hb\n\n")}`;
  for (const wire of [text, text.replaceAll("\n", "\r\n"), text.replaceAll("\n", "\r")]) {
    const all = bytes(wire);
    for (let cut = 0; cut <= all.length; cut++) {
      const parser = new SseParser();
      const frames = [...parser.push(all.slice(0, cut)), ...parser.push(all.slice(cut))];
      // A lone CR at the very end may be half of a CRLF; the frame is whole all the same.
      assert.deepEqual(frames.map((frame) => JSON.parse(frame.data).seq), [1, 2, 3, 4, 5], `cut at ${cut}`);
      assert.equal(frames[2].id, "0000000000000003");
      assert.equal(frames[2].event, "message.delta");
      assert.equal(JSON.parse(frames[2].data).delta, "wörds 🦀");
      assert.equal(parser.retryMs, 1500);
    }
    const parser = new SseParser();
    assert.equal([...all].flatMap((byte) => parser.push(Uint8Array.of(byte))).length, 5, "byte by byte");
  }
});

test("fields as the specification has them", () => {
  const parser = new SseParser();
  const frames = parser.push(bytes("\uFEFFdata:a\ndata:  b\ndata\nid\nunknown: x\nretry: soon\n\nevent: e\n\n: c\n\ndata: 1\n\n"));
  assert.deepEqual(frames, [{ event: "message", id: "", data: "a\n b\n" }, { event: "message", id: null, data: "1" }]);
});

test("a cursor takes each event once and notices what is missing", () => {
  const cursor = new Cursor();
  assert.deepEqual([1, 2, 2, 1, 3].map((seq) => cursor.accept(seq)), [true, true, false, false, true]);
  assert.deepEqual([cursor.seen, cursor.last, cursor.duplicates, cursor.whole], [3, 3, 2, true]);
  cursor.accept(5);
  assert.deepEqual([cursor.missing, cursor.whole], [1, false]);
  cursor.reset(10);
  cursor.accept(11);
  assert.deepEqual([cursor.seen, cursor.last, cursor.whole], [1, 11, true]);
});

/** A server of one run: the first connections break after `cut` events each; the last one is whole. */
function fakeServer(cut) {
  const seen = { keys: new Set(), tokens: 0, tickets: 0, afters: [] };
  const json = (status, body) => new Response(JSON.stringify(body), { status });
  globalThis.location = { href: "http://test/" };
  globalThis.fetch = async (path, { method, headers, signal }) => {
    if (headers.Authorization === "Bearer t1") return json(401, { code: "token_expired", retryable: false });
    if (path.endsWith("/tickets")) {
      seen.tickets += 1;
      return json(201, { events_url: `/v1/runs/${RUN}/events?ticket=hw_rt_1` });
    }
    if (method === "GET") return json(200, { status: "completed", as_of_seq: EVENTS.length });
    seen.keys.add(headers["Idempotency-Key"]);
    if (seen.keys.size === 1 && !seen.refused) {
      seen.refused = true;
      throw new TypeError("network");
    }
    const body = new ReadableStream({
      start(controller) {
        signal.addEventListener("abort", () => controller.error(new DOMException("aborted", "AbortError")));
        for (const event of EVENTS.slice(0, cut)) controller.enqueue(bytes(frame(event)));
        if (cut > 0) setTimeout(() => controller.error(new TypeError("network")), 5);
        else controller.close();
      },
    });
    return new Response(body, { status: 201 });
  };
  globalThis.EventSource = class {
    static CONNECTING = 0;
    static CLOSED = 2;
    #handlers = {};
    constructor(url) {
      const after = Number(url.searchParams.get("after"));
      assert.equal(url.searchParams.get("ticket"), "hw_rt_1");
      seen.afters.push(after);
      // Once more what was there already, as a careless server might, then one more event, then nothing.
      const events = EVENTS.slice(Math.max(after - 1, 0), after + 1);
      setTimeout(() => {
        this.onopen();
        for (const event of events) this.#handlers[event.type]?.({ data: JSON.stringify(event) });
        this.readyState = EventSource.CLOSED;
        if (!this.closed) this.onerror();
      }, 5);
    }
    addEventListener(type, handler) {
      this.#handlers[type] = handler;
    }
    close() {
      this.closed = true;
    }
  };
  return seen;
}

function run(api) {
  const events = [];
  let stream;
  const over = new Promise((done, fail) => {
    const state = (name, words, error) => (name === "over" ? done() : name === "broken" && fail(error));
    stream = new RunStream(api, { event: (event) => events.push(event.seq), state });
  });
  return { stream, events, over };
}

test("a run is whole over lost requests, expired tokens, cut streams and tickets that end", async () => {
  for (const cut of [1, 3]) {
    const seen = fakeServer(cut);
    let tokens = 0;
    const api = new Api(async () => ({ token: `t${++tokens}`, expires_at: new Date(Date.now() + 60_000).toISOString() }));
    const { stream, events, over } = run(api);
    void stream.start("/v1/runs", { agent: "a", input: "b" });
    await over;
    assert.deepEqual(events, [1, 2, 3, 4, 5]);
    assert.equal(tokens, 2, "one refused token is renewed once");
    assert.equal(seen.keys.size, 1, "one Idempotency-Key for all tries");
    assert.deepEqual(seen.afters, EVENTS.slice(cut).map((event) => event.seq - 1));
    assert.equal(stream.cursor.duplicates, seen.afters.length);
    assert.ok(stream.cursor.whole);
  }
});

test("dropped on purpose, the stream comes back by itself", async () => {
  fakeServer(2);
  const api = new Api(async () => ({ token: "t2", expires_at: new Date(Date.now() + 60_000).toISOString() }));
  const { stream, events, over } = run(api);
  void stream.start("/v1/runs", {});
  while (events.length < 2) await new Promise((done) => setTimeout(done, 1));
  stream.drop(10);
  assert.equal(stream.state, "dropped");
  await over;
  assert.deepEqual(events, [1, 2, 3, 4, 5]);
});

const started = (call, name = "refund") => ({
  type: "tool.started", run: RUN, step: 1, message: "msg_1", call, name, kind: "client", effect: "side_effect",
});
const written = (call, args) => [
  started(call),
  { type: "tool.args.delta", call, delta: JSON.stringify(args).slice(0, 3) },
  { type: "tool.args.delta", call, delta: JSON.stringify(args).slice(3) },
  { type: "tool.args", call, args },
];
const requested = (call, args) => ({
  type: "approval.requested", approval: `apr_${call}`, kind: "tool", call, name: "refund", args, message: "May it?",
  schema: {}, deciders: ["user"], expires_at: "2030-01-01T00:00:00.000Z",
});
const resolved = (call, decision, more = {}) => ({
  type: "approval.resolved", approval: `apr_${call}`, call, decision, by: { type: "user" }, edited_args: null,
  comment: null, remember: "call", ...more,
});
const suspendedFor = (...pending) => ({ type: "run.suspended", reason: "x", pending });
test("a call that another agent works on is under way, and says in which run", () => {
  const begun = callsAfter(reduce([started("a", "ask")]), { type: "sub_run.started", call: "a", sub_run: "run_2", agent: "agt_1" });
  assert.equal(begun.get("a").state, "running");
  assert.equal(begun.get("a").sub_run, "run_2");
  const pending = [{ type: "sub_run", call: "a", run: "run_2" }];
  assert.equal(callsAfter(begun, { type: "run.suspended", pending }), begun, "nobody here is waited for");
});

const reduce = (events, calls = new Map()) => events.reduce(callsAfter, calls);
const states = (calls) => [...calls.values()].map((call) => call.state);

test("a call from its first letter to its answer, and two keep their order", () => {
  const seen = [];
  let calls = new Map();
  for (const event of [
    ...written("a", { amount: 60 }), ...written("b", {}), { type: "message.completed" }, { type: "constructor" },
    { type: "tool.progress", call: "b", progress: 1, total: 2, message: "half" },
    { type: "tool.completed", call: "b", output: { ok: 1 }, artifact: null, duration_ms: 1 },
    { type: "tool.failed", call: "a", error: { code: "tool_error", title: "No" }, duration_ms: 1 },
    { type: "tool.completed", call: "nobody knows it", output: 1, artifact: null, duration_ms: 1 },
  ]) {
    const before = new Map(calls);
    const next = callsAfter(calls, event);
    assert.deepEqual(calls, before, "what goes in stays as it is");
    calls = next;
    if (seen.at(-1) !== states(calls).join()) seen.push(states(calls).join());
  }
  assert.deepEqual(seen, [
    "writing", "called", "called,writing", "called,called", "called,running", "called,completed", "failed,completed",
  ]);
  assert.deepEqual([...calls.keys()], ["a", "b"]);
  const { run, message, name, written: text, args, error } = calls.get("a");
  assert.deepEqual([run, message, name, text, args], [RUN, "msg_1", "refund", '{"amount":60}', { amount: 60 }]);
  assert.equal(error.code, "tool_error");
  assert.deepEqual(calls.get("b").output, { ok: 1 });
  const more = callsAfter(calls, { type: "tool.denied", call: "a", by: null, comment: null });
  assert.equal(more.get("b"), calls.get("b"), "what an event says nothing of is the same object");
});

test("a reset makes calls void, and no others", () => {
  const calls = reduce([...written("a", {}), started("b"), { type: "step.reset", messages: ["msg_1"], calls: ["b"] }]);
  assert.deepEqual([...calls.keys()], ["a"]);
  assert.deepEqual(reduce([{ type: "tool.args", call: "b", args: {} }], calls), calls, "void is void");
});

test("approved with other arguments: the last ones count, and it is remembered what was asked", () => {
  const asked = reduce([
    ...written("a", { amount: 60 }), requested("a", { amount: 60 }),
    suspendedFor({ type: "approval", approval: "apr_a", call: "a", budget: null }), { type: "run.resumed" },
  ]);
  assert.deepEqual(states(asked), ["asked"]);
  assert.deepEqual([asked.get("a").approvals.length, asked.get("a").approvals[0].decision], [1, null]);
  const decided = reduce([
    resolved("a", "approved", { edited_args: { amount: 40 } }), { type: "tool.args", call: "a", args: { amount: 40 } },
  ], asked);
  assert.deepEqual(states(decided), ["called"]);
  const { args, approvals: [approval] } = decided.get("a");
  assert.deepEqual([args, approval.args, approval.decision], [{ amount: 40 }, { amount: 60 }, "approved"]);
  const input = reduce([suspendedFor({ type: "input", approval: null, call: "a", budget: null })], decided);
  assert.deepEqual(states(input), ["input"]);
  const after = (event) => states(callsAfter(input, event));
  assert.deepEqual(after({ type: "tool.completed", call: "a", output: 1, artifact: null }), ["completed"]);
  assert.deepEqual(after(suspendedFor({ type: "budget", approval: null, call: null, budget: "x" })), ["input"]);
});

test("denied, cancelled and expired are told", () => {
  for (const decision of ["denied", "cancelled", "expired"]) {
    const calls = reduce([...written("a", {}), requested("a", {}), resolved("a", decision, { comment: "no" })]);
    const [approval] = calls.get("a").approvals;
    assert.deepEqual([states(calls)[0], approval.decision, approval.comment], ["called", decision, "no"]);
    assert.equal(approval.message, "May it?");
  }
});

test("a call of unknown outcome is asked about once more", () => {
  const again = { ...requested("a", {}), approval: "apr_2", kind: "unknown_outcome" };
  const calls = reduce([...written("a", {}), requested("a", {}), resolved("a", "approved"), again]);
  const told = calls.get("a").approvals.map((it) => [it.kind, it.decision]);
  assert.deepEqual(told, [["tool", "approved"], ["unknown_outcome", null]]);
  assert.deepEqual(states(calls), ["asked"]);
});

test("a snapshot and approvals tell the same as the events", () => {
  const call = (name, args) => ({ type: "tool_call", call: name, name: "refund", args });
  const none = { output: null, error: null, artifact: null, comment: null };
  const result = (call, status, more) => ({ type: "tool_result", call, name: "refund", status, ...none, ...more });
  const message = (id, role, status, content) => ({ id, run: RUN, role, status, content });
  const calls = callsOf([
    message("msg_0", "user", "completed", [{ type: "text", text: "x" }]),
    message("msg_1", "assistant", "completed", [
      { type: "text", text: "y" }, call("a", { n: 1 }), call("b", {}), call("c", {}), call("d", {}), call("e", {}),
    ]),
    message("msg_2", "tool", "completed", [
      result("a", "completed", { output: [1] }), result("b", "failed", { error: { code: "tool_error" } }),
      result("c", "denied", { comment: "no" }),
    ]),
    message("msg_3", "assistant", "in_progress", [call("f", null)]),
  ], [{ type: "approval", approval: "apr_d", call: "d" }, { type: "input", approval: null, call: "e" }]);
  assert.deepEqual(states(calls), ["completed", "failed", "denied", "asked", "input", "writing"]);
  const { args, output, message: of, run } = calls.get("a");
  assert.deepEqual([args, output, of, run], [{ n: 1 }, [1], "msg_1", RUN]);
  assert.deepEqual([calls.get("c").comment, calls.get("c").by], ["no", undefined], "by whom is not told");
  // The approvals come by themselves; late ones do not undo what the stream has told since.
  const api = (call, status) => ({ ...requested(call, {}), id: `apr_${call}`, status, by: null, comment: "c" });
  const pending = reduce(eventsOf(api("d", "pending")), calls);
  assert.deepEqual([pending.get("d").state, pending.get("d").approvals[0].message], ["asked", "May it?"]);
  const late = reduce([resolved("d", "denied"), ...eventsOf(api("d", "pending"))], calls);
  assert.deepEqual([late.get("d").state, late.get("d").approvals[0].decision], ["called", "denied"]);
  const old = reduce(eventsOf(api("a", "approved")), calls).get("a");
  assert.deepEqual([old.state, old.approvals[0].decision, old.approvals[0].comment], ["completed", "approved", "c"]);
});

test("a decision says what was changed, and nothing that was not", () => {
  const asked = requested("a", { order: "7", deep: { a: 1, b: [1, { x: 1, y: 2 }] } });
  const args = '{"deep":{"b":[1,{"y":2,"x":1}],"a":1.0},"order":"7"}';
  assert.deepEqual(decisionOf(asked, "approved", { args }), { decision: "approved", remember: "call" }, "other order");
  assert.deepEqual(decisionOf(asked, "approved", { args, thread: true }), { decision: "approved", remember: "thread" });
  assert.deepEqual(decisionOf(asked, "approved", { args: '{"order":"8"}', comment: " ok " }), {
    decision: "approved", remember: "call", comment: "ok", edited_args: { order: "8" },
  });
  assert.deepEqual(decisionOf(asked, "approved"), { decision: "approved", remember: "call" }, "arguments not shown");
  const wrong = ["{", "", "[]", "null", "7", '"x"'].map((args) => ({ args })).concat({ args: "{}", thread: true });
  for (const fields of wrong) assert.throws(() => decisionOf(asked, "approved", fields), SyntaxError, fields.args);
  for (const decision of ["denied", "cancelled"]) {
    assert.deepEqual(decisionOf(asked, decision, { args: "{", thread: true }), { decision, remember: "call" });
  }
  const unknown = { ...asked, kind: "unknown_outcome" };
  assert.deepEqual(decisionOf(unknown, "denied", { output: "[1]" }), {
    decision: "denied", remember: "call", output: [1],
  });
  assert.deepEqual(decisionOf(unknown, "approved", { args: "{}", thread: true, output: "1" }), {
    decision: "approved", remember: "call",
  });
});

test("an answer is JSON or a string, and what is shown is what is there", () => {
  assert.deepEqual(['{"a":[1]}', "null", '"x"', "7", "x", "{"].map(answerOf), [{ a: [1] }, null, "x", 7, "x", "{"]);
  const sly = { "\u202egpj": "a\u200bb", "ok": "ä🦀" };
  assert.deepEqual(JSON.parse(pretty(sly)), sly);
  assert.ok(pretty(sly).includes("\\u202egpj") && pretty(sly).includes("a\\u200bb") && pretty(sly).includes("ä🦀"));
  // Where the runtime can: the node of the CI may be too old for it.
  if (JSON.rawJSON) {
    const long = '{"order":12345678901234567890}';
    assert.equal(JSON.stringify(parseJson(long)), long);
    const asked = requested("a", parseJson(long));
    assert.equal(decisionOf(asked, "approved", { args: long }).edited_args, undefined);
    assert.ok(decisionOf(asked, "approved", { args: long.replace("890", "891") }).edited_args);
  }
});
