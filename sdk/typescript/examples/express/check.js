// Starts the back end, logs in, asks for a token as a page would, and talks to Headwater with it.
import assert from "node:assert/strict";
import { Headwater } from "headwater";
import { makeApp } from "./app.js";

const { HEADWATER_URL: baseUrl, HEADWATER_API_KEY: apiKey } = process.env;
assert(baseUrl && apiKey, "set HEADWATER_URL and HEADWATER_API_KEY");

const server = makeApp(new Headwater({ baseUrl, apiKey })).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const backend = `http://127.0.0.1:${server.address().port}`;
try {
  const nobody = await fetch(`${backend}/headwater-token`, { method: "POST" });
  assert.equal(nobody.status, 401, "who is not logged in gets no token");

  const login = await fetch(`${backend}/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: "alice" }),
  });
  assert.equal(login.status, 204);
  const session = login.headers.get("set-cookie").split(";")[0];

  let asked = 0;
  const hw = new Headwater({
    baseUrl,
    token: async () => {
      asked += 1;
      const answer = await fetch(`${backend}/headwater-token`, {
        method: "POST",
        headers: { cookie: session },
      });
      return (await answer.json()).token;
    },
  });
  const me = await hw.me();
  assert.equal(me.kind, "user");
  const words = await hw.runs.createAndStream({ agent: "assistant", input: "Hello from the page" }).text();
  assert.notEqual(words, "");
  assert.equal(asked, 1, "one token serves all calls");
  await assert.rejects(hw.agents.put("mine", { model: "scripted/echo" }), { code: "forbidden" });
  console.log(`ok: ${me.user} heard ${words.length} characters`);
} finally {
  server.close();
}
