/**
 * The keyboard: g and a letter to go somewhere, j and k in lists, / to filter, ? for help, Escape back.
 *
 * Promises to leave alone what is typed into fields and what is pressed with Ctrl, Alt or Meta.
 */
import { signal } from "@preact/signals";
import { go } from "./router.ts";

/** Whether the help is shown. */
export const helpShown = signal(false);

/** What `g` and a letter lead to, set by the shell for the door that is open. */
export const goKeys = signal<Record<string, { path: string[]; label: string }>>({});

let pending: ReturnType<typeof setTimeout> | null = null;

/** Begins to listen. */
export function startKeys(): void {
  addEventListener("keydown", onKey);
}

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  const target = event.target as HTMLElement;
  const typing =
    target.closest("input:not([type=checkbox],[type=range],[type=radio]), textarea, select") !== null;
  if (event.key === "Escape") {
    escape(target, typing);
    return;
  }
  if (typing || document.querySelector("dialog[open]") !== null) return;
  if (pending !== null) {
    clearTimeout(pending);
    pending = null;
    const place = goKeys.value[event.key];
    if (place !== undefined) {
      event.preventDefault();
      go(place.path);
      return;
    }
  }
  switch (event.key) {
    case "g":
      pending = setTimeout(() => (pending = null), 1200);
      break;
    case "j":
    case "k":
      if (moveRow(event.key === "j" ? 1 : -1)) event.preventDefault();
      break;
    case "/": {
      const filter = document.querySelector<HTMLElement>("[data-filter]");
      if (filter !== null) {
        event.preventDefault();
        filter.focus();
      }
      break;
    }
    case "?":
      event.preventDefault();
      helpShown.value = true;
      break;
  }
}

function escape(target: HTMLElement, typing: boolean): void {
  if (document.querySelector("dialog[open]") !== null) return;
  if (typing) {
    target.blur();
    return;
  }
  document.querySelector<HTMLElement>("[data-up]")?.click();
}

/** Moves the focus between the rows of the page's lists. */
function moveRow(by: number): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  if (rows.length === 0) return false;
  const at = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement));
  const next =
    rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
  return true;
}
