// Records the logs in test/logs that the fold is tested with, from a server in dev mode (HEADWATER_URL, HEADWATER_API_KEY): what happens to a run,
// as its user sees it and as the tenant does, and the snapshots at its suspensions and its end.
import { mkdir, writeFile } from "node:fs/promises";

const { HEADWATER_URL: url, HEADWATER_API_KEY: key } = process.env;
const out = new URL("../test/logs/", import.meta.url);
await mkdir(out, { recursive: true });

async function call(method, path, body, token = key, user = "alice") {
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    accept: "application/json",
  };
  if (token === key) headers["headwater-user"] = user;
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const response = await fetch(url + path, init);
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const { token } = await call("POST", "/v1/user_tokens", { user: "alice" });
const snapshot = (run) => call("GET", `/v1/runs/${run}?wait_ms=20000`, undefined, token);

async function record(name, agent, input, more, steps) {
  const { id } = await call("POST", "/v1/runs", { agent, input, ...more });
  const snapshots = [];
  for (const step of steps) {
    const then = await step(id);
    if (then !== undefined) snapshots.push(then);
  }
  snapshots.push(await snapshot(id));
  for (const [who, credential] of [
    ["user", token],
    ["key", key],
  ]) {
    const { data } = await call("GET", `/v1/runs/${id}/events?limit=1000`, undefined, credential);
    await writeFile(
      new URL(`${name}.${who}.jsonl`, out),
      data.map((event) => JSON.stringify(event) + "\n").join(""),
    );
  }
  await writeFile(new URL(`${name}.snapshots.json`, out), JSON.stringify(snapshots, null, 1) + "\n");
  console.log(name, id);
}

const pick = {
  type: "client",
  name: "pick_file",
  description: "Lets the user pick a file.",
  parameters: { type: "object", properties: { kind: { type: "string" } } },
};
await call("PUT", "/v1/agents/picker", { model: "scripted/tools", tools: [pick] });
await call("PUT", "/v1/agents/careful", { model: "scripted/tools", tools: [{ ...pick, policy: "ask" }] });
await call("PUT", "/v1/agents/clock", {
  model: "scripted/tools",
  tools: [{ type: "builtin", name: "time" }],
});

const pending = async (run) => (await snapshot(run)).pending[0];
const answer = async (run) => {
  const { call: id } = await pending(run);
  await call("POST", `/v1/runs/${run}/calls/${id}/result`, { output: { file: "notes.txt" } });
};
const decide = (decision) => async (run) => {
  const { approval } = await pending(run);
  await call("POST", `/v1/runs/${run}/approvals/${approval}`, decision);
};
const deltas = async (run) => {
  for (;;) {
    const { data } = await call("GET", `/v1/runs/${run}/events?limit=1000`);
    if (data.filter((event) => event.type === "message.delta").length >= 3) return;
  }
};

await record("text", "assistant", "Say a few words, with an umlaut: ä", {}, []);
await record("tools", "clock", "What time is it?", {}, []);
await record("input", "picker", "Which file?", {}, [snapshot, answer]);
await record("approval", "careful", "Which file?", {}, [
  snapshot,
  decide({ decision: "approved", comment: "go ahead" }),
  snapshot,
  answer,
]);
await record("denied", "careful", "Which file?", {}, [
  decide({ decision: "denied", comment: "not that one" }),
]);
await record("failure", "assistant", "Hello", { model: "scripted/fail-provider_rejected" }, []);
await record("cancel", "assistant", "Count", { model: "scripted/tokens-600x100" }, [
  deltas,
  async (run) => void (await call("POST", `/v1/runs/${run}/cancel`, { reason: "seen enough" })),
]);
