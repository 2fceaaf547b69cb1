// @vitest-environment happy-dom
/** Streams where `fetch` has no readable body, as in React Native: through `XMLHttpRequest`. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Headwater } from "../src/index.js";

/** React Native's XMLHttpRequest, as far as it is used, played by the test. */
class FakeXhr {
  static made: FakeXhr[] = [];
  readyState = 0;
  status = 0;
  responseText = "";
  responseType = "";
  aborted = false;
  asked: Record<string, string> = {};
  onreadystatechange: (() => void) | null = null;
  onprogress: (() => void) | null = null;
  onerror: (() => void) | null = null;
  ontimeout: (() => void) | null = null;
  url = "";
  constructor() {
    FakeXhr.made.push(this);
  }
  open(method: string, url: string) {
    this.url = `${method} ${url}`;
  }
  setRequestHeader(name: string, value: string) {
    this.asked[name] = value;
  }
  getResponseHeader(name: string) {
    return { "content-type": "text/event-stream", "request-id": "req_test" }[name] ?? null;
  }
  send() {}
  abort() {
    this.aborted = true;
  }
  head(status = 200) {
    this.status = status;
    this.readyState = 2;
    this.onreadystatechange?.();
  }
  say(text: string) {
    this.readyState = 3;
    this.responseText += text;
    this.onprogress?.();
  }
  end() {
    this.readyState = 4;
    this.onreadystatechange?.();
  }
}

/** React Native's: without reasons. */
class OldAbortController {
  readonly signal = Object.assign(new EventTarget(), { aborted: false });
  abort() {
    if (this.signal.aborted) return;
    this.signal.aborted = true;
    this.signal.dispatchEvent(new Event("abort"));
  }
}

const event = (seq: number, type: string) => `id: ${seq}\nevent: ${type}\ndata: {"run":"run_a","n":"ü"}\n\n`;

beforeEach(() => {
  FakeXhr.made = [];
  vi.stubGlobal("XMLHttpRequest", FakeXhr);
  vi.stubGlobal("navigator", { product: "ReactNative" });
  vi.stubGlobal("TextDecoder", undefined);
  vi.stubGlobal("AbortController", OldAbortController);
  vi.stubGlobal("DOMException", undefined);
});
afterEach(() => vi.unstubAllGlobals());

function client() {
  return new Headwater({ baseUrl: "http://native.test", apiKey: "hw_sk_test", retry: { baseMs: 0 } });
}

async function connection(number: number): Promise<FakeXhr> {
  return vi.waitFor(() => {
    const xhr = FakeXhr.made[number - 1];
    if (xhr === undefined) throw new Error("not yet");
    return xhr;
  });
}

test("events come as the text grows, over cuts and errors", async () => {
  const stream = client().runs.stream("run_a", { retryMs: 0 });
  const items = stream[Symbol.asyncIterator]();
  const first = items.next();
  const one = await connection(1);
  one.head();
  one.say(event(1, "run.queued").slice(0, 20));
  one.say(event(1, "run.queued").slice(20));
  expect((await first).value).toMatchObject({ seq: 1, kind: "run.queued" });
  const second = items.next();
  one.say(event(2, "message.delta").slice(0, 9));
  one.end();
  const two = await connection(2);
  expect(two.asked).toMatchObject({ "last-event-id": "1", authorization: "Bearer hw_sk_test" });
  two.head();
  two.onerror?.();
  const three = await connection(3);
  three.head();
  three.say(event(2, "message.delta") + event(3, "run.completed"));
  expect((await second).value).toMatchObject({ seq: 2, raw: '{"run":"run_a","n":"ü"}' });
  expect((await items.next()).value).toMatchObject({ seq: 3 });
  expect(await items.next()).toEqual({ done: true, value: undefined });
  expect(three.aborted).toBe(true);
});

test("a refusal is read whole", async () => {
  const items = client().runs.stream("run_a")[Symbol.asyncIterator]();
  const first = items.next();
  const xhr = await connection(1);
  xhr.head(404);
  xhr.say('{"code":"not_found","title":"No"}');
  xhr.end();
  await expect(first).rejects.toMatchObject({ kind: "api", status: 404, code: "not_found" });
});

test("closing ends the request", async () => {
  const stream = client().runs.stream("run_a");
  const first = stream[Symbol.asyncIterator]().next();
  const xhr = await connection(1);
  stream.close();
  expect(await first).toEqual({ done: true, value: undefined });
  expect(xhr.aborted).toBe(true);
});

test("a signal ends the request", async () => {
  const stop = new AbortController();
  const first = client().runs.stream("run_a", { signal: stop.signal })[Symbol.asyncIterator]().next();
  const xhr = await connection(1);
  xhr.head();
  stop.abort();
  await expect(first).rejects.toMatchObject({ name: "AbortError" });
  expect(xhr.aborted).toBe(true);
});
