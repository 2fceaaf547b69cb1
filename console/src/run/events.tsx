/** The raw events: a list that can be filtered, and the JSON of the one that is chosen. */
import { useMemo, useState } from "preact/hooks";
import { formatDuration } from "../lib/time.ts";
import { pretty } from "../lib/text.ts";
import { CopyButton } from "../ui/kit.tsx";
import { VirtualList } from "../ui/virtual.tsx";
import { kindOf, type LogItem, type RunLog } from "./log.ts";
import { family, summary } from "./summary.ts";

/** Which events are shown: of one type, or all but the deltas, and only those that hold a text. */
function chosen(log: RunLog, kind: string, text: string): number[] | null {
  if (kind === "" && text === "") return null;
  const needle = text.toLowerCase();
  const found: number[] = [];
  log.items.forEach((item, at) => {
    const own = kindOf(item);
    if (kind === "!delta" ? own.endsWith(".delta") : kind !== "" && own !== kind) return;
    if (needle === "" || item.raw.toLowerCase().includes(needle)) found.push(at);
  });
  return found;
}

/** The list and the JSON. `cursor` is the chosen event. */
export function Events(props: {
  log: RunLog;
  revision: number;
  cursor: number;
  onCursor: (index: number) => void;
}) {
  const { log, cursor } = props;
  const [kind, setKind] = useState("");
  const [text, setText] = useState("");
  const found = useMemo(() => chosen(log, kind, text), [log, kind, text, props.revision]);
  const count = found === null ? log.length : found.length;
  const indexOf = (row: number) => (found === null ? row : (found[row] ?? 0));
  const row = found === null ? cursor : lastAtMost(found, cursor);
  const start = log.times[0] ?? 0;
  const item = log.items[cursor];
  const kinds = [...log.counts].sort((one, other) => one[0].localeCompare(other[0]));
  return (
    <section class="events" aria-label="Events">
      <div class="events-head">
        <input
          data-filter
          type="search"
          aria-label="Filter events"
          placeholder="Filter events"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <select aria-label="Type" value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
          <option value="">All types ({log.length})</option>
          <option value="!delta">Without deltas</option>
          {kinds.map(([name, many]) => (
            <option key={name} value={name}>
              {name} ({many})
            </option>
          ))}
        </select>
      </div>
      {count === 0 ? (
        <p class="loading">{log.length === 0 ? "No events yet" : "No event fits"}</p>
      ) : (
        <VirtualList
          label="Events"
          count={count}
          rowHeight={24}
          selected={row}
          onSelect={(at) => props.onCursor(indexOf(at))}
          row={(at) => (
            <EventRow
              item={log.items[indexOf(at)] as LogItem}
              since={(log.times[indexOf(at)] ?? start) - start}
            />
          )}
        />
      )}
      {item !== undefined && (
        <div class="event-json">
          <div class="row">
            <code class="grow">{kindOf(item)}</code>
            <CopyButton text={item.raw} />
          </div>
          <pre tabIndex={0} aria-label="The event's JSON">
            {pretty(JSON.parse(item.raw) as unknown)}
          </pre>
        </div>
      )}
    </section>
  );
}

function EventRow({ item, since }: { item: LogItem; since: number }) {
  const kind = kindOf(item);
  return (
    <>
      <span class="seq">{item.seq}</span>
      <span class="since">+{formatDuration(since)}</span>
      <span class={`kind f-${family(kind)}`}>{kind}</span>
      <span class="what">{item.type === "event" ? summary(item.event) : "hidden from this reader"}</span>
    </>
  );
}

/** The row of the last of some indexes (in order) that is not behind one; -1 if all are. */
export function lastAtMost(sorted: readonly number[], index: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) <= index) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
