/** Where the tenant's own server is told what happens, and what it was told. */
import { useState } from "preact/hooks";
import type { WebhookEndpoint } from "headwater";
import { ownClient } from "../api.ts";
import { useList, useLoad } from "../lib/load.ts";
import { go, href } from "../router.ts";
import { FormDialog, SecretDialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icons.tsx";
import { curlOf, Empty, Field, Id, Show, Status, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { More, Table } from "../ui/table.tsx";
import { toast } from "../ui/toast.tsx";

type EventType = WebhookEndpoint["events"][number];
const TYPES: EventType[] = [
  "run.completed",
  "run.failed",
  "run.cancelled",
  "run.suspended",
  "approval.requested",
  "approval.resolved",
  "budget.warning",
  "budget.exhausted",
];

/** The list of endpoints. */
export function WebhooksPage() {
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  const endpoints = useList(
    (after, signal) =>
      ownClient.value.webhookEndpoints.list(
        { limit: 50, ...(after === undefined ? {} : { after }) },
        { signal },
      ),
    [],
    10_000,
  );
  return (
    <Page
      title="Webhooks"
      lead="Your own server is told what happens, signed as Standard Webhooks have it. What is not answered with 2xx is sent again for a day."
      actions={
        <button type="button" class="btn primary" onClick={() => setMaking(true)}>
          <Icon name="plus" />
          New endpoint
        </button>
      }
    >
      <Show of={endpoints}>
        {(items) =>
          items.length === 0 ? (
            <Empty
              title="No endpoints"
              curl={curlOf("/v1/webhook_endpoints", {
                url: "https://shop.example/hooks",
                events: ["run.completed"],
              })}
            >
              Add the address of your server, and what it wants to know.
            </Empty>
          ) : (
            <Table
              label="Webhook endpoints"
              items={items}
              id={(one) => one.id}
              onOpen={(one) => go(["webhooks", one.id])}
              foot={<More more={endpoints.more} onMore={endpoints.loadMore} />}
              columns={[
                {
                  title: "Address",
                  class: "clip",
                  cell: (one) => <a href={href(["webhooks", one.id])}>{one.url}</a>,
                },
                { title: "Status", cell: (one) => <EndpointStatus endpoint={one} /> },
                { title: "Told of", class: "clip muted wide-only", cell: (one) => one.events.join(", ") },
                { title: "Created", class: "end muted", cell: (one) => <When at={one.created_at} /> },
              ]}
            />
          )
        }
      </Show>
      {making && (
        <EndpointForm
          onClose={() => setMaking(false)}
          onSave={async (params) => {
            const made = await ownClient.value.webhookEndpoints.create(params);
            setSecret(made.secret ?? null);
            endpoints.reload();
          }}
        />
      )}
      {secret !== null && !making && (
        <SecretDialog title="The endpoint's secret" secret={secret} onClose={() => setSecret(null)}>
          Check signatures with it. It is shown this once.
        </SecretDialog>
      )}
    </Page>
  );
}

function EndpointStatus({ endpoint }: { endpoint: WebhookEndpoint }) {
  return endpoint.failing_since && endpoint.status === "enabled" ? (
    <span class="badge bad">
      failing since <When at={endpoint.failing_since} />
    </span>
  ) : (
    <Status value={endpoint.status} />
  );
}

function EndpointForm(props: {
  endpoint?: WebhookEndpoint;
  onClose: () => void;
  onSave: (params: { url: string; events: EventType[]; description: string | null }) => Promise<void>;
}) {
  const [url, setUrl] = useState(props.endpoint?.url ?? "");
  const [events, setEvents] = useState<EventType[]>(
    props.endpoint?.events ?? ["run.completed", "run.failed"],
  );
  const [description, setDescription] = useState(props.endpoint?.description ?? "");
  return (
    <FormDialog
      title={props.endpoint === undefined ? "New endpoint" : "Change the endpoint"}
      action="Save"
      ready={url !== "" && events.length > 0}
      onClose={props.onClose}
      onSubmit={() => props.onSave({ url: url.trim(), events, description: description.trim() || null })}
    >
      <Field label="Address">
        {(id) => (
          <input
            id={id}
            type="url"
            value={url}
            autofocus
            placeholder="https://shop.example/hooks"
            onInput={(event) => setUrl(event.currentTarget.value)}
          />
        )}
      </Field>
      <fieldset class="field">
        <legend class="label">Told of</legend>
        <div class="form-row">
          {TYPES.map((type) => (
            <label key={type} class="check">
              <input
                type="checkbox"
                checked={events.includes(type)}
                onChange={(event) =>
                  setEvents(
                    event.currentTarget.checked ? [...events, type] : events.filter((one) => one !== type),
                  )
                }
              />
              <span>{type}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <Field label="Description">
        {(id) => (
          <input id={id} value={description} onInput={(event) => setDescription(event.currentTarget.value)} />
        )}
      </Field>
    </FormDialog>
  );
}

/** One endpoint and its deliveries. */
export function WebhookPage({ id }: { id: string }) {
  const endpoint = useLoad((signal) => ownClient.value.webhookEndpoints.get(id, { signal }), [id]);
  const deliveries = useList(
    (after, signal) =>
      ownClient.value.webhookDeliveries.list(
        id,
        { limit: 50, ...(after === undefined ? {} : { after }) },
        { signal },
      ),
    [id],
    3000,
  );
  const [dialog, setDialog] = useState<"edit" | "delete" | "rotate" | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const close = () => setDialog(null);
  const attempt = async (what: () => Promise<unknown>, said: string) => {
    try {
      await what();
      toast(said);
      deliveries.reload();
      endpoint.reload();
    } catch (error) {
      toast(error instanceof Error ? error.message : "It did not work", "bad");
    }
  };
  const enabled = endpoint.data?.status === "enabled";
  return (
    <Page
      title="Endpoint"
      heading={endpoint.data?.url ?? "Endpoint"}
      up={{ path: ["webhooks"], label: "Webhooks" }}
      actions={
        <>
          <button
            type="button"
            class="btn"
            onClick={() =>
              void attempt(() => ownClient.value.webhookEndpoints.test(id), "A test is on its way")
            }
          >
            Send a test
          </button>
          <button type="button" class="btn" onClick={() => setDialog("edit")}>
            Change
          </button>
          <button
            type="button"
            class="btn"
            onClick={() =>
              void attempt(
                () =>
                  ownClient.value.webhookEndpoints.update(id, { status: enabled ? "disabled" : "enabled" }),
                enabled ? "Disabled" : "Enabled",
              )
            }
          >
            {enabled ? "Disable" : "Enable"}
          </button>
          <button type="button" class="btn" onClick={() => setDialog("rotate")}>
            New secret
          </button>
          <button type="button" class="btn danger" onClick={() => setDialog("delete")}>
            Delete
          </button>
        </>
      }
    >
      <Show of={endpoint}>
        {(one) => (
          <dl class="facts spaced">
            <dt>Status</dt>
            <dd>
              <EndpointStatus endpoint={one} />
            </dd>
            <dt>Told of</dt>
            <dd>{one.events.join(", ")}</dd>
            {one.description && (
              <>
                <dt>Description</dt>
                <dd>{one.description}</dd>
              </>
            )}
          </dl>
        )}
      </Show>
      <Show of={deliveries}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="Nothing was sent yet">Send a test, or wait for something to happen.</Empty>
          ) : (
            <Table
              label="Deliveries"
              items={items}
              id={(one) => one.id}
              foot={<More more={deliveries.more} onMore={deliveries.loadMore} />}
              columns={[
                { title: "Type", cell: (one) => one.type },
                { title: "Event", class: "wide-only", cell: (one) => <Id value={one.event} /> },
                { title: "Status", cell: (one) => <Status value={one.status} /> },
                { title: "Tries", class: "end num", cell: (one) => one.attempts },
                {
                  title: "Answer",
                  class: "clip muted",
                  cell: (one) => one.error ?? (one.response_status ? String(one.response_status) : "–"),
                },
                {
                  title: "Again",
                  class: "muted wide-only",
                  cell: (one) => <When at={one.next_attempt_at} />,
                },
                { title: "Created", class: "end muted", cell: (one) => <When at={one.created_at} /> },
                {
                  title: "",
                  class: "end",
                  cell: (one) => (
                    <button
                      type="button"
                      class="btn small"
                      onClick={() =>
                        void attempt(
                          () => ownClient.value.webhookDeliveries.replay(id, one.id),
                          "It is sent once more",
                        )
                      }
                    >
                      Send again
                    </button>
                  ),
                },
              ]}
            />
          )
        }
      </Show>
      {dialog === "edit" && endpoint.data !== undefined && (
        <EndpointForm
          endpoint={endpoint.data}
          onClose={close}
          onSave={async (params) => {
            await ownClient.value.webhookEndpoints.update(id, params);
            endpoint.reload();
          }}
        />
      )}
      {dialog === "rotate" && (
        <FormDialog
          title="Give it a new secret?"
          action="New secret"
          onClose={close}
          onSubmit={async () =>
            setSecret((await ownClient.value.webhookEndpoints.rotateSecret(id)).secret ?? null)
          }
        >
          <p>The old one signs along for 24 hours.</p>
        </FormDialog>
      )}
      {dialog === "delete" && (
        <FormDialog
          title="Delete the endpoint?"
          action="Delete"
          danger
          onClose={close}
          onSubmit={async () => (await ownClient.value.webhookEndpoints.delete(id), go(["webhooks"]))}
        >
          <p>What was to be sent to it is not.</p>
        </FormDialog>
      )}
      {secret !== null && dialog === null && (
        <SecretDialog title="The new secret" secret={secret} onClose={() => setSecret(null)} />
      )}
    </Page>
  );
}
