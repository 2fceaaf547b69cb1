/** A run followed while its server is killed, and started again. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, test } from "vitest";
import { Headwater } from "headwater";
import { PROGRAM, Stage } from "./harness.ts";
import { eventsOf, words } from "./timeline.ts";

const LISTENS = "listening on ";
const data = mkdtempSync(join(tmpdir(), "headwater-restart-"));
// For root, Postgres runs as somebody else.
chmodSync(data, 0o711);
let server: ChildProcess | undefined;

/** Starts a server in dev mode on that data; its address. */
async function start(port: string): Promise<string> {
  // What sets up the other server is none of this one's.
  const known = (name: string) => /^(HEADWATER_|DATABASE_|OPENAI_|PORT$)/.test(name);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !known(name)));
  server = spawn(PROGRAM, ["dev", "--port", port, "--data-dir", data], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: server.stdout as NodeJS.ReadableStream }))
    if (line.startsWith(LISTENS)) return line.slice(LISTENS.length);
  throw new Error("the server does not start");
}

async function end(signal: NodeJS.Signals): Promise<void> {
  if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const exit = once(server, "exit");
  server.kill(signal);
  await exit;
}

afterAll(async () => {
  await end("SIGTERM");
  rmSync(data, { recursive: true, force: true });
});

test.skipIf(PROGRAM === "")(
  "a run is followed while its server is killed and started again",
  { timeout: 180_000 },
  async () => {
    const baseUrl = await start("0");
    const apiKey =
      /^HEADWATER_API_KEY='?([^'\n]+)/m.exec(readFileSync(join(data, "dev.env"), "utf8"))?.[1] ?? "";
    const api = new Headwater({ baseUrl, apiKey, user: "alice" });
    const run = await api.runs.create({
      agent: "assistant",
      input: "Count",
      model: "scripted/tokens-200x60",
    });
    const stage = await Stage.open(baseUrl);
    try {
      const page = await stage.enter(apiKey, `#/runs/${run.id}`);
      await page.locator(".msg .words", { hasText: "tok20" }).waitFor();
      await end("SIGKILL");
      expect(await start(new URL(baseUrl).port)).toBe(baseUrl);
      await page.locator("h1 .badge", { hasText: "completed" }).waitFor({ timeout: 120_000 });
      const last = await api.runs.get(run.id);
      expect(await eventsOf(page)).toBe(last.as_of_seq);
      // What was said before the server died is there, then a part of it once more: the last attempt is the answer.
      expect((await words(page)).endsWith(last.result?.text ?? "?")).toBe(true);
    } finally {
      await stage.close();
    }
    expect(stage.offences).toEqual([]);
  },
);
