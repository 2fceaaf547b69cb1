/** Words for waits and events. */
import { describe, expect, it } from "vitest";
import type { RunExplanation } from "headwater";
import { why } from "../src/run/explain.ts";
import { family, summary } from "../src/run/summary.ts";
import { event, longRun } from "./events.ts";

const NOW = Date.parse("2026-11-21T02:30:10.000Z");

function explained(waiting: Partial<NonNullable<RunExplanation["waiting"]>> | null): RunExplanation {
  return {
    waiting: waiting === null ? null : { reason: "", since: "2026-11-21T02:30:00.000Z", ...waiting },
  } as unknown as RunExplanation;
}

describe("why a run waits", () => {
  it("is said with how long, and what to look at", () => {
    expect(why(explained({ reason: "approval", blocked_by: "apr_1" }), NOW)).toMatchObject({
      title: "Waiting for 10.0 s for a person to decide",
      link: { kind: "approval", id: "apr_1" },
    });
    expect(why(explained({ reason: "budget", blocked_by: "bud_1" }), NOW)?.link).toEqual({
      kind: "budget",
      id: "bud_1",
    });
    expect(why(explained({ reason: "thread_busy", blocked_by: "run_1" }), NOW)?.link).toEqual({
      kind: "run",
      id: "run_1",
    });
  });

  it("is said with the place in the queue and a guess, where the server knows them", () => {
    const words = why(explained({ reason: "concurrency", queue_pos: 3, predicted_ms: 1200 }), NOW);
    expect(words?.advice).toContain("number 3 in the queue");
    expect(words?.advice).toContain("about 1.20 s");
    expect(why(explained({ reason: "provider" }), NOW)?.advice).not.toContain("number");
  });

  it("is said of reasons that are not known yet, and not of a run that waits for nothing", () => {
    expect(why(explained({ reason: "weather" }), NOW)?.title).toContain("weather");
    expect(why(explained(null), NOW)).toBeNull();
  });
});

describe("an event in a line", () => {
  it("is there for every event of a run", () => {
    for (const item of longRun(2)) {
      if (item.type !== "event") throw new Error("a long run has events only");
      expect(summary(item.event), item.kind).not.toMatch(/undefined|null|NaN|\[object/);
    }
  });

  it("keeps a type that is not known yet", () => {
    expect(summary(event(1, 0, "later.thing", { x: 1 }).event)).toBe("later.thing");
    expect(
      ["message.delta", "sub_run.started", "step.reset", "budget.warning", "throttled"].map(family),
    ).toEqual(["text", "tool", "run", "cost", "wait"]);
  });
});
