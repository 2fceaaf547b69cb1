/** A view from a snapshot: where a stream begins anew, and for a page that draws before it streams. */
import type { Message, RunSnapshot } from "../types.js";
import { editCall, newCall } from "./edit.js";
import { emptyRunView, type ApprovalView, type MessageView, type PartView, type RunView } from "./view.js";

/** The view of a run exactly as of its `as_of_seq`. */
export function viewOfSnapshot(snapshot: RunSnapshot): RunView {
  const steps = snapshot.messages.map((message) => message.step ?? 0);
  let view: RunView = {
    ...emptyRunView(snapshot.id),
    thread: snapshot.thread,
    agent: snapshot.agent,
    model: snapshot.model,
    status: snapshot.status,
    seq: snapshot.as_of_seq,
    step: Math.max(snapshot.steps, ...steps),
    messages: snapshot.messages.filter((message) => message.role === "assistant").map(messageOf),
    input_messages: snapshot.input_messages,
    pending: snapshot.pending,
    usage: snapshot.usage,
    cost: snapshot.cost ?? null,
    result: snapshot.result ?? null,
    error: snapshot.error ?? null,
    usage_step: Math.max(snapshot.steps, ...steps),
  };
  for (const message of snapshot.messages) {
    for (const part of message.content) {
      if (part.type === "tool_result") view = answered(view, part);
    }
  }
  return { ...view, approvals: approvalsOf(view) };
}

/** A message of the API as one of a view. */
export function messageOf(message: Message): MessageView {
  const parts = message.content.flatMap((part): PartView[] => {
    switch (part.type) {
      case "text":
        return [{ type: "text", text: part.text }];
      case "reasoning":
        return [{ type: "reasoning", text: part.text, done: message.status !== "in_progress" }];
      case "tool_call":
        return [{ ...newCall(part.call, part.name), status: "called", args: part.args ?? null }];
      case "image":
      case "file":
        return [part];
      default:
        // Results are shown with their calls; parts of later releases are not shown.
        return [];
    }
  });
  return { id: message.id, role: message.role, step: message.step ?? null, status: message.status, parts };
}

function answered(
  view: RunView,
  part: Extract<Message["content"][number], { type: "tool_result" }>,
): RunView {
  return editCall(view, part.call, () => ({
    status: part.status as "completed" | "failed" | "denied",
    output: part.output ?? null,
    error: part.error ?? null,
    artifact: part.artifact ?? null,
  }));
}

/** A snapshot names its questions, and no more: what the calls say of them is filled in. */
function approvalsOf(view: RunView): ApprovalView[] {
  return view.pending.flatMap((pending): ApprovalView[] => {
    if (pending.type !== "approval" || !pending.approval || !pending.call) return [];
    const { call } = pending;
    const part = view.messages
      .flatMap((message) => message.parts)
      .find((other) => other.type === "tool_call" && other.call === call);
    return [
      {
        id: pending.approval,
        call,
        name: part?.type === "tool_call" ? part.name : "",
        status: "pending",
        kind: null,
        args: part?.type === "tool_call" ? part.args : null,
        message: null,
        schema: null,
        deciders: [],
        expires_at: null,
        comment: null,
        edited_args: null,
      },
    ];
  });
}

/** Messages of a thread as views, with what tools answered put beside their calls. */
export function viewsOfMessages(messages: readonly Message[]): MessageView[] {
  let view: RunView = {
    ...emptyRunView(),
    messages: messages.filter((message) => message.role !== "tool").map(messageOf),
  };
  for (const message of messages) {
    for (const part of message.content) if (part.type === "tool_result") view = answered(view, part);
  }
  return [...view.messages];
}
