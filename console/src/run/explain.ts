/** Why a run waits, in words a person can act on. */
import { formatDuration } from "../lib/time.ts";
import { shortId } from "../lib/text.ts";
import type { RunExplanation } from "headwater";

/** What a run waits for: a sentence, and what to do about it. */
export interface Why {
  title: string;
  advice: string;
  /** The object to look at, if there is one. */
  link: { kind: "approval" | "run" | "budget"; id: string } | null;
}

/** `null` for a run that waits for nothing. */
export function why(explanation: RunExplanation, now: number): Why | null {
  const waiting = explanation.waiting;
  if (!waiting) return null;
  const since = `for ${formatDuration(now - Date.parse(waiting.since))}`;
  const blocked = waiting.blocked_by ?? null;
  const place =
    typeof waiting.queue_pos === "number" ? ` It is number ${waiting.queue_pos} in the queue.` : "";
  const soon =
    typeof waiting.predicted_ms === "number"
      ? ` It should begin in about ${formatDuration(waiting.predicted_ms)}.`
      : "";
  switch (waiting.reason) {
    case "approval":
      return {
        title: `Waiting ${since} for a person to decide`,
        advice:
          "A tool may only be called after somebody approves. Nothing runs meanwhile, and nothing is spent.",
        link: blocked === null ? null : { kind: "approval", id: blocked },
      };
    case "input":
      return {
        title: `Waiting ${since} for the application`,
        advice: "A tool of your own application was called. The run goes on when its result is sent.",
        link: null,
      };
    case "sub_run":
      return {
        title: `Waiting ${since} for the run of another agent`,
        advice: "It goes on when the run below has ended.",
        link: blocked === null ? null : { kind: "run", id: blocked },
      };
    case "budget":
      return {
        title: `Waiting ${since} for money`,
        advice:
          "A budget has too little left for the next call. Raise its limit, or wait until it begins anew.",
        link: blocked === null ? null : { kind: "budget", id: blocked },
      };
    case "thread_busy":
      return {
        title: `Waiting ${since} for its turn in the thread`,
        advice: `Another run of the thread goes first${blocked === null ? "" : ` (${shortId(blocked)})`}.`,
        link: blocked === null ? null : { kind: "run", id: blocked },
      };
    case "delayed":
      return {
        title: "It begins later",
        advice: `It was asked to begin at a time of its own.${soon}`,
        link: null,
      };
    case "concurrency":
      return {
        title: `Waiting ${since} for a place at the model`,
        advice: `All calls that the provider takes at a time are in use.${place}${soon}`,
        link: null,
      };
    case "provider":
      return {
        title: `Waiting ${since} for the provider`,
        advice: `The provider refuses or does not answer; it is tried again.${place}${soon}`,
        link: null,
      };
    default:
      return { title: `Waiting ${since}: ${waiting.reason}`, advice: `${place}${soon}`.trim(), link: null };
  }
}
