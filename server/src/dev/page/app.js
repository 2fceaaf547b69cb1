// What one sees of the reference web client: a conversation, the calls of tools in it and what a person is asked about
// them, four buttons, and proof that no event is lost. The client itself is client.js.

import {
  answerOf, Api, ApiError, callsAfter, callsOf, Cursor, decisionOf, eventsOf, pretty, RunStream,
} from "./client.js";

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
let calls = new Map(); // call id → call, as client.js has it
let blocks = new Map(); // call id → what shows it
let followed = new Map(); // run id → the stream of a run that carries out a call

// ── The conversation ────────────────────────────────────────────────────────────────────────────────────────────────

/** Text goes in as text, never as HTML: a model may write anything. */
function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

function say(role, text, home = $("conversation")) {
  const article = element("article", "");
  article.dataset.role = role;
  const words = element("div", text, { className: "text" });
  article.append(element("h3", role === "user" ? "You" : "Agent"), words);
  home.append(article);
  article.scrollIntoView({ block: "end" });
  return { article, words, reasoning: null };
}

function answer(message, home) {
  if (!answers.has(message)) answers.set(message, say("assistant", "", home));
  return answers.get(message);
}

function reasoning(message, home) {
  const shown = answer(message, home);
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
  "message.started": (event, home) => event.role === "assistant" && answer(event.message, home),
  "message.delta": (event, home) => answer(event.message, home).words.append(event.delta),
  "message.completed": ({ role, message, text }, home) => role === "assistant" && whole(answer(message, home).words, text),
  "reasoning.delta": (event, home) => reasoning(event.message, home).append(event.delta),
  "reasoning.completed": (event, home) => whole(reasoning(event.message, home), event.text),
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
  showCalls(callsAfter(calls, event));
  if (event.type === "sub_run.started") follow(event);
  log(event);
  count();
}

/** What another agent does for a call shows inside of that, and what it asks is decided there. */
function follow({ call, sub_run: run }) {
  if (followed.has(run) || !blocks.has(call)) return;
  const home = blocks.get(call).below;
  const event = (event) => {
    if (!event.type.startsWith("run.")) show[event.type]?.(event, home); // How it ended the call itself tells
    showCalls(callsAfter(calls, event));
    if (event.type === "sub_run.started") follow(event);
  };
  const reset = (snapshot) => onReset(snapshot, home);
  followed.set(run, new RunStream(api, { event, reset }));
  void followed.get(run).attach(run);
}

/** The log is no longer whole; the snapshot holds all that it told. */
function onReset(snapshot, home) {
  for (const message of snapshot.messages.filter((message) => message.role === "assistant")) {
    whole(answer(message.id, home).words, textOf(message));
  }
  const others = [...calls].filter(([, call]) => call.run !== snapshot.id);
  showCalls(new Map([...others, ...callsOf(snapshot.messages, snapshot.pending)]));
  // It names the approvals and no more.
  void askAgain(`run=${snapshot.id}`).catch((error) => complain(error.message));
  count();
}

const textOf = (message) => message.content.filter((part) => part.type === "text").map((part) => part.text).join("\n");

// ── Calls of tools ──────────────────────────────────────────────────────────────────────────────────────────────────

const STATES = {
  writing: "being written", called: "under way", asked: "waits for a decision", input: "waits for an answer",
  running: "running", completed: "done", failed: "failed", denied: "denied",
};

/** Shows what has changed, and only that: somebody may be writing in one of the fields. */
function showCalls(next) {
  const before = calls;
  calls = next;
  for (const id of [...before.keys()].filter((id) => !calls.has(id))) {
    blocks.get(id)?.section.remove();
    blocks.delete(id);
  }
  for (const [id, call] of calls) if (before.get(id) !== call) showCall(call);
  if (before !== calls) busy();
}

function showCall(call) {
  if (!blocks.has(call.call)) blocks.set(call.call, beginCall(call));
  const { section, state, args, progress, questions, input, result } = blocks.get(call.call);
  section.dataset.state = call.state;
  whole(state, STATES[call.state]);
  const question = call.approvals.find((asked) => asked.decision === null);
  const asks = call.state === "asked" && question !== undefined;
  // What can be edited is in a field already.
  const edited = asks && question.kind === "tool" && question.args !== null && mayDecide(question);
  const text = call.args === null ? call.written : pretty(call.args);
  fill(args, `${edited} ${text}`, () => (edited ? [] : [folded("Arguments", text || "(not shown)")]));
  const moving = call.state === "running" && call.progress;
  fill(progress, moving ? JSON.stringify(moving) : "", () => (moving ? progressOf(moving) : []));
  const told = call.approvals.map((asked) => [asked.approval, asked.decision]);
  fill(questions, JSON.stringify([asks, told]), () => [
    ...call.approvals.filter((asked) => asked.decision !== null).flatMap(decidedOf),
    ...(asks ? [mayDecide(question) ? questionOf(call, question) : notYoursOf(question)] : []),
  ]);
  fill(input, call.state === "input", () => (call.state === "input" ? [inputOf(call)] : []));
  fill(result, `${call.state} ${call.approvals.length}`, () => resultOf(call));
}

function beginCall(call) {
  const section = element("section", "", { className: "call", tabIndex: -1, ariaLabel: `Call of ${call.name}` });
  const state = element("span", "", { className: "state" });
  const title = element("h4", "");
  title.append(element("code", call.name), " ", state);
  const [args, progress, below, questions, input, result] = Array.from({ length: 6 }, () => element("div", ""));
  // Beside the fields, not in them: it stays when what was asked has been decided elsewhere.
  const alert = element("p", "", { className: "alert", hidden: true });
  alert.setAttribute("role", "alert");
  section.append(title, args, progress, below, questions, input, result, alert);
  answer(call.message).article.append(section);
  section.scrollIntoView({ block: "nearest" });
  return { section, state, args, progress, below, questions, input, result, alert };
}

/** Makes the content anew if `key` says that it differs. */
function fill(node, key, make) {
  if (node.shownKey === key) return;
  node.shownKey = key;
  node.replaceChildren(...make());
}

/** Much text is closed at first. */
function folded(name, text, open = text.length <= 400 && text.split("\n").length <= 12) {
  const details = element("details", "", { open });
  details.append(element("summary", name), element("pre", text, { tabIndex: 0, ariaLabel: name }));
  return details;
}

function progressOf({ progress, total, message }) {
  const bar = element("progress", "", { ariaLabel: "Progress" });
  if (total > 0) Object.assign(bar, { max: total, value: Math.min(progress, total) });
  const numbers = total === null ? String(progress) : `${progress} of ${total}`;
  return [bar, element("span", ` ${numbers}${message ? `: ${message}` : ""}`)];
}

function resultOf({ state, output, artifact, error, by, comment, approvals }) {
  const note = (words) => [element("p", words)];
  if (state === "failed") return note(error ? `${error.detail ?? error.title} (${error.code})` : "It failed.");
  if (state === "denied" && by === null) return note("The agent's policy does not permit it.");
  // Else the decision has said so; but messages tell of a comment and no decision.
  if (state === "denied") return approvals.length || !comment ? [] : note(`“${comment}”`);
  if (state !== "completed" || output === null || output === undefined) return [];
  const text = typeof output === "string" ? output : pretty(output);
  const shown = folded(artifact ? "Output, an excerpt" : "Output", text);
  return artifact ? [shown, ...note(`The whole is artifact ${artifact}.`)] : [shown];
}

const DECIDED = {
  approved: "Approved", denied: "Denied", cancelled: "The run was cancelled", expired: "Not decided in time",
};
const ACTORS = { user: "the user", tenant: "the tenant", operator: "the operator" };

function decidedOf({ kind, args, decision, by, edited_args: edited, comment, remember }) {
  const words = [DECIDED[decision] ?? decision];
  if (kind === "unknown_outcome" && decision === "approved") words[0] = "To be done again, said";
  if (kind === "unknown_outcome" && decision === "denied") words[0] = "Not to be done again, said";
  if (by && ACTORS[by.type]) words.push(words[0].endsWith("said") ? ACTORS[by.type] : `by ${ACTORS[by.type]}`);
  if (edited) words.push("with other arguments");
  if (remember === "thread") words.push("for the rest of this thread");
  const line = element("p", `${words.join(" ")}${comment ? `: “${comment}”` : "."}`, { className: "decided" });
  return edited && args ? [line, folded("Arguments that were asked about", pretty(args), false)] : [line];
}

/** The page has a user's token. */
const mayDecide = ({ deciders }) => deciders.includes("user");

function notYoursOf({ message }) {
  return element("p", `${message} That is not for you to decide; the answer shows here.`);
}

/** A field under its name. */
function field(name, control) {
  const label = element("label", "");
  label.append(element("span", name), control);
  return label;
}

function button(name, press) {
  const made = element("button", name, { type: "button" });
  made.addEventListener("click", () => press(made));
  return made;
}

/** A group of fields and buttons. No form: Enter in a comment must not approve anything. */
function group(name, ...content) {
  const fieldset = element("fieldset", "");
  fieldset.append(element("legend", name), ...content);
  return fieldset;
}

function row(...buttons) {
  const div = element("div", "", { className: "row" });
  div.append(...buttons);
  return div;
}

function area(value, rows = Math.min(value.split("\n").length, 14)) {
  return element("textarea", "", { value, rows, spellcheck: false });
}

function questionOf(call, asked) {
  const tool = asked.kind === "tool";
  const original = asked.args === null ? null : pretty(asked.args);
  const args = tool && original !== null ? area(original) : null;
  const comment = element("input", "", { type: "text", maxLength: 4096 });
  const thread = element("input", "", { type: "checkbox" });
  const output = area("", 2);
  // One or the other: what is permitted for the thread is the tool, not these arguments.
  args?.addEventListener("input", () => {
    thread.disabled = args.value !== original;
    args.ariaInvalid = null;
  });
  thread.addEventListener("change", () => args && (args.readOnly = thread.checked));
  const decide = (decision) => (pressed) => send(call, pressed, args, () => {
    const fields = { args: args?.value, comment: comment.value, thread: thread.checked && !thread.disabled };
    const body = decisionOf(asked, decision, { ...fields, output: output.value });
    return api.post(`/v1/runs/${call.run}/approvals/${asked.approval}`, body);
  });
  const remember = element("label", "", { className: "check" });
  remember.append(thread, element("span", "For the rest of this thread (not with other arguments)"));
  return group(
    asked.message,
    element("p", `Until ${new Date(asked.expires_at).toLocaleString()}.`, { className: "note" }),
    ...(args ? [field("Arguments (may be edited)", args)] : []),
    ...(tool ? [] : [field("With “Do not do it again”: what it is known to have answered, if anything", output)]),
    field("Comment", comment),
    ...(tool ? [remember] : []),
    row(
      button(tool ? "Approve" : "Do it again", decide("approved")),
      button(tool ? "Deny" : "Do not do it again", decide("denied")),
      button("Cancel the run", decide("cancelled")),
    ),
  );
}

/** The tenant's own application answers such a call; here a person plays it. */
function inputOf(call) {
  const text = area("", 3);
  text.addEventListener("input", () => (text.ariaInvalid = null));
  const give = (made) => (pressed) => send(call, pressed, text, () => {
    if (!text.value.trim()) throw new SyntaxError("Write what it answers first; null is an answer too.");
    return api.post(`/v1/runs/${call.run}/tool_outputs`, { tool_outputs: [{ call: call.call, ...made(text.value) }] });
  });
  return group(
    `You are the application: what does ${call.name} answer?`,
    field("JSON, or else plain text", text),
    row(
      button("Answer", give((text) => ({ output: answerOf(text) }))),
      button("It failed, for this reason", give((error) => ({ error }))),
    ),
  );
}

/** Sends it once. What becomes of it is for the stream to tell; only a refusal is told here, where it was asked. */
async function send(call, pressed, checked, act) {
  const { section, state, alert } = blocks.get(call.call);
  const fieldset = pressed.closest("fieldset");
  const tell = (words) => Object.assign(alert, { textContent: words, hidden: !words });
  tell("");
  try {
    const sent = act(); // Throws before anything is sent, if what was written will not do
    fieldset.disabled = true;
    await sent;
    if (fieldset.isConnected) whole(state, "sent"); // It may be that the run waits for others too
    // The button is about to go; whoever came by keyboard is still at the call.
    if (section.isConnected) section.focus({ preventScroll: true });
  } catch (error) {
    fieldset.disabled = false;
    tell(error instanceof ApiError ? `The server refused: ${error.message}` : error.message);
    const mistaken = error instanceof SyntaxError && checked;
    if (mistaken) checked.ariaInvalid = "true";
    (mistaken ? checked : fieldset.isConnected ? pressed : section).focus();
  }
}

/** Approvals as the API has them, for what no event will tell of. */
async function askAgain(query) {
  const { data } = await api.get(`/v1/approvals?${query}&limit=100&order=asc`);
  showCalls(data.flatMap(eventsOf).reduce(callsAfter, calls));
}

// ── The stream ──────────────────────────────────────────────────────────────────────────────────────────────────────

function log(event) {
  const { delta, text, code, model, name, decision } = event;
  const told = delta ?? text ?? code ?? model ?? name ?? decision ?? "";
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
  busy();
  const active = stream?.active ?? false;
  $("send").disabled = active;
  $("stop").disabled = !active || !stream?.run;
  $("drop").disabled = !active || !stream?.run;
  $("drop").textContent = state === "dropped" ? "Pick it up now" : "Drop the connection";
  if (state === "broken") complain(words);
  count();
}

/** While it is busy, what is new in it is not read out; and a question must be. */
function busy() {
  const waits = [...calls.values()].some((call) => call.state === "asked" || call.state === "input");
  $("conversation").setAttribute("aria-busy", String((stream?.active ?? false) && !waits));
}

function complain(words) {
  $("error").textContent = words;
  $("error").hidden = !words;
}

function forget() {
  stream?.close();
  stream = null;
  for (const other of followed.values()) other.close();
  followed = new Map();
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
  [answers, calls, blocks] = [new Map(), new Map(), new Map()];
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
    const before = messages.data.reverse().filter(({ role, run }) => role === "user" || run !== kept.run);
    for (const message of before) {
      if (message.role === "user") say("user", textOf(message));
      if (message.role === "assistant") whole(answer(message.id).words, textOf(message));
    }
    showCalls(callsOf(before));
    if (calls.size) await askAgain(`thread=${kept.thread}`);
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
