/** Live runs: followed, made in the playground, let go while nobody looks. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { api, shot, Stage, TENANT_KEY } from "./harness.ts";
import { eventsOf, finished, words } from "./timeline.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
  expect(stage.offences).toEqual([]);
});

test("a run is followed as it is written, to its end, with every event once", async () => {
  const run = await api.runs.create({ agent: "assistant", input: "Count", model: "scripted/tokens-120x40" });
  const page = await stage.enter(TENANT_KEY, `#/runs/${run.id}`);
  await page.locator(".msg .words", { hasText: "tok20" }).waitFor();
  expect(await page.getByRole("button", { name: "Live" }).getAttribute("aria-pressed")).toBe("true");
  await page.locator("h1 .badge", { hasText: "completed" }).waitFor();
  const end = await finished(run.id);
  expect(await eventsOf(page)).toBe(end.as_of_seq);
  expect(await words(page)).toBe(end.result?.text);
});

test("the playground streams an answer, and its run is in the list", async () => {
  const page = await stage.enter(TENANT_KEY, "#/playground");
  await page.getByRole("button", { name: "Act as this user" }).click();
  await page.getByLabel("Agent").selectOption({ label: "assistant" });
  await page.getByLabel("Message").fill("What do rivers carry?");
  await page.keyboard.press("Enter");
  await page.locator(".turn .badge", { hasText: "completed" }).waitFor();
  await page.getByLabel("Message").fill("And lakes?");
  await page.keyboard.press("Enter");
  await page.locator(".turn .badge", { hasText: "completed" }).nth(1).waitFor();
  await shot(page, "playground");
  await page.getByRole("link", { name: "timeline" }).last().click();
  await page.getByLabel(/^Timeline of/).waitFor();
  await page.locator("h1 .badge", { hasText: "completed" }).waitFor();
});

test("a page that nobody sees asks nothing, lets its stream go, and goes on when it is seen again", async () => {
  const run = await api.runs.create({ agent: "picker", input: "Which file?" }, { waitMs: 20_000 });
  const page = await stage.page();
  await page.clock.install();
  await page.goto(`${stage.origin}/console/#/runs/${run.id}`);
  await page.getByLabel("Key", { exact: true }).fill(TENANT_KEY);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.getByText("for the application").waitFor();
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  // As long as it is seen it asks why the run waits.
  await page.clock.fastForward(6_000);
  await expect.poll(() => asked.filter((path) => path.endsWith("/explain")).length).toBeGreaterThan(0);

  const show = (hidden: boolean) =>
    page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { configurable: true, value });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  const closed = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/events"));
  await show(true);
  // A frame, in which the page learns of it; then longer than it holds its stream for a look elsewhere.
  await page.clock.runFor(200);
  await page.clock.fastForward(21_000);
  await closed;
  asked.length = 0;
  await page.clock.fastForward(600_000);
  expect(asked).toEqual([]);

  const call = (await api.runs.get(run.id)).pending[0]?.call ?? "";
  await api.runs.callResult(run.id, call, { output: { file: "a.txt" } });
  await finished(run.id);
  await show(false);
  await page.locator(".msg .words", { hasText: "The tool answered" }).waitFor();
});
