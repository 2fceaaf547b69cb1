/** Approvals: decided in one tab, seen in another. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { api, shot, Stage, TENANT_KEY } from "./harness.ts";
import { askedRun } from "./seed.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
  expect(stage.offences).toEqual([]);
});

test("a decision in one tab appears in the other, and the run goes on in both", async () => {
  for (const [order, amount] of [
    ["12", 85],
    ["31", 240],
    ["18", 64.5],
  ] as const)
    await askedRun(order, amount);
  const { run, approval } = await askedRun();
  const [inbox, timeline] = await Promise.all([
    stage.enter(TENANT_KEY, "#/approvals"),
    stage.enter(TENANT_KEY, `#/runs/${run}`),
  ]);
  await timeline.getByText("for a person to decide").waitFor();
  await inbox.locator(`[data-row="${approval}"]`).click();
  await inbox.getByLabel("Comment").fill("seen in the inbox");
  await shot(inbox, "approvals");
  await inbox.getByRole("button", { name: "Approve", exact: true }).click();
  await inbox.locator(`[data-row="${approval}"]`).waitFor({ state: "detached" });
  await timeline.locator(".msg .words", { hasText: "The tool answered" }).waitFor();
  await timeline.getByText("for a person to decide").waitFor({ state: "detached" });
  const decided = await api.approvals.get(approval);
  expect([decided.status, decided.comment]).toEqual(["approved", "seen in the inbox"]);
});

test("a decision beside the timeline leaves the inbox of another tab", async () => {
  const { run, approval } = await askedRun();
  const [inbox, timeline] = await Promise.all([
    stage.enter(TENANT_KEY, "#/approvals"),
    stage.enter(TENANT_KEY, `#/runs/${run}`),
  ]);
  await inbox.locator(`[data-row="${approval}"]`).waitFor();
  await timeline.getByLabel("Comment").fill("not today");
  await timeline.getByRole("button", { name: "Deny" }).click();
  await inbox.locator(`[data-row="${approval}"]`).waitFor({ state: "detached" });
  await timeline.locator(".call .badge", { hasText: "denied" }).waitFor();
  expect((await api.approvals.get(approval)).status).toBe("denied");
});

test("what was decided elsewhere meanwhile is said, in the server's words", async () => {
  const { run, approval } = await askedRun();
  const page = await stage.enter(TENANT_KEY, `#/approvals?open=${approval}`);
  await page.getByRole("button", { name: "Approve", exact: true }).waitFor();
  // The page is told nothing of it: what it asks next is answered from before.
  await page.route("**/v1/approvals**", (route) => route.abort());
  await api.approvals.decide(run, approval, { decision: "denied" });
  await page.getByRole("button", { name: "Approve", exact: true }).click();
  await page.locator(".problem code", { hasText: "already_decided" }).waitFor();
});

test("arguments are edited before they are approved", async () => {
  const { run, approval } = await askedRun();
  const page = await stage.enter(TENANT_KEY, `#/approvals?open=${approval}`);
  await page.getByRole("button", { name: "Edit arguments" }).click();
  const field = page.getByLabel("Arguments", { exact: true });
  await field.fill("{ not json");
  expect(await page.getByRole("button", { name: "Approve" }).isDisabled()).toBe(true);
  await field.fill('{ "order": "7", "amount": 40 }');
  await page.getByRole("button", { name: "Approve as edited" }).click();
  await page.locator(`[data-row="${approval}"]`).waitFor({ state: "detached" });
  const decided = await api.approvals.get(approval);
  expect([decided.run, decided.status, decided.edited_args]).toEqual([
    run,
    "approved",
    { order: "7", amount: 40 },
  ]);
});

test("an answer to the application's own tool is given by hand", async () => {
  const run = await api.runs.create({ agent: "picker", input: "Which file?" }, { waitMs: 20_000 });
  const page = await stage.enter(TENANT_KEY, `#/runs/${run.id}`);
  await page.getByText("for the application").waitFor();
  await page.getByLabel("Output as JSON").fill('{"file":"notes.txt"}');
  await page.getByRole("button", { name: "Send as output" }).click();
  await page.locator(".msg .words", { hasText: "The tool answered" }).waitFor();
});
