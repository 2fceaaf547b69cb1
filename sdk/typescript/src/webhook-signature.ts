/**
 * Verifies that a webhook is Headwater's: Standard Webhooks, HMAC-SHA256.
 *
 * Promises to compare in constant time, and to refuse what is older or newer than the tolerance, so that nothing can be replayed later.
 */
import { WebhookVerificationError } from "./errors.js";
import type { Approval, Budget, Run, Schema } from "./types.js";

/** What a webhook tells. Later releases have more types. */
export interface WebhookEvent {
  /** The same for every delivery of the event: tell repeated ones apart by it. */
  id: string;
  object: "event";
  type: Schema<"WebhookEventType"> | "webhook.test" | (string & {});
  tenant: string;
  created_at: string;
  /** The run, the approval or the budget, as it is when it is sent. */
  data: Run | Approval | Budget | Record<string, unknown>;
}

/** Headers as frameworks have them: `Headers`, or an object by names in any case. */
export type HeadersLike =
  { get(name: string): string | null } | Record<string, string | readonly string[] | undefined>;

/** How a webhook is verified. */
export interface VerifyOptions {
  /** How far its time may be from now, in seconds: 300 unless set. */
  toleranceSeconds?: number;
  /** Now, in milliseconds: for tests. */
  now?: number;
}

/** Reads a webhook, after its signature was checked. */
export class Webhooks {
  /**
   * The event of a webhook. `payload` is the request's body as it came, byte for byte, not parsed and written again. `secret` is the
   * endpoint's (`whsec_…`); while it is being rotated, give both. Rejects with `WebhookVerificationError`.
   */
  async verify(
    payload: string | Uint8Array,
    headers: HeadersLike,
    secret: string | readonly string[],
    options: VerifyOptions = {},
  ): Promise<WebhookEvent> {
    const id = headerOf(headers, "webhook-id");
    const timestamp = headerOf(headers, "webhook-timestamp");
    const signatures = headerOf(headers, "webhook-signature");
    if (!/^\d{1,12}$/.test(timestamp))
      throw new WebhookVerificationError("webhook-timestamp is no number of seconds");
    const age = (options.now ?? Date.now()) / 1000 - Number(timestamp);
    if (Math.abs(age) > (options.toleranceSeconds ?? 300)) {
      throw new WebhookVerificationError(`webhook-timestamp is ${age > 0 ? "too old" : "in the future"}`);
    }
    const body = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    const head = new TextEncoder().encode(`${id}.${timestamp}.`);
    const signed = new Uint8Array(head.length + body.length);
    signed.set(head);
    signed.set(body, head.length);
    const given = signatures
      .split(" ")
      .flatMap((one) => (one.startsWith("v1,") ? [bytesOf(one.slice(3))] : []));
    let good = false;
    for (const one of typeof secret === "string" ? [secret] : secret) {
      const due = await hmac(keyOf(one), signed);
      // No early end: how long it takes tells nothing.
      for (const signature of given) good = same(due, signature) || good;
    }
    if (!good) throw new WebhookVerificationError("no signature of this webhook is right");
    try {
      return JSON.parse(new TextDecoder().decode(body)) as WebhookEvent;
    } catch (cause) {
      throw new WebhookVerificationError("the webhook is signed and no JSON", { cause });
    }
  }
}

function headerOf(headers: HeadersLike, name: string): string {
  let value: string | readonly string[] | null | undefined;
  if (typeof (headers as Headers).get === "function") {
    value = (headers as Headers).get(name);
  } else {
    const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name);
    value = found?.[1] as string | readonly string[] | undefined;
  }
  if (typeof value === "string" && value !== "") return value;
  throw new WebhookVerificationError(`the header ${name} is missing`);
}

function keyOf(secret: string): Uint8Array<ArrayBuffer> {
  const key = bytesOf(secret.startsWith("whsec_") ? secret.slice(6) : secret);
  if (key === null || key.length === 0)
    throw new WebhookVerificationError("the secret is not whsec_ and base64");
  return key;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}

async function hmac(key: Uint8Array<ArrayBuffer>, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const { subtle } = globalThis.crypto;
  const imported = await subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", imported, bytes));
}

function same(due: Uint8Array, given: Uint8Array | null): boolean {
  if (given === null || given.length !== due.length) return false;
  let difference = 0;
  for (let at = 0; at < due.length; at++) difference |= (due[at] as number) ^ (given[at] as number);
  return difference === 0;
}
