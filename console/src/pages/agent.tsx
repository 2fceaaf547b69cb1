/** One agent: its configuration to edit, its versions, and what changed between them. */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Agent } from "headwater";
import { ownClient } from "../api.ts";
import { diffLines, foldDiff } from "../lib/diff.ts";
import { useLoad } from "../lib/load.ts";
import { parseJson, pretty } from "../lib/text.ts";
import { chosen, go, href, route, setQuery } from "../router.ts";
import { FormDialog } from "../ui/dialog.tsx";
import { Field, Id, Problem, Show, Status, Tabs, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { Table } from "../ui/table.tsx";
import { toast } from "../ui/toast.tsx";
import { comparable, configOf, patchOf } from "./agent-config.ts";
import { forgetNames } from "./names.ts";

/** The page of an agent. */
export function AgentPage({ id }: { id: string }) {
  const tab = chosen("tab", ["config", "versions", "diff"], "config");
  const agent = useLoad((signal) => ownClient.value.agents.get(id, { signal }), [id]);
  const [archiving, setArchiving] = useState(false);
  const name = agent.data?.name ?? "Agent";
  return (
    <Page
      title={name}
      up={{ path: ["agents"], label: "Agents" }}
      actions={
        <>
          {agent.data?.archived_at ? (
            <Status value="archived" />
          ) : (
            <button type="button" class="btn danger" onClick={() => setArchiving(true)}>
              Archive
            </button>
          )}
          <a class="btn" href={href(["runs"], { agent: agent.data?.id })}>
            Its runs
          </a>
          <a class="btn primary" href={href(["playground"], { agent: agent.data?.id })}>
            Try it
          </a>
        </>
      }
    >
      <Tabs
        label="Views of the agent"
        value={tab}
        onChange={(next) => setQuery({ tab: next === "config" ? "" : next })}
        options={[
          { value: "config", label: "Configuration" },
          { value: "versions", label: "Versions" },
          { value: "diff", label: "Diff" },
        ]}
      />
      <Show of={agent}>
        {(one) => (
          <>
            {/* What was typed stays while another view is looked at. */}
            <div hidden={tab !== "config"}>
              <Edit agent={one} onSaved={agent.reload} />
            </div>
            {tab === "versions" && <Versions agent={one} onChanged={agent.reload} />}
            {tab === "diff" && <Diff agent={one} />}
          </>
        )}
      </Show>
      {archiving && (
        <FormDialog
          title={`Archive ${name}?`}
          action="Archive"
          danger
          onClose={() => setArchiving(false)}
          onSubmit={async () => {
            await ownClient.value.agents.archive(id);
            forgetNames();
            go(["agents"]);
          }}
        >
          <p>No new runs; those under way go on, history stays, and its name is free again.</p>
        </FormDialog>
      )}
    </Page>
  );
}

/** The few fields that change often, and all of it as JSON. */
function Edit({ agent, onSaved }: { agent: Agent; onSaved: () => void }) {
  // What is edited here: it stays the same while there are changes, whatever somebody else makes of the agent.
  const [base, setBase] = useState(agent);
  const original = useMemo(() => configOf(base), [base]);
  const [text, setText] = useState(() => pretty(original));
  const [activate, setActivate] = useState(true);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const parsed = parseJson(text);
  const value =
    "value" in parsed &&
    typeof parsed.value === "object" &&
    parsed.value !== null &&
    !Array.isArray(parsed.value)
      ? (parsed.value as Record<string, unknown>)
      : null;
  const patch = value === null ? {} : patchOf(original, value);
  const changes = Object.keys(patch);
  const adopt = (one: Agent) => {
    setBase(one);
    setText(pretty(configOf(one)));
    setError(undefined);
  };
  const moved = agent.active_version !== base.active_version || agent.updated_at !== base.updated_at;
  useEffect(() => {
    if (moved && changes.length === 0 && value !== null) adopt(agent);
  }, [agent, moved, changes.length, value === null]);
  const set = (key: string, next: unknown) => {
    if (value !== null) setText(pretty({ ...value, [key]: next }));
  };
  const save = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const saved = await ownClient.value.agents.update(
        agent.id,
        { ...(patch as Partial<Agent>), ...(activate ? {} : { activate: false }) },
        { ifMatch: `"${base.active_version}"` },
      );
      adopt(saved);
      toast(activate ? `Version ${saved.active_version} is active` : "A new version is there");
      onSaved();
    } catch (caught) {
      setError(caught);
      // Somebody else may have been first: what they made of it is shown.
      onSaved();
    } finally {
      setBusy(false);
    }
  };
  const words = (key: string) => (typeof value?.[key] === "string" ? value[key] : "");
  return (
    <div class="split">
      <div class="stack">
        <div class="form-row">
          <Field label="Model">
            {(id) => (
              <input
                id={id}
                value={words("model")}
                disabled={value === null}
                spellcheck={false}
                onInput={(event) => set("model", event.currentTarget.value)}
              />
            )}
          </Field>
          <Field label="Description">
            {(id) => (
              <input
                id={id}
                value={words("description")}
                disabled={value === null}
                onInput={(event) => set("description", event.currentTarget.value || null)}
              />
            )}
          </Field>
        </div>
        <Field label="Instructions">
          {(id) => (
            <textarea
              id={id}
              rows={6}
              value={words("instructions")}
              disabled={value === null}
              onInput={(event) => set("instructions", event.currentTarget.value || null)}
            />
          )}
        </Field>
        <Field
          label="All of it"
          wrong={"problem" in parsed ? parsed.problem : value === null ? "This has to be an object" : null}
          hint="Tools, limits, timeouts, approvals. A field that is taken out goes back to its default."
        >
          {(id) => (
            <textarea
              id={id}
              class="code"
              rows={24}
              value={text}
              spellcheck={false}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          )}
        </Field>
      </div>
      <aside class="stack">
        <dl class="facts">
          <dt>Id</dt>
          <dd>
            <Id value={agent.id} />
          </dd>
          <dt>Active version</dt>
          <dd class="num">{agent.active_version}</dd>
          <dt>Created</dt>
          <dd>
            <When at={agent.created_at} />
          </dd>
          <dt>Changed</dt>
          <dd>
            <When at={agent.updated_at} />
          </dd>
        </dl>
        <h2>What would change</h2>
        {changes.length === 0 ? (
          <p class="faint">Nothing yet.</p>
        ) : (
          <ul>
            {changes.map((key) => (
              <li key={key}>
                <code>{key}</code>
                {patch[key] === null && <span class="faint"> cleared</span>}
              </li>
            ))}
          </ul>
        )}
        <label class="check">
          <input
            type="checkbox"
            checked={activate}
            onChange={(event) => setActivate(event.currentTarget.checked)}
          />
          <span>New runs use the new version at once</span>
        </label>
        {moved && changes.length > 0 && (
          <p class="notice" role="alert">
            Somebody else has changed this agent: version {agent.active_version} is active now. Undo takes
            theirs.
          </p>
        )}
        {error !== undefined && <Problem error={error} />}
        <div class="row">
          <button
            type="button"
            class="btn primary"
            disabled={busy || changes.length === 0 || value === null}
            onClick={() => void save()}
          >
            Save as the next version
          </button>
          {changes.length > 0 && (
            <button type="button" class="btn" onClick={() => adopt(agent)}>
              Undo
            </button>
          )}
        </div>
      </aside>
    </div>
  );
}

function Versions({ agent, onChanged }: { agent: Agent; onChanged: () => void }) {
  const versions = useLoad(
    (signal) => ownClient.value.agentVersions.list(agent.id, { limit: 100 }, { signal }).page(),
    [agent.id, agent.updated_at],
  );
  const activate = async (version: number) => {
    try {
      await ownClient.value.agents.update(agent.id, { active_version: version });
      toast(`Version ${version} is active`);
      onChanged();
    } catch (error) {
      toast(error instanceof Error ? error.message : "It did not work", "bad");
    }
  };
  return (
    <Show of={versions}>
      {(page) => (
        <Table
          label="Versions"
          items={page.data}
          id={(version) => String(version.version)}
          onOpen={(version) =>
            setQuery({
              tab: "diff",
              from: String(Math.max(1, version.version - 1)),
              to: String(version.version),
            })
          }
          columns={[
            {
              title: "Version",
              class: "num",
              cell: (version) => (
                <span class="row">
                  {version.version}
                  {version.version === agent.active_version && <Status value="active" />}
                </span>
              ),
            },
            { title: "Model", class: "clip", cell: (version) => version.model },
            {
              title: "Instructions",
              class: "clip muted wide-only",
              cell: (version) => version.instructions ?? "",
            },
            { title: "Made", class: "end muted", cell: (version) => <When at={version.updated_at} /> },
            {
              title: "",
              class: "end",
              cell: (version) =>
                version.version !== agent.active_version && (
                  <button type="button" class="btn small" onClick={() => void activate(version.version)}>
                    Make active
                  </button>
                ),
            },
          ]}
        />
      )}
    </Show>
  );
}

function Diff({ agent }: { agent: Agent }) {
  const { query } = route.value;
  const version = (name: string, otherwise: number) => {
    const said = Number(query.get(name));
    return Number.isInteger(said) && said > 0 ? said : otherwise;
  };
  const to = version("to", agent.version);
  const from = version("from", Math.max(1, to - 1));
  const versions = useLoad(
    (signal) => ownClient.value.agentVersions.list(agent.id, { limit: 100 }, { signal }).page(),
    [agent.id, agent.updated_at],
  );
  return (
    <Show of={versions}>
      {(page) => {
        const numbers = page.data.map((version) => version.version).sort((one, other) => one - other);
        const before = page.data.find((version) => version.version === from);
        const after = page.data.find((version) => version.version === to);
        return (
          <div class="stack">
            <div class="row">
              <Pick
                label="From version"
                value={from}
                numbers={numbers}
                onPick={(value) => setQuery({ from: String(value) })}
              />
              <span class="faint">to</span>
              <Pick
                label="To version"
                value={to}
                numbers={numbers}
                onPick={(value) => setQuery({ to: String(value) })}
              />
            </div>
            {before !== undefined && after !== undefined && (
              <DiffView before={comparable(before)} after={comparable(after)} />
            )}
          </div>
        );
      }}
    </Show>
  );
}

function Pick(props: { label: string; value: number; numbers: number[]; onPick: (value: number) => void }) {
  return (
    <select
      class="narrow"
      aria-label={props.label}
      value={String(props.value)}
      onChange={(event) => props.onPick(Number(event.currentTarget.value))}
    >
      {props.numbers.map((number) => (
        <option key={number} value={String(number)}>
          Version {number}
        </option>
      ))}
    </select>
  );
}

/** Two texts, line by line. */
function DiffView({ before, after }: { before: string; after: string }) {
  const blocks = useMemo(() => foldDiff(diffLines(before, after)), [before, after]);
  if (before === after) return <p class="muted">They do not differ.</p>;
  return (
    <div class="diff" role="region" aria-label="Differences" tabIndex={0}>
      {blocks.map((block, at) =>
        block.type === "skipped" ? (
          <div key={at} class="skipped">
            {block.count} unchanged lines
          </div>
        ) : (
          block.lines.map((line, index) => (
            <div key={`${at}.${index}`} class={line.kind}>
              <span>{line.before ?? ""}</span>
              <span>{line.after ?? ""}</span>
              <span>{line.kind === "added" ? "+" : line.kind === "removed" ? "−" : ""}</span>
              <span>{line.text}</span>
            </div>
          ))
        ),
      )}
    </div>
  );
}
