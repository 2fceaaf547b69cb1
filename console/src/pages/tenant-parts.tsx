/** What hangs on a tenant: keys, budgets, prices. */
import { useState } from "preact/hooks";
import type { ApiKey, Budget, TenantPrices } from "headwater";
import { client } from "../api.ts";
import { useList, useLoad } from "../lib/load.ts";
import { parseJson, pretty, shortId } from "../lib/text.ts";
import { FormDialog, SecretDialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icons.tsx";
import { curlOf, Empty, Field, Problem, Show, Status, When } from "../ui/kit.tsx";
import { More, Table } from "../ui/table.tsx";
import { toast } from "../ui/toast.tsx";
import { BudgetForm } from "./budget-form.tsx";
import { BudgetTable } from "./budgets.tsx";
import type { Names } from "./names.ts";

/** The keys of a tenant. A new one is shown once. */
export function Keys({ tenant }: { tenant: string }) {
  const keys = useList(
    (after, signal) =>
      client.value.tenantKeys.list(
        tenant,
        { limit: 50, ...(after === undefined ? {} : { after }) },
        { signal },
      ),
    [tenant],
  );
  const [making, setMaking] = useState(false);
  const [name, setName] = useState("");
  const [secret, setSecret] = useState<string | null>(null);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  return (
    <div class="stack">
      <div class="row">
        <p class="muted grow">Keys are for back ends: they act for any user of the tenant.</p>
        <button type="button" class="btn" onClick={() => setMaking(true)}>
          <Icon name="plus" />
          New key
        </button>
      </div>
      <Show of={keys}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="No keys" />
          ) : (
            <Table
              label="Keys"
              items={items}
              id={(key) => key.id}
              foot={<More more={keys.more} onMore={keys.loadMore} />}
              columns={[
                { title: "Name", cell: (key) => key.name },
                { title: "Key", cell: (key) => <code>{key.hint}</code> },
                { title: "Scopes", class: "clip muted wide-only", cell: (key) => key.scopes.join(" ") },
                {
                  title: "Last used",
                  class: "muted wide-only",
                  cell: (key) => <When at={key.last_used_at} />,
                },
                { title: "Created", class: "muted", cell: (key) => <When at={key.created_at} /> },
                {
                  title: "",
                  class: "end",
                  cell: (key) =>
                    key.revoked_at ? (
                      <Status value="revoked" />
                    ) : (
                      <button type="button" class="btn small danger" onClick={() => setRevoking(key)}>
                        Revoke
                      </button>
                    ),
                },
              ]}
            />
          )
        }
      </Show>
      {making && (
        <FormDialog
          title="New key"
          action="Make it"
          ready={name.trim() !== ""}
          onClose={() => setMaking(false)}
          onSubmit={async () => {
            setSecret((await client.value.tenantKeys.create(tenant, { name: name.trim() })).secret ?? null);
            setName("");
            keys.reload();
          }}
        >
          <Field label="Name" hint="Where it is used, such as backend.">
            {(id) => (
              <input id={id} value={name} autofocus onInput={(event) => setName(event.currentTarget.value)} />
            )}
          </Field>
        </FormDialog>
      )}
      {secret !== null && !making && (
        <SecretDialog title="The new key" secret={secret} onClose={() => setSecret(null)} />
      )}
      {revoking !== null && (
        <FormDialog
          title={`Revoke ${revoking.name}?`}
          action="Revoke"
          danger
          onClose={() => setRevoking(null)}
          onSubmit={async () => {
            await client.value.tenantKeys.revoke(tenant, revoking.id);
            keys.reload();
          }}
        >
          <p>What uses it is refused everywhere within 5 seconds.</p>
        </FormDialog>
      )}
    </div>
  );
}

/** The operator knows a tenant's users and agents by id only. */
const IDS: Names = {
  agents: [],
  users: [],
  agent: (id) => (id ? shortId(id) : "–"),
  user: (id) => (id ? shortId(id) : "–"),
};

/** The budgets of a tenant, of which the operator's can be changed. */
export function TenantBudgets({ tenant }: { tenant: string }) {
  const [form, setForm] = useState<{ budget?: Budget } | null>(null);
  const budgets = useList(
    (after, signal) =>
      client.value.tenantBudgets.list(
        tenant,
        { limit: 50, ...(after === undefined ? {} : { after }) },
        { signal },
      ),
    [tenant],
    5000,
  );
  return (
    <div class="stack">
      <div class="row">
        <p class="muted grow">The tenant sees the operator's budgets and cannot change them.</p>
        <button type="button" class="btn" onClick={() => setForm({})}>
          <Icon name="plus" />
          New budget
        </button>
      </div>
      <BudgetTable
        budgets={budgets}
        names={IDS}
        editable={(budget) => budget.owner === "operator" && !budget.of_plan}
        onEdit={(budget) => setForm({ budget })}
        onDelete={(budget) => client.value.tenantBudgets.delete(tenant, budget.id)}
        curl={curlOf(
          `/v1/tenants/${tenant}/budgets`,
          { scope: { type: "tenant" }, limit: { usd: "25" } },
          undefined,
          "HEADWATER_OPERATOR_KEY",
        )}
      />
      {form !== null && (
        <BudgetForm
          budget={form.budget}
          agents={[]}
          users={[]}
          onClose={() => setForm(null)}
          onCreate={async (params) => (
            await client.value.tenantBudgets.create(tenant, params),
            budgets.reload()
          )}
          onUpdate={async (params) => {
            await client.value.tenantBudgets.update(tenant, (form.budget as Budget).id, params);
            budgets.reload();
          }}
        />
      )}
    </div>
  );
}

/** What a tenant pays. */
export function Prices({ tenant }: { tenant: string }) {
  const prices = useLoad((signal) => client.value.tenantPrices.get(tenant, { signal }), [tenant]);
  return (
    <Show of={prices}>
      {(value) => <PricesForm key={pretty(value)} tenant={tenant} value={value} onSaved={prices.reload} />}
    </Show>
  );
}

function PricesForm(props: { tenant: string; value: TenantPrices; onSaved: () => void }) {
  const [text, setText] = useState(() => pretty(props.value));
  const [error, setError] = useState<unknown>(undefined);
  const parsed = parseJson(text);
  const save = async () => {
    if (!("value" in parsed)) return;
    try {
      await client.value.tenantPrices.put(props.tenant, parsed.value as TenantPrices);
      toast("It counts from now on");
      props.onSaved();
    } catch (caught) {
      setError(caught);
    }
  };
  return (
    <div class="form">
      <Field
        label="What the tenant pays otherwise than the table of prices says"
        wrong={"problem" in parsed ? parsed.problem : null}
        hint="markup_ppm is in millionths: 200000 is a fifth more. Prices are in pico-USD a token. What was settled stays as it was."
      >
        {(id) => (
          <textarea
            id={id}
            class="code"
            rows={10}
            value={text}
            spellcheck={false}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
      </Field>
      {error !== undefined && <Problem error={error} />}
      <div class="row">
        <button
          type="button"
          class="btn primary"
          disabled={"problem" in parsed || text === pretty(props.value)}
          onClick={() => void save()}
        >
          Save
        </button>
      </div>
    </div>
  );
}
