/** A dialog: the browser's own, which keeps the focus and closes with Escape. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons.tsx";
import { Problem } from "./kit.tsx";
import { copyText } from "./toast.tsx";

/** Shown as long as it is rendered. */
export function Dialog(props: {
  title: string;
  big?: boolean;
  /** Closes by its buttons alone: neither with Escape nor by a click beside it. */
  stays?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (dialog !== null && !dialog.open) dialog.showModal();
  }, []);
  return (
    <dialog
      ref={ref}
      class={props.big === true ? "big" : ""}
      aria-label={props.title}
      closedby={props.stays === true ? "none" : "closerequest"}
      onCancel={(event) => {
        // For browsers that do not know `closedby`.
        if (props.stays === true) event.preventDefault();
      }}
      onClose={props.onClose}
      onClick={(event) => {
        if (event.target === ref.current && props.stays !== true) props.onClose();
      }}
    >
      <header>
        <h2>{props.title}</h2>
        <button type="button" class="btn plain small" aria-label="Close" onClick={props.onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div class="dialog-body">{props.children}</div>
    </dialog>
  );
}

/** A dialog with a form that does one thing; its error is shown in it. */
export function FormDialog(props: {
  title: string;
  action: string;
  danger?: boolean;
  big?: boolean;
  ready?: boolean;
  onClose: () => void;
  /** Resolves when it is done, and the dialog may close. */
  onSubmit: () => Promise<unknown>;
  children?: ComponentChildren;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await props.onSubmit();
      props.onClose();
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return (
    <Dialog title={props.title} big={props.big ?? false} onClose={props.onClose}>
      <form class="form" onSubmit={(event) => void submit(event)}>
        {props.children}
        {error !== undefined && <Problem error={error} />}
        <div class="form-foot">
          <button type="button" class="btn" onClick={props.onClose}>
            Cancel
          </button>
          <button
            type="submit"
            class={props.danger === true ? "btn danger" : "btn primary"}
            disabled={busy || props.ready === false}
          >
            {props.action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** Something that is shown once, and so until its reader says that it has it: a new key's secret. */
export function SecretDialog(props: {
  title: string;
  secret: string;
  onClose: () => void;
  children?: ComponentChildren;
}) {
  return (
    <Dialog title={props.title} stays onClose={props.onClose}>
      <div class="form">
        <p>{props.children ?? "It is shown this once and cannot be read again."}</p>
        <pre class="box" tabIndex={0}>
          {props.secret}
        </pre>
        <div class="form-foot">
          <button type="button" class="btn primary" onClick={() => void copyText(props.secret)}>
            Copy
          </button>
          <button type="button" class="btn" onClick={props.onClose}>
            I have it
          </button>
        </div>
      </div>
    </Dialog>
  );
}
