/** The run as of an event: what it has said, what it waits for, what it has cost. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { ApiError, isOver, pendingApprovals, pendingInputs, type RunView } from "headwater";
import { formatMoney } from "../lib/money.ts";
import { compact } from "../lib/text.ts";
import { Problem, Status } from "../ui/kit.tsx";
import { Decide, Submit } from "./decide.tsx";
import { RunMessages, Said } from "./messages.tsx";

/** The state. `input` is what the run was asked, `live` whether this is the present: only then can something be decided. */
export function State(props: { view: RunView; input: string | null; agent: string; live: boolean }) {
  const { view, live } = props;
  const box = useRef<HTMLElement>(null);
  // While it goes on, or is gone through, what was said last is in sight; unless somebody has scrolled up to read. A run that is over is read
  // from its beginning.
  const atEnd = useRef(true);
  const moves = !(live && isOver(view));
  useLayoutEffect(() => {
    const element = box.current;
    if (element !== null && moves && atEnd.current) element.scrollTop = element.scrollHeight;
  });
  return (
    <section
      ref={box}
      class="state"
      tabIndex={0}
      onScroll={({ currentTarget: at }) => {
        atEnd.current = at.scrollHeight - at.scrollTop - at.clientHeight < 40;
      }}
      aria-label="The run as of this event"
    >
      <div class="stats">
        <div class="stat">
          <span>Status</span>
          <Status value={view.status ?? "queued"} />
        </div>
        <Stat label="Step" value={view.step === 0 ? "–" : String(view.step)} />
        <Stat label="Tokens" value={view.usage === null ? "–" : compact(view.usage.total_tokens)} />
        <Stat label="Cost" value={view.cost === null ? "–" : formatMoney(view.cost)} />
        {view.throttled !== null && (
          <Stat label="In the queue" value={`number ${view.throttled.queue_pos}`} />
        )}
      </div>
      <div class="messages">
        {props.input !== null && <Said>{props.input}</Said>}
        <RunMessages view={view} name={props.agent} />
        {pendingApprovals(view).map((approval) =>
          live && view.run !== null ? (
            <Decide key={approval.id} question={{ ...approval, run: view.run }} />
          ) : (
            <p key={approval.id} class="notice">
              Waits for a decision: {approval.message ?? approval.name}
            </p>
          ),
        )}
        {live &&
          view.run !== null &&
          pendingInputs(view).map((call) => <Submit key={call.call} run={view.run as string} call={call} />)}
        {view.error !== null && (
          <Problem error={new ApiError(view.error.status, view.error, view.error.request_id ?? null)} />
        )}
        {view.messages.length === 0 && view.status !== null && view.error === null && (
          <p class="faint">Nothing said yet.</p>
        )}
      </div>
    </section>
  );
}

function Stat({ label, value }: { label: string; value: string }) {
  return (
    <div class="stat">
      <span>{label}</span>
      <strong>{value}</strong>
    </div>
  );
}
