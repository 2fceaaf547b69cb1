/** Threads, and what was said in one. */
import { useState } from "preact/hooks";
import { viewsOfMessages, type Message } from "headwater";
import { client } from "../api.ts";
import { useList, useLoad } from "../lib/load.ts";
import { formatMoney } from "../lib/money.ts";
import { go, href, route, setQuery } from "../router.ts";
import { actingAs } from "../session.ts";
import { MessageItem, Said } from "../run/messages.tsx";
import { curlOf, Empty, Id, Show, Status, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { More, Table } from "../ui/table.tsx";
import { FormDialog } from "../ui/dialog.tsx";
import { useNames } from "./names.ts";
import { took } from "./runs.tsx";

/** The list of threads. */
export function ThreadsPage() {
  const { query } = route.value;
  const status = query.get("status") ?? "";
  const external = query.get("external_id") ?? "";
  const names = useNames();
  const threads = useList(
    (after, signal) =>
      client.value.threads.list(
        {
          limit: 50,
          ...(after === undefined ? {} : { after }),
          ...(status === "" ? {} : { status }),
          ...(external === "" ? {} : { external_id: external }),
        },
        { signal },
      ),
    [status, external, actingAs.value],
    5000,
  );
  return (
    <Page title="Threads">
      <div class="filters">
        <input
          type="search"
          data-filter
          aria-label="External id"
          placeholder="Your own id of the thread (exact)"
          value={external}
          onChange={(event) => setQuery({ external_id: event.currentTarget.value.trim() })}
        />
        <select
          aria-label="Status"
          value={status}
          onChange={(event) => setQuery({ status: event.currentTarget.value })}
        >
          {["", "idle", "busy", "suspended"].map((value) => (
            <option key={value} value={value}>
              {value === "" ? "Every status" : value}
            </option>
          ))}
        </select>
      </div>
      <Show of={threads}>
        {(items) =>
          items.length === 0 ? (
            <Empty
              title={status === "" && external === "" ? "No threads yet" : "No thread fits"}
              curl={curlOf("/v1/threads", { title: "Order 7" })}
            >
              A thread is a line of messages between one user and agents. A run without one makes one.
            </Empty>
          ) : (
            <Table
              label="Threads"
              items={items}
              id={(thread) => thread.id}
              onOpen={(thread) => go(["threads", thread.id])}
              foot={<More more={threads.more} onMore={threads.loadMore} />}
              columns={[
                {
                  title: "Thread",
                  cell: (thread) => <Id value={thread.id} link={href(["threads", thread.id])} />,
                },
                {
                  title: "Title",
                  class: "clip",
                  cell: (thread) => thread.title ?? <span class="faint">untitled</span>,
                },
                { title: "Status", cell: (thread) => <Status value={thread.status} /> },
                { title: "User", class: "wide-only", cell: (thread) => names.user(thread.user) },
                {
                  title: "External id",
                  class: "wide-only clip muted",
                  cell: (thread) => thread.external_id ?? "–",
                },
                { title: "Changed", class: "end muted", cell: (thread) => <When at={thread.updated_at} /> },
              ]}
            />
          )
        }
      </Show>
    </Page>
  );
}

/** All messages of a thread so far; at most the last hundred, which is what fits a page. */
function wordsOf(message: Message): string {
  return message.content.map((part) => (part.type === "text" ? part.text : `[${part.type}]`)).join("\n");
}

/** One thread. */
export function ThreadPage({ id }: { id: string }) {
  const names = useNames();
  const thread = useLoad((signal) => client.value.threads.get(id, { signal }), [id, actingAs.value], 3000);
  const changed = thread.data?.updated_at;
  const messages = useLoad(
    async (signal) => {
      const page = await client.value.messages.list(id, { limit: 100, order: "desc" }, { signal }).page();
      return { ...page, data: page.data.reverse() };
    },
    [id, actingAs.value],
    thread.data?.status === "busy" ? 3000 : 0,
  );
  const runs = useLoad(
    (signal) => client.value.threadRuns.list(id, { limit: 50 }, { signal }).page(),
    [id, changed, actingAs.value],
  );
  const [deleting, setDeleting] = useState(false);
  return (
    <Page
      title={thread.data?.title ?? "Thread"}
      up={{ path: ["threads"], label: "Threads" }}
      actions={
        <>
          <button type="button" class="btn danger" onClick={() => setDeleting(true)}>
            Delete
          </button>
          <a
            class="btn primary"
            href={href(["playground"], { thread: id, agent: runs.data?.data[0]?.agent })}
          >
            Go on in the playground
          </a>
        </>
      }
    >
      <Show of={thread}>
        {(one) => (
          <div class="split">
            <div class="card">
              <div class="card-body messages">
                <Show of={messages}>
                  {(page) =>
                    page.data.length === 0 ? (
                      <Empty title="Nothing was said yet" />
                    ) : (
                      <>
                        {page.has_more && <p class="faint">Older messages are left out.</p>}
                        {viewsOfMessages(page.data).map((view) => {
                          const raw = page.data.find((message) => message.id === view.id);
                          return view.role === "user" ? (
                            <Said key={view.id} who={names.user(one.user)}>
                              {raw === undefined ? "" : wordsOf(raw)}
                            </Said>
                          ) : (
                            <MessageItem key={view.id} message={view} name={names.agent(raw?.agent)} />
                          );
                        })}
                      </>
                    )
                  }
                </Show>
              </div>
            </div>
            <aside class="stack">
              <dl class="facts">
                <dt>Id</dt>
                <dd>
                  <Id value={one.id} />
                </dd>
                <dt>Status</dt>
                <dd>
                  <Status value={one.status} />
                </dd>
                <dt>User</dt>
                <dd>{names.user(one.user)}</dd>
                <dt>External id</dt>
                <dd>{one.external_id ?? "–"}</dd>
                <dt>Created</dt>
                <dd>
                  <When at={one.created_at} />
                </dd>
                {Object.entries(one.metadata).map(([key, value]) => [
                  <dt key={`${key}k`}>{key}</dt>,
                  <dd key={key}>{value}</dd>,
                ])}
              </dl>
              <h2>Runs</h2>
              <Show of={runs}>
                {(page) => (
                  <Table
                    label="Runs of the thread"
                    items={page.data}
                    id={(run) => run.id}
                    onOpen={(run) => go(["runs", run.id])}
                    columns={[
                      { title: "Run", cell: (run) => <Status value={run.status} /> },
                      { title: "Took", class: "end num", cell: took },
                      { title: "Cost", class: "end num", cell: (run) => formatMoney(run.cost) },
                    ]}
                  />
                )}
              </Show>
            </aside>
          </div>
        )}
      </Show>
      {deleting && (
        <FormDialog
          title="Delete the thread?"
          action="Delete"
          danger
          onClose={() => setDeleting(false)}
          onSubmit={async () => {
            await client.value.threads.delete(id);
            go(["threads"]);
          }}
        >
          <p>
            Its messages, runs, events and files are erased, and what runs in it is cancelled. There is no way
            back.
          </p>
        </FormDialog>
      )}
    </Page>
  );
}
