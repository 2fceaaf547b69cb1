// The reference web client of Headwater: user tokens, runs, and streams that go on wherever they were cut.
//
// It knows no document, so that it can be read, tested and copied without this page. What it shows:
//   Api         a call with a user token that is renewed in time, and repeated only if that is safe
//   SseParser   text/event-stream from the bytes of a fetch, cut anywhere
//   Cursor      every event once, in order, and proof of it
//   RunStream   the life of a stream: fetch for the POST, then tickets and EventSource for whatever is left
//   callsAfter  what the events say about calls of tools; decisionOf and answerOf, what a person says about them

/** The server said no: `problem` is its application/problem+json. */
export class ApiError extends Error {
  constructor(status, problem, retryAfterMs) {
    super(problem?.detail || problem?.title || `status ${status}`);
    this.status = status;
    this.code = problem?.code ?? null;
    this.retryable = problem?.retryable ?? [502, 503, 504].includes(status);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Calls of the API as one user. */
export class Api {
  #getToken;
  #token = null;
  #asking = null;

  /** `getToken` asks the application's own backend, which holds the key, for `{token, expires_at}`. */
  constructor(getToken) {
    this.#getToken = getToken;
  }

  /** A token that is good for at least half a minute. Whoever asks while one is on its way waits for that one. */
  async #bearer() {
    const left = this.#token ? Date.parse(this.#token.expires_at) - Date.now() : 0;
    if (left < 30_000) {
      this.#asking ??= this.#getToken().finally(() => (this.#asking = null));
      this.#token = await this.#asking;
    }
    return this.#token.token;
  }

  /** One request. A token that the server no longer takes is renewed, once. Throws ApiError unless it went well. */
  async fetch(path, { method = "GET", body, accept = "application/json", idempotencyKey, signal } = {}) {
    for (let renewed = false; ; renewed = true) {
      const headers = { Accept: accept, Authorization: `Bearer ${await this.#bearer()}` };
      if (body !== undefined) headers["Content-Type"] = "application/json";
      if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
      const response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
      if (response.ok) return response;
      const problem = await response.json().catch(() => null);
      if (response.status === 401 && !renewed) {
        this.#token = null;
        continue;
      }
      throw new ApiError(response.status, problem, retryAfterMs(response.headers));
    }
  }

  /** One object. */
  async get(path) {
    return parseJson(await (await this.fetch(path)).text());
  }

  /** A POST, repeated under one Idempotency-Key until it is known what came of it. */
  async post(path, body = {}) {
    const idempotencyKey = newKey();
    return retrying(async () => (await this.fetch(path, { method: "POST", body, idempotencyKey })).json());
  }
}

/** 128 random bits. (crypto.randomUUID is not there on plain http, except on localhost.) */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function retryAfterMs(headers) {
  const ms = headers.get("Retry-After-Ms") ?? Number(headers.get("Retry-After") ?? NaN) * 1000;
  return Number.isFinite(Number(ms)) ? Number(ms) : null;
}

/**
 * JSON, in which an integer that no double holds stays as it is written, where the browser can: two orders with long
 * numbers must not become one on the way past a person's eyes. It is for showing and sending, not for counting.
 */
export function parseJson(text) {
  return JSON.parse(text, (_, value, context) => {
    const lost = Number.isInteger(value) && !Number.isSafeInteger(value) && context?.source && JSON.rawJSON;
    return lost ? JSON.rawJSON(context.source) : value;
  });
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** 0.5, 1, 2, 4, 8 s and a bit, so that not all clients come back at once. */
const backoff = (failed) => Math.min(500 * 2 ** (failed - 1), 8000) * (1 + Math.random() / 2);

/** Does it again after trouble that may pass: no answer at all, or one that says so. */
async function retrying(act, attempts = 5) {
  for (let failed = 1; ; failed++) {
    try {
      return await act();
    } catch (error) {
      const passing = error instanceof ApiError ? error.retryable : error instanceof TypeError; // fetch: network
      if (!passing || failed >= attempts) throw error;
      await sleep(error.retryAfterMs ?? backoff(failed));
    }
  }
}

/**
 * text/event-stream as it is specified, from chunks that may end anywhere: within a line, between CR and LF, within
 * a character. EventSource does the same inside the browser, but can only GET.
 */
export class SseParser {
  #decoder = new TextDecoder();
  #rest = "";
  #afterCr = false;
  #frame = { event: "message", id: null, data: [] };
  /** What the server last asked for as the pause before a reconnect. */
  retryMs = null;

  /** Takes bytes, gives the frames that are whole by now: `{event, id, data}`, `id` null where the frame has none. */
  push(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true }); // keeps half a character for the next chunk
    if (text === "") return [];
    const joined = this.#afterCr && text.startsWith("\n") ? text.slice(1) : text; // CR had ended that line already
    this.#afterCr = text.endsWith("\r");
    const lines = (this.#rest + joined).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    return lines.map((line) => this.#line(line)).filter((frame) => frame !== null);
  }

  #line(line) {
    const frame = this.#frame;
    if (line === "") {
      this.#frame = { event: "message", id: null, data: [] };
      return frame.data.length ? { ...frame, data: frame.data.join("\n") } : null;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") frame.data.push(value);
    else if (field === "event") frame.event = value;
    else if (field === "id" && !value.includes("\0")) frame.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return null; // Also for ": a comment", such as the heartbeat
  }
}

/** Where a reader stands in a run's log, whose events are numbered 1, 2, 3 … without a gap. */
export class Cursor {
  /** What a snapshot told, and no event; 0 unless the log had to be begun anew. */
  from = 0;
  last = 0;
  seen = 0;
  duplicates = 0;
  missing = 0;

  /** Whether this event is new. What comes twice is counted and is not. */
  accept(seq) {
    if (seq <= this.last) {
      this.duplicates += 1;
      return false;
    }
    // Never happens but in a log that has been compacted (a day after the run's end): its deltas are gone then.
    this.missing += seq - this.last - 1;
    this.last = seq;
    this.seen += 1;
    return true;
  }

  /** The log before this event is gone; a snapshot took its place. */
  reset(seq) {
    this.from = this.last = seq;
    this.seen = this.missing = 0;
  }

  /** Whether every event after `from` has been seen, each exactly once. */
  get whole() {
    return this.missing === 0 && this.seen === this.last - this.from;
  }
}

const TERMINAL = new Set(["run.completed", "run.failed", "run.cancelled"]);

// EventSource hands out named events only to whoever knows their names, so these are all there are in v1.
// (A client that must not miss types of a later release reads the stream with fetch and SseParser instead.)
const TYPES = [
  "run.queued", "run.started", "run.suspended", "run.resumed", ...TERMINAL,
  "step.started", "step.finished", "step.reset",
  "message.started", "message.delta", "message.completed",
  "reasoning.started", "reasoning.delta", "reasoning.completed",
  "tool.started", "tool.args.delta", "tool.args", "tool.progress", "tool.completed", "tool.failed", "tool.denied",
  "sub_run.started", "sub_run.finished", "approval.requested", "approval.resolved",
  "cost.estimated", "model.started", "cost.settled", "budget.warning", "throttled", "artifact", "custom", "hidden",
  "stream.caught_up", "stream.closing", "stream.reset",
];

/**
 * One run, from the request to its last event, over as many connections as it takes.
 *
 * `on.event(event)` is told each event of the log once and in order, `on.reset(snapshot)` that the stream begins anew
 * from a snapshot, `on.state(name, words)` how it goes: connecting, live, dropped, waiting, over, broken.
 */
export class RunStream {
  cursor = new Cursor();
  run = null;
  connections = 0;
  state = "idle";
  #api;
  #on;
  #close = () => {}; // ends the connection of the moment
  #timer = null; // a pick-up that is planned
  #turn = 0; // each connection has a number; what an old one still brings is not listened to
  #failed = 0;

  constructor(api, on) {
    this.#api = api;
    this.#on = on;
  }

  get active() {
    return !["idle", "over", "broken"].includes(this.state);
  }

  /** Asks an agent something and streams inline. Resolves when the run is over, or the stream has moved to a ticket. */
  async start(path, body) {
    // One key for all tries: however often the request is sent, there is one run, and a repeat joins its stream.
    const idempotencyKey = newKey();
    const turn = ++this.#turn;
    const abort = new AbortController();
    this.#close = () => abort.abort();
    this.#tell("connecting", "asking");
    try {
      await retrying(async () => {
        const options = { method: "POST", body, idempotencyKey, accept: "text/event-stream", signal: abort.signal };
        const response = await this.#api.fetch(path, options);
        this.#connected(turn, "streaming the answer to the POST");
        try {
          await this.#read(response, turn);
        } catch (error) {
          // Once it is known which run it is, the rest comes with a ticket; asking again is for before that.
          if (this.run === null) throw error;
        }
        // Ended before the first event: as if there had been no answer.
        if (this.run === null && turn === this.#turn) throw new TypeError("the connection was cut");
      });
    } catch (error) {
      if (turn !== this.#turn) return; // dropped on purpose
      if (this.run === null) return this.#broken(error);
    }
    if (turn === this.#turn && this.active) this.#planPickUp("the connection was cut", 500);
  }

  /** Reads the events of a run that is there already, after the last one seen. */
  async attach(run) {
    this.run = run;
    const turn = this.#begin();
    this.#tell("connecting", "getting a ticket");
    try {
      const ticket = await this.#api.post(`/v1/runs/${run}/tickets`);
      if (turn !== this.#turn) return;
      this.#listen(ticket.events_url, turn);
    } catch (error) {
      if (turn !== this.#turn) return;
      const passing = error instanceof ApiError ? error.retryable : true;
      if (!passing || ++this.#failed > 10) return this.#broken(error);
      this.#planPickUp(`no ticket: ${error.message}`, backoff(this.#failed));
    }
  }

  /** Cuts the connection, as a tunnel or a closed lid would. The run goes on; so does this stream, a little later. */
  drop(pauseMs = 2000) {
    this.#begin();
    this.#tell("dropped", "the connection is gone, the run is not");
    // Before the first event nobody has told us which run it is.
    if (this.run === null) return this.#broken(new Error("dropped before the run was known"));
    this.#planPickUp("dropped", pauseMs);
  }

  /** Goes on at once instead of when planned. */
  pickUp() {
    if (this.run !== null && this.active) void this.attach(this.run);
  }

  /** Ends the run itself. Its last event says so to everybody who reads it. */
  async cancel() {
    if (this.run !== null) await this.#api.post(`/v1/runs/${this.run}/cancel`);
  }

  /** Lets go of it all. */
  close() {
    this.#begin();
    this.#tell("idle", "");
  }

  /** The body of a fetch, until it ends. */
  async #read(response, turn) {
    const parser = new SseParser();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || turn !== this.#turn) return;
      for (const frame of parser.push(value)) {
        if (turn !== this.#turn) return;
        this.#event(parseJson(frame.data));
      }
    }
  }

  /** EventSource, which comes back by itself and says then, by Last-Event-ID, where it was. */
  #listen(eventsUrl, turn) {
    // It cannot set headers: the ticket in the URL is its credential, and `after` its first cursor. The server takes
    // Last-Event-ID, which later connections bring, for the better one.
    const url = new URL(eventsUrl, globalThis.location?.href);
    url.searchParams.set("after", String(this.cursor.last));
    const source = new EventSource(url);
    this.#close = () => source.close();
    source.onopen = () => this.#connected(turn, "streaming with a ticket and EventSource");
    source.onerror = () => {
      if (turn !== this.#turn) return;
      if (source.readyState === EventSource.CONNECTING) return this.#tell("waiting", "cut; the browser reconnects");
      // Closed for good: a 204 because the run is over, or the ticket has ended. Another ticket will tell.
      void this.#afterClose(turn);
    };
    for (const type of TYPES) {
      source.addEventListener(type, (message) => {
        if (turn === this.#turn) this.#event(parseJson(message.data));
        // Without this it would come back once more, to be told 204.
        if (this.state === "over") source.close();
      });
    }
  }

  async #afterClose(turn) {
    const run = await this.#api.get(`/v1/runs/${this.run}`).catch((error) => error);
    if (turn !== this.#turn) return;
    if (run instanceof ApiError && !run.retryable) return this.#broken(run);
    const over = ["completed", "failed", "cancelled"].includes(run.status);
    if (over && this.cursor.last >= run.as_of_seq) return this.#over();
    if (++this.#failed > 10) return this.#broken(new Error("the stream does not come back"));
    this.#planPickUp("the ticket has ended", backoff(this.#failed));
  }

  /** One event. Its id is its `seq`; control frames (`stream.…`) have none and are in no log. */
  #event(event) {
    if (event.type === "stream.reset") {
      this.cursor.reset(event.as_of_seq);
      this.#on.reset?.(event.snapshot);
      return;
    }
    if (event.seq === undefined) return;
    this.run ??= event.run;
    if (!this.cursor.accept(event.seq)) return;
    this.#failed = 0;
    this.#on.event(event);
    if (TERMINAL.has(event.type)) this.#over();
  }

  #connected(turn, words) {
    if (turn !== this.#turn) return;
    this.connections += 1;
    this.#tell("live", words);
  }

  #planPickUp(why, ms) {
    this.#begin();
    this.#tell("dropped", `${why}; picked up again in ${(ms / 1000).toFixed(1)} s`);
    this.#timer = setTimeout(() => this.pickUp(), ms);
  }

  /** Ends whatever connection there is and gives out the number of the next. */
  #begin() {
    clearTimeout(this.#timer);
    this.#turn += 1;
    this.#close();
    this.#close = () => {};
    return this.#turn;
  }

  /** Nothing follows a terminal event but the end of the connection, which may be read to the end. */
  #over() {
    clearTimeout(this.#timer);
    this.#tell("over", "the run is over");
  }

  #broken(error) {
    this.#begin();
    this.#tell("broken", error.message, error);
  }

  #tell(state, words, error) {
    this.state = state;
    this.#on.state?.(state, words, error);
  }
}

const ENDED = new Set(["completed", "failed", "denied"]);

/** What an event that names a call changes of it. */
const CHANGES = {
  "tool.args.delta": (call, { delta }) => ({ written: call.written + delta }),
  // Once more after an approval with other arguments: the last ones are those that it is called with.
  "tool.args": (call, { args }) => ({ args, state: call.state === "writing" ? "called" : call.state }),
  "tool.progress": (_, { progress, total, message }) => ({ state: "running", progress: { progress, total, message } }),
  "sub_run.started": (_, { sub_run }) => ({ state: "running", sub_run }),
  "tool.completed": (_, { output, artifact }) => ({ state: "completed", output, artifact }),
  "tool.failed": (_, { error }) => ({ state: "failed", error }),
  "tool.denied": (_, { by, comment }) => ({ state: "denied", by, comment }),
  "approval.requested": (call, { approval, kind, args, message, schema, deciders, expires_at }) => {
    const approvals = withApproval(call, approval, { kind, args, message, schema, deciders, expires_at });
    // An approval that was read from elsewhere may be older news than what the stream has told by now.
    const open = !ENDED.has(call.state) && approvals.some((it) => it.approval === approval && it.decision === null);
    return { approvals, state: open ? "asked" : call.state };
  },
  "approval.resolved": (call, { approval, decision, by, edited_args, comment, remember }) => ({
    approvals: withApproval(call, approval, { decision, by, edited_args, comment, remember }),
    state: call.state === "asked" ? "called" : call.state,
  }),
};

/** There may be two in a row: whether it is called, and what to do when nobody knows whether it was. */
function withApproval(call, approval, fields) {
  const known = call.approvals.find((it) => it.approval === approval) ?? { approval, decision: null };
  const others = call.approvals.filter((it) => it.approval !== approval);
  return [...others, { ...known, ...fields }];
}

/**
 * The calls of tools after one more event: a Map by their ids, in the order in which they were begun.
 *
 * Pure: the map that goes in stays as it is, and a call that the event says nothing of is the same object in both. A
 * call's `state` is writing, called, asked (somebody decides), input (somebody answers), running, completed, failed or
 * denied; its `approvals` are what was asked, with the `decision` or `null`.
 */
export function callsAfter(calls, event) {
  if (event.type === "tool.started") {
    const { run, message, call, name, kind, effect } = event;
    const begun = { run, message, call, name, kind, effect, written: "", args: null, state: "writing", approvals: [] };
    return new Map(calls).set(call, begun);
  }
  if (event.type === "step.reset") {
    return new Map([...calls].filter(([call]) => !event.calls.includes(call)));
  }
  if (event.type === "run.suspended") {
    const waits = event.pending.filter(({ type }) => type === "input" || type === "approval");
    const state = (type) => () => ({ state: type === "input" ? "input" : "asked" });
    return waits.reduce((calls, { type, call }) => changed(calls, call, state(type)), calls);
  }
  const change = Object.hasOwn(CHANGES, event.type) ? CHANGES[event.type] : null;
  return change ? changed(calls, event.call, (call) => change(call, event)) : calls;
}

function changed(calls, id, change) {
  const call = calls.get(id);
  return call ? new Map(calls).set(id, { ...call, ...change(call) }) : calls;
}

/** The calls that messages tell of (a snapshot's, or a thread's), as if their events had come. */
export function callsOf(messages, pending = []) {
  const events = messages.flatMap(({ id, run, status, content }) => content.flatMap((part) => {
    const { call, name, args } = part;
    if (part.type === "tool_result") return [{ ...part, type: `tool.${part.status}` }];
    if (part.type !== "tool_call") return [];
    const begun = { type: "tool.started", run, message: id, call, name, kind: null, effect: null };
    return status === "in_progress" ? [begun] : [begun, { type: "tool.args", call, args }];
  }));
  return [...events, { type: "run.suspended", pending }].reduce(callsAfter, new Map());
}

/** The events that an approval, as the API has it, sums up. */
export function eventsOf(approval) {
  const asked = { ...approval, type: "approval.requested", approval: approval.id };
  const resolved = { ...asked, type: "approval.resolved", decision: approval.status };
  return approval.status === "pending" ? [asked] : [asked, resolved];
}

/** JSON for people. What would be invisible, or turn the text around, is escaped: it is what they decide on. */
export function pretty(value) {
  const hex = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const unseen = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\udb40[\udc00-\udfff]/g;
  return JSON.stringify(value, null, 2).replace(unseen, (units) => units.split("").map(hex).join(""));
}

/** Whether it is the same JSON: the order of fields says nothing. */
function same(a, b) {
  const sorted = (_, value) => {
    const plain = value !== null && typeof value === "object" && !Array.isArray(value) && !JSON.isRawJSON?.(value);
    return plain ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  };
  return JSON.stringify(a, sorted) === JSON.stringify(b, sorted);
}

/**
 * The body that decides on an approval. `args` is JSON as it was left in a field, and is sent only if it was changed;
 * `thread`: for the rest of the thread; `output`: what is known to have come of a call of unknown outcome. Throws a
 * SyntaxError in words if `args` will not do.
 */
export function decisionOf(asked, decision, { args = null, comment = "", thread = false, output = "" } = {}) {
  const approved = decision === "approved" && asked.kind === "tool";
  const body = { decision, remember: approved && thread ? "thread" : "call" };
  if (comment.trim()) body.comment = comment.trim();
  if (asked.kind === "unknown_outcome" && decision === "denied" && output.trim()) body.output = answerOf(output);
  if (!approved || args === null) return body;
  const edited = object(args);
  if (same(edited, asked.args)) return body;
  if (thread) throw new SyntaxError("Other arguments are approved for this call alone, not for the thread.");
  return { ...body, edited_args: edited };
}

function object(text) {
  let value;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new SyntaxError(`The arguments are not JSON: ${error.message}`);
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value) && !JSON.isRawJSON?.(value)) return value;
  throw new SyntaxError("The arguments must be a JSON object.");
}

/** What somebody wrote as a tool's answer: JSON if it is, else a string. */
export function answerOf(text) {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}
