/**
 * Things to look at: agents with tools that ask, other users, budgets, an endpoint. Made once; made again they are the same.
 */
import { api, SERVER, TENANT_KEY } from "./harness.ts";

/** A tool that stands for something with consequences: in truth it asks this very server who is calling. */
const REFUND = {
  type: "http" as const,
  name: "refund",
  description: "Refunds an order",
  parameters: {
    type: "object",
    properties: { order: { type: "string" }, amount: { type: "number" } },
    required: ["order", "amount"],
  },
  policy: "auto" as const,
  policy_rules: [{ when: [{ path: "/amount", op: "gt" as const, value: 50 }], then: "ask" as const }],
  effect: "read" as const,
  request: {
    method: "GET" as const,
    url: `${SERVER}/v1/me`,
    headers: { authorization: "Bearer {{secret.SELF}}" },
  },
};

/** Agents that tests and pictures use. */
export async function seed(): Promise<void> {
  // What earlier tests left waiting would fill the inbox.
  for await (const run of api.asTenant().runs.list({ status: "suspended", limit: 100 })) {
    await api.asTenant().runs.cancel(run.id, { reason: "left by a test" });
  }
  await api.secrets.put("SELF", { value: TENANT_KEY, hosts: ["127.0.0.1"] });
  await api.agents.put("support", {
    model: "scripted/tools",
    description: "Refunds orders, and asks above 50",
    instructions: "You help the shop's customers. Refund what they ask for.",
    tools: [REFUND],
  });
  await api.agents.put("picker", {
    model: "scripted/tools",
    description: "Has the user pick a file",
    tools: [{ type: "client", name: "pick_file", description: "Lets the user pick a file." }],
  });
  await api.agents.put("poet", {
    model: "scripted/echo",
    description: "Answers in rhymes",
    instructions: "Answer in rhymes.",
  });
  for (const user of ["bob", "carol"])
    await api.asUser(user).runs.create({ agent: "poet", input: `From ${user}` });
}

/** A run that waits for a decision. */
export async function askedRun(order = "7", amount = 60): Promise<{ run: string; approval: string }> {
  const run = await api.runs.create(
    { agent: "support", input: JSON.stringify({ order, amount }) },
    { waitMs: 20_000 },
  );
  const page = await api.approvals.list({ run: run.id, status: "pending" }).page();
  const approval = page.data[0];
  if (approval === undefined) throw new Error(`run ${run.id} asks nobody: it is ${run.status}`);
  return { run: run.id, approval: approval.id };
}

/** A run in which an agent calls another one, after somebody said so: more lanes than one. */
export async function deskRun(): Promise<string> {
  await api.agents.put("researcher", { model: "scripted/tokens-64x50", description: "Reads for others" });
  await api.agents.put("desk", {
    model: "scripted/tools",
    description: "Has a researcher look things up",
    tools: [
      {
        type: "agent",
        name: "research",
        agent: "researcher",
        description: "Looks something up",
        policy: "ask",
      },
    ],
  });
  const run = await api.runs.create(
    { agent: "desk", input: '{"input":"What do rivers carry?"}' },
    { waitMs: 20_000 },
  );
  const page = await api.approvals.list({ run: run.id, status: "pending" }).page();
  const approval = page.data[0];
  if (approval === undefined) throw new Error(`run ${run.id} asks nobody: it is ${run.status}`);
  await api.approvals.decide(run.id, approval.id, { decision: "approved", comment: "go ahead" });
  await api.runs.get(run.id, { waitMs: 20_000 });
  return run.id;
}
