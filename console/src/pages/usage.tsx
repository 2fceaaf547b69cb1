/** What was used and what it cost: by day, agent, user and model, and the ledger call by call. */
import type { UsageGroup } from "headwater";
import { client } from "../api.ts";
import { useList, useLoad } from "../lib/load.ts";
import { axisMoney, formatMoney, formatNano, nanoOf } from "../lib/money.ts";
import { compact } from "../lib/text.ts";
import { daysFrom, utcDay } from "../lib/time.ts";
import { chosen, go, href, setQuery } from "../router.ts";
import { actingAs, isTenant } from "../session.ts";
import { Empty, Id, Segments, Show, Tabs, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { StackedBars, type Series } from "../ui/plot.tsx";
import { More, Table } from "../ui/table.tsx";
import { useNames, type Names } from "./names.ts";

type By = "agent" | "user" | "model";
const RANGES = ["1", "7", "30", "90"] as const;
/** So many parts of a bar have a colour; the rest is one more. */
const PARTS = 6;

/** The keys of a dimension, the costliest first. */
export function ranked(groups: readonly UsageGroup[], by: By): string[] {
  const totals = new Map<string, number>();
  for (const group of groups) {
    const key = group[by] ?? "";
    totals.set(key, (totals.get(key) ?? 0) + nanoOf(group.cost));
  }
  return [...totals].sort((one, other) => other[1] - one[1]).map(([key]) => key);
}

/** The bars of a plot: one for each day, with parts in the order of `keys`, so that a key has one colour in all plots. */
export function seriesOf(
  groups: readonly UsageGroup[],
  days: readonly string[],
  by: By,
  keys: readonly string[],
  name: (group: UsageGroup) => string,
  value: (group: UsageGroup) => number,
): Series[] {
  const own = keys.slice(0, keys.length > PARTS + 1 ? PARTS : PARTS + 1);
  const series = new Map(
    own.map((key) => [key, { name: key, values: new Array<number>(days.length).fill(0) }]),
  );
  const others = { name: "all others", values: new Array<number>(days.length).fill(0) };
  const at = new Map(days.map((day, index) => [day, index]));
  for (const group of groups) {
    const one = series.get(group[by] ?? "");
    if (one !== undefined) one.name = name(group);
    const { values } = one ?? others;
    const day = at.get(group.day ?? "");
    if (day !== undefined) values[day] = (values[day] ?? 0) + value(group);
  }
  return own.length < keys.length ? [...series.values(), others] : [...series.values()];
}

function nameOf(group: UsageGroup, by: By, names: Names): string {
  return by === "agent"
    ? names.agent(group.agent)
    : by === "user"
      ? names.user(group.user)
      : (group.model ?? "–");
}

/** The page. */
export function UsagePage() {
  const range = chosen("days", RANGES, "7");
  const by = chosen<By>("by", ["agent", "user", "model"], "agent");
  const tab = chosen("tab", ["sums", "ledger"], "sums");
  const names = useNames();
  const days = Number(range);
  const from = utcDay(Date.now() - (days - 1) * 86_400_000);
  const to = utcDay(Date.now() + 86_400_000);
  const usage = useLoad(
    (signal) => client.value.usage.get({ from, to, group_by: ["day", by] }, { signal }),
    [from, to, by, actingAs.value],
    10_000,
  );
  return (
    <Page
      title="Usage and cost"
      actions={
        <>
          <Segments
            label="Range"
            value={range}
            options={RANGES.map((value) => ({ value, label: value === "1" ? "Today" : `${value} days` }))}
            onChange={(value) => setQuery({ days: value })}
          />
          <Segments
            label="By"
            value={by}
            options={[
              { value: "agent", label: "Agent" },
              { value: "user", label: "User" },
              { value: "model", label: "Model" },
            ]}
            onChange={(value) => setQuery({ by: value })}
          />
        </>
      }
    >
      {isTenant.value && (
        <Tabs
          label="Views of usage"
          value={tab}
          options={[
            { value: "sums", label: "Sums" },
            { value: "ledger", label: "Ledger" },
          ]}
          onChange={(value) => setQuery({ tab: value === "sums" ? "" : value })}
        />
      )}
      {tab === "ledger" && isTenant.value ? (
        <Ledger from={from} to={to} names={names} />
      ) : (
        <Show of={usage}>
          {(list) =>
            list.data.length === 0 ? (
              <Empty title="Nothing was used in these days">
                What model calls cost is written down as they end.
              </Empty>
            ) : (
              <Sums groups={list.data} days={daysFrom(from, days)} by={by} names={names} />
            )
          }
        </Show>
      )}
    </Page>
  );
}

function Sums(props: { groups: UsageGroup[]; days: string[]; by: By; names: Names }) {
  const { groups, days, by, names } = props;
  const total = (value: (group: UsageGroup) => number) =>
    groups.reduce((sum, group) => sum + value(group), 0);
  const name = (group: UsageGroup) => nameOf(group, by, names);
  const money = total((group) => nanoOf(group.cost));
  const expected = total((group) => nanoOf(group.estimated_cost));
  const unknown = groups.some((group) => group.cost === null);
  const rows = totalsOf(groups, by, name);
  const keys = ranked(groups, by);
  return (
    <div class="stack">
      <div class="card card-body stats">
        <Stat
          label="Cost (UTC days)"
          value={`${formatNano(money)}${unknown ? " and what is unknown" : ""}`}
        />
        <Stat label="Expected before" value={formatNano(expected)} />
        <Stat label="Runs" value={compact(total((group) => group.runs))} />
        <Stat label="Model calls" value={compact(total((group) => group.calls))} />
        <Stat label="Tokens in" value={compact(total((group) => group.usage.input_tokens))} />
        <Stat label="Tokens out" value={compact(total((group) => group.usage.output_tokens))} />
      </div>
      <div class="card">
        <div class="card-head">
          <h2>Cost</h2>
        </div>
        <div class="card-body">
          <StackedBars
            label={`Cost by day and ${by}`}
            names={days}
            series={seriesOf(groups, days, by, keys, name, (group) => nanoOf(group.cost))}
            format={formatNano}
            axis={axisMoney}
          />
        </div>
      </div>
      <div class="card">
        <div class="card-head">
          <h2>Tokens</h2>
        </div>
        <div class="card-body">
          <StackedBars
            label={`Tokens by day and ${by}`}
            names={days}
            series={seriesOf(groups, days, by, keys, name, (group) => group.usage.total_tokens)}
            format={compact}
            axis={compact}
            height={150}
          />
        </div>
      </div>
      <Table
        label={`Sums by ${by}`}
        items={rows}
        id={(row) => row.key}
        onOpen={by === "agent" ? (row) => go(["runs"], { agent: row.key }) : undefined}
        columns={[
          { title: by, cell: (row) => row.name },
          { title: "Runs", class: "end num", cell: (row) => compact(row.runs) },
          { title: "Calls", class: "end num", cell: (row) => compact(row.calls) },
          { title: "In", class: "end num wide-only", cell: (row) => compact(row.input) },
          { title: "Out", class: "end num wide-only", cell: (row) => compact(row.output) },
          { title: "Cost", class: "end num", cell: (row) => formatNano(row.nano) },
        ]}
      />
    </div>
  );
}

function totalsOf(groups: readonly UsageGroup[], by: By, name: (group: UsageGroup) => string) {
  const rows = new Map<
    string,
    { key: string; name: string; runs: number; calls: number; input: number; output: number; nano: number }
  >();
  for (const group of groups) {
    const key = group[by] ?? "";
    const row = rows.get(key) ?? { key, name: name(group), runs: 0, calls: 0, input: 0, output: 0, nano: 0 };
    row.runs += group.runs;
    row.calls += group.calls;
    row.input += group.usage.input_tokens;
    row.output += group.usage.output_tokens;
    row.nano += nanoOf(group.cost);
    rows.set(key, row);
  }
  return [...rows.values()].sort((one, other) => other.nano - one.nano);
}

function Stat({ label, value }: { label: string; value: string }) {
  return (
    <div class="stat">
      <span>{label}</span>
      <strong>{value}</strong>
    </div>
  );
}

function Ledger({ from, to, names }: { from: string; to: string; names: Names }) {
  const calls = useList(
    (after, signal) => {
      const pages = client.value.usageCalls.list(
        { from, to, limit: 50, ...(after === undefined ? {} : { after }) },
        { signal },
      );
      return {
        page: async () => {
          const page = await pages.page();
          return { ...page, data: page.data.map((call) => ({ ...call, id: call.model_call })) };
        },
      };
    },
    [from, to, actingAs.value],
  );
  return (
    <Show of={calls}>
      {(items) =>
        items.length === 0 ? (
          <Empty title="No model call in these days" />
        ) : (
          <Table
            label="Ledger"
            items={items}
            id={(call) => call.id}
            onOpen={(call) => go(["runs", call.run])}
            foot={<More more={calls.more} onMore={calls.loadMore} />}
            columns={[
              { title: "Settled", class: "muted", cell: (call) => <When at={call.settled_at} /> },
              { title: "Run", cell: (call) => <Id value={call.run} link={href(["runs", call.run])} /> },
              { title: "Agent", class: "wide-only", cell: (call) => names.agent(call.agent) },
              { title: "User", class: "wide-only", cell: (call) => names.user(call.user) },
              { title: "Model", class: "clip", cell: (call) => call.model },
              { title: "In", class: "end num", cell: (call) => compact(call.usage.input_tokens) },
              { title: "Out", class: "end num", cell: (call) => compact(call.usage.output_tokens) },
              {
                title: "Cost",
                class: "end num",
                cell: (call) => `${formatMoney(call.cost)}${call.estimated ? " (estimated)" : ""}`,
              },
            ]}
          />
        )
      }
    </Show>
  );
}
