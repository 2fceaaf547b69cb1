// What one sees of the reference web client: a conversation, four buttons, and proof that no event is lost.
// The client itself is client.js.

import { Api, ApiError, Cursor, RunStream } from "./client.js";

const AGENT = "assistant";
const KEPT = "headwater.run"; // in sessionStorage: what to pick up again after a reload
const MAX_LOG = 200;

const $ = (id) => document.getElementById(id);

// A real application asks its own backend here, which knows who is logged in and holds the key that makes the token.
// In dev mode the server plays that part, for the user alice.
const api = new Api(async () => {
  const response = await fetch("/dev/token", { method: "POST" });
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => null), null);
  return response.json();
});

let thread = null;
let stream = null;
let answers = new Map(); // message id → what shows it

// ── The conversation ────────────────────────────────────────────────────────────────────────────────────────────────

/** Text goes in as text, never as HTML: a model may write anything. */
function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

function say(role, text) {
  const article = element("article", "");
  article.dataset.role = role;
  const words = element("div", text, { className: "text" });
  article.append(element("h3", role === "user" ? "You" : "Agent"), words);
  $("conversation").append(article);
  article.scrollIntoView({ block: "end" });
  return { article, words, reasoning: null };
}

function answer(message) {
  if (!answers.has(message)) answers.set(message, say("assistant", ""));
  return answers.get(message);
}

function reasoning(message) {
  const shown = answer(message);
  if (!shown.reasoning) {
    const details = element("details", "");
    shown.reasoning = element("div", "");
    details.append(element("summary", "Reasoning"), shown.reasoning);
    shown.words.before(details);
  }
  return shown.reasoning;
}

/** The whole text of a message. The node is only touched if it differs, so that a selection in it survives. */
function whole(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Builds what one sees out of events, and nothing else: whoever replays them sees the same. */
const show = {
  "run.queued": (event) => keep(event.thread, event.run),
  "message.started": (event) => event.role === "assistant" && answer(event.message),
  "message.delta": (event) => answer(event.message).words.append(event.delta),
  "message.completed": (event) => event.role === "assistant" && whole(answer(event.message).words, event.text),
  "reasoning.delta": (event) => reasoning(event.message).append(event.delta),
  "reasoning.completed": (event) => whole(reasoning(event.message), event.text),
  // The model call is made again: what it had said is void.
  "step.reset": (event) => event.messages.forEach((message) => {
    answers.get(message)?.article.remove();
    answers.delete(message);
  }),
  "run.failed": (event) => complain(`The run failed: ${event.message ?? event.error.title} (${event.code})`),
  "run.cancelled": () => complain("The run was stopped."),
};

function onEvent(event) {
  show[event.type]?.(event);
  log(event);
  count();
}

/** The log is no longer whole; the snapshot holds all that it told. */
function onReset(snapshot) {
  for (const message of snapshot.messages.filter((message) => message.role === "assistant")) {
    whole(answer(message.id).words, textOf(message));
  }
  count();
}

const textOf = (message) => message.content.filter((part) => part.type === "text").map((part) => part.text).join("\n");

// ── The stream ──────────────────────────────────────────────────────────────────────────────────────────────────────

function log(event) {
  const told = event.delta ?? event.text ?? event.code ?? event.model ?? "";
  const line = element("li", `${event.seq} ${event.type}${told ? ` ${JSON.stringify(told).slice(0, 80)}` : ""}`);
  $("events").prepend(line);
  while ($("events").children.length > MAX_LOG) $("events").lastElementChild.remove();
}

function count() {
  const { from, last, seen, duplicates, missing, whole } = stream?.cursor ?? new Cursor();
  const numbers = { last, seen, duplicates, missing, connections: stream?.connections ?? 0 };
  for (const [id, number] of Object.entries(numbers)) $(id).textContent = String(number);
  const proof = whole ? `ids ${from + 1} to ${last}, each exactly once` : "events are missing";
  $("proof").textContent = last > from ? proof : "";
  $("proof").dataset.good = String(whole);
}

function onState(state, words) {
  $("state").textContent = words || "no run yet";
  $("state").dataset.state = state;
  $("conversation").setAttribute("aria-busy", String(stream?.active ?? false));
  const active = stream?.active ?? false;
  $("send").disabled = active;
  $("stop").disabled = !active || !stream?.run;
  $("drop").disabled = !active || !stream?.run;
  $("drop").textContent = state === "dropped" ? "Pick it up now" : "Drop the connection";
  if (state === "broken") complain(words);
  count();
}

function complain(words) {
  $("error").textContent = words;
  $("error").hidden = !words;
}

function forget() {
  stream?.close();
  stream = null;
  complain("");
  $("events").replaceChildren();
}

function newStream() {
  forget();
  stream = new RunStream(api, { event: onEvent, reset: onReset, state: onState });
  return stream;
}

/** For a reload of the page; the server keeps everything else. */
function keep(ofThread, run) {
  thread = ofThread;
  sessionStorage.setItem(KEPT, JSON.stringify({ thread, run }));
  onState(stream.state, $("state").textContent); // Which run it is is known now: it can be stopped
}

// ── The buttons ─────────────────────────────────────────────────────────────────────────────────────────────────────

$("form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const input = $("message").value.trim();
  if (!input || stream?.active) return;
  $("message").value = "";
  say("user", input);
  void newStream().start(thread ? `/v1/threads/${thread}/runs` : "/v1/runs", { agent: AGENT, input });
});

$("message").addEventListener("keydown", (key) => {
  if (key.key !== "Enter" || key.shiftKey || key.isComposing) return;
  key.preventDefault();
  $("form").requestSubmit();
});

$("drop").addEventListener("click", () => (stream.state === "dropped" ? stream.pickUp() : stream.drop()));

$("stop").addEventListener("click", () => stream.cancel().catch((error) => complain(error.message)));

$("new").addEventListener("click", () => {
  forget();
  thread = null;
  answers = new Map();
  sessionStorage.removeItem(KEPT);
  $("conversation").replaceChildren();
  onState("idle", "");
  $("message").focus();
});

// ── After a reload ──────────────────────────────────────────────────────────────────────────────────────────────────

/** What was said before, and the last run from its first event on: a replay looks like the original. */
async function comeBack() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (!kept) return;
  try {
    const messages = await api.get(`/v1/threads/${kept.thread}/messages?limit=100`); // The newest first
    for (const message of messages.data.reverse()) {
      if (message.role === "user" || (message.role === "assistant" && message.run !== kept.run)) {
        say(message.role, textOf(message));
      }
    }
  } catch (error) {
    // Its database is gone (`--reset`), say: begin anew.
    if (error.status === 404) return sessionStorage.removeItem(KEPT);
    return complain(error.message);
  }
  thread = kept.thread;
  await newStream().attach(kept.run);
}

onState("idle", "");
void comeBack();
