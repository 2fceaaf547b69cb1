/** The log: checkpoints, times, what is hidden, what is trimmed. */
import { describe, expect, it } from "vitest";
import { emptyRunView, foldRun, textOf, type RunSnapshot } from "headwater";
import { CHECKPOINT, RunLog } from "../src/run/log.ts";
import { longRun, RUN } from "./events.ts";

function logOf(words: number): RunLog {
  const log = new RunLog(RUN);
  for (const item of longRun(words)) log.push(item);
  return log;
}

describe("the log", () => {
  it("gives the same view as of any event as folding from the start, forwards, backwards and at random", () => {
    const items = longRun(CHECKPOINT * 2 + 37);
    const log = logOf(CHECKPOINT * 2 + 37);
    const views = [];
    let view = emptyRunView(RUN);
    for (const item of items) views.push((view = foldRun(view, item)));
    const forwards = items.map((_, at) => at);
    const backwards = [...forwards].reverse();
    const jumps = forwards.map((at) => (at * 7919) % items.length);
    for (const at of [...forwards, ...backwards, ...jumps]) expect(log.viewAt(at)).toEqual(views[at]);
    expect(log.viewAt(-1)).toEqual(emptyRunView(RUN));
  });

  it("folds at most a checkpoint's worth of events for a jump", () => {
    const log = logOf(10_000);
    const items = log.items;
    let read = 0;
    log.items.forEach((item, at) => {
      items[at] = new Proxy(item, {
        get(target, key) {
          if (key === "event") read++;
          // Private fields are on the item itself.
          return Reflect.get(target, key, target) as unknown;
        },
      });
    });
    log.viewAt(7777);
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThanOrEqual(CHECKPOINT);
  });

  it("finds the event of a time", () => {
    const log = logOf(100);
    expect(log.indexAt((log.times[0] ?? 0) - 1)).toBe(-1);
    expect(log.indexAt(log.times[50] ?? 0)).toBe(50);
    expect(log.indexAt(Number.MAX_SAFE_INTEGER)).toBe(log.length - 1);
  });

  it("counts types", () => {
    const log = logOf(12);
    expect(log.counts.get("message.delta")).toBe(12);
    expect(log.counts.get("run.completed")).toBe(1);
  });

  it("keeps the place of what may not be seen", () => {
    const log = new RunLog(RUN);
    const [first, second] = longRun(1);
    if (first !== undefined) log.push(first);
    const raw = `{"v":1,"seq":2,"ts":"2026-11-21T02:30:00.004Z","run":"${RUN}","type":"hidden"}`;
    log.push({ type: "hidden", seq: 2, raw });
    expect(second).toBeDefined();
    expect(log.length).toBe(2);
    expect(log.view.seq).toBe(2);
    expect((log.times[1] ?? 0) - (log.times[0] ?? 0)).toBe(4);
    expect(log.counts.get("hidden")).toBe(1);
  });

  it("begins anew from a snapshot", () => {
    const log = logOf(50);
    const snapshot = {
      id: RUN,
      thread: "thr_1",
      agent: "agt_1",
      model: "m",
      status: "running",
      as_of_seq: 900,
      steps: 1,
      input_messages: [],
      pending: [],
      messages: [
        {
          id: "msg_9",
          role: "assistant",
          status: "in_progress",
          step: 1,
          content: [{ type: "text", text: "so far" }],
        },
      ],
      usage: null,
      cost: null,
      result: null,
      error: null,
    } as unknown as RunSnapshot;
    log.push({ type: "reset", reason: "trimmed", as_of_seq: 900, snapshot });
    expect(log.length).toBe(0);
    expect(log.view.seq).toBe(900);
    expect(textOf(log.viewAt(-1))).toBe("so far");
    expect(log.spans.all).toEqual([]);
  });
});
