/** A run of more than ten thousand events. */
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { api, shot, Stage, TENANT_KEY } from "./harness.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
  expect(stage.offences).toEqual([]);
});

test("ten thousand events: scrubbed, filtered, replayed", { timeout: 600_000 }, async () => {
  const id = inject("bigRun");
  let run = await api.runs.get(id, { waitMs: 25_000 });
  while (run.status !== "completed" && run.status !== "failed")
    run = await api.runs.get(id, { waitMs: 25_000 });
  expect(run.status).toBe("completed");
  expect(run.as_of_seq).toBeGreaterThan(10_000);

  const page = await stage.enter(TENANT_KEY, `#/runs/${id}`);
  await page.locator("h1 .badge", { hasText: "completed" }).waitFor();
  await expect.poll(() => page.locator(".transport-where").textContent()).toContain(`of ${run.as_of_seq}`);
  // However long the log is, the page holds what is seen of it.
  expect(await page.locator(".vrow").count()).toBeLessThan(80);

  // The state as of an event in the middle is what the log says up to there.
  const scrubber = page.getByRole("slider", { name: "Event" });
  for (const at of [5000, 9000, 137, 7001]) {
    await scrubber.fill(String(at));
    await expect.poll(() => page.locator(".transport-where").textContent()).toContain(`event ${at + 1} of`);
  }
  // The scrubber counts from 0, the log from 1: event 7002 is shown, and the next one is not.
  const known = await api.runs.events(id, { after: 7002, limit: 1 });
  const next = known.data[0];
  await page.getByRole("button", { name: /^Show the/ }).click();
  const shown = await page.locator(".state .msg.assistant .words").textContent();
  if (next?.type !== "message.delta") throw new Error("the middle of the run is not words");
  expect(run.result?.text.startsWith(`${shown}${next.delta}`)).toBe(true);

  // (Another tab forgets that all of it was wanted.)
  await page.getByRole("tab", { name: "Model calls" }).click();
  await page.getByRole("tab", { name: /^State/ }).click();

  // A hundred places after each other: each is shown before the next is asked for, within one frame's patience on any machine.
  const frames = await page.evaluate(async () => {
    const slider = document.querySelector<HTMLInputElement>(".scrubber") as HTMLInputElement;
    const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set;
    let slowest = 0;
    for (let at = 0; at < 100; at++) {
      const begun = performance.now();
      setter?.call(slider, String((at * 97) % 10_000));
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise((resolve) => requestAnimationFrame(resolve));
      slowest = Math.max(slowest, performance.now() - begun);
    }
    return slowest;
  });
  console.log(`slowest of 100 scrubs over ${run.as_of_seq} events: ${frames.toFixed(0)} ms`);

  await page.getByRole("searchbox", { name: "Filter events" }).fill("tok9999");
  await page.locator(".vrow .what", { hasText: "tok9999" }).first().click();
  expect(await page.locator(".event-json pre").textContent()).toContain("tok9999");
  await page.getByRole("searchbox", { name: "Filter events" }).fill("");
  await page.getByLabel("Type").selectOption("cost.settled");
  await expect.poll(() => page.locator(".vrow").count()).toBe(1);

  await page.getByLabel("Type").selectOption("");
  await scrubber.fill("0");
  await page.getByLabel("Speed").selectOption("50");
  await page.getByRole("button", { name: "Play" }).click();
  await page.getByRole("button", { name: "Play" }).waitFor();
  await expect
    .poll(() => page.locator(".transport-where").textContent())
    .toContain(`event ${run.as_of_seq} of`);
  await scrubber.fill("6400");
  for (let at = 0; at < 6; at++) await page.getByRole("button", { name: "Closer" }).click();
  await shot(page, "ten-thousand-events");
});
