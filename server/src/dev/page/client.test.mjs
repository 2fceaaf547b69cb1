// Tests of client.js without a browser: `node --test`. Run by the unit test of page.rs where there is a node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Api, Cursor, RunStream, SseParser } from "./client.js";

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
