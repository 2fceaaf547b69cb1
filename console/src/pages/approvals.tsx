/** The inbox of approvals: what people are asked, and what they said. */
import type { Approval } from "headwater";
import { client } from "../api.ts";
import { useList, useLoad } from "../lib/load.ts";
import { href, route, setQuery } from "../router.ts";
import { pretty } from "../lib/text.ts";
import { actingAs } from "../session.ts";
import { Decide } from "../run/decide.tsx";
import { Empty, Id, Segments, Show, Status, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { More, Table } from "../ui/table.tsx";
import { useNames } from "./names.ts";

const DECIDED = "approved,denied,cancelled,expired";

/** The inbox. */
export function ApprovalsPage() {
  const { query } = route.value;
  const decided = query.get("show") === "decided";
  const open = query.get("open") ?? "";
  const names = useNames();
  const approvals = useList(
    (after, signal) =>
      client.value.approvals.list(
        { status: decided ? DECIDED : "pending", limit: 50, ...(after === undefined ? {} : { after }) },
        { signal },
      ),
    [decided, actingAs.value],
    2000,
  );
  return (
    <Page
      title="Approvals"
      lead="A tool with the policy “ask” is called only after somebody says so. Until then the run holds nothing and costs nothing."
      actions={
        <Segments
          label="Which"
          value={decided ? "decided" : "pending"}
          options={[
            { value: "pending", label: "Pending" },
            { value: "decided", label: "Decided" },
          ]}
          onChange={(show) => setQuery({ show: show === "pending" ? "" : show, open: "" })}
        />
      }
    >
      <div class={open === "" ? "" : "split approvals-split"}>
        <Show of={approvals}>
          {(items) =>
            items.length === 0 ? (
              <Empty title={decided ? "Nothing was decided yet" : "Nobody is waited for"}>
                Give a tool of an agent <code>"policy": "ask"</code>, or rules on its arguments, and its calls
                turn up here.
              </Empty>
            ) : (
              <Table
                label="Approvals"
                items={items}
                id={(approval) => approval.id}
                onOpen={(approval) => setQuery({ open: approval.id })}
                foot={<More more={approvals.more} onMore={approvals.loadMore} />}
                columns={[
                  { title: "Question", class: "clip", cell: (approval) => approval.message },
                  { title: "Tool", cell: (approval) => <code>{approval.name}</code> },
                  { title: "User", class: "wide-only", cell: (approval) => names.user(approval.user) },
                  {
                    title: "Run",
                    class: "wide-only",
                    cell: (approval) => <Id value={approval.run} link={href(["runs", approval.run])} />,
                  },
                  { title: "Status", cell: (approval) => <Status value={approval.status} /> },
                  {
                    title: decided ? "Decided" : "Expires",
                    class: "end muted",
                    cell: (approval) => <When at={decided ? approval.decided_at : approval.expires_at} />,
                  },
                ]}
              />
            )
          }
        </Show>
        {open !== "" && (
          <Detail
            id={open}
            listed={approvals.data?.find((approval) => approval.id === open)}
            onDone={() => {
              approvals.reload();
              setQuery({ open: "" });
            }}
          />
        )}
      </div>
    </Page>
  );
}

function Detail(props: { id: string; listed: Approval | undefined; onDone: () => void }) {
  const loaded = useLoad((signal) => client.value.approvals.get(props.id, { signal }), [props.id], 3000);
  const names = useNames();
  const known = { ...loaded, data: loaded.data ?? props.listed };
  return (
    <aside class="stack" aria-label="The approval">
      <div class="row">
        <h2 class="grow">Approval</h2>
        <button type="button" class="btn plain small" data-up onClick={() => setQuery({ open: "" })}>
          Close
        </button>
      </div>
      <Show of={known}>
        {(approval) => (
          <>
            <dl class="facts">
              <dt>Tool</dt>
              <dd>
                <code>{approval.name}</code>
                {approval.kind === "unknown_outcome" && " – outcome unknown"}
              </dd>
              <dt>User</dt>
              <dd>{names.user(approval.user)}</dd>
              <dt>Run</dt>
              <dd>
                <Id value={approval.run} link={href(["runs", approval.run])} />
              </dd>
              <dt>Thread</dt>
              <dd>
                <Id value={approval.thread} link={href(["threads", approval.thread])} />
              </dd>
              <dt>May decide</dt>
              <dd>{approval.deciders.join(", ")}</dd>
              <dt>Asked</dt>
              <dd>
                <When at={approval.created_at} />
              </dd>
              {approval.status !== "pending" && (
                <>
                  <dt>Status</dt>
                  <dd>
                    <Status value={approval.status} />
                    {approval.by &&
                      ` by ${approval.by.type} ${approval.by.type === "user" ? names.user(approval.by.id) : ""}`}
                  </dd>
                  {approval.comment && (
                    <>
                      <dt>Comment</dt>
                      <dd>{approval.comment}</dd>
                    </>
                  )}
                </>
              )}
            </dl>
            {approval.status === "pending" ? (
              <Decide
                key={approval.id}
                question={{ ...approval, args: approval.args as unknown }}
                onDone={props.onDone}
              />
            ) : (
              <pre class="box">{pretty(approval.edited_args ?? approval.args)}</pre>
            )}
            <a href={href(["runs", approval.run])}>Show the run's timeline</a>
          </>
        )}
      </Show>
    </aside>
  );
}
