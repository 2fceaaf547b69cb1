/** The small edits that views are made of: each gives a new value, or the same one where nothing changes. */
import type { ApprovalView, CallPartView, MessageView, PartView, RunView } from "./view.js";

/** The same list with another item at one place. (`Array.with` is younger than the runtimes that are promised.) */
function replaced<T>(list: readonly T[], at: number, item: T): T[] {
  const copy = [...list];
  copy[at] = item;
  return copy;
}

/** Changes a message, which is made first if its beginning was not seen. */
export function editMessage(view: RunView, id: string, edit: (message: MessageView) => MessageView): RunView {
  const at = view.messages.map((message) => message.id).lastIndexOf(id);
  if (at < 0) {
    const fresh: MessageView = { id, role: "assistant", step: null, status: "in_progress", parts: [] };
    return { ...view, messages: [...view.messages, edit(fresh)] };
  }
  return { ...view, messages: replaced(view.messages, at, edit(view.messages[at] as MessageView)) };
}

/** Sets a message's one part of a type, in the order that the API promises: reasoning, text, calls. */
export function setPart(message: MessageView, part: PartView & { type: "text" | "reasoning" }): MessageView {
  const at = message.parts.findIndex((other) => other.type === part.type);
  if (at >= 0) return { ...message, parts: replaced(message.parts, at, part) };
  const before = part.type === "reasoning" ? 0 : message.parts[0]?.type === "reasoning" ? 1 : 0;
  return { ...message, parts: [...message.parts.slice(0, before), part, ...message.parts.slice(before)] };
}

/** The words of a message's one part of a type. */
export function wordsOf(message: MessageView, type: "text" | "reasoning"): string {
  const part = message.parts.find((other) => other.type === type);
  return part !== undefined && "text" in part ? part.text : "";
}

/** Changes a call. One whose beginning was not seen is left out: nothing is known of it. */
export function editCall(
  view: RunView,
  call: string,
  edit: (part: CallPartView) => Partial<CallPartView>,
): RunView {
  for (let at = view.messages.length - 1; at >= 0; at--) {
    const message = view.messages[at] as MessageView;
    const found = message.parts.findIndex((part) => part.type === "tool_call" && part.call === call);
    if (found < 0) continue;
    const part = message.parts[found] as CallPartView;
    const parts = replaced(message.parts, found, { ...part, ...edit(part) });
    return { ...view, messages: replaced(view.messages, at, { ...message, parts }) };
  }
  return view;
}

/** A call of which only the beginning is known. */
export function newCall(call: string, name: string): CallPartView {
  return {
    type: "tool_call",
    call,
    name,
    kind: null,
    effect: null,
    status: "writing",
    args: null,
    args_text: "",
    progress: null,
    output: null,
    artifact: null,
    error: null,
    comment: null,
    duration_ms: null,
    sub_run: null,
  };
}

/** Adds a question, or replaces the one of the same id. */
export function putApproval(view: RunView, approval: ApprovalView): RunView {
  const others = view.approvals.filter((other) => other.id !== approval.id);
  return { ...view, approvals: [...others, approval] };
}

/** Throws away messages and calls, with the questions about them. */
export function throwAway(view: RunView, messages: readonly string[], calls: readonly string[]): RunView {
  const gone = new Set(calls);
  for (const message of view.messages) {
    if (!messages.includes(message.id)) continue;
    for (const part of message.parts) if (part.type === "tool_call") gone.add(part.call);
  }
  return {
    ...view,
    messages: view.messages
      .filter((message) => !messages.includes(message.id))
      .map((message) => {
        const parts = message.parts.filter((part) => part.type !== "tool_call" || !gone.has(part.call));
        return parts.length === message.parts.length ? message : { ...message, parts };
      }),
    approvals: view.approvals.filter((approval) => !gone.has(approval.call)),
    pending: view.pending.filter((pending) => !pending.call || !gone.has(pending.call)),
  };
}
