/** The model calls of a run, from the records that bill it: queue, first token, time, expected and real cost. */
import type { RunExplanation } from "headwater";
import { formatMoney } from "../lib/money.ts";
import { compact } from "../lib/text.ts";
import { formatDuration } from "../lib/time.ts";
import { Empty, Status } from "../ui/kit.tsx";
import { Table } from "../ui/table.tsx";

/** The table. */
export function ModelCalls({ explanation }: { explanation: RunExplanation }) {
  if (explanation.calls.length === 0) {
    return <Empty title="No model call yet">They are listed here when they have ended.</Empty>;
  }
  return (
    <Table
      label="Model calls"
      items={explanation.calls}
      id={(call) => call.model_call}
      columns={[
        {
          title: "Step",
          class: "num",
          cell: (call) => (call.attempt > 1 ? `${call.step} (attempt ${call.attempt})` : call.step),
        },
        { title: "Model", class: "clip", cell: (call) => call.model },
        { title: "Outcome", cell: (call) => <Status value={call.outcome} /> },
        { title: "Queued", class: "end num", cell: (call) => formatDuration(call.queued_ms) },
        {
          title: "First token",
          class: "end num",
          cell: (call) =>
            typeof call.first_token_ms === "number" ? formatDuration(call.first_token_ms) : "–",
        },
        { title: "Took", class: "end num", cell: (call) => formatDuration(call.duration_ms) },
        { title: "In", class: "end num", cell: (call) => compact(call.usage.input_tokens) },
        { title: "Out", class: "end num", cell: (call) => compact(call.usage.output_tokens) },
        { title: "Expected", class: "end num muted", cell: (call) => formatMoney(call.expected) },
        { title: "Cost", class: "end num", cell: (call) => formatMoney(call.cost) },
      ]}
    />
  );
}
