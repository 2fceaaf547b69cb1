/** An agent's configuration as a text that can be edited, and the change that an edited text asks for. */
import type { Agent } from "headwater";

/** What is not configuration: it names the agent, or is kept by the server. */
const KEPT = new Set([
  "id",
  "object",
  "name",
  "version",
  "active_version",
  "archived_at",
  "created_at",
  "updated_at",
]);

/** The configuration, in the API's order. */
export function configOf(agent: Agent): Record<string, unknown> {
  return Object.fromEntries(Object.entries(agent).filter(([key]) => !KEPT.has(key)));
}

/** What differs, as a merge patch: a field that is gone is cleared. */
export function patchOf(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(after)) {
    if (JSON.stringify(value) !== JSON.stringify(before[key])) patch[key] = value;
  }
  for (const key of Object.keys(before)) if (!(key in after)) patch[key] = null;
  return patch;
}

/** The configuration as a text to compare line by line: words of several lines are shown as several. */
export function comparable(agent: Agent): string {
  return JSON.stringify(configOf(agent), null, 2)
    .split("\n")
    .map((line) => {
      const indent = `${/^ */.exec(line)?.[0] ?? ""}  `;
      return line.replace(/(?<!\\)((?:\\\\)*)\\n/g, `$1\\n\n${indent}`);
    })
    .join("\n");
}
