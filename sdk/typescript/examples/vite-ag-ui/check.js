// Opens the page in a browser without a window: talks, cuts its line, reloads it in the middle of an answer, lets the agent use the page's
// tool, approves, denies, and looks whether all of it is shown, once.
// CHROMIUM names the browser where it is not at its usual place.
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";
import { pipeline } from "node:stream";
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
const alice = hw.asUser("alice");
const agent = (model, ...tools) => hw.agents.put("ag-ui-check", { model, tools });
process.env.HEADWATER_AGENT = "ag-ui-check";

/** The page's line to Headwater, which can be cut. */
const lines = new Set();
const exchange = net.createServer((near) => {
  const far = net.connect(Number(new URL(baseUrl).port || 80), new URL(baseUrl).hostname);
  pipeline(near, far, near, () => lines.delete(near));
  lines.add(near);
});
await once(exchange.listen(0, "127.0.0.1"), "listening");
const { port } = exchange.address();
process.env.HEADWATER_URL = `http://127.0.0.1:${port}`;
function cut() {
  exchange.close();
  for (const line of lines) line.destroy();
}

const vite = await createServer({ server: { port: 0, host: "127.0.0.1" }, logLevel: "warn" });
await vite.listen();
const origin = `http://127.0.0.1:${vite.httpServer.address().port}`;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const { allowed_origins: before } = await hw.tenant.get();
await hw.tenant.update({ allowed_origins: [...before, origin] });
try {
  const page = await browser.newPage();
  const errors = [];
  // A line that is cut is told by `runAgent`, and once more by a promise of the client's own that nobody can wait for (1.0.0).
  page.on("pageerror", (error) => error.message === "network error" || errors.push(String(error)));

  const status = (status) => page.locator(`form[data-status=${status}]`).waitFor();
  const answers = page.locator("[data-role=assistant]");
  const words = async () => (await page.locator("#messages").innerText()).trim();
  const say = async (words) => {
    await status("ready");
    await page.getByLabel("Say something").fill(words);
    await page.getByRole("button", { name: "Send" }).click();
  };

  // 160 words, 50 ms apart: time enough to cut the line and to leave in the middle.
  await agent("scripted/tokens-160x50");
  await page.goto(origin);
  await say("Count");
  await answers.filter({ hasText: "tok3" }).waitFor();
  cut();
  await status("cut");
  exchange.listen(port, "127.0.0.1");
  await page.locator("form:not([data-status=cut])").waitFor();
  await answers.filter({ hasText: "tok9" }).waitFor();
  await page.reload();
  await status("ready");

  const chat = new URL(page.url()).hash.slice(1);
  const [thread] = (await alice.threads.list({ external_id: chat }).page()).data;
  const [run, ...more] = (await alice.threadRuns.list(thread.id).page()).data;
  const { result } = await hw.runs.get(run.id);
  assert.deepEqual(more, [], "it was asked once");
  assert.equal(await words(), `Count\n${result.text}`, "all of it is shown, once");

  // A tool of the page.
  const parameters = { type: "object", properties: { color: { type: "string" } }, required: ["color"] };
  await agent("scripted/tools", { type: "client", name: "set_color", description: "Paints.", parameters });
  await say('{"color":"teal"}');
  await answers.filter({ hasText: 'The tool answered: {"color":"teal"}' }).waitFor();
  assert.equal(await page.evaluate(() => document.body.style.background), "teal");

  // A tool that asks first. The question outlives the page.
  await agent("scripted/tools", { type: "builtin", name: "time", policy: "ask" });
  const question = page.locator("[data-question]");
  for (const [button, answer] of [
    ["Approve", /The tool answered: .*"weekday"/],
    ["Deny", /The tool answered: .*not permitted/],
  ]) {
    await say('{"timezone":"Europe/Lisbon"}');
    await question.filter({ hasText: 'time({"timezone":"Europe/Lisbon"})' }).waitFor();
    await status("asked");
    await page.reload();
    await question.getByRole("button", { name: button }).click();
    await answers.filter({ hasText: answer }).waitFor();
    await status("ready");
    assert.equal(await question.count(), 0);
  }

  // What was said is there again.
  const said = await words();
  await page.reload();
  await status("ready");
  assert.equal(await words(), said);
  assert.equal(await page.locator("[data-role=user]").count(), 4);
  assert.equal(await page.getByText("The tool answered").count(), 3);
  assert.deepEqual(errors, []);
  console.log("ok: an answer over a cut and a reload, a tool of the page, an approval and a denial");
} finally {
  await browser.close();
  await vite.close();
  cut();
  await hw.tenant.update({ allowed_origins: before });
}
