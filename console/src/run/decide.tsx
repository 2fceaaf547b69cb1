/** Asks a person: an approval to decide, or a call of the application's own tools to answer. */
import { useState } from "preact/hooks";
import type { CallPartView } from "headwater";
import { client } from "../api.ts";
import { parseJson, pretty } from "../lib/text.ts";
import { Field, Problem, When } from "../ui/kit.tsx";
import { toast } from "../ui/toast.tsx";

/** What is shown of a question, wherever it comes from. */
export interface Question {
  id: string;
  run: string;
  name: string;
  kind: string | null;
  message: string | null;
  args: unknown;
  expires_at: string | null;
}

/** A question with its answers. */
export function Decide({ question, onDone }: { question: Question; onDone?: () => void }) {
  const [editing, setEditing] = useState(false);
  const [args, setArgs] = useState(() => pretty(question.args));
  const [comment, setComment] = useState("");
  const [remember, setRemember] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const parsed = parseJson(args);
  const wrong = editing && "problem" in parsed ? parsed.problem : null;
  const changed = editing && "value" in parsed && pretty(parsed.value) !== pretty(question.args);
  const decide = async (decision: "approved" | "denied" | "cancelled") => {
    setBusy(true);
    setError(undefined);
    try {
      await client.value.approvals.decide(question.run, question.id, {
        decision,
        comment: comment.trim() === "" ? null : comment.trim(),
        ...(decision === "approved" && changed && "value" in parsed ? { edited_args: parsed.value } : {}),
        ...(decision === "approved" && remember && !changed ? { remember: "thread" } : {}),
      });
      toast({ approved: "Approved", denied: "Denied", cancelled: "The run ends" }[decision]);
      onDone?.();
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  const unknown = question.kind === "unknown_outcome";
  return (
    <section class="decide" aria-label={`Approval of ${question.name}`}>
      <div class="row">
        <strong>{question.message ?? `May ${question.name} be called?`}</strong>
        {question.expires_at !== null && (
          <span class="faint">
            expires <When at={question.expires_at} />
          </span>
        )}
      </div>
      {unknown && (
        <p class="muted">
          A process died while this was called: whether it happened is unknown. Approve to do it again; deny
          to go on without.
        </p>
      )}
      {editing ? (
        <Field label="Arguments" wrong={wrong} hint="They have to fit the tool's schema.">
          {(id) => (
            <textarea
              id={id}
              class="code"
              rows={6}
              value={args}
              spellcheck={false}
              onInput={(event) => setArgs(event.currentTarget.value)}
            />
          )}
        </Field>
      ) : (
        <pre class="box">{pretty(question.args)}</pre>
      )}
      <input
        aria-label="Comment"
        placeholder="Comment (the model reads it if you deny)"
        value={comment}
        onInput={(event) => setComment(event.currentTarget.value)}
      />
      {error !== undefined && <Problem error={error} />}
      <div class="row">
        <button
          type="button"
          class="btn primary"
          disabled={busy || wrong !== null}
          onClick={() => void decide("approved")}
        >
          {changed ? "Approve as edited" : unknown ? "Do it again" : "Approve"}
        </button>
        <button type="button" class="btn" disabled={busy} onClick={() => void decide("denied")}>
          Deny
        </button>
        <button type="button" class="btn plain" onClick={() => setEditing(!editing)}>
          {editing ? "Leave the arguments" : "Edit arguments"}
        </button>
        <button
          type="button"
          class="btn plain danger"
          disabled={busy}
          onClick={() => void decide("cancelled")}
        >
          End the run
        </button>
        <label class="check">
          <input
            type="checkbox"
            checked={remember}
            disabled={changed}
            onChange={(event) => setRemember(event.currentTarget.checked)}
          />
          <span>for the rest of this thread</span>
        </label>
      </div>
    </section>
  );
}

/** A call that waits for the application: its answer can be given by hand here. */
export function Submit({ run, call }: { run: string; call: CallPartView }) {
  const [text, setText] = useState("{}");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const parsed = parseJson(text);
  const send = async (failed: boolean) => {
    setBusy(true);
    setError(undefined);
    try {
      const value = "value" in parsed ? parsed.value : text;
      await client.value.runs.callResult(run, call.call, failed ? { error: text } : { output: value });
      toast("Sent");
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class="decide" aria-label={`Result of ${call.name}`}>
      <strong>
        <code>{call.name}</code> waits for your application's answer
      </strong>
      <pre class="box">{pretty(call.args)}</pre>
      <textarea
        class="code"
        aria-label="Output as JSON"
        rows={3}
        value={text}
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {error !== undefined && <Problem error={error} />}
      <div class="row">
        <button
          type="button"
          class="btn primary"
          disabled={busy || "problem" in parsed}
          onClick={() => void send(false)}
        >
          Send as output
        </button>
        <button type="button" class="btn" disabled={busy} onClick={() => void send(true)}>
          Send as error
        </button>
      </div>
    </section>
  );
}
