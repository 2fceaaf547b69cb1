/** The scripts that every SDK of Headwater lives through: see ../../faults. */
import { describe, expect, test } from "vitest";
import { ApiError, Headwater, HeadwaterError, type RunStream } from "../src/index.js";

interface Play {
  id: string;
  call: {
    do: "stream" | "create_stream" | "get" | "create";
    readers?: number;
    after?: number | "now";
    credential?: "key" | "tokens" | "one_token";
    attempts?: number | null;
    retry_ms?: number | null;
    idle_ms?: number | null;
  };
  expect: {
    run: string;
    items: Record<string, unknown>[];
    error: unknown;
    tokens: number | null;
    cursor: number | null;
    ignore?: string[];
  };
}

interface Outcome {
  items: Record<string, unknown>[];
  error: unknown;
  cursor: unknown;
}

const faults = process.env.HEADWATER_FAULTS_URL as string;
const params = { agent: "assistant", input: "hi" };

async function ask<T>(path: string, body?: unknown): Promise<T> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(faults + path, init);
  return (await response.json()) as T;
}

const { plays } = await ask<{ plays: Play[] }>("/scripts");

describe("every script is lived through", () => {
  test("there are scripts", () => expect(plays.length).toBeGreaterThan(100));

  test.each(plays.map((play) => [play.id, play] as const))("%s", async (id, play) => {
    const begun = await ask<{ play: string; base_url: string }>("/plays", { id });
    let tokens = 0;
    const client = new Headwater({
      baseUrl: begun.base_url,
      retry: { baseMs: 0 },
      ...credential(play.call.credential ?? "key", () => `t${tokens++}`),
    });
    const readers = Array.from({ length: play.call.readers ?? 1 }, () => act(client, play));
    for (const outcome of await Promise.all(readers)) {
      const items = outcome.items.filter((item) => !play.expect.ignore?.some((kind) => kind in item));
      expect(items).toEqual(play.expect.items);
      expect(outcome.error).toEqual(play.expect.error ?? null);
      if (play.call.do.endsWith("stream") && play.expect.cursor !== null) {
        expect(outcome.cursor).toEqual(play.expect.cursor);
      }
    }
    if (play.expect.tokens !== null) expect(tokens).toBe(play.expect.tokens);
    const { complaints } = await ask<{ complaints: string[] }>(`/plays/${begun.play}`);
    expect(complaints).toEqual([]);
  });
});

function credential(kind: "key" | "tokens" | "one_token", next: () => string) {
  if (kind === "key") return { apiKey: "hw_sk_test" };
  return kind === "one_token" ? { token: "t0" } : { token: async () => next() };
}

async function act(client: Headwater, { call, expect }: Play): Promise<Outcome> {
  const tuning = {
    attempts: call.attempts ?? undefined,
    retryMs: call.retry_ms ?? 0,
    idleMs: call.idle_ms ?? undefined,
  };
  switch (call.do) {
    case "stream":
      return read(client.runs.stream(expect.run, { ...tuning, after: call.after ?? 0 }));
    case "create_stream":
      return read(client.runs.createAndStream(params, tuning));
    case "get":
      return called(client.runs.get(expect.run));
    case "create":
      return called(client.runs.create(params));
  }
}

async function read(stream: RunStream): Promise<Outcome> {
  const items: Record<string, unknown>[] = [];
  let error: unknown = null;
  try {
    for await (const item of stream) {
      if (item.type === "event") items.push({ event: item.raw });
      else if (item.type === "hidden") items.push({ hidden: item.raw });
      else if (item.type === "caught_up") items.push({ caught_up: item.tail });
      else items.push({ reset: { reason: item.reason, as_of_seq: item.as_of_seq } });
    }
  } catch (failed) {
    error = told(failed);
  }
  return { items, error, cursor: stream.cursor };
}

async function called(call: Promise<unknown>): Promise<Outcome> {
  const error = await call.then(
    () => null,
    (failed: unknown) => told(failed),
  );
  return { items: [], error, cursor: null };
}

function told(error: unknown) {
  if (!(error instanceof HeadwaterError)) throw error;
  return { kind: error.kind, code: error instanceof ApiError ? error.code : null };
}
