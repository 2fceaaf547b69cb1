#!/usr/bin/env node
// Whether railway.json and .railway/railway.ts say the same of the service `headwater`, and nothing that cannot work.
//
//   node deploy/check.mjs            with Node 20 and nothing else
//   node deploy/check.mjs --types    and what TypeScript and Railway's own package say of railway.ts; both come from npm, into a
//                                    folder that is removed again. Without network: NOT CHECKED, which is no failure
//
// railway.ts is read as the JavaScript that it also is: it has no types in it. Its one import is replaced by the stand-ins below,
// and what is left is imported as a module. So nothing is stripped that could be stripped wrongly, and a type that somebody
// writes into it is an error that says so. `--types` shows that the stand-ins stand for what Railway's package does.
//
// Ends with 1 if something differs or is wrong, and says what.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const JSON_FILE = "railway.json";
const TS_FILE = ".railway/railway.ts";
const SERVER = "headwater";
const WAKER = "waker";
// What railway.ts was written against.
const PACKAGES = ["typescript@5.9", "railway@3.11"];

const findings = [];
const finding = (where, words) => findings.push(`${where}: ${words}`);

// ── What may be set, and to what ─────────────────────────────────────────────────────────────────────────────────────

const text = (value) => (typeof value === "string" && value.trim() !== "" ? null : "wants a text");
const texts = (value) =>
  Array.isArray(value) && value.length > 0 && !value.some(text) ? null : "wants a list of texts";
const flag = (value) => (typeof value === "boolean" ? null : "wants true or false");
const whole = (least, most) => (value) =>
  Number.isInteger(value) && value >= least && value <= most ? null : `wants a whole number from ${least} to ${most}`;
const oneOf = (...allowed) => (value) => (allowed.includes(value) ? null : `wants ${allowed.join(" or ")}`);
const limits = (value) =>
  isObject(value) && isObject(value.containers) && Object.keys(value).length === 1
    ? null
    : "wants { containers: { cpu, memoryBytes } }";

const FIELDS = {
  build: { builder: oneOf("DOCKERFILE"), dockerfilePath: text, watchPatterns: texts },
  deploy: {
    startCommand: text,
    preDeployCommand: texts,
    healthcheckPath: oneOf("/readyz", "/healthz"),
    healthcheckTimeout: whole(1, 3600),
    numReplicas: whole(1, 50),
    sleepApplication: flag,
    drainingSeconds: whole(0, 3600),
    overlapSeconds: whole(0, 3600),
    restartPolicyType: oneOf("ON_FAILURE", "ALWAYS", "NEVER"),
    restartPolicyMaxRetries: whole(0, 1000),
    cronSchedule: text,
    limitOverride: limits,
  },
};

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `{ build, deploy }` and nothing else. */
function checkFields(where, settings) {
  for (const [section, values] of Object.entries(settings)) {
    const fields = Object.hasOwn(FIELDS, section) ? FIELDS[section] : null;
    if (!fields || !isObject(values)) {
      finding(where, `${section} is none of ${Object.keys(FIELDS).join(", ")}`);
      continue;
    }
    for (const [name, value] of Object.entries(values)) {
      const wrong = Object.hasOwn(fields, name) ? fields[name](value) : "is a field that this check does not know";
      if (wrong) finding(where, `${section}.${name} ${wrong}, and is ${JSON.stringify(value)}`);
    }
  }
}

// ── The two files ────────────────────────────────────────────────────────────────────────────────────────────────────

function readJson() {
  let file;
  try {
    file = JSON.parse(readFileSync(join(ROOT, JSON_FILE), "utf8"));
  } catch (error) {
    finding(JSON_FILE, `is not JSON: ${error.message}`);
    return null;
  }
  if (!isObject(file)) {
    finding(JSON_FILE, "wants an object");
    return null;
  }
  const { $schema, ...settings } = file;
  if ($schema !== undefined && text($schema)) finding(JSON_FILE, "$schema wants a text");
  return settings;
}

/** What railway.ts takes from `railway/iac`, as far as this check has to know it. */
const STAND_INS = {
  defineRailway: (program) => program,
  project: (name, { resources }) => ({ name, resources: resources.flat() }),
  service: (name, config) => ({ type: "service", name, config }),
  postgres: (name) => ({ type: "database", name, env: new Proxy({}, { get: (_, key) => `\${{${name}.${String(key)}}}` }) }),
  preserve: () => ({ type: "preserve" }),
};

/** The resources that railway.ts describes. */
async function readTs() {
  if (!existsSync(join(ROOT, TS_FILE))) {
    finding(TS_FILE, "is not there");
    return null;
  }
  const source = readFileSync(join(ROOT, TS_FILE), "utf8");
  const imports = [...source.matchAll(/^import\s*\{([^}]*)\}\s*from\s*"railway\/iac";$/gm)];
  if (imports.length !== 1 || /^import\b/m.test(source.replace(imports[0][0], ""))) {
    finding(TS_FILE, 'wants exactly one import, { … } from "railway/iac"');
    return null;
  }
  const names = imports[0][1].split(",").map((name) => name.trim()).filter(Boolean);
  const unknown = names.filter((name) => !Object.hasOwn(STAND_INS, name));
  if (unknown.length > 0) {
    finding(TS_FILE, `takes ${unknown.join(", ")} from railway/iac, for which this check has no stand-in`);
    return null;
  }
  const key = "headwater.deploy.check";
  globalThis[Symbol.for(key)] = STAND_INS;
  const script = source.replace(imports[0][0], `const { ${names.join(", ")} } = globalThis[Symbol.for("${key}")];`);
  try {
    const module = await import(`data:text/javascript;base64,${Buffer.from(script).toString("base64")}`);
    // Railway's CLI passes an empty object too.
    return (await module.default({})).resources;
  } catch (error) {
    const advice = error instanceof SyntaxError ? "; it has to be JavaScript too, without types" : "";
    finding(TS_FILE, `cannot be read: ${error.message}${advice}`);
    return null;
  }
}

/** A service of railway.ts as the sections of railway.json, and its variables. */
function settingsOf(resources, name) {
  const where = `${TS_FILE}, ${name}`;
  const found = resources.filter((resource) => resource.type === "service" && resource.name === name);
  if (found.length !== 1) {
    finding(TS_FILE, `has ${found.length} services ${name}`);
    return null;
  }
  const { build, deploy, env = {}, source, ...others } = found[0].config;
  for (const other of Object.keys(others)) {
    finding(where, `${other} is not looked at here; say it within build, deploy, env or source`);
  }
  if (!isObject(build) || !isObject(deploy)) {
    finding(where, "wants build and deploy");
    return null;
  }
  checkFields(where, { build, deploy });
  return { where, build, deploy, env };
}

// ── What has to be true ──────────────────────────────────────────────────────────────────────────────────────────────

function checkSame(json, ts) {
  for (const section of Object.keys(FIELDS)) {
    const [left, right] = [json[section] ?? {}, ts[section] ?? {}];
    for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
      const [a, b] = [left[name], right[name]].map(sorted);
      if (a !== b) finding("the two differ", `${section}.${name} is ${a} in ${JSON_FILE} and ${b} in ${TS_FILE}`);
    }
  }
}

/** A command line that Railway starts in the image: no shell, no entry point. */
function checkCommand(where, name, line, subcommand) {
  if (line !== undefined && !new RegExp(`^headwater ${subcommand}( [^$]*)?$`).test(line)) {
    finding(where, `deploy.${name} wants "headwater ${subcommand}", and is ${JSON.stringify(line)}`);
  }
}

function checkServer({ where, build, deploy, env }) {
  if (!existsSync(join(ROOT, build.dockerfilePath ?? "Dockerfile"))) finding(where, `there is no ${build.dockerfilePath}`);
  checkCommand(where, "startCommand", deploy.startCommand ?? "", "serve");
  for (const line of [deploy.preDeployCommand ?? ""].flat()) checkCommand(where, "preDeployCommand", line, "migrate");
  const drain = /^drain_ms = (\d+)$/m.exec(readFileSync(join(ROOT, "config/default.toml"), "utf8"));
  if (!drain) finding("config/default.toml", "has no server.drain_ms any more, which drainingSeconds has to be longer than");
  else if (!(deploy.drainingSeconds * 1000 > Number(drain[1]))) {
    finding(where, `deploy.drainingSeconds has to be longer than server.drain_ms, which is ${drain[1]} ms`);
  }
  const quiet = env.HEADWATER__PROFILE === "railway";
  if (deploy.sleepApplication === true && !quiet) finding(where, 'sleeps only with HEADWATER__PROFILE: "railway"');
  if (deploy.sleepApplication !== true && quiet) {
    finding(where, "goes quiet, and nothing puts it to sleep: deploy.sleepApplication is not true");
  }
}

function checkWaker({ where, deploy, env }, server) {
  checkCommand(where, "startCommand", deploy.startCommand ?? "", "wake");
  // Railway takes no less than 5 minutes, and who was not seen for an hour wakes nobody.
  const every = Number(/^\*\/(\d+) \* \* \* \*$/.exec(deploy.cronSchedule ?? "")?.[1]);
  if (!(every >= 5 && every <= 30)) finding(where, 'deploy.cronSchedule wants "*/N * * * *" with N from 5 to 30');
  for (const name of ["healthcheckPath", "sleepApplication", "preDeployCommand"]) {
    if (deploy[name] !== undefined) finding(where, `deploy.${name} is nothing for a command that ends`);
  }
  const url = `http://\${{${SERVER}.RAILWAY_PRIVATE_DOMAIN}}:${server.env.PORT}`;
  if (env.HEADWATER_URL !== url && !String(env.HEADWATER_URL).startsWith("https://")) {
    finding(where, `HEADWATER_URL wants ${url}, or a public https:// URL`);
  }
}

// ── What others say ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Runs TypeScript and Railway's package on railway.ts. Answers with why it could not, or null. */
async function checkTypes(resources) {
  const folder = mkdtempSync(join(tmpdir(), "headwater-railway-"));
  const run = (program, args) => spawnSync(program, args, { cwd: folder, encoding: "utf8" });
  try {
    writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
    const quick = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000"];
    const npm = run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", ...quick, ...PACKAGES]);
    if (npm.error) return `npm cannot be run (${npm.error.code})`;
    if (npm.status !== 0) {
      const said = `${npm.stderr}${npm.stdout}`;
      const network = /\b(ENOTFOUND|EAI_AGAIN|ECONN\w+|ENETUNREACH|EHOSTUNREACH|E\w*TIMEDOUT|ERR_SOCKET_TIMEOUT|ENOTCACHED)\b/;
      const code = network.exec(said);
      if (code) return `no network (${code[0]})`;
      finding("npm", said.trim().split("\n").slice(0, 3).join(" "));
      return null;
    }
    mkdirSync(join(folder, ".railway"));
    copyFileSync(join(ROOT, TS_FILE), join(folder, TS_FILE));
    const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"];
    const tsc = run(process.execPath, ["node_modules/typescript/bin/tsc", ...options, TS_FILE]);
    if (tsc.status !== 0) {
      finding("tsc --noEmit --strict", `${tsc.stdout}${tsc.stderr}`.trim());
      return null;
    }

    // The same text once more, with the package itself. It makes of build and deploy what is sent to Railway.
    copyFileSync(join(ROOT, TS_FILE), join(folder, "railway.mjs"));
    const module = await import(pathToFileURL(join(folder, "railway.mjs")).href);
    const real = await module.default({});
    for (const { type, name, config } of resources) {
      const theirs = real.resources.find((resource) => resource.type === type && resource.name === name);
      if (!theirs) finding("railway/iac", `makes no ${type} ${name}`);
      else if (type === "service") {
        for (const section of Object.keys(FIELDS)) {
          const [ours, made] = [config[section], theirs[section]].map(sorted);
          if (ours !== made) finding("railway/iac", `makes of ${name}'s ${section} ${made}, where this check reads ${ours}`);
        }
      }
    }
    return null;
  } catch (error) {
    finding("railway/iac", `does not take ${TS_FILE}: ${error.message}`);
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As JSON, whatever the order of the keys. */
function sorted(value) {
  const inOrder = (_, part) => (isObject(part) ? Object.fromEntries(Object.entries(part).sort()) : part);
  return value === undefined ? "nothing" : JSON.stringify(value, inOrder);
}

// ── All of it ────────────────────────────────────────────────────────────────────────────────────────────────────────

const args = process.argv.slice(2);
if (args.some((arg) => arg !== "--types")) {
  console.error("usage: node deploy/check.mjs [--types]");
  process.exit(2);
}

const said = [];
const resources = await readTs();
const server = resources && settingsOf(resources, SERVER);
if (server) {
  checkServer(server);
  if (server.deploy.sleepApplication === true) {
    const waker = settingsOf(resources, WAKER);
    if (waker) checkWaker(waker, server);
  }
}
if (!existsSync(join(ROOT, JSON_FILE))) {
  said.push(`there is no ${JSON_FILE}, which Railway does not read any more; ${TS_FILE} is all right`);
} else {
  const json = readJson();
  if (json) checkFields(JSON_FILE, json);
  if (json && server) checkSame(json, server);
  said.push(`${JSON_FILE} and ${TS_FILE} say the same of ${SERVER}`);
}
if (args.includes("--types") && resources) {
  const why = await checkTypes(resources);
  said.push(why ? `types: NOT CHECKED, ${why}` : "types: tsc --noEmit --strict and railway/iac agree");
}

if (findings.length > 0) {
  for (const words of findings) console.error(words);
  process.exit(1);
}
for (const words of said) console.log(words);
