/** Every page on real data; the keyboard, the dark, the phone. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { api, goTo, login, operator, OPERATOR_KEY, shot, Stage, TENANT_KEY } from "./harness.ts";
import { askedRun, deskRun } from "./seed.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
  expect(stage.offences).toEqual([]);
});

/** When a page has loaded what it shows. */
async function settled(page: Page): Promise<void> {
  await expect.poll(() => page.locator(".loading").count()).toBe(0);
}

/** By how many pixels a page is wider than its window. */
function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

const DARK = { colorScheme: "dark" as const };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

test("a key that is none is refused, and nothing of a good one is kept beyond what was asked", async () => {
  const page = await stage.page();
  await page.goto(`${stage.origin}/console/`);
  await page.getByLabel("Key", { exact: true }).fill("sk-wrong");
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.getByText("A key begins with").waitFor();
  await page.getByLabel("Key", { exact: true }).fill("hw_sk_wrong");
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.locator(".problem code", { hasText: "unauthenticated" }).waitFor();

  await login(page, stage.origin, TENANT_KEY, "");
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  const kept = () =>
    page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, document.cookie]),
    );
  expect(await kept()).not.toContain(TENANT_KEY);
  await page.reload();
  await page.getByLabel("Key", { exact: true }).waitFor();

  await page.getByLabel(/Stay until/).check();
  await page.getByLabel("Key", { exact: true }).fill(TENANT_KEY);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain(TENANT_KEY);
  await page.getByRole("button", { name: "Leave" }).click();
  expect(await kept()).not.toContain(TENANT_KEY);
});

test("the demo user's token opens that user's pages and no settings", async () => {
  const page = await stage.page();
  await page.goto(`${stage.origin}/console/`);
  await page.getByRole("button", { name: /demo user/ }).click();
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  expect(await page.getByRole("link", { name: "Webhooks" }).count()).toBe(0);
  await page.getByText("A user's token").waitFor();
  for (const [hash, heading] of [
    ["#/agents", "Agents"],
    ["#/usage", "Usage and cost"],
    ["#/budgets", "Budgets"],
    ["#/approvals", "Approvals"],
    ["#/threads", "Threads"],
    ["#/playground", "Playground"],
  ] as const) {
    await goTo(page, hash);
    await page.getByRole("heading", { name: heading, exact: true }).waitFor();
    await settled(page);
    expect(await page.locator(".problem").count(), hash).toBe(0);
  }
});

test("a tenant's pages show what is there", async () => {
  const run = await deskRun();
  const { run: asked } = await askedRun();
  const endpoint = await api.webhookEndpoints.create({
    url: "http://127.0.0.1:9/hooks",
    events: ["run.completed"],
  });
  const budget = await api.budgets.create({
    scope: { type: "tenant" },
    limit: { usd: "25" },
    window: "month",
  });
  await api.agents.put("poet", { model: "scripted/echo", instructions: "Answer in rhymes.\nFour lines." });
  await api.agents.put("poet", { model: "scripted/echo", instructions: "Answer in rhymes.\nThree lines." });
  const poet = await api.agents.get("poet");
  const page = await stage.enter(TENANT_KEY, "#/runs");

  await page.locator(`[data-row="${run}"]`).waitFor();
  await page.locator(`[data-row="${asked}"] .badge`, { hasText: "suspended" }).waitFor();
  const size = page.viewportSize();
  await page.setViewportSize({ width: 1240, height: 700 });
  await shot(page, "runs");
  if (size !== null) await page.setViewportSize(size);
  await page.getByLabel("Status").selectOption("suspended");
  await page.locator(`[data-row="${run}"]`).waitFor({ state: "detached" });

  await goTo(page, `#/runs/${run}`);
  await page.locator("h1 .badge", { hasText: "completed" }).waitFor();
  await page.getByRole("tab", { name: "Model calls" }).click();
  await expect
    .poll(() => page.getByRole("table", { name: "Model calls" }).locator("tbody tr").count())
    .toBe(2);
  await page.getByRole("tab", { name: "State" }).click();
  await shot(page, "timeline");

  const thread = (await api.runs.get(run)).thread;
  await goTo(page, "#/threads");
  await page.locator(`[data-row="${thread}"]`).click();
  await page.getByText("What do rivers carry?").first().waitFor();

  await goTo(page, `#/agents/${poet.id}?tab=diff`);
  await page.locator(".diff .added", { hasText: "Three lines." }).waitFor();
  await page.locator(".diff .removed", { hasText: "Four lines." }).waitFor();
  await shot(page, "agent-diff");
  await page.getByRole("tab", { name: "Versions" }).click();
  const before = poet.active_version;
  await page.getByRole("button", { name: "Make active" }).first().click();
  await expect.poll(async () => (await api.agents.get("poet")).active_version).not.toBe(before);
  await page.getByRole("tab", { name: "Configuration" }).click();
  await page.getByLabel("Instructions").fill("Answer in prose.");
  await page.getByText("instructions", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Save as the next version" }).click();
  await expect.poll(async () => (await api.agents.get("poet")).instructions).toBe("Answer in prose.");

  await goTo(page, "#/usage?by=model");
  await page.getByRole("img", { name: "Cost by day and model" }).waitFor();
  await page.getByRole("table", { name: "Sums by model" }).getByText("scripted/tools").waitFor();
  await page.getByRole("button", { name: "Agent", exact: true }).click();
  await page.getByRole("table", { name: "Sums by agent" }).getByText("desk").waitFor();
  await shot(page, "usage");
  await page.getByRole("tab", { name: "Ledger" }).click();
  await page.getByRole("table", { name: "Ledger" }).locator("tbody tr").first().waitFor();

  await goTo(page, "#/budgets");
  await page.getByRole("table", { name: "Budgets" }).getByText("$25.00").first().waitFor();
  await page.getByRole("button", { name: "New budget" }).click();
  await page.getByLabel("Limit in USD").fill("7.5");
  await page.getByLabel("Per", { exact: true }).selectOption("day");
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("table", { name: "Budgets" }).getByText("$7.50").first().waitFor();
  for await (const one of api.budgets.list({ limit: 100 })) {
    if (one.id === budget.id || one.limit.usd === "7.5") await api.budgets.delete(one.id);
  }

  await goTo(page, `#/webhooks/${endpoint.id}`);
  await page.getByRole("button", { name: "Send a test" }).click();
  await page.getByRole("table", { name: "Deliveries" }).getByText("webhook.test").waitFor();
  await api.webhookEndpoints.delete(endpoint.id);
});

test("an object that is not there is an error with its words and its request", async () => {
  const page = await stage.enter(TENANT_KEY, "#/runs/run_01a22264-1fae-71a7-83a9-000000000000");
  await page.locator(".problem", { hasText: "not_found" }).first().waitFor();
  await page.locator(".problem", { hasText: "req_" }).first().waitFor();
});

test("the operator's pages: a tenant is made, given a key, taken away", async () => {
  const page = await stage.enter(OPERATOR_KEY, "#/tenants");
  const name = `acme-${Date.now() % 100_000}`;
  await page.getByRole("button", { name: "New tenant" }).click();
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name, exact: true }).waitFor();
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name").fill("backend");
  await page.getByRole("button", { name: "Make it" }).click();
  const secret = (await page.locator("dialog pre").textContent())?.trim() ?? "";
  expect(secret).toMatch(/^hw_sk_/);
  // It is shown this once: no slip of a key puts it away.
  for (let pressed = 0; pressed < 3; pressed++) await page.keyboard.press("Escape");
  expect(await page.locator("dialog pre").textContent()).toContain(secret);
  await page.getByRole("button", { name: "I have it" }).click();
  await page.getByRole("table", { name: "Keys" }).getByText("backend").waitFor();
  await page.getByRole("tab", { name: "Budgets" }).click();
  await page.getByRole("button", { name: "New budget" }).click();
  await page.getByLabel("Limit in USD").fill("3");
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("table", { name: "Budgets" }).getByText("$3.00").first().waitFor();
  await page.getByRole("tab", { name: "Prices" }).click();
  await page.getByLabel(/What the tenant pays/).fill('{"markup_ppm":200000,"models":{}}');
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("It counts from now on").waitFor();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByLabel(/Type its name/).fill(name);
  await page.getByRole("button", { name: "Delete everything" }).click();
  await page.getByRole("heading", { name: "Tenants and keys", exact: true }).waitFor();
  for await (const tenant of operator.tenants.list()) expect(tenant.name).not.toBe(name);

  await goTo(page, "#/plans");
  await page.getByRole("table", { name: "Plans" }).getByText("default", { exact: true }).first().waitFor();
});

test("limiter, quiet and doctor: what the server tells, or that it does not", async () => {
  const page = await stage.page();
  const told: Record<string, unknown> = {
    limiter: {
      object: "limiter",
      replica: "test",
      keys: [
        {
          model: "openai/gpt-5",
          key: "platform",
          limit: 4,
          in_flight: 3,
          waiting: 5,
          breaker: "closed",
          open_until: null,
          tenants: [
            { tenant: "ten_01a22264-0000-7000-8000-000000000000", weight: 1, in_flight: 1, waiting: 2 },
          ],
        },
      ],
    },
    quiet: {
      object: "quiet",
      enabled: true,
      state: "awake",
      replica: "one",
      wakes: 3,
      idle_ms: 1234,
      quiet_after_ms: 30000,
      busy: [{ what: "runs", count: 2 }],
    },
    doctor: {
      object: "doctor",
      checked_at: new Date().toISOString(),
      findings: [
        { level: "ok", what: "wall", words: "every rule holds", advice: null },
        { level: "error", what: "prices", words: "none of local/llama", advice: "set one in pricing.toml" },
      ],
    },
  };
  // Answers of a server that tells; those of the real one are looked at below.
  for (const [name, body] of Object.entries(told)) {
    await page.route(`**/v1/${name}`, (route) => route.fulfill({ json: body }));
  }
  await login(page, stage.origin, OPERATOR_KEY, "#/limiter");
  await page.getByRole("region", { name: "openai/gpt-5" }).waitFor();
  await page.getByRole("img", { name: /^Limit, calls in flight/ }).waitFor();
  await goTo(page, "#/system");
  await page.getByText("2 runs").waitFor();
  await page.getByText("set one in pricing.toml").waitFor();
  expect(await page.locator(".findings .badge").first().textContent()).toBe("error");

  // The run that counts far is under way at the built-in provider, or was not long ago.
  const real = await stage.enter(OPERATOR_KEY, "#/limiter");
  await real.getByRole("region", { name: "scripted/*" }).waitFor();
  await goTo(real, "#/system");
  await real.getByText("awake", { exact: true }).first().waitFor();
  await real.locator(".findings .badge", { hasText: "ok" }).first().waitFor();
  expect(await real.locator(".problem").count()).toBe(0);
});

test("with the keyboard alone: to a run, through its events, and back", async () => {
  const { run } = await askedRun();
  const page = await stage.enter(TENANT_KEY, "#/agents");
  await page.getByRole("heading", { name: "Agents", exact: true }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "detached" });
  await page.keyboard.press("g");
  await page.keyboard.press("r");
  await page.locator(`[data-row="${run}"]`).waitFor();
  await page.keyboard.press("j");
  expect(await page.evaluate(() => document.activeElement?.getAttribute("data-row"))).toBe(run);
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.getByText("for a person to decide").waitFor();
  const where = () => page.locator(".transport-where").textContent();
  await expect.poll(where).toContain("event 12 of 12");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await expect.poll(where).toContain("event 10 of 12");
  await page.keyboard.press("l");
  await expect.poll(where).toContain("event 12 of 12");
  await page.keyboard.press("/");
  await page.keyboard.type("tool.");
  await page.keyboard.press("Escape");
  await expect.poll(() => page.locator(".vrow").count()).toBe(3);
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
});

test("dark, by the system and by choice", async () => {
  const { run } = await askedRun();
  const page = await stage.enter(TENANT_KEY, `#/runs/${run}`, DARK);
  await page.getByText("for a person to decide").waitFor();
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  await shot(page, "timeline-dark");
  await page.getByRole("button", { name: "System" }).click();
  const light = await background();
  expect(light).not.toBe(dark);
  await page.getByRole("button", { name: "Light" }).click();
  expect(await background()).toBe(dark);
  await page.reload();
  expect(await background()).toBe(dark);
});

test("on a phone nothing is wider than the screen, and the menu leads everywhere", async () => {
  const run = await deskRun();
  const page = await stage.enter(TENANT_KEY, "#/runs", PHONE);
  for (const hash of [
    "#/playground",
    "#/runs",
    `#/runs/${run}`,
    "#/approvals",
    "#/threads",
    "#/agents",
    "#/usage",
    "#/budgets",
    "#/webhooks",
  ]) {
    await goTo(page, hash);
    await page.locator("h1").waitFor();
    await settled(page);
    expect(await overflow(page), hash).toBeLessThanOrEqual(0);
  }
  const platform = await stage.enter(OPERATOR_KEY, "#/tenants", PHONE);
  for (const hash of ["#/tenants", "#/plans", "#/limiter", "#/system"]) {
    await goTo(platform, hash);
    await platform.locator("h1").waitFor();
    await settled(platform);
    expect(await overflow(platform), hash).toBeLessThanOrEqual(0);
  }
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Runs" }).click();
  await page.locator(`[data-row="${run}"]`).click();
  await page.locator("h1 .badge", { hasText: "completed" }).waitFor();
  await shot(page, "phone");
  await page.getByRole("tab", { name: "Events" }).click();
  await page.locator(".vrow").first().waitFor();
});
