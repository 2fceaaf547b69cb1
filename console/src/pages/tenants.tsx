/** The operator's tenants. */
import { useState } from "preact/hooks";
import type { Tenant, TenantSettings } from "headwater";
import { client } from "../api.ts";
import { useList, useLoad } from "../lib/load.ts";
import { formatDuration } from "../lib/time.ts";
import { go, href } from "../router.ts";
import { FormDialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icons.tsx";
import { curlOf, Empty, Field, Id, Show, Status, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { More, Table } from "../ui/table.tsx";

/** The list of tenants. */
export function TenantsPage() {
  const [making, setMaking] = useState(false);
  const tenants = useList(
    (after, signal) =>
      client.value.tenants.list({ limit: 50, ...(after === undefined ? {} : { after }) }, { signal }),
    [],
  );
  return (
    <Page
      title="Tenants and keys"
      actions={
        <button type="button" class="btn primary" onClick={() => setMaking(true)}>
          <Icon name="plus" />
          New tenant
        </button>
      }
    >
      <Show of={tenants}>
        {(items) =>
          items.length === 0 ? (
            <Empty
              title="No tenants"
              curl={curlOf("/v1/tenants", { name: "acme" }, undefined, "HEADWATER_OPERATOR_KEY")}
            >
              A tenant is a customer of the platform: its agents, users and keys are walled off from all
              others.
            </Empty>
          ) : (
            <Table
              label="Tenants"
              items={items}
              id={(tenant) => tenant.id}
              onOpen={(tenant) => go(["tenants", tenant.id])}
              foot={<More more={tenants.more} onMore={tenants.loadMore} />}
              columns={[
                {
                  title: "Tenant",
                  cell: (tenant) => <a href={href(["tenants", tenant.id])}>{tenant.name}</a>,
                },
                { title: "Id", class: "wide-only", cell: (tenant) => <Id value={tenant.id} /> },
                { title: "Status", cell: (tenant) => <Status value={tenant.status} /> },
                { title: "Plan", cell: (tenant) => tenant.plan },
                {
                  title: "Keeps logs",
                  class: "wide-only",
                  cell: (tenant) => formatDuration(tenant.retention_ms),
                },
                { title: "Created", class: "end muted", cell: (tenant) => <When at={tenant.created_at} /> },
              ]}
            />
          )
        }
      </Show>
      {making && (
        <TenantForm
          onClose={() => setMaking(false)}
          onSave={async (params) => {
            const made = await client.value.tenants.create(params);
            go(["tenants", made.id]);
          }}
        />
      )}
    </Page>
  );
}

/** Makes a tenant, or changes one. */
export function TenantForm(props: {
  tenant?: Tenant;
  onClose: () => void;
  onSave: (params: TenantSettings) => Promise<void>;
}) {
  const { tenant } = props;
  const [name, setName] = useState(tenant?.name ?? "");
  const [plan, setPlan] = useState(tenant?.plan ?? "default");
  const [origins, setOrigins] = useState(tenant?.allowed_origins.join("\n") ?? "");
  const [hours, setHours] = useState(String((tenant?.retention_ms ?? 86_400_000) / 3_600_000));
  const plans = useLoad((signal) => client.value.plans.list({ signal }).page(), []);
  const retention = Number(hours) * 3_600_000;
  return (
    <FormDialog
      title={tenant === undefined ? "New tenant" : "Change the tenant"}
      action="Save"
      ready={name.trim() !== "" && Number.isFinite(retention) && retention >= 0}
      onClose={props.onClose}
      onSubmit={() =>
        props.onSave({
          name: name.trim(),
          plan,
          retention_ms: Math.round(retention),
          allowed_origins: origins.split(/\s+/).filter((one) => one !== ""),
        })
      }
    >
      <Field label="Name">
        {(id) => (
          <input id={id} value={name} autofocus onInput={(event) => setName(event.currentTarget.value)} />
        )}
      </Field>
      <div class="form-row">
        <Field label="Plan">
          {(id) => (
            <select id={id} value={plan} onChange={(event) => setPlan(event.currentTarget.value)}>
              {[...new Set([plan, ...(plans.data?.data.map((one) => one.name) ?? [])])].map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Keeps logs, hours" hint="After a run's end.">
          {(id) => (
            <input
              id={id}
              inputMode="decimal"
              value={hours}
              onInput={(event) => setHours(event.currentTarget.value)}
            />
          )}
        </Field>
      </div>
      <Field label="Allowed origins" hint="Pages that may call the API from a browser, one a line.">
        {(id) => (
          <textarea
            id={id}
            rows={3}
            value={origins}
            onInput={(event) => setOrigins(event.currentTarget.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}
