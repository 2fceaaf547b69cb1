// @vitest-environment happy-dom
// @vitest-environment-options {"settings":{"fetch":{"disableSameOriginPolicy":true}}}
/** The hooks against a real server, by the page's fetch, with a user's tokens. */
import { StrictMode, type ReactNode } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { beforeAll, expect, test, vi } from "vitest";
import { pendingApprovals, pendingInputs } from "../../src/index.js";
import {
  HeadwaterProvider,
  useApprovals,
  useThread,
  type UseApprovals,
  type UseThread,
} from "../../src/react/index.js";
import { agents, page, tenant } from "./support.js";

beforeAll(agents);

test("a page talks, decides and submits, over two runs of one thread", async () => {
  const client = page();
  const seen = {} as { thread: UseThread; approvals: UseApprovals };
  function Page(): ReactNode {
    seen.thread = useThread(null, { agent: "sdk-careful" });
    seen.approvals = useApprovals({ pollMs: 200 });
    return null;
  }
  const root = createRoot(document.createElement("div"));
  flushSync(() =>
    root.render(
      <StrictMode>
        <HeadwaterProvider client={client}>
          <Page />
        </HeadwaterProvider>
      </StrictMode>,
    ),
  );
  const until = (holds: () => boolean) =>
    vi.waitFor(
      () => {
        expect(seen.thread.error ?? seen.approvals.error).toBeNull();
        expect(holds()).toBe(true);
      },
      { timeout: 20_000, interval: 20 },
    );

  await seen.thread.send("Which file?");
  await until(() => seen.thread.run !== null && pendingApprovals(seen.thread.run).length === 1);
  await until(() => seen.approvals.approvals.length === 1);
  await seen.approvals.decide(seen.approvals.approvals[0]!, "approved");
  await until(() => pendingInputs(seen.thread.run!).length === 1 && seen.approvals.approvals.length === 0);
  await seen.thread.submit(pendingInputs(seen.thread.run!)[0]!.call, { file: "notes.txt" });
  await until(() => !seen.thread.busy);
  expect(seen.thread.run?.result?.text).toContain("notes.txt");

  await seen.thread.send("Again", { agent: "sdk-echo" });
  await until(() => !seen.thread.busy && seen.thread.messages.length === 5);
  const { data } = await tenant.messages.list(seen.thread.thread as string, { order: "asc" }).page();
  const ids = data.filter((message) => message.role !== "tool").map((message) => message.id);
  expect(seen.thread.messages.map((message) => message.id)).toEqual(ids);
  flushSync(() => root.unmount());
});
