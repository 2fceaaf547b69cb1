// The page of the README, and that of the server in dev mode, in a browser without a window.
//
//   HEADWATER_URL   the server, in dev mode
//   PAGE            where Vite serves the page
//   CHROMIUM        the browser, where it is not at its usual place
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const { CHROMIUM, HEADWATER_URL, PAGE } = process.env;
const executablePath = [CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => path && existsSync(path));
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const errors = [];
  const open = async (url) => {
    const page = await browser.newPage();
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(url);
    return page;
  };
  const first = await open(HEADWATER_URL);
  await first.getByLabel('Write to the agent').fill('Hello');
  await first.getByRole('button', { name: 'Send' }).click();
  await first.locator('#conversation', { hasText: /You wrote: "Hello".*OPENAI_API_KEY/s }).waitFor();

  const page = await open(PAGE);
  await page.getByLabel('Message').fill('What is this place?');
  await page.getByRole('button', { name: 'Send' }).click();
  const answers = page.locator('p', { hasText: /^assistant:/ });
  await answers.filter({ hasText: /(\S+ ){3}/ }).waitFor();
  await page.reload();
  // The built-in model quotes what it was told, and ends so.
  await answers.filter({ hasText: /What is this place\?.*OPENAI_API_KEY/s }).waitFor();
  await page.locator('button:enabled').waitFor();
  assert.equal(await answers.count(), 1, 'the answer is shown once');
  assert.equal(await page.locator('p', { hasText: /^user:/ }).count(), 1, 'and what was asked');
  const text = await answers.textContent();
  await page.getByLabel('Message').fill('And who are you?');
  await page.getByRole('button', { name: 'Send' }).click();
  await answers.nth(1).filter({ hasText: /And who are you\?/ }).waitFor();
  assert.equal(await answers.first().textContent(), text);
  assert.deepEqual(errors, []);
} finally {
  await browser.close();
}
