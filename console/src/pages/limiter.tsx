/** The limiter: how many calls each provider takes, who waits, whose turn it is; and how that went since the page was opened. */
import { useEffect, useRef } from "preact/hooks";
import { isAbsent, operator, type Limiter, type LimiterKey } from "../api.ts";
import { useLoad } from "../lib/load.ts";
import { shortId } from "../lib/text.ts";
import { Empty, Id, Show, Status, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { LinePlot } from "../ui/plot.tsx";
import { Table } from "../ui/table.tsx";

/** How often it is asked, in ms, while the page is visible. */
const EVERY_MS = 2000;
/** So many answers are kept: an hour of them. */
const MOST = 1800;

interface Sample {
  at: number;
  limiter: Limiter;
}

/** The name of a queue: models of one provider key wait together. */
function nameOf(key: LimiterKey): string {
  return `${key.model} ${key.key}`;
}

/** The page. */
export function LimiterPage() {
  const limiter = useLoad((signal) => operator.limiter(signal), [], EVERY_MS);
  const samples = useRef<Sample[]>([]);
  useEffect(() => {
    if (limiter.data === undefined) return;
    samples.current.push({ at: Date.now(), limiter: limiter.data });
    if (samples.current.length > MOST) samples.current.shift();
  }, [limiter.data]);
  if (isAbsent(limiter.error)) {
    return (
      <Page title="Limiter">
        <Empty title="This server does not tell">It is older than this page, or has no limiter.</Empty>
      </Page>
    );
  }
  return (
    <Page
      title="Limiter"
      lead="Each provider takes so many calls at a time; the limit follows what it takes. Those that wait go by fair shares of what they cost, between tenants first. These are the numbers of the replica that answered."
    >
      <Show of={limiter}>
        {(now) =>
          now.keys.length === 0 ? (
            <Empty title="No model was called on this replica yet">
              It begins to tell with the first call.
            </Empty>
          ) : (
            <div class="stack">
              <p class="muted">
                Replica <code>{now.replica}</code>
              </p>
              {now.keys.map((key) => (
                <Queue key={nameOf(key)} queue={key} samples={samples.current} />
              ))}
            </div>
          )
        }
      </Show>
    </Page>
  );
}

function Queue({ queue, samples }: { queue: LimiterKey; samples: readonly Sample[] }) {
  const name = nameOf(queue);
  const points = (pick: (key: LimiterKey) => number) =>
    samples.flatMap(({ at, limiter }): [number, number][] => {
      const key = limiter.keys.find((one) => nameOf(one) === name);
      return key === undefined ? [] : [[at, pick(key)]];
    });
  const from = samples[0]?.at ?? Date.now();
  return (
    <section class="card" aria-label={queue.model}>
      <div class="card-head">
        <h2>{queue.model}</h2>
        <span class="faint">
          {queue.key === "platform" ? "the platform's key" : `key of ${shortId(queue.key)}`}
        </span>
        <div class="actions">
          <Status value={queue.breaker === "closed" ? "ok" : queue.breaker} />
          {queue.open_until && (
            <span class="muted">
              tried again <When at={queue.open_until} />
            </span>
          )}
        </div>
      </div>
      <div class="card-body stack">
        <div class="stats">
          <Stat label="Limit" value={queue.limit == null ? "none" : String(queue.limit)} />
          <Stat label="In flight" value={String(queue.in_flight)} />
          <Stat label="Waiting" value={String(queue.waiting)} />
        </div>
        <LinePlot
          label={`Limit, calls in flight and calls waiting of ${queue.model}, since the page was opened`}
          from={from}
          to={Math.max(from + 60_000, Date.now())}
          format={(value) => String(value)}
          series={[
            { name: "limit", points: points((key) => key.limit ?? key.in_flight) },
            { name: "in flight", points: points((key) => key.in_flight) },
            { name: "waiting", points: points((key) => key.waiting) },
          ]}
        />
        {queue.tenants.length > 0 && (
          <Table
            label={`Shares of ${queue.model}`}
            items={queue.tenants}
            id={(tenant) => tenant.tenant}
            columns={[
              {
                title: "Tenant",
                cell: (tenant) => <Id value={tenant.tenant} link={`#/tenants/${tenant.tenant}`} />,
              },
              { title: "Weight", class: "end num", cell: (tenant) => tenant.weight },
              { title: "Waiting", class: "end num", cell: (tenant) => tenant.waiting },
            ]}
          />
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
