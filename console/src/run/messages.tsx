/** Messages as people read them: words, reasoning, calls with what they were given and what they answered. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import {
  pendingApprovals,
  pendingInputs,
  type CallPartView,
  type MessageView,
  type PartView,
  type RunView,
} from "headwater";
import { href } from "../router.ts";
import { formatDuration } from "../lib/time.ts";
import { compact, formatBytes, pretty } from "../lib/text.ts";
import { Id, Status } from "../ui/kit.tsx";

/** What a person said. */
export function Said({ children, who }: { children: ComponentChildren; who?: string }) {
  return (
    <article class="msg user">
      <header>{who ?? "user"}</header>
      <div class="words">{children}</div>
    </article>
  );
}

const NONE: ReadonlySet<string> = new Set();

/** One message. `waits` names the calls that somebody is waited for. */
export function MessageItem({
  message,
  name,
  waits = NONE,
}: {
  message: MessageView;
  name?: string | undefined;
  waits?: ReadonlySet<string>;
}) {
  const empty = message.parts.length === 0;
  return (
    <article class={`msg ${message.role}`}>
      <header>
        {message.role === "assistant" ? (name ?? "assistant") : message.role}
        {message.step !== null && message.step > 1 && <span class="faint"> step {message.step}</span>}
        {message.status === "incomplete" && <Status value="incomplete" />}
      </header>
      {message.parts.map((part, at) => (
        <PartItem
          key={part.type === "tool_call" ? part.call : `${part.type}${at}`}
          part={part}
          waits={waits}
        />
      ))}
      {message.status === "in_progress" && <span class="caret" aria-label={empty ? "thinking" : "writing"} />}
    </article>
  );
}

function PartItem({ part, waits }: { part: PartView; waits: ReadonlySet<string> }) {
  switch (part.type) {
    case "text":
      return <Words text={part.text} />;
    case "reasoning":
      return (
        <details class="reasoning" open={!part.done}>
          <summary>Reasoning</summary>
          <Words text={part.text} />
        </details>
      );
    case "tool_call":
      return <CallItem call={part} waits={waits.has(part.call)} />;
    case "image":
    case "file":
      return (
        <span class="badge plain">
          {part.type} {part.source.media_type}, {formatBytes(part.source.size_bytes)}
        </span>
      );
  }
}

/** So many characters are laid out at each event of a replay; the rest only if somebody wants to read it. */
const MOST_CHARACTERS = 8_000;

/** A text. Of a very long one the end, which is what changes, and a button for the rest. */
function Words({ text }: { text: string }) {
  const [all, setAll] = useState(false);
  const cut = all || text.length <= MOST_CHARACTERS ? 0 : text.length - MOST_CHARACTERS;
  return (
    <>
      {cut > 0 && (
        <button type="button" class="btn small" onClick={() => setAll(true)}>
          Show the {compact(cut)} characters before
        </button>
      )}
      <div class="words">{cut === 0 ? text : text.slice(cut)}</div>
    </>
  );
}

/** A call and what came of it. */
export function CallItem({ call, waits }: { call: CallPartView; waits: boolean }) {
  const status =
    call.status === "called"
      ? waits
        ? "pending"
        : "running"
      : call.status === "writing"
        ? "in_progress"
        : call.status;
  return (
    <details class="call">
      <summary>
        <code>{call.name}</code>
        <Status value={status} />
        {call.kind !== null && <span class="faint">{call.kind}</span>}
        {call.progress !== null && call.status === "called" && (
          <span class="faint">
            {call.progress.progress}
            {call.progress.total !== null && ` of ${call.progress.total}`} {call.progress.message}
          </span>
        )}
        {call.duration_ms !== null && <span class="faint num">{formatDuration(call.duration_ms)}</span>}
        {call.sub_run !== null && <Id value={call.sub_run} link={href(["runs", call.sub_run])} />}
      </summary>
      <div class="call-body">
        <h3>Arguments</h3>
        <pre>{call.args === null ? call.args_text || "not shown" : pretty(call.args)}</pre>
        {call.status === "completed" && (
          <>
            <h3>Output</h3>
            <pre>{typeof call.output === "string" ? call.output : pretty(call.output)}</pre>
          </>
        )}
        {call.error !== null && (
          <>
            <h3>Error</h3>
            <pre>{`${call.error.code}: ${call.error.detail ?? call.error.title}`}</pre>
          </>
        )}
        {call.comment !== null && <p>“{call.comment}”</p>}
      </div>
    </details>
  );
}

/** All that a run says. */
export function RunMessages({ view, name }: { view: RunView; name?: string | undefined }) {
  const waits = new Set([
    ...pendingApprovals(view).map((approval) => approval.call),
    ...pendingInputs(view).map((call) => call.call),
  ]);
  return (
    <>
      {view.messages.map((message) => (
        <MessageItem key={message.id} message={message} name={name} waits={waits} />
      ))}
    </>
  );
}
