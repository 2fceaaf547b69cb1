/** A run followed across a restart of the server. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { api, RESTART, Stage, TENANT_KEY } from "./harness.ts";
import { eventsOf, finished, words } from "./timeline.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
  expect(stage.offences).toEqual([]);
});

test.skipIf(RESTART === "")(
  "a run is followed across a restart of the server",
  { timeout: 180_000 },
  async () => {
    const run = await api.runs.create({
      agent: "assistant",
      input: "Count",
      model: "scripted/tokens-200x60",
    });
    const page = await stage.enter(TENANT_KEY, `#/runs/${run.id}`);
    await page.locator(".msg .words", { hasText: "tok20" }).waitFor();
    await promisify(execFile)("sh", ["-c", RESTART], { timeout: 60_000 });
    await page.locator("h1 .badge", { hasText: "completed" }).waitFor({ timeout: 120_000 });
    const end = await finished(run.id);
    expect(await eventsOf(page)).toBe(end.as_of_seq);
    expect((await words(page)).endsWith(end.result?.text ?? "?")).toBe(true);
  },
);
