/** Names of agents and users, which other objects know by id. Loaded once, and again when an unknown id turns up after a while. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Agent, User } from "headwater";
import { session, type Session } from "../session.ts";
import { shortId } from "../lib/text.ts";

interface Known {
  of: Session | null;
  agents: Agent[];
  users: User[];
}

const known = signal<Known>({ of: null, agents: [], users: [] });
let asked = 0;

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
  if (session.peek() === of) known.value = { of, agents: agents?.data ?? [], users: users?.data ?? [] };
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
  const current = names.of === held ? names : { agents: [], users: [] };
  return {
    agents: current.agents,
    users: current.users,
    agent: (id) => (id ? (current.agents.find((one) => one.id === id)?.name ?? shortId(id)) : "–"),
    user: (id) => {
      if (!id) return "–";
      const user = current.users.find((one) => one.id === id);
      return user?.external_id ?? user?.name ?? shortId(id);
    },
  };
}

/** Forgets the names: something was made or renamed. */
export function forgetNames(): void {
  asked = 0;
  const held = session.peek();
  if (held !== null) void ask(held);
}
