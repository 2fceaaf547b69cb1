/** Makes streams for tests, as the server writes them. */
import { EventItem, type StreamItem } from "headwater";

export const RUN = "run_00000000-0000-7000-8000-000000000001";
const START = Date.parse("2026-11-21T02:30:00.000Z");

/** One event, so many ms after the first. */
export function event(
  seq: number,
  after: number,
  type: string,
  fields: Record<string, unknown> = {},
): EventItem {
  const ts = new Date(START + after).toISOString();
  return new EventItem(seq, type, JSON.stringify({ v: 1, seq, ts, run: RUN, type, ...fields }));
}

const USAGE = {
  input_tokens: 10,
  cached_input_tokens: 0,
  cache_write_tokens: 0,
  output_tokens: 5,
  reasoning_tokens: 0,
  total_tokens: 15,
};

/** A run that says so many words, each an event. */
export function longRun(words: number): StreamItem[] {
  const money = { nano_usd: 1000, usd: "0.000001" };
  const items: StreamItem[] = [
    event(1, 0, "run.queued", {
      thread: "thr_1",
      user: "usr_1",
      agent: "agt_1",
      agent_version: 1,
      input_messages: [],
      run_at: null,
      after_run: null,
    }),
    event(2, 5, "run.started", { attempt: 1, agent: "agt_1", agent_version: 1, model: "m" }),
    event(3, 6, "step.started", { step: 1, model: "m", input_messages: [] }),
    event(4, 10, "cost.estimated", {
      step: 1,
      model_call: "llm_1",
      model: "m",
      input_tokens: 10,
      expected: money,
      reserve: money,
    }),
    event(5, 12, "message.started", { step: 1, message: "msg_1", role: "assistant" }),
  ];
  let said = "";
  for (let at = 0; at < words; at++) {
    said += `w${at} `;
    items.push(event(items.length + 1, 20 + at, "message.delta", { message: "msg_1", delta: `w${at} ` }));
  }
  const end = 30 + words;
  items.push(
    event(items.length + 1, end, "message.completed", {
      step: 1,
      message: "msg_1",
      role: "assistant",
      text: said,
      status: "completed",
    }),
  );
  items.push(
    event(items.length + 1, end, "cost.settled", {
      step: 1,
      model_call: "llm_1",
      model: "m",
      usage: USAGE,
      cost: money,
      estimated: false,
      run_cost: money,
    }),
  );
  items.push(
    event(items.length + 1, end + 1, "run.completed", {
      result: { message: "msg_1", text: said, json: null, finish_reason: "stop" },
      usage: USAGE,
      cost: money,
    }),
  );
  return items;
}
