/** The tenant's agents. */
import { useState } from "preact/hooks";
import { ownClient } from "../api.ts";
import { useList, useLoad } from "../lib/load.ts";
import { go, href, route, setQuery } from "../router.ts";
import { session } from "../session.ts";
import { FormDialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icons.tsx";
import { curlOf, Empty, Field, Segments, Show, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { More, Table } from "../ui/table.tsx";
import { forgetNames } from "./names.ts";

/** The list of agents. */
export function AgentsPage() {
  const archived = route.value.query.get("show") === "archived";
  const tenant = session.value?.door === "tenant";
  const [making, setMaking] = useState(false);
  const agents = useList(
    (after, signal) =>
      ownClient.value.agents.list(
        { limit: 50, archived, ...(after === undefined ? {} : { after }) },
        { signal },
      ),
    [archived],
  );
  return (
    <Page
      title="Agents"
      actions={
        tenant && (
          <>
            <Segments
              label="Which"
              value={archived ? "archived" : "active"}
              options={[
                { value: "active", label: "Active" },
                { value: "archived", label: "Archived" },
              ]}
              onChange={(show) => setQuery({ show: show === "active" ? "" : show })}
            />
            <button type="button" class="btn primary" onClick={() => setMaking(true)}>
              <Icon name="plus" />
              New agent
            </button>
          </>
        )
      }
    >
      <Show of={agents}>
        {(items) =>
          items.length === 0 ? (
            <Empty
              title={archived ? "Nothing is archived" : "No agents yet"}
              curl={curlOf("/v1/agents", {
                name: "poet",
                model: "scripted/echo",
                instructions: "Answer in rhymes.",
              })}
            >
              An agent is a model with instructions, tools and limits, in numbered versions.
            </Empty>
          ) : (
            <Table
              label="Agents"
              items={items}
              id={(agent) => agent.id}
              onOpen={
                tenant
                  ? (agent) => go(["agents", agent.id])
                  : (agent) => go(["playground"], { agent: agent.id })
              }
              foot={<More more={agents.more} onMore={agents.loadMore} />}
              columns={[
                {
                  title: "Agent",
                  cell: (agent) => (
                    <a href={tenant ? href(["agents", agent.id]) : href(["playground"], { agent: agent.id })}>
                      {agent.name}
                    </a>
                  ),
                },
                // A user's token sees an agent's name and description, and no more.
                ...(tenant
                  ? [
                      { title: "Model", class: "clip", cell: (agent: (typeof items)[number]) => agent.model },
                      {
                        title: "Version",
                        class: "end num",
                        cell: (agent: (typeof items)[number]) => agent.active_version,
                      },
                      {
                        title: "Tools",
                        class: "end num wide-only",
                        cell: (agent: (typeof items)[number]) => agent.tools?.length ?? 0,
                      },
                    ]
                  : []),
                {
                  title: "Description",
                  class: "clip muted wide-only",
                  cell: (agent) => agent.description ?? "",
                },
                {
                  title: "Created",
                  class: "end muted wide-only",
                  cell: (agent) => <When at={agent.created_at} />,
                },
              ]}
            />
          )
        }
      </Show>
      {making && <NewAgent onClose={() => setMaking(false)} />}
    </Page>
  );
}

function NewAgent({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [model, setModel] = useState("");
  const [instructions, setInstructions] = useState("");
  const models = useLoad((signal) => ownClient.value.models.list({ signal }).page(), []);
  const wrong = name !== "" && !/^[a-z0-9][a-z0-9_-]{0,63}$/.test(name);
  return (
    <FormDialog
      title="New agent"
      action="Make it"
      ready={name !== "" && !wrong && model !== ""}
      onClose={onClose}
      onSubmit={async () => {
        const made = await ownClient.value.agents.create({
          name,
          model,
          ...(instructions.trim() === "" ? {} : { instructions }),
        });
        forgetNames();
        go(["agents", made.id]);
      }}
    >
      <Field
        label="Name"
        hint="Lower case, digits, - and _."
        wrong={wrong ? "Lower case letters, digits, - and _ only" : null}
      >
        {(id) => (
          <input id={id} value={name} autofocus onInput={(event) => setName(event.currentTarget.value)} />
        )}
      </Field>
      <Field label="Model">
        {(id) => (
          <>
            <input
              id={id}
              list="new-agent-models"
              value={model}
              placeholder="provider/model"
              spellcheck={false}
              onInput={(event) => setModel(event.currentTarget.value)}
            />
            <datalist id="new-agent-models">
              {models.data?.data.map((one) => (
                <option key={one.id} value={one.id} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field label="Instructions" hint="Tools, limits and the rest are set on its page.">
        {(id) => (
          <textarea
            id={id}
            rows={5}
            value={instructions}
            onInput={(event) => setInstructions(event.currentTarget.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}
