/** Limits on what may be spent, and how much of them is. */
import { useState } from "preact/hooks";
import type { Budget } from "headwater";
import { client } from "../api.ts";
import { useList, type Listed } from "../lib/load.ts";
import { formatMoney, nanoOf } from "../lib/money.ts";
import { actingAs, isTenant } from "../session.ts";
import { FormDialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icons.tsx";
import { curlOf, Empty, Meter, Show, Status, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { More, Table } from "../ui/table.tsx";
import { BudgetForm } from "./budget-form.tsx";
import { useNames, type Names } from "./names.ts";

/** What a budget limits, in words. */
export function scopeOf(budget: Budget, names: Names): string {
  switch (budget.scope.type) {
    case "tenant":
      return "the tenant";
    case "each_user":
      return "every user, each";
    case "user":
      return `user ${names.user(budget.scope.id)}`;
    case "agent":
      return `agent ${names.agent(budget.scope.id)}`;
  }
}

/** The page of a tenant's budgets. */
export function BudgetsPage() {
  const names = useNames();
  const [form, setForm] = useState<{ budget?: Budget } | null>(null);
  const budgets = useList(
    (after, signal) =>
      client.value.budgets.list({ limit: 50, ...(after === undefined ? {} : { after }) }, { signal }),
    [actingAs.value],
    5000,
  );
  return (
    <Page
      title="Budgets"
      lead="A call must pass every budget that covers it. A run that finds too little waits, and goes on when there is more."
      actions={
        isTenant.value && (
          <button type="button" class="btn primary" onClick={() => setForm({})}>
            <Icon name="plus" />
            New budget
          </button>
        )
      }
    >
      <BudgetTable
        budgets={budgets}
        names={names}
        editable={(budget) => isTenant.value && budget.owner === "tenant"}
        onEdit={(budget) => setForm({ budget })}
        onDelete={(budget) => client.value.budgets.delete(budget.id)}
        curl={curlOf("/v1/budgets", { scope: { type: "tenant" }, limit: { usd: "25" }, window: "month" })}
      />
      {form !== null && (
        <BudgetForm
          budget={form.budget}
          agents={names.agents}
          users={names.users}
          onClose={() => setForm(null)}
          onCreate={async (params) => (await client.value.budgets.create(params), budgets.reload())}
          onUpdate={async (params) => {
            await client.value.budgets.update((form.budget as Budget).id, params);
            budgets.reload();
          }}
        />
      )}
    </Page>
  );
}

/** Budgets in a table; the operator's page of a tenant shows them too. */
export function BudgetTable(props: {
  budgets: Listed<Budget>;
  names: Names;
  editable: (budget: Budget) => boolean;
  onEdit: (budget: Budget) => void;
  onDelete: (budget: Budget) => Promise<void>;
  curl: string;
}) {
  const [deleting, setDeleting] = useState<Budget | null>(null);
  return (
    <>
      <Show of={props.budgets}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="No budgets" curl={props.curl}>
              Nothing limits what is spent. A budget can be of the tenant, a user, every user or an agent, per
              day, month or for all time.
            </Empty>
          ) : (
            <Table
              label="Budgets"
              items={items}
              id={(budget) => budget.id}
              foot={<More more={props.budgets.more} onMore={props.budgets.loadMore} />}
              columns={[
                {
                  title: "Of",
                  cell: (budget) => (
                    <>
                      {scopeOf(budget, props.names)}
                      {budget.owner === "operator" && (
                        <span class="faint"> – set by the operator{budget.of_plan ? "'s plan" : ""}</span>
                      )}
                    </>
                  ),
                },
                { title: "Mode", class: "wide-only", cell: (budget) => budget.mode },
                { title: "Per", cell: (budget) => (budget.window === "total" ? "all time" : budget.window) },
                {
                  title: "Used",
                  cell: (budget) =>
                    budget.spent ? (
                      <Meter
                        label="Share used"
                        share={
                          (nanoOf(budget.spent) + nanoOf(budget.reserved)) / Math.max(1, nanoOf(budget.limit))
                        }
                      />
                    ) : (
                      <span class="faint">each their own</span>
                    ),
                },
                {
                  title: "Spent",
                  class: "end num",
                  cell: (budget) => (budget.spent ? formatMoney(budget.spent) : "–"),
                },
                {
                  title: "Reserved",
                  class: "end num wide-only",
                  cell: (budget) => (budget.reserved ? formatMoney(budget.reserved) : "–"),
                },
                { title: "Limit", class: "end num", cell: (budget) => formatMoney(budget.limit) },
                {
                  title: "Status",
                  cell: (budget) => (budget.status ? <Status value={budget.status} /> : ""),
                },
                {
                  title: "Begins anew",
                  class: "end muted wide-only",
                  cell: (budget) => <When at={budget.resets_at} />,
                },
                {
                  title: "",
                  class: "end",
                  cell: (budget) =>
                    props.editable(budget) && (
                      <>
                        <button type="button" class="btn plain small" onClick={() => props.onEdit(budget)}>
                          Change
                        </button>
                        <button
                          type="button"
                          class="btn plain small danger"
                          onClick={() => setDeleting(budget)}
                        >
                          Delete
                        </button>
                      </>
                    ),
                },
              ]}
            />
          )
        }
      </Show>
      {deleting !== null && (
        <FormDialog
          title="Delete the budget?"
          action="Delete"
          danger
          onClose={() => setDeleting(null)}
          onSubmit={async () => {
            await props.onDelete(deleting);
            props.budgets.reload();
          }}
        >
          <p>What was counted of it is gone too. Runs that wait for it go on.</p>
        </FormDialog>
      )}
    </>
  );
}
