/**
 * What a user interface shows of a run.
 *
 * Views are plain values and never changed in place: what did not change is the same object, so that `===` tells what to draw anew.
 */
import type { EventOf, Money, Part, Pending, Problem, RunResult, RunStatus, Usage } from "../types.js";

/** Words of an answer, as far as they have come. */
export interface TextPartView {
  type: "text";
  text: string;
}

/** What the provider shows of its model's reasoning. */
export interface ReasoningPartView {
  type: "reasoning";
  text: string;
  /** Whether more of it may come. */
  done: boolean;
}

/** How far a tool call is. `writing`: the model writes its arguments; `called`: they are there, and nobody has answered yet. */
export type CallStatus = "writing" | "called" | "completed" | "failed" | "denied";

/** A tool call and what came of it. */
export interface CallPartView {
  type: "tool_call";
  /** Its id. */
  call: string;
  /** The tool. */
  name: string;
  /** `http`, `mcp`, `client`, `agent`, `builtin`; `null` in a view made of a snapshot, which does not say. */
  kind: string | null;
  /** `read`, `idempotent` or `side_effect`, where it is known. */
  effect: string | null;
  status: CallStatus;
  /** Its arguments; `null` until they are whole, and where the reader may not see them. */
  args: unknown;
  /** The arguments as the model writes them: JSON that may break off. */
  args_text: string;
  /** How far the tool says it is. */
  progress: { progress: number; total: number | null; message: string | null } | null;
  /** What it answered. */
  output: unknown;
  /** The id of the whole, where `output` is an excerpt. */
  artifact: string | null;
  /** Why it failed. */
  error: Problem | null;
  /** What the one who denied it said. */
  comment: string | null;
  duration_ms: number | null;
  /** The run of another agent that carries it out. */
  sub_run: string | null;
}

/** A part of a message. Pictures and files are as the API has them. */
export type PartView =
  TextPartView | ReasoningPartView | CallPartView | Extract<Part, { type: "image" | "file" }>;

/** A message that the run has written or writes. */
export interface MessageView {
  id: string;
  role: "assistant" | "user" | "tool";
  /** The step that writes it; `null` if its beginning was not seen. */
  step: number | null;
  /** `incomplete`: it was cut by a cancel or a failure. */
  status: "in_progress" | "completed" | "incomplete";
  parts: readonly PartView[];
}

/** A question to a person. */
export interface ApprovalView {
  id: string;
  /** The tool call concerned. */
  call: string;
  /** The tool. */
  name: string;
  status: "pending" | "approved" | "denied" | "cancelled" | "expired";
  /** `tool` or `unknown_outcome`; `null` in a view made of a snapshot, which does not say. The same holds of the fields below. */
  kind: EventOf<"approval.requested">["kind"] | null;
  args: unknown;
  /** The question in words. */
  message: string | null;
  /** JSON Schema that edited arguments have to satisfy. */
  schema: unknown;
  deciders: readonly ("user" | "tenant")[];
  expires_at: string | null;
  comment: string | null;
  edited_args: unknown;
}

/** Something that was made. */
export interface ArtifactView {
  id: string;
  call: string | null;
  message: string | null;
  filename: string | null;
  media_type: string;
  size_bytes: number;
}

/** A run as far as its log was read. */
export interface RunView {
  /** The run's id; `null` until something of it was read. */
  run: string | null;
  thread: string | null;
  agent: string | null;
  model: string | null;
  /** `null` until something says so. */
  status: RunStatus | null;
  /** The last event that is in this view: read on after it. */
  seq: number;
  /** Whether the log's end was reached once: what follows is live. */
  caught_up: boolean;
  /** The step that is under way or was last; 0 before the first. */
  step: number;
  /** What the run says. What it was asked is in its thread: `input_messages` names it. */
  messages: readonly MessageView[];
  input_messages: readonly string[];
  /** All questions, the decided ones too; `pendingApprovals` gives those that wait. */
  approvals: readonly ApprovalView[];
  /** What a suspended run waits for. */
  pending: readonly Pending[];
  artifacts: readonly ArtifactView[];
  /** The last word of the queue for a model; `null` once the model answers. */
  throttled: { wait_ms: number; queue_pos: number; reason: string } | null;
  /** Tokens so far; exact at the end, and of the steps that are over until then. */
  usage: Usage | null;
  /** Money so far; `null` if it is not known or this reader may not see it. */
  cost: Money | null;
  /** The answer of a completed run. */
  result: RunResult | null;
  /** Why it failed. */
  error: Problem | null;
  /** Up to which step `usage` counts. @internal */
  usage_step: number;
}

/** A view of a run of which nothing was read. */
export function emptyRunView(run: string | null = null): RunView {
  return {
    run,
    thread: null,
    agent: null,
    model: null,
    status: null,
    seq: 0,
    caught_up: false,
    step: 0,
    messages: [],
    input_messages: [],
    approvals: [],
    pending: [],
    artifacts: [],
    throttled: null,
    usage: null,
    cost: null,
    result: null,
    error: null,
    usage_step: 0,
  };
}

/** Whether nothing follows. */
export function isOver(view: RunView): boolean {
  return view.status === "completed" || view.status === "failed" || view.status === "cancelled";
}

/** The questions that wait for a decision. */
export function pendingApprovals(view: RunView): ApprovalView[] {
  return view.approvals.filter((approval) => approval.status === "pending");
}

/** The calls that wait for the application's answer (`submit`). */
export function pendingInputs(view: RunView): CallPartView[] {
  const waited = new Set(view.pending.flatMap((one) => (one.type === "input" && one.call ? [one.call] : [])));
  return callsOf(view).filter((call) => waited.has(call.call));
}

/** All tool calls, in order. */
export function callsOf(view: RunView): CallPartView[] {
  return view.messages.flatMap((message) => message.parts.filter((part) => part.type === "tool_call"));
}

/** The words of the run's messages, one after the other. */
export function textOf(view: RunView): string {
  return view.messages
    .flatMap((message) => message.parts.flatMap((part) => (part.type === "text" ? [part.text] : [])))
    .join("\n\n");
}
