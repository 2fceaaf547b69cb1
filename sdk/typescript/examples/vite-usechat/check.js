// Opens the page in a browser without a window, talks, reloads it in the middle of an answer, and looks whether all of it is there, once.
// CHROMIUM names the browser where it is not at its usual place.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { Headwater } from "headwater";
import { chromium } from "playwright-core";
import { createServer } from "vite";

const { HEADWATER_URL: baseUrl, HEADWATER_API_KEY: apiKey } = process.env;
assert(baseUrl && apiKey, "set HEADWATER_URL and HEADWATER_API_KEY");
const places = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const executablePath = places.find((place) => place && existsSync(place));
assert(executablePath, "no chromium: apt-get install chromium, or set CHROMIUM");

const hw = new Headwater({ baseUrl, apiKey });
// 64 words, 50 ms apart: time enough to leave in the middle.
await hw.agents.put("usechat-check", { model: "scripted/tokens-64x50" });
process.env.HEADWATER_AGENT = "usechat-check";

const vite = await createServer({ server: { port: 0, host: "127.0.0.1" }, logLevel: "warn" });
await vite.listen();
const origin = `http://127.0.0.1:${vite.httpServer.address().port}`;
const { allowed_origins: before } = await hw.tenant.get();
await hw.tenant.update({ allowed_origins: [...before, origin] });
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(origin);
  await page.getByLabel("Say something").fill("Count");
  await page.getByRole("button").click();

  const answer = page.locator("[data-role=assistant]");
  await answer.filter({ hasText: /\S+ \S+ \S+/ }).waitFor();
  const chat = new URL(page.url()).hash.slice(1);
  await page.reload();
  await page.locator("form[data-status=ready]").waitFor();
  await answer.waitFor();

  const [thread] = (await hw.asUser("alice").threads.list({ external_id: chat }).page()).data;
  const [run] = (await hw.asUser("alice").threadRuns.list(thread.id).page()).data;
  const { result } = await hw.runs.get(run.id, { waitMs: 20_000 });
  // What is drawn last is drawn soon; the run is over by then, so it does not change any more.
  await answer.filter({ hasText: result.text.trim() }).waitFor();
  assert.equal(await answer.count(), 1, "the answer is shown once");
  assert.equal(await page.locator("[data-role=user]").count(), 1, "the question is shown once");
  assert.equal(await answer.locator("span").textContent(), result.text);
  assert.deepEqual(errors, []);

  await page.getByLabel("Say something").fill("Again");
  await page.getByRole("button").click();
  await page.locator("[data-role=assistant]").nth(1).waitFor();
  console.log(`ok: ${result.text.length} characters over a reload, and a second answer`);
} finally {
  await browser.close();
  await vite.close();
  await hw.tenant.update({ allowed_origins: before });
}
