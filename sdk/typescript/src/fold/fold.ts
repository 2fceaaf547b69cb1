/**
 * The fold: what a stream tells, as what a user interface shows.
 *
 * Pure. Any stream may be folded, from any cursor: what was not seen is left out, and comes whole with the next event that says it again.
 */
import type { StreamItem } from "../stream/item.js";
import type { RunEvent, Usage } from "../types.js";
import { editCall, editMessage, newCall, putApproval, setPart, throwAway, wordsOf } from "./edit.js";
import { viewOfSnapshot } from "./snapshot.js";
import type { RunView } from "./view.js";

/** The view after one more item of the stream. */
export function foldRun(view: RunView, item: StreamItem): RunView {
  switch (item.type) {
    case "event":
      return foldEvent(view, item.event);
    case "hidden":
      return item.seq <= view.seq ? view : { ...view, seq: item.seq };
    case "caught_up":
      return view.caught_up ? view : { ...view, caught_up: true };
    case "reset":
      return { ...viewOfSnapshot(item.snapshot), seq: item.as_of_seq, caught_up: view.caught_up };
  }
}

/** The view after one more event. An event that is in the view already changes nothing. */
export function foldEvent(view: RunView, event: RunEvent): RunView {
  if (event.seq <= view.seq) return view;
  return apply({ ...view, seq: event.seq, run: view.run ?? event.run }, event);
}

function apply(view: RunView, event: RunEvent): RunView {
  switch (event.type) {
    case "run.queued":
      return {
        ...view,
        status: "queued",
        thread: event.thread,
        agent: event.agent,
        input_messages: event.input_messages,
      };
    case "run.started":
      return { ...view, status: "running", agent: event.agent, model: event.model };
    case "run.suspended":
      return { ...view, status: "suspended", pending: event.pending };
    case "run.resumed":
      return { ...view, status: "running", pending: [] };
    case "run.completed":
      return { ...ended(view, event), status: "completed", result: event.result };
    case "run.failed":
      return { ...ended(view, event), status: "failed", error: event.error };
    case "run.cancelled":
      return { ...ended(view, event), status: "cancelled" };
    case "step.started":
      return {
        ...view,
        status: "running",
        step: event.step,
        model: event.model,
        input_messages: [...view.input_messages, ...event.input_messages],
      };
    case "step.finished":
      // Where `cost.settled` can be seen, it has counted this already.
      return event.step <= view.usage_step
        ? view
        : { ...view, usage: sum(view.usage, event.usage), usage_step: event.step };
    case "step.reset":
      return throwAway(view, event.messages, event.calls);
    case "cost.settled":
      return {
        ...view,
        usage: sum(view.usage, event.usage),
        usage_step: event.step,
        cost: event.run_cost ?? view.cost,
      };
    case "throttled":
      return {
        ...view,
        throttled: { wait_ms: event.wait_ms, queue_pos: event.queue_pos, reason: event.reason },
      };
    case "message.started":
    case "message.delta":
    case "message.completed":
    case "reasoning.started":
    case "reasoning.delta":
    case "reasoning.completed":
      return said(view, event);
    case "tool.started":
    case "tool.args.delta":
    case "tool.args":
    case "tool.progress":
    case "tool.completed":
    case "tool.failed":
    case "tool.denied":
    case "sub_run.started":
      return called(view, event);
    case "approval.requested":
    case "approval.resolved":
      return asked(view, event);
    case "artifact":
      return {
        ...view,
        artifacts: [
          ...view.artifacts,
          {
            id: event.artifact,
            call: event.call ?? null,
            message: event.message ?? null,
            filename: event.filename ?? null,
            media_type: event.media_type,
            size_bytes: event.size_bytes,
          },
        ],
      };
    case "sub_run.finished":
    case "model.started":
    case "cost.estimated":
    case "budget.warning":
    case "hidden":
    case "unknown":
      return view;
  }
}

type Said = Extract<RunEvent, { type: `message.${string}` | `reasoning.${string}` }>;

function said(view: RunView, event: Said): RunView {
  switch (event.type) {
    case "message.started":
      return {
        ...editMessage(view, event.message, (message) => ({
          ...message,
          role: event.role,
          step: event.step,
        })),
        throttled: null,
      };
    case "message.delta":
      return editMessage(view, event.message, (message) =>
        setPart(message, { type: "text", text: wordsOf(message, "text") + event.delta }),
      );
    case "message.completed":
      return editMessage(view, event.message, (message) => {
        const whole = event.text === "" ? message : setPart(message, { type: "text", text: event.text });
        return { ...whole, role: event.role, step: event.step, status: event.status };
      });
    case "reasoning.started":
      return editMessage(view, event.message, (message) =>
        setPart(message, { type: "reasoning", text: "", done: false }),
      );
    case "reasoning.delta":
      return editMessage(view, event.message, (message) =>
        setPart(message, {
          type: "reasoning",
          text: wordsOf(message, "reasoning") + event.delta,
          done: false,
        }),
      );
    case "reasoning.completed":
      return editMessage(view, event.message, (message) =>
        setPart(message, { type: "reasoning", text: event.text, done: true }),
      );
  }
}

type Called = Extract<RunEvent, { type: `tool.${string}` | "sub_run.started" }>;

function called(view: RunView, event: Called): RunView {
  switch (event.type) {
    case "tool.started": {
      const part = {
        ...newCall(event.call, event.name),
        kind: event.kind ?? null,
        effect: event.effect ?? null,
      };
      return editMessage(view, event.message, (message) => ({ ...message, parts: [...message.parts, part] }));
    }
    case "tool.args.delta":
      return editCall(view, event.call, (part) => ({ args_text: part.args_text + event.delta }));
    case "tool.args":
      return editCall(view, event.call, () => ({ args: event.args ?? null, status: "called" }));
    case "tool.progress":
      return editCall(view, event.call, () => ({
        progress: { progress: event.progress, total: event.total ?? null, message: event.message ?? null },
      }));
    case "tool.completed":
      return editCall(view, event.call, () => ({
        status: "completed",
        output: event.output ?? null,
        artifact: event.artifact ?? null,
        duration_ms: event.duration_ms,
      }));
    case "tool.failed":
      return editCall(view, event.call, () => ({
        status: "failed",
        error: event.error,
        duration_ms: event.duration_ms,
      }));
    case "tool.denied":
      return editCall(view, event.call, () => ({ status: "denied", comment: event.comment ?? null }));
    case "sub_run.started":
      return editCall(view, event.call, () => ({ sub_run: event.sub_run }));
  }
}

type Asked = Extract<RunEvent, { type: `approval.${string}` }>;

function asked(view: RunView, event: Asked): RunView {
  if (event.type === "approval.requested") {
    return putApproval(view, {
      id: event.approval,
      call: event.call,
      name: event.name,
      status: "pending",
      kind: event.kind,
      args: event.args ?? null,
      message: event.message,
      schema: event.schema,
      deciders: event.deciders,
      expires_at: event.expires_at,
      comment: null,
      edited_args: null,
    });
  }
  const question = view.approvals.find((approval) => approval.id === event.approval);
  const rest = { ...view, pending: view.pending.filter((pending) => pending.approval !== event.approval) };
  if (question === undefined) return rest;
  return putApproval(rest, {
    ...question,
    status: event.decision,
    comment: event.comment ?? null,
    edited_args: event.edited_args ?? null,
  });
}

/** Nothing is open and nothing waited for once a run is over. */
function ended(
  view: RunView,
  event: Extract<RunEvent, { type: "run.completed" | "run.failed" | "run.cancelled" }>,
): RunView {
  return { ...view, pending: [], throttled: null, usage: event.usage, cost: event.cost ?? view.cost };
}

function sum(before: Usage | null, more: Usage): Usage {
  if (before === null) return more;
  return {
    input_tokens: before.input_tokens + more.input_tokens,
    cached_input_tokens: before.cached_input_tokens + more.cached_input_tokens,
    cache_write_tokens: before.cache_write_tokens + more.cache_write_tokens,
    output_tokens: before.output_tokens + more.output_tokens,
    reasoning_tokens: before.reasoning_tokens + more.reasoning_tokens,
    total_tokens: before.total_tokens + more.total_tokens,
  };
}
