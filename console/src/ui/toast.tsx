/** Short notes at the edge of the page. */
import { signal } from "@preact/signals";

interface Note {
  id: number;
  text: string;
  tone: "good" | "bad";
}

const notes = signal<Note[]>([]);
let next = 0;

/** Says something for a few seconds. */
export function toast(text: string, tone: Note["tone"] = "good"): void {
  const id = ++next;
  notes.value = [...notes.value.slice(-3), { id, text, tone }];
  setTimeout(() => {
    notes.value = notes.value.filter((note) => note.id !== id);
  }, 5_000);
}

/** Copies a text, and says so. Browsers have no clipboard for pages that came without TLS. */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser did not let us copy", "bad");
  }
}

/** Where they are shown. */
export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {notes.value.map((note) => (
        <div key={note.id} class={`toast ${note.tone}`}>
          {note.text}
        </div>
      ))}
    </div>
  );
}
