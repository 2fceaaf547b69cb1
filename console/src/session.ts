/**
 * Who is at the console: which door, with which credential, acting for whom.
 *
 * Owns the credential. Promises that it is in memory, in `sessionStorage` if the person asked for that, and nowhere else: not in local storage,
 * not in a URL, not in an error.
 */
import { computed, signal } from "@preact/signals";
import { Headwater } from "headwater";

/** What a door lets its holder do. */
export type Door = "operator" | "tenant" | "user";

/** One login. */
export interface Session {
  door: Door;
  /** The secret; `null` where tokens are asked for as they are needed. */
  credential: string | null;
  /** What calls are made with. */
  client: Headwater;
}

const STORED = "headwater.key";

/** Who is logged in. */
export const session = signal<Session | null>(null);

/** The user that the tenant's key acts for: an external id or `usr_…`; `""` is the tenant itself. */
export const actingAs = signal("");

/** The client for what is the tenant's whoever is acted for, agents and webhooks: nobody does that as a user. */
export const ownClient = computed<Headwater>(() => {
  const held = session.value;
  if (held === null) throw new Error("nobody is logged in");
  return held.client;
});

/** The client for what the current door does, as the chosen user. */
export const client = computed<Headwater>(() => {
  const held = ownClient.value;
  const asUser = session.value?.door === "tenant" && actingAs.value !== "";
  return asUser ? held.asUser(actingAs.value) : held;
});

/** Whether what is done is done as the tenant itself, and not as one of its users. */
export const isTenant = computed(() => session.value?.door === "tenant" && actingAs.value === "");

/** The door that a key opens, by how it looks; `null` if it is no key of Headwater's. */
export function doorOf(key: string): Door | null {
  if (key.startsWith("hw_op_")) return "operator";
  if (key.startsWith("hw_sk_")) return "tenant";
  return /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(key) ? "user" : null;
}

/** Whether the last session ended because its key is no longer good. */
export const lapsed = signal(false);

function settings() {
  // A console is looked at: an answer that is late is worth less than one that says why.
  return { baseUrl: location.origin, retry: { attempts: 3 } };
}

/** Asks with a key, and ends its session when the server does not know it any more. */
function fetchWith(key: string): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (response.status === 401 && session.peek()?.credential === key) {
      leave();
      lapsed.value = true;
    }
    return response;
  };
}

/** A session with a key. Nothing is asked of the server yet. */
export function sessionOf(key: string, door: Door): Session {
  const credential = door === "user" ? { token: key } : { apiKey: key };
  const client = new Headwater({ ...settings(), ...credential, fetch: fetchWith(key) });
  return { door, credential: key, client };
}

/** A session as the demo user of a server in dev mode, which gives tokens to whoever asks. */
export function devSession(): Session {
  return { door: "user", credential: null, client: new Headwater({ ...settings(), token: devToken }) };
}

/** A token of the demo tenant's user. Rejects where the server is not in dev mode. */
export async function devToken(): Promise<string> {
  const response = await fetch("/dev/token", { method: "POST" });
  if (!response.ok) throw new Error("this server is not in dev mode");
  const body = (await response.json()) as { token: string };
  return body.token;
}

/** Logs in. With `keep` the credential outlives a reload of this tab. */
export function enter(next: Session, keep: boolean): void {
  actingAs.value = "";
  lapsed.value = false;
  session.value = next;
  if (keep && next.credential !== null) sessionStorage.setItem(STORED, next.credential);
}

/** Forgets everything. */
export function leave(): void {
  sessionStorage.removeItem(STORED);
  session.value = null;
  actingAs.value = "";
}

/** Takes up what this tab was asked to keep. */
export function restore(): void {
  const key = sessionStorage.getItem(STORED);
  const door = key === null ? null : doorOf(key);
  if (key !== null && door !== null) session.value = sessionOf(key, door);
}
