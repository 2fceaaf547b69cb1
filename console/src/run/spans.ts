/**
 * What a run's events come to on a time axis: spans in lanes, and marks.
 *
 * Owns the reading of events for the timeline, one event at a time, so that a live run costs what is new and not what there is. Promises that
 * spans of one lane that overlap are in different rows, and that nothing stays open behind a terminal event.
 */
import { nanoOf } from "../lib/money.ts";
import { excerpt } from "../lib/text.ts";
import type { RunEvent } from "headwater";

/** The lanes, from top to bottom. */
export const LANES = ["wait", "model", "text", "tools", "approvals"] as const;
/** One of them. */
export type Lane = (typeof LANES)[number];

/** What a suspended run waits for, in words. */
const WAITED_FOR: Record<string, string> = {
  approval: "a decision",
  input: "the application",
  budget: "money",
  sub_run: "another agent",
};

/** How a span is coloured. */
export type Tone = "wait" | "model" | "reasoning" | "text" | "tool" | "approval" | "bad" | "lost";

/** Something that took time. */
export interface Span {
  /** What it is of: a call's id, a message's, a made-up one. Unique in its lane while it is open. */
  id: string;
  lane: Lane;
  /** Its row in the lane, from 0. */
  row: number;
  tone: Tone;
  label: string;
  /** Real time in ms; `end` is `null` while it is under way. */
  start: number;
  end: number | null;
  /**
   * When the work itself began, where that is known: a call is written and waits for a person before it is carried out. `Infinity` while it waits.
   */
  busy: number | null;
  /** Places in the log of its first and last event. */
  first: number;
  last: number;
}

/** A moment that the cost of the run rose: what it was from then on. */
export interface CostPoint {
  time: number;
  nano: number;
}

/** A moment worth a line over all lanes. */
export interface Mark {
  time: number;
  index: number;
  kind: "step" | "resumed" | "reset" | "budget" | "end";
  label: string;
}

/** Builds spans from events. */
export class Spans {
  readonly all: Span[] = [];
  readonly cost: CostPoint[] = [];
  readonly marks: Mark[] = [];
  /** How many rows a lane has. */
  readonly rows: Record<Lane, number> = { wait: 1, model: 1, text: 1, tools: 1, approvals: 1 };
  readonly #open = new Map<string, Span>();
  readonly #names = new Map<string, string>();
  /** For each lane and row, when its last span ended; `null` while one is open. */
  readonly #busy: Record<Lane, (number | null)[]> = {
    wait: [],
    model: [],
    text: [],
    tools: [],
    approvals: [],
  };

  /** Takes one more event, which is at `index` of the log. */
  push(event: RunEvent, time: number, index: number): void {
    const open = (id: string, lane: Lane, tone: Tone, label: string) =>
      this.#begin(fresh(id, lane, tone, label, time, index));
    const close = (id: string, change?: Partial<Span>) => this.#end(id, time, index, change);
    const touch = (id: string) => this.#touch(id, index);
    switch (event.type) {
      case "run.queued":
        open("queue", "wait", "wait", event.run_at === null ? "queued" : "delayed");
        break;
      case "run.started":
        close("queue");
        break;
      case "step.started":
        close("queue");
        this.marks.push({ time, index, kind: "step", label: `step ${event.step}` });
        break;
      case "throttled":
        if (!this.#open.has("throttle")) open("throttle", "wait", "wait", `waits for ${event.reason}`);
        else touch("throttle");
        break;
      case "run.suspended":
        open("suspended", "wait", "wait", `waits for ${WAITED_FOR[event.reason] ?? event.reason}`);
        break;
      case "run.resumed":
        close("suspended");
        if (event.reason === "takeover" || event.reason === "handover") {
          this.marks.push({ time, index, kind: "resumed", label: event.reason });
        }
        break;
      case "cost.estimated":
        open(event.model_call, "model", "model", event.model);
        break;
      case "model.started":
        close("throttle");
        touch(event.model_call);
        break;
      case "cost.settled":
        close(event.model_call);
        this.#spent(time, nanoOf(event.run_cost));
        break;
      case "step.reset":
        for (const id of [...event.messages, ...event.calls]) {
          close(`m:${id}`, { tone: "lost" });
          close(`r:${id}`, { tone: "lost" });
          close(`t:${id}`, { tone: "lost" });
        }
        for (const span of [...this.#open.values()])
          if (span.lane === "model") close(span.id, { tone: "lost" });
        this.marks.push({ time, index, kind: "reset", label: `step ${event.step} again: ${event.reason}` });
        break;
      case "message.started":
        close("throttle");
        open(`m:${event.message}`, "text", "text", "writes");
        break;
      case "message.delta":
        touch(`m:${event.message}`);
        break;
      case "message.completed":
        this.#said(event, time, index);
        break;
      case "reasoning.started":
        open(`r:${event.message}`, "text", "reasoning", "reasons");
        break;
      case "reasoning.delta":
        touch(`r:${event.message}`);
        break;
      case "reasoning.completed":
        close(`r:${event.message}`, { label: excerpt(event.text, 80) || "reasons" });
        break;
      case "tool.started":
        this.#names.set(event.call, event.name);
        open(`t:${event.call}`, "tools", "tool", event.name);
        break;
      case "tool.args.delta":
      case "tool.args":
      case "tool.progress":
      case "sub_run.started":
      case "sub_run.finished":
        touch(`t:${event.call}`);
        break;
      case "tool.completed":
        close(`t:${event.call}`, { busy: time - event.duration_ms });
        break;
      case "tool.failed":
        close(`t:${event.call}`, {
          tone: "bad",
          label: `${this.#name(event.call)} failed`,
          busy: time - event.duration_ms,
        });
        break;
      case "tool.denied":
        close(`t:${event.call}`, { tone: "bad", label: `${this.#name(event.call)} denied` });
        break;
      case "approval.requested":
        open(event.approval, "approvals", "approval", event.name);
        this.#holdBack(event.call, Infinity);
        break;
      case "approval.resolved":
        close(event.approval, { label: `${this.#name(event.call)} ${event.decision}` });
        this.#holdBack(event.call, time);
        break;
      case "budget.warning":
        this.marks.push({ time, index, kind: "budget", label: "budget warning" });
        break;
      case "run.completed":
      case "run.failed":
      case "run.cancelled":
        for (const id of [...this.#open.keys()]) close(id);
        this.#spent(time, Math.max(nanoOf(event.cost), this.cost.at(-1)?.nano ?? 0));
        this.marks.push({ time, index, kind: "end", label: event.type.slice(4) });
        break;
      case "step.finished":
      case "artifact":
      case "hidden":
      case "unknown":
        break;
    }
  }

  #said(event: RunEvent & { type: "message.completed" }, time: number, index: number): void {
    const id = `m:${event.message}`;
    const span = this.#open.get(id);
    const label = excerpt(event.text, 80);
    // A message that only calls tools says nothing: its calls are in their own lane.
    if (label === "" && span !== undefined) {
      this.#end(id, time, index, { label: "calls" });
      return;
    }
    if (span === undefined) this.#begin(fresh(id, "text", "text", label, time, index));
    this.#end(id, time, index, event.status === "incomplete" ? { label, tone: "lost" } : { label });
  }

  #name(call: string): string {
    return this.#names.get(call) ?? "call";
  }

  /** A call is not carried out before then. */
  #holdBack(call: string, until: number): void {
    const span = this.#open.get(`t:${call}`);
    if (span !== undefined) span.busy = until;
  }

  #spent(time: number, nano: number): void {
    this.cost.push({ time, nano });
  }

  #begin(span: Span): void {
    const rows = this.#busy[span.lane];
    let row = rows.findIndex((end) => end !== null && end <= span.start);
    if (row < 0) row = rows.length;
    rows[row] = null;
    span.row = row;
    this.rows[span.lane] = Math.max(this.rows[span.lane], row + 1);
    this.all.push(span);
    this.#open.set(span.id, span);
  }

  #touch(id: string, index: number): void {
    const span = this.#open.get(id);
    if (span !== undefined) span.last = index;
  }

  #end(id: string, time: number, index: number, change: Partial<Span> = {}): void {
    const span = this.#open.get(id);
    if (span === undefined) return;
    this.#open.delete(id);
    Object.assign(span, change, { end: time, last: index });
    this.#busy[span.lane][span.row] = time;
  }
}

function fresh(id: string, lane: Lane, tone: Tone, label: string, time: number, index: number): Span {
  return { id, lane, row: 0, tone, label, start: time, end: null, busy: null, first: index, last: index };
}
