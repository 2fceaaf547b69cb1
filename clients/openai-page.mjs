// The openai package, as it is, in a page: in a browser without a window, from an origin that the tenant lists.
//
//   BASE      the server
//   KEY       a tenant's key, which lists the origin
//   TOKEN     a user's token, which is all that the page has
//   CHROMIUM  the browser, where it is not at its usual place
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const { BASE, KEY, TOKEN, CHROMIUM } = process.env;
const executablePath = [CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => path && existsSync(path));

const packages = new URL('node_modules/', import.meta.url);
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://page');
  if (pathname === '/') return response.setHeader('content-type', 'text/html').end('<!doctype html><title>A page</title>');
  const file = new URL(`.${pathname}`, packages);
  if (!file.href.startsWith(packages.href) || !existsSync(file)) return response.writeHead(404).end();
  response.setHeader('content-type', 'text/javascript').end(readFileSync(file));
});
await new Promise((listens) => server.listen(0, '127.0.0.1', listens));
const origin = `http://127.0.0.1:${server.address().port}`;
const listed = await fetch(`${BASE}/v1/tenant`, {
  method: 'PATCH',
  headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
  body: JSON.stringify({ allowed_origins: [origin] }),
});
assert.equal(listed.status, 200);

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  await page.goto(origin);
  const said = await page.evaluate(
    async ({ baseURL, apiKey }) => {
      const { default: OpenAI } = await import('/openai/index.mjs');
      const client = new OpenAI({ baseURL, apiKey, dangerouslyAllowBrowser: true });
      const whole = await client.responses.create({ model: 'assistant', input: 'Hello' });
      const stream = await client.responses.create({ model: 'assistant', input: 'And?', previous_response_id: whole.id, stream: true });
      let text = '';
      for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta;
      return [whole.output_text, text];
    },
    { baseURL: `${BASE}/v1`, apiKey: TOKEN },
  );
  assert.deepEqual(said, ['Well.', 'Better.']);
} finally {
  await browser.close();
  server.close();
}
