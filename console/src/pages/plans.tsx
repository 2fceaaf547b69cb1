/** Plans: what tenants get. */
import { useState } from "preact/hooks";
import type { Plan, Schema } from "headwater";
import { client } from "../api.ts";
import { useLoad } from "../lib/load.ts";
import { compact, parseJson, pretty } from "../lib/text.ts";
import { formatDuration } from "../lib/time.ts";
import { FormDialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icons.tsx";
import { curlOf, Empty, Field, Show } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { Table } from "../ui/table.tsx";

const KEPT = new Set(["name", "object", "created_at", "updated_at"]);
const NEW_TERMS = {
  weight: 1,
  max_active_runs: null,
  requests_per_minute: null,
  allowed_models: [],
  budgets: [],
};

/** The page. */
export function PlansPage() {
  const plans = useLoad((signal) => client.value.plans.list({ signal }).page(), []);
  const [form, setForm] = useState<{ plan?: Plan } | null>(null);
  const limit = (value: number | null | undefined) =>
    typeof value === "number" ? compact(value) : "default";
  return (
    <Page
      title="Plans"
      lead="A plan is a share of a busy provider, caps, rates, models, budgets and retention, for all tenants that are on it."
      actions={
        <button type="button" class="btn primary" onClick={() => setForm({})}>
          <Icon name="plus" />
          New plan
        </button>
      }
    >
      <Show of={plans}>
        {(page) =>
          page.data.length === 0 ? (
            <Empty
              title="No plans of your own"
              curl={curlOf("/v1/plans/pro", { weight: 4 }, "PUT", "HEADWATER_OPERATOR_KEY")}
            >
              Without one, tenants get what the server's settings say.
            </Empty>
          ) : (
            <Table
              label="Plans"
              items={page.data}
              id={(plan) => plan.name}
              onOpen={(plan) => setForm({ plan })}
              columns={[
                { title: "Plan", cell: (plan) => plan.name },
                { title: "Weight", class: "end num", cell: (plan) => plan.weight ?? 1 },
                { title: "Active runs", class: "end num", cell: (plan) => limit(plan.max_active_runs) },
                {
                  title: "Requests a minute",
                  class: "end num wide-only",
                  cell: (plan) => limit(plan.requests_per_minute),
                },
                {
                  title: "Keeps logs",
                  class: "end wide-only",
                  cell: (plan) =>
                    typeof plan.retention_ms === "number"
                      ? formatDuration(plan.retention_ms)
                      : "as the tenant has it",
                },
                {
                  title: "Models",
                  class: "clip muted wide-only",
                  cell: (plan) => (plan.allowed_models?.length ? plan.allowed_models.join(", ") : "all"),
                },
                { title: "Budgets", class: "end num wide-only", cell: (plan) => plan.budgets?.length ?? 0 },
              ]}
            />
          )
        }
      </Show>
      {form !== null && <PlanForm plan={form.plan} onClose={() => setForm(null)} onSaved={plans.reload} />}
    </Page>
  );
}

function PlanForm({
  plan,
  onClose,
  onSaved,
}: {
  plan: Plan | undefined;
  onClose: () => void;
  onSaved: () => void;
}) {
  const [name, setName] = useState(plan?.name ?? "");
  const [text, setText] = useState(() =>
    pretty(
      plan === undefined
        ? NEW_TERMS
        : Object.fromEntries(Object.entries(plan).filter(([key]) => !KEPT.has(key))),
    ),
  );
  const parsed = parseJson(text);
  return (
    <FormDialog
      title={plan === undefined ? "New plan" : `Plan ${plan.name}`}
      action="Save"
      big
      ready={name.trim() !== "" && "value" in parsed}
      onClose={onClose}
      onSubmit={async () => {
        if (!("value" in parsed)) return;
        await client.value.plans.put(name.trim(), parsed.value as Schema<"PlanTerms">);
        onSaved();
      }}
    >
      {plan === undefined && (
        <Field label="Name">
          {(id) => (
            <input id={id} value={name} autofocus onInput={(event) => setName(event.currentTarget.value)} />
          )}
        </Field>
      )}
      <Field
        label="Terms"
        wrong={"problem" in parsed ? parsed.problem : null}
        hint="Every process knows within seconds. null is what the server's settings say."
      >
        {(id) => (
          <textarea
            id={id}
            class="code"
            rows={14}
            value={text}
            spellcheck={false}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}
