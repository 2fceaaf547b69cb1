/** A real server: HEADWATER_URL and HEADWATER_API_KEY, of one in dev mode (its built-in models are what agents use here). */
import { Headwater } from "../../src/index.js";

export const baseUrl = process.env.HEADWATER_URL as string;
export const tenant = new Headwater({ baseUrl, apiKey: process.env.HEADWATER_API_KEY });
/** Nobody else's, so that what is listed is this run's of the tests. */
export const user = `sdk-${crypto.randomUUID()}`;
export const alice = tenant.asUser(user);

const pick = {
  type: "client",
  name: "pick_file",
  description: "Lets the user pick a file.",
  parameters: { type: "object" },
} as const;

/** Makes the agents that the tests ask: `sdk-echo`, `sdk-picker`, `sdk-careful`, `sdk-slow`. */
export async function agents(): Promise<void> {
  await tenant.agents.put("sdk-echo", { model: "scripted/echo" });
  await tenant.agents.put("sdk-slow", { model: "scripted/tokens-600x20" });
  await tenant.agents.put("sdk-picker", { model: "scripted/tools", tools: [pick] });
  await tenant.agents.put("sdk-careful", { model: "scripted/tools", tools: [{ ...pick, policy: "ask" }] });
}

/** A client with tokens, as a page has it. */
export function page(): Headwater {
  return new Headwater({
    baseUrl,
    token: async () => (await tenant.userTokens.create({ user, ttl_ms: 60_000 })).token,
  });
}
