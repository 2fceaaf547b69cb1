/** The parts that pages are made of: badges, times, copies, empty and error states, fields. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { ApiError, HeadwaterError } from "headwater";
import { formatRelative } from "../lib/time.ts";
import { shortId } from "../lib/text.ts";
import { visible } from "../lib/visible.ts";
import { Icon } from "./icons.tsx";
import { copyText } from "./toast.tsx";

/** Where a run, a budget, an approval stands. */
export function Status({ value }: { value: string | null | undefined }) {
  return <span class={`badge ${TONES[value ?? ""] ?? ""}`}>{(value ?? "unknown").replaceAll("_", " ")}</span>;
}

const TONES: Record<string, string> = {
  completed: "good",
  approved: "good",
  active: "good",
  enabled: "good",
  delivered: "good",
  ok: "good",
  awake: "good",
  closed: "good",
  running: "busy",
  busy: "busy",
  in_progress: "busy",
  suspended: "warn",
  pending: "warn",
  warning: "warn",
  going_quiet: "warn",
  probing: "warn",
  incomplete: "warn",
  expired: "warn",
  failed: "bad",
  denied: "bad",
  exhausted: "bad",
  error: "bad",
  open: "bad",
  blocked: "bad",
};

/** The present, in ms, renewed every so often while the page is visible. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  const shown = visible.value;
  useEffect(() => {
    if (!shown) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, shown]);
  return now;
}

/** When something was, in words; the exact time on hover. */
export function When({ at }: { at: string | null | undefined }) {
  const now = useNow(15_000);
  if (!at) return <span class="faint">–</span>;
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={new Date(time).toLocaleString()}>
      {formatRelative(time, now)}
    </time>
  );
}

/** An id, short, with the whole one to copy. */
export function Id({ value, link }: { value: string | null | undefined; link?: string | undefined }) {
  if (!value) return <span class="faint">–</span>;
  const text = shortId(value);
  return link === undefined ? (
    <code title={value}>{text}</code>
  ) : (
    <a href={link} title={value}>
      <code>{text}</code>
    </a>
  );
}

/** Copies a text, and says so. */
export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  return (
    <button type="button" class="btn plain small" onClick={() => void copyText(text)}>
      <Icon name="copy" />
      {label}
    </button>
  );
}

/** Nothing is here, and what to do about it. */
export function Empty(props: { title: string; children?: ComponentChildren; curl?: string }) {
  return (
    <div class="empty">
      <h2>{props.title}</h2>
      {props.children !== undefined && <p>{props.children}</p>}
      {props.curl !== undefined && <Curl text={props.curl} />}
    </div>
  );
}

/** A command to copy. */
export function Curl({ text }: { text: string }) {
  return (
    <div class="curl">
      <pre tabIndex={0}>{text}</pre>
      <CopyButton text={text} />
    </div>
  );
}

/** A `curl` of this server, with the key as a variable: no command on the screen holds a secret. */
export function curlOf(path: string, body?: unknown, method?: string, key = "HEADWATER_API_KEY"): string {
  const lines = [
    `curl ${location.origin}${path}${method === undefined ? "" : ` -X ${method}`}`,
    `-H "Authorization: Bearer $${key}"`,
  ];
  if (body !== undefined) lines.push(`--json '${JSON.stringify(body)}'`);
  return lines.join(" \\\n  ");
}

/** What went wrong, in the server's words. */
export function Problem({ error, retry }: { error: unknown; retry?: (() => void) | undefined }) {
  const api = error instanceof ApiError ? error : null;
  return (
    <div class="problem" role="alert">
      <strong>{titleOf(error)}</strong>
      {api !== null && api.problem.detail && <span>{api.problem.detail}</span>}
      {api !== null &&
        api.errors.map((one) => (
          <span key={one.param}>
            <code>{one.param}</code> {one.detail}
          </span>
        ))}
      <span class="meta">
        {api !== null && <code>{api.code}</code>}
        {api !== null && <span>status {api.status}</span>}
        {api?.requestId && (
          <span>
            request <code>{api.requestId}</code>
          </span>
        )}
        {retry !== undefined && (
          <button type="button" class="btn small" onClick={retry}>
            Try again
          </button>
        )}
      </span>
    </div>
  );
}

/** The headline of an error. */
export function titleOf(error: unknown): string {
  if (error instanceof ApiError) return error.problem.title;
  if (error instanceof HeadwaterError) {
    return error.kind === "transport" || error.kind === "edge" ? "The server does not answer" : error.message;
  }
  return error instanceof Error ? error.message : "Something went wrong";
}

/** Shows what was loaded, an error beside it, or that it is being loaded. */
export function Show<T>(props: {
  of: { data: T | undefined; error: unknown; reload: () => void };
  children: (data: T) => ComponentChildren;
}) {
  const { data, error, reload } = props.of;
  return (
    <>
      {error !== undefined && <Problem error={error} retry={reload} />}
      {data !== undefined ? props.children(data) : error === undefined && <div class="loading">Loading…</div>}
    </>
  );
}

/** A labelled field. */
export function Field(props: {
  label: string;
  hint?: ComponentChildren;
  wrong?: string | null | undefined;
  children: (id: string) => ComponentChildren;
}) {
  const id = useId();
  return (
    <div class="field">
      <label class="label" for={id}>
        {props.label}
      </label>
      {props.children(id)}
      {props.wrong ? (
        <span class="wrong">{props.wrong}</span>
      ) : (
        props.hint && <span class="hint">{props.hint}</span>
      )}
    </div>
  );
}

/** A few choices of which one holds. */
export function Segments<T extends string>(props: {
  label: string;
  value: T;
  options: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
}) {
  return (
    <div class="segments" role="group" aria-label={props.label}>
      {props.options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === props.value}
          onClick={() => props.onChange(option.value)}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}

/** Tabs of a page. */
export function Tabs<T extends string>(props: {
  label: string;
  value: T;
  options: readonly { value: T; label: string; class?: string }[];
  onChange: (value: T) => void;
}) {
  const move = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    const at = props.options.findIndex((option) => option.value === props.value) + by;
    const next = props.options[(at + props.options.length) % props.options.length];
    if (next === undefined) return;
    props.onChange(next.value);
    const list = event.currentTarget as HTMLElement;
    requestAnimationFrame(() => list.querySelector<HTMLElement>('[aria-selected="true"]')?.focus());
  };
  return (
    <div class="tabs" role="tablist" aria-label={props.label} onKeyDown={move}>
      {props.options.map((option) => (
        <button
          key={option.value}
          type="button"
          role="tab"
          class={option.class ?? ""}
          aria-selected={option.value === props.value}
          tabIndex={option.value === props.value ? 0 : -1}
          onClick={() => props.onChange(option.value)}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}

/** How much of a limit is used. */
export function Meter({ share, label }: { share: number; label: string }) {
  const percent = Math.max(0, Math.min(100, share * 100));
  const tone = share >= 1 ? "bad" : share >= 0.8 ? "warn" : "";
  return (
    <div
      class={`meter ${tone}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(percent)}
    >
      <i style={{ width: `${percent}%` }} />
    </div>
  );
}
