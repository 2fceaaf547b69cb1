/** One run: its timeline, what it was at any moment, every event, and why it waits. */
import { useEffect, useState } from "preact/hooks";
import { isOver, type RunSnapshot } from "headwater";
import { client, isAbsent } from "../api.ts";
import { useLoad } from "../lib/load.ts";
import { formatMoney } from "../lib/money.ts";
import { formatDuration } from "../lib/time.ts";
import { shortId } from "../lib/text.ts";
import { href } from "../router.ts";
import { actingAs } from "../session.ts";
import { zoom, type Viewport } from "../run/axis.ts";
import { ModelCalls } from "../run/calls.tsx";
import { Chart } from "../run/chart.tsx";
import { Events } from "../run/events.tsx";
import { useFollow, type Followed } from "../run/follow.ts";
import { usePlayer, type Player } from "../run/player.ts";
import type { Span } from "../run/spans.ts";
import { State } from "../run/state.tsx";
import { Transport } from "../run/transport.tsx";
import { why } from "../run/explain.ts";
import { CopyButton, Problem, Show, Status, Tabs, useNow } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";
import { toast } from "../ui/toast.tsx";
import { useNames } from "./names.ts";

/** What a run was asked, in words. */
function inputOf(run: RunSnapshot | undefined): string | null {
  const asked = run?.messages.filter((message) => message.role === "user") ?? [];
  const words = asked.flatMap((message) =>
    message.content.map((part) => (part.type === "text" ? part.text : `[${part.type}]`)),
  );
  return words.length === 0 ? null : words.join("\n\n");
}

/** The page of a run. */
export function RunPage({ id }: { id: string }) {
  const names = useNames();
  const snapshot = useLoad((signal) => client.value.runs.get(id, { signal }), [id, actingAs.value]);
  const followed = useFollow(id);
  const { log, state } = followed;
  const over = isOver(log.view);
  const running = !over && state !== "paused" && log.view.status !== "suspended";
  const tick = useNow(running ? 250 : 5_000);
  const now = over ? 0 : tick;
  const player = usePlayer(log, now);
  const [view, setView] = useState<Viewport | null>(null);
  const [selected, setSelected] = useState<Span | null>(null);
  const [tab, setTab] = useState<"state" | "events" | "calls">("state");
  const axis = log.axis(now);
  const seen = view === null ? null : player.following && !over ? slide(view, axis.length) : view;
  const run = snapshot.data;
  const asOf = log.viewAt(player.cursor);
  const zoomBy = (factor: number) => {
    const current = seen ?? { from: 0, to: axis.length };
    const next = zoom(current, axis.place(log.times[Math.max(0, player.cursor)] ?? 0), factor, axis.length);
    setView(next.to - next.from >= axis.length ? null : next);
  };
  useTimelineKeys(player, zoomBy, () => setView(null));
  const agent = names.agent(log.view.agent ?? run?.agent);
  const waits =
    !over && (log.view.status === "queued" || log.view.status === "suspended" || log.view.throttled !== null);
  if (run === undefined && isAbsent(snapshot.error)) {
    return (
      <Page title={`Run ${shortId(id)}`} up={{ path: ["runs"], label: "Runs" }}>
        <Problem error={snapshot.error} retry={snapshot.reload} />
      </Page>
    );
  }
  return (
    <Page
      title={`Run ${shortId(id)}`}
      wide
      up={{ path: ["runs"], label: "Runs" }}
      heading={
        <span class="row">
          <code title={id}>{shortId(id)}</code>
          <Status value={log.view.status ?? run?.status ?? "queued"} />
        </span>
      }
      actions={<Actions id={id} run={run} over={over} />}
    >
      <div class="run-page">
        <p class="run-facts muted">
          <span>
            {agent}
            {run !== undefined && ` v${run.agent_version}`}
          </span>
          <span>{log.view.model ?? run?.model}</span>
          {run !== undefined && <span>for {names.user(run.user)}</span>}
          {run !== undefined && (
            <a href={href(["threads", run.thread])} title={run.thread}>
              thread
            </a>
          )}
          {run?.source.id?.startsWith("run_") && (
            <a href={href(["runs", run.source.id])}>called by another run</a>
          )}
          <span class="num">{log.length === 0 ? "" : formatDuration((now || axis.end) - axis.start)}</span>
          <span class="num">{formatMoney(log.view.cost ?? run?.cost)}</span>
          {axis.gaps.length > 0 && (
            <span>
              {axis.gaps.length === 1 ? "a silence of " : `${axis.gaps.length} silences, `}
              {formatDuration(axis.gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0))} drawn short
            </span>
          )}
        </p>
        {snapshot.error !== undefined && <Problem error={snapshot.error} retry={snapshot.reload} />}
        {followed.state === "failed" && snapshot.error === undefined && (
          <Problem error={followed.error} retry={followed.retry} />
        )}
        {waits && <Why id={id} tail={log.view.seq} />}
        <div class="card run-chart">
          <Chart
            log={log}
            revision={followed.revision}
            now={now}
            view={seen}
            onView={setView}
            cursor={player.cursor}
            playhead={player.playhead}
            onScrub={player.seek}
            selected={selected}
            onSelect={setSelected}
          />
          <Transport log={log} state={state} player={player} onZoom={zoomBy} onFit={() => setView(null)} />
        </div>
        <Tabs
          label="Panels"
          value={tab}
          onChange={setTab}
          options={[
            { value: "state", label: player.following ? "State" : `State as of event ${player.cursor + 1}` },
            { value: "events", label: "Events", class: "narrow-only" },
            { value: "calls", label: "Model calls" },
          ]}
        />
        <div class={`run-panels show-${tab}`}>
          {tab === "calls" ? (
            <Calls id={id} tail={log.view.seq} followed={followed} />
          ) : (
            <State view={asOf} input={inputOf(run)} agent={agent} live={player.following} />
          )}
          <Events log={log} revision={followed.revision} cursor={player.cursor} onCursor={player.seek} />
        </div>
      </div>
    </Page>
  );
}

/** While a live run is followed closer than whole, what is seen moves with its end. */
function slide(view: Viewport, length: number): Viewport {
  const width = Math.min(length, view.to - view.from);
  return { from: length - width, to: length };
}

function Actions({ id, run, over }: { id: string; run: RunSnapshot | undefined; over: boolean }) {
  const [busy, setBusy] = useState(false);
  const cancel = async () => {
    setBusy(true);
    try {
      await client.value.runs.cancel(id, { reason: "cancelled in the console" });
      toast("It ends");
    } catch (error) {
      toast(error instanceof Error ? error.message : "It did not work", "bad");
    }
    setBusy(false);
  };
  return (
    <>
      <CopyButton text={id} label="Copy id" />
      {run !== undefined && (
        <a class="btn" href={href(["playground"], { thread: run.thread, agent: run.agent })}>
          Go on in the playground
        </a>
      )}
      {!over && (
        <button type="button" class="btn danger" disabled={busy} onClick={() => void cancel()}>
          Cancel the run
        </button>
      )}
    </>
  );
}

/** What the run waits for, asked again while it does. */
function Why({ id, tail }: { id: string; tail: number }) {
  const now = useNow(1000);
  const explained = useLoad((signal) => client.value.runs.explain(id, { signal }), [id, tail], 5000);
  const words = explained.data === undefined ? null : why(explained.data, now);
  if (words === null) return null;
  const link =
    words.link === null
      ? null
      : words.link.kind === "run"
        ? href(["runs", words.link.id])
        : words.link.kind === "budget"
          ? href(["budgets"])
          : href(["approvals"], { open: words.link.id });
  return (
    <div class="notice" role="status">
      <div>
        <strong>{words.title}</strong>
        <div>{words.advice}</div>
      </div>
      {link !== null && (
        <div class="actions">
          <a class="btn small" href={link}>
            Look
          </a>
        </div>
      )}
    </div>
  );
}

function Calls({ id, tail, followed }: { id: string; tail: number; followed: Followed }) {
  const explained = useLoad(
    (signal) => client.value.runs.explain(id, { signal }),
    // The ledger is written at the end of a call; a delta is no reason to look.
    [
      id,
      isOver(followed.log.view) ? tail : followed.log.view.step,
      followed.log.counts.get("cost.settled") ?? 0,
    ],
  );
  return (
    <section class="state" aria-label="Model calls">
      <Show of={explained}>{(explanation) => <ModelCalls explanation={explanation} />}</Show>
    </section>
  );
}

/** Space, arrows, plus, minus, 0 and l, unless something else has the focus that needs them. */
function useTimelineKeys(player: Player, zoomBy: (factor: number) => void, fit: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      const target = event.target as HTMLElement;
      if (target.closest("input, textarea, select, [role=tablist], dialog") !== null) return;
      if (event.key === " " && target.closest("button, a, summary") !== null) return;
      const done: Record<string, () => void> = {
        " ": player.toggle,
        ArrowRight: () => player.step(1),
        ArrowLeft: () => player.step(-1),
        "+": () => zoomBy(1 / 1.6),
        "=": () => zoomBy(1 / 1.6),
        "-": () => zoomBy(1.6),
        "0": fit,
        l: player.follow,
      };
      const act = done[event.key];
      if (act === undefined) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
}
