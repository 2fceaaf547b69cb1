/** One tenant: its settings, and what hangs on it. */
import { useState } from "preact/hooks";
import type { Tenant } from "headwater";
import { client } from "../api.ts";
import { useLoad } from "../lib/load.ts";
import { formatDuration } from "../lib/time.ts";
import { chosen, go, href, setQuery } from "../router.ts";
import { FormDialog } from "../ui/dialog.tsx";
import { Field, Show, Status, Tabs } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { Keys, Prices, TenantBudgets } from "./tenant-parts.tsx";
import { TenantForm } from "./tenants.tsx";

/** One tenant. */
export function TenantPage({ id }: { id: string }) {
  const tab = chosen("tab", ["keys", "budgets", "prices"], "keys");
  const tenant = useLoad((signal) => client.value.tenants.get(id, { signal }), [id]);
  const [dialog, setDialog] = useState<"edit" | "delete" | "switch" | null>(null);
  const close = () => setDialog(null);
  const suspended = tenant.data?.status === "suspended";
  return (
    <Page
      title={tenant.data?.name ?? "Tenant"}
      up={{ path: ["tenants"], label: "Tenants" }}
      actions={
        <>
          <button type="button" class="btn" onClick={() => setDialog("edit")}>
            Change
          </button>
          <button type="button" class="btn" onClick={() => setDialog("switch")}>
            {suspended ? "Switch on" : "Suspend"}
          </button>
          <button type="button" class="btn danger" onClick={() => setDialog("delete")}>
            Delete
          </button>
        </>
      }
    >
      <Show of={tenant}>
        {(one) => (
          <dl class="facts spaced">
            <dt>Id</dt>
            <dd>
              <code>{one.id}</code>
            </dd>
            <dt>Status</dt>
            <dd>
              <Status value={one.status} />
            </dd>
            <dt>Plan</dt>
            <dd>
              <a href={href(["plans"])}>{one.plan}</a>
            </dd>
            <dt>Allowed origins</dt>
            <dd>{one.allowed_origins.join(", ") || "none"}</dd>
            <dt>Keeps logs</dt>
            <dd>{formatDuration(one.retention_ms)}</dd>
          </dl>
        )}
      </Show>
      <Tabs
        label="Views of the tenant"
        value={tab}
        onChange={(value) => setQuery({ tab: value === "keys" ? "" : value })}
        options={[
          { value: "keys", label: "Keys" },
          { value: "budgets", label: "Budgets" },
          { value: "prices", label: "Prices" },
        ]}
      />
      {tab === "keys" ? (
        <Keys tenant={id} />
      ) : tab === "budgets" ? (
        <TenantBudgets tenant={id} />
      ) : (
        <Prices tenant={id} />
      )}
      {dialog === "edit" && tenant.data !== undefined && (
        <TenantForm
          tenant={tenant.data}
          onClose={close}
          onSave={async (params) => {
            await client.value.tenants.update(id, params);
            tenant.reload();
          }}
        />
      )}
      {dialog === "switch" && (
        <FormDialog
          title={suspended ? "Switch the tenant on?" : "Suspend the tenant?"}
          action={suspended ? "Switch on" : "Suspend"}
          danger={!suspended}
          onClose={close}
          onSubmit={async () => {
            await client.value.tenants.update(id, { status: suspended ? "active" : "suspended" });
            tenant.reload();
          }}
        >
          <p>
            {suspended
              ? "Its keys work again."
              : "Its keys and its users' tokens are refused until it is switched on again."}
          </p>
        </FormDialog>
      )}
      {dialog === "delete" && <DeleteTenant tenant={tenant.data} id={id} onClose={close} />}
    </Page>
  );
}

function DeleteTenant({
  tenant,
  id,
  onClose,
}: {
  tenant: Tenant | undefined;
  id: string;
  onClose: () => void;
}) {
  const [typed, setTyped] = useState("");
  return (
    <FormDialog
      title={`Delete ${tenant?.name ?? "the tenant"}?`}
      action="Delete everything"
      danger
      ready={typed === tenant?.name}
      onClose={onClose}
      onSubmit={async () => (await client.value.tenants.delete(id), go(["tenants"]))}
    >
      <p>All that is its own is erased: users, threads, runs, agents, keys. There is no way back.</p>
      <Field label={`Type its name to go on: ${tenant?.name ?? ""}`}>
        {(field) => (
          <input id={field} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
        )}
      </Field>
    </FormDialog>
  );
}
