/** All runs of the tenant, or of the user it acts for. */
import { client } from "../api.ts";
import { useList } from "../lib/load.ts";
import { formatMoney } from "../lib/money.ts";
import { compact } from "../lib/text.ts";
import { formatDuration } from "../lib/time.ts";
import { go, href, route, setQuery } from "../router.ts";
import { actingAs } from "../session.ts";
import { curlOf, Empty, Id, Show, Status, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { More, Table } from "../ui/table.tsx";
import { useNames } from "./names.ts";
import type { Run } from "headwater";

const STATUSES = ["", "queued", "running", "suspended", "completed", "failed", "cancelled"];

/** How long a run took, or takes until now. */
export function took(run: Run): string {
  const from = Date.parse(run.started_at ?? run.created_at);
  const to = run.finished_at ? Date.parse(run.finished_at) : Date.now();
  return formatDuration(to - from);
}

/** The list of runs. */
export function RunsPage() {
  const { query } = route.value;
  const status = query.get("status") ?? "";
  const agent = query.get("agent") ?? "";
  const thread = query.get("thread") ?? "";
  const names = useNames();
  const runs = useList(
    (after, signal) =>
      client.value.runs.list(
        {
          limit: 50,
          ...(after === undefined ? {} : { after }),
          ...(status === "" ? {} : { status }),
          ...(agent === "" ? {} : { agent }),
          ...(thread === "" ? {} : { thread }),
        },
        { signal },
      ),
    [status, agent, thread, actingAs.value],
    3000,
  );
  return (
    <Page
      title="Runs"
      actions={
        <a class="btn primary" href={href(["playground"])}>
          New run
        </a>
      }
    >
      <div class="filters">
        <select
          aria-label="Status"
          data-filter
          value={status}
          onChange={(event) => setQuery({ status: event.currentTarget.value })}
        >
          {STATUSES.map((value) => (
            <option key={value} value={value}>
              {value === "" ? "Every status" : value}
            </option>
          ))}
        </select>
        <select
          aria-label="Agent"
          value={agent}
          onChange={(event) => setQuery({ agent: event.currentTarget.value })}
        >
          <option value="">Every agent</option>
          {names.agents.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </select>
        {thread !== "" && (
          <button type="button" class="btn on" onClick={() => setQuery({ thread: "" })}>
            One thread only ×
          </button>
        )}
      </div>
      <Show of={runs}>
        {(items) =>
          items.length === 0 ? (
            <Empty
              title={status === "" && agent === "" ? "No runs yet" : "No run fits"}
              curl={curlOf("/v1/runs", { agent: "assistant", input: "Hello" }).replace(
                "--json",
                '-H "Headwater-User: alice" \\\n  --json',
              )}
            >
              A run is one execution of an agent on a thread. Begin one in the playground, or from a shell.
            </Empty>
          ) : (
            <Table
              label="Runs"
              items={items}
              id={(run) => run.id}
              onOpen={(run) => go(["runs", run.id])}
              foot={<More more={runs.more} onMore={runs.loadMore} />}
              columns={[
                { title: "Run", cell: (run) => <Id value={run.id} link={href(["runs", run.id])} /> },
                { title: "Status", cell: (run) => <Status value={run.status} /> },
                { title: "Agent", cell: (run) => names.agent(run.agent) },
                { title: "User", class: "wide-only", cell: (run) => names.user(run.user) },
                { title: "Model", class: "wide-only clip muted", cell: (run) => run.model },
                { title: "Events", class: "end num wide-only", cell: (run) => compact(run.as_of_seq) },
                { title: "Took", class: "end num wide-only", cell: took },
                { title: "Cost", class: "end num", cell: (run) => formatMoney(run.cost) },
                { title: "Created", class: "end muted", cell: (run) => <When at={run.created_at} /> },
              ]}
            />
          )
        }
      </Show>
    </Page>
  );
}
