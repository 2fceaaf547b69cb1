/** The rules of resuming, without any I/O. */
import { describe, expect, test } from "vitest";
import { TransportError } from "../src/errors.js";
import { settingsOf } from "../src/stream/options.js";
import type { Frame } from "../src/stream/sse.js";
import { Tracker, type Leave } from "../src/stream/tracker.js";

function tracker(after: number | "now" = 0) {
  const tracker = new Tracker(null, after, settingsOf({}), 250);
  tracker.connected(null, false);
  return tracker;
}

function frame(
  event: string,
  id: number | null,
  data: string | null = "{}",
  retry: number | null = null,
): Frame {
  return { event, id, data, retry };
}

const closing = (reason: string, retry_ms: number | null = null) =>
  frame("stream.closing", null, JSON.stringify({ reason, retry_ms }));

function left(tracker: Tracker, frame: Frame): Leave {
  const step = tracker.onFrame(frame);
  if (step.do !== "leave") throw new Error(`${step.do}, not a leave`);
  return step.leave;
}

const eof: Leave = { why: "eof" };

describe("pauses", () => {
  test("grow from what the server says, until it is enough", () => {
    const it = tracker();
    it.onRetry(1000, true);
    const waits = Array.from({ length: 10 }, () => it.onLeave(eof, 0, 0));
    expect(waits).toEqual([1000, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000]);
    expect(() => it.onLeave(eof, 0, 0)).toThrow(expect.objectContaining({ kind: "gave_up", attempts: 10 }));
    expect(it.onFrame(frame("message.delta", 1)).do).toBe("yield");
    expect(it.onLeave(eof, 0, 0.5)).toBe(1250);
  });

  test("are never shorter than asked", () => {
    const it = tracker();
    const broken: Leave = { why: "broken", error: new TransportError("cut"), pauseMs: 5000 };
    expect(Array.from({ length: 5 }, () => it.onLeave(broken, 0, 0))).toEqual([
      5000, 5000, 5000, 8000, 16_000,
    ]);
    expect(it.onLeave(left(it, closing("suspended", 30_000)), 0, 0)).toBe(30_000);
  });

  test("of a person may take days, of overload may not", () => {
    const it = tracker();
    for (let round = 0; round < 100; round++) {
      // What a suspended run answers where quiet is on: no event, no closing, half a minute.
      it.connected(null, false);
      it.onFrame(frame("", null, null, 30_000));
      expect(it.onLeave(eof, 0, 0)).toBe(30_000);
    }
    for (let round = 0; round < 10; round++) {
      it.connected(null, false);
      it.onFrame(frame("", null, null, 5000));
      it.onLeave(eof, 0, 0);
    }
    expect(() => it.onLeave(eof, 0, 0)).toThrow(expect.objectContaining({ kind: "gave_up" }));
  });

  test("of a suspended run are for this once", () => {
    const it = tracker();
    const leave = left(it, { ...closing("suspended", 30_000), retry: 30_000 });
    expect(it.onLeave(leave, 0, 0)).toBe(30_000);
    expect(it.onLeave(eof, 0, 0)).toBe(2000);
  });

  test("a connection that was alive for long is no failure", () => {
    const it = tracker();
    for (let round = 0; round < 100; round++) {
      it.connected(null, false);
      expect(it.onLeave(left(it, closing("max_age", 100)), 600_000, 0)).toBe(100);
    }
  });
});

describe("order", () => {
  test("what was seen is dropped, a gap is asked for once", () => {
    const it = tracker(4);
    expect(it.onFrame(frame("message.delta", 4)).do).toBe("skip");
    expect(left(it, frame("message.delta", 7))).toEqual({ why: "gap" });
    expect(() => it.onFrame(frame("message.delta", 7))).toThrow(
      expect.objectContaining({ kind: "stream_gap", expected: 5, got: 7 }),
    );
    expect(it.stats).toMatchObject({ duplicates: 1, gaps: 2 });
  });

  test("a compacted log may jump, the next connection may not", () => {
    const it = tracker();
    it.connected("run_a", true);
    expect(it.onFrame(frame("message.completed", 9)).do).toBe("yield");
    it.connected("run_a", false);
    expect(left(it, frame("message.delta", 11))).toEqual({ why: "gap" });
  });

  test("`now` becomes a place with the first caught_up", () => {
    const it = tracker("now");
    it.onFrame(frame("stream.caught_up", null, '{"tail":9}'));
    expect(it.cursor).toBe(9);
    expect(it.onFrame(frame("message.delta", 9)).do).toBe("skip");
  });

  test("frames without an id never move the cursor", () => {
    const it = tracker();
    it.onFrame(frame("run.queued", 1, '{"run":"run_a"}'));
    for (const kind of ["stream.caught_up", "stream.later", "message.delta", ""]) {
      it.onFrame(frame(kind, null, '{"seq":9,"tail":9}'));
      expect(it.cursor).toBe(1);
    }
    expect(it.run).toBe("run_a");
  });

  test.each([
    ["stream.caught_up", null, "{}"],
    ["stream.caught_up", null, "null"],
    ["stream.closing", null, "{"],
    ["stream.reset", 4, '{"reason":"trimmed","as_of_seq":4}'],
  ])("a %s that cannot be read ends the stream", (kind, id, data) => {
    expect(() => tracker().onFrame(frame(kind, id, data))).toThrow(
      expect.objectContaining({ kind: "decode" }),
    );
  });
});
