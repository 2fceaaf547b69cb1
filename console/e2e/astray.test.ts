/** What goes wrong beside the page: addresses that mean nothing, keys that end, agents that others change. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { api, goTo, operator, Stage, TENANT_KEY } from "./harness.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
  expect(stage.offences).toEqual([]);
});

test("an address that means nothing harms no page, and not the next one", async () => {
  const page = await stage.enter(TENANT_KEY, "#/usage?days=abc&by=moon&tab=none");
  await page.getByRole("heading", { name: "Usage and cost", exact: true }).waitFor();
  for (const hash of ["#/usage?days=99999999999", "#/%00", "#/agents?tab=x"]) await goTo(page, hash);
  await goTo(page, "#/runs/run_nope");
  await page.locator(".problem").waitFor();
  await page.getByRole("heading", { name: /^Run/ }).waitFor();
  expect(await page.getByRole("button", { name: "Cancel" }).count()).toBe(0);
  await goTo(page, "#/threads");
  await page.getByRole("heading", { name: "Threads", exact: true }).waitFor();
});

test("the playground asks whom it is told to, or nobody", async () => {
  await api.agents.put("here-now", { model: "scripted/echo" });
  const gone = await api.agents.create({ name: `gone-${Date.now()}`, model: "scripted/echo" });
  await api.agents.archive(gone.id);
  const page = await stage.enter(TENANT_KEY, `#/playground?agent=${gone.id}`);
  await page.getByText("is archived").waitFor();
  await goTo(page, "#/playground?agent=nobody-of-that-name");
  await page.getByText("That agent is not here").waitFor();
  expect(await page.getByRole("button", { name: "Send" }).isDisabled()).toBe(true);
  // One that was made a moment ago, elsewhere.
  const fresh = await api.agents.create({ name: `fresh-${Date.now()}`, model: "scripted/echo" });
  await goTo(page, `#/playground?agent=${fresh.id}`);
  await page.getByText(`Ask ${fresh.name} something`).waitFor();
});

test("what is typed about an agent outlives other views and other people, and overwrites nobody", async () => {
  const agent = await api.agents.create({ name: `edited-${Date.now()}`, model: "scripted/echo" });
  const page = await stage.enter(TENANT_KEY, `#/agents/${agent.id}`);
  const instructions = page.getByLabel("Instructions");
  await instructions.fill("Be brief.");
  await page.getByRole("tab", { name: "Versions" }).click();
  await page.getByRole("tab", { name: "Configuration" }).click();
  expect(await instructions.inputValue()).toBe("Be brief.");

  await api.agents.update(agent.id, { description: "Theirs." });
  await page.getByRole("button", { name: "Save as the next version" }).click();
  await page.getByText("Somebody else has changed this agent").waitFor();
  expect(await instructions.inputValue()).toBe("Be brief.");
  expect((await api.agents.get(agent.id)).instructions).toBeNull();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(() => page.getByLabel("Description").inputValue()).toBe("Theirs.");
  await instructions.fill("Be brief.");
  await page.getByRole("button", { name: "Save as the next version" }).click();
  await page.getByText("is active").first().waitFor();
  await expect
    .poll(async () => {
      const { description, instructions } = await api.agents.get(agent.id);
      return [description, instructions];
    })
    .toEqual(["Theirs.", "Be brief."]);
});

test("a key that is revoked leads back to the door, which says so", async () => {
  const tenant = await operator.tenants.create({ name: `revoked-${Date.now()}` });
  const key = await operator.tenantKeys.create(tenant.id, { name: "console" });
  const page = await stage.enter(String(key.secret), "#/runs");
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  await operator.tenantKeys.revoke(tenant.id, key.id);
  // Every process knows within 5 s, and the list is asked for every 3.
  await page.getByText("no longer good").waitFor();
  await page.getByLabel("Key", { exact: true }).waitFor();
  await operator.tenants.delete(tenant.id);
});

test("whoever acts for a user is offered what a user may do, and what is the tenant's is still the tenant's", async () => {
  const page = await stage.enter(TENANT_KEY, "#/budgets");
  await page.getByRole("button", { name: "New budget" }).waitFor();
  await page.getByLabel("Acting as").fill("alice");
  await page.getByLabel("Acting as").press("Enter");
  await page.getByRole("button", { name: "New budget" }).waitFor({ state: "detached" });
  await goTo(page, "#/usage?tab=ledger");
  await page.getByRole("heading", { name: "Usage and cost", exact: true }).waitFor();
  expect(await page.getByRole("tab", { name: "Ledger" }).count()).toBe(0);
  expect(await page.locator(".problem").count()).toBe(0);
  const agent = await api.agents.create({ name: `tenants-${Date.now()}`, model: "scripted/echo" });
  await goTo(page, `#/agents/${agent.id}`);
  await page.getByLabel("Instructions").fill("Be brief.");
  await page.getByRole("button", { name: "Save as the next version" }).click();
  await expect.poll(async () => (await api.agents.get(agent.id)).instructions).toBe("Be brief.");
});

test("a name is told wherever it stands, also an archived agent's", async () => {
  const agent = await api.agents.create({ name: `retired-${Date.now()}`, model: "scripted/echo" });
  await api.runs.create({ agent: agent.id, input: "Hi" }, { waitMs: 20_000 });
  await api.agents.archive(agent.id);
  const page = await stage.enter(TENANT_KEY, "#/runs");
  await page.getByRole("table", { name: "Runs" }).getByText(agent.name).first().waitFor();
});
