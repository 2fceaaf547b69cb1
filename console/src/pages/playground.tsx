/** Talks to any agent: streams its answer, shows its tools, asks for approvals. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { isOver, pendingApprovals, pendingInputs, viewsOfMessages, type RunParams } from "headwater";
import { client } from "../api.ts";
import { useLoad } from "../lib/load.ts";
import { formatMoney } from "../lib/money.ts";
import { compact } from "../lib/text.ts";
import { href, route, setQuery } from "../router.ts";
import { actingAs, session } from "../session.ts";
import { Decide, Submit } from "../run/decide.tsx";
import { useFollow } from "../run/follow.ts";
import { MessageItem, RunMessages, Said } from "../run/messages.tsx";
import { ApiError } from "headwater";
import { Empty, Field, Problem, Show, Status } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { useNames } from "./names.ts";

/** A run that was begun here, and what was asked. */
interface Turn {
  input: string;
  run: string;
}

const CONFLICTS = ["enqueue", "interrupt", "rollback", "steer", "reject"] as const;

/** The playground. */
export function PlaygroundPage() {
  const { query } = route.value;
  const names = useNames();
  const agent = query.get("agent") ?? "";
  // Whoever is asked for is asked, or nobody: one that is not among those known here may be new, or archived.
  const known = names.agents.find((one) => one.id === agent || one.name === agent);
  const other = agent !== "" && known === undefined;
  const found = useLoad(
    (signal) => (other ? client.value.agents.get(agent, { signal }) : Promise.resolve(null)),
    [agent, other, session.value?.door],
  );
  const asked = other ? (found.data ?? undefined) : (known ?? names.agents[0]);
  const archived = asked?.archived_at != null;
  const picked = archived ? undefined : asked;
  const thread = query.get("thread") ?? "";
  const [turns, setTurns] = useState<{ thread: string; list: Turn[] }>({ thread, list: [] });
  const mine = turns.thread === thread ? turns.list : [];
  const [model, setModel] = useState("");
  const [instructions, setInstructions] = useState("");
  const [conflict, setConflict] = useState<(typeof CONFLICTS)[number]>("enqueue");
  const [error, setError] = useState<unknown>(undefined);
  const [busy, setBusy] = useState(false);
  const door = session.value?.door;
  const models = useLoad((signal) => client.value.models.list({ signal }).page(), [door]);
  const end = useRef<HTMLDivElement>(null);
  const needsUser = door === "tenant" && actingAs.value === "" && thread === "";

  // What is said in a thread is said as its user: that is whose thread it is.
  const held = useLoad(
    (signal) => (thread === "" ? Promise.resolve(null) : client.value.threads.get(thread, { signal })),
    [thread, actingAs.value],
  );
  const speaker = () => {
    const user = held.data?.user;
    return door === "tenant" && user ? client.value.asUser(user) : client.value;
  };

  const send = async (input: string) => {
    if (picked === undefined) return;
    setBusy(true);
    setError(undefined);
    const params: RunParams = {
      agent: picked.id,
      input,
      on_conflict: conflict,
      ...(model.trim() === "" ? {} : { model: model.trim() }),
      ...(instructions.trim() === "" ? {} : { instructions }),
    };
    try {
      const run =
        thread === ""
          ? await speaker().runs.create(params)
          : await speaker().threadRuns.create(thread, params);
      const turn: Turn = { input, run: run.id };
      // A message that an active run has taken in (`steer`) is no run of its own.
      const known = mine.some((one) => one.run === run.id);
      setTurns({ thread: run.thread, list: known ? mine : [...mine, turn] });
      setQuery({ thread: run.thread, agent: picked.id });
    } catch (caught) {
      setError(caught);
      throw caught;
    } finally {
      setBusy(false);
    }
  };
  const scroll = () => end.current?.scrollIntoView({ block: "nearest" });
  return (
    <Page
      title="Playground"
      wide
      actions={
        <button
          type="button"
          class="btn"
          disabled={thread === "" && mine.length === 0}
          onClick={() => {
            setTurns({ thread: "", list: [] });
            setQuery({ thread: "" });
          }}
        >
          New thread
        </button>
      }
    >
      <div class="playground">
        <div class="card chat">
          <div class="chat-log">
            {mine.length === 0 && thread === "" && (
              <Empty
                title={
                  picked !== undefined
                    ? `Ask ${picked.name} something`
                    : archived
                      ? `${asked?.name} is archived`
                      : other
                        ? "That agent is not here"
                        : "No agent yet"
                }
              >
                {other && picked === undefined ? (
                  "Choose another one."
                ) : picked === undefined ? (
                  <a href={href(["agents"])}>Make an agent first.</a>
                ) : (
                  "The answer streams in as it is written. The run goes on if you leave, and is in the list of runs."
                )}
              </Empty>
            )}
            {thread !== "" && (
              <History
                thread={thread}
                without={mine.map((turn) => turn.run)}
                agentName={names.agent}
                onShown={scroll}
              />
            )}
            {mine.map((turn) => (
              <TurnItem key={turn.run} turn={turn} agent={names.agent} onGrow={scroll} />
            ))}
            <div ref={end} />
          </div>
          {error !== undefined ? (
            <Problem error={error} />
          ) : (
            other && found.error !== undefined && <Problem error={found.error} retry={found.reload} />
          )}
          <Composer busy={busy} ready={picked !== undefined && !needsUser} onSend={send} />
        </div>
        <aside class="stack">
          <Field label="Agent">
            {(id) => (
              <select
                id={id}
                data-filter
                value={asked?.id ?? ""}
                onChange={(event) => setQuery({ agent: event.currentTarget.value })}
              >
                {other && (
                  <option value={asked?.id ?? ""} disabled>
                    {asked === undefined ? "–" : `${asked.name}${archived ? " (archived)" : ""}`}
                  </option>
                )}
                {names.agents.map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.name}
                  </option>
                ))}
              </select>
            )}
          </Field>
          {needsUser && <UserNeeded users={names.users.map((user) => user.external_id ?? user.id)} />}
          <Field label="Model" hint={`Unless set: ${picked?.model ?? "the agent's own"}`}>
            {(id) => (
              <>
                <input
                  id={id}
                  list="models"
                  value={model}
                  placeholder="the agent's own"
                  spellcheck={false}
                  onInput={(event) => setModel(event.currentTarget.value)}
                />
                <datalist id="models">
                  {models.data?.data.map((one) => (
                    <option key={one.id} value={one.id} />
                  ))}
                </datalist>
              </>
            )}
          </Field>
          <Field label="Instructions" hint="In place of the agent's, for this run only.">
            {(id) => (
              <textarea
                id={id}
                rows={4}
                value={instructions}
                onInput={(event) => setInstructions(event.currentTarget.value)}
              />
            )}
          </Field>
          <Field label="While a run is under way" hint="What becomes of a message that comes too early.">
            {(id) => (
              <select
                id={id}
                value={conflict}
                onChange={(event) => setConflict(event.currentTarget.value as (typeof CONFLICTS)[number])}
              >
                {CONFLICTS.map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            )}
          </Field>
          {thread !== "" && <a href={href(["threads", thread])}>Show the thread</a>}
        </aside>
      </div>
    </Page>
  );
}

/** A tenant's key has to say for whom. */
function UserNeeded({ users }: { users: string[] }) {
  const [typed, setText] = useState<string | null>(null);
  // The tenant's first user, until somebody says another.
  const text = typed ?? users.at(-1) ?? "";
  return (
    <form
      class="notice"
      onSubmit={(event) => {
        event.preventDefault();
        actingAs.value = text.trim();
      }}
    >
      <div class="stack grow">
        <strong>A run is for a user</strong>
        <input
          aria-label="Act as"
          list="users"
          value={text}
          placeholder="your own id, such as alice"
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" class="btn primary" disabled={text.trim() === ""}>
          Act as this user
        </button>
      </div>
    </form>
  );
}

/** What was said in the thread before this page was opened. */
function History(props: {
  thread: string;
  without: string[];
  agentName: (id: string | null | undefined) => string;
  onShown: () => void;
}) {
  const messages = useLoad(
    async (signal) => {
      const page = await client.value.messages
        .list(props.thread, { limit: 100, order: "desc" }, { signal })
        .page();
      return page.data.reverse();
    },
    [props.thread, actingAs.value],
  );
  useEffect(props.onShown, [messages.data]);
  return (
    <Show of={messages}>
      {(all) => {
        const earlier = all.filter((message) => !props.without.includes(message.run ?? ""));
        return viewsOfMessages(earlier).map((view) => {
          const raw = earlier.find((message) => message.id === view.id);
          const words = raw?.content
            .map((part) => (part.type === "text" ? part.text : `[${part.type}]`))
            .join("\n");
          return view.role === "user" ? (
            <Said key={view.id}>{words}</Said>
          ) : (
            <MessageItem key={view.id} message={view} name={props.agentName(raw?.agent)} />
          );
        });
      }}
    </Show>
  );
}

/** One run of this page, live. */
function TurnItem(props: {
  turn: Turn;
  agent: (id: string | null | undefined) => string;
  onGrow: () => void;
}) {
  const { turn } = props;
  const followed = useFollow(turn.run);
  const view = followed.log.view;
  const over = isOver(view);
  useEffect(props.onGrow, [followed.revision]);
  const cancel = () => void client.value.runs.cancel(turn.run, {}).catch(() => undefined);
  return (
    <div class="messages turn">
      <Said>{turn.input}</Said>
      <RunMessages view={view} name={props.agent(view.agent)} />
      {!over && view.messages.length === 0 && <span class="caret" aria-label="thinking" />}
      {pendingApprovals(view).map((approval) => (
        <Decide key={approval.id} question={{ ...approval, run: turn.run }} />
      ))}
      {pendingInputs(view).map((call) => (
        <Submit key={call.call} run={turn.run} call={call} />
      ))}
      {view.error !== null && (
        <Problem error={new ApiError(view.error.status, view.error, view.error.request_id ?? null)} />
      )}
      {followed.state === "failed" && <Problem error={followed.error} retry={followed.retry} />}
      <p class="turn-foot">
        <Status value={view.status ?? "queued"} />
        {view.usage !== null && <span class="num faint">{compact(view.usage.total_tokens)} tokens</span>}
        {view.cost !== null && <span class="num faint">{formatMoney(view.cost)}</span>}
        <a href={href(["runs", turn.run])}>timeline</a>
        {!over && (
          <button type="button" class="btn small" onClick={cancel}>
            Stop
          </button>
        )}
      </p>
    </div>
  );
}

/** Where one writes. Enter sends, Shift+Enter is a new line. */
function Composer(props: { busy: boolean; ready: boolean; onSend: (text: string) => Promise<void> }) {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const rows = useMemo(() => Math.min(10, Math.max(2, text.split("\n").length)), [text]);
  useEffect(() => field.current?.focus(), []);
  const send = () => {
    const input = text.trim();
    if (input === "" || props.busy || !props.ready) return;
    setText("");
    // What was refused is there again, unless something else was typed meanwhile.
    props.onSend(input).catch(() => setText((now) => (now === "" ? input : now)));
    field.current?.focus();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        aria-label="Message"
        rows={rows}
        value={text}
        placeholder="Message"
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            send();
          }
        }}
      />
      <button type="submit" class="btn primary" disabled={props.busy || !props.ready || text.trim() === ""}>
        Send
      </button>
    </form>
  );
}
