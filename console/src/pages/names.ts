/**
 * Names of agents and users, which other objects know by id. The first hundred of each are loaded at once, and again after a while; any other
 * when it is to be shown.
 */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Agent, User } from "headwater";
import { session, type Session } from "../session.ts";
import { shortId } from "../lib/text.ts";

interface Known {
  of: Session | null;
  agents: Agent[];
  users: User[];
  /** Of those that are not among them: by id, `null` where nothing was found. */
  others: ReadonlyMap<string, string | null>;
}

const NOTHING: Known = { of: null, agents: [], users: [], others: new Map() };
const known = signal<Known>(NOTHING);
let asked = 0;

/** So many are looked up at once, and so many in all: names are a convenience. */
const AT_ONCE = 8;
const MOST = 200;

/** Ids that are to be looked up, and for whom. */
let wanted: { of: Session | null; ids: Set<string> } = { of: null, ids: new Set() };
let looking = false;

async function nameOf(of: Session, id: string): Promise<string | null> {
  const found = id.startsWith("agt_")
    ? of.client.agents.get(id).then((agent) => agent.name)
    : of.client.users.get(id).then((user) => user.external_id ?? user.name ?? null);
  return found.catch(() => null);
}

async function look(): Promise<void> {
  looking = true;
  while (wanted.ids.size > 0) {
    const { of, ids } = wanted;
    if (of === null || session.peek() !== of) break;
    const some = [...ids].slice(0, AT_ONCE);
    const found = await Promise.all(some.map(async (id) => [id, await nameOf(of, id)] as const));
    for (const id of some) ids.delete(id);
    const names = known.peek();
    if (names.of === of) known.value = { ...names, others: new Map([...names.others, ...found]) };
  }
  looking = false;
}

/** What is known of an id beyond the first hundred; what is not is asked for. */
function other(names: Known, id: string): string {
  const name = names.others.get(id);
  // Whoever comes with a user's token is told of nobody else.
  if (name === undefined && names.of?.door === "tenant" && /^(agt|usr)_/.test(id)) {
    if (wanted.of !== names.of) wanted = { of: names.of, ids: new Set() };
    if (names.others.size + wanted.ids.size < MOST) wanted.ids.add(id);
    if (!looking) void look();
  }
  return name ?? shortId(id);
}

/** Names to show. */
export interface Names {
  agents: readonly Agent[];
  users: readonly User[];
  /** An agent's name, or its id where that is unknown. */
  agent: (id: string | null | undefined) => string;
  /** A user's external id. */
  user: (id: string | null | undefined) => string;
}

async function ask(of: Session): Promise<void> {
  asked = Date.now();
  // Without a tenant's key there are no users to list, and names are a convenience: what fails is left out.
  const [agents, users] = await Promise.all([
    of.client.agents.list({ limit: 100 }).page(),
    of.door === "tenant" ? of.client.users.list({ limit: 100 }).page() : null,
  ]).catch(() => [null, null] as const);
  if (session.peek() === of) {
    // What was not found then may be by now.
    const others = new Map(known.peek().of === of ? known.peek().others : []);
    for (const [id, name] of others) if (name === null) others.delete(id);
    known.value = { of, agents: agents?.data ?? [], users: users?.data ?? [], others };
  }
}

/** The names, loaded when they are first needed. */
export function useNames(): Names {
  const held = session.value;
  const names = known.value;
  useEffect(() => {
    if (
      held !== null &&
      held.door !== "operator" &&
      (known.peek().of !== held || Date.now() - asked > 30_000)
    ) {
      void ask(held);
    }
  }, [held]);
  const current = names.of === held ? names : NOTHING;
  return {
    agents: current.agents,
    users: current.users,
    agent: (id) => (id ? (current.agents.find((one) => one.id === id)?.name ?? other(current, id)) : "–"),
    user: (id) => {
      if (!id) return "–";
      const user = current.users.find((one) => one.id === id);
      return user?.external_id ?? user?.name ?? other(current, id);
    },
  };
}

/** Forgets the names: something was made or renamed. */
export function forgetNames(): void {
  asked = 0;
  const held = session.peek();
  if (held !== null) void ask(held);
}
