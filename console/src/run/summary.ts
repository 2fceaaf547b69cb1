/** One line for each event, for the list. */
import type { RunEvent } from "headwater";
import { formatMoney } from "../lib/money.ts";
import { excerpt, shortId } from "../lib/text.ts";
import { formatDuration } from "../lib/time.ts";

/** What an event says, short. */
export function summary(event: RunEvent): string {
  switch (event.type) {
    case "run.queued":
      return event.after_run ? `after ${shortId(event.after_run)}` : `version ${event.agent_version}`;
    case "run.started":
      return `${event.model}, attempt ${event.attempt}`;
    case "run.suspended":
      return `for ${event.reason}`;
    case "run.resumed":
      return `${event.reason}, attempt ${event.attempt}`;
    case "run.completed":
      return `${event.result.finish_reason}, ${formatMoney(event.cost)}`;
    case "run.failed":
      return `${event.code}: ${event.message ?? ""}`;
    case "run.cancelled":
      return `by ${event.by.type}${event.by.reason ? ` (${event.by.reason})` : ""}`;
    case "step.started":
      return `step ${event.step}, ${event.model}`;
    case "step.finished":
      return `step ${event.step}, ${event.finish_reason}, ${event.usage.total_tokens} tokens`;
    case "step.reset":
      return `step ${event.step}: ${event.reason}`;
    case "message.delta":
    case "reasoning.delta":
    case "tool.args.delta":
      return excerpt(event.delta, 90);
    case "message.started":
    case "reasoning.started":
      return shortId(event.message);
    case "message.completed":
    case "reasoning.completed":
      return excerpt(event.text, 90);
    case "tool.started":
      return `${event.name}${event.kind ? ` (${event.kind})` : ""}`;
    case "tool.args":
      return excerpt(JSON.stringify(event.args ?? null), 90);
    case "tool.progress":
      return `${event.progress}${event.total ? ` of ${event.total}` : ""} ${event.message ?? ""}`;
    case "tool.completed":
      return `${formatDuration(event.duration_ms)} ${excerpt(JSON.stringify(event.output ?? null), 70)}`;
    case "tool.failed":
      return `${event.error.code}: ${event.error.detail ?? ""}`;
    case "tool.denied":
      return event.comment ?? (event.by ? `by ${event.by.type}` : "by policy");
    case "sub_run.started":
      return shortId(event.sub_run);
    case "sub_run.finished":
      return `${shortId(event.sub_run)} ${event.status}, ${formatMoney(event.cost)}`;
    case "approval.requested":
      return event.message;
    case "approval.resolved":
      return `${event.decision} by ${event.by?.type ?? "nobody"}`;
    case "cost.estimated":
      return `${event.input_tokens} tokens in, expected ${formatMoney(event.expected)}`;
    case "model.started":
      return `${event.model}, ${excerpt(event.response, 40)}`;
    case "cost.settled":
      return `${formatMoney(event.cost)}, run ${formatMoney(event.run_cost)}`;
    case "budget.warning":
      return `${formatMoney(event.spent)} of ${formatMoney(event.limit)}`;
    case "throttled":
      return `number ${event.queue_pos} in the queue, ${formatDuration(event.wait_ms)} (${event.reason})`;
    case "artifact":
      return `${event.filename ?? event.media_type}, ${event.size_bytes} bytes`;
    case "hidden":
      return "this reader may not see it";
    case "unknown":
      return event.original_type;
  }
}

/** The family of a type, for its colour. */
export function family(kind: string): string {
  const head = kind.split(".", 1)[0] ?? "";
  switch (head) {
    case "message":
      return "text";
    case "sub_run":
      return "tool";
    case "step":
      return "run";
    case "budget":
      return "cost";
    case "throttled":
      return "wait";
    default:
      return head;
  }
}
