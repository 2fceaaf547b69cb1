/** What a timeline shows, and what it has to show. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { api } from "./harness.ts";

/** How many events the page has. */
export async function eventsOf(page: Page): Promise<number> {
  const where = (await page.locator(".transport-where").textContent()) ?? "";
  return Number(/of (\d+)/.exec(where)?.[1] ?? 0);
}

/** All the words that the page shows of a run. */
export function words(page: Page): Promise<string> {
  return page
    .locator(".state .msg.assistant .words")
    .allTextContents()
    .then((all) => all.join(""));
}

/** A run that has completed. */
export async function finished(run: string) {
  const found = await api.runs.get(run, { waitMs: 25_000 });
  expect(found.status).toBe("completed");
  return found;
}
