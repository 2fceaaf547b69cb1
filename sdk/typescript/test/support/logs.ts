/** The recorded logs of test/logs (`node scripts/record-logs.mjs`). */
import { readFileSync } from "node:fs";
import { EventItem, type RunSnapshot, type StreamItem } from "../../src/index.js";

export const scenarios = ["text", "tools", "input", "approval", "denied", "failure", "cancel"] as const;

function read(name: string): string {
  return readFileSync(new URL(`../logs/${name}`, import.meta.url), "utf8");
}

/** A log as items of a stream, as its `user` or the tenant's `key` sees it. */
export function itemsOf(scenario: string, who: "user" | "key"): StreamItem[] {
  return read(`${scenario}.${who}.jsonl`)
    .trimEnd()
    .split("\n")
    .map((raw) => {
      const { seq, type } = JSON.parse(raw) as { seq: number; type: string };
      return type === "hidden" ? { type, seq, raw } : new EventItem(seq, type, raw);
    });
}

/** The snapshots at a run's suspensions and its end, as its user sees them. */
export function snapshotsOf(scenario: string): RunSnapshot[] {
  return JSON.parse(read(`${scenario}.snapshots.json`)) as RunSnapshot[];
}
