/** Signatures of webhooks, made here by other means. */
import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Fake } from "./support/fake.js";

const secret = `whsec_${Buffer.from("a secret for tests only").toString("base64")}`;
const other = `whsec_${Buffer.from("another secret for tests").toString("base64")}`;
const now = 1_800_000_000_000;
const body = JSON.stringify({ id: "evt_a", object: "event", type: "run.completed", data: { words: "ü" } });
const { webhooks } = new Fake().client();

function sign(key: string, payload = body, timestamp = now / 1000): string {
  const signed = `evt_a.${timestamp}.${payload}`;
  return (
    "v1," +
    createHmac("sha256", Buffer.from(key.slice(6), "base64"))
      .update(signed)
      .digest("base64")
  );
}

function headers(signature: string, timestamp: number | string = now / 1000) {
  return { "webhook-id": "evt_a", "webhook-timestamp": String(timestamp), "webhook-signature": signature };
}

test("the standard's own example holds", async () => {
  const payload = '{"test": 2432232314}';
  const example = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  };
  const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const at = { now: 1_614_265_330_000 };
  expect(await webhooks.verify(payload, example, key, at)).toEqual({ test: 2432232314 });
});

describe("what is signed is read", () => {
  test.each([
    ["as text", body, headers(sign(secret))],
    ["as bytes", new TextEncoder().encode(body), new Headers(headers(sign(secret)))],
    [
      "with names in capitals",
      body,
      { "Webhook-Id": "evt_a", "WEBHOOK-TIMESTAMP": `${now / 1000}`, "Webhook-Signature": sign(secret) },
    ],
    ["beside other signatures", body, headers(`v1a,zz v1,!! ${sign(other)} ${sign(secret)}`)],
    ["just in time", body, headers(sign(secret, body, now / 1000 - 300), now / 1000 - 300)],
  ])("%s", async (_, payload, head) => {
    expect(await webhooks.verify(payload, head, secret, { now })).toMatchObject({ data: { words: "ü" } });
  });

  test("with one of two secrets", async () => {
    expect(await webhooks.verify(body, headers(sign(other)), [secret, other], { now })).toMatchObject({
      id: "evt_a",
    });
  });
});

describe("all else is refused", () => {
  test.each([
    ["another body", body + " ", headers(sign(secret))],
    ["another secret's signature", body, headers(sign(other))],
    ["another version's", body, headers(sign(secret).replace("v1,", "v2,"))],
    ["half a signature", body, headers(sign(secret).slice(0, 20))],
    ["an old one", body, headers(sign(secret, body, now / 1000 - 301), now / 1000 - 301)],
    ["one of the future", body, headers(sign(secret, body, now / 1000 + 301), now / 1000 + 301)],
    ["a time that is none", body, headers(sign(secret), "soon")],
    ["no header", body, {}],
    ["no JSON", "x", headers(sign(secret, "x"))],
  ])("%s", async (_, payload, head) => {
    await expect(webhooks.verify(payload, head, secret, { now })).rejects.toMatchObject({ kind: "webhook" });
  });

  test("a secret that is none", async () => {
    await expect(webhooks.verify(body, headers(sign(secret)), "whsec_", { now })).rejects.toMatchObject({
      kind: "webhook",
    });
  });
});
