// @vitest-environment happy-dom
/** The hooks, in React 19 with StrictMode, against a fake server. */
import { StrictMode, type ReactNode } from "react";
import { flushSync } from "react-dom";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pendingApprovals, textOf, type Headwater } from "../../src/index.js";
import {
  HeadwaterProvider,
  useApprovals,
  useRun,
  useThread,
  type UseApprovals,
  type UseRun,
  type UseThread,
} from "../../src/react/index.js";
import { Fake, json, problem, type Line } from "../support/fake.js";

let root: Root;
let fake: Fake;
let client: Headwater;
const complaints = vi.spyOn(console, "error");

beforeEach(() => {
  fake = new Fake();
  client = fake.client();
  root = createRoot(document.createElement("div"));
});

afterEach(async () => {
  flushSync(() => root.unmount());
  // React complains of stores that change while it draws, and of effects that do not settle.
  expect(complaints).not.toHaveBeenCalled();
  complaints.mockClear();
});

/** Draws a hook; `seen.now` is what it gave last, `seen.draws` how often it was drawn. */
function draw<T>(hook: () => T): {
  seen: { now: T; draws: number };
  again: (next: () => T) => void;
} {
  const seen = { draws: 0 } as { now: T; draws: number };
  function Probe({ hook }: { hook: () => T }): ReactNode {
    seen.now = hook();
    seen.draws += 1;
    return null;
  }
  const element = (hook: () => T) => (
    <StrictMode>
      <HeadwaterProvider client={client}>
        <Probe hook={hook} />
      </HeadwaterProvider>
    </StrictMode>
  );
  flushSync(() => root.render(element(hook)));
  return { seen, again: (next) => flushSync(() => root.render(element(next))) };
}

/** Lets React draw until something holds. */
async function until(holds: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(holds()).toBe(true), { timeout: 5_000, interval: 5 });
}

const queued: Line = {
  type: "run.queued",
  thread: "thr_a",
  user: "usr_a",
  agent: "agt_a",
  agent_version: 1,
  input_messages: ["msg_q"],
};
const started: Line = { type: "message.started", step: 1, message: "msg_a", role: "assistant" };
const delta = (text: string): Line => ({ type: "message.delta", message: "msg_a", delta: text });
const usage = {
  input_tokens: 1,
  cached_input_tokens: 0,
  cache_write_tokens: 0,
  output_tokens: 1,
  reasoning_tokens: 0,
  total_tokens: 2,
};
const completed = (text: string): Line => ({
  type: "run.completed",
  result: { message: "msg_a", text, json: null, finish_reason: "stop" },
  usage,
  cost: null,
});

describe("useRun", () => {
  test("follows a run over a cut, with one connection at a time, to its end", async () => {
    const log = fake.log("run_a");
    log.push(queued, started, delta("Hel"));
    const { seen } = draw<UseRun>(() => useRun("run_a"));
    await until(() => textOf(seen.now.view) === "Hel");
    expect([seen.now.following, log.connections, log.open.size]).toEqual([true, 1, 1]);
    log.cut();
    await until(() => log.connections === 2);
    log.push(delta("lo"), completed("Hello"));
    await until(() => seen.now.view.status === "completed");
    expect([textOf(seen.now.view), seen.now.following, seen.now.error]).toEqual(["Hello", false, null]);
  });

  test("draws a burst a few times, not once a delta", async () => {
    const log = fake.log("run_a");
    log.push(queued, started);
    const { seen } = draw<UseRun>(() => useRun("run_a"));
    await until(() => seen.now.view.seq === 2);
    const before = seen.draws;
    log.push(...Array.from({ length: 1000 }, () => delta("x")));
    await until(() => seen.now.view.seq === 1002);
    expect(seen.draws - before).toBeLessThan(200);
  });

  test("changes with its id, and closes what it leaves", async () => {
    for (const id of ["a", "b"]) fake.log(`run_${id}`).push(queued, started, delta(id));
    const { seen, again } = draw<UseRun>(() => useRun("run_a"));
    await until(() => textOf(seen.now.view) === "a");
    again(() => useRun("run_b"));
    expect(textOf(seen.now.view)).not.toBe("a");
    await until(() => textOf(seen.now.view) === "b" && fake.log("run_a").open.size === 0);
    again(() => useRun(null));
    await until(() => fake.log("run_b").open.size === 0);
    expect([seen.now.view.run, seen.now.following]).toEqual([null, false]);
  });

  test("closes its connection when it is unmounted", async () => {
    const log = fake.log("run_a");
    log.push(queued);
    const { seen } = draw<UseRun>(() => useRun("run_a"));
    await until(() => seen.now.view.seq === 1);
    flushSync(() => root.render(null));
    await until(() => log.open.size === 0);
    const { draws } = seen;
    log.push(started, completed(""));
    await until(() => log.over);
    expect(seen.draws).toBe(draws);
  });

  test("says what went wrong, and tries again when the page comes back", async () => {
    const { seen } = draw<UseRun>(() => useRun("run_a"));
    await until(() => seen.now.error !== null);
    expect([seen.now.error?.name, seen.now.following]).toEqual(["ApiError", false]);
    fake.log("run_a").push(queued, completed(""));
    window.dispatchEvent(new Event("focus"));
    await until(() => seen.now.view.status === "completed");
    expect(seen.now.error).toBeNull();
  });

  test("decides, submits and cancels", async () => {
    fake.log("run_a").push(queued, {
      ...{ type: "approval.requested", approval: "apr_a", kind: "tool", call: "call_a", name: "t" },
      ...{ args: {}, message: "?", schema: {}, deciders: ["user"], expires_at: "" },
    });
    fake.on("POST /v1/runs/run_a/approvals/apr_a", () => json({}));
    fake.on("POST /v1/runs/run_a/calls/call_a/result", () => json({}));
    fake.on("POST /v1/runs/run_a/cancel", () => problem(403, "forbidden"));
    const { seen } = draw<UseRun>(() => useRun("run_a"));
    await until(() => pendingApprovals(seen.now.view).length === 1);
    await seen.now.decide("apr_a", "approved");
    await seen.now.submit("call_a", { file: "notes.txt" });
    await expect(seen.now.cancel("enough")).rejects.toMatchObject({ code: "forbidden" });
    expect(fake.requests.slice(-3).map((request) => request.body)).toEqual([
      { decision: "approved" },
      { output: { file: "notes.txt" } },
      { reason: "enough" },
    ]);
  });
});

/** A thread of the fake's, in which each question is answered by a run that the test writes. */
function thread(id: string) {
  const messages: object[] = [];
  let active: string | null = null;
  let made = 0;
  const say = (role: string, run: string, text: string, message = `msg_${run}_${role}`) =>
    messages.unshift({
      ...{ id: message, object: "message", thread: id, run, role, status: "completed", agent: null, step: 1 },
      ...{ content: [{ type: "text", text }], metadata: {}, created_at: "", completed_at: null },
    });
  const begin = (text: string) => {
    const run = `run_${id}_${++made}`;
    active = run;
    say("user", run, text);
    fake.log(run).push({ ...queued, thread: id, input_messages: [`msg_${run}_user`] });
    return run;
  };
  const end = (run: string, text: string) => {
    active = null;
    say("assistant", run, text, "msg_a");
    fake.log(run).push(started, delta(text), completed(text));
  };
  const ask = (request: { body: unknown }) => {
    const run = begin((request.body as { input: string }).input);
    return json({ id: run, thread: id, input_messages: [`msg_${run}_user`] }, 201);
  };
  fake.on(`GET /v1/threads/${id}`, () => json({ id, active_run: active }));
  fake.on(`GET /v1/threads/${id}/messages`, () =>
    json({ data: messages.map((m) => m), has_more: false, next_cursor: null }),
  );
  fake.on(`POST /v1/threads/${id}/runs`, ask);
  return { begin, end, ask, say };
}

function words({ messages }: UseThread): string[] {
  return messages.map((message) => {
    const said = message.parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("");
    return `${message.role}: ${said}`;
  });
}

describe("useThread", () => {
  test("says something, shows the answer while it comes, and the next run", async () => {
    const { end } = thread("thr_a");
    const { seen } = draw<UseThread>(() => useThread("thr_a", { agent: "assistant" }));
    await until(() => !seen.now.loading);
    const sent = seen.now.send("Hello");
    await until(() => words(seen.now).length === 1);
    expect([words(seen.now), seen.now.busy]).toEqual([["user: Hello"], true]);
    await sent;
    const log = fake.log("run_thr_a_1");
    await until(() => log.open.size === 1);
    end("run_thr_a_1", "Hi");
    await until(() => !seen.now.busy && words(seen.now).length === 2);
    expect(words(seen.now)).toEqual(["user: Hello", "assistant: Hi"]);
    expect(seen.now.run?.result?.text).toBe("Hi");
  });

  test("follows what somebody else begins, once the page comes back", async () => {
    const { begin, end } = thread("thr_a");
    const { seen } = draw<UseThread>(() => useThread("thr_a"));
    await until(() => !seen.now.loading);
    const run = begin("From another tab");
    window.dispatchEvent(new Event("focus"));
    await until(() => seen.now.busy && words(seen.now).length === 1);
    end(run, "Here, too");
    await until(() => !seen.now.busy && words(seen.now).length === 2);
    expect(words(seen.now)).toEqual(["user: From another tab", "assistant: Here, too"]);
  });

  test("makes a thread with the first words, and keeps it when its id comes back as a property", async () => {
    const { ask } = thread("thr_new");
    fake.on("POST /v1/runs", ask);
    const onThread = vi.fn();
    const { seen, again } = draw<UseThread>(() => useThread(null, { agent: "assistant", onThread }));
    expect([seen.now.loading, seen.now.busy]).toEqual([false, false]);
    await seen.now.send("Hello");
    expect(onThread.mock.calls).toEqual([["thr_new"]]);
    again(() => useThread("thr_new", { agent: "assistant" }));
    await until(() => fake.log("run_thr_new_1").open.size === 1);
    expect([words(seen.now), fake.log("run_thr_new_1").connections]).toEqual([["user: Hello"], 1]);
    again(() => useThread(null, { agent: "assistant" }));
    await until(() => fake.log("run_thr_new_1").open.size === 0);
    expect(words(seen.now)).toEqual([]);
  });

  test("takes back what could not be said", async () => {
    thread("thr_a");
    fake.on("POST /v1/threads/thr_a/runs", () => problem(422, "invalid_value"));
    const { seen } = draw<UseThread>(() => useThread("thr_a", { agent: "assistant" }));
    await until(() => !seen.now.loading);
    await expect(seen.now.send("Hello")).rejects.toMatchObject({ name: "ApiError" });
    await until(() => !seen.now.busy);
    expect(words(seen.now)).toEqual([]);
  });

  test("shows words that join a run under way where they were heard", async () => {
    const { begin, end, say } = thread("thr_a");
    const run = begin("Count");
    fake.on("POST /v1/threads/thr_a/runs", () =>
      json({ id: run, thread: "thr_a", input_messages: [`msg_${run}_user`] }),
    );
    const { seen } = draw<UseThread>(() => useThread("thr_a", { agent: "assistant" }));
    fake.log(run).push({ type: "message.started", step: 1, message: "msg_1", role: "assistant" });
    fake.log(run).push({ type: "message.delta", message: "msg_1", delta: "One" });
    await until(() => words(seen.now).length === 2);
    await seen.now.send("Stop", { on_conflict: "steer" });
    await until(() => words(seen.now).length === 3);
    expect(words(seen.now)).toEqual(["user: Count", "assistant: One", "user: Stop"]);
    say("assistant", run, "One", "msg_1");
    say("user", run, "Stop", "msg_stop");
    fake.log(run).push({ type: "step.started", step: 2, model: "m", input_messages: ["msg_stop"] });
    await until(() => seen.now.messages.some((message) => message.id === "msg_stop"));
    end(run, "Stopped");
    await until(() => !seen.now.busy && words(seen.now).length === 4);
    expect(words(seen.now)).toEqual(["user: Count", "assistant: One", "user: Stop", "assistant: Stopped"]);
  });

  test("says why a thread cannot be shown", async () => {
    const { seen } = draw<UseThread>(() => useThread("thr_none"));
    await until(() => seen.now.error !== null);
    expect(seen.now).toMatchObject({ loading: false, error: { code: "not_found" } });
  });
});

describe("useApprovals", () => {
  const approval = { id: "apr_a", object: "approval", run: "run_a", status: "pending", name: "t" };
  const list = "GET /v1/approvals";

  test("lists what waits, and lets go of what is decided", async () => {
    let data = [approval];
    fake.on(list, () => json({ object: "list", data, has_more: false, next_cursor: null }));
    fake.on("POST /v1/runs/run_a/approvals/apr_a", () => {
      data = [];
      return json({ ...approval, status: "denied" });
    });
    const { seen } = draw<UseApprovals>(() => useApprovals());
    await until(() => seen.now.approvals.length === 1);
    await seen.now.decide(seen.now.approvals[0]!, { decision: "denied", comment: "no" });
    await until(() => seen.now.approvals.length === 0);
    expect(fake.requests.find((request) => request.method === "POST")?.body).toEqual({
      decision: "denied",
      comment: "no",
    });
  });

  test("looks again while the page is visible, and is quiet while it is hidden", async () => {
    fake.on(list, () => json({ object: "list", data: [], has_more: false, next_cursor: null }));
    const visibility = vi.spyOn(document, "visibilityState", "get");
    const turn = (state: DocumentVisibilityState) => {
      visibility.mockReturnValue(state);
      document.dispatchEvent(new Event("visibilitychange"));
    };
    const { seen } = draw<UseApprovals>(() => useApprovals({ pollMs: 10 }));
    await until(() => !seen.now.loading && fake.count(list) >= 3);
    turn("hidden");
    // A timer of the test's own that is set later than any of the hook's, rings later.
    const asked = fake.count(list);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(fake.count(list)).toBe(asked);
    turn("visible");
    await until(() => fake.count(list) > asked);
    visibility.mockRestore();
  });
});
