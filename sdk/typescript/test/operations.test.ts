/** Every operation of docs/openapi.json has its method, and the method sends what the document says. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Fake, json } from "./support/fake.js";

interface Operation {
  operationId: string;
  requestBody?: unknown;
}

const document = JSON.parse(readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8")) as {
  paths: Record<string, Record<string, Operation>>;
};

/** Protocols of other people, for other people's clients. */
const foreign = JSON.parse(
  readFileSync(new URL("../scripts/foreign.json", import.meta.url), "utf8"),
) as string[];

const operations = Object.entries(document.paths)
  .filter(([path]) => !foreign.some((prefix) => path.startsWith(prefix)))
  .flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.operationId !== undefined)
      .map(([method, operation]) => ({ method: method.toUpperCase(), path, ...operation })),
  );

function camel(words: string[]): string {
  return words.map((word, at) => (at === 0 ? word : word[0]?.toUpperCase() + word.slice(1))).join("");
}

/** `webhook_endpoints_rotate_secret` is `webhookEndpoints.rotateSecret`: the longest names that are there. */
function methodOf(owner: object, words: string[]): ((...args: unknown[]) => unknown) | undefined {
  for (let length = words.length; length > 0; length--) {
    const found = (owner as Record<string, unknown>)[camel(words.slice(0, length))];
    if (length === words.length && typeof found === "function") return found.bind(owner) as () => unknown;
    if (length < words.length && typeof found === "object" && found !== null) {
      return methodOf(found, words.slice(length));
    }
  }
  return undefined;
}

test("the document has operations", () => expect(operations.length).toBeGreaterThan(70));

test.each(operations.map((operation) => [operation.operationId, operation] as const))(
  "%s",
  async (id, operation) => {
    const fake = new Fake();
    fake.fetch = async (input, init) => {
      fake.record(input, init);
      return json({ data: [], has_more: false, next_cursor: null });
    };
    const method = methodOf(fake.client({ user: "alice" }), id.split("_"));
    expect(method, `no method for ${id}`).toBeDefined();
    const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => `a ${name}/x`);
    const body = operation.requestBody === undefined ? [] : [{ any: "thing" }];
    const called = method?.(...names, ...(id === "artifacts_create" ? ["words"] : body));
    await (called !== null && typeof called === "object" && "page" in called
      ? (called as { page(): Promise<unknown> }).page()
      : called);
    let at = 0;
    const path = operation.path.replace(/\{\w+\}/g, () => encodeURIComponent(names[at++] as string));
    const [request] = fake.requests;
    expect({ method: request?.method, path: request?.path }).toEqual({ method: operation.method, path });
    expect(request?.headers["idempotency-key"] !== undefined).toBe(operation.method === "POST");
    if (id !== "artifacts_create" && body.length > 0) expect(request?.body).toEqual(body[0]);
  },
);
