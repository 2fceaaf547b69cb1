/** The fold, on logs that were recorded from a server. */
import { describe, expect, test } from "vitest";
import {
  callsOf,
  emptyRunView,
  EventItem,
  foldRun,
  isOver,
  pendingApprovals,
  pendingInputs,
  textOf,
  viewOfSnapshot,
  type RunView,
  type StreamItem,
} from "../src/index.js";
import { itemsOf, scenarios, snapshotsOf } from "./support/logs.js";

function fold(items: StreamItem[], from: RunView = emptyRunView()): RunView {
  return items.reduce(foldRun, from);
}

function made(seq: number, type: string, fields: object): EventItem {
  return new EventItem(seq, type, JSON.stringify({ v: 1, seq, ts: "", run: "run_x", type, ...fields }));
}

/** What a snapshot can say, too. */
function comparable(view: RunView) {
  return {
    run: view.run,
    thread: view.thread,
    status: view.status,
    seq: view.seq,
    input_messages: view.input_messages,
    pending: view.pending,
    result: view.result,
    error: view.error,
    usage: view.usage,
    asked: pendingApprovals(view).map(({ id, call, name, args }) => ({ id, call, name, args })),
    messages: view.messages.map(({ id, role, step, status, parts }) => ({
      ...{ id, role, step, status },
      parts: parts.map((part) => {
        if (part.type !== "tool_call") return part;
        const { call, name, status, args, output, error, artifact } = part;
        return { call, name, status, args, output, error, artifact };
      }),
    })),
  };
}

describe.each(scenarios)("%s", (scenario) => {
  const user = itemsOf(scenario, "user");
  const snapshots = snapshotsOf(scenario);

  test("says at every snapshot what the snapshot says", () => {
    expect(snapshots.length).toBeGreaterThan(0);
    for (const snapshot of snapshots) {
      const until = (items: StreamItem[]) =>
        fold(items.filter((item) => "seq" in item && item.seq <= snapshot.as_of_seq));
      // What a step that is not over has used, only a key is told.
      const { usage } = until(itemsOf(scenario, "key"));
      expect(comparable({ ...until(user), usage })).toEqual(comparable(viewOfSnapshot(snapshot)));
    }
  });

  test("comes to the same from any snapshot on", () => {
    const whole = comparable(fold(user));
    for (const snapshot of snapshots) {
      const reset = {
        type: "reset",
        reason: "trimmed",
        as_of_seq: snapshot.as_of_seq,
        snapshot,
      } as const;
      const rest = user.filter((item) => "seq" in item && item.seq > snapshot.as_of_seq);
      expect(comparable(fold([reset, ...rest]))).toEqual(whole);
    }
  });

  test("is the same for who may see more, but for what it costs", () => {
    const key = comparable(fold(itemsOf(scenario, "key")));
    expect({ ...key, error: null }).toEqual({ ...comparable(fold(user)), error: null });
    const cost = fold(itemsOf(scenario, "key")).cost;
    expect(scenario === "failure" || cost !== null).toBe(true);
  });

  test("takes an event once", () => {
    expect(fold(user.flatMap((item) => [item, item]))).toEqual(fold(user));
  });

  test("serves who comes late, at any event", () => {
    const whole = fold(user);
    for (let from = 0; from < user.length; from++) {
      const late = fold(user.slice(from));
      expect(late.status).toBe(whole.status);
      const ids = late.messages
        .filter((message) => message.status !== "in_progress")
        .map((message) => message.id);
      for (const id of ids) {
        const words = (view: RunView) =>
          view.messages.find((message) => message.id === id)?.parts.filter((part) => part.type === "text");
        expect(words(late)).toEqual(words(whole));
      }
    }
  });

  test("never changes a view in place", () => {
    const freeze = (value: unknown): void => {
      if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
      Object.freeze(value);
      Object.values(value).forEach(freeze);
    };
    let view = emptyRunView();
    for (const item of user) {
      freeze(view);
      view = foldRun(view, item);
    }
    expect(isOver(view)).toBe(true);
  });
});

test("an approval is asked, decided and called", () => {
  const items = itemsOf("approval", "user");
  const asked = items.findIndex((item) => item.type === "event" && item.kind === "run.suspended");
  const before = fold(items.slice(0, asked + 1));
  expect(pendingApprovals(before)).toMatchObject([
    { name: "pick_file", status: "pending", kind: "tool", message: "May pick_file be called?" },
  ]);
  expect(callsOf(before)).toMatchObject([{ name: "pick_file", status: "called", kind: "client" }]);
  const waits = items.findIndex(
    (item) => item.type === "event" && item.event.type === "run.suspended" && item.event.reason === "input",
  );
  const then = fold(items.slice(0, waits + 1));
  expect(pendingApprovals(then)).toEqual([]);
  expect(then.approvals).toMatchObject([{ status: "approved", comment: "go ahead" }]);
  expect(pendingInputs(then)).toMatchObject([{ name: "pick_file" }]);
  const end = fold(items);
  expect(callsOf(end)).toMatchObject([{ status: "completed", output: { file: "notes.txt" } }]);
  expect(textOf(end)).toBe(end.result?.text);
});

test("what is denied says why", () => {
  const view = fold(itemsOf("denied", "user"));
  expect(callsOf(view)).toMatchObject([{ status: "denied", comment: "not that one" }]);
});

test("a cancelled answer keeps what was said", () => {
  const view = fold(itemsOf("cancel", "user"));
  expect(view.status).toBe("cancelled");
  expect(view.messages).toMatchObject([{ status: "incomplete" }]);
  expect(textOf(view)).not.toBe("");
});

test("a step that is made again leaves nothing of its first try", () => {
  const view = fold([
    made(1, "step.started", { step: 1, model: "m", input_messages: [] }),
    made(2, "message.started", { step: 1, message: "msg_kept", role: "assistant" }),
    made(3, "message.completed", {
      step: 1,
      message: "msg_kept",
      role: "assistant",
      text: "kept",
      status: "completed",
    }),
    made(4, "message.started", { step: 2, message: "msg_a", role: "assistant" }),
    made(5, "message.delta", { message: "msg_a", delta: "half a wo" }),
    made(6, "tool.started", {
      step: 2,
      message: "msg_a",
      call: "call_a",
      name: "t",
      kind: "http",
      effect: "read",
    }),
    made(7, "approval.requested", {
      ...{ approval: "apr_a", kind: "tool", call: "call_a", name: "t", args: {}, message: "?", schema: {} },
      ...{ deciders: ["user"], expires_at: "" },
    }),
    made(8, "step.reset", { step: 2, reason: "takeover", messages: ["msg_a"], calls: ["call_a"] }),
    made(9, "message.started", { step: 2, message: "msg_b", role: "assistant" }),
    made(10, "message.delta", { message: "msg_b", delta: "a whole word" }),
  ]);
  expect(view.messages.map((message) => message.id)).toEqual(["msg_kept", "msg_b"]);
  expect(callsOf(view)).toEqual([]);
  expect(view.approvals).toEqual([]);
  expect(textOf(view)).toBe("kept\n\na whole word");
});

test("reasoning, progress and arguments grow", () => {
  const view = fold([
    made(1, "message.started", { step: 1, message: "msg_a", role: "assistant" }),
    made(2, "reasoning.started", { step: 1, message: "msg_a" }),
    made(3, "reasoning.delta", { message: "msg_a", delta: "Let me " }),
    made(4, "reasoning.delta", { message: "msg_a", delta: "think" }),
    made(5, "message.delta", { message: "msg_a", delta: "Yes" }),
    made(6, "reasoning.completed", { message: "msg_a", text: "Let me think." }),
    made(7, "tool.started", {
      step: 1,
      message: "msg_a",
      call: "call_a",
      name: "t",
      kind: "mcp",
      effect: "read",
    }),
    made(8, "tool.args.delta", { call: "call_a", delta: '{"a"' }),
    made(9, "tool.args.delta", { call: "call_a", delta: ":1}" }),
    made(10, "tool.progress", { call: "call_a", progress: 3, total: 10, message: "reading" }),
  ]);
  expect(view.messages[0]?.parts).toMatchObject([
    { type: "reasoning", text: "Let me think.", done: true },
    { type: "text", text: "Yes" },
    { type: "tool_call", status: "writing", args_text: '{"a":1}', progress: { progress: 3, total: 10 } },
  ]);
});

test("an event of a later release changes nothing but the place", () => {
  const item = made(4, "moon.phase", { phase: "full" });
  expect(item.event).toMatchObject({
    type: "unknown",
    original_type: "moon.phase",
    fields: { phase: "full" },
  });
  expect(foldRun(emptyRunView("run_x"), item)).toEqual({ ...emptyRunView("run_x"), seq: 4 });
});
