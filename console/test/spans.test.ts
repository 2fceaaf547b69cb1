/** Events to spans, spans to places. */
import { describe, expect, it } from "vitest";
import { RunLog } from "../src/run/log.ts";
import type { Span } from "../src/run/spans.ts";
import { lanesOf, pixelOf, placeAt, rectOf, spanAt, type Frame } from "../src/run/layout.ts";
import { event, longRun, RUN } from "./events.ts";

function logOf(items: ReturnType<typeof longRun>): RunLog {
  const log = new RunLog(RUN);
  for (const item of items) log.push(item);
  return log;
}

const short = (span: Span) => {
  const start = Date.parse("2026-11-21T02:30:00.000Z");
  return [span.lane, span.tone, span.label, span.start - start, span.end === null ? null : span.end - start];
};

describe("spans", () => {
  it("tell of the queue, the call and the words of a plain run", () => {
    expect(logOf(longRun(3)).spans.all.map(short)).toEqual([
      ["wait", "wait", "queued", 0, 5],
      ["model", "model", "m", 10, 33],
      ["text", "text", "w0 w1 w2", 12, 33],
    ]);
  });

  it("tell of an approval, the wait for it, and how long the call itself took", () => {
    const call = "call_1";
    const log = logOf([
      event(1, 0, "tool.started", {
        step: 1,
        message: "msg_1",
        call,
        name: "refund",
        kind: "http",
        effect: "read",
      }),
      event(2, 10, "approval.requested", {
        approval: "apr_1",
        kind: "tool",
        call,
        name: "refund",
        args: {},
        message: "?",
        schema: {},
        deciders: ["user"],
        expires_at: "2026-11-22T00:00:00Z",
      }),
      event(3, 11, "run.suspended", { reason: "approval", pending: [] }),
      event(4, 900, "run.resumed", { attempt: 2, reason: "decision" }),
      event(5, 901, "approval.resolved", {
        approval: "apr_1",
        call,
        decision: "approved",
        by: { type: "user", id: "usr_1", reason: null },
        edited_args: null,
        comment: null,
        remember: "call",
      }),
      event(6, 960, "tool.completed", { call, output: {}, artifact: null, duration_ms: 50 }),
    ]);
    expect(log.spans.all.map(short)).toEqual([
      ["tools", "tool", "refund", 0, 960],
      ["approvals", "approval", "refund approved", 10, 901],
      ["wait", "wait", "waits for a decision", 11, 900],
    ]);
    const tool = log.spans.all[0];
    expect((tool?.busy ?? 0) - (tool?.start ?? 0)).toBe(910);
  });

  it("lays calls that overlap in different rows, and uses a row again when it is free", () => {
    const start = (seq: number, after: number, call: string) =>
      event(seq, after, "tool.started", {
        step: 1,
        message: "m",
        call,
        name: call,
        kind: "http",
        effect: "read",
      });
    const end = (seq: number, after: number, call: string) =>
      event(seq, after, "tool.completed", { call, output: null, artifact: null, duration_ms: 1 });
    const log = logOf([
      start(1, 0, "a"),
      start(2, 1, "b"),
      end(3, 10, "a"),
      start(4, 11, "c"),
      end(5, 20, "b"),
      end(6, 21, "c"),
    ]);
    expect(log.spans.all.map((span) => [span.label, span.row])).toEqual([
      ["a", 0],
      ["b", 1],
      ["c", 0],
    ]);
    expect(log.spans.rows.tools).toBe(2);
  });

  it("mark what a reset threw away, and go on with what follows", () => {
    const log = logOf([
      event(1, 0, "message.started", { step: 1, message: "msg_1", role: "assistant" }),
      event(2, 5, "step.reset", { step: 1, reason: "takeover", messages: ["msg_1"], calls: [] }),
      event(3, 6, "message.started", { step: 1, message: "msg_2", role: "assistant" }),
    ]);
    expect(log.spans.all.map((span) => [span.tone, span.end === null])).toEqual([
      ["lost", false],
      ["text", true],
    ]);
    expect(log.spans.marks.map((mark) => mark.kind)).toEqual(["reset"]);
  });

  it("leave nothing open behind the end", () => {
    const log = logOf([
      event(1, 0, "message.started", { step: 1, message: "msg_1", role: "assistant" }),
      event(2, 9, "run.cancelled", { by: { type: "user", id: null, reason: null }, usage: {}, cost: null }),
    ]);
    expect(log.spans.all.every((span) => span.end !== null)).toBe(true);
  });
});

describe("the layout", () => {
  const log = logOf(longRun(200));
  const axis = log.axis(0);
  const frame: Frame = { axis, view: { from: 0, to: axis.length }, left: 100, right: 1100 };

  it("maps places to pixels and back", () => {
    for (const place of [0, 17, axis.length / 3, axis.length]) {
      expect(placeAt(frame, pixelOf(frame, place))).toBeCloseTo(place, 6);
    }
  });

  it("finds the span that is drawn at a point", () => {
    const { boxes } = lanesOf(log.spans);
    for (const span of log.spans.all) {
      const box = boxes.find((one) => one.lane === span.lane);
      if (box === undefined) throw new Error(`no lane ${span.lane}`);
      const rect = rectOf(frame, span, box, axis.end);
      const found = spanAt(
        frame,
        log.spans,
        boxes,
        axis.end,
        rect.x + rect.width / 2,
        rect.y + rect.height / 2,
      );
      expect(found).toBe(span);
    }
    expect(spanAt(frame, log.spans, boxes, axis.end, 1090, 30)).toBeNull();
  });
});
