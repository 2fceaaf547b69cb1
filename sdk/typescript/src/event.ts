/** Reads events, those of later releases too. */
import type { KnownEvent, RunEvent } from "./types.js";

// Typed by the union itself: a type that is added to the document and forgotten here does not compile.
const known: Record<KnownEvent["type"], true> = {
  "run.queued": true,
  "run.started": true,
  "run.suspended": true,
  "run.resumed": true,
  "run.completed": true,
  "run.failed": true,
  "run.cancelled": true,
  "step.started": true,
  "step.finished": true,
  "step.reset": true,
  "message.started": true,
  "message.delta": true,
  "message.completed": true,
  "reasoning.started": true,
  "reasoning.delta": true,
  "reasoning.completed": true,
  "tool.started": true,
  "tool.args.delta": true,
  "tool.args": true,
  "tool.progress": true,
  "tool.completed": true,
  "tool.failed": true,
  "tool.denied": true,
  "sub_run.started": true,
  "sub_run.finished": true,
  "approval.requested": true,
  "approval.resolved": true,
  "model.started": true,
  "cost.estimated": true,
  "cost.settled": true,
  "budget.warning": true,
  throttled: true,
  artifact: true,
  hidden: true,
};

/** An event from its JSON object. A type that this release does not know becomes an `unknown` event that holds it all. */
export function readEvent(value: { type: string } & Record<string, unknown>): RunEvent {
  if (Object.hasOwn(known, value.type)) return value as unknown as KnownEvent;
  const { v, seq, ts, run, type, ...fields } = value as unknown as KnownEvent & Record<string, unknown>;
  return { v, seq, ts, run, type: "unknown", original_type: type, fields };
}
